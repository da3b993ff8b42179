#include "ingest/survey.h"
#include "tests/support/check.h"
#include "tests/support/ingest_world.h"

static void put(void *ctx, pb_rollout *row)
{
    struct fault f = {0};
    struct survey *s = ctx;
    cr_assert(eq(int, survey_rollout(s, row, &f), SERIN_OK), "%s", f.text);
}

static void feed(struct survey *s, const char *text)
{
    survey_record(s, FORMAT_AUTO, text, strlen(text), 4096, WORLD_NOW);
}

/* The report of a few records and the rollout "r1" of service "shop"; use looks at it
 * while the row lives. */
struct asked {
    struct survey *s;
    const char *const *records;
    void (*use)(json_t *report);
};

static void ask(void *ctx, pb_rollout *row)
{
    struct asked *a = ctx;
    put(a->s, row);
    put(a->s, row); /* an older row of the same rollout may stand in the topic, too */
    for (size_t i = 0; a->records[i] != NULL; i++)
        feed(a->s, a->records[i]);
    json_t *report = survey_report(a->s);
    cr_assert(report != NULL);
    a->use(report);
    json_decref(report);
}

static void survey(const struct aggregate_input *in, const char *const *records,
                   void (*use)(json_t *report))
{
    struct asked a = {NULL, records, use};
    cr_assert(eq(int, survey_open(&a.s, in), SERIN_OK));
    world_row("r1", "shop", true, ask, &a);
    survey_close(a.s);
}

#define LINE(version, metric, rest)                                                    \
    "{\"t_ms\":1700000000000,\"attributes\":{\"service\":\"shop\",\"version\":"        \
    "\"" version "\"},\"metric\":\"" metric "\"," rest "}"

static const char *missing_of(json_t *report, size_t i)
{
    json_t *r = json_array_get(json_object_get(report, "rollouts"), 0);
    const char *text =
        json_string_value(json_array_get(json_object_get(r, "missing"), i));
    return text != NULL ? text : "";
}

static void check_found(json_t *report)
{
    json_t *m = json_array_get(json_object_get(report, "metrics"), 0);
    json_t *r = json_array_get(json_object_get(report, "rollouts"), 0);
    json_t *e = json_array_get(json_object_get(r, "metrics"), 0);
    json_t *bad = json_array_get(json_object_get(report, "refused"), 0);
    cr_assert(eq(sz, json_array_size(json_object_get(report, "rollouts")), 1));
    cr_assert(eq(int, (int)json_integer_value(json_object_get(report, "records")), 4));
    cr_assert(eq(int, (int)json_integer_value(json_object_get(report, "samples")), 3));
    cr_assert(eq(str, (char *)(uintptr_t)json_string_value(json_object_get(m, "name")),
                 "errors"));
    cr_assert(eq(int, (int)json_integer_value(json_object_get(m, "series")), 2));
    cr_assert(eq(int, (int)json_integer_value(json_object_get(e, "canary")), 2));
    cr_assert(eq(int, (int)json_integer_value(json_object_get(e, "baseline")), 1));
    cr_assert(eq(str,
                 (char *)(uintptr_t)json_string_value(json_object_get(bad, "reason")),
                 "bad_json"));
    /* Of five metrics only errors came. */
    cr_assert(eq(str, (char *)(uintptr_t)missing_of(report, 0),
                 "metric latency asks for duration; seen: errors"));
}

Test(survey, tells_what_matched)
{
    static const struct aggregate_input none;
    static const char *const records[] = {LINE("new", "errors", "\"n\":9,\"bad\":1"),
                                          LINE("new", "errors", "\"n\":9,\"bad\":1"),
                                          LINE("old", "errors", "\"n\":9,\"bad\":1"),
                                          "{\"t_ms\":", NULL};
    survey(&none, records, check_found);
}

/* Rows of rollouts that ended, or were deleted, are no rollouts. */
static void end(void *ctx, pb_rollout *row)
{
    put(ctx, row);
    json_t *report = survey_report(ctx);
    cr_assert(eq(sz, json_array_size(json_object_get(report, "rollouts")), 1));
    json_decref(report);
    feed(ctx, LINE("new", "errors", "\"n\":9,\"bad\":1"));
    survey_forget(ctx, strview_of("r1"));
    feed(ctx, LINE("new", "errors", "\"n\":9,\"bad\":1"));
    report = survey_report(ctx);
    cr_assert(eq(sz, json_array_size(json_object_get(report, "rollouts")), 0));
    json_decref(report);
    put(ctx, row);
    row->route->live = false;
    put(ctx, row);
    report = survey_report(ctx);
    cr_assert(eq(sz, json_array_size(json_object_get(report, "rollouts")), 0));
    json_decref(report);
}

Test(survey, what_ended_is_not_looked_for)
{
    static const struct aggregate_input none;
    struct survey *s;
    cr_assert(eq(int, survey_open(&s, &none), SERIN_OK));
    world_row("r1", "shop", true, end, s);
    survey_close(s);
}

static void check_missing(json_t *report)
{
    cr_assert(eq(str, (char *)(uintptr_t)missing_of(report, 0),
                 "canary asks for version=new; seen: old, newer"));
    cr_assert(
        eq(str, (char *)(uintptr_t)missing_of(report, 1),
           "metric errors asks for errors; seen: erors; did you mean \"erors\"?"));
}

Test(survey, tells_what_is_missing)
{
    static const struct aggregate_input none;
    static const char *const records[] = {LINE("old", "erors", "\"n\":9,\"bad\":1"),
                                          LINE("newer", "erors", "\"n\":9,\"bad\":1"),
                                          NULL};
    survey(&none, records, check_missing);
}

static void check_defaults(json_t *report)
{
    json_t *r = json_array_get(json_object_get(report, "rollouts"), 0);
    cr_assert(eq(int, (int)json_integer_value(json_object_get(r, "canary")), 1));
    cr_assert(eq(int, (int)json_integer_value(json_object_get(r, "baseline")), 1));
    cr_assert(eq(sz, json_array_size(json_object_get(report, "refused")), 0));
}

/* A record may leave out what the input's defaults say; what it says itself wins. */
Test(survey, knows_the_defaults_of_the_input)
{
    const struct series_attribute attributes[] = {
        {strview_of("service"), strview_of("shop")},
        {strview_of("version"), strview_of("old")}};
    const struct aggregate_input in = {.id = 7,
                                       .attributes = attributes,
                                       .n_attributes = 2,
                                       .metric = strview_of("errors")};
    static const char *const records[] = {"{\"t_ms\":1700000000000,\"n\":9,\"bad\":1}",
                                          "{\"t_ms\":1700000000000,\"attributes\":{"
                                          "\"version\":\"new\"},\"n\":9,\"bad\":1}",
                                          NULL};
    survey(&in, records, check_defaults);
}
