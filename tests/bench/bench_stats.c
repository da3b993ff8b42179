/* tests/bench/bench_stats.c -- time per window update of one ratio metric, beside the
 * slow reference route to the same normaliser in the same run; one JSON object */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "stats/exceedance.h"
#include "stats/floor.h"
#include "stats/fnch.h"
#include "stats/mann_whitney.h"
#include "stats/profile.h"

enum { ROUNDS = 15 };
static const double quick_us = 2000; /* of one round */

static const struct {
    uint64_t n, m, k;
    double target_us;
} tables[] = {
    {200, 19800, 20, 5},           {1000, 19000, 400, 5},
    {1000, 19000, 10000, 25},      {10000, 10000, 10000, 25},
    {100000, 100000, 100000, 100}, {1000000000, 1000000000, 1000000000, 100},
};
enum { TABLES = sizeof tables / sizeof *tables };

static struct {
    struct grid g;
    struct horizon h;
    struct profile p;
    struct floor f;
    struct count_table c;
    struct hist canary, baseline; /* latencies of one window */
    struct mann_whitney ranks;
    struct exceedance past;
    struct profile levels[EXCEEDANCE_LEVELS];
    double sink;
} at;

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static void fold(void)
{
    at.sink += profile_window(&at.p, &at.g, &at.h, &at.c, 1, 1);
}

static void judge(void)
{
    at.sink += profile_log_abort(&at.p, &at.g);
    for (size_t s = 0; s < at.g.n_s; s++)
        at.sink += profile_log_promote(&at.p, &at.g, s);
}

static void limits(void)
{
    double lower, upper;
    profile_limits(&at.p, &at.g, 0.01, 0.05, &lower, &upper);
    at.sink += isinf(lower) + isinf(upper);
}

static void absolute(void)
{
    at.sink += floor_window(&at.f, &at.h, &at.c, 1, 1) + floor_log_abort(&at.f);
}

static void normaliser(void)
{
    double out[GRID_MAX];
    at.sink += fnch_profile(&at.g, at.c.n, at.c.m, at.c.x + at.c.y, out) + out[0];
}

static void reference(void)
{
    double out[GRID_MAX];
    at.sink +=
        fnch_profile_slowly(&at.g, at.c.n, at.c.m, at.c.x + at.c.y, out) + out[0];
}

static void ranks(void)
{
    struct hist_view x = hist_view(&at.canary), y = hist_view(&at.baseline);
    struct mann_whitney_ranks r = {0};
    at.sink += mann_whitney_ranks(&x, &y, 2, &r);
    at.sink += mann_whitney_window(&at.ranks, &at.h, &r, 1);
    at.sink += mann_whitney_log_abort(&at.ranks);
}

/* All that a latency metric costs in a window. */
static void latency(void)
{
    struct hist_view x = hist_view(&at.canary), y = hist_view(&at.baseline);
    struct count_table plain[EXCEEDANCE_LEVELS];
    double log_e[EXCEEDANCE_LEVELS];
    ranks();
    at.sink += exceedance_window(&at.past, &x, &y, 0, plain, NULL);
    for (int q = 0; q < EXCEEDANCE_LEVELS; q++) {
        at.sink += profile_window(&at.levels[q], &at.g, &at.h, &plain[q], 1, 1);
        log_e[q] = profile_log_abort(&at.levels[q], &at.g);
    }
    at.sink += exceedance_combo(mann_whitney_log_abort(&at.ranks), log_e);
}

/* 500 and 9 500 requests, log-logistic around 100 ms. */
static bool fill(void)
{
    if (hist_init(&at.canary, HIST_SCALE) != SERIN_OK) return false;
    if (hist_init(&at.baseline, HIST_SCALE) != SERIN_OK) return false;
    for (int i = 0; i < 10000; i++) {
        double u = (i + 0.5) / 10000, value = 100 * pow(u / (1 - u), 0.3);
        struct hist *h = i % 20 == 0 ? &at.canary : &at.baseline;
        if (hist_add(h, value, 1) != SERIN_OK) return false;
    }
    mann_whitney_init(&at.ranks);
    exceedance_init(&at.past);
    for (int q = 0; q < EXCEEDANCE_LEVELS; q++)
        profile_init(&at.levels[q], true);
    return true;
}

/* Best of several rounds: other processes only ever add time. */
static double best_us(void (*f)(void), int rounds)
{
    double start = now_us(), best;
    f();
    best = now_us() - start;
    int times = best < quick_us ? 1 + (int)(quick_us / best) : 1;
    for (int r = 0; r < rounds; r++) {
        start = now_us();
        for (int i = 0; i < times; i++)
            f();
        best = fmin(best, (now_us() - start) / times);
    }
    return best;
}

/* log of P(x | odds ratio 2.5) / P(x | 1), for those who compute it elsewhere. */
static double ratio_at_step(void)
{
    double out[GRID_MAX];
    size_t j = at.g.js[1];
    double center = fnch_profile(&at.g, at.c.n, at.c.m, at.c.x + at.c.y, out);
    return ((double)at.c.x - center) * at.g.theta[j] - out[j];
}

static void table(size_t i)
{
    double share = (double)tables[i].n / (double)(tables[i].n + tables[i].m);
    at.c = (struct count_table){.n = tables[i].n, .m = tables[i].m};
    at.c.x = (uint64_t)(share * (double)tables[i].k);
    at.c.y = tables[i].k - at.c.x;
    profile_init(&at.p, true);
    double window = best_us(fold, ROUNDS), fast = best_us(normaliser, ROUNDS);
    char slow[32] = "null"; /* the reference walks every count: minutes at 1e9 */
    if (tables[i].n <= 1000000)
        snprintf(slow, sizeof slow, "%.1f", best_us(reference, 3));
    printf("%s{\"n\":%llu,\"m\":%llu,\"k\":%llu,\"window_us\":%.2f,\"target_us\":%.0f,"
           "\"normaliser_us\":%.2f,\"reference_us\":%s,\"x\":%llu,"
           "\"log_ratio\":%.15g}",
           i == 0 ? "" : ",", (unsigned long long)tables[i].n,
           (unsigned long long)tables[i].m, (unsigned long long)tables[i].k, window,
           tables[i].target_us, fast, slow, (unsigned long long)at.c.x,
           ratio_at_step());
}

int main(void)
{
    const double w_s[] = {4, 2.5, 2, 1.5};
    if (grid_init(&at.g, 1.2, w_s, 4) != SERIN_OK ||
        horizon_init(&at.h, 2160) != SERIN_OK ||
        floor_init(&at.f, 0.0005) != SERIN_OK || !fill()) {
        fprintf(stderr, "bench_stats: the default settings were refused\n");
        return 1;
    }
    printf("{\"bench\":\"stats\",\"points\":%zu,\"windows\":[", at.g.n);
    for (size_t i = 0; i < TABLES; i++)
        table(i);
    at.c = (struct count_table){.n = 1000, .x = 9, .m = 19000, .y = 90};
    profile_init(&at.p, true);
    for (int t = 0; t < 20; t++)
        fold();
    printf("],\"judge_us\":%.2f,\"limits_us\":%.1f,\"floor_us\":%.2f,\"profile_bytes\":"
           "%zu,"
           "\"grid_bytes\":%zu,",
           best_us(judge, ROUNDS), best_us(limits, ROUNDS), best_us(absolute, ROUNDS),
           sizeof at.p, sizeof at.g);
    printf("\"ranks_us\":%.2f,\"latency_us\":%.1f,\"latency_target_us\":60}\n",
           best_us(ranks, ROUNDS), best_us(latency, ROUNDS));
    return isnan(at.sink);
}
