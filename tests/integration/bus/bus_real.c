/* tests/integration/bus/bus_real.c -- the bus against a real broker
 *
 *   bus_real CASE [ARGUMENT...]      bootstrap in SERIN_TEST_BOOTSTRAP
 *
 * "worker PREFIX INSTANCE" is a process of its own: it copies serin.inbox to
 * serin.verdicts, exactly once, until SIGTERM; bus_faults.py runs several and hurts
 * them. */
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/bus/bus.h"
#include "engine/bus/client.h"
#include "engine/bus/consumer.h"
#include "engine/bus/producer.h"
#include "engine/bus/table.h"
#include "engine/bus/topics.h"

#define CHECK(condition, ...)                                                          \
    do {                                                                               \
        if (!(condition)) {                                                            \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);            \
            fprintf(stderr, __VA_ARGS__);                                              \
            fputc('\n', stderr);                                                       \
            exit(1);                                                                   \
        }                                                                              \
    } while (0)
#define OK(call) CHECK((call) == SERIN_OK, "%s", fault.text)

enum { PARTITIONS = 4, OPEN_MS = 60000 };

static struct fault fault;
static volatile sig_atomic_t stopping;

static void on_signal(int signal)
{
    (void)signal;
    stopping = 1;
}

static struct bus *open_bus(const char *prefix, const char *instance, int partitions)
{
    const char *bootstrap = getenv("SERIN_TEST_BOOTSTRAP");
    CHECK(bootstrap != NULL, "SERIN_TEST_BOOTSTRAP is not set");
    const struct bus_property properties[] = {
        {"bootstrap.servers", bootstrap},
        {"session.timeout.ms", getenv("SERIN_TEST_SESSION_MS") != NULL
                                   ? getenv("SERIN_TEST_SESSION_MS")
                                   : "6000"},
        {"heartbeat.interval.ms", "200"},
        {"socket.timeout.ms", "10000"}};
    struct bus_options o = {.properties = properties,
                            .n_properties = sizeof properties / sizeof *properties,
                            .prefix = prefix,
                            .instance = instance,
                            .partitions = partitions};
    struct bus *b = NULL;
    OK(bus_open(&b, &o, &fault));
    return b;
}

static struct bus *fresh(const char *name)
{
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s-%d-%lld.", name, (int)getpid(),
             (long long)clock_wall_ms());
    struct bus *b = open_bus(prefix, "one", PARTITIONS);
    OK(topics_create(b, NULL, OPEN_MS, &fault));
    return b;
}

static struct producer *open_producer(struct bus *b, const char *role)
{
    struct producer *p = NULL;
    OK(producer_open(&p, b, role, OPEN_MS, &fault));
    return p;
}

static void put(struct producer *p, const char *topic, int32_t partition,
                const char *text)
{
    OK(producer_send(p, topic, partition, text, strlen(text), text, strlen(text),
                     &fault));
}

static void fill(struct bus *b, int each)
{
    struct producer *p = open_producer(b, NULL);
    char text[32];
    for (int i = 0; i < each; i++)
        for (int32_t k = 0; k < PARTITIONS; k++) {
            snprintf(text, sizeof text, "%d", i);
            put(p, bus_topic_name(b, BUS_INBOX), k, text);
        }
    OK(producer_flush(p, OPEN_MS, &fault));
    producer_close(p);
}

/* ---- what a table shows: values of serin.verdicts, per partition in order ---- */

struct listing {
    int64_t count[PARTITIONS], next[PARTITIONS], wrong;
};

static void list_record(void *ctx, const struct bus_record *r)
{
    struct listing *l = ctx;
    char text[32] = "";
    memcpy(text, r->value, r->value_len < 31 ? r->value_len : 31);
    int64_t number = strtoll(text, NULL, 10);
    l->count[r->partition]++;
    if (number != l->next[r->partition]++) {
        if (l->wrong++ < 5)
            fprintf(stderr, "partition %d offset %lld: %lld, expected %lld\n",
                    (int)r->partition, (long long)r->offset, (long long)number,
                    (long long)l->next[r->partition] - 1);
        l->next[r->partition] = number + 1;
    }
}

static struct listing list_all(struct bus *b, enum bus_topic topic)
{
    struct listing l = {0};
    struct table *t = NULL;
    struct table_options o = {.topic = bus_topic_name(b, topic),
                              .start = BUS_OFFSET_NONE,
                              .on_record = list_record,
                              .ctx = &l};
    OK(table_open(&t, b, &o, &fault));
    for (int64_t until = clock_mono_ms() + OPEN_MS;
         !table_caught_up(t) && clock_mono_ms() < until;)
        OK(table_poll(t, 100, &fault));
    CHECK(table_caught_up(t), "the table never became complete");
    table_close(t);
    return l;
}

/* ---- a consumer whose callbacks write down what they saw ---- */

struct seen {
    size_t assigned, revoked, gaps;
    int64_t gap_from, gap_to, force;
};

static void on_assign(void *ctx, struct bus_partition *p, size_t n)
{
    struct seen *s = ctx;
    s->assigned += n;
    for (size_t i = 0; i < n && s->force >= 0; i++)
        p[i].offset = s->force;
}

static void on_revoke(void *ctx, const struct bus_partition *p, size_t n, bool lost)
{
    (void)p, (void)lost;
    ((struct seen *)ctx)->revoked += n;
}

static void on_gap(void *ctx, const struct bus_partition *p, int64_t expected,
                   int64_t found)
{
    struct seen *s = ctx;
    (void)p;
    s->gaps++;
    s->gap_from = expected;
    s->gap_to = found;
}

static struct consumer *open_consumer(struct bus *b, enum bus_start start,
                                      bool by_owner, struct seen *s)
{
    const char *topics[] = {bus_topic_name(b, BUS_INBOX), NULL};
    char group[300];
    snprintf(group, sizeof group, "%s.group", topics[0]);
    struct consumer_options o = {.group = group,
                                 .topics = topics,
                                 .start = start,
                                 .by_owner = by_owner,
                                 .on_assign = on_assign,
                                 .on_revoke = on_revoke,
                                 .on_gap = on_gap,
                                 .ctx = s};
    struct consumer *c = NULL;
    OK(consumer_open(&c, b, &o, &fault));
    return c;
}

static size_t drain(struct consumer *c, size_t want, int wait_ms)
{
    struct bus_record r[500];
    size_t got = 0, n;
    for (int64_t until = clock_mono_ms() + wait_ms;
         got < want && clock_mono_ms() < until;) {
        OK(consumer_poll(c, r, 500, &n, 50, &fault));
        got += n;
    }
    return got;
}

/* ---- the cases ---- */

static void case_topics(void)
{
    char prefix[64];
    struct topics_finding found[BUS_TOPIC_COUNT];
    snprintf(prefix, sizeof prefix, "topics-%d-%lld.", (int)getpid(),
             (long long)clock_wall_ms());
    struct bus *b = open_bus(prefix, "one", PARTITIONS);
    CHECK(topics_check(b, found, OPEN_MS, &fault) == SERIN_ESTATE,
          "nothing exists yet");
    CHECK(found[BUS_STATE].missing && strstr(fault.text, "serin topics create") != NULL,
          "%s", fault.text);
    OK(topics_create(b, NULL, OPEN_MS, &fault));
    OK(topics_create(b, NULL, OPEN_MS, &fault)); /* keeps what exists */
    OK(topics_check(b, found, OPEN_MS, &fault));
    bus_close(b);
    b = open_bus(prefix, "one", PARTITIONS + 1);
    CHECK(topics_check(b, found, OPEN_MS, &fault) == SERIN_ESTATE, "another count");
    CHECK(!found[BUS_INBOX].ok && !found[BUS_STATE].ok && found[BUS_VERDICTS].ok,
          "inbox and state only");
    CHECK(strstr(fault.text, "4 partitions") != NULL, "%s", fault.text);
    bus_close(b);
}

static void case_transaction(void)
{
    struct bus *b = fresh("transaction");
    const char *out = bus_topic_name(b, BUS_VERDICTS);
    struct seen seen = {.force = -1};
    fill(b, 10);
    struct producer *p = open_producer(b, "stage");
    struct consumer *c = open_consumer(b, BUS_START_EARLIEST, false, &seen);
    CHECK(drain(c, 40, OPEN_MS) == 40, "input");
    OK(producer_begin(p, &fault));
    put(p, out, 0, "77");
    OK(producer_abort(p, &fault));
    struct bus_partition all[PARTITIONS];
    CHECK(consumer_assignment(c, all, PARTITIONS) == PARTITIONS, "owns all");
    for (int i = 0; i < PARTITIONS; i++)
        all[i].offset = 0;
    OK(consumer_rewind(c, all, PARTITIONS, &fault));
    CHECK(drain(c, 40, OPEN_MS) == 40, "the same again after the abort");
    OK(producer_begin(p, &fault));
    put(p, out, 0, "0");
    consumer_assignment(c, all, PARTITIONS);
    CHECK(all[2].offset == 10, "next to read: %lld", (long long)all[2].offset);
    OK(producer_commit(p, c, all, PARTITIONS, &fault));
    OK(consumer_committed(c, all, PARTITIONS, OPEN_MS, &fault));
    CHECK(all[3].offset == 10, "committed: %lld", (long long)all[3].offset);
    CHECK(drain(c, 1, 500) == 0, "nothing is left");
    CHECK(consumer_caught_up(c, all[0].topic, 1), "lag %lld",
          (long long)consumer_lag(c, all[0].topic, 1));
    struct listing l = list_all(b, BUS_VERDICTS);
    CHECK(l.count[0] == 1 && l.wrong == 0, "only the committed record");
    consumer_close(c);
    CHECK(seen.revoked == PARTITIONS, "revoked %zu", seen.revoked);
    producer_close(p);
    bus_close(b);
}

static void case_fencing(void)
{
    struct bus *b = fresh("fencing");
    const char *out = bus_topic_name(b, BUS_VERDICTS);
    struct producer *zombie = open_producer(b, "stage");
    OK(producer_begin(zombie, &fault));
    put(zombie, out, 0, "13");
    struct producer *p = open_producer(b, "stage");
    OK(producer_begin(p, &fault));
    put(p, out, 0, "0");
    OK(producer_commit(p, NULL, NULL, 0, &fault));
    CHECK(producer_commit(zombie, NULL, NULL, 0, &fault) == SERIN_EIO && fault.fatal,
          "a fenced producer is dead");
    struct listing l = list_all(b, BUS_VERDICTS);
    CHECK(l.count[0] == 1 && l.wrong == 0, "nothing of the zombie");
    producer_close(zombie);
    producer_close(p);
    bus_close(b);
}

/* State written just before a crash lies behind an open transaction. */
static void case_table(void)
{
    struct bus *b = fresh("table");
    struct bus *other = open_bus(bus_topic_name(b, BUS_INBOX), "two", PARTITIONS);
    const char *out = bus_topic_name(b, BUS_STATE);
    struct producer *open = open_producer(other, "open");
    struct producer *p = open_producer(b, "stage");
    struct listing l = {0};
    OK(producer_begin(open, &fault));
    put(open, out, 1, "99");
    OK(producer_flush(open, OPEN_MS, &fault));
    OK(producer_begin(p, &fault));
    put(p, out, 1, "0");
    OK(producer_commit(p, NULL, NULL, 0, &fault));
    struct table *t = NULL;
    struct table_options o = {
        .topic = out, .start = BUS_OFFSET_NONE, .on_record = list_record, .ctx = &l};
    OK(table_open(&t, b, &o, &fault));
    for (int64_t until = clock_mono_ms() + 1000; clock_mono_ms() < until;)
        OK(table_poll(t, 50, &fault));
    CHECK(!table_caught_up(t), "complete although a transaction is open");
    CHECK(l.count[1] == 0, "read past the last stable offset");
    OK(producer_abort(open, &fault));
    for (int64_t until = clock_mono_ms() + OPEN_MS;
         !table_caught_up(t) && clock_mono_ms() < until;)
        OK(table_poll(t, 50, &fault));
    CHECK(table_caught_up(t) && l.count[1] == 1 && l.wrong == 0, "%lld records",
          (long long)l.count[1]);
    table_close(t);
    producer_close(open);
    producer_close(p);
    bus_close(other);
    bus_close(b);
}

static void delete_before(struct bus *b, int32_t partition, int64_t offset)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", bus_bootstrap(b), NULL, 0);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
    rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, bus_topic_name(b, BUS_INBOX), partition)
        ->offset = offset;
    rd_kafka_DeleteRecords_t *del = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(rk, &del, 1, NULL, q);
    rd_kafka_event_t *e = rd_kafka_queue_poll(q, OPEN_MS);
    CHECK(e != NULL && rd_kafka_event_error(e) == 0, "deleting records");
    rd_kafka_event_destroy(e);
    rd_kafka_DeleteRecords_destroy(del);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(q);
    rd_kafka_destroy(rk);
}

static void case_gap(void)
{
    struct bus *b = fresh("gap");
    struct seen seen = {.force = 5};
    fill(b, 30);
    delete_before(b, 2, 20);
    struct consumer *c = open_consumer(b, BUS_START_EARLIEST, true, &seen);
    CHECK(drain(c, 3 * 25 + 10, OPEN_MS) == 3 * 25 + 10, "all but the deleted");
    CHECK(seen.gaps == 1 && seen.gap_from == 5 && seen.gap_to == 20,
          "%zu gaps, %lld to %lld", seen.gaps, (long long)seen.gap_from,
          (long long)seen.gap_to);
    consumer_close(c);
    bus_close(b);
}

/* No offset anywhere: LATEST starts at the end, and a rewind comes back to that point.
 */
static void case_latest(void)
{
    struct bus *b = fresh("latest");
    struct seen seen = {.force = -1};
    fill(b, 10);
    struct consumer *c = open_consumer(b, BUS_START_LATEST, false, &seen);
    for (int64_t until = clock_mono_ms() + OPEN_MS;
         seen.assigned < PARTITIONS && clock_mono_ms() < until;)
        CHECK(drain(c, 1, 50) == 0, "old records");
    fill(b, 5);
    CHECK(drain(c, 20, OPEN_MS) == 20, "new records");
    struct bus_partition all[PARTITIONS];
    consumer_assignment(c, all, PARTITIONS);
    OK(consumer_committed(c, all, PARTITIONS, OPEN_MS, &fault));
    CHECK(all[0].offset == BUS_OFFSET_NONE, "nothing was committed");
    OK(consumer_rewind(c, all, PARTITIONS, &fault));
    CHECK(drain(c, 20, OPEN_MS) == 20, "the new records again");
    CHECK(drain(c, 1, 300) == 0, "and no more");
    consumer_close(c);
    bus_close(b);
}

/* Missing topics: a table says so, a consumer waits for them (2.0.2 would crash). */
static void case_missing(void)
{
    char prefix[64];
    struct seen seen = {.force = -1};
    struct listing l = {0};
    snprintf(prefix, sizeof prefix, "missing-%d-%lld.", (int)getpid(),
             (long long)clock_wall_ms());
    struct bus *b = open_bus(prefix, "one", PARTITIONS);
    struct table *t = NULL;
    struct table_options o = {.topic = bus_topic_name(b, BUS_STATE),
                              .start = BUS_OFFSET_NONE,
                              .on_record = list_record,
                              .ctx = &l};
    CHECK(table_open(&t, b, &o, &fault) == SERIN_EIO && !fault.retriable, "%s",
          fault.text);
    CHECK(strstr(fault.text, "serin topics create") != NULL, "%s", fault.text);
    struct consumer *c = open_consumer(b, BUS_START_EARLIEST, false, &seen);
    CHECK(drain(c, 1, 500) == 0 && seen.assigned == 0, "nothing can come");
    OK(topics_create(b, NULL, OPEN_MS, &fault));
    fill(b, 3);
    CHECK(drain(c, 12, OPEN_MS) == 12, "it is found when it exists");
    consumer_close(c);
    bus_close(b);
}

/* ---- rebalances and pauses in the midst of large batches must not lose a record ----
 */

enum { SKIP_EACH = 500000, SKIP_MS = 20000, SKIP_BATCH = 20000 };

static int64_t skip_next[PARTITIONS];
static bool skip_paused[PARTITIONS];
static char skip_group[300];

static void skip_assign(void *ctx, struct bus_partition *p, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++) {
        p[i].offset = skip_next[p[i].partition];
        skip_paused[p[i].partition] = false;
    }
}

/* Each partition rests now and then, for as many polls as it was read before. */
static void skip_pause(struct consumer *c, unsigned turn, const struct bus_partition *p)
{
    bool *paused = &skip_paused[p->partition];
    if (turn % 8 != (unsigned)p->partition) return;
    *paused = !*paused;
    (*paused ? consumer_pause : consumer_resume)(c, p->topic, p->partition);
}

static struct consumer *skip_open(struct bus *b, bool resident, struct seen *s)
{
    const char *topics[] = {bus_topic_name(b, BUS_INBOX), NULL};
    struct consumer_options o = {.group = skip_group,
                                 .topics = topics,
                                 .by_owner = true,
                                 .on_assign = resident ? skip_assign : on_assign,
                                 .ctx = s};
    struct consumer *c = NULL;
    struct fault own = {0};
    CHECK(consumer_open(&c, b, &o, &own) == SERIN_OK, "%s", own.text);
    return c;
}

/* Members that come for half a second, each under another name. */
static void *skip_guests(void *prefix)
{
    struct bus_record r[1];
    struct seen seen = {.force = 0};
    for (int k = 0; !stopping; k++) {
        char name[16];
        size_t n;
        struct fault own = {0};
        snprintf(name, sizeof name, "guest%d", k);
        struct bus *b = open_bus(prefix, name, PARTITIONS);
        struct consumer *c = skip_open(b, false, &seen);
        for (int64_t until = clock_mono_ms() + 500; clock_mono_ms() < until;)
            if (consumer_poll(c, r, 1, &n, 20, &own) != SERIN_OK) break;
        consumer_close(c);
        bus_close(b);
        clock_sleep_ms(1300);
    }
    return NULL;
}

/* A record that was kept is still the same when others have come. */
static void skip_kept(struct consumer *c, struct bus_record r)
{
    static struct bus_record kept;
    if (kept.message != NULL) {
        CHECK(strtoll(kept.value, NULL, 10) == kept.offset, "record %lld is another",
              (long long)kept.offset);
        consumer_free(&kept);
    }
    kept.message = NULL;
    if (c == NULL) return;
    consumer_keep(c, &r);
    kept = r;
}

/* Every partition's offsets follow one another; at the end of the topic from its start.
 */
static void skip_read(struct consumer *c)
{
    static struct bus_record r[SKIP_BATCH];
    static unsigned turn;
    turn++;
    struct bus_partition own[PARTITIONS];
    size_t n, done = 0;
    OK(consumer_poll(c, r, SKIP_BATCH, &n, 20, &fault));
    for (size_t i = 0; i < n; i++) {
        int64_t *next = &skip_next[r[i].partition];
        CHECK(!skip_paused[r[i].partition], "a record of a paused partition");
        CHECK(r[i].offset == *next, "partition %d: %lld came, expected %lld",
              (int)r[i].partition, (long long)r[i].offset, (long long)*next);
        ++*next;
    }
    size_t owned = consumer_assignment(c, own, PARTITIONS);
    for (size_t i = 0; i < owned; i++) {
        done += own[i].offset >= SKIP_EACH;
        skip_pause(c, turn, &own[i]);
    }
    if (n > 0) skip_kept(c, r[n - 1]);
    if (owned == 0 || done < owned) return;
    for (size_t i = 0; i < owned; i++)
        own[i].offset = skip_next[own[i].partition] = 0;
    OK(consumer_rewind(c, own, owned, &fault));
}

static void case_skip(void)
{
    char prefix[64];
    struct seen seen = {.force = -1};
    pthread_t guests;
    setenv("SERIN_TEST_SESSION_MS", "1000", 1);
    snprintf(prefix, sizeof prefix, "skip-%d-%lld.", (int)getpid(),
             (long long)clock_wall_ms());
    snprintf(skip_group, sizeof skip_group, "%sgroup", prefix);
    struct bus *b = open_bus(prefix, "resident", PARTITIONS);
    OK(topics_create(b, NULL, OPEN_MS, &fault));
    fill(b, SKIP_EACH);
    struct consumer *c = skip_open(b, true, &seen);
    CHECK(pthread_create(&guests, NULL, skip_guests, prefix) == 0, "no thread");
    for (int64_t until = clock_mono_ms() + SKIP_MS; clock_mono_ms() < until;)
        skip_read(c);
    stopping = 1;
    pthread_join(guests, NULL);
    skip_kept(NULL, (struct bus_record){.offset = 0});
    consumer_close(c);
    bus_close(b);
}

/* ---- a partition that the client no longer reads, though it is ours ---- */

static void case_still(void)
{
    struct bus *b = fresh("still");
    struct seen seen = {.force = -1};
    fill(b, 10);
    struct consumer *c = open_consumer(b, BUS_START_EARLIEST, false, &seen);
    CHECK(drain(c, 10 * PARTITIONS, OPEN_MS) == 10 * PARTITIONS, "the start");
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, bus_topic_name(b, BUS_INBOX), 0);
    rd_kafka_error_t *e = rd_kafka_incremental_unassign(consumer_handle(c), list);
    CHECK(e == NULL, "%s", rd_kafka_error_string(e));
    rd_kafka_topic_partition_list_destroy(list);
    fill(b, 1);
    size_t got = drain(c, PARTITIONS, 2 * OPEN_MS);
    CHECK(got == PARTITIONS, "%zu of %d records came", got, PARTITIONS);
    consumer_close(c);
    bus_close(b);
}

/* ---- a member killed while it gives partitions away, and soon back ----
 * It comes back to what the half-done rebalance left to it, without another rebalance:
 * what it was giving away belongs to nobody. */

static void die_on_revoke(void *ctx, const struct bus_partition *p, size_t n, bool lost)
{
    (void)ctx, (void)p, (void)n, (void)lost;
    raise(SIGKILL);
}

static struct consumer *orphan_open(struct bus *b, const char *prefix, bool dies)
{
    char group[300];
    const char *topics[] = {bus_topic_name(b, BUS_INBOX), NULL};
    snprintf(group, sizeof group, "%sgroup", prefix);
    struct consumer_options o = {
        .group = group, .topics = topics, .on_revoke = dies ? die_on_revoke : NULL};
    struct consumer *c = NULL;
    OK(consumer_open(&c, b, &o, &fault));
    return c;
}

static size_t orphan_poll(struct consumer *c)
{
    struct bus_record r[8];
    size_t n;
    OK(consumer_poll(c, r, 8, &n, 20, &fault));
    return consumer_assignment(c, NULL, 0);
}

static void case_orphan(const char *prefix)
{
    struct consumer *c = orphan_open(open_bus(prefix, "one", PARTITIONS), prefix, true);
    while (orphan_poll(c) < PARTITIONS)
        ;
    CHECK(write(STDOUT_FILENO, "!", 1) == 1, "nobody listens");
    for (;;)
        orphan_poll(c);
}

static void case_orphans(void)
{
    char prefix[64], mark;
    int ends[2], status;
    snprintf(prefix, sizeof prefix, "orphans-%d-%lld.", (int)getpid(),
             (long long)clock_wall_ms());
    struct bus *one = open_bus(prefix, "one", PARTITIONS);
    struct bus *two = open_bus(prefix, "two", PARTITIONS);
    OK(topics_create(one, NULL, OPEN_MS, &fault));
    CHECK(pipe(ends) == 0, "no pipe");
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execl("/proc/self/exe", "bus_real", "orphan", prefix, (char *)NULL);
        _exit(127);
    }
    CHECK(child > 0 && read(ends[0], &mark, 1) == 1, "the first member does not start");
    struct consumer *b = orphan_open(two, prefix, false);
    while (waitpid(child, &status, WNOHANG) == 0)
        orphan_poll(b);
    CHECK(WIFSIGNALED(status), "the first member ended with %d", status);
    struct consumer *a = orphan_open(one, prefix, false);
    size_t of_a = 0, of_b = 0;
    for (int64_t until = clock_mono_ms() + OPEN_MS;
         of_a + of_b < PARTITIONS && clock_mono_ms() < until;) {
        of_a = orphan_poll(a);
        of_b = orphan_poll(b);
    }
    CHECK(of_a + of_b == PARTITIONS, "of %d partitions, one reads %zu and two %zu",
          PARTITIONS, of_a, of_b);
    consumer_close(a);
    consumer_close(b);
    bus_close(one);
    bus_close(two);
}

/* ---- worker: copy exactly once; what every stage of serin does, at its smallest ----
 */

struct worker {
    struct bus *bus;
    struct consumer *c;
    struct producer *p;
    bool open; /* a transaction is */
    struct bus_partition done[PARTITIONS];
    size_t n_done;
};

static void settle(struct worker *w, enum serin_status s);

static enum serin_status worker_commit(struct worker *w)
{
    if (!w->open) return SERIN_OK;
    w->open = false;
    size_t n = w->n_done;
    w->n_done = 0;
    return producer_commit(w->p, w->c, w->done, n, &fault);
}

static void worker_revoke(void *ctx, const struct bus_partition *p, size_t n, bool lost)
{
    struct worker *w = ctx;
    (void)p;
    fprintf(stderr, "revoked %zu%s\n", n, lost ? " (lost)" : "");
    if (!lost) {
        settle(w, worker_commit(w));
    } else if (w->open) {
        w->open = false;
        w->n_done = 0;
        if (producer_abort(w->p, &fault) != SERIN_OK) settle(w, SERIN_EIO);
    }
}

static void worker_assign(void *ctx, struct bus_partition *p, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "assigned %d from %lld\n", (int)p[i].partition,
                (long long)p[i].offset);
}

static void worker_consumer(struct worker *w)
{
    const char *topics[] = {bus_topic_name(w->bus, BUS_INBOX), NULL};
    char group[300];
    snprintf(group, sizeof group, "%s.group", topics[0]);
    struct consumer_options o = {.group = group,
                                 .topics = topics,
                                 .on_assign = worker_assign,
                                 .on_revoke = worker_revoke,
                                 .ctx = w};
    OK(consumer_open(&w->c, w->bus, &o, &fault));
}

static void worker_producer(struct worker *w)
{
    while (!stopping && producer_open(&w->p, w->bus, "copy", 5000, &fault) != SERIN_OK)
        fprintf(stderr, "producer: %s\n", fault.text);
}

/* After a failure: nothing open, a living producer, read on from the committed offsets.
 */
static void settle(struct worker *w, enum serin_status s)
{
    if (s == SERIN_OK) return;
    fprintf(stderr, "settle: %s\n", fault.text);
    w->open = false;
    w->n_done = 0;
    if (fault.fatal) {
        producer_close(w->p);
        w->p = NULL;
        worker_producer(w);
    }
    struct bus_partition all[PARTITIONS];
    size_t n = consumer_assignment(w->c, all, PARTITIONS);
    while (!stopping && consumer_committed(w->c, all, n, 1000, &fault) != SERIN_OK)
        if (!fault.retriable) break;
    if (consumer_rewind(w->c, all, n, &fault) != SERIN_OK)
        fprintf(stderr, "rewind: %s\n", fault.text);
}

static enum serin_status copy(struct worker *w, const struct bus_record *r)
{
    enum serin_status s = SERIN_OK;
    if (!w->open) {
        s = producer_begin(w->p, &fault);
        if (s != SERIN_OK) return s;
        w->open = true;
    }
    s = producer_send(w->p, bus_topic_name(w->bus, BUS_VERDICTS), r->partition, r->key,
                      r->key_len, r->value, r->value_len, &fault);
    size_t i = 0;
    while (i < w->n_done && w->done[i].partition != r->partition)
        i++;
    if (i == w->n_done) w->n_done++;
    w->done[i] = (struct bus_partition){r->topic, r->partition, r->offset + 1};
    if (s != SERIN_OK && !fault.fatal) {
        struct fault first = fault;
        if (producer_abort(w->p, &fault) == SERIN_OK) fault = first;
    }
    return s;
}

static void worker_turn(struct worker *w, struct bus_record *r, size_t room)
{
    size_t n;
    enum serin_status s = consumer_poll(w->c, r, room, &n, 50, &fault);
    if (s != SERIN_OK) {
        fprintf(stderr, "consumer: %s\n", fault.text);
        CHECK(fault.fatal, "a consumer that failed is dead");
        consumer_close(w->c);
        worker_consumer(w);
        return;
    }
    for (size_t i = 0; s == SERIN_OK && i < n; i++)
        s = copy(w, &r[i]);
    if (s == SERIN_OK) s = worker_commit(w);
    settle(w, s);
}

static void case_worker(const char *prefix, const char *instance)
{
    struct worker w = {.bus = open_bus(prefix, instance, PARTITIONS)};
    static struct bus_record r[5000];
    signal(SIGTERM, on_signal);
    worker_producer(&w);
    worker_consumer(&w);
    while (!stopping)
        worker_turn(&w, r, sizeof r / sizeof *r);
    consumer_close(w.c);
    producer_close(w.p);
    bus_close(w.bus);
}

/* feed PREFIX EACH PER_SECOND: numbers 0..EACH-1 into every partition of the inbox */
static void case_feed(const char *prefix, int each, int per_second)
{
    struct bus *b = open_bus(prefix, "feed", PARTITIONS);
    OK(topics_create(b, NULL, OPEN_MS, &fault));
    struct producer *p = open_producer(b, NULL);
    char text[32];
    int64_t start = clock_mono_ms();
    for (int i = 0; i < each; i++) {
        snprintf(text, sizeof text, "%d", i);
        for (int32_t k = 0; k < PARTITIONS; k++)
            put(p, bus_topic_name(b, BUS_INBOX), k, text);
        while (clock_mono_ms() < start + (int64_t)i * 1000 / per_second)
            clock_sleep_ms(1);
    }
    while (producer_flush(p, OPEN_MS, &fault) != SERIN_OK)
        CHECK(fault.retriable, "%s", fault.text);
    producer_close(p);
    bus_close(b);
}

/* verify PREFIX EACH: exactly 0..EACH-1, once and in order, in every partition */
static void case_verify(const char *prefix, int each)
{
    struct bus *b = open_bus(prefix, "verify", PARTITIONS);
    struct listing l = {0};
    for (int64_t until = clock_mono_ms() + 90000; clock_mono_ms() < until;) {
        l = list_all(b, BUS_VERDICTS);
        int complete = 0;
        for (int k = 0; k < PARTITIONS; k++)
            complete += l.count[k] >= each;
        if (complete == PARTITIONS || l.wrong > 0) break;
        clock_sleep_ms(500);
    }
    for (int k = 0; k < PARTITIONS; k++)
        CHECK(l.count[k] == each && l.wrong == 0,
              "partition %d: %lld of %d, %lld wrong", k, (long long)l.count[k], each,
              (long long)l.wrong);
    bus_close(b);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {{"topics", case_topics},   {"transaction", case_transaction},
                 {"fencing", case_fencing}, {"table", case_table},
                 {"gap", case_gap},         {"latest", case_latest},
                 {"missing", case_missing}, {"skip", case_skip},
                 {"orphans", case_orphans}, {"still", case_still}};
    const char *name = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(name, cases[i].name) == 0) {
            cases[i].run();
            return 0;
        }
    if (strcmp(name, "orphan") == 0 && argc == 3)
        case_orphan(argv[2]);
    else if (strcmp(name, "worker") == 0 && argc == 4)
        case_worker(argv[2], argv[3]);
    else if (strcmp(name, "feed") == 0 && argc == 5)
        case_feed(argv[2], (int)strtol(argv[3], NULL, 10),
                  (int)strtol(argv[4], NULL, 10));
    else if (strcmp(name, "verify") == 0 && argc == 4)
        case_verify(argv[2], (int)strtol(argv[3], NULL, 10));
    else
        return fputs("bus_real: no such case\n", stderr), 2;
    return 0;
}
