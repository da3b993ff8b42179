/* stats/lse.h -- sums of exponentials in the log domain */
#ifndef SERIN_STATS_LSE_H
#define SERIN_STATS_LSE_H

#include <stddef.h>

/** log(e^a + e^b); -inf when both are. */
double lse_add(double a, double b);
/** log sum_{j<n} e^{a_j}; -inf when n = 0 or all are. */
double lse_sum(const double *a, size_t n);
/** log sum_{j<n} e^{a_j + b_j}; as above. -inf in either array is no mass. */
double lse_dot(const double *a, const double *b, size_t n);

#endif
