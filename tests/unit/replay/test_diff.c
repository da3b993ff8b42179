/* Two texts compared. */
#include "engine/replay/tune/diff.h"

#include "tests/support/check.h"

static void expect(const char *from, const char *to, const char *want)
{
    struct arena a = {0};
    const char *out = NULL;
    cr_assert(eq(int, diff_unified(&a, "a", "b", from, to, &out), SERIN_OK));
    cr_assert(eq(str, (char *)out, (char *)want));
    arena_free(&a);
}

Test(diff, equal_texts_have_none)
{
    expect("a\nb\n", "a\nb\n", "");
    expect("", "", "");
}

Test(diff, changed_added_and_removed_lines)
{
    expect("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n",
           "--- a\n+++ b\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
    expect("1\n2\n", "1\nnew\n2\n", "--- a\n+++ b\n@@ -1,2 +1,3 @@\n 1\n+new\n 2\n");
    expect("1\n2\n3\n", "1\n3\n", "--- a\n+++ b\n@@ -1,3 +1,2 @@\n 1\n-2\n 3\n");
    expect("", "x\n", "--- a\n+++ b\n@@ -0,0 +1,1 @@\n+x\n");
}

Test(diff, changes_far_apart_are_two_hunks)
{
    expect("a\n2\n3\n4\n5\n6\n7\n8\n9\nb\n", "A\n2\n3\n4\n5\n6\n7\n8\n9\nB\n",
           "--- a\n+++ b\n@@ -1,4 +1,4 @@\n-a\n+A\n 2\n 3\n 4\n"
           "@@ -7,4 +7,4 @@\n 7\n 8\n 9\n-b\n+B\n");
}

Test(diff, a_last_line_without_its_end_is_said)
{
    expect("a", "b",
           "--- a\n+++ b\n@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n"
           "+b\n\\ No newline at end of file\n");
}
