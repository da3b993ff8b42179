/* engine/core/gate.c */
#include "engine/core/gate.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/core/explain.h"

int gate_index(const struct rollout *r, const char *name)
{
    for (size_t i = 0; i < r->plan->n_gates; i++)
        if (strcmp(r->plan->gates[i].name, name) == 0) return (int)i;
    return -1;
}

enum gate_state gate_state(const struct rollout *r, size_t gate)
{
    const struct rollout_gate *g = &r->gates[gate];
    if (g->denied_by != NULL) return GATE_DENIED;
    if (g->n_approved >= r->plan->gates[gate].quorum) return GATE_OPEN;
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
        explain_add(t, "%s %s", i != 0 ? "," : "", g->approvers[i]);
    return true;
}

bool gate_turns(struct fold *f, struct rollout *r)
{
    int at = next_gate(r);
    int64_t now = streamclock_now(&f->clock);
    struct turn t = turn_of(r, "gate");
    if (at < 0 || gate_state(r, (size_t)at) == GATE_OPEN) {
        explain_add(&t, "approved; goes on at %g %%", r->weight_bp / 100.0);
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

static bool approve(struct fold *f, struct rollout_gate *g, const char *actor)
{
    for (size_t i = 0; i < g->n_approved; i++)
        if (strcmp(g->approved_by[i], actor) == 0) return true;
    char *name = mem_strdup(actor);
    char **grown = mem_realloc(g->approved_by, g->n_approved + 1, sizeof *grown);
    if (grown != NULL) g->approved_by = grown;
    if (name == NULL || grown == NULL) {
        mem_free(name);
        f->nomem = true;
        return false;
    }
    g->approved_by[g->n_approved++] = name;
    return true;
}

bool gate_vote(struct fold *f, struct rollout *r, const pb_command *c, char *message)
{
    enum { ROOM = 240 };
    int at = gate_index(r, c->gate);
    if (c->gate[0] == '\0' && r->plan->n_gates == 1) at = 0;
    if (c->gate[0] == '\0' && at < 0) at = next_gate(r);
    if (at < 0) {
        snprintf(message, ROOM, "the plan has no gate %.64s", c->gate);
        return false;
    }
    const struct plan_gate *p = &r->plan->gates[at];
    struct rollout_gate *g = &r->gates[at];
    if (!listed(p, c->actor)) {
        snprintf(message, ROOM, "%.64s is no approver of gate %.64s", c->actor,
                 p->name);
        return false;
    }
    mem_free(g->denied_by);
    g->denied_by = NULL;
    if (c->verb == SERIN__V1__VERB__VERB_DENY) {
        for (size_t i = 0; i < g->n_approved; i++)
            mem_free(g->approved_by[i]);
        g->n_approved = 0;
        g->denied_by = mem_strdup(c->actor);
        f->nomem = f->nomem || g->denied_by == NULL;
        snprintf(message, ROOM, "gate %.64s denied; the weight stays", p->name);
        return true;
    }
    if (!approve(f, g, c->actor)) return true;
    snprintf(message, ROOM, "gate %.64s: %zu of %llu approvals", p->name, g->n_approved,
             (unsigned long long)p->quorum);
    return true;
}
