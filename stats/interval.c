/* stats/interval.c -- by bisection of the binomial tails, which are monotone in p */
#include "stats/interval.h"

#include <gsl/gsl_cdf.h>
#include <stdbool.h>

enum { HALVINGS = 60 };

/* The p at which P(X >= k) (upper tail) or P(X <= k) is `tail`. */
static double solve(unsigned k, unsigned n, bool upper, double tail)
{
    double low = 0, high = 1;
    for (int i = 0; i < HALVINGS; i++) {
        double p = (low + high) / 2;
        bool more = upper ? gsl_cdf_binomial_Q(k - 1, p, n) > tail
                          : gsl_cdf_binomial_P(k, p, n) < tail;
        *(more ? &high : &low) = p;
    }
    return (low + high) / 2;
}

enum serin_status interval_binomial(uint64_t k, uint64_t n, double level, double *lower,
                                    double *upper)
{
    double tail = (1 - level) / 2;
    if (k > n || n > (UINT64_C(1) << 31) || !(level > 0 && level < 1))
        return SERIN_EDOM;
    *lower = k > 0 ? solve((unsigned)k, (unsigned)n, true, tail) : 0;
    *upper = k < n ? solve((unsigned)k, (unsigned)n, false, tail) : 1;
    return SERIN_OK;
}
