/* tests/fuzz/import_promises.h -- what holds for any file that is given to `replay
 * --from`
 *
 * It opens or is refused with a text; every record is decoded or refused with a reason,
 * the aggregate keeps its promises (decode_promises.h), and reading ends. */
#ifndef SERIN_TESTS_FUZZ_IMPORT_PROMISES_H
#define SERIN_TESTS_FUZZ_IMPORT_PROMISES_H

#include <sys/mman.h>
#include <unistd.h>

#include "engine/replay/source/source.h"
#include "tests/fuzz/decode_promises.h"

static inline enum serin_status import_name(void *ctx, struct strview rollout,
                                            struct strview metric)
{
    (void)ctx;
    FUZZ_MUST(rollout.n == 0 || metric.n == 0);
    return SERIN_OK;
}

static inline void import_records(struct source *s, struct world *w, size_t n)
{
    struct source_record r;
    struct reject why;
    struct fault f = {0};
    char place[160];
    enum serin_status rc;
    size_t records = 0;
    while ((rc = source_next(s, &r, &f)) == SERIN_OK) {
        FUZZ_MUST(records++ <= n);
        FUZZ_MUST(source_names(s, &r, import_name, NULL) == SERIN_OK);
        aggregate_input(w->a, r.input);
        aggregate_message(w->a, WORLD_NOW);
        uint64_t before = aggregate_counts(w->a).samples;
        why.detail[0] = '\0';
        if (source_decode(s, &r, w->a, &why) == SERIN_OK) continue;
        FUZZ_MUST(why.reason < QUARANTINE_REASONS && why.detail[0] != '\0');
        FUZZ_MUST(aggregate_counts(w->a).samples == before);
        source_place(s, place);
        FUZZ_MUST(place[0] != '\0');
    }
    FUZZ_MUST(rc == SERIN_AGAIN || f.text[0] != '\0');
}

/* The bytes as a file of that kind, with and without a map. */
static inline void import_check(enum source_kind kind, const char *map,
                                const uint8_t *p, size_t n)
{
    static char path[64];
    static struct world w;
    static struct arena scratch;
    static int fd = -1;
    static unsigned runs;
    if (fd < 0) { /* in memory */
        fd = memfd_create("import", 0);
        FUZZ_MUST(fd >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (runs++ % 4096 == 0) {
        if (w.a != NULL) world_close(&w);
        w = world_open(NULL);
    }
    FUZZ_MUST(ftruncate(fd, 0) == 0 && pwrite(fd, p, n, 0) == (ssize_t)n);
    for (size_t maps = 0; maps < 2; maps++) {
        struct source_format format = {.kind = kind, .maps = {map}, .n_maps = maps};
        struct fault f = {0};
        struct source *s = NULL;
        uint64_t samples = 0;
        aggregate_clear(w.a);
        cumulative_forget(aggregate_cumulative(w.a));
        if (source_open(&s, path, &format, &f) != SERIN_OK) {
            FUZZ_MUST(s == NULL && f.text[0] != '\0');
            continue;
        }
        import_records(s, &w, n);
        struct aggregate_counts c = aggregate_counts(w.a);
        FUZZ_MUST(c.samples == c.routed + c.unrouted + c.poison + c.dropped);
        FUZZ_MUST(partial_each(w.a, "w", &scratch, promises_sink, &samples) ==
                  SERIN_OK);
        source_close(s);
    }
}

#endif
