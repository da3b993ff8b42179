/* engine/core/evidence.c -- metrics are never multiplied: they are averaged for abort
 * and the least one counts for promote, so any dependence between them is allowed */
#include "engine/core/evidence.h"

#include <math.h>
#include <string.h>

#include "engine/base/mem.h"
#include "stats/combine.h"
#include "stats/elem.h"
#include "stats/level.h"
#include "stats/lse.h"

enum { HORIZON_LEAST = 720 }; /* windows: a short plan may still be held for long */

static size_t tolerances(struct evidence_set *s, const struct plan *p, double *w_s)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_steps; i++) {
        s->tolerance[i] = -1;
        if (!(p->steps[i].worse_than > 1)) continue;
        s->tolerance[i] = (int8_t)n;
        w_s[n++] = p->steps[i].worse_than;
    }
    return n;
}

/* The tolerance of a latency is on its values: its levels are judged from 1 on. */
static double odds_over(const struct plan_metric *m)
{
    return m->kind == PLAN_RATIO ? m->abort_over : 1;
}

static enum serin_status grid_for(struct evidence_set *s, const struct plan_metric *m,
                                  const double *w_s, size_t n_s, struct evidence *e,
                                  struct fault *why)
{
    double w_a = odds_over(m);
    for (size_t i = 0; i < s->n_grids; i++) {
        e->grid = &s->grids[i];
        if (s->grids[i].w[s->grids[i].ja] == w_a) return SERIN_OK;
        if (fabs(s->grids[i].theta[s->grids[i].ja] - elem_log(w_a)) < 1e-12)
            return SERIN_OK;
    }
    struct grid *g = &s->grids[s->n_grids];
    enum serin_status rc = grid_init(g, w_a, w_s, n_s);
    if (rc != SERIN_OK && m->mode != PLAN_GATE) /* it decides nothing */
        rc = grid_init(g, 1, w_s, n_s);
    if (rc != SERIN_OK)
        return fault_set(
            why, SERIN_EDOM,
            "metric %s: abort_over %g with these worse_than cannot decide: "
            "every worse_than has to be above it and at most 90, and it has "
            "to be 1 to 50; lower abort_over or raise worse_than",
            m->name, m->abort_over);
    s->n_grids++;
    e->grid = g;
    return SERIN_OK;
}

static enum serin_status bounds(struct evidence *e, struct fault *why)
{
    const struct plan_metric *m = e->metric;
    if (m->floor > 0 && floor_init(&e->floor, m->floor) != SERIN_OK)
        return fault_set(why, SERIN_EDOM, "metric %s: floor %g is outside (0, 1)",
                         m->name, m->floor);
    if (m->limit > 0 && floor_init(&e->limit, m->limit) != SERIN_OK)
        return fault_set(why, SERIN_EDOM, "metric %s: limit %g is outside (0, 1)",
                         m->name, m->limit);
    return SERIN_OK;
}

static enum serin_status judged(const struct plan_metric *m, struct fault *why)
{
    if (m->kind == PLAN_RATIO || m->kind == PLAN_LATENCY || m->mode != PLAN_GATE)
        return SERIN_OK;
    return fault_set(why, SERIN_EDOM,
                     "metric %s: only metrics of kind ratio and latency can gate a "
                     "rollout; use one of these, or mode: shadow to count it only",
                     m->name);
}

static enum serin_status room_for_latency(struct evidence *e, struct fault *why)
{
    if (e->metric->kind != PLAN_LATENCY) return SERIN_OK;
    e->latency = mem_calloc(1, sizeof *e->latency);
    if (e->latency == NULL)
        return fault_set(why, SERIN_ENOMEM, "out of memory for metric %s",
                         e->metric->name);
    return latency_init(e->latency, e->metric, why);
}

enum serin_status evidence_open(struct evidence_set *s, const struct plan *p,
                                struct fault *why)
{
    double w_s[PLAN_MAX_STEPS];
    *s = (struct evidence_set){.plan = p};
    size_t n_s = tolerances(s, p, w_s);
    s->metrics = mem_calloc(p->n_metrics, sizeof *s->metrics);
    s->grids = mem_calloc(p->n_metrics, sizeof *s->grids);
    enum serin_status rc = SERIN_OK;
    if (s->metrics == NULL || s->grids == NULL)
        rc =
            fault_set(why, SERIN_ENOMEM, "out of memory for %zu metrics", p->n_metrics);
    for (size_t i = 0; i < p->n_metrics && rc == SERIN_OK; i++) {
        struct evidence *e = &s->metrics[i];
        e->metric = &p->metrics[i];
        e->phi = e->metric->phi >= 1 ? e->metric->phi : 1;
        rc = judged(e->metric, why);
        if (rc == SERIN_OK) rc = grid_for(s, e->metric, w_s, n_s, e, why);
        if (rc == SERIN_OK) rc = bounds(e, why);
        s->n = i + 1; /* what evidence_close frees */
        if (rc == SERIN_OK) rc = room_for_latency(e, why);
    }
    if (rc != SERIN_OK) {
        evidence_close(s);
        return rc;
    }
    evidence_reset(s);
    evidence_horizon(s, 1000);
    return SERIN_OK;
}

void evidence_close(struct evidence_set *s)
{
    for (size_t i = 0; i < s->n; i++)
        mem_free(s->metrics[i].latency);
    mem_free(s->metrics);
    mem_free(s->grids);
    s->metrics = NULL;
    s->grids = NULL;
    s->n = s->n_grids = 0;
}

static void forget(struct floor *f)
{
    double d = f->d;
    if (d > 0 && floor_init(f, d) != SERIN_OK) f->d = 0; /* it was accepted before */
}

void evidence_reset(struct evidence_set *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct evidence *e = &s->metrics[i];
        profile_init(&e->all, true);
        memset(e->begun, 0, sizeof e->begun);
        e->begun_informative = 0;
        forget(&e->floor);
        forget(&e->limit);
        if (e->latency != NULL) latency_reset(e->latency);
        e->watch = (struct dispersion_watch){0};
        e->counts = (struct count_table){0};
        e->informative_ms = 0;
    }
}

void evidence_horizon(struct evidence_set *s, int64_t window_ms)
{
    int64_t run_ms = 0;
    for (size_t i = 0; i < s->plan->n_steps; i++)
        run_ms += s->plan->steps[i].timeout_ms + s->plan->steps[i].watch_ms;
    uint64_t windows = (uint64_t)(run_ms / window_ms) + 1;
    if (windows < HORIZON_LEAST) windows = HORIZON_LEAST;
    if (windows > HORIZON_MAX) windows = HORIZON_MAX;
    if (horizon_init(&s->horizon, windows) != SERIN_OK) s->horizon.windows = 0;
}

/* Rates may jump with the weight, and a pair of blocks across the jump would be taken
 * for bursts: what is open is dropped. */
static void cut_pairs(struct dispersion *d)
{
    for (size_t i = 0; i < DISPERSION_SCALES; i++) {
        struct dispersion_scale *b = &d->scale[i];
        b->open_y = b->open_m = b->open_windows = 0;
        b->last_y = b->last_m = 0;
        b->paired = false;
    }
}

void evidence_step(struct evidence_set *s, int64_t now_ms)
{
    for (size_t i = 0; i < s->n; i++) {
        struct evidence *e = &s->metrics[i];
        memcpy(e->begun, e->all.l, sizeof e->begun);
        e->begun_informative = e->all.informative;
        cut_pairs(&e->watch.seen);
        if (e->latency != NULL) latency_step(e->latency);
        e->counts = (struct count_table){0};
    }
    evidence_wait(s, now_ms);
}

void evidence_wait(struct evidence_set *s, int64_t now_ms)
{
    for (size_t i = 0; i < s->n; i++)
        for (int c = 0; c < 2; c++) {
            struct evidence *e = &s->metrics[i];
            if (e->seen_ms[c] < now_ms) e->seen_ms[c] = now_ms;
            e->since[c] = 0;
        }
}

bool evidence_gates(const struct evidence *e)
{
    return e->metric->mode == PLAN_GATE;
}

bool evidence_protected(const struct evidence *e)
{
    return e->metric->protected;
}

enum serin_status evidence_window(struct evidence_set *s, size_t metric,
                                  const struct count_table *strata, size_t n,
                                  int64_t end_ms)
{
    struct evidence *e = &s->metrics[metric];
    struct count_table sum = {0};
    double eta = 1 / e->phi;
    uint64_t before = e->all.informative;
    for (size_t i = 0; i < n; i++) {
        sum.n += strata[i].n, sum.x += strata[i].x;
        sum.m += strata[i].m, sum.y += strata[i].y;
    }
    enum serin_status rc =
        profile_window(&e->all, e->grid, &s->horizon, strata, n, eta);
    if (rc == SERIN_OK && e->floor.d > 0)
        rc = floor_window(&e->floor, &s->horizon, strata, n, eta);
    if (rc == SERIN_OK && e->limit.d > 0)
        rc = floor_window(&e->limit, &s->horizon, strata, n, eta);
    if (rc == SERIN_OK)
        rc = dispersion_watch_window(&e->watch, sum.x + sum.y, sum.n + sum.m, e->phi);
    if (rc != SERIN_OK) return rc;
    e->counts.n += sum.n, e->counts.x += sum.x;
    e->counts.m += sum.m, e->counts.y += sum.y;
    if (e->all.informative != before) e->informative_ms = end_ms;
    return SERIN_OK;
}

enum serin_status evidence_latency(struct evidence_set *s, size_t metric,
                                   const struct latency_stratum *strata, size_t n,
                                   int64_t end_ms)
{
    struct evidence *e = &s->metrics[metric];
    struct count_table watched;
    uint64_t before = latency_informative(e->latency);
    enum serin_status rc = latency_window(e->latency, e->grid, &s->horizon, strata, n,
                                          1 / e->phi, &watched);
    if (rc == SERIN_OK)
        rc = dispersion_watch_window(&e->watch, watched.y, watched.m, e->phi);
    if (rc != SERIN_OK) return rc;
    for (size_t i = 0; i < n; i++) {
        e->counts.n += hist_total(&strata[i].canary);
        e->counts.m += hist_total(&strata[i].baseline);
    }
    if (latency_informative(e->latency) == before) return SERIN_OK;
    e->all.informative++;
    e->informative_ms = end_ms;
    return SERIN_OK;
}

const struct profile *evidence_profile(const struct evidence *e)
{
    if (e->latency == NULL) return &e->all;
    return latency_profile(e->latency, latency_worst(e->latency, e->grid));
}

bool evidence_limited(const struct evidence *e)
{
    return e->latency != NULL ? latency_limited(e->latency) : e->limit.d > 0;
}

bool evidence_measured(const struct evidence *e, const struct calibrate *c,
                       int64_t fixed_ms, int64_t length_ms, bool settle_for,
                       double *phi)
{
    if (e->latency != NULL)
        return latency_phi(e->latency, fixed_ms, length_ms, settle_for, phi);
    return calibrate_phi(c, fixed_ms, length_ms, settle_for, phi);
}

static double relative(const struct evidence *e)
{
    if (e->latency != NULL) return latency_log_abort(e->latency, e->grid);
    double log_e = profile_log_abort(&e->all, e->grid);
    if (!(e->floor.d > 0) || isnan(log_e)) return log_e;
    double above = floor_log_abort(&e->floor);
    return above < log_e || isnan(above) ? above : log_e;
}

static void abort_values(const struct evidence *e, struct evidence_values *v)
{
    v->harm = relative(e);
    bool limited = evidence_limited(e);
    if (limited)
        v->limit = e->latency != NULL ? latency_log_limit(e->latency)
                                      : floor_log_abort(&e->limit);
    v->abort = limited ? lse_add(v->harm, v->limit) - elem_log(2) : v->harm;
}

/* The evidence of this step alone is a difference: l is a sum over windows. */
static double restarted(const struct evidence *e, size_t s)
{
    struct profile own;
    size_t before = s > 0 ? s - 1 : 0;
    if (e->latency != NULL) return latency_log_restart(e->latency, e->grid, before);
    profile_init(&own, false);
    for (size_t j = 0; j < e->grid->n; j++)
        own.l[j] = e->all.l[j] - e->begun[j];
    return profile_log_promote(&own, e->grid, before);
}

static double carried(const struct evidence *e, size_t s)
{
    if (e->latency != NULL) return latency_log_promote(e->latency, e->grid, s);
    return profile_log_promote(&e->all, e->grid, s);
}

void evidence_values(const struct evidence_set *s, size_t metric, size_t step,
                     struct evidence_values *v)
{
    const struct evidence *e = &s->metrics[metric];
    *v = (struct evidence_values){0};
    abort_values(e, v);
    if (step >= s->plan->n_steps || s->tolerance[step] < 0) return;
    size_t last = (size_t)s->tolerance[step];
    v->promote = INFINITY;
    for (size_t i = 0; i <= last; i++) {
        double log_e = carried(e, i);
        if (!(log_e >= v->promote)) v->promote = log_e; /* NaN stays */
        if (isnan(log_e)) break;
    }
    v->restart = restarted(e, last);
}

static bool within_limit(const struct evidence *e, const struct evidence_values *v,
                         double alpha)
{
    if (!evidence_limited(e)) return true;
    double rate = e->counts.n != 0 ? (double)e->counts.x / (double)e->counts.n : 0;
    bool now = e->latency != NULL ? latency_within(e->latency) : rate <= e->limit.d;
    return now && !level_crossed(v->limit, alpha) && isfinite(v->limit);
}

bool evidence_passes(const struct evidence_set *s, size_t metric, size_t step)
{
    const struct evidence *e = &s->metrics[metric];
    struct evidence_values v;
    if (evidence_informative(e) < EVIDENCE_INFORMATIVE) return false;
    if (e->counts.n < s->plan->min_requests || e->counts.n == 0 || e->counts.m == 0)
        return false;
    evidence_values(s, metric, step, &v);
    return isfinite(v.abort) && within_limit(e, &v, s->plan->alpha) &&
           level_crossed(v.promote, s->plan->beta) &&
           level_crossed(v.restart, s->plan->beta);
}

static size_t gating(const struct evidence_set *s, double *log_e, double *share,
                     size_t *index)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct evidence_values v;
        if (!evidence_gates(&s->metrics[i])) continue;
        abort_values(&s->metrics[i], &v);
        log_e[n] = v.abort;
        share[n] = s->metrics[i].metric->share;
        index[n++] = i;
    }
    return n;
}

double evidence_abort(const struct evidence_set *s)
{
    double log_e[PLAN_MAX_METRICS], share[PLAN_MAX_METRICS];
    size_t index[PLAN_MAX_METRICS];
    size_t n = gating(s, log_e, share, index);
    return combine_average(log_e, share, n);
}

int evidence_blame(const struct evidence_set *s, double alpha)
{
    double log_e[PLAN_MAX_METRICS], share[PLAN_MAX_METRICS], own[PLAN_MAX_METRICS];
    size_t index[PLAN_MAX_METRICS];
    size_t n = gating(s, log_e, share, index);
    int blamed = -1;
    if (n == 1) return level_crossed(log_e[0], alpha) ? (int)index[0] : -1;
    if (n == 0 || combine_closed(log_e, n, own) != SERIN_OK) return -1;
    for (size_t i = 0, best = 0; i < n; i++) {
        if (!level_crossed(own[i], alpha) || (blamed >= 0 && log_e[i] <= log_e[best]))
            continue;
        best = i;
        blamed = (int)index[i];
    }
    return blamed;
}

uint64_t evidence_informative(const struct evidence *e)
{
    return e->all.informative - e->begun_informative;
}

double evidence_phi(const struct evidence_set *s)
{
    double phi = 1;
    for (size_t i = 0; i < s->n; i++)
        if (s->metrics[i].phi > phi) phi = s->metrics[i].phi;
    return phi;
}
