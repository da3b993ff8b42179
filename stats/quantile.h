/* stats/quantile.h -- anytime limits of a quantile, and of the ratio of two cohorts'
 *
 * At a bucket edge the count of values at or below it is binomial with F(edge). A beta
 * mixture over its share tests "F(edge) = p" at every time at once, from the counts so
 * far alone; the quantile lies beyond every edge that is rejected. One edge decides
 * each side (counts rise with the edge), so all edges together cost no more than two.
 *
 * Assumptions: values are independent draws (or tempered by eta = 1/phi) of one law,
 * constant over the counted range. For reports: no decision rests on it.
 * Ref: [QUANT] in stats/README.md */
#ifndef SERIN_STATS_QUANTILE_H
#define SERIN_STATS_QUANTILE_H

#include "engine/base/status.h"
#include "stats/hist.h"

/* Bucket edges, in the histogram's unit: lower < quantile <= upper. */
struct quantile_limits {
    double at;    /* upper edge of the bucket that holds it; 0 when nothing was seen */
    double lower; /* 0: none yet */
    double upper; /* +inf: none yet */
};

/**
 * log E of "the share of values at or below an edge is p".
 * below, n  values at or below it, and all; 0 <= below <= n.   0 < p < 1, 0 < eta <= 1
 */
double quantile_log_e(double below, double n, double p, double eta);
/**
 * The p-quantile and its time-uniform limits: both hold at all times together with
 * probability >= 1 - level. 0 < p < 1, 0 < level < 1, 0 < eta <= 1; v of at most
 * HIST_ROOM buckets. SERIN_EDOM otherwise, *out unchanged. O(buckets).
 */
SERIN_MUST_USE
enum serin_status quantile_limits(const struct hist_view *v, double p, double level,
                                  double eta, struct quantile_limits *out);
/**
 * The ratio canary : baseline of two quantiles from their limits. With both at half a
 * level, these limits and both cohorts' hold together at the level. at = 0 when either
 * is 0.
 */
struct quantile_limits quantile_shift(const struct quantile_limits *canary,
                                      const struct quantile_limits *baseline);

#endif
