/* engine/serve/fleet.c */
#include "engine/serve/fleet.h"

#include <stdlib.h>
#include <string.h>

#include "stats/combine.h"
#include "stats/elem.h"
#include "stats/level.h"

static int by_start(const void *a, const void *b)
{
    const struct fleet_entry *x = a, *y = b;
    if (x->started_ms != y->started_ms) return x->started_ms < y->started_ms ? -1 : 1;
    return strcmp(x->rollout, y->rollout);
}

static int by_id(const void *a, const void *b)
{
    const struct fleet_entry *const *x = a, *const *y = b;
    return strcmp((*x)->rollout, (*y)->rollout);
}

static int by_end(const void *a, const void *b)
{
    const struct fleet_entry *const *x = a, *const *y = b;
    return ((*x)->ended_ms > (*y)->ended_ms) - ((*x)->ended_ms < (*y)->ended_ms);
}

static int by_evidence(const void *a, const void *b)
{
    const struct fleet_entry *const *x = a, *const *y = b;
    return ((*x)->log_e < (*y)->log_e) - ((*x)->log_e > (*y)->log_e);
}

/* Who ended before another one started has started before it as well, so it has been
 * judged when it is counted. */
static void elond(struct fleet *f, struct fleet_entry **ended, size_t n_ended)
{
    uint64_t earlier = 0;
    size_t at = 0;
    for (size_t i = 0; i < f->n; i++) {
        struct fleet_entry *e = &f->entries[i];
        for (; at < n_ended && ended[at]->ended_ms < e->started_ms; at++)
            earlier += ended[at]->discovery;
        e->index = i + 1;
        e->earlier = earlier;
        e->threshold = combine_elond_threshold(f->level, e->index, earlier);
        e->discovery = level_crossed(e->peak_log_e, elem_exp(-e->threshold));
        f->discoveries += e->discovery;
    }
}

static void ebh(const struct fleet *f, struct fleet_entry **live, double *descending)
{
    qsort(live, f->live, sizeof *live, by_evidence);
    for (size_t i = 0; i < f->live; i++)
        descending[i] = live[i]->log_e;
    size_t count = combine_ebh_count(descending, f->live, f->level);
    for (size_t i = 0; i < f->live; i++)
        live[i]->flagged = i < count;
}

enum serin_status fleet_judge(struct fleet *f, struct arena *a)
{
    struct fleet_entry **ended = arena_alloc(a, (f->n + 1) * sizeof *ended);
    struct fleet_entry **live = arena_alloc(a, (f->n + 1) * sizeof *live);
    double *descending = arena_alloc(a, (f->n + 1) * sizeof *descending);
    size_t n_ended = 0;
    f->by_id = arena_alloc(a, (f->n + 1) * sizeof *f->by_id);
    if (ended == NULL || live == NULL || descending == NULL || f->by_id == NULL)
        return SERIN_ENOMEM;
    if (f->n != 0) qsort(f->entries, f->n, sizeof *f->entries, by_start);
    f->live = f->discoveries = 0;
    for (size_t i = 0; i < f->n; i++) {
        struct fleet_entry *e = &f->entries[i];
        f->by_id[i] = e;
        e->flagged = false;
        if (e->ended_ms != 0)
            ended[n_ended++] = e;
        else
            live[f->live++] = e;
    }
    qsort(f->by_id, f->n, sizeof *f->by_id, by_id);
    qsort(ended, n_ended, sizeof *ended, by_end);
    elond(f, ended, n_ended);
    ebh(f, live, descending);
    return SERIN_OK;
}

const struct fleet_entry *fleet_find(const struct fleet *f, const char *rollout)
{
    const struct fleet_entry key = {.rollout = rollout}, *at = &key;
    struct fleet_entry *const *found =
        f->n != 0 ? bsearch(&at, f->by_id, f->n, sizeof *f->by_id, by_id) : NULL;
    return found != NULL ? *found : NULL;
}
