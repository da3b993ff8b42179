/* engine/base/arena.c */
#include "engine/base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/mem.h"

enum { BLOCK = 16384, ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    alignas(ALIGN) unsigned char bytes[];
};

static struct arena_block *block_add(struct arena *a, size_t n)
{
    size_t size = n > BLOCK ? n : BLOCK;
    struct arena_block *b = mem_calloc(1, sizeof *b + size);
    if (b == NULL) return NULL;
    b->size = size;
    b->next = a->head;
    a->head = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
    size_t max = a->max != 0 ? a->max : ARENA_DEFAULT_MAX;
    if (n > max || a->used > max - n) return NULL;
    n = (n + ALIGN - 1) / ALIGN * ALIGN;
    struct arena_block *b = a->head;
    if (b == NULL || b->size - b->used < n) b = block_add(a, n);
    if (b == NULL) return NULL;
    void *p = b->bytes + b->used;
    b->used += n;
    a->used += n;
    return p;
}

char *arena_copy(struct arena *a, const void *bytes, size_t n)
{
    if (n == SIZE_MAX) return NULL;
    char *p = arena_alloc(a, n + 1);
    if (p != NULL && n != 0) memcpy(p, bytes, n);
    return p;
}

void arena_reset(struct arena *a)
{
    while (a->head != NULL && a->head->next != NULL) {
        struct arena_block *b = a->head;
        a->head = b->next;
        mem_free(b);
    }
    if (a->head != NULL) {
        memset(a->head->bytes, 0, a->head->used);
        a->head->used = 0;
    }
    a->used = 0;
}

void arena_free(struct arena *a)
{
    while (a->head != NULL) {
        struct arena_block *b = a->head;
        a->head = b->next;
        mem_free(b);
    }
    a->used = 0;
}
