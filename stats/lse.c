/* stats/lse.c -- the maximum is taken out first, so nothing overflows */
#include "stats/lse.h"

#include <math.h>

double lse_add(double a, double b)
{
    double hi = a > b ? a : b, lo = a > b ? b : a;
    if (isinf(lo)) return hi;
    return hi + log1p(exp(lo - hi));
}

double lse_sum(const double *a, size_t n)
{
    double top = -HUGE_VAL, sum = 0;
    for (size_t j = 0; j < n; j++)
        if (a[j] > top) top = a[j];
    if (top == -HUGE_VAL) return top;
    for (size_t j = 0; j < n; j++)
        sum += exp(a[j] - top);
    return top + log(sum);
}

double lse_dot(const double *a, const double *b, size_t n)
{
    double top = -HUGE_VAL, sum = 0;
    for (size_t j = 0; j < n; j++)
        if (a[j] + b[j] > top) top = a[j] + b[j];
    if (top == -HUGE_VAL) return top;
    for (size_t j = 0; j < n; j++)
        sum += exp(a[j] + b[j] - top);
    return top + log(sum);
}
