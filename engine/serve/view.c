/* engine/serve/view.c -- json_object_set_new() takes the value in any case and fails on
 * NULL, so a builder sums up the results and gives up at its end. */
#include "engine/serve/view.h"

#include <math.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/hash.h"
#include "engine/base/mem.h"

const char *view_kind(Serin__V1__Kind kind)
{
    static const char *const names[] = {
        [SERIN__V1__KIND__KIND_PROMOTE] = "PROMOTE",
        [SERIN__V1__KIND__KIND_ABORT] = "ABORT",
        [SERIN__V1__KIND__KIND_HOLD] = "HOLD",
        [SERIN__V1__KIND__KIND_RESUME] = "RESUME",
        [SERIN__V1__KIND__KIND_RESULT] = "RESULT",
    };
    size_t i = (size_t)kind;
    return i < sizeof names / sizeof *names && names[i] != NULL ? names[i] : "UNKNOWN";
}

json_t *view_text(const char *text)
{
    if (text == NULL) text = "";
    json_t *s = json_string(text);
    if (s != NULL) return s;
    char *ascii = mem_strdup(text);
    if (ascii == NULL) return NULL;
    for (char *c = ascii; *c != '\0'; c++)
        if ((unsigned char)*c >= 0x80) *c = '?';
    s = json_string(ascii);
    mem_free(ascii);
    return s;
}

json_t *view_number(double x)
{
    if (isnan(x)) return json_null();
    if (isinf(x)) return json_string(x > 0 ? "inf" : "-inf");
    return json_real(x == 0 ? 0 : x); /* no "-0.0" */
}

static json_t *count(uint64_t n)
{
    return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *hex(ProtobufCBinaryData bytes)
{
    char text[2 * 64 + 1]; /* the longest is a signature of 64 bytes */
    if (bytes.len > 64) bytes.len = 64;
    hash_hex(bytes.data, bytes.len, text);
    return json_string(text);
}

static json_t *done(json_t *o, int bad)
{
    if (bad == 0) return o;
    json_decref(o);
    return NULL;
}

static json_t *known(int64_t ms)
{
    return ms < 0 ? json_null() : json_integer(ms);
}

/* Of an experiment; null for what has none. */
static json_t *result(const char *text)
{
    return text != NULL && *text != '\0' ? view_text(text) : json_null();
}

static json_t *sample_ratio(const pb_sample_ratio *s)
{
    if (s == NULL) return json_null();
    json_t *o = json_object();
    int bad = json_object_set_new(o, "canary", count(s->canary));
    bad |= json_object_set_new(o, "baseline", count(s->baseline));
    bad |= json_object_set_new(o, "expected", view_number(s->expected));
    bad |= json_object_set_new(o, "observed", view_number(s->observed));
    bad |= json_object_set_new(o, "log_e", view_number(s->log_e));
    bad |= json_object_set_new(o, "threshold", view_number(s->threshold));
    return done(o, bad);
}

static json_t *cohort(const pb_metric_verdict *m, const pb_cohort_summary *c)
{
    static const char *const quantiles[] = {"p50", "p90", "p99"};
    if (c == NULL) return json_null();
    json_t *o = json_object();
    int bad = json_object_set_new(o, "n", count(c->n));
    bad |= json_object_set_new(o, "bad", count(c->bad));
    if (strcmp(m->kind, "gauge") == 0)
        bad |= json_object_set_new(o, "mean", view_number(c->mean));
    else if (c->n_quantiles == 0)
        bad |= json_object_set_new(o, "rate", view_number(c->rate));
    for (size_t i = 0; i < c->n_quantiles && i < 3; i++)
        bad |= json_object_set_new(o, quantiles[i], view_number(c->quantiles[i]));
    if (c->pods != 0) bad |= json_object_set_new(o, "pods", count(c->pods));
    return done(o, bad);
}

static json_t *abort_side(const pb_metric_verdict *m)
{
    json_t *o = json_object();
    int bad = json_object_set_new(o, "log_e", view_number(m->abort_log_e));
    bad |= json_object_set_new(o, "threshold", view_number(m->abort_threshold));
    bad |= json_object_set_new(o, "over", view_number(m->abort_over));
    return done(o, bad);
}

static json_t *promote_side(const pb_metric_verdict *m)
{
    json_t *o = json_object();
    int bad = json_object_set_new(o, "log_e", view_number(m->promote_log_e));
    bad |= json_object_set_new(o, "threshold", view_number(m->promote_threshold));
    bad |= json_object_set_new(o, "worse_than", view_number(m->worse_than));
    bad |= json_object_set_new(o, "restart_log_e", view_number(m->restart_log_e));
    bad |= json_object_set_new(o, "protected", json_boolean(m->protected_));
    return done(o, bad);
}

static json_t *limit_side(const pb_metric_verdict *m)
{
    if (!(m->limit > 0)) return json_null();
    json_t *o = json_object();
    int bad = json_object_set_new(o, "rate", view_number(m->limit));
    bad |= json_object_set_new(o, "log_e", view_number(m->limit_log_e));
    bad |= json_object_set_new(o, "threshold", view_number(m->abort_threshold));
    return done(o, bad);
}

static json_t *question(const pb_question *q)
{
    if (q == NULL) return json_null();
    json_t *o = json_object();
    int bad = json_object_set_new(o, "better", view_text(q->better));
    bad |= json_object_set_new(o, "level", view_number(q->level));
    bad |= json_object_set_new(o, "equivalent", view_number(q->equivalent));
    bad |= json_object_set_new(o, "threshold", view_number(q->threshold));
    bad |= json_object_set_new(o, "more_log_e", view_number(q->more_log_e));
    bad |= json_object_set_new(o, "less_log_e", view_number(q->less_log_e));
    bad |= json_object_set_new(o, "below_log_e", view_number(q->below_log_e));
    bad |= json_object_set_new(o, "above_log_e", view_number(q->above_log_e));
    return done(o, bad);
}

static json_t *limits(double at, double lower, double upper)
{
    json_t *o = json_object();
    int bad = json_object_set_new(o, "value", view_number(at));
    bad |= json_object_set_new(o, "lower", view_number(lower));
    bad |= json_object_set_new(o, "upper", view_number(upper));
    return done(o, bad);
}

static json_t *quantiles(const pb_metric_verdict *m)
{
    if (m->n_quantiles == 0) return json_null();
    json_t *list = json_array();
    int bad = 0;
    for (size_t i = 0; i < m->n_quantiles; i++) {
        const Serin__V1__QuantileVerdict *q = m->quantiles[i];
        json_t *o = json_object();
        bad |= json_object_set_new(o, "p", view_number(q->p));
        bad |= json_object_set_new(o, "canary",
                                   limits(q->canary, q->canary_lower, q->canary_upper));
        bad |= json_object_set_new(
            o, "baseline", limits(q->baseline, q->baseline_lower, q->baseline_upper));
        bad |= json_object_set_new(o, "shift",
                                   limits(q->shift, q->shift_lower, q->shift_upper));
        bad |= json_array_append_new(list, o);
    }
    return done(list, bad);
}

static json_t *metric(const pb_metric_verdict *m)
{
    json_t *o = json_object();
    int bad = json_object_set_new(o, "name", view_text(m->name));
    bad |= json_object_set_new(o, "kind", view_text(m->kind));
    bad |= json_object_set_new(o, "canary", cohort(m, m->canary));
    bad |= json_object_set_new(o, "baseline", cohort(m, m->baseline));
    bad |= json_object_set_new(o, "estimate", view_number(m->estimate));
    bad |= json_object_set_new(o, "lower", view_number(m->lower));
    bad |= json_object_set_new(o, "upper", view_number(m->upper));
    bad |= json_object_set_new(o, "abort", abort_side(m));
    bad |= json_object_set_new(o, "promote", promote_side(m));
    bad |= json_object_set_new(o, "dispersion", view_number(m->dispersion));
    bad |= json_object_set_new(
        o, "onset_ms", m->onset_ms != 0 ? json_integer(m->onset_ms) : json_null());
    bad |= json_object_set_new(o, "quantiles", quantiles(m));
    if (*m->per != '\0') {
        bad |= json_object_set_new(o, "per", json_string(m->per));
        bad |= json_object_set_new(o, "followed", view_number(m->followed));
        bad |= json_object_set_new(o, "sampled", count(m->sampled));
        bad |= json_object_set_new(o, "crossed", count(m->crossed));
    }
    if (m->value_error > 0)
        bad |= json_object_set_new(o, "value_error", view_number(m->value_error));
    bad |= json_object_set_new(o, "limit", limit_side(m));
    bad |= json_object_set_new(o, "flagged", json_boolean(m->flagged));
    bad |= json_object_set_new(o, "question", question(m->question));
    if (m->note[0] != '\0') bad |= json_object_set_new(o, "note", view_text(m->note));
    return done(o, bad);
}

static json_t *metrics(pb_metric_verdict *const *items, size_t n)
{
    json_t *list = json_array();
    int bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= json_array_append_new(list, metric(items[i]));
    return done(list, bad);
}

static json_t *texts(char *const *items, size_t n)
{
    json_t *list = json_array();
    int bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= json_array_append_new(list, view_text(items[i]));
    return done(list, bad);
}

static json_t *votes(pb_vote *const *items, size_t n)
{
    json_t *list = json_array();
    int bad = 0;
    for (size_t i = 0; i < n; i++) {
        json_t *o = json_object();
        bad |= json_object_set_new(o, "actor", view_text(items[i]->actor));
        bad |= json_object_set_new(o, "vote",
                                   json_string(items[i]->deny ? "deny" : "approve"));
        bad |= json_object_set_new(o, "reason", view_text(items[i]->reason));
        bad |= json_object_set_new(o, "t_ms", json_integer(items[i]->t_ms));
        bad |= json_array_append_new(list, o);
    }
    return done(list, bad);
}

static json_t *gates(pb_gate_status *const *items, size_t n)
{
    json_t *list = json_array();
    int bad = 0;
    for (size_t i = 0; i < n; i++) {
        const pb_gate_status *g = items[i];
        json_t *o = json_object();
        bad |= json_object_set_new(o, "name", view_text(g->name));
        bad |= json_object_set_new(o, "state", view_text(g->state));
        bad |= json_object_set_new(o, "approved_by",
                                   texts(g->approved_by, g->n_approved_by));
        bad |= json_object_set_new(o, "votes", votes(g->votes, g->n_votes));
        bad |= json_object_set_new(o, "approvers", texts(g->approvers, g->n_approvers));
        bad |= json_object_set_new(o, "quorum", count(g->quorum));
        bad |= json_object_set_new(o, "reason", view_text(g->reason));
        bad |= json_object_set_new(o, "four_eyes", json_boolean(g->four_eyes));
        bad |= json_object_set_new(o, "expires_ms",
                                   g->expires_ms != 0 ? json_integer(g->expires_ms)
                                                      : json_null());
        bad |= json_array_append_new(list, o);
    }
    return done(list, bad);
}

static json_t *move(const pb_verdict *v)
{
    json_t *o = json_object();
    int bad = json_object_set_new(o, "before", view_text(v->state_before));
    bad |= json_object_set_new(o, "after", view_text(v->state_after));
    return done(o, bad);
}

static json_t *windows(const pb_verdict *v)
{
    json_t *o = json_object();
    int bad = json_object_set_new(o, "first_ms", json_integer(v->first_window_ms));
    bad |= json_object_set_new(o, "last_ms", json_integer(v->last_window_ms));
    bad |= json_object_set_new(o, "count", count(v->windows));
    return done(o, bad);
}

/* Who sees the canary beside its weight. */
static int exposure(json_t *o, const char *kind, uint32_t mirror_bp, char **audience,
                    size_t n)
{
    int bad = json_object_set_new(o, "step_kind", view_text(kind));
    bad |= json_object_set_new(o, "mirror_bp", json_integer(mirror_bp));
    return bad | json_object_set_new(o, "audience", texts(audience, n));
}

json_t *view_verdict(const pb_verdict *v)
{
    json_t *o = json_object();
    int bad = json_object_set_new(o, "schema", json_string("serin.verdict/1"));
    bad |= json_object_set_new(o, "id", view_text(v->id));
    bad |= json_object_set_new(o, "rollout", view_text(v->rollout));
    bad |= json_object_set_new(o, "seq", count(v->seq));
    bad |= json_object_set_new(o, "verdict", json_string(view_kind(v->kind)));
    bad |= json_object_set_new(o, "reason", view_text(v->reason));
    bad |= json_object_set_new(o, "message", view_text(v->message));
    bad |= json_object_set_new(o, "from_bp", json_integer(v->from_bp));
    bad |= json_object_set_new(o, "to_bp", json_integer(v->to_bp));
    bad |= json_object_set_new(o, "final", json_boolean(v->final));
    bad |= json_object_set_new(o, "t_ms", json_integer(v->t_ms));
    bad |= json_object_set_new(o, "state", move(v));
    bad |= json_object_set_new(o, "plan_hash", hex(v->plan_hash));
    bad |= json_object_set_new(o, "windows", windows(v));
    bad |= json_object_set_new(o, "sample_ratio", sample_ratio(v->sample_ratio));
    bad |= json_object_set_new(o, "metrics", metrics(v->metrics, v->n_metrics));
    bad |= json_object_set_new(o, "lag_ms", json_integer(v->lag_ms));
    bad |= json_object_set_new(o, "late", count(v->late));
    bad |= json_object_set_new(o, "poison", count(v->poison));
    bad |= json_object_set_new(o, "actor", view_text(v->actor));
    bad |= json_object_set_new(o, "prev_hash", hex(v->prev_hash));
    bad |= json_object_set_new(o, "hash", hex(v->hash));
    bad |= json_object_set_new(o, "sig", hex(v->sig));
    bad |= json_object_set_new(o, "step", json_integer(v->step));
    bad |= json_object_set_new(o, "steps", json_integer(v->steps));
    bad |= json_object_set_new(o, "metric", view_text(v->metric));
    bad |= json_object_set_new(o, "result", result(v->result));
    bad |= json_object_set_new(o, "eta_ms", known(v->eta_ms));
    bad |= exposure(o, v->step_kind, v->mirror_bp, v->audience, v->n_audience);
    bad |= json_object_set_new(o, "service", view_text(v->service));
    bad |= json_object_set_new(o, "owner", view_text(v->owner));
    bad |= json_object_set_new(o, "release_notes", view_text(v->release_notes));
    bad |= json_object_set_new(o, "rollback_plan", view_text(v->rollback_plan));
    return done(o, bad);
}

static json_t *checks(pb_check_status *const *items, size_t n)
{
    json_t *list = json_array();
    int bad = 0;
    for (size_t i = 0; i < n; i++) {
        json_t *o = json_object();
        bad |= json_object_set_new(o, "name", view_text(items[i]->name));
        bad |= json_object_set_new(o, "state", view_text(items[i]->state));
        bad |= json_object_set_new(o, "message", view_text(items[i]->message));
        bad |= json_object_set_new(o, "t_ms",
                                   items[i]->t_ms != 0 ? json_integer(items[i]->t_ms)
                                                       : json_null());
        bad |= json_array_append_new(list, o);
    }
    return done(list, bad);
}

static json_t *waits(pb_wait *const *items, size_t n)
{
    json_t *list = json_array();
    int bad = 0;
    for (size_t i = 0; i < n; i++) {
        json_t *o = json_object();
        bad |= json_object_set_new(o, "rollout", view_text(items[i]->about));
        bad |= json_object_set_new(o, "state", view_text(items[i]->state));
        bad |= json_object_set_new(o, "until",
                                   json_string(items[i]->after ? "promoted" : "ended"));
        bad |= json_array_append_new(list, o);
    }
    return done(list, bad);
}

/* What status has beyond the fields that DESIGN names. */
static int extras(json_t *o, const pb_status *s)
{
    int bad = json_object_set_new(o, "final", json_boolean(s->final));
    bad |= json_object_set_new(o, "service", view_text(s->service));
    bad |= json_object_set_new(o, "owner", view_text(s->owner));
    bad |= json_object_set_new(o, "release_notes", view_text(s->release_notes));
    bad |= json_object_set_new(o, "rollback_plan", view_text(s->rollback_plan));
    bad |= json_object_set_new(o, "updated_ms", known(s->updated_ms));
    bad |= json_object_set_new(o, "window_ms", json_integer(s->window_ms));
    bad |= json_object_set_new(o, "lag_ms", json_integer(s->lag_ms));
    bad |= json_object_set_new(o, "late", count(s->late));
    bad |= json_object_set_new(o, "poison", count(s->poison));
    bad |= json_object_set_new(o, "sample_ratio", sample_ratio(s->sample_ratio));
    bad |= json_object_set_new(o, "warnings", texts(s->warnings, s->n_warnings));
    bad |= json_object_set_new(o, "checks", checks(s->checks, s->n_checks));
    bad |= json_object_set_new(o, "waits", waits(s->waits, s->n_waits));
    bad |= json_object_set_new(o, "applied_by", view_text(s->applied_by));
    bad |= json_object_set_new(o, "result", result(s->result));
    bad |= exposure(o, s->step_kind, s->mirror_bp, s->audience, s->n_audience);
    bad |= json_object_set_new(o, "aftermath", result(s->aftermath));
    bad |= json_object_set_new(o, "aftermath_message", view_text(s->aftermath_message));
    bad |= json_object_set_new(o, "started_ms",
                               s->started_ms != 0 ? json_integer(s->started_ms)
                                                  : json_null());
    return bad;
}

json_t *view_status(const pb_rollout *r)
{
    static const pb_status none = SERIN__V1__STATUS__INIT;
    const pb_status *s = r->status != NULL ? r->status : &none;
    json_t *o = json_object();
    int bad = json_object_set_new(o, "schema", json_string("serin.status/1"));
    bad |= json_object_set_new(o, "rollout", view_text(r->rollout));
    bad |= json_object_set_new(o, "state", view_text(s->state));
    bad |= json_object_set_new(o, "reason", view_text(s->reason));
    bad |= json_object_set_new(o, "message", view_text(s->message));
    bad |= json_object_set_new(o, "step", json_integer(s->step));
    bad |= json_object_set_new(o, "steps", json_integer(s->steps));
    bad |= json_object_set_new(o, "weight_bp", json_integer(s->weight_bp));
    bad |= json_object_set_new(o, "observed_bp",
                               s->observed_bp < 0 ? json_null()
                                                  : view_number(s->observed_bp));
    bad |= json_object_set_new(o, "seq", count(s->seq));
    bad |= json_object_set_new(o, "since_ms", json_integer(s->since_ms));
    bad |= json_object_set_new(o, "eta_ms", known(s->eta_ms));
    bad |= json_object_set_new(o, "metrics", metrics(s->metrics, s->n_metrics));
    bad |= json_object_set_new(o, "gates", gates(s->gates, s->n_gates));
    bad |= json_object_set_new(o, "plan_hash", hex(r->plan_hash));
    bad |= extras(o, s);
    return done(o, bad);
}

json_t *view_fleet_entry(const struct fleet_entry *e)
{
    if (e == NULL) return json_null();
    json_t *o = json_object();
    int bad = json_object_set_new(o, "index", count(e->index));
    bad |= json_object_set_new(o, "log_e", view_number(e->log_e));
    bad |= json_object_set_new(o, "peak_log_e", view_number(e->peak_log_e));
    bad |= json_object_set_new(o, "threshold", view_number(e->threshold));
    bad |= json_object_set_new(o, "earlier_discoveries", count(e->earlier));
    bad |= json_object_set_new(o, "discovery", json_boolean(e->discovery));
    bad |= json_object_set_new(o, "flagged", json_boolean(e->flagged));
    bad |= json_object_set_new(o, "started_ms", json_integer(e->started_ms));
    bad |= json_object_set_new(
        o, "ended_ms", e->ended_ms != 0 ? json_integer(e->ended_ms) : json_null());
    return done(o, bad);
}

json_t *view_fleet(const struct fleet *f)
{
    json_t *o = json_object(), *list = json_array();
    int bad = json_object_set_new(o, "schema", json_string("serin.fleet/1"));
    bad |= json_object_set_new(o, "level", view_number(f->level));
    bad |= json_object_set_new(o, "started", count(f->n));
    bad |= json_object_set_new(o, "live", count(f->live));
    bad |= json_object_set_new(o, "discoveries", count(f->discoveries));
    for (size_t i = 0; i < f->n; i++) {
        json_t *e = view_fleet_entry(&f->entries[i]);
        bad |= json_object_set_new(e, "rollout", view_text(f->entries[i].rollout));
        bad |= json_array_append_new(list, e);
    }
    bad |= json_object_set_new(o, "rollouts", list);
    return done(o, bad);
}
