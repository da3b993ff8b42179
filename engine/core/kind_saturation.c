/* engine/core/kind_saturation.c -- pods beyond a bound (queue full, CPU throttled): a
 * unit is one pod in one batch, bad when its mean is above the bound */
#include "engine/core/batch.h"
#include "engine/core/counts.h"
#include "engine/core/explain.h"
#include "engine/core/snapshot_units.h"

struct own {
    struct batch batch;
    struct dispersion before; /* the baseline's batches before the first weight */
};

static void reset(struct evidence *e)
{
    struct own *o = e->own;
    counts_reset(e);
    batch_clear(&o->batch);
}

static void step(struct evidence *e)
{
    struct own *o = e->own;
    counts_step(e);
    batch_clear(&o->batch);
}

/* All zero while the batch goes on. */
static struct count_table closed(struct evidence *e, const struct kind_window *w)
{
    struct own *o = e->own;
    struct count_table t = {0};
    double bound = e->metric->bound;
    if (!batch_window(&o->batch, w, e->metric->batch_ms)) return t;
    t = (struct count_table){o->batch.n[0], batch_above(&o->batch, 0, bound),
                             o->batch.n[1], batch_above(&o->batch, 1, bound)};
    batch_clear(&o->batch);
    return t;
}

static enum serin_status window(struct evidence *e, const struct horizon *h,
                                const struct kind_window *w, struct kind_news *news)
{
    struct count_table t = closed(e, w);
    news->counted = news->watched = t;
    return counts_window(e, h, &t, 1, &news->informed);
}

static enum serin_status calibrate(struct evidence *e, int64_t fixed_ms,
                                   const struct kind_window *w)
{
    struct own *o = e->own;
    struct count_table t = closed(e, w);
    (void)fixed_ms;
    return dispersion_window(&o->before, t.y, t.m);
}

static bool phi(const struct evidence *e, const struct calibrate *c, int64_t fixed_ms,
                int64_t length_ms, bool settle_for, double *out)
{
    const struct own *o = e->own;
    (void)c;
    (void)fixed_ms;
    (void)length_ms;
    (void)settle_for;
    *out = dispersion_phi(&o->before);
    return dispersion_ready(&o->before);
}

static struct dispersion_pool pool(const struct evidence *e, const struct calibrate *c,
                                   int64_t fixed_ms, int64_t length_ms)
{
    (void)c, (void)fixed_ms, (void)length_ms;
    const struct own *o = e->own;
    return dispersion_pool(&o->before);
}

static bool figures(const struct evidence *e, struct arena *a, pb_metric_verdict *m)
{
    (void)a;
    if (e->counts.n == 0 || e->counts.m == 0)
        m->note = "few_batches";
    else if (e->counts.x + e->counts.y == 0)
        m->note = "no_events";
    return true;
}

/* "canary 12.5 % of pods vs baseline 0.10 %" */
static void cohorts(const struct evidence *e, struct turn *t)
{
    counts_cohorts(e, t);
    explain_add(t, " of the time above %g", e->metric->bound);
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

static void save(const struct evidence *e, struct arena *a, bool calibrating,
                 Serin__V1__MetricState *m, bool *bad)
{
    const struct own *o = e->own;
    m->batch = snapshot_batch(a, &o->batch, bad);
    if (calibrating) m->batches = snapshot_dispersion(a, &o->before, NULL, bad);
}

static bool load(struct evidence *e, const Serin__V1__MetricState *m)
{
    struct own *o = e->own;
    if (m->batches != NULL && !snapshot_load_dispersion(&o->before, NULL, m->batches))
        return false;
    return snapshot_load_batch(&o->batch, m->batch);
}

const struct kind kind_saturation = {
    .content = KIND_UNITS,
    .size = sizeof(struct own),
    .effect = "odds ratio",
    .open = counts_open,
    .reset = reset,
    .step = step,
    .window = window,
    .harm = counts_harm,
    .limited = counts_limited,
    .limit = counts_limit,
    .within = counts_within,
    .promote = counts_promote,
    .restart = counts_restart,
    .estimate = counts_estimate,
    .limits = counts_limits,
    .profile = counts_profile,
    .left = counts_left,
    .calibrate = calibrate,
    .phi = phi,
    .pool = pool,
    .figures = figures,
    .cohorts = cohorts,
    .beyond = beyond,
    .worse = worse,
    .save = save,
    .load = load,
};
