/* tests/unit/ingest/test_route.c -- which rollouts a series reaches */
#include "ingest/partial.h"
#include "engine/base/mem.h"
#include "proto/decode.h"
#include "tests/support/check.h"
#include "tests/support/ingest_world.h"

static struct series_name name_of(const char *service, const char *version)
{
    struct series_name s = {.metric = strview_of("errors")};
    s.attributes[0] =
        (struct series_attribute){strview_of("service"), strview_of(service)};
    s.attributes[1] =
        (struct series_attribute){strview_of("version"), strview_of(version)};
    s.n_attributes = 2;
    return s;
}

Test(route, ten_thousand_rollouts_are_told_apart)
{
    struct world w = world_open(NULL);
    struct route_match m[ROUTE_MAX_MATCHES];
    char id[32], service[32];
    size_t n;
    for (int i = 0; i < 9998; i++) {
        snprintf(id, sizeof id, "id-%d", i);
        snprintf(service, sizeof service, "s-%d", i / 2); /* two rollouts a service */
        world_row(id, service, true, world_put, &w);
    }
    cr_assert(eq(sz, route_table_live(w.routes), 10000));
    for (int i = 0; i < 4999; i += 7) {
        snprintf(service, sizeof service, "s-%d", i);
        struct series_name s = name_of(service, i % 2 ? "new" : "old");
        cr_assert(eq(int, route_table_find(w.routes, &s, m, &n), SERIN_OK));
        cr_assert(eq(sz, n, 2), "%s", service);
        cr_assert(eq(int, (int)m[0].cohort, i % 2 ? ROUTE_CANARY : ROUTE_BASELINE));
        cr_assert(eq(long, strtol(m[0].route->id + 3, NULL, 10) / 2, i));
    }
    struct series_name none = name_of("s-1", "older");
    cr_assert(eq(int, route_table_find(w.routes, &none, m, &n), SERIN_OK));
    cr_assert(eq(sz, n, 0));
    world_close(&w);
}

static enum serin_status status;
static bool changed;

static void try_put(void *t, pb_rollout *row)
{
    struct fault f = {0};
    status = route_table_put(t, row, &changed, &f);
}

Test(route, rows_change_end_and_repeat)
{
    struct world w = world_open(NULL);
    struct route_match m[ROUTE_MAX_MATCHES];
    size_t n;
    struct series_name s = name_of("shop", "new");
    world_row("r1", "shop", true, try_put, w.routes);
    cr_assert(not(changed), "a row that only refreshes its status changes no route");
    world_row("r1", "store", true, try_put, w.routes);
    cr_assert(changed);
    cr_assert(eq(int, route_table_find(w.routes, &s, m, &n), SERIN_OK));
    cr_assert(eq(sz, n, 0));
    world_row("r1", "shop", true, try_put, w.routes);
    world_row("r2", "shop", false, try_put, w.routes);
    cr_assert(changed, "a final rollout goes");
    cr_assert(eq(sz, route_table_live(w.routes), 1));
    cr_assert(route_table_remove(w.routes, strview_of("r1")));
    cr_assert(not(route_table_remove(w.routes, strview_of("r1"))));
    cr_assert(eq(int, route_table_find(w.routes, &s, m, &n), SERIN_OK));
    cr_assert(eq(sz, n, 0));
    world_close(&w);
}

Test(route, more_than_the_limit_is_refused)
{
    struct world w = world_open(NULL);
    char id[32];
    for (int i = 0; i < ROUTE_MAX_LIVE - 2; i++) {
        snprintf(id, sizeof id, "id-%d", i);
        world_row(id, id, true, try_put, w.routes);
    }
    cr_assert(eq(int, status, SERIN_OK));
    world_row("one-more", "x", true, try_put, w.routes);
    cr_assert(eq(int, status, SERIN_ELIMIT));
    world_close(&w);
}

Test(route, strata_beyond_sixty_three_are_other)
{
    struct world w = world_open(NULL);
    char text[200];
    for (int i = 0; i < 100; i++) {
        snprintf(
            text, sizeof text,
            "{\"t_ms\":1700000000000,\"attributes\":{\"service\":\"shop\",\"version\":"
            "\"new\",\"region\":\"z%d\"},\"metric\":\"errors\",\"n\":1,\"bad\":0}",
            i);
        cr_assert(eq(int, world_decode(&w, FORMAT_JSON, text, strlen(text)), SERIN_OK));
    }
    cr_assert(eq(sz, aggregate_cells(w.a), 64));
    cr_assert(
        eq(u64, world_cell(&w, "r1", ROUTE_CANARY, "z62", "errors", WORLD_NOW)->n, 1));
    cr_assert(eq(
        u64, world_cell(&w, "r1", ROUTE_CANARY, "other", "errors", WORLD_NOW)->n, 37));
    world_close(&w);
}

static void both(void *ctx, pb_rollout *row)
{
    row->route->cohorts[1]->n_all = 1; /* baseline: the service alone */
    world_put(ctx, row);
}

Test(route, the_cohort_that_asks_for_more_wins)
{
    struct world w = world_open(NULL);
    struct route_match m[ROUTE_MAX_MATCHES];
    size_t n;
    world_row("r3", "api", true, both, &w);
    struct series_name canary = name_of("api", "new"),
                       base = name_of("api", "whatever");
    cr_assert(eq(int, route_table_find(w.routes, &canary, m, &n), SERIN_OK));
    cr_assert(eq(sz, n, 1));
    cr_assert(eq(int, (int)m[0].cohort, ROUTE_CANARY));
    cr_assert(eq(int, route_table_find(w.routes, &base, m, &n), SERIN_OK));
    cr_assert(eq(sz, n, 1));
    cr_assert(eq(int, (int)m[0].cohort, ROUTE_BASELINE));
    world_close(&w);
}

static void odd_metric(void *t, pb_rollout *row)
{
    struct fault f = {0};
    row->route->metrics[0]->kind = (char *)(uintptr_t) "average";
    row->route->metrics[2]->bad = (char *)(uintptr_t) "status";
    status = route_table_put(t, row, &changed, &f);
    cr_assert(strstr(f.text, "expected") != NULL, "%s", f.text);
}

Test(route, a_metric_not_understood_leaves_the_others)
{
    struct world w = world_open(NULL);
    struct route_match m[ROUTE_MAX_MATCHES];
    size_t n;
    world_row("r3", "odd", true, odd_metric, w.routes);
    cr_assert(eq(int, status, SERIN_EDOM));
    struct series_name s = name_of("odd", "new");
    cr_assert(eq(int, route_table_find(w.routes, &s, m, &n), SERIN_OK));
    cr_assert(eq(sz, n, 1));
    cr_assert(eq(sz, m[0].route->n_metrics, 3));
    world_close(&w);
}

static enum serin_status count_records(void *ctx, struct strview key,
                                       struct bytes value)
{
    struct arena a = {0};
    pb_inbox *m;
    uint64_t *sum = ctx;
    (void)key;
    cr_assert(eq(int, decode_inbox(&a, value.p, value.n, &m), SERIN_OK));
    sum[0]++;
    sum[1] += m->partial->n_cells;
    sum[2] += m->partial->samples;
    for (size_t i = 0; i < m->partial->n_cells; i++)
        sum[3] += m->partial->cells[i]->n;
    arena_free(&a);
    return SERIN_OK;
}

Test(route, large_partials_are_split_and_add_up)
{
    struct world w = world_open(NULL);
    struct arena scratch = {0};
    uint64_t sum[4] = {0};
    char text[200];
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof text,
                 "{\"t_ms\":%lld,\"rollout\":\"r1\",\"cohort\":\"canary\",\"metric\":"
                 "\"errors\",\"n\":3,\"bad\":1}",
                 (long long)(WORLD_NOW - i * 1000LL));
        cr_assert(eq(int, world_decode(&w, FORMAT_JSON, text, strlen(text)), SERIN_OK));
    }
    cr_assert(eq(int, partial_each(w.a, "w", &scratch, count_records, sum), SERIN_OK));
    cr_assert(gt(u64, sum[0], 1));
    cr_assert(eq(u64, sum[1], 5000));
    cr_assert(eq(u64, sum[2], 5000));
    cr_assert(eq(u64, sum[3], 15000));
    arena_free(&scratch);
    world_close(&w);
}

/* Whatever allocation fails, nothing leaks and no sample is lost uncounted. */
Test(route, every_allocation_may_fail)
{
    const char *text =
        "{\"t_ms\":1700000000000,\"attributes\":{\"service\":\"cart\",\"version\":"
        "\"new\"},\"metric\":\"duration\",\"values\":[0.1,0.2,3000]}";
    for (uint64_t k = 1; k < 40; k++) {
        struct world w = world_open(NULL);
        mem_fail_at(k);
        int s = world_decode(&w, FORMAT_JSON, text, strlen(text));
        mem_fail_at(0);
        struct aggregate_counts c = aggregate_counts(w.a);
        cr_assert(s == SERIN_OK || c.samples == 0);
        cr_assert(eq(u64, c.samples, c.routed + c.unrouted + c.poison + c.dropped));
        if (s == SERIN_OK) cr_assert(eq(u64, c.samples, 3));
        world_close(&w);
    }
}
