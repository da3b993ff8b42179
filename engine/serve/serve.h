/* engine/serve/serve.h -- the HTTP API over a unix socket and TCP */
#ifndef SERIN_ENGINE_SERVE_SERVE_H
#define SERIN_ENGINE_SERVE_SERVE_H

#include <stdio.h>

#include "engine/base/status.h"
#include "engine/bus/bus.h"
#include "engine/serve/directory.h"

enum { SERVE_MAX_LISTEN = 8 };
#define SERVE_DEFAULT_LISTEN "unix:/run/serin/serin.sock"

/* Topics that receive what is posted as metrics or traces; NULL: nothing is taken. */
struct serve_receive {
    const char *otlp_metrics, *otlp_traces, *prometheus;
    size_t max_body; /* bytes of one body, unzipped too; 0 = 4 MiB */
    size_t budget;   /* bytes of bodies on their way to Kafka; 0 = 64 MiB */
};

/* PEM files for the TCP side; all NULL: it is plain. client_ca_file: clients must show
 * a certificate that it signed, and then need a token only if there is one, too. Read
 * once; a renewed certificate wants a new start. */
struct serve_tls {
    const char *cert_file, *key_file, *client_ca_file;
};

struct serve_options {
    const char *const
        *listen; /* NULL-terminated: "unix:/path" | "host:port", port 0 = any */
    const char *token_file; /* bearer token; TCP is refused without one … */
    struct serve_tls tls;   /* … or clients by certificate … */
    bool insecure;          /* … unless this is set */
    size_t max_body;        /* bytes; 0 = 1 MiB */
    int timeout_s;          /* to receive a request; 0 = 30 */
    int wait_ms;            /* for a command's outcome; 0 = 10 000 */
    unsigned connections;   /* at once and listener; 0 = 128 */
    struct serve_receive receive;
    double fleet_level; /* of fleet.h; 0 = not wanted */
    /* What this module cannot know: written by whoever composes the process. Called
     * from any thread, several at once. */
    void (*metrics)(void *ctx, FILE *out);   /* more Prometheus text; see metrics.h */
    bool (*ready)(void *ctx, char why[160]); /* for /readyz */
    void *(*quarantine)(void *ctx);          /* json_t * array, new reference */
    void *ctx;
};

struct serve; /* opaque; its own threads */

/**
 * Listen and answer until serve_close. The texts in *o are not kept, o->ctx is.
 * b   NULL: the acting verbs answer 503 (tests)
 * Errors: SERIN_EDOM (an address or a token file that will not do), SERIN_ESTATE
 * (another process serves there), SERIN_EIO (the system refused), SERIN_ENOMEM
 */
SERIN_MUST_USE
enum serin_status serve_open(struct serve **out, struct bus *b, struct directory *d,
                             const struct serve_options *o, struct fault *f);
void serve_close(struct serve *s);
/** Would serve_open take the token and the certificates? Errors: as there. */
SERIN_MUST_USE
enum serin_status serve_check(const struct serve_options *o, struct fault *f);
/** The i-th address as clients give it, with the port that was taken; NULL past the
 * end. */
const char *serve_address(const struct serve *s, size_t i);

#endif
