/* tests/unit/core/test_holds.c -- the no-data table, row by row: what must never
 * promote */
#include "tests/support/play.h"

#define HOLD SERIN__V1__KIND__KIND_HOLD
#define RESUME SERIN__V1__KIND__KIND_RESUME
#define ABORT SERIN__V1__KIND__KIND_ABORT
#define PROMOTE SERIN__V1__KIND__KIND_PROMOTE

/* No weight went up after the first verdict, and this hold came; returns it. */
static pb_verdict *held(struct play *p, const char *reason, uint32_t weight)
{
    play_show(p);
    pb_verdict *v = play_find(p, 0, HOLD, reason);
    cr_assert(v != NULL, "no HOLD(%s)", reason);
    cr_assert(eq(u32, v->from_bp, weight));
    cr_assert(eq(u32, v->to_bp, weight));
    cr_assert(gt(sz, strlen(v->message), (size_t)20));
    for (size_t i = 1; i < p->run.n_verdicts; i++)
        cr_assert(ne(int, p->run.verdicts[i]->kind, PROMOTE));
    return v;
}

Test(holds, metric_never_seen)
{
    struct play p;
    struct play_traffic typo = play_traffic();
    typo.metric = "eroors";
    play_start(&p, PLAY_PLAN);
    play_for(&p, 60, typo);
    pb_verdict *v = held(&p, "no_data", 1000);
    cr_assert(eq(str, v->metric, "errors"));
    cr_assert(strstr(v->message, "name in the stream") != NULL);
    play_for(&p, 300, typo); /* at the step's time-out it stays, as on.timeout says */
    cr_assert(eq(str, (char *)play_state(&p), "HELD"));
    play_end(&p);
}

Test(holds, metric_never_seen_ends_at_timeout_when_the_plan_says_abort)
{
    struct play p;
    struct play_traffic typo = play_traffic();
    typo.metric = "eroors";
    play_start(
        &p, PLAY_HEAD
        "window: 1s\ncalibrate: skip\non: {timeout: abort}\n" PLAY_STEPS PLAY_METRIC);
    play_for(&p, 320, typo);
    held(&p, "no_data", 1000);
    cr_assert(play_find(&p, 0, ABORT, "timeout") != NULL);
    play_end(&p);
}

Test(holds, no_data_aborts_when_the_plan_says_so)
{
    struct play p;
    struct play_traffic typo = play_traffic();
    typo.metric = "eroors";
    play_start(
        &p, PLAY_HEAD
        "window: 1s\ncalibrate: skip\non: {no_data: abort}\n" PLAY_STEPS PLAY_METRIC);
    play_for(&p, 60, typo);
    cr_assert(play_find(&p, 0, ABORT, "no_data") != NULL);
    play_end(&p);
}

/* Nobody waits ten minutes to hear of a typo: calibration holds when its span is over
 * and nothing came, and goes on by itself when the name is there after all. */
Test(holds, a_name_that_nobody_reports_is_said_before_the_first_weight)
{
    struct play p;
    struct play_traffic typo = play_traffic();
    typo.metric = "eroors";
    play_start(&p, PLAY_HEAD "window: 1s\ncalibrate: 1m\n" PLAY_STEPS
                             "metrics:\n  - {name: errors, kind: ratio}\n");
    play_for(&p, 55, typo);
    cr_assert(eq(sz, p.run.n_verdicts, 0));
    play_for(&p, 10, typo);
    cr_assert(play_find(&p, 0, HOLD, "no_data") != NULL);
    cr_assert(eq(u32, play_weight(&p), 0));
    play_for(&p, 80, play_traffic());
    cr_assert(play_find(&p, 1, PROMOTE, "start") != NULL);
    play_end(&p);
}

Test(holds, canary_silent_then_abort)
{
    struct play p;
    struct play_traffic dead = play_traffic();
    dead.canary = 0;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 5, play_traffic());
    play_for(&p, 40, dead);
    held(&p, "canary_silent", 1000);
    play_for(&p, 100, dead);
    pb_verdict *v = play_find(&p, 0, ABORT, "canary_silent");
    cr_assert(v != NULL);
    cr_assert(eq(u32, v->to_bp, 0u));
    play_end(&p);
}

Test(holds, canary_that_comes_back_resumes)
{
    struct play p;
    struct play_traffic dead = play_traffic();
    dead.canary = 0;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 5, play_traffic());
    play_for(&p, 20, dead);
    held(&p, "canary_silent", 1000);
    play_for(&p, 3, play_traffic());
    cr_assert(play_find(&p, 0, RESUME, "canary_silent") != NULL);
    cr_assert(eq(str, (char *)play_state(&p), "OBSERVING"));
    play_end(&p);
}

/* Half a second of it is missing first: not a wrong split, a silent canary. */
Test(holds, a_cohort_that_stops_within_a_second)
{
    struct play p;
    struct play_traffic part = play_traffic(), dead = play_traffic();
    part.canary = 0.1;
    dead.canary = 0;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 6, play_traffic());
    play_second(&p, part);
    play_for(&p, 15, dead);
    held(&p, "canary_silent", 1000);
    play_second(&p, part);
    play_for(&p, 5, play_traffic());
    cr_assert(play_find(&p, 0, HOLD, "sample_ratio") == NULL);
    play_end(&p);
}

Test(holds, a_trickle_of_traffic_is_not_silence)
{
    struct play p;
    struct play_traffic few = play_traffic();
    few.per_second = 1; /* the canary gets a request every 10 s */
    play_start(&p, PLAY_PLAN);
    play_for(&p, 200, few);
    play_show(&p);
    cr_assert(play_find(&p, 0, HOLD, "canary_silent") == NULL);
    cr_assert(play_find(&p, 0, ABORT, "canary_silent") == NULL);
    play_end(&p);
}

/* Two exports of a minute each are late; what is not silent is not dead. */
Test(holds, a_slow_exporter_is_not_dead)
{
    struct play p;
    struct play_traffic late = play_traffic();
    late.canary = 0;
    play_start(&p,
               PLAY_HEAD "window: 1m\ncalibrate: skip\nsteps:\n"
                         "  - {weight: 10%, worse_than: 3, bake: 10m, timeout: 1h}\n"
                         "  - {weight: 100%, watch: 20s}\n" PLAY_METRIC);
    play_for(&p, 120, play_traffic());
    play_for(&p, 150, late);
    cr_assert(eq(u32, play_weight(&p), 1000u), "%s", foldrun_last(&p.run)->message);
    play_for(&p, 60, late);
    cr_assert(play_find(&p, 0, ABORT, "canary_silent") != NULL);
    play_end(&p);
}

Test(holds, baseline_silent)
{
    struct play p;
    struct play_traffic dead = play_traffic();
    dead.baseline = 0;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 5, play_traffic());
    play_for(&p, 200, dead);
    held(&p, "baseline_silent", 1000);
    cr_assert(not(foldrun_last(&p.run)->final));
    play_end(&p);
}

Test(holds, all_silent_is_blind)
{
    struct play p;
    struct play_traffic dead = play_traffic();
    dead.canary = dead.baseline = 0;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 5, play_traffic());
    play_for(&p, 60, dead);
    held(&p, "blind", 1000);
    play_for(&p, 4, play_traffic());
    cr_assert(play_find(&p, 0, RESUME, "blind") != NULL);
    play_end(&p);
}

Test(holds, lag_over_the_bound_is_blind)
{
    struct play p;
    struct play_traffic broker_down = play_traffic();
    broker_down.silent_clock = true;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 5, play_traffic());
    play_for(&p, 61, broker_down);
    held(&p, "blind", 1000);
    cr_assert(strstr(foldrun_last(&p.run)->message, "behind") != NULL);
    play_end(&p);
}

Test(holds, a_gap_voids_the_evidence)
{
    struct play p;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 9, play_traffic());
    pb_inbox in = SERIN__V1__INBOX__INIT;
    pb_tick t = SERIN__V1__TICK__INIT;
    pb_source s = SERIN__V1__SOURCE__INIT, *items[] = {&s};
    s.topic = "metrics";
    s.known = true;
    s.watermark_ms = (p.now - 2) * 1000;
    s.gaps = 1;
    t.worker = "ingest-1";
    t.wall_ms = p.now * 1000;
    t.n_sources = 1;
    t.sources = items;
    in.body_case = SERIN__V1__INBOX__BODY_TICK;
    in.tick = &t;
    inbox_add(&p.inbox, &in);
    play_feed(&p);
    held(&p, "blind", 1000);
    pb_rollout *row = foldrun_row(&p.run, PLAY_ID);
    cr_assert(eq(dbl, row->status->metrics[0]->promote_log_e, 0.0));
    cr_assert(eq(u64, row->status->metrics[0]->canary->n, 0));
    play_end(&p);
}

/* The stage found a hole in the inbox itself. */
Test(holds, a_gap_of_the_inbox_is_blind_until_new_data)
{
    struct play p;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 9, play_traffic());
    fold_gap(p.run.fold, p.inbox.next, p.inbox.next + 10);
    p.inbox.next += 10;
    struct play_traffic none = play_traffic();
    none.canary = none.baseline = 0;
    play_for(&p, 1, none);
    held(&p, "blind", 1000);
    play_for(&p, 8, play_traffic());
    cr_assert(play_find(&p, 0, RESUME, "blind") != NULL);
    play_end(&p);
}

Test(holds, poison_over_one_percent)
{
    struct play p;
    struct play_traffic bad = play_traffic();
    bad.poison = 30;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 8, bad);
    pb_verdict *v = held(&p, "bad_data", 1000);
    cr_assert(gt(u64, v->poison, 0));
    play_for(&p, 90, play_traffic());
    cr_assert(play_find(&p, 0, RESUME, "bad_data") != NULL);
    play_end(&p);
}

Test(holds, late_over_one_percent_is_counted_and_held)
{
    struct play p;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 6, play_traffic());
    inbox_second(&p.inbox, (struct inbox_second){.rollout = PLAY_ID,
                                                 .at_ms = (p.now - 6) * 1000,
                                                 .n = 100,
                                                 .m = 100});
    play_second(&p, play_traffic());
    pb_verdict *v = held(&p, "bad_data", 1000);
    cr_assert(eq(u64, v->late, 200));
    play_end(&p);
}

Test(holds, split_that_disagrees_with_the_weight)
{
    struct play p;
    struct play_traffic wrong = play_traffic();
    wrong.weight = 0.15;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 60, wrong);
    pb_verdict *v = held(&p, "sample_ratio", 1000);
    cr_assert(gt(dbl, v->sample_ratio->log_e, v->sample_ratio->threshold));
    play_for(&p, 60, play_traffic()); /* does not end by itself */
    cr_assert(eq(str, (char *)play_state(&p), "HELD"));
    cr_assert(play_verb(&p, SERIN__V1__VERB__VERB_RESUME)->accepted);
    cr_assert(play_find(&p, 0, RESUME, "operator") != NULL);
    play_end(&p);
}

Test(holds, split_within_the_tolerance_is_fine)
{
    struct play p;
    play_start(&p, PLAY_PLAN);
    for (int i = 0; i < 400 && !foldrun_last(&p.run)->final; i++)
        play_second(&p, play_traffic());
    cr_assert(play_find(&p, 0, HOLD, "sample_ratio") == NULL);
    play_end(&p);
}

static const char ack_plan[] = PLAY_HEAD
    "window: 1s\ncalibrate: skip\nrequire_ack: true\nack_timeout: 10s\n" PLAY_STEPS
        PLAY_METRIC;

Test(holds, actuator_silent_then_wrong_then_right)
{
    struct play p;
    struct play_traffic as_before = play_traffic();
    as_before.weight = 0;
    play_start(&p, ack_plan);
    play_for(&p, 12, as_before);
    held(&p, "actuator", 1000);
    inbox_ack(&p.inbox, PLAY_ID, 1, 500, "");
    play_second(&p, as_before);
    cr_assert(eq(str, (char *)play_state(&p), "HELD"));
    inbox_ack(&p.inbox, PLAY_ID, 1, 1000, "");
    play_feed(&p);
    cr_assert(play_find(&p, 0, RESUME, "actuator") != NULL);
    play_for(&p, 4, play_traffic());
    cr_assert(eq(str, (char *)play_state(&p), "OBSERVING"));
    inbox_ack(&p.inbox, PLAY_ID, 2, 0, ""); /* the proxy was restarted: 0 % again */
    play_feed(&p);
    cr_assert(eq(str, (char *)play_state(&p), "HELD"));
    play_end(&p);
}

Test(holds, samples_before_the_acknowledgement_are_no_evidence)
{
    struct play p;
    play_start(&p, ack_plan);
    play_for(&p, 8, play_traffic());
    play_second(&p, play_traffic());
    pb_rollout *row = foldrun_row(&p.run, PLAY_ID);
    cr_assert(eq(u64, row->status->metrics[0]->canary->n, 0));
    inbox_ack(&p.inbox, PLAY_ID, 1, 1000, "");
    play_for(&p, 4, play_traffic()); /* nor those of the warm-up after it */
    row = foldrun_row(&p.run, PLAY_ID);
    cr_assert(eq(u64, row->status->metrics[0]->canary->n, 0));
    play_for(&p, 4, play_traffic());
    row = foldrun_row(&p.run, PLAY_ID);
    cr_assert(gt(u64, row->status->metrics[0]->canary->n, 0));
    play_end(&p);
}

/* Evidence of a minute ago does not promote a canary that says nothing now, even when
 * too little is expected of it to call it silent. */
Test(holds, stale_evidence_waits_for_a_sign_of_life)
{
    struct play p;
    struct play_traffic trickle = play_traffic();
    trickle.per_second = 1;
    trickle.weight = 0;
    play_start(&p,
               PLAY_HEAD "window: 1s\ncalibrate: skip\nsteps:\n"
                         "  - {weight: 10%, worse_than: 10, bake: 40s, warmup: 2s}\n"
                         "  - {weight: 100%, watch: 20s, warmup: 2s}\n" PLAY_METRIC);
    play_for(&p, 25, play_traffic());
    play_for(&p, 40, trickle);
    cr_assert(eq(u32, play_weight(&p), 1000u));
    cr_assert(play_find(&p, 0, HOLD, "canary_silent") == NULL);
    play_for(&p, 4, play_traffic());
    play_show(&p);
    cr_assert(eq(u32, play_weight(&p), 10000u));
    play_end(&p);
}

Test(holds, undecided_at_the_timeout)
{
    struct play p;
    struct play_traffic quiet = play_traffic();
    quiet.rate_c = quiet.rate_b = 0; /* no event, no evidence */
    play_start(&p, PLAY_PLAN);
    play_for(&p, 302, quiet);
    held(&p, "timeout", 1000);
    play_for(&p, 60, play_traffic());
    cr_assert(eq(str, (char *)play_state(&p), "HELD"),
              "evidence after it must not promote");
    cr_assert(play_verb(&p, SERIN__V1__VERB__VERB_RETRY)->accepted);
    cr_assert(play_find(&p, 0, RESUME, "timeout") != NULL);
    play_end(&p);
}

Test(holds, freeze_keeps_a_ready_step)
{
    struct play p;
    play_start(&p, PLAY_HEAD
               "window: 1s\ncalibrate: skip\n"
               "schedule: {freeze: [{from: 2023-11-14T22:13:30Z, to: "
               "2023-11-14T22:15:00Z, reason: holidays}]}\n" PLAY_STEPS PLAY_METRIC);
    play_for(&p, 60, play_traffic());
    pb_verdict *v = held(&p, "freeze", 1000);
    cr_assert(strstr(v->message, "holidays") != NULL);
    play_for(&p, 60, play_traffic());
    cr_assert(play_find(&p, 1, PROMOTE, "non_inferior") != NULL);
    play_end(&p);
}

Test(holds, state_that_cannot_be_restored)
{
    struct play p;
    struct fault why = {0};
    play_start(&p, PLAY_PLAN);
    play_for(&p, 8, play_traffic());
    fold_close(p.run.fold);
    cr_assert(eq(int, fold_open(&p.run.fold, &p.run.o), SERIN_OK));
    cr_assert(eq(int, fold_restore(p.run.fold, PLAY_ID, "\xff\xff\xff", 3, &why),
                 SERIN_EPARSE));
    cr_assert(strstr(why.text, PLAY_ID) != NULL);
    play_second(&p, play_traffic());
    play_show(&p);
    pb_verdict *v = foldrun_last(&p.run);
    cr_assert(eq(int, v->kind, HOLD));
    cr_assert(eq(str, v->reason, "state_lost"));
    cr_assert(not(play_verb(&p, SERIN__V1__VERB__VERB_RESUME)->accepted));
    cr_assert(play_verb(&p, SERIN__V1__VERB__VERB_ABORT)->accepted);
    cr_assert(eq(int, foldrun_last(&p.run)->kind, ABORT));
    play_end(&p);
}

/* The plan is there, the evidence is not: held, and a person may go on without it. */
Test(holds, evidence_that_cannot_be_restored)
{
    struct play p;
    struct fault why = {0};
    struct arena a = {0};
    pb_snapshot *s;
    struct bytes damaged;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 8, play_traffic());
    cr_assert(eq(int, fold_snapshot_all(p.run.fold, &p.run.fx), SERIN_OK));
    foldrun_keep(&p.run);
    for (size_t i = 0; i < p.run.n_state; i++)
        if (strcmp(p.run.state[i].key, PLAY_ID) == 0)
            cr_assert(eq(
                int,
                decode_snapshot(&a, p.run.state[i].value.p, p.run.state[i].value.n, &s),
                SERIN_OK));
    s->state->metrics[0]->all->l[3] = NAN;
    cr_assert(eq(int, encode_snapshot(&a, s, &damaged), SERIN_OK));
    fold_close(p.run.fold);
    cr_assert(eq(int, fold_open(&p.run.fold, &p.run.o), SERIN_OK));
    cr_assert(eq(int, fold_restore(p.run.fold, PLAY_ID, damaged.p, damaged.n, &why),
                 SERIN_EPARSE));
    play_second(&p, play_traffic());
    play_show(&p);
    pb_verdict *v = foldrun_last(&p.run);
    cr_assert(eq(str, v->reason, "state_lost"));
    cr_assert(eq(u64, v->seq, 2));
    cr_assert(eq(u32, v->to_bp, 1000u));
    play_for(&p, 60, play_traffic());
    cr_assert(eq(str, (char *)play_state(&p), "HELD"));
    cr_assert(play_verb(&p, SERIN__V1__VERB__VERB_RESUME)->accepted);
    play_for(&p, 60, play_traffic());
    cr_assert(play_find(&p, 2, PROMOTE, "non_inferior") != NULL);
    arena_free(&a);
    play_end(&p);
}

/* "100 %" with the old version still serving is not the end of a rollout. */
Test(holds, traffic_that_stays_behind_at_the_last_weight)
{
    struct play p;
    struct play_traffic behind = play_traffic();
    play_start(&p, PLAY_PLAN);
    for (int i = 0; i < 600 && play_weight(&p) < 10000; i++)
        play_second(&p, play_traffic());
    cr_assert(eq(u32, play_weight(&p), 10000));
    behind.weight = 0.5;
    play_for(&p, 60, behind);
    cr_assert(play_find(&p, 0, HOLD, "sample_ratio") != NULL);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"HELD"));
    play_end(&p);
}

/* Bursts that grow after the calibration: held, never silently aborted. */
Test(holds, dispersion_that_outgrows_the_calibration)
{
    struct play p;
    play_start(&p, PLAY_PLAN);
    for (int i = 0; i < 120 && !foldrun_last(&p.run)->final; i++) {
        struct play_traffic burst = play_traffic();
        burst.rate_c = burst.rate_b = i % 3 == 0 ? 0.04 : 0.004;
        play_second(&p, burst);
        if (play_find(&p, 0, HOLD, "dispersion") != NULL) break;
    }
    play_show(&p);
    cr_assert(play_find(&p, 0, HOLD, "dispersion") != NULL);
    play_end(&p);
}
