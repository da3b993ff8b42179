/* ingest/decode/otlp_proto.c -- OTLP's export requests, metrics and traces
 *
 * Both are lists of lists: what a resource says (1: the resource, 2: lists), what a
 * scope of it says (1: the scope, 2: metrics or spans). All attributes of a point are
 * one header. The first pass checks everything and finds the series, the second adds
 * and cannot fail. No memory is allocated but for headers not seen before. */
#include "ingest/decode/format.h"
#include "ingest/decode/otlp.h"

enum {
    KEPT = 4096,          /* series of the first pass that the second need not find */
    SPAN_MAX_VALUE = 256, /* bytes; longer attributes of spans are not compared */
    LISTS = 1 << 1 | 1 << 2
};

struct walk {
    struct aggregate *a;
    bool adding;
    size_t at, total; /* points that count; total: after the first pass */
    uint64_t seed;    /* of the key's first bytes: resource, scope, metric */
    unsigned in_key;  /* attributes in them */
    struct reject *why;
    struct aggregate_series *kept[KEPT];
    struct series_key key;
};

/* ---------------------------------------------------------------- headers */

static bool keyed(const struct walk *w)
{
    return !w->adding || w->total > KEPT;
}

/* Attributes of a message; those of a span as far as they fit. */
static enum serin_status add_attributes(struct walk *w, struct strview bytes,
                                        unsigned field, bool span)
{
    struct wire in = wire_of(bytes);
    struct otlp_attribute at;
    enum serin_status status;
    unsigned n = w->in_key;
    while (otlp_wire_attribute(&in, field, &at, &status, w->why)) {
        if (!at.usable) continue;
        if (span && (at.value.n > SPAN_MAX_VALUE || n >= SERIES_MAX_ATTRIBUTES))
            continue;
        series_key_attribute(&w->key, at.key, at.value);
        n++;
    }
    return status;
}

/* The bytes that the key has grown by are the same for all that follows. */
static void fix_prefix(struct walk *w, size_t from)
{
    struct strview grown = {(const char *)w->key.bytes + from, w->key.n - from};
    w->seed = aggregate_prefix(w->a, grown, w->seed);
}

static enum serin_status find_series(struct walk *w, enum otlp_kind kind,
                                     const struct otlp_point *p,
                                     struct aggregate_series **out)
{
    static const char *const codes[] = {"UNSET", "OK", "ERROR"};
    struct series_key *k = &w->key;
    size_t prefix = k->n;
    bool full = k->full;
    if (kind == OTLP_SPAN) {
        series_key_attribute(k, strview_of("span.name"), p->name);
        series_key_attribute(
            k, strview_of("otel.status_code"),
            strview_of(codes[p->status <= OTLP_ERROR ? p->status : 0]));
    }
    enum serin_status s = add_attributes(
        w, p->attributes, otlp_wire_attributes_of(kind), kind == OTLP_SPAN);
    struct strview key = {(const char *)k->bytes, k->n};
    if (s == SERIN_OK && k->full)
        s = quarantine_refuse(w->why, QUARANTINE_LIMIT, "attributes over %d bytes",
                              SERIES_MAX_KEY);
    if (s == SERIN_OK)
        s = aggregate_series_behind(w->a, key, prefix, w->seed, out, w->why);
    k->n = prefix;
    k->full = full;
    return s;
}

/* ---------------------------------------------------------------- points */

static enum serin_status take_point(struct walk *w, const struct otlp_stream *stream,
                                    struct strview bytes)
{
    struct otlp_point p;
    struct aggregate_series *spare, **series = w->at < KEPT ? &w->kept[w->at] : &spare;
    enum serin_status s = otlp_wire_point(stream->kind, bytes, &p, w->why);
    if (s != SERIN_OK || !otlp_counts(stream, &p)) return s;
    if (!w->adding || w->at >= KEPT) s = find_series(w, stream->kind, &p, series);
    w->at++;
    if (w->adding && s == SERIN_OK) otlp_add(w->a, *series, stream, &p);
    return s;
}

/* Sum, Histogram, …: points are field 1, temporality 2, monotonic 3. */
static enum serin_status stream_of(struct strview bytes, struct otlp_stream *stream,
                                   struct reject *why)
{
    struct wire w = wire_of(bytes);
    while (w.p < w.end) {
        uint64_t tag;
        bool ok = wire_varint(&w, &tag);
        if (ok && tag == (2 << 3 | WIRE_VARINT))
            ok = wire_varint(&w, &stream->temporality);
        else if (ok && tag == (3 << 3 | WIRE_VARINT))
            ok = wire_varint(&w, &stream->monotonic);
        else
            ok = ok && wire_skip(&w, tag & 7);
        if (!ok)
            return quarantine_refuse(why, QUARANTINE_TRUNCATED,
                                     "a metric: cut off or broken");
    }
    return SERIN_OK;
}

static enum serin_status take_points(struct walk *w, enum otlp_kind kind,
                                     struct strview bytes)
{
    struct otlp_stream stream = {.kind = kind};
    struct wire in = wire_of(bytes);
    struct strview point;
    unsigned field;
    enum serin_status s = stream_of(bytes, &stream, w->why);
    while (s == SERIN_OK &&
           otlp_wire_next(&in, 1 << 1, &field, &point, "a metric", &s, w->why))
        s = take_point(w, &stream, point);
    return s;
}

/* ---------------------------------------------------------------- metrics and spans */

static enum serin_status take_metric(struct walk *w, struct strview bytes)
{
    static const int8_t kinds[] = {[5] = OTLP_GAUGE + 1,
                                   [7] = OTLP_SUM + 1,
                                   [9] = OTLP_HISTOGRAM + 1,
                                   [10] = OTLP_EXPONENTIAL + 1,
                                   [11] = OTLP_SUMMARY + 1};
    const uint64_t wanted = 1 << 1 | 1 << 5 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 11;
    struct wire in = wire_of(bytes);
    struct strview found, name = {NULL, 0}, data = {NULL, 0};
    enum serin_status s = SERIN_OK;
    unsigned field, kind = 0;
    size_t before = w->key.n;
    uint64_t seed = w->seed;
    while (otlp_wire_next(&in, wanted, &field, &found, "a metric", &s, w->why)) {
        if (field == 1)
            name = found;
        else
            data = found, kind = field;
    }
    if (s != SERIN_OK || kind == 0) return s;
    if (keyed(w)) {
        series_key_text(&w->key, SERIES_METRIC, name);
        fix_prefix(w, before);
    }
    s = take_points(w, (enum otlp_kind)(kinds[kind] - 1), data);
    w->key.n = before;
    w->seed = seed;
    return s;
}

static enum serin_status take_span(struct walk *w, struct strview bytes)
{
    static const struct otlp_stream stream = {.kind = OTLP_SPAN};
    size_t before = w->key.n;
    uint64_t seed = w->seed;
    if (keyed(w)) {
        series_key_text(&w->key, SERIES_METRIC, strview_of(OTLP_SPAN_METRIC));
        fix_prefix(w, before);
        w->in_key += 2; /* find_series adds them */
    }
    enum serin_status s = take_point(w, &stream, bytes);
    if (keyed(w)) w->in_key -= 2;
    w->key.n = before;
    w->seed = seed;
    return s;
}

/* A span has times of its own (7, 8) and a kind (6); a metric has no such fields. */
static bool is_span(struct strview bytes)
{
    struct wire w = wire_of(bytes);
    uint64_t tag;
    while (w.p < w.end && wire_varint(&w, &tag)) {
        if (tag == (6 << 3 | WIRE_VARINT) || tag == (7 << 3 | WIRE_FIXED64) ||
            tag == (8 << 3 | WIRE_FIXED64))
            return true;
        if (!wire_skip(&w, tag & 7)) return false;
    }
    return false;
}

/* ---------------------------------------------------------------- lists of lists */

static void count_attributes(struct walk *w, size_t from)
{
    struct wire in = {w->key.bytes + from, w->key.bytes + w->key.n};
    uint64_t tag;
    for (w->in_key = 0; in.p < in.end && wire_varint(&in, &tag); w->in_key++)
        if (!wire_skip(&in, tag & 7)) break;
}

/* What a resource (attributes = 1) or a scope (name, version, attributes = 3) adds. */
static enum serin_status take_owner(struct walk *w, struct strview bytes, bool scope)
{
    struct wire in = wire_of(bytes);
    struct strview text;
    enum serin_status s = SERIN_OK;
    unsigned field;
    if (!scope) return add_attributes(w, bytes, 1, false);
    while (otlp_wire_next(&in, 1 << 1 | 1 << 2, &field, &text, "a scope", &s, w->why)) {
        const char *key = field == 1 ? "otel.scope.name" : "otel.scope.version";
        if (text.n != 0) series_key_attribute(&w->key, strview_of(key), text);
    }
    return s == SERIN_OK ? add_attributes(w, bytes, 3, false) : s;
}

static enum serin_status owners(struct walk *w, struct strview bytes, bool scope)
{
    struct wire in = wire_of(bytes);
    struct strview owner;
    enum serin_status s = SERIN_OK;
    unsigned field;
    size_t before = w->key.n;
    const char *what = scope ? "a scope's list" : "a resource's list";
    if (!keyed(w)) return SERIN_OK;
    while (s == SERIN_OK &&
           otlp_wire_next(&in, LISTS, &field, &owner, what, &s, w->why))
        if (field == 1) s = take_owner(w, owner, scope);
    fix_prefix(w, before);
    count_attributes(w, 0);
    return s;
}

static enum serin_status take_scope(struct walk *w, struct strview bytes)
{
    struct wire in = wire_of(bytes);
    struct strview item;
    unsigned field;
    size_t before = w->key.n;
    uint64_t seed = w->seed;
    enum serin_status s = owners(w, bytes, true);
    while (s == SERIN_OK &&
           otlp_wire_next(&in, LISTS, &field, &item, "a scope's list", &s, w->why))
        if (field == 2) s = is_span(item) ? take_span(w, item) : take_metric(w, item);
    w->key.n = before;
    w->seed = seed;
    return s;
}

static enum serin_status take_resource(struct walk *w, struct strview bytes)
{
    struct wire in = wire_of(bytes);
    struct strview list;
    unsigned field;
    series_key_start(&w->key);
    w->seed = 0;
    enum serin_status s = owners(w, bytes, false);
    while (s == SERIN_OK &&
           otlp_wire_next(&in, LISTS, &field, &list, "a resource's list", &s, w->why))
        if (field == 2) s = take_scope(w, list);
    return s;
}

static enum serin_status pass(struct walk *w, struct strview record)
{
    struct wire in = wire_of(record);
    struct strview bytes;
    unsigned field;
    enum serin_status s = SERIN_OK;
    w->at = 0;
    while (s == SERIN_OK &&
           otlp_wire_next(&in, 1 << 1, &field, &bytes, "the request", &s, w->why))
        s = take_resource(w, bytes);
    return s;
}

enum serin_status otlp_proto_decode(struct aggregate *a, const void *record, size_t n,
                                    struct reject *why)
{
    struct walk w;
    struct strview bytes = {record, n};
    if (n != 0 && *bytes.p == '{') return otlp_json_decode(a, record, n, why);
    w.a = a;
    w.why = why;
    w.adding = false;
    w.total = 0;
    enum serin_status s = pass(&w, bytes);
    if (s != SERIN_OK) return s;
    w.total = w.at;
    w.adding = true;
    return pass(&w, bytes);
}
