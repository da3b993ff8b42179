/* stats/fnch.c -- sums of term ratios outward from the mode, never log-factorials */
#include "stats/fnch.h"

#include <math.h>

static const double fnch_tail = 1e-18; /* a term this small ends the sum */

/* One table in doubles: uint64_t products overflow above 4e9^2. */
struct table {
    double n, m, k, lo, hi;
};

static double ratio(const struct table *t, double x)
{
    return (t->n - x) / (x + 1) * ((t->k - x) / (t->m - t->k + x + 1));
}

/* Mode of the law at odds ratio w; an anchor only, a few units off is harmless. */
static double mode(const struct table *t, double w)
{
    double a = 1 - w, b = (t->n + t->k + 2) * w + t->m - t->k,
           c = -(t->n + 1) * (t->k + 1) * w;
    double x;
    if (fabs(a) < 1e-12) {
        x = -c / b;
    } else {
        double root = sqrt(fmax(0, b * b - 4 * a * c));
        x = 2 * c / (-b - copysign(root, b));
        if (x < 0) x = (-b - copysign(root, b)) / (2 * a);
    }
    return fmin(fmax(floor(x), t->lo), t->hi);
}

static double sum_from(const struct table *t, double anchor, double w)
{
    double sum = 1;
    double term = 1;
    for (double x = anchor; x < t->hi; x++) {
        term *= w * ratio(t, x);
        sum += term;
        if (term < fnch_tail * sum) break;
    }
    term = 1;
    for (double x = anchor - 1; x >= t->lo; x--) {
        term /= w * ratio(t, x);
        sum += term;
        if (term < fnch_tail * sum) break;
    }
    return sum;
}

/* log c(b)/c(a), c(x) = C(n,x) C(m,k-x) */
static double log_climb(const struct table *t, double a, double b)
{
    double from = fmin(a, b), to = fmax(a, b), product = 1;
    int64_t twos = 0;
    int run = 0, exponent;
    for (double x = from; x < to; x++) {
        product *= ratio(t, x);
        if (++run < 8) continue;
        product = frexp(product, &exponent);
        twos += exponent;
        run = 0;
    }
    double sum = log(product) + (double)twos * M_LN2;
    return a <= b ? sum : -sum;
}

double fnch_profile(const struct grid *g, uint64_t n, uint64_t m, uint64_t k,
                    double *out)
{
    struct table t = {.n = (double)n, .m = (double)m, .k = (double)k};
    t.lo = k > m ? (double)(k - m) : 0;
    t.hi = (double)(n < k ? n : k);
    double center = mode(&t, 1), s0 = sum_from(&t, center, 1);
    for (size_t j = 0; j < g->n; j++) {
        double x = mode(&t, g->w[j]);
        out[j] = g->theta[j] * (x - center) + log_climb(&t, center, x) +
                 log(sum_from(&t, x, g->w[j]) / s0);
    }
    out[g->j0] = 0;
    return center;
}
