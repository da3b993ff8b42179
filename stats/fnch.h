/* stats/fnch.h -- the normaliser of Fisher's noncentral hypergeometric law
 *
 * P(theta) = sum_x C(n,x) C(m,K-x) e^{theta x}, x in [max(0,K-m), min(n,K)]. Only
 * ratios P(theta)/P(0) are ever formed: log-factorials would cancel nine digits. */
#ifndef SERIN_STATS_FNCH_H
#define SERIN_STATS_FNCH_H

#include <stddef.h>
#include <stdint.h>

#include "stats/grid.h"

/**
 * Centred log normaliser at every grid point:
 * out[j] = log(P(theta_j)/P(0)) - center * theta_j, exactly 0 at theta = 0, j < g->n.
 * Returns center, a whole number near the mode at theta = 0, so that
 * x * theta - log P = (x - center) * theta - out without cancellation.
 * n, m <= COUNT_MAX; k <= n + m.   Thread: any; no allocation.
 */
double fnch_profile(const struct grid *g, uint64_t n, uint64_t m, uint64_t k,
                    double *out);

#endif
