/* engine/bus/bus.c -- settings kept for all clients; the embedded broker */
#include "engine/bus/bus.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/bus/client.h"

enum { BUS_PARTITIONS = 16 };

struct bus {
    struct bus_property *properties; /* names and values are ours */
    size_t n_properties;
    char *prefix, *instance, *bootstrap;
    char *topics[BUS_TOPIC_COUNT];
    int partitions, replication;
    rd_kafka_t *host; /* the handle that carries the embedded cluster */
    rd_kafka_mock_cluster_t *cluster;
    atomic_bool away; /* people were told so */
};

static bool copy_settings(struct bus *b, const struct bus_options *o)
{
    static const char *const names[BUS_TOPIC_COUNT] = {[BUS_INBOX] = "inbox",
                                                       [BUS_VERDICTS] = "verdicts",
                                                       [BUS_ROLLOUTS] = "rollouts",
                                                       [BUS_AUDIT] = "audit",
                                                       [BUS_STATE] = "state"};
    char text[300];
    b->properties = mem_calloc(o->n_properties, sizeof *b->properties);
    if (b->properties == NULL) return false;
    for (size_t i = 0; i < o->n_properties; i++) {
        struct bus_property *p = &b->properties[i];
        p->name = mem_strdup(o->properties[i].name);
        p->value = mem_strdup(o->properties[i].value);
        b->n_properties++;
        if (p->name == NULL || p->value == NULL) return false;
    }
    b->prefix = mem_strdup(o->prefix != NULL ? o->prefix : "serin.");
    if (b->prefix == NULL) return false;
    for (int t = 0; t < BUS_TOPIC_COUNT; t++) {
        snprintf(text, sizeof text, "%s%s", b->prefix, names[t]);
        if ((b->topics[t] = mem_strdup(text)) == NULL) return false;
    }
    memset(text, 0, sizeof text);
    if (o->instance == NULL && gethostname(text, sizeof text - 1) != 0)
        snprintf(text, sizeof text, "serin");
    b->instance = mem_strdup(o->instance != NULL ? o->instance : text);
    b->partitions = o->partitions != 0 ? o->partitions : BUS_PARTITIONS;
    b->replication = o->replication;
    return b->instance != NULL;
}

static enum serin_status find_bootstrap(struct bus *b, struct fault *f)
{
    static const char *const names[] = {"bootstrap.servers", "metadata.broker.list"};
    for (size_t i = 0; i < b->n_properties; i++)
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (strcmp(b->properties[i].name, names[k]) == 0 &&
                b->properties[i].value[0] != '\0') {
                mem_free(b->bootstrap);
                b->bootstrap = mem_strdup(b->properties[i].value);
                if (b->bootstrap == NULL) return SERIN_ENOMEM;
            }
    if (b->bootstrap != NULL) return SERIN_OK;
    return fault_set(f, SERIN_EDOM,
                     "kafka.bootstrap.servers is missing: name at least one broker as "
                     "host:port, or start with --embedded for a demo");
}

static enum serin_status start_embedded(struct bus *b, struct fault *f)
{
    char why[300] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "3", NULL, 0);
    b->host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (b->host == NULL) {
        rd_kafka_conf_destroy(conf);
        return fault_set(f, SERIN_EIO, "embedded broker: %s", why);
    }
    b->cluster = rd_kafka_mock_cluster_new(b->host, 1);
    if (b->cluster == NULL)
        return fault_set(f, SERIN_EIO,
                         "embedded broker: no port on 127.0.0.1 to listen on");
    b->bootstrap = mem_strdup(rd_kafka_mock_cluster_bootstraps(b->cluster));
    if (b->bootstrap == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
    for (int t = 0; t < BUS_TOPIC_COUNT; t++) {
        rd_kafka_resp_err_t err = bus_embedded_topic(b, b->topics[t], b->partitions);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return fault_set(f, SERIN_EIO, "embedded broker: topic %s: %s",
                             b->topics[t], rd_kafka_err2str(err));
    }
    return SERIN_OK;
}

static enum serin_status check_options(const struct bus_options *o, struct fault *f)
{
    if (o->partitions < 0 || o->partitions > 10000)
        return fault_set(f, SERIN_EDOM, "topics.partitions = %d: expected 1 to 10000",
                         o->partitions);
    if (o->replication < 0 || o->replication > 100)
        return fault_set(f, SERIN_EDOM, "topics.replication = %d: expected 1 to 100",
                         o->replication);
    if (o->prefix != NULL && strlen(o->prefix) > 200)
        return fault_set(f, SERIN_EDOM, "topics.prefix: longer than 200 characters");
    return SERIN_OK;
}

enum serin_status bus_open(struct bus **out, const struct bus_options *o,
                           struct fault *f)
{
    enum serin_status s = check_options(o, f);
    if (s != SERIN_OK) return s;
    struct bus *b = mem_calloc(1, sizeof *b);
    if (b == NULL || !copy_settings(b, o))
        s = fault_set(f, SERIN_ENOMEM, "out of memory for the Kafka settings");
    if (s == SERIN_OK && !o->embedded) s = find_bootstrap(b, f);
    if (s == SERIN_OK) s = client_probe(b, f);
    if (s == SERIN_OK && o->embedded) s = start_embedded(b, f);
    if (s == SERIN_OK)
        *out = b;
    else
        bus_close(b);
    return s;
}

void bus_close(struct bus *b)
{
    if (b == NULL) return;
    if (b->cluster != NULL) rd_kafka_mock_cluster_destroy(b->cluster);
    if (b->host != NULL) rd_kafka_destroy(b->host);
    for (size_t i = 0; i < b->n_properties; i++) {
        mem_free((void *)(uintptr_t)b->properties[i].name);
        mem_free((void *)(uintptr_t)b->properties[i].value);
    }
    mem_free(b->properties);
    for (int t = 0; t < BUS_TOPIC_COUNT; t++)
        mem_free(b->topics[t]);
    mem_free(b->prefix);
    mem_free(b->instance);
    mem_free(b->bootstrap);
    mem_free(b);
}

const char *bus_topic_name(const struct bus *b, enum bus_topic t)
{
    return b->topics[t];
}

int bus_partitions(const struct bus *b)
{
    return b->partitions;
}

int bus_replication(const struct bus *b)
{
    return b->replication;
}

const char *bus_instance(const struct bus *b)
{
    return b->instance;
}

const char *bus_bootstrap(const struct bus *b)
{
    return b->bootstrap;
}

bool bus_transactional(const struct bus *b)
{
    return b->cluster == NULL;
}

const struct bus_property *bus_properties(const struct bus *b, size_t *n)
{
    *n = b->n_properties;
    return b->properties;
}

const char *bus_prefix(const struct bus *b)
{
    return b->prefix;
}

bool bus_embedded(const struct bus *b)
{
    return b->cluster != NULL;
}

bool bus_said_away(struct bus *b, bool away)
{
    return atomic_exchange(&b->away, away);
}

rd_kafka_resp_err_t bus_embedded_topic(struct bus *b, const char *name, int partitions)
{
    rd_kafka_resp_err_t err =
        rd_kafka_mock_topic_create(b->cluster, name, partitions, 1);
    return err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS ? RD_KAFKA_RESP_ERR_NO_ERROR
                                                         : err;
}
