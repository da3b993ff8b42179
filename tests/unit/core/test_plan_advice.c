/* tests/unit/core/test_plan_advice.c -- what is allowed and probably not meant: each at
 * its place, and nothing about a plan that is well */
#include "engine/core/plan_advice.h"
#include "tests/support/check.h"

#define HEAD                                                                           \
    "id: shop-1\n"                                                                     \
    "cohorts: {canary: {version: \"2\"}, baseline: {version: \"1\"}}\n"                \
    "metrics: [{name: errors}]\n"
#define STEPS "steps: [{weight: 5%, gate: sre}, {weight: 100%, gate: dev}]\n"

/* clang-format off */
static const struct {
    const char *plan, *advice; /* line:column: message, one a line */
} cases[] = {
    {HEAD, ""},
    {HEAD STEPS "gates:\n  sre: {approvers: [alice, bob], expires: 2h}\n"
                "  dev: {approvers: [bob, dora]}\n", ""},
    {HEAD "gates:\n  sre: {approvers: [alice]}\n",
     "5:8: gate \"sre\" is asked at no step, so nobody's approval is waited for; write gate: sre at a step, or leave it out"},
    {HEAD STEPS "gates:\n  sre: {approvers: [alice, bob]}\n  dev: {approvers: [dora, alise]}\n",
     "7:27: approver \"alise\": gate sre names \"alice\"; if they are one person, write the name alike"},
    {HEAD STEPS "gates:\n  sre: {approvers: [alice, alise]}\n  dev: {approvers: [dora, alise]}\n", ""},
    {HEAD STEPS "gates:\n  sre: {approvers: [alice], expires: 30s}\n"
                "  dev: {approvers: [alice], expires: 2m, on_expiry: abort}\n",
     "6:38: expires: 30 s after it is asked the rollout is held until a person approves; few people answer that fast, write e.g. expires: 2h\n"
     "7:38: expires: 120 s after it is asked the rollout is aborted; few people answer that fast, write e.g. expires: 2h"},
    {HEAD "schedule:\n  not_before: 2026-12-25\n  freeze:\n    - {from: 2026-12-24, to: 2027-01-02}\n",
     "5:15: not_before: lies in the freeze of line 7 and means nothing there; the start waits for the end of the freeze"},
    {HEAD "schedule:\n  not_before: 2027-01-02\n  freeze:\n    - {from: 2026-12-24, to: 2027-01-02}\n", ""},
    {HEAD "schedule:\n  allow:\n    - {days: [mon..thu], from: \"09:00\", to: \"16:00\"}\n"
          "    - {days: [thu, fri], from: \"15:00\", to: \"17:00\"}\n",
     "7:7: allow: overlaps the times of line 6; one of them is not needed, or has a wrong day or hour"},
    {HEAD "schedule:\n  allow:\n    - {days: [mon..thu], from: \"09:00\", to: \"16:00\"}\n"
          "    - {days: [thu, fri], from: \"16:00\", to: \"17:00\"}\n", ""},
    {HEAD "after: [db-1, api-2, db-1]\n",
     "4:22: after: db-1 is named twice; was another one meant?"},
};
/* clang-format on */

Test(plan_advice, each_at_its_place)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena a = {0};
        struct doc_errors errors = {0}, advice = {0};
        struct plan *p = NULL;
        char said[2048] = "";
        size_t n = strlen(cases[i].plan), used = 0;
        cr_assert(eq(int, plan_parse(&a, cases[i].plan, n, &p, &errors), SERIN_OK),
                  "case %zu: %s", i, errors.n != 0 ? errors.items[0].text : "");
        cr_assert(eq(int, plan_advise(&a, p, cases[i].plan, n, &advice), SERIN_OK));
        for (size_t k = 0; k < advice.n; k++)
            used += (size_t)snprintf(said + used, sizeof said - used, "%s%u:%u: %s",
                                     k != 0 ? "\n" : "", advice.items[k].line,
                                     advice.items[k].column, advice.items[k].text);
        cr_assert(eq(str, said, (char *)(uintptr_t)cases[i].advice), "case %zu", i);
        arena_free(&a);
    }
}
