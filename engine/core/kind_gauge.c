/* engine/core/kind_gauge.c -- a level by pod (CPU, memory): batch means, asymptotic
 *
 * Null: in every batch the canary's mean is at most the baseline's times the tolerance.
 * The tolerance moves with the baseline, batch by batch: the sequence is
 * d_i - r |b_i| with its own variance, so that no absolute size has to be frozen and
 * a baseline that drifts over the day takes its tolerance along. */
#include "engine/core/kind_gauge.h"

#include <math.h>
#include <string.h>

#include "engine/core/evidence.h"
#include "engine/core/explain.h"
#include "engine/core/snapshot_units.h"
#include "stats/level.h"

static const double t_opt = 100;     /* batches at which the sequence is tightest */
static const double rounding = 1e-9; /* a variance below this share of its parts is 0 */

static int sign(const struct evidence *e)
{
    return e->metric->direction == PLAN_DOWN ? -1 : 1;
}

/* "1.2 times": so much more, or as much less as makes the baseline 1.2 times it. */
static double relative(const struct evidence *e, double times)
{
    return sign(e) > 0 ? times - 1 : 1 - 1 / times;
}

void kind_gauge_add(struct gauge_moments *m, double canary, double baseline, int worse)
{
    double d = worse * (canary - baseline), a = fabs(baseline);
    if (m->t > 0) m->lag += (d - m->d) * (m->before - m->d);
    m->before = d;
    m->t += 1;
    double off_d = d - m->d, off_a = a - m->a;
    m->d += off_d / m->t;
    m->a += off_a / m->t;
    m->dd += off_d * (d - m->d);
    m->da += off_d * (a - m->a);
    m->aa += off_a * (a - m->a);
    m->canary += (canary - m->canary) / m->t;
    m->baseline += (baseline - m->baseline) / m->t;
}

struct gauge kind_gauge_against(const struct gauge_moments *m, double r)
{
    double m2 = m->dd - 2 * r * m->da + r * r * m->aa;
    if (m2 < rounding * (m->dd + r * r * m->aa)) m2 = 0;
    return (struct gauge){.t = (uint64_t)m->t, .mean = m->d - r * m->a, .m2 = m2};
}

/* The mixture takes the variance for known, while it is estimated from t - 1
 * differences: what it has to be raised by. Without it, batches of ten correlation
 * times abort in .0146 at .01 within 100 of them, with it in .0071. */
static double widened(double t)
{
    return (t - 1) / (t - 5);
}

static struct gauge judged(const struct gauge_moments *m, double r)
{
    struct gauge g = kind_gauge_against(m, r);
    if (g.t >= GAUGE_MIN_BATCHES) g.m2 *= widened(m->t);
    return g;
}

bool kind_gauge_correlated(const struct gauge_moments *m)
{
    const double least = 20, sigmas = 3;
    return m->t >= least && m->lag > sigmas / sqrt(m->t) * m->dd && m->dd > 0;
}

static enum serin_status open(struct evidence *e, struct fault *why)
{
    (void)e;
    (void)why;
    return SERIN_OK;
}

static void step(struct evidence *e)
{
    struct gauge_own *o = e->own;
    o->step = (struct gauge_moments){0};
    batch_clear(&o->batch);
}

static void reset(struct evidence *e)
{
    struct gauge_own *o = e->own;
    o->all = (struct gauge_moments){0};
    step(e);
}

static enum serin_status learn(struct evidence *e, double canary, double baseline,
                               struct kind_news *news)
{
    struct gauge_own *o = e->own;
    struct gauge_moments all = o->all;
    kind_gauge_add(&all, canary, baseline, sign(e));
    if (!isfinite(all.dd + all.da + all.aa + all.lag)) return SERIN_EDOM;
    o->all = all;
    kind_gauge_add(&o->step, canary, baseline, sign(e));
    news->informed = true;
    e->all.informative++;
    return SERIN_OK;
}

static enum serin_status window(struct evidence *e, const struct horizon *h,
                                const struct kind_window *w, struct kind_news *news)
{
    struct gauge_own *o = e->own;
    (void)h;
    news->watched = (struct count_table){0};
    if (!batch_window(&o->batch, w, e->metric->batch_ms)) return SERIN_OK;
    if (o->batch.n[0] != 0 && o->batch.n[1] != 0) {
        double c = batch_mean(&o->batch, 0), b = batch_mean(&o->batch, 1);
        batch_clear(&o->batch);
        return learn(e, c, b, news);
    }
    batch_clear(&o->batch);
    return SERIN_OK;
}

static double harm(const struct evidence *e)
{
    const struct gauge_own *o = e->own;
    struct gauge g = judged(&o->all, relative(e, e->metric->abort_over));
    return gauge_log_abort(&g, 0, gauge_rho2(e->plan->alpha, t_opt));
}

static bool limited(const struct evidence *e)
{
    (void)e;
    return false;
}

static double below(const struct evidence *e, const struct gauge_moments *m, size_t s)
{
    struct gauge g = judged(m, relative(e, e->grid->w[e->grid->js[s]]));
    return gauge_log_promote(&g, 0, gauge_rho2(e->metric->beta, t_opt));
}

static double promote(const struct evidence *e, size_t s)
{
    return below(e, &((const struct gauge_own *)e->own)->all, s);
}

static double restart(const struct evidence *e, size_t s)
{
    return below(e, &((const struct gauge_own *)e->own)->step, s);
}

/* The baseline is taken as known here: it is the difference that is tested. */
static double ratio(const struct evidence *e, double difference)
{
    const struct gauge_own *o = e->own;
    return o->all.a > 0 ? 1 + sign(e) * difference / o->all.a : (double)NAN;
}

static double estimate(const struct evidence *e)
{
    return ratio(e, ((const struct gauge_own *)e->own)->all.d);
}

static void limits(const struct evidence *e, double alpha, double beta, double *lower,
                   double *upper)
{
    const struct gauge_own *o = e->own;
    struct gauge g = judged(&o->all, 0);
    double below_by = gauge_half_width(&g, gauge_rho2(alpha, t_opt), alpha),
           above_by = gauge_half_width(&g, gauge_rho2(beta, t_opt), beta);
    double least = ratio(e, g.mean - below_by), most = ratio(e, g.mean + above_by);
    *lower = sign(e) > 0 ? least : most;
    *upper = sign(e) > 0 ? most : least;
    if (!(*lower > 0)) *lower = 0;
    if (!(*upper >= 0)) *upper = INFINITY;
}

/* The promote sequence after t batches suffices. */
static bool suffices(double sum, double t, double v, double beta)
{
    double log_e = gauge_mixture(sum, t, v * widened(t), gauge_rho2(beta, t_opt));
    return level_crossed(log_e, beta);
}

double kind_gauge_needs(double t, double sum, double each, double v, double beta)
{
    const double most = 1e6;
    double low = -1, high = fmax(0, GAUGE_MIN_BATCHES - t), reach = 1;
    for (; !suffices(sum + high * each, t + high, v, beta); reach *= 2) {
        low = high;
        high += reach;
        if (high > most) return INFINITY;
    }
    while (low >= 0 && high - low > 1) {
        double mid = floor((low + high) / 2);
        *(suffices(sum + mid * each, t + mid, v, beta) ? &high : &low) = mid;
    }
    return high;
}

/* When the coming batches differ by nothing from the baseline's size so far, and vary
 * as before. */
static double missing(const struct evidence *e, const struct gauge_moments *m,
                      double w_s, double beta)
{
    const struct gauge_moments *all = &((const struct gauge_own *)e->own)->all;
    double r = relative(e, w_s), each = r * all->a;
    struct gauge g = kind_gauge_against(all, r);
    if (gauge_state(&g) != GAUGE_READY || !(each > 0)) return INFINITY;
    return kind_gauge_needs(m->t, (r * m->a - m->d) * m->t, each, gauge_variance(&g),
                            beta);
}

static double left(const struct evidence *e, size_t s, double w_s, double beta,
                   double span_s)
{
    const struct gauge_own *o = e->own;
    double before = e->grid->w[e->grid->js[s > 0 ? s - 1 : 0]];
    (void)span_s;
    return fmax(missing(e, &o->all, w_s, beta), missing(e, &o->step, before, beta)) *
           (double)e->metric->batch_ms / 1000;
}

static bool phi(const struct evidence *e, const struct calibrate *c, int64_t fixed_ms,
                int64_t length_ms, bool settle_for, double *out)
{
    (void)e;
    (void)settle_for;
    *out = 1;
    return calibrate_windows(c, fixed_ms, length_ms) != 0;
}

static bool figures(const struct evidence *e, struct arena *a, pb_metric_verdict *m)
{
    const struct gauge_own *o = e->own;
    struct gauge g = kind_gauge_against(&o->all, 0);
    (void)a;
    m->canary->mean = o->step.canary;
    m->baseline->mean = o->step.baseline;
    if (kind_gauge_correlated(&o->all)) m->note = "correlated_batches";
    if (gauge_state(&g) == GAUGE_FEW) m->note = "few_batches";
    if (gauge_state(&g) == GAUGE_FLAT) m->note = "no_variance";
    return true;
}

/* "canary 0.52 vs baseline 0.41" */
static void cohorts(const struct evidence *e, struct turn *t)
{
    const struct gauge_own *o = e->own;
    explain_add(t, "canary %.4g vs baseline %.4g", o->step.canary, o->step.baseline);
}

static void worse(const struct evidence *e, struct turn *t)
{
    if (sign(e) < 0)
        explain_add(t, ", lower by more than a factor of %g", e->metric->abort_over);
    else
        explain_add(t, ", more than %g times as much", e->metric->abort_over);
}

static void save(const struct evidence *e, struct arena *a, bool calibrating,
                 Serin__V1__MetricState *m, bool *bad)
{
    const struct gauge_own *o = e->own;
    (void)calibrating;
    m->batch = snapshot_batch(a, &o->batch, bad);
    m->moments = arena_alloc(a, 2 * sizeof o->all);
    if (m->moments == NULL) {
        *bad = true;
        return;
    }
    m->n_moments = 2 * (size_t)GAUGE_MOMENTS;
    memcpy(m->moments, &o->all, sizeof o->all);
    memcpy(m->moments + GAUGE_MOMENTS, &o->step, sizeof o->step);
}

static bool load(struct evidence *e, const Serin__V1__MetricState *m)
{
    struct gauge_own *o = e->own;
    if (m->n_moments != 2 * (size_t)GAUGE_MOMENTS) return false;
    for (size_t i = 0; i < m->n_moments; i++)
        if (!isfinite(m->moments[i])) return false;
    memcpy(&o->all, m->moments, sizeof o->all);
    memcpy(&o->step, m->moments + GAUGE_MOMENTS, sizeof o->step);
    return o->all.t >= 0 && o->all.t < 0x1p53 && o->step.t >= 0 && o->step.t < 0x1p53 &&
           snapshot_load_batch(&o->batch, m->batch);
}

const struct kind kind_gauge = {
    .content = KIND_UNITS,
    .size = sizeof(struct gauge_own),
    .effect = "ratio of means",
    .open = open,
    .reset = reset,
    .step = step,
    .window = window,
    .harm = harm,
    .limited = limited,
    .promote = promote,
    .restart = restart,
    .estimate = estimate,
    .limits = limits,
    .left = left,
    .phi = phi,
    .figures = figures,
    .cohorts = cohorts,
    .worse = worse,
    .save = save,
    .load = load,
};
