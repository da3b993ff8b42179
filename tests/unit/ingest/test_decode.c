/* tests/unit/ingest/test_decode.c -- both formats into cells, and every refusal */
#include "tests/support/check.h"
#include "tests/support/ingest_world.h"

static int json(struct world *w, const char *text)
{
    return world_decode(w, FORMAT_AUTO, text, strlen(text));
}

static int batch(struct world *w, pb_column *columns, size_t n)
{
    struct arena arena = {0};
    struct bytes b;
    pb_column *list[64];
    pb_batch m = SERIN__V1__BATCH__INIT;
    for (size_t i = 0; i < n; i++)
        list[i] = &columns[i];
    m.schema = SERIN_SCHEMA;
    m.columns = list;
    m.n_columns = n;
    cr_assert(eq(int, encode_batch(&arena, &m, &b), SERIN_OK));
    int s = world_decode(w, FORMAT_AUTO, b.p, b.n);
    arena_free(&arena);
    return s;
}

static pb_column column(const char *rollout, const char *cohort, const char *stratum,
                        const char *metric)
{
    pb_column c = SERIN__V1__COLUMN__INIT;
    c.rollout = (char *)(uintptr_t)rollout;
    c.cohort = (char *)(uintptr_t)cohort;
    c.stratum = (char *)(uintptr_t)stratum;
    c.metric = (char *)(uintptr_t)metric;
    c.base_ms = WORLD_NOW;
    return c;
}

Test(decode, serin_counts_land_in_their_windows)
{
    struct world w = world_open(NULL);
    int64_t dt[] = {5, 990, 10, -20};
    uint64_t n[] = {300, 1, 7, 11}, bad[] = {128, 0, 7, 2};
    pb_column c = column("r1", "canary", "eu", "errors");
    c.dt_ms = dt, c.n = n, c.bad = bad;
    c.n_dt_ms = c.n_n = c.n_bad = 4;
    cr_assert(eq(int, batch(&w, &c, 1), SERIN_OK), "%s", w.why.detail);
    const struct aggregate_cell *a =
        world_cell(&w, "r1", ROUTE_CANARY, "eu", "errors", WORLD_NOW);
    const struct aggregate_cell *b =
        world_cell(&w, "r1", ROUTE_CANARY, "eu", "errors", WORLD_NOW + 1000);
    cr_assert(eq(u64, a->n, 312));
    cr_assert(eq(u64, a->bad, 130));
    cr_assert(eq(u64, b->n, 7));
    cr_assert(eq(u64, b->bad, 7));
    cr_assert(eq(i64, aggregate_latest(w.a), WORLD_NOW + 1005));
    struct aggregate_counts k = aggregate_counts(w.a);
    cr_assert(eq(u64, k.samples, 4));
    cr_assert(eq(u64, k.routed, 4));
    cr_assert(eq(u64, aggregate_tallies(w.a)->samples, 4));
    aggregate_clear(w.a);
    cr_assert(eq(sz, aggregate_cells(w.a), 0));
    /* The cached series must not remember cells of the flush before. */
    cr_assert(eq(int, batch(&w, &c, 1), SERIN_OK));
    a = world_cell(&w, "r1", ROUTE_CANARY, "eu", "errors", WORLD_NOW);
    cr_assert(eq(u64, a->n, 312));
    world_close(&w);
}

Test(decode, more_columns_than_are_remembered)
{
    struct world w = world_open(NULL);
    pb_column c[40];
    uint64_t n[40], bad[40];
    for (size_t i = 0; i < 40; i++) {
        c[i] = column("r1", i % 2 ? "canary" : "baseline", "", "errors");
        n[i] = i + 1, bad[i] = i % 3;
        c[i].n = &n[i], c[i].bad = &bad[i];
        c[i].n_n = c[i].n_bad = 1;
    }
    cr_assert(eq(int, batch(&w, c, 40), SERIN_OK), "%s", w.why.detail);
    cr_assert(
        eq(u64, world_cell(&w, "r1", ROUTE_CANARY, "", "errors", WORLD_NOW)->n, 420));
    cr_assert(
        eq(u64, world_cell(&w, "r1", ROUTE_BASELINE, "", "errors", WORLD_NOW)->n, 400));
    n[39] = 0; /* bad > n in the last one: poison there, the rest counts */
    bad[39] = 1;
    cr_assert(eq(int, batch(&w, c, 40), SERIN_OK));
    cr_assert(eq(u64, aggregate_counts(w.a).poison, 1));
    cr_assert(eq(u64, aggregate_tallies(w.a)->poison, 1));
    c[39].n_bad = 0, c[39].n_gauges = 1, c[39].gauges = &(double){0.3}; /* mixed */
    struct aggregate_counts before = aggregate_counts(w.a);
    cr_assert(eq(int, batch(&w, c, 40), SERIN_EPARSE));
    cr_assert(eq(int, w.why.reason, QUARANTINE_MIXED));
    cr_assert(eq(u64, aggregate_counts(w.a).samples, before.samples), "half applied");
    world_close(&w);
}

Test(decode, attributes_find_cohort_stratum_and_condition)
{
    struct world w = world_open(NULL);
    cr_assert(
        eq(int,
           json(&w, "{\"t_ms\":1700000000001,\"attributes\":{\"service\":\"shop\","
                    "\"version\":\"old\",\"region\":\"us\",\"status\":503},"
                    "\"metric\":\"duration\",\"values\":[0.25,0.25,1e-3]}"),
           SERIN_OK),
        "%s", w.why.detail);
    const struct aggregate_cell *l =
        world_cell(&w, "r1", ROUTE_BASELINE, "us", "latency", WORLD_NOW);
    const struct aggregate_cell *f =
        world_cell(&w, "r1", ROUTE_BASELINE, "us", "failures", WORLD_NOW);
    cr_assert(eq(u64, l->n, 3));
    cr_assert(eq(u64, l->hist.total, 3));
    int32_t i = buckets_index(250.0);
    cr_assert(eq(u64, l->hist.counts[i - l->hist.offset], 2));
    cr_assert(eq(u64, f->n, 3));
    cr_assert(eq(u64, f->bad, 3));
    cr_assert(eq(u64, aggregate_tallies(w.a)->samples, 3), "once, not once a metric");
    cr_assert(eq(u64, aggregate_counts(w.a).routed, 3));
    world_close(&w);
}

Test(decode, json_lines_arrays_gauges_hists_and_events)
{
    struct world w = world_open(NULL);
    const char *text =
        " [{\"t_ms\":1700000000000,\"rollout\":\"r2\",\"cohort\":\"canary\",\"metric\":"
        "\"cpu\",\"gauge\":-0.5,\"unit\":\"pod-1\"},{\"t_ms\":1700000000000,"
        "\"rollout\":"
        "\"r2\",\"cohort\":\"canary\",\"metric\":\"cpu\",\"value\":1.5,\"unit\":\"pod-"
        "2\"}]\n"
        "{\"t_ms\":1700000000000.0,\"rollout\":\"r2\",\"cohort\":\"canary\",\"metric\":"
        "\"duration\",\"hist\":{\"scale\":7,\"zero_count\":2,\"offset\":-4,\"counts\":["
        "1,0,9]"
        "}}\r\n{\"t_ms\":1700000000000,\"rollout\":\"r2\",\"cohort\":\"canary\","
        "\"metric\":"
        "\"crashes\",\"n\":3}\n\n";
    cr_assert(eq(int, json(&w, text), SERIN_OK), "%s", w.why.detail);
    const struct aggregate_cell *g =
        world_cell(&w, "r2", ROUTE_CANARY, "", "cpu", WORLD_NOW);
    cr_assert(eq(int, (int)g->n_units, 2));
    cr_assert(eq(str, (char *)(uintptr_t)g->units->name, "pod-1"));
    cr_assert(eq(dbl, g->units->sum, -0.5));
    cr_assert(eq(dbl, g->units->next->sum_sq, 2.25));
    const struct aggregate_cell *h =
        world_cell(&w, "r2", ROUTE_CANARY, "", "latency", WORLD_NOW);
    cr_assert(eq(u64, h->hist.total, 12));
    cr_assert(eq(u64, h->hist.zero, 2));
    cr_assert(
        eq(u64, world_cell(&w, "r2", ROUTE_CANARY, "", "crashes", WORLD_NOW)->n, 3));
    world_close(&w);
}

Test(decode, poison_is_counted_apart_and_the_rest_counts)
{
    struct world w = world_open(NULL);
    double v[] = {0.1, NAN, -1, INFINITY, 0, -INFINITY, 0.3};
    int64_t dt[] = {0, 0, 0, 0, 600000, 0, 1};
    pb_column c = column("r1", "canary", "", "duration");
    c.values = v, c.dt_ms = dt;
    c.n_values = c.n_dt_ms = 7;
    cr_assert(eq(int, batch(&w, &c, 1), SERIN_OK), "%s", w.why.detail);
    struct aggregate_counts k = aggregate_counts(w.a);
    cr_assert(eq(u64, k.samples, 7));
    cr_assert(eq(u64, k.routed, 2),
              "the one 600 001 ms ahead is poison, 600 000 is not");
    cr_assert(eq(u64, k.poison, 5));
    cr_assert(eq(u64, aggregate_tallies(w.a)->poison, 5));
    cr_assert(eq(i64, aggregate_latest(w.a), WORLD_NOW + 600000));
    cr_assert(
        eq(int,
           json(&w, "[{\"t_ms\":1700000000000,\"rollout\":\"r1\",\"cohort\":\"canary\","
                    "\"metric\":\"errors\",\"n\":-1,\"bad\":-2},{\"t_ms\":-1,"
                    "\"rollout\":\"r1\",\"cohort\":\"canary\",\"metric\":\"errors\","
                    "\"n\":5,\"bad\":1}]"),
           SERIN_OK));
    cr_assert(eq(u64, aggregate_counts(w.a).poison, 7));
    world_close(&w);
}

Test(decode, what_nobody_asked_for_is_unrouted)
{
    struct world w = world_open(NULL);
    const char *texts[] = {
        "{\"t_ms\":1700000000000,\"rollout\":\"r9\",\"cohort\":\"canary\",\"metric\":"
        "\"errors\",\"n\":5,\"bad\":1}",
        "{\"t_ms\":1700000000000,\"rollout\":\"r1\",\"cohort\":\"green\",\"metric\":"
        "\"errors\",\"n\":5,\"bad\":1}",
        "{\"t_ms\":1700000000000,\"rollout\":\"r1\",\"cohort\":\"canary\",\"metric\":"
        "\"erors\",\"n\":5,\"bad\":1}",
        "{\"t_ms\":1700000000000,\"rollout\":\"r1\",\"cohort\":\"canary\",\"metric\":"
        "\"errors\",\"n\":5}", /* says nothing about failures */
        "{\"t_ms\":1700000000000,\"rollout\":\"r1\",\"cohort\":\"canary\",\"metric\":"
        "\"errors\",\"value\":5}",
        "{\"t_ms\":1700000000000,\"attributes\":{\"service\":\"shop\"},\"metric\":"
        "\"errors\",\"n\":5,\"bad\":1}",
    };
    size_t n = sizeof texts / sizeof *texts;
    for (size_t i = 0; i < n; i++) {
        cr_assert(eq(int, json(&w, texts[i]), SERIN_OK), "%zu: %s", i, w.why.detail);
        cr_assert(eq(u64, aggregate_counts(w.a).unrouted, i + 1), "case %zu", i);
    }
    cr_assert(eq(u64, aggregate_counts(w.a).samples, n));
    cr_assert(eq(sz, aggregate_cells(w.a), 0));
    world_close(&w);
}

Test(decode, json_refusals_name_the_field)
{
    struct world w = world_open(NULL);
#define HEAD "{\"t_ms\":1700000000000,\"rollout\":\"r1\",\"cohort\":\"canary\","
    static const struct {
        const char *text;
        enum quarantine_reason reason;
        const char *says;
    } cases[] = {
        {"{", QUARANTINE_SYNTAX, "byte"},
        {"[NaN]", QUARANTINE_SYNTAX, "byte"},
        {" \n", QUARANTINE_EMPTY, "blanks"},
        {"[5]", QUARANTINE_TYPE, "object"},
        {"{\"metric\":\"m\",\"n\":1}", QUARANTINE_FIELD, "t_ms"},
        {HEAD "\"n\":1}", QUARANTINE_FIELD, "metric"},
        {HEAD "\"metric\":\"errors\"}", QUARANTINE_FIELD, "exactly one"},
        {HEAD "\"metric\":\"errors\",\"n\":1,\"value\":2}", QUARANTINE_MIXED,
         "several"},
        {HEAD "\"metric\":\"errors\",\"n\":1.5}", QUARANTINE_TYPE, "\"n\""},
        {HEAD "\"metric\":\"errors\",\"value\":\"NaN\"}", QUARANTINE_TYPE, "value"},
        {HEAD "\"metric\":\"errors\",\"value\":1e999}", QUARANTINE_SYNTAX, "byte"},
        {HEAD "\"metric\":7,\"n\":1}", QUARANTINE_TYPE, "metric"},
        {HEAD "\"metric\":\"errors\",\"attributes\":[],\"n\":1}", QUARANTINE_TYPE,
         "attributes"},
        {HEAD "\"metric\":\"duration\",\"hist\":{\"counts\":[1]}}", QUARANTINE_FIELD,
         "scale"},
        {HEAD "\"metric\":\"duration\",\"hist\":{\"scale\":1,\"counts\":[\"1\"]}}",
         QUARANTINE_TYPE, "counts"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int s = world_decode(&w, FORMAT_JSON, cases[i].text, strlen(cases[i].text));
        cr_assert(eq(int, s, SERIN_EPARSE), "%s", cases[i].text);
        cr_assert(eq(int, w.why.reason, (int)cases[i].reason), "%s: %s", cases[i].text,
                  w.why.detail);
        cr_assert(strstr(w.why.detail, cases[i].says) != NULL, "%s: %s", cases[i].text,
                  w.why.detail);
    }
    /* A good line before a bad one must not count. */
    cr_assert(
        eq(int, json(&w, HEAD "\"metric\":\"errors\",\"n\":1,\"bad\":0}\n{\"t_ms\":1}"),
           SERIN_EPARSE));
    cr_assert(eq(u64, aggregate_counts(w.a).samples, 0));
    world_close(&w);
}

Test(decode, serin_refusals)
{
    struct world w = world_open(NULL);
#define BYTES(...)                                                                     \
    (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
    const struct {
        const uint8_t *p;
        size_t n;
        enum quarantine_reason reason;
    } cases[] = {
        {BYTES(0x08, 2), QUARANTINE_SCHEMA},
        {BYTES(0x12, 3, 0x2a, 1, 'm'), QUARANTINE_SCHEMA}, /* none at all */
        {BYTES(0x08, 0x80), QUARANTINE_TRUNCATED},
        {BYTES(0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1),
         QUARANTINE_VARINT},
        {BYTES(0x08, 1, 0x12, 0xff, 0xff, 0xff, 0xff, 0x0f), QUARANTINE_TRUNCATED},
        {BYTES(0x0a, 1, 1), QUARANTINE_TYPE},                /* schema as bytes */
        {BYTES(0x08, 1, 0x1b), QUARANTINE_TRUNCATED},        /* a group */
        {BYTES(0x08, 1, 0x12, 2, 0x28, 1), QUARANTINE_TYPE}, /* metric as a number */
        {BYTES(0x08, 1, 0x12, 4, 0x2a, 2, 'm', 0xc3), QUARANTINE_TEXT},
        {BYTES(0x08, 1, 0x12, 4, 0x2a, 2, 'm', 0), QUARANTINE_TEXT},
        {BYTES(0x08, 1, 0x12, 2, 0x30, 5), QUARANTINE_FIELD}, /* no metric */
        {BYTES(0x08, 1, 0x12, 10, 0x2a, 1, 'm', 0x42, 2, 1, 1, 0x4a, 0),
         QUARANTINE_TRUNCATED},
        {BYTES(0x08, 1, 0x12, 10, 0x2a, 1, 'm', 0x42, 2, 1, 1, 0x4a, 1, 0),
         QUARANTINE_COLUMN}, /* two n, one bad */
        {BYTES(0x08, 1, 0x12, 7, 0x2a, 1, 'm', 0x3a, 2, 1, 1), QUARANTINE_COLUMN},
        {BYTES(0x08, 1, 0x12, 10, 0x2a, 1, 'm', 0x52, 5, 1, 2, 3, 4, 5),
         QUARANTINE_TRUNCATED},
        {BYTES(0x08, 1, 0x12, 6, 0x2a, 1, 'm', 0x42, 1, 0x81), QUARANTINE_VARINT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int s = world_decode(&w, FORMAT_SERIN, cases[i].p, cases[i].n);
        cr_assert(eq(int, s, SERIN_EPARSE), "case %zu", i);
        cr_assert(eq(int, w.why.reason, (int)cases[i].reason), "case %zu: %s (%s)", i,
                  quarantine_text(w.why.reason), w.why.detail);
    }
    cr_assert(eq(int, world_decode(&w, FORMAT_AUTO, "", 0), SERIN_EPARSE));
    cr_assert(eq(int, w.why.reason, QUARANTINE_EMPTY));
    cr_assert(eq(u64, aggregate_counts(w.a).samples, 0));
    world_close(&w);
}

Test(decode, unknown_fields_and_scattered_headers_are_understood)
{
    struct world w = world_open(NULL);
    const struct {
        const uint8_t *p;
        size_t n;
    } same[] = {
        /* rollout, cohort, metric in order; a future field 20 in column and batch */
        {BYTES(0x08, 1, 0x12, 29, 0x0a, 2, 'r', '1', 0x1a, 6, 'c', 'a', 'n', 'a', 'r',
               'y', 0x2a, 6, 'e', 'r', 'r', 'o', 'r', 's', 0x42, 1, 9, 0x4a, 1, 4, 0xa0,
               1, 5, 0xa2, 1, 1, 0)},
        /* values first, metric before cohort */
        {BYTES(0x12, 28, 0x42, 1, 9, 0x4a, 1, 4, 0x2a, 6, 'e', 'r', 'r', 'o', 'r', 's',
               0x0a, 2, 'r', '1', 0x1a, 6, 'c', 'a', 'n', 'a', 'r', 'y', 0x30, 0, 0x08,
               1)},
    };
    for (size_t i = 0; i < 2; i++) {
        int s = world_decode(&w, FORMAT_SERIN, same[i].p, same[i].n);
        cr_assert(eq(int, s, SERIN_OK), "%zu: %s", i, w.why.detail);
        const struct aggregate_cell *c =
            world_cell(&w, "r1", ROUTE_CANARY, "", "errors", 0);
        cr_assert(eq(u64, c->n, 9 * (i + 1)));
        cr_assert(eq(u64, c->bad, 4 * (i + 1)));
    }
    world_close(&w);
}

Test(decode, limits_drop_strata_first_and_count_what_they_drop)
{
    struct aggregate_options o = {.max_series = 8};
    struct world w = world_open(&o);
    char text[256];
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof text,
                 "{\"t_ms\":%lld,\"rollout\":\"r1\",\"cohort\":\"canary\",\"stratum\":"
                 "\"s%d\","
                 "\"metric\":\"errors\",\"n\":10,\"bad\":1}",
                 (long long)(WORLD_NOW + (i >= 30 ? 1000LL * (i - 29) : 0)), i);
        cr_assert(eq(int, json(&w, text), SERIN_OK));
    }
    struct aggregate_counts k = aggregate_counts(w.a);
    const struct aggregate_cell *c =
        world_cell(&w, "r1", ROUTE_CANARY, "other", "errors", WORLD_NOW);
    cr_assert(eq(sz, aggregate_cells(w.a), 8));
    cr_assert(eq(u64, c->n, 230));
    cr_assert(eq(u64, k.samples, 40));
    cr_assert(eq(u64, k.routed, 30));
    cr_assert(eq(u64, k.dropped, 10));
    cr_assert(eq(u64, aggregate_tallies(w.a)->poison, 10),
              "a drop must be seen downstream");
    cr_assert(eq(u64, aggregate_tallies(w.a)->samples, 30));
    world_close(&w);
}
