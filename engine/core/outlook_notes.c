/* engine/core/outlook_notes.c -- figures to advice; each note says what to change */
#include "engine/core/outlook_notes.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/core/explain.h"
#include "engine/core/latency.h"
#include "engine/core/outlook_shape.h"

static const double often = 0.05; /* share of healthy canaries left undecided */
static const double mostly = 0.5; /* of the bake is spent after the evidence suffices */
static const double worth_s = 120; /* and that is at least so long */

struct notes {
    const struct plan *p;
    const struct outlook_query *q;
    struct outlook *o;
};

static void note(struct notes *t, size_t step, const char *fmt, ...) SERIN_PRINTF(3, 4);
static void note(struct notes *t, size_t step, const char *fmt, ...)
{
    va_list ap;
    if (t->o->n_notes == OUTLOOK_MAX_NOTES) return;
    struct outlook_note *n = &t->o->notes[t->o->n_notes++];
    n->step = step;
    va_start(ap, fmt);
    vsnprintf(n->text, sizeof n->text, fmt, ap);
    va_end(ap);
}

static void span(double seconds, char out[24])
{
    if (seconds < 1e12)
        explain_span((int64_t)(seconds * 1000), out);
    else
        snprintf(out, 24, "for ever");
}

/* ---- steps */
static void on_timeout(struct notes *t, size_t i)
{
    const struct plan_step *step = &t->p->steps[i];
    const struct outlook_step *s = &t->o->steps[i];
    char timeout[24], needed[24];
    double room_s = (double)(step->timeout_ms - step->warmup_ms) / 1000;
    double requests_s =
        (double)t->p->min_requests / (t->q->rate * step->weight_bp / 10000.0);
    if (s->passes.runs == 0 || s->undecided < often * s->passes.runs) return;
    span((double)step->timeout_ms / 1000, timeout);
    if (requests_s > room_s) {
        span(requests_s, needed);
        note(t, i + 1,
             "can never pass: min_requests %llu takes %s at this rate and weight, the "
             "timeout is %s; lower min_requests, or lengthen the timeout",
             (unsigned long long)t->p->min_requests, needed, timeout);
        return;
    }
    span(s->forecast_s, needed);
    if (s->passes.hits == 0)
        note(
            t, i + 1,
            "never decides: a healthy canary needs about %s of evidence of %s at this "
            "rate, the timeout is %s; lengthen the timeout, raise worse_than above %g, "
            "or give the step more weight",
            needed, s->slowest, timeout, step->worse_than);
    else
        note(t, i + 1,
             "%.0f %% of healthy canaries are undecided at the timeout of %s; lengthen "
             "it, raise worse_than above %g, or give the step more weight",
             100.0 * s->undecided / s->passes.runs, timeout, step->worse_than);
}

static void on_bake(struct notes *t, size_t i)
{
    const struct plan_step *step = &t->p->steps[i];
    const struct outlook_step *s = &t->o->steps[i];
    char bake[24], ready[24];
    double bake_s = (double)step->bake_ms / 1000;
    double waits_s = (double)step->warmup_ms / 1000 + bake_s - s->ready.p90_s;
    if (!(waits_s >= worth_s && waits_s > mostly * bake_s)) return;
    span(bake_s, bake);
    span(s->ready.p90_s, ready);
    note(t, i + 1,
         "the bake of %s dominates: the evidence suffices after %s in 9 of 10 runs; a "
         "shorter bake costs no certainty, unless harm shows late",
         bake, ready);
}

/* ---- metrics */
static void on_latency(struct notes *t, size_t i)
{
    const struct plan_metric *m = &t->p->metrics[i];
    const struct outlook_base *base = &t->q->latency[i];
    for (int q = 0; q < PLAN_NQUANTILE; q++) {
        double limit = (double)m->limit_ms[q];
        double beyond = outlook_shape_beyond(base, NULL, limit);
        if (!(limit > 0) || beyond < 1 - exceedance_levels[q]) continue;
        note(
            t, 0,
            "metric %s: %.3g %% are usually beyond its limit %g ms of %s; every canary "
            "is aborted or never passes; raise the limit",
            m->name, 100 * beyond, limit, latency_level_name(q));
    }
}

static void on_floor(struct notes *t, size_t i)
{
    const struct plan_metric *m = &t->p->metrics[i];
    double p = t->q->errors[i];
    for (size_t k = 0; k < t->q->n_bads; k++) {
        double w = t->q->bads[k].size, bad = w * p / (1 + (w - 1) * p);
        if (t->q->bads[k].metric != i || !(m->floor > 0 && bad <= m->floor)) continue;
        note(t, 0,
             "metric %s: %g times worse is %.3g %%, not above its floor %g %%: such a "
             "canary is never aborted for its ratio; lower the floor if it should be",
             m->name, w, 100 * bad, 100 * m->floor);
    }
}

static void on_rates(struct notes *t, size_t i)
{
    const struct plan_metric *m = &t->p->metrics[i];
    double p = t->q->errors[i];
    char warning[PLAN_WARNING];
    if (plan_warning(t->p, i, warning)) note(t, 0, "%s", warning);
    if (m->kind == PLAN_LATENCY && t->q->latency[i].p50_ms != 0) {
        on_latency(t, i);
        return;
    }
    if (!outlook_simulated(t->p, t->q, i)) {
        if (m->protected)
            note(t, 0,
                 "metric %s is not in these times: %s; promotion waits for it, too",
                 m->name,
                 m->direction == PLAN_DOWN && m->kind == PLAN_LATENCY
                     ? "a latency where faster is worse cannot be foreseen"
                 : m->kind == PLAN_LATENCY ? "its usual p50 and p99 are not given"
                 : m->kind == PLAN_EVENTS  ? "their usual rate is not given"
                                           : "its kind cannot be foreseen");
        return;
    }
    bool down = m->direction == PLAN_DOWN;
    if (m->limit > 0 && (down ? p <= m->limit : p >= m->limit))
        note(t, 0,
             "metric %s: its rate %g %% is not %s its limit %g %%; every canary is "
             "aborted or never passes; %s the limit",
             m->name, 100 * p, down ? "above" : "below", 100 * m->limit,
             down ? "lower" : "raise");
    on_floor(t, i);
}

void outlook_notes(const struct plan *p, const struct outlook_query *q,
                   struct outlook *o)
{
    struct notes t = {p, q, o};
    for (size_t i = 0; i < o->n_steps; i++) {
        on_timeout(&t, i);
        on_bake(&t, i);
    }
    for (size_t i = 0; i < p->n_metrics; i++)
        if (p->metrics[i].mode == PLAN_GATE) on_rates(&t, i);
    if (o->aborted > o->runs / 20)
        note(&t, 0,
             "%u of %u healthy canaries were aborted; look at limit and floor of the "
             "metrics",
             o->aborted, o->runs);
}
