/* tests/unit/replay/test_hold.c -- windows come out whole, however they came in */
#include "engine/replay/hold.h"

#include "proto/encode.h"
#include "tests/support/cells.h"

static void put(struct hold *h, const struct cells *c, int64_t shift_ms)
{
    struct arena a = {0};
    struct bytes b;
    pb_inbox m = SERIN__V1__INBOX__INIT;
    pb_partial p = c->p;
    p.worker = (char *)"w";
    m.schema = SERIN_SCHEMA;
    m.body_case = SERIN__V1__INBOX__BODY_PARTIAL;
    m.partial = &p;
    cr_assert(eq(int, encode_inbox(&a, &m, &b), SERIN_OK));
    cr_assert(eq(int, hold_put(h, strview_of("r"), b, shift_ms), SERIN_OK));
    arena_free(&a);
}

static pb_partial *take(struct hold *h, int64_t length_ms, int64_t until_ms,
                        struct arena *a, int64_t *start_ms)
{
    pb_partial *p = NULL;
    enum serin_status rc = hold_take(h, 0, length_ms, until_ms, a, start_ms, &p);
    cr_assert(rc == SERIN_OK || rc == SERIN_AGAIN);
    return rc == SERIN_OK ? p : NULL;
}

Test(hold, windows_in_order_once_they_are_over)
{
    struct arena a = {0};
    struct hold h = {0};
    struct cells c;
    int64_t start;
    for (int s = 7; s >= 0; s--) { /* as they come: any order */
        cells_begin(&c, &a);
        cells_add(&c, s % 2 == 0, "errors", CELLS_T0 + 1000 * s, 10, 1);
        put(&h, &c, 0);
    }
    cr_assert(take(&h, 2000, CELLS_T0 + 1999, &a, &start) == NULL, "not over");
    pb_partial *p = take(&h, 2000, CELLS_T0 + 4500, &a, &start);
    cr_assert(p != NULL);
    cr_assert(eq(i64, start, CELLS_T0));
    cr_assert(eq(sz, p->n_cells, 2));
    cr_assert(eq(i64, p->cells[0]->window_ms, CELLS_T0));
    cr_assert(eq(i64, p->cells[1]->window_ms, CELLS_T0 + 1000));
    cr_assert(take(&h, 2000, CELLS_T0 + 4500, &a, &start) != NULL);
    cr_assert(eq(i64, start, CELLS_T0 + 2000));
    cr_assert(take(&h, 2000, CELLS_T0 + 4500, &a, &start) == NULL);
    /* The length may change on the way. */
    for (int s = 4; s < 8; s++) {
        cr_assert(take(&h, 1000, CELLS_T0 + 8000, &a, &start) != NULL);
        cr_assert(eq(i64, start, CELLS_T0 + 1000 * s));
    }
    cr_assert(take(&h, 1000, INT64_MAX, &a, &start) == NULL);
    hold_free(&h);
    arena_free(&a);
}

Test(hold, pieces_of_a_second_become_one)
{
    static const uint64_t fine[] = {1, 2, 0, 5}, coarse[] = {7};
    struct arena a = {0};
    struct hold h = {0};
    struct cells c;
    int64_t start;
    for (int piece = 0; piece < 2; piece++) {
        cells_begin(&c, &a);
        c.p.samples = 3;
        c.p.poison = 1;
        cells_add(&c, true, "errors", CELLS_T0, 10 + (uint64_t)piece, 1);
        pb_cell *one = cells_add(&c, true, "latency", CELLS_T0, 0, 0);
        cells_hist(&c, one, 10, fine, 4);
        if (piece == 1) {
            cells_hist(&c, one, 2, coarse, 1);
            one->hist->scale = 3; /* its buckets are four of the others: 8 to 11 */
            one->hist->zero_count = 2;
            one->n = 9;
            one->bounds_ratio = 2;
        }
        one = cells_add(&c, true, "cpu", CELLS_T0, 2, 0);
        one->units = arena_alloc(&a, 2 * sizeof *one->units);
        one->units[one->n_units++] = cells_unit(&c, "pod-1", 3 + piece);
        one->units[one->n_units++] = cells_unit(&c, piece == 0 ? "pod-2" : "pod-3", 5);
        one = cells_add(&c, true, "people", CELLS_T0, 2, 1);
        uint64_t users[] = {400 | (uint64_t)piece, 800 + 400 * (uint64_t)piece};
        one->users = (uint64_t *)(void *)arena_copy(&a, users, sizeof users);
        one->n_users = 2;
        put(&h, &c, 0);
    }
    pb_partial *p = take(&h, 1000, CELLS_T0 + 1000, &a, &start);
    cr_assert(p != NULL);
    cr_assert(eq(sz, p->n_cells, 4));
    cr_assert(eq(u64, p->samples, 6));
    cr_assert(eq(u64, p->poison, 2));
    const pb_cell *cpu = p->cells[0], *errors = p->cells[1], *latency = p->cells[2],
                  *people = p->cells[3];
    cr_assert(eq(str, errors->metric, (char *)"errors"));
    cr_assert(eq(u64, errors->n, 21));
    cr_assert(eq(u64, errors->bad, 2));
    cr_assert(eq(sz, cpu->n_units, 3));
    cr_assert(eq(u64, cpu->units[0]->n, 2));
    cr_assert(eq(dbl, cpu->units[0]->sum, 7));
    cr_assert(eq(dbl, cpu->units[0]->sum_sq, 25));
    cr_assert(eq(u64, latency->n, 17));
    cr_assert(eq(dbl, latency->bounds_ratio, 2));
    uint64_t sum = latency->hist->zero_count;
    for (size_t i = 0; i < latency->hist->n_counts; i++)
        sum += latency->hist->counts[i];
    cr_assert(eq(u64, sum, 17));
    cr_assert(eq(int, latency->hist->scale, 3));
    /* 10, 11 -> 2 (with 7 there), 12, 13 -> 3. */
    cr_assert(eq(u64, latency->hist->counts[2 - latency->hist->offset], 10));
    cr_assert(eq(u64, latency->hist->counts[3 - latency->hist->offset], 5));
    cr_assert(eq(sz, people->n_users, 3));
    cr_assert(eq(u64, people->users[0], 401), "met an error in one of them");
    hold_free(&h);
    arena_free(&a);
}

Test(hold, cells_come_later_and_what_is_no_partial_is_refused)
{
    struct arena a = {0};
    struct hold h = {0};
    struct cells c;
    struct bytes b;
    int64_t start;
    pb_inbox m = SERIN__V1__INBOX__INIT;
    pb_tick tick = SERIN__V1__TICK__INIT;
    cells_begin(&c, &a);
    cells_add(&c, true, "errors", CELLS_T0, 10, 1);
    put(&h, &c, 60000);
    cr_assert(take(&h, 1000, CELLS_T0 + 60999, &a, &start) == NULL);
    cr_assert(take(&h, 1000, CELLS_T0 + 61000, &a, &start) != NULL);
    cr_assert(eq(i64, start, CELLS_T0 + 60000));
    m.schema = SERIN_SCHEMA;
    m.body_case = SERIN__V1__INBOX__BODY_TICK;
    m.tick = &tick;
    cr_assert(eq(int, encode_inbox(&a, &m, &b), SERIN_OK));
    cr_assert(eq(int, hold_put(&h, strview_of("r"), b, 0), SERIN_EPARSE));
    b = (struct bytes){(const uint8_t *)"\x0a\xff", 2};
    cr_assert(eq(int, hold_put(&h, strview_of("r"), b, 0), SERIN_EPARSE));
    hold_free(&h);
    arena_free(&a);
}
