/* engine/core/snapshot_units.c */
#include "engine/core/snapshot_units.h"

#include <math.h>

pb_unit_state **snapshot_units(struct arena *a, const struct unitsum *at, size_t n,
                               bool *bad)
{
    pb_unit_state *items = arena_alloc(a, n * sizeof *items),
                  **list = arena_alloc(a, n * sizeof *list);
    *bad = *bad || items == NULL || list == NULL;
    for (size_t i = 0; i < n && !*bad; i++) {
        serin__v1__unit_state__init(&items[i]);
        items[i].id = at[i].id;
        items[i].n = at[i].n;
        items[i].sum = at[i].sum;
        list[i] = &items[i];
    }
    return list;
}

bool snapshot_load_units(struct unitsum *at, uint32_t *n, pb_unit_state *const *m,
                         size_t n_m)
{
    if (n_m > UNITSUM_MAX) return false;
    for (size_t i = 0; i < n_m; i++) {
        if (m[i]->n == 0 || !isfinite(m[i]->sum)) return false;
        at[i] = (struct unitsum){m[i]->id, m[i]->n, m[i]->sum};
    }
    *n = (uint32_t)n_m;
    return true;
}

pb_batch_state *snapshot_batch(struct arena *a, const struct batch *b, bool *bad)
{
    pb_batch_state *m = arena_alloc(a, sizeof *m);
    if (m == NULL) {
        *bad = true;
        return NULL;
    }
    serin__v1__batch_state__init(m);
    m->begin_ms = b->begin_ms;
    m->end_ms = b->end_ms;
    m->n_canary = b->n[0];
    m->n_baseline = b->n[1];
    m->canary = snapshot_units(a, b->units[0], b->n[0], bad);
    m->baseline = snapshot_units(a, b->units[1], b->n[1], bad);
    return m;
}

bool snapshot_load_batch(struct batch *b, const pb_batch_state *m)
{
    if (m == NULL) return false;
    b->begin_ms = m->begin_ms;
    b->end_ms = m->end_ms;
    return snapshot_load_units(b->units[0], &b->n[0], m->canary, m->n_canary) &&
           snapshot_load_units(b->units[1], &b->n[1], m->baseline, m->n_baseline);
}
