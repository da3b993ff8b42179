/* engine/bus/topics.c -- serin's topics: what they must be, made and checked */
#include "engine/bus/topics.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/bus/client.h"

enum {
    SLICE_MS = 1000,
    EMBEDDED_INPUT_PARTITIONS = 4,
    MAX_SETTINGS = 6,
    NEWS_MS = 3000
};

#define HOURS INT64_C(3600000)
#define DAYS (24 * HOURS)

static const struct rule {
    const char *cleanup;
    int64_t least_ms; /* retention at least; 0 = not checked */
    struct {
        const char *name, *value;
    } settings[MAX_SETTINGS]; /* at creation, besides cleanup.policy */
} rules[BUS_TOPIC_COUNT] = {
    [BUS_INBOX] = {"delete", 24 * HOURS, {{"retention.ms", "86400000"}}},
    [BUS_VERDICTS] = {"delete", 30 * DAYS, {{"retention.ms", "2592000000"}}},
    [BUS_ROLLOUTS] = {"compact",
                      0,
                      {{"segment.bytes", "67108864"},
                       {"segment.ms", "3600000"},
                       {"min.cleanable.dirty.ratio", "0.2"}}},
    [BUS_AUDIT] = {"delete", 30 * DAYS, {{"retention.ms", "-1"}}},
    /* Only closed segments are compacted, and this bounds what a restore reads. */
    [BUS_STATE] = {"compact",
                   0,
                   {{"segment.bytes", "67108864"},
                    {"segment.ms", "600000"},
                    {"min.cleanable.dirty.ratio", "0.2"}}},
};
/* A snapshot may be larger than Kafka's usual 1 MiB; as the producer's own limit. */
static const char max_message[] = "8388608";

struct admin {
    struct client *client;
    rd_kafka_topic_t *handles[BUS_TOPIC_COUNT];
    rd_kafka_queue_t *queue;
    int64_t deadline;
};

static int left_ms(const struct admin *a)
{
    int64_t left = a->deadline - clock_mono_ms();
    return left > 0 ? (int)left : 0;
}

static void admin_close(struct admin *a)
{
    for (int t = 0; t < BUS_TOPIC_COUNT; t++)
        if (a->handles[t] != NULL) rd_kafka_topic_destroy(a->handles[t]);
    if (a->queue != NULL) rd_kafka_queue_destroy(a->queue);
    client_close(a->client);
}

static enum serin_status admin_open(struct admin *a, struct bus *b, int timeout_ms,
                                    struct fault *f)
{
    struct client_setup s = {.what = "topics"};
    *a = (struct admin){.deadline = clock_mono_ms() + timeout_ms};
    enum serin_status status = client_open(&a->client, b, CLIENT_ADMIN, &s, f);
    if (status != SERIN_OK) return status;
    a->queue = rd_kafka_queue_new(a->client->rk);
    for (int t = 0; t < BUS_TOPIC_COUNT; t++) {
        const char *name = bus_topic_name(b, (enum bus_topic)t);
        a->handles[t] = rd_kafka_topic_new(a->client->rk, name, NULL);
        if (a->handles[t] != NULL) continue;
        fault_set(f, SERIN_EDOM, "topic \"%s\": %s", name,
                  rd_kafka_err2str(rd_kafka_last_error()));
        admin_close(a);
        return SERIN_EDOM;
    }
    return SERIN_OK;
}

/* Metadata of serin's topics, waiting for the brokers until the deadline. */
static const rd_kafka_metadata_t *look(struct admin *a, struct fault *f)
{
    for (;;) {
        struct fault found = {0};
        int left = left_ms(a);
        const rd_kafka_metadata_t *md =
            client_metadata(a->client, left < SLICE_MS ? left : SLICE_MS, &found);
        rd_kafka_poll(a->client->rk, 0);
        client_watch(a->client);
        if (md != NULL) return md;
        if (!found.retriable || left_ms(a) == 0) {
            if (f != NULL) *f = found;
            return NULL;
        }
    }
}

/* The answer to an admin request, NULL with *f filled. Owned by the caller. */
static rd_kafka_event_t *answer(struct admin *a, const char *tried, struct fault *f)
{
    rd_kafka_event_t *e = rd_kafka_queue_poll(a->queue, left_ms(a) + SLICE_MS);
    rd_kafka_resp_err_t err =
        e != NULL ? rd_kafka_event_error(e) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) return e;
    client_fault(a->client, f, tried, err);
    if (e != NULL) rd_kafka_event_destroy(e);
    return NULL;
}

static rd_kafka_AdminOptions_t *options(struct admin *a, rd_kafka_admin_op_t op)
{
    char why[128];
    rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(a->client->rk, op);
    int ms = left_ms(a) > SLICE_MS ? left_ms(a) : SLICE_MS;
    rd_kafka_AdminOptions_set_request_timeout(o, ms, why, sizeof why);
    if (op == RD_KAFKA_ADMIN_OP_CREATETOPICS)
        rd_kafka_AdminOptions_set_operation_timeout(o, ms, why, sizeof why);
    return o;
}

static rd_kafka_NewTopic_t *new_topic(struct bus *b, enum bus_topic t, struct fault *f)
{
    char why[256];
    rd_kafka_NewTopic_t *n = rd_kafka_NewTopic_new(
        bus_topic_name(b, t), bus_partitions(b),
        bus_replication(b) > 0 ? bus_replication(b) : -1, why, sizeof why);
    if (n == NULL) {
        fault_set(f, SERIN_EDOM, "topic %s: %s", bus_topic_name(b, t), why);
        return NULL;
    }
    rd_kafka_NewTopic_set_config(n, "cleanup.policy", rules[t].cleanup);
    rd_kafka_NewTopic_set_config(n, "max.message.bytes", max_message);
    for (int i = 0; i < MAX_SETTINGS && rules[t].settings[i].name != NULL; i++)
        rd_kafka_NewTopic_set_config(n, rules[t].settings[i].name,
                                     rules[t].settings[i].value);
    return n;
}

static enum serin_status read_created(struct admin *a, struct fault *f)
{
    rd_kafka_event_t *e = answer(a, "creating topics", f);
    size_t n;
    enum serin_status s = SERIN_OK;
    if (e == NULL) return SERIN_EIO;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(e), &n);
    for (size_t i = 0; s == SERIN_OK && i < n; i++) {
        rd_kafka_resp_err_t err = rd_kafka_topic_result_error(results[i]);
        const char *why = rd_kafka_topic_result_error_string(results[i]);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR ||
            err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
            continue;
        s = fault_set(
            f, SERIN_EIO,
            "creating topic %s: %s; give serin the CREATE right, or let somebody "
            "with it run 'serin topics create'",
            rd_kafka_topic_result_name(results[i]),
            why != NULL ? why : rd_kafka_err2str(err));
    }
    rd_kafka_event_destroy(e);
    return s;
}

static size_t absent(struct bus *b, const rd_kafka_metadata_t *md, enum bus_topic *out)
{
    size_t n = 0;
    for (int t = 0; t < BUS_TOPIC_COUNT; t++)
        if (client_topic(md, bus_topic_name(b, (enum bus_topic)t)) == NULL)
            out[n++] = (enum bus_topic)t;
    return n;
}

static enum serin_status create_some(struct admin *a, struct bus *b,
                                     const enum bus_topic *which, size_t n,
                                     struct fault *f)
{
    rd_kafka_NewTopic_t *topics[BUS_TOPIC_COUNT];
    enum serin_status s = SERIN_OK;
    size_t made = 0;
    while (made < n && (topics[made] = new_topic(b, which[made], f)) != NULL)
        made++;
    if (made < n) {
        s = SERIN_EDOM;
    } else {
        rd_kafka_AdminOptions_t *o = options(a, RD_KAFKA_ADMIN_OP_CREATETOPICS);
        rd_kafka_CreateTopics(a->client->rk, topics, n, o, a->queue);
        s = read_created(a, f);
        rd_kafka_AdminOptions_destroy(o);
    }
    rd_kafka_NewTopic_destroy_array(topics, made);
    return s;
}

/* A topic just created is not at once in every broker's metadata. */
static enum serin_status await(struct admin *a, struct bus *b, struct fault *f)
{
    enum bus_topic missing[BUS_TOPIC_COUNT];
    for (;;) {
        const rd_kafka_metadata_t *md = look(a, f);
        if (md == NULL) return SERIN_EIO;
        size_t n = absent(b, md, missing);
        rd_kafka_metadata_destroy(md);
        if (n == 0) return SERIN_OK;
        if (left_ms(a) == 0) {
            fault_set(f, SERIN_EIO,
                      "topic %s was created but has no leader yet; try again",
                      bus_topic_name(b, missing[0]));
            if (f != NULL) f->retriable = true;
            return SERIN_EIO;
        }
        clock_sleep_ms(20);
    }
}

static enum serin_status create_embedded(struct bus *b, const char *const *inputs,
                                         struct fault *f)
{
    for (size_t i = 0; inputs != NULL && inputs[i] != NULL; i++) {
        rd_kafka_resp_err_t err =
            bus_embedded_topic(b, inputs[i], EMBEDDED_INPUT_PARTITIONS);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return fault_set(f, SERIN_EIO, "embedded broker: topic %s: %s", inputs[i],
                             rd_kafka_err2str(err));
    }
    return SERIN_OK; /* serin's own were made with the broker */
}

enum serin_status topics_create(struct bus *b, const char *const *inputs,
                                int timeout_ms, struct fault *f)
{
    struct admin a;
    enum bus_topic missing[BUS_TOPIC_COUNT];
    if (bus_embedded(b)) return create_embedded(b, inputs, f);
    enum serin_status s = admin_open(&a, b, timeout_ms, f);
    if (s != SERIN_OK) return s;
    const rd_kafka_metadata_t *md = look(&a, f);
    s = md != NULL ? SERIN_OK : SERIN_EIO;
    if (md != NULL) {
        size_t n = absent(b, md, missing);
        rd_kafka_metadata_destroy(md);
        if (n > 0) s = create_some(&a, b, missing, n, f);
        if (n > 0 && s == SERIN_OK) s = await(&a, b, f);
    }
    admin_close(&a);
    return s;
}

static rd_kafka_NewTopic_t *new_input(struct bus *b, const char *name, struct fault *f)
{
    char why[256];
    rd_kafka_NewTopic_t *n = rd_kafka_NewTopic_new(
        name, -1, bus_replication(b) > 0 ? bus_replication(b) : -1, why, sizeof why);
    if (n == NULL)
        fault_set(f, SERIN_EDOM, "topic %s: %s", name, why);
    else
        rd_kafka_NewTopic_set_config(n, "max.message.bytes", max_message);
    return n;
}

enum serin_status topics_create_inputs(struct bus *b, const char *const *names,
                                       int timeout_ms, struct fault *f)
{
    struct admin a;
    if (bus_embedded(b)) return create_embedded(b, names, f);
    enum serin_status s = admin_open(&a, b, timeout_ms, f);
    if (s != SERIN_OK) return s;
    for (size_t i = 0; s == SERIN_OK && names[i] != NULL; i++) {
        rd_kafka_NewTopic_t *topic = new_input(b, names[i], f);
        if (topic == NULL) {
            s = SERIN_EDOM;
            break;
        }
        rd_kafka_AdminOptions_t *o = options(&a, RD_KAFKA_ADMIN_OP_CREATETOPICS);
        rd_kafka_CreateTopics(a.client->rk, &topic, 1, o, a.queue);
        s = read_created(&a, f);
        rd_kafka_AdminOptions_destroy(o);
        rd_kafka_NewTopic_destroy(topic);
    }
    admin_close(&a);
    return s;
}

static const char *setting(const rd_kafka_ConfigResource_t *r, const char *name)
{
    size_t n;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(r, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
            return rd_kafka_ConfigEntry_value(entries[i]);
    return NULL;
}

static void check_settings(struct topics_finding *out, enum bus_topic t,
                           const rd_kafka_ConfigResource_t *r)
{
    const struct rule *rule = &rules[t];
    const char *cleanup = setting(r, "cleanup.policy");
    const char *retention = setting(r, "retention.ms");
    if (cleanup != NULL && strcmp(cleanup, rule->cleanup) != 0) {
        out->ok = false;
        snprintf(out->text, sizeof out->text,
                 "cleanup.policy is \"%s\", expected \"%s\": kafka-configs.sh --alter "
                 "--topic %s --add-config cleanup.policy=%s",
                 cleanup, rule->cleanup, out->topic, rule->cleanup);
        return;
    }
    if (rule->least_ms == 0 || retention == NULL) return;
    long long ms = strtoll(retention, NULL, 10);
    if (ms < 0 || ms >= rule->least_ms) return;
    out->ok = false;
    snprintf(
        out->text, sizeof out->text,
        "retention.ms is %lld, expected %lld or more (or -1): kafka-configs.sh --alter "
        "--topic %s --add-config retention.ms=%lld",
        ms, (long long)rule->least_ms, out->topic, (long long)rule->least_ms);
}

static void check_count(struct topics_finding *out, struct bus *b, enum bus_topic t,
                        int partitions)
{
    *out = (struct topics_finding){.ok = true};
    snprintf(out->topic, sizeof out->topic, "%s", bus_topic_name(b, t));
    if (partitions == 0) {
        out->ok = false;
        out->missing = true;
        snprintf(out->text, sizeof out->text,
                 "the topic is missing: run 'serin topics create'");
    } else if ((t == BUS_INBOX || t == BUS_STATE) && partitions != bus_partitions(b)) {
        out->ok = false;
        snprintf(
            out->text, sizeof out->text,
            "it has %d partitions, topics.partitions says %d (inbox and state share "
            "one count): set topics.partitions to %d, or delete both topics and run "
            "'serin topics create'",
            partitions, bus_partitions(b), partitions);
    } else {
        snprintf(out->text, sizeof out->text, "%d partitions, cleanup.policy %s",
                 partitions, rules[t].cleanup);
    }
}

/* Ask for the settings of the topics that exist and judge them. */
static enum serin_status
check_existing(struct admin *a, struct topics_finding *findings, struct fault *f)
{
    rd_kafka_ConfigResource_t *ask[BUS_TOPIC_COUNT];
    size_t n = 0, answered;
    for (int t = 0; t < BUS_TOPIC_COUNT; t++)
        if (!findings[t].missing)
            ask[n++] =
                rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, findings[t].topic);
    if (n == 0) return SERIN_OK;
    rd_kafka_AdminOptions_t *o = options(a, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(a->client->rk, ask, n, o, a->queue);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_ConfigResource_destroy_array(ask, n);
    rd_kafka_event_t *e = answer(a, "reading the topics' settings", f);
    if (e == NULL) return SERIN_EIO;
    const rd_kafka_ConfigResource_t **got = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(e), &answered);
    for (size_t i = 0; i < answered; i++)
        for (int t = 0; t < BUS_TOPIC_COUNT; t++)
            if (findings[t].ok &&
                strcmp(findings[t].topic, rd_kafka_ConfigResource_name(got[i])) == 0)
                check_settings(&findings[t], (enum bus_topic)t, got[i]);
    rd_kafka_event_destroy(e);
    return SERIN_OK;
}

/* A broker hears of a topic that another has just created a moment later: one that is
 * missing is looked for a little while before it is said to be. */
static const rd_kafka_metadata_t *look_twice(struct admin *a, struct bus *b,
                                             struct fault *f)
{
    enum bus_topic missing[BUS_TOPIC_COUNT];
    int64_t until = clock_mono_ms() + NEWS_MS;
    for (;;) {
        const rd_kafka_metadata_t *md = look(a, f);
        if (md == NULL || absent(b, md, missing) == 0) return md;
        if (clock_mono_ms() >= until || left_ms(a) == 0) return md;
        rd_kafka_metadata_destroy(md);
        clock_sleep_ms(100);
    }
}

enum serin_status topics_check(struct bus *b, struct topics_finding *findings,
                               int timeout_ms, struct fault *f)
{
    struct admin a;
    enum serin_status s = admin_open(&a, b, timeout_ms, f);
    if (s != SERIN_OK) return s;
    const rd_kafka_metadata_t *md = look_twice(&a, b, f);
    s = md != NULL ? SERIN_OK : SERIN_EIO;
    if (md != NULL) {
        for (int t = 0; t < BUS_TOPIC_COUNT; t++) {
            const rd_kafka_metadata_topic_t *topic =
                client_topic(md, bus_topic_name(b, (enum bus_topic)t));
            check_count(&findings[t], b, (enum bus_topic)t,
                        topic != NULL ? topic->partition_cnt : 0);
        }
        rd_kafka_metadata_destroy(md);
        /* The embedded broker has no settings to ask for. */
        if (!bus_embedded(b)) s = check_existing(&a, findings, f);
    }
    admin_close(&a);
    for (int t = 0; s == SERIN_OK && t < BUS_TOPIC_COUNT; t++)
        if (!findings[t].ok)
            s = fault_set(f, SERIN_ESTATE, "topic %s: %s", findings[t].topic,
                          findings[t].text);
    return s;
}
