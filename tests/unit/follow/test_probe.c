#include "engine/follow/probe.h"

#include "tests/support/check.h"

static const char *urls[] = {"https://ci.acme.example/hooks/"};
static const char *yes[] = {"/bin/sh", "-c", "echo a; echo $SERIN_ID at $SERIN_STEP"},
                  *no[] = {"/bin/sh", "-c", "echo too slow; exit 1"},
                  *broken[] = {"/bin/sh", "-c", "echo no route >&2; exit 3"},
                  *slow[] = {"/bin/sleep", "30"}, *absent[] = {"/nowhere/check"};
static struct probe_program programs[] = {
    {"yes", yes, 3},   {"no", no, 3},         {"broken", broken, 3},
    {"slow", slow, 2}, {"absent", absent, 1},
};
static const struct probe_policy policy = {
    .urls = urls, .n_urls = 1, .programs = programs, .n_programs = 5};

static void said(const char *target, const char *outcome, const char *text)
{
    struct probe p = {.rollout = "web-2",
                      .check = "load",
                      .weight_seq = 4,
                      .step = 2,
                      .timeout_ms = 3000};
    struct probe_answer a = {0};
    snprintf(p.target, sizeof p.target, "%s", target);
    if (strcmp(target, "slow") == 0) p.timeout_ms = 50;
    probe_run(&policy, &p, &a);
    cr_assert(eq(str, (char *)(uintptr_t)a.outcome, (char *)(uintptr_t)outcome),
              "%s: %s", target, a.message);
    cr_assert(strstr(a.message, text) != NULL, "%s: %s", target, a.message);
}

Test(probe, programs)
{
    said("yes", "pass", "web-2/4/load at 2");
    said("no", "fail", "too slow");
    said("broken", "error", "no route");
    said("slow", "error", "50 ms");
    said("absent", "error", "cannot be started");
    said("another", "error", "checks.exec in serin.yaml has no such target");
}

Test(probe, only_what_the_owner_allows)
{
    cr_assert(probe_allowed(&policy, "https://ci.acme.example/hooks/load?x=1"));
    cr_assert(not(probe_allowed(&policy, "https://ci.acme.example/admin")));
    cr_assert(not(probe_allowed(&policy, "https://ci.acme.example.evil/hooks/")));
    cr_assert(not(probe_allowed(&policy, "https://ci.acme.example/hooks/../admin")));
    cr_assert(
        not(probe_allowed(&policy, "https://ci.acme.example/hooks/%2E%2e/admin")));
    cr_assert(not(probe_allowed(&policy, "http://169.254.169.254/")));
    struct probe p = {.url = "http://169.254.169.254/", .timeout_ms = 1000};
    struct probe_answer a = {0};
    probe_run(&policy, &p, &a);
    cr_assert(eq(str, (char *)(uintptr_t)a.outcome, "error"));
    cr_assert(strstr(a.message, "checks.urls") != NULL);
}

Test(probe, a_secret_that_is_not_there)
{
    struct probe p = {.url = "https://ci.acme.example/hooks/x",
                      .secret_file = "load.key",
                      .timeout_ms = 1000};
    struct probe_answer a = {0};
    struct probe_policy with = policy;
    probe_run(&policy, &p, &a);
    cr_assert(eq(str, (char *)(uintptr_t)a.outcome, "error"));
    cr_assert(strstr(a.message, "checks.secrets") != NULL, "%s", a.message);
    with.secrets = "/nowhere";
    probe_run(&with, &p, &a);
    cr_assert(eq(str, (char *)(uintptr_t)a.outcome, "error"));
    cr_assert(strstr(a.message, "/nowhere/load.key") != NULL, "%s", a.message);
}
