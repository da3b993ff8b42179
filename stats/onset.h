/* stats/onset.h -- when did it begin? Page's CUSUM at every point of a grid
 *
 * S_j = max(0, S_j + d_j) with d_j one window's log likelihood ratio of point j to the
 * bound of the null. The maximum-likelihood change point of point j is the window in
 * which S_j last left 0; the estimate is that of the point with the largest S_j. It is
 * an estimate for people: no decision rests on it. Ref: [ONSET] in stats/README.md */
#ifndef SERIN_STATS_ONSET_H
#define SERIN_STATS_ONSET_H

#include <stdint.h>

#include "stats/grid.h"

/* Value type; start with onset_init; to keep it, save s and since of the points in use
 * (single precision: thousands of nats to 1e-4). */
struct onset {
    float s[GRID_MAX];
    uint32_t since[GRID_MAX]; /* meaningless where s is 0 */
};

void onset_init(struct onset *o);
/**
 * Fold one window, told by what it did to the running sums l of log likelihood ratios.
 * before, after  l around the window, n points, finite
 * d_null         what it did to the bound of the null
 * at             names the window in whatever the caller counts (its start in seconds)
 * O(n), no allocation.
 */
void onset_window(struct onset *o, const double *before, const double *after, size_t n,
                  double d_null, uint32_t at);
/**
 * The change point among the points from..n-1 into *at.
 * Returns the largest S_j, the log likelihood ratio of "since then" to "never"; 0 (and
 * *at unchanged) when no point is above 0.
 */
double onset_estimate(const struct onset *o, size_t from, size_t n, uint32_t *at);

#endif
