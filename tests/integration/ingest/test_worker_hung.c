/* tests/integration/ingest/test_worker_hung.c -- one of two brokers is away: what the
 * other one leads is read and committed all the same, and the rest once it is back. On
 * librdkafka's mock cluster; its transactions succeed without doing anything. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "ingest/worker_pool.h"
#include "tests/support/check.h"

enum { RECORDS = 50, WAIT_MS = 60000, PARTITIONS = 4 };

static rd_kafka_t *host;
static rd_kafka_mock_cluster_t *cluster;
static struct worker_pool *pool;

/* Broker 1 leads serin's topics, coordinates, and leads the even input partitions. */
static void cluster_open(void)
{
    static const char *const ours[] = {"t.inbox", "t.rollouts", "t.verdicts", "t.audit",
                                       "t.state"};
    static const char *const ids[] = {"t.ingest-w", "t.ingest.1-w"};
    char why[256];
    host = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof why);
    cr_assert(host != NULL, "%s", why);
    cluster = rd_kafka_mock_cluster_new(host, 2);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        rd_kafka_mock_topic_create(cluster, ours[i], 1, 1);
        rd_kafka_mock_partition_set_leader(cluster, ours[i], 0, 1);
    }
    rd_kafka_mock_topic_create(cluster, "in", PARTITIONS, 1);
    for (int p = 0; p < PARTITIONS; p++)
        rd_kafka_mock_partition_set_leader(cluster, "in", p, p % 2 == 0 ? 1 : 2);
    rd_kafka_mock_coordinator_set(cluster, "group", "t.ingest", 1);
    for (size_t i = 0; i < 2; i++)
        rd_kafka_mock_coordinator_set(cluster, "transaction", ids[i], 1);
}

static void fill(void)
{
    char why[256];
    static const char text[] =
        "{\"t_ms\":1700000000000,\"rollout\":\"r\",\"cohort\":\"canary\","
        "\"metric\":\"errors\",\"n\":10,\"bad\":3}";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers",
                      rd_kafka_mock_cluster_bootstraps(cluster), why, sizeof why);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    cr_assert(rk != NULL, "%s", why);
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, "in", NULL);
    for (int i = 0; i < RECORDS * PARTITIONS; i++)
        cr_assert(eq(int,
                     rd_kafka_produce(t, i % PARTITIONS, RD_KAFKA_MSG_F_COPY,
                                      (void *)(uintptr_t)text, sizeof text - 1, NULL, 0,
                                      NULL),
                     0));
    cr_assert(eq(int, rd_kafka_flush(rk, WAIT_MS), 0));
    rd_kafka_topic_destroy(t);
    rd_kafka_destroy(rk);
}

static void *run_pool(void *unused)
{
    struct fault f = {0};
    (void)unused;
    if (worker_pool_run(pool, &f) != SERIN_OK) fprintf(stderr, "%s\n", f.text);
    return NULL;
}

static uint64_t await(uint64_t messages)
{
    int64_t end = clock_mono_ms() + WAIT_MS;
    while (worker_pool_counts(pool).messages < messages && clock_mono_ms() < end)
        clock_sleep_ms(20);
    return worker_pool_counts(pool).messages;
}

/* Every partition has been read to its end, or nothing of it. */
static void check_rows(bool all)
{
    struct worker_partition *rows;
    size_t n;
    cr_assert(eq(int, worker_pool_partitions(pool, &rows, &n), SERIN_OK));
    cr_assert(all ? n == PARTITIONS : n <= PARTITIONS, "%zu rows", n);
    for (size_t i = 0; i < n; i++) {
        bool read = all || rows[i].partition % 2 == 0;
        cr_assert(all ? rows[i].partition == (int32_t)i : true);
        cr_assert(eq(u64, rows[i].n.messages, read ? RECORDS : 0));
        cr_assert(eq(u64, rows[i].n.unrouted, read ? RECORDS : 0));
        cr_assert(eq(int, rows[i].known, read));
    }
    free(rows);
}

static void one_broker_away(unsigned threads)
{
    struct bus *b;
    struct fault f = {0};
    pthread_t thread;
    struct worker_input in = {.topic = "in", .format = "json"};
    struct worker_options o = {.inputs = &in, .n_inputs = 1, .flush_ms = 20};
    cluster_open();
    fill();
    struct bus_property p = {"bootstrap.servers",
                             rd_kafka_mock_cluster_bootstraps(cluster)};
    struct bus_options bo = {.properties = &p,
                             .n_properties = 1,
                             .prefix = "t.",
                             .instance = "w",
                             .partitions = 1};
    cr_assert(eq(int, rd_kafka_mock_broker_set_down(cluster, 2), 0));
    cr_assert(eq(int, bus_open(&b, &bo, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(int, worker_pool_open(&pool, b, &o, threads, &f), SERIN_OK), "%s",
              f.text);
    cr_assert(eq(int, pthread_create(&thread, NULL, run_pool, NULL), 0));
    cr_assert(eq(u64, await(RECORDS * PARTITIONS / 2), RECORDS * PARTITIONS / 2));
    check_rows(false);
    cr_assert(eq(int, rd_kafka_mock_broker_set_up(cluster, 2), 0));
    cr_assert(eq(u64, await(RECORDS * PARTITIONS), RECORDS * PARTITIONS));
    check_rows(true);
    worker_pool_stop(pool);
    pthread_join(thread, NULL);
    worker_pool_close(pool);
    bus_close(b);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(host);
}

Test(worker_hung, one_thread_reads_what_can_be_read)
{
    one_broker_away(1);
}

Test(worker_hung, so_do_two_threads)
{
    one_broker_away(2);
}
