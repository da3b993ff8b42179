/* tests/unit/core/test_calibrate.c -- what the baseline tells before the first weight
 */
#include "engine/core/calibrate.h"
#include "tests/support/play.h"

#define PLAN(head)                                                                     \
    PLAY_HEAD head PLAY_STEPS "metrics:\n  - {name: errors, kind: ratio}\n"

static struct play_traffic reporting(int second, int every)
{
    struct play_traffic t = play_traffic();
    t.canary = t.baseline = second % every == 0 ? 1 : 0;
    t.rate_b = t.rate_c = 0.05;
    return t;
}

static int seconds_to_start(struct play *p, int most, int every)
{
    for (int i = 0; i < most; i++) {
        if (p->run.n_verdicts > 0 &&
            p->run.verdicts[0]->kind == SERIN__V1__KIND__KIND_PROMOTE)
            return i;
        play_second(p, reporting(i, every));
    }
    return most;
}

Test(calibrate, waits_for_time_and_windows)
{
    struct play p;
    play_start(&p, PLAN("window: 1s\ncalibrate: 90s\n"));
    cr_assert(eq(str, (char *)play_state(&p), "CALIBRATING"));
    int s = seconds_to_start(&p, 300, 1);
    cr_assert(ge(int, s, 90));
    cr_assert(le(int, s, 95));
    play_end(&p);
    play_start(&p, PLAN("window: 2s\ncalibrate: 10s\n")); /* 60 windows take 2 min */
    s = seconds_to_start(&p, 300, 1);
    cr_assert(ge(int, s, 120));
    cr_assert(le(int, s, 126));
    play_end(&p);
}

Test(calibrate, auto_window_is_twice_the_reporting_interval)
{
    const struct {
        int every;
        int64_t window_ms;
    } cases[] = {{1, 2000}, {5, 10000}, {2, 5000}};
    for (size_t i = 0; i < 3; i++) {
        struct play p;
        play_start(&p, PLAN("calibrate: 60s\n"));
        seconds_to_start(&p, 700, cases[i].every);
        play_show(&p);
        cr_assert(eq(i64, foldrun_row(&p.run, PLAY_ID)->status->window_ms,
                     cases[i].window_ms));
        play_end(&p);
    }
}

Test(calibrate, a_window_that_is_too_short_is_warned_of)
{
    struct play p;
    play_start(&p, PLAN("window: 1s\ncalibrate: 60s\n"));
    seconds_to_start(&p, 700, 5);
    pb_rollout *row = foldrun_row(&p.run, PLAY_ID);
    cr_assert(eq(sz, row->status->n_warnings, (size_t)1));
    cr_assert(strstr(row->status->warnings[0], "between reports") != NULL);
    cr_assert(strstr(foldrun_last(&p.run)->message, "shorter") != NULL);
    play_end(&p);
}

Test(calibrate, bursts_are_measured_frozen_and_shown)
{
    struct play p;
    play_start(&p, PLAN("window: 1s\ncalibrate: 3m\n"));
    for (int i = 0; i < 190 && p.run.n_verdicts == 0; i++) {
        struct play_traffic t = play_traffic();
        t.rate_b = i % 4 == 0 ? 0.05 : 0.005;
        play_second(&p, t);
    }
    pb_verdict *v = foldrun_last(&p.run);
    cr_assert(eq(str, v->reason, "start"));
    cr_assert(gt(dbl, v->metrics[0]->dispersion, 3.0));
    double frozen = v->metrics[0]->dispersion;
    play_for(&p, 20, play_traffic());
    cr_assert(
        eq(dbl, foldrun_row(&p.run, PLAY_ID)->status->metrics[0]->dispersion, frozen));
    play_end(&p);
}

Test(calibrate, without_a_baseline_it_never_starts)
{
    struct play p;
    struct play_traffic none = play_traffic();
    none.baseline = 0;
    play_start(&p, PLAN("window: 1s\n"));
    play_for(&p, 119, none); /* calibrate is 2 min */
    cr_assert(eq(sz, p.run.n_verdicts, (size_t)0));
    play_for(&p, 300, none);
    pb_verdict *v = foldrun_last(&p.run);
    cr_assert(eq(int, v->kind, SERIN__V1__KIND__KIND_HOLD));
    cr_assert(eq(str, v->reason, "no_data"));
    cr_assert(eq(u32, v->to_bp, 0u));
    struct play_traffic found = play_traffic();
    found.rate_b = 0.05;
    play_for(&p, 70, found);
    play_show(&p);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_RESUME, "no_data") != NULL);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_PROMOTE, "start") != NULL);
    play_end(&p);
}

Test(calibrate, the_plans_phi_wins)
{
    struct play p;
    play_start(&p, PLAY_HEAD "window: 1s\ncalibrate: 60s\n" PLAY_STEPS
                             "metrics:\n  - {name: errors, kind: ratio, phi: 1.7}\n");
    seconds_to_start(&p, 200, 1);
    cr_assert(eq(dbl, foldrun_last(&p.run)->metrics[0]->dispersion, 1.7));
    play_end(&p);
}

Test(calibrate, intervals_and_lengths)
{
    struct calibrate c = {0};
    cr_assert(eq(i64, calibrate_interval_ms(&c, 0), 0));
    for (int64_t s = 0; s < 200; s += 10)
        cr_assert(eq(int, calibrate_window(&c, 0, s * 1000 + 1000, 1, 10), SERIN_OK));
    cr_assert(eq(i64, calibrate_interval_ms(&c, 0), 10000));
    cr_assert(eq(i64, calibrate_choose_ms(0), CALIBRATE_DEFAULT_MS));
    cr_assert(eq(i64, calibrate_choose_ms(10000), 30000));
    cr_assert(eq(i64, calibrate_choose_ms(45000), 60000));
    cr_assert(eq(int, calibrate_window(&c, 0, 0, 11, 10), SERIN_EDOM));
}
