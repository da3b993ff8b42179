/* stats/fnch.c -- which route to the normaliser, and the slow one that checks the
 * others */
#include "stats/fnch.h"

#include <math.h>

#include "stats/elem.h"
#include "stats/fnch_sum.h"

static const double reference_tail = 1e-18;

static double mode(const struct fnch_table *t, double w)
{
    struct fnch_group q = {.w = {w, w, w, w}};
    fnch_sum_anchor(t, &q);
    return q.mode[0];
}

static void groups(const struct fnch_table *t, double center, double *value)
{
    const struct cheb_nodes *nodes = cheb_nodes();
    struct fnch_ratios ratios;
    ratios.count = 0;
    for (int i = 0; i < CHEB_NODES; i += 4) {
        struct fnch_group q;
        for (int lane = 0; lane < 4; lane++) {
            q.theta[lane] = nodes->theta[i + lane];
            q.w[lane] = nodes->w[i + lane];
        }
        fnch_sum_anchor(t, &q);
        if (fnch_sum_widest(&q) <= FNCH_SHARED_SD)
            fnch_sum_shared(t, &q, &ratios, center, value + i);
        else /* neighbouring nodes: the narrowest has sd >= 36 / 1.5 */
            fnch_sum_strided(t, &q, center, value + i);
    }
}

double fnch_profile(const struct grid *g, uint64_t n, uint64_t m, uint64_t k,
                    double *out)
{
    struct fnch_table t = fnch_sum_table(n, m, k);
    double value[CHEB_NODES], uniform[GRID_UNIFORM], center = mode(&t, 1);
    if (t.lo == t.hi) { /* one possible outcome: no evidence */
        for (size_t j = 0; j < g->n; j++)
            out[j] = 0;
        return center;
    }
    groups(&t, center, value);
    cheb_uniform(value, uniform);
    for (size_t j = 0; j < g->n; j++) {
        double sum = 0;
        if (g->uniform[j] >= 0) {
            out[j] = uniform[g->uniform[j]] - uniform[40];
            continue;
        }
        const double *row = g->row[-1 - g->uniform[j]];
        for (int i = 0; i < CHEB_NODES; i++)
            sum += row[i] * value[i];
        out[j] = sum - uniform[40];
    }
    return center;
}

static double sum_from(const struct fnch_table *t, double anchor, double w)
{
    double sum = 1, term = 1;
    for (double x = anchor; x < t->hi && term >= reference_tail * sum; x++) {
        term *= w * fnch_sum_ratio(t, x);
        sum += term;
    }
    term = 1;
    for (double x = anchor - 1; x >= t->lo && term >= reference_tail * sum; x--) {
        term /= w * fnch_sum_ratio(t, x);
        sum += term;
    }
    return sum;
}

/* log c(b)/c(a) as the product of all factors, the exponent taken out every eighth. */
static double climb_slowly(const struct fnch_table *t, double a, double b)
{
    double product = 1;
    int64_t twos = 0;
    int run = 0, exponent;
    for (double x = fmin(a, b); x < fmax(a, b); x++) {
        product *= fnch_sum_ratio(t, x);
        if (++run % 8 != 0) continue;
        product = frexp(product, &exponent);
        twos += exponent;
    }
    double sum = elem_log(product) + (double)twos * M_LN2;
    return a <= b ? sum : -sum;
}

static double log_sum(const struct fnch_table *t, double center, double theta,
                      enum fnch_route route)
{
    double w = elem_exp(theta), out[4];
    struct fnch_group q = {.theta = {theta, theta, theta, theta}, .w = {w, w, w, w}};
    struct fnch_ratios ratios;
    fnch_sum_anchor(t, &q);
    ratios.count = 0;
    switch (route) {
    case FNCH_SHARED:
        fnch_sum_shared(t, &q, &ratios, center, out);
        return out[0];
    case FNCH_STRIDED:
        fnch_sum_strided(t, &q, center, out);
        return out[0];
    case FNCH_REFERENCE:
    default:
        break;
    }
    return theta * (q.mode[0] - center) + climb_slowly(t, center, q.mode[0]) +
           elem_log(sum_from(t, q.mode[0], w));
}

double fnch_at(double theta, uint64_t n, uint64_t m, uint64_t k, enum fnch_route route)
{
    struct fnch_table t = fnch_sum_table(n, m, k);
    double center = mode(&t, 1);
    if (t.lo == t.hi || theta == 0) return 0;
    return log_sum(&t, center, theta, route) - log_sum(&t, center, 0, route);
}

double fnch_profile_slowly(const struct grid *g, uint64_t n, uint64_t m, uint64_t k,
                           double *out)
{
    struct fnch_table t = fnch_sum_table(n, m, k);
    double center = mode(&t, 1), zero = log_sum(&t, center, 0, FNCH_REFERENCE);
    for (size_t j = 0; j < g->n; j++)
        out[j] = log_sum(&t, center, g->theta[j], FNCH_REFERENCE) - zero;
    return center;
}

double fnch_sd(double theta, uint64_t n, uint64_t m, uint64_t k)
{
    struct fnch_table t = fnch_sum_table(n, m, k);
    double w = elem_exp(theta);
    struct fnch_group q = {.w = {w, w, w, w}};
    fnch_sum_anchor(&t, &q);
    return q.sd[0];
}

static double log_choose(double n, double x)
{
    int sign;
    return lgamma_r(n + 1, &sign) - lgamma_r(x + 1, &sign) - lgamma_r(n - x + 1, &sign);
}

struct fnch_law fnch_law(double theta, uint64_t n, uint64_t m, uint64_t k)
{
    struct fnch_table t = fnch_sum_table(n, m, k);
    double w = elem_exp(theta), anchor = mode(&t, w);
    double sum = 1, first = 0, second = 0, term = 1;
    for (double x = anchor; x < t.hi && term >= reference_tail * sum;) {
        term *= w * fnch_sum_ratio(&t, x++);
        sum += term;
        first += term * (x - anchor);
        second += term * (x - anchor) * (x - anchor);
    }
    term = 1;
    for (double x = anchor; x > t.lo && term >= reference_tail * sum;) {
        term /= w * fnch_sum_ratio(&t, --x);
        sum += term;
        first += term * (x - anchor);
        second += term * (x - anchor) * (x - anchor);
    }
    double off = first / sum;
    double log_c = log_choose(t.n, anchor) + log_choose(t.m, t.k - anchor);
    return (struct fnch_law){.log_p = log_c + theta * anchor + elem_log(sum),
                             .mean = anchor + off,
                             .var = second / sum - off * off};
}
