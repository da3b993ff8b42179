/* engine/core/kind_ratio.c -- bad units of all: one profile of the odds ratio */
#include <math.h>
#include <string.h>

#include "engine/core/evidence.h"
#include "engine/core/explain.h"
#include "engine/core/kind.h"
#include "stats/elem.h"
#include "stats/forecast.h"

static enum serin_status bound(struct floor *f, const struct plan_metric *m,
                               const char *key, double d, struct fault *why)
{
    if (!(d > 0) || floor_init(f, d) == SERIN_OK) return SERIN_OK;
    return fault_set(why, SERIN_EDOM, "metric %s: %s %g is outside (0, 1)", m->name,
                     key, d);
}

static enum serin_status open(struct evidence *e, struct fault *why)
{
    const struct plan_metric *m = e->metric;
    enum serin_status rc = bound(&e->floor, m, "floor", m->floor, why);
    return rc == SERIN_OK ? bound(&e->limit, m, "limit", m->limit, why) : rc;
}

static void forget(struct floor *f)
{
    double d = f->d;
    if (d > 0 && floor_init(f, d) != SERIN_OK) f->d = 0; /* it was accepted before */
}

static void reset(struct evidence *e)
{
    forget(&e->floor);
    forget(&e->limit);
}

static void step(struct evidence *e)
{
    memcpy(e->begun, e->all.l, sizeof e->begun);
}

static enum serin_status window(struct evidence *e, const struct horizon *h,
                                const struct kind_window *w,
                                struct count_table *watched, bool *informed)
{
    double eta = 1 / e->phi;
    uint64_t before = e->all.informative;
    (void)watched;
    enum serin_status rc = profile_window(&e->all, e->grid, h, w->tables, w->n, eta);
    if (rc == SERIN_OK && e->floor.d > 0)
        rc = floor_window(&e->floor, h, w->tables, w->n, eta);
    if (rc == SERIN_OK && e->limit.d > 0)
        rc = floor_window(&e->limit, h, w->tables, w->n, eta);
    *informed = e->all.informative != before;
    return rc;
}

static double harm(const struct evidence *e)
{
    double log_e = profile_log_abort(&e->all, e->grid);
    if (!(e->floor.d > 0) || isnan(log_e)) return log_e;
    double above = floor_log_abort(&e->floor);
    return above < log_e || isnan(above) ? above : log_e;
}

static bool limited(const struct evidence *e)
{
    return e->limit.d > 0;
}

static double limit(const struct evidence *e)
{
    return floor_log_abort(&e->limit);
}

static double rate(uint64_t bad, uint64_t n)
{
    return n != 0 ? (double)bad / (double)n : 0;
}

static bool within(const struct evidence *e)
{
    return rate(e->counts.x, e->counts.n) <= e->limit.d;
}

static double promote(const struct evidence *e, size_t s)
{
    return profile_log_promote(&e->all, e->grid, s);
}

/* The evidence of this step alone is a difference: l is a sum over windows. */
static double restart(const struct evidence *e, size_t s)
{
    struct profile own;
    profile_init(&own, false);
    for (size_t j = 0; j < e->grid->n; j++)
        own.l[j] = e->all.l[j] - e->begun[j];
    return profile_log_promote(&own, e->grid, s);
}

static double estimate(const struct evidence *e)
{
    return elem_exp(profile_estimate(&e->all, e->grid));
}

static const struct profile *profile(const struct evidence *e)
{
    return &e->all;
}

static void limits(const struct evidence *e, double alpha, double beta, double *lower,
                   double *upper)
{
    profile_limits(&e->all, e->grid, alpha, beta, lower, upper);
    *lower = elem_exp(*lower);
    *upper = elem_exp(*upper);
}

static double left(const struct evidence *e, size_t s, double w_s, double beta,
                   double span_s)
{
    const struct count_table *c = &e->counts;
    double all = (double)(c->n + c->m), bad = (double)(c->x + c->y);
    if (c->n == 0 || c->m == 0 || !(bad > 0) || !(span_s > 0)) return INFINITY;
    double speed = forecast_promote_share(bad / all, (double)c->n / all, w_s);
    return forecast_seconds(beta, fmin(promote(e, s), restart(e, s > 0 ? s - 1 : 0)),
                            speed, all / span_s, 1 / e->phi);
}

static bool phi(const struct evidence *e, const struct calibrate *c, int64_t fixed_ms,
                int64_t length_ms, bool settle_for, double *out)
{
    (void)e;
    return calibrate_phi(c, fixed_ms, length_ms, settle_for, out);
}

/* "canary 1.02 % vs baseline 0.10 %" */
static void cohorts(const struct evidence *e, struct turn *t)
{
    char c[24], b[24];
    explain_percent(rate(e->counts.x, e->counts.n), c);
    explain_percent(rate(e->counts.y, e->counts.m), b);
    explain_add(t, "canary %s", c);
    if (e->counts.m != 0) explain_add(t, " vs baseline %s", b);
}

static void beyond(const struct evidence *e, struct turn *t)
{
    char at[24];
    cohorts(e, t);
    explain_percent(e->metric->limit, at);
    explain_add(t, ", above its limit %s", at);
}

static void worse(const struct evidence *e, struct turn *t)
{
    explain_add(t, ", more than %g times the odds", e->metric->abort_over);
}

const struct kind kind_ratio = {
    .content = KIND_COUNTS,
    .effect = "odds ratio",
    .open = open,
    .reset = reset,
    .step = step,
    .window = window,
    .harm = harm,
    .limited = limited,
    .limit = limit,
    .within = within,
    .promote = promote,
    .restart = restart,
    .estimate = estimate,
    .limits = limits,
    .profile = profile,
    .left = left,
    .phi = phi,
    .cohorts = cohorts,
    .beyond = beyond,
    .worse = worse,
};
