/* engine/core/figures.c */
#include "engine/core/figures.h"

#include <math.h>

#include "engine/core/experiment.h"
#include "engine/core/kind.h"
#include "engine/core/plan_keys.h"
#include "engine/core/strategy.h"
#include "stats/combine.h"
#include "stats/level.h"

enum { LIMITS_AGE_MS = 30000 };

static double rate(uint64_t bad, uint64_t n)
{
    return n != 0 ? (double)bad / (double)n : 0;
}

static pb_cohort_summary *cohort(struct arena *a, uint64_t n, uint64_t bad)
{
    pb_cohort_summary *c = arena_alloc(a, sizeof *c);
    if (c == NULL) return NULL;
    serin__v1__cohort_summary__init(c);
    c->n = n;
    c->bad = bad;
    c->rate = rate(bad, n);
    return c;
}

static void refresh_limits(const struct rollout *r, struct evidence *e, bool fresh,
                           int64_t now_ms)
{
    const struct plan *p = r->plan;
    if (!fresh && e->limits_ms != 0 &&
        !rollout_due(r, e->limits_ms, LIMITS_AGE_MS, now_ms))
        return;
    bool asked = e->metric->primary;
    double half = p->experiment.level / 2;
    e->kind->limits(e, asked ? half : p->alpha, asked ? half : e->metric->beta,
                    &e->lower, &e->upper);
    e->limits_ms = now_ms;
}

/* Every long healthy run has some excursion: only what is half way to an abort is
 * shown. */
static int64_t onset(const struct evidence *e, double harm, double threshold)
{
    int64_t ms = 0;
    return harm >= threshold / 2 && evidence_onset(e, &ms) > 0 ? ms : 0;
}

static pb_metric_verdict *metric(struct rollout *r, struct arena *a, size_t i)
{
    const struct evidence *e = &r->evidence.metrics[i];
    size_t step = r->step != 0 ? r->step - 1 : 0;
    struct evidence_values v;
    pb_metric_verdict *m = arena_alloc(a, sizeof *m);
    if (m == NULL) return NULL;
    serin__v1__metric_verdict__init(m);
    m->canary = cohort(a, e->counts.n, e->counts.x);
    m->baseline = cohort(a, e->counts.m, e->counts.y);
    if (m->canary == NULL || m->baseline == NULL) return NULL;
    evidence_values(&r->evidence, i, step, &v);
    m->name = (char *)e->metric->name;
    m->kind = (char *)plan_keys_kinds[e->metric->kind];
    m->estimate = e->kind->estimate(e);
    m->lower = e->lower;
    m->upper = e->upper;
    m->abort_log_e = v.abort;
    m->abort_threshold = level_threshold(r->plan->alpha);
    m->promote_log_e = v.promote;
    m->promote_threshold = level_threshold(e->metric->beta);
    m->restart_log_e = v.restart;
    m->worse_than = r->plan->steps[step].worse_than;
    m->dispersion = e->phi;
    m->abort_over = e->metric->abort_over;
    m->limit = e->metric->limit;
    m->limit_log_e = v.limit;
    m->protected_ = evidence_protected(e);
    m->onset_ms = onset(e, v.harm, m->abort_threshold);
    m->value_error = e->bounds_ratio > 1 ? e->bounds_ratio - 1 : 0;
    if (!experiment_figures(r->plan, e, a, m)) return NULL;
    return e->kind->figures == NULL || e->kind->figures(e, a, m) ? m : NULL;
}

/* e-BH: which of the metrics that may abort are worse, not just the strongest. */
static void flag(pb_metric_verdict **items, const struct rollout *r)
{
    double log_e[PLAN_MAX_METRICS] = {0};
    bool rejected[PLAN_MAX_METRICS] = {0};
    size_t at[PLAN_MAX_METRICS], n = 0, count;
    for (size_t i = 0; i < r->evidence.n; i++) {
        const struct evidence *e = &r->evidence.metrics[i];
        if (!evidence_gates(e) || e->metric->primary) continue;
        at[n] = i;
        log_e[n++] = items[i]->abort_log_e;
    }
    if (n == 0) return; /* nor is there a plan when the state is lost */
    if (combine_ebh(log_e, n, r->plan->alpha, rejected, &count) != SERIN_OK) return;
    for (size_t k = 0; k < n; k++)
        items[at[k]]->flagged = rejected[k];
}

enum serin_status figures_metrics(struct rollout *r, struct arena *a, bool fresh,
                                  int64_t now_ms, pb_metric_verdict ***out, size_t *n)
{
    pb_metric_verdict **items = arena_alloc(a, r->evidence.n * sizeof *items);
    if (items == NULL) return SERIN_ENOMEM;
    for (size_t i = 0; i < r->evidence.n; i++) {
        refresh_limits(r, &r->evidence.metrics[i], fresh, now_ms);
        items[i] = metric(r, a, i);
        if (items[i] == NULL) return SERIN_ENOMEM;
    }
    flag(items, r);
    *out = items;
    *n = r->evidence.n;
    return SERIN_OK;
}

enum serin_status figures_ratio(const struct rollout *r, struct arena *a,
                                pb_sample_ratio **out)
{
    *out = NULL;
    if (r->plan == NULL || !r->plan->srm_check || r->step == 0) return SERIN_OK;
    if (r->weight_bp != 0 ? !strategy_splits(r) : strategy_share(r) != 0)
        return SERIN_OK;
    pb_sample_ratio *s = arena_alloc(a, sizeof *s);
    if (s == NULL) return SERIN_ENOMEM;
    serin__v1__sample_ratio__init(s);
    s->canary = r->srm_canary;
    s->baseline = r->srm_baseline;
    s->expected = r->weight_bp / 10000.0;
    s->observed = rate(r->srm_canary, r->srm_canary + r->srm_baseline);
    s->log_e = srm_log_e(&r->srm);
    s->threshold = level_threshold(FIGURES_SRM_ALPHA);
    *out = s;
    return SERIN_OK;
}

double figures_observed_bp(const struct rollout *r)
{
    uint64_t all = r->srm_canary + r->srm_baseline;
    if (r->weight_bp != 0 ? !strategy_splits(r) : strategy_share(r) != 0)
        return -1; /* what is seen is no split */
    return all != 0 ? 10000 * rate(r->srm_canary, all) : -1;
}

static double seconds_left(const struct rollout *r, size_t i)
{
    const struct evidence *e = &r->evidence.metrics[i];
    size_t step = r->step - 1;
    double span_s = (double)(r->range.last_ms - r->range.first_ms) / 1000;
    double n = (double)e->counts.n, least = (double)r->plan->min_requests;
    if (e->kind->left == NULL || r->evidence.tolerance[step] < 0) return INFINITY;
    double evidence_s =
        e->kind->left(e, (size_t)r->evidence.tolerance[step],
                      r->plan->steps[step].worse_than, e->metric->beta, span_s);
    return n < least ? fmax(evidence_s, (least - n) * span_s / n) : evidence_s;
}

static int64_t watch_left(const struct rollout *r, int64_t now_ms)
{
    int64_t end_ms = r->began_ms + r->plan->steps[r->step - 1].watch_ms;
    return end_ms > now_ms ? end_ms - now_ms : 0;
}

/* At the latest: an answer may come at any time. */
static int64_t question_left(const struct rollout *r, int64_t now_ms)
{
    int64_t end_ms = r->began_ms + r->plan->experiment.duration_ms + r->extend_ms;
    return end_ms > now_ms ? end_ms - now_ms : 0;
}

int64_t figures_eta_ms(const struct rollout *r, int64_t now_ms)
{
    const double longest_s = 1e8;
    enum rollout_state s = rollout_under(r);
    /* Whoever is held has no end in sight. */
    if (r->plan == NULL || r->step == 0 || r->state == ROLLOUT_HELD || decide_final(s))
        return -1;
    if (s == ROLLOUT_WATCHING) return watch_left(r, now_ms);
    if (experiment_is(r)) return question_left(r, now_ms);
    if (s == ROLLOUT_OBSERVING && r->plan->steps[r->step - 1].kind == PLAN_STEP_PAUSE)
        return strategy_left(r, now_ms);
    if (s != ROLLOUT_OBSERVING || !(r->plan->steps[r->step - 1].worse_than > 1))
        return -1;
    double worst = 0;
    for (size_t i = 0; i < r->evidence.n; i++)
        if (evidence_protected(&r->evidence.metrics[i]))
            worst = fmax(worst, seconds_left(r, i));
    int64_t bake_ms = r->settle_ms + r->plan->steps[r->step - 1].bake_ms - now_ms;
    if (!(worst < longest_s)) return -1;
    int64_t ms = (int64_t)(worst * 1000);
    return ms > bake_ms ? ms : bake_ms;
}
