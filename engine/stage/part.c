/* engine/stage/part.c */
#include "engine/stage/part.h"

#include "engine/base/clock.h"
#include "engine/base/mem.h"

/* One poll's batch may hold the verdicts of a long backlog. */
static const size_t pending_max = (size_t)1 << 30;

static void add(struct fold_counts *sum, const struct fold_counts *k)
{
    sum->records += k->records;
    sum->undecodable += k->undecodable;
    sum->skipped += k->skipped;
    sum->partials += k->partials;
    sum->ticks += k->ticks;
    sum->commands += k->commands;
    sum->windows += k->windows;
    sum->verdicts += k->verdicts;
}

struct part *part_find(const struct part_set *set, int32_t id)
{
    for (size_t i = 0; i < set->n; i++)
        if (set->items[i]->id == id) return set->items[i];
    return NULL;
}

void part_drop(struct part_set *set, struct part *p)
{
    if (p->fold != NULL) {
        struct fold_counts k = fold_counts(p->fold);
        add(&set->past, &k); /* counters outlive their fold; what it holds does not */
        fold_close(p->fold);
        p->fold = NULL;
    }
    effects_free(&p->fx);
    p->fx = (struct effects){.arena.max = pending_max};
    p->state = PART_WAITING;
    p->since_ms = clock_mono_ms();
}

enum serin_status part_add(struct part_set *set, int32_t id)
{
    if (part_find(set, id) != NULL) return SERIN_OK;
    if (set->n == set->room) {
        size_t room = set->room > 0 ? 2 * set->room : 16;
        struct part **more = mem_realloc(set->items, room, sizeof *more);
        if (more == NULL) return SERIN_ENOMEM;
        set->items = more;
        set->room = room;
    }
    struct part *p = mem_calloc(1, sizeof *p);
    if (p == NULL) return SERIN_ENOMEM;
    p->id = id;
    part_drop(set, p);
    set->items[set->n++] = p;
    return SERIN_OK;
}

void part_drop_all(struct part_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        part_drop(set, set->items[i]);
}

void part_remove(struct part_set *set, int32_t id)
{
    for (size_t i = 0; i < set->n; i++) {
        if (set->items[i]->id != id) continue;
        part_drop(set, set->items[i]);
        mem_free(set->items[i]);
        set->items[i] = set->items[--set->n];
        return;
    }
}

void part_clear(struct part_set *set)
{
    while (set->n > 0)
        part_remove(set, set->items[0]->id);
    mem_free(set->items);
    set->items = NULL;
    set->room = 0;
}

size_t part_count(const struct part_set *set, enum part_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < set->n; i++)
        n += set->items[i]->state == state;
    return n;
}

struct fold_counts part_totals(const struct part_set *set)
{
    struct fold_counts sum = set->past;
    for (size_t i = 0; i < set->n; i++) {
        if (set->items[i]->fold == NULL) continue;
        struct fold_counts k = fold_counts(set->items[i]->fold);
        add(&sum, &k);
        sum.rollouts += k.rollouts;
        sum.live += k.live;
    }
    return sum;
}
