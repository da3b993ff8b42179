/* tests/unit/core/test_slow.c -- latency metrics through the whole fold */
#include "engine/core/latency.h"
#include "engine/core/evidence.h"
#include "engine/core/pending.h"
#include "tests/support/play.h"

#define SLOW_METRIC "metrics:\n  - {name: time, kind: latency, phi: 1"
#define SLOW_PLAN PLAY_HEAD "window: 1s\ncalibrate: skip\n" PLAY_STEPS SLOW_METRIC

/* A release's latencies: lognormal about 50 ms, and what the canary adds to them. */
struct slow {
    double factor;      /* of every value of the canary */
    double tail, extra; /* share of its requests that take so many ms more */
    int hist_scale;     /* 0: 5 */
};

static double draw(gsl_rng *g)
{
    return 50 * exp(gsl_ran_gaussian(g, 0.5));
}

static void slow_second(struct play *p, const char *stratum, struct slow t)
{
    static struct hist h[2];
    double w = play_weight(p) / 10000.0;
    unsigned n = gsl_ran_binomial(p->rng, w, PLAY_RATE);
    for (int c = 0; c < 2; c++)
        cr_assert(eq(int, hist_init(&h[c], t.hist_scale != 0 ? t.hist_scale : 5), 0));
    for (unsigned i = 0; i < PLAY_RATE; i++) {
        double v = draw(p->rng);
        if (i < n) v *= t.factor;
        if (i < n && gsl_rng_uniform(p->rng) < t.tail) v += t.extra;
        cr_assert(eq(int, hist_add(&h[i >= n], v, 1), SERIN_OK));
    }
    struct hist_view v[2] = {hist_view(&h[0]), hist_view(&h[1])};
    inbox_latency(&p->inbox,
                  (struct inbox_second){.rollout = PLAY_ID,
                                        .metric = "time",
                                        .stratum = stratum,
                                        .at_ms = p->now * 1000},
                  n != 0 ? &v[0] : NULL, &v[1]);
}

static void slow_for(struct play *p, int seconds, struct slow t)
{
    struct play_traffic clock = play_traffic();
    for (int i = 0; i < seconds; i++) {
        slow_second(p, "", t);
        p->now++;
        play_clock(p, &clock);
        play_feed(p);
    }
}

Test(slow, a_healthy_release_is_promoted)
{
    struct play p;
    play_start(&p, SLOW_PLAN "}\n");
    slow_for(&p, 200, (struct slow){.factor = 1});
    play_show(&p);
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_PROMOTE, "non_inferior");
    cr_assert(v != NULL);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"));
    cr_assert(strstr(v->message, "time at 10 %: p") != NULL, "%s", v->message);
    cr_assert(strstr(v->message, " ms vs baseline ") != NULL, "%s", v->message);
    pb_metric_verdict *m = v->metrics[0];
    cr_assert(eq(str, m->kind, (char *)"latency"));
    cr_assert(eq(sz, m->canary->n_quantiles, (size_t)3));
    cr_assert(gt(dbl, m->canary->quantiles[0], 45));
    cr_assert(lt(dbl, m->canary->quantiles[0], 56));
    cr_assert(gt(dbl, m->baseline->quantiles[2], 140));
    cr_assert(lt(dbl, m->baseline->quantiles[2], 180));
    cr_assert(gt(dbl, m->promote_log_e, m->promote_threshold));
    cr_assert(m->upper < 3.01, "%g", m->upper);
    play_end(&p);
}

Test(slow, a_slow_tail_is_aborted_and_named)
{
    struct play p;
    play_start(&p, SLOW_PLAN "}\n");
    slow_for(&p, 200, (struct slow){.factor = 1, .tail = 0.04, .extra = 500});
    play_show(&p);
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "harm");
    cr_assert(v != NULL, "%s", play_state(&p));
    cr_assert(eq(str, v->metric, (char *)"time"));
    cr_assert(strstr(v->message, "time at 10 %: p99 canary") != NULL, "%s", v->message);
    cr_assert(gt(dbl, v->metrics[0]->estimate, 2));
    cr_assert(strstr(v->message, "; began about ") != NULL, "%s", v->message);
    cr_assert(gt(i64, v->metrics[0]->onset_ms, (int64_t)PLAY_T0 * 1000));
    play_end(&p);
}

static void some_more(struct play *p, double factor)
{
    slow_for(p, 60, (struct slow){.factor = factor});
    play_show(p);
}

/* Half as long is suspicious; a person looks, resumes, and is not asked again. */
Test(slow, too_good_is_held_until_a_person_has_looked)
{
    struct play p;
    play_start(&p, SLOW_PLAN "}\n");
    some_more(&p, 0.5);
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_HOLD, "suspicious");
    cr_assert(v != NULL, "%s", play_state(&p));
    cr_assert(eq(str, v->metric, (char *)"time"));
    cr_assert(strstr(v->message, "faster by more than 30 %") != NULL, "%s", v->message);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"HELD"), "not ended by itself");
    cr_assert(play_verb(&p, SERIN__V1__VERB__VERB_RESUME)->accepted);
    p.done = foldrun_restart(&p.run, &p.inbox); /* nor after a restart */
    for (int i = 0; i < 3; i++)
        some_more(&p, 0.5);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"));
    play_end(&p);
}

Test(slow, somewhat_faster_is_no_suspicion)
{
    struct play p;
    play_start(&p, SLOW_PLAN "}\n");
    for (int i = 0; i < 4; i++)
        some_more(&p, 0.75);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"));
    play_end(&p);
    play_start(&p, SLOW_PLAN ", too_good: 60%}\n");
    for (int i = 0; i < 4; i++)
        some_more(&p, 0.5);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"));
    play_end(&p);
}

/* A canary whose requests fail at once, from some time on. */
Test(slow, failing_fast_is_suspicious_also_late)
{
    struct play p;
    play_start(&p, PLAY_HEAD "window: 1s\ncalibrate: skip\n"
                             "steps: [{weight: 50%, worse_than: 1.02, bake: 10m, "
                             "timeout: 20m, warmup: 2s}, {weight: 100%}]\n" SLOW_METRIC
                             "}\n");
    for (int i = 0; i < 2; i++)
        some_more(&p, 1);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_HOLD, "suspicious") == NULL);
    some_more(&p, 0.2);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_HOLD, "suspicious") != NULL);
    play_end(&p);
}

/* The limits enclose the truth and what is shown; the ratio's enclose 1. */
Test(slow, quantiles_come_with_limits)
{
    struct play p;
    play_start(&p, SLOW_PLAN ", protect: [p75]}\n");
    for (int i = 0; i < 12; i++)
        slow_for(&p, 1, (struct slow){.factor = 1});
    pb_metric_verdict *m = foldrun_row(&p.run, PLAY_ID)->status->metrics[0];
    cr_assert(eq(sz, m->n_quantiles, (size_t)4), "p75 is protected, three are shown");
    for (size_t i = 0; i < m->n_quantiles; i++) {
        const Serin__V1__QuantileVerdict *q = m->quantiles[i];
        double truth = 50 * exp(0.5 * gsl_cdf_ugaussian_Pinv(q->p));
        cr_assert(q->canary_lower < truth && truth <= q->canary_upper);
        cr_assert(q->baseline_lower < truth && truth <= q->baseline_upper);
        cr_assert(q->shift_lower <= 1 && q->shift_upper >= 1);
        cr_assert(q->baseline_upper / q->baseline_lower <
                  q->canary_upper / q->canary_lower + 1e-9);
    }
    cr_assert(lt(dbl, m->quantiles[0]->baseline_upper, 55));
    play_end(&p);
}

Test(slow, a_tolerance_on_values_is_granted)
{
    struct play p;
    play_start(&p, SLOW_PLAN ", abort_over: 10%}\n");
    slow_for(&p, 240, (struct slow){.factor = 1.04});
    play_show(&p);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"));
    pb_metric_verdict *m = p.run.verdicts[1]->metrics[0];
    cr_assert(epsilon_eq(dbl, m->abort_over, pow(2, 5 / 32.0), 1e-12)); /* >= 1.1 */
    play_end(&p);
    play_start(&p, SLOW_PLAN "}\n");
    slow_for(&p, 300, (struct slow){.factor = 1.15});
    play_show(&p);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "harm") != NULL);
    play_end(&p);
}

Test(slow, beyond_an_absolute_limit_aborts_and_never_passes)
{
    struct play p;
    play_start(&p, SLOW_PLAN ", abort_over: 20, limit: {p99: 140ms}}\n");
    slow_for(&p, 200, (struct slow){.factor = 1.1}); /* baseline p99: 160 ms */
    play_show(&p);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_PROMOTE, "non_inferior") == NULL);
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "limit");
    cr_assert(v != NULL, "%s", play_state(&p));
    cr_assert(strstr(v->message, "above its limit 140 ms") != NULL, "%s", v->message);
    play_end(&p);
    play_start(&p, SLOW_PLAN ", limit: {p99: 400ms}}\n");
    slow_for(&p, 240, (struct slow){.factor = 1});
    play_show(&p);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"));
    play_end(&p);
}

/* Strata of other speed and other shares: each is compared with itself. */
Test(slow, strata_are_compared_each_with_itself)
{
    struct play p;
    struct play_traffic clock = play_traffic();
    play_start(&p,
               PLAY_HEAD "window: 1s\ncalibrate: skip\nstrata: [region]\n"
                         "sample_ratio: {check: false}\n" PLAY_STEPS SLOW_METRIC "}\n");
    for (int s = 0; s < 120; s++) {
        for (int far = 0; far < 2; far++) {
            static struct hist h[2];
            for (int c = 0; c < 2; c++)
                cr_assert(eq(int, hist_init(&h[c], 5), 0));
            unsigned n = play_weight(&p) == 0 ? 0 : far ? 450 : 50; /* of 500 */
            for (unsigned i = 0; i < 500; i++)
                cr_assert(
                    eq(int, hist_add(&h[i >= n], draw(p.rng) * (far ? 4 : 1), 1), 0));
            struct hist_view v[2] = {hist_view(&h[0]), hist_view(&h[1])};
            inbox_latency(&p.inbox,
                          (struct inbox_second){.rollout = PLAY_ID,
                                                .metric = "time",
                                                .stratum = far ? "us" : "eu",
                                                .at_ms = p.now * 1000},
                          n != 0 ? &v[0] : NULL, &v[1]);
        }
        p.now++;
        play_clock(&p, &clock);
        play_feed(&p);
    }
    play_show(&p);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "harm") == NULL);
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_PROMOTE, "non_inferior") != NULL);
    play_end(&p);
}

Test(slow, other_scales_and_broken_histograms)
{
    struct play p;
    uint64_t counts[] = {3, 4};
    struct hist_view bad[] = {
        {.scale = 40, .n = 2, .counts = counts},
        {.scale = 5, .offset = INT32_MAX, .n = 2, .counts = counts}};
    play_start(&p, SLOW_PLAN "}\n");
    for (size_t i = 0; i < 2; i++)
        inbox_latency(&p.inbox,
                      (struct inbox_second){
                          .rollout = PLAY_ID, .metric = "time", .at_ms = p.now * 1000},
                      NULL, &bad[i]);
    /* counts without a histogram are no latencies */
    inbox_second(&p.inbox, (struct inbox_second){.rollout = PLAY_ID,
                                                 .metric = "time",
                                                 .at_ms = p.now * 1000,
                                                 .m = 5});
    slow_for(&p, 100, (struct slow){.factor = 1, .hist_scale = 3});
    slow_for(&p, 100, (struct slow){.factor = 1, .hist_scale = 7});
    play_show(&p);
    cr_assert(eq(u64, foldrun_row(&p.run, PLAY_ID)->status->poison, 7 + 7 + 5));
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"));
    play_end(&p);
}

Test(slow, dispersion_is_measured_before_the_start)
{
    struct play p;
    play_start(&p, PLAY_HEAD "window: 1s\ncalibrate: 80s\n" PLAY_STEPS
                             "metrics:\n  - {name: time, kind: latency}\n");
    slow_for(&p, 300, (struct slow){.factor = 1});
    play_show(&p);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"));
    double phi = p.run.verdicts[1]->metrics[0]->dispersion;
    cr_assert(gt(dbl, phi, 1));
    cr_assert(lt(dbl, phi, 3));
    play_end(&p);
}

Test(slow, a_latency_metric_stays_within_256_kib)
{
    size_t n = sizeof(struct evidence) + sizeof(struct latency) + sizeof(struct grid) +
               sizeof(struct calibrate) +
               PENDING_CELLS_PER_METRIC * sizeof(struct pending_cell) +
               PENDING_BUCKETS_PER_LATENCY * sizeof(uint64_t);
    cr_assert(le(sz, n, (size_t)256 << 10), "%zu", n);
}

/* Its forecast is about right, is restored to the bit, and goes with RESUME. */
Test(slow, the_time_left_is_foreseen)
{
    struct play p;
    play_start(&p, PLAY_HEAD
               "window: 1s\ncalibrate: skip\nsteps:\n"
               "  - {weight: 10%, worse_than: 1.5, bake: 0s, warmup: 1s, timeout: 9h}\n"
               "  - {weight: 100%, watch: 20s}\n" SLOW_METRIC
               ", protect: [p90, p99]}\n");
    slow_for(&p, 3, (struct slow){.factor = 1});
    cr_assert(eq(i64, foldrun_row(&p.run, PLAY_ID)->status->eta_ms, -1));
    slow_for(&p, 37, (struct slow){.factor = 1});
    int64_t eta = foldrun_row(&p.run, PLAY_ID)->status->eta_ms, at = p.now;
    cr_assert(play_verb(&p, SERIN__V1__VERB__VERB_HOLD)->accepted);
    cr_assert(eq(i64, foldrun_last(&p.run)->eta_ms, -1));
    cr_assert(play_verb(&p, SERIN__V1__VERB__VERB_RESUME)->accepted);
    int64_t resumed = foldrun_last(&p.run)->eta_ms;
    cr_assert(resumed > eta / 2 && resumed <= 2 * eta, "%lld, %lld", (long long)eta,
              (long long)resumed);
    while (play_weight(&p) < 10000 && p.now < at + 3600)
        slow_for(&p, 1, (struct slow){.factor = 1});
    int64_t took = (p.now - at) * 1000;
    fprintf(stderr, "foreseen %lld s, it took %lld s\n", (long long)eta / 1000,
            (long long)took / 1000);
    cr_assert(eta > took / 3 && eta < 3 * took);
    play_end(&p);
}

/* Values of 100 to 800 ms or, without a limit, with a tail, by bounds `ratio` apart. */
static void coarse_for(struct play *p, int seconds, double ratio, double factor,
                       bool tail)
{
    static struct hist h[2];
    struct play_traffic clock = play_traffic();
    for (int s = 0; s < seconds; s++) {
        unsigned n = gsl_ran_binomial(p->rng, play_weight(p) / 10000.0, PLAY_RATE);
        for (int c = 0; c < 2; c++)
            cr_assert(eq(int, hist_init(&h[c], 5), SERIN_OK));
        for (unsigned i = 0; i < PLAY_RATE; i++) {
            double v = tail ? draw(p->rng) : 100 + 700 * gsl_rng_uniform(p->rng);
            if (i < n) v *= factor;
            v = 100 * pow(ratio, ceil(log(v / 100) / log(ratio)));
            cr_assert(eq(int, hist_add(&h[i >= n], v, 1), SERIN_OK));
        }
        struct hist_view v[2] = {hist_view(&h[0]), hist_view(&h[1])};
        inbox_latency(&p->inbox,
                      (struct inbox_second){.rollout = PLAY_ID,
                                            .metric = "time",
                                            .at_ms = p->now * 1000,
                                            .bounds_ratio = ratio},
                      n != 0 ? &v[0] : NULL, &v[1]);
        p->now++;
        play_clock(p, &clock);
        play_feed(p);
    }
}

static bool aborted(struct play *p)
{
    return strcmp(play_state(p), "ABORTED") == 0;
}

/* All is below 900 ms, yet what lies in (640, 1600] counts as 1600. */
Test(slow, bounds_far_apart_break_no_limit_and_are_said)
{
    struct play p;
    play_start(&p, SLOW_PLAN ", limit: {p99: 900ms}}\n");
    coarse_for(&p, 60, 2.5, 1, false);
    play_show(&p);
    pb_rollout *row = foldrun_row(&p.run, PLAY_ID);
    cr_assert(epsilon_eq(dbl, row->status->metrics[0]->value_error, 1.5, 1e-12));
    cr_assert(play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "limit") == NULL);
    cr_assert(not(aborted(&p)));
    play_end(&p);
    play_start(&p, SLOW_PLAN "}\n");
    coarse_for(&p, 250, 2.5, 1, true);
    play_show(&p);
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_PROMOTE, "non_inferior");
    cr_assert(v != NULL, "at the bounds the counts are exact");
    cr_assert(strstr(v->message, "bounds of the source are up to 2.5x apart") != NULL,
              "%s", v->message);
    play_end(&p);
}

/* Half a minute of the same latencies, which come by these bounds. */
static void bounded_for(struct play *p, int seconds, uint64_t canary, uint64_t baseline)
{
    struct play_traffic clock = play_traffic();
    static struct hist h;
    cr_assert(eq(int, hist_init(&h, HIST_SCALE), SERIN_OK));
    cr_assert(eq(int, hist_add(&h, 100, 900), SERIN_OK));
    cr_assert(eq(int, hist_add(&h, 250, 100), SERIN_OK));
    struct hist_view v = hist_view(&h);
    for (int s = 0; s < seconds; s++) {
        inbox_latency(&p->inbox,
                      (struct inbox_second){.rollout = PLAY_ID,
                                            .metric = "time",
                                            .at_ms = p->now * 1000,
                                            .bounds_ratio = canary != 0 ? 2.5 : 0,
                                            .bounds_id = {canary, baseline}},
                      &v, &v);
        p->now++;
        play_clock(p, &clock);
        play_feed(p);
    }
}

Test(slow, different_bounds_of_the_cohorts_are_held_until_they_agree)
{
    static const char plan[] = PLAY_HEAD
        "window: 1s\ncalibrate: skip\nsample_ratio: {check: false}\nsteps:\n"
        "  - {weight: 50%, worse_than: 2, bake: 1h, timeout: 9h}\n"
        "  - {weight: 100%}\nmetrics:\n  - {name: time, kind: latency, phi: 1";
    char text[1024];
    for (int warn = 0; warn < 2; warn++) {
        struct play p;
        snprintf(text, sizeof text, "%s%s", plan,
                 warn != 0 ? ", mode: warn}\n  - {name: errors, phi: 1}\n" : "}\n");
        play_start(&p, text);
        bounded_for(&p, 8, 70, 70);
        bounded_for(&p, 8, 70, 90); /* under way */
        bounded_for(&p, 8, 1, 90);  /* several: nothing is known */
        pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_HOLD, "bad_data");
        cr_assert(v == NULL);
        bounded_for(&p, 8, 70, 90);
        p.done = foldrun_restart(&p.run, &p.inbox);
        bounded_for(&p, 8, 70, 90);
        v = play_find(&p, 0, SERIN__V1__KIND__KIND_HOLD, "bad_data");
        cr_assert(eq(int, v != NULL, warn == 0));
        if (warn != 0) {
            const pb_status *s = foldrun_row(&p.run, PLAY_ID)->status;
            cr_assert(eq(sz, s->n_warnings, 1));
            cr_assert(strstr(s->warnings[0], "different bucket bounds") != NULL);
        } else {
            cr_assert(strstr(v->message, "give both versions the same bounds") != NULL);
            bounded_for(&p, 8, 90, 90);
            cr_assert(eq(str, (char *)play_state(&p), (char *)"OBSERVING"));
            bounded_for(&p, 30, 0, 90); /* exponential against explicit */
            cr_assert(eq(str, (char *)play_state(&p), (char *)"HELD"));
        }
        play_end(&p);
    }
}

/* 8 % slower where 10 % is allowed: many values cross a bound, none crosses two. */
Test(slow, a_tolerance_between_two_bounds_is_kept)
{
    struct play p;
    play_start(&p, SLOW_PLAN ", abort_over: 10%}\n");
    coarse_for(&p, 120, 2.5, 1.08, true);
    play_show(&p);
    cr_assert(not(aborted(&p)));
    play_end(&p);
    play_start(&p, SLOW_PLAN ", abort_over: 10%}\n");
    coarse_for(&p, 120, 2.5, 12, true);
    cr_assert(aborted(&p), "far slower is found through such bounds, too");
    play_end(&p);
}

/* Where faster is worse everything is turned: half as long is harm, twice is none. */
Test(slow, downwards_a_faster_canary_is_aborted_and_a_slower_one_promoted)
{
    struct play p;
    play_start(&p, SLOW_PLAN ", direction: down}\n");
    slow_for(&p, 200, (struct slow){.factor = 0.93});
    play_show(&p);
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "harm");
    cr_assert(v != NULL, "%s", play_state(&p));
    cr_assert(strstr(v->message, " ms, faster") != NULL, "%s", v->message);
    cr_assert(strstr(v->message, ", at most ") != NULL, "%s", v->message);
    cr_assert(lt(dbl, v->metrics[0]->estimate, 1), "turned back for people");
    play_end(&p);
    play_start(&p, SLOW_PLAN ", direction: down, abort_over: 1.3}\n");
    slow_for(&p, 200, (struct slow){.factor = 0.9});
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"));
    play_end(&p);
    play_start(&p, SLOW_PLAN ", direction: down}\n");
    slow_for(&p, 200, (struct slow){.factor = 2});
    play_show(&p);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"),
              "not harm, not held");
    play_end(&p);
}

Test(slow, both_directions_abort_and_the_same_release_passes)
{
    static const struct {
        double factor;
        const char *says;
    } cases[] = {{1.25, " ms, slower"}, {0.8, " ms, faster"}};
    struct play p;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        play_start(&p, SLOW_PLAN ", direction: both}\n");
        slow_for(&p, 200, (struct slow){.factor = cases[i].factor});
        play_show(&p);
        pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_ABORT, "harm");
        cr_assert(v != NULL, "%s", play_state(&p));
        cr_assert(strstr(v->message, cases[i].says) != NULL, "%s", v->message);
        cr_assert(strstr(v->message, "nan") == NULL, "%s", v->message);
        play_end(&p);
    }
    play_start(&p, SLOW_PLAN ", direction: both, abort_over: 1.3}\n");
    slow_for(&p, 200, (struct slow){.factor = 0.9});
    play_show(&p);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"), "within abort_over");
    play_end(&p);
}
