/* tests/unit/replay/test_origin.c -- what a meta says comes back, and what it may not
 */
#include "engine/replay/record/origin.h"

#include "tests/support/check.h"

static struct origin read_ok(const char *meta)
{
    struct origin o = {0};
    struct fault f = {0};
    cr_assert(eq(int, origin_read(&o, meta, &f), SERIN_OK), "%s", f.text);
    return o;
}

Test(origin, an_input_is_read_as_it_was_written)
{
    const struct series_attribute attributes[] = {
        {strview_of("region"), strview_of("eu \"west\"")},
        {strview_of("team"), strview_of("")}};
    int64_t next[2][3] = {{17, -1, 40}, {0, 5, 0}};
    struct origin_topic topics[] = {
        {.name = "serin.inbox", .next = next[0], .n_next = 3},
        {.name = "shop",
         .input = true,
         .format = FORMAT_INFLUX,
         .max_message = 70000,
         .defaults = {.metric = strview_of("errors"),
                      .attributes = attributes,
                      .n_attributes = 2,
                      .cumulative = true,
                      .tick_ns = 1000},
         .next = next[1],
         .n_next = 2}};
    struct origin o = {.serin = "0.1",
                       .topics = topics,
                       .n = 2,
                       .partitions = 3,
                       .created_ms = 1760000000123,
                       .max_lag_ms = 61000,
                       .lateness_ms = 2500,
                       .segment = 12};
    struct arena a = {0};
    const char *meta;
    cr_assert(eq(int, origin_write(&o, &a, &meta), SERIN_OK));
    cr_assert(strstr(meta, "\"what\":\"both\"") != NULL, "%s", meta);
    struct origin got = read_ok(meta);
    cr_assert(got.n == 2 && got.partitions == 3 && got.segment == 12);
    cr_assert(got.created_ms == 1760000000123 && got.max_lag_ms == 61000);
    cr_assert(eq(i64, got.lateness_ms, 2500));
    cr_assert(got.topics[1].input && !got.topics[0].input);
    const struct origin_topic *t = &got.topics[1];
    cr_assert(eq(int, t->format, FORMAT_INFLUX));
    cr_assert(eq(sz, t->max_message, 70000));
    cr_assert(t->defaults.cumulative && t->defaults.tick_ns == 1000 &&
              t->defaults.id == 1 && t->defaults.n_attributes == 2);
    cr_assert(strview_eq(t->defaults.metric, strview_of("errors")));
    for (int i = 0; i < 2; i++)
        cr_assert(strview_eq(t->defaults.attributes[i].key, attributes[i].key) &&
                  strview_eq(t->defaults.attributes[i].value, attributes[i].value));
    cr_assert(got.topics[0].n_next == 3 && t->n_next == 2);
    cr_assert(got.topics[0].next[0] == 17 && got.topics[0].next[1] == -1 &&
              t->next[1] == 5);
    cr_assert(eq(int, origin_format(t, FORMAT_JSON), FORMAT_JSON));
    cr_assert(eq(int, origin_format(t, 0), FORMAT_INFLUX));
    cr_assert(origin_same_topics(&o, &got));
    topics[1].input = false;
    cr_assert(origin_same_topics(&o, &got) == false);
    origin_free(&got);
    arena_free(&a);
}

Test(origin, a_meta_of_the_first_version_is_an_inbox)
{
    struct origin o =
        read_ok("{\"schema\":\"serin.recording/1\",\"topics\":[\"serin.inbox\"]}");
    char names[64];
    cr_assert(o.n == 1 && origin_has(&o, false) && !origin_has(&o, true));
    cr_assert(eq(str, (char *)origin_names(&o, names, sizeof names), "serin.inbox"));
    origin_free(&o);
}

Test(origin, what_cannot_be_understood_is_refused_and_named)
{
    static const char *const bad[][2] = {
        {"nonsense", "no JSON object"},
        {"{}", "schema"},
        {"{\"schema\":\"serin.recording/2\"}", "serin.recording/2"},
        {"{\"schema\":\"serin.recording/1\",\"topics\":[7]}", "topics"},
        {"{\"schema\":\"serin.recording/1\",\"topics\":[\"a\"],\"inputs\":[{\"topic\":"
         "\"b\"}]}",
         "not among the topics: b"},
        {"{\"schema\":\"serin.recording/1\",\"topics\":[\"a\"],\"inputs\":[{\"topic\":"
         "\"a\",\"format\":\"morse\"}]}",
         "morse"},
        {"{\"schema\":\"serin.recording/1\",\"topics\":[\"a\"],\"inputs\":[{\"topic\":"
         "\"a\",\"defaults\":{\"timestamps\":\"weeks\"}}]}",
         "weeks"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct origin o = {0};
        struct fault f = {0};
        cr_assert(eq(int, origin_read(&o, bad[i][0], &f), SERIN_EPARSE), "%s",
                  bad[i][0]);
        cr_assert(strstr(f.text, bad[i][1]) != NULL, "%s", f.text);
        origin_free(&o);
    }
}
