/* engine/core/outlook_notes.c -- figures to advice; each note says what to change */
#include "engine/core/outlook_notes.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/core/explain.h"
#include "engine/core/latency.h"
#include "engine/core/outlook_sim.h"
#include "stats/forecast.h"

static const double often = 0.05; /* share of healthy canaries left undecided */
static const double mostly = 0.5; /* of the bake is spent after the evidence suffices */
static const double worth_s = 120; /* and that is at least so long */
static const double likely = 0.8;  /* of the runs should find an effect */

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
/* Seconds until the canary has min_requests of the protected metric that is last. */
static double requests_s(const struct notes *t, size_t i, const char **name)
{
    double most = 0;
    *name = "";
    for (size_t k = 0; k < t->p->n_metrics; k++) {
        const struct plan_metric *m = &t->p->metrics[k];
        if (!m->protected || !outlook_simulated(t->p, t->q, k)) continue;
        double seconds =
            (double)t->p->min_requests /
            outlook_traffic_units(t->p, t->q, k, i, t->o->window_ms).canary;
        if (!(seconds > most)) continue;
        most = seconds;
        *name = m->name;
    }
    return most;
}

static void on_timeout(struct notes *t, size_t i)
{
    const struct plan_step *step = &t->p->steps[i];
    const struct outlook_step *s = &t->o->steps[i];
    const char *name;
    char timeout[24], needed[24];
    double room_s = (double)(step->timeout_ms - step->warmup_ms) / 1000;
    double least_s = requests_s(t, i, &name);
    if (s->passes.runs == 0 || s->undecided < often * s->passes.runs) return;
    span((double)step->timeout_ms / 1000, timeout);
    if (least_s > room_s) {
        span(least_s, needed);
        note(t, i + 1,
             "can never pass: min_requests %llu takes %s at this rate and weight (%s), "
             "the timeout is %s; lower min_requests, or lengthen the timeout",
             (unsigned long long)t->p->min_requests, needed, name, timeout);
        return;
    }
    span(s->forecast_s, needed);
    if (s->passes.hits == 0 && outlook_walk_alone(step))
        note(t, i + 1,
             "never decides: a healthy canary is not within its limits for %s, or its "
             "bake is longer than the timeout of %s",
             timeout, timeout);
    else if (s->passes.hits == 0)
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

/* What happens there is in nobody's numbers. */
static void on_unknown(struct notes *t, size_t i)
{
    const struct plan_step *step = &t->p->steps[i];
    bool grown = step->n_audience > (i > 0 ? t->p->steps[i - 1].n_audience : 0);
    if (step->kind == PLAN_STEP_PAUSE && step->pause_ms == 0)
        note(t, i + 1,
             "pause: waits until a person promotes; that time is in no figure");
    else if (t->o->steps[i].guessed && step->kind == PLAN_STEP_PREVIEW)
        note(t, i + 1,
             "preview: not simulated, its traffic is not given (--preview 5/s); it is "
             "taken as passed after warm-up and bake");
    else if (grown && outlook_segments(step, t->q) < 0)
        note(t, i + 1,
             "audience: the share of the requests of %s is not given (--segment "
             "%s=1%%); %s",
             step->audience[step->n_audience - 1], step->audience[step->n_audience - 1],
             t->o->steps[i].guessed ? "the step is not simulated and taken as passed "
                                      "after warm-up and bake"
                                    : "taken as none");
}

/* ---- the question of an experiment */
static const struct plan_metric *asked(const struct plan *p, size_t *at)
{
    *at = 0;
    while (!p->metrics[*at].primary)
        ++*at;
    return &p->metrics[*at];
}

/* How long until the limits exclude odds ratios beyond w, when there is no effect. */
static double exclude_s(const struct notes *t, double w)
{
    size_t i;
    const struct plan_metric *m = asked(t->p, &i);
    struct outlook_flow f = outlook_traffic_units(t->p, t->q, i, 0, t->o->window_ms);
    double all = f.canary + f.baseline, phi = m->phi >= 1 ? m->phi : t->q->phi;
    double speed = forecast_promote_share(t->q->errors[i], f.canary / all, w);
    if (m->kind == PLAN_EVENTS) {
        speed = 2 * forecast_promote(0.5, f.canary / all, w);
        all = t->q->events[i];
    }
    return forecast_seconds(t->p->experiment.level / 2, 0, speed, all, 1 / phi);
}

static void on_question(struct notes *t)
{
    const struct plan_experiment *x = &t->p->experiment;
    const struct outlook_answer *none = &t->o->answers[0];
    unsigned runs = t->o->runs;
    char duration[24], needed[24];
    size_t at;
    const struct plan_metric *m = asked(t->p, &at);
    span((double)x->duration_ms / 1000, duration);
    span(exclude_s(t, 1 + x->equivalent), needed);
    if (none->ends[OUTLOOK_SAME].hits == 0)
        note(t, 0,
             "without an effect it never decides: that the odds ratio is within %g %% "
             "takes about %s at this rate, the duration is %s; raise equivalent or "
             "duration, or take it as inconclusive",
             100 * x->equivalent, needed, duration);
    for (size_t k = 0; k < t->q->n_bads; k++) {
        const struct outlook_answer *a = &t->o->answers[1 + k];
        double size = t->q->bads[k].size;
        unsigned found = a->ends[OUTLOOK_WIN].hits + a->ends[OUTLOOK_LOSE].hits;
        bool matters = size > 1 + x->equivalent || size < 1 / (1 + x->equivalent);
        if (t->q->bads[k].metric != at || !matters || found >= likely * runs) continue;
        span(exclude_s(t, size > 1 ? size : 1 / size), needed);
        note(t, 0,
             "an odds ratio of %g in %s is found in %.0f %% of the runs only: it takes "
             "about %s at this rate and weight, the duration is %s",
             size, m->name, 100.0 * found / runs, needed, duration);
    }
}

/* ---- metrics */
static const char *not_given(const struct plan_metric *m)
{
    switch (m->kind) {
    case PLAN_LATENCY:
        return m->direction == PLAN_DOWN
                   ? "a latency where faster is worse cannot be foreseen"
                   : "its usual p50 and p99 are not given (--latency)";
    case PLAN_EVENTS:
        return "their usual rate is not given (--events)";
    case PLAN_GAUGE:
        return "its usual mean, spread and pods are not given (--gauge)";
    case PLAN_SATURATION:
        return "its usual share of pods beyond the bound is not given (--saturation)";
    case PLAN_RATIO:
    case PLAN_NKIND:
        break;
    }
    return "its kind cannot be foreseen";
}

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
        note(t, 0, "metric %s is not in these times: %s; %s", m->name, not_given(m),
             m->protected ? "promotion waits for it, too" : "it may still abort");
        return;
    }
    if (m->per == PLAN_PER_USER)
        note(
            t, 0,
            "metric %s counts users: every request is taken as a new user's; users who "
            "come back say less, and it takes longer",
            m->name);
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
    bool question = p->strategy == PLAN_EXPERIMENT;
    for (size_t i = 0; i < o->n_steps && !question; i++) {
        on_unknown(&t, i);
        on_timeout(&t, i);
        on_bake(&t, i);
    }
    if (question) on_question(&t);
    for (size_t i = 0; i < p->n_metrics; i++)
        if (p->metrics[i].mode == PLAN_GATE) on_rates(&t, i);
    if (o->aborted > o->runs / 20)
        note(&t, 0,
             "%u of %u healthy canaries were aborted; look at limit and floor of the "
             "metrics",
             o->aborted, o->runs);
}
