#include "engine/base/mem.h"
#include "engine/base/text.h"
#include "tests/support/check.h"

Test(text, grows_and_is_kept)
{
    struct text t = {0};
    struct arena a = {0};
    cr_assert(eq(str, text_keep(&t, &a), ""), "nothing written is an empty text");
    for (int i = 0; i < 1000; i++)
        text_add(&t, "%d,", i);
    text_bytes(&t, "end", 3);
    cr_assert(eq(sz, t.n, 3893));
    char *kept = text_keep(&t, &a);
    text_free(&t);
    cr_assert(eq(str, kept + 3890, "end"));
    arena_free(&a);
}

Test(text, json_strings)
{
    struct text t = {0};
    text_json(&t, "a\"b\\c\nd\x01\xc3\xa9");
    text_json(&t, NULL);
    text_json(&t, "");
    cr_assert(eq(str, t.p, "\"a\\\"b\\\\c\\nd\\u0001\xc3\xa9\"null\"\""));
    text_free(&t);
}

Test(text, a_maximum_is_a_failure_that_stays)
{
    struct text t = {.max = 8};
    struct arena a = {0};
    text_add(&t, "%s", "1234567");
    cr_assert(not(t.failed));
    text_add(&t, "8");
    cr_assert(t.failed);
    text_bytes(&t, "", 0);
    cr_assert(eq(str, t.p, "1234567"));
    cr_assert(text_keep(&t, &a) == NULL);
    text_free(&t);
    cr_assert(eq(sz, t.max, 8));
}

Test(text, memory_may_be_out)
{
    struct text t = {0};
    mem_fail_at(1);
    text_add(&t, "x");
    mem_fail_at(0);
    cr_assert(t.failed);
    text_free(&t);
}
