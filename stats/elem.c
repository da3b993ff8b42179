/* stats/elem.c -- one lane of vec.h, and the ends of the domain */
#include "stats/elem.h"

#include "stats/vec.h"

double elem_exp(double x)
{
    if (isnan(x)) return x;
    if (x > 709) return HUGE_VAL;
    return vec_exp(vec_of(x))[0];
}

double elem_log(double x)
{
    if (!(x > 0)) return x == 0 ? -HUGE_VAL : (double)NAN;
    if (isinf(x)) return x;
    if (x < 0x1p-1000) return vec_log(vec_of(x * 0x1p200))[0] - 200 * M_LN2;
    return vec_log(vec_of(x))[0];
}

double elem_log1p(double x)
{
    if (!(x > -1)) return x == -1 ? -HUGE_VAL : (double)NAN;
    if (isinf(x)) return x;
    return vec_log1p(vec_of(x))[0];
}

/* Kahan: the rounding of e^x is undone by the log of what it was rounded to. */
double elem_expm1(double x)
{
    double u = elem_exp(x);
    if (u == 1) return x;
    if (u - 1 == -1 || isinf(u)) return u - 1;
    return (u - 1) * x / elem_log(u);
}
