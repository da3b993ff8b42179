/* engine/replay/source/names.c */
#include "engine/replay/source/names.h"

#include "ingest/decode/wire.h"

/* The next text member of that name in JSON, from *at on. Ids and names of metrics need
 * no escapes; the decoder proper reads the record afterwards. */
static bool member(struct strview s, const char *key, size_t *at, struct strview *out)
{
    const char *p, *end = s.p + s.n;
    size_t n = strlen(key);
    while ((p = memmem(s.p + *at, s.n - *at, key, n)) != NULL) {
        *at = (size_t)(p - s.p) + n;
        for (p += n; p < end && (*p == ' ' || *p == ':');)
            p++;
        if (p == end || *p != '"') continue;
        const char *close = memchr(p + 1, '"', (size_t)(end - p) - 1);
        if (close == NULL) return false;
        *out = (struct strview){p + 1, (size_t)(close - p) - 1};
        return true;
    }
    return false;
}

static enum serin_status json(struct strview s, names_use use, void *ctx)
{
    const struct strview none = {NULL, 0};
    struct strview name;
    enum serin_status rc = SERIN_OK;
    for (size_t at = 0; rc == SERIN_OK && member(s, "\"metric\"", &at, &name);)
        rc = use(ctx, none, name);
    for (size_t at = 0; rc == SERIN_OK && member(s, "\"rollout\"", &at, &name);)
        rc = use(ctx, name, none);
    return rc;
}

/* Fields 1 and 5 of a serin.v1.Column. */
static enum serin_status column(struct wire w, names_use use, void *ctx)
{
    struct strview bytes, rollout = {NULL, 0}, metric = {NULL, 0};
    uint64_t tag;
    while (w.p < w.end && wire_varint(&w, &tag)) {
        if ((tag & 7) != WIRE_BYTES) {
            if (!wire_skip(&w, tag & 7)) break;
            continue;
        }
        if (!wire_bytes(&w, &bytes)) break;
        if (tag >> 3 == SERIES_ROLLOUT) rollout = bytes;
        if (tag >> 3 == SERIES_METRIC) metric = bytes;
    }
    enum serin_status rc = SERIN_OK;
    if (metric.n != 0) rc = use(ctx, (struct strview){NULL, 0}, metric);
    if (rc == SERIN_OK && rollout.n != 0)
        rc = use(ctx, rollout, (struct strview){NULL, 0});
    return rc;
}

static enum serin_status batch(struct strview s, names_use use, void *ctx)
{
    struct wire w = wire_of(s);
    struct strview bytes;
    enum serin_status rc = SERIN_OK;
    uint64_t tag;
    while (rc == SERIN_OK && w.p < w.end && wire_varint(&w, &tag)) {
        if (tag != (2 << 3 | WIRE_BYTES)) {
            if (!wire_skip(&w, tag & 7)) break;
        } else if (wire_bytes(&w, &bytes)) {
            rc = column(wire_of(bytes), use, ctx);
        } else {
            break;
        }
    }
    return rc;
}

enum serin_status names_each(enum format f, struct strview record, names_use use,
                             void *ctx)
{
    if (f == FORMAT_AUTO) f = format_guess(record.p, record.n);
    if (f == FORMAT_JSON) return json(record, use, ctx);
    return f == FORMAT_SERIN ? batch(record, use, ctx) : SERIN_OK;
}
