/* tests/unit/core/test_experiment.c -- a question about one metric, from plan to result
 */
#include "tests/support/play.h"

#define QUESTION(keys)                                                                 \
    PLAY_HEAD "strategy: experiment\nwindow: 1s\ncalibrate: skip\n"                    \
              "experiment: {metric: errors, " keys "}\n"                               \
              "metrics:\n  - {name: errors, kind: ratio, phi: 1}\n"
#define GUARD "  - {name: crashes, kind: ratio, phi: 1}\n"

/* A second in which the guardrail has this rate in the canary, 1 % in the baseline. */
static void second_with_guard(struct play *p, struct play_traffic t, double rate)
{
    double w = play_weight(p) / 10000.0;
    unsigned n = gsl_ran_binomial(p->rng, w, t.per_second), m = t.per_second - n;
    inbox_second(&p->inbox,
                 (struct inbox_second){.rollout = PLAY_ID,
                                       .metric = "crashes",
                                       .at_ms = p->now * 1000,
                                       .n = n,
                                       .x = gsl_ran_binomial(p->rng, rate, n),
                                       .m = m,
                                       .y = gsl_ran_binomial(p->rng, 0.01, m)});
    play_second(p, t);
}

/* Until it is final, or for so many seconds. */
static pb_verdict *end_of(struct play *p, const char *plan, double rate_c, int seconds)
{
    struct play_traffic t = play_traffic();
    t.rate_b = 0.05;
    t.rate_c = rate_c;
    play_start(p, plan);
    for (int i = 0; i < seconds; i++) {
        play_second(p, t);
        if (foldrun_last(&p->run)->final) break;
    }
    play_show(p);
    return foldrun_last(&p->run);
}

static void expect(const pb_verdict *v, const char *result, const char *reason,
                   uint32_t to_bp)
{
    cr_expect(eq(int, v->kind, SERIN__V1__KIND__KIND_RESULT), "%s", v->message);
    cr_expect(eq(str, v->result, (char *)(uintptr_t)result), "%s", v->message);
    cr_expect(eq(str, v->reason, (char *)(uintptr_t)reason), "%s", v->message);
    cr_expect(eq(str, v->state_after, (char *)"CONCLUDED"));
    cr_expect(eq(u32, v->to_bp, to_bp));
    cr_expect(v->final);
}

static bool says(const pb_verdict *v, const char *part)
{
    return strstr(v->message, part) != NULL;
}

Test(experiment, more_is_better_or_worse_as_the_plan_says)
{
    struct play p;
    pb_verdict *v = end_of(&p, QUESTION("better: up"), 0.08, 300);
    const pb_metric_verdict *m = v->metrics[0];
    expect(v, "win", "better", 0);
    cr_expect(says(v, "errors at 50 %: canary ") && says(v, " vs baseline "));
    cr_expect(says(v, "the canary is better") && says(v, "level 0.05"), "%s",
              v->message);
    cr_expect(m->lower >= 1 && m->lower < m->estimate);
    cr_expect(ge(dbl, m->question->more_log_e, m->question->threshold));
    cr_expect(epsilon_eq(dbl, m->question->threshold, log(40), 1e-12));
    cr_expect(eq(str, m->question->better, (char *)"up"));
    cr_expect(eq(dbl, m->abort_log_e, 0), "what is asked about never aborts");
    const pb_status *s = foldrun_row(&p.run, PLAY_ID)->status;
    cr_expect(strcmp(s->state, "CONCLUDED") == 0 && s->final);
    cr_expect(eq(str, s->result, (char *)"win"));
    play_end(&p);
    expect(end_of(&p, QUESTION("better: down"), 0.08, 300), "lose", "worse", 0);
    play_end(&p);
    expect(end_of(&p, QUESTION("better: down"), 0.03, 300), "win", "better", 0);
    play_end(&p);
    expect(end_of(&p, QUESTION("better: up"), 0.03, 300), "lose", "worse", 0);
    play_end(&p);
}

Test(experiment, a_difference_within_the_margin_does_not_matter)
{
    struct play p;
    pb_verdict *v = end_of(&p, QUESTION("better: up, equivalent: 50%"), 0.05, 300);
    expect(v, "no_difference", "equivalent", 0);
    cr_expect(le(dbl, v->metrics[0]->upper, 1.5 + 1e-12));
    cr_expect(ge(dbl, v->metrics[0]->lower, 1 / 1.5 - 1e-12));
    cr_expect(says(v, "within 0.6667 and 1.5"), "%s", v->message);
    play_end(&p);
}

Test(experiment, the_time_ends_it_with_what_is_known)
{
    struct play p;
    pb_verdict *v = end_of(&p, QUESTION("better: up, duration: 1m"), 0.05, 300);
    expect(v, "no_difference", "inconclusive", 0);
    cr_expect(says(v, "undecided after 60 s"), "%s", v->message);
    cr_expect(eq(i64, v->t_ms, (PLAY_T0 + 60) * INT64_C(1000)));
    cr_expect(v->metrics[0]->lower < 1 / 1.02 && v->metrics[0]->upper > 1.02);
    play_end(&p);
}

Test(experiment, the_time_left_is_to_its_end_and_may_be_extended)
{
    struct play p;
    pb_command c = SERIN__V1__COMMAND__INIT;
    play_start(&p, QUESTION("better: up, duration: 1m"));
    struct play_traffic t = play_traffic();
    play_for(&p, 30, t);
    int64_t eta = foldrun_row(&p.run, PLAY_ID)->status->eta_ms;
    cr_assert(eta <= 32000 && eta >= 28000, "%lld", (long long)eta);
    c.verb = SERIN__V1__VERB__VERB_EXTEND, c.extend_ms = 60000, c.actor = "ann";
    cr_assert(play_command(&p, c)->accepted);
    play_for(&p, 60, t);
    cr_assert(not(foldrun_last(&p.run)->final));
    play_for(&p, 30, t);
    expect(foldrun_last(&p.run), "no_difference", "inconclusive", 0);
    play_end(&p);
}

Test(experiment, the_weight_may_stay_but_not_of_a_loser)
{
    struct play p;
    expect(end_of(&p, QUESTION("better: up, weight: 20%, keep: true"), 0.09, 300),
           "win", "better", 2000);
    cr_assert(eq(u32, foldrun_row(&p.run, PLAY_ID)->status->weight_bp, 2000u));
    play_end(&p);
    expect(end_of(&p, QUESTION("better: down, keep: true"), 0.09, 300), "lose", "worse",
           0);
    play_end(&p);
}

Test(experiment, guardrails_abort_and_the_question_does_not)
{
    struct play p;
    struct play_traffic t = play_traffic();
    play_start(&p, QUESTION("better: up, level: 0.000001") GUARD);
    for (int i = 0; i < 60; i++)
        second_with_guard(&p, t, 0.01);
    cr_assert(eq(sz, p.run.n_verdicts, (size_t)1), "%s", foldrun_last(&p.run)->message);
    for (int i = 0; i < 60 && !foldrun_last(&p.run)->final; i++)
        second_with_guard(&p, t, 0.05);
    const pb_verdict *v = foldrun_last(&p.run);
    cr_assert(eq(int, v->kind, SERIN__V1__KIND__KIND_ABORT));
    cr_assert(eq(str, v->reason, (char *)"harm"));
    cr_assert(eq(str, v->metric, (char *)"crashes"));
    cr_assert(eq(str, v->result, (char *)""));
    cr_assert(v->metrics[1]->flagged && !v->metrics[0]->flagged);
    play_end(&p);
}

Test(experiment, holds_stop_it_and_people_cannot_promote_it)
{
    struct play p;
    struct play_traffic t = play_traffic();
    play_start(&p, QUESTION("better: up, duration: 1m"));
    play_for(&p, 20, t);
    pb_outcome *o = play_verb(&p, SERIN__V1__VERB__VERB_PROMOTE);
    cr_assert(not(o->accepted));
    cr_assert(strstr(o->message, "wait for its result") != NULL, "%s", o->message);
    cr_assert(play_verb(&p, SERIN__V1__VERB__VERB_HOLD)->accepted);
    t.rate_c = 0.2;
    play_for(&p, 60, t); /* plain, and its time over: but somebody holds it */
    cr_assert(eq(str, (char *)(uintptr_t)play_state(&p), (char *)"HELD"));
    cr_assert(play_verb(&p, SERIN__V1__VERB__VERB_RESUME)->accepted);
    play_second(&p, t);
    expect(foldrun_last(&p.run), "win", "better", 0);
    size_t n = p.run.n_verdicts;
    play_for(&p, 20, t);
    cr_assert(not(play_verb(&p, SERIN__V1__VERB__VERB_ABORT)->accepted));
    cr_assert(eq(sz, p.run.n_verdicts, n), "a result absorbs everything");
    play_end(&p);
}

Test(experiment, a_wrong_split_gives_no_result)
{
    struct play p;
    struct play_traffic t = play_traffic();
    t.weight = 0.4;
    t.rate_c = 0.02;
    play_start(&p, QUESTION("better: up, level: 0.0001"));
    play_for(&p, 120, t);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_HOLD, "sample_ratio") != NULL);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_RESULT, "better") == NULL);
    play_end(&p);
}

Test(experiment, a_few_requests_are_no_answer)
{
    struct play p;
    end_of(&p, QUESTION("better: up") "criteria: {min_requests: 30000}\n", 0.2, 50);
    cr_assert(eq(sz, p.run.n_verdicts, (size_t)1));
    play_end(&p);
}

/* One quantile of a latency: the share of values beyond it. */
Test(experiment, asks_about_a_quantile)
{
    struct play p;
    play_start(&p,
               PLAY_HEAD "strategy: experiment\nwindow: 1s\ncalibrate: skip\n"
                         "experiment: {better: down}\n"
                         "metrics:\n"
                         "  - {name: time, kind: latency, protect: [p90], phi: 1}\n");
    for (int s = 0; s < 120 && !foldrun_last(&p.run)->final; s++) {
        struct hist h[2];
        for (int c = 0; c < 2; c++) {
            cr_assert(eq(int, hist_init(&h[c], 5), SERIN_OK));
            for (int i = 0; i < 500; i++)
                cr_assert(
                    eq(int,
                       hist_add(&h[c], exp(gsl_ran_gaussian(p.rng, c == 0 ? 0.4 : 0.5)),
                                1),
                       SERIN_OK));
        }
        struct hist_view v[2] = {hist_view(&h[0]), hist_view(&h[1])};
        inbox_latency(&p.inbox,
                      (struct inbox_second){.rollout = PLAY_ID,
                                            .metric = "time",
                                            .at_ms = p.now++ * 1000},
                      &v[0], &v[1]);
        inbox_tick(&p.inbox, p.now * 1000, p.now * 1000 - 2000);
        play_feed(&p);
    }
    expect(foldrun_last(&p.run), "win", "better", 0);
    cr_expect(says(foldrun_last(&p.run), "p90 canary"), "%s",
              foldrun_last(&p.run)->message);
    play_end(&p);
}

/* Restored at every tenth second, it says the same in the same bytes. */
Test(experiment, a_restart_changes_no_byte)
{
    struct play p;
    end_of(&p, QUESTION("better: up, equivalent: 50%"), 0.05, 300);
    size_t n = p.run.n_verdicts;
    struct bytes want = p.run.raw[n - 1];
    struct foldrun again = {0};
    foldrun_start(&again);
    for (size_t i = 0; i < p.inbox.n; i += 10) {
        struct inbox part = p.inbox;
        part.n = i + 10 < p.inbox.n ? i + 10 : p.inbox.n;
        foldrun_apply(&again, &part, i);
        size_t from = foldrun_restart(&again, &part), seen = again.n_verdicts;
        foldrun_apply(&again, &part, from);
        again.n_verdicts = seen; /* repeats of what was told before the crash */
    }
    cr_assert(eq(sz, again.n_verdicts, n));
    cr_assert(eq(sz, again.raw[n - 1].n, want.n));
    cr_assert(memcmp(again.raw[n - 1].p, want.p, want.n) == 0);
    foldrun_free(&again);
    play_end(&p);
}
