/* engine/base/http.h -- one HTTP call and its answer, over libcurl
 *
 * Redirects are not followed. Proxies are taken from the environment (http_proxy,
 * no_proxy), as other programs do. */
#ifndef SERIN_ENGINE_BASE_HTTP_H
#define SERIN_ENGINE_BASE_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/base/text.h"

enum { HTTP_SECRET = 8192, HTTP_ANSWER_MAX = 16 << 20 };

struct http_request {
    const char *method, *url;   /* "GET", "https://host/path" */
    const char *shown;          /* in faults, where the url or the answer may hold
                                   a secret: instead of both; NULL: both are shown */
    const char *body;           /* NUL-terminated; NULL: none */
    const char *type;           /* of the body: "application/json" */
    const char *const *headers; /* "Name: value"; ends with NULL; NULL: none */
    const char *token_file;     /* sent as a bearer token, read anew each time */
    const char *ca_file;        /* whom https trusts; NULL: the system's */
    int timeout_ms;             /* for all of it */
};

struct http_answer {
    long status;      /* 200 */
    struct text body; /* at most HTTP_ANSWER_MAX; text_free */
    int64_t retry_ms; /* as Retry-After asks; 0: it does not */
};

/** libcurl's own start, once a process; http_call does it, other users of libcurl must.
 * Thread: any */
void http_begin(void);
/**
 * Ask, and wait for the answer. Whatever the other side answers is SERIN_OK, a 500 too.
 * out     zeroed or of an earlier call, which is forgotten; text_free(&out->body)
 * Errors  SERIN_EIO (no connection, no HTTP, an unreadable token), SERIN_ETIME,
 *         SERIN_ENOMEM; *f names the URL, never a secret
 * Thread  any
 */
SERIN_MUST_USE
enum serin_status http_call(const struct http_request *q, struct http_answer *out,
                            struct fault *f);
/** SERIN_OK for 2xx, else SERIN_EIO: who answered what, with the body's beginning. */
SERIN_MUST_USE
enum serin_status http_accepted(const struct http_request *q,
                                const struct http_answer *a, struct fault *f);
/**
 * The first word of a file: a token or a shared secret.
 * Errors: SERIN_EIO (unreadable), SERIN_EDOM (empty or too long); out is "" then
 */
SERIN_MUST_USE
enum serin_status http_secret(const char *path, char out[HTTP_SECRET], struct fault *f);

#endif
