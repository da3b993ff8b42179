/* ingest/decode/otlp_json.c -- OTLP's JSON, written as the protobuf it stands for
 *
 * One table says what becomes of which key, so that both encodings mean the same by
 * being read by the same code. Keys are camelCase or snake_case; 64-bit numbers may be
 * texts, enums names. What the table does not list is ignored, as OTLP asks for: ids,
 * exemplars, events, links. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "ingest/decode/format.h"
#include "ingest/decode/wire.h"

enum message {
    REQUEST,
    RESOURCE_METRICS,
    SCOPE_METRICS,
    RESOURCE_SPANS,
    SCOPE_SPANS,
    RESOURCE,
    SCOPE,
    METRIC,
    GAUGE,
    SUM,
    HISTOGRAM,
    EXPONENTIAL,
    SUMMARY,
    NUMBER_POINT,
    HISTOGRAM_POINT,
    EXPONENTIAL_POINT,
    SUMMARY_POINT,
    BUCKETS,
    SPAN,
    STATUS,
    KEY_VALUE,
    ANY_VALUE
};

enum type {
    MESSAGE,
    LIST,
    TEXT,
    BOOL,
    ENUM,
    VARINT,
    ZIGZAG,
    FIXED,
    DOUBLE,
    PACKED = 16
};

struct field {
    enum message of;
    const char *key;
    unsigned number;
    int type; /* enum type, | PACKED */
    enum message message;
};

/* clang-format off */
static const struct field fields[] = {
    {REQUEST, "resourceMetrics", 1, LIST, RESOURCE_METRICS},
    {REQUEST, "resourceSpans", 1, LIST, RESOURCE_SPANS},
    {RESOURCE_METRICS, "resource", 1, MESSAGE, RESOURCE},
    {RESOURCE_METRICS, "scopeMetrics", 2, LIST, SCOPE_METRICS},
    {RESOURCE_SPANS, "resource", 1, MESSAGE, RESOURCE},
    {RESOURCE_SPANS, "scopeSpans", 2, LIST, SCOPE_SPANS},
    {SCOPE_METRICS, "scope", 1, MESSAGE, SCOPE},
    {SCOPE_METRICS, "metrics", 2, LIST, METRIC},
    {SCOPE_SPANS, "scope", 1, MESSAGE, SCOPE},
    {SCOPE_SPANS, "spans", 2, LIST, SPAN},
    {RESOURCE, "attributes", 1, LIST, KEY_VALUE},
    {SCOPE, "name", 1, TEXT, 0},
    {SCOPE, "version", 2, TEXT, 0},
    {SCOPE, "attributes", 3, LIST, KEY_VALUE},
    {METRIC, "name", 1, TEXT, 0},
    {METRIC, "gauge", 5, MESSAGE, GAUGE},
    {METRIC, "sum", 7, MESSAGE, SUM},
    {METRIC, "histogram", 9, MESSAGE, HISTOGRAM},
    {METRIC, "exponentialHistogram", 10, MESSAGE, EXPONENTIAL},
    {METRIC, "summary", 11, MESSAGE, SUMMARY},
    {GAUGE, "dataPoints", 1, LIST, NUMBER_POINT},
    {SUM, "dataPoints", 1, LIST, NUMBER_POINT},
    {SUM, "aggregationTemporality", 2, ENUM, 0},
    {SUM, "isMonotonic", 3, BOOL, 0},
    {HISTOGRAM, "dataPoints", 1, LIST, HISTOGRAM_POINT},
    {HISTOGRAM, "aggregationTemporality", 2, ENUM, 0},
    {EXPONENTIAL, "dataPoints", 1, LIST, EXPONENTIAL_POINT},
    {EXPONENTIAL, "aggregationTemporality", 2, ENUM, 0},
    {SUMMARY, "dataPoints", 1, LIST, SUMMARY_POINT},
    {NUMBER_POINT, "startTimeUnixNano", 2, FIXED, 0},
    {NUMBER_POINT, "timeUnixNano", 3, FIXED, 0},
    {NUMBER_POINT, "asDouble", 4, DOUBLE, 0},
    {NUMBER_POINT, "asInt", 6, FIXED, 0},
    {NUMBER_POINT, "attributes", 7, LIST, KEY_VALUE},
    {NUMBER_POINT, "flags", 8, VARINT, 0},
    {HISTOGRAM_POINT, "startTimeUnixNano", 2, FIXED, 0},
    {HISTOGRAM_POINT, "timeUnixNano", 3, FIXED, 0},
    {HISTOGRAM_POINT, "count", 4, FIXED, 0},
    {HISTOGRAM_POINT, "bucketCounts", 6, FIXED | PACKED, 0},
    {HISTOGRAM_POINT, "explicitBounds", 7, DOUBLE | PACKED, 0},
    {HISTOGRAM_POINT, "attributes", 9, LIST, KEY_VALUE},
    {HISTOGRAM_POINT, "flags", 10, VARINT, 0},
    {EXPONENTIAL_POINT, "attributes", 1, LIST, KEY_VALUE},
    {EXPONENTIAL_POINT, "startTimeUnixNano", 2, FIXED, 0},
    {EXPONENTIAL_POINT, "timeUnixNano", 3, FIXED, 0},
    {EXPONENTIAL_POINT, "count", 4, FIXED, 0},
    {EXPONENTIAL_POINT, "scale", 6, ZIGZAG, 0},
    {EXPONENTIAL_POINT, "zeroCount", 7, FIXED, 0},
    {EXPONENTIAL_POINT, "positive", 8, MESSAGE, BUCKETS},
    {EXPONENTIAL_POINT, "negative", 9, MESSAGE, BUCKETS},
    {EXPONENTIAL_POINT, "flags", 10, VARINT, 0},
    {BUCKETS, "offset", 1, ZIGZAG, 0},
    {BUCKETS, "bucketCounts", 2, VARINT | PACKED, 0},
    {SUMMARY_POINT, "startTimeUnixNano", 2, FIXED, 0},
    {SUMMARY_POINT, "timeUnixNano", 3, FIXED, 0},
    {SUMMARY_POINT, "attributes", 7, LIST, KEY_VALUE},
    {SUMMARY_POINT, "flags", 8, VARINT, 0},
    {SPAN, "name", 5, TEXT, 0},
    {SPAN, "kind", 6, ENUM, 0},
    {SPAN, "startTimeUnixNano", 7, FIXED, 0},
    {SPAN, "endTimeUnixNano", 8, FIXED, 0},
    {SPAN, "attributes", 9, LIST, KEY_VALUE},
    {SPAN, "status", 15, MESSAGE, STATUS},
    {STATUS, "code", 3, ENUM, 0},
    {KEY_VALUE, "key", 1, TEXT, 0},
    {KEY_VALUE, "value", 2, MESSAGE, ANY_VALUE},
    {ANY_VALUE, "stringValue", 1, TEXT, 0},
    {ANY_VALUE, "boolValue", 2, BOOL, 0},
    {ANY_VALUE, "intValue", 3, VARINT, 0},
    {ANY_VALUE, "doubleValue", 4, DOUBLE, 0},
};

static const struct { const char *name; uint64_t value; } enums[] = {
    {"AGGREGATION_TEMPORALITY_UNSPECIFIED", 0}, {"AGGREGATION_TEMPORALITY_DELTA", 1},
    {"AGGREGATION_TEMPORALITY_CUMULATIVE", 2}, {"SPAN_KIND_UNSPECIFIED", 0},
    {"SPAN_KIND_INTERNAL", 1}, {"SPAN_KIND_SERVER", 2}, {"SPAN_KIND_CLIENT", 3},
    {"SPAN_KIND_PRODUCER", 4}, {"SPAN_KIND_CONSUMER", 5}, {"STATUS_CODE_UNSET", 0},
    {"STATUS_CODE_OK", 1}, {"STATUS_CODE_ERROR", 2}};
/* clang-format on */

/* ---------------------------------------------------------------- bytes */

struct out {
    uint8_t *p;
    size_t n, room;
    struct reject *why;
};

static enum serin_status reserve(struct out *o, size_t n)
{
    if (n <= o->room - o->n) return SERIN_OK;
    size_t room = 2 * (o->n + n) + 1024;
    uint8_t *p = mem_realloc(o->p, room, 1);
    if (p == NULL) return quarantine_refuse(o->why, QUARANTINE_LIMIT, "no memory");
    o->p = p;
    o->room = room;
    return SERIN_OK;
}

enum { VARINT_ROOM = 10, LENGTH = 5 }; /* a length is written once it is known */

static void put_varint(struct out *o, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        o->p[o->n++] = (uint8_t)(v | 0x80);
    o->p[o->n++] = (uint8_t)v;
}

static enum serin_status open_length(struct out *o, unsigned number, size_t *at)
{
    enum serin_status s = reserve(o, 1 + LENGTH);
    if (s != SERIN_OK) return s;
    put_varint(o, number << 3 | WIRE_BYTES);
    o->n += LENGTH;
    *at = o->n;
    return SERIN_OK;
}

static void close_length(struct out *o, size_t at)
{
    uint64_t v = o->n - at;
    for (size_t i = 0; i < LENGTH; i++, v >>= 7)
        o->p[at - LENGTH + i] = (uint8_t)((v & 0x7f) | (i + 1 < LENGTH ? 0x80 : 0));
}

/* ---------------------------------------------------------------- values */

static enum serin_status wrong(struct out *o, const struct field *f,
                               const char *expected)
{
    return quarantine_refuse(o->why, QUARANTINE_TYPE, "\"%s\": expected %s", f->key,
                             expected);
}

/* A whole number of 64 bits, signed or not: as a number or in a text. */
static bool whole(const json_t *j, uint64_t *out)
{
    if (json_is_integer(j)) {
        *out = (uint64_t)json_integer_value(j);
        return true;
    }
    if (json_is_real(j)) {
        double v = json_real_value(j);
        if (!(fabs(v) < 0x1p63) || v != floor(v)) return false;
        *out = (uint64_t)(int64_t)v;
        return true;
    }
    const char *text = json_string_value(j);
    if (text == NULL) return false;
    bool minus = *text == '-';
    char *end;
    if (text[minus] < '0' || text[minus] > '9') return false;
    errno = 0;
    *out = minus ? (uint64_t)strtoll(text, &end, 10) : strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && end == text + json_string_length(j);
}

static bool real(const json_t *j, double *out)
{
    const char *text = json_string_value(j);
    if (json_is_number(j)) {
        *out = json_number_value(j);
        return true;
    }
    if (text == NULL) return false;
    *out = strcmp(text, "NaN") == 0         ? (double)NAN
           : strcmp(text, "Infinity") == 0  ? (double)INFINITY
           : strcmp(text, "-Infinity") == 0 ? -(double)INFINITY
                                            : 0;
    return *out != 0;
}

static bool enum_of(const json_t *j, uint64_t *out)
{
    const char *text = json_string_value(j);
    if (text == NULL) return json_is_integer(j) && whole(j, out);
    for (size_t i = 0; i < sizeof enums / sizeof *enums; i++) {
        if (strcmp(text, enums[i].name) != 0) continue;
        *out = enums[i].value;
        return true;
    }
    return false;
}

static enum serin_status number(struct out *o, const struct field *f, const json_t *j)
{
    uint64_t v = 0;
    double d;
    int type = f->type & ~PACKED;
    enum serin_status s = reserve(o, 1 + VARINT_ROOM);
    if (s != SERIN_OK) return s;
    if (type == DOUBLE) {
        if (!real(j, &d)) return wrong(o, f, "a number");
        memcpy(&v, &d, sizeof v);
    } else if (type == BOOL) {
        if (!json_is_boolean(j)) return wrong(o, f, "true or false");
        v = json_is_true(j);
    } else if (type == ENUM) {
        if (!enum_of(j, &v)) return wrong(o, f, "a number, or a name that OTLP has");
    } else if (!whole(j, &v)) {
        return wrong(o, f, "a whole number of 64 bits");
    }
    bool fixed = type == DOUBLE || type == FIXED;
    if (type == ZIGZAG) v = v << 1 ^ (uint64_t)((int64_t)v >> 63);
    if ((f->type & PACKED) == 0)
        put_varint(o, f->number << 3 | (fixed ? WIRE_FIXED64 : WIRE_VARINT));
    if (fixed) {
        memcpy(o->p + o->n, &v, sizeof v);
        o->n += sizeof v;
    } else {
        put_varint(o, v);
    }
    return SERIN_OK;
}

static enum serin_status packed(struct out *o, const struct field *f, const json_t *j)
{
    size_t i, at = 0;
    json_t *v;
    if (!json_is_array(j)) return wrong(o, f, "a list");
    enum serin_status s = open_length(o, f->number, &at);
    json_array_foreach(j, i, v)
    {
        if (s == SERIN_OK) s = number(o, f, v);
    }
    if (s == SERIN_OK) close_length(o, at);
    return s;
}

static enum serin_status text(struct out *o, const struct field *f, const json_t *j)
{
    size_t n = json_string_length(j), at;
    if (!json_is_string(j)) return wrong(o, f, "a text");
    enum serin_status s = open_length(o, f->number, &at);
    if (s == SERIN_OK) s = reserve(o, n);
    if (s != SERIN_OK) return s;
    if (n != 0) memcpy(o->p + o->n, json_string_value(j), n);
    o->n += n;
    close_length(o, at);
    return SERIN_OK;
}

/* ---------------------------------------------------------------- messages */

static enum serin_status message(struct out *o, enum message m, const json_t *j);

static enum serin_status submessage(struct out *o, const struct field *f,
                                    const json_t *j)
{
    size_t at;
    if (!json_is_object(j)) return wrong(o, f, "an object");
    enum serin_status s = open_length(o, f->number, &at);
    if (s == SERIN_OK) s = message(o, f->message, j);
    if (s == SERIN_OK) close_length(o, at);
    return s;
}

static enum serin_status list(struct out *o, const struct field *f, const json_t *j)
{
    size_t i;
    json_t *v;
    enum serin_status s = SERIN_OK;
    if (!json_is_array(j)) return wrong(o, f, "a list");
    json_array_foreach(j, i, v)
    {
        if (s == SERIN_OK) s = submessage(o, f, v);
    }
    return s;
}

/* The value of a key, or of its form in snake_case. */
static const json_t *get(const json_t *object, const char *key)
{
    char snake[48];
    size_t n = 0;
    const json_t *j = json_object_get(object, key);
    for (const char *p = key; j == NULL && *p != '\0' && n + 2 < sizeof snake; p++) {
        bool upper = *p >= 'A' && *p <= 'Z';
        if (upper) snake[n++] = '_';
        snake[n++] = (char)(upper ? *p - 'A' + 'a' : *p);
    }
    snake[n] = '\0';
    return j != NULL ? j : json_object_get(object, snake);
}

/* Depth: that of the table, which has no circle. */
static enum serin_status message(struct out *o, enum message m, const json_t *j)
{
    enum serin_status s = SERIN_OK;
    for (size_t i = 0; s == SERIN_OK && i < sizeof fields / sizeof *fields; i++) {
        const struct field *f = &fields[i];
        const json_t *v = f->of == m ? get(j, f->key) : NULL;
        if (v == NULL || json_is_null(v)) continue;
        if (f->type == MESSAGE)
            s = submessage(o, f, v);
        else if (f->type == LIST)
            s = list(o, f, v);
        else if (f->type == TEXT)
            s = text(o, f, v);
        else
            s = (f->type & PACKED) != 0 ? packed(o, f, v) : number(o, f, v);
    }
    return s;
}

/* ---------------------------------------------------------------- the record */

/* Requests one after the other, blanks between them: as one. */
static enum serin_status requests(struct out *o, const char *p, size_t n)
{
    size_t at = 0;
    while (true) {
        json_error_t e;
        while (at < n &&
               (p[at] == ' ' || p[at] == '\t' || p[at] == '\r' || p[at] == '\n'))
            at++;
        if (at == n) return SERIN_OK;
        json_t *j = json_loadb(p + at, n - at, JSON_DISABLE_EOF_CHECK, &e);
        if (j == NULL)
            return quarantine_refuse(o->why, QUARANTINE_SYNTAX, "byte %zu: %s",
                                     at + (size_t)e.position, e.text);
        at += (size_t)e.position;
        enum serin_status s = SERIN_OK;
        if (!json_is_object(j))
            s = quarantine_refuse(o->why, QUARANTINE_TYPE,
                                  "an export request: expected an object");
        if (s == SERIN_OK) s = message(o, REQUEST, j);
        json_decref(j);
        if (s != SERIN_OK) return s;
    }
}

enum serin_status otlp_json_decode(struct aggregate *a, const void *record, size_t n,
                                   struct reject *why)
{
    struct out o = {.why = why};
    enum serin_status s = reserve(&o, n);
    if (s == SERIN_OK) s = requests(&o, record, n);
    if (s == SERIN_OK) s = otlp_proto_decode(a, o.p, o.n, why);
    mem_free(o.p);
    return s;
}
