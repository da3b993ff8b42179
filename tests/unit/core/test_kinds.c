/* tests/unit/core/test_kinds.c -- events, gauges, saturation, few pods and "fewer is
 * worse" through the whole fold */
#include "engine/core/fold_state.h"
#include "engine/core/kind_gauge.h"
#include "engine/core/plan.h"
#include "tests/support/play.h"

#define KINDS_HEAD PLAY_HEAD "window: 1s\ncalibrate: skip\n"
#define KINDS_STEPS                                                                    \
    "steps:\n"                                                                         \
    "  - {weight: 50%, worse_than: 2, bake: 10s, warmup: 1s, timeout: 1h}\n"           \
    "  - {weight: 100%, watch: 20s, warmup: 1s}\n"
#define REQUESTS "  - {name: errors, kind: ratio, phi: 1}\n"

/* What a second brings beside requests. */
struct extra {
    double crashes_c, crashes_b; /* of a request */
    const char *gauge;           /* name; NULL: none */
    double level_c, level_b, noise;
    size_t pods_c, pods_b;
};

static void gauge(struct play *p, const struct extra *x)
{
    double c[16], b[16];
    for (size_t i = 0; i < x->pods_c; i++)
        c[i] = x->level_c + gsl_ran_gaussian(p->rng, x->noise);
    for (size_t i = 0; i < x->pods_b; i++)
        b[i] = x->level_b + gsl_ran_gaussian(p->rng, x->noise);
    inbox_gauge(&p->inbox,
                (struct inbox_second){
                    .rollout = PLAY_ID, .metric = x->gauge, .at_ms = p->now * 1000},
                (struct inbox_pods){c, b, x->pods_c, x->pods_b});
}

static void kinds_for(struct play *p, int seconds, struct extra x)
{
    for (int s = 0; s < seconds; s++) {
        double share = play_weight(p) / 10000.0;
        uint64_t c = gsl_ran_poisson(p->rng, x.crashes_c * PLAY_RATE * share),
                 b = gsl_ran_poisson(p->rng, x.crashes_b * PLAY_RATE * (1 - share));
        if (share < 1) /* who is gone does not crash */
            inbox_second(&p->inbox, (struct inbox_second){.rollout = PLAY_ID,
                                                          .metric = "crashes",
                                                          .at_ms = p->now * 1000,
                                                          .n = c,
                                                          .m = b});
        if (x.gauge != NULL) gauge(p, &x);
        play_second(p, play_traffic());
    }
}

static pb_metric_verdict *metric_of(const pb_verdict *v, const char *name)
{
    size_t i = 0;
    cr_assert(v != NULL, "no verdict");
    while (v != NULL && i < v->n_metrics && strcmp(v->metrics[i]->name, name) != 0)
        i++;
    if (v == NULL || i == v->n_metrics) abort();
    return v->metrics[i];
}

static void says(const pb_verdict *v, const char *part)
{
    const char *message = v != NULL ? v->message : "no verdict";
    cr_assert(strstr(message, part) != NULL, "%s", message);
}

/* ---- events */
#define CRASHES                                                                        \
    KINDS_HEAD KINDS_STEPS "metrics:\n" REQUESTS                                       \
                           "  - {name: crashes, kind: events, phi: 1"

Test(kinds, equal_crash_rates_are_promoted)
{
    struct play p;
    play_start(&p, CRASHES "}\n");
    kinds_for(&p, 300, (struct extra){.crashes_c = 0.01, .crashes_b = 0.01});
    play_show(&p);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"));
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_PROMOTE, "non_inferior");
    pb_metric_verdict *m = metric_of(v, "crashes");
    cr_assert(eq(str, m->kind, (char *)"events"));
    cr_assert(eq(u64, m->canary->n, metric_of(v, "errors")->canary->n));
    cr_assert(gt(u64, m->canary->bad, 0));
    cr_assert(gt(dbl, m->promote_log_e, m->promote_threshold));
    play_end(&p);
}

Test(kinds, twice_the_crashes_are_aborted_and_named)
{
    struct play p;
    play_start(&p, CRASHES "}\n");
    kinds_for(&p, 300, (struct extra){.crashes_c = 0.02, .crashes_b = 0.01});
    play_show(&p);
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "harm");
    says(v, "crashes at 50 %: canary ");
    says(v, ", more than 1.2 times as often; ");
    says(v, "rate ratio of the whole run ");
    cr_assert(v != NULL && strcmp(v->metric, "crashes") == 0);
    play_end(&p);
}

/* The split is not what was commanded: the exposure is what was measured. */
Test(kinds, exposure_is_measured_not_commanded)
{
    struct play p;
    struct play_traffic t = play_traffic();
    t.weight = 0.8;
    play_start(&p, KINDS_HEAD "sample_ratio: {check: false}\n" KINDS_STEPS
                              "metrics:\n" REQUESTS
                              "  - {name: crashes, kind: events, phi: 1}\n");
    for (int s = 0; s < 60; s++) {
        inbox_second(&p.inbox, (struct inbox_second){.rollout = PLAY_ID,
                                                     .metric = "crashes",
                                                     .at_ms = p.now * 1000,
                                                     .n = 16,
                                                     .m = 4});
        play_second(&p, t);
    }
    play_show(&p);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "harm") == NULL);
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_PROMOTE, "non_inferior");
    cr_assert(v != NULL);
    cr_assert(lt(dbl, fabs(metric_of(v, "crashes")->estimate - 1), 0.1));
    play_end(&p);
}

Test(kinds, fixed_pods_are_an_exposure_and_no_crash_is_no_silence)
{
    struct play p;
    play_start(&p, KINDS_HEAD KINDS_STEPS "metrics:\n" REQUESTS
                                          "  - {name: crashes, kind: events, phi: 1, "
                                          "exposure: {canary: 2, baseline: 20}}\n"
                                          "criteria: {all_of: [errors]}\n");
    kinds_for(&p, 100, (struct extra){0});
    play_show(&p);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"));
    pb_metric_verdict *m = metric_of(foldrun_last(&p.run), "crashes");
    cr_assert(eq(str, m->note, (char *)"no_events"));
    play_end(&p);

    play_start(&p, KINDS_HEAD KINDS_STEPS "metrics:\n" REQUESTS
                                          "  - {name: crashes, kind: events, phi: 1, "
                                          "exposure: {canary: 2, baseline: 20}}\n");
    /* The same number of crashes on a tenth of the pods. */
    kinds_for(&p, 100, (struct extra){.crashes_c = 0.01, .crashes_b = 0.01});
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "harm");
    says(v, "pod hours");
    play_end(&p);
}

/* With every other metric it would pass: crashes have never been seen to be no more. */
Test(kinds, without_any_event_there_is_no_evidence)
{
    struct play p;
    play_start(&p, CRASHES "}\n");
    kinds_for(&p, 200, (struct extra){0});
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_PROMOTE, "non_inferior") == NULL);
    pb_rollout *row = foldrun_row(&p.run, PLAY_ID);
    cr_assert(gt(sz, row->status->n_warnings, (size_t)0));
    cr_assert(strstr(row->status->warnings[0], "criteria.all_of") != NULL);
    play_end(&p);
}

Test(kinds, a_canary_without_crashes_on_fixed_pods_is_held_not_passed)
{
    struct play p;
    play_start(&p, KINDS_HEAD KINDS_STEPS
               "metrics:\n  - {name: crashes, kind: events, phi: 1, "
               "exposure: {canary: 10, baseline: 10}}\n");
    for (int s = 0; s < 60; s++) {
        inbox_second(&p.inbox, (struct inbox_second){.rollout = PLAY_ID,
                                                     .metric = "crashes",
                                                     .at_ms = p.now * 1000,
                                                     .m = 3});
        p.now++;
        struct play_traffic t = play_traffic();
        play_clock(&p, &t);
        play_feed(&p);
    }
    play_show(&p);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_HOLD, "canary_silent") != NULL);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_PROMOTE, "non_inferior") == NULL);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "canary_silent") == NULL);
    play_end(&p);
}

/* ---- gauge */
#define CPU                                                                            \
    KINDS_HEAD KINDS_STEPS "metrics:\n" REQUESTS                                       \
                           "  - {name: cpu, kind: gauge, batch: 5s, abort_over: 20%"

static const struct extra calm = {.gauge = "cpu",
                                  .level_c = 0.5,
                                  .level_b = 0.5,
                                  .noise = 0.05,
                                  .pods_c = 3,
                                  .pods_b = 6};

Test(kinds, an_equal_gauge_is_promoted)
{
    struct play p;
    play_start(&p, CPU "}\n");
    kinds_for(&p, 200, calm);
    play_show(&p);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"));
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_PROMOTE, "non_inferior");
    pb_metric_verdict *m = metric_of(v, "cpu");
    cr_assert(eq(str, m->kind, (char *)"gauge"));
    cr_assert(lt(dbl, fabs(m->canary->mean - 0.5), 0.02));
    cr_assert(lt(dbl, fabs(m->baseline->mean - 0.5), 0.02));
    cr_assert(m->lower < 1 && m->upper > 1 && m->upper < 1.5, "%g %g", m->lower,
              m->upper);
    play_end(&p);
}

Test(kinds, the_time_left_of_a_gauge_is_foreseen)
{
    struct play p;
    struct extra x = calm;
    x.noise = 6;
    play_start(&p, CPU "}\n");
    kinds_for(&p, 30, x);
    cr_assert(eq(i64, foldrun_row(&p.run, PLAY_ID)->status->eta_ms, -1), "few batches");
    kinds_for(&p, 40, x);
    int64_t eta = foldrun_row(&p.run, PLAY_ID)->status->eta_ms, at = p.now;
    uint32_t weight = play_weight(&p);
    while (play_weight(&p) == weight && p.now < at + 2000)
        kinds_for(&p, 1, x);
    play_show(&p);
    fprintf(stderr, "foreseen %lld s, it took %lld s\n", (long long)eta / 1000,
            (long long)(p.now - at));
    cr_assert(play_weight(&p) > weight);
    cr_assert(eta > (p.now - at) * 250 && eta < (p.now - at) * 4000);
    play_end(&p);
}

Test(kinds, half_as_much_again_aborts)
{
    struct play p;
    struct extra x = calm;
    x.level_c = 0.75;
    play_start(&p, CPU "}\n");
    kinds_for(&p, 200, x);
    play_show(&p);
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "harm");
    says(v, "cpu at 50 %: canary 0.7");
    says(v, ", more than 1.2 times as much; ");
    says(v, "ratio of means of the whole run 1.5, at least 1.");
    play_end(&p);
}

Test(kinds, a_gauge_within_its_tolerance_is_not_aborted)
{
    struct play p;
    struct extra x = calm;
    x.level_c = 0.57;
    play_start(&p, CPU "}\n");
    kinds_for(&p, 200, x);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"));
    play_end(&p);
}

Test(kinds, where_less_is_worse_less_aborts_and_more_does_not)
{
    struct play p;
    struct extra x = calm;
    x.level_c = 0.35;
    play_start(&p, CPU ", direction: down}\n");
    kinds_for(&p, 200, x);
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "harm");
    says(v, ", lower by more than a factor of 1.2; ");
    says(v, "ratio of means of the whole run 0.70");
    play_end(&p);
    x.level_c = 0.75;
    play_start(&p, CPU ", direction: down}\n");
    kinds_for(&p, 200, x);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"));
    play_end(&p);
}

/* No variance at all is no certainty: nothing is known about how far it may move. */
Test(kinds, a_gauge_that_never_moves_and_few_batches_are_no_evidence)
{
    struct play p;
    struct extra x = calm;
    x.noise = 0;
    x.level_c = 0.9;
    play_start(&p, CPU "}\n");
    kinds_for(&p, 120, x);
    play_show(&p);
    cr_assert(eq(sz, p.run.n_verdicts, (size_t)1));
    const pb_status *s = foldrun_row(&p.run, PLAY_ID)->status;
    cr_assert(eq(str, s->metrics[1]->note, (char *)"no_variance"));
    cr_assert(eq(dbl, s->metrics[1]->abort_log_e, 0));
    cr_assert(eq(dbl, s->metrics[1]->promote_log_e, 0));
    play_end(&p);
    play_start(&p, CPU "}\n");
    kinds_for(&p, 30, calm);
    s = foldrun_row(&p.run, PLAY_ID)->status;
    cr_assert(eq(str, s->metrics[1]->note, (char *)"few_batches"));
    play_end(&p);
}

/* Batches that are too short are noticed: their neighbours resemble each other. */
Test(kinds, correlated_batches_are_noticed)
{
    for (int slow = 0; slow < 2; slow++) {
        struct gauge_moments m = {0};
        double level = 0, keep = slow ? 0.8 : 0;
        gsl_rng *g = check_rng(4);
        for (int i = 0; i < 60; i++) {
            level = keep * level + gsl_ran_gaussian(g, 1);
            kind_gauge_add(&m, 10 + level, 10, 1);
        }
        cr_assert(eq(int, kind_gauge_correlated(&m), slow));
        gsl_rng_free(g);
    }
}

/* What overflows is a defect, and nothing of it stays. */
Test(kinds, a_gauge_that_overflows_leaves_its_state_alone)
{
    static struct gauge_own own;
    struct plan_metric m = {.kind = PLAN_GAUGE, .batch_ms = 1000};
    struct evidence e = {.metric = &m, .own = &own};
    struct unitsum one = {1, 1, 2}, two = {2, 1, 1};
    struct unitsum_view units = {{&one, &two}, {1, 1}};
    struct kind_window w = {.units = &units, .n = 1, .end_ms = 1000};
    struct kind_news news = {.informed = false};
    cr_assert(eq(int, kind_gauge.window(&e, NULL, &w, &news), SERIN_OK));
    cr_assert(news.informed);
    one.sum = 1e200;
    w.start_ms = 1000, w.end_ms = 2000;
    cr_assert(eq(int, kind_gauge.window(&e, NULL, &w, &news), SERIN_EDOM));
    cr_assert(eq(dbl, own.all.t, 1));
    cr_assert(eq(dbl, own.step.t, 1));
    cr_assert(eq(dbl, own.all.d, 1));
    one.sum = 3; /* and goes on */
    w.start_ms = 2000, w.end_ms = 3000;
    cr_assert(eq(int, kind_gauge.window(&e, NULL, &w, &news), SERIN_OK));
    cr_assert(eq(dbl, own.all.d, 1.5));
}

/* The tolerance goes along with the baseline, whatever its size and sign. */
Test(kinds, against_a_tolerance_mean_and_variance_are_those_of_the_sequence)
{
    struct gauge_moments m = {0};
    struct gauge direct = {0};
    gsl_rng *g = check_rng(3);
    for (int i = 0; i < 50; i++) {
        double b = 1000 + gsl_ran_gaussian(g, 300),
               c = 1.1 * b + gsl_ran_gaussian(g, 50);
        kind_gauge_add(&m, c, b, 1);
        cr_assert(eq(int, gauge_add(&direct, c - b - 0.2 * fabs(b)), SERIN_OK));
    }
    struct gauge ours = kind_gauge_against(&m, 0.2);
    cr_assert(eq(u64, ours.t, direct.t));
    cr_assert(epsilon_eq(dbl, ours.mean, direct.mean, 1e-9));
    cr_assert(epsilon_eq(dbl, ours.m2, direct.m2, 1e-9 * direct.m2));
    m = (struct gauge_moments){0}; /* exactly 1.2 times: only rounding is left */
    for (int i = 0; i < 50; i++) {
        double b = 1000 + gsl_ran_gaussian(g, 300);
        kind_gauge_add(&m, 1.2 * b, b, 1);
    }
    ours = kind_gauge_against(&m, 0.2);
    cr_assert(eq(int, gauge_state(&ours), GAUGE_FLAT));
    gsl_rng_free(g);
}

/* ---- saturation */
#define FULL                                                                           \
    KINDS_HEAD KINDS_STEPS                                                             \
        "metrics:\n" REQUESTS                                                          \
        "  - {name: cpu, kind: saturation, bound: 0.6, batch: 2s, phi: 1"

Test(kinds, saturated_pods_abort)
{
    struct play p;
    struct extra x = calm;
    x.noise = 0.1; /* mean of two above 0.6: one in thirteen */
    play_start(&p, FULL "}\n");
    kinds_for(&p, 500, x);
    play_show(&p);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"));
    play_end(&p);
    x.level_c = 0.58;
    play_start(&p, FULL "}\n");
    kinds_for(&p, 300, x);
    play_show(&p);
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "harm");
    says(v, "of the time above 0.6");
    cr_assert(
        eq(u64, metric_of(v, "cpu")->canary->n % 3, (uint64_t)0)); /* pod-batches */
    play_end(&p);
}

/* ---- fewer is worse */
Test(kinds, fewer_conversions_abort_and_more_do_not)
{
    static const char plan[] =
        KINDS_HEAD KINDS_STEPS "metrics: [{name: errors, kind: ratio, phi: 1, "
                               "direction: down, limit: 0.2%}]\n";
    struct play p;
    struct play_traffic t = play_traffic();
    t.rate_b = 0.03;
    t.rate_c = 0.015;
    play_start(&p, plan);
    play_for(&p, 200, t);
    play_show(&p);
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "harm");
    says(v, ", the odds lower by more than a factor of 1.2; ");
    cr_assert(lt(dbl, metric_of(v, "errors")->estimate, 0.8));
    says(v, ", at most ");
    play_end(&p);
    t.rate_c = 0.06;
    play_start(&p, plan);
    play_for(&p, 200, t);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"));
    play_end(&p);
    t.rate_b = t.rate_c = 0.0005; /* both below the limit */
    play_start(&p, plan);
    play_for(&p, 200, t);
    play_show(&p);
    says(play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "limit"),
         "below its limit 0.20 %");
    play_end(&p);
}

Test(kinds, fewer_events_abort_where_fewer_is_worse)
{
    struct play p;
    play_start(&p, CRASHES ", direction: down}\n");
    kinds_for(&p, 300, (struct extra){.crashes_c = 0.01, .crashes_b = 0.02});
    says(play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "harm"),
         ", rarer by more than a factor of 1.2; ");
    play_end(&p);
    play_start(&p, CRASHES ", direction: down}\n");
    kinds_for(&p, 300, (struct extra){.crashes_c = 0.02, .crashes_b = 0.01});
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"));
    play_end(&p);
}

/* ---- few pods */
#define PODS(text)                                                                     \
    KINDS_HEAD "steps:\n"                                                              \
               "  - {weight: 50%, worse_than: 1.21, bake: 1h, timeout: 2h}\n"          \
               "  - {weight: 100%}\n"                                                  \
               "metrics: [{name: errors, kind: ratio, phi: 1, abort_over: 1" text      \
               "}]\n"

Test(kinds, few_pods_may_differ_by_luck)
{
    struct play p;
    struct play_traffic t = play_traffic();
    t.rate_c = 0.0135; /* what a pod of spread .2 may well have */
    play_start(&p, PODS(""));
    play_for(&p, 600, t);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "harm") != NULL);
    play_end(&p);
    play_start(&p, PODS(", pods: {canary: 2, baseline: 8, spread: 0.2}"));
    play_for(&p, 600, t);
    play_show(&p);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "harm") == NULL);
    pb_rollout *row = foldrun_row(&p.run, PLAY_ID);
    cr_assert(eq(u32, row->status->metrics[0]->canary->pods, 2));
    cr_assert(eq(u32, row->status->metrics[0]->baseline->pods, 8));
    cr_assert(eq(sz, row->status->n_warnings, (size_t)1)); /* 45 ways < 1 / .01 */
    cr_assert(strstr(row->status->warnings[0],
                     "2 of 10 pods can be chosen in 45 ways") != NULL,
              "%s", row->status->warnings[0]);
    play_end(&p);
    t.rate_c = 0.03;
    play_start(&p, PODS(", pods: {canary: 4, baseline: 16, spread: 0.3}"));
    play_for(&p, 300, t);
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "harm");
    says(v, "(4 and 16 pods)");
    play_end(&p);
}

/* ---- what does not fit */
struct wrong {
    const char *metric;
    uint64_t n, bad;
    bool hist;
    size_t units;
    double sum;
    uint64_t readings;
};

static void send_wrong(struct play *p, const struct wrong *w, int scale)
{
    uint64_t one[] = {1};
    Serin__V1__Histogram h = SERIN__V1__HISTOGRAM__INIT;
    Serin__V1__UnitSum u = SERIN__V1__UNIT_SUM__INIT, *units[] = {&u};
    pb_cell c = SERIN__V1__CELL__INIT;
    h.scale = scale;
    h.offset = 3;
    h.n_counts = 1;
    h.counts = one;
    u.unit = "pod";
    u.n = w->readings;
    u.sum = w->sum;
    c.cohort = SERIN__V1__COHORT__COHORT_CANARY;
    c.metric = (char *)w->metric;
    c.window_ms = p->now * 1000;
    c.n = w->n;
    c.bad = w->bad;
    c.hist = w->hist ? &h : NULL;
    c.units = units;
    c.n_units = w->units;
    inbox_cell(&p->inbox, PLAY_ID, &c);
    play_feed(p);
}

Test(kinds, a_cell_that_does_not_fit_its_kind_is_poison_and_changes_nothing)
{
    static const char plan[] =
        KINDS_HEAD KINDS_STEPS "metrics:\n"
                               "  - {name: errors, phi: 1}\n"
                               "  - {name: time, kind: latency, phi: 1}\n"
                               "  - {name: crashes, kind: events, phi: 1}\n"
                               "  - {name: cpu, kind: gauge}\n"
                               "  - {name: full, kind: saturation, bound: 1, phi: 1}\n";
    const uint64_t huge = UINT64_C(1) << 53;
    const struct wrong wrong[] = {
        {"errors", 1, 0, true, 0, 0, 0},     {"errors", 1, 0, false, 1, 1, 1},
        {"errors", 1, 2, false, 0, 0, 0},    {"errors", huge, 0, false, 0, 0, 0},
        {"time", 1, 0, false, 0, 0, 0},      {"time", 2, 0, true, 0, 0, 0},
        {"time", 1, 0, true, 1, 1, 1},       {"crashes", 1, 0, true, 0, 0, 0},
        {"crashes", 1, 0, false, 1, 1, 1},   {"crashes", huge, 0, false, 0, 0, 0},
        {"cpu", 1, 0, false, 0, 0, 0},       {"cpu", 1, 0, true, 0, 0, 0},
        {"cpu", 1, 0, false, 1, NAN, 1},     {"cpu", 1, 0, false, 1, INFINITY, 1},
        {"cpu", 1, 0, false, 1, 1, 0},       {"cpu", 2, 0, false, 1, 1, 1},
        {"cpu", 1, 1, false, 1, 1, 1},       {"cpu", 1, 0, false, 1, 1e151, 1},
        {"cpu", huge, 0, false, 1, 1, huge}, {"full", 1, 0, false, 0, 0, 0},
        {"full", 1, 0, false, 1, NAN, 1},
    };
    struct play p;
    play_start(&p, plan);
    play_for(&p, 5, play_traffic());
    const struct rollout *r = fold_find(p.run.fold, PLAY_ID);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint64_t poison = r->poison;
        size_t cells = r->pending.n, units = r->pending.units;
        send_wrong(&p, &wrong[i], 5);
        cr_assert(gt(u64, r->poison, poison), "case %zu", i);
        cr_assert(eq(sz, r->pending.n, cells), "case %zu", i);
        cr_assert(eq(sz, r->pending.units, units), "case %zu", i);
    }
    struct wrong scale = {"time", 1, 0, true, 0, 0, 0};
    uint64_t poison = r->poison;
    send_wrong(&p, &scale, 25); /* no such scale */
    cr_assert(gt(u64, r->poison, poison));
    poison = r->poison;
    send_wrong(&p, &scale, 2); /* another one is fine */
    cr_assert(eq(u64, r->poison, poison));
    struct wrong zero = {"cpu", 0, 0, false, 0, 0, 0};
    send_wrong(&p, &zero, 5);
    cr_assert(eq(u64, r->poison, poison));
    cr_assert(eq(u32, r->sticky, 0));
    play_end(&p);
}

/* Each cell is possible, but not all of them together; and what belongs to other kinds,
 * or is no quotient, is refused, too. */
Test(kinds, more_than_a_count_can_hold_is_poison)
{
    struct play p;
    play_start(&p, PLAY_PLAN);
    play_for(&p, 5, play_traffic());
    const struct rollout *r = fold_find(p.run.fold, PLAY_ID);
    uint64_t user = 64, poison = r->poison;
    struct wrong most = {"errors", COUNT_MAX, 0, false, 0, 0, 0};
    send_wrong(&p, &most, 5);
    cr_assert(eq(u64, r->poison, poison));
    send_wrong(&p, &most, 5);
    cr_assert(eq(u64, r->poison, poison + COUNT_MAX));
    for (int i = 0; i < 4; i++) {
        pb_cell c;
        serin__v1__cell__init(&c);
        c.cohort = SERIN__V1__COHORT__COHORT_CANARY;
        c.metric = "errors";
        c.window_ms = p.now * 1000;
        c.n = 1;
        if (i == 0) c.users = &user, c.n_users = 1;
        if (i == 1) c.bounds_ratio = NAN;
        if (i == 2) c.bounds_ratio = INFINITY;
        if (i == 3) c.bounds_ratio = -1;
        poison = r->poison;
        inbox_cell(&p.inbox, PLAY_ID, &c);
        play_feed(&p);
        cr_expect(eq(u64, r->poison, poison + 1), "case %d", i);
    }
    cr_assert(eq(dbl, r->evidence.metrics[0].bounds_ratio, 0));
    cr_assert(eq(u32, r->sticky, 0));
    play_end(&p);
}

/* A metric that becomes another kind in mid-rollout: held for bad data, not aborted,
 * not promoted. */
Test(kinds, a_metric_that_changes_its_kind_is_bad_data)
{
    struct play p;
    play_start(&p, CRASHES "}\n");
    kinds_for(&p, 5, (struct extra){.crashes_c = 0.01, .crashes_b = 0.01});
    for (int s = 0; s < 40; s++) {
        struct wrong w = {"crashes", 20, 0, false, 1, 20, 20};
        send_wrong(&p, &w, 5);
        play_second(&p, play_traffic());
    }
    play_show(&p);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_HOLD, "bad_data") != NULL);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_PROMOTE, "non_inferior") == NULL);
    play_end(&p);
}

/* Readings wait by unit, as many as there is room for, and are forgotten with theirs.
 */
Test(kinds, units_that_wait_are_counted)
{
    struct pending p = {.max = 4, .max_units = 300};
    struct unitsum u[200];
    for (uint64_t i = 0; i < 200; i++)
        u[i] = (struct unitsum){i % 150, 1, 2};
    cr_assert(eq(int, pending_add_units(&p, 0, 0, 0, 0, u, 200), SERIN_OK));
    cr_assert(eq(sz, p.units, (size_t)150));
    const struct pending_units *first = pending_units(&p.cells[0], 0);
    cr_assert(eq(dbl, first->at[0].sum, 4)); /* came twice */
    cr_assert(eq(u64, p.cells[0].c.n, (uint64_t)200));
    cr_assert(eq(int, pending_add_units(&p, 0, 0, 0, 1, u, 200), SERIN_ELIMIT));
    cr_assert(eq(u64, p.cells[0].c.m, (uint64_t)0));
    cr_assert(eq(int, pending_add_units(&p, 1000, 0, 0, 1, u, 150), SERIN_OK));
    cr_assert(eq(sz, p.units, (size_t)300));
    cr_assert(eq(int, pending_rebin(&p, 2000), SERIN_OK));
    cr_assert(eq(sz, p.n, (size_t)1));
    cr_assert(eq(sz, p.units, (size_t)300));
    pending_drop(&p, 1);
    cr_assert(eq(sz, p.units, (size_t)0));
    pending_free(&p);
}

Test(kinds, past_the_most_units_the_rest_is_one)
{
    static struct unitsum at[UNITSUM_MAX];
    uint32_t n = 0;
    for (uint64_t i = 0; i < UNITSUM_MAX + 50; i++)
        unitsum_add(at, &n, &(struct unitsum){i, 1, 1});
    cr_assert(eq(u32, n, (uint32_t)UNITSUM_MAX));
    cr_assert(eq(u64, at[UNITSUM_MAX - 1].n, (uint64_t)51));
    cr_assert(eq(u64, at[0].n, (uint64_t)1));
}

/* Ingest knows contents, not what is made of them. */
Test(kinds, the_route_asks_for_readings_of_a_saturation)
{
    static const char text[] =
        KINDS_HEAD KINDS_STEPS "metrics:\n  - {name: errors, phi: 1}\n"
                               "  - {name: crashes, kind: events, phi: 1}\n"
                               "  - {name: cpu, kind: gauge, from: {unit_key: pod}}\n"
                               "  - {name: full, kind: saturation, bound: 1, phi: 1}\n";
    static const char *const kinds[] = {"ratio", "events", "gauge", "gauge"};
    struct arena a = {0};
    struct doc_errors errors = {0};
    struct plan *p = NULL;
    pb_route *route = NULL;
    cr_assert(eq(int, plan_parse(&a, text, strlen(text), &p, &errors), SERIN_OK));
    cr_assert(eq(int, plan_route(&a, p, &route), SERIN_OK));
    for (size_t i = 0; i < 4; i++)
        cr_assert(eq(str, route->metrics[i]->kind, (char *)kinds[i]));
    cr_assert(eq(str, route->metrics[2]->unit_key, (char *)"pod"));
    arena_free(&a);
}

/* ---- before the first weight */
Test(kinds, events_and_saturation_are_calibrated)
{
    struct play p;
    struct extra x = calm;
    x.noise = 0.1;
    play_start(&p,
               PLAY_HEAD "window: 1s\ncalibrate: 130s\n" KINDS_STEPS
                         "metrics:\n  - {name: errors}\n"
                         "  - {name: crashes, kind: events}\n"
                         "  - {name: cpu, kind: saturation, bound: 0.6, batch: 2s}\n"
                         "criteria: {all_of: [errors]}\n");
    for (int s = 0; s < 140; s++) { /* crashes come in threes */
        inbox_second(&p.inbox,
                     (struct inbox_second){.rollout = PLAY_ID,
                                           .metric = "crashes",
                                           .at_ms = p.now * 1000,
                                           .m = 5 * gsl_ran_poisson(p.rng, 2)});
        gauge(&p, &x);
        play_second(&p, play_traffic());
    }
    play_show(&p);
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_PROMOTE, "start");
    says(v, "crashes: dispersion ");
    cr_assert(gt(dbl, metric_of(v, "crashes")->dispersion, 3));
    const pb_status *s = foldrun_row(&p.run, PLAY_ID)->status;
    cr_assert(gt(dbl, s->metrics[1]->dispersion, 3));
    cr_assert(lt(dbl, s->metrics[2]->dispersion, 2.5));
    play_end(&p);
}
