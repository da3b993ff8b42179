/* engine/base/mem.c */
#include "engine/base/mem.h"

#include <limits.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdlib.h>
#include <string.h>

static _Thread_local uint64_t fail_in;

static int refused(void)
{
    return fail_in != 0 && --fail_in == 0;
}

void *mem_calloc(size_t n, size_t size)
{
    return refused() ? NULL : calloc(n != 0 ? n : 1, size != 0 ? size : 1);
}

void *mem_realloc(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || refused()) return NULL;
    return realloc(p, bytes != 0 ? bytes : 1);
}

char *mem_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = mem_calloc(n, 1);
    if (copy != NULL) memcpy(copy, s, n);
    return copy;
}

void mem_free(void *p)
{
    free(p);
}

void mem_fail_at(uint64_t k)
{
    fail_in = k;
}

void mem_keep(size_t bytes)
{
#ifdef __GLIBC__
    int keep = bytes < INT_MAX ? (int)bytes : INT_MAX;
    mallopt(M_TRIM_THRESHOLD, keep);
    mallopt(M_TOP_PAD, keep / 16);
#else
    (void)bytes;
#endif
}
