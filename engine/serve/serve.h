/* engine/serve/serve.h -- the HTTP API over a unix socket and TCP */
#ifndef SERIN_ENGINE_SERVE_SERVE_H
#define SERIN_ENGINE_SERVE_SERVE_H

#include <stdio.h>

#include "engine/base/status.h"
#include "engine/bus/bus.h"
#include "engine/serve/directory.h"

struct serve_options {
    const char *const *listen; /* NULL-terminated: "unix:/path" | "host:port" */
    const char *token_file;    /* bearer token; TCP is refused without one … */
    bool insecure;             /* … unless this is set */
    size_t max_body;           /* bytes; 0 = 1 MiB */
    int timeout_s;             /* of a request; 0 = 30 */
    /* What this module cannot know: written by whoever composes the process. */
    void (*metrics)(void *ctx, FILE *out);   /* more Prometheus text */
    bool (*ready)(void *ctx, char why[160]); /* for /readyz */
    void *(*quarantine)(void *ctx);          /* json_t * array, new reference */
    void *ctx;
};

struct serve; /* opaque; its own threads */

SERIN_MUST_USE
enum serin_status serve_open(struct serve **out, struct bus *b, struct directory *d,
                             const struct serve_options *o, struct fault *f);
void serve_close(struct serve *s);

#endif
