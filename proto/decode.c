/* proto/decode.c */
#include "proto/decode.h"

/* unpack() gives NULL for both; a record must not pass for undecodable only because
 * memory ran out while it was read. */
struct source {
    struct arena *arena;
    bool failed;
};

static void *take(void *source, size_t n)
{
    struct source *s = source;
    void *p = arena_alloc(s->arena, n);
    s->failed = s->failed || p == NULL;
    return p;
}

static void keep(void *source, void *p)
{
    (void)source, (void)p; /* the arena frees all at once */
}

#define X(name, Type, prefix)                                                          \
    enum serin_status decode_##name(struct arena *a, const void *p, size_t n,          \
                                    pb_##name **out)                                   \
    {                                                                                  \
        struct source from = {a, false};                                               \
        ProtobufCAllocator in_arena = {take, keep, &from};                             \
        pb_##name *m = serin__v1__##prefix##__unpack(&in_arena, n, p);                 \
        if (m == NULL && from.failed) return SERIN_ENOMEM;                             \
        if (m == NULL || m->schema > SERIN_SCHEMA) return SERIN_EPARSE;                \
        *out = m;                                                                      \
        return SERIN_OK;                                                               \
    }
MESSAGES_MAP(X)
#undef X
