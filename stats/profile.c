/* stats/profile.c -- sums of log likelihood ratios, and mixtures taken outside them: a
 * mixture inside each window would be valid but would not learn. */
#include "stats/profile.h"

#include <math.h>

#include "stats/fnch.h"
#include "stats/level.h"
#include "stats/elem.h"
#include "stats/lse.h"
#include "stats/vec.h"

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

/* l + eta d, into d eta d; false when anything in use is not finite. */
VEC_CLONES static bool temper(const double *l, double *d, size_t n, double eta)
{
    vec worst = vec_of(0);
    for (size_t j = 0; j < n; j += VEC) {
        vec step = eta * vec_load(d + j), next = vec_load(l + j) + step;
        vec_store(d + j, step);
        worst += next - next; /* NaN as soon as one is infinite or NaN */
    }
    return vec_sum(worst) == 0;
}

VEC_CLONES static void advance(double *l, double *lw, const double *d, size_t n,
                               double d_a, double log_gamma)
{
    for (size_t j = 0; lw != NULL && j < n; j += VEC) {
        vec begun = vec_logadd(vec_load(lw + j), vec_of(log_gamma));
        vec_store(lw + j, begun + (vec_load(d + j) - d_a));
    }
    for (size_t j = 0; j < n; j += VEC)
        vec_store(l + j, vec_load(l + j) + vec_load(d + j));
}

/* Fold d (eta not yet applied; 0 beyond the grid) into *p, or leave *p alone when
 * anything is off. */
static enum serin_status fold(struct profile *p, const struct grid *g,
                              const struct horizon *h, double *d, double eta, bool any)
{
    if (!temper(p->l, d, g->n, eta)) return SERIN_EDOM;
    double gamma = p->starts ? horizon_gamma(h, p->t) : 0;
    p->used += gamma;
    advance(p->l, p->starts ? p->lw : NULL, d, g->n, d[g->ja], elem_log(gamma));
    for (size_t j = g->n; j < GRID_MAX; j++)
        p->lw[j] = -HUGE_VAL;
    p->t++;
    p->informative += any;
    return SERIN_OK;
}

/* Sums of doubles depend on the order, so strata are taken in their own: the smallest
 * one above *last (NULL: of all) and how often it occurs. NULL at the end. */
typedef int (*compare)(const void *a, const void *b);
static const void *next_stratum(const void *strata, size_t n, size_t size, compare by,
                                const void *last, double *copies)
{
    const char *next = NULL, *at = strata;
    for (size_t i = 0; i < n; i++, at += size) {
        if (last != NULL && by(at, last) <= 0) continue;
        int order = next == NULL ? -1 : by(at, next);
        if (order < 0) {
            next = at;
            *copies = 1;
        } else if (order == 0) {
            ++*copies;
        }
    }
    return next;
}

static int by_value(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int by_counts(const void *one, const void *two)
{
    const struct count_table *a = one, *b = two;
    if (a->n != b->n) return by_value(a->n, b->n);
    if (a->x != b->x) return by_value(a->x, b->x);
    if (a->m != b->m) return by_value(a->m, b->m);
    return by_value(a->y, b->y);
}

static bool counts_ok(const struct count_table *c)
{
    return c->x <= c->n && c->y <= c->m && c->n <= COUNT_MAX && c->m <= COUNT_MAX;
}

enum serin_status profile_window(struct profile *p, const struct grid *g,
                                 const struct horizon *h,
                                 const struct count_table *strata, size_t n, double eta)
{
    double d[GRID_MAX] = {0}, log_p[GRID_MAX], copies = 0;
    bool any = false;
    if (!eta_ok(eta)) return SERIN_EDOM;
    for (size_t i = 0; i < n; i++)
        if (!counts_ok(&strata[i])) return SERIN_EDOM;
    const struct count_table *c = NULL;
    while ((c = next_stratum(strata, n, sizeof *c, by_counts, c, &copies)) != NULL) {
        if (!profile_informative(c)) continue;
        any = true;
        double off = (double)c->x - fnch_profile(g, c->n, c->m, c->x + c->y, log_p);
        for (size_t j = 0; j < g->n; j++)
            d[j] += copies * (off * g->theta[j] - log_p[j]);
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

static int by_events(const void *one, const void *two)
{
    const struct event_table *a = one, *b = two;
    if (a->exposure_c != b->exposure_c) return a->exposure_c > b->exposure_c ? 1 : -1;
    if (a->exposure_b != b->exposure_b) return a->exposure_b > b->exposure_b ? 1 : -1;
    if (a->x != b->x) return by_value(a->x, b->x);
    return by_value(a->y, b->y);
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
    double d[GRID_MAX] = {0}, copies = 0;
    bool any = false;
    if (!eta_ok(eta)) return SERIN_EDOM;
    for (size_t i = 0; i < n; i++)
        if (!events_ok(&strata[i])) return SERIN_EDOM;
    const struct event_table *e = NULL;
    while ((e = next_stratum(strata, n, sizeof *e, by_events, e, &copies)) != NULL) {
        any = any || events_informative(e);
        for (size_t j = 0; j < g->n; j++)
            d[j] += copies * profile_event_increment(e, g->theta[j]);
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

double profile_log_below(const struct profile *p, const struct grid *g, size_t i)
{
    return lse_dot(g->log_u, p->l, i) - lse_sum(g->log_u, i) - p->l[i];
}

double profile_log_promote(const struct profile *p, const struct grid *g, size_t s)
{
    size_t i = g->js[s];
    return lse_dot(g->log_u, p->l, i) - g->log_uz[s] - p->l[i];
}

double profile_log_above(const struct profile *p, const struct grid *g, size_t i)
{
    double prior[GRID_MAX];
    grid_abort_prior(g, i, prior);
    return lse_dot(prior + i + 1, p->l + i + 1, g->n - i - 1) - p->l[i];
}

static size_t likeliest(const struct profile *p, const struct grid *g)
{
    size_t top = 0;
    for (size_t j = 1; j < g->n; j++)
        if (p->l[j] > p->l[top]) top = j;
    return top;
}

/* Far from the likeliest point one term of the mixture is enough to be sure; the bound
 * is below the mixture by much more than both are rounded. */
static bool surely(double bound, double level)
{
    return level_crossed(bound - 1e-6 * (1 + fabs(bound)), level);
}

/* all: log of all weights, those below i being a part. */
static bool is_below(const struct profile *p, const struct grid *g, size_t i,
                     size_t top, double all, double level)
{
    return (top < i && surely(g->log_u[top] - all + p->l[top] - p->l[i], level)) ||
           level_crossed(profile_log_below(p, g, i), level);
}

/* all: at least what the weights above i add up to. */
static bool is_above(const struct profile *p, const struct grid *g, size_t i,
                     size_t top, double all, double level)
{
    if (top > i) {
        double weight =
            g->width[top] * grid_abort_bump(g->theta[top] - g->theta[i]) / all;
        if (surely(elem_log(weight) + p->l[top] - p->l[i], level)) return true;
    }
    return level_crossed(profile_log_above(p, g, i), level);
}

void profile_limits(const struct profile *p, const struct grid *g, double alpha,
                    double beta, double *lower, double *upper)
{
    size_t n = g->n, i = n - 1, top = likeliest(p, g);
    double all = lse_sum(g->log_u, n);
    while (i > 0 && is_below(p, g, i, top, all, beta))
        i--;
    *upper = i == n - 1 ? HUGE_VAL : g->theta[i + 1];
    i = 0;
    all = 0;
    for (size_t j = 0; j < n; j++)
        all += g->width[j] * GRID_BUMP_MAX;
    while (i + 1 < n && is_above(p, g, i, top, all, alpha))
        i++;
    *lower = i == 0 ? -HUGE_VAL : g->theta[i - 1];
}

double profile_estimate(const struct profile *p, const struct grid *g)
{
    size_t top = likeliest(p, g);
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
