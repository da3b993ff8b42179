/* engine/base/arena.h -- memory freed all at once: one arena per record or per batch */
#ifndef SERIN_ENGINE_BASE_ARENA_H
#define SERIN_ENGINE_BASE_ARENA_H

#include <stddef.h>

struct arena_block;

/* Value type; zero-initialise. max is a hard limit in bytes, 0 = ARENA_DEFAULT_MAX. */
struct arena {
    struct arena_block *head;
    size_t used, max;
};
#define ARENA_DEFAULT_MAX ((size_t)64 << 20)

/** n zeroed bytes, aligned to 16; NULL past max or when memory is out. */
void *arena_alloc(struct arena *a, size_t n);
/** Copy of n bytes plus a NUL; NULL as above. */
char *arena_copy(struct arena *a, const void *bytes, size_t n);
/** Forget everything, keep the first block for the next record. */
void arena_reset(struct arena *a);
/** Give all memory back; the arena may be used again. */
void arena_free(struct arena *a);

#endif
