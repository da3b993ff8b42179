#include "engine/base/mem.h"
#include "engine/cli/config.h"
#include "tests/support/check.h"

static const char full[] =
    "kafka: {bootstrap.servers: \"k1:9092,k2:9092\", socket.nagle.disable: true, "
    "linger.ms: 5}\n"
    "inputs:\n"
    "  - {topic: metrics}\n"
    "  - {topic: raw, format: json, dead_letter: dead, start: latest, max_message: "
    "64KiB,\n"
    "     defaults: {metric: errors, attributes: {env: prod, zone: 7}, timestamps: "
    "us}}\n"
    "ingest_threads: 3\n"
    "topics: {prefix: canary., partitions: 6, replication: 3}\n"
    "http: {listen: [unix:/tmp/s.sock, 127.0.0.1:7171], token_file: /etc/token}\n"
    "roles: [decide, serve]\n"
    "instance: one\n"
    "flush: 300ms\nsnapshot: 20s\nstatus: 1s\nlateness: 0s\nidle: 7s\nmax_lag: 90s\n"
    "limits: {series: 5000, rollout_series: 70, message: 1MiB, memory: 96MiB}\n"
    "fleet: {level: 2%}\n"
    "record: {dir: /var/rec, what: both, max_size: 3GiB, max_age: 2d, segment_size: "
    "1MiB,\n   segment_age: 10m}\n"
    "log: {level: warn, format: json}\n";

static void take(struct config *c, const char *text)
{
    struct doc_errors errors = {0};
    *c = (struct config){0};
    errors.arena = &c->arena;
    int rc = config_parse(c, text, strlen(text), &errors);
    cr_assert(eq(int, rc, SERIN_OK), "%s",
              doc_errors_format(&errors, "-", text, strlen(text)));
}

Test(config, everything_written_reaches_its_layer)
{
    struct config c;
    take(&c, full);
    struct bus_options bus = config_bus(&c);
    struct worker_options worker = config_worker(&c);
    struct stage_options stage = config_stage(&c);
    struct serve_options serve = config_serve(&c);
    cr_assert(eq(sz, bus.n_properties, 3));
    cr_assert(
        eq(str, (char *)(uintptr_t)bus.properties[1].name, "socket.nagle.disable"));
    cr_assert(eq(str, (char *)(uintptr_t)bus.properties[1].value, "true"));
    cr_assert(eq(str, (char *)(uintptr_t)bus.prefix, "canary."));
    cr_assert(eq(str, (char *)(uintptr_t)bus.instance, "one"));
    cr_assert(eq(int, bus.partitions, 6));
    cr_assert(eq(int, bus.replication, 3));
    cr_assert(eq(str, (char *)(uintptr_t)c.record.dir, "/var/rec"));
    cr_assert(c.record.inbox && c.record.inputs);
    cr_assert(c.record.max_size == UINT64_C(3) << 30 &&
              c.record.segment_size == 1 << 20);
    cr_assert(c.record.max_age_ms == 172800000 && c.record.segment_age_ms == 600000);
    cr_assert(eq(sz, worker.n_inputs, 2));
    cr_assert(eq(str, (char *)(uintptr_t)worker.inputs[0].format, "auto"));
    cr_assert(worker.inputs[0].dead_letter == NULL);
    cr_assert(eq(int, worker.inputs[0].start, WORKER_FROM_EARLIEST));
    cr_assert(eq(str, (char *)(uintptr_t)worker.inputs[1].format, "json"));
    cr_assert(eq(str, (char *)(uintptr_t)worker.inputs[1].dead_letter, "dead"));
    cr_assert(eq(int, worker.inputs[1].start, WORKER_FROM_LATEST));
    const struct worker_input *raw = &worker.inputs[1];
    cr_assert(eq(sz, raw->max_message, 65536));
    cr_assert(eq(str, (char *)(uintptr_t)raw->metric, "errors"));
    cr_assert(eq(sz, raw->n_attributes, 2));
    cr_assert(strview_eq(raw->attributes[1].key, strview_of("zone")));
    cr_assert(strview_eq(raw->attributes[1].value, strview_of("7")));
    cr_assert(eq(i64, raw->tick_ns, 1000));
    cr_assert(eq(uint, c.ingest_threads, 3));
    cr_assert(eq(sz, worker.memory, 96 << 20));
    cr_assert(eq(sz, worker.max_rollout, 70));
    cr_assert(eq(i64, worker.flush_ms, 300));
    cr_assert(lt(i64, worker.lateness_ms, 0), "0 would mean the worker's default");
    cr_assert(eq(i64, worker.idle_ms, 7000));
    cr_assert(eq(sz, worker.max_series, 5000));
    cr_assert(eq(sz, worker.max_message, 1048576));
    cr_assert(eq(i64, stage.fold.max_lag_ms, 90000));
    cr_assert(eq(i64, stage.fold.snapshot_every_ms, 20000));
    cr_assert(eq(i64, stage.fold.row_every_ms, 1000));
    cr_assert(eq(str, (char *)(uintptr_t)serve.listen[1], "127.0.0.1:7171"));
    cr_assert(serve.listen[2] == NULL);
    cr_assert(eq(str, (char *)(uintptr_t)serve.token_file, "/etc/token"));
    cr_assert(eq(dbl, serve.fleet_level, 0.02));
    cr_assert(eq(uint, c.roles, CONFIG_DECIDE | CONFIG_SERVE));
    cr_assert(eq(int, c.log_level, LOG_WARN_LEVEL));
    cr_assert(c.log_json);
    config_free(&c);
}

Test(config, defaults_without_a_file)
{
    struct config c = {0};
    int rc = config_load(NULL, &c, stderr);
    cr_assert(eq(int, rc, SERIN_OK));
    cr_assert(eq(str, (char *)(uintptr_t)c.listen[0], SERVE_DEFAULT_LISTEN));
    cr_assert(c.listen[1] == NULL);
    cr_assert(eq(uint, c.roles, CONFIG_ALL));
    cr_assert(eq(str, (char *)(uintptr_t)c.prefix, "serin."));
    cr_assert(eq(u64, c.partitions, 16));
    cr_assert(c.instance == NULL);
    cr_assert(eq(i64, c.flush_ms, 200));
    cr_assert(eq(i64, c.lateness_ms, 2000));
    cr_assert(eq(i64, c.status_ms, 2000));
    cr_assert(eq(u64, c.max_message, 4194304));
    config_free(&c);
}

static const struct {
    const char *text, *errors;
} cases[] = {
    {"kafka: 1", "1:8: kafka: found a single value where a map of names to values is "
                 "expected\n"},
    {"kafka: {a: [1]}", "1:12: a: found a list where a text is expected\n"},
    {"kafca: {}", "1:1: unknown key \"kafca\"; did you mean \"kafka\"?\n"},
    {"inputs: [{format: json}]",
     "1:10: inputs: \"topic\" is missing: name of a topic that holds metrics\n"},
    {"inputs: [{topic: a, start: latst}]",
     "1:28: start: \"latst\" is none of earliest, "
     "latest; did you mean \"latest\"?\n"},
    {"inputs: [{topic: a, defaults: {metrics: e}}]",
     "1:32: unknown key \"metrics\"; did you mean \"metric\"?\n"},
    {"inputs: [{topic: a, max_message: 2GiB}]",
     "1:34: max_message: 2GiB is above the maximum of 1073741824\n"},
    {"ingest_threads: 3\nlimits: {memory: 64MiB}",
     "1:17: 3 ingest threads with 64 MiB in all: each needs 32 MiB; raise "
     "limits.memory "
     "or lower ingest_threads\n"},
    {"inputs: [{topic: a b}]",
     "1:18: topic: \"a b\" is no topic name; letters, digits, "
     "'.', '_' and '-' only\n"},
    {"inputs: [{topic: serin.inbox}]", "1:18: topic: \"serin.inbox\" begins with "
                                       "\"serin.\", as serin's own topics do; "
                                       "rename it, or change topics.prefix\n"},
    {"inputs: [{topic: a}, {topic: a}]", "1:22: topic \"a\" is listed twice\n"},
    {"inputs: [{topic: a, dead_letter: a}]",
     "1:10: topic \"a\" is a dead_letter topic, too; what is undecodable would go "
     "round\n"},
    {"topics: {partitions: 0}", "1:22: partitions: 0 is below the minimum of 1\n"},
    {"http: {listen: localhost}",
     "1:16: listen: \"localhost\": write unix:/path or host:port\n"},
    {"http: {listen: [\"unix:\"]}",
     "1:17: listen: \"unix:\": a socket's path has 1 to 107 bytes\n"},
    {"http: {listen: 1.2.3.4:70000}",
     "1:16: listen: \"1.2.3.4:70000\": write unix:/path or host:port\n"},
    {"roles: [ingest, decid]",
     "1:17: roles: \"decid\" is none of ingest, decide, serve; did you mean "
     "\"decide\"?\n"},
    {"flush: 1ms", "1:8: flush: 1ms is below the minimum of 10ms\n"},
    {"limits: {message: 4MB}",
     "1:19: message: \"4MB\" is not a size such as 65536, 64KiB or 4MiB\n"},
    {"fleet: {level: 70%}", "1:16: level: 70% is above the maximum of 0.5\n"},
    {"fleet: {}", "1:8: fleet: \"level\" is missing: share of false ones among the "
                  "rollouts that are called bad, in expectation; an alerting level, "
                  "no rollout's own risk changes\n"},
    {"record: {what: inbox}", "1:9: record: \"dir\" is missing: folder of the "
                              "recordings; one process has it to itself\n"},
    {"record: {dir: /d, max_size: 300MiB}",
     "1:9: record: segments of 256 MiB in 300 MiB: a ring needs two of them at least; "
     "lower segment_size or raise max_size\n"},
    {"record: {dir: /d, what: inputs}",
     "1:9: record: what: inputs, and there are none; write inputs: [{topic: NAME}], or "
     "record the inbox\n"},
    {"log: {level: verbose}", "1:14: level: \"verbose\" is none of debug, info, warn, "
                              "error\n"},
    {"- a", "1:1: the document: found a list where a map is expected\n"},
};

Test(config, each_error_is_found_at_its_place)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config c = {0};
        struct doc_errors errors = {.arena = &c.arena};
        char said[1000] = "";
        int rc = config_parse(&c, cases[i].text, strlen(cases[i].text), &errors);
        cr_expect(eq(int, rc, SERIN_EPARSE), "%s", cases[i].text);
        for (size_t j = 0; j < errors.n; j++)
            snprintf(said + strlen(said), sizeof said - strlen(said), "%u:%u: %s\n",
                     errors.items[j].line, errors.items[j].column,
                     errors.items[j].text);
        cr_expect(eq(str, said, (char *)(uintptr_t)cases[i].errors));
        config_free(&c);
    }
}

Test(config, what_load_says)
{
    char *said = NULL;
    size_t n = 0;
    FILE *errors = open_memstream(&said, &n);
    struct config c = {0};
    int rc = config_load("/nonexistent/serin.yaml", &c, errors);
    fflush(errors);
    cr_assert(eq(int, rc, SERIN_EIO));
    cr_assert(eq(str, said,
                 "serin: /nonexistent/serin.yaml: cannot be opened: No such file "
                 "or directory; check the path\n"));
    config_free(&c);
    rc = config_load("deploy/plans/minimal.yaml", &c, errors);
    fclose(errors);
    cr_assert(eq(int, rc, SERIN_EPARSE));
    cr_assert(strstr(said,
                     "deploy/plans/minimal.yaml:3:1: unknown key \"id\"; known here: "
                     "kafka, inputs") != NULL);
    cr_assert(strstr(said, "\n    id: shop-2\n    ^\n") != NULL);
    free(said);
    config_free(&c);
    rc = config_load("deploy/serin.yaml", &c, stderr);
    cr_assert(eq(int, rc, SERIN_OK));
    config_free(&c);
}

Test(config, the_command_line_wins)
{
    static const char *const listen[] = {"127.0.0.1:0", "[::1]:7171"};
    struct config c;
    struct fault f = {0};
    take(&c, full);
    struct config_overrides o = {.brokers = "b:1",
                                 .instance = "two",
                                 .roles = "serve,ingest",
                                 .listen = listen,
                                 .n_listen = 2,
                                 .embedded = true};
    cr_assert(eq(int, config_apply(&c, &o, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(sz, c.n_properties, 3), "replaced, not added");
    cr_assert(eq(str, (char *)(uintptr_t)c.properties[0].value, "b:1"));
    cr_assert(eq(str, (char *)(uintptr_t)c.instance, "two"));
    cr_assert(eq(uint, c.roles, CONFIG_SERVE | CONFIG_INGEST));
    cr_assert(eq(str, (char *)(uintptr_t)c.listen[1], "[::1]:7171"));
    cr_assert(c.embedded);
    o.roles = "serve,,ingest";
    cr_assert(eq(int, config_apply(&c, &o, &f), SERIN_EDOM));
    o.roles = "all";
    cr_assert(eq(int, config_apply(&c, &o, &f), SERIN_EDOM));
    cr_assert(eq(str, f.text,
                 "--roles: \"all\" is none of ingest, decide, serve; separate "
                 "several by commas"));
    config_free(&c);
    take(&c, "{}");
    o = (struct config_overrides){.brokers = "b:1"};
    cr_assert(eq(int, config_apply(&c, &o, &f), SERIN_OK));
    cr_assert(eq(sz, c.n_properties, 1));
    cr_assert(eq(str, (char *)(uintptr_t)c.properties[0].name, "bootstrap.servers"));
    config_free(&c);
}

/* What config_check says of a text; "" when it agrees. */
static const char *checked(const char *text, bool engine)
{
    static struct fault f;
    struct config c;
    f = (struct fault){0};
    take(&c, text);
    int rc = config_check(&c, engine, &f);
    cr_assert(eq(int, rc == SERIN_OK, f.text[0] == '\0'));
    config_free(&c);
    return f.text;
}

Test(config, what_cannot_be_started_is_said)
{
    cr_assert(strstr(checked("{}", true), "no Kafka brokers are given") != NULL);
    cr_assert(strstr(checked("{}", true), "--embedded") != NULL);
    cr_assert(strstr(checked("{}", false), "--embedded") == NULL);
    cr_assert(eq(
        str, (char *)(uintptr_t)checked("kafka: {bootstrap.servers: b}", false), ""));
    cr_assert(strstr(checked("kafka: {bootstrap.servers: b}", true),
                     "no input topics") != NULL);
    const char *tcp = "kafka: {metadata.broker.list: b}\nroles: serve\n"
                      "http: {listen: 127.0.0.1:7171}\n";
    cr_assert(strstr(checked(tcp, true), "127.0.0.1:7171 is TCP") != NULL);
    const char *open = "kafka: {bootstrap.servers: b}\nroles: serve\n"
                       "http: {listen: 127.0.0.1:7171, insecure: true}\n";
    cr_assert(eq(str, (char *)(uintptr_t)checked(open, true), ""));
    cr_assert(eq(str, (char *)(uintptr_t)checked(full, true), ""));
}

Test(config, every_allocation_may_fail)
{
    int rc = SERIN_ENOMEM;
    uint64_t k = 1;
    for (; rc != SERIN_OK; k++) {
        struct config c = {0};
        struct doc_errors errors = {0};
        struct fault f = {0};
        const char *schema;
        struct config_overrides o = {.brokers = "b:1"};
        mem_fail_at(k);
        rc = config_parse(&c, full, strlen(full), &errors);
        if (rc == SERIN_OK) rc = config_apply(&c, &o, &f);
        if (rc == SERIN_OK) rc = config_schema(&c.arena, &schema);
        mem_fail_at(0);
        cr_assert(rc == SERIN_OK || rc == SERIN_ENOMEM, "%d at %u", rc, (unsigned)k);
        config_free(&c);
    }
    cr_assert(gt(uint, (unsigned)k, 4));
}
