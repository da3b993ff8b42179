/* engine/core/evidence.c -- metrics are never multiplied: they are averaged for abort
 * and the least one counts for promote, so any dependence between them is allowed */
#include "engine/core/evidence.h"

#include <math.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/core/kind.h"
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
    return m->kind == PLAN_LATENCY ? 1 : m->abort_over;
}

static enum serin_status grid_of_question(struct evidence_set *s, struct evidence *e,
                                          struct fault *why)
{
    double margin = s->plan->experiment.equivalent;
    struct grid *g = &s->grids[s->n_grids];
    if (grid_init_around(g, margin) != SERIN_OK)
        return fault_set(why, SERIN_EDOM,
                         "experiment.equivalent %g is outside [0.1%%, 100%%]", margin);
    s->n_grids++;
    e->grid = g;
    return SERIN_OK;
}

static enum serin_status grid_for(struct evidence_set *s, const struct plan_metric *m,
                                  const double *w_s, size_t n_s, struct evidence *e,
                                  struct fault *why)
{
    double w_a = odds_over(m);
    if (m->primary) return grid_of_question(s, e, why);
    for (size_t i = 0; i < s->n_grids; i++) {
        if (s->grids[i].jm != 0) continue;
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

static enum serin_status open_metric(struct evidence *e, struct fault *why)
{
    e->kind = kind_of(e->metric);
    e->phi = e->metric->phi >= 1 ? e->metric->phi : 1;
    bool per_user = e->metric->per == PLAN_PER_USER;
    if ((e->kind->size != 0 && (e->own = mem_calloc(1, e->kind->size)) == NULL) ||
        (per_user && (e->risk = mem_calloc(1, sizeof *e->risk)) == NULL))
        return fault_set(why, SERIN_ENOMEM, "out of memory for metric %s",
                         e->metric->name);
    return e->kind->open(e, why);
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
        e->plan = p;
        s->n = i + 1; /* what evidence_close frees */
        rc = grid_for(s, e->metric, w_s, n_s, e, why);
        if (rc == SERIN_OK) rc = open_metric(e, why);
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
    for (size_t i = 0; i < s->n; i++) {
        mem_free(s->metrics[i].own);
        if (s->metrics[i].risk != NULL) riskset_free(s->metrics[i].risk);
        mem_free(s->metrics[i].risk);
    }
    mem_free(s->metrics);
    mem_free(s->grids);
    s->metrics = NULL;
    s->grids = NULL;
    s->n = s->n_grids = 0;
}

void evidence_reset(struct evidence_set *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct evidence *e = &s->metrics[i];
        profile_init(&e->all, true);
        onset_init(&e->onset);
        memset(e->begun, 0, sizeof e->begun);
        e->begun_informative = 0;
        e->kind->reset(e);
        if (e->risk != NULL) profile_init(&e->risk->away, false);
        e->watch = (struct dispersion_watch){0};
        e->counts = (struct count_table){0};
        e->informative_ms = 0;
    }
}

void evidence_horizon(struct evidence_set *s, int64_t window_ms)
{
    int64_t run_ms = 0;
    for (size_t i = 0; i < s->plan->n_steps; i++)
        run_ms += s->plan->steps[i].timeout_ms + s->plan->steps[i].watch_ms +
                  s->plan->steps[i].pause_ms;
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
        e->begun_informative = e->all.informative;
        cut_pairs(&e->watch.seen);
        e->kind->step(e);
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
            if (e->risk != NULL) riskset_wait(e->risk);
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
                                  const struct kind_window *w)
{
    struct evidence *e = &s->metrics[metric];
    struct kind_news news = {.counted = w->sum, .watched = w->spread};
    double before[GRID_MAX];
    memcpy(before, e->all.l, sizeof before);
    enum serin_status rc = e->kind->window(e, &s->horizon, w, &news);
    if (rc == SERIN_OK)
        rc = dispersion_watch_window(&e->watch, news.watched.x + news.watched.y,
                                     news.watched.n + news.watched.m, e->phi, e->pool);
    if (rc != SERIN_OK) return rc;
    size_t ja = e->grid->ja;
    onset_window(&e->onset, before, e->all.l, e->grid->n, e->all.l[ja] - before[ja],
                 (uint32_t)(w->start_ms / 1000));
    e->counts.n += news.counted.n, e->counts.x += news.counted.x;
    e->counts.m += news.counted.m, e->counts.y += news.counted.y;
    if (news.informed) e->informative_ms = w->end_ms;
    return SERIN_OK;
}

static void abort_values(const struct evidence *e, struct evidence_values *v)
{
    bool limited = e->kind->limited(e);
    if (e->metric->primary) return; /* E = 1: it may well get worse */
    v->harm = e->kind->harm(e);
    if (limited) v->limit = e->kind->limit(e);
    v->abort = limited ? lse_add(v->harm, v->limit) - elem_log(2) : v->harm;
}

enum serin_status evidence_returns(struct evidence_set *s, size_t metric)
{
    const struct evidence *e = &s->metrics[metric];
    const struct count_table *t = &e->risk->stayed_away;
    if (t->n == 0 || t->m == 0) return SERIN_OK;
    return profile_window(&e->risk->away, e->grid, &s->horizon, t, 1, 1 / e->phi);
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
        double log_e = e->kind->promote(e, i);
        if (!(log_e >= v->promote)) v->promote = log_e; /* NaN stays */
        if (isnan(log_e)) break;
    }
    v->restart = e->kind->restart(e, last > 0 ? last - 1 : 0);
}

static bool within_limit(const struct evidence *e, const struct evidence_values *v,
                         double alpha)
{
    return !e->kind->limited(e) || (e->kind->within(e) && isfinite(v->limit) &&
                                    !level_crossed(v->limit, alpha));
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
           level_crossed(v.promote, e->metric->beta) &&
           level_crossed(v.restart, e->metric->beta);
}

bool evidence_any_passes(const struct evidence_set *s, size_t step)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->metrics[i].metric->any && evidence_passes(s, i, step)) return true;
    return false;
}

bool evidence_all_pass(const struct evidence_set *s, size_t step)
{
    bool one_of = s->plan->any_metrics != 0 && s->plan->any_checks == 0;
    size_t needed = one_of;
    for (size_t i = 0; i < s->n; i++) {
        const struct evidence *e = &s->metrics[i];
        if (!evidence_protected(e) || e->metric->any) continue;
        needed++;
        if (!evidence_passes(s, i, step)) return false;
    }
    return needed > 0 && (!one_of || evidence_any_passes(s, step));
}

bool evidence_alone(const struct evidence_set *s, size_t metric)
{
    const struct evidence *e = &s->metrics[metric];
    struct evidence_values v = {0};
    abort_values(e, &v);
    return e->counts.n != 0 && e->counts.n >= s->plan->min_requests &&
           isfinite(v.abort) && within_limit(e, &v, s->plan->alpha);
}

static size_t gating(const struct evidence_set *s, double *log_e, double *share,
                     size_t *index)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct evidence_values v;
        if (!evidence_gates(&s->metrics[i]) || s->metrics[i].metric->primary) continue;
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

bool evidence_sparse(const struct evidence *e)
{
    return e->kind->content == KIND_EVENTS && e->metric->exposure_metric < 0;
}

double evidence_units(const struct evidence_set *s)
{
    double most = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct evidence *e = &s->metrics[i];
        double units = (double)(e->counts.n + e->counts.m);
        if (evidence_protected(e) && !evidence_sparse(e) && units > most) most = units;
    }
    return most;
}

bool evidence_bounds_differ(const struct evidence *e)
{
    return e->bounds_apart >= EVIDENCE_BOUNDS_APART;
}

bool evidence_suspicious(const struct evidence *e)
{
    return evidence_gates(e) && !e->accepted && e->kind->too_good != NULL &&
           level_crossed(e->kind->too_good(e), EVIDENCE_TOO_GOOD);
}

double evidence_onset(const struct evidence *e, int64_t *ms)
{
    uint32_t s = 0;
    double most = e->kind->onset != NULL
                      ? e->kind->onset(e, &s)
                      : onset_estimate(&e->onset, e->grid->ja + 1, e->grid->n, &s);
    if (most > 0) *ms = (int64_t)s * 1000;
    return most;
}

double evidence_phi(const struct evidence_set *s)
{
    double phi = 1;
    for (size_t i = 0; i < s->n; i++)
        if (s->metrics[i].phi > phi) phi = s->metrics[i].phi;
    return phi;
}
