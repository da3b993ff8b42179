/* tests/bench/bench_replay.c -- how fast a recorded inbox is folded again, and in how
 * much memory; one JSON object
 *
 *   bench_replay [--seconds N] [--rollouts N] [--quick]
 *
 * A stream of N seconds (120), as an engine writes it: 100 rollouts of five ratio
 * metrics in four partitions; five flushes a second, each a record a rollout with a
 * cell, that is a window partial, for each metric and cohort; ticks. It is replayed
 * twice, on one thread. "unjudged": the rollouts wait for their schedule, so a partial
 * costs reading (zstd, checksum), decoding and the fold's windows, and no statistics.
 * "judged": they are in their first step all the time. Then ten times as long, for the
 * memory. Rates are of CPU time. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "engine/replay/record/recording.h"
#include "engine/replay/replay.h"
#include "tests/support/inbox.h"

enum { METRICS = 5, PARTS = 4, FLUSHES = 5, REQUESTS = 2000 };
static const int64_t t0_ms = INT64_C(1700000000000);
static const char *const names[METRICS] = {"errors", "carts", "logins", "mails",
                                           "pays"};

static void die(const char *what, const struct fault *f)
{
    fprintf(stderr, "bench_replay: %s: %s\n", what, f != NULL ? f->text : "");
    exit(1);
}

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const char *plan_of(const char *id, bool judged, char out[1024])
{
    int n = snprintf(out, 1024,
                     "id: %s\ncohorts: {canary: {v: c}, baseline: {v: b}}\nwindow: 1s\n"
                     "calibrate: skip\n%ssteps:\n"
                     "  - {weight: 10%%, worse_than: 2, bake: 8h, timeout: 9h}\n"
                     "  - {weight: 100%%}\nmetrics:\n",
                     id, judged ? "" : "schedule: {not_before: 2090-01-01T00:00Z}\n");
    for (unsigned i = 0; i < METRICS; i++)
        n += snprintf(out + n, 1024 - (size_t)n,
                      "  - {name: %s, kind: ratio, phi: 1}\n", names[i]);
    return out;
}

/* One record: each metric's cell of both cohorts. */
static void flush(struct inbox *b, char *id, int64_t window_ms, unsigned salt)
{
    pb_cell cells[2 * METRICS], *list[2 * METRICS];
    pb_partial p = SERIN__V1__PARTIAL__INIT;
    pb_inbox in = SERIN__V1__INBOX__INIT;
    char empty[] = "";
    for (unsigned i = 0; i < 2 * METRICS; i++) {
        serin__v1__cell__init(list[i] = &cells[i]);
        bool canary = i % 2 == 0;
        cells[i].cohort = canary ? SERIN__V1__COHORT__COHORT_CANARY
                                 : SERIN__V1__COHORT__COHORT_BASELINE;
        cells[i].metric = (char *)(uintptr_t)names[i / 2];
        cells[i].stratum = empty;
        cells[i].window_ms = window_ms;
        cells[i].n = canary ? REQUESTS / 10 : REQUESTS * 9 / 10;
        cells[i].bad = canary ? (salt + i) % 2 : 3 + (salt + i) % 3;
    }
    p.rollout = id;
    p.n_cells = 2 * METRICS;
    p.cells = list;
    in.schema = SERIN_SCHEMA;
    in.body_case = SERIN__V1__INBOX__BODY_PARTIAL;
    in.partial = &p;
    inbox_add(b, &in);
}

static void second(struct inbox *b, unsigned part, unsigned rollouts, int64_t at_ms)
{
    char id[32];
    for (unsigned k = 0; k < FLUSHES; k++)
        for (unsigned r = part; r < rollouts; r += PARTS) {
            snprintf(id, sizeof id, "rollout-%u", r);
            flush(b, id, at_ms, r + k + (unsigned)(at_ms / 1000));
        }
    inbox_tick(b, at_ms + 1000, at_ms - 1000);
}

static void put(struct recording_writer *w, struct inbox *b, int32_t part, int64_t ms)
{
    struct fault f = {0};
    for (size_t i = 0; i < b->n; i++) {
        struct recording_record r = {.partition = part,
                                     .offset = b->records[i].offset,
                                     .timestamp_ms = ms,
                                     .value = b->records[i].value.p,
                                     .value_len = b->records[i].value.n};
        if (recording_add(w, &r, &f) != SERIN_OK) die("write", &f);
    }
    arena_reset(&b->arena);
    b->n = 0;
}

static void make(const char *path, unsigned rollouts, int seconds, bool judged)
{
    struct fault f = {0};
    struct recording_writer *w;
    struct inbox b[PARTS] = {{.n = 0}};
    char text[1024], id[32];
    if (recording_create(&w, path,
                         "{\"schema\":\"serin.recording/1\",\"topics\":[\"serin."
                         "inbox\"],\"partitions\":4}",
                         &f) != SERIN_OK)
        die("create", &f);
    for (unsigned p = 0; p < PARTS; p++)
        inbox_tick(&b[p], t0_ms, t0_ms - 2000);
    for (unsigned r = 0; r < rollouts; r++) {
        snprintf(id, sizeof id, "rollout-%u", r);
        inbox_apply(&b[r % PARTS], id, plan_of(id, judged, text));
    }
    for (int s = 0; s < seconds; s++)
        for (unsigned p = 0; p < PARTS; p++) {
            second(&b[p], p, rollouts, t0_ms + s * INT64_C(1000));
            put(w, &b[p], (int32_t)p, t0_ms + s * INT64_C(1000));
        }
    if (recording_finish(w, &f) != SERIN_OK) die("finish", &f);
    for (unsigned p = 0; p < PARTS; p++)
        inbox_free(&b[p]);
}

static enum serin_status ignore(void *ctx, const struct replay_verdict *v)
{
    (void)ctx, (void)v;
    return SERIN_OK;
}

static double rss_mib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

static void run(const char *path, const char *name, int seconds)
{
    struct fault f = {0};
    struct recording_reader *r;
    struct replay_counts n;
    struct replay_options o = {
        .fold = {.row_every_ms = REPLAY_NEVER_MS, .snapshot_every_ms = REPLAY_NEVER_MS},
        .threads = 1,
        .partitions = PARTS,
        .verdict = ignore};
    if (recording_open(&r, path, &f) != SERIN_OK) die("open", &f);
    double begin = cpu_s();
    if (replay_run(r, &o, &n, &f) != SERIN_OK) die("replay", &f);
    double took = cpu_s() - begin;
    recording_close(r);
    double cells = (double)n.partials * 2 * METRICS;
    printf("\"%s\":{\"seconds\":%d,\"records\":%llu,\"window_partials\":%.0f,"
           "\"windows_closed\":%llu,\"verdicts\":%llu,\"cpu_s\":%.3f,"
           "\"window_partials_a_second\":%.0f,\"records_a_second\":%.0f,"
           "\"times_real_time\":%.0f,\"rss_mib\":%.1f}",
           name, seconds, (unsigned long long)n.records, cells,
           (unsigned long long)n.windows, (unsigned long long)n.verdicts, took,
           cells / took, (double)n.partials / took, seconds / took, rss_mib());
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"rollouts", required_argument, NULL, 'r'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"quick", no_argument, NULL, 'q'},
                                          {0}};
    long rollouts = 100, seconds = 120;
    char path[] = "/tmp/serin-bench-replay-XXXXXX";
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        if (c == 'q') seconds = 40;
        if (c == 'r') rollouts = strtol(optarg, NULL, 10);
        if (c == 's') seconds = strtol(optarg, NULL, 10);
        if (c == '?') return 2;
    }
    if (rollouts < PARTS || rollouts > 100000 || seconds < 1 || seconds > 3000)
        return 2;
    int fd = mkstemp(path);
    if (fd < 0) die("temporary file", NULL);
    close(fd);
    printf("{\"bench\":\"replay\",\"rollouts\":%ld,\"metrics\":%d,", rollouts, METRICS);
    make(path, (unsigned)rollouts, (int)seconds, false);
    run(path, "unjudged", (int)seconds);
    make(path, (unsigned)rollouts, (int)seconds, true);
    printf(",");
    run(path, "judged", (int)seconds);
    make(path, (unsigned)rollouts, (int)seconds * 10, true);
    printf(",");
    run(path, "judged_ten_times_as_long", (int)seconds * 10);
    puts("}");
    unlink(path);
    return 0;
}
