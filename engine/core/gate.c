/* engine/core/gate.c */
#include "engine/core/gate.h"

#include <stdio.h>
#include <string.h>

#include "engine/core/explain.h"

int gate_index(const struct rollout *r, const char *name)
{
    for (size_t i = 0; i < r->plan->n_gates; i++)
        if (strcmp(r->plan->gates[i].name, name) == 0) return (int)i;
    return -1;
}

/* A denial stands until a quorum approves after it. */
enum gate_state gate_state(const struct rollout *r, size_t gate)
{
    const struct rollout_gate *g = &r->gates[gate];
    if (g->n_approved >= r->plan->gates[gate].quorum) return GATE_OPEN;
    if (g->denied.actor != NULL) return GATE_DENIED;
    return g->expired ? GATE_EXPIRED : GATE_WAITING;
}

const char *gate_state_text(enum gate_state s)
{
    static const char *const texts[] = {"waiting", "open", "denied", "expired"};
    return texts[s];
}

static int next_gate(const struct rollout *r)
{
    const struct plan_step *next = rollout_next(r);
    return next != NULL && next->gate != NULL ? gate_index(r, next->gate) : -1;
}

bool gate_closed(const struct fold *f, const struct rollout *r, struct turn *t)
{
    int at = next_gate(r);
    (void)f;
    if (at < 0 || gate_state(r, (size_t)at) == GATE_OPEN) return false;
    const struct plan_gate *g = &r->plan->gates[at];
    t->reason = "gate";
    t->hold = HOLD_GATE;
    explain_add(t, "%s: gate %s before %g %% needs %llu approval%s of",
                r->step == 0 ? "ready to start" : "the evidence suffices", g->name,
                rollout_next(r)->weight_bp / 100.0, (unsigned long long)g->quorum,
                g->quorum == 1 ? "" : "s");
    for (size_t i = 0; i < g->n_approvers && i < 8; i++)
        explain_add(t, "%s %.64s", i != 0 ? "," : "", g->approvers[i]);
    if (g->n_approvers > 8) explain_add(t, " and others");
    if (g->reason[0] != '\0') explain_add(t, ": %.120s", g->reason);
    const struct rollout_vote *no = &r->gates[at].denied;
    if (no->actor != NULL)
        explain_add(t, "; denied by %.64s%s%.120s", no->actor,
                    no->reason[0] != '\0' ? ": " : "", no->reason);
    return true;
}

bool gate_turns(struct fold *f, struct rollout *r)
{
    int at = next_gate(r);
    int64_t now = streamclock_now(&f->clock);
    struct turn t = turn_of(r, "gate");
    if (at < 0 || gate_state(r, (size_t)at) == GATE_OPEN) {
        explain_add(&t, "approved");
        for (size_t i = 0; at >= 0 && i < r->gates[at].n_approved && i < 4; i++)
            explain_add(&t, "%s %.64s", i == 0 ? " by" : ",",
                        r->gates[at].approvals[i].actor);
        explain_add(&t, "; goes on at %g %%", r->weight_bp / 100.0);
        r->stale = true;
        return turn_take(f, r, EV_OPEN, &t);
    }
    struct rollout_gate *g = &r->gates[at];
    if (g->waiting_ms == 0) g->waiting_ms = now;
    if (g->expired || now - g->waiting_ms <= r->plan->gates[at].expires_ms)
        return false;
    g->expired = true;
    r->row_due = r->snapshot_due = true;
    snprintf(r->message, sizeof r->message, "gate %s expired; approve or abort",
             r->plan->gates[at].name);
    if (r->plan->gates[at].on_expiry != PLAN_ON_ABORT) return false;
    t.to_bp = 0;
    explain_add(&t, "gate %s expired without %llu approvals", r->plan->gates[at].name,
                (unsigned long long)r->plan->gates[at].quorum);
    return turn_take(f, r, EV_POLICY, &t);
}

static bool listed(const struct plan_gate *g, const char *actor)
{
    for (size_t i = 0; i < g->n_approvers; i++)
        if (strcmp(g->approvers[i], actor) == 0) return true;
    return false;
}

static bool approved(const struct rollout_gate *g, const char *actor)
{
    for (size_t i = 0; i < g->n_approved; i++)
        if (strcmp(g->approvals[i].actor, actor) == 0) return true;
    return false;
}

/* May this person vote? Else message says who may. */
static bool may_vote(const struct rollout *r, const struct plan_gate *p,
                     const pb_command *c, char *message)
{
    bool deny = c->verb == SERIN__V1__VERB__VERB_DENY;
    if (!listed(p, c->actor)) {
        size_t n = (size_t)snprintf(message, GATE_MESSAGE,
                                    "%.64s is no approver of gate %.64s; ask", c->actor,
                                    p->name);
        for (size_t i = 0; i < p->n_approvers && n < GATE_MESSAGE; i++)
            n += (size_t)snprintf(message + n, GATE_MESSAGE - n, "%s %.64s",
                                  i != 0 ? "," : "", p->approvers[i]);
        return false;
    }
    if (deny || !p->four_eyes || strcmp(r->applied_by, c->actor) != 0) return true;
    snprintf(message, GATE_MESSAGE,
             "%.64s applied this rollout, and gate %.64s wants four eyes: another "
             "approver has to",
             c->actor, p->name);
    return false;
}

bool gate_vote(struct fold *f, struct rollout *r, const pb_command *c, char *message)
{
    int at = gate_index(r, c->gate);
    bool deny = c->verb == SERIN__V1__VERB__VERB_DENY;
    if (c->gate[0] == '\0' && r->plan->n_gates == 1) at = 0;
    if (c->gate[0] == '\0' && at < 0) at = next_gate(r);
    if (at < 0) {
        snprintf(message, GATE_MESSAGE, "the plan has no gate %.64s", c->gate);
        return false;
    }
    const struct plan_gate *p = &r->plan->gates[at];
    struct rollout_gate *g = &r->gates[at];
    if (!may_vote(r, p, c, message)) return false;
    if ((deny || !approved(g, c->actor)) &&
        rollout_vote(g, c->actor, c->reason, streamclock_now(&f->clock), deny) !=
            SERIN_OK) {
        f->nomem = true;
        return true;
    }
    if (deny)
        snprintf(message, GATE_MESSAGE,
                 "gate %.64s denied; the weight stays until %llu approve anew", p->name,
                 (unsigned long long)p->quorum);
    else
        snprintf(message, GATE_MESSAGE, "gate %.64s: %zu of %llu approvals", p->name,
                 g->n_approved, (unsigned long long)p->quorum);
    return true;
}

bool gate_votes(struct arena *a, const struct rollout_gate *g, pb_vote ***out,
                size_t *n)
{
    size_t denied = g->denied.actor != NULL, all = g->n_approved + denied;
    pb_vote *items = arena_alloc(a, all * sizeof *items);
    *out = arena_alloc(a, all * sizeof **out);
    if (items == NULL || *out == NULL) return false;
    for (size_t i = 0; i < all; i++) {
        const struct rollout_vote *v =
            i < denied ? &g->denied : &g->approvals[i - denied];
        serin__v1__vote__init(&items[i]);
        items[i].actor = v->actor;
        items[i].reason = v->reason;
        items[i].t_ms = v->t_ms;
        items[i].deny = i < denied;
        (*out)[i] = &items[i];
    }
    *n = all;
    return true;
}
