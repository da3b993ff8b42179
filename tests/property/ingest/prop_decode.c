/* tests/property/ingest/prop_decode.c -- the walker against protobuf-c's reading of the
 * same bytes; broken messages; a stream with garbage in it, counted exactly */
#include "proto/decode.h"
#include "tests/support/check.h"
#include "tests/support/ingest_world.h"

enum { COLUMNS = 4, SAMPLES = 12 };

struct made { /* one random batch and its storage */
    pb_batch m;
    pb_column c[COLUMNS], *list[COLUMNS];
    int64_t dt[COLUMNS][SAMPLES];
    uint64_t n[COLUMNS][SAMPLES], bad[COLUMNS][SAMPLES];
    double v[COLUMNS][SAMPLES];
    struct arena arena;
    struct bytes bytes;
};

static uint64_t any_count(gsl_rng *g)
{
    switch (gsl_rng_uniform_int(g, 12)) {
    case 0:
        return UINT64_MAX;
    case 1:
        return AGGREGATE_MAX_COUNT;
    case 2:
        return AGGREGATE_MAX_COUNT + 1;
    default:
        return gsl_rng_uniform_int(g, 1UL << gsl_rng_uniform_int(g, 30));
    }
}

static void make_column(gsl_rng *g, struct made *d, int k)
{
    static const char *const rollouts[] = {"r1", "r2", "nobody"};
    static const char *const cohorts[] = {"canary", "baseline", "green"};
    static const char *const strata[] = {"", "eu", "us"};
    pb_column *c = &d->c[k];
    size_t n = 1 + gsl_rng_uniform_int(g, SAMPLES);
    serin__v1__column__init(c);
    c->rollout = (char *)(uintptr_t)rollouts[gsl_rng_uniform_int(g, 3)];
    c->cohort = (char *)(uintptr_t)cohorts[gsl_rng_uniform_int(g, 3)];
    c->stratum = (char *)(uintptr_t)strata[gsl_rng_uniform_int(g, 3)];
    c->metric = (char *)(uintptr_t) "errors";
    c->base_ms = WORLD_NOW + (int64_t)gsl_rng_uniform_int(g, 5000);
    for (size_t i = 0; i < n; i++) {
        d->dt[k][i] = (int64_t)gsl_rng_uniform_int(g, 900) - 300;
        if (gsl_rng_uniform_int(g, 40) == 0)
            d->dt[k][i] = (int64_t)gsl_rng_get(g) << 20;
        d->n[k][i] = any_count(g);
        d->bad[k][i] = gsl_rng_uniform_int(g, 3) != 0 ? d->n[k][i] / 2 : any_count(g);
        d->v[k][i] = gsl_rng_uniform(g) - 0.05;
    }
    c->dt_ms = d->dt[k];
    c->n_dt_ms = gsl_rng_uniform_int(g, n + 1);
    if (gsl_rng_uniform_int(g, 4) == 0) {
        c->metric = (char *)(uintptr_t) "duration";
        c->values = d->v[k];
        c->n_values = n;
        return;
    }
    c->bad = d->bad[k];
    c->n_bad = n;
    c->n = d->n[k];
    c->n_n = gsl_rng_uniform_int(g, 3) != 0 ? n : 0;
}

static void make(gsl_rng *g, struct made *d)
{
    size_t n = 1 + gsl_rng_uniform_int(g, COLUMNS);
    serin__v1__batch__init(&d->m);
    arena_reset(&d->arena);
    for (size_t k = 0; k < n; k++) {
        make_column(g, d, (int)k);
        d->list[k] = &d->c[k];
    }
    d->m.schema = SERIN_SCHEMA;
    d->m.columns = d->list;
    d->m.n_columns = n;
    cr_assert(eq(int, encode_batch(&d->arena, &d->m, &d->bytes), SERIN_OK));
}

struct sums {
    uint64_t samples, poison, unrouted, n, bad, values;
};

/* The rules once more, in the plainest words, over what protobuf-c reads. */
static void reference(const pb_batch *m, struct sums *s)
{
    for (size_t k = 0; k < m->n_columns; k++) {
        const pb_column *c = m->columns[k];
        int64_t t = c->base_ms;
        size_t n = c->n_bad != 0 ? c->n_bad : c->n_values;
        bool routed =
            strcmp(c->rollout, "nobody") != 0 && strcmp(c->cohort, "green") != 0;
        for (size_t i = 0; i < n; i++) {
            if (i < c->n_dt_ms) t = (int64_t)((uint64_t)t + (uint64_t)c->dt_ms[i]);
            uint64_t units = c->n_n != 0 ? c->n[i] : 1;
            bool good = t >= 0 && t <= WORLD_NOW + 600000;
            if (c->n_bad != 0)
                good &= c->bad[i] <= units && units <= AGGREGATE_MAX_COUNT;
            else
                good &= c->values[i] >= 0;
            s->samples++;
            s->poison += !good;
            s->unrouted += good && !routed;
            if (!good || !routed) continue;
            s->n += c->n_bad != 0 ? units : 0;
            s->bad += c->n_bad != 0 ? c->bad[i] : 0;
            s->values += c->n_values != 0;
        }
    }
}

static void found(const struct world *w, struct sums *s)
{
    for (const struct aggregate_tally *t = aggregate_tallies(w->a); t; t = t->next) {
        for (const struct aggregate_cell *c = t->cells; c != NULL; c = c->next) {
            const struct route_metric *m = &t->route->metrics[aggregate_cell_metric(c)];
            if (m->kind == ROUTE_LATENCY)
                s->values += c->hist.total;
            else if (strcmp(m->name, "errors") == 0)
                s->n += c->n, s->bad += c->bad;
        }
    }
}

Test(decode_property, agrees_with_protobuf_c)
{
    static struct made d;
    gsl_rng *g = check_rng(4711);
    struct world w = world_open(NULL);
    for (int i = 0; i < 20000; i++) {
        struct arena a = {0};
        struct sums want = {0}, got = {0};
        pb_batch *m;
        make(g, &d);
        cr_assert(eq(int, decode_batch(&a, d.bytes.p, d.bytes.n, &m), SERIN_OK));
        reference(m, &want);
        aggregate_clear(w.a);
        int s = world_decode(&w, FORMAT_SERIN, d.bytes.p, d.bytes.n);
        cr_assert(eq(int, s, SERIN_OK), "case %d: %s", i, w.why.detail);
        struct aggregate_counts c = aggregate_counts(w.a);
        cr_assert(eq(u64, c.samples, want.samples), "case %d", i);
        cr_assert(eq(u64, c.poison, want.poison), "case %d", i);
        cr_assert(eq(u64, c.unrouted, want.unrouted), "case %d", i);
        arena_free(&a);
        /* Sums past 2^53 in one cell are dropped as a whole: then only less is certain.
         */
        found(&w, &got);
        cr_assert(le(u64, got.n, want.n), "case %d", i);
        if (c.dropped != 0) continue;
        cr_assert(eq(u64, got.n, want.n), "case %d", i);
        cr_assert(eq(u64, got.bad, want.bad), "case %d", i);
        cr_assert(eq(u64, got.values, want.values), "case %d", i);
    }
    arena_free(&d.arena);
    world_close(&w);
    gsl_rng_free(g);
}

/* Accepted or refused, but never half: refused means no sample was counted. */
static void whole_or_nothing(struct world *w, const uint8_t *p, size_t n)
{
    uint8_t *exact = malloc(n + 1); /* ASan sees a read past the end */
    memcpy(exact, p, n);
    uint8_t *at = realloc(exact, n != 0 ? n : 1);
    aggregate_clear(w->a);
    enum serin_status s = world_decode(w, FORMAT_SERIN, at, n);
    struct aggregate_counts c = aggregate_counts(w->a);
    cr_assert(s == SERIN_OK || (s == SERIN_EPARSE && c.samples == 0));
    cr_assert(c.samples == c.routed + c.unrouted + c.poison + c.dropped);
    free(at);
}

Test(decode_property, every_truncation_and_every_bit_flip)
{
    static struct made d;
    static uint8_t copy[65536];
    gsl_rng *g = check_rng(815);
    struct world w = world_open(NULL);
    for (int i = 0; i < 1000; i++) {
        make(g, &d);
        for (size_t k = 0; k < d.bytes.n; k++)
            whole_or_nothing(&w, d.bytes.p, k);
        for (size_t bit = 0; i < 100 && bit < 8 * d.bytes.n; bit++) {
            memcpy(copy, d.bytes.p, d.bytes.n);
            copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
            whole_or_nothing(&w, copy, d.bytes.n);
        }
    }
    arena_free(&d.arena);
    world_close(&w);
    gsl_rng_free(g);
}

static struct bytes simple(struct arena *a, uint64_t i)
{
    pb_batch m = SERIN__V1__BATCH__INIT;
    pb_column c = SERIN__V1__COLUMN__INIT, *list[] = {&c};
    uint64_t n = 1 + i % 9, bad = i % 2;
    struct bytes b = {NULL, 0};
    m.schema = SERIN_SCHEMA;
    m.columns = list;
    m.n_columns = 1;
    c.rollout = (char *)(uintptr_t)(i % 3 != 0 ? "r1" : "r2");
    c.cohort = (char *)(uintptr_t)(i % 2 != 0 ? "canary" : "baseline");
    c.metric = (char *)(uintptr_t) "errors";
    c.base_ms = WORLD_NOW + (int64_t)(i % 5000);
    c.n = &n, c.bad = &bad;
    c.n_n = c.n_bad = 1;
    cr_assert(eq(int, encode_batch(a, &m, &b), SERIN_OK));
    return b;
}

Test(decode_property, one_percent_garbage_in_a_million)
{
    struct world w = world_open(NULL);
    struct arena a = {0};
    gsl_rng *g = check_rng(99);
    uint64_t garbage = 0, refused = 0, units = 0, bad = 0, good = 0;
    uint8_t junk[64];
    struct sums got = {0};
    for (uint64_t i = 0; i < 1000000; i++) {
        struct bytes b;
        if (gsl_rng_uniform_int(g, 100) == 0) {
            b = (struct bytes){junk, 1 + gsl_rng_uniform_int(g, sizeof junk)};
            for (size_t k = 0; k < b.n; k++)
                junk[k] = (uint8_t)gsl_rng_get(g);
            garbage++;
        } else {
            b = simple(&a, i);
            units += 1 + i % 9, bad += i % 2, good++;
        }
        refused += world_decode(&w, FORMAT_AUTO, b.p, b.n) != SERIN_OK;
        if (i % 1000 == 0) arena_reset(&a);
    }
    struct aggregate_counts c = aggregate_counts(w.a);
    found(&w, &got);
    cr_assert(gt(u64, garbage, 9000));
    cr_assert(eq(u64, refused, garbage));
    cr_assert(eq(u64, c.samples, good));
    cr_assert(eq(u64, c.routed, good));
    cr_assert(eq(u64, got.n, units));
    cr_assert(eq(u64, got.bad, bad));
    arena_free(&a);
    world_close(&w);
    gsl_rng_free(g);
}
