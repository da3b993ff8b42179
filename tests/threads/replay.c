/* tests/threads/replay.c -- partitions of a recorded inbox on four threads, for the
 * thread sanitizer; a plain program, since Criterion aborts under TSan */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/replay/record/recording.h"
#include "engine/replay/replay.h"
#include "tests/support/inbox.h"

enum { PARTS = 6, SECONDS = 60, WALLS = 60 };
static const int64_t t0_ms = 1760000000000;
static const char plan[] =
    "id: %s\ncohorts: {canary: {v: c}, baseline: {v: b}}\nwindow: 1s\ncalibrate: skip\n"
    "sample_ratio: {check: false}\n"
    "steps: [{weight: 10%%, worse_than: 4, bake: 5s, warmup: 0s}, {weight: 100%%}]\n"
    "metrics: [{name: errors, kind: ratio, phi: 1, abort_over: 1.2}]\n";

static void need(enum serin_status s, const struct fault *f, const char *what)
{
    if (s == SERIN_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, status_text(s), f->text);
    exit(1);
}

static void write_partition(struct recording_writer *w, int p)
{
    struct fault f = {0};
    struct inbox b = {.n = 0};
    char id[32], text[1024];
    snprintf(id, sizeof id, "r%d", p);
    snprintf(text, sizeof text, plan, id);
    inbox_wall(&b, t0_ms);
    inbox_apply(&b, id, text);
    for (int s = 0; s < SECONDS; s++) {
        inbox_second(&b, (struct inbox_second){.rollout = id,
                                               .at_ms = t0_ms + s * 1000,
                                               .n = 500,
                                               .x = p % 2 == 0 ? 60 : 10,
                                               .m = 5000,
                                               .y = 100});
        for (int i = 0; i < WALLS; i++)
            inbox_wall(&b, t0_ms + s * 1000 + i);
        inbox_tick(&b, t0_ms + s * 1000 + 1000, t0_ms + s * 1000 + 1000);
    }
    for (size_t i = 0; i < b.n; i++) {
        struct recording_record r = {.partition = p,
                                     .offset = b.records[i].offset,
                                     .value = b.records[i].value.p,
                                     .value_len = b.records[i].value.n};
        need(recording_add(w, &r, &f), &f, "write");
    }
    inbox_free(&b);
}

static enum serin_status hear(void *ctx, const struct replay_verdict *v)
{
    uint8_t *hash = ctx, all[2 * HASH_DIGEST];
    memcpy(all, hash, HASH_DIGEST);
    hash_digest(v->bytes.p, v->bytes.n, all + HASH_DIGEST);
    hash_digest(all, sizeof all, hash);
    return SERIN_OK;
}

static uint64_t run(const char *path, unsigned threads, uint8_t hash[HASH_DIGEST])
{
    struct fault f = {0};
    struct recording_reader *r;
    struct replay_counts n;
    struct replay_options o = {
        .threads = threads, .partitions = PARTS, .verdict = hear, .ctx = hash};
    memset(hash, 0, HASH_DIGEST);
    need(recording_open(&r, path, &f), &f, "open");
    need(replay_run(r, &o, &n, &f), &f, "replay");
    recording_close(r);
    return n.verdicts;
}

int main(void)
{
    struct fault f = {0};
    struct recording_writer *w;
    uint8_t one[HASH_DIGEST], four[HASH_DIGEST];
    char path[] = "/tmp/serin-threads-replay-XXXXXX";
    close(mkstemp(path));
    need(recording_create(
             &w, path,
             "{\"schema\":\"serin.recording/1\",\"topics\":[\"serin.inbox\"]}", &f),
         &f, "create");
    for (int p = 0; p < PARTS; p++)
        write_partition(w, p);
    need(recording_finish(w, &f), &f, "finish");
    uint64_t n = run(path, 1, one);
    bool same = run(path, 4, four) == n && memcmp(one, four, sizeof one) == 0;
    unlink(path);
    printf("%llu verdicts, %s\n", (unsigned long long)n, same ? "the same" : "others");
    return n >= 2 * PARTS && same ? 0 : 1;
}
