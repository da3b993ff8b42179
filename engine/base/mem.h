/* engine/base/mem.h -- the one allocation seam; tests make the k-th call fail */
#ifndef SERIN_ENGINE_BASE_MEM_H
#define SERIN_ENGINE_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

/** n items of size bytes, zeroed; NULL on overflow or when memory is out. */
void *mem_calloc(size_t n, size_t size);
/** As realloc for n items of size bytes, overflow checked; NULL leaves p alone. */
void *mem_realloc(void *p, size_t n, size_t size);
/** Copy of a NUL-terminated string; NULL when memory is out. */
char *mem_strdup(const char *s);
/** NULL is a no-op. Frees what the three calls above gave. */
void mem_free(void *p);

/**
 * Ask the C library to keep up to `bytes` of freed memory a heap, rather than to give
 * it back to the system and fetch it again: for processes through which much memory
 * goes.
 */
void mem_keep(size_t bytes);

/**
 * Test seam: the k-th allocation from now (1-based) fails once; 0 switches it off.
 * Thread: per thread.
 */
void mem_fail_at(uint64_t k);

#endif
