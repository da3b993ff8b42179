/* tests/unit/ingest/test_otlp.c -- OTLP, protobuf and JSON, into cells */
#include "ingest/decode/otlp.h"
#include "tests/support/check.h"
#include "tests/support/ingest_world.h"
#include "tests/support/otlp.h"

enum { GAUGE = 5, SUM = 7, HISTOGRAM = 9, EXPONENTIAL = 10, SUMMARY = 11 };

static struct world w;
static struct rw request, scope, point;

static void setup(void)
{
    w = world_open(NULL);
}

static void teardown(void)
{
    rw_free(&request);
    rw_free(&scope);
    rw_free(&point);
    world_close(&w);
}

TestSuite(otlp, .init = setup, .fini = teardown);

static int send(void)
{
    otlp_request(&request, &scope, "shop", "new");
    int s = world_decode(&w, FORMAT_OTLP_PROTO, request.p, request.n);
    request.n = 0;
    return s;
}

static void sent(void)
{
    cr_assert(eq(int, send(), SERIN_OK), "%s", w.why.detail);
}

static uint64_t ns(int64_t t_ms)
{
    return (uint64_t)(WORLD_NOW + t_ms) * 1000000;
}

static const struct aggregate_cell *cell(const char *metric, int64_t t_ms)
{
    return world_cell(&w, "r1", ROUTE_CANARY, "eu", metric, WORLD_NOW + t_ms);
}

#define NO_START INT64_MIN
static void times(int64_t start_ms, int64_t t_ms)
{
    if (start_ms != NO_START) otlp_fixed(&point, 2, ns(start_ms));
    otlp_fixed(&point, 3, ns(t_ms));
}

static void sum(unsigned temporality, int64_t start_ms, int64_t t_ms, int64_t v)
{
    times(start_ms, t_ms);
    otlp_fixed(&point, 6, (uint64_t)v);
    otlp_attribute(&point, 7, "region", "eu");
    otlp_metric(&scope, "crashes", SUM, temporality, 1, &point);
}

Test(otlp, delta_sums)
{
    sum(OTLP_DELTA, 0, 0, 7);
    sum(OTLP_DELTA, 0, 1000, 5);
    sum(OTLP_DELTA, 0, 1000, 5); /* the same again */
    sum(OTLP_DELTA, 0, 0, 7);    /* and the one before */
    sum(OTLP_DELTA, 0, 500, 2);  /* late, but counted nowhere yet */
    sum(OTLP_DELTA, 0, 500, 2);  /* now it is */
    sum(OTLP_DELTA, 0, 1000, 5);
    sent();
    cr_assert(eq(u64, cell("crashes", 0)->n, 9));
    cr_assert(eq(u64, cell("crashes", 1000)->n, 5));
    cr_assert(eq(u64, aggregate_counts(w.a).duplicate, 4));
    sum(OTLP_DELTA, 0, 2000, -1);
    sum(0, 0, 3000, 1);
    sum(OTLP_DELTA, 0, 700000, 1);
    times(0, 2000);
    otlp_double(&point, 4, 2.5);
    otlp_attribute(&point, 7, "region", "eu");
    otlp_metric(&scope, "crashes", SUM, OTLP_DELTA, 1, &point);
    otlp_attribute(&point, 7, "region", "eu"); /* no time */
    otlp_metric(&scope, "crashes", SUM, OTLP_DELTA, 1, &point);
    sent();
    cr_assert(eq(u64, aggregate_counts(w.a).poison, 5));
}

Test(otlp, cumulative_sums)
{
    cumulative_watch(aggregate_cumulative(w.a), WORLD_NOW - CUMULATIVE_SKEW_MS);
    sum(OTLP_CUMULATIVE, -100, 0, 1000);
    sent();
    cr_assert(eq(u64, aggregate_counts(w.a).samples, 0), "began before");
    cr_assert(eq(u64, aggregate_counts(w.a).begun, 1));
    sum(OTLP_CUMULATIVE, -100, 2000, 1010);
    sum(OTLP_CUMULATIVE, -100, 1000, 1004); /* out of order: in the next one */
    sum(OTLP_CUMULATIVE, -100, 2000, 1010);
    sum(OTLP_CUMULATIVE, -100, 5000, 1011); /* a gap */
    sent();
    cr_assert(eq(u64, cell("crashes", 2000)->n, 10));
    cr_assert(eq(u64, cell("crashes", 5000)->n, 1));
    cr_assert(eq(u64, aggregate_counts(w.a).duplicate, 2));
    sum(OTLP_CUMULATIVE, 5500, 6000, 2000); /* restarted, and past it already */
    sum(OTLP_CUMULATIVE, 5500, 7000, 2005);
    sum(OTLP_CUMULATIVE, 5500, 8000, 3);  /* restarted under the same start */
    sum(OTLP_CUMULATIVE, 9000, 9000, 50); /* a start not known */
    sum(OTLP_CUMULATIVE, 9000, 10000, 51);
    sent();
    cr_assert(eq(u64, cell("crashes", 6000)->n, 2000));
    cr_assert(eq(u64, cell("crashes", 7000)->n, 5));
    cr_assert(eq(u64, cell("crashes", 8000)->n, 3));
    cr_assert(eq(u64, cell("crashes", 9000)->n, 0));
    cr_assert(eq(u64, cell("crashes", 10000)->n, 1));
}

Test(otlp, a_counter_that_began_under_our_eyes_counts_from_zero)
{
    cumulative_watch(aggregate_cumulative(w.a), WORLD_NOW - CUMULATIVE_SKEW_MS);
    sum(OTLP_CUMULATIVE, 1, 2000, 40);
    sent();
    cr_assert(eq(u64, cell("crashes", 2000)->n, 40));
    cr_assert(eq(u64, aggregate_counts(w.a).begun, 0));
    cumulative_forget(aggregate_cumulative(w.a));
    sum(OTLP_CUMULATIVE, 1, 3000, 45);
    sent();
    cr_assert(eq(u64, cell("crashes", 3000)->n, 0), "others may have counted it");
    cr_assert(eq(u64, aggregate_counts(w.a).begun, 1));
}

Test(otlp, what_rose_before_anybody_asked_is_not_counted)
{
    struct cumulative *c = aggregate_cumulative(w.a);
    cumulative_watch(c, WORLD_NOW - 600000);
    sum(OTLP_CUMULATIVE, -300000, -200000, 40); /* a rollout that has ended since */
    sum(OTLP_CUMULATIVE, -300000, -199000, 50);
    sent();
    cr_assert(eq(u64, cell("crashes", -200000)->n, 40));
    cr_assert(eq(u64, cell("crashes", -199000)->n, 10));
    cumulative_watch(c, WORLD_NOW - CUMULATIVE_SKEW_MS); /* another one */
    sum(OTLP_CUMULATIVE, -300000, 1000, 5000);
    sum(OTLP_CUMULATIVE, -300000, 2000, 5001);
    cumulative_watch(c, WORLD_NOW + 1500);
    sum(OTLP_CUMULATIVE, -300000, 3000, 5003);
    sent();
    cr_assert(eq(u64, cell("crashes", 1000)->n, 0));
    cr_assert(eq(u64, cell("crashes", 2000)->n, 1));
    cr_assert(eq(u64, cell("crashes", 3000)->n, 2), "asked for all the time");
    cr_assert(eq(u64, aggregate_counts(w.a).begun, 1));
}

Test(otlp, a_restart_within_a_millisecond)
{
    const uint64_t t[][3] = {{1, 1000100, 10}, {1000200, 2000000, 10}};
    cumulative_watch(aggregate_cumulative(w.a), WORLD_NOW - CUMULATIVE_SKEW_MS);
    for (int i = 0; i < 2; i++) {
        otlp_fixed(&point, 2, ns(0) + t[i][0]);
        otlp_fixed(&point, 3, ns(0) + t[i][1]);
        otlp_fixed(&point, 6, t[i][2]);
        otlp_attribute(&point, 7, "region", "eu");
        otlp_metric(&scope, "crashes", SUM, OTLP_CUMULATIVE, 1, &point);
    }
    sent();
    cr_assert(eq(u64, cell("crashes", 0)->n, 20));
}

Test(otlp, gauges_and_what_also_falls)
{
    for (unsigned data = GAUGE; data <= SUM; data += 2) {
        times(NO_START, 0);
        otlp_double(&point, 4, -0.25);
        otlp_attribute(&point, 7, "region", "eu");
        otlp_attribute(&point, 7, "pod", "p1");
        otlp_metric(&scope, "cpu", data, OTLP_CUMULATIVE * (data == SUM), 0, &point);
    }
    times(NO_START, 0); /* no recorded value */
    rw_number(&point, 8, OTLP_NO_VALUE);
    otlp_attribute(&point, 7, "region", "eu");
    otlp_metric(&scope, "cpu", GAUGE, 0, 0, &point);
    sent();
    cr_assert(eq(u64, cell("cpu", 0)->n, 2));
    cr_assert(epsilon_eq(dbl, cell("cpu", 0)->units->sum, -0.5, 1e-15));
    cr_assert(eq(u64, aggregate_counts(w.a).samples, 2));
}

static uint64_t at_most_ms(const struct aggregate_cell *c, double ms)
{
    uint64_t n = c->hist.zero;
    for (uint32_t k = 0; k < c->hist.n; k++)
        if (c->hist.offset + (int32_t)k <= buckets_index(ms)) n += c->hist.counts[k];
    return n;
}

static double bounds[] = {0.1, 0.5}; /* s */

static void histogram(unsigned temporality, int64_t start_ms, int64_t t_ms,
                      int64_t status, const uint64_t counts[3])
{
    times(start_ms, t_ms);
    otlp_fixed(&point, 4, counts[0] + counts[1] + counts[2]);
    rw_bytes(&point, 6, counts, 3 * sizeof *counts);
    rw_bytes(&point, 7, bounds, sizeof bounds);
    otlp_attribute(&point, 9, "region", "eu");
    otlp_int_attribute(&point, 9, "status", status);
    otlp_metric(&scope, "duration", HISTOGRAM, temporality, 0, &point);
}

Test(otlp, explicit_histograms_feed_latency_and_errors)
{
    histogram(OTLP_DELTA, 0, 0, 200, (uint64_t[]){3, 5, 2});
    histogram(OTLP_DELTA, 0, 0, 503, (uint64_t[]){0, 0, 4});
    histogram(OTLP_DELTA, 0, 0, 503, (uint64_t[]){0, 0, 4});
    sent();
    cr_assert(eq(u64, cell("latency", 0)->n, 14));
    cr_assert(eq(u64, at_most_ms(cell("latency", 0), 100), 3));
    cr_assert(eq(u64, at_most_ms(cell("latency", 0), 500), 8));
    cr_assert(eq(u64, cell("failures", 0)->n, 14));
    cr_assert(eq(u64, cell("failures", 0)->bad, 4));
    cr_assert(eq(u64, aggregate_counts(w.a).duplicate, 1));
    histogram(OTLP_CUMULATIVE, 0, 1000, 200, (uint64_t[]){3, 5, 2});
    histogram(OTLP_CUMULATIVE, 0, 2000, 200, (uint64_t[]){4, 5, 9});
    histogram(OTLP_CUMULATIVE, 2500, 3000, 200, (uint64_t[]){9, 9, 9});
    histogram(OTLP_CUMULATIVE, 2500, 4000, 200, (uint64_t[]){9, 3, 9});
    sent();
    cr_assert(eq(u64, cell("latency", 1000)->n, 0));
    cr_assert(eq(u64, cell("latency", 2000)->n, 8));
    cr_assert(eq(u64, at_most_ms(cell("latency", 2000), 100), 1));
    cr_assert(eq(u64, cell("latency", 3000)->n, 27));
    cr_assert(eq(u64, cell("latency", 4000)->n, 21));
    cr_assert(eq(u64, aggregate_counts(w.a).poison, 0));
}

/* A cell says by which bounds its values came, or that there were several. */
Test(otlp, bounds_are_told_apart)
{
    histogram(OTLP_DELTA, 0, 0, 200, (uint64_t[]){3, 5, 2});
    histogram(OTLP_DELTA, 0, 1000, 200, (uint64_t[]){7, 0, 2});
    bounds[1] = 0.6;
    histogram(OTLP_DELTA, 0, 2000, 200, (uint64_t[]){3, 5, 2});
    histogram(OTLP_DELTA, 0, 3000, 200, (uint64_t[]){3, 5, 2});
    bounds[1] = 0.5;
    histogram(OTLP_DELTA, 0, 3000, 503, (uint64_t[]){3, 5, 2});
    sent();
    uint64_t id = cell("latency", 0)->bounds_id;
    cr_assert(gt(u64, id, 1));
    cr_assert(eq(u64, cell("latency", 1000)->bounds_id, id));
    cr_assert(gt(u64, cell("latency", 2000)->bounds_id, 1));
    cr_assert(ne(u64, cell("latency", 2000)->bounds_id, id));
    cr_assert(eq(u64, cell("latency", 3000)->n, 20));
    cr_assert(eq(u64, cell("latency", 3000)->bounds_id, 1));
}

Test(otlp, a_histogram_may_be_a_count_only)
{
    for (int64_t t = 0; t <= 1000; t += 1000) {
        times(0, t);
        otlp_fixed(&point, 4, 10 + (uint64_t)t);
        otlp_attribute(&point, 9, "region", "eu");
        otlp_attribute(&point, 9, "status", "500");
        otlp_metric(&scope, "duration", HISTOGRAM, OTLP_CUMULATIVE, 0, &point);
    }
    sent();
    cr_assert(eq(u64, cell("failures", 1000)->bad, 1000));
    cr_assert(eq(u64, cell("latency", 1000)->n, 0));
}

Test(otlp, histograms_that_contradict_themselves_are_poison)
{
    const uint64_t counts[] = {1, 2, 3};
    for (int i = 0; i < 3; i++) {
        times(0, 0);
        otlp_fixed(&point, 4, i == 0 ? 7 : 6);
        rw_bytes(&point, 6, counts, i == 1 ? 16 : 24);
        rw_bytes(&point, 7, bounds, i == 2 ? 8 : 16);
        otlp_attribute(&point, 9, "region", "eu");
        otlp_metric(&scope, "duration", HISTOGRAM, OTLP_DELTA, 0, &point);
    }
    sent();
    cr_assert(eq(u64, aggregate_counts(w.a).poison, 3));
    cr_assert(eq(u64, aggregate_counts(w.a).samples, 3));
}

static void exponential(unsigned temporality, int64_t start_ms, int64_t t_ms, int scale,
                        int offset, const uint64_t *counts, size_t n)
{
    struct rw b = {0}, packed = {0};
    uint64_t total = 1;
    for (size_t i = 0; i < n; i++) {
        rw_varint(&packed, counts[i]);
        total += counts[i];
    }
    rw_number(&b, 1, rw_zigzag(offset));
    otlp_put(&b, 2, &packed);
    otlp_attribute(&point, 1, "region", "eu");
    times(start_ms, t_ms);
    otlp_fixed(&point, 4, total);
    rw_number(&point, 6, rw_zigzag(scale));
    otlp_fixed(&point, 7, 1);
    otlp_put(&point, 8, &b);
    otlp_metric(&scope, "duration", EXPONENTIAL, temporality, 0, &point);
    rw_free(&b);
    rw_free(&packed);
}

Test(otlp, exponential_histograms)
{
    exponential(OTLP_DELTA, 0, 0, 3, -2, (uint64_t[]){1, 2, 3}, 3);
    exponential(OTLP_DELTA, 0, 0, 3, -2, (uint64_t[]){1, 2, 3}, 3);
    exponential(OTLP_DELTA, 0, 1000, 21, 0, (uint64_t[]){1}, 1);
    sent();
    cr_assert(eq(u64, cell("latency", 0)->n, 7));
    cr_assert(eq(u64, cell("latency", 0)->hist.zero, 1));
    cr_assert(eq(u64, aggregate_counts(w.a).duplicate, 1));
    cr_assert(eq(u64, aggregate_counts(w.a).poison, 1));
}

Test(otlp, exponential_histograms_become_coarser_and_nothing_is_lost)
{
    /* 20 is kept at 5; 5 -> 4 -> 2 merges buckets that were seen already. */
    exponential(OTLP_CUMULATIVE, 0, 0, 20, 0, (uint64_t[]){1, 0, 2}, 3);
    exponential(OTLP_CUMULATIVE, 0, 1000, 5, 0, (uint64_t[]){4, 5, 1, 1}, 4);
    exponential(OTLP_CUMULATIVE, 0, 2000, 4, -1, (uint64_t[]){1, 10, 2}, 3);
    exponential(OTLP_CUMULATIVE, 0, 3000, 2, -1, (uint64_t[]){1, 13}, 2);
    /* A restart: one bucket is empty after it, and fills again. */
    exponential(OTLP_CUMULATIVE, 0, 4000, 2, 0, (uint64_t[]){3}, 1);
    exponential(OTLP_CUMULATIVE, 0, 5000, 2, -1, (uint64_t[]){1, 4}, 2);
    exponential(OTLP_CUMULATIVE, 0, 6000, 3, 0, (uint64_t[]){9}, 1); /* finer: again */
    exponential(OTLP_CUMULATIVE, 0, 7000, -9, 0, (uint64_t[]){9, 1}, 2);
    sent();
    cr_assert(eq(u64, cell("latency", 1000)->n, 11 - 3));
    cr_assert(eq(u64, cell("latency", 2000)->n, 13 - 11));
    cr_assert(eq(u64, cell("latency", 3000)->n, 1));
    cr_assert(eq(u64, cell("latency", 4000)->n, 4));
    cr_assert(eq(u64, cell("latency", 5000)->n, 2));
    cr_assert(eq(u64, cell("latency", 6000)->n, 10));
    cr_assert(eq(u64, cell("latency", 7000)->n, 1));
    cr_assert(eq(u64, aggregate_counts(w.a).poison, 0));
}

Test(otlp, summaries_are_poison_where_they_are_asked_for)
{
    times(0, 0);
    otlp_attribute(&point, 7, "region", "eu");
    otlp_metric(&scope, "duration", SUMMARY, 0, 0, &point);
    times(0, 0);
    otlp_metric(&scope, "nobody.asks", SUMMARY, 0, 0, &point);
    sent();
    cr_assert(eq(u64, aggregate_counts(w.a).poison, 1));
    cr_assert(eq(u64, aggregate_counts(w.a).unrouted, 1));
}

/* ---------------------------------------------------------------- spans */

static void spans_route(void)
{
    pb_attribute at[] = {world_attribute("service", "shop"),
                         world_attribute("version", "new")};
    pb_attribute *all[] = {&at[0], &at[1]};
    pb_match canary = SERIN__V1__MATCH__INIT, *cohorts[] = {&canary};
    canary.cohort = SERIN__V1__COHORT__COHORT_CANARY;
    canary.all = all;
    canary.n_all = 2;
    pb_route_metric m[] = {
        world_metric("latency", "latency", OTLP_SPAN_METRIC, ""),
        world_metric("errors", "ratio", OTLP_SPAN_METRIC, "otel.status_code = ERROR"),
        world_metric("slow", "ratio", OTLP_SPAN_METRIC, "span.name = 'GET /'")};
    pb_route_metric *metrics[] = {&m[0], &m[1], &m[2]};
    pb_route route = SERIN__V1__ROUTE__INIT;
    route.live = true;
    route.cohorts = cohorts;
    route.n_cohorts = 1;
    route.metrics = metrics;
    route.n_metrics = 3;
    pb_rollout row = SERIN__V1__ROLLOUT__INIT;
    row.schema = SERIN_SCHEMA;
    row.rollout = (char *)(uintptr_t) "spans";
    row.route = &route;
    world_put(&w, &row);
}

static void span(const char *name, unsigned kind, uint64_t start, uint64_t end,
                 unsigned code)
{
    struct rw status = {0};
    rw_bytes(&point, 1, "0123456789abcdef", 16);
    otlp_text(&point, 5, name);
    rw_number(&point, 6, kind);
    otlp_fixed(&point, 7, start);
    otlp_fixed(&point, 8, end);
    otlp_attribute(&point, 9, "http.route", "/");
    if (code != 0) rw_number(&status, 3, code);
    otlp_put(&point, 15, &status);
    otlp_put(&scope, 2, &point);
    rw_free(&status);
}

Test(otlp, server_spans_are_latencies_and_errors)
{
    spans_route();
    span("GET /", OTLP_SERVER, ns(0), ns(0) + 250000, 0);
    span("GET /", OTLP_SERVER, ns(0), ns(100), OTLP_ERROR);
    span("PUT /", OTLP_SERVER, ns(0), ns(50), 1);
    span("GET /", 3, ns(0), ns(100), OTLP_ERROR);  /* a client's */
    span("GET /", OTLP_SERVER, ns(100), ns(0), 0); /* backwards */
    sent();
    const struct aggregate_cell *c =
        world_cell(&w, "spans", ROUTE_CANARY, "", "latency", WORLD_NOW);
    cr_assert(eq(u64, c->n, 3));
    cr_assert(eq(u64, at_most_ms(c, 0.25), 1), "milliseconds");
    cr_assert(eq(u64, at_most_ms(c, 50), 2));
    c = world_cell(&w, "spans", ROUTE_CANARY, "", "errors", WORLD_NOW);
    cr_assert(eq(u64, c->n, 3));
    cr_assert(eq(u64, c->bad, 1));
    c = world_cell(&w, "spans", ROUTE_CANARY, "", "slow", WORLD_NOW);
    cr_assert(eq(u64, c->bad, 2));
    cr_assert(eq(u64, aggregate_counts(w.a).poison, 1));
}

Test(otlp, spans_with_huge_attributes_count_without_them)
{
    static char huge[20000];
    memset(huge, 'x', sizeof huge - 1);
    spans_route();
    otlp_attribute(&point, 9, "db.statement", huge);
    for (int i = 0; i < 200; i++)
        otlp_attribute(&point, 9, "many", "x");
    span("GET /", OTLP_SERVER, ns(0), ns(1), 0);
    sent();
    cr_assert(eq(u64, aggregate_counts(w.a).routed, 1));
}

/* ---------------------------------------------------------------- attributes */

Test(otlp, attributes_of_every_kind_and_level)
{
    struct rw value = {0}, any = {0};
    times(NO_START, 0);
    otlp_double(&point, 4, 1);
    otlp_text(&value, 1, "list"); /* of no use, but no harm */
    rw_bytes(&any, 5, "", 0);
    otlp_put(&value, 2, &any);
    otlp_put(&point, 7, &value);
    otlp_attribute(&point, 7, "region", "eu");
    otlp_metric(&scope, "cpu", GAUGE, 0, 0, &point);
    rw_free(&value);
    rw_free(&any);
    sent();
    cr_assert(eq(u64, cell("cpu", 0)->n, 1));
    /* A scope's attribute is as good as a point's. */
    otlp_text(&any, 1, "my.scope");
    otlp_attribute(&any, 3, "region", "eu");
    struct rw first = {0};
    otlp_put(&first, 1, &any);
    times(NO_START, 1000);
    otlp_double(&point, 4, 1);
    otlp_metric(&first, "cpu", GAUGE, 0, 0, &point);
    otlp_put(&scope, 15, &first); /* as a field nobody knows … */
    sent();
    cr_assert(eq(u64, cell("cpu", 1000)->n, 0));
    otlp_put(&first, 1, &any);
    otlp_text(&any, 1, "my.scope");
    otlp_attribute(&any, 3, "region", "eu");
    first.n = 0;
    otlp_put(&first, 1, &any);
    times(NO_START, 1000);
    otlp_double(&point, 4, 1);
    otlp_metric(&first, "cpu", GAUGE, 0, 0, &point);
    otlp_request(&request, &first, "shop", "new");
    int s = world_decode(&w, FORMAT_AUTO, request.p, request.n);
    cr_assert(eq(int, s, SERIN_OK), "%s", w.why.detail);
    cr_assert(eq(u64, cell("cpu", 1000)->n, 1));
    rw_free(&first);
    rw_free(&any);
}

Test(otlp, messages_of_more_points_than_are_kept)
{
    enum { POINTS = 9000 };
    char key[16];
    for (int i = 0; i < POINTS; i++) {
        times(0, 0);
        otlp_fixed(&point, 6, 1);
        otlp_attribute(&point, 7, "region", "eu");
        snprintf(key, sizeof key, "%d", i);
        otlp_attribute(&point, 7, "host", key);
        otlp_metric(&scope, "crashes", SUM, OTLP_DELTA, 1, &point);
    }
    sent();
    cr_assert(eq(u64, cell("crashes", 0)->n, POINTS));
}

Test(otlp, refusals)
{
    static const struct {
        const char *bytes;
        size_t n;
        enum quarantine_reason reason;
    } bad[] = {
        {"\x0a\x05", 2, QUARANTINE_TRUNCATED},
        {"\x08\x01", 2, QUARANTINE_TYPE},              /* a list as a varint */
        {"\x03", 1, QUARANTINE_TYPE},                  /* field 0 */
        {"\x0b", 1, QUARANTINE_TYPE},                  /* a group */
        {"\x0a\x02\x0a\x05", 4, QUARANTINE_TRUNCATED}, /* a resource cut off */
        {"\x0a\x04\x0a\x02\x0a\x05", 6, QUARANTINE_TRUNCATED},
        {"\x0a\x04\x12\x02\x12\x05", 6, QUARANTINE_TRUNCATED},
        /* a point whose time is a varint */
        {"\x0a\x0a\x12\x08\x12\x06\x2a\x04\x0a\x02\x18\x01", 12, QUARANTINE_TYPE},
        /* no name */
        {"\x0a\x08\x12\x06\x12\x04\x2a\x02\x0a\x00", 10, QUARANTINE_FIELD},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int s = world_decode(&w, FORMAT_OTLP_PROTO, bad[i].bytes, bad[i].n);
        cr_assert(eq(int, s, SERIN_EPARSE), "%zu", i);
        cr_assert(eq(int, w.why.reason, bad[i].reason), "%zu: %s", i, w.why.detail);
    }
    otlp_attribute(&point, 7, "bad", "\xff");
    otlp_metric(&scope, "cpu", GAUGE, 0, 0, &point);
    cr_assert(eq(int, send(), SERIN_EPARSE));
    cr_assert(eq(int, w.why.reason, QUARANTINE_TEXT));
    for (int i = 0; i <= SERIES_MAX_ATTRIBUTES; i++)
        otlp_attribute(&point, 7, "a", "b");
    otlp_metric(&scope, "cpu", GAUGE, 0, 0, &point);
    cr_assert(eq(int, send(), SERIN_EPARSE));
    cr_assert(eq(int, w.why.reason, QUARANTINE_LIMIT));
}

/* ---------------------------------------------------------------- JSON */

static int json(enum format f, const char *text)
{
    return world_decode(&w, f, text, strlen(text));
}

static const char metrics[] =
    "{\"resourceMetrics\":[{\"resource\":{\"attributes\":["
    "{\"key\":\"service\",\"value\":{\"stringValue\":\"shop\"}},"
    "{\"key\":\"version\",\"value\":{\"stringValue\":\"new\"}}]},"
    "\"scopeMetrics\":[{\"scope\":{\"name\":\"s\"},\"metrics\":["
    "{\"name\":\"crashes\",\"sum\":{\"aggregationTemporality\":%s,\"isMonotonic\":true,"
    "\"dataPoints\":[{\"timeUnixNano\":\"1700000000000000000\",\"asInt\":\"7\","
    "\"attributes\":[{\"key\":\"region\",\"value\":{\"stringValue\":\"eu\"}}]}]}},"
    "{\"name\":\"duration\",\"histogram\":{\"aggregationTemporality\":1,\"dataPoints\":"
    "[{\"timeUnixNano\":1700000000000000000,\"count\":\"3\",\"bucketCounts\":[\"1\",2,"
    "0],"
    "\"explicitBounds\":[0.1,0.5],\"exemplars\":[{\"spanId\":\"00\"}],\"attributes\":["
    "{\"key\":\"region\",\"value\":{\"stringValue\":\"eu\"}},"
    "{\"key\":\"status\",\"value\":{\"intValue\":\"500\"}}]}]}},"
    "{\"name\":\"duration\",\"exponentialHistogram\":{\"aggregationTemporality\":1,"
    "\"dataPoints\":[{\"timeUnixNano\":\"1700000000000000000\",\"count\":4,\"scale\":-"
    "1,"
    "\"zeroCount\":\"1\",\"positive\":{\"offset\":-2,\"bucketCounts\":[\"1\",\"2\"]},"
    "\"attributes\":[{\"key\":\"region\",\"value\":{\"stringValue\":\"eu\"}}]}]}},"
    "{\"name\":\"cpu\",\"gauge\":{\"dataPoints\":[{\"timeUnixNano\":"
    "\"1700000000000000000\",\"asDouble\":0.5,\"attributes\":[{\"key\":\"region\","
    "\"value\":{\"stringValue\":\"eu\"}}]}]}}]}]}]}";

Test(otlp, json_means_the_same)
{
    static const char *const deltas[] = {"1", "\"AGGREGATION_TEMPORALITY_DELTA\""};
    static const enum format formats[] = {FORMAT_OTLP_JSON, FORMAT_AUTO,
                                          FORMAT_OTLP_PROTO};
    char text[4096];
    for (size_t i = 0; i < 6; i++) {
        snprintf(text, sizeof text, metrics, deltas[i % 2]);
        aggregate_clear(w.a);
        cumulative_forget(aggregate_cumulative(w.a));
        cr_assert(eq(int, json(formats[i / 2], text), SERIN_OK), "%s", w.why.detail);
        cr_assert(eq(u64, cell("crashes", 0)->n, 7));
        cr_assert(eq(u64, cell("latency", 0)->n, 7));
        cr_assert(eq(u64, cell("latency", 0)->hist.zero, 1));
        cr_assert(eq(u64, cell("failures", 0)->bad, 3));
        cr_assert(epsilon_eq(dbl, cell("cpu", 0)->units->sum, 0.5, 1e-15));
        cr_assert(eq(u64, aggregate_counts(w.a).poison, 0));
    }
}

Test(otlp, json_in_snake_case_spans_and_several_requests)
{
    static const char span_text[] =
        "\n{\"resource_spans\":[{\"resource\":{\"attributes\":["
        "{\"key\":\"service\",\"value\":{\"string_value\":\"shop\"}},"
        "{\"key\":\"version\",\"value\":{\"string_value\":\"new\"}}]},"
        "\"scope_spans\":[{\"spans\":[{\"trace_id\":"
        "\"5b8efff798038103d269b633813fc60c\","
        "\"name\":\"GET /\",\"kind\":\"SPAN_KIND_SERVER\",\"start_time_unix_nano\":"
        "\"1700000000000000000\",\"end_time_unix_nano\":\"1700000000100000000\","
        "\"status\":{\"code\":2}}]}]}]}\n";
    char twice[2 * sizeof span_text];
    spans_route();
    snprintf(twice, sizeof twice, "%s%s", span_text, span_text);
    cr_assert(eq(int, json(FORMAT_AUTO, twice), SERIN_OK), "%s", w.why.detail);
    const struct aggregate_cell *c =
        world_cell(&w, "spans", ROUTE_CANARY, "", "errors", WORLD_NOW);
    cr_assert(eq(u64, c->n, 2));
    cr_assert(eq(u64, c->bad, 2));
}

Test(otlp, json_refusals)
{
    static const char *const bad[] = {
        "[]",
        "{",
        "{\"resourceMetrics\":{}}",
        "{\"resourceMetrics\":[1]}",
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":1}]}]}]}",
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"m\","
        "\"sum\":"
        "{\"aggregationTemporality\":\"DELTA\"}}]}]}]}",
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"m\","
        "\"sum\":"
        "{\"dataPoints\":[{\"asInt\":\"12x\"}]}}]}]}]}",
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"m\","
        "\"sum\":"
        "{\"dataPoints\":[{\"asInt\":0.5}]}}]}]}]}",
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"m\","
        "\"sum\":"
        "{\"isMonotonic\":1}}]}]}]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(eq(int, json(FORMAT_OTLP_JSON, bad[i]), SERIN_EPARSE), "%zu", i);
    cr_assert(eq(int, json(FORMAT_OTLP_JSON, "{}"), SERIN_OK), "%s", w.why.detail);
}

Test(otlp, auto_tells_it_from_the_others)
{
    static const struct {
        const char *p;
        size_t n;
        enum format f;
    } of[] = {
        {"{\"resourceMetrics\":[]}", 22, FORMAT_OTLP_JSON},
        {" \n{ \"resource_spans\":[]}", 23, FORMAT_OTLP_JSON},
        {"{\"t_ms\":1}", 10, FORMAT_JSON},
        {"\n{\"t_ms\":1}", 11, FORMAT_JSON},
        {"[{\"t_ms\":1}]", 12, FORMAT_JSON},
        {"\x08\x01", 2, FORMAT_SERIN},
        {"\x0a\x02\x0a\x00", 4, FORMAT_OTLP_PROTO},
        {"\x0a\x02\x0a", 3, FORMAT_SERIN},
    };
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        cr_assert(eq(int, format_guess(of[i].p, of[i].n), of[i].f), "%zu", i);
    /* JSON that is as long as the list its second byte would announce. */
    char text[126];
    int n = snprintf(text, sizeof text, "\n{\"t_ms\":1%*s}", 114, "");
    cr_assert(eq(int, n, 125));
    cr_assert(eq(int, format_guess(text, 125), FORMAT_JSON));
}
