/* ingest/decode/prometheus.c -- remote write 1.0: a snappy block of a WriteRequest
 *
 * Labels are attributes, __name__ is the metric. Counters and histograms are
 * cumulative; what they rose by since the sample before is what counts. Which series is
 * a counter, its name does not always say, so the plans do. */
#include <math.h>
#include <snappy-c.h>

#include "engine/base/mem.h"
#include "ingest/decode/classic.h"
#include "ingest/decode/format.h"
#include "ingest/decode/number.h"
#include "ingest/decode/prometheus_wire.h"
#include "ingest/decode/wanted.h"

enum {
    MAX_PLAIN = 32 << 20, /* bytes of a request once uncompressed */
    MAX_RATIO = 64,       /* a copy of three bytes makes 64 */
    KEPT = 512            /* series of the first pass that the second need not find */
};

/* ---------------------------------------------------------------- headers */

static bool is_bucket(const struct prometheus_series *s)
{
    struct strview histogram;
    return s->le.p != NULL && classic_name(s->name, &histogram);
}

/* The series that the samples go to: buckets to the one of their histogram. */
static enum serin_status header(struct aggregate *a, const struct prometheus_series *s,
                                struct series_key *k, struct aggregate_series **out,
                                struct reject *why)
{
    struct strview metric = s->name;
    series_key_start(k);
    for (size_t i = 0; i < s->n_labels; i++)
        series_key_attribute(k, s->labels[i].key, s->labels[i].value);
    if (s->le.p != NULL && !classic_name(s->name, &metric))
        series_key_attribute(k, strview_of("le"), s->le);
    series_key_text(k, SERIES_METRIC, metric);
    if (k->full)
        return quarantine_refuse(why, QUARANTINE_LIMIT, "labels over %d bytes",
                                 SERIES_MAX_KEY);
    return aggregate_series(a, (struct strview){(const char *)k->bytes, k->n}, out,
                            why);
}

static struct strview header_of(const struct aggregate_series *s)
{
    return (struct strview){(const char *)s->key, s->key_len};
}

/* ---------------------------------------------------------------- samples */

/* A time from the future is poison, and must not make all later ones repeats. */
static bool timely(const struct aggregate_run *r, int64_t t_ms)
{
    return t_ms >= 0 && t_ms <= r->horizon_ms;
}

static void add_rise(struct aggregate *a, struct aggregate_run *r, int64_t t,
                     double value)
{
    double rise;
    struct cumulative_key key = cumulative_key_of(header_of(r->s), 0);
    if (!(value >= 0) || isinf(value) ||
        !timely(r, t)) { /* as poison, and not to be remembered */
        aggregate_run_counts(r, t, UINT64_MAX, 0);
        return;
    }
    switch (cumulative_counter(aggregate_cumulative(a), key, cumulative_ns(t),
                               CUMULATIVE_NO_START, value, &rise)) {
    case CUMULATIVE_RISE:
        aggregate_run_counts(r, t, number_units(rise), 0);
        return;
    case CUMULATIVE_REPEAT:
        aggregate_duplicate(a, 1);
        return;
    case CUMULATIVE_FIRST:
        aggregate_begun(a);
        return;
    case CUMULATIVE_FULL:
        aggregate_run_counts(r, t, UINT64_MAX, 0); /* shown, not silently lost */
        return;
    }
}

static void add_samples(struct aggregate *a, const struct prometheus_series *s,
                        struct aggregate_series *to)
{
    struct wire w = wire_of(s->bytes);
    struct prometheus_sample v;
    struct aggregate_run r;
    bool counts = wanted_as(to, ROUTE_RATIO) || wanted_as(to, ROUTE_EVENTS);
    bool gauge = !counts && wanted_as(to, ROUTE_GAUGE);
    aggregate_run_begin(&r, a, to, gauge ? AGGREGATE_GAUGES : AGGREGATE_UNITS_ONLY);
    while (prometheus_wire_sample(&w, &v)) {
        if (prometheus_wire_stale(v.value)) continue;
        if (gauge)
            aggregate_run_value(&r, v.t_ms, v.value);
        else if (counts)
            add_rise(a, &r, v.t_ms, v.value);
        else
            aggregate_run_counts(&r, v.t_ms, 0, 0); /* nobody asks: unrouted */
    }
    aggregate_run_end(&r);
}

/* ---------------------------------------------------------------- histograms */

static void add_buckets(struct aggregate *a, const struct prometheus_series *s,
                        struct aggregate_series *to)
{
    struct wire w = wire_of(s->bytes);
    struct prometheus_sample v;
    struct aggregate_run r;
    double le;
    bool good = classic_bound(s->le, &le);
    aggregate_run_begin(&r, a, to, AGGREGATE_HISTS);
    while (prometheus_wire_sample(&w, &v)) {
        if (prometheus_wire_stale(v.value)) continue;
        if (good)
            classic_add(a, &r, v.t_ms, le, v.value);
        else
            (void)aggregate_run_time(&r, v.t_ms, false); /* poison */
    }
    aggregate_run_end(&r);
}

/* Rises of all buckets since the time before, into d itself. */
static enum cumulative_result rises(struct aggregate *a, struct aggregate_series *to,
                                    const struct prometheus_histogram *h,
                                    struct prometheus_dense *d)
{
    struct cumulative_scaled c = {h->schema, d->offset, d->zero, d->counts, d->n};
    enum cumulative_result s = cumulative_exponential(
        aggregate_cumulative(a), cumulative_key_of(header_of(to), 100),
        cumulative_ns(h->t_ms), CUMULATIVE_NO_START, &c);
    d->zero = c.zero;
    return s;
}

static void add_native(struct aggregate *a, struct aggregate_run *r,
                       const struct prometheus_histogram *h)
{
    struct prometheus_dense d;
    enum cumulative_result s = CUMULATIVE_RISE;
    uint64_t total;
    struct buckets_view v = {.scale = INT32_MAX}; /* poison as it stands */
    bool good = !h->negative && timely(r, h->t_ms) &&
                h->schema >= PROMETHEUS_SCHEMA_MIN &&
                h->schema <= PROMETHEUS_SCHEMA_MAX && prometheus_wire_dense(h, &d);
    if (good) {
        v = (struct buckets_view){h->schema, d.offset, d.zero, NULL, d.counts, d.n};
        good = buckets_view_total(&v, AGGREGATE_MAX_COUNT, &total);
    }
    if (good && r->s->n != 0 && h->hint != PROMETHEUS_GAUGE_HINT) {
        s = rises(a, r->s, h, &d);
        v.zero = d.zero;
    }
    if (s == CUMULATIVE_FULL) v.scale = INT32_MAX;
    if (s == CUMULATIVE_REPEAT)
        aggregate_duplicate(a, 1);
    else if (s == CUMULATIVE_FIRST)
        aggregate_begun(a);
    else
        aggregate_run_hist(r, h->t_ms, &v);
}

static void add_histograms(struct aggregate *a, const struct prometheus_series *s,
                           struct aggregate_series *to)
{
    struct wire w = wire_of(s->bytes);
    struct prometheus_histogram h;
    struct aggregate_run r;
    aggregate_run_begin(&r, a, to, AGGREGATE_HISTS);
    while (prometheus_wire_histogram(&w, &h))
        if (!prometheus_wire_stale(h.sum)) add_native(a, &r, &h);
    aggregate_run_end(&r);
}

/* ---------------------------------------------------------------- the record */

static enum serin_status request(struct aggregate *a, struct strview bytes,
                                 struct reject *why)
{
    struct prometheus_series s;
    struct series_key k;
    struct aggregate_series *kept[KEPT], *to;
    struct wire w = wire_of(bytes);
    enum serin_status status;
    size_t n = 0;
    for (; prometheus_wire_series(&w, &s, &status, why); n++) {
        status = header(a, &s, &k, n < KEPT ? &kept[n] : &to, why);
        if (status != SERIN_OK) return status;
    }
    if (status != SERIN_OK) return status;
    w = wire_of(bytes);
    for (size_t i = 0; i < n; i++) {
        if (!prometheus_wire_series(&w, &s, &status, why)) break;
        if (i < KEPT)
            to = kept[i];
        else if (header(a, &s, &k, &to, why) != SERIN_OK)
            continue;
        if (s.n_histograms != 0) add_histograms(a, &s, to);
        if (s.n_samples == 0) continue;
        if (is_bucket(&s))
            add_buckets(a, &s, to);
        else
            add_samples(a, &s, to);
    }
    return SERIN_OK;
}

enum serin_status prometheus_decode(struct aggregate *a, const void *record, size_t n,
                                    struct reject *why)
{
    size_t plain = 0;
    if (snappy_uncompressed_length(record, n, &plain) != SNAPPY_OK)
        return quarantine_refuse(why, QUARANTINE_SNAPPY, "no snappy block");
    size_t most = n < MAX_PLAIN / MAX_RATIO ? n * MAX_RATIO : MAX_PLAIN;
    if (plain > most)
        return quarantine_refuse(why, QUARANTINE_OVERSIZE,
                                 "%zu bytes that say they are %zu once uncompressed; "
                                 "limit %zu",
                                 n, plain, most);
    char *bytes = mem_calloc(plain + 1, 1);
    if (bytes == NULL) return quarantine_refuse(why, QUARANTINE_LIMIT, "no memory");
    enum serin_status s;
    if (snappy_uncompress(record, n, bytes, &plain) == SNAPPY_OK)
        s = request(a, (struct strview){bytes, plain}, why);
    else
        s = quarantine_refuse(why, QUARANTINE_SNAPPY,
                              "a broken snappy block, or a framed one");
    mem_free(bytes);
    return s;
}
