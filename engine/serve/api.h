/* engine/serve/api.h -- a request, its reply, and what all handlers share (private) */
#ifndef SERIN_ENGINE_SERVE_API_H
#define SERIN_ENGINE_SERVE_API_H

#include <jansson.h>
#include <stdatomic.h>
#include <stddef.h>

#include "engine/serve/directory.h"
#include "engine/serve/inbox.h"
#include "engine/serve/metrics.h"
#include "engine/serve/serve.h"

struct events;  /* events.h */
struct receive; /* receive.h */

struct api {
    struct directory *dir;
    struct inbox *inbox;     /* NULL: no broker, the acting verbs are refused */
    struct receive *receive; /* NULL: nothing is received */
    struct metrics *metrics;
    struct serve_options o; /* defaults filled in */
    atomic_bool stopping;   /* whoever waits gives up */
    atomic_uint streams;    /* of events, open now */
};

/* Independent of the HTTP library, so that tests call handlers without sockets. */
struct request {
    const char *method, *path; /* path is unescaped, without the query */
    const char *(*query)(const struct request *q, const char *key); /* NULL = absent */
    void *ctx;                                                      /* of query */
    const char *type;     /* Content-Type, or NULL */
    const char *encoding; /* Content-Encoding, or NULL */
    const char *key;      /* Idempotency-Key, or NULL */
    const char *body;     /* n bytes and a NUL */
    size_t n;
    char peer[64]; /* who asks, when the request does not say */
    char from[64]; /* the host that asks: what it sends stays in order */
};

struct reply {
    unsigned status;
    const char *type;  /* of the body */
    const char *allow; /* with 405 */
    int retry_s;       /* Retry-After; 0: none */
    char *body;        /* from malloc, the receiver frees; NULL: out of memory */
    size_t n;
    struct events
        *stream; /* instead of a body: what goes on coming; closed by the receiver */
};

/** Reply with j (reference taken; NULL: 500 for want of memory). */
void api_json(struct reply *r, unsigned status, json_t *j);
/** Reply {"schema":"serin.error/1","status":…,"message":…}. */
void api_error(struct reply *r, unsigned status, const char *fmt, ...)
    SERIN_PRINTF(3, 4);
/** As above, with one more member; `extra` is taken. */
void api_error_with(struct reply *r, unsigned status, const char *key, json_t *extra,
                    const char *fmt, ...) SERIN_PRINTF(5, 6);
/** Reply with a text. */
void api_text(struct reply *r, unsigned status, const char *type, const char *text,
              size_t n);
/** 404 for a rollout, with "did you mean". */
void api_no_rollout(struct api *api, struct reply *r, const char *id);
/** Is this Content-Type (NULL: none), without its parameters, the given one? */
bool api_type_is(const char *type, const char *expected);
/** A query parameter, or NULL. */
const char *api_query(const struct request *q, const char *key);

#endif
