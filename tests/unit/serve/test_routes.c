/* tests/unit/serve/test_routes.c -- which request reaches which handler */
#include "tests/unit/serve/fixture.h"

static struct reply ask(struct api *api, const char *method, const char *path)
{
    struct request q = {.method = method, .path = path, .body = ""};
    struct reply r = {0};
    routes_answer(api, &q, &r);
    return r;
}

static void expect(struct api *api, const char *method, const char *path,
                   unsigned status, const char *part)
{
    struct reply r = ask(api, method, path);
    cr_assert(eq(uint, r.status, status), "%s %s: %s", method, path, r.body);
    cr_assert(ne(ptr, strstr(r.body, part), NULL), "%s %s: %s", method, path, r.body);
    free(r.body);
}

static const char *why_not = NULL;

static bool ready(void *ctx, char why[160])
{
    (void)ctx;
    if (why_not != NULL) snprintf(why, 160, "%s", why_not);
    return why_not == NULL;
}

Test(routes, answers)
{
    struct api api = {.dir = fixture_directory(), .metrics = metrics_open()};
    fixture_row(api.dir, "checkout-1", "HELD", NULL);
    fixture_verdict(api.dir, "checkout-1", 1, 5);
    expect(&api, "GET", "/v1/rollouts", 200, "\"rollouts\":[{\"schema\":");
    expect(&api, "GET", "/v1/rollouts/checkout-1", 200, "\"state\":\"HELD\"");
    expect(&api, "HEAD", "/v1/rollouts/checkout-1", 200, "\"state\":\"HELD\"");
    expect(&api, "GET", "/v1/rollouts/checkout-1/plan", 200, "id: x\n");
    expect(&api, "GET", "/v1/rollouts/checkout-1/verdicts", 200, "\"checkout-1/1\"");
    expect(&api, "GET", "/v1/rollouts/checkout-1/explain", 200, "serin.explain/1");
    expect(&api, "GET", "/v1/rollouts/checkuot-1", 404,
           "did you mean \\\"checkout-1\\\"?");
    expect(&api, "GET", "/v1/rollouts/nothing/verdicts", 404, "no rollout");
    expect(&api, "GET", "/v1/rollouts/checkout-1/nope", 404, "/openapi.json");
    expect(&api, "GET", "/v1/rollouts//plan", 404, "nothing is served");
    expect(&api, "GET", "/v2", 404, "nothing is served at /v2");
    expect(&api, "GET", "/v1/quarantine", 404, "ingest role");
    expect(&api, "GET", "/livez", 200, "\"live\":true");
    expect(&api, "GET", "/", 200, "<!doctype html>");
    expect(&api, "DELETE", "/v1/rollouts", 405, "allowed: GET, POST");
    expect(&api, "GET", "/v1/rollouts/checkout-1/abort", 405, "allowed: POST");
    directory_close(api.dir);
    metrics_close(api.metrics);
}

Test(routes, fleet_wants_a_level)
{
    struct api api = {.dir = fixture_directory()};
    fixture_row(api.dir, "checkout-1", "HELD", NULL);
    expect(&api, "GET", "/v1/fleet", 404, "fleet: {level: 5%}");
    expect(&api, "GET", "/v1/rollouts", 200, "\"fleet\":null");
    api.o.fleet_level = 0.05;
    expect(&api, "GET", "/v1/fleet", 200,
           "\"level\":0.05,\"started\":0,\"live\":0,\"discoveries\":0,\"rollouts\":[]");
    expect(&api, "GET", "/v1/rollouts", 200, "\"fleet\":null"); /* without traffic */
    directory_close(api.dir);
}

Test(routes, ready_says_why_not)
{
    struct api api = {.dir = fixture_young_directory(), .o.ready = ready};
    expect(&api, "GET", "/readyz", 503, "have not been read to their end");
    fixture_row(api.dir, "checkout-1", "HELD", NULL);
    expect(&api, "GET", "/v1/rollouts/checkout-1", 200, "\"state\":\"HELD\"");
    expect(&api, "GET", "/v1/rollouts/checkout-2", 503, "still reading");
    directory_caught_up(api.dir, BUS_ROLLOUTS);
    expect(&api, "GET", "/v1/rollouts/checkout-2", 503, "still reading");
    directory_caught_up(api.dir, BUS_VERDICTS);
    expect(&api, "GET", "/v1/rollouts/checkout-2", 404, "did you mean");
    directory_close(api.dir);
}

static const char *one_parameter(const struct request *q, const char *key)
{
    const char *const *pair = q->ctx;
    return strcmp(pair[0], key) == 0 ? pair[1] : NULL;
}

static void expect_query(struct api *api, const char *path, const char *key,
                         const char *value, unsigned status, const char *part,
                         bool there)
{
    const char *pair[] = {key, value};
    struct request q = {
        .method = "GET", .path = path, .query = one_parameter, .ctx = pair, .body = ""};
    struct reply r = {0};
    routes_answer(api, &q, &r);
    cr_assert(eq(uint, r.status, status), "%s", r.body);
    cr_assert(eq(int, strstr(r.body, part) != NULL, there), "%s=%s: %s", key, value,
              r.body);
    free(r.body);
}

Test(routes, query_parameters_filter)
{
    struct api api = {.dir = fixture_directory()};
    fixture_row(api.dir, "one", "HELD", NULL);
    fixture_row(api.dir, "two", "PROMOTED", NULL);
    for (uint64_t i = 1; i < 4; i++)
        fixture_verdict(api.dir, "one", i, (int64_t)i);
    expect_query(&api, "/v1/rollouts", "state", "held", 200, "\"one\"", true);
    expect_query(&api, "/v1/rollouts", "state", "held", 200, "\"two\"", false);
    expect_query(&api, "/v1/rollouts", "service", "other", 200, "\"one\"", false);
    expect_query(&api, "/v1/rollouts/one/verdicts", "after", "2", 200, "one/2", false);
    expect_query(&api, "/v1/rollouts/one/verdicts", "after", "2", 200, "one/3", true);
    expect_query(&api, "/v1/rollouts/one/verdicts", "after", "-1", 400, "whole number",
                 true);
    expect_query(&api, "/v1/rollouts/one/explain", "seq", "2", 200, "\"id\":\"one/2\"",
                 true);
    expect_query(&api, "/v1/rollouts/one/explain", "seq", "9", 404, "no verdict one/9",
                 true);
    expect_query(&api, "/v1/rollouts/one/explain", "seq", "0", 404, "no verdict", true);
    directory_close(api.dir);
}

Test(routes, ids_are_bounded)
{
    char path[400], id[ROUTES_ID_MAX + 1], allowed[32];
    for (int n = 127; n <= 129; n++) {
        snprintf(path, sizeof path, "/v1/rollouts/%0*d", n, 7);
        bool found = routes_find("GET", path, id, allowed) != SIZE_MAX;
        cr_assert(eq(int, found, n <= ROUTES_ID_MAX), "%d", n);
    }
}

Test(routes, openapi_describes_exactly_the_table)
{
    struct api api = {0};
    struct reply r = ask(&api, "GET", "/openapi.json");
    json_t *doc = json_loads(r.body, 0, NULL), *item, *operation;
    size_t operations = 0;
    const char *path, *method;
    json_object_foreach(json_object_get(doc, "paths"), path, item)
    {
        json_object_foreach(item, method, operation)
        {
            char upper[8], id[ROUTES_ID_MAX + 1], allowed[32];
            snprintf(upper, sizeof upper, "%s",
                     strcmp(method, "get") == 0 ? "GET" : "POST");
            cr_assert(ne(sz, routes_find(upper, path, id, allowed), SIZE_MAX));
            cr_assert(ne(ptr, json_object_get(operation, "responses"), NULL));
            operations++;
        }
    }
    cr_assert(eq(sz, operations, routes_count()));
    json_decref(doc);
    free(r.body);
}
