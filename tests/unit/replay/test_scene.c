/* tests/unit/replay/test_scene.c -- what a scene does to the cells of a window */
#include "engine/replay/scene/scene.h"

#include "engine/base/mem.h"
#include "engine/replay/scene/chance.h"
#include "engine/replay/scene/rates.h"
#include "engine/replay/scene/shift.h"
#include "proto/encode.h"
#include "tests/support/cells.h"

static const char plan_text[] =
    "id: r\n"
    "cohorts: {canary: {v: c}, baseline: {v: b}}\n"
    "window: 1s\n"
    "calibrate: skip\n"
    "steps: [{weight: 10%, worse_than: 2}, {weight: 100%}]\n"
    "metrics:\n"
    "  - {name: errors, kind: ratio, phi: 1}\n"
    "  - {name: latency, kind: latency, phi: 1}\n"
    "  - {name: cpu, kind: gauge, from: {metric: cpu, unit_key: pod}, mode: warn}\n"
    "  - {name: crashes, kind: events, exposure: errors, phi: 1, mode: warn}\n"
    "  - {name: kills, kind: events, exposure: {canary: 4, baseline: 36}, phi: 1,\n"
    "     mode: warn}\n"
    "  - {name: people, kind: ratio, per: user, phi: 1, mode: warn}\n";

static struct arena arena;
static const struct plan *plan;

static void setup(void)
{
    plan = cells_plan(&arena, plan_text);
}

static void teardown(void)
{
    arena_free(&arena);
}

TestSuite(scene, .init = setup, .fini = teardown);

static struct scene *opened(const char *spec, bool commanded, uint64_t seed)
{
    struct fault f = {0};
    struct scene *s = NULL;
    struct scene_options o = {.plan = plan,
                              .inject = &spec,
                              .n_inject = spec != NULL,
                              .commanded = commanded,
                              .seed = seed};
    cr_assert(eq(int, scene_open(&s, &o, &f), SERIN_OK), "%s", f.text);
    return s;
}

/* A second of everything, 5000 requests of each cohort. */
static void second(struct cells *c, int64_t at_ms)
{
    static const uint64_t counts[] = {100, 2000, 2500, 300, 80, 15, 5};
    cells_begin(c, &arena);
    for (int canary = 0; canary < 2; canary++) {
        cells_add(c, canary, "errors", at_ms, 5000, 100);
        cells_hist(c, cells_add(c, canary, "latency", at_ms, 0, 0), 200, counts, 7);
        pb_cell *cpu = cells_add(c, canary, "cpu", at_ms, 2, 0);
        cpu->units = arena_alloc(&arena, 2 * sizeof *cpu->units);
        cpu->units[cpu->n_units++] = cells_unit(c, "pod-1", 3);
        cpu->units[cpu->n_units++] = cells_unit(c, "pod-2", 5);
        cells_add(c, canary, "crashes", at_ms, 50, 0);
        cells_add(c, canary, "kills", at_ms, 8, 0);
        pb_cell *people = cells_add(c, canary, "people", at_ms, 3000, 300);
        people->users = arena_alloc(&arena, 2000 * sizeof *people->users);
        for (uint64_t i = 0; i < 2000; i++)
            people->users[people->n_users++] =
                (i + 1) << 53 | (uint64_t)canary << 20 | (i % 10 == 0);
    }
}

static void change(struct scene *s, struct cells *c, int64_t at_ms, double share)
{
    struct change_window w = cells_window(at_ms, share);
    cr_assert(eq(int, scene_change(s, &arena, &w, &c->p), SERIN_OK));
}

/* One of no requests where there is none. */
static const pb_cell *cell(const struct cells *c, bool canary, const char *metric)
{
    static const pb_cell none = SERIN__V1__CELL__INIT;
    for (size_t i = 0; i < c->p.n_cells; i++) {
        const pb_cell *one = c->p.cells[i];
        if ((one->cohort == SERIN__V1__COHORT__COHORT_CANARY) == canary &&
            strcmp(one->metric, metric) == 0)
            return one;
    }
    return &none;
}

static bool has(const struct cells *c, bool canary, const char *metric)
{
    return cell(c, canary, metric)->n > 0;
}

static bool lacks(const struct cells *c, bool canary, const char *metric)
{
    return !has(c, canary, metric);
}

static struct bytes packed(const struct cells *c)
{
    struct bytes b;
    pb_inbox m = SERIN__V1__INBOX__INIT;
    pb_partial p = c->p;
    p.worker = (char *)"w";
    m.schema = SERIN_SCHEMA;
    m.body_case = SERIN__V1__INBOX__BODY_PARTIAL;
    m.partial = &p;
    cr_assert(eq(int, encode_inbox(&arena, &m, &b), SERIN_OK));
    return b;
}

static struct bytes run(const char *spec, uint64_t seed)
{
    struct cells c;
    struct scene *s = opened(spec, true, seed);
    for (int i = 0; i < 3; i++) {
        second(&c, CELLS_T0 + 1000 * i);
        change(s, &c, CELLS_T0 + 1000 * i, 0.1);
    }
    scene_close(s);
    return packed(&c);
}

static bool same(struct bytes a, struct bytes b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

Test(scene, the_same_seed_gives_the_same_bytes_and_another_one_others)
{
    const char *spec = "errors=x2;latency=+30%;crashes=x2;kills=+2/s;people=x2;cpu=+1";
    struct bytes first = run(spec, 1);
    cr_assert(same(first, run(spec, 1)));
    cr_assert(eq(int, same(first, run(spec, 2)), false));
    cr_assert(eq(int, same(first, run(NULL, 1)), false));
}

/* What a cell becomes does not depend on what else is in the window or was before. */
Test(scene, a_cell_draws_for_itself)
{
    struct cells whole, alone;
    struct scene *a = opened("latency=+30%/10%", false, 3), *b;
    second(&whole, CELLS_T0);
    change(a, &whole, CELLS_T0, NAN);
    second(&whole, CELLS_T0 + 1000);
    change(a, &whole, CELLS_T0 + 1000, NAN);
    b = opened("latency=+30%/10%", false, 3);
    cr_assert(eq(int, scene_place(b, CELLS_T0, INT64_MAX, NULL), SERIN_OK));
    second(&alone, CELLS_T0 + 1000);
    size_t kept = 0;
    for (size_t i = 0; i < alone.p.n_cells; i++)
        if (strcmp(alone.at[i]->metric, "latency") == 0) alone.at[kept++] = alone.at[i];
    alone.p.n_cells = kept;
    change(b, &alone, CELLS_T0 + 1000, NAN);
    const pb_histogram *x = cell(&whole, true, "latency")->hist,
                       *y = cell(&alone, true, "latency")->hist;
    cr_assert(eq(sz, x->n_counts, y->n_counts));
    for (size_t i = 0; i < x->n_counts; i++)
        cr_assert(eq(u64, x->counts[i], y->counts[i]));
    scene_close(a);
    scene_close(b);
}

Test(scene, all_that_names_a_cell_changes_its_numbers)
{
    struct cells c;
    double seen[8];
    size_t n = 0;
    cells_begin(&c, &arena);
    pb_cell *first = cells_add(&c, true, "ab", CELLS_T0, 1, 0), *one;
    first->stratum = (char *)"c";
    for (int i = 0; i < 7; i++) {
        one = cells_add(&c, i != 1, i == 2 ? "a" : "ab", CELLS_T0 + (i == 3), 1, 0);
        one->stratum = (char *)(i == 2 ? "bc" : "c"); /* names that run together */
        struct draw d = chance_cell(i == 4 ? 2 : 1, i == 5, i == 6 ? "s" : "r", one);
        seen[n++] = draw_uniform(&d);
        for (size_t k = 0; k + 1 < n; k++)
            cr_assert(ne(dbl, seen[k], seen[n - 1]), "%d", i);
    }
    struct draw d = chance_cell(1, 0, "r", first);
    cr_assert(eq(dbl, draw_uniform(&d), seen[0]));
}

Test(scene, the_commanded_split)
{
    struct cells c;
    struct scene *s = opened(NULL, true, 1);
    second(&c, CELLS_T0);
    change(s, &c, CELLS_T0, 0.1);
    const pb_cell *canary = cell(&c, true, "errors");
    cr_assert(eq(u64, cell(&c, false, "errors")->n, 5000), "the baseline stays");
    cr_assert(canary->n > 450 && canary->n < 665, "a ninth of 5000: %lu", canary->n);
    cr_assert(canary->bad < 40);
    cr_assert(cell(&c, true, "latency")->n > 450 && cell(&c, true, "latency")->n < 665);
    cr_assert(cell(&c, true, "crashes")->n < 20, "they follow the requests");
    cr_assert(eq(u64, cell(&c, true, "kills")->n, 8), "pods are as they were");
    cr_assert(eq(sz, cell(&c, true, "cpu")->n_units, 2));
    cr_assert(cell(&c, true, "people")->n_users > 150 &&
              cell(&c, true, "people")->n_users < 300);
    cr_assert(cell(&c, true, "people")->n >= cell(&c, true, "people")->n_users);
    second(&c, CELLS_T0 + 1000);
    change(s, &c, CELLS_T0 + 1000, 0.8);
    cr_assert(eq(u64, cell(&c, true, "errors")->n, 5000), "the canary stays");
    cr_assert(cell(&c, false, "errors")->n > 1100 &&
              cell(&c, false, "errors")->n < 1400);
    const struct thin_report *r = scene_thinned(s);
    cr_assert(eq(u64, r->windows, 2));
    cr_assert(eq(u64, r->recorded, 20000));
    cr_assert(r->least < 0.58);
    cr_assert(r->least > 0.54);
    cr_assert(eq(dbl, r->least_at, 0.1));
    scene_close(s);
}

Test(scene, all_or_nothing)
{
    struct cells c;
    struct scene *s = opened(NULL, true, 1);
    second(&c, CELLS_T0);
    change(s, &c, CELLS_T0, 0);
    cr_assert(lacks(&c, true, "errors") && lacks(&c, true, "cpu"));
    cr_assert(eq(u64, cell(&c, false, "errors")->n, 5000));
    second(&c, CELLS_T0 + 1000);
    change(s, &c, CELLS_T0 + 1000, 1);
    cr_assert(lacks(&c, false, "errors") && lacks(&c, false, "cpu"));
    cr_assert(eq(u64, cell(&c, true, "errors")->n, 5000));
    second(&c, CELLS_T0 + 2000);
    change(s, &c, CELLS_T0 + 2000, NAN);
    cr_assert(eq(u64, cell(&c, true, "errors")->n, 5000), "previews: no split");
    cr_assert(eq(u64, cell(&c, false, "errors")->n, 5000));
    cr_assert(eq(u64, scene_thinned(s)->windows, 0));
    scene_close(s);
}

/* A canary that stops must be seen to stop; a first window of one cohort is left. */
Test(scene, a_silent_cohort_is_no_split)
{
    struct cells c;
    struct scene *s = opened("silence=canary", true, 1);
    second(&c, CELLS_T0);
    size_t n = c.p.n_cells / 2;
    c.p.n_cells = n; /* the baseline's */
    change(s, &c, CELLS_T0, 0.1);
    cr_assert(eq(u64, cell(&c, false, "errors")->n, 5000));
    cr_assert(eq(u64, scene_thinned(s)->one_sided, 1));
    second(&c, CELLS_T0 + 1000);
    change(s, &c, CELLS_T0 + 1000, 0.8);
    cr_assert(lacks(&c, true, "errors"), "silence comes behind the split");
    second(&c, CELLS_T0 + 2000);
    c.p.n_cells = n;
    change(s, &c, CELLS_T0 + 2000, 0.8);
    cr_assert(cell(&c, false, "errors")->n < 1400, "as before");
    cr_assert(eq(u64, scene_thinned(s)->one_sided, 1));
    scene_close(s);
}

/* Who is kept at a share is kept at a larger one. */
Test(scene, users_stay_where_they_are)
{
    struct cells small, large;
    struct scene *s = opened(NULL, true, 5);
    second(&small, CELLS_T0);
    change(s, &small, CELLS_T0, 0.05);
    second(&large, CELLS_T0 + 1000);
    change(s, &large, CELLS_T0 + 1000, 0.2);
    const pb_cell *few = cell(&small, true, "people"),
                  *more = cell(&large, true, "people");
    cr_assert(few->n_users > 50 && more->n_users > 3 * few->n_users);
    size_t k = 0;
    for (size_t i = 0; i < few->n_users; i++) {
        while (k < more->n_users && more->users[k] < few->users[i])
            k++;
        cr_assert(k < more->n_users);
        cr_assert(eq(u64, more->users[k], few->users[i]));
    }
    scene_close(s);
}

Test(scene, a_split_that_jumps_is_followed_at_once)
{
    struct cells c;
    struct thin t = {.plan = plan, .seed = 1};
    for (int i = 0; i < 40; i++) {
        uint64_t canary = i < 20 ? 100 : 5000;
        struct change_window w = cells_window(CELLS_T0 + 1000 * i, 0.1);
        cells_begin(&c, &arena);
        cells_add(&c, true, "errors", w.start_ms, canary, 0);
        cells_add(&c, false, "errors", w.start_ms, 9900, 0);
        cr_assert(eq(int, thin_window(&t, &w, &c.p), SERIN_OK));
        double x = (double)cell(&c, true, "errors")->n,
               share = x / (x + (double)cell(&c, false, "errors")->n);
        cr_assert(share > 0.06 && share < 0.14, "window %d: %f", i, share);
    }
    thin_free(&t);
}

Test(scene, gauges_by_pod)
{
    struct cells c;
    struct scene *s = opened("cpu=+20%", false, 1);
    second(&c, CELLS_T0);
    change(s, &c, CELLS_T0, NAN);
    cr_assert(epsilon_eq(dbl, cell(&c, true, "cpu")->units[1]->sum, 6, 1e-12));
    cr_assert(epsilon_eq(dbl, cell(&c, true, "cpu")->units[1]->sum_sq, 36, 1e-12));
    cr_assert(eq(dbl, cell(&c, false, "cpu")->units[1]->sum, 5));
    scene_close(s);
    s = opened("cpu=-1.5,both", false, 1);
    second(&c, CELLS_T0);
    change(s, &c, CELLS_T0, NAN);
    cr_assert(epsilon_eq(dbl, cell(&c, false, "cpu")->units[0]->sum, 1.5, 1e-12));
    cr_assert(epsilon_eq(dbl, cell(&c, false, "cpu")->units[0]->sum_sq, 2.25, 1e-12));
    scene_close(s);
    /* One pod of two, always the same one. */
    s = opened("cpu=x2/50%", false, 4);
    double sum[2] = {0};
    for (int i = 0; i < 5; i++) {
        second(&c, CELLS_T0 + 1000 * i);
        change(s, &c, CELLS_T0 + 1000 * i, NAN);
        for (int k = 0; k < 2; k++)
            sum[k] += cell(&c, true, "cpu")->units[k]->sum;
    }
    for (int k = 0; k < 2; k++)
        cr_assert(sum[k] == 5 * (k == 0 ? 3 : 5) || sum[k] == 10 * (k == 0 ? 3 : 5));
    scene_close(s);
}

Test(scene, silence_and_skew)
{
    struct cells c;
    struct scene *s = opened("silence=baseline@1s..2s;skew=canary:+30s@2s", false, 1);
    for (int i = 0; i < 3; i++) {
        second(&c, CELLS_T0 + 1000 * i);
        change(s, &c, CELLS_T0 + 1000 * i, NAN);
        cr_assert(eq(int, lacks(&c, false, "errors"), i == 1));
        cr_assert(eq(i64, cell(&c, true, "cpu")->window_ms,
                     CELLS_T0 + 1000 * i + (i == 2 ? 30000 : 0)));
    }
    cr_assert(eq(u64, scene_met(s, 0), 5000 + 5000 + 2 + 50 + 8 + 3000));
    scene_close(s);
}

Test(scene, events_where_there_were_none)
{
    struct cells c;
    struct scene *s = opened("crashes=+50/s;kills=+50/s,baseline", false, 1);
    cells_begin(&c, &arena);
    cells_add(&c, true, "errors", CELLS_T0, 1000, 0)->stratum = (char *)"eu";
    cells_add(&c, true, "errors", CELLS_T0, 1000, 0)->stratum = (char *)"us";
    cells_add(&c, false, "errors", CELLS_T0, 1000, 0);
    change(s, &c, CELLS_T0, NAN);
    const pb_cell *crashes = cell(&c, true, "crashes");
    cr_assert(has(&c, true, "crashes"));
    cr_assert(eq(str, crashes->stratum, (char *)"eu"));
    cr_assert(crashes->n > 20 && crashes->n < 90, "%lu", crashes->n);
    cr_assert(lacks(&c, false, "crashes"));
    cr_assert(lacks(&c, true, "kills") && cell(&c, false, "kills")->n > 20);
    cr_assert(eq(u64, scene_met(s, 0), crashes->n));
    scene_close(s);
}

Test(scene, factors_of_events_and_of_users)
{
    struct cells c;
    uint64_t crashes = 0, kills = 0, users = 0;
    struct scene *s = opened("crashes=x3;kills=x0.5;people=x4,risk", false, 1);
    for (int i = 0; i < 40; i++) {
        second(&c, CELLS_T0 + 1000 * i);
        change(s, &c, CELLS_T0 + 1000 * i, NAN);
        crashes += cell(&c, true, "crashes")->n;
        kills += cell(&c, true, "kills")->n;
        for (size_t k = 0; k < 2000; k++)
            users += cell(&c, true, "people")->users[k] & 1;
        cr_assert(eq(u64, cell(&c, false, "crashes")->n, 50));
    }
    /* Five standard deviations of what is drawn. */
    cr_assert(fabs((double)crashes - 40 * 150.) < 5 * sqrt(40 * 100.), "%lu", crashes);
    cr_assert(fabs((double)kills - 40 * 4.) < 5 * sqrt(40 * 2.), "%lu", kills);
    cr_assert(fabs((double)users - 40 * 800.) < 5 * sqrt(40 * 400.), "%lu", users);
    scene_close(s);
}

/* Values by explicit bounds go to bounds, and beyond the last one seen by the widest.
 */
Test(scene, bounds_stay_bounds)
{
    struct shift_bounds bounds = {{0}};
    struct draw d = draw_seeded(1);
    struct cells c;
    uint64_t counts[65] = {0}, moved = 0;
    cells_begin(&c, &arena);
    counts[0] = 1000, counts[32] = 1000, counts[64] = 1000; /* 1, 2 and 4 ms */
    pb_cell *one = cells_add(&c, true, "latency", CELLS_T0, 0, 0);
    cells_hist(&c, one, -1, counts, 65);
    one->bounds_ratio = 2;
    shift_learn(&bounds, one);
    struct shift s = {.amount = 1.5, .part = 1};
    cr_assert(shift_cell(&s, &bounds, &arena, &d, one, &moved));
    cr_assert(eq(u64, moved, 3000));
    uint64_t at[4] = {0}, elsewhere = 0;
    for (size_t i = 0; i < one->hist->n_counts; i++) {
        int64_t bucket = one->hist->offset + (int64_t)i + 1;
        if (bucket % 32 == 0 && bucket >= 0 && bucket <= 96)
            at[bucket / 32] += one->hist->counts[i];
        else
            elsewhere += one->hist->counts[i];
    }
    cr_assert(eq(u64, elsewhere, 0));
    /* log2 1.5 = 0.585 of a bucket moves on. */
    cr_assert(at[0] > 330 && at[0] < 500, "%lu", at[0]);
    cr_assert(at[1] > 900 && at[1] < 1100 && at[2] > 900 && at[2] < 1100);
    cr_assert(at[3] > 500 && at[3] < 670);
}

Test(scene, zeros_and_wide_buckets)
{
    struct shift_bounds none = {{0}};
    struct draw d = draw_seeded(1);
    struct cells c;
    uint64_t counts[] = {100}, moved = 0;
    cells_begin(&c, &arena);
    pb_cell *one = cells_add(&c, true, "latency", CELLS_T0, 0, 0);
    cells_hist(&c, one, 2, counts, 1)->zero_count = 50;
    one->hist->scale = 0; /* (4, 8] */
    one->n = 150;
    struct shift twice = {.amount = 2, .part = 1}, add = {true, 100, 1};
    cr_assert(shift_cell(&twice, &none, &arena, &d, one, &moved));
    cr_assert(eq(u64, one->hist->zero_count, 50), "twice nothing is nothing");
    cr_assert(eq(u64, one->hist->counts[3 - one->hist->offset], 100));
    cr_assert(shift_cell(&add, &none, &arena, &d, one, &moved));
    cr_assert(eq(u64, one->hist->zero_count, 0));
    cr_assert(eq(u64, one->hist->counts[6 - one->hist->offset], 150), "(64, 128]");
    cr_assert(eq(u64, moved, 250));
}

Test(scene, rates_come_from_the_past)
{
    struct rates r = {0};
    struct cells c;
    struct change_window w = cells_window(CELLS_T0, NAN);
    cells_begin(&c, &arena);
    cells_add(&c, true, "errors", CELLS_T0, 1000, 10);
    cells_add(&c, false, "errors", CELLS_T0, 9000, 90);
    cr_assert(eq(dbl, rates_of(&r, 0, "r", "", 0), 0));
    cr_assert(eq(int, rates_learn(&r, plan, &w, &c.p), SERIN_OK));
    cr_assert(epsilon_eq(dbl, rates_of(&r, 0, "r", "", 0), 0.01, 1e-12), "its own");
    w.start_ms += 1000;
    c.at[0]->bad = 1000;
    cr_assert(eq(int, rates_learn(&r, plan, &w, &c.p), SERIN_OK));
    cr_assert(epsilon_eq(dbl, rates_of(&r, 0, "r", "", 0), 0.01, 1e-12), "not this");
    w.start_ms += 1000;
    cr_assert(eq(int, rates_learn(&r, plan, &w, &c.p), SERIN_OK));
    cr_assert(rates_of(&r, 0, "r", "", 0) > 0.3, "but the one before");
    double before = rates_of(&r, 0, "r", "", 0);
    w.start_ms -= 2000; /* late */
    cr_assert(eq(int, rates_learn(&r, plan, &w, &c.p), SERIN_OK));
    cr_assert(eq(dbl, rates_of(&r, 0, "r", "", 0), before));
    cr_assert(eq(dbl, rates_of(&r, 0, "other", "", 0), 0));
    rates_free(&r);
}

static void refused(const char *text, bool commanded, const char *spec,
                    const char *word)
{
    struct fault f = {0};
    struct scene *s = NULL;
    struct scene_options o = {.plan = cells_plan(&arena, text),
                              .inject = &spec,
                              .n_inject = spec != NULL,
                              .commanded = commanded};
    cr_assert(scene_open(&s, &o, &f) != SERIN_OK, "%s", text);
    cr_assert(strstr(f.text, word) != NULL, "%s", f.text);
    cr_assert(s == NULL);
}

Test(scene, what_has_no_split)
{
    refused("id: r\ncohorts: {canary: {v: c}, baseline: {v: b}}\n"
            "metrics: [{name: cpu, kind: gauge, from: {metric: cpu, unit_key: pod}}]\n",
            true, NULL, "counts requests");
    refused("id: r\nstrategy: flag\nflag: f\nstrata: [segment]\n"
            "cohorts: {canary: {v: c}, baseline: {v: b}}\n"
            "steps: [{audience: [internal]}, {weight: 10%}, {weight: 100%}]\n"
            "metrics: [{name: errors, kind: ratio}]\n",
            true, NULL, "audience");
    refused(plan_text, false, "sample_ratio=x0.5", "--at-weight commanded");
    refused(plan_text, false, "errors=x0", "column 8");
}

/* Wherever memory runs out, it says so and gives all back. */
Test(scene, no_memory_is_an_error_and_no_leak)
{
    const char *spec = "errors=x2;latency=+30%;crashes=x2;cpu=+1";
    enum serin_status rc = SERIN_ENOMEM;
    unsigned k = 0;
    while (rc == SERIN_ENOMEM) {
        struct arena a = {0};
        struct cells c;
        struct fault f = {0};
        struct scene *s = NULL;
        struct scene_options o = {
            .plan = plan, .inject = &spec, .n_inject = 1, .commanded = true};
        second(&c, CELLS_T0);
        struct change_window w = cells_window(CELLS_T0, 0.1);
        mem_fail_at(++k);
        rc = scene_open(&s, &o, &f);
        if (rc == SERIN_OK) rc = scene_change(s, &a, &w, &c.p);
        mem_fail_at(0);
        cr_assert(rc == SERIN_OK || rc == SERIN_ENOMEM, "%d", rc);
        scene_close(s);
        arena_free(&a);
    }
    cr_assert(gt(uint, k, 4));
}

Test(scene, a_late_window_is_no_split)
{
    struct cells c;
    struct thin t = {.plan = plan, .seed = 1};
    for (int i = 0; i < 3; i++) { /* the second one late, and quite another split */
        struct change_window w = cells_window(CELLS_T0 + (i == 2 ? 2000 : 1000), 0.1);
        cells_begin(&c, &arena);
        cells_add(&c, true, "errors", w.start_ms, i == 1 ? 10 : 5000, 0);
        cells_add(&c, false, "errors", w.start_ms, 5000, 0);
        if (i == 1) w.start_ms -= 1000;
        cr_assert(eq(int, thin_window(&t, &w, &c.p), SERIN_OK));
        if (i == 1) cr_assert(eq(u64, cell(&c, false, "errors")->n, 5000));
    }
    thin_free(&t);
}

/* From a pipe the end is not known before it is there. */
Test(scene, an_injection_that_came_too_late)
{
    struct cells c;
    struct fault f = {0};
    struct scene *s = opened("errors=x2@1h", false, 1);
    second(&c, CELLS_T0);
    change(s, &c, CELLS_T0, NAN);
    cr_assert(eq(int, scene_end(s, CELLS_T0 + 3600000, &f), SERIN_OK));
    cr_assert(eq(int, scene_end(s, CELLS_T0 + 3599999, &f), SERIN_EDOM));
    cr_assert(strstr(f.text, "column 11") != NULL, "%s", f.text);
    scene_close(s);
    s = opened("errors=x2@08:00", false, 1);
    second(&c, CELLS_T0);
    struct change_window w = cells_window(CELLS_T0, NAN);
    cr_assert(eq(int, scene_change(s, &arena, &w, &c.p), SERIN_EDOM));
    cr_assert(strstr(scene_why(s), "outside the recording") != NULL);
    scene_close(s);
}
