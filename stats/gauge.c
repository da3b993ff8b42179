/* stats/gauge.c -- [GAU] asymptotic confidence sequence of a mean difference */
#include "stats/gauge.h"

#include <math.h>

#include "stats/elem.h"

static const double log_root_2pi = 0.91893853320467274178;

enum serin_status gauge_add(struct gauge *g, double difference)
{
    struct gauge next = {.t = g->t + 1};
    double off = difference - g->mean;
    next.mean = g->mean + off / (double)next.t;
    next.m2 = g->m2 + off * (difference - next.mean);
    if (!isfinite(next.mean) || !isfinite(next.m2)) return SERIN_EDOM;
    *g = next;
    return SERIN_OK;
}

double gauge_variance(const struct gauge *g)
{
    return g->t < 2 ? 0 : g->m2 / (double)(g->t - 1);
}

enum gauge_state gauge_state(const struct gauge *g)
{
    if (g->t < GAUGE_MIN_BATCHES) return GAUGE_FEW;
    return gauge_variance(g) > 0 ? GAUGE_READY : GAUGE_FLAT;
}

double gauge_rho2(double a, double t_opt)
{
    double log_a = elem_log(a);
    return (-2 * log_a + elem_log(1 - 2 * log_a)) / t_opt;
}

/* log of the upper normal tail, x >= 2: Laplace's continued fraction from its end. */
static double log_tail(double x)
{
    double fraction = x;
    for (int k = 120; k > 0; k--)
        fraction = x + k / fraction;
    return -x * x / 2 - log_root_2pi - elem_log(fraction);
}

/* log Phi(x) without the C library's erfc, whose last bit depends on the processor. */
static double log_phi(double x)
{
    if (x < -2) return log_tail(-x);
    if (x > 2) return elem_log1p(-elem_exp(log_tail(x)));
    double term = x, sum = x;
    for (int k = 3; k < 80; k += 2) {
        term *= x * x / k;
        sum += term;
    }
    return elem_log(0.5 + elem_exp(-x * x / 2 - log_root_2pi) * sum);
}

double gauge_mixture(double s, double t, double v, double rho2)
{
    double z = t * rho2 + 1, scale = sqrt(rho2) / sqrt(v * z);
    return M_LN2 - elem_log(z) / 2 + s * s * rho2 / (2 * v * z) + log_phi(s * scale);
}

double gauge_log_abort(const struct gauge *g, double tolerance, double rho2)
{
    if (gauge_state(g) != GAUGE_READY) return 0;
    double t = (double)g->t;
    return gauge_mixture(t * (g->mean - tolerance), t, gauge_variance(g), rho2);
}

double gauge_log_promote(const struct gauge *g, double tolerance, double rho2)
{
    if (gauge_state(g) != GAUGE_READY) return 0;
    double t = (double)g->t;
    return gauge_mixture(-t * (g->mean - tolerance), t, gauge_variance(g), rho2);
}

double gauge_half_width(const struct gauge *g, double rho2, double a)
{
    if (gauge_state(g) != GAUGE_READY) return HUGE_VAL;
    double t = (double)g->t, z = t * rho2 + 1;
    return sqrt(gauge_variance(g)) *
           sqrt(2 * z / (t * t * rho2) * elem_log(sqrt(z) / a));
}
