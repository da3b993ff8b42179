/* tests/bench/bench_bus.c -- reading through the bus beside bare librdkafka
 *
 *   bench_bus [--quick] [--bootstrap B] [--topic T] [--messages N] [--size BYTES]
 *
 * The same topic is read in turn by a bare rd_kafka_consume_batch_queue loop (the
 * floor) and by consumer_poll; each pass counts from its first to its last message.
 * Without
 * --bootstrap the broker is the embedded one, in this process: its CPU is counted too.
 * With
 * --topic nothing is written: the first N messages of that topic are read. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "engine/bus/bus.h"
#include "engine/bus/consumer.h"
#include "engine/bus/producer.h"
#include "engine/bus/topics.h"

enum { BATCH = 5000, MAX_PARTITIONS = 64, WAIT_S = 60 };

static struct bench {
    const char *bootstrap, *topic;
    long messages, size;
    int passes;
    bool quick, own; /* own: we write the topic */
} bench = {.size = 200};

struct reading {
    double wall_s, cpu_s;
    long messages;
};

static struct fault fault;

static void must(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "bench_bus: %s: %s\n", what, fault.text);
    exit(1);
}

static double seconds(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Starts with the first message: joins and connects are not what is measured. */
static void meter(struct reading *r, long got, double *wall, double *cpu)
{
    if (got == 0) return;
    if (r->messages == 0) {
        *wall = seconds(CLOCK_MONOTONIC);
        *cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    }
    r->messages += got;
    r->wall_s = seconds(CLOCK_MONOTONIC) - *wall;
    r->cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID) - *cpu;
}

/* Half of every message is noise, so that compression has something to do and no more.
 */
static void write_messages(struct bus *b)
{
    struct producer *p = NULL;
    unsigned long long x = 88172645463325252ULL;
    char *text = malloc((size_t)bench.size);
    must(text != NULL && producer_open(&p, b, NULL, 30000, &fault) == SERIN_OK,
         "producer");
    for (long i = 0; i < bench.messages; i++) {
        memset(text, 'a', (size_t)bench.size);
        for (long k = 0; k < bench.size / 2; k++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            text[k] = (char)('0' + x % 64);
        }
        must(producer_send(p, bench.topic, (int32_t)(i % 4), NULL, 0, text,
                           (size_t)bench.size, &fault) == SERIN_OK,
             "send");
    }
    must(producer_flush(p, 120000, &fault) == SERIN_OK, "flush");
    producer_close(p);
    free(text);
}

static void bare_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    must(rd_kafka_conf_set(conf, name, value, fault.text, sizeof fault.text) ==
             RD_KAFKA_CONF_OK,
         name);
}

/* The settings of the bus, so that what differs is the code above the client. */
static rd_kafka_t *bare_open(struct bus *b)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bare_set(conf, "bootstrap.servers", bus_bootstrap(b));
    bare_set(conf, "group.id", "bench-bare");
    bare_set(conf, "enable.auto.commit", "false");
    bare_set(conf, "enable.auto.offset.store", "false");
    bare_set(conf, "isolation.level", "read_committed");
    bare_set(conf, "fetch.min.bytes", bus_transactional(b) ? "65536" : "1");
    bare_set(conf, "fetch.wait.max.ms", bus_transactional(b) ? "50" : "10");
    bare_set(conf, "fetch.message.max.bytes", "4194304");
    bare_set(conf, "queued.min.messages", "1000000");
    bare_set(conf, "queued.max.messages.kbytes", "262144");
    rd_kafka_t *rk =
        rd_kafka_new(RD_KAFKA_CONSUMER, conf, fault.text, sizeof fault.text);
    must(rk != NULL, "bare consumer");
    rd_kafka_poll_set_consumer(rk);
    return rk;
}

static int bare_assign(rd_kafka_t *rk)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, bench.topic, NULL);
    must(rd_kafka_metadata(rk, 0, t, &md, 10000) == RD_KAFKA_RESP_ERR_NO_ERROR,
         "metadata");
    int n = md->topics[0].partition_cnt;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    for (int i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(list, bench.topic, i)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_metadata_destroy(md);
    rd_kafka_topic_destroy(t);
    return n;
}

static struct reading read_bare(struct bus *b, uint64_t *bytes)
{
    static rd_kafka_message_t *batch[BATCH];
    struct reading r = {0};
    double wall = 0, cpu = 0, until = seconds(CLOCK_MONOTONIC) + WAIT_S;
    rd_kafka_t *rk = bare_open(b);
    rd_kafka_queue_t *q = rd_kafka_queue_get_consumer(rk);
    must(bare_assign(rk) > 0, "the topic does not exist");
    while (r.messages < bench.messages && seconds(CLOCK_MONOTONIC) < until) {
        long got = 0;
        ssize_t n = rd_kafka_consume_batch_queue(q, 0, batch, BATCH);
        if (n == 0) n = rd_kafka_consume_batch_queue(q, 50, batch, 1);
        for (ssize_t i = 0; i < n; i++) {
            got += batch[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR;
            *bytes += batch[i]->len;
            rd_kafka_message_destroy(batch[i]);
        }
        meter(&r, got, &wall, &cpu);
    }
    rd_kafka_queue_destroy(q);
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return r;
}

static void from_beginning(void *ctx, struct bus_partition *p, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        p[i].offset = BUS_OFFSET_NONE;
}

static struct reading read_bus(struct bus *b, int pass, uint64_t *bytes)
{
    static struct bus_record records[BATCH];
    char group[64];
    struct reading r = {0};
    double wall = 0, cpu = 0, until = seconds(CLOCK_MONOTONIC) + WAIT_S;
    const char *topics[] = {bench.topic, NULL};
    snprintf(group, sizeof group, "bench-%lld-%d", (long long)time(NULL), pass);
    struct consumer_options o = {
        .group = group, .topics = topics, .on_assign = from_beginning};
    struct consumer *c = NULL;
    must(consumer_open(&c, b, &o, &fault) == SERIN_OK, "consumer");
    while (r.messages < bench.messages && seconds(CLOCK_MONOTONIC) < until) {
        size_t n;
        must(consumer_poll(c, records, BATCH, &n, 50, &fault) == SERIN_OK, "poll");
        for (size_t i = 0; i < n; i++)
            *bytes += records[i].value_len;
        meter(&r, (long)n, &wall, &cpu);
    }
    consumer_close(c);
    return r;
}

static void print(const char *name, const struct reading *best, const char *after)
{
    printf("\"%s\":{\"messages_per_s\":%.0f,\"cpu_ns_per_message\":%.1f}%s", name,
           (double)best->messages / best->wall_s,
           1e9 * best->cpu_s / (double)best->messages, after);
}

static void keep_best(struct reading *best, struct reading r)
{
    must(r.messages >= bench.messages, "fewer messages came than were asked for");
    if (best->messages == 0 ||
        r.cpu_s * (double)best->messages < best->cpu_s * (double)r.messages)
        *best = r;
}

static void arguments(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--quick") == 0) {
            bench.quick = true;
            continue;
        }
        if (strcmp(argv[i], "--bootstrap") == 0)
            bench.bootstrap = value;
        else if (strcmp(argv[i], "--topic") == 0)
            bench.topic = value;
        else if (strcmp(argv[i], "--messages") == 0)
            bench.messages = strtol(value, NULL, 10);
        else if (strcmp(argv[i], "--size") == 0)
            bench.size = strtol(value, NULL, 10);
        else
            must(false, argv[i]);
        i++;
    }
    /* The embedded broker keeps 5 MiB a partition. */
    long most = bench.bootstrap != NULL ? 2000000 : 4 * 20000 * 200 / bench.size;
    if (bench.messages <= 0)
        bench.messages = bench.quick && most > 200000 ? 200000 : most;
    bench.passes = bench.quick ? 2 : bench.bootstrap != NULL ? 3 : 5;
    bench.own = bench.topic == NULL;
    if (bench.own) bench.topic = "bench.inbox"; /* of our own prefix, four partitions */
}

int main(int argc, char **argv)
{
    char prefix[64] = "bench.", topic[96];
    struct bus *b = NULL;
    arguments(argc, argv);
    const struct bus_property property = {"bootstrap.servers", bench.bootstrap};
    struct bus_options o = {.properties = &property,
                            .n_properties = bench.bootstrap != NULL,
                            .prefix = prefix,
                            .instance = "bench",
                            .partitions = 4,
                            .embedded = bench.bootstrap == NULL};
    if (bench.own) {
        snprintf(prefix, sizeof prefix, "bench-bus-%lld.", (long long)time(NULL));
        snprintf(topic, sizeof topic, "%sinbox", prefix);
        bench.topic = topic;
    }
    must(bus_open(&b, &o, &fault) == SERIN_OK, "settings");
    if (bench.own) {
        must(topics_create(b, NULL, 30000, &fault) == SERIN_OK, "topics");
        write_messages(b);
    }
    struct reading bare = {0}, bus = {0};
    uint64_t bytes = 0;
    for (int i = 0; i < bench.passes; i++) {
        keep_best(&bare, read_bare(b, &bytes));
        keep_best(&bus, read_bus(b, i, &bytes));
    }
    printf("{\"messages\":%ld,\"bytes_per_message\":%ld,", bench.messages, bench.size);
    print("bare_librdkafka", &bare, ",");
    print("consumer_poll", &bus, ",");
    printf("\"cpu_ratio\":%.3f}\n",
           bus.cpu_s * (double)bare.messages / (bare.cpu_s * (double)bus.messages));
    bus_close(b);
    return 0;
}
