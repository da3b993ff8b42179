/* stats/profile.h -- evidence about an odds ratio from pairs of counts, window by
 * window
 *
 * Given the past and the margins (n, m, K) of a window, the canary's bad events X
 * follow Fisher's noncentral hypergeometric law with odds ratio w = e^theta. The
 * profile keeps the log likelihood ratio l(theta) to "no difference" at every grid
 * point; the three statistics are mixtures of it, each an e-process under its null
 * whatever the traffic, the base rate or the split do. */
#ifndef SERIN_STATS_PROFILE_H
#define SERIN_STATS_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "stats/grid.h"
#include "stats/horizon.h"

/* One stratum of one closed window. */
struct count_table {
    uint64_t n, x; /* canary: units, bad units; x <= n */
    uint64_t m, y; /* baseline: units, bad units; y <= m */
};
#define COUNT_MAX (UINT64_C(1) << 40) /* of n and m each */

/* As above for events without a denominator (crashes): x of K = x + y by exposure. */
struct event_table {
    double exposure_c, exposure_b; /* pod seconds, sessions, …; finite, >= 0 */
    uint64_t x, y;                 /* events; 0 where the exposure is 0 */
};

/*
 * Value type: embed, copy; only profile_*() write it. To keep it, save t, used, starts,
 * l[0..n) and lw[0..n) of its grid (lw only with starts; it may hold -inf); the rest is
 * 0. Restoring these fields and going on gives the same bits.
 */
struct profile {
    uint64_t t;           /* closed windows folded, informative or not */
    uint64_t informative; /* of these, with evidence in at least one stratum */
    double used;          /* sum of gamma over t */
    bool starts;          /* keeps W: needed by profile_log_abort only */
    double l[GRID_MAX];   /* log likelihood ratio to theta = 0 */
    double lw[GRID_MAX];  /* log W: mixture over start times, relative to theta_a */
};

/** Start with no evidence. starts: also keep the change-point mixture (abort). */
void profile_init(struct profile *p, bool starts);

/** The table carries evidence: both cohorts, some but not all units bad. */
bool profile_informative(const struct count_table *c);

/**
 * Fold one closed window; call it once for every window, with n = 0 for an empty one.
 * strata  independent tables of this window, added up here, in any order
 * eta     tempering 1/phi, 0 < eta <= 1, fixed before the run
 * h       used with p->starts only
 * Errors  SERIN_EDOM (x > n, y > m, above COUNT_MAX, eta, non-finite result); *p
 * unchanged Thread  any, one writer per *p; no allocation, no clock Ref     [FNCH],
 * [CP] in stats/README.md
 */
SERIN_MUST_USE
enum serin_status profile_window(struct profile *p, const struct grid *g,
                                 const struct horizon *h,
                                 const struct count_table *strata, size_t n,
                                 double eta);
/** As profile_window for event counts. Ref: [POI]. */
SERIN_MUST_USE
enum serin_status profile_events(struct profile *p, const struct grid *g,
                                 const struct horizon *h,
                                 const struct event_table *strata, size_t n,
                                 double eta);

/** One table's log likelihood ratio of theta to 0; 0 without evidence. Ref: [POI]. */
double profile_event_increment(const struct event_table *e, double theta);

/** log E against "w_t <= w_a in every window", alternatives from the first window on.
 */
double profile_log_plain(const struct profile *p, const struct grid *g);
/** The same null, start of the harm unknown: the abort statistic. Needs p->starts. */
double profile_log_abort(const struct profile *p, const struct grid *g);
/** log E against "w_t >= w_s in every window", step s < g->n_s: the promote statistic.
 */
double profile_log_promote(const struct profile *p, const struct grid *g, size_t s);

/** log E against "w_t <= w_i in every window", 0 <= i < g->n - 1. Ref: [CS]. */
double profile_log_above(const struct profile *p, const struct grid *g, size_t i);
/** log E against "w_t >= w_i in every window", 0 < i < g->n. Ref: [CS]. */
double profile_log_below(const struct profile *p, const struct grid *g, size_t i);

/**
 * Anytime limits of log w: lower at level alpha, upper at level beta; grid points, or
 * -inf and +inf. O(n^2): for reports. Ref: [CS].
 */
void profile_limits(const struct profile *p, const struct grid *g, double alpha,
                    double beta, double *lower, double *upper);
/** log w of highest likelihood, between grid points; NaN without evidence. */
double profile_estimate(const struct profile *p, const struct grid *g);

#endif
