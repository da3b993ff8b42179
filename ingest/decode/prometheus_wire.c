/* ingest/decode/prometheus_wire.c */
#include "ingest/decode/prometheus_wire.h"

#include <math.h>

#define TAG(field, type) ((field) << 3 | (type))

static enum serin_status broken(struct reject *why, const char *what)
{
    return quarantine_refuse(why, QUARANTINE_TRUNCATED, "%s: cut off or broken", what);
}

static bool fixed64(struct wire *w, double *out)
{
    if (w->end - w->p < 8) return false;
    memcpy(out, w->p, 8);
    w->p += 8;
    return true;
}

bool prometheus_wire_stale(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits == UINT64_C(0x7ff0000000000002);
}

/* ---------------------------------------------------------------- labels */

static bool label_of(struct strview bytes, struct series_attribute *out)
{
    struct wire w = wire_of(bytes);
    *out = (struct series_attribute){{NULL, 0}, {NULL, 0}};
    while (w.p < w.end) {
        uint64_t tag;
        if (!wire_varint(&w, &tag)) return false;
        bool ok = tag == TAG(1, WIRE_BYTES)   ? wire_bytes(&w, &out->key)
                  : tag == TAG(2, WIRE_BYTES) ? wire_bytes(&w, &out->value)
                                              : tag >> 3 > 2 && wire_skip(&w, tag & 7);
        if (!ok) return false;
    }
    return true;
}

static enum serin_status take_label(struct strview bytes, struct prometheus_series *s,
                                    struct reject *why)
{
    struct series_attribute a;
    if (!label_of(bytes, &a)) return broken(why, "a label");
    if (strview_eq(a.key, strview_of("__name__"))) {
        s->name = a.value;
    } else if (strview_eq(a.key, strview_of("le"))) {
        s->le = a.value.p != NULL ? a.value : strview_of("");
    } else if (s->n_labels == SERIES_MAX_ATTRIBUTES) {
        return quarantine_refuse(why, QUARANTINE_LIMIT, "a series of over %d labels",
                                 SERIES_MAX_ATTRIBUTES);
    } else {
        s->labels[s->n_labels++] = a;
    }
    return SERIN_OK;
}

/* ---------------------------------------------------------------- samples */

static bool sample_of(struct strview bytes, struct prometheus_sample *out)
{
    struct wire w = wire_of(bytes);
    uint64_t v;
    *out = (struct prometheus_sample){0};
    while (w.p < w.end) {
        uint64_t tag;
        if (!wire_varint(&w, &tag)) return false;
        if (tag == TAG(1, WIRE_FIXED64)) {
            if (!fixed64(&w, &out->value)) return false;
        } else if (tag == TAG(2, WIRE_VARINT)) {
            if (!wire_varint(&w, &v)) return false;
            out->t_ms = (int64_t)v;
        } else if (tag >> 3 <= 2 || !wire_skip(&w, tag & 7)) {
            return false;
        }
    }
    return true;
}

/* ---------------------------------------------------------------- histograms */

/* Fields of prometheus.Histogram. */
enum {
    H_COUNT_INT = 1,
    H_COUNT_FLOAT = 2,
    H_SUM = 3,
    H_SCHEMA = 4,
    H_ZERO_THRESHOLD = 5,
    H_ZERO_INT = 6,
    H_ZERO_FLOAT = 7,
    H_NEGATIVE_SPANS = 8,
    H_NEGATIVE_DELTAS = 9,
    H_NEGATIVE_COUNTS = 10,
    H_SPANS = 11,
    H_DELTAS = 12,
    H_COUNTS = 13,
    H_HINT = 14,
    H_T_MS = 15,
    H_FIELDS
};

static const uint8_t h_wire[H_FIELDS] = {
    [H_COUNT_INT] = WIRE_VARINT,
    [H_COUNT_FLOAT] = WIRE_FIXED64,
    [H_SUM] = WIRE_FIXED64,
    [H_SCHEMA] = WIRE_VARINT,
    [H_ZERO_THRESHOLD] = WIRE_FIXED64,
    [H_ZERO_INT] = WIRE_VARINT,
    [H_ZERO_FLOAT] = WIRE_FIXED64,
    [H_NEGATIVE_SPANS] = WIRE_BYTES,
    [H_NEGATIVE_DELTAS] = WIRE_BYTES,
    [H_NEGATIVE_COUNTS] = WIRE_BYTES,
    [H_SPANS] = WIRE_BYTES,
    [H_DELTAS] = WIRE_BYTES,
    [H_COUNTS] = WIRE_BYTES,
    [H_HINT] = WIRE_VARINT,
    [H_T_MS] = WIRE_VARINT,
};

static bool any_set(struct strview s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != 0) return true;
    return false;
}

static void number_field(struct prometheus_histogram *h, unsigned field, uint64_t v)
{
    if (field == H_SCHEMA) h->schema = (int32_t)wire_zigzag(v);
    if (field == H_ZERO_INT) h->zero_int = v;
    if (field == H_HINT) h->hint = (unsigned)v;
    if (field == H_T_MS) h->t_ms = (int64_t)v;
}

static void double_field(struct prometheus_histogram *h, unsigned field, double v)
{
    if (field == H_COUNT_FLOAT) h->floats = true;
    if (field == H_SUM) h->sum = v;
    if (field == H_ZERO_THRESHOLD) h->zero_threshold = v;
    if (field == H_ZERO_FLOAT) h->zero_float = v;
}

/* Packed, and given once. */
static bool packed_field(struct prometheus_histogram *h, unsigned field,
                         struct strview s)
{
    bool deltas = field == H_DELTAS || field == H_NEGATIVE_DELTAS;
    size_t n = s.n / 8;
    if (deltas ? !wire_packed_count(s, &n) : s.n % 8 != 0) return false;
    if (n != 0 && n > PROMETHEUS_MAX_BUCKETS) return false;
    if (field == H_NEGATIVE_DELTAS || field == H_NEGATIVE_COUNTS) {
        h->negative |= any_set(s);
        return true;
    }
    if (n != 0 && h->n_buckets != 0) return false;
    if (n != 0) h->n_buckets = n;
    if (n != 0 && deltas) h->deltas = s;
    if (n != 0 && !deltas) h->counts = s;
    return true;
}

static bool span_of(struct strview bytes, int32_t *offset, uint64_t *length)
{
    struct wire w = wire_of(bytes);
    uint64_t v;
    *offset = 0;
    *length = 0;
    while (w.p < w.end) {
        uint64_t tag;
        if (!wire_varint(&w, &tag)) return false;
        if (tag == TAG(1, WIRE_VARINT)) {
            if (!wire_varint(&w, &v)) return false;
            *offset = (int32_t)wire_zigzag(v);
        } else if (tag == TAG(2, WIRE_VARINT)) {
            if (!wire_varint(&w, length)) return false;
        } else if (tag >> 3 <= 2 || !wire_skip(&w, tag & 7)) {
            return false;
        }
    }
    return *length <= PROMETHEUS_MAX_BUCKETS;
}

static bool histogram_field(struct prometheus_histogram *h, struct wire *w,
                            size_t *in_spans)
{
    uint64_t tag, v;
    double d;
    struct strview s;
    int32_t offset;
    if (!wire_varint(w, &tag)) return false;
    unsigned field = tag >> 3 < H_FIELDS ? (unsigned)(tag >> 3) : 0;
    if (tag >> 3 >= H_FIELDS) return wire_skip(w, tag & 7);
    if (field == 0 || h_wire[field] != (tag & 7)) return false;
    switch (h_wire[field]) {
    case WIRE_VARINT:
        if (!wire_varint(w, &v)) return false;
        number_field(h, field, v);
        return true;
    case WIRE_FIXED64:
        if (!fixed64(w, &d)) return false;
        double_field(h, field, d);
        return true;
    default:
        if (!wire_bytes(w, &s)) return false;
        if (field != H_SPANS && field != H_NEGATIVE_SPANS)
            return packed_field(h, field, s);
        if (!span_of(s, &offset, &v)) return false;
        if (field == H_SPANS) *in_spans += v;
        return *in_spans <= PROMETHEUS_MAX_BUCKETS;
    }
}

static bool histogram_of(struct strview bytes, struct prometheus_histogram *h)
{
    struct wire w = wire_of(bytes);
    size_t in_spans = 0;
    *h = (struct prometheus_histogram){.bytes = bytes};
    while (w.p < w.end)
        if (!histogram_field(h, &w, &in_spans)) return false;
    return in_spans == h->n_buckets;
}

/* ---------------------------------------------------------------- laying out */

static bool whole(double v, uint64_t *out)
{
    if (!(v >= 0 && v <= 0x1p53) || v != floor(v)) return false;
    *out = (uint64_t)v;
    return true;
}

/* Counts of the buckets one by one: deltas add up, doubles stand for themselves. */
struct taking {
    const uint8_t *at;
    const char *doubles;
    uint64_t sum; /* wraps below zero, and is over 2^53 then */
};

static bool take_count(struct taking *t, uint64_t *out)
{
    if (t->doubles != NULL) {
        double v;
        memcpy(&v, t->doubles, sizeof v);
        t->doubles += sizeof v;
        return whole(v, out);
    }
    t->sum += (uint64_t)wire_zigzag(wire_take(&t->at));
    *out = t->sum;
    return t->sum <= UINT64_C(1) << 53;
}

static bool lay_span(struct prometheus_dense *out, int64_t *next, int32_t offset,
                     uint64_t length, struct taking *t)
{
    *next += offset;
    for (uint64_t k = 0; k < length; k++, ++*next) {
        if (out->n == 0) {
            if (*next > INT32_MAX || *next <= INT32_MIN) return false;
            out->offset = (int32_t)(*next - 1);
        }
        int64_t at = *next - 1 - out->offset;
        if (at < 0 || at >= PROMETHEUS_MAX_BUCKETS) return false;
        while (out->n <= (size_t)at)
            out->counts[out->n++] = 0;
        if (!take_count(t, &out->counts[at])) return false;
    }
    return true;
}

bool prometheus_wire_dense(const struct prometheus_histogram *h,
                           struct prometheus_dense *out)
{
    struct wire w = wire_of(h->bytes);
    struct taking t = {(const uint8_t *)h->deltas.p, h->counts.p, 0};
    int64_t next = 0;
    out->n = 0;
    out->offset = 0;
    out->zero = h->zero_int;
    if (h->floats && !whole(h->zero_float, &out->zero)) return false;
    while (w.p < w.end) {
        uint64_t tag, length;
        struct strview s;
        int32_t offset;
        if (!wire_varint(&w, &tag)) return false;
        if (tag != TAG(H_SPANS, WIRE_BYTES)) {
            if (!wire_skip(&w, tag & 7)) return false;
            continue;
        }
        if (!wire_bytes(&w, &s) || !span_of(s, &offset, &length)) return false;
        if (!lay_span(out, &next, offset, length, &t)) return false;
    }
    return true;
}

/* ---------------------------------------------------------------- series */

static enum serin_status series_field(struct wire *w, struct prometheus_series *s,
                                      struct reject *why)
{
    uint64_t tag;
    struct strview bytes;
    struct prometheus_sample sample;
    struct prometheus_histogram h;
    if (!wire_varint(w, &tag)) return broken(why, "a series");
    if (tag == TAG(3, WIRE_BYTES) || tag >> 3 > 4) /* exemplars, and what is new */
        return wire_skip(w, tag & 7) ? SERIN_OK : broken(why, "a series");
    if (tag >> 3 == 0 || (tag & 7) != WIRE_BYTES)
        return quarantine_refuse(why, QUARANTINE_TYPE,
                                 "a series: field %llu of wire type %u",
                                 (unsigned long long)(tag >> 3), (unsigned)(tag & 7));
    if (!wire_bytes(w, &bytes)) return broken(why, "a series");
    switch (tag >> 3) {
    case 1:
        return take_label(bytes, s, why);
    case 2:
        s->n_samples++;
        return sample_of(bytes, &sample) ? SERIN_OK : broken(why, "a sample");
    default:
        s->n_histograms++;
        return histogram_of(bytes, &h) ? SERIN_OK : broken(why, "a native histogram");
    }
}

static enum serin_status series_of(struct strview bytes, struct prometheus_series *s,
                                   struct reject *why)
{
    struct wire w = wire_of(bytes);
    s->bytes = bytes;
    s->name = s->le = (struct strview){NULL, 0};
    s->n_labels = s->n_samples = s->n_histograms = 0;
    while (w.p < w.end) {
        enum serin_status status = series_field(&w, s, why);
        if (status != SERIN_OK) return status;
    }
    if (s->name.n != 0) return SERIN_OK;
    return quarantine_refuse(why, QUARANTINE_FIELD, "a series without __name__");
}

bool prometheus_wire_series(struct wire *w, struct prometheus_series *out,
                            enum serin_status *status, struct reject *why)
{
    *status = SERIN_OK;
    while (w->p < w->end) {
        uint64_t tag;
        struct strview bytes;
        bool ok = wire_varint(w, &tag);
        if (ok && tag == TAG(1, WIRE_BYTES)) {
            if (wire_bytes(w, &bytes)) {
                *status = series_of(bytes, out, why);
                return *status == SERIN_OK;
            }
            ok = false;
        } else {
            ok = ok && tag >> 3 > 1 && wire_skip(w, tag & 7);
        }
        if (ok) continue;
        *status = broken(why, "the request");
        return false;
    }
    return false;
}

/* The next field of this number in a checked series. */
static bool next_field(struct wire *w, uint64_t wanted, struct strview *out)
{
    uint64_t tag;
    while (w->p < w->end && wire_varint(w, &tag)) {
        if (tag == wanted) return wire_bytes(w, out);
        if (!wire_skip(w, tag & 7)) return false;
    }
    return false;
}

bool prometheus_wire_sample(struct wire *w, struct prometheus_sample *out)
{
    struct strview s;
    return next_field(w, TAG(2, WIRE_BYTES), &s) && sample_of(s, out);
}

bool prometheus_wire_histogram(struct wire *w, struct prometheus_histogram *out)
{
    struct strview s;
    return next_field(w, TAG(4, WIRE_BYTES), &s) && histogram_of(s, out);
}
