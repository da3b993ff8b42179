/* tests/integration/ingest/ingest_tool.c -- one process of the kill test
 *
 * ingest_tool BOOTSTRAP PREFIX setup    make serin's topics, route load-0 to load-9
 * ingest_tool BOOTSTRAP PREFIX sum      committed partials of the inbox, added up
 * ingest_tool BOOTSTRAP PREFIX run INSTANCE TOPIC [THREADS]   workers until SIGTERM */
#include <signal.h>
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/bus/producer.h"
#include "engine/bus/table.h"
#include "engine/bus/topics.h"
#include "ingest/worker_pool.h"
#include "proto/decode.h"
#include "tests/support/ingest_world.h"

enum { ROLLOUTS = 10 };

static struct worker_pool *workers;
static struct bus *bus;

static _Noreturn void die(const char *what, const struct fault *f)
{
    fprintf(stderr, "ingest_tool: %s: %s\n", what, f->text);
    exit(1);
}

static void on_term(int signal)
{
    (void)signal;
    worker_pool_stop(workers);
}

static void send_row(void *ctx, pb_rollout *row)
{
    struct arena a = {0};
    struct bytes b;
    struct fault f = {0};
    if (encode_rollout(&a, row, &b) != SERIN_OK ||
        producer_send(ctx, bus_topic_name(bus, BUS_ROLLOUTS), -1, row->rollout,
                      strlen(row->rollout), b.p, b.n, &f) != SERIN_OK)
        die("row", &f);
    arena_free(&a);
}

static int setup(void)
{
    struct producer *p;
    struct fault f = {0};
    if (topics_create(bus, NULL, 30000, &f) != SERIN_OK) die("topics", &f);
    if (producer_open(&p, bus, NULL, 30000, &f) != SERIN_OK) die("producer", &f);
    for (int r = 0; r < ROLLOUTS; r++) {
        char id[32];
        snprintf(id, sizeof id, "load-%d", r);
        world_row(id, id, true, send_row, p);
    }
    if (producer_flush(p, 30000, &f) != SERIN_OK) die("rows", &f);
    producer_close(p);
    return 0;
}

static int run(const char *topic, unsigned threads)
{
    struct fault f = {0};
    struct worker_input in = {.topic = topic, .format = "auto"};
    struct worker_options o = {.inputs = &in, .n_inputs = 1, .flush_ms = 50};
    if (worker_pool_open(&workers, bus, &o, threads, &f) != SERIN_OK)
        die("workers", &f);
    signal(SIGTERM, on_term);
    if (worker_pool_run(workers, &f) != SERIN_OK) die("workers", &f);
    struct worker_counts c = worker_pool_counts(workers);
    printf(
        "{\"messages\":%llu,\"quarantined\":%llu,\"aborted\":%llu,\"rebuilds\":%llu}\n",
        (unsigned long long)c.messages, (unsigned long long)c.quarantined,
        (unsigned long long)c.transactions_aborted, (unsigned long long)c.rebuilds);
    worker_pool_close(workers);
    return 0;
}

static struct {
    uint64_t n, bad, samples, poison, partials, ticks;
} sum;

static void add(void *ctx, const struct bus_record *r)
{
    struct arena a = {.max = 16 << 20};
    struct fault f = {0};
    pb_inbox *m;
    (void)ctx;
    fault_set(&f, SERIN_EPARSE, "offset %lld", (long long)r->offset);
    if (decode_inbox(&a, r->value, r->value_len, &m) != SERIN_OK) die("inbox", &f);
    if (m->body_case == SERIN__V1__INBOX__BODY_PARTIAL) {
        sum.partials++;
        sum.samples += m->partial->samples;
        sum.poison += m->partial->poison;
        for (size_t i = 0; i < m->partial->n_cells; i++) {
            sum.n += m->partial->cells[i]->n;
            sum.bad += m->partial->cells[i]->bad;
        }
    } else if (m->body_case == SERIN__V1__INBOX__BODY_TICK) {
        sum.ticks++;
    }
    arena_free(&a);
}

static int add_up(void)
{
    struct table *t;
    struct fault f = {0};
    struct table_options o = {.topic = bus_topic_name(bus, BUS_INBOX),
                              .start = BUS_OFFSET_NONE,
                              .on_record = add};
    if (table_open(&t, bus, &o, &f) != SERIN_OK) die("inbox", &f);
    while (!table_caught_up(t))
        if (table_poll(t, 100, &f) != SERIN_OK) die("inbox", &f);
    table_close(t);
    printf("{\"units\":%llu,\"bad\":%llu,\"samples\":%llu,\"poison\":%llu,\"partials\":"
           "%llu,"
           "\"ticks\":%llu}\n",
           (unsigned long long)sum.n, (unsigned long long)sum.bad,
           (unsigned long long)sum.samples, (unsigned long long)sum.poison,
           (unsigned long long)sum.partials, (unsigned long long)sum.ticks);
    return 0;
}

int main(int argc, char **argv)
{
    struct fault f = {0};
    if (argc < 4) {
        fputs("usage: ingest_tool BOOTSTRAP PREFIX setup|sum|run [INSTANCE TOPIC "
              "[THREADS]]\n",
              stderr);
        return 2;
    }
    struct bus_property p = {"bootstrap.servers", argv[1]};
    struct bus_options o = {.properties = &p,
                            .n_properties = 1,
                            .prefix = argv[2],
                            .instance = argc > 4 ? argv[4] : "tool",
                            .partitions = 4,
                            .replication = 1};
    log_setup(getenv("SERIN_DEBUG") != NULL ? LOG_DEBUG_LEVEL : LOG_WARN_LEVEL, false);
    if (bus_open(&bus, &o, &f) != SERIN_OK) die("bus", &f);
    int code = 2;
    if (strcmp(argv[3], "setup") == 0)
        code = setup();
    else if (strcmp(argv[3], "sum") == 0)
        code = add_up();
    else if (strcmp(argv[3], "run") == 0 && argc > 5)
        code = run(argv[5], argc > 6 ? (unsigned)strtoul(argv[6], NULL, 10) : 1);
    bus_close(bus);
    return code;
}
