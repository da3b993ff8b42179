/* tests/unit/replay/test_imports.c -- times, maps of columns, histograms from outside
 */
#include "engine/replay/source/columns.h"
#include "engine/replay/source/hdr.h"
#include "engine/replay/source/moment.h"
#include "tests/support/check.h"

static int64_t moment(const char *text)
{
    int64_t ms = -1;
    return moment_parse(strview_of(text), &ms) ? ms : -1;
}

Test(moment, takes_numbers_by_their_magnitude_and_iso_8601)
{
    cr_assert(eq(i64, moment("1760000000"), 1760000000000));
    cr_assert(eq(i64, moment("1760000000.123"), 1760000000123));
    cr_assert(eq(i64, moment("1760000000123"), 1760000000123));
    cr_assert(eq(i64, moment("1760000000123999"), 1760000000123));
    cr_assert(eq(i64, moment("1760000000123999999"), 1760000000123));
    cr_assert(eq(i64, moment("1.76e9"), 1760000000000));
    cr_assert(eq(i64, moment("2025-10-09T08:53:20.5Z"), 1760000000500));
    cr_assert(eq(i64, moment("2025-10-09 08:53:20"), 1760000000000), "UTC by default");
    cr_assert(eq(i64, moment("2025-10-09T10:53+02:00"), 1759999980000));
    cr_assert(eq(i64, moment("2025-10-09"), 1759968000000));
}

Test(moment, refuses_the_rest)
{
    const char *const bad[] = {"",      "now",        "12",  "-1760000000",
                               "1e300", "2025-13-01", "NaN", "2025-10-09T25:00Z"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(eq(i64, moment(bad[i]), -1), "%s", bad[i]);
    int64_t ms;
    bool nul = moment_parse((struct strview){"2025-10-09\0", 11}, &ms);
    cr_assert(not(nul));
}

Test(columns, says_which_column_is_which)
{
    struct columns c;
    struct fault f = {0};
    cr_assert(
        eq(int,
           columns_parse("time=at,metric=:errors,attributes.a=b,attributes=*", &c, &f),
           SERIN_OK),
        "%s", f.text);
    cr_assert(eq(sz, c.n, 3));
    cr_assert(c.rest && columns_find(&c, COLUMNS_METRIC)->constant);
    cr_assert(strview_eq(columns_find(&c, COLUMNS_METRIC)->from, strview_of("errors")));
    cr_assert(strview_eq(c.items[2].key, strview_of("a")));
    cr_assert(columns_find(&c, COLUMNS_N) == NULL);
}

Test(columns, names_the_character_of_what_is_wrong)
{
    static const struct {
        const char *map, *where;
    } bad[] = {{"", "character 1:"},
               {"time", "character 1: no '='"},
               {"time=a,when=b", "character 8: no such field"},
               {"time=a,n=", "character 8: an empty column"},
               {"time=a,n=:", "character 8: an empty column"},
               {"n=a,bad=b,n=c", "character 11: a field twice"},
               {"time=a,", "character 8: no '='"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct columns c;
        struct fault f = {0};
        cr_assert(eq(int, columns_parse(bad[i].map, &c, &f), SERIN_EPARSE));
        cr_assert(strstr(f.text, bad[i].where) != NULL, "%s: %s", bad[i].map, f.text);
    }
    char text[COLUMNS_TEXT + 2] = "metric=:";
    struct columns c;
    struct fault f = {0};
    memset(text + 8, 'a', sizeof text - 9);
    cr_assert(eq(int, columns_parse(text, &c, &f), SERIN_EPARSE));
    cr_assert(strstr(f.text, "over 200") != NULL, "%s", f.text);
    text[COLUMNS_TEXT] = '\0';
    cr_assert(eq(int, columns_parse(text, &c, &f), SERIN_OK));
}

/* By PyPI's hdrhistogram: 0 x 3, 1, 2047 x 2, 2048 x 5, 2049 x 7, 1000003 x 11,
 * 3599999999 in [1, 3600000000] with 3 digits; the ranges are its own, too. */
static const char encoded[] =
    "HISTFAAAAC54nJNpmSzMwMDAxwABzFCaEURcm7yEwf4DRICN6ac8i8T+PkaxxXsYmQCwTwiX";

Test(hdr, decodes_what_another_encoder_wrote)
{
    static const struct hdr_bucket want[] = {{0, 0, 3},
                                             {1, 1, 1},
                                             {2047, 2047, 2},
                                             {2048, 2049, 12},
                                             {999936, 1000447, 11},
                                             {3598712832, 3600809983, 1}};
    struct hdr h = {0};
    struct reject why;
    cr_assert(eq(int, hdr_decode(&h, strview_of(encoded), &why), SERIN_OK), "%s",
              why.detail);
    cr_assert(eq(sz, h.n, sizeof want / sizeof *want));
    for (size_t i = 0; i < h.n; i++) {
        cr_assert(eq(u64, h.buckets[i].low, want[i].low), "bucket %zu", i);
        cr_assert(eq(u64, h.buckets[i].high, want[i].high), "bucket %zu", i);
        cr_assert(eq(u64, h.buckets[i].count, want[i].count), "bucket %zu", i);
    }
    hdr_free(&h);
}

Test(hdr, refuses_any_other_bytes_and_any_cut)
{
    struct hdr h = {0};
    struct reject why;
    char text[sizeof encoded];
    size_t n = strlen(encoded), wrong = 0;
    for (size_t i = 0; i < n; i++)
        cr_assert(
            eq(int, hdr_decode(&h, (struct strview){encoded, i}, &why), SERIN_EPARSE),
            "%zu bytes", i);
    for (size_t i = 0; i < n; i++) {
        memcpy(text, encoded, sizeof text);
        text[i] = text[i] == 'A' ? 'B' : 'A';
        if (hdr_decode(&h, strview_of(text), &why) == SERIN_OK) continue;
        cr_assert(why.detail[0] != '\0' && h.n == 0);
        wrong++;
    }
    /* zlib's sum guards all but the length before it and its own flags. */
    cr_assert(ge(sz, wrong, n - 4), "%zu of %zu", wrong, n);
    cr_assert(eq(int, hdr_decode(&h, strview_of("HISTFAAA*"), &why), SERIN_EPARSE));
    cr_assert(strstr(why.detail, "base64") != NULL, "%s", why.detail);
    hdr_free(&h);
}
