/* engine/core/row.c */
#include "engine/core/row.h"

#include <stdio.h>
#include <string.h>

#include "engine/core/aftermath.h"
#include "engine/core/explain.h"
#include "engine/core/external.h"
#include "engine/core/facts.h"
#include "engine/core/figures.h"
#include "engine/core/gate.h"
#include "engine/core/strategy.h"
#include "proto/encode.h"
#include "stats/level.h"

enum { WARNINGS = 3 * PLAN_MAX_METRICS + 2, WARNING = 240 };

static bool warn(struct arena *a, pb_status *s, const char *text)
{
    char *copy = arena_copy(a, text, strlen(text));
    if (copy == NULL) return false;
    s->warnings[s->n_warnings++] = copy;
    return true;
}

static bool warn_metric(struct arena *a, const struct rollout *r, size_t i,
                        pb_status *s)
{
    const struct evidence *e = &r->evidence.metrics[i];
    struct evidence_values v;
    char text[WARNING];
    if (plan_warning(r->plan, i, text) && !warn(a, s, text)) return false;
    if (!evidence_gates(e) && evidence_bounds_differ(e)) {
        snprintf(
            text, sizeof text,
            "%.64s: canary and baseline report by different bucket bounds; what it "
            "says about values between two bounds means nothing",
            e->metric->name);
        if (!warn(a, s, text)) return false;
    }
    if (e->metric->mode != PLAN_WARN || r->step == 0) return true;
    evidence_values(&r->evidence, i, r->step - 1, &v);
    if (!level_crossed(v.abort, r->plan->alpha)) return true;
    snprintf(text, sizeof text,
             "%.64s: worse than the baseline (evidence e^%.1f); the "
             "plan says mode: warn",
             e->metric->name, v.abort);
    return warn(a, s, text);
}

static bool warnings(struct arena *a, const struct rollout *r, pb_status *s)
{
    char text[WARNING];
    s->warnings = arena_alloc(a, WARNINGS * sizeof *s->warnings);
    if (s->warnings == NULL) return false;
    if (r->interval_ms > r->window_ms) {
        snprintf(
            text, sizeof text,
            "window %g s is shorter than the %g s between reports: many windows hold "
            "one cohort only and carry no evidence",
            (double)r->window_ms / 1000, (double)r->interval_ms / 1000);
        if (!warn(a, s, text)) return false;
    }
    for (size_t i = 0; i < r->evidence.n; i++)
        if (!warn_metric(a, r, i, s)) return false;
    return true;
}

static bool votes(struct arena *a, const struct rollout_gate *g, pb_gate_status *s)
{
    size_t n = g->n_approved;
    s->approved_by = arena_alloc(a, n * sizeof *s->approved_by);
    if (s->approved_by == NULL) return false;
    for (size_t i = 0; i < n; i++)
        s->approved_by[s->n_approved_by++] = g->approvals[i].actor;
    return gate_votes(a, g, &s->votes, &s->n_votes);
}

static bool gates(struct arena *a, const struct rollout *r, pb_status *s)
{
    size_t n = r->plan->n_gates;
    pb_gate_status *items = arena_alloc(a, n * sizeof *items);
    s->gates = arena_alloc(a, n * sizeof *s->gates);
    if (items == NULL || s->gates == NULL) return false;
    for (size_t i = 0; i < n; i++) {
        const struct plan_gate *p = &r->plan->gates[i];
        const struct rollout_gate *g = &r->gates[i];
        serin__v1__gate_status__init(&items[i]);
        items[i].name = (char *)p->name;
        items[i].state = (char *)gate_state_text(gate_state(r, i));
        items[i].approvers = (char **)(uintptr_t)p->approvers;
        items[i].n_approvers = p->n_approvers;
        items[i].quorum = p->quorum;
        items[i].reason = (char *)p->reason;
        items[i].four_eyes = p->four_eyes;
        if (g->waiting_ms != 0) items[i].expires_ms = g->waiting_ms + p->expires_ms;
        if (!votes(a, g, &items[i])) return false;
        s->gates[s->n_gates++] = &items[i];
    }
    return true;
}

static bool others(const struct fold *f, const struct rollout *r, struct arena *a,
                   pb_status *s)
{
    s->scope = messages_text(facts_scope(r->plan, a));
    s->alone = !r->plan->concurrent;
    s->applied_by = messages_text(r->applied_by);
    s->weight_seq = r->ack.weight_seq;
    return s->scope != NULL && external_status(f, r, a, s) &&
           facts_waits(r, a, &s->waits, &s->n_waits);
}

static bool from_plan(struct fold *f, struct rollout *r, struct arena *a, pb_status *s)
{
    int64_t now = streamclock_now(&f->clock);
    s->steps = (uint32_t)r->plan->n_steps;
    s->service = (char *)r->plan->service;
    s->owner = (char *)r->plan->owner;
    s->release_notes = (char *)r->plan->release_notes;
    s->rollback_plan = (char *)r->plan->rollback_plan;
    return figures_metrics(r, a, f->o.fresh_rows, now, &s->metrics, &s->n_metrics) ==
               SERIN_OK &&
           figures_ratio(r, a, &s->sample_ratio) == SERIN_OK && gates(a, r, s) &&
           warnings(a, r, s) && others(f, r, a, s);
}

static bool status(struct fold *f, struct rollout *r, struct arena *a, pb_status *s)
{
    int64_t lag = streamclock_lag(&f->clock);
    serin__v1__status__init(s);
    s->state = (char *)decide_state_name(r->state);
    s->reason = r->reason;
    s->message = r->message;
    s->step = r->step;
    s->step_kind = messages_text(strategy_kind(r));
    s->n_audience = strategy_audience(r, &s->audience);
    s->mirror_bp = strategy_mirror_bp(r);
    s->weight_bp = r->weight_bp;
    s->observed_bp = figures_observed_bp(r);
    s->seq = r->seq;
    s->since_ms = r->since_ms;
    s->eta_ms = figures_eta_ms(r, streamclock_now(&f->clock));
    s->final = decide_final(r->state);
    s->updated_ms = r->has_closed ? r->closed_ms : 0;
    s->late = r->late;
    s->poison = r->poison;
    s->lag_ms = lag > 0 ? lag : 0;
    s->window_ms = r->window_ms;
    s->result = messages_text(rollout_result_text(r->result));
    s->started_ms = r->started_ms;
    s->created_ms = r->created_ms;
    s->aftermath = messages_text(aftermath_text(r->after.finding));
    s->aftermath_message = arena_alloc(a, ROLLOUT_TEXT);
    if (s->aftermath_message == NULL) return false;
    aftermath_tell(r, s->aftermath_message);
    s->peak_log_e = r->peak_log_e;
    s->abort_log_e = r->step != 0 ? evidence_abort(&r->evidence) : 0;
    return r->plan == NULL || from_plan(f, r, a, s);
}

static bool outcomes(struct arena *a, const struct rollout *r, pb_rollout *row)
{
    pb_outcome *items = arena_alloc(a, r->n_outcomes * sizeof *items);
    row->outcomes = arena_alloc(a, r->n_outcomes * sizeof *row->outcomes);
    if (items == NULL || row->outcomes == NULL) return false;
    for (size_t i = 0; i < r->n_outcomes; i++) {
        serin__v1__outcome__init(&items[i]);
        items[i].command_id = r->outcomes[i].id;
        items[i].accepted = r->outcomes[i].accepted;
        items[i].message = r->outcomes[i].message;
        row->outcomes[row->n_outcomes++] = &items[i];
    }
    return true;
}

enum serin_status row_encode(struct fold *f, struct rollout *r, struct arena *a,
                             struct bytes *out)
{
    pb_rollout row = SERIN__V1__ROLLOUT__INIT;
    pb_status s;
    if (!status(f, r, &f->record, &s) || !outcomes(&f->record, r, &row))
        return SERIN_ENOMEM;
    row.schema = SERIN_SCHEMA;
    row.rollout = r->id;
    row.status = &s;
    if (r->plan != NULL) {
        row.plan = messages_text(r->text);
        row.plan_hash = (ProtobufCBinaryData){HASH_DIGEST, r->plan->hash};
        if (plan_route(&f->record, r->plan, &row.route) != SERIN_OK)
            return SERIN_ENOMEM;
        row.route->live = rollout_open(r);
    }
    return encode_rollout(a, &row, out);
}
