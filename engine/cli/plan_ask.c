/* engine/cli/plan_ask.c -- options to a question */
#include "engine/cli/plan_ask.h"

#include <string.h>

#include "engine/cli/plan_value.h"

enum { DEFAULT_RUNS = 200, DEFAULT_SEED = 1, DEFAULT_BUDGET = 1000000 };
static const double default_odds[] = {1.5, 2, 4, 10}, default_slower[] = {1.1, 1.5},
                    default_effects[] = {1.05, 1.1, 1.2};
static const double default_tail = 0.01; /* of the requests take the usual p99 more */

static int read_traffic(struct plan_ask *a)
{
    const char *rate = cli_get("rate"), *preview = cli_get("preview");
    if (rate == NULL)
        return cli_usage(a->v, "--rate is missing: requests of both versions together, "
                               "e.g. --rate 2000/s");
    if (!plan_value_speed(rate, &a->q.rate))
        return cli_usage(
            a->v, "--rate %s: expected requests by time such as 2000/s, 90/min", rate);
    if (preview == NULL || plan_value_speed(preview, &a->q.preview)) return CLI_OK;
    return cli_usage(a->v,
                     "--preview %s: expected the requests of testers by time, such as "
                     "5/s",
                     preview);
}

/* "internal=0.5%" */
static int read_segments(struct plan_ask *a)
{
    const char *given[OUTLOOK_MAX_SEGMENTS + 1];
    static char names[OUTLOOK_MAX_SEGMENTS][128];
    size_t n = cli_get_all("segment", given, OUTLOOK_MAX_SEGMENTS + 1);
    if (n > OUTLOOK_MAX_SEGMENTS)
        return cli_usage(a->v, "--segment: at most %d", OUTLOOK_MAX_SEGMENTS);
    for (size_t k = 0; k < n; k++) {
        const char *equals = strchr(given[k], '=');
        struct outlook_segment *s = &a->q.segments[k];
        if (equals == NULL || equals == given[k] ||
            equals - given[k] >= (long)sizeof names[k] ||
            !plan_value_share(equals + 1, &s->share))
            return cli_usage(a->v,
                             "--segment %s: expected a segment and its share of the "
                             "requests such as internal=0.5%%",
                             given[k]);
        snprintf(names[k], sizeof names[k], "%.*s", (int)(equals - given[k]), given[k]);
        s->name = names[k];
    }
    a->q.n_segments = n;
    return CLI_OK;
}

/* ---- what metrics usually are like */
static int find_metric(const struct plan_ask *a, const char *name, size_t n,
                       size_t *out)
{
    for (size_t i = 0; i < a->plan->n_metrics; i++)
        if (strlen(a->plan->metrics[i].name) == n &&
            memcmp(a->plan->metrics[i].name, name, n) == 0) {
            *out = i;
            return CLI_OK;
        }
    return cli_usage(a->v, "the plan has no metric \"%.*s\"", (int)n, name);
}

static bool read_errors(const char *text, struct outlook_query *q, size_t i)
{
    return plan_value_share(text, &q->errors[i]);
}

static bool read_base(const char *text, struct outlook_query *q, size_t i)
{
    struct outlook_base *b = &q->latency[i];
    const struct plan_value_part parts[] = {{"p50", plan_value_ms, &b->p50_ms},
                                            {"p99", plan_value_ms, &b->p99_ms}};
    return plan_value_parts(text, parts, 2) && b->p99_ms > b->p50_ms &&
           b->p99_ms <= 100 * b->p50_ms;
}

static bool read_rate(const char *text, struct outlook_query *q, size_t i)
{
    return plan_value_speed(text, &q->events[i]);
}

static bool read_pods(const char *text, double *out)
{
    return plan_value_positive(text, out) && *out >= 2 && *out <= OUTLOOK_MAX_PODS &&
           *out == (unsigned)*out;
}

static bool read_gauge(const char *text, struct outlook_query *q, size_t i)
{
    struct outlook_level *l = &q->levels[i];
    const struct plan_value_part parts[] = {{"mean", plan_value_positive, &l->mean},
                                            {"sd", plan_value_positive, &l->sd},
                                            {"pods", read_pods, &l->pods}};
    return plan_value_parts(text, parts, 3);
}

static bool read_saturation(const char *text, struct outlook_query *q, size_t i)
{
    const struct plan_value_part parts[] = {{"share", plan_value_share, &q->errors[i]},
                                            {"pods", read_pods, &q->levels[i].pods}};
    return plan_value_parts(text, parts, 2);
}

/* "VALUE" is meant for every metric of a kind, "NAME" mark "VALUE" for one. */
struct usual {
    const char *option, *expected;
    char mark;
    enum plan_kind of; /* PLAN_NKIND: any */
    bool (*read)(const char *text, struct outlook_query *q, size_t i);
};
static const struct usual usuals[] = {
    {"errors", "the baseline's share of bad requests such as 0.1% or errors=0.1%", '=',
     PLAN_NKIND, read_errors},
    {"latency",
     "the usual quantiles such as p50=80ms,p99=600ms or latency:p50=80ms,p99=600ms, "
     "p99 at most 100 times p50",
     ':', PLAN_LATENCY, read_base},
    {"events",
     "how many usually come, both versions together, such as 3/h or crashes=3/h", '=',
     PLAN_EVENTS, read_rate},
    {"gauge",
     "the usual level of a pod over a batch, the standard deviation between pods and "
     "batches, and the pods of both versions, such as mean=40,sd=5,pods=8 or "
     "cpu:mean=40,sd=5,pods=8; 2 to 256 pods",
     ':', PLAN_GAUGE, read_gauge},
    {"saturation",
     "the usual share of pods beyond the bound and the pods of both versions, such as "
     "share=1%,pods=8 or queue:share=1%,pods=8; 2 to 256 pods",
     ':', PLAN_SATURATION, read_saturation}};

static int read_usual(struct plan_ask *a, const struct usual *u, const char *given)
{
    static struct outlook_query scratch; /* whatever the plan has, it is checked */
    const char *mark = strchr(given, u->mark), *value = mark != NULL ? mark + 1 : given;
    size_t at = 0, to = a->plan->n_metrics;
    if (!u->read(value, &scratch, 0))
        return cli_usage(a->v, "--%s %s: expected %s", u->option, given, u->expected);
    if (mark != NULL) {
        int code = find_metric(a, given, (size_t)(mark - given), &at);
        if (code != CLI_OK) return code;
        if (u->of != PLAN_NKIND && a->plan->metrics[at].kind != u->of)
            return cli_usage(a->v, "--%s %s: %s is of another kind", u->option, given,
                             a->plan->metrics[at].name);
        to = at + 1;
    }
    for (size_t i = at; i < to; i++)
        if (u->of == PLAN_NKIND || a->plan->metrics[i].kind == u->of)
            (void)u->read(value, &a->q, i); /* read before */
    return CLI_OK;
}

static int read_usuals(struct plan_ask *a)
{
    const char *given[PLAN_MAX_METRICS + 1];
    for (size_t i = 0; i < sizeof usuals / sizeof *usuals; i++) {
        size_t n = cli_get_all(usuals[i].option, given, PLAN_MAX_METRICS + 1);
        for (size_t k = 0; k < n; k++) {
            int code = read_usual(a, &usuals[i], given[k]);
            if (code != CLI_OK) return code;
        }
    }
    for (size_t i = 0; i < a->plan->n_metrics; i++) {
        const struct plan_metric *m = &a->plan->metrics[i];
        if (a->q.errors[i] > 0) continue;
        a->q.errors[i] = 0.5; /* of a metric that is not looked at */
        if (m->kind == PLAN_RATIO && m->mode == PLAN_GATE)
            return cli_usage(a->v,
                             "the usual share of bad requests of %s is missing, e.g. "
                             "--errors 0.1%% or --errors %s=0.1%%",
                             m->name, m->name);
    }
    return CLI_OK;
}

/* ---- regressions */
/* Regressions are of odds, rates and levels, or of times. */
static bool has_times(const struct plan_ask *a, size_t i)
{
    return a->plan->metrics[i].kind == PLAN_LATENCY;
}

bool plan_ask_simulated(const struct plan_ask *a, size_t metric)
{
    return outlook_simulated(a->plan, &a->q, metric);
}

static bool may_hit(const struct plan_ask *a, size_t i, bool times)
{
    return plan_ask_simulated(a, i) && has_times(a, i) == times && i != a->primary;
}

static int read_hit(struct plan_ask *a)
{
    const char *name = cli_get("metric");
    size_t named = a->plan->n_metrics;
    int code = name != NULL ? find_metric(a, name, strlen(name), &named) : CLI_OK;
    if (code != CLI_OK) return code;
    a->primary = 0;
    while (a->primary < a->plan->n_metrics && !a->plan->metrics[a->primary].primary)
        a->primary++;
    if (name != NULL && !may_hit(a, named, has_times(a, named)))
        return cli_usage(a->v,
                         "--metric %s: only metrics of mode gate can be looked at: a "
                         "ratio, a latency with --latency, events with --events, a "
                         "gauge with --gauge, saturation with --saturation; what an "
                         "experiment asks about is the matter of --effect",
                         name);
    for (size_t k = 0; k < 2; k++) {
        a->hit[k] = 0;
        if (name != NULL && has_times(a, named) == (k == 1)) a->hit[k] = named;
        while (a->hit[k] < a->plan->n_metrics && !may_hit(a, a->hit[k], k == 1))
            a->hit[k]++;
    }
    return CLI_OK;
}

static int read_counts(struct plan_ask *a)
{
    static const struct {
        const char *name;
        double low, high;
    } options[] = {{"runs", 1, OUTLOOK_MAX_RUNS}, {"seed", 0, 1e15}, {"phi", 1, 1e4}};
    double value[] = {DEFAULT_RUNS, DEFAULT_SEED, 1};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        const char *text = cli_get(options[i].name);
        if (text == NULL) continue;
        if (!plan_value_number(text, "", &value[i]) || !(value[i] >= options[i].low) ||
            !(value[i] <= options[i].high))
            return cli_usage(a->v, "--%s %s: expected a number from %g to %g",
                             options[i].name, text, options[i].low, options[i].high);
    }
    a->q.runs = (unsigned)value[0];
    if (cli_get("runs") == NULL)
        a->q.budget = DEFAULT_BUDGET; /* seconds, not minutes */
    a->q.seed = (uint64_t)value[1];
    a->q.phi = value[2];
    return CLI_OK;
}

static bool read_factor(const char *text, struct outlook_bad *out)
{
    return plan_value_number(text, "", &out->size) && out->size > 1 && out->size < 1e6;
}

static bool read_effect(const char *text, struct outlook_bad *out)
{
    return plan_value_positive(text, &out->size) && out->size > 1e-6 &&
           out->size < 1e6 && (out->size < 1 || out->size > 1);
}

/* "1%:500ms" */
static bool read_tail(const char *text, struct outlook_bad *out)
{
    char part[32];
    const char *colon = strchr(text, ':');
    if (colon == NULL || colon - text >= (long)sizeof part) return false;
    snprintf(part, sizeof part, "%.*s", (int)(colon - text), text);
    return plan_value_ms(colon + 1, &out->size) && plan_value_share(part, &out->share);
}

static void add_bad(struct plan_ask *a, enum outlook_how how, size_t metric,
                    double size, double share)
{
    a->q.bads[a->q.n_bads++] = (struct outlook_bad){how, metric, size, share};
}

static void default_bads(struct plan_ask *a)
{
    size_t none = a->plan->n_metrics;
    for (size_t i = 0; a->primary < none && i < 3; i++)
        add_bad(a, OUTLOOK_ODDS, a->primary, default_effects[i], 0);
    if (a->primary < none) return;
    for (size_t i = 0; a->hit[0] < none && i < 4; i++)
        add_bad(a, OUTLOOK_ODDS, a->hit[0], default_odds[i], 0);
    if (a->hit[1] == none) return;
    for (size_t i = 0; i < 2; i++)
        add_bad(a, OUTLOOK_SLOWER, a->hit[1], default_slower[i], 0);
    add_bad(a, OUTLOOK_TAIL, a->hit[1], a->q.latency[a->hit[1]].p99_ms, default_tail);
}

struct regression {
    const char *name, *expected, *of; /* option; what it wants; what it is of */
    enum outlook_how how;
    bool (*read)(const char *text, struct outlook_bad *out);
};

static int read_regression(struct plan_ask *a, const struct regression *g,
                           size_t metric)
{
    const char *given[OUTLOOK_MAX_BAD + 1];
    size_t n = cli_get_all(g->name, given, OUTLOOK_MAX_BAD + 1);
    for (size_t i = 0; i < n; i++) {
        struct outlook_bad b = {.how = g->how};
        if (a->q.n_bads == OUTLOOK_MAX_BAD)
            return cli_usage(a->v, "--%s: at most %d regressions", g->name,
                             OUTLOOK_MAX_BAD);
        if (!g->read(given[i], &b))
            return cli_usage(a->v, "--%s %s: expected %s", g->name, given[i],
                             g->expected);
        if (metric == a->plan->n_metrics)
            return cli_usage(a->v, "--%s: the plan has no %s", g->name, g->of);
        add_bad(a, g->how, metric, b.size, b.share);
    }
    return CLI_OK;
}

static int read_bads(struct plan_ask *a)
{
    static const char latency[] = "latency of mode gate that --latency is for";
    static const struct regression all[] = {
        {"effect", "an odds ratio above 0 other than 1, such as 1.1",
         "experiment to ask about", OUTLOOK_ODDS, read_effect},
        {"worse", "a ratio above 1 such as 2", "ratio of mode gate", OUTLOOK_ODDS,
         read_factor},
        {"slower", "how many times as long, above 1, such as 1.2", latency,
         OUTLOOK_SLOWER, read_factor},
        {"tail", "a share and how much longer it takes, as 1%:500ms", latency,
         OUTLOOK_TAIL, read_tail}};
    const size_t metrics[] = {a->primary, a->hit[0], a->hit[1], a->hit[1]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int code = read_regression(a, &all[i], metrics[i]);
        if (code != CLI_OK) return code;
    }
    if (a->q.n_bads == 0) default_bads(a);
    return CLI_OK;
}

int plan_ask(struct plan_ask *a)
{
    int (*const steps[])(struct plan_ask *) = {read_traffic, read_segments, read_usuals,
                                               read_hit,     read_counts,   read_bads};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int code = steps[i](a);
        if (code != CLI_OK) return code;
    }
    return CLI_OK;
}
