/* engine/serve/receive.c */
#include "engine/serve/receive.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/serve/receive_body.h"
#include "engine/serve/receive_queue.h"

enum {
    MAX_BODY = 4 << 20,
    BUDGET = 64 << 20,
    RETRY_S = 1, /* a full queue empties within a flush */
    AWAY_S = 5   /* brokers take longer to come back */
};

enum sink { SINK_METRICS, SINK_TRACES, SINK_PROMETHEUS, SINKS };
static const struct {
    const char *path, *key; /* key: in serin.yaml */
} sinks[SINKS] = {
    [SINK_METRICS] = {"/v1/metrics", "receive.otlp_metrics"},
    [SINK_TRACES] = {"/v1/traces", "receive.otlp_traces"},
    [SINK_PROMETHEUS] = {"/api/v1/write", "receive.prometheus"},
};

struct receive {
    char *topics[SINKS]; /* NULL: not configured */
    size_t max_body, budget;
    struct receive_queue *queue;
    atomic_size_t taken; /* bytes of bodies on their way */
    atomic_uint_least64_t refused;
};

static enum sink sink_of(const char *path)
{
    for (int i = 0; i < SINKS; i++)
        if (strcmp(sinks[i].path, path) == 0) return (enum sink)i;
    return SINKS;
}

/* ---------------------------------------------------------------- open and close */

enum serin_status receive_open(struct receive **out, struct bus *b,
                               const struct serve_receive *o, struct fault *f)
{
    const char *const topics[SINKS] = {o->otlp_metrics, o->otlp_traces, o->prometheus};
    bool any = false, ok = true;
    for (int i = 0; i < SINKS; i++)
        any |= topics[i] != NULL;
    if (!any || b == NULL) return SERIN_OK;
    struct receive *r = mem_calloc(1, sizeof *r);
    if (r == NULL) return fault_set(f, SERIN_ENOMEM, "no memory for the receivers");
    r->max_body = o->max_body != 0 ? o->max_body : (size_t)MAX_BODY;
    r->budget = o->budget != 0 ? o->budget : (size_t)BUDGET;
    for (int i = 0; i < SINKS; i++) {
        if (topics[i] != NULL) r->topics[i] = mem_strdup(topics[i]);
        ok &= (topics[i] == NULL) == (r->topics[i] == NULL);
    }
    enum serin_status s =
        ok ? receive_queue_open(&r->queue, b, f)
           : fault_set(f, SERIN_ENOMEM, "no memory for the receivers");
    if (s == SERIN_OK)
        *out = r;
    else
        receive_close(r);
    return s;
}

void receive_close(struct receive *r)
{
    if (r == NULL) return;
    receive_queue_close(r->queue);
    for (int i = 0; i < SINKS; i++)
        mem_free(r->topics[i]);
    mem_free(r);
}

/* ---------------------------------------------------------------- refusing */

static bool is_json(const char *type)
{
    return api_type_is(type, "application/json");
}

/* google.rpc.Status codes, for what OTLP answers by an HTTP status. */
static int rpc_code(unsigned status)
{
    switch (status) {
    case 413:
    case 429:
        return 8; /* RESOURCE_EXHAUSTED */
    case 503:
        return 14; /* UNAVAILABLE */
    case 404:
        return 12; /* UNIMPLEMENTED */
    default:
        return 3; /* INVALID_ARGUMENT */
    }
}

/* Append a field's tag and length; bodies here are below 16 KiB. */
static size_t put_bytes(char *at, unsigned field, const char *text, size_t n)
{
    size_t k = 0;
    at[k++] = (char)(field << 3 | 2);
    if (n >= 128) at[k++] = (char)(n | 128);
    at[k++] = (char)(n >= 128 ? n >> 7 : n);
    memcpy(at + k, text, n);
    return k + n;
}

/* google.rpc.Status {code = 1, message = 2}, in the sender's own encoding. */
static void otlp_error(struct reply *r, unsigned status, const char *type,
                       const char *text)
{
    char body[1024] = {1 << 3, (char)rpc_code(status)};
    if (type == NULL || is_json(type)) {
        api_json(r, status,
                 json_pack("{s:i, s:s}", "code", rpc_code(status), "message", text));
        return;
    }
    size_t n = 2 + put_bytes(body + 2, 2, text, strlen(text));
    api_text(r, status, "application/x-protobuf", body, n);
}

static void refuse(struct reply *r, unsigned status, enum sink sink, const char *type,
                   const char *fmt, ...) SERIN_PRINTF(5, 6);

static void refuse(struct reply *r, unsigned status, enum sink sink, const char *type,
                   const char *fmt, ...)
{
    char text[640];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (sink == SINK_PROMETHEUS)
        api_error(r, status, "%s", text);
    else
        otlp_error(r, status, type, text);
    if (status == 429) r->retry_s = RETRY_S;
    if (status == 503) r->retry_s = AWAY_S;
}

static const char *topic_for(const struct receive *r, enum sink sink, const char *type,
                             struct reply *reply)
{
    const char *topic = r != NULL ? r->topics[sink] : NULL;
    if (topic == NULL)
        refuse(reply, 404, sink, type,
               "nothing is received at %s: name the topic for it, %s in serin.yaml",
               sinks[sink].path, sinks[sink].key);
    return topic;
}

/* ---------------------------------------------------------------- room */

size_t receive_max_body(const struct receive *r)
{
    return r != NULL ? r->max_body : 0;
}

void receive_too_large(const struct receive *r, const char *path, const char *type,
                       struct reply *reply)
{
    refuse(reply, 413, sink_of(path), type,
           "the body is too large: at most %zu bytes are taken, unzipped too "
           "(limits.message); send smaller batches",
           receive_max_body(r));
}

static bool take(struct receive *r, size_t n)
{
    size_t had = atomic_fetch_add(&r->taken, n);
    if (n <= r->budget && had <= r->budget - n) return true;
    atomic_fetch_sub(&r->taken, n);
    atomic_fetch_add(&r->refused, 1);
    return false;
}

static void no_room(const struct receive *r, enum sink sink, const char *type,
                    struct reply *reply)
{
    refuse(reply, 429, sink, type,
           "%zu bytes are on their way to Kafka and %zu may be (receive.queue); try "
           "again",
           (size_t)atomic_load(&r->taken), r->budget);
}

bool receive_admit(struct receive *r, const char *path, const char *length,
                   const char *type, size_t *taken, struct reply *reply)
{
    enum sink sink = sink_of(path);
    *taken = 0;
    if (topic_for(r, sink, type, reply) == NULL) return false;
    size_t n = length != NULL ? strtoull(length, NULL, 10) : r->max_body;
    if (n > r->max_body) {
        receive_too_large(r, path, type, reply);
        return false;
    }
    if (!take(r, n)) {
        no_room(r, sink, type, reply);
        return false;
    }
    *taken = n;
    return true;
}

void receive_done(struct receive *r, size_t taken)
{
    if (taken != 0) atomic_fetch_sub(&r->taken, taken);
}

/* ---------------------------------------------------------------- writing */

/* True once all replicas have it, else the refusal is in *reply. */
static bool write_out(struct receive *r, enum sink sink, const struct request *q,
                      struct strview body, struct reply *reply)
{
    struct fault f = {0};
    /* Protobuf and JSON share a topic: the record says which it is. */
    const char *type = sink == SINK_PROMETHEUS ? NULL
                       : is_json(q->type)      ? "application/x-otlp-json"
                                               : "application/x-otlp-protobuf";
    const struct receive_record record = {.topic = r->topics[sink],
                                          .type = type,
                                          .key = strview_of(q->from),
                                          .value = body.p,
                                          .n = body.n};
    enum serin_status s = receive_queue_write(r->queue, &record, &f);
    if (s == SERIN_ELIMIT)
        refuse(reply, 413, sink, q->type, "%s", f.text);
    else if (s != SERIN_OK)
        refuse(reply, 503, sink, q->type, "not acknowledged by the brokers: %s",
               f.text);
    return s == SERIN_OK;
}

/* ---------------------------------------------------------------- OTLP */

/* ExportMetricsServiceResponse; nothing lost is an empty message. */
static void otlp_accepted(struct reply *r, bool json, uint64_t summaries)
{
    static const char why[] = "data points of kind summary cannot be compared; export "
                              "histograms instead";
    if (json && summaries == 0) {
        api_json(r, 200, json_object());
    } else if (json) {
        char n[24]; /* 64-bit numbers are strings in protobuf's JSON */
        snprintf(n, sizeof n, "%llu", (unsigned long long)summaries);
        api_json(r, 200,
                 json_pack("{s:{s:s, s:s}}", "partialSuccess", "rejectedDataPoints", n,
                           "errorMessage", why));
    } else {
        char inner[256] = {1 << 3}, body[300];
        size_t n = 1, k = 0;
        uint64_t v = summaries;
        for (; v >= 128; v >>= 7)
            inner[n++] = (char)(v | 128);
        inner[n++] = (char)v;
        n += put_bytes(inner + n, 2, why, sizeof why - 1);
        if (summaries != 0) k = put_bytes(body, 1, inner, n);
        api_text(r, 200, "application/x-protobuf", body, k);
    }
}

static struct strview from_brace(struct strview s)
{
    while (s.n != 0 && strchr(" \t\r\n", *s.p) != NULL && *s.p != '\0') {
        s.p++;
        s.n--;
    }
    return s;
}

static void otlp_body(struct receive *r, enum sink sink, const struct request *q,
                      struct strview body, struct reply *reply)
{
    struct fault f = {0};
    uint64_t summaries = 0;
    bool json = is_json(q->type);
    if (json) body = from_brace(body); /* a first byte that no protobuf has */
    enum serin_status s =
        receive_body_otlp(body, json, sink == SINK_TRACES, &summaries, &f);
    if (s == SERIN_EPARSE)
        refuse(reply, 400, sink, q->type, "%s", f.text);
    else if (s != SERIN_OK)
        refuse(reply, 503, sink, q->type, "%s", status_text(s));
    else if (body.n == 0 || write_out(r, sink, q, body, reply))
        otlp_accepted(reply, json, summaries);
}

static void otlp_gzip(struct receive *r, enum sink sink, const struct request *q,
                      struct reply *reply)
{
    struct fault f = {0};
    char *text = NULL;
    size_t n = 0;
    const struct strview in = {q->body, q->n};
    enum serin_status s = receive_body_gunzip(in, r->max_body, &text, &n, &f);
    if (s == SERIN_ELIMIT || s == SERIN_EPARSE) {
        refuse(reply, s == SERIN_ELIMIT ? 413 : 400, sink, q->type, "%s", f.text);
    } else if (s != SERIN_OK) {
        refuse(reply, 503, sink, q->type, "%s", f.text);
    } else if (!take(r, n)) {
        no_room(r, sink, q->type, reply);
    } else {
        otlp_body(r, sink, q, (struct strview){text, n}, reply);
        receive_done(r, n);
    }
    mem_free(text);
}

void receive_otlp(struct api *api, const struct request *q, const char *id,
                  struct reply *r)
{
    enum sink sink = sink_of(q->path);
    bool plain = q->encoding == NULL || strcasecmp(q->encoding, "identity") == 0;
    (void)id;
    if (topic_for(api->receive, sink, q->type, r) == NULL) return;
    if (!is_json(q->type) && !api_type_is(q->type, "application/x-protobuf"))
        refuse(r, 415, sink, NULL,
               "Content-Type: %.100s: expected application/x-protobuf or "
               "application/json",
               q->type != NULL ? q->type : "none");
    else if (!plain && strcasecmp(q->encoding, "gzip") != 0)
        refuse(r, 415, sink, q->type,
               "Content-Encoding: %.100s: expected gzip, or none", q->encoding);
    else if (plain)
        otlp_body(api->receive, sink, q, (struct strview){q->body, q->n}, r);
    else
        otlp_gzip(api->receive, sink, q, r);
}

/* ---------------------------------------------------------------- remote write */

void receive_write(struct api *api, const struct request *q, const char *id,
                   struct reply *r)
{
    struct receive *in = api->receive;
    const struct strview body = {q->body, q->n};
    struct fault f = {0};
    (void)id;
    if (topic_for(in, SINK_PROMETHEUS, q->type, r) == NULL) return;
    const char *proto = q->type != NULL ? strstr(q->type, "proto=") : NULL;
    bool second = proto != NULL && strstr(proto, "prometheus.WriteRequest") == NULL;
    if (!api_type_is(q->type, "application/x-protobuf") || second) {
        refuse(r, 415, SINK_PROMETHEUS, NULL,
               "Content-Type: %.100s: expected application/x-protobuf, remote write "
               "1.0 (proto=prometheus.WriteRequest)",
               q->type != NULL ? q->type : "none");
        return;
    }
    if (q->encoding == NULL || strcasecmp(q->encoding, "snappy") != 0) {
        refuse(r, 415, SINK_PROMETHEUS, NULL,
               "Content-Encoding: %.100s: expected snappy",
               q->encoding != NULL ? q->encoding : "none");
        return;
    }
    enum serin_status s = receive_body_snappy(body, in->max_body, &f);
    if (s != SERIN_OK)
        refuse(r, s == SERIN_ELIMIT ? 413 : 400, SINK_PROMETHEUS, NULL, "%s", f.text);
    else if (write_out(in, SINK_PROMETHEUS, q, body, r))
        api_text(r, 200, "text/plain", "", 0);
}

/* ---------------------------------------------------------------- counters */

void receive_metrics(const struct receive *r, FILE *out)
{
    if (r == NULL) return;
    struct receive_queue_counts c = receive_queue_counts(r->queue);
    metrics_one(out, "serin_receive_records_total", "counter",
                "Bodies received over HTTP and acknowledged by Kafka.",
                (double)c.records);
    metrics_one(out, "serin_receive_bytes_total", "counter", "Bytes of them.",
                (double)c.bytes);
    metrics_one(out, "serin_receive_flushes_total", "counter",
                "Waits for acknowledgements; each covers all that waited.",
                (double)c.flushes);
    metrics_one(out, "serin_receive_refused_total", "counter",
                "Bodies refused for want of room (429).",
                (double)atomic_load(&r->refused));
    metrics_one(out, "serin_receive_pending_bytes", "gauge",
                "Bytes of bodies on their way to Kafka.",
                (double)atomic_load(&r->taken));
    metrics_one(out, "serin_receive_pending_limit_bytes", "gauge",
                "Bytes of bodies that may be on their way (receive.queue).",
                (double)r->budget);
}
