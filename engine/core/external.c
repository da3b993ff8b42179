/* engine/core/external.c */
#include "engine/core/external.h"

#include <stdio.h>
#include <string.h>

#include "engine/core/explain.h"

/* What is known of a check at this moment. */
enum known { WAITING, PASSED, FAILED, TROUBLED, EXPIRED };

static enum known known(const struct fold *f, const struct rollout *r, size_t i)
{
    static const enum known by[] = {[EXTERNAL_NONE] = WAITING,
                                    [EXTERNAL_PASS] = PASSED,
                                    [EXTERNAL_FAIL] = FAILED,
                                    [EXTERNAL_ERROR] = TROUBLED};
    const struct rollout_external *x = &r->external[i];
    int64_t age = streamclock_now(&f->clock) - x->t_ms;
    if (x->outcome != EXTERNAL_NONE && age > r->plan->checks[i].valid_ms)
        return EXPIRED;
    return by[x->outcome];
}

bool external_asked(const struct rollout *r)
{
    enum rollout_state s = rollout_under(r);
    if (r->plan == NULL || r->plan->n_checks == 0 || r->step == 0) return false;
    if (s == ROLLOUT_GATED) s = r->gated_from;
    return rollout_next(r) != NULL && (s == ROLLOUT_OBSERVING || s == ROLLOUT_SETTLING);
}

static int check_index(const struct rollout *r, const char *name)
{
    for (size_t i = 0; i < r->plan->n_checks; i++)
        if (strcmp(r->plan->checks[i].name, name) == 0) return (int)i;
    return -1;
}

static enum external_outcome outcome_of(const char *text)
{
    if (strcmp(text, "pass") == 0) return EXTERNAL_PASS;
    if (strcmp(text, "fail") == 0) return EXTERNAL_FAIL;
    return EXTERNAL_ERROR;
}

void external_result(struct fold *f, struct rollout *r, const pb_check_result *c)
{
    int64_t now = streamclock_now(&f->clock);
    int at = external_asked(r) ? check_index(r, c->check) : -1;
    if (at < 0 || c->weight_seq != r->ack.weight_seq) return;
    struct rollout_external *x = &r->external[at];
    int64_t t_ms = c->t_ms < now ? c->t_ms : now; /* a clock may be ahead of ours */
    if (x->outcome != EXTERNAL_NONE && t_ms < x->t_ms) return;
    x->t_ms = t_ms;
    x->outcome = outcome_of(c->outcome);
    snprintf(x->message, sizeof x->message, "%.*s", (int)sizeof x->message - 1,
             c->message);
    r->dirty = r->row_due = r->snapshot_due = true;
}

/* An answer cannot be here yet: the runner has not had its time. */
static bool early(const struct fold *f, const struct rollout *r, size_t i)
{
    const struct plan_external *p = &r->plan->checks[i];
    int64_t patience = p->every_ms + (int64_t)(p->retries + 1) * p->timeout_ms;
    return streamclock_now(&f->clock) - r->began_ms <= patience;
}

static void explain_unmet(const struct rollout *r, size_t i, enum known k,
                          struct turn *t)
{
    const struct plan_external *p = &r->plan->checks[i];
    const struct rollout_external *x = &r->external[i];
    explain_add(t, "%s, but ",
                r->passes ? "the evidence suffices" : "the step is over");
    if (k == FAILED)
        explain_add(t, "check %.64s failed%s%s", p->name,
                    x->message[0] != '\0' ? ": " : "", x->message);
    else if (k == TROUBLED)
        explain_add(t, "check %.64s gave no answer: %s; it is tried on", p->name,
                    x->message);
    else
        explain_add(t,
                    "nobody %s check %.64s; does a serin run "
                    "with the role decide, and can it reach the brokers?",
                    k == EXPIRED ? "answers any more to" : "answered", p->name);
}

static enum external_verdict one_met(const struct fold *f, const struct rollout *r,
                                     size_t i, struct turn *t)
{
    enum known k = known(f, r, i);
    if (k == PASSED) return EXTERNAL_MET;
    if (k == WAITING && early(f, r, i)) return EXTERNAL_WAIT;
    explain_unmet(r, i, k, t);
    return EXTERNAL_UNMET;
}

/* One is enough; while a metric may still become it, there is nothing to complain of.
 */
static enum external_verdict any_met(const struct fold *f, const struct rollout *r,
                                     bool over, struct turn *t)
{
    size_t unmet = 0;
    struct turn first = *t;
    if (r->plan->any_checks == 0 || r->any_passes) return EXTERNAL_MET;
    if (over && r->plan->any_metrics != 0) return EXTERNAL_MET; /* none is compared */
    for (size_t i = 0; i < r->plan->n_checks; i++) {
        struct turn said = *t;
        if (!r->plan->checks[i].any) continue;
        enum external_verdict v = one_met(f, r, i, &said);
        if (v == EXTERNAL_MET) return v;
        if (v == EXTERNAL_UNMET && unmet++ == 0) first = said;
    }
    if (unmet < r->plan->any_checks || r->plan->any_metrics != 0) return EXTERNAL_WAIT;
    *t = first;
    return EXTERNAL_UNMET;
}

enum external_verdict external_met(const struct fold *f, const struct rollout *r,
                                   bool over, struct turn *t)
{
    enum external_verdict all = EXTERNAL_MET;
    for (size_t i = 0; i < r->plan->n_checks; i++) {
        if (!r->plan->checks[i].all) continue;
        enum external_verdict v = one_met(f, r, i, t);
        if (v == EXTERNAL_UNMET) return v;
        if (v == EXTERNAL_WAIT) all = v;
    }
    enum external_verdict any = any_met(f, r, over, t);
    return any != EXTERNAL_MET ? any : all;
}

bool external_aborts(const struct fold *f, const struct rollout *r, struct turn *t)
{
    if (!external_asked(r)) return false;
    for (size_t i = 0; i < r->plan->n_checks; i++) {
        const struct plan_external *p = &r->plan->checks[i];
        if (p->on_fail != PLAN_ON_ABORT || known(f, r, i) != FAILED) continue;
        explain_add(t, "check %.64s failed, and the plan says on_fail: abort%s%s",
                    p->name, r->external[i].message[0] != '\0' ? ": " : "",
                    r->external[i].message);
        return true;
    }
    return false;
}

bool external_status(const struct fold *f, const struct rollout *r, struct arena *a,
                     pb_status *s)
{
    static const char *const texts[] = {"waiting", "passed", "failed", "error",
                                        "expired"};
    size_t n = r->plan->n_checks;
    pb_check_status *items = arena_alloc(a, n * sizeof *items);
    s->checks = arena_alloc(a, n * sizeof *s->checks);
    if (items == NULL || s->checks == NULL) return false;
    for (size_t i = 0; i < n; i++) {
        serin__v1__check_status__init(&items[i]);
        items[i].name = messages_text(r->plan->checks[i].name);
        items[i].state = messages_text(texts[known(f, r, i)]);
        items[i].message = messages_text(r->external[i].message);
        items[i].t_ms = r->external[i].t_ms;
        items[i].asked = external_asked(r);
        s->checks[s->n_checks++] = &items[i];
    }
    return true;
}
