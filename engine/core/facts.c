/* engine/core/facts.c */
#include "engine/core/facts.h"

#include <stdio.h>
#include <string.h>

#include "engine/core/explain.h"

static const char circular[] = "CIRCULAR";

static struct rollout_wait *find(struct rollout *r, const char *about)
{
    for (size_t i = 0; i < r->n_waits; i++)
        if (strcmp(r->waits[i].about, about) == 0) return &r->waits[i];
    return NULL;
}

static struct rollout_wait *add(struct rollout *r, const char *about)
{
    struct rollout_wait *w = find(r, about);
    if (w != NULL || r->n_waits == ROLLOUT_WAITS) return w;
    w = &r->waits[r->n_waits++];
    *w = (struct rollout_wait){0};
    snprintf(w->about, sizeof w->about, "%.*s", ROLLOUT_ID, about);
    return w;
}

bool facts_begin(struct rollout *r, char *const *behind, size_t n, char *message)
{
    r->n_waits = 0;
    for (size_t i = 0; i < r->plan->n_after; i++) {
        struct rollout_wait *w = add(r, r->plan->after[i]);
        if (w != NULL)
            w->after = true; /* there is room for more than a plan may name */
    }
    for (size_t i = 0; i < n && !r->plan->concurrent; i++) {
        if (strcmp(behind[i], r->id) == 0) continue;
        struct rollout_wait *w = add(r, behind[i]);
        if (w == NULL) {
            snprintf(message, FACTS_MESSAGE,
                     "%zu rollouts of %.64s are live or queued, at most %d may be: "
                     "cancel some, or write concurrent: true",
                     n, r->plan->service, ROLLOUT_WAITS);
            return false;
        }
        w->queue = true;
    }
    return true;
}

static bool final_state(const char *state)
{
    enum rollout_state s;
    return decide_state_parse(state, &s) && decide_final(s);
}

/* A fact that is no news changes nothing, so repeats and two coordinators do no harm. A
 * final state stays: what comes after it is an older fact that was overtaken. */
void facts_signal(struct rollout *r, const pb_signal *s)
{
    enum rollout_state ignored;
    struct rollout_wait *w = find(r, s->about);
    bool news =
        decide_state_parse(s->state, &ignored) || strcmp(s->state, circular) == 0;
    if (r->plan == NULL || decide_final(r->state) || !news) return;
    if (w == NULL && s->queue && !r->plan->concurrent && !final_state(s->state) &&
        strcmp(s->about, r->id) != 0) {
        w = add(r, s->about);
        if (w != NULL) w->queue = true;
    }
    if (w == NULL || strcmp(w->state, s->state) == 0 || final_state(w->state)) return;
    snprintf(w->state, sizeof w->state, "%.*s", (int)sizeof w->state - 1, s->state);
    r->dirty = r->row_due = r->snapshot_due = true;
}

static bool promoted(const struct rollout_wait *w)
{
    return strcmp(w->state, "PROMOTED") == 0 || strcmp(w->state, "CONCLUDED") == 0;
}

static void explain_after(const struct rollout_wait *w, struct turn *t)
{
    t->reason = "after";
    if (strcmp(w->state, circular) == 0)
        explain_add(t,
                    "it waits for %s, which waits for this one in the end; cancel one "
                    "of them and apply it without `after`",
                    w->about);
    else if (final_state(w->state))
        explain_add(t,
                    "it waits for %s, which is %s and will not be promoted; cancel "
                    "this one, or apply it without `after`",
                    w->about, w->state);
    else
        explain_add(t, "waits until %s is promoted; it is %s", w->about,
                    w->state[0] != '\0' ? w->state : "not known yet");
}

static void explain_queue(const struct rollout *r, const struct rollout_wait *w,
                          struct turn *t)
{
    t->reason = "queue";
    explain_add(t, "waits until %s has ended%s%s: one rollout of %.64s at a time",
                w->about, w->state[0] != '\0' ? "; it is " : "", w->state,
                r->plan->service[0] != '\0' ? r->plan->service : "a service");
}

bool facts_blocked(const struct rollout *r, struct turn *t)
{
    bool before = r->state == ROLLOUT_PENDING ||
                  (r->state == ROLLOUT_HELD && r->held_from == ROLLOUT_PENDING);
    for (size_t i = 0; i < r->n_waits; i++) {
        const struct rollout_wait *w = &r->waits[i];
        if (w->after && before && !promoted(w)) {
            bool broken = final_state(w->state) || strcmp(w->state, circular) == 0;
            t->hold = broken ? HOLD_AFTER : HOLD_NONE;
            explain_after(w, t);
            return true;
        }
        if (!w->queue || final_state(w->state)) continue;
        t->hold = before ? HOLD_NONE : HOLD_QUEUE;
        explain_queue(r, w, t);
        return true;
    }
    t->hold = HOLD_NONE;
    return false;
}

const char *facts_scope(const struct plan *p, struct arena *a)
{
    size_t n = strlen(p->service) + strlen(p->environment) + 2;
    char *out = p->service[0] != '\0' ? arena_alloc(a, n) : NULL;
    if (p->service[0] == '\0') return "";
    if (out != NULL) snprintf(out, n, "%s/%s", p->service, p->environment);
    return out;
}

bool facts_waits(const struct rollout *r, struct arena *a, pb_wait ***out, size_t *n)
{
    pb_wait *items = arena_alloc(a, r->n_waits * sizeof *items);
    *out = arena_alloc(a, r->n_waits * sizeof **out);
    if (items == NULL || *out == NULL) return false;
    for (size_t i = 0; i < r->n_waits; i++) {
        const struct rollout_wait *w = &r->waits[i];
        serin__v1__wait__init(&items[i]);
        items[i].about = messages_text(w->about);
        items[i].state = messages_text(w->state);
        items[i].after = w->after;
        items[i].queue = w->queue;
        (*out)[i] = &items[i];
    }
    *n = r->n_waits;
    return true;
}
