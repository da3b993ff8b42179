/* proto/encode.c */
#include "proto/encode.h"

#define X(name, Type, prefix)                                                          \
    enum serin_status encode_##name(struct arena *a, const pb_##name *m,               \
                                    struct bytes *out)                                 \
    {                                                                                  \
        size_t n = serin__v1__##prefix##__get_packed_size(m);                          \
        uint8_t *p = arena_alloc(a, n);                                                \
        if (p == NULL) return SERIN_ENOMEM;                                            \
        serin__v1__##prefix##__pack(m, p);                                             \
        *out = (struct bytes){p, n};                                                   \
        return SERIN_OK;                                                               \
    }
MESSAGES_MAP(X)
#undef X
