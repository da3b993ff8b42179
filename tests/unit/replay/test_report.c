/* tests/unit/replay/test_report.c -- what is told, and what stands in the documents */
#include "engine/replay/report/report.h"

#include "engine/base/mem.h"
#include "engine/replay/report/report_build.h"
#include "engine/replay/report/report_out.h"
#include "engine/replay/report/report_series.h"
#include "tests/support/check.h"

static const int64_t t0 = 1760000000000;

/* A status after `second` seconds of a step: n units a second, 1 of 100 bad. */
static json_t *status(int64_t second, int64_t step, int64_t of_step)
{
    return json_pack(
        "{s:s, s:s, s:s, s:i, s:i, s:I, s:f, s:I, s:b, s:[{s:s, s:s, s:{s:I, s:I}, "
        "s:{s:I, s:I}, s:f, s:f, s:s, s:{s:f, s:f, s:f}, s:{s:f, s:f, s:f, s:f}}]}",
        "schema", "serin.status/1", "rollout", "web", "state", "OBSERVING", "step",
        (int)step, "steps", 3, "weight_bp", (json_int_t)1000, "observed_bp", 990.0,
        "updated_ms", (json_int_t)(t0 + 1000 * second), "final", 0, "metrics", "name",
        "errors", "kind", "ratio", "canary", "n", (json_int_t)(100 * of_step), "bad",
        (json_int_t)of_step, "baseline", "n", (json_int_t)(900 * of_step), "bad",
        (json_int_t)(9 * of_step), "estimate", 1.0, "lower", 0.4, "upper", "inf",
        "abort", "log_e", 0.01 * (double)second, "threshold", 4.6, "over", 1.2,
        "promote", "log_e", 0.02 * (double)second, "threshold", 3.0, "worse_than", 2.0,
        "restart_log_e", 0.01);
}

static json_t *verdict(int64_t second, const char *message)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:I, s:s}", "schema",
                     "serin.verdict/1", "id", "web/1", "rollout", "web", "verdict",
                     "PROMOTE", "reason", "non_inferior", "from_bp", 100, "to_bp", 1000,
                     "t_ms", (json_int_t)(t0 + 1000 * second), "message", message);
}

static void add_status(struct report *r, json_t *j)
{
    cr_assert(eq(int, report_status(r, j), SERIN_OK));
    json_decref(j);
}

static void add_verdict(struct report *r, json_t *j)
{
    cr_assert(eq(int, report_verdict(r, j, false), SERIN_OK));
    json_decref(j);
}

static struct report *told(int64_t seconds)
{
    struct report *r;
    cr_assert(eq(int, report_open(&r, "a test"), SERIN_OK));
    for (int64_t i = 1; i <= seconds; i++) {
        bool second = i > seconds / 2;
        add_status(r, status(i, 1 + second, second ? i - seconds / 2 : i));
    }
    add_verdict(r, verdict(seconds, "<b>good</b> | & fine"));
    return r;
}

static double sum(const double *x, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += x[i];
    return s;
}

Test(report, no_unit_is_lost_however_long_and_coarse)
{
    static const int64_t seconds[] = {3, 1000, 1500, 9001};
    for (size_t k = 0; k < sizeof seconds / sizeof *seconds; k++) {
        struct report *r = told(seconds[k]);
        struct report_page p = {0};
        struct report_series s = report_series(r, &p, 0, 37);
        double last = (double)(t0 + 1000 * seconds[k]);
        cr_assert(le(sz, s.n, 37));
        cr_assert(le(sz, r->n, REPORT_POINTS));
        cr_assert(eq(dbl, s.at[REPORT_T][s.n - 1], last));
        cr_assert(eq(dbl, sum(s.at[REPORT_CANARY_N], s.n), 100.0 * (double)seconds[k]));
        cr_assert(
            eq(dbl, sum(s.at[REPORT_BASELINE_BAD], s.n), 9.0 * (double)seconds[k]));
        for (size_t i = 0; i < s.n; i++)
            cr_assert(epsilon_eq(dbl, s.at[REPORT_CANARY][i], 1.0, 1e-9), "1 %% at %zu",
                      i);
        report_page_free(&p);
        report_close(r);
    }
}

Test(report, the_tolerance_is_of_the_odds_or_of_the_level)
{
    /* Odds of 0.2 are 1/4; twice that is 1/2, a share of 1/3. */
    cr_assert(epsilon_eq(dbl, report_series_tolerance(REPORT_SHARE, 20, 2, false),
                         100 / 3.0, 1e-9));
    cr_assert(epsilon_eq(dbl, report_series_tolerance(REPORT_SHARE, 20, 2, true),
                         100 / 9.0, 1e-9));
    cr_assert(epsilon_eq(dbl, report_series_tolerance(REPORT_VALUE, 80, 1.5, false),
                         120, 1e-9));
    cr_assert(eq(int, report_series_level("events"), REPORT_RATE));
    cr_assert(eq(int, report_series_level("saturation"), REPORT_SHARE));
    cr_assert(eq(int, report_series_level("latency"), REPORT_VALUE));
}

static void has(const struct text *t, const char *what, bool yes)
{
    cr_assert(eq(int, strstr(t->p, what) != NULL, yes), "\"%s\"", what);
}

Test(report, documents_have_the_words_and_no_markup_from_outside)
{
    struct report *r = told(30);
    struct fault f = {0};
    struct text html = {0}, md = {0};
    cr_assert(
        eq(int, report_command(r, t0 + 5000, "hold", "<i>ann</i>", "`x`|"), SERIN_OK));
    cr_assert(eq(int, report_write(r, REPORT_HTML, &html, &f), SERIN_OK));
    cr_assert(eq(int, report_write(r, REPORT_MD, &md, &f), SERIN_OK));
    has(&html, "<h1>web: OBSERVING</h1>", true);
    has(&html, "&lt;b&gt;good&lt;/b&gt; | &amp; fine", true);
    has(&html, "&lt;i&gt;ann&lt;/i&gt;", true);
    has(&html, "<b>", false);
    has(&html, "<i>", false);
    has(&html, "errors: log evidence against its thresholds", true);
    has(&md, "# web: OBSERVING", true);
    has(&md, "&lt;b&gt;good&lt;/b&gt; \\| &amp; fine", true);
    has(&md, "\\`x\\`\\|", true);
    text_free(&html);
    text_free(&md);
    report_close(r);
}

Test(report, only_a_web_address_is_a_link)
{
    static const char *const not [] = {"javascript:alert(1)",
                                       "https://",
                                       "https://a b",
                                       "see https://a.example",
                                       "https://a.example/\"onclick=",
                                       "data:text/html,x",
                                       "http://a\nb",
                                       ""};
    cr_assert(report_page_link("https://a.example/x?y=1&z=%20#top"));
    for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
        cr_assert(not(report_page_link(not [i])), "%s", not [i]);
}

Test(report, the_middle_of_many_verdicts_goes)
{
    struct report *r;
    char message[32];
    cr_assert(eq(int, report_open(&r, "a test"), SERIN_OK));
    for (int i = 0; i < 2 * REPORT_EVENTS; i++) {
        snprintf(message, sizeof message, "number %d", i);
        add_verdict(r, verdict(i, message));
    }
    struct text out = {0};
    struct fault f = {0};
    cr_assert(eq(sz, json_array_size(r->verdicts), REPORT_EVENTS));
    cr_assert(eq(u64, r->left_out, REPORT_EVENTS));
    cr_assert(eq(int, report_write(r, REPORT_HTML, &out, &f), SERIN_OK));
    has(&out, "number 0<", true);
    has(&out, "number 1023<", true);
    has(&out, "number 600<", false);
    has(&out, "824 verdicts and commands in the middle are left out", true);
    text_free(&out);
    report_close(r);
}

Test(report, nothing_told_is_no_report)
{
    struct report *r;
    struct text out = {0};
    struct fault f = {0};
    cr_assert(eq(int, report_open(&r, "a test"), SERIN_OK));
    cr_assert(eq(int, report_write(r, REPORT_HTML, &out, &f), SERIN_EDOM));
    cr_assert(eq(int, report_plots(r, "/nonexistent", &f), SERIN_EDOM));
    cr_assert(eq(sz, out.n, 0));
    report_close(r);
}

Test(report, memory_that_runs_out_is_told)
{
    struct report *r = told(30);
    for (enum report_format format = 0; format < REPORT_NFORMAT; format++) {
        unsigned failed = 0;
        for (uint64_t k = 1;; k += 1 + k / 16) {
            struct text out = {0};
            struct fault f = {0};
            mem_fail_at(k);
            enum serin_status rc = report_write(r, format, &out, &f);
            mem_fail_at(0);
            text_free(&out);
            cr_assert(rc == SERIN_OK || rc == SERIN_ENOMEM, "%d at %d", (int)rc,
                      (int)k);
            failed += rc == SERIN_ENOMEM;
            if (rc == SERIN_OK && k > 4000) break;
        }
        cr_assert(ge(uint, failed, 2), "jansson and cairo have memory of their own");
    }
    report_close(r);
}
