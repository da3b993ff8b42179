/* A recording in memory: what it plays is what a replay gets. */
#include "engine/replay/tune/tape.h"

#include <unistd.h>

#include "engine/base/hash.h"
#include "engine/replay/tune/stand.h"
#include "tests/support/check.h"

static const char text[] =
    "id: web\n"
    "cohorts: {canary: {version: '2'}, baseline: {version: '1'}}\n"
    "window: 2s\n"
    "calibrate: skip\n"
    "steps: [{weight: 50%, worse_than: 3, bake: 10s, warmup: 0s},\n"
    "        {weight: 100%, watch: 5s}]\n"
    "metrics: [{name: errors, kind: ratio, phi: 1}]\n";

struct file {
    char path[32];
    FILE *f;
};

static void file_open(struct file *w)
{
    *w = (struct file){.path = "/tmp/tape-XXXXXX"};
    int fd = mkstemp(w->path);
    cr_assert(ge(int, fd, 0));
    w->f = fdopen(fd, "w");
}

static void line(struct file *w, int s, const char *rollout, const char *cohort,
                 const char *metric, int n, int bad)
{
    fprintf(w->f,
            "{\"t_ms\":%lld,\"rollout\":\"%s\",\"cohort\":\"%s\",\"metric\":\"%s\","
            "\"n\":%d,\"bad\":%d}\n",
            1760000000000LL + 1000LL * s, rollout, cohort, metric, n, bad);
}

static enum serin_status on_verdict(void *ctx, const pb_verdict *v, struct bytes b)
{
    uint64_t *h = ctx;
    (void)v;
    *h = hash_bytes(b.p, b.n, *h);
    return SERIN_OK;
}

static enum serin_status pass(void *ctx, struct arena *a, const struct change_window *w,
                              pb_partial *p)
{
    size_t *windows = ctx;
    (void)a, (void)w, (void)p;
    ++*windows;
    return SERIN_OK;
}

static struct stand plan_of(struct arena *a)
{
    struct stand s;
    struct fault f = {0};
    cr_assert(eq(int, stand(a, text, true, &s, &f), SERIN_OK), "%s", f.text);
    return s;
}

static struct trial *trial_of(const struct stand *s, uint64_t *h)
{
    struct trial *t;
    struct trial_options to = {
        .plan = s->text, .id = "web", .sink = on_verdict, .ctx = h};
    cr_assert(eq(int, trial_open(&t, &to), SERIN_OK));
    return t;
}

Test(tape, plays_the_bytes_of_a_replay_as_often_as_one_likes)
{
    struct file w;
    struct arena a = {0};
    struct fault f = {0};
    struct feed_report report;
    struct tape *tape;
    uint64_t live = 0, played[3] = {0};
    size_t windows = 0;
    struct stand s = plan_of(&a);
    file_open(&w);
    for (int i = 0; i < 90; i++) { /* with a silence in it */
        if (i >= 40 && i < 55) continue;
        line(&w, i, "web", "canary", "errors", 500, i % 7);
        line(&w, i, "web", "baseline", "errors", 500, i % 5);
    }
    fclose(w.f);
    struct feed_options o = {.path = w.path, .plan = s.plan};
    struct trial *t = trial_of(&s, &live);
    cr_assert(eq(int, feed_run(&o, t, &report, &f), SERIN_OK), "%s", f.text);
    trial_close(t);
    cr_assert(eq(int, tape_read(&tape, &o, NULL, 0, &f), SERIN_OK), "%s", f.text);
    for (int i = 0; i < 3; i++) {
        struct tape_player p = {
            .window_ms = 2000, .change = i == 2 ? pass : NULL, .ctx = &windows};
        t = trial_of(&s, &played[i]);
        cr_assert(eq(int, tape_play(tape, t, &p, &f), SERIN_OK), "%s", f.text);
        trial_close(t);
        cr_assert(eq(ulong, played[i], live), "time %d", i);
    }
    struct tape_about about = tape_about(tape);
    cr_assert(eq(long, about.grid_ms, 1000));
    cr_assert(eq(long, about.last_ms - about.first_ms, 89000));
    cr_assert(about.both);
    cr_assert(ge(sz, windows, 37));
    cr_assert(le(sz, windows, 39));
    tape_close(tape);
    unlink(w.path);
    arena_free(&a);
}

static void refused(struct file *w, size_t max, enum serin_status want,
                    const char *says)
{
    struct arena a = {0};
    struct fault f = {0};
    struct tape *tape = NULL;
    struct stand s = plan_of(&a);
    struct feed_options o = {.path = w->path, .plan = s.plan};
    fclose(w->f);
    enum serin_status rc = tape_read(&tape, &o, NULL, max, &f);
    cr_assert(eq(int, rc, want), "%s", f.text);
    cr_assert_null(tape);
    cr_assert_not_null(strstr(f.text, says), "%s", f.text);
    cr_assert_not_null(strstr(f.text, w->path), "%s", f.text);
    unlink(w->path);
    arena_free(&a);
}

Test(tape, says_what_a_recording_has_instead)
{
    struct file w;
    file_open(&w);
    refused(&w, 0, SERIN_EDOM, "empty");
    file_open(&w);
    line(&w, 0, "shop", "canary", "faults", 5, 1);
    refused(&w, 0, SERIN_EDOM, "metrics faults");
    file_open(&w);
    line(&w, 0, "shop", "canary", "errors", 5, 1);
    line(&w, 1, "cart", "canary", "errors", 5, 1);
    refused(&w, 0, SERIN_EDOM, "--rollout");
    file_open(&w);
    fputs("no metrics at all\n", w.f);
    refused(&w, 0, SERIN_EPARSE, "");
    file_open(&w);
    for (int i = 0; i < 100; i++)
        line(&w, i, "web", "canary", "errors", 5, 1);
    refused(&w, 1000, SERIN_ELIMIT, "cut the recording");
}
