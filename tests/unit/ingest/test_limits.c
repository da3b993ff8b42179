#include "ingest/aggregate.h"
#include "tests/support/check.h"
#include "tests/support/ingest_world.h"

enum { REGIONS = 40 };

/* One sample of the canary of a rollout from each region, in one second. */
static void fill(struct world *w, const char *rollout, int64_t t_ms)
{
    char text[256];
    for (int i = 0; i < REGIONS; i++) {
        snprintf(text, sizeof text,
                 "{\"t_ms\":%lld,\"rollout\":\"%s\",\"cohort\":\"canary\","
                 "\"attributes\":{\"region\":\"z%d\"},\"metric\":\"errors\",\"n\":1,"
                 "\"bad\":0}",
                 (long long)t_ms, rollout, i);
        int s = world_decode(w, FORMAT_JSON, text, strlen(text));
        cr_assert(eq(int, s, SERIN_OK));
    }
}

static uint64_t units_in(const struct world *w, const char *rollout, bool other)
{
    uint64_t n = 0;
    const struct aggregate_tally *t = aggregate_tallies(w->a);
    for (; t != NULL; t = t->next)
        for (const struct aggregate_cell *c = t->cells; c != NULL; c = c->next)
            if (strcmp(t->route->id, rollout) == 0 &&
                (aggregate_cell_stratum(c) == ROUTE_MAX_STRATA - 1) == other)
                n += c->n;
    return n;
}

/* A rollout with many strata does not take the room of another one, and its samples
 * are counted all the same. */
Test(limits, one_rollout_folds_its_strata_and_another_does_not)
{
    struct aggregate_options o = {.max_series = 1000, .max_rollout = 16};
    struct world w = world_open(&o);
    fill(&w, "r1", WORLD_NOW);
    cr_assert(aggregate_full(w.a), "half of the rollout's limit is reached");
    cr_assert(eq(u64, units_in(&w, "r1", false), 14), "an eighth of 16 is kept");
    cr_assert(eq(u64, units_in(&w, "r1", true), REGIONS - 14));
    struct aggregate_counts c = aggregate_counts(w.a);
    cr_assert(eq(u64, c.samples, REGIONS));
    cr_assert(eq(u64, c.routed, REGIONS));
    cr_assert(eq(u64, c.other, REGIONS - 14));
    cr_assert(eq(u64, c.dropped, 0));
    aggregate_clear(w.a);
    cr_assert(not(aggregate_full(w.a)));
    cr_assert(eq(u64, aggregate_counts(w.a).other, 0));
    world_close(&w);
}

/* The limit of all rollouts together: whoever comes then is folded, none is lost. */
Test(limits, in_all_new_strata_fold_whosever_they_are)
{
    struct aggregate_options o = {.max_series = 80};
    struct world w = world_open(&o);
    fill(&w, "r1", WORLD_NOW);
    fill(&w, "r2", WORLD_NOW);
    cr_assert(aggregate_full(w.a));
    cr_assert(eq(u64, units_in(&w, "r1", false), REGIONS), "first come");
    cr_assert(eq(u64, units_in(&w, "r2", false), 70 - REGIONS), "an eighth is kept");
    cr_assert(eq(u64, units_in(&w, "r2", true), 2 * REGIONS - 70));
    struct aggregate_counts c = aggregate_counts(w.a);
    cr_assert(eq(u64, c.routed, 2 * REGIONS));
    cr_assert(eq(u64, c.other, 2 * REGIONS - 70));
    cr_assert(eq(u64, c.dropped, 0));
    world_close(&w);
}

/* At the limit itself, other seconds find no room: dropped, and poison to the judge. */
Test(limits, what_has_no_room_is_dropped_and_counted)
{
    struct aggregate_options o = {.max_series = 1000, .max_rollout = 16};
    struct world w = world_open(&o);
    for (int k = 0; k < 4; k++)
        fill(&w, "r2", WORLD_NOW + 1000 * k);
    struct aggregate_counts c = aggregate_counts(w.a);
    cr_assert(eq(u64, c.samples, 4 * REGIONS));
    cr_assert(gt(u64, c.dropped, 0));
    cr_assert(eq(u64, c.samples, c.routed + c.unrouted + c.poison + c.dropped));
    cr_assert(eq(u64, aggregate_tallies(w.a)->poison, c.dropped));
    cr_assert(eq(u64, units_in(&w, "r2", false) + units_in(&w, "r2", true), c.routed));
    world_close(&w);
}

/* Late: the second had ended when the line was drawn. */
Test(limits, samples_of_closed_windows_are_late)
{
    struct world w = world_open(NULL);
    fill(&w, "r1", WORLD_NOW);
    cr_assert(eq(u64, aggregate_counts(w.a).late, 0), "no line yet");
    aggregate_closed(w.a, WORLD_NOW + 999);
    fill(&w, "r1", WORLD_NOW);
    cr_assert(eq(u64, aggregate_counts(w.a).late, 0), "the second is open");
    aggregate_closed(w.a, WORLD_NOW + 1000);
    fill(&w, "r1", WORLD_NOW + 999);
    fill(&w, "r1", WORLD_NOW + 1000);
    cr_assert(eq(u64, aggregate_counts(w.a).late, REGIONS));
    cr_assert(eq(u64, aggregate_counts(w.a).routed, 4 * REGIONS), "late ones go on");
    aggregate_duplicate(w.a, 3);
    cr_assert(eq(u64, aggregate_counts(w.a).duplicate, 3));
    cr_assert(eq(u64, aggregate_counts(w.a).samples, 4 * REGIONS));
    cr_assert(gt(sz, aggregate_memory(w.a), aggregate_bytes(w.a)));
    world_close(&w);
}

/* Brackets within brackets, as many as a message may have: refused, not followed. */
Test(limits, nested_json_costs_no_stack)
{
    enum { N = 1 << 20 };
    struct world w = world_open(NULL);
    static const char *const heads[] = {"", "{\"resourceMetrics\":"};
    static const enum format formats[] = {FORMAT_JSON, FORMAT_OTLP_JSON};
    char *text = malloc(N);
    cr_assert(text != NULL);
    for (size_t i = 0; i < 2; i++) {
        memset(text, '[', N);
        memcpy(text, heads[i], strlen(heads[i]));
        cr_assert(eq(int, world_decode(&w, formats[i], text, N), SERIN_EPARSE));
        cr_assert(eq(int, w.why.reason, QUARANTINE_SYNTAX), "%s", w.why.detail);
    }
    free(text);
    world_close(&w);
}
