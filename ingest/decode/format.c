/* ingest/decode/format.c -- the formats there are; another one is one line more */
#include "ingest/decode/format.h"

#include "ingest/decode/wire.h"

static const struct {
    const char *name;
    enum serin_status (*decode)(struct aggregate *a, const void *record, size_t n,
                                struct reject *why);
    const char *content_types[2]; /* of records that name theirs; NULL = none */
} formats[FORMAT_COUNT] = {
    [FORMAT_AUTO] = {"auto", NULL, {NULL}},
    [FORMAT_SERIN] = {"serin", serin_decode, {"application/x-serin", NULL}},
    [FORMAT_JSON] = {"json", json_decode, {"application/x-serin-json", NULL}},
    [FORMAT_INFLUX] = {"influx", influx_decode, {NULL}},
    [FORMAT_PROMETHEUS] = {"prometheus_rw", prometheus_decode, {NULL}},
    [FORMAT_OTLP_PROTO] = {"otlp_proto",
                           otlp_proto_decode,
                           {"application/x-otlp-protobuf", NULL}},
    [FORMAT_OTLP_JSON] = {"otlp_json",
                          otlp_json_decode,
                          {"application/x-otlp-json", NULL}},
};

const char *format_name(enum format f)
{
    return f < FORMAT_COUNT ? formats[f].name : "unknown";
}

bool format_parse(const char *name, enum format *out)
{
    for (int f = 0; f < FORMAT_COUNT; f++) {
        if (strcmp(name, formats[f].name) != 0) continue;
        *out = (enum format)f;
        return true;
    }
    return false;
}

enum format format_of_type(struct strview content_type, enum format otherwise)
{
    for (int f = 0; content_type.n != 0 && f < FORMAT_COUNT; f++)
        for (size_t k = 0; k < sizeof formats[f].content_types / sizeof(char *); k++)
            if (formats[f].content_types[k] != NULL &&
                strview_eq(content_type, strview_of(formats[f].content_types[k])))
                return (enum format)f;
    return otherwise;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* OTLP's JSON begins with the one key that there is. */
static bool otlp_json(struct strview s)
{
    static const char *const keys[] = {"\"resourceMetrics\"", "\"resource_metrics\"",
                                       "\"resourceSpans\"", "\"resource_spans\""};
    size_t i = 1;
    while (i < s.n && blank(s.p[i]))
        i++;
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        size_t n = strlen(keys[k]);
        if (s.n - i >= n && memcmp(s.p + i, keys[k], n) == 0) return true;
    }
    return false;
}

/* Lists of lists to their end. As text it would begin with a line break, which JSON
 * may, too. */
static bool otlp_proto(struct strview s)
{
    struct wire outer = wire_of(s);
    struct strview list;
    uint64_t tag;
    while (outer.p < outer.end) {
        if (*outer.p++ != (1 << 3 | WIRE_BYTES) || !wire_bytes(&outer, &list))
            return false;
        struct wire inner = wire_of(list);
        while (inner.p < inner.end) {
            if (!wire_varint(&inner, &tag) || tag >> 3 == 0) return false;
            if (tag >> 3 <= 3 && (tag & 7) != WIRE_BYTES) return false;
            if (!wire_skip(&inner, tag & 7)) return false;
        }
    }
    return s.n != 0;
}

enum format format_guess(const void *record, size_t n)
{
    struct strview s = {record, n};
    if (otlp_proto(s)) return FORMAT_OTLP_PROTO;
    while (s.n != 0 && blank(*s.p))
        s.p++, s.n--;
    if (s.n == 0 || (*s.p != '{' && *s.p != '[')) return FORMAT_SERIN;
    return *s.p == '{' && otlp_json(s) ? FORMAT_OTLP_JSON : FORMAT_JSON;
}

enum serin_status format_decode(enum format f, struct aggregate *a, const void *record,
                                size_t n, struct reject *why)
{
    if (n == 0) return quarantine_refuse(why, QUARANTINE_EMPTY, "no bytes");
    if (f == FORMAT_AUTO) f = format_guess(record, n);
    return formats[f].decode(a, record, n, why);
}
