#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/mem.h"
#include "engine/base/status.h"
#include "tests/support/check.h"

Test(mem, the_kth_call_fails_once)
{
    mem_fail_at(2);
    void *a = mem_calloc(1, 8), *b = mem_calloc(1, 8), *c = mem_calloc(1, 8);
    cr_assert(ne(ptr, a, NULL));
    cr_assert(eq(ptr, b, NULL));
    cr_assert(ne(ptr, c, NULL));
    mem_free(a);
    mem_free(c);
    mem_free(NULL);
}

Test(mem, overflow_is_refused)
{
    char *p = mem_strdup("kept");
    cr_assert(eq(ptr, mem_realloc(p, SIZE_MAX / 4, 8), NULL));
    cr_assert(eq(str, p, (char *)"kept"));
    mem_free(p);
}

Test(arena, gives_zeroed_aligned_memory_again_after_reset)
{
    struct arena a = {0};
    for (int round = 0; round < 3; round++) {
        for (size_t n = 1; n < 40000; n = n * 3 + 1) {
            unsigned char *p = arena_alloc(&a, n);
            cr_assert(ne(ptr, p, NULL));
            cr_assert(eq(u64, (uintptr_t)p % 16, 0));
            for (size_t i = 0; i < n; i++)
                cr_assert(eq(uint, p[i], 0));
            memset(p, 0xa5, n);
        }
        arena_reset(&a);
    }
    arena_free(&a);
}

Test(arena, keeps_its_limit)
{
    struct arena a = {.max = 1000};
    cr_assert(eq(ptr, arena_alloc(&a, 1001), NULL));
    cr_assert(ne(ptr, arena_alloc(&a, 900), NULL));
    cr_assert(eq(ptr, arena_alloc(&a, 200), NULL));
    cr_assert(eq(ptr, arena_alloc(&a, SIZE_MAX), NULL));
    cr_assert(eq(ptr, arena_copy(&a, "x", SIZE_MAX), NULL));
    cr_assert(eq(str, arena_copy(&a, "abcd", 3), (char *)"abc"));
    arena_free(&a);
    mem_fail_at(1);
    cr_assert(eq(ptr, arena_alloc(&a, 8), NULL));
}

Test(status, every_value_has_a_text)
{
    for (int s = 0; s <= SERIN_STATUS_COUNT; s++)
        cr_assert(gt(sz, strlen(status_text((enum serin_status)s)), 1));
    struct fault f = {.fatal = true};
    cr_assert(eq(int, fault_set(&f, SERIN_EDOM, "%s = %d", "x", 5), SERIN_EDOM));
    cr_assert(eq(str, f.text, (char *)"x = 5"));
    cr_assert(not(f.fatal));
    cr_assert(eq(int, fault_set(NULL, SERIN_EIO, "%d", 1), SERIN_EIO));
}
