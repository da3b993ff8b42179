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
