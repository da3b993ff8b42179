/* Conditions: what is read, what holds, and what is said about the rest. */
#include "engine/base/condition.h"
#include "tests/support/check.h"

static bool get_any(const void *ctx, struct strview key, struct strview *value)
{
    (void)key;
    *value = strview_of(ctx);
    return true;
}

Test(condition, is_read_and_holds)
{
    static const struct {
        const char *text, *value;
        bool holds;
    } cases[] = {{"status >= 500", "503", true},
                 {"status>=504", "503", false},
                 {"status < 1e3", "503", true},
                 {"status <= 503", "503", true},
                 {"status > 503", "503", false},
                 {"status = 503.0", "503", true},
                 {"status == \"503\"", "503", true},
                 {"status != 503", "503", false},
                 {"service != 'cart'", "shop", true},
                 {"service >= 5", "shop", false},
                 {"status in [500, 503]", "503", true},
                 {"status in [500]", "503", false},
                 {"service in ['shop']", "shop", true},
                 {"service in['a b', shop]", "a b", true},
                 {"\toutcome = 'not found' ", "not found", true},
                 {"outcome = ''", "", true},
                 {"outcome = '=>'", "=>", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct condition c;
        struct fault f = {0};
        int rc = condition_parse(strview_of(cases[i].text), &c, &f);
        cr_assert(eq(int, rc, SERIN_OK), "%s: %s", cases[i].text, f.text);
        cr_expect(condition_holds(&c, get_any, cases[i].value) == cases[i].holds, "%s",
                  cases[i].text);
    }
}

Test(condition, says_what_is_wrong_and_leaves_the_rest_alone)
{
    static const char *const cases[][2] = {
        {"status", "no operator follows the attribute's name"},
        {"", "it is empty"},
        {"  ", "it is empty"},
        {"= 5", "the attribute's name is missing"},
        {"status >=", "a value is missing"},
        {"status => 500", "no such operator"},
        {"status <> 500", "no such operator"},
        {"status =! 500", "no such operator"},
        {"status === 500", "no such operator"},
        {"status ! 500", "no such operator"},
        {"status like 5", "no such operator"},
        {"status >= 5xx", "< <= > >= need a number"},
        {"status >= 500 and", "the attribute's name is missing"},
        {"and status >= 500", "no such operator"},
        {"status >= 500 xor a = 1", "terms are joined by and, or"},
        {"not", "the attribute's name is missing"},
        {"(status >= 500", "a parenthesis is not closed"},
        {"status >= 500)", "was not opened"},
        {"((((((((a = 1))))))))", "nests too deep"},
        {"a=1 or a=1 or a=1 or a=1 or a=1 or a=1 or a=1 or a=1 or a=1",
         "more than 8 terms"},
        {"a in [1 2]", "a value with spaces needs quotes"},
        {"outcome = not found", "a value with spaces needs quotes"},
        {"outcome = 'lost", "a quote is not closed"},
        {"outcome = '", "a quote is not closed"},
        {"status = [500, 503]", "a list needs the operator in"},
        {"status in 5", "in needs a list"},
        {"status in", "no such operator"},
        {"status in [500, 503", "the list is not closed"},
        {"status in [5,]", "a value is missing"},
        {"status in []", "a value is missing"},
        {"status in "
         "[1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3]",
         "more than 32 values"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct condition c = {.n_terms = 77};
        struct fault f = {0};
        int rc = condition_parse(strview_of(cases[i][0]), &c, &f);
        cr_expect(eq(int, rc, SERIN_EPARSE), "%s", cases[i][0]);
        cr_expect(strstr(f.text, cases[i][1]) != NULL, "%s: %s", cases[i][0], f.text);
        cr_expect(eq(sz, c.n_terms, 77));
    }
}

/* Attributes a, b, c are "1" where their bit is set in *ctx; d is never there. */
static bool get_bits(const void *ctx, struct strview key, struct strview *value)
{
    unsigned bits = *(const unsigned *)ctx;
    if (*key.p == 'd') return false;
    *value = strview_of((bits >> (*key.p - 'a') & 1) != 0 ? "1" : "0");
    return true;
}

Test(condition, joins_bind_not_then_and_then_or)
{
    static const struct {
        const char *text;
        unsigned table; /* bit i: holds for the bits i */
    } cases[] = {{.text = "a=1 or b=1 and c=1", .table = 0xea},
                 {.text = "(a=1 or b=1) and c=1", .table = 0xe0},
                 {.text = "not a=1 and b=1", .table = 0x44},
                 {.text = "not (a=1 and b=1)", .table = 0x77},
                 {.text = "not not a in [1]", .table = 0xaa},
                 {.text = "a=1 and not(b=1 or c=1)", .table = 0x02},
                 {.text = "d=1 or a=1", .table = 0xaa},
                 {.text = "d!=1", .table = 0x00},
                 {.text = "not d=1", .table = 0xff}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct condition c;
        struct fault f = {0};
        int rc = condition_parse(strview_of(cases[i].text), &c, &f);
        cr_assert(eq(int, rc, SERIN_OK), "%s: %s", cases[i].text, f.text);
        for (unsigned bits = 0; bits < 8; bits++)
            cr_expect(condition_holds(&c, get_bits, &bits) ==
                          (cases[i].table >> bits & 1),
                      "%s for %u", cases[i].text, bits);
    }
}
