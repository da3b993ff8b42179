/* stats/srm.c -- [SRM] mixtures of binomial likelihood ratios at the interval's edges
 */
#include "stats/srm.h"

#include <math.h>
#include <stdbool.h>

#include "stats/elem.h"
#include "stats/lse.h"
#include "stats/profile.h"

static const double srm_delta_first = 0.01; /* delta_j = 0.01 * 2^(j/2) */
static const double stirling_from = 32;     /* smallest argument of the series */

enum serin_status srm_init(struct srm *s, double eps)
{
    if (!(eps >= 0 && eps < 1)) return SERIN_EDOM;
    *s = (struct srm){.eps = eps};
    return SERIN_OK;
}

static bool share_ok(double rho, uint64_t c, uint64_t b)
{
    return rho > 0 && rho <= 1 && c <= COUNT_MAX && b <= COUNT_MAX;
}

enum serin_status srm_window(struct srm *s, double rho, uint64_t c, uint64_t b,
                             double eta)
{
    if (!share_ok(rho, c, b) || !(eta > 0 && eta <= 1)) return SERIN_EDOM;
    struct srm next = *s;
    double n_c = (double)c, n = (double)(c + b);
    double high = fmin(1, rho * (1 + s->eps)), low = rho * (1 - s->eps);
    for (int j = 0; j < SRM_POINTS; j++) {
        double delta = srm_delta_first * exp2(j / 2.0);
        next.up[j] += eta * (n_c * delta - n * elem_log1p(high * elem_expm1(delta)));
        next.down[j] += eta * (-n_c * delta - n * elem_log1p(low * elem_expm1(-delta)));
        if (!isfinite(next.up[j]) || !isfinite(next.down[j])) return SERIN_EDOM;
    }
    *s = next;
    return SERIN_OK;
}

double srm_log_up(const struct srm *s)
{
    return lse_sum(s->up, SRM_POINTS) - elem_log(SRM_POINTS);
}

double srm_log_down(const struct srm *s)
{
    return lse_sum(s->down, SRM_POINTS) - elem_log(SRM_POINTS);
}

double srm_log_e(const struct srm *s)
{
    return lse_add(srm_log_up(s), srm_log_down(s)) - M_LN2;
}

/* log Gamma(z) less Stirling's leading terms, z > 0: small z by the recurrence. */
static double stirling_rest(double z)
{
    double product = 1, from = z;
    for (; z < stirling_from; z++)
        product *= z;
    double y = 1 / (z * z);
    double rest = (1.0 / 12 - y * (1.0 / 360 - y * (1.0 / 1260 - y / 1680))) / z;
    if (z == from) return rest;
    return rest + (z - 0.5) * elem_log(z) - z - elem_log(product) -
           ((from - 0.5) * elem_log(from) - from);
}

/* a ((1 + u) log(1 + u) - u), u = d / a: what a count off by d from a costs */
static double cost(double a, double d)
{
    double u = d / a;
    if (fabs(u) >= 0.03) return a * ((1 + u) * elem_log1p(u) - u);
    double sum = 0;
    for (int i = 12; i >= 2; i--)
        sum = 1.0 / (i * (i - 1)) - u * sum;
    return a * u * u * sum;
}

/* Bayes factor of a Beta(k rho, k (1 - rho)) share against rho. Log-gammas of 1e9
 * counts would cancel to 1e-6: their leading terms are merged into the two costs first.
 */
double srm_point_factor(double k, double rho, double c, double b)
{
    double q = 1 - rho, n = c + b, total = k + n;
    double a1 = k * rho, a2 = k * q, off = c - n * rho;
    double now = cost(total * rho, off) + cost(total * q, -off) +
                 stirling_rest(a1 + c) + stirling_rest(a2 + b) - stirling_rest(total);
    double before = stirling_rest(a1) + stirling_rest(a2) - stirling_rest(k);
    return now - before -
           0.5 * (elem_log1p(c / a1) + elem_log1p(b / a2) - elem_log1p(n / k));
}

enum serin_status srm_point_init(struct srm_point *s, double k)
{
    if (!(k > 0 && isfinite(k))) return SERIN_EDOM;
    *s = (struct srm_point){.k = k};
    return SERIN_OK;
}

enum serin_status srm_point_window(struct srm_point *s, double rho, uint64_t c,
                                   uint64_t b)
{
    if (!share_ok(rho, c, b) || rho == 1) return SERIN_EDOM;
    if (s->rho != rho) {
        if (s->rho > 0)
            s->closed += srm_point_factor(s->k, s->rho, (double)s->c, (double)s->b);
        s->rho = rho;
        s->c = s->b = 0;
    }
    s->c += c;
    s->b += b;
    return SERIN_OK;
}

double srm_point_log_e(const struct srm_point *s)
{
    double open =
        s->rho > 0 ? srm_point_factor(s->k, s->rho, (double)s->c, (double)s->b) : 0;
    return s->closed + open;
}
