/* engine/serve/receive_body.c */
#include "engine/serve/receive_body.h"

#include <jansson.h>
#include <snappy-c.h>
#include <string.h>
#include <zlib.h>

#include "engine/base/mem.h"
#include "ingest/decode/wire.h"

enum { FIRST_ROOM = 65536, GZIP_ONLY = 16 + MAX_WBITS };

/* ---------------------------------------------------------------- gzip */

static enum serin_status grow(char **out, size_t *room, size_t limit, struct fault *f)
{
    if (*room > limit)
        return fault_set(f, SERIN_ELIMIT,
                         "the body is over %zu bytes once unzipped; send smaller "
                         "batches, or raise limits.message",
                         limit);
    size_t more = *room == 0 ? FIRST_ROOM : *room * 2;
    if (more > limit) more = limit + 1; /* a byte more: whether the limit is passed */
    char *p = mem_realloc(*out, more + 1, 1);
    if (p == NULL) return fault_set(f, SERIN_ENOMEM, "no memory to unzip the body");
    *out = p;
    *room = more;
    return SERIN_OK;
}

static enum serin_status inflate_all(z_stream *z, size_t limit, char **out, size_t *n,
                                     struct fault *f)
{
    size_t room = 0;
    int rc = Z_OK;
    while (rc == Z_OK) {
        if (*n == room) {
            enum serin_status s = grow(out, &room, limit, f);
            if (s != SERIN_OK) return s;
        }
        z->next_out = (unsigned char *)*out + *n;
        z->avail_out = (unsigned)(room - *n);
        rc = inflate(z, Z_NO_FLUSH);
        *n = room - z->avail_out;
    }
    if (rc != Z_STREAM_END || z->avail_in != 0)
        return fault_set(f, SERIN_EPARSE,
                         "the body is no gzip: %s; expected one gzip stream, as "
                         "Content-Encoding says",
                         rc == Z_STREAM_END ? "bytes behind its end"
                         : z->msg != NULL   ? z->msg
                                            : "cut off");
    if (*n > limit) return grow(out, &room, limit, f);
    return SERIN_OK;
}

enum serin_status receive_body_gunzip(struct strview in, size_t limit, char **out,
                                      size_t *n, struct fault *f)
{
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)in.p,
                  .avail_in = (unsigned)in.n};
    char *text = NULL;
    size_t got = 0;
    if (in.n > UINT32_MAX || limit > UINT32_MAX / 2)
        return fault_set(f, SERIN_ELIMIT, "the body is over 4 GiB");
    if (inflateInit2(&z, GZIP_ONLY) != Z_OK)
        return fault_set(f, SERIN_ENOMEM, "no memory to unzip the body");
    enum serin_status s = inflate_all(&z, limit, &text, &got, f);
    inflateEnd(&z);
    if (s != SERIN_OK) {
        mem_free(text);
        return s;
    }
    text[got] = '\0';
    *out = text;
    *n = got;
    return SERIN_OK;
}

/* ---------------------------------------------------------------- OTLP as protobuf */

/* Fields on the way from a request to a summary's data points. */
static const unsigned way[] = {1, 2, 2, 11, 1};
static const char *const way_names[] = {"the request", "resource_metrics",
                                        "scope_metrics", "a metric", "a summary"};
enum { WAY = sizeof way / sizeof *way };

static bool walk_proto(struct strview bytes, unsigned depth, unsigned deepest,
                       uint64_t *found, struct fault *f)
{
    struct wire w = wire_of(bytes);
    while (w.p < w.end) {
        uint64_t tag = 0;
        struct strview inner;
        bool ours = wire_varint(&w, &tag) && tag == (way[depth] << 3 | WIRE_BYTES);
        bool ok = ours ? wire_bytes(&w, &inner)
                       : tag >> 3 != 0 && wire_skip(&w, (unsigned)(tag & 7));
        if (!ok) {
            fault_set(f, SERIN_EPARSE,
                      "the body is no OTLP export request in protobuf: %s is cut off "
                      "or broken",
                      way_names[depth]);
            return false;
        }
        if (!ours) continue;
        if (depth + 1 == WAY)
            ++*found;
        else if (depth < deepest && !walk_proto(inner, depth + 1, deepest, found, f))
            return false;
    }
    return true;
}

/* ---------------------------------------------------------------- OTLP as JSON */

static enum serin_status not_otlp(struct fault *f, const char *key)
{
    return fault_set(f, SERIN_EPARSE,
                     "the body is no OTLP export request in JSON: \"%s\": expected an "
                     "array of objects",
                     key);
}

/* Every member of the array o[key], one way down; absent is empty. */
static enum serin_status walk_json(const json_t *o, const char *const *keys,
                                   uint64_t *found, struct fault *f)
{
    size_t i;
    json_t *item;
    const json_t *list = json_object_get(o, keys[0]);
    if (list != NULL && !json_is_array(list)) return not_otlp(f, keys[0]);
    json_array_foreach(list, i, item)
    {
        if (!json_is_object(item)) return not_otlp(f, keys[0]);
        if (keys[1] != NULL) {
            enum serin_status s = walk_json(item, keys + 1, found, f);
            if (s != SERIN_OK) return s;
        }
        const json_t *summary = json_object_get(item, "summary");
        *found += json_array_size(json_object_get(summary, "dataPoints"));
    }
    return SERIN_OK;
}

static enum serin_status check_json(struct strview body, bool traces, uint64_t *found,
                                    struct fault *f)
{
    static const char *const metrics[] = {"resourceMetrics", "scopeMetrics", "metrics",
                                          NULL};
    static const char *const spans[] = {"resourceSpans", "scopeSpans", "spans", NULL};
    json_error_t e;
    json_t *o = json_loadb(body.p, body.n, 0, &e);
    if (o == NULL)
        return fault_set(f, SERIN_EPARSE, "the body is no JSON: line %d, column %d: %s",
                         e.line, e.column, e.text);
    enum serin_status s = SERIN_OK;
    if (!json_is_object(o))
        s = fault_set(f, SERIN_EPARSE, "the body: expected an object");
    else
        s = walk_json(o, traces ? spans : metrics, found, f);
    json_decref(o);
    return s;
}

enum serin_status receive_body_otlp(struct strview body, bool json, bool traces,
                                    uint64_t *summaries, struct fault *f)
{
    *summaries = 0;
    if (json) return check_json(body, traces, summaries, f);
    /* Spans have other fields below their scope: not looked at. */
    bool ok = walk_proto(body, 0, traces ? 1 : WAY - 1, summaries, f);
    return ok ? SERIN_OK : SERIN_EPARSE;
}

/* ---------------------------------------------------------------- snappy */

enum serin_status receive_body_snappy(struct strview body, size_t limit,
                                      struct fault *f)
{
    size_t n = 0;
    if (snappy_uncompressed_length(body.p, body.n, &n) != SNAPPY_OK)
        return fault_set(f, SERIN_EPARSE, "the body is no snappy block");
    if (n > limit)
        return fault_set(f, SERIN_ELIMIT,
                         "the body says it is %zu bytes once uncompressed; at most %zu "
                         "are taken (limits.message)",
                         n, limit);
    if (snappy_validate_compressed_buffer(body.p, body.n) != SNAPPY_OK)
        return fault_set(f, SERIN_EPARSE,
                         "the body is no snappy block, or cut off; expected the block "
                         "format, not the framed one");
    return SERIN_OK;
}
