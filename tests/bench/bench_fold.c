/* tests/bench/bench_fold.c -- CPU time of the fold for each second of the stream, and
 * of one closed window of a metric with all that a window updates; one JSON object
 *
 *   bench_fold [--rollouts N] [--quick]
 *
 * N live rollouts (1 000) of five metrics, 10 000 requests a second each, one record a
 * metric and second, then a tick: decoding, windows, decisions, rows every 2 s,
 * snapshots every 10 s. No broker: the bytes of the effects are thrown away. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/core/evidence.h"
#include "engine/core/fold.h"
#include "engine/core/kind.h"
#include "tests/support/inbox.h"

enum { METRICS = 5, T0 = 1700000000, REQUESTS = 10000, BINS = 160 };

static const char head[] = "id: r\ncohorts: {canary: {v: c}, baseline: {v: b}}\n"
                           "window: 1s\ncalibrate: skip\n"
                           "steps:\n"
                           "  - {weight: 10%, worse_than: 2, bake: 1h, timeout: 2h}\n"
                           "  - {weight: 100%}\n"
                           "metrics:\n";
static const char *const names[METRICS] = {"errors", "carts", "logins", "mails",
                                           "time"};

struct hists {
    uint64_t counts[2][BINS];
    struct hist_view v[2];
};

static void die(const char *what, const struct fault *f)
{
    fprintf(stderr, "bench_fold: %s: %s\n", what, f != NULL ? f->text : "");
    exit(1);
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* Requests of a second by bucket: a hump over three powers of two. */
static void fill(struct hists *h)
{
    for (int c = 0; c < 2; c++) {
        uint64_t left = c == 0 ? REQUESTS / 10 : REQUESTS * 9 / 10;
        for (uint64_t k = BINS; k-- > 0;) {
            uint64_t height = left * (k < BINS / 2 ? 4 : 2) / (k + 2);
            h->counts[c][k] = k == 0 ? left : height < left ? height : left;
            left -= h->counts[c][k];
        }
        h->v[c] = (struct hist_view){
            .scale = HIST_SCALE, .offset = 120, .n = BINS, .counts = h->counts[c]};
    }
}

static const char *plan_of(const char *id, unsigned latencies, char out[1024])
{
    int n = snprintf(out, 1024, "id: %s\n%s", id, head + strlen("id: r\n"));
    for (unsigned i = 0; i < METRICS; i++)
        n += snprintf(out + n, 1024 - (size_t)n, "  - {name: %s, kind: %s, phi: 1}\n",
                      names[i], i + latencies >= METRICS ? "latency" : "ratio");
    return out;
}

/* ---- the fold */
static void second(struct inbox *b, unsigned rollouts, unsigned latencies, int64_t at_s,
                   const struct hists *h)
{
    for (unsigned r = 0; r < rollouts; r++) {
        char id[32];
        snprintf(id, sizeof id, "r-%u", r);
        for (unsigned i = 0; i < METRICS; i++) {
            struct inbox_second s = {.rollout = id, .metric = names[i]};
            s.at_ms = at_s * 1000;
            s.n = REQUESTS / 10, s.m = REQUESTS * 9 / 10;
            s.x = 2 + (r + (uint64_t)at_s) % 2, s.y = 18 + (uint64_t)at_s % 5;
            if (i + latencies >= METRICS)
                inbox_latency(b, s, &h->v[0], &h->v[1]);
            else
                inbox_second(b, s);
        }
    }
    inbox_tick(b, (at_s + 1) * 1000, (at_s + 1) * 1000 - 2000);
}

static void apply(struct inbox *b, unsigned rollouts, unsigned latencies)
{
    char text[1024], id[32];
    inbox_tick(b, T0 * 1000LL, T0 * 1000LL - 2000);
    for (unsigned r = 0; r < rollouts; r++) {
        snprintf(id, sizeof id, "r-%u", r);
        inbox_apply(b, id, plan_of(id, latencies, text));
    }
}

/* CPU ms for what waits in the inbox; it is empty then. */
static double fold_all(struct fold *f, struct inbox *b, struct effects *fx)
{
    double begin = cpu_ms();
    for (size_t i = 0; i < b->n; i++) {
        effects_reset(fx);
        if (fold_apply(f, b->records[i].offset, b->records[i].value.p,
                       b->records[i].value.n, fx) != SERIN_OK)
            die("fold", NULL);
    }
    double took = cpu_ms() - begin;
    arena_reset(&b->arena);
    b->n = 0;
    return took;
}

static void folds(const char *name, unsigned rollouts, unsigned latencies, int seconds,
                  const struct hists *h)
{
    enum { BEFORE = 20 }; /* started, thresholds are there */
    struct fold_options o = {0};
    struct fold *f;
    struct effects fx = {0};
    struct inbox b = {0};
    double sum = 0, most = 0;
    if (fold_open(&f, &o) != SERIN_OK) die("fold", NULL);
    apply(&b, rollouts, latencies);
    for (int s = 0; s < BEFORE + seconds; s++) {
        second(&b, rollouts, latencies, T0 + s, h);
        double ms = fold_all(f, &b, &fx);
        if (s < BEFORE) continue;
        sum += ms;
        if (ms > most) most = ms;
    }
    struct fold_counts c = fold_counts(f);
    printf("\"%s\":{\"rollouts\":%llu,\"metrics\":%d,\"windows\":%llu,"
           "\"ms_a_second\":%.1f,\"worst_ms\":%.1f},",
           name, (unsigned long long)c.live, METRICS, (unsigned long long)c.windows,
           sum / seconds, most);
    effects_free(&fx);
    inbox_free(&b);
    fold_close(f);
}

/* ---- one window of a metric */
static double window_us(struct evidence_set *e, size_t metric, struct kind_window *w,
                        int times)
{
    double best = 1e300;
    for (int round = 0; round < 15; round++) {
        double begin = cpu_ms();
        for (int i = 0; i < times; i++) {
            w->start_ms += 1000;
            w->end_ms = w->start_ms + 1000;
            if (evidence_window(e, metric, w) != SERIN_OK) die("window", NULL);
        }
        double us = 1e3 * (cpu_ms() - begin) / times;
        if (us < best) best = us;
    }
    return best;
}

static void windows(const struct hists *h)
{
    struct arena a = {.max = 1 << 20};
    struct doc_errors errors = {0};
    struct plan *p;
    struct evidence_set e;
    struct fault f = {0};
    char text[1024];
    plan_of("r", 1, text);
    if (plan_parse(&a, text, strlen(text), &p, &errors) != SERIN_OK) die("plan", NULL);
    if (evidence_open(&e, p, &f) != SERIN_OK) die("evidence", &f);
    evidence_horizon(&e, 1000);
    const struct count_table c = {.n = 1000, .x = 20, .m = 19000, .y = 380};
    const struct latency_stratum l = {h->v[0], h->v[1]};
    struct kind_window ratio = {.tables = &c, .n = 1, .sum = c, .spread = c};
    struct kind_window latency = {.hists = &l, .n = 1};
    latency.sum.n = REQUESTS / 10, latency.sum.m = REQUESTS * 9 / 10;
    latency.start_ms = ratio.start_ms = T0 * 1000LL;
    double ratio_us = window_us(&e, 0, &ratio, 400);
    double latency_us = window_us(&e, METRICS - 1, &latency, 40);
    printf("\"ratio_window_us\":%.2f,\"latency_window_us\":%.1f,"
           "\"latency_target_us\":60}\n",
           ratio_us, latency_us);
    evidence_close(&e);
    arena_free(&a);
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"rollouts", required_argument, NULL, 'r'},
                                          {"quick", no_argument, NULL, 'q'},
                                          {0}};
    static struct hists h;
    long rollouts = 1000;
    int seconds = 40;
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        if (c == 'q') seconds = 20;
        if (c == 'r') rollouts = strtol(optarg, NULL, 10);
        if (c == '?') return 2;
    }
    if (rollouts < 1 || rollouts > 100000) return 2;
    fill(&h);
    printf("{\"bench\":\"fold\",\"target_ms_a_second\":100,");
    folds("ratios", (unsigned)rollouts, 0, seconds, &h);
    folds("four_ratios_one_latency", (unsigned)rollouts, 1, seconds, &h);
    windows(&h);
    return 0;
}
