#include "engine/base/doc.h"
#include "engine/base/mem.h"
#include "tests/support/check.h"

static struct arena arena;
static struct doc_errors errors;

/* The text is given without a NUL behind it, so that a sanitizer sees a read too far.
 */
static struct doc_node *parsed(const char *text, int expected)
{
    struct doc_node *root = NULL;
    size_t n = strlen(text);
    char *bare = malloc(n + (n == 0));
    memcpy(bare, text, n);
    arena_free(&arena);
    errors = (struct doc_errors){0};
    int rc = doc_parse(&arena, bare, n, &root, &errors);
    free(bare);
    cr_assert(eq(int, rc, expected), "%s", text);
    return root;
}

static void done(void)
{
    arena_free(&arena);
}

Test(doc, nodes_know_their_place, .fini = done)
{
    struct doc_node *root = parsed("# a comment\n"
                                   "a: 1\n"
                                   "b:\n"
                                   "  - {c: \"2\", d: [x, 'y']}\n"
                                   "  - |\n"
                                   "    long\n"
                                   "\xc3\xa9\xc3\xa9: {k: v}\n",
                                   SERIN_OK);
    cr_assert(eq(int, root->type, DOC_MAP));
    cr_assert(eq(sz, root->n, 3));
    cr_assert(eq(str, (char *)doc_get(root, "a")->text, "1"));
    cr_assert(not(doc_get(root, "a")->quoted));
    const struct doc_node *b = doc_get(root, "b");
    const struct doc_node *d = doc_get(b->items[0], "d");
    cr_assert(eq(int, d->type, DOC_LIST));
    cr_assert(eq(uint, d->line, 4));
    cr_assert(eq(uint, d->column, 17));
    cr_assert(d->items[1]->quoted);
    cr_assert(eq(uint, d->items[1]->column, 21));
    cr_assert(doc_get(b->items[0], "c")->quoted);
    cr_assert(eq(str, (char *)b->items[1]->text, "long\n"));
    cr_assert(eq(uint, doc_get(root->items[2], "k")->column, 9),
              "characters, not bytes");
    cr_assert(doc_get(root, "z") == NULL);
    cr_assert(doc_get(b, "a") == NULL);
    cr_assert(doc_get(NULL, "a") == NULL);
}

Test(doc, refusals, .fini = done)
{
    static const struct {
        const char *text, *says;
        unsigned line, column;
    } cases[] = {
        {"", "the text is empty; a YAML or JSON map was expected", 1, 1},
        {"a: &x 1", "anchors (&x) are not supported; write the value out", 1, 4},
        {"a: *x", "aliases (*x) are not supported; write the value out", 1, 4},
        {"a: &x {b: 1}", "anchors (&x) are not supported; write the value out", 1, 4},
        {"a: !t [1]", "tags (!t) are not supported; leave the tag out", 1, 4},
        {"a: 1\nb: 2\na: 3", "key \"a\" is written twice; the first is in line 1", 3,
         1},
        {"{[1]: 2}",
         "a key must be a plain text, not a list or a map; templates such as {{ x }} "
         "must be filled in before",
         1, 2},
        {"a: [1",
         "a \",\" or \"]\" is missing before this; texts with {, }, [, ] or \",\" need "
         "quotes. The \"[\" it belongs to is in line 1",
         2, 1},
        {"a: b:\n ",
         "a \":\" cannot stand here: the line above may lack its own, this line may be "
         "indented wrongly, or a text with \": \" may lack quotes",
         1, 5},
        {"a: \"x\n  ", "this quote is never closed", 1, 4},
        {"a:\n\tb: 1", "a tab cannot indent YAML; use spaces", 2, 1},
        {"a: 1\n--- \nb: 1",
         "a second document starts here; put one document into a file", 2, 1},
        {"a: \"\\0\"", "a text cannot hold the character \\0", 1, 4},
        {"a: b\x07", "not valid YAML: control characters are not allowed", 1, 5},
        {"\xc3\xa9\nb: \xff", "not valid YAML: invalid leading UTF-8 octet", 2, 4},
        {"a: 1\n\n@b: 1\n", NULL, 3, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        parsed(cases[i].text, SERIN_EPARSE);
        cr_assert(ge(sz, errors.n, 1));
        const struct doc_error *e = &errors.items[0];
        if (cases[i].says != NULL)
            cr_expect(eq(str, (char *)e->text, (char *)cases[i].says));
        cr_expect(eq(uint, e->line, cases[i].line), "line of %s", cases[i].text);
        cr_expect(eq(uint, e->column, cases[i].column), "column of %s", cases[i].text);
    }
}

Test(doc, a_readable_text_with_errors_still_gives_its_tree, .fini = done)
{
    struct doc_node *root = parsed("a: 1\na: 2\nb: *x\n", SERIN_EPARSE);
    cr_assert(root != NULL);
    cr_assert(eq(sz, errors.total, 2));
    cr_assert(eq(str, (char *)doc_get(root, "a")->text, "1"), "the first one is kept");
    cr_assert(doc_error_at(&errors, doc_get(root, "b")));
    cr_assert(not(doc_error_at(&errors, doc_get(root, "a"))));
    cr_assert(parsed("a: [", SERIN_EPARSE) == NULL);
}

Test(doc, limits, .fini = done)
{
    char deep[128] = "";
    memset(deep, '[', DOC_MAX_DEPTH);
    memset(deep + DOC_MAX_DEPTH, ']', DOC_MAX_DEPTH);
    parsed(deep, SERIN_OK);
    memset(deep, '[', DOC_MAX_DEPTH + 1);
    memset(deep + DOC_MAX_DEPTH + 1, ']', DOC_MAX_DEPTH + 1);
    parsed(deep, SERIN_EPARSE);
    cr_assert(eq(uint, errors.items[0].column, DOC_MAX_DEPTH + 1));

    char *big = malloc(DOC_MAX_BYTES + 2);
    memset(big, ' ', DOC_MAX_BYTES + 1);
    big[DOC_MAX_BYTES + 1] = '\0';
    big[0] = 'a';
    parsed(big + 1, SERIN_EPARSE); /* exactly the limit, but only blanks */
    cr_assert(eq(str, errors.items[0].text,
                 "the text is empty; a YAML or JSON map was expected"));
    parsed(big, SERIN_EPARSE);
    cr_assert(eq(str, errors.items[0].text,
                 "the text has 262145 bytes; at most 262144 are read"));

    char *at = big;
    for (int i = 0; i <= DOC_MAX_KEYS; i++)
        at += snprintf(at, 16, "k%d: 1\n", i);
    parsed(big, SERIN_EPARSE);
    cr_assert(eq(str, errors.items[0].text, "a map of more than 1000 keys"));
    free(big);
}

Test(doc, errors_are_sorted_counted_and_capped, .fini = done)
{
    struct doc_node at = {.line = 9, .column = 9};
    arena_free(&arena);
    errors = (struct doc_errors){.arena = &arena};
    for (unsigned i = 0; i < DOC_MAX_ERRORS + 7; i++) {
        at.column = 1000 - i;
        doc_error_add(&errors, &at, "number %u", i);
    }
    cr_assert(eq(sz, errors.n, DOC_MAX_ERRORS));
    cr_assert(eq(sz, errors.total, DOC_MAX_ERRORS + 7));
    for (size_t i = 1; i < errors.n; i++)
        cr_assert(le(uint, errors.items[i - 1].column, errors.items[i].column));
    const char *all = doc_errors_format(&errors, "f", "", 0);
    cr_assert(strstr(all, "f: 7 more errors\n") != NULL);
}

Test(doc, errors_as_people_read_them, .fini = done)
{
    static const char text[] = "ok: 1\r\n\t \xc3\xa9 x: 1\n";
    struct doc_node at = {.line = 2, .column = 5};
    arena_free(&arena);
    errors = (struct doc_errors){.arena = &arena};
    cr_assert(
        eq(str, (char *)doc_errors_format(&errors, "f", text, sizeof text - 1), ""));
    doc_error_add(&errors, &at, "wrong");
    doc_error_add(&errors, NULL, "first");
    const char *all = doc_errors_format(&errors, "dir/f.yaml", text, sizeof text - 1);
    cr_assert(eq(str, (char *)all,
                 "dir/f.yaml:1:1: first\n    ok: 1\n    ^\n"
                 "dir/f.yaml:2:5: wrong\n      \xc3\xa9 x: 1\n        ^\n"));
}

Test(doc, a_long_line_is_cut_around_the_column, .fini = done)
{
    char text[5001];
    memset(text, '.', 5000);
    text[2999] = 'X';
    text[5000] = '\0';
    struct doc_node at = {.line = 1, .column = 3000};
    arena_free(&arena);
    errors = (struct doc_errors){.arena = &arena};
    doc_error_add(&errors, &at, "here");
    char *all = (char *)(uintptr_t)doc_errors_format(&errors, "f", text, 5000);
    char *line = strchr(all, '\n') + 1, *caret = strchr(line, '\n') + 1;
    cr_assert(lt(sz, strlen(all), 300));
    cr_assert(eq(sz, (size_t)(strchr(line, 'X') - line),
                 (size_t)(strchr(caret, '^') - caret)));
}

Test(doc, a_cut_message_ends_with_a_whole_character, .fini = done)
{
    char name[400];
    for (size_t i = 0; i + 2 < sizeof name; i += 2)
        memcpy(name + i, "\xc3\xa9", 3);
    arena_free(&arena);
    errors = (struct doc_errors){.arena = &arena};
    for (int shift = 0; shift < 2; shift++) {
        doc_error_add(&errors, NULL, "%s%s", shift != 0 ? "." : "", name);
        const char *t = errors.items[shift].text;
        size_t n = strlen(t);
        cr_assert(gt(sz, n, 230));
        cr_assert(eq(int, (unsigned char)t[n - 1], 0xa9));
    }
}

Test(doc, every_allocation_may_fail, .fini = done)
{
    static const char text[] = "a: [1, 2, {b: c}]\nd: {e: f}\nd: 1\n";
    int rc = SERIN_ENOMEM;
    for (uint64_t k = 1; rc == SERIN_ENOMEM; k++) {
        struct doc_node *root;
        arena_free(&arena);
        errors = (struct doc_errors){0};
        mem_fail_at(k);
        rc = doc_parse(&arena, text, strlen(text), &root, &errors);
        mem_fail_at(0);
        if (rc == SERIN_ENOMEM) cr_assert(root == NULL);
        cr_assert(lt(uint, (unsigned)k, 50));
    }
    cr_assert(eq(int, rc, SERIN_EPARSE), "the repeated key");
}

Test(doc, a_byte_order_mark_is_no_part_of_the_text, .fini = done)
{
    struct doc_node *root = parsed("\xef\xbb\xbf"
                                   "a: 1\n",
                                   SERIN_OK);
    cr_assert(root != NULL);
    cr_assert(eq(str, (char *)root->keys[0]->text, "a"));
    cr_expect(eq(uint, root->keys[0]->column, 1));
}
