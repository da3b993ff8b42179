/* tests/property/ingest/prop_wire.c -- influx and prometheus_rw: every truncation of
 * 1 000 valid messages, every bit flip of 100, lengths that lie */
#include "tests/support/check.h"
#include "tests/support/ingest_world.h"
#include "tests/support/remote_write.h"

enum { MESSAGES = 1000, FLIPPED = 100 };

static struct world w;

/* Refused: nothing was added. Accepted: every sample counts once. */
static bool decode(enum format f, const void *p, size_t n)
{
    uint8_t *exact = malloc(n + (n == 0)); /* a read past the end shows under ASan */
    if (n != 0) memcpy(exact, p, n);
    aggregate_clear(w.a);
    cumulative_forget(aggregate_cumulative(w.a));
    bool ok = world_decode(&w, f, exact, n) == SERIN_OK;
    struct aggregate_counts c = aggregate_counts(w.a);
    cr_assert(eq(u64, c.samples, c.routed + c.unrouted + c.poison + c.dropped));
    if (!ok) cr_assert(eq(u64, c.samples + aggregate_cells(w.a), 0));
    free(exact);
    return ok;
}

static size_t a_line(gsl_rng *g, char *out, size_t room)
{
    static const char *const names[] = {"errors", "duration", "cpu", "crashes",
                                        "x\\ y"};
    static const char *const fields[] = {"n=%lui,bad=%lui", "value=%lu.%lu",
                                         "gauge=-%lue-%lu", "counter=%lu,note=\"%lu\"",
                                         "0.1=%lu,+Inf=%lu,count=9,sum=1"};
    char field[128];
    unsigned long a = gsl_rng_uniform_int(g, 1000), b = gsl_rng_uniform_int(g, 30);
    size_t k = gsl_rng_uniform_int(g, 5);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(field, sizeof field, fields[k], a, b);
#pragma GCC diagnostic pop
    return (size_t)snprintf(
        out, room, "%s,service=shop,version=%s,region=r%lu %s %lld\n",
        names[gsl_rng_uniform_int(g, 5)], a % 2 != 0 ? "new" : "old", b, field,
        (long long)WORLD_NOW * 1000000 + (long long)gsl_rng_get(g));
}

static size_t influx(gsl_rng *g, char *out, size_t room)
{
    size_t n = 0;
    for (size_t k = 1 + gsl_rng_uniform_int(g, 3); k > 0; k--)
        n += a_line(g, out + n, room - n);
    return n;
}

static void native(gsl_rng *g, struct rw *s, int t)
{
    const int spans[] = {(int)gsl_rng_uniform_int(g, 40) - 20, 2,
                         (int)gsl_rng_uniform_int(g, 5), 1};
    const int64_t counts[] = {(int64_t)gsl_rng_uniform_int(g, 100) + t, 7 + t, 9 + t};
    rw_histogram(
        s, &(const struct rw_native){.schema = (int)gsl_rng_uniform_int(g, 13) - 4,
                                     .spans = spans,
                                     .n_spans = 2,
                                     .counts = counts,
                                     .n_counts = 3,
                                     .floats = gsl_rng_uniform_int(g, 2) != 0,
                                     .t_ms = WORLD_NOW + 1000 * t});
}

static struct rw prometheus(gsl_rng *g)
{
    static const char *const names[] = {"crashes", "cpu", "duration_bucket", "x"};
    struct rw request = {0}, s = {0};
    for (size_t k = 1 + gsl_rng_uniform_int(g, 4); k > 0; k--) {
        bool is_native = gsl_rng_uniform_int(g, 4) == 0;
        const char *name = is_native ? "duration" : names[gsl_rng_uniform_int(g, 4)];
        rw_label(&s, "__name__", name);
        if (strchr(name, '_') != NULL) rw_label(&s, "le", k % 2 != 0 ? "+Inf" : "0.5");
        rw_label(&s, "service", "shop");
        rw_label(&s, "version", "new");
        for (int t = 0; t < 3 && is_native; t++)
            native(g, &s, t);
        for (int t = 0; t < 3 && !is_native; t++)
            rw_sample(&s, (double)gsl_rng_uniform_int(g, 99) + 50 * t,
                      WORLD_NOW + 1000 * t);
        rw_series(&request, &s);
    }
    return request;
}

static void flip_all(enum format f, uint8_t *p, size_t n)
{
    for (size_t bit = 0; bit < 8 * n; bit++) {
        p[bit / 8] ^= (uint8_t)(1U << bit % 8);
        (void)decode(f, p, n);
        p[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

Test(wire, influx_cut_anywhere_and_flipped_everywhere)
{
    gsl_rng *g = check_rng(1017);
    char text[2048];
    w = world_open(NULL);
    for (int i = 0; i < MESSAGES; i++) {
        size_t n = influx(g, text, sizeof text);
        cr_assert(decode(FORMAT_INFLUX, text, n), "%s: %s", text, w.why.detail);
        for (size_t k = 0; k < n; k++)
            (void)decode(FORMAT_INFLUX, text, k);
        if (i < FLIPPED) flip_all(FORMAT_INFLUX, (uint8_t *)text, n);
    }
    gsl_rng_free(g);
    world_close(&w);
}

/* Plain requests are cut and flipped, and compressed afterwards: snappy itself would
 * refuse almost all of it before our walker sees a byte. Blocks are, too. */
static void plain_and_block(const struct rw *request, bool flip)
{
    struct rw copy = {0}, block;
    for (size_t k = 0; k < request->n; k++) {
        rw_raw(&copy, request->p, k);
        block = rw_snappy(&copy);
        (void)decode(FORMAT_PROMETHEUS, block.p, block.n);
        rw_free(&block);
    }
    for (size_t bit = 0; flip && bit < 8 * request->n; bit++) {
        rw_raw(&copy, request->p, request->n);
        copy.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
        block = rw_snappy(&copy);
        (void)decode(FORMAT_PROMETHEUS, block.p, block.n);
        rw_free(&block);
    }
    rw_raw(&copy, request->p, request->n);
    block = rw_snappy(&copy);
    for (size_t k = 0; k < block.n; k++)
        cr_assert(not(decode(FORMAT_PROMETHEUS, block.p, k)), "a block cut at %zu", k);
    if (flip) flip_all(FORMAT_PROMETHEUS, block.p, block.n);
    rw_free(&block);
}

Test(wire, prometheus_cut_anywhere_and_flipped_everywhere)
{
    gsl_rng *g = check_rng(1018);
    w = world_open(NULL);
    for (int i = 0; i < MESSAGES; i++) {
        struct rw request = prometheus(g), copy = {0};
        rw_raw(&copy, request.p, request.n);
        struct rw block = rw_snappy(&copy);
        cr_assert(decode(FORMAT_PROMETHEUS, block.p, block.n), "%s", w.why.detail);
        rw_free(&block);
        plain_and_block(&request, i < FLIPPED);
        rw_free(&request);
    }
    gsl_rng_free(g);
    world_close(&w);
}

Test(wire, lengths_that_lie)
{
    static const uint64_t lies[] = {3, 127, 128, 1 << 20, UINT32_MAX, UINT64_MAX};
    w = world_open(NULL);
    for (unsigned depth = 0; depth < 4; depth++)
        for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
            struct rw m = {0}, outer = {0};
            rw_varint(&m, 1 << 3 | 2);
            rw_varint(&m, lies[i]);
            for (unsigned k = 0; k < depth; k++) {
                rw_bytes(&outer, 1, m.p, m.n);
                rw_free(&m);
                m = outer;
                outer = (struct rw){0};
            }
            struct rw block = rw_snappy(&m);
            cr_assert(not(decode(FORMAT_PROMETHEUS, block.p, block.n)));
            rw_free(&block);
        }
    world_close(&w);
}
