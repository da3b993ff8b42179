/* ingest/decode/otlp.c */
#include "ingest/decode/otlp.h"

#include <math.h>

enum {
    MAX_BUCKETS = CUMULATIVE_MAX_BUCKETS - 2,
    SALT_NUMBER = 0, /* of a series' keys in what is remembered of it */
    SALT_HISTOGRAM = 1,
    SALT_EXPONENTIAL = 2,
    SALT_DELTA = 3
};

/* Where one point goes. */
struct adding {
    struct aggregate *a;
    struct aggregate_run run;
    const struct otlp_stream *stream;
    const struct otlp_point *p;
    int64_t t_ms, t_ns, start_ns;
};

bool otlp_counts(const struct otlp_stream *stream, const struct otlp_point *p)
{
    if (stream->kind == OTLP_SPAN) return p->span_kind == OTLP_SERVER;
    return (p->flags & OTLP_NO_VALUE) == 0;
}

static void poison(struct adding *d)
{
    (void)aggregate_run_time(&d->run, d->t_ms, false);
}

static struct cumulative_key key_of(const struct adding *d, uint64_t salt)
{
    return cumulative_key_salted(d->run.s->identity, salt);
}

/* A rise is to be counted: what became of a cumulative value, or a delta not seen. */
static bool to_count(struct adding *d, enum cumulative_result s)
{
    if (s == CUMULATIVE_REPEAT) aggregate_duplicate(d->a, 1);
    if (s == CUMULATIVE_FIRST) aggregate_begun(d->a);
    if (s == CUMULATIVE_FULL) poison(d); /* shown, not silently lost */
    return s == CUMULATIVE_RISE;
}

static bool delta_again(struct adding *d)
{
    bool again =
        cumulative_seen(aggregate_cumulative(d->a), key_of(d, SALT_DELTA), d->t_ns);
    if (again) aggregate_duplicate(d->a, 1);
    return again;
}

/* ---------------------------------------------------------------- numbers */

static double number_of(const struct otlp_point *p)
{
    double v;
    if (p->number == OTLP_INT) return (double)(int64_t)p->bits;
    if (p->number == OTLP_NONE) return (double)NAN;
    memcpy(&v, &p->bits, sizeof v);
    return v;
}

static void add_count(struct adding *d, double v)
{
    double rise = v;
    if (!(v >= 0 && v <= 0x1p53) || v != floor(v)) {
        poison(d);
    } else if (d->stream->temporality == OTLP_CUMULATIVE) {
        if (to_count(d, cumulative_counter(aggregate_cumulative(d->a),
                                           key_of(d, SALT_NUMBER), d->t_ns, d->start_ns,
                                           v, &rise)))
            aggregate_run_counts(&d->run, d->t_ms, (uint64_t)rise, 0);
    } else if (!delta_again(d)) {
        aggregate_run_counts(&d->run, d->t_ms, (uint64_t)v, 0);
    }
}

/* ---------------------------------------------------------------- histograms */

/* Its buckets are copied: they do not lie at multiples of eight. */
struct explicit_hist {
    double bounds[BUCKETS_BOUNDS_MAX];
    uint64_t counts[BUCKETS_BOUNDS_MAX + 1], names[BUCKETS_BOUNDS_MAX + 1];
    size_t n; /* of the bounds */
};

static bool explicit_of(const struct otlp_point *p, struct explicit_hist *h)
{
    uint64_t sum = 0;
    h->n = p->bounds.n / 8;
    if (h->n > BUCKETS_BOUNDS_MAX || p->counts.n != p->bounds.n + 8) return false;
    if (h->n != 0) memcpy(h->bounds, p->bounds.p, p->bounds.n);
    memcpy(h->counts, p->counts.p, p->counts.n);
    for (size_t i = 0; i <= h->n; i++) {
        if (h->counts[i] > AGGREGATE_MAX_COUNT) return false;
        sum += h->counts[i];
    }
    return sum == p->count && sum <= AGGREGATE_MAX_COUNT;
}

static void add_explicit(struct adding *d)
{
    struct explicit_hist h;
    uint64_t rises[BUCKETS_BOUNDS_MAX + 1], infinite = UINT64_MAX;
    if (!explicit_of(d->p, &h)) {
        poison(d);
        return;
    }
    struct buckets_bounds v = {h.bounds, h.counts, h.n};
    if (d->stream->temporality == OTLP_CUMULATIVE) {
        memcpy(h.names, h.bounds, h.n * sizeof *h.names);
        h.names[h.n] = infinite;
        v.counts = rises;
        if (!to_count(d, cumulative_buckets(
                             aggregate_cumulative(d->a), key_of(d, SALT_HISTOGRAM),
                             d->t_ns, d->start_ns, h.names, h.counts, h.n + 1, rises)))
            return;
    } else if (delta_again(d)) {
        return;
    }
    aggregate_run_bounds(&d->run, d->t_ms, &v);
}

/* Buckets one by one, at most as fine as a cell's: a stream that becomes coarser, as
 * SDKs make it, then mostly stays what it was. */
static void dense(const struct buckets_view *v, struct cumulative_scaled *out)
{
    const uint8_t *at = v->packed;
    int d = v->scale > BUCKETS_SCALE ? v->scale - BUCKETS_SCALE : 0;
    out->scale = v->scale - d;
    out->offset = v->offset >> d;
    out->zero = v->zero;
    out->n = 0;
    for (size_t k = 0; k < v->n; k++) {
        int64_t i = (v->offset + (int64_t)k) >> d;
        size_t to = (size_t)(i - out->offset);
        while (out->n <= to)
            out->counts[out->n++] = 0;
        out->counts[to] += wire_take(&at);
    }
}

static void add_exponential(struct adding *d)
{
    uint64_t counts[MAX_BUCKETS], total = 0;
    struct buckets_view v = d->p->view;
    if (d->p->negative || v.scale < BUCKETS_SCALE_MIN || v.scale > BUCKETS_SCALE_MAX ||
        v.n > MAX_BUCKETS || !buckets_view_total(&v, AGGREGATE_MAX_COUNT, &total) ||
        total != d->p->count) {
        poison(d);
        return;
    }
    if (d->stream->temporality == OTLP_CUMULATIVE) {
        struct cumulative_scaled h = {.counts = counts};
        dense(&v, &h);
        if (!to_count(d, cumulative_exponential(aggregate_cumulative(d->a),
                                                key_of(d, SALT_EXPONENTIAL), d->t_ns,
                                                d->start_ns, &h)))
            return;
        v = (struct buckets_view){h.scale, h.offset, h.zero, NULL, counts, h.n};
    } else if (delta_again(d)) {
        return;
    }
    aggregate_run_hist(&d->run, d->t_ms, &v);
}

/* ---------------------------------------------------------------- points */

/* A count of units without buckets is all that some histograms are. */
static bool only_count(const struct otlp_point *p)
{
    return p->bounds.n == 0 && p->counts.n <= 8;
}

static enum aggregate_kind kind_of(const struct otlp_stream *stream,
                                   const struct otlp_point *p)
{
    switch ((int)stream->kind) {
    case OTLP_HISTOGRAM:
        return only_count(p) ? AGGREGATE_UNITS_ONLY : AGGREGATE_HISTS;
    case OTLP_EXPONENTIAL:
        return AGGREGATE_HISTS;
    case OTLP_SPAN:
        return AGGREGATE_VALUES;
    case OTLP_SUM: /* one that also falls is a reading */
        return stream->monotonic != 0 ? AGGREGATE_UNITS_ONLY : AGGREGATE_GAUGES;
    default:
        return AGGREGATE_GAUGES;
    }
}

/* Summaries hold quantiles that cannot be added up; rises of what also falls, or over a
 * time that is not told, are no counts. */
static bool usable(const struct otlp_stream *stream)
{
    switch ((int)stream->kind) {
    case OTLP_SUMMARY:
        return false;
    case OTLP_SUM:
        return stream->temporality == OTLP_CUMULATIVE ||
               (stream->temporality == OTLP_DELTA && stream->monotonic != 0);
    case OTLP_HISTOGRAM:
    case OTLP_EXPONENTIAL:
        return stream->temporality == OTLP_CUMULATIVE ||
               stream->temporality == OTLP_DELTA;
    default:
        return true;
    }
}

static void add_span(struct adding *d)
{
    const struct otlp_point *p = d->p;
    double ms = (double)(p->time_ns - p->start_ns) / 1e6;
    if (p->time_ns < p->start_ns || p->start_ns == 0)
        poison(d);
    else
        aggregate_run_value(&d->run, d->t_ms, ms);
}

static void add_usable(struct adding *d)
{
    switch ((int)d->stream->kind) {
    case OTLP_SPAN:
        add_span(d);
        return;
    case OTLP_HISTOGRAM:
        if (only_count(d->p))
            add_count(d, (double)d->p->count);
        else
            add_explicit(d);
        return;
    case OTLP_EXPONENTIAL:
        add_exponential(d);
        return;
    default:
        if (d->run.kind == AGGREGATE_UNITS_ONLY)
            add_count(d, number_of(d->p));
        else
            aggregate_run_value(&d->run, d->t_ms, number_of(d->p));
    }
}

void otlp_ahead_near(struct aggregate *a, const struct aggregate_series *s,
                     const struct otlp_stream *stream)
{
    static const uint8_t sums[OTLP_KINDS] = {
        [OTLP_HISTOGRAM] = SALT_HISTOGRAM, [OTLP_EXPONENTIAL] = SALT_EXPONENTIAL};
    uint64_t salt = stream->temporality == OTLP_CUMULATIVE ? sums[stream->kind]
                                                           : (uint64_t)SALT_DELTA;
    if (s->n == 0) return;
    __builtin_prefetch(s->targets);
    cumulative_ahead(aggregate_cumulative(a), cumulative_key_salted(s->identity, salt));
}

void otlp_add(struct aggregate *a, struct aggregate_series *s,
              const struct otlp_stream *stream, const struct otlp_point *p)
{
    struct adding d = {.a = a, .stream = stream, .p = p};
    d.t_ms = (int64_t)(p->time_ns / 1000000);
    d.t_ns = (int64_t)p->time_ns; /* beyond 2262: poison, below */
    d.start_ns = p->start_ns != 0 && p->start_ns <= INT64_MAX ? (int64_t)p->start_ns
                                                              : CUMULATIVE_NO_START;
    aggregate_run_begin(&d.run, a, s, kind_of(stream, p));
    if (s->n == 0) /* nobody asks: unrouted */
        (void)aggregate_run_time(&d.run, d.t_ms, p->time_ns != 0);
    else if (p->time_ns == 0 || d.t_ms > d.run.horizon_ms || !usable(stream))
        poison(&d);
    else
        add_usable(&d);
    aggregate_run_end(&d.run);
}
