/* engine/replay/report/report_metric.c -- one metric: both cohorts, limits, evidence */
#include <math.h>
#include <string.h>

#include "engine/replay/report/report_build.h"
#include "engine/replay/report/report_series.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
enum { ROWS = 10 };   /* of the table beside a plot */
enum { COARSER = 5 }; /* counts of few requests jump: wider pieces */

struct metric {
    const struct report *r;
    struct report_page *p;
    const json_t *m;
    const char *name, *kind;
    struct report_series s;
};

/* The i-th of ROWS moments, the last one included. */
static size_t moment(const struct report_series *s, size_t i)
{
    return s->n <= ROWS ? i : i * (s->n - 1) / (ROWS - 1);
}

/* The numbers of a plot: some columns of the curves at some moments. */
static void numbers(const struct metric *g, const char *caption,
                    const char *const *heads, const enum report_column *columns,
                    size_t n)
{
    const char *cells[8] = {0};
    size_t rows = g->s.n < ROWS ? g->s.n : ROWS;
    report_page_table(g->p, caption, true, heads, n + 1);
    for (size_t i = 0; i < rows; i++) {
        size_t k = moment(&g->s, i);
        cells[0] = report_build_time(g->p, (int64_t)g->s.at[REPORT_T][k]);
        for (size_t c = 0; c < n; c++)
            cells[c + 1] = report_build_number(g->p, g->s.at[columns[c]][k]);
        report_page_row(g->p, cells);
    }
}

static struct plot plot(const struct metric *g, const char *what, const char *unit)
{
    struct plot p = {.title = report_page_text(g->p, "%s: %s", g->name, what),
                     .unit = unit};
    report_build_span(g->r, &p);
    report_build_marks(g->r, &p);
    return p;
}

static void curve(const struct metric *g, struct plot *p, enum report_column y,
                  const char *name, enum plot_role role, double dash)
{
    for (size_t i = 0; i < g->s.n; i++) {
        if (isnan(g->s.at[y][i])) continue;
        p->series[p->n_series++] = (struct plot_series){.name = name,
                                                        .role = role,
                                                        .dash = dash,
                                                        .t = g->s.at[REPORT_T],
                                                        .y = g->s.at[y],
                                                        .n = g->s.n};
        return;
    }
}

/* The latest value of a column that has one. */
static double latest(const struct metric *g, enum report_column c)
{
    for (size_t i = g->s.n; i-- > 0;)
        if (!isnan(g->s.at[c][i])) return g->s.at[c][i];
    return NAN;
}

static const char *level_text(enum report_level l)
{
    static const char *const texts[] = {"share of bad units", "events by exposure",
                                        "mean of this step",
                                        "p50 and p99 of this step"};
    return texts[l];
}

static void cohorts(const struct metric *g)
{
    static const char *const heads[] = {"Time",           "Canary units", "Canary",
                                        "Baseline units", "Baseline",     "Tolerance"};
    static const enum report_column columns[] = {REPORT_CANARY_N, REPORT_CANARY,
                                                 REPORT_BASELINE_N, REPORT_BASELINE,
                                                 REPORT_TOLERANCE};
    enum report_level l = report_series_level(g->kind);
    bool value = l == REPORT_VALUE;
    struct plot p = plot(g, "both cohorts over time",
                         value               ? "ms"
                         : l == REPORT_SHARE ? "%"
                                             : "");
    p.description = report_page_text(
        g->p,
        "%s of canary and baseline over time, with what the canary may reach at most: "
        "the baseline with the tolerance. Now: canary %s, baseline %s, tolerance %s.",
        level_text(l), report_build_number(g->p, latest(g, REPORT_CANARY)),
        report_build_number(g->p, latest(g, REPORT_BASELINE)),
        report_build_number(g->p, latest(g, REPORT_TOLERANCE)));
    curve(g, &p, REPORT_CANARY, value ? "canary p99" : "canary", PLOT_CANARY, 0);
    curve(g, &p, REPORT_BASELINE, value ? "baseline p99" : "baseline", PLOT_BASELINE,
          0);
    curve(g, &p, REPORT_TOLERANCE, "baseline with the tolerance", PLOT_TOLERANCE, 3);
    if (value) curve(g, &p, REPORT_CANARY_P50, "canary p50", PLOT_CANARY, 6);
    if (value) curve(g, &p, REPORT_BASELINE_P50, "baseline p50", PLOT_BASELINE, 6);
    if (report_page_plot(g->p, &p))
        numbers(g, value ? "p99 in ms" : level_text(l), heads, columns, COUNT(columns));
}

static void limits(const struct metric *g)
{
    static const char *const heads[] = {"Time", "Lower", "Estimate", "Upper",
                                        "Tolerance"};
    static const enum report_column columns[] = {REPORT_LOWER, REPORT_ESTIMATE,
                                                 REPORT_UPPER, REPORT_WORSE_THAN};
    struct plot p = plot(g, "ratio and its anytime limits", "");
    p.log = true;
    p.description = report_page_text(
        g->p,
        "Estimated ratio of canary to baseline with limits that hold at all times "
        "together, narrowing as data comes in; upright lines are verdicts, the last of "
        "them stopped it. Now %s, between %s and %s.",
        report_build_number(g->p, latest(g, REPORT_ESTIMATE)),
        report_build_number(g->p, latest(g, REPORT_LOWER)),
        report_build_number(g->p, latest(g, REPORT_UPPER)));
    curve(g, &p, REPORT_ESTIMATE, "estimate and limits", PLOT_CANARY, 0);
    if (p.n_series > 0) {
        p.series[0].lower = g->s.at[REPORT_LOWER];
        p.series[0].upper = g->s.at[REPORT_UPPER];
    }
    curve(g, &p, REPORT_WORSE_THAN, "worse than this must be ruled out", PLOT_TOLERANCE,
          3);
    p.rules[p.n_rules++] = (struct plot_rule){1, "no difference", PLOT_INK};
    if (report_page_plot(g->p, &p))
        numbers(g, "Ratio of canary to baseline", heads, columns, COUNT(columns));
}

static void rule(const struct metric *g, struct plot *p, enum report_column at,
                 const char *name, enum plot_role role)
{
    double y = latest(g, at);
    if (isfinite(y)) p->rules[p->n_rules++] = (struct plot_rule){y, name, role};
}

/* log e of what can abort and what can promote, against their thresholds. */
static void evidence(const struct metric *g)
{
    const double beyond = 4; /* times the threshold: how far over it says nothing */
    static const char *const heads[] = {"Time",         "Abort",         "needs",
                                        "Promote: run", "Promote: step", "needs"};
    static const enum report_column columns[] = {REPORT_ABORT, REPORT_ABORT_AT,
                                                 REPORT_PROMOTE, REPORT_RESTART,
                                                 REPORT_PROMOTE_AT};
    struct plot p = plot(g, "log evidence against its thresholds", "");
    p.description = report_page_text(
        g->p,
        "Logarithm of the evidence that the canary is worse (aborts at %s, now %s) and "
        "that it is not worse than the tolerance (promotes at %s, now %s). What is far "
        "beyond is drawn at the upper edge.",
        report_build_number(g->p, latest(g, REPORT_ABORT_AT)),
        report_build_number(g->p, latest(g, REPORT_ABORT)),
        report_build_number(g->p, latest(g, REPORT_PROMOTE_AT)),
        report_build_number(g->p, latest(g, REPORT_PROMOTE)));
    p.most = beyond * fmax(latest(g, REPORT_ABORT_AT), latest(g, REPORT_PROMOTE_AT));
    curve(g, &p, REPORT_ABORT, "of harm", PLOT_HARM, 0);
    curve(g, &p, REPORT_LIMIT, "over the limit", PLOT_HARM, 6);
    curve(g, &p, REPORT_PROMOTE, "of no harm, run", PLOT_SAFE, 0);
    curve(g, &p, REPORT_RESTART, "of no harm, step", PLOT_SAFE, 6);
    rule(g, &p, REPORT_ABORT_AT, "aborts", PLOT_HARM);
    if (!isnan(latest(g, REPORT_PROMOTE)))
        rule(g, &p, REPORT_PROMOTE_AT, "promotes", PLOT_SAFE);
    if (report_page_plot(g->p, &p))
        numbers(g, "Log evidence", heads, columns, COUNT(columns));
}

static void question(const struct metric *g)
{
    static const char *const heads[] = {
        "Time", "more", "less", "below the margin", "above the margin", "needs"};
    static const enum report_column columns[] = {REPORT_MORE, REPORT_LESS, REPORT_BELOW,
                                                 REPORT_ABOVE, REPORT_ASKED_AT};
    struct plot p = plot(g, "the experiment's evidence", "");
    p.description = report_page_text(
        g->p,
        "Logarithm of the evidence that the canary has more, less, is below the upper "
        "and above the lower margin of equivalence; each counts from %s on.",
        report_build_number(g->p, latest(g, REPORT_ASKED_AT)));
    curve(g, &p, REPORT_MORE, "more", PLOT_CANARY, 0);
    curve(g, &p, REPORT_LESS, "less", PLOT_BASELINE, 0);
    curve(g, &p, REPORT_BELOW, "below the margin", PLOT_TOLERANCE, 0);
    curve(g, &p, REPORT_ABOVE, "above the margin", PLOT_TOLERANCE, 6);
    rule(g, &p, REPORT_ASKED_AT, "counts", PLOT_INK);
    if (report_page_plot(g->p, &p))
        numbers(g, "Log evidence", heads, columns, COUNT(columns));
}

/* ---------------------------------------------------------------- quantiles */

static void quantile_rows(const struct metric *g, const json_t *list)
{
    static const char *const heads[] = {"Quantile", "Canary", "lower", "upper",
                                        "Baseline", "lower",  "upper", "Ratio",
                                        "lower",    "upper"};
    static const char *const parts[] = {"canary", "baseline", "shift"};
    size_t i;
    json_t *q;
    report_page_table(g->p, "Quantiles of this step in ms, with anytime limits", true,
                      heads, COUNT(heads));
    json_array_foreach(list, i, q)
    {
        const char *cells[COUNT(heads)];
        cells[0] = report_page_text(g->p, "p%.6g", 100 * report_data_number(q, "p"));
        for (size_t k = 0; k < COUNT(parts); k++) {
            const json_t *o = json_object_get(q, parts[k]);
            cells[1 + 3 * k] =
                report_build_number(g->p, report_data_number(o, "value"));
            cells[2 + 3 * k] =
                report_build_number(g->p, report_data_number(o, "lower"));
            cells[3 + 3 * k] =
                report_build_number(g->p, report_data_number(o, "upper"));
        }
        report_page_row(g->p, cells);
    }
}

/* Canary above baseline, quantile by quantile. */
static void quantiles(const struct metric *g)
{
    const json_t *list = json_object_get(g->m, "quantiles");
    size_t n = 2 * json_array_size(list);
    const char **names = report_page_alloc(g->p, (n + 1) * sizeof *names);
    double *at = report_page_alloc(g->p, (6 * n + 1) * sizeof *at);
    if (n == 0 || names == NULL || at == NULL) return;
    struct plot p = {.title = report_page_text(g->p, "%s: quantiles", g->name),
                     .unit = "ms",
                     .log = true,
                     .rows = names,
                     .n_rows = n};
    p.description = report_page_text(
        g->p,
        "%zu quantiles of canary and baseline in this step, each with limits "
        "that hold at all times together.",
        n / 2);
    for (size_t i = 0; i < n; i++) {
        const json_t *q = json_array_get(list, i / 2);
        bool canary = i % 2 == 0;
        const json_t *o = json_object_get(q, canary ? "canary" : "baseline");
        double *y = at + (canary ? 0 : 3 * n), value = report_data_number(o, "value");
        names[i] = report_page_text(g->p, "p%.6g %s", 100 * report_data_number(q, "p"),
                                    canary ? "canary" : "baseline");
        at[i] = at[3 * n + i] = NAN;
        y[i] = value > 0 ? value : (double)NAN;
        y[n + i] = report_data_number(o, "lower");
        y[2 * n + i] = report_data_number(o, "upper");
    }
    p.series[0] = (struct plot_series){.name = "canary",
                                       .role = PLOT_CANARY,
                                       .y = at,
                                       .lower = at + n,
                                       .upper = at + 2 * n,
                                       .n = n};
    p.series[1] = (struct plot_series){.name = "baseline",
                                       .role = PLOT_BASELINE,
                                       .y = at + 3 * n,
                                       .lower = at + 4 * n,
                                       .upper = at + 5 * n,
                                       .n = n};
    p.n_series = 2;
    if (report_page_plot(g->p, &p)) quantile_rows(g, list);
}

/* ---------------------------------------------------------------- the metric */

static void remarks(const struct metric *g)
{
    const char *note = report_data_text(g->m, "note");
    double phi = report_data_number(g->m, "dispersion");
    double followed = report_data_number(g->m, "followed");
    int64_t onset = report_data_ms(g->m, "onset_ms");
    report_page_add(g->p, REPORT_TEXT,
                    report_page_text(g->p, "Kind %s%s%s%s.", g->kind,
                                     phi > 1 ? ", dispersion " : "",
                                     phi > 1 ? report_build_number(g->p, phi) : "",
                                     json_is_true(json_object_get(g->m, "flagged"))
                                         ? ", worse by e-BH over the metrics"
                                         : ""));
    if (onset > 0)
        report_page_add(g->p, REPORT_TEXT,
                        report_page_text(g->p,
                                         "If it is worse, then probably since %s.",
                                         report_build_time(g->p, onset)));
    if (*note != '\0')
        report_page_add(g->p, REPORT_TEXT,
                        report_page_text(g->p, "No evidence yet: %s.", note));
    if (!isnan(followed))
        report_page_add(g->p, REPORT_TEXT,
                        report_page_text(g->p,
                                         "Counted by user, %.4g %% of them; seen "
                                         "in both cohorts and left out: %.0f.",
                                         100 * followed,
                                         report_data_number(g->m, "crossed")));
}

void report_metric(const struct report *r, size_t i, size_t points,
                   struct report_page *page)
{
    struct metric g = {.r = r, .p = page, .m = json_array_get(r->metrics, i)};
    g.name = report_data_text(g.m, "name");
    g.kind = report_data_text(g.m, "kind");
    g.s = report_series(r, page, i, points);
    report_page_heading(page, 2, report_page_text(page, "Metric %s", g.name));
    remarks(&g);
    struct metric wide = g;
    if (report_series_level(g.kind) != REPORT_VALUE)
        wide.s = report_series(r, page, i, points / COARSER);
    cohorts(&wide);
    limits(&g);
    if (json_is_object(json_object_get(g.m, "question")))
        question(&g);
    else
        evidence(&g);
    quantiles(&g);
}
