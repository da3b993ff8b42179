#include "engine/base/strview.h"
#include "tests/support/check.h"

Test(strview, durations)
{
    const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"200ms", 200}, {"1s", 1000}, {"1.5h", 5400000}, {"0s", 0}, {"2d", 172800000}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t ms = -7;
        cr_assert(strview_duration_ms(strview_of(good[i].text), &ms), "%s",
                  good[i].text);
        cr_assert(eq(i64, ms, good[i].ms));
    }
    const char *bad[] = {"",       "s",     "10",   "-1s",   "1 s",
                         "1e400d", "nan s", "1sec", "4000d", "0x1s"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ms = -7;
        cr_assert(not(strview_duration_ms(strview_of(bad[i]), &ms)), "%s", bad[i]);
        cr_assert(eq(i64, ms, -7));
    }
}

Test(strview, distance)
{
    cr_assert(eq(
        uint, strview_distance(strview_of("worse_then"), strview_of("worse_than")), 1));
    cr_assert(eq(uint, strview_distance(strview_of(""), strview_of("abc")), 3));
    cr_assert(
        eq(uint, strview_distance(strview_of("kitten"), strview_of("sitting")), 3));
}
