/* engine/core/latency.c */
#include "engine/core/latency.h"

#include <math.h>
#include <string.h>

#include "engine/core/plan_keys.h"
#include "engine/core/rollout.h"
#include "stats/combine.h"
#include "stats/forecast.h"
#include "stats/level.h"

enum { LEVELS = EXCEEDANCE_LEVELS };

static const double TOLD = 0.05; /* of both directions: faster is worth a word */

_Static_assert((int)PLAN_NQUANTILE == (int)LEVELS, "a plan's quantiles are the levels");

const char *latency_level_name(int level)
{
    return plan_keys_quantiles[level];
}

static int level_of(const char *name)
{
    for (int q = 0; q < LEVELS; q++)
        if (strcmp(plan_keys_quantiles[q], name) == 0) return q;
    return -1;
}

enum serin_status latency_init(struct latency *l, const struct plan_metric *m,
                               struct fault *why)
{
    memset(l, 0, sizeof *l);
    l->metric = m;
    l->allows = m->abort_over > 1;
    l->protects[PLAN_P50] = l->protects[PLAN_P90] = l->protects[PLAN_P99] =
        m->n_protect == 0;
    for (size_t i = 0; i < m->n_protect; i++) {
        int q = level_of(m->protect[i]);
        if (q < 0)
            return fault_set(why, SERIN_EDOM,
                             "metric %s: protect: \"%s\" is none of p50, p75, p90, "
                             "p95, p99, p999",
                             m->name, m->protect[i]);
        l->protects[q] = true;
    }
    while (!l->protects[l->first])
        l->first++;
    l->last = LEVELS - 1;
    while (!l->protects[l->last])
        l->last--;
    for (int q = 0; q < LEVELS; q++)
        if (m->limit_ms[q] > 0 &&
            floor_init(&l->limits[q], 1 - exceedance_levels[q]) != SERIN_OK)
            return fault_set(why, SERIN_EDOM, "metric %s: its limits cannot be judged",
                             m->name);
    exceedance_init(&l->past);
    latency_reset(l);
    return SERIN_OK;
}

static void clear_step(struct latency *l)
{
    for (int c = 0; c < 2; c++)
        if (hist_init(&l->step[c], HIST_SCALE) != SERIN_OK) l->step[c].n = 0;
}

void latency_reset(struct latency *l)
{
    mann_whitney_init(&l->ranks);
    for (int q = 0; q <= LEVELS; q++)
        onset_init(&l->onset[q]);
    for (int i = 0; i < 2; i++)
        profile_init(&l->fast[i], true);
    for (int q = 0; q < LEVELS; q++) {
        double d = l->limits[q].d;
        profile_init(&l->levels[q], true);
        profile_init(&l->allowed[q], false);
        if (d > 0 && floor_init(&l->limits[q], d) != SERIN_OK) l->limits[q].d = 0;
    }
    memset(l->begun, 0, sizeof l->begun);
    clear_step(l);
}

const struct profile *latency_profile(const struct latency *l, int level)
{
    return l->allows ? &l->allowed[level] : &l->levels[level];
}

void latency_step(struct latency *l)
{
    for (int q = 0; q < LEVELS; q++)
        memcpy(l->begun[q], latency_profile(l, q)->l, sizeof l->begun[q]);
    clear_step(l);
}

/* ---- bounds that are far apart */
/* A value counts as the upper bound of its bucket in the source, so it may be less by
 * l->ratio. Cohorts without a tolerance are compared at the bounds, where the counts
 * are exact. A tolerance falls between two bounds: to be beyond it for sure, a value
 * must be beyond the next one. */
static double widest(const struct latency *l)
{
    return l->ratio > 1 ? l->ratio : 1;
}

static enum serin_status shifts(const struct latency *l, int scale, int32_t *down,
                                int32_t *up)
{
    int32_t unused;
    double over = l->metric->abort_over;
    enum serin_status rc = hist_shift(scale, over - 1, down, up);
    if (rc == SERIN_OK && l->allows)
        rc = hist_shift(scale, over * widest(l) - 1, &unused, up);
    return rc;
}

/* Beyond the limit for sure. */
static double surely(const struct latency *l, int q)
{
    return (double)l->metric->limit_ms[q] * widest(l);
}

/* ---- a window */
struct window {
    const struct latency_stratum *strata;
    size_t n;
    int scale; /* the one at which all of it is compared */
    uint32_t start_s;
    int32_t down, up;    /* the tolerance on values in buckets of it */
    int32_t fast;        /* canary values are slowed down by so many, faster even so? */
    struct hist both[2]; /* all strata together */
};

/* Everything is brought to one scale, the past included. */
static enum serin_status merge(struct latency *l, struct window *w)
{
    bool both = l->metric->direction == PLAN_BOTH;
    w->scale = l->past.scale;
    if (hist_init(&w->both[0], HIST_SCALE) != SERIN_OK ||
        hist_init(&w->both[1], HIST_SCALE) != SERIN_OK)
        return SERIN_EDOM;
    for (size_t i = 0; i < w->n; i++)
        if (hist_merge(&w->both[0], &w->strata[i].canary) != SERIN_OK ||
            hist_merge(&w->both[1], &w->strata[i].baseline) != SERIN_OK)
            return SERIN_EDOM;
    for (int c = 0; c < 2; c++)
        if (w->both[c].scale < w->scale) w->scale = w->both[c].scale;
    int32_t floor = 0;
    double slower = widest(l) / (1 - l->metric->too_good) - 1;
    if (hist_shift(w->scale, slower, &floor, &w->fast) != SERIN_OK ||
        shifts(l, w->scale, &w->down, &w->up) != SERIN_OK)
        return SERIN_EDOM;
    if (both) w->fast = w->up;
    return SERIN_OK;
}

/* Thresholds of this window, then its baseline joins the past. SERIN_AGAIN: none yet.
 */
static enum serin_status thresholds(struct latency *l, const struct window *w)
{
    struct count_table unused[LEVELS];
    struct hist_view c = hist_view(&w->both[0]), b = hist_view(&w->both[1]);
    enum serin_status rc = exceedance_window(&l->past, &c, &b, 0, unused, NULL);
    if (rc != SERIN_OK || l->has_fixed) return rc;
    memcpy(l->fixed, l->past.bucket, sizeof l->fixed);
    l->fixed_scale = w->scale;
    l->has_fixed = true;
    return rc;
}

static void tables(const struct window *w, int32_t bucket, int32_t shift,
                   struct count_table *out)
{
    for (size_t i = 0; i < w->n; i++) {
        const struct latency_stratum *s = &w->strata[i];
        out[i] = (struct count_table){
            .n = hist_total(&s->canary),
            .x = exceedance_above(&s->canary, w->scale, bucket, shift),
            .m = hist_total(&s->baseline),
            .y = exceedance_above(&s->baseline, w->scale, bucket, 0)};
    }
}

/* The opposite question: is the canary, its values slowed down by the tolerance,
 * exceeded by the baseline? */
static void tables_turned(const struct window *w, int32_t bucket, int32_t shift,
                          struct count_table *out)
{
    tables(w, bucket, -shift, out);
    for (size_t k = 0; k < w->n; k++) {
        struct count_table was = out[k];
        out[k] = (struct count_table){was.m, was.y, was.n, was.x};
    }
}

static bool falls(const struct latency *l)
{
    return l->metric->direction == PLAN_DOWN;
}

static enum serin_status fold_levels(struct latency *l, const struct grid *g,
                                     const struct horizon *h, const struct window *w,
                                     bool ready, double eta)
{
    struct count_table t[ROLLOUT_STRATA + 1];
    size_t n = ready ? w->n : 0;
    void (*ask)(const struct window *, int32_t, int32_t, struct count_table *) =
        falls(l) ? tables_turned : tables;
    enum serin_status rc = SERIN_OK;
    for (int q = 0; q < LEVELS && rc == SERIN_OK; q++) {
        double before[GRID_MAX];
        memcpy(before, l->levels[q].l, sizeof before);
        if (ready) ask(w, l->past.bucket[q], w->up, t);
        rc = profile_window(&l->levels[q], g, h, t, n, eta);
        onset_window(&l->onset[q], before, l->levels[q].l, g->n,
                     l->levels[q].l[g->ja] - before[g->ja], w->start_s);
        if (rc != SERIN_OK || !l->allows) continue;
        if (ready) ask(w, l->past.bucket[q], w->down, t);
        rc = profile_window(&l->allowed[q], g, h, t, n, eta);
    }
    return rc;
}

/* Beside `up`, faster: by more than is still good, or, where both directions are harm,
 * by more than the tolerance. */
static enum serin_status fold_fast(struct latency *l, const struct grid *g,
                                   const struct horizon *h, const struct window *w,
                                   bool ready, double eta)
{
    struct count_table t[ROLLOUT_STRATA + 1];
    size_t n = ready ? w->n : 0;
    enum serin_status rc = SERIN_OK;
    for (int i = 0; i < 2 && !falls(l) && rc == SERIN_OK; i++) {
        int q = i == 0 ? l->first : l->last;
        if (ready) tables_turned(w, l->past.bucket[q], w->fast, t);
        rc = profile_window(&l->fast[i], g, h, t, n, eta);
    }
    return rc;
}

static enum serin_status fold_ranks(struct latency *l, const struct horizon *h,
                                    const struct window *w, double eta)
{
    struct mann_whitney_ranks ranks[ROLLOUT_STRATA + 1];
    for (size_t i = 0; i < w->n; i++) {
        const struct latency_stratum *s = &w->strata[i];
        int scale =
            s->canary.scale < s->baseline.scale ? s->canary.scale : s->baseline.scale;
        int32_t down = 0, up = 0; /* the ranks are taken at this scale */
        enum serin_status rc = shifts(l, scale, &down, &up);
        if (rc == SERIN_OK)
            rc = falls(l) ? mann_whitney_ranks(&s->baseline, &s->canary, up, &ranks[i])
                          : mann_whitney_ranks(&s->canary, &s->baseline, up, &ranks[i]);
        if (rc != SERIN_OK) return rc;
    }
    double before[MANN_WHITNEY_POINTS];
    memcpy(before, l->ranks.l, sizeof before);
    enum serin_status rc = mann_whitney_strata(&l->ranks, h, ranks, w->n, eta);
    onset_window(&l->onset[LEVELS], before, l->ranks.l, MANN_WHITNEY_POINTS, 0,
                 w->start_s);
    return rc;
}

static enum serin_status fold_limits(struct latency *l, const struct horizon *h,
                                     const struct window *w, double eta)
{
    struct count_table t[ROLLOUT_STRATA + 1] = {0};
    enum serin_status rc = SERIN_OK;
    for (int q = 0; q < LEVELS && rc == SERIN_OK; q++) {
        if (!(l->limits[q].d > 0)) continue;
        for (size_t i = 0; i < w->n; i++) {
            t[i].n = hist_total(&w->strata[i].canary);
            t[i].x = hist_above(&w->strata[i].canary, surely(l, q));
        }
        rc = floor_window(&l->limits[q], h, t, w->n, eta);
    }
    return rc;
}

/* Values above a fixed threshold, which a coarser scale moves to its next edge. */
static uint64_t beyond_fixed(const struct latency *l, int q, const struct hist *h)
{
    struct hist_view v = hist_view(h);
    int scale = v.scale < l->fixed_scale ? v.scale : l->fixed_scale;
    int32_t b = l->fixed[q];
    if (b != EXCEEDANCE_ZERO) b >>= l->fixed_scale - scale;
    return exceedance_above(&v, scale, b, 0);
}

enum serin_status latency_window(struct latency *l, const struct grid *g,
                                 const struct horizon *h,
                                 const struct latency_stratum *strata, size_t n,
                                 double eta, uint32_t start_s,
                                 struct count_table *watched)
{
    struct window w = {.strata = strata, .n = n, .start_s = start_s};
    *watched = (struct count_table){0};
    enum serin_status rc = merge(l, &w);
    if (rc == SERIN_OK) rc = thresholds(l, &w);
    bool ready = rc == SERIN_OK;
    if (rc == SERIN_AGAIN) rc = SERIN_OK;
    if (rc == SERIN_OK) rc = fold_levels(l, g, h, &w, ready, eta);
    if (rc == SERIN_OK) rc = fold_fast(l, g, h, &w, ready, eta);
    if (rc == SERIN_OK) rc = fold_ranks(l, h, &w, eta);
    if (rc == SERIN_OK) rc = fold_limits(l, h, &w, eta);
    for (int c = 0; c < 2 && rc == SERIN_OK; c++) {
        struct hist_view v = hist_view(&w.both[c]);
        rc = hist_merge(&l->step[c], &v);
        if (!l->has_fixed) continue;
        watched->m += w.both[c].total;
        watched->y += beyond_fixed(l, l->last, &w.both[c]);
    }
    return rc;
}

/* ---- what it says */
double latency_onset(const struct latency *l, const struct grid *g, uint32_t *s)
{
    double most = onset_estimate(&l->onset[LEVELS], 0, MANN_WHITNEY_POINTS, s);
    if (l->metric->direction == PLAN_BOTH && latency_faster(l, g)) return 0;
    for (int q = 0; q < LEVELS; q++) {
        uint32_t at = 0;
        double one = onset_estimate(&l->onset[q], g->ja + 1, g->n, &at);
        if (!(one > most)) continue;
        most = one;
        *s = at;
    }
    return most;
}

uint64_t latency_informative(const struct latency *l)
{
    uint64_t most = 0;
    for (int q = 0; q < LEVELS; q++)
        if (l->levels[q].informative > most) most = l->levels[q].informative;
    return most;
}

static double log_main(const struct latency *l, const struct grid *g)
{
    double log_e[LEVELS];
    for (int q = 0; q < LEVELS; q++)
        log_e[q] = profile_log_abort(&l->levels[q], g);
    return exceedance_combo(mann_whitney_log_abort(&l->ranks), log_e);
}

double latency_log_abort(const struct latency *l, const struct grid *g)
{
    double half[2] = {log_main(l, g)};
    if (l->metric->direction != PLAN_BOTH) return half[0];
    half[1] = latency_log_fast(l, g);
    return combine_average(half, NULL, 2);
}

bool latency_faster(const struct latency *l, const struct grid *g)
{
    if (l->metric->direction != PLAN_BOTH) return falls(l);
    double log_e = latency_log_fast(l, g);
    return level_crossed(log_e, TOLD) && log_e > log_main(l, g);
}

double latency_log_fast(const struct latency *l, const struct grid *g)
{
    double log_e[2];
    for (int i = 0; i < 2; i++)
        log_e[i] = profile_log_abort(&l->fast[i], g);
    return combine_average(log_e, NULL, 2);
}

int latency_fastest(const struct latency *l, const struct grid *g)
{
    return profile_log_abort(&l->fast[1], g) > profile_log_abort(&l->fast[0], g)
               ? l->last
               : l->first;
}

bool latency_limited(const struct latency *l)
{
    return latency_beyond(l) >= 0;
}

int latency_beyond(const struct latency *l)
{
    int at = -1;
    double most = 0;
    for (int q = 0; q < LEVELS; q++) {
        if (!(l->limits[q].d > 0)) continue;
        double log_e = floor_log_abort(&l->limits[q]);
        if (at >= 0 && !(log_e > most)) continue;
        most = log_e;
        at = q;
    }
    return at;
}

double latency_log_limit(const struct latency *l)
{
    double log_e[LEVELS];
    size_t n = 0;
    for (int q = 0; q < LEVELS; q++)
        if (l->limits[q].d > 0) log_e[n++] = floor_log_abort(&l->limits[q]);
    return n != 0 ? combine_average(log_e, NULL, n) : 0;
}

bool latency_within(const struct latency *l)
{
    struct hist_view v = hist_view(&l->step[0]);
    for (int q = 0; q < LEVELS; q++) {
        if (!(l->limits[q].d > 0)) continue;
        uint64_t above = hist_above(&v, (double)l->metric->limit_ms[q]);
        if ((double)above > l->limits[q].d * (double)l->step[0].total) return false;
    }
    return true;
}

/* Of one level; own: from this step's windows only. */
static double promote_at(const struct latency *l, const struct grid *g, int q, size_t s,
                         bool own)
{
    struct profile p = *latency_profile(l, q);
    for (size_t j = 0; own && j < g->n; j++)
        p.l[j] -= l->begun[q][j];
    return profile_log_promote(&p, g, s);
}

static double least(const struct latency *l, const struct grid *g, size_t s, bool own)
{
    double min = INFINITY;
    for (int q = 0; q < LEVELS; q++) {
        if (!l->protects[q]) continue;
        double log_e = promote_at(l, g, q, s, own);
        if (isnan(log_e)) return log_e;
        if (log_e < min) min = log_e;
    }
    return min;
}

double latency_log_promote(const struct latency *l, const struct grid *g, size_t s)
{
    return least(l, g, s, false);
}

double latency_log_restart(const struct latency *l, const struct grid *g, size_t s)
{
    return least(l, g, s, true);
}

/* This step's values of a cohort beyond the threshold of the next window. */
static double beyond_now(const struct latency *l, int q, int cohort)
{
    struct hist_view v = hist_view(&l->step[cohort]);
    int scale = v.scale < l->past.scale ? v.scale : l->past.scale;
    int32_t b = exceedance_threshold(&l->past, exceedance_levels[q]);
    if (b != EXCEEDANCE_ZERO) b >>= l->past.scale - scale;
    return (double)exceedance_above(&v, scale, b, 0);
}

double latency_left(const struct latency *l, const struct grid *g, size_t s, double w_s,
                    double beta, double span_s, double eta)
{
    double n = (double)l->step[falls(l)].total, most = 0;
    double all = (double)l->step[0].total + (double)l->step[1].total;
    if (!(n > 0 && all > n && span_s > 0) || !l->has_fixed) return INFINITY;
    for (int q = 0; q < LEVELS; q++) {
        if (!l->protects[q]) continue;
        double share = (beyond_now(l, q, 0) + beyond_now(l, q, 1)) / all;
        double log_e = fmin(promote_at(l, g, q, s, false),
                            promote_at(l, g, q, s > 0 ? s - 1 : 0, true));
        double speed =
            share > 0 && share < 1 ? forecast_promote_share(share, n / all, w_s) : 0;
        most = fmax(most, forecast_seconds(beta, log_e, speed, all / span_s, eta));
    }
    return most;
}

int latency_worst(const struct latency *l, const struct grid *g)
{
    int worst = l->first;
    double most = -INFINITY;
    if (l->metric->direction == PLAN_BOTH && latency_faster(l, g))
        return latency_fastest(l, g);
    for (int q = 0; q < LEVELS; q++) {
        if (!l->protects[q]) continue;
        double theta = profile_estimate(latency_profile(l, q), g);
        if (!(theta > most)) continue;
        most = theta;
        worst = q;
    }
    return worst;
}

double latency_quantile(const struct latency *l, int cohort, double q)
{
    struct hist_view v = hist_view(&l->step[cohort]);
    return l->step[cohort].total != 0 ? hist_quantile(&v, q) : 0;
}

double latency_over(const struct latency *l)
{
    int32_t down = 0, up = 0;
    int scale = l->past.scale < HIST_SCALE ? l->past.scale : HIST_SCALE;
    if (hist_shift(scale, l->metric->abort_over - 1, &down, &up) != SERIN_OK)
        return l->metric->abort_over;
    return 1 + hist_shift_effect(scale, up);
}

/* ---- before the first weight */
enum serin_status latency_calibrate(struct latency *l, int64_t fixed_ms,
                                    int64_t start_ms,
                                    const struct latency_stratum *strata, size_t n)
{
    struct window w = {.strata = strata, .n = n};
    bool known = l->has_fixed;
    enum serin_status rc = merge(l, &w);
    if (rc == SERIN_OK) rc = thresholds(l, &w);
    if (rc == SERIN_AGAIN) rc = SERIN_OK;
    for (int q = 0; known && q < LEVELS && rc == SERIN_OK; q++)
        if (l->protects[q])
            rc = calibrate_window(&l->calibrate[q], fixed_ms, start_ms,
                                  beyond_fixed(l, q, &w.both[1]), w.both[1].total);
    return rc;
}

bool latency_phi(const struct latency *l, int64_t fixed_ms, int64_t length_ms,
                 bool settle_for, double *phi)
{
    double most = 1, one;
    for (int q = 0; q < LEVELS; q++) {
        if (!l->protects[q]) continue;
        if (!calibrate_phi(&l->calibrate[q], fixed_ms, length_ms, settle_for, &one))
            return false;
        if (one > most) most = one;
    }
    *phi = most;
    return true;
}

struct dispersion_pool latency_pool(const struct latency *l, int64_t fixed_ms,
                                    int64_t length_ms)
{
    struct dispersion_pool pool = {1, 0};
    double most = 0, one;
    for (int q = 0; q < LEVELS; q++) {
        if (!l->protects[q] ||
            !calibrate_phi(&l->calibrate[q], fixed_ms, length_ms, true, &one) ||
            !(one > most))
            continue;
        most = one;
        pool = calibrate_pool(&l->calibrate[q], fixed_ms, length_ms);
    }
    return pool;
}
