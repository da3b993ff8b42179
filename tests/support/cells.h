/* tests/support/cells.h -- windows of recorded cells, made by hand */
#ifndef SERIN_TESTS_SUPPORT_CELLS_H
#define SERIN_TESTS_SUPPORT_CELLS_H

#include "engine/core/plan.h"
#include "engine/replay/scene/change.h"
#include "tests/support/check.h"

enum { CELLS_MAX = 64 };
#define CELLS_T0 INT64_C(1760000400000) /* a whole hour: 2025-10-09 09:00 UTC */

static inline struct plan *cells_plan(struct arena *a, const char *text)
{
    struct doc_errors errors = {.arena = a};
    struct plan *p = NULL;
    enum serin_status rc = plan_parse(a, text, strlen(text), &p, &errors);
    cr_assert(eq(int, rc, SERIN_OK), "%s", errors.n > 0 ? errors.items[0].text : "");
    return p;
}

/* A partial that grows by cells_add. */
struct cells {
    struct arena *a;
    pb_partial p;
    pb_cell *at[CELLS_MAX];
};

static inline void cells_begin(struct cells *c, struct arena *a)
{
    c->a = a;
    serin__v1__partial__init(&c->p);
    c->p.rollout = (char *)"r";
    c->p.cells = c->at;
}

static inline pb_cell *cells_add(struct cells *c, bool canary, const char *metric,
                                 int64_t window_ms, uint64_t n, uint64_t bad)
{
    pb_cell *one = arena_alloc(c->a, sizeof *one);
    cr_assert(one != NULL && c->p.n_cells < CELLS_MAX);
    serin__v1__cell__init(one);
    one->cohort =
        canary ? SERIN__V1__COHORT__COHORT_CANARY : SERIN__V1__COHORT__COHORT_BASELINE;
    one->metric = arena_copy(c->a, metric, strlen(metric));
    one->window_ms = window_ms;
    one->n = n;
    one->bad = bad;
    c->at[c->p.n_cells++] = one;
    return one;
}

/* Buckets from offset on at scale 5, of which it takes a copy. */
static inline pb_histogram *cells_hist(struct cells *c, pb_cell *one, int32_t offset,
                                       const uint64_t *counts, size_t n)
{
    pb_histogram *h = arena_alloc(c->a, sizeof *h);
    cr_assert(h != NULL);
    serin__v1__histogram__init(h);
    h->scale = 5;
    h->offset = offset;
    h->n_counts = n;
    h->counts = (uint64_t *)(void *)arena_copy(c->a, counts, n * sizeof *counts);
    one->hist = h;
    for (size_t i = 0; i < n; i++)
        one->n += counts[i];
    return h;
}

static inline Serin__V1__UnitSum *cells_unit(struct cells *c, const char *unit,
                                             double value)
{
    Serin__V1__UnitSum *u = arena_alloc(c->a, sizeof *u);
    cr_assert(u != NULL);
    serin__v1__unit_sum__init(u);
    u->unit = arena_copy(c->a, unit, strlen(unit));
    u->n = 1;
    u->sum = value;
    u->sum_sq = value * value;
    return u;
}

static inline struct change_window cells_window(int64_t start_ms, double share)
{
    return (struct change_window){
        .start_ms = start_ms, .length_ms = 1000, .share = share};
}

#endif
