#include "engine/base/keys.h"
#include "engine/base/keys_value.h"
#include "tests/support/check.h"

static const char *const colours[] = {"red", "green", "blue", NULL};

/* Read one value; NULL when it was taken, else the reason. */
static const char *reason(const struct keys_key *k, const char *text, bool quoted,
                          void *at)
{
    static char why[KEYS_WHY];
    return keys_value_read(k, text, quoted, at, why) ? NULL : why;
}

Test(keys_value, numbers)
{
    static const struct {
        enum keys_type type;
        const char *text;
        double value;
    } good[] = {{KEYS_NUMBER, "1.5", 1.5},  {KEYS_NUMBER, "-2e3", -2000},
                {KEYS_NUMBER, "+.25", .25}, {KEYS_SHARE, "0.05", 0.05},
                {KEYS_SHARE, "5%", 0.05},   {KEYS_SHARE, "0.05%", 0.0005},
                {KEYS_ODDS, "1.2", 1.2},    {KEYS_ODDS, "5%", 1.05},
                {KEYS_ODDS, "-20%", 0.8}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const struct keys_key k = {.type = good[i].type, .min = -1e6, .max = 1e6};
        double v = 7;
        cr_assert(reason(&k, good[i].text, false, &v) == NULL, "%s", good[i].text);
        cr_assert(epsilon_eq(dbl, v, good[i].value, 1e-15));
    }
    const char *bad[] = {"",      "x",   "1x", "0x1", "nan",   "inf", ".inf",
                         "1e999", "1,5", "%",  "5 %", "1.2.3", "--1", "1_000"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (int type = KEYS_NUMBER; type <= KEYS_ODDS; type++) {
            const struct keys_key k = {
                .type = (enum keys_type)type, .min = -9, .max = 1e9};
            double v = 7;
            cr_assert(reason(&k, bad[i], false, &v) != NULL, "%s as %d", bad[i], type);
            cr_assert(eq(dbl, v, 7), "untouched");
        }
    const struct keys_key plain = {.type = KEYS_NUMBER, .min = 0, .max = 9};
    double v = 7;
    cr_assert(reason(&plain, "5", true, &v) != NULL, "quotes make a text");
    cr_assert(reason(&plain, "5%", false, &v) != NULL, "a number has no percentage");
    cr_assert(reason(&plain, "9.0001", false, &v) != NULL);
    cr_assert(reason(&plain, "-0.1", false, &v) != NULL);
    cr_assert(reason(&plain, "9", false, &v) == NULL);
}

Test(keys_value, counts_weights_sizes)
{
    const struct keys_key count = {.type = KEYS_COUNT, .min = 1, .max = 1e18};
    const struct keys_key weight = {.type = KEYS_WEIGHT, .min = 1, .max = 10000};
    const struct keys_key bytes = {.type = KEYS_BYTES, .min = 1, .max = 1e12};
    uint64_t n = 3;
    uint32_t bp = 3;
    cr_assert(reason(&count, "123456789012345678", false, &n) == NULL);
    cr_assert(eq(u64, n, UINT64_C(123456789012345678)));
    const char *no_count[] = {"",
                              "-1",
                              "1.0",
                              "1e3",
                              "0",
                              "99999999999999999999",
                              "999999999999999999999999"};
    for (size_t i = 0; i < sizeof no_count / sizeof *no_count; i++)
        cr_assert(reason(&count, no_count[i], false, &n) != NULL, "%s", no_count[i]);
    cr_assert(reason(&weight, "0.29%", false, &bp) == NULL);
    cr_assert(eq(u32, bp, 29), "0.29 * 100 is 28.999999999999996");
    const char *no_weight[] = {"5", "0%", "0.005%", "100.01%", "0.125%", "%", "-1%"};
    for (size_t i = 0; i < sizeof no_weight / sizeof *no_weight; i++)
        cr_assert(reason(&weight, no_weight[i], false, &bp) != NULL, "%s",
                  no_weight[i]);
    cr_assert(reason(&bytes, "4MiB", false, &n) == NULL);
    cr_assert(eq(u64, n, 4194304));
    cr_assert(reason(&bytes, "65536", false, &n) == NULL);
    const char *no_bytes[] = {"4MB", "MiB", "1.5KiB", "4 MiB", "-1", "9999GiB"};
    for (size_t i = 0; i < sizeof no_bytes / sizeof *no_bytes; i++)
        cr_assert(reason(&bytes, no_bytes[i], false, &n) != NULL, "%s", no_bytes[i]);
}

Test(keys_value, times)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"1970-01-01", 0},
                {"2000-02-29T12:30Z", INT64_C(951827400000)},
                {"2026-12-01T09:00:00+05:30", INT64_C(1796095800000)},
                {"2026-12-01t09:00:00.25z", INT64_C(1796115600250)},
                {"2026-12-01 09:00:00.123456789-00:30", INT64_C(1796117400123)},
                {"9999-12-31", INT64_C(253402214400000)}};
    const struct keys_key k = {.type = KEYS_TIME};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t ms = -7;
        cr_assert(reason(&k, good[i].text, false, &ms) == NULL, "%s", good[i].text);
        cr_assert(eq(i64, ms, good[i].ms), "%s", good[i].text);
    }
    const char *bad[] = {"",
                         "2026",
                         "2026-1-1",
                         "2026-13-01",
                         "2026-00-10",
                         "2026-02-29",
                         "1900-02-29",
                         "2026-04-31",
                         "2026-12-01T",
                         "2026-12-01T9Z",
                         "2026-12-01T09:00",
                         "2026-12-01T24:00Z",
                         "2026-12-01T09:60Z",
                         "2026-12-01T09:00:60Z",
                         "2026-12-01T09:00:00.Z",
                         "2026-12-01T09:00Zx",
                         "2026-12-01x",
                         "1969-12-31",
                         "2026-12-01T09:00+5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ms = -7;
        cr_assert(reason(&k, bad[i], false, &ms) != NULL, "%s", bad[i]);
        cr_assert(eq(i64, ms, -7));
    }
}

Test(keys_value, words_and_durations)
{
    const struct keys_key word = {
        .type = KEYS_DURATION, .min = 1000, .max = 60000, .word = "auto"};
    const struct keys_key plain = {.type = KEYS_DURATION, .min = 0, .max = 60000};
    const struct keys_key colour = {.type = KEYS_ENUM, .choices = colours};
    const struct keys_key yes = {.type = KEYS_BOOL};
    int64_t ms = 7;
    int c = 7;
    bool b = false;
    cr_assert(reason(&word, "auto", false, &ms) == NULL);
    cr_assert(eq(i64, ms, 0), "the word stands for 0");
    cr_assert(reason(&plain, "auto", false, &ms) != NULL);
    cr_assert(reason(&word, "0s", false, &ms) != NULL, "the number 0 does not");
    cr_assert(eq(str, (char *)(uintptr_t)reason(&word, "90s", false, &ms),
                 "90s is above the maximum of 1m"));
    cr_assert(reason(&colour, "blue", false, &c) == NULL);
    cr_assert(eq(int, c, 2));
    cr_assert(eq(str, (char *)(uintptr_t)reason(&colour, "gren", false, &c),
                 "\"gren\" is none of red, green, blue; did you mean \"green\"?"));
    cr_assert(reason(&yes, "true", false, &b) == NULL && b);
    cr_assert(reason(&yes, "false", false, &b) == NULL && !b);
    cr_assert(reason(&yes, "true", true, &b) != NULL);
    cr_assert(reason(&yes, "True", false, &b) != NULL);
}

Test(keys_value, names)
{
    const struct keys_key id = {.type = KEYS_ID};
    const struct keys_key text = {.type = KEYS_TEXT, .min = 2, .max = 4};
    const char *at = NULL;
    char name[131];
    memset(name, 'a', 130);
    name[130] = '\0';
    cr_assert(reason(&id, "checkout-2.4.0_x", false, &at) == NULL);
    cr_assert(reason(&id, name + 2, false, &at) == NULL);
    const char *bad[] = {"", "-a", ".a", "A", "a b", "a/b", "\xc3\xa9", name + 1};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(reason(&id, bad[i], false, &at) != NULL, "%s", bad[i]);
    cr_assert(reason(&text, "a", false, &at) != NULL);
    cr_assert(reason(&text, "abcde", false, &at) != NULL);
    cr_assert(reason(&text, "abcd", false, &at) == NULL);
}

/* ---- a table with one of each shape */
struct item {
    const char *name;
    uint64_t size;
};
struct thing {
    const char **tags, **pairs, *one;
    size_t n_tags, n_pairs, n_items, n_named;
    double inner;
    struct item *items, *named;
    const struct doc_node *any;
};
#define AT(f) offsetof(struct thing, f)
static const struct keys_key item_keys[] = {KEYS_KEY(
    "size", KEYS_COUNT, offsetof(struct item, size), "3", 0, 9, NULL, "its size")};
static const struct keys_table item_table = {item_keys, 1, sizeof(struct item)};
static const struct keys_key inner_keys[] = {
    KEYS_KEY("x", KEYS_NUMBER, AT(inner), "0.5", 0, 1, NULL, "a number")};
static const struct keys_table inner_table = {inner_keys, 1, sizeof(struct thing)};
static const struct keys_key thing_keys[] = {
    KEYS_KEY("tags", KEYS_TEXTS, AT(tags), NULL, 1, 3, NULL, "tags",
             .count_at = AT(n_tags), .required = true),
    KEYS_KEY("pairs", KEYS_PAIRS, AT(pairs), NULL, 1, 3, NULL, "pairs",
             .count_at = AT(n_pairs)),
    KEYS_KEY("inner", KEYS_SECTION, 0, NULL, 0, 0, NULL, "a section",
             .sub = &inner_table),
    KEYS_KEY("items", KEYS_LIST, AT(items), NULL, 0, 3, NULL, "items",
             .count_at = AT(n_items), .sub = &item_table),
    KEYS_KEY("named", KEYS_TABLE, AT(named), NULL, 0, 3, NULL, "by name",
             .count_at = AT(n_named), .sub = &item_table,
             .name_at = offsetof(struct item, name)),
    KEYS_KEY("either", KEYS_TEXT, AT(one), NULL, 1, 9, NULL, "a text"),
    KEYS_KEY("either", KEYS_SECTION, 0, NULL, 0, 0, NULL, "or a section",
             .sub = &inner_table),
    KEYS_KEY("any", KEYS_ANY, AT(any), NULL, 0, 0, NULL, "anything"),
};
static const struct keys_table thing_table = {thing_keys, 8, sizeof(struct thing)};

static size_t read_thing(struct arena *a, const char *text, struct thing *out,
                         struct doc_errors *errors)
{
    struct doc_node *root;
    *out = (struct thing){0};
    *errors = (struct doc_errors){0};
    cr_assert(eq(int, doc_parse(a, text, strlen(text), &root, errors), SERIN_OK));
    cr_assert(eq(int, keys_read(a, &thing_table, root, out, errors), SERIN_OK));
    return errors->total;
}

Test(keys, every_shape)
{
    struct arena a = {0};
    struct doc_errors e;
    struct thing t;
    cr_assert(eq(sz, read_thing(&a, "tags: one\n", &t, &e), 0));
    cr_assert(eq(sz, t.n_tags, 1), "one text is a list of one");
    cr_assert(eq(dbl, t.inner, 0.5), "a section that is absent has defaults");
    cr_assert(eq(sz,
                 read_thing(&a,
                            "tags: [a, b]\npairs: {k.x: 1, l: \"2\"}\ninner: {x: 1}\n"
                            "items: [{size: 1}, {}]\nnamed: {n-1: {size: 2}}\n"
                            "either: {x: 0}\nany: [1]\n",
                            &t, &e),
                 0));
    cr_assert(eq(sz, t.n_pairs, 2));
    cr_assert(eq(str, (char *)t.pairs[2], "l"));
    cr_assert(eq(str, (char *)t.pairs[3], "2"));
    cr_assert(eq(sz, t.n_items, 2));
    cr_assert(eq(u64, t.items[0].size, 1));
    cr_assert(eq(u64, t.items[1].size, 3));
    cr_assert(eq(str, (char *)t.named[0].name, "n-1"));
    cr_assert(eq(dbl, t.inner, 0), "the alternative that fits what is written");
    cr_assert(eq(int, t.any->type, DOC_LIST));
    cr_assert(eq(sz, read_thing(&a, "tags: a\neither: txt", &t, &e), 0));
    cr_assert(eq(str, (char *)t.one, "txt"));
    arena_free(&a);
}

Test(keys, what_is_wrong_with_shapes)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"{}", "\"tags\" is missing: tags"},
        {"[1]", "the document: found a list where a map is expected"},
        {"tags: ", "tags: found nothing where a list of texts is expected"},
        {"tags: ~", "tags: found nothing where a list of texts is expected"},
        {"tags: {a: b}", "tags: found a map where a list of texts is expected"},
        {"tags: []", "tags: 0 given; 1 to 3 are expected"},
        {"tags: [a, b, c, d]", "tags: 4 given; 1 to 3 are expected"},
        {"tags: [a, [b]]", "tags: found a list where a text is expected"},
        {"tags: [\"\"]", "tags: 0 bytes long; 1 to 1024 are expected"},
        {"tags: a\npairs: [a]",
         "pairs: found a list where a map of names to values is expected"},
        {"tags: a\ninner: 1", "inner: found a single value where a map is expected"},
        {"tags: a\nitems: {a: b}",
         "items: found a map where a list of maps, each behind a \"- \", is expected"},
        {"tags: a\nitems: [{sice: 1}]", "unknown key \"sice\"; did you mean \"size\"?"},
        {"tags: a\nnamed: {x: {zzzzzz: 1}}",
         "unknown key \"zzzzzz\"; known here: size"},
        {"tags: a\nnamed: [a]",
         "named: found a list where a map of names to maps is expected"},
        {"tags: a\neither: [a]", "either: found a list where a text is expected"},
        {"tags: a\ninner: {x: 2}", "x: 2 is above the maximum of 1"},
    };
    struct arena a = {0};
    struct doc_errors e;
    struct thing t;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect(eq(sz, read_thing(&a, cases[i].text, &t, &e), 1), "%s",
                  cases[i].text);
        cr_expect(eq(str, e.items[0].text, (char *)(uintptr_t)cases[i].says));
    }
    arena_free(&a);
}

Test(keys, a_bad_item_keeps_its_place_and_a_bad_value_its_default)
{
    struct arena a = {0};
    struct doc_errors e;
    struct thing t;
    cr_assert(
        eq(sz,
           read_thing(&a, "tags: a\nitems: [{size: 77}, 5, {size: 2}]\ninner: {x: -1}",
                      &t, &e),
           3));
    cr_assert(eq(sz, t.n_items, 3));
    cr_assert(eq(u64, t.items[0].size, 3));
    cr_assert(eq(u64, t.items[1].size, 3));
    cr_assert(eq(u64, t.items[2].size, 2));
    cr_assert(eq(dbl, t.inner, 0.5));
    arena_free(&a);
}

Test(keys, hints)
{
    char hint[KEYS_HINT];
    cr_assert(eq(str, (char *)(uintptr_t)keys_hint("geen", colours, hint),
                 "; did you mean \"green\"?"));
    cr_assert(eq(str, (char *)(uintptr_t)keys_hint("ed", colours, hint),
                 "; did you mean \"red\"?"));
    cr_assert(eq(str, (char *)(uintptr_t)keys_hint("yellow", colours, hint), ""));
    cr_assert(eq(str, (char *)(uintptr_t)keys_hint("", colours, hint), ""));
}
