/* engine/serve/why.c */
#include "engine/serve/why.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/status.h"
#include "engine/base/text.h"
#include "engine/serve/view.h"

/* What is being explained; bad != 0: memory ran out on the way. */
struct why {
    json_t *sentences, *inequalities;
    int bad;
};

static void say(struct why *w, const char *fmt, ...) SERIN_PRINTF(2, 3);

static void say(struct why *w, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    w->bad |= json_array_append_new(w->sentences, view_text(text));
}

static void inequality(struct why *w, const char *metric, const char *about,
                       double left, double right)
{
    json_t *o = json_object();
    w->bad |= json_object_set_new(o, "metric", view_text(metric));
    w->bad |= json_object_set_new(o, "about", json_string(about));
    w->bad |= json_object_set_new(o, "left", view_number(left));
    w->bad |= json_object_set_new(o, "op", json_string(">="));
    w->bad |= json_object_set_new(o, "right", view_number(right));
    w->bad |= json_object_set_new(o, "holds", json_boolean(left >= right));
    w->bad |= json_array_append_new(w->inequalities, o);
}

/* What an estimate is about. */
static const char *effect(const pb_metric_verdict *m)
{
    if (strcmp(m->kind, "events") == 0) return "rate is";
    return strcmp(m->kind, "gauge") == 0 ? "mean is" : "odds are";
}

static void cohort_text(char *out, size_t room, const char *name,
                        const pb_metric_verdict *m, const pb_cohort_summary *c)
{
    if (c == NULL || c->n == 0)
        snprintf(out, room, "%s: nothing seen", name);
    else if (strcmp(m->kind, "events") == 0)
        snprintf(out, room, "%s: %llu in an exposure of %llu", name,
                 (unsigned long long)c->bad, (unsigned long long)c->n);
    else if (strcmp(m->kind, "gauge") == 0 && *m->note != '\0')
        snprintf(out, room, "%s: %llu readings", name, (unsigned long long)c->n);
    else if (strcmp(m->kind, "gauge") == 0)
        snprintf(out, room, "%s: mean %.4g of %llu readings", name, c->mean,
                 (unsigned long long)c->n);
    else if (c->n_quantiles >= 3)
        snprintf(out, room, "%s: p50 %.4g, p90 %.4g, p99 %.4g ms of %llu", name,
                 c->quantiles[0], c->quantiles[1], c->quantiles[2],
                 (unsigned long long)c->n);
    else
        snprintf(out, room, "%s: %llu of %llu bad (%.4g %%)", name,
                 (unsigned long long)c->bad, (unsigned long long)c->n, 100 * c->rate);
}

static void note(struct why *w, const pb_metric_verdict *m)
{
    static const struct {
        const char *code, *text;
    } notes[] = {
        {"no_events", "nothing has happened in this step, which is no evidence"},
        {"no_exposure", "events without exposure in their stratum cannot be judged"},
        {"few_batches", "too few batches yet to be evidence"},
        {"no_variance", "it never varied, so nothing is known about its spread"},
        {"correlated_batches", "batches resemble their neighbours, so the evidence is "
                               "weaker than it looks; plan a longer batch"},
    };
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        if (strcmp(m->note, notes[i].code) == 0)
            say(w, "%s -- %s.", m->name, notes[i].text);
}

static void seen(struct why *w, const pb_metric_verdict *m)
{
    char canary[160], baseline[160];
    cohort_text(canary, sizeof canary, "canary", m, m->canary);
    cohort_text(baseline, sizeof baseline, "baseline", m, m->baseline);
    say(w, "%s -- %s; %s.", m->name, canary, baseline);
    note(w, m);
    if (!(m->estimate > 0)) return;
    if (isinf(m->upper))
        say(w,
            "%s -- the canary's %s %.4g times the baseline's; at least %.4g "
            "times, "
            "however often one looks, and without an upper limit yet.",
            m->name, effect(m), m->estimate, m->lower);
    else
        say(w,
            "%s -- the canary's %s %.4g times the baseline's; between %.4g and "
            "%.4g times, however often one looks.",
            m->name, effect(m), m->estimate, m->lower, m->upper);
}

static void quantiles(struct why *w, const pb_metric_verdict *m)
{
    for (size_t i = 0; i < m->n_quantiles; i++) {
        const Serin__V1__QuantileVerdict *q = m->quantiles[i];
        say(w,
            "%s -- p%.6g: canary %.4g to %.4g ms, baseline %.4g to %.4g ms, ratio %.4g "
            "to %.4g; so in this step as long as its latencies keep one law.",
            m->name, 100 * q->p, q->canary_lower, q->canary_upper, q->baseline_lower,
            q->baseline_upper, q->shift_lower, q->shift_upper);
    }
}

static void began(struct why *w, const pb_metric_verdict *m)
{
    long long s = (long long)(m->onset_ms / 1000);
    if (m->onset_ms == 0) return;
    say(w, "%s -- if it is worse, then probably since %02lld:%02lld:%02lld UTC.",
        m->name, s / 3600 % 24, s / 60 % 60, s % 60);
}

static void harm(struct why *w, const pb_metric_verdict *m)
{
    bool over = m->abort_log_e >= m->abort_threshold;
    began(w, m);
    inequality(w, m->name, "abort", m->abort_log_e, m->abort_threshold);
    say(w,
        "%s -- evidence that the canary is over %.4g times as bad: log e = %.4f %s "
        "%.4f%s",
        m->name, m->abort_over, m->abort_log_e, over ? ">=" : "<", m->abort_threshold,
        over ? ": it aborts." : ".");
    if (!(m->limit > 0)) return;
    over = m->limit_log_e >= m->abort_threshold;
    inequality(w, m->name, "limit", m->limit_log_e, m->abort_threshold);
    say(w,
        "%s -- evidence that the canary is over the absolute limit of %.4g: log e = "
        "%.4f "
        "%s %.4f%s",
        m->name, m->limit, m->limit_log_e, over ? ">=" : "<", m->abort_threshold,
        over ? ": it aborts." : ".");
}

static void safety_line(struct why *w, const pb_metric_verdict *m, const char *about,
                        const char *which, double log_e)
{
    bool enough = log_e >= m->promote_threshold;
    inequality(w, m->name, about, log_e, m->promote_threshold);
    if (enough)
        say(w,
            "%s -- evidence %s that it is less than %.4g times as bad: log e = %.4f >= "
            "%.4f, enough.",
            m->name, which, m->worse_than, log_e, m->promote_threshold);
    else
        say(w,
            "%s -- evidence %s that it is less than %.4g times as bad: log e = %.4f < "
            "%.4f, %.4f is missing.",
            m->name, which, m->worse_than, log_e, m->promote_threshold,
            m->promote_threshold - log_e);
}

static void safety(struct why *w, const pb_metric_verdict *m)
{
    if (!m->protected_ || !(m->worse_than > 1)) return;
    safety_line(w, m, "promote", "of the whole rollout", m->promote_log_e);
    safety_line(w, m, "promote_restarted", "of this step alone", m->restart_log_e);
    if (m->dispersion > 1)
        say(w,
            "%s -- requests come in bursts (dispersion %.3g): evidence counts 1/%.3g "
            "of "
            "what independent requests would give.",
            m->name, m->dispersion, m->dispersion);
}

static void side(struct why *w, const pb_metric_verdict *m, const char *about,
                 const char *text, double ratio, double log_e)
{
    bool out = log_e >= m->question->threshold;
    inequality(w, m->name, about, log_e, m->question->threshold);
    say(w, "%s -- odds %s %.4g times the baseline's: log e = %.4f %s %.4f, %s.",
        m->name, text, ratio, log_e, out ? ">=" : "<", m->question->threshold,
        out ? "ruled out" : "still possible");
}

/* The question of an experiment, side by side. */
static void asked(struct why *w, const pb_metric_verdict *m)
{
    const pb_question *q = m->question;
    say(w,
        "%s -- %s is better; limits at level %.4g, a difference within %.4g and %.4g "
        "does not matter.",
        m->name, q->better, q->level, 1 / (1 + q->equivalent), 1 + q->equivalent);
    side(w, m, "more", "of at most", 1, q->more_log_e);
    side(w, m, "less", "of at least", 1, q->less_log_e);
    side(w, m, "below", "of at least", 1 + q->equivalent, q->below_log_e);
    side(w, m, "above", "of at most", 1 / (1 + q->equivalent), q->above_log_e);
}

/* Several metrics are judged: those that are worse at the abort level all together. */
static void flagged(struct why *w, pb_metric_verdict *const *list, size_t n)
{
    char names[400] = "";
    size_t used = 0, count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!list[i]->flagged) continue;
        if (used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
                                     count != 0 ? ", " : "", list[i]->name);
        count++;
    }
    if (n > 1 && count != 0) say(w, "Worse by e-BH over the metrics: %s.", names);
}

static struct why begin(void)
{
    return (struct why){json_array(), json_array(), 0};
}

static json_t *finish(struct why *w, json_t *o, const char *message)
{
    w->bad |= json_object_set_new(o, "message", view_text(message));
    w->bad |= json_object_set_new(o, "sentences", w->sentences);
    w->bad |= json_object_set_new(o, "inequalities", w->inequalities);
    if (w->bad == 0) return o;
    json_decref(o);
    return NULL;
}

static json_t *header(struct why *w, const char *rollout, const char *id,
                      const char *verdict, const char *state, const char *reason)
{
    json_t *o = json_object();
    w->bad |= json_object_set_new(o, "schema", json_string("serin.explain/1"));
    w->bad |= json_object_set_new(o, "rollout", view_text(rollout));
    w->bad |= json_object_set_new(o, "id", id != NULL ? view_text(id) : json_null());
    w->bad |= json_object_set_new(o, "verdict",
                                  verdict != NULL ? json_string(verdict) : json_null());
    w->bad |= json_object_set_new(o, "state", view_text(state));
    w->bad |= json_object_set_new(o, "reason", view_text(reason));
    return o;
}

static bool any_harm(const pb_verdict *v)
{
    for (size_t i = 0; i < v->n_metrics; i++) {
        const pb_metric_verdict *m = v->metrics[i];
        if (m->abort_log_e >= m->abort_threshold) return true;
        if (m->limit > 0 && m->limit_log_e >= m->abort_threshold) return true;
    }
    return false;
}

static void split(struct why *w, const pb_sample_ratio *s, const char *reason)
{
    if (s == NULL || strcmp(reason, "sample_ratio") != 0) return;
    inequality(w, "", "sample_ratio", s->log_e, s->threshold);
    say(w,
        "The canary has %.4g %% of the requests, the commanded weight says %.4g %%: "
        "log e "
        "= %.4f against %.4f.",
        100 * s->observed, 100 * s->expected, s->log_e, s->threshold);
}

/* Before all else: what to do now. As long as it is, so not by say(). */
static void rollback(struct why *w, const char *plan)
{
    struct text t = {0};
    if (*plan == '\0') return;
    text_add(&t, "Rollback plan: %s", plan);
    if (t.failed) w->bad = -1;
    w->bad |= json_array_append_new(w->sentences, view_text(t.p));
    text_free(&t);
}

json_t *why_verdict(const pb_verdict *v)
{
    struct why w = begin();
    json_t *o =
        header(&w, v->rollout, v->id, view_kind(v->kind), v->state_after, v->reason);
    if (v->kind == SERIN__V1__KIND__KIND_ABORT) rollback(&w, v->rollback_plan);
    if (v->kind == SERIN__V1__KIND__KIND_HOLD)
        say(&w, "It holds at %.4g %%: %s.", v->to_bp / 100.0, v->reason);
    else
        say(&w, "%s from %.4g %% to %.4g %%: %s.", view_kind(v->kind),
            v->from_bp / 100.0, v->to_bp / 100.0, v->reason);
    if (*v->actor != '\0') say(&w, "Ordered by %s.", v->actor);
    split(&w, v->sample_ratio, v->reason);
    for (size_t i = 0; i < v->n_metrics; i++) {
        const pb_metric_verdict *m = v->metrics[i];
        seen(&w, m);
        quantiles(&w, m);
        if (m->question != NULL) {
            asked(&w, m);
            continue;
        }
        if (v->kind != SERIN__V1__KIND__KIND_PROMOTE) harm(&w, m);
        if (v->kind != SERIN__V1__KIND__KIND_ABORT) safety(&w, m);
    }
    flagged(&w, v->metrics, v->n_metrics);
    if (strcmp(v->reason, "harm") == 0 && !any_harm(v))
        say(&w, "No metric alone is over its threshold; their average, weighted by "
                "share, is.");
    if (v->windows != 0)
        say(&w, "Judged on %llu windows; %llu samples came late, %llu were refused.",
            (unsigned long long)v->windows, (unsigned long long)v->late,
            (unsigned long long)v->poison);
    return finish(&w, o, v->message);
}

static void gate(struct why *w, const pb_gate_status *g)
{
    say(w, "Gate %s is %s: %zu of %llu approvals%s%.200s.", g->name, g->state,
        g->n_approved_by, (unsigned long long)g->quorum, *g->reason != '\0' ? "; " : "",
        g->reason);
    for (size_t i = 0; i < g->n_votes; i++)
        say(w, "%s was %s by %.64s%s%.200s.", g->name,
            g->votes[i]->deny ? "denied" : "approved", g->votes[i]->actor,
            *g->votes[i]->reason != '\0' ? ": " : "", g->votes[i]->reason);
}

static void who_has_it(struct why *w, const pb_status *s)
{
    if (s->mirror_bp != 0)
        say(w,
            "Copies of %.4g %% of the requests go to the canary; nobody sees its "
            "answers.",
            s->mirror_bp / 100.0);
    if (strcmp(s->step_kind, "preview") == 0)
        say(w, "Its requests are a preview's; nobody else sees it.");
    for (size_t i = 0; i < s->n_audience; i++)
        say(w, "Segment %s has the canary whole and is compared with nobody.",
            s->audience[i]);
}

json_t *why_status(const pb_rollout *r)
{
    static const pb_status none = SERIN__V1__STATUS__INIT;
    const pb_status *s = r->status != NULL ? r->status : &none;
    struct why w = begin();
    json_t *o = header(&w, r->rollout, NULL, NULL, s->state, s->reason);
    if (strcmp(s->state, "ABORTED") == 0) rollback(&w, s->rollback_plan);
    say(&w, "%s at %.4g %%, step %u of %u%s%s.", s->state, s->weight_bp / 100.0,
        s->step, s->steps, *s->reason != '\0' ? ": " : "", s->reason);
    who_has_it(&w, s);
    split(&w, s->sample_ratio, s->reason);
    for (size_t i = 0; i < s->n_metrics; i++) {
        seen(&w, s->metrics[i]);
        quantiles(&w, s->metrics[i]);
        if (s->metrics[i]->question != NULL) {
            asked(&w, s->metrics[i]);
            continue;
        }
        harm(&w, s->metrics[i]);
        if (!s->final && s->step != 0) safety(&w, s->metrics[i]); /* none for step 1 */
    }
    flagged(&w, s->metrics, s->n_metrics);
    for (size_t i = 0; i < s->n_gates; i++)
        gate(&w, s->gates[i]);
    for (size_t i = 0; i < s->n_checks; i++)
        say(&w, "Check %s: %s%s%s.", s->checks[i]->name, s->checks[i]->state,
            *s->checks[i]->message != '\0' ? ": " : "", s->checks[i]->message);
    if (!s->final && s->eta_ms >= 0)
        say(&w, "At this rate the step is decided in about %.0f s.",
            (double)s->eta_ms / 1000);
    if (*s->aftermath_message != '\0') say(&w, "%s.", s->aftermath_message);
    return finish(&w, o, s->message);
}
