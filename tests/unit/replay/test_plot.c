/* tests/unit/replay/test_plot.c -- scales, escaping, SVG */
#include "engine/replay/report/plot.h"

#include "engine/replay/report/plot_scale.h"
#include "tests/support/check.h"

static void ticks_are(bool log, double low, double high, size_t want,
                      const double *expected, size_t n)
{
    double out[PLOT_TICKS];
    struct plot_scale s = {low, high, 0, 100, log};
    size_t got = plot_scale_ticks(&s, want, out);
    cr_assert(eq(sz, got, n), "%g to %g", low, high);
    for (size_t i = 0; i < n; i++)
        cr_assert(epsilon_eq(dbl, out[i], expected[i], 1e-12 * fabs(expected[i])));
}

Test(plot, ticks_are_round)
{
    ticks_are(false, 0, 0.37, 4, (double[]){0, 0.1, 0.2, 0.3}, 4);
    ticks_are(false, -3.1, 8.2, 5, (double[]){0, 5}, 2);
    ticks_are(true, 0.13, 7, 6, (double[]){0.2, 0.5, 1, 2, 5}, 5);
    ticks_are(true, 0.9, 1.31, 4, (double[]){1, 1.2}, 2); /* not a decade: as linear */
    ticks_are(true, 1e-9, 1e9, 5, (double[]){1e-9, 1e-5, 1e-1, 1e3, 1e7}, 5);
}

Test(plot, times_are_round_and_few)
{
    double out[PLOT_TICKS];
    struct plot_scale s = {1.76e12 + 1234, 1.76e12 + 601234, 0, 1, false};
    size_t n = plot_scale_times(&s, 7, out);
    cr_assert(eq(sz, n, 5));
    for (size_t i = 0; i < n; i++)
        cr_assert(eq(dbl, fmod(out[i], 120000), 0.0));
    for (double span = 1; span < 1e12; span *= 3.7) {
        s.high = s.low + span;
        cr_assert(le(sz, plot_scale_times(&s, 7, out), PLOT_TICKS));
    }
}

Test(plot, a_scale_keeps_to_its_ends)
{
    struct plot_range r = {.log = true};
    plot_scale_add(&r, 0); /* no place on a logarithmic axis */
    plot_scale_add(&r, -2);
    plot_scale_add(&r, INFINITY);
    plot_scale_add(&r, NAN);
    cr_assert(not(r.any));
    struct plot_scale s = plot_scale_of(&r, 200, 10);
    cr_assert(epsilon_eq(dbl, plot_scale_place(&s, 1), 105.0, 1e-9));
    cr_assert(eq(dbl, plot_scale_place(&s, 0), 200.0));
    cr_assert(eq(dbl, plot_scale_place(&s, INFINITY), 10.0));
    cr_assert(isnan(plot_scale_place(&s, NAN)));
    plot_scale_add(&r, 3.7);
    s = plot_scale_of(&r, 0, 1);
    cr_assert(s.low < 3.7 && s.high > 3.7, "one value has room around it");
}

Test(plot, time_of_day_or_date)
{
    char out[32];
    plot_time(1760000000000, 600e3, out);
    cr_assert(eq(str, out, "08:53:20"));
    plot_time(1760000000000, 9e7, out);
    cr_assert(eq(str, out, "09 Oct 08:53"));
}

static void escapes(const char *in, const char *expected)
{
    struct text out = {0};
    plot_canvas_escape(&out, in);
    cr_assert(eq(str, out.p, (char *)expected));
    text_free(&out);
}

Test(plot, nothing_stays_markup)
{
    escapes("<a href=\"x\">&'</a>", "&lt;a href=&quot;x&quot;&gt;&amp;&#39;&lt;/a&gt;");
    escapes("a\x01\x1b[31m\x7f\tb\nc", "a  [31m  b\nc");
    escapes("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
            "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    /* A lone byte, overlong, a surrogate, no character of XML, cut off. */
    escapes("1\xff"
            "2\xc0\xbc"
            "3\xed\xa0\x80"
            "4\xef\xbf\xbf"
            "5\xe2\x82",
            "12345");
}

static const double t[] = {0, 1000, 2000, 3000}, y[] = {1, NAN, 3, 2};
static const double lower[] = {0, 0.5, 1, 1.5}, upper[] = {INFINITY, 8, 6, 4};

static struct plot example(void)
{
    return (struct plot){
        .title = "a <title>",
        .description = "what is \"seen\"",
        .unit = "%",
        .log = true,
        .to_ms = 3000,
        .series = {{"canary", PLOT_CANARY, 0, false, t, y, lower, upper, 4}},
        .n_series = 1,
        .rules = {{1, "none", PLOT_INK}},
        .n_rules = 1,
    };
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (; (text = strstr(text, what)) != NULL; text += strlen(what))
        n++;
    return n;
}

Test(plot, an_svg_has_roles_for_colours_and_no_ids_but_its_own)
{
    struct text out = {0};
    struct plot p = example();
    cr_assert(eq(int, plot_svg(&p, "p-7", &out), SERIN_OK));
    cr_assert(
        not(zero(ptr, strstr(out.p, "<title id=\"p-7-t\">a &lt;title&gt;</title>"))));
    cr_assert(not(zero(ptr, strstr(out.p, "what is &quot;seen&quot;</desc>"))));
    cr_assert(eq(sz, count(out.p, " id="), 2));
    cr_assert(zero(ptr, strstr(out.p, "rgb(")));
    cr_assert(zero(ptr, strstr(out.p, "href")));
    cr_assert(zero(ptr, strstr(out.p, "nan")));
    /* The line and its key; the band, filled. */
    cr_assert(eq(sz, count(out.p, "stroke:var(--canary)"), 2));
    cr_assert(eq(sz, count(out.p, "fill:var(--canary)"), 1));
    cr_assert(ge(sz, count(out.p, "stroke:var(--ink)"), 1));
    cr_assert(not(zero(ptr, strstr(out.p, ">canary</text>"))));
    text_free(&out);
}

Test(plot, a_gap_stays_a_gap)
{
    struct text with = {0}, without = {0};
    struct plot p = example();
    p.series[0].lower = p.series[0].upper = NULL;
    cr_assert(eq(int, plot_svg(&p, "p", &with), SERIN_OK));
    p.series[0].y = lower + 1; /* any that has no NaN */
    p.series[0].n = 3;
    cr_assert(eq(int, plot_svg(&p, "p", &without), SERIN_OK));
    const char *line = strstr(with.p, "stroke-width:1.6");
    cr_assert(not(zero(ptr, (void *)(uintptr_t)line)));
    size_t end = (size_t)(strstr(line, "/>") - line);
    char path[600] = "";
    memcpy(path, line, end < 599 ? end : 599);
    cr_assert(eq(sz, count(path, "M "), 2), "two pieces: %s", path);
    line = strstr(without.p, "stroke-width:1.6");
    memset(path, 0, sizeof path);
    memcpy(path, line, (size_t)(strstr(line, "/>") - line));
    cr_assert(eq(sz, count(path, "M "), 1));
    text_free(&with);
    text_free(&without);
}

Test(plot, rows_that_are_absent_are_not_drawn)
{
    static const char *const names[] = {"one", "two", "three", "four"};
    struct text out = {0};
    struct plot p = example();
    p.rows = names;
    p.n_rows = 4;
    cr_assert(plot_any(&p));
    cr_assert(eq(int, plot_svg(&p, "p", &out), SERIN_OK));
    cr_assert(eq(sz, count(out.p, "fill:var(--canary)"), 3), "a diamond a value");
    cr_assert(eq(sz, count(out.p, "</text>"), 4 + 2 + count(out.p, " %</text>")));
    p.series[0].n = 0;
    cr_assert(not(plot_any(&p)));
    text_free(&out);
}

Test(plot, a_png_that_cannot_be_written_is_said)
{
    struct fault f = {0};
    struct plot p = example();
    struct plot_picture picture = plot_picture(&p);
    cr_assert(eq(int, plot_canvas_png(&picture, "/nonexistent/a.png", &f), SERIN_EIO));
    cr_assert(not(zero(ptr, strstr(f.text, "/nonexistent/a.png"))));
}
