/* tests/unit/bus/test_bus.c -- settings: what is taken, what is refused and in which
 * words */
#include "engine/base/mem.h"
#include "engine/bus/bus.h"
#include "engine/bus/slots.h"
#include "tests/support/check.h"

static enum serin_status open_with(const char *name, const char *value, struct fault *f)
{
    struct bus *b = NULL;
    const struct bus_property p[] = {{"bootstrap.servers", "127.0.0.1:1"},
                                     {name, value}};
    struct bus_options o = {.properties = p, .n_properties = 2, .instance = "t"};
    enum serin_status s = bus_open(&b, &o, f);
    cr_assert(eq(int, s == SERIN_OK, b != NULL), "the handle is given on success only");
    bus_close(b);
    return s;
}

Test(bus, any_property_of_librdkafka_passes)
{
    static const char *const good[][2] = {{"linger.ms", "37"},
                                          {"fetch.min.bytes", "1"},
                                          {"client.id", "x"},
                                          {"enable.auto.commit", "false"},
                                          {"session.timeout.ms", "6000"},
                                          {"sasl.username", "u"},
                                          {"compression.codec", "zstd"},
                                          {"queue.buffering.max.messages", "1000"}};
    struct fault f = {0};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_assert(eq(int, open_with(good[i][0], good[i][1], &f), SERIN_OK), "%s: %s",
                  good[i][0], f.text);
}

Test(bus, refused_properties_are_named_with_the_clients_words)
{
    static const char *const bad[][3] = {
        {"no.such.key", "1", "No such configuration property"},
        {"fetch.wait.max.ms", "-3", "outside allowed range"},
        {"compression.codec", "gzipp", "Invalid value"},
        {"enable.auto.commit", "true", "serin needs \"false\""},
        {"isolation.level", "read_uncommitted", "serin needs \"read_committed\""},
        {"transactional.id", "mine", "serin sets it itself"},
        {"group.instance.id", "mine", "serin sets it itself"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct fault f = {0};
        cr_assert(eq(int, open_with(bad[i][0], bad[i][1], &f), SERIN_EDOM), "%s",
                  bad[i][0]);
        cr_assert(strncmp(f.text, "kafka.", 6) == 0 &&
                      strstr(f.text, bad[i][0]) != NULL,
                  "%s", f.text);
        cr_assert(strstr(f.text, bad[i][2]) != NULL, "%s", f.text);
    }
}

/* Alone each is fine; only the client made of them refuses. */
Test(bus, clashing_properties_stop_the_start)
{
    struct fault f = {0};
    const struct bus_property p[] = {{"bootstrap.servers", "127.0.0.1:1"},
                                     {"security.protocol", "ssl"},
                                     {"ssl.ca.location", "/nonexistent/ca.pem"}};
    struct bus_options o = {.properties = p, .n_properties = 3};
    struct bus *b = NULL;
    cr_assert(eq(int, bus_open(&b, &o, &f), SERIN_EDOM));
    cr_assert(strstr(f.text, "ssl.ca.location") != NULL, "%s", f.text);
}

Test(bus, brokers_must_be_named)
{
    struct fault f = {0};
    struct bus *b = NULL;
    struct bus_options o = {.instance = "t"};
    cr_assert(eq(int, bus_open(&b, &o, &f), SERIN_EDOM));
    cr_assert(strstr(f.text, "kafka.bootstrap.servers is missing") != NULL, "%s",
              f.text);
    o.partitions = -1;
    cr_assert(eq(int, bus_open(&b, &o, &f), SERIN_EDOM));
    cr_assert(strstr(f.text, "topics.partitions") != NULL, "%s", f.text);
}

Test(bus, names_and_defaults)
{
    struct fault f = {0};
    struct bus *b = NULL;
    const struct bus_property p = {"bootstrap.servers", "127.0.0.1:1"};
    struct bus_options o = {.properties = &p, .n_properties = 1};
    cr_assert(eq(int, bus_open(&b, &o, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(str, (char *)bus_topic_name(b, BUS_INBOX), "serin.inbox"));
    cr_assert(eq(str, (char *)bus_topic_name(b, BUS_STATE), "serin.state"));
    cr_assert(eq(int, bus_partitions(b), 16));
    cr_assert(strlen(bus_instance(b)) > 0);
    cr_assert(eq(str, (char *)bus_bootstrap(b), "127.0.0.1:1"));
    cr_assert(bus_transactional(b));
    bus_close(b);
    o.prefix = "eu.";
    o.partitions = 3;
    o.instance = "node-7";
    cr_assert(eq(int, bus_open(&b, &o, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(str, (char *)bus_topic_name(b, BUS_AUDIT), "eu.audit"));
    cr_assert(eq(int, bus_partitions(b), 3));
    cr_assert(eq(str, (char *)bus_instance(b), "node-7"));
    bus_close(b);
}

Test(bus, every_failing_allocation_is_survived)
{
    const struct bus_property p = {"bootstrap.servers", "127.0.0.1:1"};
    struct bus_options o = {.properties = &p, .n_properties = 1, .instance = "t"};
    unsigned refused = 0;
    for (uint64_t k = 1;; k++) {
        struct fault f = {0};
        struct bus *b = NULL;
        mem_fail_at(k);
        enum serin_status s = bus_open(&b, &o, &f);
        mem_fail_at(0);
        if (s == SERIN_OK) {
            bus_close(b);
            break;
        }
        cr_assert(eq(int, s, SERIN_ENOMEM));
        cr_assert(b == NULL);
        refused++;
    }
    cr_assert(ge(uint, refused, 8), "%u allocations failed", refused);
}

Test(slots, own_find_list)
{
    const char *topics[] = {"b", "a", NULL};
    struct slots s = {0};
    struct bus_partition p[4];
    cr_assert(slots_init(&s, topics));
    cr_assert(slots_own(&s, "c", 0, 5) == false, "a topic nobody asked for");
    cr_assert(slots_own(&s, "a", 2, 37));
    cr_assert(slots_own(&s, "b", 0, 5));
    cr_assert(slots_find(&s, "a", 1) == NULL && slots_find(&s, "a", 3) == NULL);
    cr_assert(eq(i64, slots_find(&s, "a", 2)->start, 37));
    slots_find(&s, "a", 2)->next = 41;
    cr_assert(eq(sz, slots_list(&s, NULL, 0), 2));
    cr_assert(eq(sz, slots_list(&s, p, 1), 2), "counts past the room");
    cr_assert(eq(sz, slots_list(&s, p, 4), 2));
    cr_assert(eq(str, (char *)p[1].topic, "a"));
    cr_assert(eq(i64, p[1].offset, 41));
    slots_free(&s);
}
