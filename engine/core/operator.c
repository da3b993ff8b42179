/* engine/core/operator.c */
#include "engine/core/operator.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/core/explain.h"
#include "engine/core/facts.h"
#include "engine/core/gate.h"
#include "engine/core/holds.h"
#include "engine/core/judge.h"
#include "engine/core/schedule.h"
#include "engine/core/strategy.h"

enum { EXTEND_MOST_S = 90 * 24 * 3600 };

/* A verb: true when it was carried out. message has room for OPERATOR_MESSAGE. */
typedef bool verb_fn(struct fold *, struct rollout *, const pb_command *,
                     char *message);

static void say(char *message, const char *text)
{
    snprintf(message, OPERATOR_MESSAGE, "%.*s", OPERATOR_MESSAGE - 1, text);
}

static struct turn by(const struct rollout *r, const pb_command *c, const char *what)
{
    struct turn t = turn_of(r, "operator");
    t.actor = c->actor;
    explain_add(&t, "%s by %.64s", what, c->actor[0] != '\0' ? c->actor : "somebody");
    if (c->reason[0] != '\0') explain_add(&t, ": %.200s", c->reason);
    return t;
}

static bool hold(struct fold *f, struct rollout *r, const pb_command *c, char *message)
{
    if ((r->sticky & (1u << HOLD_OPERATOR)) != 0) {
        say(message, "held already");
        return true;
    }
    struct turn t = by(r, c, "held");
    t.hold = HOLD_OPERATOR;
    r->sticky |= 1u << HOLD_OPERATOR;
    say(message, "held");
    return turn_take(f, r, EV_HOLD, &t);
}

/* What a person's word ends. The sample-ratio check starts again; a canary that is
 * better than expected is taken to be. */
static void forgive(struct fold *f, struct rollout *r)
{
    if ((r->sticky & (1u << HOLD_SAMPLE_RATIO)) != 0) {
        double eps = r->srm.eps;
        if (srm_init(&r->srm, eps) != SERIN_OK)
            f->nomem = true; /* it was valid before */
        r->srm_canary = r->srm_baseline = 0;
        r->split = (struct rollout_split){.calm = true};
    }
    for (size_t i = 0; i < r->evidence.n; i++)
        if ((r->sticky & (1u << HOLD_SUSPICIOUS)) != 0 &&
            evidence_suspicious(&r->evidence.metrics[i]))
            r->evidence.metrics[i].accepted = true;
    r->sticky = 0;
}

/* May traffic move by a person's word? Inside a freeze only when they say so, with a
 * reason, which the audit trail keeps with the command. */
static bool in_season(struct fold *f, struct rollout *r, const pb_command *c,
                      char *message)
{
    int64_t now = streamclock_now(&f->clock);
    struct turn t = turn_of(r, "");
    if (!schedule_closed(r, now, &t)) return true;
    if (c->override_freeze && c->reason[0] != '\0') return schedule_override(r, now);
    snprintf(message, OPERATOR_MESSAGE,
             "%.150s; --override-freeze --reason TEXT goes on", t.message);
    return false;
}

/* Waits before its start: there is nothing to resume but the schedule. */
static bool resume_pending(struct fold *f, struct rollout *r, const pb_command *c,
                           char *message)
{
    if (!in_season(f, r, c, message)) return false;
    say(message, "the freeze is overridden");
    return true;
}

static bool resume(struct fold *f, struct rollout *r, const pb_command *c,
                   char *message)
{
    if (c->override_freeze && r->plan != NULL && r->state != ROLLOUT_HELD)
        return resume_pending(f, r, c, message);
    if (r->state != ROLLOUT_HELD) {
        say(message, r->state == ROLLOUT_GATED ? "it waits for a gate: approve it"
                                               : "it is not held");
        return false;
    }
    if (r->plan == NULL) {
        say(message, "its state and plan are lost: abort it, or apply the plan again");
        return false;
    }
    if (c->override_freeze && !in_season(f, r, c, message)) return false;
    forgive(f, r);
    if (r->hold == HOLD_TIMEOUT) {
        r->began_ms = streamclock_now(&f->clock);
        r->extend_ms = 0;
    }
    struct turn probe = turn_of(r, ""), t = by(r, c, "resumed");
    enum rollout_hold top = holds_top(f, r, false, &probe);
    if (top == HOLD_NONE) {
        say(message, "resumed");
        return turn_take(f, r, EV_CLEAR, &t);
    }
    snprintf(message, OPERATOR_MESSAGE, "taken note of; still held: %s",
             rollout_hold_text(top));
    return true;
}

static bool abort_(struct fold *f, struct rollout *r, const pb_command *c,
                   char *message)
{
    struct turn t = by(r, c, "aborted");
    t.to_bp = 0;
    say(message, "aborted");
    return turn_take(f, r, EV_KILL, &t);
}

static bool cancel(struct fold *f, struct rollout *r, const pb_command *c,
                   char *message)
{
    if (r->step != 0 || r->plan == NULL) {
        say(message, "it has had traffic, or may have: abort it instead");
        return false;
    }
    struct turn t = by(r, c, "cancelled");
    say(message, "cancelled");
    return turn_take(f, r, EV_CANCEL, &t);
}

/* May a person raise the weight now? */
static bool may_raise(struct fold *f, struct rollout *r, const pb_command *c, bool next,
                      char *message)
{
    struct turn t = turn_of(r, "");
    if (r->plan == NULL || r->step == 0) {
        say(message, "it has not started yet");
        return false;
    }
    if ((r->sticky & (1u << HOLD_STATE_LOST | 1u << HOLD_DEFECT)) != 0) {
        say(message, "its evidence is lost or defect: resume it first, or abort it");
        return false;
    }
    uint32_t kept = r->sticky;
    r->sticky = 0; /* look past what this very command overrules */
    enum rollout_hold top = holds_top(f, r, false, &t);
    r->sticky = kept;
    if (top == HOLD_BLIND || top == HOLD_NO_DATA) {
        snprintf(message, OPERATOR_MESSAGE, "not while nothing is known (%s): %.180s",
                 rollout_hold_text(top), t.message);
        return false;
    }
    t.message[0] = '\0';
    if (!in_season(f, r, c, message)) return false;
    if (next && gate_closed(f, r, &t)) {
        say(message, t.message);
        return false;
    }
    return true;
}

static bool promote(struct fold *f, struct rollout *r, const pb_command *c,
                    char *message)
{
    if (r->plan != NULL && r->plan->strategy == PLAN_EXPERIMENT) {
        say(message,
            "an experiment has no next step: wait for its result, or abort it");
        return false;
    }
    if (!may_raise(f, r, c, true, message)) return false;
    struct turn t = by(r, c, "promoted");
    enum decide_event ev = judge_next(r, &t);
    ev = ev == EV_DONE ? EV_FINISH : ev == EV_FULL ? EV_ADVANCE_FULL : EV_ADVANCE;
    forgive(f, r);
    snprintf(message, OPERATOR_MESSAGE, "promoted to %g %%", t.to_bp / 100.0);
    return turn_take(f, r, ev, &t);
}

static bool lower(struct fold *f, struct rollout *r, const pb_command *c, char *message)
{
    struct turn t = by(r, c, "weight lowered");
    t.to_bp = c->weight_bp;
    t.hold = HOLD_OPERATOR;
    while (t.to_step > 1 && r->plan->steps[t.to_step - 1].weight_bp > c->weight_bp)
        t.to_step--;
    r->sticky |= 1u << HOLD_OPERATOR;
    snprintf(message, OPERATOR_MESSAGE, "lowered to %g %% and held; resume when ready",
             t.to_bp / 100.0);
    return turn_take(f, r, EV_LOWER, &t);
}

static bool raise_(struct fold *f, struct rollout *r, const pb_command *c,
                   char *message)
{
    struct turn t = by(r, c, "weight raised");
    size_t step = 0;
    while (step < r->plan->n_steps && r->plan->steps[step].weight_bp != c->weight_bp)
        step++;
    if (step > r->step || step == r->plan->n_steps) {
        say(message,
            "up only to the weight of a step that was passed, or of the next one");
        return false;
    }
    if (!may_raise(f, r, c, step == r->step, message)) return false;
    t.to_bp = c->weight_bp;
    t.to_step = (uint32_t)step + 1;
    forgive(f, r);
    snprintf(message, OPERATOR_MESSAGE, "raised to %g %%", t.to_bp / 100.0);
    return turn_take(f, r, t.to_bp >= 10000 ? EV_ADVANCE_FULL : EV_ADVANCE, &t);
}

static bool set_weight(struct fold *f, struct rollout *r, const pb_command *c,
                       char *message)
{
    if (r->plan == NULL || r->step == 0) {
        say(message, "it has no traffic yet");
        return false;
    }
    if (c->weight_bp > 10000) {
        say(message, "a weight is at most 100 %");
        return false;
    }
    if (c->weight_bp == r->weight_bp) {
        say(message, "it has that weight");
        return true;
    }
    if (strategy_refuses(r, c->weight_bp) != NULL) {
        say(message, strategy_refuses(r, c->weight_bp));
        return false;
    }
    return c->weight_bp < r->weight_bp ? lower(f, r, c, message)
                                       : raise_(f, r, c, message);
}

static bool vote(struct fold *f, struct rollout *r, const pb_command *c, char *message)
{
    if (r->plan != NULL) return gate_vote(f, r, c, message);
    say(message, "its plan is lost: abort it, or apply the plan again");
    return false;
}

static bool retry(struct fold *f, struct rollout *r, const pb_command *c, char *message)
{
    (void)c;
    if (r->step == 0 || rollout_under(r) != ROLLOUT_OBSERVING) {
        say(message, "no step is being judged");
        return false;
    }
    r->began_ms = streamclock_now(&f->clock);
    r->extend_ms = 0;
    say(message, "the step's time starts again");
    return true;
}

static bool extend(struct fold *f, struct rollout *r, const pb_command *c,
                   char *message)
{
    int64_t most = (int64_t)EXTEND_MOST_S * 1000;
    (void)f;
    if (r->step == 0) {
        say(message, "it has not started yet");
        return false;
    }
    if (c->extend_ms <= 0 || c->extend_ms > most || r->extend_ms > most) {
        say(message, "extend by more than 0 and at most 90 days");
        return false;
    }
    r->extend_ms += c->extend_ms;
    say(message, "the step has more time");
    return true;
}

static verb_fn *const verbs[] = {
    [SERIN__V1__VERB__VERB_CANCEL] = cancel,
    [SERIN__V1__VERB__VERB_HOLD] = hold,
    [SERIN__V1__VERB__VERB_RESUME] = resume,
    [SERIN__V1__VERB__VERB_PROMOTE] = promote,
    [SERIN__V1__VERB__VERB_ABORT] = abort_,
    [SERIN__V1__VERB__VERB_SET_WEIGHT] = set_weight,
    [SERIN__V1__VERB__VERB_APPROVE] = vote,
    [SERIN__V1__VERB__VERB_DENY] = vote,
    [SERIN__V1__VERB__VERB_RETRY] = retry,
    [SERIN__V1__VERB__VERB_EXTEND] = extend,
};

/* ---- apply */
static bool id_ok(const char *id)
{
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789._-");
    return n > 0 && n <= ROLLOUT_ID && id[n] == '\0' && id[0] != '.' && id[0] != '_' &&
           id[0] != '-';
}

/* False: refused, and message says why. */
static bool begin(struct fold *f, struct rollout *r, const pb_command *c, char *message)
{
    int64_t now = streamclock_now(&f->clock);
    if (rollout_applied(r, c->actor) != SERIN_OK) f->nomem = true;
    r->sticky = 0;
    r->created_ms = r->since_ms = now;
    r->gaps_seen = f->clock.gaps;
    r->has_closed = false;
    r->row_ms = r->snapshot_ms = now;
    r->override_ms = 0;
    return facts_begin(r, c->behind, c->n_behind, message);
}

static bool again(struct fold *f, struct rollout *r, const pb_command *c, char *message)
{
    struct fault why = {0};
    if (decide_final(r->state)) {
        snprintf(message, OPERATOR_MESSAGE, "rollout %.128s is %s; choose a new id",
                 r->id, decide_state_name(r->state));
        return false;
    }
    if (r->plan != NULL && strcmp(r->text, c->plan) == 0) {
        say(message, "applied already, no change");
        return true;
    }
    if (r->plan != NULL) {
        say(message,
            "a rollout of this id is live with another plan: abort or cancel it, "
            "or choose a new id");
        return false;
    }
    enum serin_status rc = rollout_plan(r, c->plan, &why);
    if (rc == SERIN_ENOMEM) f->nomem = true;
    if (rc != SERIN_OK) {
        rollout_shrink(r);
        r->plan = NULL;
        say(message, why.text);
        return false;
    }
    if (!begin(f, r, c, message)) {
        rollout_shrink(r);
        r->plan = NULL;
        return false;
    }
    say(message, "applied again after its state was lost");
    return true;
}

static struct rollout *create(struct fold *f, const pb_command *c, char *message)
{
    struct fault why = {0};
    if (!id_ok(c->rollout)) {
        say(message, "the id is not [a-z0-9][a-z0-9._-]{0,127}");
        return NULL;
    }
    struct rollout *r = rollout_new(c->rollout);
    enum serin_status rc = r != NULL ? rollout_plan(r, c->plan, &why) : SERIN_ENOMEM;
    if (rc == SERIN_OK && !begin(f, r, c, message)) {
        rollout_free(r);
        return NULL;
    }
    if (rc == SERIN_OK && fold_add(f, r)) {
        say(message,
            r->n_waits != 0 ? "applied; it waits for others first" : "applied");
        return r;
    }
    if (rc == SERIN_ENOMEM) f->nomem = true;
    say(message, why.text);
    rollout_free(r);
    return NULL;
}

/* ---- outcomes */
static uint64_t digest(const char *id)
{
    uint8_t full[HASH_DIGEST];
    uint64_t d = 0;
    hash_digest(id, strlen(id), full);
    for (size_t i = 0; i < sizeof d; i++)
        d = d << 8 | full[i];
    return d;
}

static bool done_before(struct rollout *r, const char *id)
{
    uint64_t d = digest(id);
    size_t kept = r->n_done < ROLLOUT_DONE ? r->n_done : ROLLOUT_DONE;
    for (size_t i = 0; i < kept; i++)
        if (r->done[i] == d) return true;
    r->done[r->n_done++ % ROLLOUT_DONE] = d;
    return false;
}

static void note_outcome(struct fold *f, struct rollout *r, const pb_command *c,
                         bool accepted, const char *message)
{
    if (r->n_outcomes == ROLLOUT_OUTCOMES) {
        mem_free(r->outcomes[0].id);
        mem_free(r->outcomes[0].message);
        r->n_outcomes--;
        memmove(r->outcomes, r->outcomes + 1, r->n_outcomes * sizeof *r->outcomes);
    }
    struct rollout_outcome o = {mem_strdup(c->id), mem_strdup(message), accepted};
    if (o.id == NULL || o.message == NULL) {
        mem_free(o.id);
        mem_free(o.message);
        f->nomem = true;
        return;
    }
    r->outcomes[r->n_outcomes++] = o;
}

static void audit(struct fold *f, struct rollout *r, const pb_command *c, bool accepted,
                  const char *message)
{
    char reason[OPERATOR_MESSAGE + 480];
    size_t n = serin__v1__command__get_packed_size(c);
    uint8_t *packed = arena_alloc(&f->record, n);
    if (packed == NULL) {
        f->nomem = true;
        return;
    }
    serin__v1__command__pack(c, packed);
    snprintf(reason, sizeof reason, "%s: %s%s%.400s", accepted ? "accepted" : "refused",
             message, c->reason[0] != '\0' ? "; " : "", c->reason);
    turn_audit(f, r, "command", c->actor, reason, c->id, (struct bytes){packed, n});
}

/* No such rollout: the entry stands alone, outside any chain. */
static void audit_orphan(struct fold *f, const pb_command *c, const char *message)
{
    struct rollout *none = rollout_new(c->rollout);
    if (none == NULL) {
        f->nomem = true;
        return;
    }
    none->audit_seq = UINT64_MAX; /* its number is 0 */
    audit(f, none, c, false, message);
    rollout_free(none);
}

static bool carry_out(struct fold *f, struct rollout *r, const pb_command *c,
                      char *message)
{
    size_t verb = (size_t)c->verb;
    if (c->verb == SERIN__V1__VERB__VERB_APPLY) return again(f, r, c, message);
    if (verb >= sizeof verbs / sizeof *verbs || verbs[verb] == NULL) {
        say(message, "a verb of a later version: not understood");
        return false;
    }
    if (decide_final(r->state)) {
        snprintf(message, OPERATOR_MESSAGE, "rollout %.128s is %s, that is final",
                 r->id, decide_state_name(r->state));
        return false;
    }
    bool accepted = verbs[verb](f, r, c, message);
    if (!accepted && message[0] == '\0')
        snprintf(message, OPERATOR_MESSAGE, "not possible in state %s",
                 decide_state_name(r->state));
    return accepted;
}

void operator_command(struct fold *f, const pb_command *c)
{
    char message[OPERATOR_MESSAGE] = "";
    struct rollout *r = fold_find(f, c->rollout);
    bool accepted = false, fresh = r == NULL;
    if (r != NULL && f->offset <= r->applied_offset) return;
    if (fresh && c->verb == SERIN__V1__VERB__VERB_APPLY) {
        r = create(f, c, message);
        accepted = r != NULL;
        if (r != NULL && done_before(r, c->id)) return;
    } else if (!fresh) {
        if (done_before(r, c->id)) return;
        accepted = carry_out(f, r, c, message);
    } else {
        say(message, "no such rollout");
    }
    if (f->nomem) return;
    if (r == NULL) { /* a replay after a restart must not tell it twice */
        if (f->offset > f->told_offset) audit_orphan(f, c, message);
        return;
    }
    audit(f, r, c, accepted, message);
    note_outcome(f, r, c, accepted, message);
    r->stale = r->dirty = r->row_due = r->snapshot_due = true;
    judge_settle(f, r);
}
