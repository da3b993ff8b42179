/* stats/floor.c -- binomial likelihood ratios at logit d + delta; by Jensen they are
 * valid for unequal unit probabilities whose mean is at most d. */
#include "stats/floor.h"

#include <math.h>
#include <stdbool.h>

#include "stats/grid.h"
#include "stats/elem.h"
#include "stats/lse.h"
#include "stats/vec.h"

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
    for (size_t k = 0; k < FLOOR_ROOM; k++) {
        bool used = k < FLOOR_POINTS; /* the abort prior without cell widths */
        f->log_prior[k] = used ? elem_log(grid_abort_bump(delta(k))) : -HUGE_VAL;
        f->cost[k] = used ? elem_log1p(d * elem_expm1(delta(k))) : 0;
        f->lw[k] = -HUGE_VAL;
    }
    double total = lse_sum(f->log_prior, FLOOR_POINTS);
    for (size_t k = 0; k < FLOOR_POINTS; k++)
        f->log_prior[k] -= total;
    return SERIN_OK;
}

VEC_CLONES static void advance(struct floor *f, const double *inc, double log_gamma)
{
    for (size_t k = 0; k < FLOOR_ROOM; k += VEC) {
        vec step = vec_load(inc + k);
        vec begun = vec_logadd(vec_load(f->lw + k), vec_of(log_gamma));
        vec_store(f->lw + k, begun + step);
        vec_store(f->l + k, vec_load(f->l + k) + step);
    }
    f->lw[FLOOR_POINTS] = -HUGE_VAL;
}

enum serin_status floor_window(struct floor *f, const struct horizon *h,
                               const struct count_table *strata, size_t n, double eta)
{
    double inc[FLOOR_ROOM] = {0};
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
    double gamma = horizon_gamma(h, f->t);
    f->used += gamma;
    f->t++;
    advance(f, inc, elem_log(gamma)); /* -inf for none */
    return SERIN_OK;
}

double floor_log_plain(const struct floor *f)
{
    return lse_dot(f->log_prior, f->l, FLOOR_POINTS);
}

double floor_log_abort(const struct floor *f)
{
    double begun = lse_dot(f->log_prior, f->lw, FLOOR_POINTS), rest = 1 - f->used;
    return rest < floor_used_up ? begun : lse_add(begun, elem_log(rest));
}
