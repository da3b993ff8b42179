/* tests/unit/replay/test_inject.c -- what may be injected, and what is wrong with the
 * rest */
#include "engine/replay/scene/inject.h"
#include "engine/replay/scene/inject_apply.h"

#include "tests/support/cells.h"

static const char plan_text[] =
    "id: r\n"
    "cohorts: {canary: {v: c}, baseline: {v: b}}\n"
    "window: 1s\n"
    "calibrate: skip\n"
    "steps: [{weight: 10%, worse_than: 2}, {weight: 100%}]\n"
    "metrics:\n"
    "  - {name: errors, kind: ratio, phi: 1}\n"
    "  - {name: latency, kind: latency, phi: 1}\n"
    "  - {name: cpu, kind: gauge, from: {metric: cpu, unit_key: pod}, mode: warn}\n"
    "  - {name: crashes, kind: events, exposure: errors, phi: 1, mode: warn}\n";

static struct arena arena;
static const struct plan *plan;

static void setup(void)
{
    plan = cells_plan(&arena, plan_text);
}

static void teardown(void)
{
    arena_free(&arena);
}

TestSuite(inject, .init = setup, .fini = teardown);

static struct inject parsed(const char *text)
{
    struct inject_list l = {.n = 0};
    struct fault f = {0};
    cr_assert(eq(int, inject_parse(plan, text, &l, &f), SERIN_OK), "%s: %s", text,
              f.text);
    cr_assert(eq(sz, l.n, 1));
    return l.items[0];
}

Test(inject, says_what_is_meant)
{
    static const struct {
        const char *text;
        enum inject_how how;
        double amount, part;
    } is[] = {
        {"errors=x2.5", INJECT_FACTOR, 2.5, 1},
        {"errors=x0.5,risk", INJECT_RISK, 0.5, 1},
        {"errors=+1.5%", INJECT_ADD, 0.015, 1},
        {"latency=+30%", INJECT_FACTOR, 1.3, 1},
        {"latency=-20%", INJECT_FACTOR, 0.8, 1},
        {"latency=x1.5/25%", INJECT_FACTOR, 1.5, 0.25},
        {"latency=+500ms/1%", INJECT_ADD, 500, 0.01},
        {"cpu=+0.25", INJECT_ADD, 0.25, 1},
        {"cpu=-3/50%", INJECT_ADD, -3, 0.5},
        {"cpu=+20%", INJECT_FACTOR, 1.2, 1},
        {"crashes=x3", INJECT_FACTOR, 3, 1},
        {"crashes=+6/m", INJECT_ADD, 0.1, 1},
        {"skew=canary:-30s", INJECT_FACTOR, -30000, 0},
        {"sample_ratio=x0.8", INJECT_FACTOR, 0.8, 0},
    };
    for (size_t i = 0; i < sizeof is / sizeof *is; i++) {
        struct inject one = parsed(is[i].text);
        cr_assert(eq(int, one.how, is[i].how), "%s", is[i].text);
        cr_assert(epsilon_eq(dbl, one.amount, is[i].amount, 1e-12), "%s", is[i].text);
        cr_assert(eq(dbl, one.part, is[i].part), "%s", is[i].text);
        cr_assert(one.on[0] && !one.on[1]);
        cr_assert(eq(int, one.from.kind, INJECT_OPEN));
    }
    cr_assert(eq(int, parsed("silence=baseline").on[1], 1));
    cr_assert(eq(int, parsed("silence=baseline").on[0], 0));
    cr_assert(eq(int, parsed("errors=x2,baseline").on[0], 0));
    cr_assert(eq(int, parsed("errors=x2 , both").on[1], 1));
    cr_assert(eq(int, parsed("errors=x2,ramp=5m").ramp_ms, 300000));
    cr_assert(eq(int, parsed("errors=x2@1h,leak").shape, INJECT_LEAK));
    cr_assert(eq(int, parsed("errors=x2@12:30:15").from.ms, 45015000));
    cr_assert(eq(int, parsed("errors=x2@+90s..10m").to.ms, 600000));
    cr_assert(eq(i64, parsed("errors=x2@2025-10-09T09:00Z").from.ms, CELLS_T0));
}

Test(inject, several_in_one_text)
{
    struct inject_list l = {.n = 0};
    struct fault f = {0};
    const char *text =
        "errors=x2@10m; latency=+30%@12:00,ramp=5m;silence=canary@5m..6m";
    cr_assert(eq(int, inject_parse(plan, text, &l, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(sz, l.n, 3));
    cr_assert(eq(sz, l.items[1].column, 16));
    cr_assert(eq(int, l.items[2].what, INJECT_SILENCE));
    cr_assert(eq(int, inject_parse(plan, "errors=x3;errors=x", &l, &f), SERIN_EPARSE));
    cr_assert(eq(sz, l.n, 3), "a text that is wrong adds nothing");
}

/* With the column and words of what is said. */
static const struct {
    const char *text;
    unsigned column;
    const char *words[2];
} mistakes[] = {
    {"", 1, {"WHAT=HOW"}},
    {"errors", 1, {"WHAT=HOW"}},
    {"erors=x2", 1, {"did you mean errors?", "silence"}},
    {"nothing_like=x2", 1, {"errors, latency, cpu, crashes"}},
    {"errors=x0", 8, {"above 0", "silence=canary"}},
    {"errors=x-1", 8, {"above 0"}},
    {"errors=x1", 8, {"changes nothing"}},
    {"errors=x1e9", 8, {"at most 1000"}},
    {"errors=xx", 8, {"expected x2"}},
    {"errors=2", 8, {"expected x2"}},
    {"errors=", 8, {"expected x2"}},
    {"errors=+500ms", 8, {"expected x2"}},
    {"errors=-1%", 8, {"expected x2"}},
    {"errors=+101%", 8, {"expected x2"}},
    {"errors=+0%", 8, {"changes nothing"}},
    {"errors=x2/5%", 8, {"expected x2"}},
    {"latency=-500ms", 9, {"expected +30%"}},
    {"latency=+30%/0%", 14, {"above 0"}},
    {"latency=+30%/101%", 14, {"at most 100%"}},
    {"latency=+30%/slow", 14, {"a part such as 1%"}},
    {"latency=-100%", 9, {"above 0"}},
    {"latency=+1/h", 12, {"a part such as 1%"}},
    {"cpu=+5ms", 5, {"expected x1.2"}},
    {"crashes=+6", 9, {"+6/h"}},
    {"crashes=-6/h", 9, {"+6/h"}},
    {"crashes=+x/h", 9, {"+6/h"}},
    {"silence=both", 9, {"nothing is left"}},
    {"silence=x2", 9, {"canary or baseline"}},
    {"skew=canary", 6, {"canary:+30s"}},
    {"skew=canary:30s", 6, {"canary:+30s"}},
    {"skew=canary:+300ms", 6, {"whole seconds"}},
    {"skew=canary:+2h", 6, {"up to an hour"}},
    {"sample_ratio=0.8", 14, {"x0.8"}},
    {"sample_ratio=x0", 14, {"above 0"}},
    {"errors=x2@noon", 11, {"12:00", "10m since"}},
    {"errors=x2@25:00", 11, {"expected a time"}},
    {"errors=x2@12:0a", 11, {"expected a time"}},
    {"errors=x2@", 11, {"expected a time"}},
    {"errors=x2@5m..", 15, {"expected a time"}},
    {"errors=x2@5m..later", 15, {"expected a time"}},
    {"errors=x2@5m,fast", 14, {"ramp=5m or leak"}},
    {"errors=x2@5m,ramp=0s", 14, {"ramp=5m or leak"}},
    {"errors=x2,ramp=5m,leak", 19, {"one of them"}},
    {"latency=+30%,risk", 14, {"canary, baseline or both"}},
    {"errors=+1%,risk", 12, {"risk (with a factor)"}},
    {"silence=canary,ramp=5m", 16, {"no option here"}},
    {"silence=canary,baseline", 16, {"no option here"}},
    {"errors=x2; latency=x0", 20, {"above 0"}},
};

Test(inject, says_what_is_wrong_and_where)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct inject_list l = {.n = 0};
        struct fault f = {0};
        char column[32];
        snprintf(column, sizeof column, "column %u: ", mistakes[i].column);
        cr_assert(eq(int, inject_parse(plan, mistakes[i].text, &l, &f), SERIN_EPARSE),
                  "%s", mistakes[i].text);
        cr_assert(strstr(f.text, column) != NULL, "%s (wanted %s)", f.text, column);
        for (size_t k = 0; k < 2 && mistakes[i].words[k] != NULL; k++)
            cr_assert(strstr(f.text, mistakes[i].words[k]) != NULL, "%s (wanted %s)",
                      f.text, mistakes[i].words[k]);
        cr_assert(eq(sz, l.n, 0));
    }
}

Test(inject, not_more_than_there_is_room_for)
{
    struct inject_list l = {.n = 0};
    struct fault f = {0};
    for (int i = 0; i < INJECT_MAX; i++)
        cr_assert(eq(int, inject_parse(plan, "errors=x2", &l, &f), SERIN_OK));
    cr_assert(eq(int, inject_parse(plan, "errors=x2", &l, &f), SERIN_EPARSE));
    cr_assert(strstr(f.text, "more than 32") != NULL);
}

static enum serin_status placed(const char *text, struct inject_list *l,
                                struct fault *f)
{
    *l = (struct inject_list){.n = 0};
    *f = (struct fault){0};
    cr_assert(eq(int, inject_parse(plan, text, l, f), SERIN_OK), "%s", f->text);
    /* An hour from 09:00:00.250 on. */
    return inject_place(l, CELLS_T0 + 250, CELLS_T0 + 3600000, f);
}

Test(inject, times_are_those_of_the_recording)
{
    struct inject_list l;
    struct fault f;
    cr_assert(eq(int,
                 placed("errors=x2;latency=+30%@5m..6m;cpu=+1@09:10..2025-10-09T09:20Z",
                        &l, &f),
                 SERIN_OK),
              "%s", f.text);
    cr_assert(eq(i64, l.items[0].from_ms, CELLS_T0));
    cr_assert(eq(i64, l.items[0].to_ms, INT64_MAX));
    cr_assert(eq(i64, l.items[1].from_ms, CELLS_T0 + 300000));
    cr_assert(eq(i64, l.items[1].to_ms, CELLS_T0 + 360000));
    cr_assert(eq(i64, l.items[2].from_ms, CELLS_T0 + 600000));
    cr_assert(eq(i64, l.items[2].to_ms, CELLS_T0 + 1200000));
}

Test(inject, what_cannot_be_in_this_recording)
{
    static const char *const wrong[][2] = {
        {"errors=x2@2h", "column 11: 2025-10-09T11:00:00Z is outside"},
        {"errors=x2@08:59", "holds 2025-10-09T09:00:00Z to 2025-10-09T10:00:00Z"},
        {"errors=x2@2025-10-10", "outside the recording"},
        {"errors=x2@10m..5m", "column 16: "},
        {"errors=x2@10m..10m", "not after"},
        {"errors=x2;errors=x3@5m", "column 11: both change the same"},
        {"errors=x2,both;errors=x3,baseline", "both change the same"},
        {"sample_ratio=x2;sample_ratio=x3", "both change the same"},
        {"silence=canary@5m..7m;silence=baseline@6m", "nothing be left"},
    };
    static const char *const right[] = {
        "errors=x2@5m..6m;errors=x3@6m",
        "errors=x2;errors=x2,baseline",
        "errors=x2;latency=+30%;silence=canary",
        "silence=canary@5m..6m;silence=baseline@6m..7m",
    };
    struct inject_list l;
    struct fault f;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_assert(eq(int, placed(wrong[i][0], &l, &f), SERIN_EDOM), "%s", wrong[i][0]);
        cr_assert(strstr(f.text, wrong[i][1]) != NULL, "%s (wanted %s)", f.text,
                  wrong[i][1]);
    }
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        cr_assert(eq(int, placed(right[i], &l, &f), SERIN_OK), "%s", f.text);
}

Test(inject, shapes)
{
    struct inject_list l;
    struct fault f;
    cr_assert(
        eq(int,
           placed("errors=x2@10m..20m;latency=+1%@10m,ramp=5m;cpu=+1@10m,leak", &l, &f),
           SERIN_OK));
    static const struct {
        int minute;
        double step, ramp, leak;
    } at[] = {{9, 0, 0, 0},
              {10, 1, 0, 0},
              {11, 1, 0.2, 1 / 60.},
              {20, 0, 1, 1 / 6.},
              {160, 0, 1, 2.5}};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        int64_t ms = CELLS_T0 + 60000 * at[i].minute;
        cr_assert(eq(dbl, inject_apply_strength(&l.items[0], ms), at[i].step));
        cr_assert(
            epsilon_eq(dbl, inject_apply_strength(&l.items[1], ms), at[i].ramp, 1e-12));
        cr_assert(
            epsilon_eq(dbl, inject_apply_strength(&l.items[2], ms), at[i].leak, 1e-12));
    }
}
