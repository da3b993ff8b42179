/* tests/unit/bus/test_embedded.c -- the whole way on librdkafka's in-process broker */
#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "engine/bus/bus.h"
#include "engine/bus/consumer.h"
#include "engine/bus/producer.h"
#include "engine/bus/table.h"
#include "engine/bus/topics.h"
#include "tests/support/check.h"

static struct bus *embedded(int partitions)
{
    struct bus *b = NULL;
    struct fault f = {0};
    struct bus_options o = {
        .embedded = true, .partitions = partitions, .instance = "t"};
    enum serin_status s = bus_open(&b, &o, &f);
    cr_assert(eq(int, s, SERIN_OK), "%s", f.text);
    return b;
}

static struct producer *open_producer(struct bus *b, const char *role)
{
    struct producer *p = NULL;
    struct fault f = {0};
    enum serin_status s = producer_open(&p, b, role, 5000, &f);
    cr_assert(eq(int, s, SERIN_OK), "%s", f.text);
    return p;
}

static void put(struct producer *p, const char *topic, int32_t partition,
                const char *text)
{
    struct fault f = {0};
    enum serin_status s =
        producer_send(p, topic, partition, text, strlen(text), text, strlen(text), &f);
    cr_assert(eq(int, s, SERIN_OK), "%s", f.text);
}

static void flush(struct producer *p)
{
    struct fault f = {0};
    enum serin_status s = producer_flush(p, 5000, &f);
    cr_assert(eq(int, s, SERIN_OK), "%s", f.text);
}

struct seen {
    struct bus_partition assigned[64];
    size_t n_assigned, n_revoked, gaps;
    int64_t from;
};

static void on_assign(void *ctx, struct bus_partition *p, size_t n)
{
    struct seen *s = ctx;
    for (size_t i = 0; i < n; i++) {
        if (s->from >= 0) p[i].offset = s->from;
        s->assigned[s->n_assigned++] = p[i];
    }
}

static void on_revoke(void *ctx, const struct bus_partition *p, size_t n, bool lost)
{
    (void)p, (void)lost;
    ((struct seen *)ctx)->n_revoked += n;
}

static struct consumer *open_consumer(struct bus *b, const char *group,
                                      const char *topic, enum bus_start start,
                                      bool by_owner, struct seen *s)
{
    struct consumer *c = NULL;
    struct fault f = {0};
    const char *topics[] = {topic, NULL};
    struct consumer_options o = {.group = group,
                                 .topics = topics,
                                 .start = start,
                                 .by_owner = by_owner,
                                 .on_assign = on_assign,
                                 .on_revoke = on_revoke,
                                 .ctx = s};
    enum serin_status status = consumer_open(&c, b, &o, &f);
    cr_assert(eq(int, status, SERIN_OK), "%s", f.text);
    return c;
}

/* Poll until `want` records came, or 20 s; the last one's offset in *last. */
static size_t drain(struct consumer *c, size_t want, int64_t *last)
{
    struct bus_record r[100];
    struct fault f = {0};
    size_t got = 0;
    int64_t until = clock_mono_ms() + 20000;
    while (got < want && clock_mono_ms() < until) {
        size_t n;
        cr_assert(eq(int, consumer_poll(c, r, 100, &n, 100, &f), SERIN_OK), "%s",
                  f.text);
        for (size_t i = 0; i < n; i++)
            *last = r[i].offset;
        got += n;
    }
    return got;
}

Test(bus_embedded, produce_consume_commit_rewind)
{
    struct bus *b = embedded(3);
    const char *topic = bus_topic_name(b, BUS_INBOX);
    struct producer *p = open_producer(b, "stage");
    struct seen seen = {.from = -1};
    struct fault f = {0};
    for (int i = 0; i < 50; i++)
        put(p, topic, 1, "x");
    flush(p);
    struct consumer *c = open_consumer(b, "g", topic, BUS_START_EARLIEST, false, &seen);
    int64_t last = -1;
    cr_assert(eq(sz, drain(c, 50, &last), 50));
    cr_assert(eq(i64, last, 49));
    cr_assert(eq(sz, seen.n_assigned, 3));
    cr_assert(eq(i64, seen.assigned[1].offset, 0));
    cr_assert(consumer_connected(c));

    struct bus_partition at = {topic, 1, 20};
    cr_assert(eq(int, consumer_rewind(c, &at, 1, &f), SERIN_OK));
    cr_assert(eq(sz, drain(c, 30, &last), 30), "read again from 20");
    cr_assert(eq(i64, last, 49));

    at.offset = 50;
    cr_assert(eq(int, producer_begin(p, &f), SERIN_OK));
    cr_assert(eq(int, producer_commit(p, c, &at, 1, &f), SERIN_OK), "%s", f.text);
    at.offset = 0;
    cr_assert(eq(int, consumer_committed(c, &at, 1, 5000, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(i64, at.offset, 50));
    consumer_close(c);
    cr_assert(eq(sz, seen.n_revoked, 3), "the owner hears of the end");
    producer_close(p);
    bus_close(b);
}

Test(bus_embedded, by_owner_starts_where_the_owner_says)
{
    struct bus *b = embedded(1);
    const char *topic = bus_topic_name(b, BUS_INBOX);
    struct producer *p = open_producer(b, NULL);
    struct seen seen = {.from = 30};
    for (int i = 0; i < 50; i++)
        put(p, topic, 0, "x");
    flush(p);
    struct consumer *c = open_consumer(b, "g", topic, BUS_START_EARLIEST, true, &seen);
    int64_t last = -1;
    cr_assert(eq(sz, drain(c, 20, &last), 20));
    cr_assert(eq(i64, last, 49));
    struct bus_partition own = {0};
    cr_assert(eq(sz, consumer_assignment(c, &own, 1), 1));
    cr_assert(eq(i64, own.offset, 50));
    int64_t until = clock_mono_ms() + 5000;
    while (!consumer_caught_up(c, topic, 0) && clock_mono_ms() < until)
        drain(c, 0, &last);
    cr_assert(eq(i64, consumer_lag(c, topic, 0), 0));
    cr_assert(eq(i64, consumer_lag(c, topic, 7), -1), "not ours: unknown");
    consumer_close(c);
    producer_close(p);
    bus_close(b);
}

struct rows {
    size_t n, tombstones;
    int64_t last;
};

static void on_record(void *ctx, const struct bus_record *r)
{
    struct rows *rows = ctx;
    rows->n++;
    rows->tombstones += r->value == NULL && r->value_len == 0;
    rows->last = r->offset;
}

Test(bus_embedded, table_reads_all_then_follows)
{
    struct bus *b = embedded(4);
    const char *topic = bus_topic_name(b, BUS_ROLLOUTS);
    struct producer *p = open_producer(b, NULL);
    struct rows rows = {0};
    struct fault f = {0};
    for (int i = 0; i < 2500; i++)
        put(p, topic, i % 3, "row");
    cr_assert(eq(int, producer_send(p, topic, 1, "gone", 4, NULL, 0, &f), SERIN_OK));
    flush(p);
    struct table *t = NULL;
    struct table_options o = {
        .topic = topic, .start = BUS_OFFSET_NONE, .on_record = on_record, .ctx = &rows};
    cr_assert(eq(int, table_open(&t, b, &o, &f), SERIN_OK), "%s", f.text);
    cr_assert(table_caught_up(t) == false, "nothing has been read");
    int64_t until = clock_mono_ms() + 10000;
    while (!table_caught_up(t) && clock_mono_ms() < until)
        cr_assert(eq(int, table_poll(t, 100, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(sz, rows.n, 2501),
              "every row when caught up, also with an empty part");
    cr_assert(eq(sz, rows.tombstones, 1));
    put(p, topic, 3, "later");
    flush(p);
    while (rows.n < 2502 && clock_mono_ms() < until)
        cr_assert(eq(int, table_poll(t, 100, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(sz, rows.n, 2502), "then it follows");
    table_close(t);

    const int32_t one = 2;
    rows = (struct rows){0};
    o.partitions = &one;
    o.n_partitions = 1;
    o.start = 800;
    cr_assert(eq(int, table_open(&t, b, &o, &f), SERIN_OK), "%s", f.text);
    until = clock_mono_ms() + 10000;
    while (!table_caught_up(t) && clock_mono_ms() < until)
        cr_assert(eq(int, table_poll(t, 100, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(sz, rows.n, 33), "one partition of 833, from 800");
    table_close(t);
    const int32_t none = 4;
    o.partitions = &none;
    cr_assert(eq(int, table_open(&t, b, &o, &f), SERIN_EDOM), "no such partition");
    producer_close(p);
    bus_close(b);
}

Test(bus_embedded, an_oversize_record_is_refused_by_name)
{
    struct bus *b = embedded(1);
    struct producer *p = open_producer(b, NULL);
    struct fault f = {0};
    size_t n = 9 << 20;
    char *big = calloc(n, 1);
    cr_assert(eq(int,
                 producer_send(p, bus_topic_name(b, BUS_STATE), 0, "k", 1, big, n, &f),
                 SERIN_ELIMIT));
    cr_assert(strstr(f.text, "message.max.bytes") != NULL, "%s", f.text);
    free(big);
    producer_close(p);
    bus_close(b);
}

Test(bus_embedded, keys_go_where_javas_partitioner_puts_them)
{
    struct bus *b = embedded(5);
    struct producer *p = open_producer(b, NULL);
    struct fault f = {0};
    struct seen seen = {.from = -1};
    const char *topic = bus_topic_name(b, BUS_INBOX);
    put(p, topic, -1, "checkout-2.4.0");
    put(p, topic, -1, "payments.eu_17");
    flush(p);
    struct consumer *c = open_consumer(b, "g", topic, BUS_START_EARLIEST, false, &seen);
    struct bus_record r[4];
    size_t got = 0;
    for (int64_t until = clock_mono_ms() + 20000; got < 2 && clock_mono_ms() < until;) {
        size_t n;
        cr_assert(eq(int, consumer_poll(c, r, 4, &n, 50, &f), SERIN_OK), "%s", f.text);
        for (size_t i = 0; i < n; i++)
            cr_assert(
                eq(int, r[i].partition, hash_partition(r[i].key, r[i].key_len, 5)));
        got += n;
    }
    cr_assert(eq(sz, got, 2));
    consumer_close(c);
    producer_close(p);
    bus_close(b);
}

/* Nobody there: said as retriable, and within the time given. */
Test(bus_away, opening_a_producer_is_retriable)
{
    struct fault f = {0};
    struct bus *b = NULL;
    struct producer *p = NULL;
    const struct bus_property away = {"bootstrap.servers", "127.0.0.1:1"};
    struct bus_options o = {.properties = &away, .n_properties = 1, .instance = "t"};
    cr_assert(eq(int, bus_open(&b, &o, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(int, producer_open(&p, b, "stage", 300, &f), SERIN_EIO));
    cr_assert(f.retriable && !f.fatal && strstr(f.text, "127.0.0.1:1") != NULL, "%s",
              f.text);
    cr_assert(p == NULL);
    cr_assert(eq(int, topics_create(b, NULL, 300, &f), SERIN_EIO));
    cr_assert(f.retriable, "%s", f.text);
    struct seen seen = {.from = -1};
    struct consumer *c =
        open_consumer(b, "g", "metrics", BUS_START_EARLIEST, false, &seen);
    struct bus_record r[10];
    size_t n = 1;
    for (int i = 0; i < 5; i++)
        cr_assert(eq(int, consumer_poll(c, r, 10, &n, 20, &f), SERIN_OK), "no error");
    cr_assert(eq(sz, n, 0));
    cr_assert(consumer_connected(c) == false);
    consumer_close(c);
    bus_close(b);
}

Test(bus_embedded, a_consumer_opened_again_goes_on_at_the_commit)
{
    struct bus *b = embedded(2);
    const char *topic = bus_topic_name(b, BUS_INBOX);
    struct producer *p = open_producer(b, "stage");
    struct seen seen = {.from = -1};
    struct fault f = {0};
    for (int i = 0; i < 20; i++)
        put(p, topic, 1, "x");
    flush(p);
    struct consumer *c = open_consumer(b, "g", topic, BUS_START_EARLIEST, false, &seen);
    int64_t last = -1;
    cr_assert(eq(sz, drain(c, 20, &last), 20));
    struct bus_partition at = {topic, 1, 13};
    cr_assert(eq(int, producer_begin(p, &f), SERIN_OK));
    cr_assert(eq(int, producer_commit(p, c, &at, 1, &f), SERIN_OK), "%s", f.text);
    consumer_close(c);
    c = open_consumer(b, "g", topic, BUS_START_EARLIEST, false, &seen);
    cr_assert(eq(sz, drain(c, 7, &last), 7), "13 to 19, as the same static member");
    cr_assert(eq(i64, last, 19));
    consumer_close(c);
    producer_close(p);
    bus_close(b);
}
