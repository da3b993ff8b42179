/* engine/replay/report/report.c -- what is told of a rollout, kept small */
#include "engine/replay/report/report.h"

#include <math.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/replay/report/report_data.h"

bool report_format_parse(const char *word, enum report_format *out)
{
    static const char *const words[] = {"html", "pdf", "json", "md"};
    for (unsigned i = 0; i < REPORT_NFORMAT; i++) {
        if (strcmp(word, words[i]) != 0) continue;
        *out = (enum report_format)i;
        return true;
    }
    return false;
}

const char *report_data_text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s != NULL ? s : "";
}

double report_data_number(const json_t *o, const char *key)
{
    const json_t *x = json_object_get(o, key);
    if (json_is_number(x)) return json_number_value(x);
    if (!json_is_string(x)) return NAN;
    if (strcmp(json_string_value(x), "inf") == 0) return INFINITY;
    return strcmp(json_string_value(x), "-inf") == 0 ? -INFINITY : NAN;
}

int64_t report_data_ms(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

const char *report_data_rollout(const struct report *r)
{
    const char *name = report_data_text(r->status, "rollout");
    if (*name == '\0')
        name = report_data_text(json_array_get(r->verdicts, 0), "rollout");
    return name;
}

bool report_data_down(const struct report *r, const char *metric)
{
    for (size_t i = 0; r->plan != NULL && i < r->plan->n_metrics; i++)
        if (strcmp(r->plan->metrics[i].name, metric) == 0)
            return r->plan->metrics[i].direction == PLAN_DOWN;
    return false;
}

enum serin_status report_open(struct report **out, const char *source)
{
    struct report *r = mem_calloc(1, sizeof *r);
    if (r == NULL) return SERIN_ENOMEM;
    r->source = mem_strdup(source);
    r->verdicts = json_array();
    r->commands = json_array();
    r->metrics = json_array();
    r->points = mem_calloc(REPORT_POINTS, sizeof *r->points);
    r->stride = 1;
    if (r->source == NULL || r->verdicts == NULL || r->commands == NULL ||
        r->metrics == NULL || r->points == NULL) {
        report_close(r);
        return SERIN_ENOMEM;
    }
    *out = r;
    return SERIN_OK;
}

void report_close(struct report *r)
{
    if (r == NULL) return;
    for (size_t i = 0; i < r->n; i++)
        mem_free(r->points[i].metrics);
    mem_free(r->points);
    mem_free(r->source);
    json_decref(r->status);
    json_decref(r->explain);
    json_decref(r->verdicts);
    json_decref(r->commands);
    json_decref(r->metrics);
    arena_free(&r->arena);
    mem_free(r);
}

enum serin_status report_plan(struct report *r, const char *text)
{
    struct doc_errors errors = {.arena = &r->arena};
    enum serin_status rc = plan_parse(&r->arena, text, strlen(text), &r->plan, &errors);
    return rc == SERIN_ENOMEM ? rc : SERIN_OK;
}

/* ---------------------------------------------------------------- curves */

static void cohort(struct report_figure *g, unsigned which, const json_t *c)
{
    double n = report_data_number(c, "n"), bad = report_data_number(c, "bad");
    g->n[which] = n;
    g->bad[which] = bad;
    g->mean[which] = report_data_number(c, "mean");
    g->p50[which] = report_data_number(c, "p50");
    g->p99[which] = report_data_number(c, "p99");
}

static struct report_figure figure(const json_t *m)
{
    struct report_figure g = {0};
    const json_t *abort = json_object_get(m, "abort");
    const json_t *promote = json_object_get(m, "promote");
    const json_t *q = json_object_get(m, "question");
    cohort(&g, REPORT_OF_CANARY, json_object_get(m, "canary"));
    cohort(&g, REPORT_OF_BASELINE, json_object_get(m, "baseline"));
    g.estimate = report_data_number(m, "estimate");
    g.lower = report_data_number(m, "lower");
    g.upper = report_data_number(m, "upper");
    if (!(g.estimate > 0)) g.estimate = NAN;
    if (*report_data_text(m, "note") != '\0') /* no batch is full: no mean */
        g.mean[0] = g.mean[1] = NAN;
    g.abort_log_e = report_data_number(abort, "log_e");
    g.abort_threshold = report_data_number(abort, "threshold");
    g.abort_over = report_data_number(abort, "over");
    g.promote_log_e = report_data_number(promote, "log_e");
    g.promote_threshold = report_data_number(promote, "threshold");
    g.restart_log_e = report_data_number(promote, "restart_log_e");
    g.worse_than = report_data_number(promote, "worse_than");
    if (!(g.worse_than > 1)) /* this step asks for nothing */
        g.worse_than = g.promote_log_e = g.restart_log_e = NAN;
    g.limit_log_e = report_data_number(json_object_get(m, "limit"), "log_e");
    g.more = report_data_number(q, "more_log_e");
    g.less = report_data_number(q, "less_log_e");
    g.below = report_data_number(q, "below_log_e");
    g.above = report_data_number(q, "above_log_e");
    g.threshold = report_data_number(q, "threshold");
    return g;
}

/* Place of this name among the report's metrics; a new one goes to the end. */
static size_t place(const struct report *r, const char *name)
{
    size_t n = json_array_size(r->metrics);
    for (size_t i = 0; i < n; i++)
        if (strcmp(report_data_text(json_array_get(r->metrics, i), "name"), name) == 0)
            return i;
    return n;
}

static enum serin_status figures(struct report *r, const json_t *metrics,
                                 struct report_figure **out)
{
    size_t i;
    json_t *m;
    *out = NULL;
    if (json_array_size(metrics) == 0) return SERIN_OK;
    struct report_figure *g = mem_calloc(PLAN_MAX_METRICS, sizeof *g);
    if (g == NULL) return SERIN_ENOMEM;
    for (i = 0; i < PLAN_MAX_METRICS; i++)
        g[i] = figure(NULL);
    json_array_foreach(metrics, i, m)
    {
        size_t at = place(r, report_data_text(m, "name"));
        if (at >= PLAN_MAX_METRICS) continue;
        g[at] = figure(m);
        int bad = at < json_array_size(r->metrics) ? json_array_set(r->metrics, at, m)
                                                   : json_array_append(r->metrics, m);
        if (bad == 0) continue;
        mem_free(g);
        return SERIN_ENOMEM;
    }
    *out = g;
    return SERIN_OK;
}

/* The last one of a step has the counts of all of it, so it stays. NAN is no step. */
static bool ends_step(const struct report *r, size_t i)
{
    if (i + 1 == r->n) return true;
    return isless(r->points[i].step, r->points[i + 1].step) ||
           isgreater(r->points[i].step, r->points[i + 1].step);
}

static void halve(struct report *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        if ((i % 2 == 0 || ends_step(r, i)) && n + 1 < REPORT_POINTS)
            r->points[n++] = r->points[i];
        else
            mem_free(r->points[i].metrics);
    }
    r->n = n;
    r->stride *= 2;
}

/* The latest one is always kept: it is replaced until it is stride-th. */
static void add(struct report *r, struct report_point p)
{
    const struct report_point *last = r->n > 0 ? &r->points[r->n - 1] : NULL;
    bool same = last != NULL && p.step == last->step;
    bool again = same && p.t_ms <= last->t_ms;
    bool between = same && r->n > 1 && r->skipped + 1 < r->stride;
    if (last != NULL && p.t_ms < last->t_ms) p.t_ms = last->t_ms;
    if (again || between) {
        r->skipped += !again;
        mem_free(r->points[r->n - 1].metrics);
        r->points[r->n - 1] = p;
        return;
    }
    r->skipped = 0;
    if (r->n == REPORT_POINTS) halve(r);
    r->points[r->n++] = p;
}

static enum serin_status point(struct report *r, const json_t *o, int64_t t_ms,
                               double step, double weight_bp)
{
    const json_t *srm = json_object_get(o, "sample_ratio");
    struct report_point p = {.t_ms = t_ms,
                             .step = step,
                             .weight_bp = weight_bp,
                             .observed_bp = report_data_number(o, "observed_bp"),
                             .srm_log_e = report_data_number(srm, "log_e"),
                             .srm_threshold = report_data_number(srm, "threshold")};
    if (isnan(p.observed_bp)) p.observed_bp = 1e4 * report_data_number(srm, "observed");
    enum serin_status rc = figures(r, json_object_get(o, "metrics"), &p.metrics);
    if (rc == SERIN_OK && p.metrics != NULL && t_ms > 0)
        add(r, p);
    else
        mem_free(p.metrics);
    return rc;
}

enum serin_status report_status(struct report *r, const json_t *status)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)status); /* jansson has no const */
    if (copy == NULL) return SERIN_ENOMEM;
    json_decref(r->status);
    r->status = copy;
    return point(r, status, report_data_ms(status, "updated_ms"),
                 report_data_number(status, "step"),
                 report_data_number(status, "weight_bp"));
}

/* ---------------------------------------------------------------- events */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static enum serin_status keep(struct report *r, json_t *list, json_t *event)
{
    if (event == NULL || json_array_append_new(list, event) != 0) return SERIN_ENOMEM;
    if (json_array_size(list) <= REPORT_EVENTS) return SERIN_OK;
    r->left_out++;
    return json_array_remove(list, REPORT_EVENTS / 2) == 0 ? SERIN_OK : SERIN_ENOMEM;
}

enum serin_status report_verdict(struct report *r, const json_t *verdict, bool figures_)
{
    enum serin_status rc =
        keep(r, r->verdicts, json_copy((json_t *)(uintptr_t)verdict));
    if (rc != SERIN_OK) return rc;
    const struct report_point *last = r->n > 0 ? &r->points[r->n - 1] : NULL;
    /* Among the rows it is one more of the step that it ends, with the newest limits.
     */
    if (!figures_ && last != NULL)
        return point(
            r, verdict,
            later(last->t_ms,
                  report_data_ms(json_object_get(verdict, "windows"), "last_ms")),
            last->step, last->weight_bp);
    if (!figures_) return SERIN_OK;
    /* Its counts are of the step that it ends: a step of their own. */
    return point(r, verdict, report_data_ms(verdict, "t_ms"), NAN,
                 report_data_number(verdict, "from_bp"));
}

enum serin_status report_explain(struct report *r, const json_t *explain)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)explain);
    if (copy == NULL) return SERIN_ENOMEM;
    json_decref(r->explain);
    r->explain = copy;
    return SERIN_OK;
}

enum serin_status report_command(struct report *r, int64_t t_ms, const char *verb,
                                 const char *actor, const char *reason)
{
    return keep(r, r->commands,
                json_pack("{s:I, s:s, s:s, s:s}", "t_ms", (json_int_t)t_ms, "command",
                          verb, "actor", actor, "reason", reason));
}
