/* engine/core/experiment.c */
#include "engine/core/experiment.h"

#include "engine/core/explain.h"
#include "engine/core/kind.h"
#include "engine/core/plan_keys.h"
#include "stats/elem.h"
#include "stats/level.h"

bool experiment_is(const struct rollout *r)
{
    return r->plan != NULL && r->plan->strategy == PLAN_EXPERIMENT;
}

/* The plan has exactly one. */
static const struct evidence *primary(const struct rollout *r)
{
    size_t i = 0;
    while (!r->evidence.metrics[i].metric->primary)
        i++;
    return &r->evidence.metrics[i];
}

/* What has to be ruled out for an answer: log e-values, each of a one-sided null. */
struct sides {
    double more, less;   /* "w <= 1", "w >= 1" */
    double below, above; /* "w >= 1 + m", "w <= 1/(1 + m)" */
};

static struct sides sides_of(const struct evidence *e)
{
    const struct profile *p = e->kind->profile(e);
    const struct grid *g = e->grid;
    return (struct sides){
        profile_log_above(p, g, g->j0), profile_log_below(p, g, g->j0),
        profile_log_below(p, g, g->js[0]), profile_log_above(p, g, g->jm)};
}

/* The limits of w say what the canary is. */
static enum rollout_result by_limits(const struct plan_experiment *x,
                                     const struct grid *g, double lower, double upper)
{
    bool up = x->better == PLAN_UP;
    if (lower >= 1) return up ? RESULT_WIN : RESULT_LOSE;
    if (upper <= 1) return up ? RESULT_LOSE : RESULT_WIN;
    return lower >= g->w[g->jm] && upper <= g->w[g->js[0]] ? RESULT_NO_DIFFERENCE
                                                           : RESULT_NONE;
}

enum rollout_result experiment_answer(const struct rollout *r)
{
    return experiment_decide(r->plan, primary(r));
}

enum rollout_result experiment_decide(const struct plan *p, const struct evidence *e)
{
    const struct plan_experiment *x = &p->experiment;
    double level = x->level / 2, lower, upper;
    if (e->counts.n == 0 || e->counts.n < p->min_requests) return RESULT_NONE;
    /* Limits are dear; without one of these they cannot decide. */
    struct sides s = sides_of(e);
    if (!level_crossed(s.more, level) && !level_crossed(s.less, level) &&
        !(level_crossed(s.below, level) && level_crossed(s.above, level)))
        return RESULT_NONE;
    e->kind->limits(e, level, level, &lower, &upper);
    return by_limits(x, e->grid, lower, upper);
}

static const char *const endings[RESULT_N][2] = {
    [RESULT_WIN] = {"better", "1 is ruled out: the canary is better"},
    [RESULT_LOSE] = {"worse", "1 is ruled out: the canary is worse"},
    [RESULT_NO_DIFFERENCE] = {"equivalent", "no difference that matters"},
};

static void tell(const struct rollout *r, struct turn *t)
{
    const struct plan_experiment *x = &r->plan->experiment;
    const struct evidence *e = primary(r);
    double lower, upper;
    e->kind->limits(e, x->level / 2, x->level / 2, &lower, &upper);
    t->metric = e->metric->name;
    explain_add(t, "%s at %g %%: ", e->metric->name, r->weight_bp / 100.0);
    e->kind->cohorts(e, t);
    explain_add(t, "; %s %.4g, between %.4g and %.4g at any time (level %g)",
                e->kind->effect, e->kind->estimate(e), lower, upper, x->level);
    if (e->phi > 1) explain_add(t, "; dispersion %.3g", e->phi);
}

bool experiment_ends(const struct rollout *r, int64_t now_ms, struct turn *t)
{
    const struct plan_experiment *x = &r->plan->experiment;
    bool over = now_ms - r->began_ms >= x->duration_ms + r->extend_ms;
    char span[24];
    if (r->answer == RESULT_NONE && !over) return false;
    t->result = r->answer != RESULT_NONE ? r->answer : RESULT_NO_DIFFERENCE;
    if (!x->keep || t->result == RESULT_LOSE) t->to_bp = 0;
    tell(r, t);
    if (r->answer != RESULT_NONE) {
        t->reason = endings[r->answer][0];
        explain_add(t, "; %s", endings[r->answer][1]);
        if (r->answer == RESULT_NO_DIFFERENCE)
            explain_add(t, ", all of it is within %.4g and %.4g",
                        1 / (1 + x->equivalent), 1 + x->equivalent);
        return true;
    }
    t->reason = "inconclusive";
    explain_span(x->duration_ms + r->extend_ms, span);
    explain_add(t,
                "; undecided after %s: neither 1 nor a difference beyond %.4g to "
                "%.4g is ruled out",
                span, 1 / (1 + x->equivalent), 1 + x->equivalent);
    return true;
}

bool experiment_figures(const struct plan *p, const struct evidence *e, struct arena *a,
                        pb_metric_verdict *m)
{
    const struct plan_experiment *x = &p->experiment;
    if (!e->metric->primary) return true;
    pb_question *q = arena_alloc(a, sizeof *q);
    if (q == NULL) return false;
    serin__v1__question__init(q);
    struct sides s = sides_of(e);
    q->better = messages_text(plan_keys_directions[x->better]);
    q->level = x->level;
    q->equivalent = x->equivalent;
    q->threshold = level_threshold(x->level / 2);
    q->more_log_e = s.more;
    q->less_log_e = s.less;
    q->below_log_e = s.below;
    q->above_log_e = s.above;
    m->question = q;
    return true;
}
