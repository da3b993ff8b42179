/* tests/unit/serve/test_events.c -- the stream of changes, without sockets */
#include "engine/serve/events.h"
#include "tests/unit/serve/fixture.h"

/* What the stream gives now, read in pieces of 7 bytes until the next read would wait.
 */
static const char *told(struct events *e)
{
    static char text[65536];
    size_t n = 0;
    for (;;) {
        ssize_t got = events_read(e, text + n, 7, 1);
        cr_assert(gt(int, (int)got, 0));
        n += (size_t)got;
        text[n] = '\0';
        char *alive = strstr(text, ": alive\n\n");
        if (alive == NULL) continue;
        *alive = '\0';
        return text;
    }
}

static size_t times(const char *text, const char *part)
{
    size_t n = 0;
    for (; (text = strstr(text, part)) != NULL; text++)
        n++;
    return n;
}

Test(events, what_stands_then_what_comes_in_order)
{
    struct api api = {.dir = fixture_directory()};
    fixture_row(api.dir, "a", "OBSERVING", NULL);
    fixture_row(api.dir, "b", "HELD", NULL);
    fixture_verdict(api.dir, "a", 1, 1);
    struct events *e = events_open(&api, "");
    const char *text = told(e);
    cr_assert(
        eq(sz, times(text, "event: status\ndata: {\"schema\":\"serin.status/1\""), 2));
    cr_assert(eq(sz, times(text, "event: verdict"), 0), "older ones are at /verdicts");
    cr_assert(eq(sz, times(told(e), "event"), 0), "told once");
    fixture_verdict(api.dir, "b", 1, 1);
    fixture_row(api.dir, "a", "PROMOTED", NULL);
    text = told(e);
    const char *verdict = strstr(text, "event: verdict\nid: b/1\ndata: {\"schema\"");
    cr_assert(ne(ptr, (void *)verdict, NULL));
    cr_assert(ne(ptr, strstr(verdict, "\"state\":\"PROMOTED\""), NULL), "later");
    cr_assert(eq(sz, times(text, "event: "), 2));
    events_close(e);
    directory_close(api.dir);
}

Test(events, of_one_rollout_and_until_the_process_stops)
{
    struct api api = {.dir = fixture_directory()};
    char byte[8];
    fixture_row(api.dir, "a", "OBSERVING", NULL);
    fixture_row(api.dir, "b", "HELD", NULL);
    struct events *e = events_open(&api, "b");
    cr_assert(eq(sz, times(told(e), "event: status"), 1));
    fixture_verdict(api.dir, "a", 1, 1);
    fixture_verdict(api.dir, "b", 1, 1);
    cr_assert(eq(sz, times(told(e), "event: verdict\nid: b/1"), 1));
    atomic_store(&api.stopping, true);
    cr_assert(eq(int, (int)events_read(e, byte, sizeof byte, 60000), -1));
    events_close(e);
    directory_close(api.dir);
}

Test(events, streams_are_bounded)
{
    struct api api = {.dir = fixture_directory(), .o.connections = 4};
    struct request q = {.method = "GET", .path = "/v1/events", .body = ""};
    struct reply r = {0};
    api.streams = 1;
    routes_answer(&api, &q, &r);
    cr_assert(eq(uint, r.status, 200));
    cr_assert(ne(ptr, r.stream, NULL));
    events_close(r.stream);
    api.streams = 2;
    r = (struct reply){0};
    routes_answer(&api, &q, &r);
    cr_assert(eq(uint, r.status, 503));
    free(r.body);
    r = (struct reply){0};
    q.path = "/v1/rollouts/none/events";
    routes_answer(&api, &q, &r);
    cr_assert(eq(uint, r.status, 404));
    free(r.body);
    directory_close(api.dir);
}
