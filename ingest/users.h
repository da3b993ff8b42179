/* ingest/users.h -- who was active in one cell, and who of them met an error
 *
 * A user is 64 bits that ingest has mixed: the two lowest are free for flags, the rest
 * is as good as random. Past USERS_MAX only the users below 2^(64 - thin) are kept,
 * thin growing by one at a time: whether a user is kept depends on who is active, never
 * on who meets an error, and is the same question in both cohorts. */
#ifndef SERIN_INGEST_USERS_H
#define SERIN_INGEST_USERS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/strview.h"

enum { USERS_MAX = 4096, USERS_BAD = 1, USERS_FLAGS = 3 };

/* Value type; zero-initialise. */
struct users {
    uint64_t *slots; /* open addressing, 0 = empty, at most half full; in the arena */
    uint32_t n, room;
    uint32_t thin;
};

/** The user that somebody else's 64 bits stand for; never 0, flags clear. */
uint64_t users_of_hash(uint64_t hash);
/** The user of that name: users_of_hash of hash_bytes(name, 0). */
uint64_t users_of_name(struct strview name);
/** Note that the user was active, and whether with an error. False: the arena is full.
 */
bool users_add(struct users *u, struct arena *a, uint64_t user, bool bad);
/** All users with USERS_BAD where it applies, rising; out has room for u->n. */
void users_list(const struct users *u, uint64_t *out);

#endif
