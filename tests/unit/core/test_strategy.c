/* tests/unit/core/test_strategy.c -- blue_green, flag, and steps that are no weights */
#include <math.h>

#include "tests/support/play.h"

#define HEAD PLAY_HEAD "window: 1s\ncalibrate: skip\n"
#define JUDGED "worse_than: 2, bake: 10s, warmup: 2s, timeout: 5m"

#define BLUE_GREEN                                                                     \
    HEAD "strategy: blue_green\nsteps:\n  - {kind: preview, " JUDGED "}\n"             \
         "  - {weight: 100%, watch: 20s, warmup: 2s}\n"                                \
         "metrics:\n  - {name: errors, phi: 1, limit: 5%}\n"

/* A preview of a tenth of what the old side serves, as long as it serves anything. */
static struct play_traffic preview(const struct play *p)
{
    struct play_traffic t = play_traffic();
    if (play_weight(p) == 0) t.weight = 0.1;
    return t;
}

static void until_weight(struct play *p, uint32_t bp)
{
    for (int i = 0; i < 200 && play_weight(p) != bp; i++)
        play_second(p, preview(p));
    cr_assert(eq(u32, play_weight(p), bp));
}

Test(strategy, blue_green_previews_switches_and_lets_the_old_side_go)
{
    struct play p;
    play_start(&p, BLUE_GREEN);
    play_for(&p, 3, preview(&p));
    const pb_verdict *v = p.run.verdicts[0];
    cr_assert(eq(str, v->reason, "start"));
    cr_assert(eq(u32, v->to_bp, 0u), "a preview is no exposure");
    cr_assert(eq(str, v->step_kind, "preview"));
    until_weight(&p, 10000);
    play_show(&p);
    cr_assert(eq(sz, p.run.n_verdicts, (size_t)2));
    v = foldrun_last(&p.run);
    cr_assert(eq(str, v->reason, "non_inferior"));
    cr_assert(strstr(v->message, "preview traffic") != NULL, "%s", v->message);
    cr_assert(eq(str, v->state_after, "WATCHING"));
    play_for(&p, 60, play_traffic());
    v = foldrun_last(&p.run);
    cr_assert(eq(int, v->kind, SERIN__V1__KIND__KIND_PROMOTE));
    cr_assert(eq(str, v->reason, "old_side_may_go"));
    cr_assert(v->final);
    cr_assert(eq(u32, v->to_bp, 10000u));
    play_end(&p);
}

/* By the limit, by a person, or in part by a person, who may then try again. */
Test(strategy, blue_green_switches_back_at_once)
{
    struct play p;
    struct play_traffic bad = play_traffic();
    bad.rate_c = 0.3;
    play_start(&p, BLUE_GREEN);
    until_weight(&p, 10000);
    play_for(&p, 15, bad);
    const pb_verdict *v = foldrun_last(&p.run);
    cr_assert(eq(int, v->kind, SERIN__V1__KIND__KIND_ABORT));
    cr_assert(eq(u32, v->to_bp, 0u));
    play_end(&p);
    play_start(&p, BLUE_GREEN);
    until_weight(&p, 10000);
    pb_command c = SERIN__V1__COMMAND__INIT;
    c.verb = SERIN__V1__VERB__VERB_SET_WEIGHT;
    c.weight_bp = 5000;
    const pb_outcome *o = play_command(&p, c);
    cr_assert(not(o->accepted));
    cr_assert(strstr(o->message, "0% or 100%") != NULL, "%s", o->message);
    c.weight_bp = 0;
    cr_assert(play_command(&p, c)->accepted);
    cr_assert(eq(u32, play_weight(&p), 0u));
    cr_assert(play_verb(&p, SERIN__V1__VERB__VERB_RESUME)->accepted);
    until_weight(&p, 10000);
    cr_assert(play_verb(&p, SERIN__V1__VERB__VERB_ABORT)->accepted);
    cr_assert(eq(u32, play_weight(&p), 0u));
    play_end(&p);
}

/* At 100 % no baseline shows that there are users; the pace before the switch does. */
Test(strategy, a_new_side_that_falls_silent_is_switched_back)
{
    struct play p;
    struct play_traffic dead = play_traffic();
    dead.canary = dead.baseline = 0;
    play_start(&p, BLUE_GREEN);
    until_weight(&p, 10000); /* it never says anything */
    play_for(&p, 100, dead);
    cr_assert(eq(str, (char *)play_state(&p), "HELD"));
    p.done = foldrun_restart(&p.run, &p.inbox);
    play_for(&p, 40, dead);
    const pb_verdict *v = foldrun_last(&p.run);
    cr_assert(eq(int, v->kind, SERIN__V1__KIND__KIND_ABORT));
    cr_assert(eq(str, v->reason, "canary_silent"));
    cr_assert(strstr(v->message, "while the stream goes on") != NULL, "%s", v->message);
    cr_assert(eq(u32, v->to_bp, 0u));
    play_end(&p);
    play_start(&p, BLUE_GREEN); /* nobody reports any more: nothing is known */
    until_weight(&p, 10000);
    play_for(&p, 5, play_traffic());
    dead.silent_clock = true;
    play_for(&p, 400, dead);
    cr_assert(eq(str, (char *)play_state(&p), "HELD"));
    cr_assert(eq(str, foldrun_last(&p.run)->reason, "blind"));
    cr_assert(eq(u32, play_weight(&p), 10000u));
    play_end(&p);
}

/* Two minutes without one of a few requests a minute are no news. */
Test(strategy, a_quiet_service_is_not_switched_back)
{
    struct play p;
    struct play_traffic quiet = play_traffic();
    play_start(&p, BLUE_GREEN);
    for (int i = 0; i < 4000 && play_weight(&p) != 10000; i++) {
        quiet.weight = 0.5;
        quiet.per_second = p.now % 8 == 0;
        play_second(&p, quiet);
        if (i == 20) /* the person knows that it is quiet */
            play_verb(&p, SERIN__V1__VERB__VERB_PROMOTE);
    }
    cr_assert(eq(u32, play_weight(&p), 10000u));
    quiet.per_second = 0;
    play_for(&p, 150, quiet);
    cr_assert(eq(u32, play_weight(&p), 10000u));
    play_end(&p);
}

/* At night hardly anybody comes to whom thousands came when it was switched. */
Test(strategy, a_service_that_grows_quiet_is_not_switched_back)
{
    struct play p;
    struct play_traffic calm = play_traffic();
    int64_t quiet_for = 0, longest = 0;
    play_start(&p, PLAY_HEAD "window: 10s\ncalibrate: skip\nsteps:\n"
                             "  - {weight: 50%, worse_than: 3, bake: 1m}\n"
                             "  - {weight: 100%, watch: 12h}\n" PLAY_METRIC);
    until_weight(&p, 10000);
    for (int i = 0; i < 16000; i++) {
        double rate = fmax(20 * exp2(-i / 1200.0), 0.01);
        calm.per_second = gsl_ran_poisson(p.rng, rate);
        quiet_for = calm.per_second == 0 ? quiet_for + 1 : 0;
        if (quiet_for > longest) longest = quiet_for;
        play_second(&p, calm);
    }
    cr_assert(longest > 200, "%d", (int)longest);
    cr_assert(eq(u32, play_weight(&p), 10000u));
    play_end(&p);
}

Test(strategy, a_preview_that_nobody_makes_never_switches)
{
    struct play p;
    play_start(&p, BLUE_GREEN);
    play_for(&p, 320, play_traffic());
    cr_assert(eq(u32, play_weight(&p), 0u));
    cr_assert(eq(str, foldrun_last(&p.run)->reason, "timeout"));
    play_end(&p);
    struct play_traffic bad = play_traffic();
    bad.weight = 0.1;
    bad.rate_c = 0.1;
    play_start(&p, BLUE_GREEN);
    play_for(&p, 60, bad);
    cr_assert(eq(int, foldrun_last(&p.run)->kind, SERIN__V1__KIND__KIND_ABORT));
    play_end(&p);
}

#define KINDS                                                                          \
    HEAD "steps:\n  - {kind: mirror, share: 50%, " JUDGED "}\n"                        \
         "  - {weight: 10%, " JUDGED "}\n"                                             \
         "  - {kind: analysis_only, " JUDGED "}\n"                                     \
         "  - {kind: pause, for: 30s}\n"                                               \
         "  - {kind: pause}\n"                                                         \
         "  - {weight: 100%, watch: 20s, warmup: 2s}\n" PLAY_METRIC

/* Half of the requests is copied: canary to baseline as 1 to 2. */
static struct play_traffic mirrored(const struct play *p)
{
    struct play_traffic t = play_traffic();
    if (play_weight(p) == 0) t.weight = 1.0 / 3;
    return t;
}

static const pb_status *status(struct play *p)
{
    return foldrun_row(&p->run, PLAY_ID)->status;
}

static void until_step(struct play *p, uint32_t step)
{
    for (int i = 0; i < 200 && (p->run.n_verdicts == 0 ||
                                p->run.verdicts[p->run.n_verdicts - 1]->step != step);
         i++)
        play_second(p, mirrored(p));
    cr_assert(eq(u32, foldrun_last(&p->run)->step, step));
}

Test(strategy, every_kind_of_step_in_turn)
{
    struct play p;
    play_start(&p, KINDS);
    until_step(&p, 1);
    cr_assert(eq(u32, foldrun_last(&p.run)->mirror_bp, 5000u));
    cr_assert(eq(u32, foldrun_last(&p.run)->to_bp, 0u));
    play_for(&p, 6, mirrored(&p));
    cr_assert(lt(dbl, status(&p)->observed_bp, 0), "copies are no split");
    cr_assert(status(&p)->sample_ratio == NULL);
    until_step(&p, 2);
    cr_assert(eq(u32, foldrun_last(&p.run)->to_bp, 1000u));
    cr_assert(eq(u32, foldrun_last(&p.run)->mirror_bp, 0u));
    until_step(&p, 3);
    const pb_verdict *v = foldrun_last(&p.run);
    cr_assert(eq(u32, v->from_bp, v->to_bp), "analysis_only leaves the weight");
    cr_assert(strstr(v->message, "then analysis_only") != NULL, "%s", v->message);
    until_step(&p, 4);
    int64_t began = foldrun_last(&p.run)->t_ms;
    play_for(&p, 4, mirrored(&p));
    cr_assert(eq(str, status(&p)->state, "OBSERVING"));
    cr_assert(eq(str, status(&p)->reason, "pause"));
    cr_assert(gt(i64, status(&p)->eta_ms, (int64_t)20000));
    until_step(&p, 5);
    v = foldrun_last(&p.run);
    cr_assert(eq(str, v->reason, "pause_over"));
    cr_assert(ge(i64, v->t_ms - began, (int64_t)30000));
    play_for(&p, 400, play_traffic());
    cr_assert(eq(u32, foldrun_last(&p.run)->step, 5u), "it waits for a person");
    cr_assert(eq(u32, play_weight(&p), 1000u));
    cr_assert(play_verb(&p, SERIN__V1__VERB__VERB_PROMOTE)->accepted);
    cr_assert(eq(u32, play_weight(&p), 10000u));
    play_show(&p);
    play_end(&p);
}

Test(strategy, a_pause_is_still_judged_and_held)
{
    struct play p;
    struct play_traffic bad = play_traffic(), silent = play_traffic();
    bad.rate_c = 0.1;
    silent.canary = silent.baseline = 0;
    play_start(&p, KINDS);
    until_step(&p, 4);
    play_for(&p, 60, silent);
    cr_assert(eq(u32, foldrun_last(&p.run)->step, 4u), "nothing known, nothing moves");
    cr_assert(eq(str, status(&p)->state, "HELD"));
    play_for(&p, 15, play_traffic());
    until_step(&p, 5);
    play_for(&p, 60, bad);
    cr_assert(eq(int, foldrun_last(&p.run)->kind, SERIN__V1__KIND__KIND_ABORT));
    play_end(&p);
}

/* A mirror that copies nothing is noticed; one that copies finds harm at 0 %. */
Test(strategy, a_mirror_is_no_exposure_but_evidence)
{
    struct play p;
    struct play_traffic t = play_traffic();
    play_start(&p, KINDS);
    play_for(&p, 20, t);
    cr_assert(eq(str, foldrun_last(&p.run)->reason, "canary_silent"));
    play_end(&p);
    t.weight = 1.0 / 3;
    t.rate_c = 0.05;
    play_start(&p, KINDS);
    play_for(&p, 30, t);
    const pb_verdict *v = foldrun_last(&p.run);
    cr_assert(eq(int, v->kind, SERIN__V1__KIND__KIND_ABORT));
    cr_assert(eq(u32, v->from_bp, 0u));
    cr_assert(strstr(v->message, "copies of 50 % of the requests") != NULL);
    play_end(&p);
}

#define FLAG                                                                           \
    HEAD "strategy: flag\nflag: new-cart\nstrata: [user.segment]\n"                    \
         "steps:\n  - {audience: [internal], bake: 10s, warmup: 2s}\n"                 \
         "  - {audience: [internal, beta], bake: 10s, warmup: 2s}\n"                   \
         "  - {weight: 0.5%, worse_than: 4, bake: 10s, warmup: 2s, timeout: 30m}\n"    \
         "  - {weight: 50%, " JUDGED "}\n"                                             \
         "  - {weight: 100%, watch: 20s, warmup: 2s}\n"                                \
         "metrics:\n  - {name: errors, phi: 1, limit: 5%}\n"

/* Segments have the canary whole and, being testers, meet three times the errors. */
static void flag_second(struct play *p, double bad_c)
{
    const pb_verdict *v =
        p->run.n_verdicts != 0 ? p->run.verdicts[p->run.n_verdicts - 1] : NULL;
    static const char *const segments[] = {"internal", "beta"};
    for (size_t i = 0; v != NULL && i < 2; i++) {
        bool on = i < v->n_audience;
        struct inbox_second s = {
            .rollout = PLAY_ID, .stratum = segments[i], .at_ms = p->now * 1000};
        uint64_t bad = gsl_ran_binomial(p->rng, on ? 3 * bad_c : 0.03, 50);
        *(on ? &s.n : &s.m) = 50;
        *(on ? &s.x : &s.y) = bad;
        inbox_second(&p->inbox, s);
    }
    struct play_traffic t = play_traffic();
    t.per_second = 4000;
    t.rate_c = bad_c;
    play_second(p, t);
}

Test(strategy, flag_serves_segments_first_then_everybody_by_weight)
{
    struct play p;
    uint32_t before = 0;
    play_start(&p, FLAG);
    for (int i = 0; i < 900 && strcmp(play_state(&p), "PROMOTED") != 0; i++) {
        flag_second(&p, 0.01);
        cr_assert(ge(u32, play_weight(&p), before));
        before = play_weight(&p);
    }
    play_show(&p);
    cr_assert(eq(str, (char *)play_state(&p), "PROMOTED"));
    cr_assert(eq(sz, p.run.n_verdicts, (size_t)6), "no hold, though segments differ");
    static const struct {
        const char *reason;
        uint32_t bp;
        size_t segments;
    } want[] = {
        {"start", 0, 1},           {"segments_well", 0, 2},    {"segments_well", 50, 2},
        {"non_inferior", 5000, 2}, {"non_inferior", 10000, 2}, {"watched", 10000, 2}};
    for (size_t i = 0; i < 6; i++) {
        const pb_verdict *v = p.run.verdicts[i];
        cr_assert(eq(str, v->reason, (char *)want[i].reason));
        cr_assert(eq(u32, v->to_bp, want[i].bp));
        cr_assert(eq(sz, v->n_audience, want[i].segments));
        cr_assert(eq(str, v->audience[0], "internal"));
    }
    play_end(&p);
}

Test(strategy, flag_kill_switch_takes_it_from_everybody)
{
    struct play p;
    play_start(&p, FLAG);
    for (int i = 0; i < 15; i++)
        flag_second(&p, 0.01);
    cr_assert(eq(sz, status(&p)->n_audience, (size_t)2));
    cr_assert(play_verb(&p, SERIN__V1__VERB__VERB_ABORT)->accepted);
    cr_assert(eq(sz, status(&p)->n_audience, (size_t)0));
    cr_assert(eq(sz, foldrun_last(&p.run)->n_audience, (size_t)0));
    cr_assert(eq(u32, foldrun_last(&p.run)->to_bp, 0u));
    play_end(&p);
    play_start(&p, FLAG); /* segments alone: the limit is theirs to break */
    for (int i = 0; i < 60; i++)
        flag_second(&p, 0.1);
    const pb_verdict *v = foldrun_last(&p.run);
    cr_assert(eq(int, v->kind, SERIN__V1__KIND__KIND_ABORT));
    cr_assert(eq(str, v->reason, "limit"));
    cr_assert(eq(u32, v->from_bp, 0u));
    play_end(&p);
}

/* Users that the weight divides are still checked, segments apart. */
Test(strategy, flag_notices_a_wrong_share)
{
    struct play p;
    play_start(&p, FLAG);
    for (int i = 0; i < 300 && play_weight(&p) != 5000; i++)
        flag_second(&p, 0.01);
    struct play_traffic t = play_traffic();
    t.weight = 0.45;
    play_for(&p, 60, t);
    cr_assert(eq(str, foldrun_last(&p.run)->reason, "sample_ratio"));
    play_end(&p);
}

/* A hundredth of a percent of a large service, end to end. */
Test(strategy, a_basis_point_is_a_weight)
{
    struct play p;
    struct play_traffic t = play_traffic();
    t.per_second = 2000000;
    play_start(&p,
               HEAD "steps:\n  - {weight: 0.01%, worse_than: 4, bake: 5s, warmup: "
                    "1s}\n  - {weight: 0.05%, worse_than: 4, bake: 5s, warmup: 1s}\n"
                    "  - {weight: 100%, watch: 20s, warmup: 2s}\n" PLAY_METRIC);
    for (int i = 0; i < 60 && play_weight(&p) < 5; i++)
        play_second(&p, t);
    cr_assert(eq(u32, play_weight(&p), 5u));
    cr_assert(eq(u32, foldrun_last(&p.run)->from_bp, 1u));
    cr_assert(strstr(foldrun_last(&p.run)->message, "0.01 % -> 0.05 %") != NULL, "%s",
              foldrun_last(&p.run)->message);
    t.weight = 0.0003; /* 0.03 % */
    play_for(&p, 40, t);
    cr_assert(eq(str, foldrun_last(&p.run)->reason, "sample_ratio"));
    play_end(&p);
}
