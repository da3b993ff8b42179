/* engine/cli/cmd_plan.c -- what a plan will take and find at a given traffic */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/keys_value.h"
#include "engine/base/strview.h"
#include "engine/cli/file.h"
#include "engine/cli/output.h"
#include "engine/core/explain.h"
#include "engine/core/outlook.h"

enum { DEFAULT_RUNS = 200, DEFAULT_SEED = 1, DEFAULT_BUDGET = 1000000 };
static const double default_odds[] = {1.5, 2, 4, 10}, default_slower[] = {1.1, 1.5};
static const double default_tail = 0.01; /* of the requests take the usual p99 more */

struct asked {
    const struct cli_verb *v;
    const char *file, *text; /* of the plan */
    size_t n;
    struct plan *plan;
    struct outlook_query q;
    size_t hit[2]; /* what regressions are of: a ratio, a latency; n_metrics: none */
};

/* ---- options */
static bool number(const char *text, const char *unit, double *out)
{
    char *end;
    errno = 0;
    double x = strtod(text, &end);
    if (end == text || errno != 0 || !isfinite(x)) return false;
    if (*end != '\0' && strcmp(end, unit) != 0) return false;
    *out = x;
    return true;
}

/* "2000/s", "90/min", "3/h", or a number a second. */
static bool read_speed(const char *text, double *out)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"/s", 1}, {"/min", 60}, {"/m", 60}, {"/h", 3600}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (number(text, units[i].unit, out) && *out > 0) {
            *out /= units[i].seconds;
            return true;
        }
    return false;
}

static int read_rate(struct asked *a)
{
    const char *text = cli_get("rate");
    if (text == NULL)
        return cli_usage(a->v, "--rate is missing: requests of both versions together, "
                               "e.g. --rate 2000/s");
    if (read_speed(text, &a->q.rate)) return CLI_OK;
    return cli_usage(
        a->v, "--rate %s: expected requests by time such as 2000/s, 90/min", text);
}

static bool read_share(const char *text, double *out)
{
    static const struct keys_key key = {
        .name = "errors", .type = KEYS_SHARE, .min = 1e-9, .max = 0.999999};
    char why[KEYS_WHY];
    return keys_value_read(&key, text, false, out, why);
}

static int find_metric(const struct asked *a, const char *name, size_t n, size_t *out)
{
    for (size_t i = 0; i < a->plan->n_metrics; i++)
        if (strlen(a->plan->metrics[i].name) == n &&
            memcmp(a->plan->metrics[i].name, name, n) == 0) {
            *out = i;
            return CLI_OK;
        }
    return cli_usage(a->v, "the plan has no metric \"%.*s\"", (int)n, name);
}

/* "0.1%" is meant for every metric, "errors=0.1%" for one. */
static int read_errors(struct asked *a)
{
    const char *given[PLAN_MAX_METRICS + 1];
    size_t n = cli_get_all("errors", given, PLAN_MAX_METRICS + 1);
    for (size_t k = 0; k < n; k++) {
        const char *equals = strchr(given[k], '=');
        double share;
        size_t at = 0, to = a->plan->n_metrics;
        if (!read_share(equals != NULL ? equals + 1 : given[k], &share))
            return cli_usage(a->v,
                             "--errors %s: expected the baseline's share of bad "
                             "requests such as 0.1%% or errors=0.1%%",
                             given[k]);
        if (equals != NULL) {
            int code = find_metric(a, given[k], (size_t)(equals - given[k]), &at);
            if (code != CLI_OK) return code;
            to = at + 1;
        }
        for (size_t i = at; i < to; i++)
            a->q.errors[i] = share;
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

/* "p50=80ms,p99=600ms" is meant for every latency, "NAME:p50=…" for one. */
static bool read_base(const char *text, struct outlook_base *out)
{
    static const char *const names[] = {"p50=", "p99="};
    int64_t ms[2] = {0};
    for (size_t i = 0; i < 2; i++) {
        size_t n = strcspn(text, ",");
        struct strview v = {text + 4, n > 4 ? n - 4 : 0};
        if (strncmp(text, names[i], 4) != 0 || !strview_duration_ms(v, &ms[i]))
            return false;
        text += n + (text[n] == ',');
    }
    *out = (struct outlook_base){(double)ms[0], (double)ms[1]};
    return *text == '\0' && ms[0] > 0 && ms[1] > ms[0] && ms[1] <= 100 * ms[0];
}

static int read_latency(struct asked *a)
{
    const char *given[PLAN_MAX_METRICS + 1];
    size_t n = cli_get_all("latency", given, PLAN_MAX_METRICS + 1), one = 0;
    for (size_t k = 0; k < n; k++) {
        const char *colon = strchr(given[k], ':');
        struct outlook_base base;
        if (!read_base(colon != NULL ? colon + 1 : given[k], &base))
            return cli_usage(a->v,
                             "--latency %s: expected the usual quantiles such as "
                             "p50=80ms,p99=600ms or latency:p50=80ms,p99=600ms, p99 at "
                             "most 100 times p50",
                             given[k]);
        if (colon != NULL) {
            int code = find_metric(a, given[k], (size_t)(colon - given[k]), &one);
            if (code != CLI_OK) return code;
            a->q.latency[one] = base;
        }
        for (size_t i = 0; colon == NULL && i < a->plan->n_metrics; i++)
            if (a->plan->metrics[i].kind == PLAN_LATENCY) a->q.latency[i] = base;
    }
    return CLI_OK;
}

/* "3/h" is meant for every metric of kind events, "crashes=3/h" for one. */
static int read_events(struct asked *a)
{
    const char *given[PLAN_MAX_METRICS + 1];
    size_t n = cli_get_all("events", given, PLAN_MAX_METRICS + 1), one = 0;
    for (size_t k = 0; k < n; k++) {
        const char *equals = strchr(given[k], '=');
        double rate;
        if (!read_speed(equals != NULL ? equals + 1 : given[k], &rate))
            return cli_usage(a->v,
                             "--events %s: expected how many usually come, both "
                             "versions together, such as 3/h or crashes=3/h",
                             given[k]);
        if (equals != NULL) {
            int code = find_metric(a, given[k], (size_t)(equals - given[k]), &one);
            if (code != CLI_OK) return code;
            a->q.events[one] = rate;
        }
        for (size_t i = 0; equals == NULL && i < a->plan->n_metrics; i++)
            if (a->plan->metrics[i].kind == PLAN_EVENTS) a->q.events[i] = rate;
    }
    return CLI_OK;
}

/* Regressions are of odds (or rates), or of times. */
static bool has_times(const struct asked *a, size_t i)
{
    return a->plan->metrics[i].kind == PLAN_LATENCY;
}

static bool simulated(const struct asked *a, size_t i)
{
    return outlook_simulated(a->plan, &a->q, i);
}

static int read_hit(struct asked *a)
{
    const char *name = cli_get("metric");
    size_t named = a->plan->n_metrics;
    int code = name != NULL ? find_metric(a, name, strlen(name), &named) : CLI_OK;
    if (code != CLI_OK) return code;
    if (name != NULL && !simulated(a, named))
        return cli_usage(a->v,
                         "--metric %s: only metrics of mode gate can be looked at: a "
                         "ratio, a latency with --latency, events with --events",
                         name);
    for (size_t k = 0; k < 2; k++) {
        a->hit[k] = 0;
        if (name != NULL && has_times(a, named) == (k == 1)) a->hit[k] = named;
        while (a->hit[k] < a->plan->n_metrics &&
               (!simulated(a, a->hit[k]) || has_times(a, a->hit[k]) != (k == 1)))
            a->hit[k]++;
    }
    return CLI_OK;
}

static int read_counts(struct asked *a)
{
    static const struct {
        const char *name;
        double low, high;
    } options[] = {{"runs", 1, OUTLOOK_MAX_RUNS}, {"seed", 0, 1e15}, {"phi", 1, 1e4}};
    double value[] = {DEFAULT_RUNS, DEFAULT_SEED, 1};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        const char *text = cli_get(options[i].name);
        if (text == NULL) continue;
        if (!number(text, "", &value[i]) || !(value[i] >= options[i].low) ||
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

static bool read_factor(const char *text, double *out)
{
    return number(text, "", out) && *out > 1 && *out < 1e6;
}

/* "1%:500ms" */
static bool read_tail(const char *text, struct outlook_bad *out)
{
    char part[32];
    int64_t ms = 0;
    const char *colon = strchr(text, ':');
    if (colon == NULL || colon - text >= (long)sizeof part) return false;
    snprintf(part, sizeof part, "%.*s", (int)(colon - text), text);
    if (!strview_duration_ms(strview_of(colon + 1), &ms) || ms <= 0) return false;
    out->size = (double)ms;
    return read_share(part, &out->share);
}

static bool read_one(enum outlook_how how, const char *text, struct outlook_bad *out)
{
    *out = (struct outlook_bad){.how = how};
    return how == OUTLOOK_TAIL ? read_tail(text, out) : read_factor(text, &out->size);
}

static void default_bads(struct asked *a)
{
    struct outlook_bad *b = a->q.bads;
    size_t n = 0;
    for (size_t i = 0; a->hit[0] < a->plan->n_metrics && i < 4; i++)
        b[n++] = (struct outlook_bad){OUTLOOK_ODDS, a->hit[0], default_odds[i], 0};
    for (size_t i = 0; a->hit[1] < a->plan->n_metrics && i < 3; i++)
        b[n++] =
            i < 2
                ? (struct outlook_bad){OUTLOOK_SLOWER, a->hit[1], default_slower[i], 0}
                : (struct outlook_bad){OUTLOOK_TAIL, a->hit[1],
                                       a->q.latency[a->hit[1]].p99_ms, default_tail};
    a->q.n_bads = n;
}

static int read_bads(struct asked *a)
{
    static const struct {
        const char *name, *expected;
        size_t of; /* index of hit */
    } options[] = {
        [OUTLOOK_ODDS] = {"worse", "an odds ratio above 1 such as 2", 0},
        [OUTLOOK_SLOWER] = {"slower", "how many times as long, above 1, such as 1.2",
                            1},
        [OUTLOOK_TAIL] = {"tail", "a share and how much longer it takes, as 1%:500ms",
                          1}};
    for (size_t how = 0; how < sizeof options / sizeof *options; how++) {
        const char *given[OUTLOOK_MAX_BAD + 1];
        size_t n = cli_get_all(options[how].name, given, OUTLOOK_MAX_BAD + 1);
        for (size_t i = 0; i < n; i++) {
            struct outlook_bad b;
            if (a->q.n_bads == OUTLOOK_MAX_BAD)
                return cli_usage(a->v, "--%s: at most %d regressions",
                                 options[how].name, OUTLOOK_MAX_BAD);
            if (!read_one((enum outlook_how)how, given[i], &b))
                return cli_usage(a->v, "--%s %s: expected %s", options[how].name,
                                 given[i], options[how].expected);
            b.metric = a->hit[options[how].of];
            if (b.metric == a->plan->n_metrics)
                return cli_usage(a->v, "--%s: the plan has no %s of mode gate%s",
                                 options[how].name,
                                 how == OUTLOOK_ODDS ? "ratio" : "latency",
                                 how == OUTLOOK_ODDS ? "" : " that --latency is for");
            a->q.bads[a->q.n_bads++] = b;
        }
    }
    if (a->q.n_bads == 0) default_bads(a);
    return CLI_OK;
}

/* ---- for people */
static const char *span(char out[32], double seconds)
{
    snprintf(out, 32, "-");
    if (seconds < 1e9) explain_span((int64_t)(seconds * 1000), out);
    return out;
}

static const char *share(char out[32], unsigned part, unsigned all)
{
    if (all == 0)
        snprintf(out, 32, "-");
    else
        snprintf(out, 32, "%.3g %%", 100.0 * part / all);
    return out;
}

/* "usually 0.1 % bad in errors, p50 80 ms and p99 600 ms of latency" */
static void usual(const struct asked *a)
{
    const char *between = "usually ";
    for (size_t i = 0; i < a->plan->n_metrics; i++) {
        const struct outlook_base *base = &a->q.latency[i];
        const char *name = a->plan->metrics[i].name;
        if (!simulated(a, i)) continue;
        if (has_times(a, i))
            printf("%sp50 %g ms and p99 %g ms of %s", between, base->p50_ms,
                   base->p99_ms, name);
        else if (a->plan->metrics[i].kind == PLAN_EVENTS)
            printf("%s%g/h of %s", between, 3600 * a->q.events[i], name);
        else
            printf("%s%g %% bad in %s", between, 100 * a->q.errors[i], name);
        between = ", ";
    }
}

static void head(const struct asked *a, const struct outlook *o)
{
    char window[32], phi[48] = "";
    if (a->q.phi > 1) snprintf(phi, sizeof phi, ", phi %g", a->q.phi);
    printf("%s at %g requests/s, ", a->plan->id, a->q.rate);
    usual(a);
    printf("%s; windows of %s%s.\n"
           "%u simulated rollouts a line, seed %llu. Not in it: calibration, gates, "
           "freezes, the way of the data.\n\n",
           phi, output_duration(window, o->window_ms),
           o->assumed ? " (assumed; the plan measures it)" : "", o->runs,
           (unsigned long long)a->q.seed);
}

/* "2x", "1.2x longer", "1 % +500 ms" */
static const char *bad_text(const struct outlook_bad *b, char out[40])
{
    if (b->how == OUTLOOK_TAIL)
        snprintf(out, 40, "%g %% +%g ms", 100 * b->share, b->size);
    else
        snprintf(out, 40, "%gx%s", b->size, b->how == OUTLOOK_SLOWER ? " longer" : "");
    return out;
}

static void healthy(const struct asked *a, const struct outlook *o)
{
    static const char *const heads[] = {"STEP", "WEIGHT", "WORSE THAN", "EVIDENCE",
                                        "MEAN", "P90",    "UNDECIDED"};
    char b[3][32];
    struct output_table *t = output_table_open(sizeof heads / sizeof *heads, heads);
    puts(
        "A healthy canary passes (EVIDENCE: mean time until all but the bake is done)");
    for (size_t i = 0; i < o->n_steps; i++) {
        const struct outlook_step *s = &o->steps[i];
        output_cell(t, "%zu", i + 1);
        output_cell(t, "%s", output_weight(b[0], a->plan->steps[i].weight_bp));
        output_cell(t, "%g", a->plan->steps[i].worse_than);
        output_cell(t, "%s", span(b[0], s->ready.mean_s));
        output_cell(t, "%s", span(b[0], s->passes.mean_s));
        output_cell(t, "%s", span(b[1], s->passes.p90_s));
        output_cell(t, "%s", share(b[2], s->undecided, s->passes.runs));
    }
    output_table_close(t);
    printf("Promoted to 100 %% in %s (p90 %s): %s of the runs; aborted: %s.\n",
           span(b[0], o->whole.mean_s), span(b[1], o->whole.p90_s),
           share(b[2], o->whole.hits, o->whole.runs),
           share((char[32]){0}, o->aborted, o->whole.runs));
}

static void bad(const struct asked *a, const struct outlook *o)
{
    static const char *const heads[] = {"WORSE", "FROM STEP", "ABORTED",  "MEAN",
                                        "P90",   "PROMOTED",  "REQUESTS", "HURT"};
    char b[2][32], what[40];
    struct output_table *t = output_table_open(sizeof heads / sizeof *heads, heads);
    puts(
        "\nA canary that turns bad when a step begins (REQUESTS to it until the end, "
        "and how\nmany of them are HURT: bad, or beyond the usual p99, and not so with "
        "the old version)");
    for (size_t k = 0; k < a->q.n_bads; k++)
        for (size_t i = 0; i < o->n_steps; i++) {
            const struct outlook_found *f = &o->steps[i].found[k];
            if (f->abort.runs == 0) continue;
            output_cell(t, "%s", bad_text(&a->q.bads[k], what));
            output_cell(t, "%zu (%s)", i + 1,
                        output_weight(b[0], a->plan->steps[i].weight_bp));
            output_cell(t, "%s", share(b[0], f->abort.hits, f->abort.runs));
            output_cell(t, "%s", span(b[0], f->abort.mean_s));
            output_cell(t, "%s", span(b[0], f->abort.p90_s));
            output_cell(t, "%s", share(b[0], f->promoted, f->abort.runs));
            output_cell(t, "%.0f", f->exposed);
            output_cell(t, "%.3g", f->hurt);
        }
    output_table_close(t);
}

static void tell(const struct asked *a, const struct outlook *o)
{
    head(a, o);
    healthy(a, o);
    bad(a, o);
    for (size_t i = 0; i < o->n_notes; i++) {
        if (i == 0) puts("");
        if (o->notes[i].step > 0)
            printf("Warning: step %zu: %s.\n", o->notes[i].step, o->notes[i].text);
        else
            printf("Warning: %s.\n", o->notes[i].text);
    }
}

/* ---- for programs */
static json_t *seconds(double s)
{
    return isfinite(s) ? json_real(s) : json_null();
}

static json_t *time_json(const struct outlook_time *t)
{
    return json_pack("{s:i,s:i,s:o,s:o,s:o}", "runs", (int)t->runs, "hits",
                     (int)t->hits, "mean_s", seconds(t->mean_s), "p50_s",
                     seconds(t->p50_s), "p90_s", seconds(t->p90_s));
}

static json_t *bad_json(const struct asked *a, const struct outlook_bad *b)
{
    json_t *o = json_object();
    json_object_set_new(o, "metric", json_string(a->plan->metrics[b->metric].name));
    if (b->how == OUTLOOK_ODDS)
        json_object_set_new(o, "odds_ratio", json_real(b->size));
    else if (b->how == OUTLOOK_SLOWER)
        json_object_set_new(o, "times_longer", json_real(b->size));
    else
        json_object_set_new(o, "extra_ms", json_real(b->size));
    if (b->how == OUTLOOK_TAIL) json_object_set_new(o, "share", json_real(b->share));
    return o;
}

static json_t *step_json(const struct asked *a, const struct outlook *o, size_t i)
{
    const struct outlook_step *s = &o->steps[i];
    json_t *list = json_array();
    for (size_t k = 0; k < a->q.n_bads; k++) {
        const struct outlook_found *f = &s->found[k];
        json_t *one = bad_json(a, &a->q.bads[k]);
        json_object_set_new(one, "abort", time_json(&f->abort));
        json_object_set_new(one, "promoted", json_integer(f->promoted));
        json_object_set_new(one, "undecided", json_integer(f->undecided));
        json_object_set_new(one, "requests", json_real(f->exposed));
        json_object_set_new(one, "hurt", json_real(f->hurt));
        json_array_append_new(list, one);
    }
    return json_pack("{s:i,s:i,s:f,s:o,s:o,s:i,s:o,s:s,s:o}", "step", (int)i + 1,
                     "weight_bp", (int)a->plan->steps[i].weight_bp, "worse_than",
                     a->plan->steps[i].worse_than, "passes", time_json(&s->passes),
                     "evidence", time_json(&s->ready), "undecided", (int)s->undecided,
                     "forecast_s", seconds(s->forecast_s), "slowest", s->slowest,
                     "regressions", list);
}

/* What was given of every simulated metric. */
static json_t *metrics_json(const struct asked *a)
{
    json_t *list = json_array();
    for (size_t i = 0; i < a->plan->n_metrics; i++) {
        const struct outlook_base *base = &a->q.latency[i];
        if (!simulated(a, i)) continue;
        json_t *o = json_pack("{s:s}", "name", a->plan->metrics[i].name);
        if (has_times(a, i)) {
            json_object_set_new(o, "p50_ms", json_real(base->p50_ms));
            json_object_set_new(o, "p99_ms", json_real(base->p99_ms));
        } else if (a->plan->metrics[i].kind == PLAN_EVENTS) {
            json_object_set_new(o, "events_s", json_real(a->q.events[i]));
        } else {
            json_object_set_new(o, "errors", json_real(a->q.errors[i]));
        }
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *to_json(const struct asked *a, const struct outlook *o)
{
    json_t *steps = json_array(), *notes = json_array();
    for (size_t i = 0; i < o->n_steps; i++)
        json_array_append_new(steps, step_json(a, o, i));
    for (size_t i = 0; i < o->n_notes; i++)
        json_array_append_new(notes,
                              json_pack("{s:i,s:s}", "step", (int)o->notes[i].step,
                                        "message", o->notes[i].text));
    return json_pack("{s:s,s:s,s:f,s:o,s:f,s:I,s:b,s:i,s:I,s:o,s:i,s:o,s:o}", "schema",
                     "serin.outlook/1", "rollout", a->plan->id, "rate", a->q.rate,
                     "metrics", metrics_json(a), "phi", a->q.phi, "window_ms",
                     (json_int_t)o->window_ms, "window_assumed", o->assumed, "runs",
                     (int)o->runs, "seed", (json_int_t)a->q.seed, "promoted",
                     time_json(&o->whole), "aborted", (int)o->aborted, "steps", steps,
                     "warnings", notes);
}

/* ---- the verb */
static void progress(void *context, unsigned done, unsigned runs)
{
    (void)context;
    fprintf(stderr, "\r%u of %u rollouts", done, runs);
}

static int read_plan(struct asked *a, struct arena *arena)
{
    struct fault f = {0};
    struct doc_errors errors = {0};
    const char *name = strcmp(a->file, "-") == 0 ? "stdin" : a->file;
    enum serin_status rc =
        file_load(arena, a->file, DOC_MAX_BYTES, &a->text, &a->n, &f);
    if (rc != SERIN_OK) return cli_fail(CLI_USAGE, "%s", f.text);
    rc = plan_parse(arena, a->text, a->n, &a->plan, &errors);
    if (rc == SERIN_OK) return CLI_OK;
    if (rc != SERIN_EPARSE) return cli_fail(CLI_USAGE, "%s: %s", name, status_text(rc));
    fputs(doc_errors_format(&errors, name, a->text, a->n), stderr);
    return CLI_USAGE;
}

static int look(struct asked *a, enum output_format format)
{
    struct fault f = {0};
    static struct outlook o;
    int (*const steps[])(struct asked *) = {read_rate,   read_errors, read_latency,
                                            read_events, read_hit,    read_counts,
                                            read_bads};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int code = steps[i](a);
        if (code != CLI_OK) return code;
    }
    if (isatty(STDERR_FILENO)) a->q.progress = progress;
    enum serin_status rc = outlook_make(a->plan, &a->q, &o, &f);
    if (a->q.progress != NULL) fputs("\r\033[K", stderr);
    if (rc != SERIN_OK) return cli_fail(CLI_USAGE, "%s", f.text);
    if (format != OUTPUT_TABLE) return output_json(format, to_json(a, &o), "steps");
    tell(a, &o);
    return CLI_OK;
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    struct arena arena = {0};
    struct asked a = {.v = v, .file = args[0]};
    enum output_format format;
    (void)n_args;
    int code = output_format(v, &format);
    if (code == CLI_OK) code = read_plan(&a, &arena);
    if (code == CLI_OK) code = look(&a, format);
    arena_free(&arena);
    return code;
}

static const struct cli_option options[] = {
    {"rate", 0, "N/s", "requests of both versions together, e.g. 2000/s or 90/min"},
    {"errors", 0, "SHARE", "usual share of bad requests, 0.1%; METRIC=0.1% for one"},
    {"latency", 0, "BASE", "usual latency, p50=80ms,p99=600ms; NAME:p50=… for one"},
    {"events", 0, "N/h", "usual rate of events, both versions together; NAME=N/h"},
    {"worse", 0, "RATIO", "regression of a ratio, repeated; else 1.5, 2, 4 and 10"},
    {"slower", 0, "TIMES", "regression of a latency: all of it so many times as long"},
    {"tail", 0, "SHARE:TIME", "… so many requests take so much longer, 1%:500ms"},
    {"metric", 0, "NAME",
     "metric that the regressions hit; else the first of its kind"},
    {"phi", 0, "N",
     "dispersion of metrics that the plan leaves to calibration (default 1)"},
    {"runs", 0, "N", "simulated rollouts; by default 200, fewer when they are long"},
    {"seed", 0, "N", "of the simulation (default 1)"},
    OUTPUT_OPTIONS,
    {0}};

const struct cli_verb cmd_plan = {
    "plan",
    "FILE --rate N/s --errors SHARE [options]",
    "Tell how long a plan will take, what it will find and whom a bad canary hurts.",
    options,
    1,
    1,
    run};
