/* tests/property/ingest/prop_otlp.c -- OTLP: broken messages are refused as a whole; a
 * cumulative stream and its delta twin have the same totals, whatever happens to it */
#include "tests/support/check.h"
#include "tests/support/ingest_world.h"
#include "tests/support/otlp.h"

enum {
    SUM = 7,
    HISTOGRAM = 9,
    EXPONENTIAL = 10,
    DELTA = 1,
    CUMULATIVE = 2,
    SECONDS = 60
};

static struct rw request, scope, point;

static uint64_t ns(int64_t t_ms)
{
    return (uint64_t)(WORLD_NOW + t_ms) * 1000000;
}

static void finish(unsigned data, unsigned temporality, int64_t start_ms, int64_t t_ms)
{
    static const char *const names[] = {
        [SUM] = "crashes", [HISTOGRAM] = "duration", [EXPONENTIAL] = "duration"};
    unsigned attributes = data == SUM ? 7 : data == HISTOGRAM ? 9 : 1;
    otlp_fixed(&point, 2, ns(start_ms));
    otlp_fixed(&point, 3, ns(t_ms));
    otlp_attribute(&point, attributes, "region", "eu");
    otlp_metric(&scope, names[data], data, temporality, 1, &point);
}

/* Four buckets of counts as a point of each kind; those of a sum are one number. */
static void add_point(unsigned data, unsigned temporality, int64_t start_ms,
                      int64_t t_ms, const uint64_t counts[4], unsigned coarser)
{
    static const double bounds[] = {0.1, 0.2, 0.4};
    uint64_t total = counts[0] + counts[1] + counts[2] + counts[3];
    struct rw b = {0}, packed = {0};
    otlp_fixed(&point, data == SUM ? 6 : 4, total);
    if (data == HISTOGRAM) {
        rw_bytes(&point, 6, counts, 4 * sizeof *counts);
        rw_bytes(&point, 7, bounds, sizeof bounds);
    } else if (data == EXPONENTIAL) {
        for (unsigned i = 0; i < 4; i += 1U << coarser) {
            uint64_t sum = 0;
            for (unsigned k = 0; k < 1U << coarser; k++)
                sum += counts[i + k];
            rw_varint(&packed, sum);
        }
        rw_number(&b, 1, rw_zigzag(-4 >> coarser));
        otlp_put(&b, 2, &packed);
        rw_number(&point, 6, rw_zigzag(2 - (int)coarser));
        otlp_put(&point, 8, &b);
    }
    finish(data, temporality, start_ms, t_ms);
    rw_free(&b);
    rw_free(&packed);
}

static bool decode(struct world *w, const uint8_t *p, size_t n)
{
    uint8_t *exact = malloc(n != 0 ? n : 1); /* ASan sees a read past the end */
    memcpy(exact, p, n);
    aggregate_clear(w->a);
    cumulative_forget(aggregate_cumulative(w->a));
    enum serin_status s = world_decode(w, FORMAT_OTLP_PROTO, exact, n);
    struct aggregate_counts c = aggregate_counts(w->a);
    cr_assert(s == SERIN_OK || (s == SERIN_EPARSE && c.samples == 0));
    cr_assert(c.samples == c.routed + c.unrouted + c.poison + c.dropped);
    free(exact);
    return s == SERIN_OK;
}

static void make(gsl_rng *g)
{
    static const unsigned kinds[] = {SUM, HISTOGRAM, EXPONENTIAL};
    size_t n = 1 + gsl_rng_uniform_int(g, 3);
    request.n = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t counts[4];
        for (int k = 0; k < 4; k++)
            counts[k] = gsl_rng_uniform_int(g, 1UL << gsl_rng_uniform_int(g, 30));
        unsigned temporality = (unsigned)gsl_rng_uniform_int(g, 3);
        int64_t t = (int64_t)gsl_rng_uniform_int(g, 5000);
        add_point(kinds[gsl_rng_uniform_int(g, 3)], temporality, 0, t, counts,
                  (unsigned)gsl_rng_uniform_int(g, 3));
    }
    otlp_request(&request, &scope, "shop", "new");
}

Test(otlp_property, every_truncation_and_every_bit_flip)
{
    static uint8_t copy[65536];
    gsl_rng *g = check_rng(2718);
    struct world w = world_open(NULL);
    for (int i = 0; i < 1000; i++) {
        make(g);
        cr_assert(decode(&w, request.p, request.n), "case %d: %s", i, w.why.detail);
        for (size_t k = 1; k < request.n; k++)
            cr_assert(not(decode(&w, request.p, k)), "case %d cut at %zu", i, k);
        for (size_t bit = 0; i < 100 && bit < 8 * request.n; bit++) {
            memcpy(copy, request.p, request.n);
            copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
            (void)decode(&w, copy, request.n);
        }
    }
    world_close(&w);
    gsl_rng_free(g);
}

Test(otlp_property, lengths_that_lie)
{
    static const uint64_t lengths[] = {128,        16384,     INT32_MAX,
                                       UINT32_MAX, INT64_MAX, UINT64_MAX};
    struct world w = world_open(NULL);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int depth = 0; depth < 4; depth++) {
            /* Nested lists, and at this depth one that claims to be longer. */
            struct rw m = {0}, outer = {0};
            rw_varint(&m, 1 << 3 | 2);
            rw_varint(&m, lengths[i]);
            for (int d = 0; d < depth; d++) {
                rw_bytes(&outer, d == depth - 1 ? 1 : 2, m.p, m.n);
                m.n = 0;
                rw_raw(&m, outer.p, outer.n);
                outer.n = 0;
            }
            cr_assert(not(decode(&w, m.p, m.n)), "length %zu, depth %d", i, depth);
            rw_free(&m);
            rw_free(&outer);
        }
    world_close(&w);
}

/* ---------------------------------------------------------------- twins */

struct twin {
    uint64_t now[4]; /* the cumulative one's */
    int64_t start_ms;
    unsigned coarser;
    uint64_t sent, known; /* units in all; of them those that the judge must know */
};

static uint64_t total_of(const struct world *w, const char *metric)
{
    uint64_t n = 0;
    for (int64_t t = 0; t <= 1000 * (SECONDS + 1); t += 1000)
        n += world_cell(w, "r1", ROUTE_CANARY, "eu", metric, WORLD_NOW + t)->n;
    return n;
}

static void rise(gsl_rng *g, struct twin *t, uint64_t delta[4])
{
    for (int k = 0; k < 4; k++) {
        delta[k] = gsl_rng_uniform_int(g, 50);
        t->now[k] += delta[k];
        t->sent += delta[k];
    }
}

static void deliver(struct world *w)
{
    otlp_request(&request, &scope, "shop", "new");
    int s = world_decode(w, FORMAT_OTLP_PROTO, request.p, request.n);
    cr_assert(eq(int, s, SERIN_OK), "%s", w->why.detail);
    request.n = 0;
}

/* One minute of a process that is restarted, whose messages are lost, doubled, late. */
static void play(gsl_rng *g, unsigned data, struct world *w, struct world *twin)
{
    struct twin t = {.start_ms = 10};
    cumulative_watch(aggregate_cumulative(w->a), WORLD_NOW - CUMULATIVE_SKEW_MS);
    uint64_t older[4] = {0};
    int64_t older_ms = 0;
    for (int i = 1; i <= SECONDS; i++) {
        int64_t ms = 1000 * i;
        uint64_t delta[4];
        bool last = i == SECONDS, restart = !last && gsl_rng_uniform_int(g, 12) == 0;
        rise(g, &t, delta);
        add_point(data, DELTA, ms - 1000, ms, delta, t.coarser);
        deliver(twin);
        /* The last value before a restart always arrives: what is lost with a process
         * nobody knows. */
        if (last || restart || gsl_rng_uniform_int(g, 4) != 0) {
            for (unsigned k = 0; k <= gsl_rng_uniform_int(g, 3); k++)
                add_point(data, CUMULATIVE, t.start_ms, ms, t.now, t.coarser);
            deliver(w);
            if (older_ms != 0)
                add_point(data, CUMULATIVE, t.start_ms, older_ms, older, t.coarser);
            else
                point.n = 0;
            deliver(w);
            older_ms = 0;
        } else {
            memcpy(older, t.now, sizeof older); /* comes after the next one */
            older_ms = ms;
        }
        if (t.coarser < 2 && gsl_rng_uniform_int(g, 10) == 0) t.coarser++;
        if (!restart) continue;
        memset(t.now, 0, sizeof t.now);
        t.start_ms = ms + 1 + (int64_t)gsl_rng_uniform_int(g, 900);
        t.coarser = 0;
        older_ms = 0;
    }
    const char *metric = data == SUM ? "crashes" : "latency";
    cr_assert(eq(u64, total_of(twin, metric), t.sent));
    cr_assert(eq(u64, total_of(w, metric), t.sent));
    cr_assert(eq(u64, aggregate_counts(w->a).poison, 0));
}

Test(otlp_property, a_cumulative_stream_and_its_delta_twin)
{
    gsl_rng *g = check_rng(161);
    for (int i = 0; i < 300; i++) {
        struct world w = world_open(NULL), twin = world_open(NULL);
        play(g, i % 3 == 0 ? SUM : i % 3 == 1 ? HISTOGRAM : EXPONENTIAL, &w, &twin);
        world_close(&w);
        world_close(&twin);
    }
    gsl_rng_free(g);
}
