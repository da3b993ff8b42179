/* tests/unit/serve/test_acts.c -- what a command must carry; without a broker a good
 * one ends in 503, so nothing here may be mistaken for accepted */
#include "engine/serve/acts.h"
#include "tests/unit/serve/fixture.h"

static struct api api;

static void setup(void)
{
    api.dir = fixture_directory();
    fixture_row(api.dir, "r", "GATED", "sre");
    fixture_row(api.dir, "open", "OBSERVING", NULL);
}

static void teardown(void)
{
    directory_close(api.dir);
}

TestSuite(acts, .init = setup, .fini = teardown);

static void post(const char *path, const char *type, const char *body, unsigned status,
                 const char *part)
{
    struct request q = {.method = "POST",
                        .path = path,
                        .type = type,
                        .body = body,
                        .n = strlen(body),
                        .peer = "uid:0"};
    struct reply r = {0};
    routes_answer(&api, &q, &r);
    cr_assert(eq(uint, r.status, status), "%s %s: %s", path, body, r.body);
    cr_assert(ne(ptr, strstr(r.body, part), NULL), "%s %s: %s", path, body, r.body);
    free(r.body);
}

#define JSON "application/json"
#define NO_BROKER 503, "no broker"

Test(acts, weight_in_percent)
{
    static const struct {
        const char *text;
        bool ok;
        uint32_t bp;
    } cases[] = {{"5%", true, 500},     {"5", true, 500},        {"0.25 %", true, 25},
                 {"100%", true, 10000}, {"0", true, 0},          {"33.33", true, 3333},
                 {"100.01", false, 0},  {"0.005%", false, 0},    {"-1", false, 0},
                 {"nan", false, 0},     {"inf", false, 0},       {"0x10", false, 0},
                 {"", false, 0},        {"5 percent", false, 0}, {"1e3", false, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t bp = 77;
        cr_assert(eq(int, acts_weight(cases[i].text, &bp), cases[i].ok), "%s",
                  cases[i].text);
        cr_assert(eq(u32, bp, cases[i].ok ? cases[i].bp : 77), "%s", cases[i].text);
    }
}

Test(acts, complete_commands_get_as_far_as_the_broker)
{
    post("/v1/rollouts/r/abort", JSON, "", NO_BROKER);
    post("/v1/rollouts/r/abort", "application/json; charset=utf-8", "{}", NO_BROKER);
    post("/v1/rollouts/r/hold", JSON, "{\"actor\":\"al\",\"reason\":\"x\"}", NO_BROKER);
    post("/v1/rollouts/r/set-weight", JSON, "{\"weight\":\"5%\",\"reason\":\"x\"}",
         NO_BROKER);
    post("/v1/rollouts/r/set-weight", JSON, "{\"weight\":2.5,\"reason\":\"x\"}",
         NO_BROKER);
    post("/v1/rollouts/r/approve", JSON, "{}",
         NO_BROKER); /* the only gate that waits */
    post("/v1/rollouts/open/approve", JSON, "{\"gate\":\"sre\"}", NO_BROKER);
    post("/v1/rollouts/r/extend", JSON, "{\"by\":\"30m\"}", NO_BROKER);
    post("/v1/rollouts/r/retry", JSON, "{}", NO_BROKER);
}

Test(acts, what_is_missing_or_wrong_is_named)
{
    post("/v1/rollouts/x/abort", JSON, "{}", 404, "no rollout");
    post("/v1/rollouts/r/abort", "text/plain", "{}", 415, "application/json");
    post("/v1/rollouts/r/abort", NULL, "{}", 415, "application/json");
    post("/v1/rollouts/r/abort", JSON, "{", 400, "no JSON: line 1");
    post("/v1/rollouts/r/abort", JSON, "[]", 400, "expected an object");
    post("/v1/rollouts/r/abort", JSON, "{\"reasn\":\"x\"}", 400,
         "did you mean \\\"reason\\\"?");
    post("/v1/rollouts/r/abort", JSON, "{\"weight\":\"5%\"}", 400, "no such member");
    post("/v1/rollouts/r/abort", JSON, "{\"reason\":5}", 400, "a text in quotes");
    post("/v1/rollouts/r/abort", JSON, "{\"actor\":\"a\\nb\"}", 400,
         "control characters");
    post("/v1/rollouts/r/promote", JSON, "{}", 400, "reason: missing");
    post("/v1/rollouts/r/set-weight", JSON, "{\"reason\":\"x\"}", 400,
         "weight: missing");
    post("/v1/rollouts/r/set-weight", JSON, "{\"reason\":\"x\",\"weight\":\"101%\"}",
         400, "weight: 101%");
    post("/v1/rollouts/open/approve", JSON, "{}", 400, "the plan has: none");
    post("/v1/rollouts/r/extend", JSON, "{\"by\":\"soon\"}", 400, "by: soon");
    post("/v1/rollouts/r/extend", JSON, "{\"by\":\"0s\"}", 400, "by: 0s");
}

Test(acts, a_bad_idempotency_key_is_refused)
{
    struct request q = {.method = "POST",
                        .path = "/v1/rollouts/r/abort",
                        .type = JSON,
                        .body = "{}",
                        .n = 2,
                        .key = "short"};
    struct reply r = {0};
    routes_answer(&api, &q, &r);
    cr_assert(eq(uint, r.status, 400));
    free(r.body);
}

Test(acts, a_plan_is_linted_before_it_is_sent)
{
    const char *bad = "apiVersion: serin/v1\nkind: Rollout\nid: r\nmetricz: []\n";
    post("/v1/rollouts", "application/yaml", bad, 422, "\"line\":4");
    post("/v1/rollouts", "application/yaml", bad, 422, "did you mean \\\"metrics\\\"?");
    post("/v1/rollouts", "application/yaml", "", 400, "empty");
    post("/v1/rollouts", "application/x-www-form-urlencoded", bad, 415, "yaml");
    post("/v1/rollouts", "application/yaml",
         "apiVersion: serin/v1\nkind: Rollout\nid: r\n"
         "cohorts: {canary: {v: '2'}, baseline: {v: '1'}}\n"
         "metrics: [{name: errors, kind: ratio, from: {metric: m}, abort_over: 1.2}]\n",
         NO_BROKER);
}
