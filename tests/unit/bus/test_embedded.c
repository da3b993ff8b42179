/* tests/unit/bus/test_embedded.c -- the whole way on librdkafka's in-process broker */
#include "engine/base/clock.h"
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
