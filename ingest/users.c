/* ingest/users.c */
#include "ingest/users.h"

#include <stdlib.h>

#include "engine/base/hash.h"

enum { FIRST = 16 };

/* The finaliser of splitmix64: a bijection, so that whatever distinguishes users in
 * the stream -- serial numbers, say -- still does, and every bit is as good as random.
 */
uint64_t users_of_hash(uint64_t hash)
{
    hash = (hash ^ hash >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ hash >> 27) * UINT64_C(0x94d049bb133111eb);
    hash = (hash ^ hash >> 31) & ~(uint64_t)USERS_FLAGS;
    return hash != 0 ? hash : USERS_FLAGS + 1;
}

uint64_t users_of_name(struct strview name)
{
    return users_of_hash(hash_bytes(name.p, name.n, 0));
}

static bool kept(const struct users *u, uint64_t user)
{
    return u->thin == 0 || user >> (64 - u->thin) == 0;
}

static uint64_t *slot(uint64_t *slots, uint32_t room, uint64_t user)
{
    size_t i = (size_t)(user >> 2) & (room - 1);
    while (slots[i] != 0 && (slots[i] & ~(uint64_t)USERS_FLAGS) != user)
        i = (i + 1) & (room - 1);
    return &slots[i];
}

/* Into a table of `room` slots, those that are kept. */
static bool rebuild(struct users *u, struct arena *a, uint32_t room)
{
    uint64_t *slots = arena_alloc(a, room * sizeof *slots);
    if (slots == NULL) return false;
    uint32_t n = 0;
    for (uint32_t i = 0; i < u->room; i++) {
        uint64_t user = u->slots[i] & ~(uint64_t)USERS_FLAGS;
        if (user == 0 || !kept(u, user)) continue;
        *slot(slots, room, user) = u->slots[i];
        n++;
    }
    u->slots = slots;
    u->room = room;
    u->n = n;
    return true;
}

/* Room for one more, or it is thinned until there is, or the user is not kept. */
static bool make_room(struct users *u, struct arena *a, uint64_t user)
{
    while (u->n == USERS_MAX && kept(u, user)) {
        u->thin++;
        if (!rebuild(u, a, u->room)) return false;
    }
    if (2 * (u->n + 1) <= u->room) return true;
    return rebuild(u, a, u->room != 0 ? 2 * u->room : FIRST);
}

bool users_add(struct users *u, struct arena *a, uint64_t user, bool bad)
{
    if (!kept(u, user)) return true;
    uint64_t *at = u->room != 0 ? slot(u->slots, u->room, user) : NULL;
    if (at == NULL || *at == 0) {
        if (!make_room(u, a, user)) return false;
        if (!kept(u, user)) return true;
        at = slot(u->slots, u->room, user);
        *at = user;
        u->n++;
    }
    if (bad) *at |= USERS_BAD;
    return true;
}

static int rising(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void users_list(const struct users *u, uint64_t *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < u->room; i++)
        if (u->slots[i] != 0) out[n++] = u->slots[i];
    qsort(out, n, sizeof *out, rising);
}
