/* ingest/decode/format.c */
#include "ingest/decode/format.h"

bool format_parse(const char *name, enum format *out)
{
    static const char *const names[FORMAT_COUNT] = {"auto", "serin", "json"};
    for (int f = 0; f < FORMAT_COUNT; f++) {
        if (strcmp(name, names[f]) != 0) continue;
        *out = (enum format)f;
        return true;
    }
    return false;
}

static enum format guess(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && strchr(" \t\r\n", p[i]) != NULL && p[i] != '\0')
        i++;
    return i < n && (p[i] == '{' || p[i] == '[') ? FORMAT_JSON : FORMAT_SERIN;
}

enum serin_status format_decode(enum format f, struct aggregate *a, const void *record,
                                size_t n, struct reject *why)
{
    if (n == 0) return quarantine_refuse(why, QUARANTINE_EMPTY, "no bytes");
    if (f == FORMAT_AUTO) f = guess(record, n);
    return f == FORMAT_JSON ? json_decode(a, record, n, why)
                            : serin_decode(a, record, n, why);
}
