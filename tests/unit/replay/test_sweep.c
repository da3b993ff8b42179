/* What is tried: grammar, expansion, and what is said about wrong ones. */
#include "engine/replay/tune/sweep.h"

#include "tests/support/check.h"

static const char text[] =
    "id: web\n"
    "cohorts: {canary: {version: '2'}, baseline: {version: '1'}}\n"
    "window: 2s # short\n"
    "steps:\n"
    "  - {weight: 5%, worse_than: 3}\n"
    "  - {weight: 50%, worse_than: 2}\n"
    "  - {weight: 100%, watch: 5s}\n"
    "metrics: [{name: errors, kind: ratio, phi: 1}, {name: slow, kind: ratio}]\n";

static struct sweep parsed(struct arena *a, const char *spec)
{
    struct sweep s;
    struct fault f = {0};
    enum serin_status rc = sweep_parse(a, text, spec, &s, &f);
    cr_assert(eq(int, rc, SERIN_OK), "%s: %s", spec, f.text);
    return s;
}

Test(sweep, every_value_with_every_other_the_last_key_fastest)
{
    struct arena a = {0};
    struct fault f = {0};
    const char *out;
    struct sweep s = parsed(
        &a, " risk.false_abort=0.001, 0.02 ;steps[*].worse_than=1.5,2,4; window=1s,5s");
    cr_assert(eq(sz, s.n, 3));
    cr_assert(eq(sz, sweep_combinations(&s), 12));
    cr_assert(eq(str, (char *)sweep_value(&s, 0, 0), "0.001"));
    cr_assert(eq(str, (char *)sweep_value(&s, 5, 0), "0.001"));
    cr_assert(eq(str, (char *)sweep_value(&s, 5, 1), "4"));
    cr_assert(eq(str, (char *)sweep_value(&s, 5, 2), "5s"));
    cr_assert(eq(str, (char *)sweep_value(&s, 6, 0), "0.02"));
    cr_assert(eq(int, sweep_apply(&a, &s, text, 5, &out, &f), SERIN_OK));
    cr_assert_not_null(strstr(out, "window: 5s # short"));
    cr_assert_not_null(strstr(out, "{weight: 5%, worse_than: 4}"));
    cr_assert_not_null(strstr(out, "{weight: 50%, worse_than: 4}"));
    cr_assert_not_null(strstr(out, "risk: {false_abort: 0.001}"));
    arena_free(&a);
}

Test(sweep, a_star_is_every_item_that_takes_the_key_and_names_are_items)
{
    struct arena a = {0};
    struct sweep s = parsed(&a, "metrics[*].abort_over=1.5;steps[2].bake=1m,2m");
    cr_assert(eq(sz, s.keys[0].n_targets, 2));
    cr_assert(eq(str, (char *)s.keys[0].targets[1], "metrics[2].abort_over"));
    cr_assert(sweep_has(&s, "steps[2].bake"));
    cr_assert(not(sweep_has(&s, "steps[1].bake")));
    s = parsed(&a, "metrics[slow].pods={canary: 4, baseline: 36, spread: 0.3},"
                   "{canary: 8, baseline: 32, spread: 0.3}");
    cr_assert(eq(sz, s.keys[0].n, 2), "commas in braces are the value's");
    arena_free(&a);
}

static void refused(const char *spec, enum serin_status want, const char *says,
                    const char *and)
{
    struct arena a = {0};
    struct sweep s;
    struct fault f = {0};
    enum serin_status rc = sweep_parse(&a, text, spec, &s, &f);
    cr_assert(eq(int, rc, want), "%s: %s", spec, f.text);
    cr_assert_not_null(strstr(f.text, says), "%s: %s", spec, f.text);
    cr_assert_not_null(strstr(f.text, and), "%s: %s", spec, f.text);
    arena_free(&a);
}

Test(sweep, wrong_ones_are_said_with_their_column)
{
    refused("", SERIN_EPARSE, "empty", "PATH=VALUE");
    refused("window", SERIN_EPARSE, "column 1", "PATH=VALUE");
    refused("window=1s,,2s", SERIN_EPARSE, "column 11", "missing");
    refused("risk.false_abrot=0.1", SERIN_EDOM, "column 18", "false_abort");
    refused("window=1s; risk.false_abort=0.01,7", SERIN_EDOM, "column 34", "0.5");
    refused("steps[*].worse_than=1.5,0.5", SERIN_EDOM, "column 25", "worse_than");
    refused("steps[9].bake=1m", SERIN_EDOM, "column 15", "no item \"9\"");
    refused("gates[*].quorum=1", SERIN_EDOM, "column 17", "no list");
    refused("window=1s;window=2s", SERIN_EDOM, "column 18", "already");
    refused("steps[*].bake=1m;steps[1].bake=2m", SERIN_EDOM, "column 32", "already");
    refused("metrics[slow].phi=1,2,3,4,5,6,7,8,9,10,11;metrics[errors].phi=1,2,3,4,5,6,"
            "7,8,9,10;"
            "window=1s,2s,3s,4s,5s,6s,7s,8s,9s,10s",
            SERIN_ELIMIT, "1100 combinations", "at most 1000");
}
