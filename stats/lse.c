/* stats/lse.c -- the maximum is taken out first, so nothing overflows */
#include "stats/lse.h"

#include "stats/elem.h"
#include "stats/vec.h"

double lse_add(double a, double b)
{
    double hi = a > b ? a : b, lo = a > b ? b : a;
    if (isinf(lo)) return hi;
    return hi + elem_log1p(elem_exp(lo - hi));
}

/* The last, partial vector is filled up with "no mass". */
VEC_INLINE vec load_some(const double *p, size_t n)
{
    vec v = vec_of(-HUGE_VAL);
    if (n >= VEC) return vec_load(p);
    for (size_t j = 0; j < n; j++)
        v[j] = p[j];
    return v;
}

VEC_INLINE vec load_sum(const double *a, const double *b, size_t n)
{
    vec v = load_some(a, n);
    return b == NULL ? v : v + load_some(b, n);
}

VEC_CLONES static double log_sum(const double *a, const double *b, size_t n)
{
    vec top = vec_of(-HUGE_VAL), sum = vec_of(0);
    for (size_t j = 0; j < n; j += VEC)
        top = vec_max(top, load_sum(a + j, b == NULL ? b : b + j, n - j));
    double peak = vec_top(top);
    if (isinf(peak)) return peak;
    for (size_t j = 0; j < n; j += VEC)
        sum += vec_exp(load_sum(a + j, b == NULL ? b : b + j, n - j) - peak);
    return peak + elem_log(vec_sum(sum));
}

double lse_sum(const double *a, size_t n)
{
    return log_sum(a, NULL, n);
}

double lse_dot(const double *a, const double *b, size_t n)
{
    return log_sum(a, b, n);
}
