/* tests/support/remote_write.h -- Prometheus remote-write requests by hand, header only
 */
#ifndef SERIN_TESTS_SUPPORT_REMOTE_WRITE_H
#define SERIN_TESTS_SUPPORT_REMOTE_WRITE_H

#include <snappy-c.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A message under construction; zero-initialise, rw_free when done. */
struct rw {
    uint8_t *p;
    size_t n, room;
};

static inline void rw_free(struct rw *m)
{
    free(m->p);
    *m = (struct rw){0};
}

static inline void rw_raw(struct rw *m, const void *p, size_t n)
{
    if (m->n + n > m->room) {
        m->room = 2 * (m->n + n) + 64;
        m->p = realloc(m->p, m->room);
        if (m->p == NULL) abort();
    }
    if (n != 0) memcpy(m->p + m->n, p, n);
    m->n += n;
}

static inline void rw_varint(struct rw *m, uint64_t v)
{
    uint8_t b[10];
    size_t n = 0;
    for (; v >= 128; v >>= 7)
        b[n++] = (uint8_t)(v | 128);
    b[n++] = (uint8_t)v;
    rw_raw(m, b, n);
}

static inline uint64_t rw_zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static inline void rw_bytes(struct rw *m, unsigned field, const void *p, size_t n)
{
    rw_varint(m, field << 3 | 2);
    rw_varint(m, n);
    rw_raw(m, p, n);
}

static inline void rw_number(struct rw *m, unsigned field, uint64_t v)
{
    rw_varint(m, field << 3);
    rw_varint(m, v);
}

static inline void rw_double(struct rw *m, unsigned field, double v)
{
    rw_varint(m, field << 3 | 1);
    rw_raw(m, &v, sizeof v);
}

static inline void rw_label(struct rw *series, const char *name, const char *value)
{
    struct rw l = {0};
    rw_bytes(&l, 1, name, strlen(name));
    rw_bytes(&l, 2, value, strlen(value));
    rw_bytes(series, 1, l.p, l.n);
    rw_free(&l);
}

static inline void rw_sample(struct rw *series, double v, int64_t t_ms)
{
    struct rw s = {0};
    rw_double(&s, 1, v);
    rw_number(&s, 2, (uint64_t)t_ms);
    rw_bytes(series, 2, s.p, s.n);
    rw_free(&s);
}

/* Append a finished series to a request, and begin anew. */
static inline void rw_series(struct rw *request, struct rw *series)
{
    rw_bytes(request, 1, series->p, series->n);
    rw_free(series);
}

/* A native histogram: spans are {gap, length} pairs, counts those of their buckets. */
struct rw_native {
    int schema;
    const int *spans;
    size_t n_spans;
    const int64_t *counts;
    size_t n_counts;
    uint64_t zero;
    bool floats;
    unsigned hint;
    int64_t t_ms;
};

static inline void rw_histogram(struct rw *series, const struct rw_native *h)
{
    struct rw m = {0}, packed = {0}, span = {0};
    int64_t before = 0;
    double sum = 0;
    if (h->floats)
        rw_double(&m, 2, 1);
    else
        rw_number(&m, 1, 1);
    rw_double(&m, 3, 0.5);
    rw_number(&m, 4, rw_zigzag(h->schema));
    rw_double(&m, 5, 1e-128);
    if (h->floats)
        rw_double(&m, 7, (double)h->zero);
    else
        rw_number(&m, 6, h->zero);
    for (size_t i = 0; i < h->n_spans; i++) {
        rw_number(&span, 1, rw_zigzag(h->spans[2 * i]));
        rw_number(&span, 2, (uint64_t)h->spans[2 * i + 1]);
        rw_bytes(&m, 11, span.p, span.n);
        rw_free(&span);
    }
    for (size_t i = 0; i < h->n_counts; i++) {
        double v = (double)h->counts[i];
        if (h->floats)
            rw_raw(&packed, &v, sizeof v);
        else
            rw_varint(&packed, rw_zigzag(h->counts[i] - before));
        before = h->counts[i];
        sum += v;
    }
    rw_bytes(&m, h->floats ? 13 : 12, packed.p, packed.n);
    if (h->hint != 0) rw_number(&m, 14, h->hint);
    rw_number(&m, 15, (uint64_t)h->t_ms);
    rw_bytes(series, 4, m.p, m.n);
    rw_free(&packed);
    rw_free(&m);
}

/* The request as it goes over the wire; the plain one is freed. */
static inline struct rw rw_snappy(struct rw *request)
{
    struct rw out = {0};
    size_t n = snappy_max_compressed_length(request->n);
    out.p = malloc(n + 1);
    if (out.p == NULL || snappy_compress((const char *)request->p, request->n,
                                         (char *)out.p, &n) != SNAPPY_OK)
        abort();
    out.n = n;
    rw_free(request);
    return out;
}

#endif
