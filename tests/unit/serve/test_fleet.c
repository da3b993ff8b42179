/* tests/unit/serve/test_fleet.c -- e-LOND and e-BH over rows, against sequences worked
 * out by hand and the 50-digit vectors */
#include <jansson.h>

#include "stats/combine.h"
#include "tests/unit/serve/fixture.h"

enum { MOST = 32 };

/* Sorted by fleet_judge; names are one letter, so entry(f, 'c') finds one again. */
static struct fleet judged(struct fleet_entry *e, size_t n, double level,
                           struct arena *a)
{
    struct fleet f = {.entries = e, .n = n, .level = level};
    cr_assert(eq(int, fleet_judge(&f, a), SERIN_OK));
    return f;
}

/* alpha .05: thresholds by hand with gamma_1 = .0535167…, gamma_2 = .0116382…,
 * gamma_3 = .0099124…, gamma_4 = .0082436…; log 1/(.05 gamma (R + 1)). */
Test(fleet, index_and_discoveries_follow_from_the_rows)
{
    struct arena a = {0};
    struct fleet_entry e[] = {
        /* given in no order; b is a discovery, over before d starts but not before c */
        {.rollout = "d", .started_ms = 400, .log_e = 1, .peak_log_e = 7.2},
        {.rollout = "c", .started_ms = 250, .ended_ms = 600, .peak_log_e = 7.4},
        {.rollout = "a", .started_ms = 100, .ended_ms = 150, .peak_log_e = 5.9},
        {.rollout = "b", .started_ms = 200, .ended_ms = 300, .peak_log_e = 7.5},
    };
    struct fleet f = judged(e, 4, 0.05, &a);
    const double threshold[] = {5.923492473, 7.449194264, 7.609691087, 7.100902495};
    const bool bad[] = {false, true, false, true};
    const uint64_t earlier[] = {0, 0, 0, 1};
    for (size_t i = 0; i < 4; i++) {
        cr_expect(eq(int, f.entries[i].rollout[0], 'a' + (int)i));
        cr_expect(eq(u64, f.entries[i].index, i + 1));
        cr_expect(epsilon_eq(dbl, f.entries[i].threshold, threshold[i], 1e-6),
                  "%zu: %.9f", i, f.entries[i].threshold);
        cr_expect(eq(int, f.entries[i].discovery, bad[i]), "%zu", i);
        cr_expect(eq(u64, f.entries[i].earlier, earlier[i]), "%zu", i);
    }
    cr_expect(eq(sz, f.discoveries, 2));
    cr_expect(eq(sz, f.live, 1));
    cr_expect(fleet_find(&f, "c") == &f.entries[2] && fleet_find(&f, "x") == NULL);
    arena_free(&a);
}

/* The same instant is told apart by the id; an end at a start is not before it. */
Test(fleet, ties)
{
    struct arena a = {0};
    struct fleet_entry e[] = {
        {.rollout = "z", .started_ms = 5, .peak_log_e = 9},
        {.rollout = "y", .started_ms = 5, .ended_ms = 7, .peak_log_e = 9},
        {.rollout = "zz", .started_ms = 7, .peak_log_e = 0}};
    struct fleet f = judged(e, 3, 0.05, &a);
    cr_expect(eq(str, (char *)(uintptr_t)f.entries[0].rollout, (char *)"y"));
    cr_expect(f.entries[0].discovery);
    cr_expect(eq(u64, f.entries[2].earlier, 0));
    arena_free(&a);
}

/* A row less: the later ones move up, and its discovery does not count any more. */
Test(fleet, a_deleted_row_changes_the_later_levels)
{
    struct arena a = {0};
    struct fleet_entry e[] = {
        {.rollout = "a", .started_ms = 1, .ended_ms = 2, .peak_log_e = 9},
        {.rollout = "b", .started_ms = 3, .peak_log_e = 0}};
    struct fleet f = judged(e, 2, 0.05, &a);
    double with = f.entries[1].threshold;
    struct fleet_entry alone[] = {{.rollout = "b", .started_ms = 3}};
    f = judged(alone, 1, 0.05, &a);
    cr_expect(eq(dbl, with, combine_elond_threshold(0.05, 2, 1)));
    cr_expect(eq(dbl, f.entries[0].threshold, combine_elond_threshold(0.05, 1, 0)));
    arena_free(&a);
}

/* e-BH at .05 of 4 live ones: log(4 / (.05 k)) = 4.38, 3.69, 3.28, 3.00. */
Test(fleet, live_ones_are_flagged_by_what_they_show_now)
{
    struct arena a = {0};
    struct fleet_entry e[] = {
        {.rollout = "a", .started_ms = 1, .log_e = 3.7, .peak_log_e = 3.7},
        {.rollout = "b", .started_ms = 2, .log_e = 3.9, .peak_log_e = 3.9},
        {.rollout = "c", .started_ms = 3, .log_e = 3.2, .peak_log_e = 8},
        {.rollout = "d", .started_ms = 4, .log_e = 0, .peak_log_e = 0},
        {.rollout = "e",
         .started_ms = 5,
         .ended_ms = 6,
         .log_e = 50,
         .peak_log_e = 50}};
    struct fleet f = judged(e, 5, 0.05, &a);
    const bool flagged[] = {true, true, false, false, false};
    for (size_t i = 0; i < 5; i++)
        cr_expect(eq(int, f.entries[i].flagged, flagged[i]), "%zu", i);
    cr_expect(f.entries[2].discovery && f.entries[4].discovery);
    arena_free(&a);
}

/* Each vector is a sequence in which one is over before the next one starts. */
Test(fleet, sequences_of_the_vectors)
{
    static const char ids[] = "abcdefghijklmnopqrstuvwxyzABCDEFGH";
    json_t *root = json_load_file("tests/vectors/combine.json", 0, NULL), *item, *step;
    size_t at, k, steps = 0;
    cr_assert(root != NULL);
    json_array_foreach(json_object_get(root, "elond"), at, item)
    {
        struct arena a = {0};
        struct fleet_entry e[MOST] = {0};
        char names[MOST][2] = {{0}};
        const json_t *sequence = json_object_get(item, "sequence");
        size_t n = json_array_size(sequence);
        cr_assert(le(sz, n, (size_t)MOST));
        json_array_foreach(sequence, k, step)
        {
            names[k][0] = ids[n - 1 - k]; /* the ids' order is the wrong one */
            e[k] = (struct fleet_entry){
                .rollout = names[k],
                .started_ms = (int64_t)(10 * k) + 1,
                .ended_ms = (int64_t)(10 * k) + 5,
                .peak_log_e = json_number_value(json_object_get(step, "log_E"))};
        }
        struct fleet f =
            judged(e, n, json_number_value(json_object_get(item, "alpha")), &a);
        json_array_foreach(sequence, k, step)
        {
            double want = json_number_value(json_object_get(step, "log_threshold"));
            cr_expect(epsilon_eq(dbl, f.entries[k].threshold, want, 1e-11));
            cr_expect(eq(int, f.entries[k].discovery,
                         json_is_true(json_object_get(step, "reject"))));
            cr_expect(
                eq(i64, (int64_t)f.entries[k].earlier,
                   json_integer_value(json_object_get(step, "discoveries_before"))));
            steps++;
        }
        arena_free(&a);
    }
    cr_expect(ge(sz, steps, (size_t)20), "an empty file must not pass");
    json_decref(root);
}

/* From rows: who has not started is not in it, and 300 live ones are no limit. */
Test(fleet, directory_gives_those_that_have_started)
{
    struct directory *d = fixture_directory();
    struct arena a = {0};
    struct fleet f = {0};
    for (int i = 0; i < 300; i++) {
        char id[16];
        pb_rollout r = SERIN__V1__ROLLOUT__INIT;
        pb_status s = SERIN__V1__STATUS__INIT;
        snprintf(id, sizeof id, "r%03d", i);
        r.schema = SERIN_SCHEMA, r.rollout = id, r.status = &s;
        s.state = (char *)(i % 10 == 9 ? "ABORTED" : "OBSERVING");
        s.final = i % 10 == 9;
        s.started_ms = i == 0 ? 0 : 1000 - i; /* the later the id, the earlier */
        s.since_ms = 2000 + i;
        s.abort_log_e = i == 1 ? 20 : i == 2 ? (double)NAN : 0;
        s.peak_log_e = s.final ? 20 : 0;
        fixture_take_row(d, &r);
    }
    cr_assert(eq(int, directory_fleet(d, 0.05, &a, &f), SERIN_OK));
    cr_assert(eq(sz, f.n, 299));
    cr_expect(eq(sz, f.live, 269));
    cr_expect(eq(sz, f.discoveries, 30));
    cr_expect(eq(str, (char *)(uintptr_t)f.entries[0].rollout, (char *)"r299"));
    cr_expect(eq(i64, f.entries[0].ended_ms, 2299));
    cr_expect(fleet_find(&f, "r001")->flagged && !fleet_find(&f, "r002")->flagged);
    cr_expect(fleet_find(&f, "r000") == NULL);
    arena_free(&a);
    directory_close(d);
}
