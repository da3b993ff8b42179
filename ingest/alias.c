/* ingest/alias.c -- an open-addressing table over an arena */
#include "ingest/alias.h"

#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/mem.h"
#include "ingest/series.h"

enum { FIRST_ROOM = 1024, MOST = 1 << 17 };

struct aliases {
    struct alias **slots;
    size_t n, room; /* room: a power of two, at most half full */
    struct arena arena;
};

enum serin_status alias_open(struct aliases **out, size_t max_bytes)
{
    struct aliases *t = mem_calloc(1, sizeof *t);
    if (t == NULL) return SERIN_ENOMEM;
    t->slots = mem_calloc(FIRST_ROOM, sizeof *t->slots);
    if (t->slots == NULL) {
        mem_free(t);
        return SERIN_ENOMEM;
    }
    t->room = FIRST_ROOM;
    t->arena.max = max_bytes;
    *out = t;
    return SERIN_OK;
}

void alias_close(struct aliases *t)
{
    if (t == NULL) return;
    mem_free(t->slots);
    arena_free(&t->arena);
    mem_free(t);
}

bool alias_full(const struct aliases *t)
{
    return t->n >= MOST / 2 || t->arena.used >= t->arena.max / 2;
}

void alias_forget(struct aliases *t)
{
    if (t->n != 0) memset(t->slots, 0, t->room * sizeof *t->slots);
    t->n = 0;
    arena_reset(&t->arena);
}

size_t alias_bytes(const struct aliases *t)
{
    return t->arena.used + t->room * sizeof *t->slots;
}

static struct alias **slot(struct alias **slots, size_t room, uint64_t hash,
                           uint64_t parent, struct strview s)
{
    size_t i = (size_t)hash & (room - 1);
    for (; slots[i] != NULL; i = (i + 1) & (room - 1)) {
        const struct alias *a = slots[i];
        if (a->hash == hash && a->parent == parent && a->n == s.n &&
            (s.n == 0 || memcmp(a->bytes, s.p, s.n) == 0))
            break;
    }
    return &slots[i];
}

static bool grow(struct aliases *t)
{
    size_t room = 2 * t->room;
    struct alias **slots = mem_calloc(room, sizeof *slots);
    if (slots == NULL) return false;
    for (size_t i = 0; i < t->room; i++) {
        struct alias *a = t->slots[i];
        if (a == NULL) continue;
        struct strview s = {(const char *)a->bytes, a->n};
        *slot(slots, room, a->hash, a->parent, s) = a;
    }
    mem_free(t->slots);
    t->slots = slots;
    t->room = room;
    return true;
}

struct alias *alias_of(struct aliases *t, uint64_t parent, struct strview s)
{
    uint64_t hash = series_hash(s.p, s.n, parent);
    struct alias **at = slot(t->slots, t->room, hash, parent, s);
    if (*at != NULL) return *at;
    if (t->n >= MOST) return NULL;
    if (2 * (t->n + 1) > t->room) {
        if (!grow(t)) return NULL;
        at = slot(t->slots, t->room, hash, parent, s);
    }
    struct alias *a = arena_alloc(&t->arena, sizeof *a + s.n);
    if (a == NULL) return NULL;
    a->hash = hash;
    a->parent = parent;
    a->n = s.n;
    if (s.n != 0) memcpy(a->bytes, s.p, s.n);
    t->n++;
    return *at = a;
}
