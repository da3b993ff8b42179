/* ingest/decode/format.c -- the formats there are; another one is one line more */
#include "ingest/decode/format.h"

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

enum format format_guess(const void *record, size_t n)
{
    const char *p = record;
    size_t i = 0;
    while (i < n && strchr(" \t\r\n", p[i]) != NULL && p[i] != '\0')
        i++;
    return i < n && (p[i] == '{' || p[i] == '[') ? FORMAT_JSON : FORMAT_SERIN;
}

enum serin_status format_decode(enum format f, struct aggregate *a, const void *record,
                                size_t n, struct reject *why)
{
    if (n == 0) return quarantine_refuse(why, QUARANTINE_EMPTY, "no bytes");
    if (f == FORMAT_AUTO) f = format_guess(record, n);
    return formats[f].decode(a, record, n, why);
}
