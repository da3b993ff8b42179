/* engine/core/kind_latency.c -- latency.c in the words of kind.h */
#include <math.h>

#include "engine/core/evidence.h"
#include "engine/core/explain.h"
#include "engine/core/kind.h"
#include "engine/core/snapshot_latency.h"
#include "stats/elem.h"
#include "stats/quantile.h"

static enum serin_status open(struct evidence *e, struct fault *why)
{
    return latency_init(e->own, e->metric, why);
}

static void reset(struct evidence *e)
{
    latency_reset(e->own);
}

static void step(struct evidence *e)
{
    latency_step(e->own);
}

static enum serin_status window(struct evidence *e, const struct horizon *h,
                                const struct kind_window *w, struct kind_news *news)
{
    struct latency *l = e->own;
    uint64_t before = latency_informative(e->own);
    l->ratio = e->bounds_ratio;
    enum serin_status rc =
        latency_window(e->own, e->grid, h, w->hists, w->n, 1 / e->phi,
                       (uint32_t)(w->start_ms / 1000), &news->watched);
    news->informed = latency_informative(e->own) != before;
    e->all.informative += news->informed;
    return rc;
}

static double harm(const struct evidence *e)
{
    return latency_log_abort(e->own, e->grid);
}

static double too_good(const struct evidence *e)
{
    return e->metric->direction == PLAN_UP ? latency_log_fast(e->own, e->grid) : 0;
}

static double onset(const struct evidence *e, uint32_t *s)
{
    return latency_onset(e->own, e->grid, s);
}

static bool limited(const struct evidence *e)
{
    return latency_limited(e->own);
}

static double limit(const struct evidence *e)
{
    return latency_log_limit(e->own);
}

static bool within(const struct evidence *e)
{
    return latency_within(e->own);
}

static double promote(const struct evidence *e, size_t s)
{
    return latency_log_promote(e->own, e->grid, s);
}

static double restart(const struct evidence *e, size_t s)
{
    return latency_log_restart(e->own, e->grid, s);
}

static const struct profile *worst(const struct evidence *e)
{
    return latency_profile(e->own, latency_worst(e->own, e->grid));
}

static double estimate(const struct evidence *e)
{
    double theta = profile_estimate(worst(e), e->grid);
    if (isnan(theta)) return theta; /* its sign bit is in the verdict */
    return elem_exp(e->metric->direction == PLAN_DOWN ? -theta : theta);
}

static void limits(const struct evidence *e, double alpha, double beta, double *lower,
                   double *upper)
{
    bool down = e->metric->direction == PLAN_DOWN;
    double from, to;
    profile_limits(worst(e), e->grid, alpha, beta, &from, &to);
    *lower = elem_exp(down ? -to : from);
    *upper = elem_exp(down ? -from : to);
}

static double left(const struct evidence *e, size_t s, double w_s, double beta,
                   double span_s)
{
    return latency_left(e->own, e->grid, s, w_s, beta, span_s, 1 / e->phi);
}

static enum serin_status calibrate(struct evidence *e, int64_t fixed_ms,
                                   const struct kind_window *w)
{
    return latency_calibrate(e->own, fixed_ms, w->start_ms, w->hists, w->n);
}

static bool phi(const struct evidence *e, const struct calibrate *c, int64_t fixed_ms,
                int64_t length_ms, bool settle_for, double *out)
{
    (void)c;
    return latency_phi(e->own, fixed_ms, length_ms, settle_for, out);
}

static bool quantiles(struct arena *a, const struct latency *l, int which,
                      pb_cohort_summary *c)
{
    static const double shown[] = {0.5, 0.9, 0.99};
    c->n_quantiles = sizeof shown / sizeof *shown;
    c->quantiles = arena_alloc(a, sizeof shown);
    for (size_t i = 0; c->quantiles != NULL && i < c->n_quantiles; i++)
        c->quantiles[i] = latency_quantile(l, which, shown[i]);
    return c->quantiles != NULL;
}

static struct dispersion_pool pool(const struct evidence *e, const struct calibrate *c,
                                   int64_t fixed_ms, int64_t length_ms)
{
    (void)c;
    return latency_pool(e->own, fixed_ms, length_ms);
}

static bool shown(const struct latency *l, int level)
{
    return l->protects[level] || level == PLAN_P50 || level == PLAN_P90 ||
           level == PLAN_P99;
}

/* Both cohorts at half the level, so that their limits and the ratio's hold together.
 */
static bool spread(const struct evidence *e, double level, int q,
                   Serin__V1__QuantileVerdict *v)
{
    const struct latency *l = e->own;
    struct quantile_limits at[2];
    for (int c = 0; c < 2; c++) {
        struct hist_view h = hist_view(&l->step[c]);
        if (quantile_limits(&h, exceedance_levels[q], level / 2, 1 / e->phi, &at[c]) !=
            SERIN_OK)
            return false;
    }
    struct quantile_limits ratio = quantile_shift(&at[0], &at[1]);
    serin__v1__quantile_verdict__init(v);
    v->p = exceedance_levels[q];
    v->canary = at[0].at, v->canary_lower = at[0].lower, v->canary_upper = at[0].upper;
    v->baseline = at[1].at;
    v->baseline_lower = at[1].lower, v->baseline_upper = at[1].upper;
    v->shift = ratio.at, v->shift_lower = ratio.lower, v->shift_upper = ratio.upper;
    return true;
}

static bool spreads(const struct evidence *e, struct arena *a, pb_metric_verdict *m)
{
    Serin__V1__QuantileVerdict *v = arena_alloc(a, EXCEEDANCE_LEVELS * sizeof *v);
    m->quantiles = arena_alloc(a, EXCEEDANCE_LEVELS * sizeof *m->quantiles);
    if (v == NULL || m->quantiles == NULL) return false;
    for (int q = 0; q < EXCEEDANCE_LEVELS; q++)
        if (shown(e->own, q) && spread(e, elem_exp(-m->abort_threshold), q, &v[q]))
            m->quantiles[m->n_quantiles++] = &v[q];
    return true;
}

/* The limit of a latency is a share: so many may be beyond it. */
static bool figures(const struct evidence *e, struct arena *a, pb_metric_verdict *m)
{
    const struct latency *l = e->own;
    int at = latency_beyond(l);
    m->abort_over = latency_over(l);
    m->limit = at >= 0 ? l->limits[at].d : 0;
    return quantiles(a, l, EVIDENCE_CANARY, m->canary) &&
           quantiles(a, l, EVIDENCE_BASELINE, m->baseline) && spreads(e, a, m);
}

/* "p99 canary 812 ms vs baseline 640 ms" */
static void at_level(const struct evidence *e, int level, struct turn *t)
{
    double q = exceedance_levels[level];
    explain_add(t, "%s canary %.3g ms", latency_level_name(level),
                latency_quantile(e->own, EVIDENCE_CANARY, q));
    if (e->counts.m != 0)
        explain_add(t, " vs baseline %.3g ms",
                    latency_quantile(e->own, EVIDENCE_BASELINE, q));
    else
        explain_add(t, ", no baseline");
    if (e->bounds_ratio > 1)
        explain_add(t, " (bounds of the source are up to %.3gx apart)",
                    e->bounds_ratio);
}

static bool lower(const struct evidence *e)
{
    return latency_faster(e->own, e->grid);
}

static void cohorts(const struct evidence *e, struct turn *t)
{
    at_level(e, latency_worst(e->own, e->grid), t);
}

static void beyond(const struct evidence *e, struct turn *t)
{
    int level = latency_beyond(e->own);
    at_level(e, level, t);
    explain_add(t, ", above its limit %lld ms", (long long)e->metric->limit_ms[level]);
}

static void worse(const struct evidence *e, struct turn *t)
{
    const struct latency *l = e->own;
    const char *than = lower(e) ? "as fast" : "as long";
    if (l->allows)
        explain_add(t, ", more than %.4g times %s", latency_over(l), than);
    else
        explain_add(t, lower(e) ? ", faster" : ", slower");
}

static void better(const struct evidence *e, struct turn *t)
{
    at_level(e, latency_fastest(e->own, e->grid), t);
    explain_add(t, ", faster by more than %g %%", 100 * e->metric->too_good);
}

static void save(const struct evidence *e, struct arena *a, bool calibrating,
                 Serin__V1__MetricState *m, bool *bad)
{
    m->latency = snapshot_latency(a, e, calibrating, bad);
}

static bool load(struct evidence *e, const Serin__V1__MetricState *m)
{
    return snapshot_latency_load(e, m->latency);
}

/* Slower than the baseline's quantile, at the level with the most to say. */
static bool reference(const struct evidence *e, struct aftermath *out)
{
    const struct latency *l = e->own;
    double p = exceedance_levels[latency_worst(l, e->grid)];
    int which =
        l->step[EVIDENCE_BASELINE].total != 0 ? EVIDENCE_BASELINE : EVIDENCE_CANARY;
    struct hist_view c = hist_view(&l->step[EVIDENCE_CANARY]),
                     b = hist_view(&l->step[EVIDENCE_BASELINE]);
    out->above = latency_quantile(l, which, p);
    if (!(out->above > 0)) return false;
    out->before = (struct count_table){hist_total(&c), hist_above(&c, out->above),
                                       hist_total(&b), hist_above(&b, out->above)};
    return true;
}

const struct kind kind_latency = {
    .content = KIND_HISTOGRAM,
    .requests = true,
    .size = sizeof(struct latency),
    .effect = "odds ratio",
    .open = open,
    .reset = reset,
    .step = step,
    .window = window,
    .harm = harm,
    .onset = onset,
    .too_good = too_good,
    .limited = limited,
    .limit = limit,
    .within = within,
    .promote = promote,
    .restart = restart,
    .estimate = estimate,
    .limits = limits,
    .lower = lower,
    .profile = worst,
    .calibrate = calibrate,
    .left = left,
    .phi = phi,
    .pool = pool,
    .reference = reference,
    .figures = figures,
    .cohorts = cohorts,
    .beyond = beyond,
    .worse = worse,
    .better = better,
    .save = save,
    .load = load,
};
