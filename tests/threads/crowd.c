/* tests/threads/crowd.c -- rehearsals on several threads: the same as on one, and
 * nothing shared between the folds; and a crowd that is stopped */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/replay/tune/crowd.h"
#include "engine/replay/tune/selftest.h"
#include "engine/replay/tune/stand.h"

static const char text[] =
    "id: web\n"
    "cohorts: {canary: {version: '2'}, baseline: {version: '1'}}\n"
    "window: 1s\n"
    "calibrate: skip\n"
    "steps: [{weight: 10%, worse_than: 3, bake: 10s, warmup: 0s},\n"
    "        {weight: 100%, watch: 5s}]\n"
    "metrics: [{name: errors, kind: ratio, phi: 1, abort_over: 1},\n"
    "          {name: latency, kind: latency, phi: 1}]\n";

static void die(const char *why)
{
    fprintf(stderr, "%s\n", why);
    exit(1);
}

static void record(FILE *f)
{
    for (int s = 0; s < 40; s++) {
        fprintf(f,
                "{\"t_ms\":%lld,\"rollout\":\"web\",\"cohort\":\"baseline\",\"metric\":"
                "\"errors\",\"n\":500,\"bad\":%d}\n",
                1760000000000LL + 1000LL * s, 10 + 7 * s % 13);
        fprintf(f,
                "{\"t_ms\":%lld,\"rollout\":\"web\",\"cohort\":\"baseline\",\"metric\":"
                "\"latency\",\"values\":[12,15,18,22,30,47,%d]}\n",
                1760000000000LL + 1000LL * s, 60 + s);
    }
}

static void test_all(const struct tape *tape, const struct feed_options *from,
                     unsigned threads, unsigned aborted[2])
{
    struct arena a = {0};
    struct selftest s;
    struct fault f;
    const struct tape *const tapes[] = {tape};
    struct selftest_options o = {.sources = from,
                                 .on = {.text = text,
                                        .plan = from->plan,
                                        .tapes = tapes,
                                        .n = 1,
                                        .runs = 40,
                                        .seed = 7,
                                        .threads = threads}};
    if (selftest_run(&a, &o, &s, &f) != SERIN_OK) die(f.text);
    for (size_t i = 0; i < 2; i++)
        aborted[i] = s.cases[i].rate.aborted;
    arena_free(&a);
}

static enum serin_status count(void *ctx, size_t i, struct fault *f)
{
    atomic_uint *n = ctx;
    (void)i, (void)f;
    usleep(1000);
    atomic_fetch_add(n, 1);
    return SERIN_OK;
}

static bool at_once(void *ctx, size_t done)
{
    (void)ctx, (void)done;
    return true;
}

static enum serin_status fail(void *ctx, size_t i, struct fault *f)
{
    (void)ctx;
    if (i % 10 != 3) return SERIN_OK;
    return fault_set(f, SERIN_EDOM, "task %zu", i);
}

static void crowds(void)
{
    atomic_uint n = 0;
    struct fault f = {0};
    struct crowd c = {.n = 500, .threads = 4, .task = count, .ctx = &n};
    if (crowd_run(&c, &f) != SERIN_OK || n != 500) die("a task is missing");
    c = (struct crowd){
        .n = 100000, .threads = 4, .task = count, .stop = at_once, .ctx = &n};
    if (crowd_run(&c, &f) != SERIN_AGAIN || n >= 100000) die("it did not stop");
    c = (struct crowd){.n = 100, .threads = 4, .task = fail};
    if (crowd_run(&c, &f) != SERIN_EDOM || strcmp(f.text, "task 3") != 0)
        die("the first failure is not the one that is told");
}

int main(void)
{
    char path[] = "/tmp/crowd-XXXXXX";
    unsigned one[2], four[2];
    struct arena a = {0};
    struct stand s;
    struct fault f;
    struct tape *tape;
    int fd = mkstemp(path);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file == NULL) die("no file");
    record(file);
    fclose(file);
    if (stand(&a, text, true, &s, &f) != SERIN_OK) die(f.text);
    struct feed_options from = {.path = path, .plan = s.plan};
    if (tape_read(&tape, &from, NULL, 0, &f) != SERIN_OK) die(f.text);
    test_all(tape, &from, 1, one);
    test_all(tape, &from, 4, four);
    if (memcmp(one, four, sizeof one) != 0) die("threads change the result");
    crowds();
    tape_close(tape);
    arena_free(&a);
    unlink(path);
    return 0;
}
