/* Conditions: what is read, what holds, and what is said about the rest. */
#include "engine/base/condition.h"
#include "tests/support/check.h"

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
        cr_expect(condition_holds(&c, strview_of(cases[i].value)) == cases[i].holds,
                  "%s", cases[i].text);
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
        {"status >= 500 and status < 600", "conditions cannot be joined"},
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
        struct condition c = {.n = 77};
        struct fault f = {0};
        int rc = condition_parse(strview_of(cases[i][0]), &c, &f);
        cr_expect(eq(int, rc, SERIN_EPARSE), "%s", cases[i][0]);
        cr_expect(strstr(f.text, cases[i][1]) != NULL, "%s: %s", cases[i][0], f.text);
        cr_expect(eq(sz, c.n, 77));
    }
}
