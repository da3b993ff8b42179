/* engine/core/turn.c */
#include "engine/core/turn.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/core/aftermath.h"
#include "engine/core/figures.h"
#include "engine/core/strategy.h"
#include "proto/encode.h"

struct turn turn_of(const struct rollout *r, const char *reason)
{
    return (struct turn){.reason = reason,
                         .actor = "",
                         .metric = "",
                         .to_bp = r->weight_bp,
                         .to_step = r->step,
                         .hold = HOLD_NONE};
}

void turn_effect(struct fold *f, enum effect_kind kind, const char *key,
                 struct bytes value)
{
    struct effects *fx = f->fx;
    if (fx->n == fx->room) {
        size_t room = fx->room != 0 ? 2 * fx->room : 16;
        void *items = mem_realloc(fx->items, room, sizeof *fx->items);
        if (items == NULL) {
            f->nomem = true;
            return;
        }
        fx->items = items;
        fx->room = room;
    }
    const char *name = arena_copy(&fx->arena, key, strlen(key));
    if (name == NULL) {
        f->nomem = true;
        return;
    }
    fx->items[fx->n++] = (struct effect){.kind = kind, .key = name, .value = value};
    fx->verdicts += kind == EFFECT_VERDICT;
}

void turn_audit(struct fold *f, struct rollout *r, const char *kind, const char *actor,
                const char *reason, const char *subject, struct bytes payload)
{
    pb_audit m = SERIN__V1__AUDIT_ENTRY__INIT;
    struct bytes out;
    m.schema = SERIN_SCHEMA;
    m.rollout = r->id;
    m.seq = ++r->audit_seq;
    m.t_ms = streamclock_now(&f->clock);
    m.kind = (char *)kind;
    m.actor = (char *)actor;
    m.reason = (char *)reason;
    m.subject = (char *)subject;
    m.payload = (ProtobufCBinaryData){payload.n, (uint8_t *)(uintptr_t)payload.p};
    if (m.seq > 1) m.prev_hash = (ProtobufCBinaryData){HASH_DIGEST, r->audit_hash};
    if (encode_audit(&f->record, &m, &out) != SERIN_OK) {
        f->nomem = true;
        return;
    }
    uint8_t hash[HASH_DIGEST];
    hash_digest(out.p, out.n, hash);
    m.hash = (ProtobufCBinaryData){HASH_DIGEST, hash};
    if (encode_audit(&f->fx->arena, &m, &out) != SERIN_OK) {
        f->nomem = true;
        return;
    }
    memcpy(r->audit_hash, hash, sizeof hash);
    turn_effect(f, EFFECT_AUDIT, r->id, out);
}

/* Everything but states, weights and hashes, from the rollout as it was. */
static bool draft(struct fold *f, struct rollout *r, const struct turn *t,
                  pb_verdict *v)
{
    int64_t lag = streamclock_lag(&f->clock);
    serin__v1__verdict__init(v);
    v->schema = SERIN_SCHEMA;
    v->rollout = r->id;
    v->seq = r->seq + 1;
    v->reason = (char *)t->reason;
    v->message = (char *)t->message;
    v->from_bp = r->weight_bp;
    v->t_ms = streamclock_now(&f->clock);
    v->state_before = (char *)decide_state_name(r->state);
    v->first_window_ms = r->range.first_ms;
    v->last_window_ms = r->range.last_ms;
    v->windows = r->range.n;
    v->lag_ms = lag > 0 ? lag : 0;
    v->late = r->late;
    v->poison = r->poison;
    v->actor = (char *)t->actor;
    v->metric = (char *)t->metric;
    v->result = messages_text(rollout_result_text(t->result));
    if (r->plan != NULL) {
        v->plan_hash = (ProtobufCBinaryData){HASH_DIGEST, r->plan->hash};
        v->steps = (uint32_t)r->plan->n_steps;
        v->service = messages_text(r->plan->service);
        v->owner = messages_text(r->plan->owner);
        v->release_notes = messages_text(r->plan->release_notes);
        v->rollback_plan = messages_text(r->plan->rollback_plan);
    }
    if (r->seq > 0) v->prev_hash = (ProtobufCBinaryData){HASH_DIGEST, r->prev_hash};
    return figures_metrics(r, &f->record, true, v->t_ms, &v->metrics, &v->n_metrics) ==
               SERIN_OK &&
           figures_ratio(r, &f->record, &v->sample_ratio) == SERIN_OK;
}

static enum effect_move move_of(const pb_verdict *v)
{
    if (v->kind == SERIN__V1__KIND__KIND_ABORT || v->to_bp < v->from_bp)
        return EFFECT_LOWERS;
    return v->to_bp > v->from_bp ? EFFECT_RAISES : EFFECT_STAYS;
}

static void send(struct fold *f, struct rollout *r, pb_verdict *v)
{
    char id[ROLLOUT_ID + 24];
    uint8_t hash[HASH_DIGEST];
    struct bytes out;
    snprintf(id, sizeof id, "%s/%llu", r->id, (unsigned long long)v->seq);
    v->id = id;
    if (encode_verdict(&f->record, v, &out) != SERIN_OK) {
        f->nomem = true;
        return;
    }
    hash_digest(out.p, out.n, hash);
    v->hash = (ProtobufCBinaryData){HASH_DIGEST, hash};
    if (encode_verdict(&f->fx->arena, v, &out) != SERIN_OK) {
        f->nomem = true;
        return;
    }
    r->seq = v->seq;
    memcpy(r->prev_hash, hash, sizeof hash);
    turn_effect(f, EFFECT_VERDICT, r->id, out);
    if (!f->nomem) f->fx->items[f->fx->n - 1].move = move_of(v);
    turn_audit(f, r, "verdict", v->actor, v->reason, id,
               (struct bytes){r->prev_hash, HASH_DIGEST});
    f->counts.verdicts++;
}

/* How fast requests came in the step that ends; what follows may leave one cohort only.
 */
static double pace(const struct rollout *r)
{
    if (r->range.n == 0) return r->pace;
    return evidence_units(&r->evidence) / (double)((int64_t)r->range.n * r->window_ms);
}

/* The weight changes: what is reported about the split starts again, the warm-up is no
 * evidence, and an actuator has to say that it followed. */
static void reweigh(struct fold *f, struct rollout *r, const struct turn *t)
{
    int64_t now = streamclock_now(&f->clock);
    bool other_step = t->to_step != r->step;
    if (r->started_ms == 0) r->started_ms = now;
    if (other_step) r->pace = pace(r);
    r->weight_bp = t->to_bp;
    r->step = t->to_step;
    r->began_ms = now;
    r->extend_ms = 0;
    r->srm_canary = r->srm_baseline = 0;
    r->split = (struct rollout_split){.calm = true};
    memset(r->external, 0, sizeof r->external); /* each weight is asked about anew */
    const struct plan_step *step = rollout_step(r);
    r->settle_ms = now + (step != NULL ? step->warmup_ms : 0);
    r->ack = (struct rollout_ack){.weight_seq = r->seq + 1};
    if (other_step) r->range = (struct rollout_range){0};
    if (other_step)
        evidence_step(&r->evidence, r->settle_ms);
    else
        evidence_wait(&r->evidence, r->settle_ms);
}

static void note_state(struct fold *f, struct rollout *r, enum rollout_state before,
                       const struct turn *t, const char *why)
{
    char subject[64];
    snprintf(subject, sizeof subject, "%s -> %s", decide_state_name(before),
             decide_state_name(r->state));
    turn_audit(f, r, "state", t->actor, why, subject, (struct bytes){NULL, 0});
}

bool turn_take(struct fold *f, struct rollout *r, enum decide_event ev,
               const struct turn *t)
{
    const struct decide_rule *rule = &decide_rules[r->state][ev];
    enum rollout_state before = r->state;
    uint32_t from_bp = r->weight_bp;
    pb_verdict v;
    if (rule->why == NULL) return false;
    if (rule->kind != SERIN__V1__KIND__KIND_UNSPECIFIED && !draft(f, r, t, &v)) {
        f->nomem = true;
        return true;
    }
    rollout_move(r, ev, t->reason, streamclock_now(&f->clock));
    if (r->state == ROLLOUT_HELD) r->hold = t->hold;
    if (r->state == ROLLOUT_CONCLUDED) r->result = t->result;
    if (r->state == ROLLOUT_ABORTED) aftermath_begin(f, r, t->metric, from_bp);
    snprintf(r->message, sizeof r->message, "%s", t->message);
    if (t->to_bp != r->weight_bp || t->to_step != r->step) reweigh(f, r, t);
    if (rule->kind != SERIN__V1__KIND__KIND_UNSPECIFIED) {
        v.kind = rule->kind;
        v.to_bp = r->weight_bp;
        v.final = decide_final(r->state);
        v.state_after = (char *)decide_state_name(r->state);
        v.step = r->step;
        v.step_kind = messages_text(strategy_kind(r));
        v.n_audience = strategy_audience(r, &v.audience);
        v.mirror_bp = strategy_mirror_bp(r);
        v.eta_ms = figures_eta_ms(r, v.t_ms);
        send(f, r, &v);
    }
    if (before != r->state) note_state(f, r, before, t, rule->why);
    r->row_due = r->snapshot_due = r->dirty = true;
    return true;
}
