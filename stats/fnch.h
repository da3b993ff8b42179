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
 * n, m <= COUNT_MAX; k <= n + m. Error <= 1e-12 max(1, |log P(theta)/P(0)|).
 * Thread: any; no allocation; 70 KiB of stack.   Ref: [FNCH], [CHEB] in stats/README.md
 */
double fnch_profile(const struct grid *g, uint64_t n, uint64_t m, uint64_t k,
                    double *out);

/* The ways to the same number; a window takes one by its standard deviations. */
enum fnch_route { FNCH_REFERENCE, FNCH_SHARED, FNCH_STRIDED };
/** Largest sd (over theta in [-2, 4.6]) that a route is meant for, smallest for
 * strided. */
#define FNCH_SHARED_SD 36.0
#define FNCH_STRIDED_SD 24.0

/**
 * log(P(theta)/P(0)) - center * theta at one theta in [-2, 4.6] by a given route,
 * center as fnch_profile gives it: for comparing the routes.
 */
double fnch_at(double theta, uint64_t n, uint64_t m, uint64_t k, enum fnch_route route);
/** As fnch_profile, each point by itself on the reference route: for comparing. */
double fnch_profile_slowly(const struct grid *g, uint64_t n, uint64_t m, uint64_t k,
                           double *out);
/** Standard deviation of the law at theta, within .2 % above 16: which routes apply. */
double fnch_sd(double theta, uint64_t n, uint64_t m, uint64_t k);

/* The law at one odds ratio, by direct summation: slow, for reports and tests. log_p
 * goes through log-factorials and loses digits with the counts. */
struct fnch_law {
    double log_p, mean, var;
};
struct fnch_law fnch_law(double theta, uint64_t n, uint64_t m, uint64_t k);

#endif
