/* stats/srm.c -- [SRM] mixtures of binomial likelihood ratios at the interval's edges
 */
#include "stats/srm.h"

#include <math.h>
#include <stdbool.h>

#include "stats/elem.h"
#include "stats/lse.h"
#include "stats/profile.h"

static const double srm_delta_first = 0.01;  /* delta_j = 0.01 * 2^(j/2) */
static const double srm_concentration = 100; /* of the Beta prior of the point null */

enum serin_status srm_init(struct srm *s, double eps)
{
    if (!(eps >= 0 && eps < 1)) return SERIN_EDOM;
    *s = (struct srm){.eps = eps};
    return SERIN_OK;
}

static bool share_ok(double rho, uint64_t c, uint64_t b)
{
    return rho > 0 && rho < 1 && c <= COUNT_MAX && b <= COUNT_MAX;
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

static double log_beta(double a, double b)
{
    int sign;
    return lgamma_r(a, &sign) + lgamma_r(b, &sign) - lgamma_r(a + b, &sign);
}

/* Bayes factor of a Beta(k rho, k (1 - rho)) share against rho. */
static double factor(double rho, double c, double b)
{
    double a1 = srm_concentration * rho, a2 = srm_concentration * (1 - rho);
    return log_beta(a1 + c, a2 + b) - log_beta(a1, a2) - c * elem_log(rho) -
           b * elem_log1p(-rho);
}

enum serin_status srm_point_window(struct srm_point *s, double rho, uint64_t c,
                                   uint64_t b)
{
    if (!share_ok(rho, c, b)) return SERIN_EDOM;
    if (s->rho != rho) {
        if (s->rho > 0) s->closed += factor(s->rho, (double)s->c, (double)s->b);
        s->rho = rho;
        s->c = s->b = 0;
    }
    s->c += c;
    s->b += b;
    return SERIN_OK;
}

double srm_point_log_e(const struct srm_point *s)
{
    double open = s->rho > 0 ? factor(s->rho, (double)s->c, (double)s->b) : 0;
    return s->closed + open;
}
