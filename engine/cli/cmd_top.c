/* engine/cli/cmd_top.c -- what ingest does, partition by partition, as it happens
 *
 * All of it stands in /metrics; two looks give the rates. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/keys.h"
#include "engine/base/mem.h"
#include "engine/base/strview.h"
#include "engine/cli/output.h"
#include "engine/cli/remote.h"
#include "engine/cli/signals.h"

#define PARTITION "serin_ingest_partition_"
#define WORKER "serin_ingest_worker_"

static const char *const sorts[] = {"topic",     "lag",         "delay", "messages",
                                    "samples",   "routed",      "late",  "unrouted",
                                    "poison",    "dropped",     "other", "bytes",
                                    "duplicate", "quarantined", NULL};

/* ---- one line of Prometheus text: name{label="value",...} number */
struct line {
    char name[96], topic[256], partition[16], reason[64], worker[300];
    double value;
};

/* Past a quoted value, which is copied without its escapes; NULL: no such line. */
static const char *unquote(const char *p, char *out, size_t room)
{
    size_t n = 0;
    if (*p++ != '"') return NULL;
    for (; *p != '"' && *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0') p++;
        if (n + 1 < room) out[n++] = *p;
    }
    out[n] = '\0';
    return *p == '"' ? p + 1 : NULL;
}

static const char *read_labels(const char *p, struct line *l)
{
    char unused[300];
    while (*p != '}' && *p != '\0') {
        size_t n = strcspn(p, "=");
        struct strview key = {p, n};
        char *to = unused;
        size_t room = sizeof unused;
        const struct {
            const char *label;
            char *to;
            size_t room;
        } known[] = {{"topic", l->topic, sizeof l->topic},
                     {"partition", l->partition, sizeof l->partition},
                     {"reason", l->reason, sizeof l->reason},
                     {"worker", l->worker, sizeof l->worker}};
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (strview_eq(key, strview_of(known[i].label)))
                to = known[i].to, room = known[i].room;
        if (p[n] != '=' || (p = unquote(p + n + 1, to, room)) == NULL) return NULL;
        if (*p == ',') p++;
    }
    return *p == '}' ? p + 1 : NULL;
}

static bool read_line(const char *p, struct line *l)
{
    size_t n = strcspn(p, "{ ");
    char *end;
    *l = (struct line){.value = 0};
    if (*p == '#' || n == 0 || n >= sizeof l->name) return false;
    memcpy(l->name, p, n);
    p += n;
    if (*p == '{' && (p = read_labels(p + 1, l)) == NULL) return false;
    l->value = strtod(p, &end);
    return end != p;
}

/* ---- lines to rows */
static json_t *row_of(json_t *rows, const struct line *l)
{
    size_t i;
    json_t *r;
    int partition = (int)strtol(l->partition, NULL, 10);
    json_array_foreach(rows, i, r)
    {
        if (output_int(r, "partition") == partition &&
            strcmp(output_text(r, "topic"), l->topic) == 0)
            return r;
    }
    r = json_pack("{ss si s{}}", "topic", l->topic, "partition", partition,
                  "quarantined_by");
    if (json_array_append_new(rows, r) != 0) return NULL;
    return json_array_get(rows, json_array_size(rows) - 1);
}

static json_t *worker_of(json_t *workers, const char *name)
{
    size_t i;
    json_t *w;
    json_array_foreach(workers, i, w)
    {
        if (strcmp(output_text(w, "worker"), name) == 0) return w;
    }
    if (json_array_append_new(workers, json_pack("{ss}", "worker", name)) != 0)
        return NULL;
    return json_array_get(workers, json_array_size(workers) - 1);
}

static json_t *number(double v)
{
    return v == floor(v) && fabs(v) < 9e15 ? json_integer((json_int_t)v) : json_real(v);
}

static void partition_line(json_t *rows, const struct line *l)
{
    char field[96];
    json_t *r = row_of(rows, l);
    snprintf(field, sizeof field, "%s", l->name + strlen(PARTITION));
    size_t n = strlen(field);
    if (n > 6 && strcmp(field + n - 6, "_total") == 0) field[n - 6] = '\0';
    if (strcmp(field, "lag_records") == 0) snprintf(field, sizeof field, "lag");
    if (strcmp(field, "watermark_delay_seconds") == 0)
        snprintf(field, sizeof field, "delay_s");
    if (r == NULL) return;
    if (l->reason[0] != '\0') {
        json_object_set_new(json_object_get(r, "quarantined_by"), l->reason,
                            number(l->value));
        double sum = output_real(r, field);
        json_object_set_new(r, field, number((isnan(sum) ? 0 : sum) + l->value));
        return;
    }
    json_object_set_new(r, field, number(l->value));
}

static void take_line(const char *text, json_t *rows, json_t *workers)
{
    struct line l;
    if (!read_line(text, &l)) return;
    if (strncmp(l.name, PARTITION, strlen(PARTITION)) == 0 && l.topic[0] != '\0')
        partition_line(rows, &l);
    else if (strncmp(l.name, WORKER, strlen(WORKER)) == 0 && l.worker[0] != '\0') {
        json_t *w = worker_of(workers, l.worker);
        if (w != NULL) json_object_set_new(w, l.name + strlen(WORKER), number(l.value));
    }
}

static void add_quarantined(json_t *rows)
{
    size_t i;
    json_t *r;
    json_array_foreach(rows, i, r)
    {
        if (json_object_get(r, "quarantined") == NULL)
            json_object_set_new(r, "quarantined", json_integer(0));
    }
}

static int look(json_t **out)
{
    struct remote_reply reply = {0};
    char why[512];
    int code = remote_call(
        &(struct remote_request){.method = "GET", .path = "/metrics"}, &reply, why);
    if (code != CLI_OK) return cli_fail((enum cli_exit)code, "top: %s", why);
    code = remote_code(&reply);
    if (code != CLI_OK) {
        cli_fail((enum cli_exit)code, "top: %s", remote_message(&reply));
        remote_reply_free(&reply);
        return code;
    }
    json_t *rows = json_array(), *workers = json_array();
    for (const char *p = reply.body; p != NULL && *p != '\0';) {
        take_line(p, rows, workers);
        p = strchr(p, '\n');
        if (p != NULL) p++;
    }
    add_quarantined(rows);
    remote_reply_free(&reply);
    *out =
        json_pack("{ss sI so so}", "schema", "serin.top/1", "t_ms",
                  (json_int_t)clock_wall_ms(), "partitions", rows, "workers", workers);
    return *out != NULL ? CLI_OK : cli_fail(CLI_UNREACHABLE, "top: out of memory");
}

/* ---- rates: what two looks differ by */
static void add_rates(json_t *now, const json_t *before)
{
    static const char *const of[] = {"messages", "samples", "routed"};
    double seconds =
        1e-3 * (double)(output_int(now, "t_ms") - output_int(before, "t_ms"));
    size_t i, k;
    json_t *r, *b;
    if (seconds <= 0) return;
    json_array_foreach(json_object_get(now, "partitions"), i, r)
    {
        json_array_foreach(json_object_get(before, "partitions"), k, b)
        {
            if (output_int(r, "partition") != output_int(b, "partition") ||
                strcmp(output_text(r, "topic"), output_text(b, "topic")) != 0)
                continue;
            for (size_t m = 0; m < sizeof of / sizeof *of; m++) {
                char name[32];
                double rise = output_real(r, of[m]) - output_real(b, of[m]);
                snprintf(name, sizeof name, "%s_per_s", of[m]);
                json_object_set_new(r, name, json_real(rise > 0 ? rise / seconds : 0));
            }
        }
    }
}

/* ---- order */
static const char *sort_by;

static int by_place(const json_t *a, const json_t *b)
{
    int topics = strcmp(output_text(a, "topic"), output_text(b, "topic"));
    if (topics != 0) return topics;
    return output_int(a, "partition") < output_int(b, "partition") ? -1 : 1;
}

/* Largest first; the rate where there is one. */
static int order(const void *x, const void *y)
{
    json_t *const *a = x, *const *b = y;
    char rate[32];
    const char *field = strcmp(sort_by, "delay") == 0 ? "delay_s" : sort_by;
    if (strcmp(sort_by, "topic") == 0) return by_place(*a, *b);
    snprintf(rate, sizeof rate, "%s_per_s", field);
    if (json_object_get(*a, rate) != NULL && json_object_get(*b, rate) != NULL)
        field = rate;
    double u = output_real(*a, field), v = output_real(*b, field);
    if (isnan(u)) u = -INFINITY;
    if (isnan(v)) v = -INFINITY;
    return u != v ? (u < v) - (u > v) : by_place(*a, *b);
}

static void sort_rows(json_t *top)
{
    json_t *rows = json_object_get(top, "partitions"), *sorted = json_array();
    size_t n = json_array_size(rows);
    json_t **all = mem_calloc(n + 1, sizeof *all);
    for (size_t i = 0; all != NULL && i < n; i++)
        all[i] = json_array_get(rows, i);
    if (all != NULL && n > 1) qsort(all, n, sizeof *all, order);
    for (size_t i = 0; all != NULL && i < n; i++)
        json_array_append(sorted, all[i]);
    mem_free(all);
    json_object_set_new(top, "partitions", sorted);
}

/* ---- for people */
static void short_number(struct output_table *t, double v)
{
    static const char units[] = " kMGT";
    size_t u = 0;
    if (isnan(v)) {
        output_cell(t, "-");
        return;
    }
    while (v >= 10000 && u + 2 < sizeof units) {
        v /= 1000;
        u++;
    }
    if (u == 0)
        output_cell(t, "%.0f", v);
    else
        output_cell(t, "%.0f%c", v, units[u]);
}

static void show_workers(const json_t *workers)
{
    size_t i;
    json_t *w;
    json_array_foreach(workers, i, w)
    {
        printf("%s: ", i == 0 ? "workers" : "       ");
        output_clean(stdout, output_text(w, "worker"));
        double age = output_real(w, "flush_age_seconds");
        printf(" %lld partitions, %.0f of %.0f MiB",
               (long long)output_int(w, "partitions"),
               output_real(w, "memory_bytes") / 1048576,
               output_real(w, "memory_limit_bytes") / 1048576);
        if (isnan(age))
            puts(", nothing flushed yet");
        else
            printf(", flushed %.1f s ago\n", age);
    }
}

static void show(const json_t *top)
{
    static const char *const heads[] = {
        "TOPIC", "PART",   "MSG/S", "SAMPLES/S", "MESSAGES",    "ROUTED", "UNROUTED",
        "LATE",  "POISON", "DUP",   "DROPPED",   "QUARANTINED", "LAG",    "DELAY"};
    static const char *const fields[] = {
        "messages_per_s", "samples_per_s", "messages", "routed",
        "unrouted",       "late",          "poison",   "duplicate",
        "dropped",        "quarantined",   "lag"};
    size_t i;
    json_t *r;
    const json_t *rows = json_object_get(top, "partitions");
    if (json_array_size(rows) == 0) {
        fputs("This engine has read nothing yet (or has no role ingest).\n", stderr);
        return;
    }
    show_workers(json_object_get(top, "workers"));
    struct output_table *t = output_table_open(sizeof heads / sizeof *heads, heads);
    json_array_foreach(rows, i, r)
    {
        char delay[32];
        bool idle = output_int(r, "idle") != 0;
        double s = output_real(r, "delay_s");
        output_cell(t, "%s", output_text(r, "topic"));
        output_cell(t, "%lld", (long long)output_int(r, "partition"));
        for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
            short_number(t, output_real(r, fields[f]));
        output_cell(t, "%s%s",
                    isnan(s) ? "-" : output_duration(delay, (int64_t)(s * 1e3)),
                    idle ? " idle" : "");
    }
    output_table_close(t);
}

/* ---- the verb */
static int print(enum output_format f, json_t *top, bool again)
{
    sort_rows(top);
    if (f != OUTPUT_TABLE)
        return output_json(again && f == OUTPUT_JSON ? OUTPUT_JSONL : f, top,
                           f == OUTPUT_JSONL && !again ? "partitions" : NULL);
    if (again && isatty(STDOUT_FILENO)) fputs("\033[H\033[2J", stdout);
    show(top);
    fflush(stdout);
    return CLI_OK;
}

static int watch(enum output_format f, int64_t every_ms)
{
    json_t *before = NULL, *now = NULL;
    int code;
    signals_hold();
    while ((code = look(&now)) == CLI_OK) {
        if (before != NULL) add_rates(now, before);
        json_decref(before);
        before = json_incref(now);
        code = print(f, now, true);
        json_decref(now);
        if (code != CLI_OK || signals_pause(NULL, every_ms)) break;
    }
    json_decref(before);
    return code;
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)args, (void)n_args;
    enum output_format f;
    int64_t every_ms = 2000;
    const char *every = cli_get("interval");
    char hint[KEYS_HINT];
    size_t known = 0;
    int code = output_format(v, &f);
    if (code != CLI_OK) return code;
    sort_by = cli_get("sort") != NULL ? cli_get("sort") : "topic";
    while (sorts[known] != NULL && strcmp(sorts[known], sort_by) != 0)
        known++;
    if (sorts[known] == NULL)
        return cli_usage(v, "--sort: \"%.60s\" is no column%s", sort_by,
                         keys_hint(sort_by, sorts, hint));
    if (every != NULL &&
        (!strview_duration_ms(strview_of(every), &every_ms) || every_ms < 100))
        return cli_usage(v, "--interval: \"%.60s\": expected 100ms or more", every);
    if (cli_get("once") == NULL) return watch(f, every_ms);
    json_t *now = NULL;
    code = look(&now);
    if (code == CLI_OK) code = print(f, now, false);
    json_decref(now);
    return code;
}

static const struct cli_option options[] = {
    {"once", 0, NULL, "one look, without rates, then end"},
    {"interval", 0, "DURATION", "between two looks (default 2s)"},
    {"sort", 0, "COLUMN", "topic, or largest first: lag, delay, messages, late, …"},
    OUTPUT_OPTIONS,
    REMOTE_OPTIONS,
    {0}};

const struct cli_verb cmd_top = {
    "top", "[options]", "Watch what ingest reads, partition by partition.", options, 0,
    0,     run};
