/* A baseline split into two cohorts that are alike. */
#include "engine/replay/tune/split.h"

#include "engine/base/hash.h"
#include "tests/support/check.h"

enum { WINDOW_MS = 1000 };

/* One cell of the baseline in a window of its own. */
static pb_cell cell_of(const char *metric, uint64_t n, uint64_t bad)
{
    pb_cell c = SERIN__V1__CELL__INIT;
    c.cohort = SERIN__V1__COHORT__COHORT_BASELINE;
    c.metric = messages_text(metric);
    c.stratum = messages_text("");
    c.window_ms = 5000;
    c.n = n;
    c.bad = bad;
    return c;
}

static size_t split(struct split *s, struct arena *a, double share, pb_cell **cells,
                    size_t n, pb_partial *p)
{
    struct change_window w = {.start_ms = 5000, .length_ms = WINDOW_MS, .share = share};
    *p = (pb_partial)SERIN__V1__PARTIAL__INIT;
    p->cells = cells;
    p->n_cells = n;
    cr_assert(eq(int, split_window(s, a, &w, p), SERIN_OK));
    return p->n_cells;
}

static bool canary(const pb_cell *c)
{
    return c->cohort == SERIN__V1__COHORT__COHORT_CANARY;
}

Test(split, requests_are_neither_lost_nor_made_and_the_share_is_kept)
{
    struct arena a = {0};
    uint64_t n[2] = {0}, bad[2] = {0};
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct split s = {.how = SPLIT_REQUESTS, .seed = seed};
        pb_cell one = cell_of("errors", 1000, 100), *cells[] = {&one};
        pb_partial p;
        uint64_t all = 0, wrong = 0;
        arena_reset(&a);
        split(&s, &a, 0.2, cells, 1, &p);
        for (size_t i = 0; i < p.n_cells; i++) {
            cr_assert(le(ulong, p.cells[i]->bad, p.cells[i]->n));
            n[canary(p.cells[i])] += p.cells[i]->n;
            bad[canary(p.cells[i])] += p.cells[i]->bad;
            all += p.cells[i]->n;
            wrong += p.cells[i]->bad;
        }
        cr_assert(eq(ulong, all, 1000));
        cr_assert(eq(ulong, wrong, 100));
        cr_assert(eq(ulong, one.n, 1000), "the recording stays as it is");
    }
    /* 200 000 draws with p .2: standard deviation 179; 20 000: 57. */
    cr_assert(lt(dbl, fabs((double)n[1] - 40000), 5 * 179));
    cr_assert(lt(dbl, fabs((double)bad[1] - 4000), 5 * 57));
    arena_free(&a);
}

Test(split, a_histogram_goes_bucket_by_bucket)
{
    struct arena a = {0};
    uint64_t counts[] = {0, 40, 7, 0, 3};
    pb_histogram h = SERIN__V1__HISTOGRAM__INIT;
    struct split s = {.how = SPLIT_REQUESTS, .seed = 3, .share = 0.5};
    pb_cell one = cell_of("latency", 52, 0), *cells[] = {&one};
    pb_partial p;
    h.zero_count = 2;
    h.counts = counts;
    h.n_counts = 5;
    one.hist = &h;
    cr_assert(eq(sz, split(&s, &a, 0, cells, 1, &p), 2));
    for (size_t i = 0; i < 5; i++)
        cr_assert(eq(ulong, p.cells[0]->hist->counts[i] + p.cells[1]->hist->counts[i],
                     counts[i]));
    for (size_t k = 0; k < 2; k++) {
        const pb_histogram *g = p.cells[k]->hist;
        uint64_t sum = g->zero_count;
        for (size_t i = 0; i < g->n_counts; i++)
            sum += g->counts[i];
        cr_assert(eq(ulong, sum, p.cells[k]->n));
        cr_assert(gt(ulong, p.cells[k]->n, 0));
    }
    arena_free(&a);
}

Test(split, the_recorded_canary_goes_and_nothing_is_given_at_weight_0)
{
    struct arena a = {0};
    struct split s = {.how = SPLIT_REQUESTS, .seed = 1};
    pb_cell b = cell_of("errors", 10, 1), c = cell_of("errors", 10, 1);
    pb_cell *cells[] = {&b, &c};
    pb_partial p;
    c.cohort = SERIN__V1__COHORT__COHORT_CANARY;
    cr_assert(eq(sz, split(&s, &a, 0, cells, 2, &p), 1));
    cr_assert(not(canary(p.cells[0])));
    cells[0] = &b, cells[1] = &c;
    cr_assert(eq(sz, split(&s, &a, 1, cells, 2, &p), 1));
    cr_assert(canary(p.cells[0]));
    s.how = SPLIT_RECORDED;
    cells[0] = &b, cells[1] = &c;
    cr_assert(eq(sz, split(&s, &a, 0.3, cells, 2, &p), 2));
    arena_free(&a);
}

Test(split, two_windows_become_one_and_stay_whole)
{
    struct arena a = {0};
    unsigned firsts = 0;
    for (uint64_t seed = 0; seed < 64; seed++) {
        struct split s = {.how = SPLIT_WINDOWS, .seed = seed, .block_ms = WINDOW_MS};
        pb_cell one = cell_of("errors", 100, 9), two = cell_of("errors", 90, 1);
        pb_cell *cells[] = {&one, &two};
        pb_partial p;
        one.window_ms = 4000;
        two.window_ms = 5000;
        cr_assert(eq(sz, split(&s, &a, 0.01, cells, 2, &p), 2));
        cr_assert(eq(ulong, p.cells[0]->n, 100));
        cr_assert(eq(ulong, p.cells[0]->bad, 9));
        cr_assert(eq(ulong, p.cells[1]->n, 90));
        for (size_t i = 0; i < 2; i++)
            cr_assert(eq(long, p.cells[i]->window_ms, 5000), "never into the past");
        cr_assert(ne(int, canary(p.cells[0]), canary(p.cells[1])));
        firsts += canary(p.cells[0]);
    }
    cr_assert(gt(uint, firsts, 10));
    cr_assert(lt(uint, firsts, 54));
    arena_free(&a);
}

Test(split, users_stay_whole_from_window_to_window)
{
    struct arena a = {0};
    uint64_t users[64];
    bool side[64] = {false};
    struct split s = {.how = SPLIT_REQUESTS, .seed = 9, .share = 0.5};
    for (uint64_t i = 0; i < 64; i++)
        users[i] = (i + 1) << 32;
    for (size_t round = 0; round < 2; round++) {
        pb_cell one = cell_of("errors", 128, 1), *cells[] = {&one};
        pb_partial p;
        size_t seen = 0;
        one.window_ms += (int64_t)round * 1000;
        one.users = users;
        one.n_users = 64;
        split(&s, &a, 0, cells, 1, &p);
        for (size_t k = 0; k < p.n_cells; k++)
            for (size_t i = 0; i < p.cells[k]->n_users; i++) {
                size_t at = (size_t)((p.cells[k]->users[i] >> 32) - 1);
                if (round == 0) side[at] = canary(p.cells[k]);
                cr_assert(eq(int, side[at], canary(p.cells[k])));
                seen++;
            }
        cr_assert(eq(sz, seen, 64));
        users[5] |= 1; /* an error does not move a user */
    }
    arena_free(&a);
}

Test(split, whole_units_by_stratum_and_their_name_goes)
{
    struct arena a = {0};
    uint64_t strata[4];
    const char *const names[] = {"eu,pod-1", "eu,pod-2", "us,pod-3", "us,pod-4"};
    size_t canaries = 0;
    struct split_units units = {.of_strata = strata};
    struct split s = {
        .how = SPLIT_UNITS, .by = true, .seed = 4, .share = 0.25, .units = &units};
    pb_cell all[4], *cells[4];
    pb_partial p;
    for (size_t i = 0; i < 4; i++) {
        uint64_t h = split_unit_hash(split_unit_of(names[i]));
        size_t at = units.n_strata++;
        for (; at > 0 && strata[at - 1] > h; at--)
            strata[at] = strata[at - 1];
        strata[at] = h;
        all[i] = cell_of("errors", 10 + i, i);
        all[i].stratum = messages_text(names[i]);
        cells[i] = &all[i];
    }
    cr_assert(eq(sz, split(&s, &a, 0, cells, 4, &p), 4));
    for (size_t i = 0; i < 4; i++) {
        cr_assert(eq(ulong, p.cells[i]->n, 10 + i));
        cr_assert(eq(sz, strlen(p.cells[i]->stratum), 2));
        canaries += canary(p.cells[i]);
    }
    cr_assert(eq(sz, canaries, 1));
    cr_assert(eq(sz, split_units_share(4, 0.01), 1));
    cr_assert(eq(sz, split_units_share(4, 0.99), 3));
    cr_assert(eq(sz, split_units_share(1, 0.5), 0));
    arena_free(&a);
}
