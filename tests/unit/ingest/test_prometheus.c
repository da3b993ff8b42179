/* tests/unit/ingest/test_prometheus.c -- remote write into cells, and every refusal */
#include "ingest/decode/prometheus_wire.h"
#include "tests/support/check.h"
#include "tests/support/ingest_world.h"
#include "tests/support/remote_write.h"

static struct world w;
static struct rw request, series;

static void setup(void)
{
    w = world_open(NULL);
}

static void teardown(void)
{
    rw_free(&request);
    rw_free(&series);
    world_close(&w);
}

TestSuite(prometheus, .init = setup, .fini = teardown);

static int send(void)
{
    struct rw out = rw_snappy(&request);
    int s = world_decode(&w, FORMAT_PROMETHEUS, out.p, out.n);
    rw_free(&out);
    return s;
}

static void sent(void)
{
    cr_assert(eq(int, send(), SERIN_OK), "%s", w.why.detail);
}

/* The labels of rollout r1's canary, and more. */
static void begin(const char *metric, const char *key, const char *value)
{
    rw_label(&series, "__name__", metric);
    if (key != NULL) rw_label(&series, key, value);
    rw_label(&series, "region", "eu");
    rw_label(&series, "service", "shop");
    rw_label(&series, "version", "new");
}

static void point(const char *metric, const char *key, const char *value, double v,
                  int64_t t_ms)
{
    begin(metric, key, value);
    rw_sample(&series, v, WORLD_NOW + t_ms);
    rw_series(&request, &series);
}

static const struct aggregate_cell *cell(const char *metric, int64_t t_ms)
{
    return world_cell(&w, "r1", ROUTE_CANARY, "eu", metric, WORLD_NOW + t_ms);
}

static double stale(void)
{
    uint64_t bits = UINT64_C(0x7ff0000000000002);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

Test(prometheus, counters_count_what_they_rose_by)
{
    point("crashes", NULL, NULL, 1e6, 0);
    sent();
    cr_assert(eq(u64, aggregate_counts(w.a).samples, 0), "a beginning is no count");
    point("crashes", NULL, NULL, 1e6 + 7, 1000);
    sent();
    cr_assert(eq(u64, cell("crashes", 1000)->n, 7));
    point("crashes", NULL, NULL, 1e6 + 7, 1000); /* sent twice */
    point("crashes", NULL, NULL, 1e6 + 3, 500);  /* and an older one */
    sent();
    cr_assert(eq(u64, cell("crashes", 1000)->n, 7));
    cr_assert(eq(u64, aggregate_counts(w.a).duplicate, 2));
    point("crashes", NULL, NULL, 4, 2000); /* the process was restarted */
    point("crashes", NULL, NULL, stale(), 3000);
    point("crashes", NULL, NULL, 9, 4000);
    sent();
    cr_assert(eq(u64, cell("crashes", 2000)->n, 4));
    cr_assert(eq(u64, cell("crashes", 4000)->n, 5));
    cr_assert(eq(u64, aggregate_counts(w.a).poison, 0), "stale is no poison");
    point("crashes", NULL, NULL, NAN, 5000);
    point("crashes", NULL, NULL, -1, 5000);
    point("crashes", NULL, NULL, INFINITY, 5000);
    point("crashes", NULL, NULL, 9.5, 5000);
    sent();
    cr_assert(eq(u64, aggregate_counts(w.a).poison, 4));
    point("crashes", NULL, NULL, 1e9, 86400000); /* from tomorrow: not remembered */
    point("crashes", NULL, NULL, 11.5, 6000);
    sent();
    cr_assert(eq(u64, aggregate_counts(w.a).poison, 5));
}

Test(prometheus, several_samples_of_a_series_and_gauges)
{
    begin("crashes", NULL, NULL);
    for (int i = 0; i < 5; i++)
        rw_sample(&series, 10 * i, WORLD_NOW + 1000 * i);
    rw_series(&request, &series);
    point("cpu", "pod", "p1", -0.25, 0);
    point("cpu", "pod", "p1", -0.25, 0);
    point("nobody_asks", NULL, NULL, 5, 0);
    sent();
    cr_assert(eq(u64, cell("crashes", 0)->n, 0));
    cr_assert(eq(u64, cell("crashes", 4000)->n, 10));
    cr_assert(eq(u64, cell("cpu", 0)->n, 2));
    cr_assert(epsilon_eq(dbl, cell("cpu", 0)->units->sum, -0.5, 1e-15));
    cr_assert(eq(u64, aggregate_counts(w.a).unrouted, 1));
    cr_assert(eq(u64, aggregate_counts(w.a).routed, 6));
}

static void buckets(const char *status, int64_t t_ms, double a, double b, double inf)
{
    static const char *const le[] = {"0.1", "0.5", "+Inf"};
    double v[] = {a, b, inf};
    for (size_t i = 0; i < 3; i++) {
        rw_label(&series, "__name__", "duration_bucket");
        rw_label(&series, "le", le[i]);
        rw_label(&series, "region", "eu");
        rw_label(&series, "service", "shop");
        rw_label(&series, "status", status);
        rw_label(&series, "version", "new");
        rw_sample(&series, v[i], WORLD_NOW + t_ms);
        rw_series(&request, &series);
    }
}

static uint64_t at_most_ms(const struct aggregate_cell *c, double ms)
{
    uint64_t n = c->hist.zero;
    for (uint32_t k = 0; k < c->hist.n; k++)
        if (c->hist.offset + (int32_t)k <= buckets_index(ms)) n += c->hist.counts[k];
    return n;
}

Test(prometheus, classic_histograms_are_put_together)
{
    buckets("200", 0, 3, 5, 6);
    buckets("200", 1000, 10, 17, 20);
    buckets("503", 1000, 1, 1, 1);
    buckets("503", 2000, 1, 1, 5);
    sent();
    cr_assert(eq(u64, cell("latency", 1000)->n, 14));
    cr_assert(eq(u64, at_most_ms(cell("latency", 1000), 100), 7));
    cr_assert(eq(u64, at_most_ms(cell("latency", 1000), 500), 12));
    cr_assert(eq(u64, cell("failures", 1000)->n, 14));
    cr_assert(eq(u64, cell("failures", 1000)->bad, 0));
    cr_assert(eq(u64, cell("failures", 2000)->bad, 4));
    cr_assert(eq(u64, cell("latency", 2000)->n, 4));
    /* The same again is a repeat, not twice as much. */
    buckets("200", 1000, 10, 17, 20);
    sent();
    cr_assert(eq(u64, cell("latency", 1000)->n, 14));
    cr_assert(eq(u64, aggregate_counts(w.a).duplicate, 1));
    /* Restarted: all of its buckets count from zero, also those that did not fall. */
    buckets("200", 3000, 0, 17, 18);
    sent();
    cr_assert(eq(u64, cell("latency", 3000)->n, 18));
    cr_assert(eq(u64, at_most_ms(cell("latency", 3000), 500), 17));
}

Test(prometheus, buckets_may_come_in_any_order_and_in_several_records)
{
    static const int order[] = {2, 0, 1};
    static const char *const le[] = {"0.1", "0.5", "+Inf"};
    static const double v[3][3] = {{3, 5, 6}, {10, 17, 20}, {10, 18, 22}};
    for (int t = 0; t < 3; t++)
        for (int i = 0; i < 3; i++) {
            /* The middle bucket of the second time is lost. */
            if (t == 1 && order[i] == 1) continue;
            point("duration_bucket", "le", le[order[i]], v[t][order[i]], 1000 * t);
            sent();
        }
    cr_assert(eq(u64, cell("latency", 1000)->n, 0));
    cr_assert(eq(u64, cell("latency", 2000)->n, 16), "the next time has all of it");
    cr_assert(eq(u64, at_most_ms(cell("latency", 2000), 100), 7));
}

static void native(int schema, const int *spans, size_t n_spans, const int64_t *counts,
                   size_t n, bool floats, unsigned hint, int64_t t_ms)
{
    begin("duration", "status", "200");
    rw_histogram(&series, &(const struct rw_native){.schema = schema,
                                                    .spans = spans,
                                                    .n_spans = n_spans,
                                                    .counts = counts,
                                                    .n_counts = n,
                                                    .floats = floats,
                                                    .hint = hint,
                                                    .zero = 2,
                                                    .t_ms = WORLD_NOW + t_ms});
    rw_series(&request, &series);
}

Test(prometheus, native_buckets_are_opentelemetrys_less_one)
{
    /* Schema 0: bucket 0 is (0.5, 1], 1 is (1, 2], … */
    const int spans[] = {-1, 2, 1, 1};
    const int64_t counts[] = {5, 7, 11};
    begin("duration", NULL, NULL);
    rw_histogram(
        &series,
        &(const struct rw_native){
            .spans = spans, .n_spans = 2, .counts = counts, .n_counts = 3, .zero = 3});
    struct prometheus_series s;
    struct prometheus_histogram h;
    struct prometheus_dense d;
    enum serin_status status;
    rw_series(&request, &series);
    struct wire wire = {request.p, request.p + request.n};
    cr_assert(prometheus_wire_series(&wire, &s, &status, &w.why));
    wire = wire_of(s.bytes);
    cr_assert(prometheus_wire_histogram(&wire, &h));
    cr_assert(prometheus_wire_dense(&h, &d));
    cr_assert(eq(i32, d.offset, -2));
    cr_assert(eq(sz, d.n, 4));
    cr_assert(eq(u64, d.counts[0], 5));
    cr_assert(eq(u64, d.counts[1], 7));
    cr_assert(eq(u64, d.counts[2], 0));
    cr_assert(eq(u64, d.counts[3], 11));
    cr_assert(eq(u64, d.zero, 3));
}

Test(prometheus, native_histograms_rise_too)
{
    for (int floats = 0; floats < 2; floats++) {
        int64_t t = 10000 * floats;
        const int spans[] = {1, 2}, wider[] = {0, 4};
        const int64_t one[] = {3, 5}, two[] = {1, 3, 9, 0}, three[] = {2, 1};
        cumulative_forget(aggregate_cumulative(w.a));
        native(3 + floats, spans, 1, one, 2, floats, 0, t);
        native(3 + floats, wider, 1, two, 4, floats, 0, t + 1000);
        native(3 + floats, spans, 1, three, 2, floats, 0, t + 2000); /* a restart */
        native(3 + floats, spans, 1, three, 2, floats, PROMETHEUS_GAUGE_HINT, t + 3000);
        sent();
        cr_assert(eq(u64, cell("latency", t)->n, 0));
        cr_assert(eq(u64, cell("latency", t + 1000)->n, 1 + 0 + 4));
        cr_assert(eq(u64, cell("latency", t + 2000)->n, 5));
        cr_assert(eq(u64, cell("latency", t + 3000)->n, 5), "a gauge counts as it is");
        cr_assert(eq(u64, cell("latency", t + 2000)->hist.zero, 2));
    }
    cr_assert(eq(u64, aggregate_counts(w.a).poison, 0));
}

Test(prometheus, native_poison)
{
    const int spans[] = {1, 2}, far[] = {1, 1, 5000, 1};
    const int64_t good[] = {3, 5}, fell[] = {3, -1};
    const double half[] = {0.5, 1};
    native(9, spans, 1, good, 2, false, 0, 0);
    native(-5, spans, 1, good, 2, false, 0, 0);
    native(-53, spans, 1, good, 2, false, 0, 0);
    native(3, spans, 1, fell, 2, false, 0, 0);
    native(3, spans, 1, fell, 2, true, 0, 0);
    native(3, far, 2, good, 2, false, 0, 0);
    sent();
    cr_assert(eq(u64, aggregate_counts(w.a).poison, 6));
    (void)half;
}

Test(prometheus, rolled_back_is_counted_again_and_once)
{
    struct cumulative *c = aggregate_cumulative(w.a);
    for (int again = 0; again < 3; again++) {
        point("crashes", NULL, NULL, 100, 0);
        buckets("200", 0, 3, 5, 6);
        sent();
        if (again == 0) cumulative_seal(c); /* on its way … */
        point("crashes", NULL, NULL, 105, 1000);
        buckets("200", 1000, 4, 7, 9);
        sent();
        cr_assert(eq(u64, cell("crashes", 1000)->n, 5), "time %d", again);
        cr_assert(eq(u64, cell("latency", 1000)->n, 3), "time %d", again);
        aggregate_clear(w.a);
        if (again < 2) cumulative_rollback(c); /* … and lost, with what came since */
    }
    cumulative_seal(c);
    cumulative_commit(c);
    cumulative_rollback(c);
    point("crashes", NULL, NULL, 105, 1000);
    sent();
    cr_assert(eq(u64, aggregate_counts(w.a).duplicate, 1), "committed is kept");
    cumulative_forget(c);
    point("crashes", NULL, NULL, 111, 2000);
    sent();
    cr_assert(eq(sz, aggregate_cells(w.a), 0), "a beginning again");
}

static int plain(const void *p, size_t n)
{
    rw_raw(&request, p, n);
    return send();
}

Test(prometheus, refusals)
{
    static const struct {
        const char *bytes;
        size_t n;
        enum quarantine_reason reason;
    } bad[] = {
        {"\x0a\x02\x0a\x05", 4, QUARANTINE_TRUNCATED}, /* a label cut off */
        {"\x0a\x02\x12\x00", 4, QUARANTINE_FIELD},     /* no __name__ */
        {"\x0a\x02\x08\x00", 4, QUARANTINE_TYPE},      /* labels as a varint */
        {"\x08\x01", 2, QUARANTINE_TRUNCATED},         /* timeseries as a varint */
        {"\x0a\x05", 2, QUARANTINE_TRUNCATED},
        {"\x0b", 1, QUARANTINE_TRUNCATED},
        {"\x0a\x04\x22\x02\x60\x01", 6, QUARANTINE_TRUNCATED}, /* spans as a varint */
        {"\x0a\x04\x22\x02\x62\x09", 6, QUARANTINE_TRUNCATED},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert(eq(int, plain(bad[i].bytes, bad[i].n), SERIN_EPARSE), "%zu", i);
        cr_assert(eq(int, w.why.reason, bad[i].reason), "%zu: %s", i, w.why.detail);
    }
    cr_assert(eq(int, world_decode(&w, FORMAT_PROMETHEUS, "\x05xxx", 4), SERIN_EPARSE));
    cr_assert(eq(int, w.why.reason, QUARANTINE_SNAPPY));
    cr_assert(eq(int, world_decode(&w, FORMAT_PROMETHEUS, "\xff", 1), SERIN_EPARSE));
    cr_assert(eq(int, w.why.reason, QUARANTINE_SNAPPY));
    /* Says 4 GiB, and 1 MiB: neither is allocated for six bytes. */
    static const char *const bombs[] = {"\xff\xff\xff\xff\x0f.", "\x80\x80\x40..."};
    for (size_t i = 0; i < 2; i++) {
        int s = world_decode(&w, FORMAT_PROMETHEUS, bombs[i], 6);
        cr_assert(eq(int, s, SERIN_EPARSE));
        cr_assert(eq(int, w.why.reason, QUARANTINE_OVERSIZE), "%s", w.why.detail);
    }
    point("crashes", "bad", "\xff", 1, 0);
    cr_assert(eq(int, send(), SERIN_EPARSE));
    cr_assert(eq(int, w.why.reason, QUARANTINE_TEXT));
    for (int i = 0; i <= SERIES_MAX_ATTRIBUTES; i++)
        rw_label(&series, "a", "b");
    rw_series(&request, &series);
    cr_assert(eq(int, send(), SERIN_EPARSE));
    cr_assert(eq(int, w.why.reason, QUARANTINE_LIMIT));
    cr_assert(eq(int, plain("", 0), SERIN_OK), "an empty request is one");
}
