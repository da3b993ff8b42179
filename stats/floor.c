/* stats/floor.c -- binomial likelihood ratios at logit d + delta; by Jensen they are
 * valid for unequal unit probabilities whose mean is at most d. */
#include "stats/floor.h"

#include <math.h>

#include "stats/grid.h"
#include "stats/elem.h"
#include "stats/lse.h"

static const double floor_step = 0.1;
static const double floor_used_up = 1e-14; /* start weight left below this is none */

static double delta(size_t k)
{
    return floor_step * (double)(k + 1);
}

enum serin_status floor_init(struct floor *f, double d)
{
    if (!(d > 0 && d < 1)) return SERIN_EDOM;
    *f = (struct floor){.d = d};
    for (size_t k = 0; k < FLOOR_POINTS; k++) {
        f->cost[k] = elem_log1p(d * elem_expm1(delta(k)));
        f->lw[k] = -HUGE_VAL;
    }
    return SERIN_OK;
}

enum serin_status floor_window(struct floor *f, const struct horizon *h,
                               const struct count_table *strata, size_t n, double eta)
{
    double inc[FLOOR_POINTS];
    uint64_t units = 0, bad = 0;
    if (!(eta > 0 && eta <= 1)) return SERIN_EDOM;
    for (size_t i = 0; i < n; i++) {
        if (strata[i].x > strata[i].n || strata[i].n > COUNT_MAX) return SERIN_EDOM;
        units += strata[i].n;
        bad += strata[i].x;
    }
    for (size_t k = 0; k < FLOOR_POINTS; k++) {
        inc[k] = eta * ((double)bad * delta(k) - (double)units * f->cost[k]);
        if (!isfinite(f->l[k] + inc[k])) return SERIN_EDOM;
    }
    double gamma = horizon_gamma(h, f->t),
           log_gamma = elem_log(gamma); /* -inf for none */
    f->used += gamma;
    f->t++;
    for (size_t k = 0; k < FLOOR_POINTS; k++) {
        f->l[k] += inc[k];
        f->lw[k] = lse_add(f->lw[k], log_gamma) + inc[k];
    }
    return SERIN_OK;
}

/* The abort prior without cell widths. */
static double mix(const double *l)
{
    double prior[FLOOR_POINTS];
    for (size_t k = 0; k < FLOOR_POINTS; k++)
        prior[k] = elem_log(grid_abort_bump(delta(k)));
    return lse_dot(prior, l, FLOOR_POINTS) - lse_sum(prior, FLOOR_POINTS);
}

double floor_log_plain(const struct floor *f)
{
    return mix(f->l);
}

double floor_log_abort(const struct floor *f)
{
    double begun = mix(f->lw), rest = 1 - f->used;
    return rest < floor_used_up ? begun : lse_add(begun, elem_log(rest));
}
