/* tests/unit/core/test_aftermath.c -- after an abort: did the service recover? Without
 * any verdict more, and wherever the process dies */
#include "engine/core/aftermath.h"
#include "tests/support/play.h"

#define PLAN                                                                           \
    PLAY_HEAD "window: 1s\ncalibrate: skip\nafter_abort: 60s\n" PLAY_STEPS PLAY_METRIC

static const pb_status *status(struct play *p)
{
    return foldrun_row(&p->run, PLAY_ID)->status;
}

/* Harm, the abort, then the service with this rate of errors. */
static void abort_then(struct play *p, const char *plan, double rate, int seconds)
{
    struct play_traffic t = play_traffic();
    play_start(p, plan);
    t.rate_c = 0.1;
    for (int i = 0; i < 60 && strcmp(play_state(p), "ABORTED") != 0; i++)
        play_second(p, t);
    cr_assert(eq(str, (char *)play_state(p), "ABORTED"));
    t.rate_b = rate;
    play_for(p, seconds, t);
}

static void finds(double rate, const char *finding, const char *words)
{
    struct play p;
    abort_then(&p, PLAN, rate, 5);
    size_t verdicts = p.run.n_verdicts;
    const pb_status *s = status(&p);
    cr_assert(eq(str, s->aftermath, "watching"));
    cr_assert(eq(str, s->aftermath_message, ""));
    cr_assert(foldrun_row(&p.run, PLAY_ID)->route->live, "its records still come in");
    struct play_traffic t = play_traffic();
    t.rate_b = rate;
    play_for(&p, 80, t);
    s = status(&p);
    cr_assert(eq(str, s->aftermath, (char *)finding), "%s", s->aftermath_message);
    cr_assert(strstr(s->aftermath_message, words) != NULL, "%s", s->aftermath_message);
    cr_assert(eq(str, s->state, "ABORTED"));
    cr_assert(not(foldrun_row(&p.run, PLAY_ID)->route->live));
    cr_assert(eq(sz, p.run.n_verdicts, verdicts), "no verdict comes of it");
    play_end(&p);
}

Test(aftermath, a_service_that_recovers)
{
    finds(0.01, "recovered", "it recovered");
}

Test(aftermath, a_service_that_does_not)
{
    finds(0.13, "not_recovered", "probably not the cause");
}

Test(aftermath, something_else_as_well)
{
    finds(0.03, "partly_recovered", "something else");
}

Test(aftermath, silence_says_nothing)
{
    struct play p;
    struct play_traffic t = play_traffic();
    t.canary = t.baseline = 0;
    abort_then(&p, PLAN, 0.01, 0);
    play_for(&p, 90, t);
    cr_assert(eq(str, status(&p)->aftermath, "unclear"));
    play_end(&p);
}

Test(aftermath, not_where_it_is_off_or_nobody_had_the_canary)
{
    struct play p;
    abort_then(&p,
               PLAY_HEAD
               "window: 1s\ncalibrate: skip\nafter_abort: off\n" PLAY_STEPS PLAY_METRIC,
               0.01, 5);
    cr_assert(eq(str, status(&p)->aftermath, ""));
    cr_assert(not(foldrun_row(&p.run, PLAY_ID)->route->live));
    play_end(&p);
    play_start(&p, PLAN);
    cr_assert(play_verb(&p, SERIN__V1__VERB__VERB_ABORT)->accepted);
    cr_assert(eq(str, status(&p)->aftermath, ""));
    play_end(&p);
}

static size_t notes(const struct play *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->run.n_audits; i++) {
        struct arena a = {0};
        pb_audit *m;
        cr_assert(eq(int, decode_audit(&a, p->run.audits[i].p, p->run.audits[i].n, &m),
                     SERIN_OK));
        if (strcmp(m->kind, "note") == 0) {
            n++;
            cr_assert(eq(str, m->subject, "recovered"));
        }
        arena_free(&a);
    }
    return n;
}

/* A restart in any tenth second: the same finding, once. */
Test(aftermath, survives_a_restart)
{
    char said[ROLLOUT_TEXT] = "";
    for (int at = 0; at < 80; at += 10) {
        struct play p;
        abort_then(&p, PLAN, 0.01, at);
        p.done = foldrun_restart(&p.run, &p.inbox);
        play_feed(&p);
        play_for(&p, 90 - at, play_traffic());
        const pb_status *s = status(&p);
        cr_assert(eq(str, s->aftermath, "recovered"));
        if (at == 0) snprintf(said, sizeof said, "%s", s->aftermath_message);
        cr_assert(eq(str, s->aftermath_message, said));
        cr_assert(eq(sz, notes(&p), (size_t)1));
        play_end(&p);
    }
}

#define SLOW                                                                           \
    PLAY_HEAD "window: 1s\ncalibrate: skip\nafter_abort: 30s\n" PLAY_STEPS             \
              "metrics:\n  - {name: time, kind: latency, phi: 1, protect: [p50]}\n"

/* Of a latency: requests beyond what was the baseline's quantile. */
static void slow_second(struct play *p, double factor_c, double factor_b)
{
    struct hist h[2];
    double w = play_weight(p) / 10000.0, factor[2] = {factor_c, factor_b};
    for (int k = 0; k < 2; k++) {
        cr_assert(eq(int, hist_init(&h[k], HIST_SCALE), SERIN_OK));
        int n = (int)(500 * (k == 0 ? w : 1 - w));
        for (int i = 0; i < n; i++)
            cr_assert(eq(
                int, hist_add(&h[k], factor[k] * gsl_ran_lognormal(p->rng, 4, 0.5), 1),
                SERIN_OK));
    }
    struct hist_view c = hist_view(&h[0]), b = hist_view(&h[1]);
    struct inbox_second s = {
        .rollout = PLAY_ID, .metric = "time", .at_ms = p->now * 1000};
    inbox_latency(&p->inbox, s, w > 0 ? &c : NULL, &b);
    p->now++;
    inbox_tick(&p->inbox, p->now * 1000, p->now * 1000 - 2000);
    play_feed(p);
}

Test(aftermath, a_latency_recovers_or_not)
{
    for (int k = 0; k < 2; k++) {
        struct play p;
        play_start(&p, SLOW);
        for (int i = 0; i < 100 && strcmp(play_state(&p), "ABORTED") != 0; i++)
            slow_second(&p, 2, 1);
        cr_assert(eq(str, (char *)play_state(&p), "ABORTED"));
        for (int i = 0; i < 50; i++)
            slow_second(&p, 1, k == 0 ? 1 : 2.2);
        cr_assert(
            eq(str, status(&p)->aftermath, k == 0 ? "recovered" : "not_recovered"),
            "%s", status(&p)->aftermath_message);
        play_end(&p);
    }
}
