/* engine/serve/receive.h -- metrics and traces over HTTP into input topics (private)
 *
 * For applications, collectors and Prometheus that know no Kafka: POST /v1/metrics and
 * /v1/traces (OTLP/HTTP, protobuf or JSON, gzip or not) and /api/v1/write (Prometheus
 * remote write 1.0). A body is checked only as far as its sender must hear of it, and
 * written as it came (OTLP: unzipped). 200 means that all replicas have it. */
#ifndef SERIN_ENGINE_SERVE_RECEIVE_H
#define SERIN_ENGINE_SERVE_RECEIVE_H

#include "engine/serve/api.h"

struct receive; /* opaque; thread: any */

/** *out stays NULL when o names no topic. *o's texts are not kept. */
SERIN_MUST_USE
enum serin_status receive_open(struct receive **out, struct bus *b,
                               const struct serve_receive *o, struct fault *f);
/** No request may be under way. NULL is a no-op. */
void receive_close(struct receive *r);

/**
 * May this request send its body? Takes room for it, which receive_done gives back.
 * length  Content-Length, or NULL: unknown, so as much as a body may have
 * type    its Content-Type, for the form of the refusal; may be NULL
 * False: *reply says why (413 too large, 429 no room now, 404 nothing configured).
 */
bool receive_admit(struct receive *r, const char *path, const char *length,
                   const char *type, size_t *taken, struct reply *reply);
void receive_done(struct receive *r, size_t taken);
/** Bytes that a body may have, as sent and unzipped; r may be NULL. */
size_t receive_max_body(const struct receive *r);
/** 413 in the form that the path's senders know. */
void receive_too_large(const struct receive *r, const char *path, const char *type,
                       struct reply *reply);
/** Prometheus text; r may be NULL. */
void receive_metrics(const struct receive *r, FILE *out);

/* For the table of routes. */
void receive_otlp(struct api *api, const struct request *q, const char *id,
                  struct reply *r);
void receive_write(struct api *api, const struct request *q, const char *id,
                   struct reply *r);

#endif
