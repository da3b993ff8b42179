/* proto/decode.c */
#include "proto/decode.h"

static void *take(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

static void keep(void *arena, void *p)
{
    (void)arena, (void)p; /* the arena frees all at once */
}

#define X(name, Type, prefix)                                                          \
    enum serin_status decode_##name(struct arena *a, const void *p, size_t n,          \
                                    pb_##name **out)                                   \
    {                                                                                  \
        ProtobufCAllocator in_arena = {take, keep, a};                                 \
        pb_##name *m = serin__v1__##prefix##__unpack(&in_arena, n, p);                 \
        if (m == NULL || m->schema > SERIN_SCHEMA) return SERIN_EPARSE;                \
        *out = m;                                                                      \
        return SERIN_OK;                                                               \
    }
MESSAGES_MAP(X)
#undef X
