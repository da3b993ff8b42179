/* tests/bench/bench_latency.c -- a deciding record in the inbox until its verdict is
 * readable by a read_committed reader, one at a time; and how long a restore takes
 *
 *   bench_latency [--bootstrap HOST:PORT] [--count N] [--rollouts N] [--quick]
 *
 * --rollouts: how many others are live meanwhile, and are restored at the end.
 *
 * On a real broker with transactions; without --bootstrap on the embedded one, which
 * has none. The deciding records are an operator's hold and resume in turn: they cost
 * the fold next to nothing, so that the way of a verdict is measured and not the
 * judging. */
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/bus/producer.h"
#include "engine/bus/table.h"
#include "engine/bus/topics.h"
#include "engine/stage/stage.h"
#include "proto/decode.h"
#include "proto/encode.h"

enum { MOST = 100000, PATIENCE_MS = 30000 };

static const char plan[] = "apiVersion: serin/v1\n"
                           "kind: Rollout\n"
                           "id: %s\n"
                           "cohorts: {canary: {v: c}, baseline: {v: b}}\n"
                           "window: 1s\n"
                           "calibrate: skip\n"
                           "metrics: [{name: errors, kind: ratio, phi: 1}]\n";

struct bench {
    struct bus *bus;
    struct producer *producer;
    struct table *verdicts;
    uint64_t seen; /* verdicts of this program's commands */
    double took[MOST];
};

static void die(const char *what, const struct fault *f)
{
    fprintf(stderr, "bench_latency: %s: %s\n", what, f->text);
    exit(1);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static void *decide(void *stage)
{
    struct fault f = {0};
    if (stage_run(stage, &f) != SERIN_OK) die("stage", &f);
    return NULL;
}

static void on_verdict(void *ctx, const struct bus_record *r)
{
    struct arena a = {0};
    pb_verdict *v;
    if (decode_verdict(&a, r->value, r->value_len, &v) == SERIN_OK &&
        strcmp(v->actor, "bench") == 0)
        ((struct bench *)ctx)->seen++;
    arena_free(&a);
}

static void flush(struct bench *b)
{
    struct fault f = {0};
    if (producer_flush(b->producer, PATIENCE_MS, &f) != SERIN_OK) die("produce", &f);
}

static void command(struct bench *b, const char *name, Serin__V1__Verb verb)
{
    static unsigned number;
    struct arena a = {0};
    struct bytes out;
    struct fault f = {0};
    char id[32], empty[] = "", rollout[64], actor[] = "bench", body[1024] = "";
    snprintf(id, sizeof id, "c%u", ++number);
    snprintf(rollout, sizeof rollout, "%s", name);
    if (verb == SERIN__V1__VERB__VERB_APPLY) snprintf(body, sizeof body, plan, name);
    pb_command c = SERIN__V1__COMMAND__INIT;
    pb_inbox box = SERIN__V1__INBOX__INIT;
    c.id = id;
    c.rollout = rollout;
    c.verb = verb;
    c.actor = actor;
    c.reason = empty;
    c.t_ms = clock_wall_ms();
    c.plan = body;
    box.schema = SERIN_SCHEMA;
    box.body_case = SERIN__V1__INBOX__BODY_COMMAND;
    box.command = &c;
    if (encode_inbox(&a, &box, &out) != SERIN_OK) die("encode", &f);
    if (producer_send(b->producer, bus_topic_name(b->bus, BUS_INBOX), -1, rollout,
                      strlen(rollout), out.p, out.n, &f) != SERIN_OK)
        die("produce", &f);
    arena_free(&a);
}

/* Milliseconds until verdict number `want` has been read; gives up after PATIENCE_MS.
 */
static double await(struct bench *b, uint64_t want, double since)
{
    struct fault f = {0};
    while (b->seen < want) {
        if (table_poll(b->verdicts, 100, &f) != SERIN_OK) die("read", &f);
        if (now_ms() - since > PATIENCE_MS) {
            fault_set(&f, SERIN_ETIME, "verdict %llu did not come",
                      (unsigned long long)want);
            die("wait", &f);
        }
    }
    return now_ms() - since;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(struct bench *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        /* At no fixed phase of the tick, as in life. */
        clock_sleep_ms((int64_t)(i * 37 % 83));
        double begin = now_ms();
        uint64_t want = b->seen + 1;
        command(b, "latency",
                i % 2 == 0 ? SERIN__V1__VERB__VERB_HOLD : SERIN__V1__VERB__VERB_RESUME);
        flush(b);
        b->took[i] = await(b, want, begin);
    }
    qsort(b->took, n, sizeof *b->took, ascending);
}

/* Live rollouts, and the one that is measured; until the stage has taken all of them.
 */
static void apply_plans(struct bench *b, struct stage *stage, size_t rollouts)
{
    char name[32];
    command(b, "latency", SERIN__V1__VERB__VERB_APPLY);
    for (size_t i = 0; i < rollouts; i++) {
        snprintf(name, sizeof name, "other-%zu", i);
        command(b, name, SERIN__V1__VERB__VERB_APPLY);
    }
    flush(b);
    double begin = now_ms();
    while (stage_counts(stage).fold.live < rollouts + 1) {
        struct fault f = {0};
        fault_set(&f, SERIN_ETIME, "the rollouts did not come");
        if (now_ms() - begin > PATIENCE_MS) die("apply", &f);
        clock_sleep_ms(10);
    }
    clock_sleep_ms(2000); /* a few ticks old */
}

static struct stage *start(struct bench *b, pthread_t *thread)
{
    struct fault f = {0};
    struct stage *stage;
    struct stage_options so = {0};
    if (stage_open(&stage, b->bus, &so, &f) != SERIN_OK) die("stage", &f);
    if (pthread_create(thread, NULL, decide, stage) != 0) exit(1);
    for (int64_t begin = clock_mono_ms();
         !stage_ready(stage) && clock_mono_ms() - begin < PATIENCE_MS;)
        clock_sleep_ms(1);
    return stage;
}

static void end(struct stage *stage, pthread_t thread)
{
    stage_stop(stage);
    pthread_join(thread, NULL);
    stage_close(stage);
}

static void open_all(struct bench *b, const char *bootstrap)
{
    struct fault f = {0};
    char prefix[64], instance[64];
    const struct bus_property property[] = {{"bootstrap.servers", bootstrap}};
    snprintf(prefix, sizeof prefix, "latency-%d.", (int)getpid());
    snprintf(instance, sizeof instance, "latency-%d", (int)getpid());
    struct bus_options o = {.properties = property,
                            .n_properties = bootstrap != NULL,
                            .prefix = prefix,
                            .instance = instance,
                            .embedded = bootstrap == NULL};
    if (bus_open(&b->bus, &o, &f) != SERIN_OK) die("bus", &f);
    if (topics_create(b->bus, NULL, PATIENCE_MS, &f) != SERIN_OK) die("topics", &f);
    struct table_options to = {.topic = bus_topic_name(b->bus, BUS_VERDICTS),
                               .start = BUS_OFFSET_NONE,
                               .on_record = on_verdict,
                               .ctx = b};
    if (table_open(&b->verdicts, b->bus, &to, &f) != SERIN_OK) die("verdicts", &f);
    if (producer_open(&b->producer, b->bus, NULL, PATIENCE_MS, &f) != SERIN_OK)
        die("producer", &f);
}

static void run(const char *bootstrap, size_t n, size_t rollouts)
{
    static struct bench b;
    pthread_t thread;
    open_all(&b, bootstrap);
    struct stage *stage = start(&b, &thread);
    apply_plans(&b, stage, rollouts);
    measure(&b, n);
    end(stage, thread);
    stage = start(&b, &thread);
    struct stage_counts c = stage_counts(stage);
    printf("{\"transactions\":%s,\"n\":%zu,\"p50_ms\":%.2f,\"p99_ms\":%.2f,"
           "\"max_ms\":%.2f,\"rollouts\":%zu,\"restored\":%llu,\"restore_ms\":%lld}\n",
           bus_transactional(b.bus) ? "true" : "false", n, b.took[n / 2],
           b.took[n * 99 / 100], b.took[n - 1], rollouts,
           (unsigned long long)c.fold.live, (long long)c.restore_ms);
    end(stage, thread);
    producer_close(b.producer);
    table_close(b.verdicts);
    bus_close(b.bus);
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"bootstrap", required_argument, NULL, 'b'},
                                          {"count", required_argument, NULL, 'n'},
                                          {"rollouts", required_argument, NULL, 'r'},
                                          {"quick", no_argument, NULL, 'q'},
                                          {0}};
    const char *bootstrap = NULL;
    long n = 400, rollouts = 100;
    log_setup(LOG_ERROR_LEVEL, false);
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        if (c == 'b') bootstrap = optarg;
        if (c == 'q') n = 100;
        if (c == 'n') n = strtol(optarg, NULL, 10);
        if (c == 'r') rollouts = strtol(optarg, NULL, 10);
        if (c == '?') return 2;
    }
    if (n < 1 || n > MOST || rollouts < 0 || rollouts > MOST) return 2;
    run(bootstrap, (size_t)n, (size_t)rollouts);
    return 0;
}
