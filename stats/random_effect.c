/* stats/random_effect.c -- [RE] alternatives against a mixture that spreads over the
 * null */
#include "stats/random_effect.h"

#include <math.h>

#include "stats/elem.h"
#include "stats/lse.h"

double random_effect_tau(double sigma_pod, double pods_c, double pods_b)
{
    return sigma_pod * sqrt(1 / pods_c + 1 / pods_b);
}

enum serin_status random_effect_log_e(const struct profile *p, const struct grid *g,
                                      double tau, double *log_e)
{
    double log_nu[GRID_MAX];
    size_t from = g->ja + 1;
    if (!(tau >= RANDOM_EFFECT_TAU_MIN && tau <= RANDOM_EFFECT_TAU_MAX))
        return SERIN_EDOM;
    for (size_t j = 0; j < g->n; j++) {
        double z = (g->theta[j] - g->theta[g->ja]) / tau;
        log_nu[j] = elem_log(g->width[j]) - z * z / 2;
    }
    double null = lse_dot(log_nu, p->l, g->n) - lse_sum(log_nu, g->n);
    *log_e = lse_dot(g->log_pi + from, p->l + from, g->n - from) - null;
    return SERIN_OK;
}

double random_effect_ceiling(unsigned pods, unsigned pods_c)
{
    double sum = 0;
    for (unsigned i = 0; i < pods_c; i++)
        sum += elem_log((double)(pods - i) / (double)(i + 1));
    return sum;
}
