/* tests/statistical/stats/stat_latency.c -- latency metrics and pods, fixed seeds
 *
 * Requests take 100 ms times a lognormal of sigma .5; windows are drawn bucket by
 * bucket. */
#include "stats/exceedance.h"
#include "stats/gauge.h"
#include "stats/mann_whitney.h"
#include "stats/random_effect.h"
#include "tests/statistical/stats/sim.h"

enum { WINDOWS = 720, HORIZON = 2160 };
/* 13 ms .. 1.7 s. Drawing costs a binomial a bucket: long runs use the coarse law. */
enum { BUCKETS = 224, FIRST = 120, FINE = 5 };
enum { COARSE_BUCKETS = 56, COARSE_FIRST = 30, COARSE = 3 };

struct shape {
    double median, sigma;
    double slow; /* share of the requests that take 500 ms more */
};

static double below(const struct shape *s, double ms)
{
    double fast = gsl_cdf_lognormal_P(ms, log(s->median), s->sigma);
    double late =
        ms > 500 ? gsl_cdf_lognormal_P(ms - 500, log(s->median), s->sigma) : 0;
    return (1 - s->slow) * fast + s->slow * late;
}

/* Share of each bucket; the last one takes the rest. */
static void law(const struct shape *s, int scale, int first, int buckets, double *p)
{
    double last = 0;
    for (int b = 0; b < buckets; b++) {
        double now = b + 1 < buckets ? below(s, hist_edge(scale, first + b)) : 1;
        p[b] = now - last;
        last = now;
    }
}

static struct hist_view draw(gsl_rng *g, unsigned n, const double *p, size_t buckets,
                             uint64_t counts[BUCKETS])
{
    unsigned drawn[BUCKETS];
    bool fine = buckets == BUCKETS;
    gsl_ran_multinomial(g, buckets, n, p, drawn);
    for (size_t b = 0; b < buckets; b++)
        counts[b] = drawn[b];
    return (struct hist_view){.scale = fine ? FINE : COARSE,
                              .offset = fine ? FIRST : COARSE_FIRST,
                              .n = buckets,
                              .counts = counts};
}

/* Drift of the median by +-40 % a day (seven steps) while traffic ramps 1-5-25-50 %. */
struct drift {
    double p[8][COARSE_BUCKETS];
};

static void drift_make(struct drift *d)
{
    for (int i = 0; i < 8; i++) {
        struct shape s = {100 * (1 + 0.4 * sin(i * 2 * M_PI / 8)), 0.5, 0};
        law(&s, COARSE, COARSE_FIRST, COARSE_BUCKETS, d->p[i]);
    }
}

Test(latency_stat, ranks_under_drift_and_ramp)
{
    static struct drift d;
    const double share[] = {0.01, 0.05, 0.25, 0.50};
    struct sim_limit limit = sim_limit();
    unsigned hits = 0;
    struct horizon h;
    gsl_rng *g = check_rng(401);
    drift_make(&d);
    cr_assert(eq(int, horizon_init(&h, HORIZON), SERIN_OK));
    for (int i = 0; i < limit.reps; i++) {
        struct mann_whitney w;
        bool hit = false;
        mann_whitney_init(&w);
        for (int t = 0; t < WINDOWS && !hit; t++) {
            uint64_t x[BUCKETS], y[BUCKETS];
            unsigned n = (unsigned)(1000 * share[t / 180]);
            const double *p = d.p[t / 15 % 8];
            struct mann_whitney_ranks r;
            struct hist_view of_x = draw(g, n, p, COARSE_BUCKETS, x);
            struct hist_view of_y = draw(g, 1000 - n, p, COARSE_BUCKETS, y);
            cr_assert(eq(int, mann_whitney_ranks(&of_x, &of_y, 0, &r), SERIN_OK));
            cr_assert(eq(int, mann_whitney_window(&w, &h, &r, 1), SERIN_OK));
            hit = level_crossed(mann_whitney_log_abort(&w), 0.05);
        }
        hits += hit;
    }
    gsl_rng_free(g);
    check_cell("%u of %d", hits, limit.reps);
    cr_assert(le(uint, hits, limit.at_05));
}

/* ---------------------------------------------------------------- the whole metric */

struct metric {
    struct mann_whitney ranks;
    struct exceedance past;
    struct profile level[EXCEEDANCE_LEVELS];
};

static double metric_window(struct metric *m, const struct sim *s,
                            const struct hist_view *x, const struct hist_view *y)
{
    struct count_table table[EXCEEDANCE_LEVELS];
    struct mann_whitney_ranks r;
    double log_e[EXCEEDANCE_LEVELS];
    cr_assert(eq(int, mann_whitney_ranks(x, y, 0, &r), SERIN_OK));
    cr_assert(eq(int, mann_whitney_window(&m->ranks, &s->h, &r, 1), SERIN_OK));
    cr_assert(ne(int, exceedance_window(&m->past, x, y, 0, table, NULL), SERIN_EDOM));
    for (int q = 0; q < EXCEEDANCE_LEVELS; q++) {
        cr_assert(eq(int, profile_window(&m->level[q], &s->g, &s->h, &table[q], 1, 1),
                     SERIN_OK));
        log_e[q] = profile_log_abort(&m->level[q], &s->g);
    }
    return exceedance_combo(mann_whitney_log_abort(&m->ranks), log_e);
}

static unsigned combo_hits(struct shape canary, double share, double level, int windows,
                           int reps, unsigned long seed)
{
    static struct metric m;
    const struct shape healthy = {100, 0.5, 0};
    struct sim s = sim_make(SIM_ABORT, 1, 0, level, windows, HORIZON);
    double p[BUCKETS], q[BUCKETS];
    unsigned hits = 0, n = (unsigned)(20000 * share);
    gsl_rng *g = check_rng(seed);
    law(&canary, FINE, FIRST, BUCKETS, p);
    law(&healthy, FINE, FIRST, BUCKETS, q);
    for (int i = 0; i < reps; i++) {
        bool hit = false;
        mann_whitney_init(&m.ranks);
        exceedance_init(&m.past);
        for (int k = 0; k < EXCEEDANCE_LEVELS; k++)
            profile_init(&m.level[k], true);
        for (int t = 0; t < windows && !hit; t++) {
            uint64_t x[BUCKETS], y[BUCKETS];
            struct hist_view of_x = draw(g, n, p, BUCKETS, x),
                             of_y = draw(g, 20000 - n, q, BUCKETS, y);
            hit = level_crossed(metric_window(&m, &s, &of_x, &of_y), level);
        }
        hits += hit;
    }
    gsl_rng_free(g);
    check_cell("median %.0f, slow %.2f: %u of %d", canary.median, canary.slow, hits,
               reps);
    return hits;
}

Test(latency_stat, same_release_same_latency)
{
    int reps = sim_long() ? 2000 : 400;
    unsigned most = sim_long() ? 149 : 43;
    cr_assert(le(uint,
                 combo_hits((struct shape){100, 0.5, 0}, 0.05, 0.05, 120, reps, 411),
                 most));
}

Test(latency_stat, three_percent_slower_is_found)
{
    cr_assert(ge(
        uint, combo_hits((struct shape){103, 0.5, 0}, 0.05, 0.01, 60, 400, 412), 356));
}

Test(latency_stat, a_slow_percent_at_one_percent_is_found)
{
    cr_assert(ge(uint,
                 combo_hits((struct shape){100, 0.5, 0.01}, 0.01, 0.01, 40, 400, 413),
                 356));
}

/* ---------------------------------------------------------------- few pods */

static unsigned pod_hits(double tau, bool random_effect, int reps, unsigned long seed)
{
    struct sim s = sim_make(SIM_PLAIN, 1.2, 0, 0.05, WINDOWS, HORIZON);
    unsigned hits = 0;
    gsl_rng *g = check_rng(seed);
    for (int i = 0; i < reps; i++) {
        struct profile p;
        struct truth v = {20000, 0.05, 0.001, 1.2 * exp(gsl_ran_gaussian(g, tau))};
        bool hit = false;
        profile_init(&p, false);
        for (int t = 0; t < s.windows && !hit; t++) {
            struct count_table c = sim_window(g, &v);
            cr_assert(eq(int, profile_window(&p, &s.g, &s.h, &c, 1, 1), SERIN_OK));
            double log_e = profile_log_plain(&p, &s.g);
            if (random_effect)
                cr_assert(
                    eq(int, random_effect_log_e(&p, &s.g, tau, &log_e), SERIN_OK));
            hit = level_crossed(log_e, s.level);
        }
        hits += hit;
    }
    gsl_rng_free(g);
    check_cell("tau %.2f: %u of %d", tau, hits, reps);
    return hits;
}

Test(random_effect_stat, pods_drawn_once_keep_the_level)
{
    struct sim_limit limit = sim_limit();
    cr_assert(le(uint, pod_hits(0.2, true, limit.reps, 421), limit.at_05));
}

Test(random_effect_stat, without_it_pods_alarm)
{
    cr_assert(ge(uint, pod_hits(0.2, false, 400, 422), 80));
}

/* ---------------------------------------------------------------- gauges */

/* An AR(1) gauge with lag correlation .9 on each side, averaged over batches. */
static unsigned gauge_hits(int batch, double shift, double level, int batches, int reps,
                           unsigned long seed)
{
    unsigned hits = 0;
    double rho2 = gauge_rho2(level, 100), noise = sqrt(1 - 0.9 * 0.9);
    gsl_rng *g = check_rng(seed);
    for (int i = 0; i < reps; i++) {
        struct gauge v = {0};
        bool hit = false;
        double now = gsl_ran_ugaussian(g);
        for (int t = 0; t < batches && !hit; t++) {
            double sum = 0;
            for (int k = 0; k < batch; k++) {
                now = 0.9 * now + noise * gsl_ran_ugaussian(g);
                sum += now;
            }
            cr_assert(eq(int, gauge_add(&v, sum / batch + shift), SERIN_OK));
            hit = level_crossed(gauge_log_abort(&v, 0, rho2), level);
        }
        hits += hit;
    }
    gsl_rng_free(g);
    check_cell("batches of %d, shift %.2f: %u of %d", batch, shift, hits, reps);
    return hits;
}

/* Ten correlation times a batch. With five the rate is .075 at .05 and .024 at .01: the
 * interval is asymptotic, and neighbouring batches still depend on each other. */
Test(gauge_stat, long_batches_keep_the_level)
{
    struct sim_limit limit = sim_limit();
    cr_assert(le(uint, gauge_hits(100, 0, 0.05, 200, limit.reps, 431), limit.at_05));
}

Test(gauge_stat, a_shift_is_found)
{
    cr_assert(ge(uint, gauge_hits(50, 0.5, 0.01, 200, 400, 432), 356));
}

Test(gauge_stat, batches_shorter_than_the_correlation_alarm)
{
    cr_assert(ge(uint, gauge_hits(1, 0, 0.05, 2000, 400, 433), 120));
}
