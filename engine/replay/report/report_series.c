/* engine/replay/report/report_series.c */
#include "engine/replay/report/report_series.h"

#include <math.h>
#include <string.h>

enum report_level report_series_level(const char *kind)
{
    if (strcmp(kind, "latency") == 0) return REPORT_VALUE;
    if (strcmp(kind, "gauge") == 0) return REPORT_MEAN;
    return strcmp(kind, "events") == 0 ? REPORT_RATE : REPORT_SHARE;
}

double report_series_tolerance(enum report_level level, double baseline, double times,
                               bool down)
{
    if (down) times = 1 / times;
    if (level != REPORT_SHARE) return baseline * times;
    double share = baseline / 100;
    return 100 * times * share / (1 - share + times * share);
}

/* Counts are of the step: what came since the point before. */
static double since(const struct report *r, size_t at, double now, double before)
{
    bool same = at > 0 && r->points[at].step == r->points[at - 1].step;
    return same && now >= before ? now - before : now;
}

static void add_counts(const struct report *r, size_t at, size_t metric,
                       double sum[2][2])
{
    const struct report_figure *now = &r->points[at].metrics[metric];
    const struct report_figure *last =
        at > 0 ? &r->points[at - 1].metrics[metric] : now;
    for (unsigned c = 0; c < 2; c++) {
        double n = since(r, at, now->n[c], last->n[c]);
        double bad = since(r, at, now->bad[c], last->bad[c]);
        /* Both begin anew together. */
        if (now->n[c] < last->n[c]) bad = now->bad[c];
        if (isfinite(n)) sum[c][0] += n;
        if (isfinite(bad)) sum[c][1] += bad;
    }
}

static void evidence(const struct report_series *s, size_t k,
                     const struct report_figure *g)
{
    s->at[REPORT_ESTIMATE][k] = g->estimate;
    s->at[REPORT_LOWER][k] = g->lower;
    s->at[REPORT_UPPER][k] = g->upper;
    s->at[REPORT_ABORT][k] = g->abort_log_e;
    s->at[REPORT_ABORT_AT][k] = g->abort_threshold;
    s->at[REPORT_PROMOTE][k] = g->promote_log_e;
    s->at[REPORT_PROMOTE_AT][k] = g->promote_threshold;
    s->at[REPORT_RESTART][k] = g->restart_log_e;
    s->at[REPORT_LIMIT][k] = g->limit_log_e;
    s->at[REPORT_MORE][k] = g->more;
    s->at[REPORT_LESS][k] = g->less;
    s->at[REPORT_BELOW][k] = g->below;
    s->at[REPORT_ABOVE][k] = g->above;
    s->at[REPORT_ASKED_AT][k] = g->threshold;
}

static double level(enum report_level l, const struct report_figure *g, unsigned c,
                    const double sum[2][2])
{
    if (l == REPORT_VALUE) return g->n[c] > 0 ? g->p99[c] : (double)NAN;
    if (l == REPORT_MEAN) return g->n[c] > 0 ? g->mean[c] : (double)NAN;
    double rate = sum[c][0] > 0 ? sum[c][1] / sum[c][0] : (double)NAN;
    return l == REPORT_SHARE ? 100 * rate : rate;
}

static void levels(const struct report *r, const struct report_series *s, size_t k,
                   size_t metric, const struct report_figure *g, double sum[2][2])
{
    const json_t *m = json_array_get(r->metrics, metric);
    enum report_level l = report_series_level(report_data_text(m, "kind"));
    double times =
        l == REPORT_VALUE || isnan(g->worse_than) ? g->abort_over : g->worse_than;
    if (!isnan(g->threshold)) times = NAN; /* an experiment asks another question */
    bool down = report_data_down(r, report_data_text(m, "name"));
    s->at[REPORT_WORSE_THAN][k] = down ? 1 / g->worse_than : g->worse_than;
    s->at[REPORT_CANARY_N][k] = sum[REPORT_OF_CANARY][0];
    s->at[REPORT_BASELINE_N][k] = sum[REPORT_OF_BASELINE][0];
    s->at[REPORT_CANARY_BAD][k] = sum[REPORT_OF_CANARY][1];
    s->at[REPORT_BASELINE_BAD][k] = sum[REPORT_OF_BASELINE][1];
    s->at[REPORT_CANARY][k] = level(l, g, REPORT_OF_CANARY, sum);
    s->at[REPORT_BASELINE][k] = level(l, g, REPORT_OF_BASELINE, sum);
    s->at[REPORT_TOLERANCE][k] =
        report_series_tolerance(l, s->at[REPORT_BASELINE][k], times, down);
    s->at[REPORT_CANARY_P50][k] =
        g->n[REPORT_OF_CANARY] > 0 ? g->p50[REPORT_OF_CANARY] : (double)NAN;
    s->at[REPORT_BASELINE_P50][k] =
        g->n[REPORT_OF_BASELINE] > 0 ? g->p50[REPORT_OF_BASELINE] : (double)NAN;
}

struct report_series report_series(const struct report *r, struct report_page *p,
                                   size_t metric, size_t want)
{
    struct report_series s = {.n = r->n < want ? r->n : want};
    for (size_t c = 0; c < REPORT_NCOLUMN; c++) {
        s.at[c] = report_page_alloc(p, (s.n + 1) * sizeof *s.at[c]);
        if (s.at[c] == NULL) return (struct report_series){0};
        for (size_t k = 0; k < s.n; k++)
            s.at[c][k] = NAN;
    }
    for (size_t k = 0; k < s.n; k++) {
        size_t from = k * r->n / s.n, to = (k + 1) * r->n / s.n;
        const struct report_point *end = &r->points[to - 1];
        s.at[REPORT_T][k] = (double)end->t_ms;
        s.at[REPORT_WEIGHT][k] = end->weight_bp / 100;
        s.at[REPORT_OBSERVED][k] = end->observed_bp / 100;
        s.at[REPORT_SRM][k] = end->srm_log_e;
        s.at[REPORT_SRM_AT][k] = end->srm_threshold;
        if (metric == SIZE_MAX) continue;
        double sum[2][2] = {{0}};
        for (size_t i = from; i < to; i++)
            add_counts(r, i, metric, sum);
        evidence(&s, k, &end->metrics[metric]);
        levels(r, &s, k, metric, &end->metrics[metric], sum);
    }
    return s;
}
