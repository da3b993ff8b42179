/* engine/cli/remote.h -- ask the engine over its unix socket or TCP */
#ifndef SERIN_ENGINE_CLI_REMOTE_H
#define SERIN_ENGINE_CLI_REMOTE_H

#include <jansson.h>

#include "engine/cli/cli.h"

/* Options of every verb that talks to the engine. */
#define REMOTE_OPTIONS                                                                 \
    {"addr", 0, "ADDR", "the engine: unix:/path, host:port or https://host:port"},     \
        {"token-file", 0, "FILE", "bearer token for TCP (or SERIN_TOKEN_FILE)"},       \
        {"ca-file", 0, "FILE", "who signs an https engine (or SERIN_CA_FILE)"},        \
        {"cert-file", 0, "FILE", "certificate to show it (or SERIN_CERT_FILE)"},       \
    {                                                                                  \
        "key-file", 0, "FILE", "its key (or SERIN_KEY_FILE)"                           \
    }

struct remote_request {
    const char *method, *path; /* path with its query, escaped */
    const char *type, *body;   /* NULL = no body */
    size_t n;
    const char *key; /* Idempotency-Key, or NULL */
};

struct remote_reply {
    long status;
    char *body; /* n bytes and a NUL */
    size_t n;
    json_t *json; /* NULL when the body is none */
};

/**
 * One request. CLI_OK whatever the engine answered; else the exit code, with the reason
 * in why (an address that is none: CLI_USAGE; nobody there: CLI_UNREACHABLE). The
 * connection is kept for the next call. Thread: one.
 */
int remote_call(const struct remote_request *q, struct remote_reply *r, char why[512]);
void remote_reply_free(struct remote_reply *r);
/** The exit code an answer stands for: 2xx CLI_OK, 4xx CLI_USAGE, 5xx CLI_UNREACHABLE.
 */
int remote_code(const struct remote_reply *r);
/** The message of an error answer; "status N" when it has none. Lives as long as *r. */
const char *remote_message(const struct remote_reply *r);
/**
 * GET path and give its JSON (new reference). Any other outcome is told on stderr and
 * its exit code returned.
 */
int remote_get(const char *path, json_t **out);
/** "/v1/rollouts/R" + tail, R escaped; free() it. NULL: out of memory. */
char *remote_path(const char *rollout, const char *tail);
/** A query value, escaped; free() it. */
char *remote_escape(const char *text);

#endif
