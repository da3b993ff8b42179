/* engine/core/plan_advice.c */
#include "engine/core/plan_advice.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/keys.h"

enum { ANSWER_MS = 5 * 60 * 1000 }; /* a person needs some time to see a message */

struct look {
    const struct plan *p;
    const struct doc_node *root;
    struct doc_errors *out;
};

/* ---- gates */
static bool asked(const struct plan *p, const char *gate)
{
    if (p->experiment.gate != NULL && strcmp(p->experiment.gate, gate) == 0)
        return true;
    for (size_t i = 0; i < p->n_steps; i++)
        if (p->steps[i].gate != NULL && strcmp(p->steps[i].gate, gate) == 0)
            return true;
    return false;
}

static void look_use(const struct look *l, const struct plan_gate *g,
                     const struct doc_node *node)
{
    if (!asked(l->p, g->name))
        doc_error_add(l->out, node,
                      "gate \"%.64s\" is asked at no step, so nobody's approval is "
                      "waited for; write gate: %.64s at a step, or leave it out",
                      g->name, g->name);
}

static void look_expiry(const struct look *l, const struct plan_gate *g,
                        const struct doc_node *node)
{
    const struct doc_node *at = doc_get(node, "expires");
    if (at == NULL || g->expires_ms >= ANSWER_MS) return;
    doc_error_add(l->out, at,
                  "expires: %lld s after it is asked the rollout %s; few people answer "
                  "that fast, write e.g. expires: 2h",
                  (long long)(g->expires_ms / 1000),
                  g->on_expiry == PLAN_ON_ABORT ? "is aborted"
                                                : "is held until a person approves");
}

static bool listed(const struct plan_gate *g, const char *who)
{
    for (size_t i = 0; i < g->n_approvers; i++)
        if (strcmp(g->approvers[i], who) == 0) return true;
    return false;
}

/* Somebody who is named nearly alike at another gate may be a slip: approvals of
 * whoever is not listed to the letter are refused. */
static void look_names(const struct look *l, const struct plan_gate *g,
                       const struct doc_node *node)
{
    const struct doc_node *list = doc_get(node, "approvers");
    for (size_t i = 0; i < g->n_approvers; i++) {
        for (const struct plan_gate *o = l->p->gates; o < g; o++) {
            char hint[KEYS_HINT];
            const char *who = g->approvers[i];
            bool each = list->type == DOC_LIST && list->n == g->n_approvers;
            for (size_t k = 0; k < o->n_approvers && !listed(o, who); k++) {
                const char *one[] = {o->approvers[k], NULL};
                if (listed(g, one[0]) || *keys_hint(who, one, hint) == '\0') continue;
                doc_error_add(l->out, each ? list->items[i] : list,
                              "approver \"%.64s\": gate %.64s names \"%.64s\"; if they "
                              "are one person, write the name alike",
                              who, o->name, one[0]);
                break;
            }
        }
    }
}

static void look_gates(const struct look *l)
{
    const struct doc_node *gates = doc_get(l->root, "gates");
    for (size_t i = 0; i < l->p->n_gates; i++) {
        look_use(l, &l->p->gates[i], gates->items[i]);
        look_expiry(l, &l->p->gates[i], gates->items[i]);
        look_names(l, &l->p->gates[i], gates->items[i]);
    }
}

/* ---- schedule */
static void look_start(const struct look *l, const struct doc_node *schedule)
{
    const struct doc_node *list = doc_get(schedule, "freeze");
    for (size_t i = 0; i < l->p->n_freezes; i++) {
        const struct plan_freeze *z = &l->p->freezes[i];
        int64_t at = l->p->not_before_ms;
        if (at != 0 && at >= z->from_ms && at < z->to_ms)
            doc_error_add(l->out, doc_get(schedule, "not_before"),
                          "not_before: lies in the freeze of line %u and means nothing "
                          "there; the start waits for the end of the freeze",
                          list->items[i]->line);
    }
}

static void look_allow(const struct look *l, const struct doc_node *schedule)
{
    const struct doc_node *list = doc_get(schedule, "allow");
    for (size_t i = 0; i < l->p->n_allow; i++) {
        const struct plan_allow *w = &l->p->allow[i];
        for (size_t k = 0; k < i; k++) {
            const struct plan_allow *o = &l->p->allow[k];
            if ((w->day_bits & o->day_bits) != 0 && w->from_min < o->to_min &&
                o->from_min < w->to_min)
                doc_error_add(l->out, list->items[i],
                              "allow: overlaps the times of line %u; one of them is "
                              "not needed, or has a wrong day or hour",
                              list->items[k]->line);
        }
    }
}

/* ---- other rollouts */
static void look_after(const struct look *l)
{
    const struct doc_node *at = doc_get(l->root, "after");
    for (size_t i = 0; i < l->p->n_after; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(l->p->after[i], l->p->after[k]) == 0)
                doc_error_add(l->out, at->type == DOC_LIST ? at->items[i] : at,
                              "after: %.64s is named twice; was another one meant?",
                              l->p->after[i]);
}

enum serin_status plan_advise(struct arena *a, const struct plan *p, const char *text,
                              size_t n, struct doc_errors *advice)
{
    struct doc_node *root = NULL;
    struct doc_errors none = {.arena = a};
    enum serin_status rc = doc_parse(a, text, n, &root, &none);
    if (rc != SERIN_OK) return rc;
    struct look l = {p, root, advice};
    const struct doc_node *schedule = doc_get(root, "schedule");
    advice->arena = a;
    look_gates(&l);
    look_start(&l, schedule);
    look_allow(&l, schedule);
    look_after(&l);
    return SERIN_OK;
}
