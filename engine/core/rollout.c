/* engine/core/rollout.c */
#include "engine/core/rollout.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/core/kind.h"

static const struct {
    const char *text;
    bool sticky;
} holds[] = {
#define X(name, text, sticky) {text, sticky},
    ROLLOUT_HOLDS(X)
#undef X
};

const char *rollout_hold_text(enum rollout_hold h)
{
    return h < HOLD_NONE ? holds[h].text : "";
}

bool rollout_hold_parse(const char *text, enum rollout_hold *out)
{
    for (size_t h = 0; h < HOLD_NONE; h++)
        if (strcmp(text, holds[h].text) == 0) {
            *out = (enum rollout_hold)h;
            return true;
        }
    return false;
}

bool rollout_hold_sticky(enum rollout_hold h)
{
    return h < HOLD_NONE && holds[h].sticky;
}

static const char *const results[] = {
#define X(name, text) text,
    ROLLOUT_RESULTS(X)
#undef X
};

const char *rollout_result_text(enum rollout_result r)
{
    return r < RESULT_N ? results[r] : "";
}

enum rollout_result rollout_result_parse(const char *text)
{
    for (size_t r = 0; r < RESULT_N; r++)
        if (strcmp(text, results[r]) == 0) return (enum rollout_result)r;
    return RESULT_NONE;
}

bool rollout_due(const struct rollout *r, int64_t last_ms, int64_t every_ms,
                 int64_t now_ms)
{
    int64_t phase = r->phase % every_ms;
    return (now_ms + phase) / every_ms != (last_ms + phase) / every_ms;
}

struct rollout *rollout_new(const char *id)
{
    struct rollout *r = mem_calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    snprintf(r->id, sizeof r->id, "%s", id);
    r->phase = (uint32_t)hash_bytes(id, strlen(id), 0);
    r->applied_offset = -1;
    r->hold = HOLD_NONE;
    r->applied_by = "";
    return r;
}

/* ---- votes */
static void free_vote(struct rollout_vote *v)
{
    mem_free(v->actor);
    mem_free(v->reason);
    *v = (struct rollout_vote){0};
}

static void free_votes(struct rollout_gate *g)
{
    while (g->n_approved > 0)
        free_vote(&g->approvals[--g->n_approved]);
    mem_free(g->approvals);
    g->approvals = NULL;
    free_vote(&g->denied);
}

static void free_gates(struct rollout *r)
{
    for (size_t i = 0; i < PLAN_MAX_GATES; i++) {
        free_votes(&r->gates[i]);
        r->gates[i] = (struct rollout_gate){0};
    }
}

enum serin_status rollout_vote(struct rollout_gate *g, const char *actor,
                               const char *reason, int64_t t_ms, bool deny)
{
    struct rollout_vote v = {mem_strdup(actor), mem_strdup(reason), t_ms};
    struct rollout_vote *grown = g->approvals;
    if (!deny) grown = mem_realloc(grown, g->n_approved + 1, sizeof *grown);
    if (!deny && grown != NULL) g->approvals = grown;
    if (v.actor == NULL || v.reason == NULL || (!deny && grown == NULL)) {
        free_vote(&v);
        return SERIN_ENOMEM;
    }
    if (deny) {
        free_votes(g);
        g->denied = v;
    } else {
        g->approvals[g->n_approved++] = v;
    }
    return SERIN_OK;
}

void rollout_shrink(struct rollout *r)
{
    evidence_close(&r->evidence);
    mem_free(r->calibrate);
    r->calibrate = NULL;
    pending_free(&r->pending);
    for (size_t i = 0; i < r->n_strata; i++)
        mem_free(r->strata[i]);
    r->n_strata = 0;
}

void rollout_free(struct rollout *r)
{
    if (r == NULL) return;
    rollout_shrink(r);
    free_gates(r);
    for (size_t i = 0; i < r->n_outcomes; i++) {
        mem_free(r->outcomes[i].id);
        mem_free(r->outcomes[i].message);
    }
    arena_free(&r->arena);
    arena_free(&r->restored);
    mem_free(r);
}

static enum serin_status parse(struct rollout *r, const char *text, struct fault *why)
{
    struct doc_errors errors = {.arena = &r->arena};
    r->text = arena_copy(&r->arena, text, strlen(text));
    if (r->text == NULL)
        return fault_set(why, SERIN_ENOMEM, "out of memory for a plan");
    enum serin_status rc =
        plan_parse(&r->arena, r->text, strlen(r->text), &r->plan, &errors);
    if (rc == SERIN_EPARSE && errors.n != 0)
        return fault_set(why, rc, "plan:%u:%u: %s%s", errors.items[0].line,
                         errors.items[0].column, errors.items[0].text,
                         errors.total > 1 ? " (and more; run serin lint)" : "");
    if (rc != SERIN_OK)
        return fault_set(why, rc, "the plan cannot be read: %s", status_text(rc));
    if (strcmp(r->plan->id, r->id) != 0)
        return fault_set(
            why, SERIN_EPARSE,
            "the plan's id is %s but the command names rollout %s; apply it "
            "under its own id",
            r->plan->id, r->id);
    return SERIN_OK;
}

enum serin_status rollout_plan(struct rollout *r, const char *text, struct fault *why)
{
    rollout_shrink(r);
    free_gates(r);
    arena_free(&r->arena);
    r->plan = NULL;
    r->applied_by = "";
    enum serin_status rc = parse(r, text, why);
    if (rc == SERIN_OK) rc = evidence_open(&r->evidence, r->plan, why);
    if (rc == SERIN_EDOM) rc = SERIN_EPARSE;
    if (rc != SERIN_OK) return rc;
    r->calibrate = mem_calloc(r->plan->n_metrics, sizeof *r->calibrate);
    if (r->calibrate == NULL) return fault_set(why, SERIN_ENOMEM, "out of memory");
    double eps = r->plan->srm_tolerance >= 0 ? r->plan->srm_tolerance : 0;
    if (srm_init(&r->srm, eps) != SERIN_OK)
        return fault_set(why, SERIN_EPARSE,
                         "sample_ratio.tolerance %g is outside [0, 1)", eps);
    r->pending.max_buckets = r->pending.max_units = r->pending.max_users = 0;
    r->pending.max = PENDING_CELLS_PER_METRIC * r->plan->n_metrics;
    for (size_t i = 0; i < r->evidence.n; i++) {
        enum kind_content content = r->evidence.metrics[i].kind->content;
        if (content == KIND_HISTOGRAM)
            r->pending.max_buckets += PENDING_BUCKETS_PER_LATENCY;
        if (content == KIND_UNITS) r->pending.max_units += PENDING_UNITS_PER_GAUGE;
        if (r->evidence.metrics[i].risk != NULL)
            r->pending.max_users += PENDING_USERS_PER_METRIC;
    }
    r->window_ms = r->plan->window_ms != 0 ? r->plan->window_ms : calibrate_lengths[0];
    r->state = ROLLOUT_PENDING;
    r->hold = HOLD_NONE;
    r->step = r->weight_bp = 0;
    return SERIN_OK;
}

enum serin_status rollout_applied(struct rollout *r, const char *actor)
{
    const char *copy = arena_copy(&r->arena, actor, strlen(actor));
    if (copy == NULL) return SERIN_ENOMEM;
    r->applied_by = copy;
    return SERIN_OK;
}

void rollout_move(struct rollout *r, enum decide_event ev, const char *reason,
                  int64_t ms)
{
    const struct decide_rule *rule = &decide_rules[r->state][ev];
    enum rollout_state to = rule->to;
    if (to == ROLLOUT_BACK)
        to = r->state == ROLLOUT_HELD ? r->held_from : r->gated_from;
    if (to == ROLLOUT_HELD && r->state != ROLLOUT_HELD) r->held_from = r->state;
    if (ev == EV_LOWER)
        r->held_from = ROLLOUT_SETTLING; /* the new weight has to settle */
    if (to == ROLLOUT_GATED && r->state != ROLLOUT_HELD) r->gated_from = r->state;
    if (to != ROLLOUT_HELD) r->hold = HOLD_NONE;
    r->state = to;
    r->since_ms = ms;
    snprintf(r->reason, sizeof r->reason, "%s", reason);
}

bool rollout_open(const struct rollout *r)
{
    return !decide_final(r->state) || r->after.finding == AFTERMATH_WATCHING;
}

enum rollout_state rollout_under(const struct rollout *r)
{
    return r->state == ROLLOUT_HELD ? r->held_from : r->state;
}

const struct plan_step *rollout_step(const struct rollout *r)
{
    return r->step != 0 ? &r->plan->steps[r->step - 1] : NULL;
}

const struct plan_step *rollout_next(const struct rollout *r)
{
    return r->step < r->plan->n_steps ? &r->plan->steps[r->step] : NULL;
}

enum serin_status rollout_stratum(struct rollout *r, const char *name, uint32_t *out)
{
    size_t i = 0;
    while (i < r->n_strata && strcmp(r->strata[i], name) != 0)
        i++;
    if (i == r->n_strata && i < ROLLOUT_STRATA) {
        r->strata[i] = mem_strdup(name);
        if (r->strata[i] == NULL) return SERIN_ENOMEM;
        r->n_strata++;
    }
    *out = (uint32_t)i; /* ROLLOUT_STRATA: other */
    return SERIN_OK;
}

int64_t rollout_silence_ms(const struct rollout *r)
{
    enum { LEAST_MS = 10000, WINDOWS = 3 };
    int64_t ms = WINDOWS * r->window_ms;
    return ms > LEAST_MS ? ms : LEAST_MS;
}
