/* tests/unit/core/test_release.c -- what else a release waits for: external checks,
 * any_of, other rollouts, the calendar */
#include "tests/support/play.h"

#define V(name) SERIN__V1__VERB__VERB_##name

#define STEPS                                                                          \
    "window: 1s\ncalibrate: skip\n"                                                    \
    "steps:\n"                                                                         \
    "  - {weight: 10%, worse_than: 3, bake: 10s, warmup: 2s, timeout: 30m}\n"          \
    "  - {weight: 50%, worse_than: 2, bake: 10s, warmup: 2s, timeout: 30m}\n"          \
    "  - {weight: 100%, watch: 20s, warmup: 2s}\n"
#define CHECKED                                                                        \
    PLAY_HEAD STEPS PLAY_METRIC "checks:\n"                                            \
                                "  load: {kind: webhook, url: \"https://ci/x\", "      \
                                "timeout: 2s, retries: 1, every: 10s, valid: 30s}\n"

static void answer(struct play *p, const char *check, uint64_t weight_seq, int64_t t_ms,
                   const char *outcome, const char *message)
{
    inbox_check(&p->inbox, PLAY_ID, check, weight_seq, t_ms, outcome, message);
    play_feed(p);
}

static void tell(struct play *p, const char *rollout, const char *about,
                 const char *state, bool queue)
{
    inbox_signal(&p->inbox, rollout, about, state, queue);
    play_feed(p);
}

static pb_status *status(struct play *p)
{
    return foldrun_row(&p->run, PLAY_ID)->status;
}

static void says(struct play *p, const char *state, const char *reason,
                 const char *text)
{
    pb_status *s = status(p);
    cr_assert(eq(str, s->state, (char *)(uintptr_t)state), "%s", s->message);
    cr_assert(eq(str, s->reason, (char *)(uintptr_t)reason), "%s", s->message);
    cr_assert(strstr(s->message, text) != NULL, "%s", s->message);
}

/* ---- external checks */
Test(release, a_step_waits_for_its_check)
{
    struct play p;
    play_start(&p, CHECKED "criteria: {all_of: [errors, load]}\n");
    play_for(&p, 13, play_traffic());
    cr_assert(eq(u32, play_weight(&p), 1000u));
    cr_assert(status(&p)->checks[0]->asked);
    cr_assert(eq(str, status(&p)->checks[0]->state, "waiting"));
    play_for(&p, 10, play_traffic());
    says(&p, "HELD", "check", "nobody answered check load");
    uint64_t asked = status(&p)->weight_seq;
    cr_assert(eq(u64, asked, (uint64_t)1));
    answer(&p, "load", asked, p.now * 1000, "error", "connection refused");
    play_for(&p, 3, play_traffic());
    says(&p, "HELD", "check", "nobody answered"); /* one reason, one verdict */
    cr_assert(eq(str, status(&p)->checks[0]->state, "error"));
    answer(&p, "load", asked + 1, p.now * 1000, "pass", "of another weight");
    answer(&p, "other", asked, p.now * 1000, "pass", "of no check");
    answer(&p, "load", asked, p.now * 1000 - 20000, "pass", "an old one, late");
    play_for(&p, 3, play_traffic());
    cr_assert(eq(str, status(&p)->state, "HELD"));
    p.done = foldrun_restart(&p.run, &p.inbox);
    answer(&p, "load", asked, p.now * 1000, "pass", "p99 120 ms");
    cr_assert(eq(u32, play_weight(&p), 5000u));
    cr_assert(eq(str, status(&p)->checks[0]->state, "waiting"), "asked anew");
    play_end(&p);
}

Test(release, an_answer_expires_and_a_clock_ahead_does_not_help)
{
    struct play p;
    struct play_traffic none = play_traffic();
    play_start(&p, CHECKED "criteria: {all_of: [errors, load]}\n");
    play_for(&p, 5, play_traffic());
    answer(&p, "load", 1, p.now * 1000 + 3600000, "pass", "");
    cr_assert(eq(str, status(&p)->checks[0]->state, "passed"));
    none.canary = none.baseline = 0;
    play_for(&p, 32, none);
    cr_assert(eq(str, status(&p)->checks[0]->state, "expired"));
    play_for(&p, 30, play_traffic());
    says(&p, "HELD", "check", "nobody answers any more");
    play_end(&p);
}

Test(release, a_failed_check_holds_or_aborts)
{
    struct play p;
    play_start(&p, CHECKED "criteria: {all_of: [errors, load]}\n");
    play_for(&p, 5, play_traffic());
    answer(&p, "load", 1, p.now * 1000, "fail", "p99 is 3 s");
    cr_assert(eq(str, status(&p)->state, "OBSERVING"), "not before it matters");
    play_for(&p, 12, play_traffic());
    says(&p, "HELD", "check", "check load failed: p99 is 3 s");
    play_end(&p);
    play_start(&p, PLAY_HEAD STEPS PLAY_METRIC
               "checks: {load: {kind: exec, target: x, on_fail: abort}}\n"
               "criteria: {all_of: [errors, load]}\n");
    play_for(&p, 5, play_traffic());
    answer(&p, "load", 1, p.now * 1000, "fail", "p99 is 3 s");
    says(&p, "ABORTED", "check", "on_fail: abort: p99 is 3 s");
    cr_assert(eq(u32, play_weight(&p), 0u));
    play_end(&p);
}

static const char paused[] =
    PLAY_HEAD "window: 1s\ncalibrate: skip\n"
              "steps:\n"
              "  - {weight: 10%, worse_than: 3, bake: 10s, warmup: 2s, timeout: 30m}\n"
              "  - {kind: pause, for: 20s}\n"
              "  - {weight: 100%, watch: 20s, warmup: 2s}\n" PLAY_METRIC;
#define LOAD                                                                           \
    "load: {kind: exec, target: x, timeout: 2s, retries: 1, every: 10s, valid: 30s}"

/* A pause compares nothing; what others have to say is asked all the same. */
Test(release, a_pause_ends_when_its_checks_pass)
{
    static const char *const rest[] = {
        "checks:\n  " LOAD "\ncriteria: {all_of: [errors, load]}\n",
        "checks:\n  " LOAD
        "\n  soak: {kind: exec, target: y, timeout: 2s, every: 10s}\n"
        "criteria: {all_of: [errors], any_of: [load, soak]}\n"};
    for (size_t i = 0; i < 2; i++) {
        struct play p;
        char text[2048];
        snprintf(text, sizeof text, "%s%s", paused, rest[i]);
        play_start(&p, text);
        play_for(&p, 5, play_traffic());
        answer(&p, "load", 1, p.now * 1000, "pass", "");
        play_for(&p, 20, play_traffic());
        cr_assert(eq(u32, foldrun_last(&p.run)->step, 2u), "%s", rest[i]);
        cr_assert(status(&p)->checks[0]->asked);
        uint64_t asked = status(&p)->weight_seq;
        answer(&p, "load", asked, p.now * 1000, "fail", "3 s");
        play_for(&p, 50, play_traffic());
        says(&p, "HELD", "check", "the step is over, but check load failed: 3 s");
        answer(&p, "load", asked, p.now * 1000, "pass", "");
        cr_assert(eq(u32, play_weight(&p), 10000u));
        play_end(&p);
    }
}

#define TWO_METRICS                                                                    \
    "metrics:\n  - {name: errors, kind: ratio, phi: 1}\n"                              \
    "  - {name: more, kind: ratio, phi: 1, from: {metric: more}}\n"

Test(release, any_of_shares_its_level_and_one_is_enough)
{
    struct play p;
    play_start(&p, PLAY_HEAD STEPS TWO_METRICS "criteria: {any_of: [errors, more]}\n");
    for (int i = 0; i < 40; i++) {
        inbox_second(&p.inbox, (struct inbox_second){.rollout = PLAY_ID,
                                                     .metric = "more",
                                                     .at_ms = p.now * 1000,
                                                     .n = 2,
                                                     .x = 1,
                                                     .m = 18,
                                                     .y = 9});
        play_second(&p, play_traffic());
    }
    cr_assert(ge(u32, play_weight(&p), 5000u), "%s", status(&p)->message);
    const pb_verdict *v = p.run.verdicts[1];
    cr_assert(eq(int, v->kind, SERIN__V1__KIND__KIND_PROMOTE));
    cr_assert(eq(str, v->metric, "errors"));
    cr_assert(epsilon_eq(dbl, v->metrics[0]->promote_threshold, log(2 / 0.05), 1e-12));
    cr_assert(lt(dbl, v->metrics[1]->promote_log_e, v->metrics[1]->promote_threshold));
    play_end(&p);
}

Test(release, any_of_a_metric_and_a_check)
{
    struct play p;
    play_start(&p, PLAY_HEAD STEPS TWO_METRICS
               "checks: {load: {kind: exec, target: x}}\n"
               "criteria: {all_of: [errors], any_of: [more, load]}\n");
    for (int i = 0; i < 30; i++) {
        inbox_second(&p.inbox, (struct inbox_second){.rollout = PLAY_ID,
                                                     .metric = "more",
                                                     .at_ms = p.now * 1000,
                                                     .n = 2,
                                                     .x = 0,
                                                     .m = 18,
                                                     .y = 0});
        play_second(&p, play_traffic());
    }
    cr_assert(eq(u32, play_weight(&p), 1000u));
    cr_assert(eq(str, status(&p)->state, "OBSERVING"), "the metric may still show it");
    answer(&p, "load", 1, p.now * 1000, "pass", "");
    cr_assert(eq(u32, play_weight(&p), 5000u));
    play_end(&p);
}

/* ---- other rollouts */
static void apply_behind(struct play *p, const char *plan, char **behind, size_t n)
{
    pb_command c = SERIN__V1__COMMAND__INIT;
    *p = (struct play){.now = PLAY_T0};
    p->rng = check_rng(11);
    foldrun_start(&p->run);
    inbox_tick(&p->inbox, p->now * 1000, p->now * 1000 - 2000);
    c.rollout = (char *)PLAY_ID;
    c.verb = V(APPLY);
    c.plan = (char *)(uintptr_t)plan;
    c.behind = behind;
    c.n_behind = n;
    inbox_command(&p->inbox, &c);
    play_feed(p);
}

Test(release, after_another_one)
{
    struct play p;
    play_start(&p, PLAY_PLAN "after: api-7\n");
    play_for(&p, 5, play_traffic());
    says(&p, "PENDING", "after", "waits until api-7 is promoted; it is not known yet");
    tell(&p, PLAY_ID, "api-7", "OBSERVING", false);
    tell(&p, PLAY_ID, "unasked", "ABORTED", false);
    tell(&p, PLAY_ID, "api-7", "nonsense", false);
    play_for(&p, 3, play_traffic());
    says(&p, "PENDING", "after", "it is OBSERVING");
    p.done = foldrun_restart(&p.run, &p.inbox);
    tell(&p, PLAY_ID, "api-7", "PROMOTED", false);
    play_for(&p, 3, play_traffic());
    cr_assert(eq(u32, play_weight(&p), 1000u));
    play_end(&p);
    play_start(&p, PLAY_PLAN "after: [api-7, api-8]\n");
    tell(&p, PLAY_ID, "api-7", "PROMOTED", false);
    tell(&p, PLAY_ID, "api-7", "WATCHING", false); /* an older fact, late */
    play_for(&p, 3, play_traffic());
    says(&p, "PENDING", "after", "waits until api-8");
    tell(&p, PLAY_ID, "api-8", "PROMOTED", false);
    play_for(&p, 3, play_traffic());
    cr_assert(eq(u32, play_weight(&p), 1000u));
    play_end(&p);
    play_start(&p, PLAY_PLAN "after: [api-7]\n");
    tell(&p, PLAY_ID, "api-7", "ABORTED", false);
    says(&p, "HELD", "after", "which is ABORTED and will not be promoted; cancel");
    cr_assert(not(play_verb(&p, V(RESUME))->accepted && play_weight(&p) != 0));
    cr_assert(eq(str, status(&p)->state, "HELD"));
    cr_assert(play_verb(&p, V(CANCEL))->accepted);
    play_end(&p);
    play_start(&p, PLAY_PLAN "after: api-7\n");
    tell(&p, PLAY_ID, "api-7", "CIRCULAR", false);
    says(&p, "HELD", "after", "waits for this one in the end");
    play_end(&p);
}

Test(release, one_of_a_service_at_a_time)
{
    struct play p;
    char *behind[] = {(char *)"web-1", (char *)PLAY_ID};
    apply_behind(&p, PLAY_PLAN "service: web\n", behind, 2);
    play_for(&p, 3, play_traffic());
    says(&p, "PENDING", "queue", "waits until web-1 has ended");
    cr_assert(eq(sz, status(&p)->n_waits, (size_t)1));
    cr_assert(eq(str, status(&p)->scope, "web/"));
    tell(&p, PLAY_ID, "web-1", "HELD", true);
    play_for(&p, 3, play_traffic());
    says(&p, "PENDING", "queue", "it is HELD");
    tell(&p, PLAY_ID, "web-1", "ABORTED", true); /* ended is ended */
    play_for(&p, 3, play_traffic());
    cr_assert(eq(u32, play_weight(&p), 1000u));
    tell(&p, PLAY_ID, "web-0", "OBSERVING", true); /* came first, seen late */
    says(&p, "HELD", "queue", "waits until web-0 has ended");
    cr_assert(eq(u32, play_weight(&p), 1000u));
    play_for(&p, 30, play_traffic());
    cr_assert(eq(u32, play_weight(&p), 1000u));
    tell(&p, PLAY_ID, "web-0", "PROMOTED", true);
    play_for(&p, 30, play_traffic());
    cr_assert(ge(u32, play_weight(&p), 5000u));
    play_end(&p);
    apply_behind(&p, PLAY_PLAN "service: web\nconcurrent: true\n", behind, 2);
    tell(&p, PLAY_ID, "web-0", "OBSERVING", true);
    play_for(&p, 3, play_traffic());
    cr_assert(eq(u32, play_weight(&p), 1000u));
    play_end(&p);
}

Test(release, a_queue_has_an_end)
{
    struct play p;
    enum { MANY = 65 };
    char names[MANY][8], *behind[MANY];
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "web%d", i);
        behind[i] = names[i];
    }
    apply_behind(&p, PLAY_PLAN "service: web\n", behind, MANY);
    cr_assert(eq(sz, p.run.n_rows, (size_t)0), "refused");
    play_end(&p);
    apply_behind(&p, PLAY_PLAN "service: web\n", behind, MANY - 1);
    cr_assert(eq(sz, status(&p)->n_waits, (size_t)64));
    play_end(&p);
}

/* ---- the calendar; PLAY_T0 is Tuesday, 2023-11-14 22:13:20 UTC */
static pb_outcome * override(struct play *p, Serin__V1__Verb verb, const char *reason)
{
    pb_command c = SERIN__V1__COMMAND__INIT;
    c.rollout = (char *)PLAY_ID;
    c.verb = verb;
    c.actor = (char *)"ann";
    c.override_freeze = true;
    c.reason = (char *)(uintptr_t)reason;
    return play_command(p, c);
}

Test(release, weekly_times)
{
    struct play p;
    play_start(&p, PLAY_HEAD PLAY_METRIC
               "window: 1s\ncalibrate: skip\n"
               "steps: [{weight: 10%, bake: 45s, warmup: 2s}, {weight: 50%, bake: 10s, "
               "warmup: 2s}, {weight: 100%, watch: 20s, warmup: 2s}]\n"
               "schedule: {allow: [{days: [mon..tue, fri], from: \"09:00\", to: "
               "\"22:14\"}]}\n");
    play_for(&p, 3, play_traffic());
    cr_assert(eq(u32, play_weight(&p), 1000u), "22:13 is allowed");
    play_for(&p, 60, play_traffic());
    says(&p, "HELD", "freeze", "the next are at 2023-11-17 09:00 UTC");
    cr_assert(eq(u32, play_weight(&p), 1000u));
    cr_assert(not(play_verb(&p, V(PROMOTE))->accepted));
    cr_assert(not(override(&p, V(PROMOTE), "")->accepted), "not without a reason");
    cr_assert(override(&p, V(RESUME), "outage, ticket 7")->accepted);
    cr_assert(eq(u32, play_weight(&p), 5000u), "%s", status(&p)->message);
    p.done = foldrun_restart(&p.run, &p.inbox);
    play_for(&p, 60, play_traffic());
    cr_assert(eq(str, status(&p)->state, "PROMOTED"), "%s", status(&p)->message);
    play_end(&p);
}

Test(release, a_freeze_before_the_start)
{
    struct play p;
    play_start(&p, PLAY_PLAN "schedule: {freeze: [{from: 2023-11-14, to: 2023-11-16, "
                             "reason: fair}]}\n");
    play_for(&p, 3, play_traffic());
    says(&p, "PENDING", "freeze", "frozen until 2023-11-16 00:00 UTC: fair");
    cr_assert(not(override(&p, V(RESUME), "")->accepted));
    cr_assert(override(&p, V(RESUME), "agreed with the fair")->accepted);
    play_for(&p, 3, play_traffic());
    cr_assert(eq(u32, play_weight(&p), 1000u));
    play_end(&p);
}
