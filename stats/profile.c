/* stats/profile.c -- sums of log likelihood ratios, and mixtures taken outside them: a
 * mixture inside each window would be valid but would not learn. */
#include "stats/profile.h"

#include <math.h>

#include "stats/fnch.h"
#include "stats/level.h"
#include "stats/elem.h"
#include "stats/lse.h"

static const double profile_used_up = 1e-14; /* start weight left below this is none */

void profile_init(struct profile *p, bool starts)
{
    *p = (struct profile){.starts = starts};
    for (size_t j = 0; j < GRID_MAX; j++)
        p->lw[j] = -HUGE_VAL;
}

bool profile_informative(const struct count_table *c)
{
    return c->n > 0 && c->m > 0 && c->x + c->y > 0 && c->x + c->y < c->n + c->m;
}

static bool eta_ok(double eta)
{
    return eta > 0 && eta <= 1;
}

/* Fold d[j] (eta not yet applied) into *p, or leave it alone when anything is off. */
static enum serin_status fold(struct profile *p, const struct grid *g,
                              const struct horizon *h, double *d, double eta, bool any)
{
    for (size_t j = 0; j < g->n; j++) {
        d[j] *= eta;
        if (!isfinite(p->l[j] + d[j])) return SERIN_EDOM;
    }
    if (p->starts) {
        double gamma = horizon_gamma(h, p->t),
               log_gamma = elem_log(gamma); /* -inf for none */
        p->used += gamma;
        for (size_t j = 0; j < g->n; j++)
            p->lw[j] = lse_add(p->lw[j], log_gamma) + (d[j] - d[g->ja]);
    }
    for (size_t j = 0; j < g->n; j++)
        p->l[j] += d[j];
    p->t++;
    p->informative += any;
    return SERIN_OK;
}

enum serin_status profile_window(struct profile *p, const struct grid *g,
                                 const struct horizon *h,
                                 const struct count_table *strata, size_t n, double eta)
{
    double d[GRID_MAX] = {0}, log_p[GRID_MAX];
    bool any = false;
    if (!eta_ok(eta)) return SERIN_EDOM;
    for (size_t i = 0; i < n; i++) {
        const struct count_table *c = &strata[i];
        if (c->x > c->n || c->y > c->m || c->n > COUNT_MAX || c->m > COUNT_MAX)
            return SERIN_EDOM;
        if (!profile_informative(c)) continue;
        any = true;
        double off = (double)c->x - fnch_profile(g, c->n, c->m, c->x + c->y, log_p);
        for (size_t j = 0; j < g->n; j++)
            d[j] += off * g->theta[j] - log_p[j];
    }
    return fold(p, g, h, d, eta, any);
}

static bool events_ok(const struct event_table *e)
{
    if (!(isfinite(e->exposure_c) && isfinite(e->exposure_b))) return false;
    if (e->exposure_c < 0 || e->exposure_b < 0) return false;
    if (e->x > COUNT_MAX || e->y > COUNT_MAX) return false;
    return (e->exposure_c > 0 || e->x == 0) && (e->exposure_b > 0 || e->y == 0);
}

static bool events_informative(const struct event_table *e)
{
    return e->exposure_c > 0 && e->exposure_b > 0 && e->x + e->y > 0;
}

double profile_event_increment(const struct event_table *e, double theta)
{
    if (!events_informative(e)) return 0;
    double share = e->exposure_c / (e->exposure_c + e->exposure_b);
    return (double)e->x * theta -
           (double)(e->x + e->y) * elem_log1p(share * elem_expm1(theta));
}

enum serin_status profile_events(struct profile *p, const struct grid *g,
                                 const struct horizon *h,
                                 const struct event_table *strata, size_t n, double eta)
{
    double d[GRID_MAX] = {0};
    bool any = false;
    if (!eta_ok(eta)) return SERIN_EDOM;
    for (size_t i = 0; i < n; i++) {
        if (!events_ok(&strata[i])) return SERIN_EDOM;
        any = any || events_informative(&strata[i]);
        for (size_t j = 0; j < g->n; j++)
            d[j] += profile_event_increment(&strata[i], g->theta[j]);
    }
    return fold(p, g, h, d, eta, any);
}

double profile_log_plain(const struct profile *p, const struct grid *g)
{
    size_t from = g->ja + 1;
    return lse_dot(g->log_pi + from, p->l + from, g->n - from) - p->l[g->ja];
}

double profile_log_abort(const struct profile *p, const struct grid *g)
{
    size_t from = g->ja + 1;
    double begun = lse_dot(g->log_pi + from, p->lw + from, g->n - from);
    double rest = 1 - p->used;
    return rest < profile_used_up ? begun : lse_add(begun, elem_log(rest));
}

/* As profile_log_promote for any boundary i > 0. */
static double log_below(const struct profile *p, const struct grid *g, size_t i)
{
    return lse_dot(g->log_u, p->l, i) - lse_sum(g->log_u, i) - p->l[i];
}

double profile_log_promote(const struct profile *p, const struct grid *g, size_t s)
{
    size_t i = g->js[s];
    return lse_dot(g->log_u, p->l, i) - g->log_uz[s] - p->l[i];
}

static double log_above(const struct profile *p, const struct grid *g, size_t i)
{
    double prior[GRID_MAX];
    grid_abort_prior(g, i, prior);
    return lse_dot(prior + i + 1, p->l + i + 1, g->n - i - 1) - p->l[i];
}

void profile_limits(const struct profile *p, const struct grid *g, double alpha,
                    double beta, double *lower, double *upper)
{
    size_t n = g->n, i = n - 1;
    while (i > 0 && level_crossed(log_below(p, g, i), beta))
        i--;
    *upper = i == n - 1 ? HUGE_VAL : g->theta[i + 1];
    i = 0;
    while (i + 1 < n && level_crossed(log_above(p, g, i), alpha))
        i++;
    *lower = i == 0 ? -HUGE_VAL : g->theta[i - 1];
}

double profile_estimate(const struct profile *p, const struct grid *g)
{
    size_t top = 0;
    for (size_t j = 1; j < g->n; j++)
        if (p->l[j] > p->l[top]) top = j;
    if (p->informative == 0) return (double)NAN;
    if (top == 0 || top + 1 == g->n) return g->theta[top];
    double left = g->theta[top] - g->theta[top - 1],
           right = g->theta[top + 1] - g->theta[top];
    double a = (p->l[top] - p->l[top - 1]) / left,
           b = (p->l[top + 1] - p->l[top]) / right;
    /* Vertex of the parabola through three points: where the slope passes zero. */
    double mid_a = g->theta[top] - left / 2, mid_b = g->theta[top] + right / 2;
    return a > b ? mid_a + (mid_b - mid_a) * a / (a - b) : g->theta[top];
}
