/* engine/replay/report/report_build.c */
#include "engine/replay/report/report_build.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/replay/report/report_series.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define ROW(page, ...) report_page_row(page, (const char *const[]){__VA_ARGS__})

const char *report_build_time(struct report_page *p, int64_t ms)
{
    char out[40];
    time_t s = (time_t)(ms / 1000);
    struct tm utc = {0};
    if (ms <= 0) return "-";
    gmtime_r(&s, &utc);
    strftime(out, sizeof out, "%Y-%m-%d %H:%M:%S UTC", &utc);
    return report_page_text(p, "%s", out);
}

const char *report_build_number(struct report_page *p, double x)
{
    if (isnan(x)) return "-";
    if (isinf(x)) return "no limit";
    if (fabs(x) < 1e-12) x = 0; /* what rounding left over */
    return report_page_text(p, "%.4g", x);
}

static const char *percent(struct report_page *p, double bp)
{
    return bp >= 0 ? report_page_text(p, "%.4g %%", bp / 100) : "-";
}

static const json_t *last(const struct report *r)
{
    size_t n = json_array_size(r->verdicts);
    return n > 0 ? json_array_get(r->verdicts, n - 1) : NULL;
}

void report_build_span(const struct report *r, struct plot *plot)
{
    const json_t *v = json_array_get(r->verdicts, 0), *z = last(r);
    double from = r->n > 0 ? (double)r->points[0].t_ms : (double)INFINITY;
    double to = r->n > 0 ? (double)r->points[r->n - 1].t_ms : 0;
    if (v != NULL) from = fmin(from, (double)report_data_ms(v, "t_ms"));
    if (z != NULL) to = fmax(to, (double)report_data_ms(z, "t_ms"));
    double margin = isfinite(from) ? 0.01 * (to - from) : 0.0;
    plot->from_ms = isfinite(from) ? from - margin : 0.0;
    plot->to_ms = to + margin;
}

static enum plot_role role_of(const char *verdict)
{
    if (strcmp(verdict, "ABORT") == 0) return PLOT_HARM;
    return strcmp(verdict, "PROMOTE") == 0 ? PLOT_SAFE : PLOT_MUTED;
}

void report_build_marks(const struct report *r, struct plot *plot)
{
    size_t n = json_array_size(r->verdicts);
    for (size_t i = n > PLOT_MARKS ? n - PLOT_MARKS : 0; i < n; i++) {
        const json_t *v = json_array_get(r->verdicts, i);
        plot->marks[plot->n_marks++] = (struct plot_mark){
            (double)report_data_ms(v, "t_ms"), role_of(report_data_text(v, "verdict"))};
    }
}

/* ---------------------------------------------------------------- in words */

static void heading(const struct report *r, struct report_page *p)
{
    const char *state = report_data_text(r->status, "state");
    if (*state == '\0')
        state = report_data_text(json_object_get(last(r), "state"), "after");
    const char *result = report_data_text(r->status, "result");
    report_page_heading(p, 1,
                        report_page_text(p, "%s: %s%s%s", report_data_rollout(r), state,
                                         *result != '\0' ? ", " : "", result));
    const char *message = report_data_text(r->status, "message");
    if (*message == '\0') message = report_data_text(last(r), "message");
    if (*message != '\0') report_page_add(p, REPORT_TEXT, message);
}

static void why(const struct report *r, struct report_page *p)
{
    size_t i;
    json_t *sentence;
    if (r->explain == NULL) return;
    const char *id = report_data_text(r->explain, "id");
    const char *verdict = report_data_text(r->explain, "verdict");
    report_page_heading(p, 2, "Why");
    if (*id != '\0')
        report_page_add(p, REPORT_TEXT,
                        report_page_text(p,
                                         "Verdict %s, %s, for the reason %s. It was "
                                         "decided by:",
                                         id, verdict,
                                         report_data_text(r->explain, "reason")));
    else
        report_page_add(p, REPORT_TEXT, "It is not decided yet. Where it stands:");
    json_array_foreach(json_object_get(r->explain, "sentences"), i, sentence)
        report_page_add(p, REPORT_ITEM, json_string_value(sentence));
}

static void fact(struct report_page *p, const char *name, const char *value)
{
    if (*value != '\0' && strcmp(value, "-") != 0) ROW(p, name, value);
}

static void facts(const struct report *r, struct report_page *p)
{
    static const char *const heads[] = {"What", "Value"};
    const json_t *s = r->status, *v = last(r);
    const char *text;
    report_page_table(p, "The rollout", false, heads, COUNT(heads));
    fact(p, "Service", report_data_text(s, "service"));
    fact(p, "Owner", report_data_text(s, "owner"));
    fact(p, "Step",
         s == NULL
             ? "-"
             : report_page_text(p, "%" PRId64 " of %" PRId64, report_data_ms(s, "step"),
                                report_data_ms(s, "steps")));
    fact(p, "Weight", percent(p, report_data_number(s, "weight_bp")));
    fact(p, "First weight", report_build_time(p, report_data_ms(s, "started_ms")));
    fact(p, "Latest verdict", report_build_time(p, report_data_ms(v, "t_ms")));
    text = report_page_text(p, "%.4g s", report_data_number(s, "window_ms") / 1000);
    fact(p, "Window", report_data_ms(s, "window_ms") > 0 ? text : "-");
    if (r->plan != NULL)
        fact(p, "False-abort rate, false-promote rate",
             report_page_text(p, "%.4g, %.4g", r->plan->alpha, r->plan->beta));
    fact(p, "Samples late, refused",
         s == NULL
             ? "-"
             : report_page_text(p, "%" PRId64 ", %" PRId64, report_data_ms(s, "late"),
                                report_data_ms(s, "poison")));
    fact(p, "Seen by", r->source);
}

static void warnings(const struct report *r, struct report_page *p)
{
    size_t i;
    json_t *w;
    const json_t *list = json_object_get(r->status, "warnings");
    if (json_array_size(list) == 0) return;
    report_page_heading(p, 2, "Warnings");
    json_array_foreach(list, i, w)
        report_page_add(p, REPORT_ITEM, json_string_value(w));
}

/* ---------------------------------------------------------------- traffic */

/* Commanded weights as the verdicts gave them: exact, however coarse the curves are. */
static struct plot_series commanded(const struct report *r, struct report_page *p,
                                    const struct plot *plot)
{
    size_t n = json_array_size(r->verdicts);
    double *t = report_page_alloc(p, (n + 2) * sizeof *t);
    double *y = report_page_alloc(p, (n + 2) * sizeof *y);
    if (t == NULL || y == NULL) return (struct plot_series){0};
    t[0] = plot->from_ms;
    y[0] = report_data_number(json_array_get(r->verdicts, 0), "from_bp") / 100;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(r->verdicts, i);
        t[i + 1] = (double)report_data_ms(v, "t_ms");
        y[i + 1] = report_data_number(v, "to_bp") / 100;
    }
    t[n + 1] = plot->to_ms;
    y[n + 1] = y[n];
    return (struct plot_series){.name = "commanded",
                                .role = PLOT_CANARY,
                                .steps = true,
                                .t = t,
                                .y = y,
                                .n = n + 2};
}

static void traffic(const struct report *r, size_t points, struct report_page *p)
{
    static const char *const heads[] = {"Time", "Verdict", "From", "To"};
    struct report_series s = report_series(r, p, SIZE_MAX, points);
    struct plot plot = {.title = "Traffic of the canary over time", .unit = "%"};
    report_page_heading(p, 2, "Traffic");
    report_build_span(r, &plot);
    report_build_marks(r, &plot);
    plot.description = report_page_text(
        p,
        "Share of the traffic that verdicts commanded for the canary, and what was "
        "seen of it; %zu verdicts, the last one at %s.",
        json_array_size(r->verdicts),
        report_build_time(p, report_data_ms(last(r), "t_ms")));
    plot.series[plot.n_series++] = commanded(r, p, &plot);
    plot.series[plot.n_series++] = (struct plot_series){.name = "seen in the step",
                                                        .role = PLOT_BASELINE,
                                                        .dash = 4,
                                                        .t = s.at[REPORT_T],
                                                        .y = s.at[REPORT_OBSERVED],
                                                        .n = s.n};
    if (!report_page_plot(p, &plot)) return;
    report_page_table(p, "Commanded weights", true, heads, COUNT(heads));
    size_t n = json_array_size(r->verdicts);
    for (size_t i = n > 64 ? n - 64 : 0; i < n; i++) {
        const json_t *v = json_array_get(r->verdicts, i);
        ROW(p, report_build_time(p, report_data_ms(v, "t_ms")),
            report_data_text(v, "verdict"),
            percent(p, report_data_number(v, "from_bp")),
            percent(p, report_data_number(v, "to_bp")));
    }
}

static void split(const struct report *r, size_t points, struct report_page *p)
{
    static const char *const heads[] = {"Canary",   "Baseline", "Seen",
                                        "Expected", "log e",    "Threshold"};
    struct report_series s = report_series(r, p, SIZE_MAX, points);
    const json_t *o = json_object_get(r->status, "sample_ratio");
    if (!json_is_object(o)) o = json_object_get(last(r), "sample_ratio");
    if (!json_is_object(o)) return;
    struct plot plot = {.title = "Sample ratio over time", .unit = ""};
    plot.description =
        report_page_text(p,
                         "Evidence that the split of the requests is not the commanded "
                         "one: log e is now %s, the alarm is at %s.",
                         report_build_number(p, report_data_number(o, "log_e")),
                         report_build_number(p, report_data_number(o, "threshold")));
    report_build_span(r, &plot);
    plot.series[plot.n_series++] =
        (struct plot_series){.name = "evidence of a wrong split (log e)",
                             .role = PLOT_CANARY,
                             .t = s.at[REPORT_T],
                             .y = s.at[REPORT_SRM],
                             .n = s.n};
    plot.rules[plot.n_rules++] =
        (struct plot_rule){report_data_number(o, "threshold"), "alarm", PLOT_HARM};
    report_page_heading(p, 2, "Sample ratio");
    bool drawn = report_page_plot(p, &plot);
    report_page_table(p, "Requests of this step", drawn, heads, COUNT(heads));
    ROW(p, report_page_text(p, "%" PRId64, report_data_ms(o, "canary")),
        report_page_text(p, "%" PRId64, report_data_ms(o, "baseline")),
        percent(p, 1e4 * report_data_number(o, "observed")),
        percent(p, 1e4 * report_data_number(o, "expected")),
        report_build_number(p, report_data_number(o, "log_e")),
        report_build_number(p, report_data_number(o, "threshold")));
}

/* ---------------------------------------------------------------- what happened */

struct event {
    int64_t t_ms;
    const char *what, *who, *why;
};

static int by_time(const void *a, const void *b)
{
    int64_t x = ((const struct event *)a)->t_ms, y = ((const struct event *)b)->t_ms;
    return (x > y) - (x < y);
}

static size_t votes(const json_t *gate, struct report_page *p, struct event *out,
                    size_t room)
{
    size_t i, n = 0;
    json_t *vote;
    json_array_foreach(json_object_get(gate, "votes"), i, vote)
    {
        if (n == room) break;
        out[n++] = (struct event){
            report_data_ms(vote, "t_ms"),
            report_page_text(p, "gate %s: %s", report_data_text(gate, "name"),
                             report_data_text(vote, "vote")),
            report_data_text(vote, "actor"), report_data_text(vote, "reason")};
    }
    return n;
}

/* Verdicts, commands and votes; commands say what votes say, where they are known. */
static size_t events(const struct report *r, struct report_page *p, struct event *out,
                     size_t room)
{
    size_t i, n = 0;
    json_t *o;
    json_array_foreach(r->verdicts, i, o) out[n++] = (struct event){
        report_data_ms(o, "t_ms"),
        report_page_text(p, "%s, %s to %s: %s", report_data_text(o, "verdict"),
                         percent(p, report_data_number(o, "from_bp")),
                         percent(p, report_data_number(o, "to_bp")),
                         report_data_text(o, "reason")),
        report_data_text(o, "actor"), report_data_text(o, "message")};
    json_array_foreach(r->commands, i, o) out[n++] = (struct event){
        report_data_ms(o, "t_ms"),
        report_page_text(p, "command %s", report_data_text(o, "command")),
        report_data_text(o, "actor"), report_data_text(o, "reason")};
    if (json_array_size(r->commands) > 0) return n;
    json_array_foreach(json_object_get(r->status, "gates"), i, o) n +=
        votes(o, p, out + n, room - n);
    return n;
}

static void timeline(const struct report *r, struct report_page *p)
{
    static const char *const heads[] = {"Time", "What", "Who", "Why"};
    const size_t room = 2 * (REPORT_EVENTS + 1) + 256, shown = 200;
    struct event *list = report_page_alloc(p, room * sizeof *list);
    if (list == NULL) return;
    size_t n = events(r, p, list, room), skip = n > shown ? n - shown : 0;
    if (n == 0) return;
    qsort(list, n, sizeof *list, by_time);
    report_page_heading(p, 2, "Timeline");
    if (skip + r->left_out > 0)
        report_page_add(p, REPORT_TEXT,
                        report_page_text(p,
                                         "%zu verdicts and commands in the middle "
                                         "are left out.",
                                         skip + (size_t)r->left_out));
    report_page_table(p, "Verdicts, commands and votes", false, heads, COUNT(heads));
    for (size_t i = 0; i < n; i++)
        if (i < shown / 4 || i >= skip + shown / 4)
            ROW(p, report_build_time(p, list[i].t_ms), list[i].what, list[i].who,
                list[i].why);
}

static void gates(const struct report *r, struct report_page *p)
{
    static const char *const heads[] = {"Gate", "State", "Approvals", "For"};
    size_t i;
    json_t *g;
    const json_t *list = json_object_get(r->status, "gates");
    if (json_array_size(list) == 0) return;
    report_page_heading(p, 2, "Gates");
    report_page_table(p, "Gates", false, heads, COUNT(heads));
    json_array_foreach(list, i, g)
        ROW(p, report_data_text(g, "name"), report_data_text(g, "state"),
            report_page_text(p, "%zu of %" PRId64,
                             json_array_size(json_object_get(g, "approved_by")),
                             report_data_ms(g, "quorum")),
            report_data_text(g, "reason"));
}

/* ---------------------------------------------------------------- all metrics */

/* Limits and tolerance of every metric, worse to the right. */
static void forest_plot(const struct report *r, struct report_page *p)
{
    size_t n = json_array_size(r->metrics);
    const char **names = report_page_alloc(p, (n + 1) * sizeof *names);
    double *at = report_page_alloc(p, (7 * n + 1) * sizeof *at);
    if (names == NULL || at == NULL) return;
    struct plot plot = {.title = "All metrics: canary against baseline",
                        .unit = "",
                        .log = true,
                        .rows = names,
                        .n_rows = n};
    for (size_t i = 0; i < n; i++) {
        const json_t *m = json_array_get(r->metrics, i);
        bool flagged = json_is_true(json_object_get(m, "flagged"));
        double estimate = report_data_number(m, "estimate");
        double *y = at + (flagged ? 0 : 3 * n);
        names[i] = report_page_text(p, "%s%s", flagged ? "\xe2\x96\xb2 " : "",
                                    report_data_text(m, "name"));
        double times = report_data_number(json_object_get(m, "promote"), "worse_than");
        bool down = report_data_down(r, report_data_text(m, "name"));
        at[i] = at[3 * n + i] = NAN;
        at[6 * n + i] = times > 1 ? (down ? 1 / times : times) : (double)NAN;
        y[i] = estimate > 0 ? estimate : (double)NAN;
        y[n + i] = report_data_number(m, "lower");
        y[2 * n + i] = report_data_number(m, "upper");
    }
    plot.description = report_page_text(
        p,
        "For each of %zu metrics the estimated ratio of canary to baseline with its "
        "anytime limits, on a logarithmic axis; 1 is no difference. A triangle marks "
        "those that are worse by e-BH. Limits without a bar are open.",
        n);
    plot.series[0] = (struct plot_series){.name = "worse by e-BH",
                                          .role = PLOT_HARM,
                                          .y = at,
                                          .lower = at + n,
                                          .upper = at + 2 * n,
                                          .n = n};
    plot.series[1] = (struct plot_series){.name = "not flagged",
                                          .role = PLOT_BASELINE,
                                          .y = at + 3 * n,
                                          .lower = at + 4 * n,
                                          .upper = at + 5 * n,
                                          .n = n};
    plot.series[2] = (struct plot_series){
        .name = "tolerance", .role = PLOT_TOLERANCE, .y = at + 6 * n, .n = n};
    plot.n_series = 3;
    plot.rules[plot.n_rules++] = (struct plot_rule){1, "no difference", PLOT_INK};
    report_page_plot(p, &plot);
}

static void forest(const struct report *r, struct report_page *p)
{
    static const char *const heads[] = {
        "Metric",    "Kind",         "Estimate",       "Lower",        "Upper",
        "Tolerance", "log e: abort", "log e: promote", "Worse (e-BH)", "Note"};
    size_t i;
    json_t *m;
    if (json_array_size(r->metrics) == 0) return;
    report_page_heading(p, 2, "All metrics");
    forest_plot(r, p);
    report_page_table(p, "Ratio of canary to baseline, and the evidence", false, heads,
                      COUNT(heads));
    json_array_foreach(r->metrics, i, m)
    {
        const json_t *promote = json_object_get(m, "promote");
        const json_t *abort = json_object_get(m, "abort");
        double times = report_data_number(promote, "worse_than");
        ROW(p, report_data_text(m, "name"), report_data_text(m, "kind"),
            report_build_number(p, report_data_number(m, "estimate")),
            report_build_number(p, report_data_number(m, "lower")),
            report_build_number(p, report_data_number(m, "upper")),
            report_build_number(p, times > 1 ? times : (double)NAN),
            report_build_number(p, report_data_number(abort, "log_e")),
            report_build_number(p, report_data_number(promote, "log_e")),
            json_is_true(json_object_get(m, "flagged")) ? "yes" : "no",
            report_data_text(m, "note"));
    }
}

/* ---------------------------------------------------------------- the end */

static void notes(const struct report *r, struct report_page *p)
{
    const char *const texts[] = {r->plan != NULL ? r->plan->release_notes : "",
                                 r->plan != NULL ? r->plan->rollback_plan : ""};
    static const char *const heads[] = {"Release notes", "Rollback plan"};
    enum { LONGEST = 32768 };
    for (size_t i = 0; i < COUNT(heads); i++) {
        if (*texts[i] == '\0') continue;
        report_page_heading(p, 2, heads[i]);
        report_page_add(p, REPORT_NOTES,
                        report_page_text(p, "%.*s%s", LONGEST, texts[i],
                                         strlen(texts[i]) > LONGEST
                                             ? "\n… the rest stands in the plan."
                                             : ""));
    }
}

static void audit(const struct report *r, struct report_page *p)
{
    static const char *const heads[] = {"What", "Hash (BLAKE2b-256)"};
    const json_t *v = last(r);
    const char *plan = report_data_text(r->status, "plan_hash");
    if (*plan == '\0') plan = report_data_text(v, "plan_hash");
    report_page_heading(p, 2, "Audit");
    report_page_add(
        p, REPORT_TEXT,
        "Every verdict carries the hash of the one before: who has the last "
        "hash can check all of them (serin audit verify).");
    report_page_table(p, "Hashes", false, heads, COUNT(heads));
    fact(p, "Plan", plan);
    fact(p, "Last verdict", report_data_text(v, "hash"));
    fact(p, "The one before", report_data_text(v, "prev_hash"));
    fact(p, "Signature", report_data_text(v, "sig"));
}

void report_build(const struct report *r, size_t points, struct report_page *p)
{
    heading(r, p);
    why(r, p);
    facts(r, p);
    warnings(r, p);
    traffic(r, points, p);
    forest(r, p);
    for (size_t i = 0; i < json_array_size(r->metrics); i++)
        report_metric(r, i, points, p);
    split(r, points, p);
    timeline(r, p);
    gates(r, p);
    notes(r, p);
    audit(r, p);
}
