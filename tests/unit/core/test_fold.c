/* tests/unit/core/test_fold.c -- a rollout from apply to its end, on scripted input */
#include "tests/support/play.h"

Test(fold, healthy_is_promoted_through_all_weights)
{
    struct play p;
    play_start(&p, PLAY_PLAN);
    for (int i = 0; i < 1200 && !foldrun_last(&p.run)->final; i++)
        play_second(&p, play_traffic());
    play_show(&p);
    cr_assert(eq(sz, p.run.n_verdicts, (size_t)4));
    const uint32_t to[] = {1000, 5000, 10000, 10000};
    const char *reason[] = {"start", "non_inferior", "non_inferior", "watched"};
    for (size_t i = 0; i < 4; i++) {
        const pb_verdict *v = p.run.verdicts[i];
        cr_assert(eq(int, v->kind, SERIN__V1__KIND__KIND_PROMOTE));
        cr_assert(eq(u32, v->to_bp, to[i]));
        cr_assert(eq(str, v->reason, (char *)reason[i]));
        cr_assert(eq(u64, v->seq, i + 1));
    }
    cr_assert(foldrun_last(&p.run)->final);
    cr_assert(eq(str, foldrun_row(&p.run, "web-2")->status->state, "PROMOTED"));
    cr_assert(not(foldrun_row(&p.run, "web-2")->route->live));
    play_end(&p);
}

Test(fold, failing_is_aborted)
{
    struct play p;
    play_start(&p, PLAY_PLAN);
    struct play_traffic bad = play_traffic();
    bad.rate_c = 0.05;
    for (int i = 0; i < 300 && !foldrun_last(&p.run)->final; i++)
        play_second(&p, bad);
    play_show(&p);
    const pb_verdict *v = foldrun_last(&p.run);
    cr_assert(eq(int, v->kind, SERIN__V1__KIND__KIND_ABORT));
    cr_assert(eq(str, v->reason, "harm"));
    cr_assert(eq(str, v->metric, "errors"));
    cr_assert(eq(u32, v->to_bp, 0u));
    cr_assert(eq(u32, v->from_bp, 1000u));
    play_end(&p);
}

/* Good at one weight, bad at the next: what was carried over must not let it pass. */
Test(fold, a_step_begins_with_no_evidence_of_its_own)
{
    struct play p;
    play_start(&p, PLAY_PLAN);
    while (play_weight(&p) < 5000)
        play_second(&p, play_traffic());
    const pb_metric_verdict *m = foldrun_row(&p.run, PLAY_ID)->status->metrics[0];
    cr_assert(gt(dbl, m->promote_log_e, 0.5));
    cr_assert(eq(dbl, m->restart_log_e, 0.0));
    cr_assert(eq(u64, m->canary->n, 0));
    struct play_traffic worse = play_traffic();
    worse.rate_c = 0.035;
    worse.rate_b = 0.01;
    for (int i = 0; i < 200 && !foldrun_last(&p.run)->final; i++)
        play_second(&p, worse);
    cr_assert(eq(int, foldrun_last(&p.run)->kind, SERIN__V1__KIND__KIND_ABORT));
    cr_assert(eq(u32, foldrun_last(&p.run)->from_bp, 5000u));
    play_end(&p);
}
