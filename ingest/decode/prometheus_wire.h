/* ingest/decode/prometheus_wire.h -- remote write 1.0, unsnapped, walked where it lies
 *
 * prometheus.WriteRequest{timeseries=1}; TimeSeries{labels=1, samples=2, exemplars=3,
 * histograms=4}; Label{name=1, value=2}; Sample{value=1 double, timestamp=2}. */
#ifndef SERIN_INGEST_DECODE_PROMETHEUS_WIRE_H
#define SERIN_INGEST_DECODE_PROMETHEUS_WIRE_H

#include "ingest/decode/wire.h"
#include "ingest/series.h"

enum {
    PROMETHEUS_MAX_BUCKETS = 4096, /* from the first to the last of one histogram */
    PROMETHEUS_SCHEMA_MIN = -4,
    PROMETHEUS_SCHEMA_MAX = 8,
    PROMETHEUS_GAUGE_HINT = 3 /* of ResetHint: not cumulative */
};

/* One TimeSeries. */
struct prometheus_series {
    struct strview bytes; /* samples and histograms are found in it again */
    struct strview name;  /* label __name__ */
    struct strview le;    /* label le; p NULL: none */
    struct series_attribute labels[SERIES_MAX_ATTRIBUTES]; /* the others */
    size_t n_labels, n_samples, n_histograms;
};

struct prometheus_sample {
    double value;
    int64_t t_ms;
};

/* One native histogram; packed fields were checked. Counts are whole or doubles. */
struct prometheus_histogram {
    struct strview bytes; /* spans are found in it again */
    bool floats;
    double sum, zero_threshold;
    uint64_t zero_int;
    double zero_float;
    int32_t schema;
    struct strview deltas, counts; /* of the positive buckets: varints, doubles */
    size_t n_buckets;
    bool negative; /* some negative bucket counts something */
    unsigned hint;
    int64_t t_ms;
};

/* What a histogram is once its spans are laid out: as OpenTelemetry's, bucket
 * offset + k is (base^(offset + k), base^(offset + k + 1)]. */
struct prometheus_dense {
    int32_t offset;
    size_t n;
    uint64_t zero, counts[PROMETHEUS_MAX_BUCKETS];
};

/**
 * The next series of a request, all of it checked. False at the end or, with *status
 * SERIN_EPARSE and *why, where the request is broken.
 */
bool prometheus_wire_series(struct wire *w, struct prometheus_series *out,
                            enum serin_status *status, struct reject *why);
/** Walk a checked series: its next sample or histogram. False: there is none. */
bool prometheus_wire_sample(struct wire *w, struct prometheus_sample *out);
bool prometheus_wire_histogram(struct wire *w, struct prometheus_histogram *out);
/**
 * Lay the positive buckets out; Prometheus' bucket i is (base^(i - 1), base^i]. False:
 * counts that are negative, no whole numbers or over 2^53, buckets too far apart.
 */
bool prometheus_wire_dense(const struct prometheus_histogram *h,
                           struct prometheus_dense *out);
/** Prometheus' mark that a series ended: a NaN, but no sample. */
bool prometheus_wire_stale(double v);

#endif
