/* tests/unit/replay/test_replay.c -- a digest without the signature; the same order of
 * verdicts on any number of threads */
#include "engine/replay/replay.h"

#include <unistd.h>

#include "proto/encode.h"
#include "tests/support/check.h"
#include "tests/support/inbox.h"

static void digest_of(const char *sig, const char *message, uint8_t out[HASH_DIGEST])
{
    struct arena a = {0};
    struct bytes bytes;
    char id[] = "r/1", rollout[] = "r", text[64];
    pb_verdict v = SERIN__V1__VERDICT__INIT;
    snprintf(text, sizeof text, "%s", message);
    v.schema = SERIN_SCHEMA;
    v.id = id;
    v.rollout = rollout;
    v.seq = 1;
    v.message = text;
    v.sig.data = (uint8_t *)arena_copy(&a, sig, strlen(sig));
    v.sig.len = strlen(sig);
    cr_assert(eq(int, encode_verdict(&a, &v, &bytes), SERIN_OK));
    cr_assert(eq(int, replay_digest(bytes.p, bytes.n, out), SERIN_OK));
    arena_free(&a);
}

Test(replay, a_signature_does_not_change_the_digest_and_all_else_does)
{
    uint8_t plain[HASH_DIGEST], with[HASH_DIGEST], other[HASH_DIGEST];
    digest_of("", "promoted", plain);
    digest_of("signed by somebody", "promoted", with);
    digest_of("signed by somebody", "promoter", other);
    cr_assert(memcmp(plain, with, sizeof plain) == 0);
    cr_assert(memcmp(plain, other, sizeof plain) != 0);
    cr_assert(eq(int, replay_digest("\x0a\xff", 2, plain), SERIN_EPARSE));
}

/* ---- partitions side by side */
enum { PARTS = 5, SECONDS = 800, EVERY = 40, WALLS = 12 };
static const int64_t t0_ms = 1760000000000;

static const char plan[] =
    "id: %s\ncohorts: {canary: {v: c}, baseline: {v: b}}\nwindow: 1s\ncalibrate: skip\n"
    "sample_ratio: {check: false}\nsilence: 60s\n"
    "steps: [{weight: 10%%, worse_than: 4, bake: 5s, warmup: 0s}, "
    "{weight: 50%%, worse_than: 3, bake: 5s, warmup: 0s}, "
    "{weight: 100%%, watch: 5s, warmup: 0s}]\n"
    "metrics: [{name: errors, kind: ratio, phi: 1, abort_over: 1.2}]\n";

/* Every 40 s a rollout begins in each partition; some of them get worse. */
static void script(struct inbox *b, int p)
{
    char id[32], text[1024];
    for (int s = 0; s < SECONDS; s++) {
        int64_t at = t0_ms + s * 1000;
        snprintf(id, sizeof id, "r%d-%d", s / EVERY, p);
        snprintf(text, sizeof text, plan, id);
        inbox_wall(b, at);
        if (s % EVERY == 0) inbox_apply(b, id, text);
        uint64_t bad = (s / EVERY + p) % 3 == 0 ? 60 : 10;
        inbox_second(
            b,
            (struct inbox_second){
                .rollout = id, .at_ms = at, .n = 500, .x = bad, .m = 5000, .y = 100});
        for (int i = 0; i < WALLS; i++) /* the file is several blocks long */
            inbox_wall(b, at + 900 + i);
        inbox_tick(b, at + 1000, at + 1000);
    }
}

/* Runs of `run` records of each partition in turn; partition 3 is `late` runs behind.
 */
static void write_inbox(const char *path, const struct inbox *b, size_t run,
                        size_t late)
{
    struct fault f = {0};
    struct recording_writer *w;
    size_t done[PARTS] = {0}, left = 0, turn = 0;
    cr_assert(eq(int,
                 recording_create(&w, path,
                                  "{\"schema\":\"serin.recording/1\",\"topics\":"
                                  "[\"serin.inbox\"],\"partitions\":5}",
                                  &f),
                 SERIN_OK));
    for (int p = 0; p < PARTS; p++)
        left += b[p].n;
    for (; left > 0; turn++)
        for (int p = 0; p < PARTS; p++)
            for (size_t i = 0; i < run && done[p] < b[p].n && (p != 3 || turn >= late);
                 i++, left--) {
                const struct inbox_record *at = &b[p].records[done[p]++];
                struct recording_record r = {.partition = p,
                                             .offset = at->offset,
                                             .timestamp_ms = t0_ms,
                                             .value = at->value.p,
                                             .value_len = at->value.n};
                cr_assert(eq(int, recording_add(w, &r, &f), SERIN_OK));
            }
    cr_assert(eq(int, recording_finish(w, &f), SERIN_OK));
}

struct heard {
    uint64_t n;
    uint8_t hash[HASH_DIGEST]; /* of all that was told, in its order */
    int64_t last_ms;
};

static enum serin_status hear(void *ctx, const struct replay_verdict *v)
{
    struct heard *h = ctx;
    uint8_t all[2 * HASH_DIGEST];
    cr_assert(ge(i64, v->t_ms, h->last_ms));
    h->last_ms = v->t_ms;
    h->n++;
    memcpy(all, h->hash, HASH_DIGEST);
    hash_digest(v->bytes.p, v->bytes.n, all + HASH_DIGEST);
    hash_digest(all, sizeof all, h->hash);
    return SERIN_OK;
}

static struct heard run(const char *path, unsigned threads, int32_t partitions,
                        struct replay_counts *n)
{
    struct fault f = {0};
    struct heard h = {0};
    struct recording_reader *r;
    struct replay_options o = {
        .fold = {.row_every_ms = REPLAY_NEVER_MS, .snapshot_every_ms = REPLAY_NEVER_MS},
        .threads = threads,
        .partitions = partitions,
        .verdict = hear,
        .ctx = &h};
    cr_assert(eq(int, recording_open(&r, path, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(int, replay_run(r, &o, n, &f), SERIN_OK), "%s", f.text);
    recording_close(r);
    return h;
}

Test(replay, any_number_of_threads_and_any_order_of_the_file_give_the_same_bytes)
{
    static const struct {
        size_t run, late;
    } orders[] = {{1, 0}, {700, 0}, {100, 60}, {1000000, 0}};
    struct inbox b[PARTS] = {{.n = 0}};
    struct replay_counts n;
    struct heard first = {0};
    char path[] = "/tmp/serin-replay-XXXXXX";
    close(mkstemp(path));
    for (int p = 0; p < PARTS; p++)
        script(&b[p], p);
    for (size_t k = 0; k < sizeof orders / sizeof *orders; k++) {
        write_inbox(path, b, orders[k].run, orders[k].late);
        for (unsigned threads = 1; threads <= 4; threads *= 2) {
            struct heard h = run(path, threads, PARTS, &n);
            if (first.n == 0) first = h;
            cr_assert(gt(u64, h.n, SECONDS / EVERY * PARTS));
            cr_assert(eq(u64, h.n, first.n));
            cr_assert(memcmp(h.hash, first.hash, HASH_DIGEST) == 0,
                      "order %zu, %u threads", k, threads);
            cr_assert(eq(u64, n.rollouts, SECONDS / EVERY * PARTS));
            if (k < 2) cr_assert(lt(u64, n.waiting, h.n / 2), "told as they come");
        }
    }
    struct heard end = run(path, 2, 0, &n);
    cr_assert(memcmp(end.hash, first.hash, HASH_DIGEST) == 0);
    cr_assert(eq(u64, n.waiting, end.n), "how many there will be is not known");
    for (int p = 0; p < PARTS; p++)
        inbox_free(&b[p]);
    unlink(path);
}
