/* engine/base/sign.h -- Ed25519 signatures of digests, and the keys' files
 *
 * A key's file is one line of text, so that other tools can read it:
 *     serin-ed25519-secret BASE64(seed, 32 bytes)     mode 0600
 *     serin-ed25519-public BASE64(point, 32 bytes)
 * Ref: RFC 8032; libsodium's crypto_sign. */
#ifndef SERIN_ENGINE_BASE_SIGN_H
#define SERIN_ENGINE_BASE_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/hash.h"
#include "engine/base/status.h"

enum {
    SIGN_BYTES = 64,
    SIGN_PUBLIC = 32,
    SIGN_SECRET = 64,
    SIGN_NAME = 17 /* of a key: 16 hex digits of its public half's digest, and a NUL */
};

struct sign_public {
    uint8_t point[SIGN_PUBLIC];
};
struct sign_key {
    uint8_t secret[SIGN_SECRET];
    struct sign_public public;
};

/**
 * A new key: the secret half to path (created, mode 0600), the public one to path.pub.
 * Errors: SERIN_EIO (exists already: never written over; cannot be written); what was
 * begun is removed.
 */
SERIN_MUST_USE
enum serin_status sign_create(const char *path, struct fault *f);
/**
 * Errors: SERIN_EIO (cannot be read), SERIN_EDOM (others may read it, or it is no such
 * file); *k unchanged.
 */
SERIN_MUST_USE
enum serin_status sign_load(const char *path, struct sign_key *k, struct fault *f);
/** The public half, from its own file or from the secret one's. Errors: as sign_load,
 * but anybody may read it. */
SERIN_MUST_USE
enum serin_status sign_load_public(const char *path, struct sign_public *k,
                                   struct fault *f);
void sign_name(const struct sign_public *k, char out[SIGN_NAME]);
/** Errors: SERIN_EDOM, out unchanged: never to be taken for a signature. */
SERIN_MUST_USE
enum serin_status sign_digest(const struct sign_key *k,
                              const uint8_t digest[HASH_DIGEST],
                              uint8_t out[SIGN_BYTES]);
bool sign_holds(const struct sign_public *k, const uint8_t digest[HASH_DIGEST],
                const uint8_t *sig, size_t n);

#endif
