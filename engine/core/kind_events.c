/* engine/core/kind_events.c -- counts without a denominator (crashes): a profile of the
 * rate ratio, given how much each cohort was exposed */
#include <math.h>
#include <stdio.h>

#include "engine/core/counts.h"
#include "engine/core/explain.h"
#include "stats/forecast.h"

/* Where fewer is worse, the cohorts change places. */
static enum serin_status window(struct evidence *e, const struct horizon *h,
                                const struct kind_window *w, struct kind_news *news)
{
    struct event_table turned[ROLLOUT_STRATA + 1];
    const struct event_table *t = w->events;
    uint64_t before = e->all.informative;
    if (e->metric->direction == PLAN_DOWN) {
        for (size_t i = 0; i < w->n; i++)
            turned[i] =
                (struct event_table){t[i].exposure_b, t[i].exposure_c, t[i].y, t[i].x};
        t = turned;
    }
    enum serin_status rc = profile_events(&e->all, e->grid, h, t, w->n, 1 / e->phi);
    news->informed = e->all.informative != before;
    return rc;
}

static bool limited(const struct evidence *e)
{
    (void)e;
    return false;
}

static double left(const struct evidence *e, size_t s, double w_s, double beta,
                   double span_s)
{
    const struct count_table *c = &e->counts;
    double all = (double)(c->n + c->m), events = (double)(c->x + c->y);
    double exposed = (double)(e->metric->direction == PLAN_DOWN ? c->m : c->n);
    if (c->n == 0 || c->m == 0 || !(events > 0) || !(span_s > 0)) return INFINITY;
    /* Growth per event: of the rate only the product with the exposure matters. */
    double speed = 2 * forecast_promote(0.5, exposed / all, w_s);
    return forecast_seconds(
        beta, fmin(counts_promote(e, s), counts_restart(e, s > 0 ? s - 1 : 0)), speed,
        events / span_s, 1 / e->phi);
}

static bool figures(const struct evidence *e, struct arena *a, pb_metric_verdict *m)
{
    (void)a;
    if (e->counts.x + e->counts.y == 0)
        m->note = "no_events";
    else if (e->counts.n == 0 || e->counts.m == 0)
        m->note = "no_exposure";
    return true;
}

static void rate(const struct evidence *e, uint64_t x, uint64_t n, char out[64])
{
    if (e->metric->exposure_metric >= 0)
        snprintf(out, 64, "%llu in %llu units", (unsigned long long)x,
                 (unsigned long long)n);
    else
        snprintf(out, 64, "%llu in %.3g pod hours", (unsigned long long)x,
                 (double)n / 3600);
}

/* "canary 12 in 5000 units vs baseline 30 in 95000 units" */
static void cohorts(const struct evidence *e, struct turn *t)
{
    char c[64], b[64];
    rate(e, e->counts.x, e->counts.n, c);
    rate(e, e->counts.y, e->counts.m, b);
    explain_add(t, "canary %s vs baseline %s", c, b);
}

static void worse(const struct evidence *e, struct turn *t)
{
    if (e->metric->direction == PLAN_DOWN)
        explain_add(t, ", rarer by more than a factor of %g", e->metric->abort_over);
    else
        explain_add(t, ", more than %g times as often", e->metric->abort_over);
}

const struct kind kind_events = {
    .content = KIND_EVENTS,
    .effect = "rate ratio",
    .open = counts_open,
    .reset = counts_reset,
    .step = counts_step,
    .window = window,
    .harm = counts_harm,
    .limited = limited,
    .promote = counts_promote,
    .restart = counts_restart,
    .estimate = counts_estimate,
    .limits = counts_limits,
    .profile = counts_profile,
    .left = left,
    .phi = counts_phi,
    .figures = figures,
    .cohorts = cohorts,
    .worse = worse,
};
