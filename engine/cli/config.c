/* engine/cli/config.c -- the table of serin.yaml, and what it becomes */
#include "engine/cli/config.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/keys.h"
#include "engine/cli/file.h"
#include "ingest/decode/format.h"
#include "ingest/worker_pool.h"

#define SECOND 1e3
#define MINUTE 6e4
#define HOUR 3.6e6

/* What the table fills; config_load makes a struct config of it. */
struct input {
    const char *topic, *dead_letter, *metric;
    const char **attributes; /* pairs */
    size_t n_attributes;
    int format, start, timestamps;
    bool cumulative;
    uint64_t max_message;
};
struct written {
    const char **properties; /* pairs */
    size_t n_properties;
    struct input *inputs;
    size_t n_inputs;
    const char *prefix, *instance, *token_file;
    struct serve_tls tls;
    const char *receive[CONFIG_RECEIVERS];
    uint64_t receive_queue;
    uint64_t partitions, replication;
    const char **listen, **roles;
    size_t n_listen, n_roles;
    bool insecure;
    int64_t flush, snapshot, status, lateness, idle, max_lag;
    uint64_t max_series, max_rollout, max_message, memory, ingest_threads;
    double fleet_level;
    const struct doc_node *actuate, *alerts;
    struct probe_policy checks;
    const char *audit_key;
    int64_t audit_checkpoint;
    int log_level, log_format;
    const char *record_dir;
    int record_what;
    uint64_t record_size, record_segment_size;
    int64_t record_age, record_segment_age;
};

#define X(name, text) text,
static const char *const formats[] = {FORMAT_MAP(X) NULL};
#undef X
static const char *const timestamps[] = {"auto", "s", "ms", "us", "ns", NULL};
static const char *const starts[] = {"earliest", "latest", NULL};
static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"logfmt", "json", NULL};
static const char *const role_names[] = {"ingest", "decide", "serve", NULL};
static const char *const record_whats[] = {"inbox", "inputs", "both", NULL};
static const char default_listen[] = SERVE_DEFAULT_LISTEN;

/* clang-format off */
#define AT(field) offsetof(struct input, field)
static const struct keys_key defaults_keys[] = {
    KEYS_KEY("metric", KEYS_TEXT, AT(metric), NULL, 1, 1024, NULL,
             "name of the metric where a record names none"),
    KEYS_KEY("attributes", KEYS_PAIRS, AT(attributes), NULL, 0, 32, NULL,
             "attributes of every series that does not have them",
             .count_at = AT(n_attributes)),
    KEYS_KEY("cumulative", KEYS_BOOL, AT(cumulative), "false", 0, 0, NULL,
             "counts in a format that does not tell it (influx) are sums since a start"),
    KEYS_KEY("timestamps", KEYS_ENUM, AT(timestamps), "auto", 0, 0, NULL,
             "unit of times in a format that does not tell it (influx); auto: the format's own",
             .choices = timestamps),
};
static const struct keys_table defaults_table = KEYS_OF(defaults_keys, struct input);

static const struct keys_key input_keys[] = {
    KEYS_KEY("topic", KEYS_TEXT, AT(topic), NULL, 1, 249, NULL,
             "name of a topic that holds metrics", .required = true),
    KEYS_KEY("format", KEYS_ENUM, AT(format), "auto", 0, 0, NULL,
             "what its records are; auto looks at each one; a content-type header wins",
             .choices = formats),
    KEYS_KEY("dead_letter", KEYS_TEXT, AT(dead_letter), NULL, 1, 249, NULL,
             "topic that gets the records that cannot be decoded"),
    KEYS_KEY("start", KEYS_ENUM, AT(start), "earliest", 0, 0, NULL,
             "where to begin when no offset is committed; latest skips what is there", .choices = starts),
    KEYS_KEY("max_message", KEYS_BYTES, AT(max_message), "0", 0, 1073741824, "bytes",
             "largest record that is decoded; 0 = limits.message"),
    KEYS_KEY("defaults", KEYS_SECTION, 0, NULL, 0, 0, NULL,
             "what holds where a record says nothing", .sub = &defaults_table),
};
static const struct keys_table input_table = KEYS_OF(input_keys, struct input);

#undef AT
#define AT(field) offsetof(struct probe_program, field)
static const struct keys_key program_keys[] = {
    KEYS_KEY("command", KEYS_TEXTS, AT(argv), NULL, 1, 32, NULL,
             "absolute path of the program, then its arguments; no shell", .required = true,
             .count_at = AT(n)),
};
static const struct keys_table program_table = KEYS_OF(program_keys, struct probe_program);

#undef AT
#define AT(field) offsetof(struct written, field)
static const struct keys_key topics_keys[] = {
    KEYS_KEY("prefix", KEYS_TEXT, AT(prefix), "serin.", 1, 200, NULL,
             "of the names of serin's own topics"),
    KEYS_KEY("partitions", KEYS_COUNT, AT(partitions), "16", 1, 10000, "partitions",
             "of serin's own topics when they are created"),
    KEYS_KEY("replication", KEYS_COUNT, AT(replication), "0", 0, 100, "replicas",
             "of serin's own topics when they are created; 0 = the broker's default"),
};
static const struct keys_table topics_table = KEYS_OF(topics_keys, struct written);

static const struct keys_key tls_keys[] = {
    KEYS_KEY("cert_file", KEYS_TEXT, AT(tls.cert_file), NULL, 1, 4096, NULL,
             "file with the certificate and what leads to its root, PEM", .required = true),
    KEYS_KEY("key_file", KEYS_TEXT, AT(tls.key_file), NULL, 1, 4096, NULL,
             "file with its key, PEM, which others cannot read", .required = true),
    KEYS_KEY("client_ca_file", KEYS_TEXT, AT(tls.client_ca_file), NULL, 1, 4096, NULL,
             "file with the certificates, PEM, that sign those of clients; then TCP clients must show one"),
};
static const struct keys_table tls_table = KEYS_OF(tls_keys, struct written);

static const struct keys_key http_keys[] = {
    KEYS_KEY("listen", KEYS_TEXTS, AT(listen), NULL, 1, SERVE_MAX_LISTEN, NULL,
             "unix:/path or host:port, one or several; by default " SERVE_DEFAULT_LISTEN,
             .count_at = AT(n_listen)),
    KEYS_KEY("token_file", KEYS_TEXT, AT(token_file), NULL, 1, 4096, NULL,
             "file with the bearer token that TCP clients must present"),
    KEYS_KEY("tls", KEYS_SECTION, 0, NULL, 0, 0, NULL, "HTTPS instead of HTTP for TCP",
             .sub = &tls_table),
    KEYS_KEY("insecure", KEYS_BOOL, AT(insecure), "false", 0, 0, NULL,
             "serve TCP to everybody"),
};
static const struct keys_table http_table = KEYS_OF(http_keys, struct written);

static const struct keys_key receive_keys[] = {
    KEYS_KEY("otlp_metrics", KEYS_TEXT, AT(receive[CONFIG_OTLP_METRICS]), NULL, 1, 249, NULL,
             "topic for what is posted to /v1/metrics (OTLP/HTTP); an input without saying so"),
    KEYS_KEY("otlp_traces", KEYS_TEXT, AT(receive[CONFIG_OTLP_TRACES]), NULL, 1, 249, NULL,
             "topic for what is posted to /v1/traces (OTLP/HTTP)"),
    KEYS_KEY("prometheus", KEYS_TEXT, AT(receive[CONFIG_PROMETHEUS]), NULL, 1, 249, NULL,
             "topic for what is posted to /api/v1/write (Prometheus remote write 1.0)"),
    KEYS_KEY("queue", KEYS_BYTES, AT(receive_queue), "64MiB", 65536, 17179869184, "bytes",
             "of received bodies on their way to Kafka; beyond it the answer is 429"),
};
static const struct keys_table receive_table = KEYS_OF(receive_keys, struct written);

static const struct keys_key limits_keys[] = {
    KEYS_KEY("series", KEYS_COUNT, AT(max_series), "1000000", 1, 1e9, "series",
             "kept by ingest between two flushes; more strata fall into \"other\""),
    KEYS_KEY("rollout_series", KEYS_COUNT, AT(max_rollout), "0", 0, 1e9, "series",
             "of them for one rollout and worker; 0 = as many as in all"),
    KEYS_KEY("memory", KEYS_BYTES, AT(memory), "512MiB", 67108864, 1099511627776, "bytes",
             "held by ingest in this process, what is fetched ahead included"),
    KEYS_KEY("message", KEYS_BYTES, AT(max_message), "4MiB", 1024, 1073741824, "bytes",
             "largest input record that is decoded"),
};
static const struct keys_table limits_table = KEYS_OF(limits_keys, struct written);

static const struct keys_key fleet_keys[] = {
    KEYS_KEY("level", KEYS_SHARE, AT(fleet_level), NULL, 1e-9, 0.5, "probability",
             "share of false ones among the rollouts that are called bad, in expectation; "
             "an alerting level, no rollout's own risk changes", .required = true),
};
static const struct keys_table fleet_table = KEYS_OF(fleet_keys, struct written);

static const struct keys_key audit_keys[] = {
    KEYS_KEY("key_file", KEYS_TEXT, AT(audit_key), NULL, 1, 4096, NULL,
             "signs verdicts and audit entries; 'serin audit keygen' makes it"),
    KEYS_KEY("checkpoint", KEYS_DURATION, AT(audit_checkpoint), "1h", SECOND, 24 * HOUR, NULL,
             "time between entries that say where all chains stand"),
};
static const struct keys_table audit_table = KEYS_OF(audit_keys, struct written);

static const struct keys_key record_keys[] = {
    KEYS_KEY("dir", KEYS_TEXT, AT(record_dir), NULL, 1, 4000, NULL,
             "folder of the recordings; one process has it to itself", .required = true),
    KEYS_KEY("what", KEYS_ENUM, AT(record_what), "inbox", 0, 0, NULL,
             "inbox: what decisions are made of; inputs: the metrics as sent; both",
             .choices = record_whats),
    KEYS_KEY("max_size", KEYS_BYTES, AT(record_size), "10GiB", 1048576, 1e15, "bytes",
             "of all recordings in it; the oldest go"),
    KEYS_KEY("max_age", KEYS_DURATION, AT(record_age), "7d", MINUTE, 3650 * 24 * HOUR, NULL,
             "of a recording; older ones go"),
    KEYS_KEY("segment_size", KEYS_BYTES, AT(record_segment_size), "256MiB", 65536, 1e13, "bytes",
             "of one file; the next one begins then"),
    KEYS_KEY("segment_age", KEYS_DURATION, AT(record_segment_age), "1h", SECOND, 24 * HOUR, NULL,
             "of one file, at most"),
};
static const struct keys_table record_table = KEYS_OF(record_keys, struct written);

static const struct keys_key log_keys[] = {
    KEYS_KEY("level", KEYS_ENUM, AT(log_level), "info", 0, 0, NULL, "least level written",
             .choices = levels),
    KEYS_KEY("format", KEYS_ENUM, AT(log_format), "logfmt", 0, 0, NULL,
             "of the lines on standard error", .choices = log_formats),
};
static const struct keys_table log_table = KEYS_OF(log_keys, struct written);

static const struct keys_key checks_keys[] = {
    KEYS_KEY("urls", KEYS_TEXTS, AT(checks.urls), NULL, 1, 64, NULL,
             "beginnings of the addresses that webhooks of plans may have",
             .count_at = AT(checks.n_urls)),
    KEYS_KEY("secrets", KEYS_TEXT, AT(checks.secrets), NULL, 1, 300, NULL,
             "folder of the keys that webhooks are signed with; plans name a file in it"),
    KEYS_KEY("exec", KEYS_TABLE, AT(checks.programs), NULL, 0, 64, NULL,
             "programs that plans may have run, by name", .count_at = AT(checks.n_programs),
             .sub = &program_table, .name_at = offsetof(struct probe_program, name)),
};
static const struct keys_table checks_table = KEYS_OF(checks_keys, struct written);

static const struct keys_key top_keys[] = {
    KEYS_KEY("kafka", KEYS_PAIRS, AT(properties), NULL, 0, 500, NULL,
             "any librdkafka property, e.g. bootstrap.servers",
             .count_at = AT(n_properties)),
    KEYS_KEY("inputs", KEYS_LIST, AT(inputs), NULL, 0, CONFIG_MAX_INPUTS, NULL,
             "topics that hold metrics", .count_at = AT(n_inputs), .sub = &input_table),
    KEYS_KEY("topics", KEYS_SECTION, 0, NULL, 0, 0, NULL, "serin's own topics",
             .sub = &topics_table),
    KEYS_KEY("http", KEYS_SECTION, 0, NULL, 0, 0, NULL, "the HTTP API",
             .sub = &http_table),
    KEYS_KEY("receive", KEYS_SECTION, 0, NULL, 0, 0, NULL,
             "metrics and traces posted to the HTTP API, by the topic they go to",
             .sub = &receive_table),
    KEYS_KEY("roles", KEYS_TEXTS, AT(roles), NULL, 1, 3, NULL,
             "what this process does: ingest, decide, serve; by default all",
             .count_at = AT(n_roles)),
    KEYS_KEY("ingest_threads", KEYS_COUNT, AT(ingest_threads), "1", 1, WORKER_POOL_MAX,
             "threads", "that share the input partitions, each a member of the group"),
    KEYS_KEY("instance", KEYS_TEXT, AT(instance), NULL, 1, 128, NULL,
             "name of this process, unique and the same after a restart; by default the "
             "host's"),
    KEYS_KEY("flush", KEYS_DURATION, AT(flush), "200ms", 10, MINUTE, NULL,
             "time between two transactions of an ingest worker"),
    KEYS_KEY("snapshot", KEYS_DURATION, AT(snapshot), "10s", SECOND, HOUR, NULL,
             "time between two snapshots of a live rollout without verdicts"),
    KEYS_KEY("status", KEYS_DURATION, AT(status), "2s", 100, HOUR, NULL,
             "time between two refreshed rows of a live rollout"),
    KEYS_KEY("lateness", KEYS_DURATION, AT(lateness), "2s", 0, HOUR, NULL,
             "how long a window waits for late samples"),
    KEYS_KEY("idle", KEYS_DURATION, AT(idle), "5s", 100, HOUR, NULL,
             "a partition silent this long does not hold time back"),
    KEYS_KEY("max_lag", KEYS_DURATION, AT(max_lag), "1m", SECOND, 24 * HOUR, NULL,
             "input older than this: rollouts are held as blind"),
    KEYS_KEY("limits", KEYS_SECTION, 0, NULL, 0, 0, NULL, "guards of the memory",
             .sub = &limits_table),
    KEYS_KEY("fleet", KEYS_SECTION, 0, NULL, 0, 0, NULL,
             "judge all rollouts together, too; without it they are not",
             .sub = &fleet_table),
    KEYS_KEY("actuate", KEYS_ANY, AT(actuate), NULL, 0, 0, NULL,
             "what 'serin actuate' may move: targets, inline, lease, check",
             .schema = section_schema),
    KEYS_KEY("alerts", KEYS_ANY, AT(alerts), NULL, 0, 0, NULL,
             "whom 'serin notify' tells of holds and aborts: receivers, silence",
             .schema = receiver_schema),
    KEYS_KEY("checks", KEYS_SECTION, 0, NULL, 0, 0, NULL,
             "what plans may have asked from this machine; by default nothing",
             .sub = &checks_table),
    KEYS_KEY("audit", KEYS_SECTION, 0, NULL, 0, 0, NULL, "the audit trail",
             .sub = &audit_table),
    KEYS_KEY("record", KEYS_SECTION, 0, NULL, 0, 0, NULL,
             "what this process records while it runs; without it nothing",
             .sub = &record_table),
    KEYS_KEY("log", KEYS_SECTION, 0, NULL, 0, 0, NULL, "lines on standard error",
             .sub = &log_table),
};
static const struct keys_table table = KEYS_OF(top_keys, struct written);
/* clang-format on */

/* ---- checks across keys */
static bool topic_name_ok(const char *name)
{
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           strspn(
               name,
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               strlen(name);
}

static void check_topic(const struct written *w, const struct doc_node *map,
                        const char *key, struct doc_errors *errors)
{
    const struct doc_node *v = doc_get(map, key);
    if (v == NULL || v->type != DOC_SCALAR || doc_error_at(errors, v)) return;
    if (!topic_name_ok(v->text))
        doc_error_add(
            errors, v,
            "%s: \"%.100s\" is no topic name; letters, digits, '.', '_' and '-' "
            "only",
            key, v->text);
    else if (strncmp(v->text, w->prefix, strlen(w->prefix)) == 0)
        doc_error_add(
            errors, v,
            "%s: \"%.100s\" begins with \"%s\", as serin's own topics do; rename "
            "it, or change topics.prefix",
            key, v->text, w->prefix);
}

static void check_inputs(const struct written *w, const struct doc_node *root,
                         struct doc_errors *errors)
{
    for (size_t i = 0; i < w->n_inputs; i++) {
        const struct doc_node *node = doc_get(root, "inputs")->items[i];
        const struct input *in = &w->inputs[i];
        check_topic(w, node, "topic", errors);
        check_topic(w, node, "dead_letter", errors);
        if (in->topic == NULL) continue;
        for (size_t j = 0; j < i; j++)
            if (w->inputs[j].topic != NULL &&
                strcmp(w->inputs[j].topic, in->topic) == 0)
                doc_error_add(errors, node, "topic \"%.100s\" is listed twice",
                              in->topic);
        for (size_t j = 0; j < w->n_inputs; j++)
            if (w->inputs[j].dead_letter != NULL &&
                strcmp(w->inputs[j].dead_letter, in->topic) == 0)
                doc_error_add(errors, node,
                              "topic \"%.100s\" is a dead_letter topic, too; what is "
                              "undecodable would go round",
                              in->topic);
    }
}

static void check_receive(const struct written *w, const struct doc_node *root,
                          struct doc_errors *errors)
{
    const struct doc_node *node = doc_get(root, "receive");
    for (int i = 0; i < CONFIG_RECEIVERS; i++)
        check_topic(w, node, receive_keys[i].name, errors);
    if (w->receive[CONFIG_PROMETHEUS] == NULL) return;
    for (int i = 0; i < CONFIG_PROMETHEUS; i++)
        if (w->receive[i] != NULL &&
            strcmp(w->receive[i], w->receive[CONFIG_PROMETHEUS]) == 0)
            doc_error_add(errors, doc_get(node, "prometheus"),
                          "prometheus: %s is the same topic; give remote write one of "
                          "its own, its records have another format",
                          receive_keys[i].name);
}

/* NULL when an address will do, else what is wrong with it. */
static const char *listen_fault(const char *address)
{
    if (strncmp(address, "unix:", 5) == 0)
        return address[5] != '\0' && strlen(address + 5) < 108
                   ? NULL
                   : "a socket's path has 1 to 107 bytes";
    const char *colon = strrchr(address, ':');
    char *end = NULL;
    long port = colon != NULL && colon != address ? strtol(colon + 1, &end, 10) : -1;
    if (port < 0 || port > 65535 || colon[1] < '0' || colon[1] > '9' || *end != '\0')
        return "write unix:/path or host:port";
    return NULL;
}

static unsigned role_bit(const char *name)
{
    for (unsigned i = 0; role_names[i] != NULL; i++)
        if (strcmp(role_names[i], name) == 0) return 1u << i;
    return 0;
}

/* Entry i of a KEYS_TEXTS whose entries were all good, else NULL. */
static const struct doc_node *text_node(const struct doc_node *v, size_t i, size_t n)
{
    if (v == NULL || v->type == DOC_SCALAR) return v;
    return v->n == n ? v->items[i] : NULL;
}

static void check_lists(const struct written *w, const struct doc_node *root,
                        struct doc_errors *errors)
{
    const struct doc_node *listen = doc_get(doc_get(root, "http"), "listen");
    for (size_t i = 0; i < w->n_listen; i++) {
        const char *why = listen_fault(w->listen[i]);
        if (why != NULL)
            doc_error_add(errors, text_node(listen, i, w->n_listen),
                          "listen: \"%.100s\": %s", w->listen[i], why);
    }
    for (size_t i = 0; i < w->n_roles; i++) {
        if (role_bit(w->roles[i]) != 0) continue;
        char hint[KEYS_HINT];
        doc_error_add(errors, text_node(doc_get(root, "roles"), i, w->n_roles),
                      "roles: \"%.60s\" is none of ingest, decide, serve%s",
                      w->roles[i], keys_hint(w->roles[i], role_names, hint));
    }
}

enum { THREAD_MEMORY = 32 << 20 };

static const char memory_advice[] = "%llu ingest threads with %llu MiB in all: each "
                                    "needs 32 MiB; raise limits.memory or "
                                    "lower ingest_threads";

static bool has_memory(uint64_t threads, uint64_t memory)
{
    return memory / threads >= THREAD_MEMORY;
}

static void check_memory(const struct written *w, const struct doc_node *root,
                         struct doc_errors *errors)
{
    const struct doc_node *at = doc_get(root, "ingest_threads");
    if (at == NULL) at = doc_get(doc_get(root, "limits"), "memory");
    if (at == NULL || has_memory(w->ingest_threads, w->memory)) return;
    doc_error_add(errors, at, memory_advice, (unsigned long long)w->ingest_threads,
                  (unsigned long long)w->memory >> 20);
}

/* ---- from the table to the configuration */
static enum serin_status take_input(struct config *c, const struct input *in,
                                    struct worker_input *out)
{
    static const int64_t tick_ns[] = {0, 1000000000, 1000000, 1000, 1};
    struct series_attribute *attributes =
        arena_alloc(&c->arena, (in->n_attributes + 1) * sizeof *attributes);
    if (attributes == NULL) return SERIN_ENOMEM;
    for (size_t i = 0; i < in->n_attributes; i++)
        attributes[i] = (struct series_attribute){
            strview_of(in->attributes[2 * i]), strview_of(in->attributes[2 * i + 1])};
    *out = (struct worker_input){.topic = in->topic,
                                 .format = formats[in->format],
                                 .dead_letter = in->dead_letter,
                                 .start = in->start == 0 ? WORKER_FROM_EARLIEST
                                                         : WORKER_FROM_LATEST,
                                 .max_message = in->max_message,
                                 .metric = in->metric,
                                 .attributes = attributes,
                                 .n_attributes = in->n_attributes,
                                 .cumulative = in->cumulative,
                                 .tick_ns = tick_ns[in->timestamps]};
    return SERIN_OK;
}

/* What is received is an input, too, unless it is listed as one already. */
static void take_receivers(struct config *c, const struct written *w)
{
    static const char *const of[CONFIG_RECEIVERS] = {
        [CONFIG_OTLP_METRICS] = "otlp_proto",
        [CONFIG_OTLP_TRACES] = "otlp_proto",
        [CONFIG_PROMETHEUS] = "prometheus_rw"};
    for (int i = 0; i < CONFIG_RECEIVERS; i++) {
        bool listed = w->receive[i] == NULL;
        c->receive[i] = w->receive[i];
        for (size_t k = 0; !listed && k < c->n_inputs; k++)
            listed = strcmp(c->inputs[k].topic, w->receive[i]) == 0;
        if (listed) continue;
        c->inputs[c->n_inputs++] = (struct worker_input){
            .topic = w->receive[i],
            .format = of[i],
            .start = c->n_inputs != 0 ? c->inputs[0].start : WORKER_FROM_EARLIEST};
    }
}

static enum serin_status take_inputs(struct config *c, const struct written *w)
{
    size_t room = w->n_inputs + CONFIG_RECEIVERS;
    c->inputs = arena_alloc(&c->arena, room * sizeof *c->inputs);
    c->properties =
        arena_alloc(&c->arena, (w->n_properties + 1) * sizeof *c->properties);
    if (c->inputs == NULL || c->properties == NULL) return SERIN_ENOMEM;
    for (size_t i = 0; i < w->n_inputs; i++)
        if (take_input(c, &w->inputs[i], &c->inputs[i]) != SERIN_OK)
            return SERIN_ENOMEM;
    for (size_t i = 0; i < w->n_properties; i++)
        c->properties[i] =
            (struct bus_property){w->properties[2 * i], w->properties[2 * i + 1]};
    c->n_inputs = w->n_inputs;
    c->n_properties = w->n_properties;
    take_receivers(c, w);
    return SERIN_OK;
}

static enum serin_status set_listen(struct config *c, const char *const *from, size_t n)
{
    const char **listen = arena_alloc(&c->arena, (n + 2) * sizeof *listen);
    if (listen == NULL) return SERIN_ENOMEM;
    listen[0] = default_listen;
    for (size_t i = 0; i < n; i++)
        listen[i] = from[i];
    c->listen = listen;
    return SERIN_OK;
}

static struct config_record take_record(const struct written *w)
{
    return (struct config_record){.dir = w->record_dir,
                                  .inbox = w->record_what != 1,
                                  .inputs = w->record_what != 0,
                                  .max_size = w->record_size,
                                  .segment_size = w->record_segment_size,
                                  .max_age_ms = w->record_age,
                                  .segment_age_ms = w->record_segment_age};
}

static enum serin_status take(struct config *c, const struct written *w)
{
    c->prefix = w->prefix;
    c->partitions = w->partitions;
    c->replication = w->replication;
    c->instance = w->instance;
    c->token_file = w->token_file;
    c->tls = w->tls;
    c->insecure = w->insecure;
    c->flush_ms = w->flush;
    c->snapshot_ms = w->snapshot;
    c->status_ms = w->status;
    c->lateness_ms = w->lateness;
    c->idle_ms = w->idle;
    c->max_lag_ms = w->max_lag;
    c->receive_queue = w->receive_queue;
    c->max_series = w->max_series;
    c->max_rollout = w->max_rollout;
    c->max_message = w->max_message;
    c->memory = w->memory;
    c->ingest_threads = (unsigned)w->ingest_threads;
    c->fleet_level = w->fleet_level;
    c->checks = w->checks;
    c->record = take_record(w);
    c->audit_key = w->audit_key;
    c->audit_checkpoint_ms = w->audit_checkpoint;
    c->log_level = (enum log_level)w->log_level;
    c->log_json = w->log_format == 1;
    c->roles = w->n_roles == 0 ? CONFIG_ALL : 0;
    for (size_t i = 0; i < w->n_roles; i++)
        c->roles |= role_bit(w->roles[i]);
    enum serin_status rc = set_listen(c, w->listen, w->n_listen);
    return rc == SERIN_OK ? take_inputs(c, w) : rc;
}

/* A beginning without the host's end would also be that of other hosts. */
static bool url_ends_host(const char *url)
{
    const char *host = strstr(url, "://");
    return host != NULL && strchr(host + 3, '/') != NULL &&
           (strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0);
}

static void check_checks(const struct written *w, const struct doc_node *root,
                         struct doc_errors *errors)
{
    const struct doc_node *section = doc_get(root, "checks");
    const struct doc_node *urls = doc_get(section, "urls"),
                          *exec = doc_get(section, "exec");
    for (size_t i = 0; i < w->checks.n_urls; i++)
        if (!url_ends_host(w->checks.urls[i]))
            doc_error_add(errors, urls,
                          "urls: %.100s: expected the beginning of an address with the "
                          "whole host, such as https://ci.acme.example/",
                          w->checks.urls[i]);
    for (size_t i = 0; i < w->checks.n_programs; i++) {
        const struct probe_program *p = &w->checks.programs[i];
        if (p->n != 0 && p->argv[0][0] != '/')
            doc_error_add(errors, exec->items[i],
                          "%s: command begins with the absolute path of a program",
                          p->name);
    }
}

static void check_record(const struct written *w, const struct doc_node *root,
                         struct doc_errors *errors)
{
    const struct doc_node *section = doc_get(root, "record");
    if (section == NULL) return;
    bool inputs = w->n_inputs != 0;
    for (int i = 0; i < CONFIG_RECEIVERS; i++)
        inputs |= w->receive[i] != NULL;
    if (w->record_what == 1 && !inputs)
        doc_error_add(errors, section,
                      "record: what: inputs, and there are none; write "
                      "inputs: [{topic: NAME}], or record the inbox");
    if (w->record_size / 2 >= w->record_segment_size) return;
    doc_error_add(
        errors, section,
        "record: segments of %llu MiB in %llu MiB: a ring needs two of them at "
        "least; lower segment_size or raise max_size",
        (unsigned long long)w->record_segment_size >> 20,
        (unsigned long long)w->record_size >> 20);
}

enum serin_status config_parse(struct config *c, const char *text, size_t n,
                               struct doc_errors *errors)
{
    struct written w = {0};
    struct doc_node *root;
    enum serin_status rc = doc_parse(&c->arena, text, n, &root, errors);
    if (root == NULL) return rc;
    rc = keys_read(&c->arena, &table, root, &w, errors);
    if (rc != SERIN_OK) return rc;
    if (root->type == DOC_MAP) {
        check_inputs(&w, root, errors);
        check_receive(&w, root, errors);
        check_lists(&w, root, errors);
        check_memory(&w, root, errors);
        check_checks(&w, root, errors);
        check_record(&w, root, errors);
    }
    rc = section_policy(&c->arena, w.actuate, &c->actuate, errors);
    if (rc == SERIN_OK) rc = receiver_read(&c->arena, w.alerts, &c->alerts, errors);
    if (rc != SERIN_OK) return rc;
    return errors->total == 0 ? take(c, &w) : SERIN_EPARSE;
}

enum serin_status config_load(const char *path, struct config *c, FILE *errors)
{
    struct fault f = {0};
    struct doc_errors found = {0};
    const char *text = "{}";
    size_t n = 2;
    enum serin_status rc = SERIN_OK;
    if (path != NULL) rc = file_load(&c->arena, path, DOC_MAX_BYTES, &text, &n, &f);
    if (rc != SERIN_OK) {
        fprintf(errors, "serin: %s\n", f.text);
        return rc;
    }
    const char *name = path != NULL ? path : "defaults";
    rc = config_parse(c, text, n, &found);
    if (rc == SERIN_EPARSE)
        fputs(doc_errors_format(&found, name, text, n), errors);
    else if (rc != SERIN_OK)
        fprintf(errors, "serin: %s: %s\n", name, status_text(rc));
    return rc;
}

/* ---- the command line */
static enum serin_status set_brokers(struct config *c, const char *brokers)
{
    for (size_t i = 0; i < c->n_properties; i++) {
        if (strcmp(c->properties[i].name, "bootstrap.servers") != 0) continue;
        c->properties[i].value = brokers;
        return SERIN_OK;
    }
    struct bus_property *p = arena_alloc(&c->arena, (c->n_properties + 1) * sizeof *p);
    if (p == NULL) return SERIN_ENOMEM;
    for (size_t i = 0; i < c->n_properties; i++)
        p[i] = c->properties[i];
    p[c->n_properties++] = (struct bus_property){"bootstrap.servers", brokers};
    c->properties = p;
    return SERIN_OK;
}

static enum serin_status set_roles(struct config *c, const char *roles, struct fault *f)
{
    unsigned all = 0;
    for (const char *p = roles;; p++) {
        size_t n = strcspn(p, ",");
        char name[16] = "";
        if (n < sizeof name) memcpy(name, p, n);
        unsigned bit = role_bit(name);
        if (bit == 0)
            return fault_set(
                f, SERIN_EDOM,
                "--roles: \"%.*s\" is none of ingest, decide, serve; separate "
                "several by commas",
                (int)(n < 60 ? n : 60), p);
        all |= bit;
        p += n;
        if (*p == '\0') break;
    }
    c->roles = all;
    return SERIN_OK;
}

static enum serin_status set_threads(struct config *c, const char *text,
                                     struct fault *f)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*end != '\0' || end == text || n < 1 || n > WORKER_POOL_MAX)
        return fault_set(f, SERIN_EDOM, "--ingest-threads: \"%.60s\": expected 1 to %d",
                         text, WORKER_POOL_MAX);
    if (!has_memory(n, c->memory))
        return fault_set(f, SERIN_EDOM, memory_advice, (unsigned long long)n,
                         (unsigned long long)c->memory >> 20);
    c->ingest_threads = (unsigned)n;
    return SERIN_OK;
}

enum serin_status config_apply(struct config *c, const struct config_overrides *o,
                               struct fault *f)
{
    enum serin_status rc = SERIN_OK;
    if (o->instance != NULL) c->instance = o->instance;
    if (o->token_file != NULL) c->token_file = o->token_file;
    c->insecure |= o->insecure;
    c->embedded |= o->embedded;
    if (o->roles != NULL) rc = set_roles(c, o->roles, f);
    if (rc != SERIN_OK) return rc;
    if (o->brokers != NULL) rc = set_brokers(c, o->brokers);
    if (rc == SERIN_OK && o->ingest_threads != NULL) {
        rc = set_threads(c, o->ingest_threads, f);
        if (rc != SERIN_OK) return rc;
    }
    if (rc == SERIN_OK && o->n_listen > 0) rc = set_listen(c, o->listen, o->n_listen);
    return rc == SERIN_OK ? rc : fault_set(f, rc, "out of memory");
}

static enum serin_status check_listen(const struct config *c, struct fault *f)
{
    for (const char *const *at = c->listen; *at != NULL; at++) {
        const char *why = listen_fault(*at);
        if (why != NULL)
            return fault_set(f, SERIN_EDOM, "listen: \"%s\": %s", *at, why);
        bool known = c->token_file != NULL || c->tls.client_ca_file != NULL;
        if (strncmp(*at, "unix:", 5) != 0 && !known && !c->insecure)
            return fault_set(
                f, SERIN_EDOM,
                "listen: %s is TCP and anyone who reaches it could act; give "
                "http.token_file (a file with a secret) or http.tls.client_ca_file, or "
                "--insecure",
                *at);
    }
    return SERIN_OK;
}

static bool has_brokers(const struct config *c)
{
    for (size_t i = 0; i < c->n_properties; i++)
        if (strcmp(c->properties[i].name, "bootstrap.servers") == 0 ||
            strcmp(c->properties[i].name, "metadata.broker.list") == 0)
            return true;
    return c->embedded;
}

enum serin_status config_check(const struct config *c, bool engine, struct fault *f)
{
    if (!has_brokers(c))
        return fault_set(f, SERIN_EDOM,
                         "no Kafka brokers are given; write kafka: {bootstrap.servers: "
                         "HOST:9092} in the configuration file, or use --brokers%s",
                         engine ? ", or --embedded for a trial" : "");
    if (!engine) return SERIN_OK;
    if ((c->roles & CONFIG_INGEST) != 0 && c->n_inputs == 0)
        return fault_set(
            f, SERIN_EDOM,
            "the role ingest has no input topics; write inputs: [{topic: "
            "NAME}] in the configuration file, or use --roles decide,serve");
    return (c->roles & CONFIG_SERVE) != 0 ? check_listen(c, f) : SERIN_OK;
}

/* ---- the parts */
void config_log(const struct config *c)
{
    log_setup(c->log_level, c->log_json);
}

void config_free(struct config *c)
{
    arena_free(&c->arena);
    *c = (struct config){0};
}

struct bus_options config_bus(const struct config *c)
{
    return (struct bus_options){.properties = c->properties,
                                .n_properties = c->n_properties,
                                .prefix = c->prefix,
                                .instance = c->instance,
                                .partitions = (int)c->partitions,
                                .replication = (int)c->replication,
                                .embedded = c->embedded};
}

struct worker_options config_worker(const struct config *c)
{
    return (struct worker_options){
        .inputs = c->inputs,
        .n_inputs = c->n_inputs,
        .flush_ms = c->flush_ms,
        .lateness_ms = c->lateness_ms > 0 ? c->lateness_ms : -1, /* 0 is its default */
        .idle_ms = c->idle_ms,
        .max_series = c->max_series,
        .max_rollout = c->max_rollout,
        .max_message = c->max_message,
        .memory = c->memory};
}

struct stage_options config_stage(const struct config *c)
{
    return (struct stage_options){.key_file = c->audit_key,
                                  .checkpoint_ms = c->audit_checkpoint_ms,
                                  .fold = {.max_lag_ms = c->max_lag_ms,
                                           .row_every_ms = c->status_ms,
                                           .snapshot_every_ms = c->snapshot_ms}};
}

struct serve_options config_serve(const struct config *c)
{
    return (struct serve_options){
        .listen = c->listen,
        .token_file = c->token_file,
        .tls = c->tls,
        .insecure = c->insecure,
        .receive = {.otlp_metrics = c->receive[CONFIG_OTLP_METRICS],
                    .otlp_traces = c->receive[CONFIG_OTLP_TRACES],
                    .prometheus = c->receive[CONFIG_PROMETHEUS],
                    .max_body = c->max_message,
                    .budget = c->receive_queue},
        .fleet_level = c->fleet_level};
}

enum serin_status config_schema(struct arena *a, const char **out)
{
    return keys_schema(a, &table, "serin.yaml", "Configuration of the serin engine.",
                       out);
}
