/* tests/statistical/stats/sim.h -- simulated windows, and limits on how often a level
 * of evidence may be crossed */
#ifndef SERIN_TESTS_STATISTICAL_STATS_SIM_H
#define SERIN_TESTS_STATISTICAL_STATS_SIM_H

#include <stdbool.h>

#include "stats/level.h"
#include "stats/profile.h"
#include "tests/support/check.h"

/* What is true in one window. */
struct truth {
    double units; /* both cohorts together */
    double share; /* of the canary */
    double p;     /* baseline's bad rate */
    double w;     /* odds ratio */
};
typedef struct truth (*scenario)(int t);

static inline bool sim_long(void)
{
    const char *v = getenv("SERIN_LONG");
    return v != NULL && v[0] == '1';
}

/* Replicates, and the most hits that a program with a true rate exactly at the level
 * may show: it fails with probability 1e-6 at most (binomial). */
struct sim_limit {
    int reps;
    unsigned at_05, at_01, at_001;
};
static inline struct sim_limit sim_limit(void)
{
    return sim_long() ? (struct sim_limit){10000, 607, 151, 28}
                      : (struct sim_limit){2000, 149, 44, 12};
}

static inline struct count_table sim_window(gsl_rng *g, const struct truth *v)
{
    double odds = v->w * v->p / (1 - v->p);
    struct count_table c = {.n = (uint64_t)(v->units * v->share),
                            .m = (uint64_t)(v->units * (1 - v->share))};
    c.x = gsl_ran_binomial(g, odds / (1 + odds), (unsigned)c.n);
    c.y = gsl_ran_binomial(g, v->p, (unsigned)c.m);
    return c;
}

enum sim_statistic { SIM_ABORT, SIM_PLAIN, SIM_PROMOTE };
struct sim {
    struct grid g;
    struct horizon h;
    enum sim_statistic statistic;
    double level;
    int windows;
};

static inline struct sim sim_make(enum sim_statistic statistic, double w_a, double w_s,
                                  double level, int windows, int horizon)
{
    struct sim s = {.statistic = statistic, .level = level, .windows = windows};
    cr_assert(eq(int, grid_init(&s.g, w_a, &w_s, w_s > 0), SERIN_OK));
    cr_assert(eq(int, horizon_init(&s.h, (uint64_t)horizon), SERIN_OK));
    return s;
}

static inline double sim_evidence(const struct sim *s, const struct profile *p)
{
    if (s->statistic == SIM_PROMOTE) return profile_log_promote(p, &s->g, 0);
    return s->statistic == SIM_PLAIN ? profile_log_plain(p, &s->g)
                                     : profile_log_abort(p, &s->g);
}

/* Windows until the level is crossed; s->windows + 1 when it never is. */
static inline int sim_run(const struct sim *s, scenario of, gsl_rng *g)
{
    struct profile p;
    profile_init(&p, s->statistic == SIM_ABORT);
    for (int t = 0; t < s->windows; t++) {
        struct truth v = of(t);
        struct count_table c = sim_window(g, &v);
        cr_assert(eq(int, profile_window(&p, &s->g, &s->h, &c, 1, 1), SERIN_OK));
        if (level_crossed(sim_evidence(s, &p), s->level)) return t + 1;
    }
    return s->windows + 1;
}

/* How many of reps runs cross; the mean number of windows of those into *mean. */
static inline unsigned sim_hits(const struct sim *s, scenario of, int reps,
                                unsigned long seed, double *mean)
{
    unsigned hits = 0;
    double total = 0;
    gsl_rng *g = check_rng(seed);
    for (int i = 0; i < reps; i++) {
        int at = sim_run(s, of, g);
        if (at > s->windows) continue;
        hits++;
        total += at;
    }
    gsl_rng_free(g);
    if (mean != NULL) *mean = total / hits;
    check_cell("%u of %d runs cross, after %.1f windows in the mean", hits, reps,
               total / hits);
    return hits;
}

static inline int sim_by_size(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

#endif
