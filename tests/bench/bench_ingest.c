/* tests/bench/bench_ingest.c -- what ingest costs: decoders alone, a worker end to end,
 * and the floor, a bare librdkafka consumer that only touches the bytes
 *
 * bench_ingest [--quick] [--bootstrap HOST:PORT [--messages N]]
 * bench_ingest --bootstrap HOST:PORT --reader floor|serin --topic T --samples S
 *              --messages N [--threads K] [--memory MIB]
 * Without a bootstrap the embedded broker is used: its own work is then part of the
 * CPU. With a reader only that one runs, on a topic that loadgen has filled. */
#include <getopt.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/bus/producer.h"
#include "engine/bus/topics.h"
#include "ingest/worker_pool.h"
#include "tests/support/ingest_world.h"
#include "tests/support/load.h"
#include "tests/support/otlp.h"
#include "tests/support/remote_write.h"

enum { PARTITIONS = 4, ROLLOUTS = 100 };

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double wall_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static long rss_kib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

/* ---------------------------------------------------------------- decoders */

static struct bytes json_of(struct arena *a, const struct load *l, uint64_t i)
{
    char *text = arena_alloc(a, 160 * (size_t)l->samples), *p = text;
    for (unsigned k = 0; k < l->samples; k++)
        p += snprintf(
            p, 160,
            "{\"t_ms\":%lld,\"rollout\":\"load-%u\",\"cohort\":\"%s\",\"stratum\":"
            "\"eu\",\"metric\":\"errors\",\"n\":2,\"bad\":0}\n",
            (long long)l->start_ms + k, (unsigned)(i % l->rollouts),
            i / l->rollouts % 2 != 0 ? "canary" : "baseline");
    return (struct bytes){(uint8_t *)text, (size_t)(p - text)};
}

static struct bytes influx_of(struct arena *a, const struct load *l, uint64_t i)
{
    char *text = arena_alloc(a, 160 * (size_t)l->samples), *p = text;
    for (unsigned k = 0; k < l->samples; k++)
        p += snprintf(
            p, 160, "errors,region=eu,service=load-%u,version=%s n=2i,bad=0i %lld\n",
            (unsigned)(i % l->rollouts), i / l->rollouts % 2 != 0 ? "new" : "old",
            ((long long)l->start_ms + k) * 1000000);
    return (struct bytes){(uint8_t *)text, (size_t)(p - text)};
}

/* Counters of one scrape; each message is a little later than the one before. */
static struct bytes prometheus_of(struct arena *a, const struct load *l, uint64_t i)
{
    struct rw request = {0}, series = {0};
    for (unsigned k = 0; k < l->samples; k++) {
        char service[32], pod[32];
        snprintf(service, sizeof service, "load-%u", k % l->rollouts);
        snprintf(pod, sizeof pod, "pod-%u", k / l->rollouts);
        rw_label(&series, "__name__", "crashes");
        rw_label(&series, "pod", pod);
        rw_label(&series, "region", "eu");
        rw_label(&series, "service", service);
        rw_label(&series, "version", "new");
        rw_sample(&series, (double)(7 * i), l->start_ms + (int64_t)i);
        rw_series(&request, &series);
    }
    struct rw block = rw_snappy(&request);
    struct bytes out = {(uint8_t *)arena_copy(a, (char *)block.p, block.n), block.n};
    rw_free(&block);
    return out;
}

/* Delta counters of one process, as an SDK tells of them: ten attributes of the
 * resource, three of each point. */
static struct bytes otlp_of(struct arena *a, const struct load *l, uint64_t i)
{
    struct rw request = {0}, list = {0}, scope = {0}, metric = {0}, sum = {0}, m = {0};
    char text[32];
    snprintf(text, sizeof text, "load-%u", (unsigned)(i % l->rollouts));
    otlp_attribute(&m, 1, "service", text);
    otlp_attribute(&m, 1, "version", i / l->rollouts % 2 != 0 ? "new" : "old");
    for (int k = 0; k < 8; k++) {
        snprintf(text, sizeof text, "telemetry.resource.%d", k);
        otlp_attribute(&m, 1, text, "a-value-of-it");
    }
    otlp_put(&list, 1, &m);
    for (unsigned k = 0; k < l->samples; k++) {
        uint64_t t = (uint64_t)(l->start_ms + (int64_t)i) * 1000000;
        snprintf(text, sizeof text, "/route/%u", k);
        otlp_fixed(&m, 2, t - 1000000);
        otlp_fixed(&m, 3, t);
        otlp_fixed(&m, 6, 2);
        otlp_attribute(&m, 7, "region", "eu");
        otlp_attribute(&m, 7, "http.route", text);
        otlp_int_attribute(&m, 7, "http.response.status_code", 200);
        otlp_put(&sum, 1, &m);
    }
    rw_number(&sum, 2, 1); /* delta */
    rw_number(&sum, 3, 1); /* monotonic */
    otlp_text(&metric, 1, "crashes");
    otlp_put(&metric, 7, &sum);
    otlp_put(&scope, 2, &metric);
    otlp_put(&list, 2, &scope);
    otlp_put(&request, 1, &list);
    struct bytes out = {(uint8_t *)arena_copy(a, (char *)request.p, request.n),
                        request.n};
    rw_free(&request);
    rw_free(&list);
    rw_free(&scope);
    rw_free(&metric);
    rw_free(&sum);
    rw_free(&m);
    return out;
}

static struct bytes message_of(enum format f, struct arena *a, const struct load *l,
                               uint64_t i)
{
    if (f == FORMAT_JSON) return json_of(a, l, i);
    if (f == FORMAT_INFLUX) return influx_of(a, l, i);
    if (f == FORMAT_PROMETHEUS) return prometheus_of(a, l, i);
    if (f == FORMAT_OTLP_PROTO) return otlp_of(a, l, i);
    return load_message(a, l, i);
}

static void bench_decoder(enum format f, unsigned samples, uint64_t messages)
{
    struct load l = {.samples = samples,
                     .rollouts = ROLLOUTS,
                     .start_ms = WORLD_NOW,
                     .per_second = 1000000};
    struct world w = world_open(NULL);
    struct arena a = {.max = (size_t)1 << 30};
    struct bytes *m = calloc(LOAD_TEMPLATES, sizeof *m);
    char id[32];
    for (unsigned r = 0; r < ROLLOUTS; r++) {
        snprintf(id, sizeof id, "load-%u", r);
        world_row(id, id, true, world_put, &w);
    }
    for (uint64_t i = 0; i < LOAD_TEMPLATES; i++)
        m[i] = message_of(f, &a, &l, i);
    double began = cpu_s(); /* others on the machine do not count */
    for (uint64_t i = 0; i < messages; i++) {
        const struct bytes *b = &m[i % LOAD_TEMPLATES];
        if (world_decode(&w, f, b->p, b->n) != SERIN_OK) abort();
        if (i % LOAD_TEMPLATES == LOAD_TEMPLATES - 1)
            cumulative_forget(aggregate_cumulative(w.a)); /* their times begin again */
        cumulative_seal(aggregate_cumulative(w.a));
        cumulative_commit(aggregate_cumulative(w.a));
        if (i % 100000 == 99999) aggregate_clear(w.a); /* a flush */
    }
    double ns = 1e9 * (cpu_s() - began);
    printf("{\"format\":\"%s\",\"samples_per_message\":%u,\"bytes\":%zu,\"ns_per_"
           "message\":"
           "%.1f,\"ns_per_sample\":%.2f}",
           format_name(f), samples, m[0].n, ns / (double)messages,
           ns / (double)messages / samples);
    free(m);
    arena_free(&a);
    world_close(&w);
}

/* ---------------------------------------------------------------- end to end */

struct place {
    struct bus *bus;
    char topic[128];
    bool embedded;
};

static void die(const char *what, const struct fault *f)
{
    fprintf(stderr, "bench_ingest: %s: %s\n", what, f->text);
    exit(1);
}

struct rows {
    struct place *at;
    struct producer *p;
};

static void send_row(void *ctx, pb_rollout *row)
{
    struct rows *r = ctx;
    struct arena a = {0};
    struct bytes b;
    struct fault f = {0};
    if (encode_rollout(&a, row, &b) != SERIN_OK ||
        producer_send(r->p, bus_topic_name(r->at->bus, BUS_ROLLOUTS), -1, row->rollout,
                      strlen(row->rollout), b.p, b.n, &f) != SERIN_OK)
        die("a row", &f);
    arena_free(&a);
}

static void place_open(struct place *at, const char *bootstrap, unsigned samples)
{
    char prefix[64];
    struct fault f = {0};
    struct bus_property p = {"bootstrap.servers", bootstrap};
    snprintf(prefix, sizeof prefix, "bench-%d-%u.", (int)getpid(), samples);
    snprintf(at->topic, sizeof at->topic, "%sinput", prefix);
    struct bus_options o = {.properties = &p,
                            .n_properties = bootstrap != NULL,
                            .prefix = prefix,
                            .instance = "bench",
                            .replication = 1,
                            .embedded = bootstrap == NULL};
    const char *inputs[] = {at->topic, NULL};
    at->embedded = o.embedded;
    if (bus_open(&at->bus, &o, &f) != SERIN_OK) die("bus", &f);
    if (topics_create(at->bus, inputs, 20000, &f) != SERIN_OK) die("topics", &f);
    struct rows rows = {at, NULL};
    if (producer_open(&rows.p, at->bus, NULL, 20000, &f) != SERIN_OK)
        die("producer", &f);
    for (unsigned r = 0; r < ROLLOUTS; r++) {
        char id[32];
        snprintf(id, sizeof id, "load-%u", r);
        world_row(id, id, true, send_row, &rows);
    }
    if (producer_flush(rows.p, 20000, &f) != SERIN_OK) die("rows", &f);
    producer_close(rows.p);
}

static void *run_workers(void *p)
{
    struct fault f = {0};
    if (worker_pool_run(p, &f) != SERIN_OK) die("workers", &f);
    return NULL;
}

static void report(const char *who, const struct load *l, double wall, double cpu,
                   uint64_t samples)
{
    double n = (double)l->messages;
    printf("{\"reader\":\"%s\",\"samples_per_message\":%u,\"messages\":%llu,"
           "\"samples\":%llu,\"seconds\":%.3f,\"cpu_s\":%.3f,"
           "\"messages_per_s\":%.0f,\"samples_per_s\":%.0f,\"cpu_us_per_message\":%.3f,"
           "\"messages_per_cpu_s\":%.0f,\"rss_kib\":%ld}",
           who, l->samples, (unsigned long long)l->messages,
           (unsigned long long)samples, wall, cpu, n / wall, n * l->samples / wall,
           1e6 * cpu / n, n / cpu, rss_kib());
}

/* From the first flush on: joining the group is not what is measured. */
static void bench_worker(struct place *at, const struct load *l, unsigned threads,
                         size_t memory)
{
    struct worker_input in = {.topic = l->topic, .format = "serin"};
    struct worker_options o = {.inputs = &in, .n_inputs = 1, .memory = memory};
    struct worker_pool *w;
    struct fault f = {0};
    pthread_t t;
    if (worker_pool_open(&w, at->bus, &o, threads, &f) != SERIN_OK) die("worker", &f);
    pthread_create(&t, NULL, run_workers, w);
    while (!worker_pool_ready(w))
        usleep(500);
    double began = wall_s(), cpu = cpu_s();
    while (worker_pool_counts(w).messages < l->messages && wall_s() - began < 300)
        usleep(2000);
    began = wall_s() - began;
    cpu = cpu_s() - cpu;
    worker_pool_stop(w);
    pthread_join(t, NULL);
    struct worker_counts c = worker_pool_counts(w);
    if (c.messages != l->messages || c.routed != c.samples)
        fprintf(stderr, "bench_ingest: %llu messages, %llu samples, %llu routed\n",
                (unsigned long long)c.messages, (unsigned long long)c.samples,
                (unsigned long long)c.routed);
    report("serin", l, began, cpu, c.routed);
    worker_pool_close(w);
}

static unsigned touched; /* so that the bytes are really read */

static uint64_t touch_batch(rd_kafka_message_t **m, ssize_t n)
{
    uint64_t good = 0;
    for (ssize_t i = 0; i < n; i++) {
        good += m[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR;
        for (size_t k = 0; m[i]->err == 0 && k < m[i]->len; k += 64)
            touched += ((const uint8_t *)m[i]->payload)[k];
        rd_kafka_message_destroy(m[i]);
    }
    return good;
}

/* The same batch calls and fetch settings as the worker's consumer, and nothing else.
 */
static void bench_bare(struct place *at, const struct load *l)
{
    static rd_kafka_message_t *m[4096];
    char why[256];
    const char *const set[][2] = {{"bootstrap.servers", bus_bootstrap(at->bus)},
                                  {"group.id", "bare"},
                                  {"enable.auto.commit", "false"},
                                  {"fetch.min.bytes", "65536"},
                                  {"fetch.wait.max.ms", at->embedded ? "10" : "50"},
                                  {"fetch.message.max.bytes", "4194304"},
                                  {"queued.min.messages", "1000000"},
                                  {"queued.max.messages.kbytes", "262144"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof set / sizeof *set; i++)
        rd_kafka_conf_set(conf, set[i][0], set[i][1], why, sizeof why);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(PARTITIONS);
    for (int p = 0; p < PARTITIONS; p++)
        rd_kafka_topic_partition_list_add(list, l->topic, p)->offset = 0;
    double began = wall_s(), cpu = cpu_s();
    rd_kafka_assign(rk, list);
    rd_kafka_queue_t *q = rd_kafka_queue_get_consumer(rk);
    for (uint64_t n = 0; n < l->messages && wall_s() - began < 300;)
        n += touch_batch(m, rd_kafka_consume_batch_queue(q, 10, m, 4096));
    report("floor", l, wall_s() - began, cpu_s() - cpu, l->messages * l->samples);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(q);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

static void bench_broker(const char *bootstrap, unsigned samples, uint64_t messages)
{
    struct place at;
    place_open(&at, bootstrap, samples);
    struct load l = {.bootstrap = bus_bootstrap(at.bus),
                     .topic = at.topic,
                     .compression = "lz4",
                     .messages = messages,
                     .samples = samples,
                     .rollouts = ROLLOUTS,
                     .partitions = PARTITIONS,
                     .start_ms = clock_wall_ms() - 60000,
                     .per_second = 1000000};
    if (!load_fill(&l)) exit(1);
    bench_bare(&at, &l);
    putchar(',');
    bench_worker(&at, &l, 1, 0);
    bus_close(at.bus);
}

/* One reader of a topic that is there: for comparisons in one run with others. */
static int bench_reader(const char *reader, const struct load *l, unsigned threads,
                        size_t memory)
{
    struct place at;
    if (strcmp(reader, "floor") != 0 && strcmp(reader, "serin") != 0) return 2;
    place_open(&at, l->bootstrap, l->samples);
    if (reader[0] == 'f')
        bench_bare(&at, l);
    else
        bench_worker(&at, l, threads, memory);
    putchar('\n');
    bus_close(at.bus);
    return 0;
}

static void bench_decoders(uint64_t scale)
{
    printf("{\"decoders\":[");
    bench_decoder(FORMAT_SERIN, 1, 5000000 / scale);
    putchar(',');
    bench_decoder(FORMAT_SERIN, 100, 500000 / scale);
    putchar(',');
    bench_decoder(FORMAT_JSON, 1, 500000 / scale);
    putchar(',');
    bench_decoder(FORMAT_JSON, 100, 10000 / scale);
    putchar(',');
    bench_decoder(FORMAT_INFLUX, 1, 1000000 / scale);
    putchar(',');
    bench_decoder(FORMAT_INFLUX, 100, 20000 / scale);
    putchar(',');
    bench_decoder(FORMAT_PROMETHEUS, 100, 40000 / scale);
    putchar(',');
    bench_decoder(FORMAT_OTLP_PROTO, 1, 1000000 / scale);
    putchar(',');
    bench_decoder(FORMAT_OTLP_PROTO, 100, 100000 / scale);
    putchar(',');
    bench_decoder(FORMAT_OTLP_PROTO, 1000, 10000 / scale);
}

static void bench_all(const struct load *l, uint64_t scale)
{
    const char *bootstrap = l->bootstrap;
    uint64_t messages = l->messages;
    /* The embedded broker keeps 5 MiB a partition. */
    if (messages == 0) messages = bootstrap != NULL ? 3000000 / scale : 200000;
    bench_decoders(scale);
    printf("],\"broker\":\"%s\",\"readers\":[",
           bootstrap != NULL ? "real" : "embedded");
    fflush(stdout);
    bench_broker(bootstrap, 1, messages);
    putchar(',');
    bench_broker(bootstrap, 100, messages / 5);
    printf("]}\n");
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"quick", no_argument, NULL, 'q'},
                                            {"bootstrap", required_argument, NULL, 'b'},
                                            {"messages", required_argument, NULL, 'n'},
                                            {"reader", required_argument, NULL, 'r'},
                                            {"topic", required_argument, NULL, 't'},
                                            {"samples", required_argument, NULL, 's'},
                                            {"threads", required_argument, NULL, 'k'},
                                            {"memory", required_argument, NULL, 'm'},
                                            {NULL, 0, NULL, 0}};
    struct load l = {.samples = 1};
    const char *reader = NULL;
    uint64_t scale = 1, threads = 1, memory = 0;
    int o;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        uint64_t number = optarg != NULL ? strtoull(optarg, NULL, 10) : 0;
        switch (o) {
        case 'q':
            scale = 10;
            break;
        case 'b':
            l.bootstrap = optarg;
            break;
        case 'n':
            l.messages = number;
            break;
        case 'r':
            reader = optarg;
            break;
        case 't':
            l.topic = optarg;
            break;
        case 's':
            l.samples = (unsigned)number;
            break;
        case 'k':
            threads = number;
            break;
        case 'm':
            memory = number << 20;
            break;
        default:
            return 2;
        }
    }
    mem_keep(WORKER_KEEP); /* as `serin run` does */
    log_setup(LOG_WARN_LEVEL, false);
    if (reader != NULL) {
        if (l.bootstrap == NULL || l.topic == NULL || l.messages == 0) return 2;
        return bench_reader(reader, &l, (unsigned)threads, memory);
    }
    bench_all(&l, scale);
    return 0;
}
