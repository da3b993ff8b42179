/* engine/cli/cmd_input.c -- look into an input topic before it is trusted */
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/bus/table.h"
#include "engine/cli/client.h"
#include "engine/cli/file.h"
#include "engine/cli/output.h"
#include "engine/core/plan.h"
#include "ingest/survey.h"
#include "proto/decode.h"

enum { WAIT_MS = 20000, POLL_MS = 100, LAST = 200, LAST_MAX = 1000000 };

struct look {
    struct survey *survey;
    struct arena rows;
    const char *topic;
    uint64_t last;
    enum format format;
    size_t max_message;
    struct aggregate_input input;
};

static void on_row(void *ctx, const struct bus_record *r)
{
    struct look *l = ctx;
    struct fault f = {0};
    pb_rollout *row;
    if (r->value == NULL)
        survey_forget(l->survey, (struct strview){r->key, r->key_len});
    if (r->value == NULL ||
        decode_rollout(&l->rows, r->value, r->value_len, &row) != SERIN_OK)
        return;
    if (survey_rollout(l->survey, row, &f) != SERIN_OK)
        fprintf(stderr, "serin: %s\n", f.text);
}

static void on_record(void *ctx, const struct bus_record *r)
{
    struct look *l = ctx;
    enum format f = format_of_type(consumer_content_type(r), l->format);
    survey_record(l->survey, f, r->value, r->value_len, l->max_message,
                  clock_wall_ms());
}

/* A topic's last records, or all of them (last == 0). */
static enum serin_status read_all(struct bus *b, struct look *l, const char *topic,
                                  uint64_t last,
                                  void (*use)(void *, const struct bus_record *),
                                  struct fault *f)
{
    struct table *t = NULL;
    struct table_options o = {.topic = topic,
                              .start = BUS_OFFSET_NONE,
                              .last = (int64_t)last,
                              .on_record = use,
                              .ctx = l};
    enum serin_status s = table_open(&t, b, &o, f);
    int64_t end = clock_mono_ms() + WAIT_MS;
    while (s == SERIN_OK && !table_caught_up(t) && clock_mono_ms() < end)
        s = table_poll(t, POLL_MS, f);
    if (s == SERIN_OK && !table_caught_up(t))
        fprintf(stderr, "serin: %s: not all partitions answered within %d s\n", topic,
                WAIT_MS / 1000);
    table_close(t);
    return s;
}

static int take_plan(struct look *l, const char *path)
{
    struct fault f = {0};
    struct doc_errors errors = {0};
    struct plan *p = NULL;
    const char *text = NULL;
    size_t n = 0;
    if (file_load(&l->rows, path, DOC_MAX_BYTES, &text, &n, &f) != SERIN_OK)
        return cli_fail(CLI_USAGE, "%s", f.text);
    if (plan_parse(&l->rows, text, n, &p, &errors) != SERIN_OK) {
        fputs(doc_errors_format(&errors, path, text, n), stderr);
        return cli_fail(CLI_USAGE, "input: the plan will not do (above)");
    }
    pb_rollout *row = arena_alloc(&l->rows, sizeof *row);
    if (row == NULL) return cli_fail(CLI_USAGE, "input: out of memory");
    serin__v1__rollout__init(row);
    row->rollout = messages_text(p->id);
    if (plan_route(&l->rows, p, &row->route) != SERIN_OK)
        return cli_fail(CLI_USAGE, "input: out of memory");
    row->route->live = true;
    if (survey_rollout(l->survey, row, &f) != SERIN_OK)
        return cli_fail(CLI_USAGE, "%s", f.text);
    return CLI_OK;
}

/* ---- for people */
static const char *joined(const json_t *values, char out[200])
{
    size_t i, n = 0;
    json_t *v;
    out[0] = '\0';
    json_array_foreach(values, i, v)
    {
        if (n >= 200) break;
        n += (size_t)snprintf(out + n, 200 - n, "%s%s", i > 0 ? ", " : "",
                              json_string_value(v));
    }
    return out;
}

static void show_formats(const json_t *report)
{
    const char *name;
    json_t *n, *r;
    size_t i;
    printf("%lld records, %lld samples;", (long long)output_int(report, "records"),
           (long long)output_int(report, "samples"));
    json_object_foreach(json_object_get(report, "formats"), name, n)
        printf(" %s: %lld", name, (long long)json_integer_value(n));
    puts("");
    json_array_foreach(json_object_get(report, "refused"), i, r)
    {
        printf("refused: %lld as %s, first: ", (long long)output_int(r, "records"),
               output_text(r, "reason"));
        output_clean(stdout, output_text(r, "detail"));
        puts("");
    }
}

static void show_names(const json_t *report)
{
    static const char *const metrics[] = {"METRIC", "SERIES", "SAMPLES", "KIND"};
    static const char *const keys[] = {"ATTRIBUTE", "VALUES", "EXAMPLES"};
    char text[200];
    size_t i;
    json_t *r;
    struct output_table *t = output_table_open(4, metrics);
    json_array_foreach(json_object_get(report, "metrics"), i, r)
    {
        output_cell(t, "%s", output_text(r, "name"));
        output_cell(t, "%lld", (long long)output_int(r, "series"));
        output_cell(t, "%lld", (long long)output_int(r, "samples"));
        output_cell(t, "%s", joined(json_object_get(r, "kinds"), text));
    }
    puts("");
    output_table_close(t);
    t = output_table_open(3, keys);
    json_array_foreach(json_object_get(report, "attributes"), i, r)
    {
        output_cell(t, "%s", output_text(r, "key"));
        output_cell(t, "%lld", (long long)output_int(r, "values"));
        output_cell(t, "%s", joined(json_object_get(r, "examples"), text));
    }
    puts("");
    output_table_close(t);
}

static void show_rollouts(const json_t *report)
{
    size_t i, k;
    json_t *r, *m;
    json_array_foreach(json_object_get(report, "rollouts"), i, r)
    {
        printf("\n%s: %lld series of the canary, %lld of the baseline\n",
               output_text(r, "rollout"), (long long)output_int(r, "canary"),
               (long long)output_int(r, "baseline"));
        json_array_foreach(json_object_get(r, "metrics"), k, m) printf(
            "  %s (%s): %lld samples of the canary, %lld of the baseline\n",
            output_text(m, "name"), output_text(m, "from"),
            (long long)output_int(m, "canary"), (long long)output_int(m, "baseline"));
        json_array_foreach(json_object_get(r, "missing"), k, m)
        {
            fputs("  missing: ", stdout);
            output_clean(stdout, json_string_value(m));
            puts("");
        }
    }
}

/* ---- the verb */
static int report(struct look *l, enum output_format format)
{
    size_t i, missing = 0;
    json_t *r, *all = survey_report(l->survey);
    if (all == NULL) return cli_fail(CLI_USAGE, "input: out of memory");
    json_object_set_new(all, "schema", json_string("serin.input/1"));
    json_object_set_new(all, "topic", json_string(l->topic));
    json_array_foreach(json_object_get(all, "rollouts"), i, r) missing +=
        json_array_size(json_object_get(r, "missing"));
    if (format == OUTPUT_TABLE) {
        show_formats(all);
        show_names(all);
        show_rollouts(all);
        if (json_array_size(json_object_get(all, "rollouts")) == 0)
            puts("\nNo rollout is live; --plan FILE shows what a plan would find.");
    } else {
        output_json(format, all, NULL);
    }
    json_decref(all);
    return missing == 0 ? CLI_OK : CLI_HELD;
}

static int look(struct bus *b, struct look *l, enum output_format format)
{
    struct fault f = {0};
    const char *plan = cli_get("plan");
    int code = CLI_OK;
    if (survey_open(&l->survey, &l->input) != SERIN_OK)
        return cli_fail(CLI_USAGE, "input: out of memory");
    if (plan != NULL)
        code = take_plan(l, plan);
    else if (read_all(b, l, bus_topic_name(b, BUS_ROLLOUTS), 0, on_row, &f) != SERIN_OK)
        fprintf(stderr, "serin: rollouts are not known: %s\n", f.text);
    if (code == CLI_OK && read_all(b, l, l->topic, l->last, on_record, &f) != SERIN_OK)
        code = cli_fail(CLI_UNREACHABLE, "input: %s", f.text);
    if (code == CLI_OK) code = report(l, format);
    survey_close(l->survey);
    return code;
}

/* What serin.yaml says of the topic; nothing when it is not listed. */
static void take_input(struct look *l, const struct config *c)
{
    l->max_message = c->max_message;
    for (size_t i = 0; i < c->n_inputs; i++) {
        const struct worker_input *in = &c->inputs[i];
        if (strcmp(in->topic, l->topic) != 0) continue;
        if (in->format != NULL) (void)format_parse(in->format, &l->format);
        l->input.attributes = in->attributes;
        l->input.n_attributes = in->n_attributes;
        l->input.metric = strview_of(in->metric);
        l->input.cumulative = in->cumulative;
        l->input.tick_ns = in->tick_ns;
        if (in->max_message != 0) l->max_message = in->max_message;
    }
}

static int with_config(const struct cli_verb *v, const struct config *c, struct look *l)
{
    struct fault f = {0};
    struct bus *b = NULL;
    enum output_format format;
    const struct bus_options o = config_bus(c);
    const char *last = cli_get("last"), *written = cli_get("format");
    int code = output_format(v, &format);
    if (code != CLI_OK) return code;
    take_input(l, c);
    if (written != NULL && !format_parse(written, &l->format))
        return cli_usage(v, "--format: \"%.60s\" is no format", written);
    l->last = last != NULL ? strtoull(last, NULL, 10) : LAST;
    if (l->last < 1 || l->last > LAST_MAX)
        return cli_usage(v, "--last: \"%.60s\": expected 1 to %d", last, LAST_MAX);
    if (bus_open(&b, &o, &f) != SERIN_OK) return cli_fail(CLI_USAGE, "%s", f.text);
    code = look(b, l, format);
    bus_close(b);
    return code;
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    struct config c = {0};
    struct look l = {.rows = {.max = (size_t)256 << 20}, .topic = args[1]};
    (void)n_args;
    if (strcmp(args[0], "check") != 0)
        return cli_usage(v, "\"%s\": expected check", args[0]);
    int code = client_config(v, &c);
    if (code == CLI_OK) code = with_config(v, &c, &l);
    arena_free(&l.rows);
    config_free(&c);
    return code;
}

static const struct cli_option options[] = {
    {"plan", 0, "FILE", "what this plan would find, instead of the live rollouts"},
    {"last", 'n', "N", "records of each partition (default: 200)"},
    {"format", 0, "NAME", "of its records, instead of the configuration's"},
    OUTPUT_OPTIONS,
    {"config", 'c', "FILE", "the engine's serin.yaml"},
    {"brokers", 'b', "LIST", "HOST:PORT,... instead of the file's bootstrap.servers"},
    {0}};

const struct cli_verb cmd_input = {
    "input",
    "check TOPIC [options]",
    "Read the latest records of a topic and say what rollouts find in it.",
    options,
    2,
    2,
    run};
