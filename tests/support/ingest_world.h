/* tests/support/ingest_world.h -- routes and an aggregate to decode into, header only
 * (so that fuzz targets, which have no Criterion, use it too) */
#ifndef SERIN_TESTS_SUPPORT_INGEST_WORLD_H
#define SERIN_TESTS_SUPPORT_INGEST_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/decode/format.h"
#include "proto/encode.h"

#define WORLD_NOW INT64_C(1700000000000) /* a whole second */

struct world {
    struct route_table *routes;
    struct aggregate *a;
    struct reject why;
};

static inline pb_attribute world_attribute(const char *key, const char *value)
{
    pb_attribute a = SERIN__V1__ATTRIBUTE__INIT;
    a.key = (char *)(uintptr_t)key;
    a.value = (char *)(uintptr_t)value;
    return a;
}

static inline pb_route_metric world_metric(const char *name, const char *kind,
                                           const char *from, const char *bad)
{
    pb_route_metric m = SERIN__V1__ROUTE_METRIC__INIT;
    m.name = (char *)(uintptr_t)name;
    m.kind = (char *)(uintptr_t)kind;
    m.from = (char *)(uintptr_t)from;
    m.bad = (char *)(uintptr_t)bad;
    return m;
}

/* A row of the rollouts topic: service=SERVICE, version=new|old; strata by "region";
 * metrics errors (ratio), latency (from "duration", seconds), failures (ratio, from
 * "duration" by condition), cpu (gauge by "pod"), crashes (events). */
static inline void world_row(const char *id, const char *service, bool live,
                             void (*use)(void *, pb_rollout *), void *ctx)
{
    pb_attribute at[] = {
        world_attribute("service", service), world_attribute("version", "new"),
        world_attribute("service", service), world_attribute("version", "old")};
    pb_attribute *all[] = {&at[0], &at[1], &at[2], &at[3]};
    pb_match canary = SERIN__V1__MATCH__INIT, baseline = SERIN__V1__MATCH__INIT;
    canary.cohort = SERIN__V1__COHORT__COHORT_CANARY;
    canary.all = all;
    baseline.cohort = SERIN__V1__COHORT__COHORT_BASELINE;
    baseline.all = all + 2;
    canary.n_all = baseline.n_all = 2;
    pb_match *cohorts[] = {&canary, &baseline};
    pb_route_metric m[] = {
        world_metric("errors", "ratio", "", ""),
        world_metric("latency", "latency", "duration", ""),
        world_metric("failures", "ratio", "duration", "status >= 500"),
        world_metric("cpu", "gauge", "", ""),
        world_metric("crashes", "events", "", "")};
    m[1].scale = 1000;
    m[3].unit_key = (char *)(uintptr_t) "pod";
    pb_route_metric *metrics[] = {&m[0], &m[1], &m[2], &m[3], &m[4]};
    char *strata[] = {(char *)(uintptr_t) "region"};
    pb_route route = SERIN__V1__ROUTE__INIT;
    route.live = live;
    route.cohorts = cohorts;
    route.n_cohorts = 2;
    route.strata = strata;
    route.n_strata = 1;
    route.metrics = metrics;
    route.n_metrics = sizeof metrics / sizeof *metrics;
    pb_rollout row = SERIN__V1__ROLLOUT__INIT;
    row.schema = SERIN_SCHEMA;
    row.rollout = (char *)(uintptr_t)id;
    row.route = &route;
    use(ctx, &row);
}

static inline void world_put(void *ctx, pb_rollout *row)
{
    struct world *w = ctx;
    struct fault f = {0};
    bool changed;
    if (route_table_put(w->routes, row, &changed, &f) != SERIN_OK) {
        fprintf(stderr, "%s\n", f.text);
        abort();
    }
    aggregate_routes_changed(w->a);
}

/* Two rollouts: "r1" of service "shop", "r2" of service "cart". */
static inline struct world world_open(const struct aggregate_options *o)
{
    struct world w = {NULL, NULL, {QUARANTINE_EMPTY, ""}};
    struct aggregate_options none = {0};
    if (route_table_open(&w.routes) != SERIN_OK) abort();
    if (aggregate_open(&w.a, w.routes, o != NULL ? o : &none) != SERIN_OK) abort();
    world_row("r1", "shop", true, world_put, &w);
    world_row("r2", "cart", true, world_put, &w);
    return w;
}

static inline void world_close(struct world *w)
{
    aggregate_close(w->a);
    route_table_close(w->routes);
}

static inline enum serin_status world_decode(struct world *w, enum format f,
                                             const void *p, size_t n)
{
    aggregate_message(w->a, WORLD_NOW);
    return format_decode(f, w->a, p, n, &w->why);
}

/* The cell of a rollout, cohort, stratum and metric name; an empty one when there is
 * none. */
static inline const struct aggregate_cell *
world_cell(const struct world *w, const char *rollout, enum route_cohort cohort,
           const char *stratum, const char *metric, int64_t window_ms)
{
    static const struct aggregate_cell none;
    const struct aggregate_tally *t = aggregate_tallies(w->a);
    while (t != NULL && strcmp(t->route->id, rollout) != 0)
        t = t->next;
    const struct aggregate_cell *c = t != NULL ? t->cells : NULL;
    for (; c != NULL; c = c->next) {
        const char *name = t->route->metrics[aggregate_cell_metric(c)].name;
        const char *in = route_stratum_name(t->route, aggregate_cell_stratum(c));
        if (aggregate_cell_cohort(c) == cohort && c->window_ms == window_ms &&
            strcmp(in, stratum) == 0 && strcmp(name, metric) == 0) {
            return c;
        }
    }
    return &none;
}

#endif
