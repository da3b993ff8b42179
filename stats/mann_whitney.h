/* stats/mann_whitney.h -- evidence that the canary's latencies are larger, from ranks
 */
#ifndef SERIN_STATS_MANN_WHITNEY_H
#define SERIN_STATS_MANN_WHITNEY_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "stats/hist.h"
#include "stats/horizon.h"
#include "stats/profile.h"

enum { MANN_WHITNEY_POINTS = 40 };

/*
 * Null: in every window the canary's latency is stochastically at most the baseline's.
 * Value type; only mann_whitney_*() write it. To keep it, save t, used, l and lw; to
 * restore, mann_whitney_init and put these back.
 */
struct mann_whitney {
    uint64_t t;  /* windows folded */
    double used; /* sum of gamma over t */
    double log_prior[MANN_WHITNEY_POINTS];
    double l[MANN_WHITNEY_POINTS];
    double lw[MANN_WHITNEY_POINTS];
};

/* What one window says. t = 2 U - n m, U = pairs with the canary slower, ties one half.
 */
struct mann_whitney_ranks {
    double t;
    uint64_t n, m; /* canary, baseline */
};

/** theta of a point: 0.05 (0.05) 0.95, 1 (0.25) 6. */
double mann_whitney_theta(int j);
/** log normaliser less theta n m / (2 N); 0 when a cohort is empty. 0 < theta <= 6.
 * O(1). */
double mann_whitney_omega(double theta, uint64_t n, uint64_t m);

void mann_whitney_init(struct mann_whitney *w);
/**
 * Rank sum of two histograms of any scales, in 128-bit integers.
 * shift   canary bucket i counts as i - shift, at the smaller of the two scales:
 *         hist_shift(scale, tolerance) rounded up
 * Errors  SERIN_EDOM (a scale, a total over COUNT_MAX), *out unchanged.  Ref: [MW]
 */
SERIN_MUST_USE
enum serin_status mann_whitney_ranks(const struct hist_view *canary,
                                     const struct hist_view *baseline, int32_t shift,
                                     struct mann_whitney_ranks *out);
/** Fold one closed window. Errors: SERIN_EDOM (eta, not finite), *w unchanged. */
SERIN_MUST_USE
enum serin_status mann_whitney_window(struct mann_whitney *w, const struct horizon *h,
                                      const struct mann_whitney_ranks *r, double eta);
/**
 * The same for n strata of one window, each ranked on its own; in a fixed order (sums
 * of doubles). n = 0: an empty window.
 */
SERIN_MUST_USE
enum serin_status mann_whitney_strata(struct mann_whitney *w, const struct horizon *h,
                                      const struct mann_whitney_ranks *strata, size_t n,
                                      double eta);
/** log E, slower from the first window on. */
double mann_whitney_log_plain(const struct mann_whitney *w);
/** The same null, start unknown. */
double mann_whitney_log_abort(const struct mann_whitney *w);

#endif
