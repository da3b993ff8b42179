/* tests/unit/core/test_turns.c -- every cell of the table, driven through the one
 * function that changes state; and what limits, several metrics and strata add */
#include "engine/core/turn.h"
#include "tests/support/play.h"

static bool weight_moves(enum decide_event e)
{
    return e == EV_START || e == EV_SAFE || e == EV_FULL || e == EV_ADVANCE ||
           e == EV_ADVANCE_FULL;
}

static void drive(enum rollout_state s, enum decide_event e)
{
    struct play p;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 6, play_traffic());
    struct rollout *r = fold_find(p.run.fold, PLAY_ID);
    const struct decide_rule *rule = &decide_rules[s][e];
    r->state = s;
    r->held_from = ROLLOUT_SETTLING;
    r->gated_from = ROLLOUT_OBSERVING;
    struct turn t = turn_of(r, "test");
    t.hold = HOLD_OPERATOR;
    if (rule->to == ROLLOUT_ABORTED) t.to_bp = 0;
    if (weight_moves(e)) t.to_bp = 5000, t.to_step = 2;
    size_t seq = r->seq;
    uint32_t before = r->weight_bp;
    p.run.fold->fx = &p.run.fx;
    bool taken = turn_take(p.run.fold, r, e, &t);
    foldrun_keep(&p.run);
    cr_assert(eq(int, taken, rule->why != NULL));
    cr_assert(eq(u64, r->seq, seq + (rule->kind != SERIN__V1__KIND__KIND_UNSPECIFIED)));
    if (!taken) {
        cr_assert(eq(int, r->state, s));
        cr_assert(eq(u32, r->weight_bp, before));
    } else if (rule->to != ROLLOUT_BACK) {
        cr_assert(eq(int, r->state, rule->to));
    } else {
        cr_assert(eq(int, r->state,
                     s == ROLLOUT_HELD ? ROLLOUT_SETTLING : ROLLOUT_OBSERVING));
    }
    if (r->seq > seq) {
        const pb_verdict *v = foldrun_last(&p.run);
        cr_assert(eq(int, v->kind, rule->kind));
        cr_assert(eq(str, v->state_before, (char *)decide_state_name(s)));
        cr_assert(eq(str, v->state_after, (char *)decide_state_name(r->state)));
        cr_assert(eq(int, v->final, decide_final(r->state)));
    }
    play_end(&p);
}

Test(turns, every_cell)
{
    for (int s = 0; s < ROLLOUT_NSTATE; s++)
        for (int e = 0; e < EV_N; e++)
            drive((enum rollout_state)s, (enum decide_event)e);
}

#define LIMITED                                                                        \
    PLAY_HEAD "window: 1s\ncalibrate: skip\n" PLAY_STEPS                               \
              "metrics:\n  - {name: errors, kind: ratio, phi: 1, limit: 2%}\n"

Test(turns, a_limit_aborts_while_only_the_canary_is_left)
{
    struct play p;
    struct play_traffic bad = play_traffic();
    bad.rate_c = 0.1;
    play_start(&p, LIMITED);
    for (int i = 0; i < 200 && play_weight(&p) < 10000; i++)
        play_second(&p, play_traffic());
    cr_assert(eq(str, (char *)play_state(&p), "WATCHING"));
    play_for(&p, 15, bad);
    play_show(&p);
    const pb_verdict *v = foldrun_last(&p.run);
    cr_assert(eq(int, v->kind, SERIN__V1__KIND__KIND_ABORT));
    cr_assert(eq(str, v->reason, "limit"));
    cr_assert(eq(u32, v->from_bp, 10000u));
    play_end(&p);
}

/* Both cohorts are bad alike: no harm by comparison, but over the limit. */
Test(turns, a_common_incident_over_the_limit_aborts_or_stays)
{
    struct play p;
    struct play_traffic bad = play_traffic();
    bad.rate_c = bad.rate_b = 0.04;
    play_start(&p, LIMITED);
    play_for(&p, 60, bad);
    const pb_verdict *v = foldrun_last(&p.run);
    cr_assert(eq(int, v->kind, SERIN__V1__KIND__KIND_ABORT));
    cr_assert(eq(str, v->reason, "limit"));
    play_end(&p);
    struct play_traffic near = play_traffic(); /* above it, not yet surely */
    near.rate_c = near.rate_b = 0.0203;
    play_start(&p, LIMITED);
    play_for(&p, 60, near);
    for (size_t i = 1; i < p.run.n_verdicts; i++) {
        const pb_metric_verdict *m = p.run.verdicts[i]->metrics[0];
        if (p.run.verdicts[i]->kind == SERIN__V1__KIND__KIND_PROMOTE)
            cr_assert(le(dbl, m->canary->rate, 0.02));
    }
    play_end(&p);
}

Test(turns, below_the_floor_a_large_ratio_is_ignored)
{
    struct play p;
    struct play_traffic t = play_traffic();
    t.rate_c = 0.01;
    t.rate_b = 0.001;
    play_start(&p, PLAY_HEAD
               "window: 1s\ncalibrate: skip\n" PLAY_STEPS
               "metrics:\n  - {name: errors, kind: ratio, phi: 1, floor: 5%}\n");
    play_for(&p, 100, t);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "harm") == NULL);
    cr_assert(eq(u32, play_weight(&p), 1000u));
    play_end(&p);
}

/* One metric silent at all must not let the other one promote. */
Test(turns, every_protected_metric_has_to_pass)
{
    struct play p;
    play_start(&p, PLAY_HEAD "window: 1s\ncalibrate: skip\n" PLAY_STEPS
                             "metrics:\n  - {name: errors, kind: ratio, phi: 1}\n"
                             "  - {name: timeouts, kind: ratio, phi: 1}\n");
    play_for(&p, 100, play_traffic());
    cr_assert(eq(u32, play_weight(&p), 1000u));
    const pb_verdict *v = foldrun_last(&p.run);
    cr_assert(eq(str, v->reason, "no_data"));
    cr_assert(eq(str, v->metric, "timeouts"));
    play_end(&p);
}

Test(turns, a_metric_to_warn_of_decides_nothing)
{
    struct play p;
    struct play_traffic other = play_traffic();
    play_start(&p, PLAY_HEAD "window: 1s\ncalibrate: skip\n" PLAY_STEPS
                             "metrics:\n  - {name: errors, kind: ratio, phi: 1}\n"
                             "  - {name: odd, kind: ratio, phi: 1, mode: warn}\n");
    for (int i = 0; i < 100 && play_weight(&p) < 5000; i++) {
        inbox_second(&p.inbox, (struct inbox_second){.rollout = PLAY_ID,
                                                     .metric = "odd",
                                                     .at_ms = p.now * 1000,
                                                     .n = 100,
                                                     .x = 60,
                                                     .m = 900,
                                                     .y = 9});
        play_second(&p, other);
    }
    cr_assert(eq(u32, play_weight(&p), 5000u));
    pb_rollout *row = foldrun_row(&p.run, PLAY_ID);
    cr_assert(eq(sz, row->status->n_warnings, (size_t)1));
    play_end(&p);
}

/* Same counts, strata and records in another order: same bytes. */
Test(turns, order_within_a_window_does_not_show)
{
    struct play p[2];
    for (int k = 0; k < 2; k++) {
        play_start(&p[k], PLAY_PLAN);
        for (int s = 0; s < 40; s++) {
            for (int i = 0; i < 3; i++) {
                int at = k == 0 ? i : 2 - i;
                const char *names[] = {"eu", "us", "asia"};
                inbox_second(&p[k].inbox,
                             (struct inbox_second){.rollout = PLAY_ID,
                                                   .stratum = names[at],
                                                   .at_ms = p[k].now * 1000,
                                                   .n = 30 + (unsigned)at,
                                                   .x = (unsigned)(s + at) % 2,
                                                   .m = 290 + (unsigned)at,
                                                   .y = (unsigned)(s * at) % 7});
            }
            p[k].now++;
            inbox_tick(&p[k].inbox, p[k].now * 1000, p[k].now * 1000 - 2000);
        }
        play_feed(&p[k]);
    }
    cr_assert(gt(sz, p[0].run.n_verdicts, (size_t)1));
    cr_assert(eq(sz, p[0].run.n_verdicts, p[1].run.n_verdicts));
    for (size_t i = 0; i < p[0].run.n_verdicts; i++) {
        cr_assert(eq(sz, p[0].run.raw[i].n, p[1].run.raw[i].n));
        cr_assert(memcmp(p[0].run.raw[i].p, p[1].run.raw[i].p, p[0].run.raw[i].n) == 0);
    }
    play_end(&p[0]);
    play_end(&p[1]);
}

Test(turns, nonsense_is_counted_and_harmless)
{
    struct play p;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 6, play_traffic());
    const int64_t times[] = {-1, INT64_MIN, INT64_MAX, (p.now + 3600) * 1000};
    for (size_t i = 0; i < 4; i++)
        inbox_second(&p.inbox,
                     (struct inbox_second){
                         .rollout = PLAY_ID, .at_ms = times[i], .n = 1, .m = 1});
    inbox_second(&p.inbox, (struct inbox_second){.rollout = PLAY_ID,
                                                 .at_ms = p.now * 1000,
                                                 .n = 5,
                                                 .x = 6,
                                                 .m = UINT64_MAX});
    inbox_tick(&p.inbox, INT64_MAX, INT64_MAX);
    inbox_tick(&p.inbox, INT64_MIN, INT64_MIN);
    play_for(&p, 3, play_traffic());
    pb_rollout *row = foldrun_row(&p.run, PLAY_ID);
    cr_assert(eq(u64, row->status->poison, 8 + 5 + COUNT_MAX));
    cr_assert(eq(u64, row->status->late, 0));
    play_end(&p);
}
