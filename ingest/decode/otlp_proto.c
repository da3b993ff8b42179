/* ingest/decode/otlp_proto.c -- OTLP's export requests, metrics and traces
 *
 * Both are lists of lists: what a resource says (1: the resource, 2: lists), what a
 * scope of it says (1: the scope, 2: metrics or spans). All attributes of a point are
 * one header. The first pass checks everything and finds the series, the second adds
 * and cannot fail. No memory is allocated but for headers not seen before. */
#include "ingest/decode/format.h"
#include "ingest/decode/otlp.h"

enum {
    KEPT = 2048, /* points of a message that are not walked to again */
    FAR = 12,    /* points ahead of the one that is added */
    NEAR = 6,
    /* Attributes of spans beyond these are left out, so that the rest has room. */
    SPAN_MAX_ATTRIBUTES = 80,
    SPAN_MAX_VALUE = 256, /* bytes */
    SPAN_MAX_KEY = SERIES_MAX_KEY / 2,
    LISTS = 1 << 1 | 1 << 2
};

/* One point of the first pass. */
struct found {
    struct aggregate_series *series;
    struct strview bytes;
    struct otlp_stream stream;
};

struct walk {
    struct aggregate *a;
    bool adding;
    size_t at; /* points that count, so far */
    /* Where the walk is, and what that is called; NULL: no room for a name. */
    struct strview resource, scope, metric;
    struct alias *of_resource, *of_scope, *of_metric;
    struct reject *why;
    struct series_key key;
    struct found found[KEPT];
};

/* ---------------------------------------------------------------- headers */

/* Attributes of a message; those of a span as far as they fit. */
static enum serin_status add_attributes(struct walk *w, struct strview bytes,
                                        unsigned field, bool span)
{
    struct wire in = wire_of(bytes);
    struct otlp_attribute at;
    enum serin_status status;
    unsigned n = 0;
    while (otlp_wire_attribute(&in, field, &at, &status, w->why)) {
        size_t size = at.key.n + at.value.n;
        if (!at.usable ||
            (span && (at.value.n > SPAN_MAX_VALUE || w->key.n + size > SPAN_MAX_KEY ||
                      n++ >= SPAN_MAX_ATTRIBUTES)))
            continue;
        series_key_attribute(&w->key, at.key, at.value);
    }
    return status;
}

/* What a scope adds: its name, its version, attributes. */
static enum serin_status add_scope(struct walk *w)
{
    struct wire in = wire_of(w->scope);
    struct strview text;
    enum serin_status s = SERIN_OK;
    unsigned field;
    while (otlp_wire_next(&in, 1 << 1 | 1 << 2, &field, &text, "a scope", &s, w->why)) {
        const char *key = field == 1 ? "otel.scope.name" : "otel.scope.version";
        if (text.n != 0) series_key_attribute(&w->key, strview_of(key), text);
    }
    return s == SERIN_OK ? add_attributes(w, w->scope, 3, false) : s;
}

/* All that a point says of itself is one header. The point's own attributes come first:
 * they are the ones that count when a resource has the same. */
static enum serin_status build_key(struct walk *w, enum otlp_kind kind,
                                   const struct otlp_point *p)
{
    static const char *const codes[] = {"UNSET", "OK", "ERROR"};
    struct series_key *k = &w->key;
    bool span = kind == OTLP_SPAN;
    series_key_start(k);
    if (span) {
        const char *code = codes[p->status <= OTLP_ERROR ? p->status : 0];
        series_key_attribute(k, strview_of("span.name"), p->name);
        series_key_attribute(k, strview_of("otel.status_code"), strview_of(code));
    }
    enum serin_status s =
        add_attributes(w, p->attributes, otlp_wire_attributes_of(kind), span);
    if (s == SERIN_OK) s = add_scope(w);
    if (s == SERIN_OK) s = add_attributes(w, w->resource, 1, false);
    series_key_text(k, SERIES_METRIC, w->metric);
    if (s == SERIN_OK && k->full)
        s = quarantine_refuse(w->why, QUARANTINE_LIMIT, "attributes over %d bytes",
                              SERIES_MAX_KEY);
    return s;
}

static enum serin_status find_series(struct walk *w, enum otlp_kind kind,
                                     const struct otlp_point *p,
                                     struct aggregate_series **out)
{
    struct alias *name = NULL;
    if (w->of_metric != NULL && !p->scattered)
        name = alias_of(aggregate_aliases(w->a), alias_parent(w->of_metric),
                        p->attributes);
    if (name != NULL && name->series != NULL) {
        *out = name->series;
        return SERIN_OK;
    }
    enum serin_status s = build_key(w, kind, p);
    struct strview key = {(const char *)w->key.bytes, w->key.n};
    if (s == SERIN_OK) s = aggregate_series(w->a, key, out, w->why);
    if (s == SERIN_OK && name != NULL) name->series = *out;
    return s;
}

static struct alias *name_below(struct walk *w, const struct alias *parent,
                                struct strview bytes)
{
    if (parent == NULL) return NULL;
    return alias_of(aggregate_aliases(w->a), alias_parent(parent), bytes);
}

/* ---------------------------------------------------------------- points */

/* What is read of a point once its series is known. */
static struct strview without_attributes(struct strview bytes,
                                         const struct otlp_point *p)
{
    if (p->attributes.n == 0 || p->scattered) return bytes;
    if (p->attributes.p == bytes.p)
        bytes.p += p->attributes.n;
    else if (p->attributes.p + p->attributes.n != bytes.p + bytes.n)
        return bytes;
    bytes.n -= p->attributes.n;
    return bytes;
}

static enum serin_status take_point(struct walk *w, const struct otlp_stream *stream,
                                    struct strview bytes)
{
    struct otlp_point p;
    struct aggregate_series *series = NULL;
    enum serin_status s = otlp_wire_point(stream->kind, bytes, &p, w->why);
    if (s != SERIN_OK || !otlp_counts(stream, &p)) return s;
    s = find_series(w, stream->kind, &p, &series);
    if (s != SERIN_OK) return s;
    if (w->adding)
        otlp_add(w->a, series, stream, &p);
    else if (w->at < KEPT)
        w->found[w->at] =
            (struct found){series, without_attributes(bytes, &p), *stream};
    w->at++;
    return SERIN_OK;
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
    static const int8_t kinds[] = {[5] = OTLP_GAUGE,
                                   [7] = OTLP_SUM,
                                   [9] = OTLP_HISTOGRAM,
                                   [10] = OTLP_EXPONENTIAL,
                                   [11] = OTLP_SUMMARY};
    const uint64_t wanted = 1 << 1 | 1 << 5 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 11;
    struct wire in = wire_of(bytes);
    struct strview found, data = {NULL, 0};
    enum serin_status s = SERIN_OK;
    unsigned field, kind = 0;
    w->metric = data;
    while (otlp_wire_next(&in, wanted, &field, &found, "a metric", &s, w->why)) {
        if (field == 1)
            w->metric = found;
        else
            data = found, kind = field;
    }
    if (s != SERIN_OK || kind == 0) return s;
    w->of_metric = name_below(w, w->of_scope, w->metric);
    return take_points(w, (enum otlp_kind)kinds[kind], data);
}

/* Many spans have attributes that none had before: their names are not kept. */
static enum serin_status take_span(struct walk *w, struct strview bytes)
{
    static const struct otlp_stream stream = {.kind = OTLP_SPAN};
    w->metric = strview_of(OTLP_SPAN_METRIC);
    w->of_metric = NULL;
    return take_point(w, &stream, bytes);
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

/* The resource or the scope of a list; without one it is empty. */
static enum serin_status owner_of(struct walk *w, struct strview list, const char *what,
                                  struct strview *out)
{
    struct wire in = wire_of(list);
    struct strview bytes;
    enum serin_status s = SERIN_OK;
    unsigned field;
    *out = strview_of("");
    while (otlp_wire_next(&in, LISTS, &field, &bytes, what, &s, w->why))
        if (field == 1) *out = bytes;
    return s;
}

static enum serin_status take_scope(struct walk *w, struct strview bytes)
{
    struct wire in = wire_of(bytes);
    struct strview item;
    unsigned field;
    enum serin_status s = owner_of(w, bytes, "a scope's list", &w->scope);
    if (s != SERIN_OK) return s;
    w->of_scope = name_below(w, w->of_resource, w->scope);
    series_key_start(&w->key);
    if (w->of_scope == NULL || !w->of_scope->checked) s = add_scope(w);
    if (s == SERIN_OK && w->of_scope != NULL) w->of_scope->checked = true;
    while (s == SERIN_OK &&
           otlp_wire_next(&in, LISTS, &field, &item, "a scope's list", &s, w->why))
        if (field == 2) s = is_span(item) ? take_span(w, item) : take_metric(w, item);
    return s;
}

static enum serin_status take_resource(struct walk *w, struct strview bytes)
{
    struct wire in = wire_of(bytes);
    struct strview list;
    unsigned field;
    enum serin_status s = owner_of(w, bytes, "a resource's list", &w->resource);
    if (s != SERIN_OK) return s;
    w->of_resource =
        alias_of(aggregate_aliases(w->a), aggregate_input_now(w->a)->id, w->resource);
    series_key_start(&w->key);
    if (w->of_resource == NULL || !w->of_resource->checked)
        s = add_attributes(w, w->resource, 1, false);
    if (s == SERIN_OK && w->of_resource != NULL) w->of_resource->checked = true;
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

/* With many series each point waits for memory several times: ask for it ahead. */
static void add_found(struct walk *w)
{
    for (size_t i = 0; i < w->at; i++) {
        const struct found *f = &w->found[i];
        if (i + FAR < w->at) otlp_ahead_far(f[FAR].series);
        if (i + NEAR < w->at) otlp_ahead_near(w->a, f[NEAR].series, &f[NEAR].stream);
        struct otlp_point p;
        if (otlp_wire_point(f->stream.kind, f->bytes, &p, w->why) == SERIN_OK)
            otlp_add(w->a, f->series, &f->stream, &p);
    }
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
    enum serin_status s = pass(&w, bytes);
    if (s != SERIN_OK) return s;
    if (w.at <= KEPT) {
        add_found(&w);
        return SERIN_OK;
    }
    w.adding = true; /* all of it once more: the series are known by now */
    return pass(&w, bytes);
}
