/* engine/core/counts.c */
#include "engine/core/counts.h"

#include <math.h>
#include <string.h>

#include "engine/core/explain.h"
#include "stats/elem.h"
#include "stats/forecast.h"
#include "stats/random_effect.h"

static bool down(const struct evidence *e)
{
    return e->metric->direction == PLAN_DOWN;
}

static enum serin_status bound(struct floor *f, const struct plan_metric *m,
                               const char *key, double d, struct fault *why)
{
    if (!(d > 0) || floor_init(f, d) == SERIN_OK) return SERIN_OK;
    return fault_set(why, SERIN_EDOM, "metric %s: %s %g is outside (0, 1)", m->name,
                     key, d);
}

enum serin_status counts_open(struct evidence *e, struct fault *why)
{
    const struct plan_metric *m = e->metric;
    enum serin_status rc = bound(&e->floor, m, "floor", m->floor, why);
    double limit = m->limit > 0 && down(e) ? 1 - m->limit : m->limit;
    return rc == SERIN_OK ? bound(&e->limit, m, "limit", limit, why) : rc;
}

static void forget(struct floor *f)
{
    double d = f->d;
    if (d > 0 && floor_init(f, d) != SERIN_OK) f->d = 0; /* it was accepted before */
}

void counts_reset(struct evidence *e)
{
    forget(&e->floor);
    forget(&e->limit);
}

void counts_step(struct evidence *e)
{
    memcpy(e->begun, e->all.l, sizeof e->begun);
}

struct count_table counts_turn(struct count_table c)
{
    return (struct count_table){.n = c.n, .x = c.n - c.x, .m = c.m, .y = c.m - c.y};
}

enum serin_status counts_window(struct evidence *e, const struct horizon *h,
                                const struct count_table *tables, size_t n,
                                bool *informed)
{
    double eta = 1 / e->phi;
    uint64_t before = e->all.informative;
    enum serin_status rc = profile_window(&e->all, e->grid, h, tables, n, eta);
    if (rc == SERIN_OK && e->floor.d > 0)
        rc = floor_window(&e->floor, h, tables, n, eta);
    if (rc == SERIN_OK && e->limit.d > 0)
        rc = floor_window(&e->limit, h, tables, n, eta);
    *informed = e->all.informative != before;
    return rc;
}

/* Few pods: the null spreads as far as they do by luck. NaN is a defect. */
static double against_pods(const struct evidence *e)
{
    const struct plan_pods *p = &e->metric->pods;
    double log_e,
        tau = random_effect_tau(p->spread, (double)p->canary, (double)p->baseline);
    if (random_effect_log_e(&e->all, e->grid, tau, &log_e) != SERIN_OK) return NAN;
    return log_e;
}

double counts_harm(const struct evidence *e)
{
    double log_e = e->metric->pods.canary != 0 ? against_pods(e)
                                               : profile_log_abort(&e->all, e->grid);
    if (!(e->floor.d > 0) || isnan(log_e)) return log_e;
    double above = floor_log_abort(&e->floor);
    return above < log_e || isnan(above) ? above : log_e;
}

bool counts_limited(const struct evidence *e)
{
    return e->limit.d > 0;
}

double counts_limit(const struct evidence *e)
{
    return floor_log_abort(&e->limit);
}

double counts_rate(uint64_t bad, uint64_t n)
{
    return n != 0 ? (double)bad / (double)n : 0;
}

bool counts_within(const struct evidence *e)
{
    struct count_table c = down(e) ? counts_turn(e->counts) : e->counts;
    return counts_rate(c.x, c.n) <= e->limit.d;
}

double counts_promote(const struct evidence *e, size_t s)
{
    return profile_log_promote(&e->all, e->grid, s);
}

/* The evidence of this step alone is a difference: l is a sum over windows. */
double counts_restart(const struct evidence *e, size_t s)
{
    struct profile own;
    profile_init(&own, false);
    for (size_t j = 0; j < e->grid->n; j++)
        own.l[j] = e->all.l[j] - e->begun[j];
    return profile_log_promote(&own, e->grid, s);
}

double counts_estimate(const struct evidence *e)
{
    double theta = profile_estimate(&e->all, e->grid);
    return elem_exp(down(e) ? -theta : theta);
}

void counts_limits(const struct evidence *e, double alpha, double beta, double *lower,
                   double *upper)
{
    double from, to;
    profile_limits(&e->all, e->grid, alpha, beta, &from, &to);
    *lower = elem_exp(down(e) ? -to : from);
    *upper = elem_exp(down(e) ? -from : to);
}

const struct profile *counts_profile(const struct evidence *e)
{
    return &e->all;
}

double counts_left(const struct evidence *e, size_t s, double w_s, double beta,
                   double span_s)
{
    const struct count_table c = down(e) ? counts_turn(e->counts) : e->counts;
    double all = (double)(c.n + c.m), bad = (double)(c.x + c.y);
    if (c.n == 0 || c.m == 0 || !(bad > 0 && bad < all) || !(span_s > 0))
        return INFINITY;
    double speed = forecast_promote_share(bad / all, (double)c.n / all, w_s);
    return forecast_seconds(
        beta, fmin(counts_promote(e, s), counts_restart(e, s > 0 ? s - 1 : 0)), speed,
        all / span_s, 1 / e->phi);
}

bool counts_phi(const struct evidence *e, const struct calibrate *c, int64_t fixed_ms,
                int64_t length_ms, bool settle_for, double *out)
{
    (void)e;
    return calibrate_phi(c, fixed_ms, length_ms, settle_for, out);
}

/* "canary 1.02 % vs baseline 0.10 %" */
void counts_cohorts(const struct evidence *e, struct turn *t)
{
    char c[24], b[24];
    explain_percent(counts_rate(e->counts.x, e->counts.n), c);
    explain_percent(counts_rate(e->counts.y, e->counts.m), b);
    explain_add(t, "canary %s", c);
    if (e->counts.m != 0) explain_add(t, " vs baseline %s", b);
}
