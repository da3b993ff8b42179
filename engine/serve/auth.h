/* engine/serve/auth.h -- who may talk to the TCP side (private) */
#ifndef SERIN_ENGINE_SERVE_AUTH_H
#define SERIN_ENGINE_SERVE_AUTH_H

#include "engine/base/hash.h"
#include "engine/base/status.h"

enum { AUTH_MIN = 16, AUTH_MAX = 4096 }; /* bytes of a token */

/* Value type; only the token's digest is kept. */
struct auth {
    bool required;
    uint8_t digest[HASH_DIGEST];
};

/**
 * Read a token file: one line, blanks around it dropped.
 * Errors: SERIN_EDOM for a file that others may read, or a token that is too short.
 */
SERIN_MUST_USE
enum serin_status auth_load(struct auth *a, const char *file, struct fault *f);
/** The header "Bearer TOKEN" (NULL: absent) carries the token; constant time. */
bool auth_allows(const struct auth *a, const char *header);

#endif
