/* The outlook against what whole rollouts are known to take: closed forms and simulated
 * figures of the statistics' specification. */
#include "engine/core/outlook.h"
#include "engine/core/kind_gauge.h"
#include "engine/core/outlook_shape.h"
#include "engine/base/mem.h"
#include "stats/forecast.h"
#include "stats/level.h"
#include "tests/support/check.h"

/* 1-5-25-50 % at the default tolerances, windows of 10 s and as long a bake as the six
 * windows that every step needs anyway. */
#define HEAD                                                                           \
    "id: r\ncohorts: {canary: {v: \"2\"}, baseline: {v: \"1\"}}\n"                     \
    "calibrate: skip\nrisk: {false_abort: 0.01, false_promote: 0.05}\n"
static const char ramp[] =
    HEAD "window: 10s\nsteps:\n"
         "  - {weight: 1%, worse_than: 4, bake: 0s, warmup: 0s, timeout: 2h}\n"
         "  - {weight: 5%, worse_than: 2.5, bake: 0s, warmup: 0s, timeout: 2h}\n"
         "  - {weight: 25%, worse_than: 2, bake: 0s, warmup: 0s, timeout: 2h}\n"
         "  - {weight: 50%, worse_than: 1.5, bake: 0s, warmup: 0s, timeout: 2h}\n"
         "  - {weight: 100%}\n"
         "metrics: [{name: errors, phi: 1, abort_over: 1.2}]\n";

static struct outlook answer(const char *text, const struct outlook_query *q)
{
    struct arena a = {0};
    struct doc_errors e = {0};
    struct plan *p = NULL;
    struct fault f = {0};
    static struct outlook o;
    int rc = plan_parse(&a, text, strlen(text), &p, &e);
    cr_assert(eq(int, rc, SERIN_OK), "%s",
              doc_errors_format(&e, "plan", text, strlen(text)));
    rc = outlook_make(p, q, &o, &f);
    cr_assert(eq(int, rc, SERIN_OK), "%s", f.text);
    arena_free(&a);
    return o;
}

static struct outlook look(const char *text, double rate, double errors, unsigned runs,
                           size_t n_odds)
{
    struct outlook_query q = {
        .rate = rate,
        .errors = {errors, errors, errors},
        .phi = 1,
        .bads = {{OUTLOOK_ODDS, 0, 10, 0}, {OUTLOOK_ODDS, 0, 2, 0}},
        .n_bads = n_odds,
        .runs = runs,
        .seed = 1};
    return answer(text, &q);
}

static bool near(double x, double expected, double relative)
{
    return fabs(x / expected - 1) <= relative;
}

Test(outlook, closed_form_gives_the_specified_requests)
{
    static const struct {
        double split, w_s, requests;
    } table[] = {{0.01, 1.5, 3.21e6}, {0.01, 2, 992e3}, {0.01, 3, 340e3},
                 {0.05, 1.5, 678e3},  {0.05, 2, 212e3}, {0.05, 3, 74e3},
                 {0.5, 1.5, 147e3},   {0.5, 2, 51e3},   {0.5, 3, 21e3}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[600];
        snprintf(text, sizeof text,
                 HEAD "steps: [{weight: %g%%, worse_than: %g}, {weight: 100%%}]\n"
                      "metrics: [{name: errors, phi: 1, abort_over: 1.2}]\n",
                 100 * table[i].split, table[i].w_s);
        struct outlook o = look(text, 2000, 0.001, 1, 0);
        double requests = o.steps[0].forecast_s * 2000;
        cr_expect(near(requests, table[i].requests, 0.025), "%g at %g: %g",
                  table[i].w_s, table[i].split, requests);
    }
}

Test(outlook, whole_rollouts_take_the_specified_time, .timeout = 120)
{
    struct outlook o = look(ramp, 2000, 0.001, 200, 2);
    const struct outlook_found *ten = &o.steps[0].found[0], *two = &o.steps[0].found[1];
    fprintf(stderr, "healthy %.1f min, x10 %.1f s, x2 %.1f min\n", o.whole.p50_s / 60,
            ten->abort.p50_s, two->abort.p50_s / 60);
    cr_expect(near(o.whole.p50_s, 4.8 * 60, 0.15), "healthy: %g s", o.whole.p50_s);
    cr_expect(ge(uint, o.whole.hits, 196)); /* promote 1.000, abort at most .01 */
    cr_expect(near(ten->abort.p50_s, 30, 0.4), "ten times: %g s", ten->abort.p50_s);
    cr_expect(eq(uint, ten->abort.hits, 200));
    cr_expect(near(two->abort.p50_s, 8 * 60, 0.35), "twice: %g s", two->abort.p50_s);
    cr_expect(ge(uint, two->abort.hits, 190));
    cr_expect(eq(sz, o.n_notes, 0), "%s", o.notes[0].text);
    /* 20 requests/s of the canary, .9 % of them hurt. */
    cr_expect(near(ten->exposed, ten->abort.mean_s * 20, 0.1));
    cr_expect(near(ten->hurt, ten->exposed * (0.01 / 1.009 - 0.001), 0.01));
}

Test(outlook, later_steps_find_faster_and_the_same_seed_gives_the_same)
{
    struct outlook a = look(ramp, 2000, 0.001, 60, 2),
                   b = look(ramp, 2000, 0.001, 60, 2);
    for (size_t i = 0; i < 4; i++) {
        cr_expect(eq(dbl, a.steps[i].passes.mean_s, b.steps[i].passes.mean_s));
        cr_expect(eq(dbl, a.steps[i].found[1].abort.mean_s,
                     b.steps[i].found[1].abort.mean_s));
    }
    cr_expect(lt(dbl, a.steps[3].found[1].abort.mean_s,
                 a.steps[0].found[1].abort.mean_s / 2));
}

/* A note about the step that says this. */
static bool says(const struct outlook *o, size_t step, const char *what)
{
    for (size_t i = 0; i < o->n_notes; i++)
        if (o->notes[i].step == step && strstr(o->notes[i].text, what) != NULL)
            return true;
    return false;
}

static const char advised[] =
    HEAD "window: 10s\ncriteria: {min_requests: %s}\nsteps:\n"
         "  - {weight: 1%%, worse_than: 4, bake: 1m, warmup: 10s, timeout: 20m}\n"
         "  - {weight: 50%%, worse_than: 1.5, bake: %s, warmup: 10s, timeout: 1h}\n"
         "  - {weight: 100%%}\n"
         "metrics: [{name: errors, phi: 1, abort_over: 1.2%s}]\n";

static struct outlook advice(const char *least, const char *bake, const char *keys,
                             double rate)
{
    char text[900];
    snprintf(text, sizeof text, advised, least, bake, keys);
    return look(text, rate, 0.001, 20, 1);
}

Test(outlook, notes_say_what_to_change)
{
    struct outlook o = advice("0", "2m", "", 2000);
    cr_expect(eq(sz, o.n_notes, 0), "%s", o.notes[0].text);
    o = advice("0", "2m", "", 20);
    cr_expect(says(&o, 1, "never decides"));
    cr_expect(eq(uint, o.steps[0].undecided, 20));
    cr_expect(eq(uint, o.whole.hits, 0));
    cr_expect(o.whole.p50_s == HUGE_VAL && isnan(o.whole.mean_s));
    o = advice("0", "50m", "", 2000);
    cr_expect(says(&o, 2, "dominates"));
    cr_expect(ge(dbl, o.steps[1].passes.mean_s, 3010)); /* with the warm-up */
    cr_expect(lt(dbl, o.steps[1].ready.p90_s, 600));
    o = advice("1000000", "2m", "", 2000);
    cr_expect(says(&o, 1, "min_requests 1000000"));
    o = advice("0", "2m", ", floor: 2%", 2000);
    cr_expect(says(&o, 0, "floor"));
    o = advice("0", "2m", ", limit: 0.1%", 2000);
    cr_expect(says(&o, 0, "limit"));
}

Test(outlook, lumps_and_tempering_cost_time_not_safety, .timeout = 120)
{
    char text[1200];
    snprintf(text, sizeof text, "%s", ramp);
    char *phi = strstr(text, "phi: 1");
    memcpy(phi, "phi: 3", 6);
    struct outlook a = look(ramp, 2000, 0.001, 60, 0),
                   b = look(text, 2000, 0.001, 60, 0);
    cr_expect(gt(dbl, b.whole.mean_s, 1.3 * a.whole.mean_s));
    cr_expect(le(uint, b.aborted, 5));
}

Test(outlook, refuses_nonsense)
{
    struct arena a = {0};
    struct doc_errors e = {0};
    struct plan *p = NULL;
    int rc = plan_parse(&a, ramp, strlen(ramp), &p, &e);
    cr_assert(eq(int, rc, SERIN_OK));
    struct outlook_query good = {.rate = 10,
                                 .errors = {0.01},
                                 .phi = 1,
                                 .bads = {{OUTLOOK_ODDS, 0, 2, 0}},
                                 .n_bads = 1,
                                 .runs = 1};
    struct outlook_query q[9];
    for (size_t i = 0; i < 9; i++)
        q[i] = good;
    q[0].rate = 0;
    q[1].rate = NAN;
    q[2].errors[0] = 1;
    q[3].phi = 0.5;
    q[4].bads[0].size = 1;
    q[5].bads[0].metric = 1;
    q[6].runs = 0;
    q[7].bads[0].how = OUTLOOK_SLOWER; /* of a ratio */
    q[8].latency[0] = (struct outlook_base){10, 1001};
    for (size_t i = 0; i < 9; i++) {
        struct outlook o = {.n_notes = 77};
        struct fault f = {0};
        rc = outlook_make(p, &q[i], &o, &f);
        cr_expect(eq(int, rc, SERIN_EDOM), "case %zu", i);
        cr_expect(eq(sz, o.n_notes, 77));
        cr_expect(f.text[0] != '\0');
    }
    arena_free(&a);
}

Test(outlook, a_budget_ends_it_early_and_memory_may_run_out)
{
    struct arena a = {0};
    struct doc_errors e = {0};
    struct plan *p = NULL;
    struct outlook o;
    struct outlook_query q = {
        .rate = 2000, .errors = {0.001}, .phi = 1, .runs = 500, .budget = 1};
    int rc = plan_parse(&a, ramp, strlen(ramp), &p, &e);
    cr_assert(eq(int, rc, SERIN_OK));
    rc = outlook_make(p, &q, &o, NULL);
    cr_assert(eq(int, rc, SERIN_OK));
    cr_expect(eq(uint, o.runs, OUTLOOK_LEAST_RUNS));
    cr_expect(eq(uint, o.whole.runs, OUTLOOK_LEAST_RUNS));
    for (uint64_t k = 1; k <= 7; k++) {
        mem_fail_at(k);
        rc = outlook_make(p, &q, &o, NULL);
        mem_fail_at(0);
        cr_expect(eq(int, rc, SERIN_ENOMEM), "allocation %lu", (unsigned long)k);
    }
    arena_free(&a);
}

/* Shares by the law itself; what is drawn from it is as long. */
Test(outlook, latencies_are_drawn_as_described)
{
    static struct outlook_shape s;
    static uint64_t counts[HIST_ROOM];
    const struct outlook_base base = {80, 600};
    const struct outlook_bad slower = {OUTLOOK_SLOWER, 0, 1.5, 0},
                             tail = {OUTLOOK_TAIL, 0, 500, 0.04};
    struct draw d = draw_seeded(5);
    cr_expect(epsilon_eq(dbl, outlook_shape_beyond(&base, NULL, 80), 0.5, 1e-12));
    cr_expect(epsilon_eq(dbl, outlook_shape_beyond(&base, NULL, 600), 0.01, 1e-12));
    cr_expect(epsilon_eq(dbl, outlook_shape_beyond(&base, &slower, 900), 0.01, 1e-12));
    cr_expect(epsilon_eq(dbl, outlook_shape_beyond(&base, &tail, 580),
                         0.96 * outlook_shape_beyond(&base, NULL, 580) + 0.04 * 0.5,
                         1e-12));
    const struct outlook_bad *const bads[] = {NULL, &slower, &tail};
    for (size_t i = 0; i < 3; i++) {
        cr_assert(eq(int, outlook_shape_make(&s, &base, bads[i]), SERIN_OK));
        for (size_t n = 40; n <= 400000; n *= 100) { /* one by one, and by bucket */
            uint64_t seen = 0, above = 0;
            for (size_t k = 0; k < 400000 / n; k++) {
                struct hist_view v = outlook_shape_draw(&s, &d, n, 1, counts);
                seen += hist_total(&v);
                above += hist_above(&v, 300);
            }
            double want = outlook_shape_beyond(&base, bads[i], 300);
            double got = (double)above / (double)seen; /* a bucket is 2.2 % wide */
            cr_expect(eq(u64, seen, 400000));
            cr_expect(lt(dbl, fabs(got / want - 1), 0.05), "%zu, %zu: %g, %g", i, n,
                      got, want);
        }
    }
    uint64_t lumps = 0;
    for (int k = 0; k < 400; k++) {
        struct hist_view v = outlook_shape_draw(&s, &d, 1000, 3, counts);
        lumps += hist_total(&v);
    }
    cr_expect(lt(dbl, fabs((double)lumps / 400000 - 1), 0.01));
}

/* A latency alone, then one that gives its step too little time. */
Test(outlook, latencies_are_looked_at_too)
{
    static const char text[] = HEAD
        "window: 2s\nsteps:\n"
        "  - {weight: 5%%, worse_than: 2, bake: 0s, warmup: 0s, timeout: %s}\n"
        "  - {weight: 100%%}\n"
        "metrics:\n  - {name: time, kind: latency, phi: 1, protect: [p90, p999]%s}\n";
    static struct outlook o;
    for (int i = 0; i < 2; i++) {
        struct arena a = {0};
        struct doc_errors e = {0};
        struct plan *p = NULL;
        struct fault f = {0};
        char plan[700];
        snprintf(plan, sizeof plan, text, i == 0 ? "9h" : "1m",
                 i == 0 ? "" : ", limit: {p99: 500ms}");
        struct outlook_query q = {
            .rate = 2000,
            .errors = {0.5},
            .latency = {{80, 600}},
            .phi = 1,
            .bads = {{OUTLOOK_SLOWER, 0, 1.5, 0}, {OUTLOOK_TAIL, 0, 600, 0.02}},
            .n_bads = 2,
            .runs = 20,
            .seed = 1};
        cr_assert(eq(int, plan_parse(&a, plan, strlen(plan), &p, &e), SERIN_OK));
        int rc = outlook_make(p, &q, &o, &f);
        cr_assert(eq(int, rc, SERIN_OK), "%s", f.text);
        cr_expect(eq(str, o.steps[0].slowest, (char *)"time p999"));
        if (i == 0) {
            const struct outlook_found *all = &o.steps[0].found[0];
            cr_expect(eq(uint, o.whole.hits, 20));
            cr_expect(near(o.whole.mean_s, o.steps[0].forecast_s, 0.5), "%g, %g",
                      o.whole.mean_s, o.steps[0].forecast_s);
            cr_expect(eq(uint, all->abort.hits, 20));
            cr_expect(lt(dbl, all->abort.mean_s, o.steps[0].found[1].abort.mean_s));
            cr_expect(near(all->hurt, all->exposed * 0.0216, 0.02), "%g",
                      all->hurt / all->exposed);
            cr_expect(eq(sz, o.n_notes, 0), "%s", o.notes[0].text);
        } else {
            cr_expect(says(&o, 1, "evidence of time p999"), "%s", o.notes[0].text);
            cr_expect(says(&o, 0, "beyond its limit 500 ms of p99"));
        }
        arena_free(&a);
    }
}

/* Crashes by pods and by requests, and conversions, of which fewer is worse. */
Test(outlook, other_kinds_are_looked_at_too)
{
    static const char *const metrics[] = {
        "  - {name: a, kind: events, phi: 1, exposure: {canary: 5, baseline: 5}}\n",
        "  - {name: a, kind: events, phi: 1, exposure: b}\n"
        "  - {name: b, mode: shadow, phi: 1}\n",
        "  - {name: a, direction: down, phi: 1}\n"};
    static struct outlook o;
    for (size_t i = 0; i < 3; i++) {
        struct arena a = {0};
        struct doc_errors e = {0};
        struct plan *p = NULL;
        struct fault f = {0};
        char text[700];
        snprintf(text, sizeof text,
                 HEAD
                 "window: 10s\nsteps:\n"
                 "  - {weight: 50%%, worse_than: 2, bake: 0s, warmup: 0s, timeout: "
                 "9h}\n  - {weight: 100%%}\nmetrics:\n%s",
                 metrics[i]);
        int rc = plan_parse(&a, text, strlen(text), &p, &e);
        cr_assert(eq(int, rc, SERIN_OK), "%s",
                  doc_errors_format(&e, "plan", text, strlen(text)));
        struct outlook_query q = {.rate = i == 2 ? 2 : 1000,
                                  .errors = {0.8, 0.8},
                                  .events = {0.5},
                                  .phi = 1,
                                  .bads = {{OUTLOOK_ODDS, 0, 4, 0}},
                                  .n_bads = 1,
                                  .runs = 60,
                                  .seed = 1};
        rc = outlook_make(p, &q, &o, &f);
        cr_assert(eq(int, rc, SERIN_OK), "%s", f.text);
        const struct outlook_found *found = &o.steps[0].found[0];
        fprintf(stderr,
                "%zu: healthy %g s, forecast %g s, found %u after %g s, hurt %g\n", i,
                o.whole.mean_s, o.steps[0].forecast_s, found->abort.hits,
                found->abort.mean_s, found->hurt);
        cr_expect(ge(uint, o.whole.hits, 57));
        cr_expect(near(o.whole.mean_s, o.steps[0].forecast_s, 0.6));
        cr_expect(ge(uint, found->abort.hits, 57));
        cr_expect(lt(dbl, found->abort.mean_s, 3 * o.whole.mean_s));
        /* 4 times .25 events/s are .75 more; of .8 remain .5, .3 less of one a second
         */
        cr_expect(near(found->hurt, found->abort.mean_s * (i == 2 ? 0.3 : 0.75), 0.15));
        q.events[0] = 0;
        rc = outlook_make(p, &q, &o, &f);
        cr_expect(eq(int, rc, i == 2 ? SERIN_OK : SERIN_EDOM));
        arena_free(&a);
    }
}

/* Means of pods: batches until the sequence suffices, by its formula; and pods beyond a
 * bound, as shares of pods. */
Test(outlook, what_pods_show_is_looked_at_too)
{
    static const char *const metrics[] = {
        "{name: a, kind: gauge, batch: 1m, abort_over: 1.1}",
        "{name: a, kind: saturation, bound: 9, batch: 1m, phi: 1, abort_over: 1.2}"};
    for (size_t i = 0; i < 2; i++) {
        char text[700];
        snprintf(text, sizeof text,
                 HEAD "window: 10s\nsteps:\n"
                      "  - {weight: 25%%, worse_than: 1.5, bake: 0s, warmup: 0s, "
                      "timeout: 90h}\n  - {weight: 100%%}\nmetrics: [%s]\n",
                 metrics[i]);
        const struct outlook_query q = {.rate = 100,
                                        .errors = {0.2},
                                        .levels = {{40, 20, 8}},
                                        .phi = 1,
                                        .bads = {{OUTLOOK_ODDS, 0, 2, 0}},
                                        .n_bads = 1,
                                        .runs = 100,
                                        .seed = 1};
        struct outlook o = answer(text, &q);
        const struct outlook_found *found = &o.steps[0].found[0];
        double v = 20 * 20 * (1.0 / 2 + 1.5 * 1.5 / 6);
        double gauge_s = 60 * kind_gauge_needs(0, 0, 0.5 * 40, v, 0.05);
        double pods_s = forecast_seconds(
            0.05, 0, forecast_promote_share(0.2, 0.25, 1.5), 8.0 / 60, 1);
        double aborted_s =
            60 *
            kind_gauge_needs(0, 0, 0.9 * 40, 20 * 20 * (1.0 / 2 + 1.1 * 1.1 / 6), 0.01);
        fprintf(stderr, "%zu: %g s, forecast %g s; aborted %g s\n", i, o.whole.mean_s,
                o.steps[0].forecast_s, found->abort.mean_s);
        cr_expect(near(o.steps[0].forecast_s, i == 0 ? gauge_s : pods_s, 1e-9));
        cr_expect(near(o.whole.mean_s, o.steps[0].forecast_s, 0.25));
        cr_expect(ge(uint, o.whole.hits, 94));
        cr_expect(ge(uint, found->abort.hits, 95));
        if (i == 0) cr_expect(near(found->abort.mean_s, aborted_s, 0.25));
        cr_expect(isnan(found->hurt)); /* nobody can say */
        cr_expect(near(found->exposed,
                       25 * (found->abort.mean_s * found->abort.hits) / 100, 0.2));
    }
}

static const char strategies[] =
    HEAD "window: 10s\n%s\nsteps:\n%s"
         "metrics: [{name: errors, phi: 1, abort_over: 1.2%s}]\n";

static struct outlook strategy(const char *keys, const char *steps, const char *more,
                               struct outlook_query q)
{
    char text[900];
    snprintf(text, sizeof text, strategies, keys, steps, more);
    q.errors[0] = 0.001;
    q.phi = q.seed = 1;
    q.bads[0] = (struct outlook_bad){OUTLOOK_ODDS, 0, 4, 0};
    q.n_bads = 1;
    if (q.runs == 0) q.runs = 40;
    return answer(text, &q);
}

/* Copies are evidence that hurts nobody; a pause takes its time, and what follows is
 * hurt once people have it. */
Test(outlook, mirrors_and_pauses)
{
    struct outlook o = strategy(
        "",
        "  - {kind: mirror, share: 25%, worse_than: 2, bake: 0s, warmup: 0s, timeout: "
        "9h}\n"
        "  - {kind: pause, for: 1h}\n"
        "  - {weight: 25%, worse_than: 1.9, bake: 0s, warmup: 0s, timeout: 9h}\n"
        "  - {kind: pause}\n  - {weight: 100%}\n",
        "", (struct outlook_query){.rate = 2000});
    double copies_s =
        forecast_seconds(0.05, 0, forecast_promote_share(0.001, 0.2, 2), 2500, 1);
    cr_expect(near(o.steps[0].forecast_s, copies_s, 1e-9));
    cr_expect(near(o.steps[0].passes.mean_s, 60 + copies_s, 0.6));
    cr_expect(eq(dbl, o.steps[0].found[0].exposed, 0));
    cr_expect(eq(dbl, o.steps[0].found[0].hurt, 0));
    cr_expect(ge(uint, o.steps[0].found[0].abort.hits, 38));
    cr_expect(eq(dbl, o.steps[1].passes.mean_s, 3600));
    cr_expect(gt(dbl, o.whole.mean_s, 3600));
    cr_expect(gt(dbl, o.steps[2].found[0].hurt, 1));
    cr_expect(eq(dbl, o.steps[3].passes.mean_s, 0));
    cr_expect(says(&o, 4, "waits until a person promotes"));
}

/* With as many testers as known; without, it is said. */
Test(outlook, previews)
{
    static const char steps[] =
        "  - {kind: preview, worse_than: 2, bake: 5m, warmup: 0s, timeout: 9h}\n"
        "  - {weight: 100%}\n";
    struct outlook_query q = {.rate = 2000, .preview = 500};
    struct outlook o = strategy("strategy: blue_green", steps, "", q);
    double seconds =
        forecast_seconds(0.05, 0, forecast_promote_share(0.001, 0.2, 2), 2500, 1);
    cr_expect(near(o.steps[0].forecast_s, seconds, 1e-9));
    cr_expect(eq(uint, o.whole.hits, 40));
    cr_expect(eq(dbl, o.steps[0].found[0].hurt, 0));
    cr_expect(ge(uint, o.steps[0].found[0].abort.hits, 38));
    q.preview = 0.05;
    o = strategy("strategy: blue_green", steps, "", q);
    cr_expect(says(&o, 1, "never decides"));
    q.preview = 0;
    o = strategy("strategy: blue_green", steps, "", q);
    cr_expect(o.steps[0].guessed);
    cr_expect(says(&o, 1, "preview: not simulated"));
    cr_expect(eq(dbl, o.whole.mean_s, 300));
    cr_expect(eq(uint, o.steps[0].found[0].abort.runs, 0));
}

/* Segments alone: limits, min_requests and bake decide. */
Test(outlook, segments)
{
    static const char keys[] = "strategy: flag\nflag: f\nstrata: [s]\ncriteria: "
                               "{min_requests: 6000}";
    static const char steps[] =
        "  - {audience: [house], bake: 1m, warmup: 0s, timeout: 2h}\n"
        "  - {weight: 50%, worse_than: 2, bake: 0s, timeout: 9h}\n"
        "  - {weight: 100%}\n";
    struct outlook_query q = {
        .rate = 1000, .segments = {{"house", 0.01}}, .n_segments = 1};
    struct outlook o = strategy(keys, steps, ", limit: 0.3%", q);
    const struct outlook_found *found = &o.steps[0].found[0];
    cr_expect(near(o.steps[0].passes.mean_s, 600, 0.03)); /* 10 a second */
    cr_expect(eq(uint, o.whole.hits, 40));
    cr_expect(eq(uint, found->promoted, 0)); /* .4 % is above its limit */
    cr_expect(near(found->hurt, found->exposed * 0.003, 0.01));
    q.segments[0].share = 0.0001;
    o = strategy(keys, steps, ", limit: 0.3%", q);
    cr_expect(says(&o, 1, "can never pass: min_requests 6000"));
    q.segments[0].name = "others";
    o = strategy(keys, steps, ", limit: 0.3%", q);
    cr_expect(o.steps[0].guessed);
    cr_expect(says(&o, 1, "the share of the requests of house is not given"));
}

/* How often it wins without an effect and with one, and how long that takes. */
Test(outlook, experiments)
{
    static const char text[] =
        "id: r\ncohorts: {canary: {v: \"2\"}, baseline: {v: \"1\"}}\n"
        "calibrate: skip\nwindow: 10s\nstrategy: experiment\nexperiment: {metric: "
        "bought, better: up, weight: 50%, duration: 14d, equivalent: 10%}\n"
        "metrics:\n  - {name: bought, phi: 1}\n  - {name: errors, phi: 1}\n";
    struct outlook_query q = {.rate = 100,
                              .errors = {0.05, 0.001},
                              .phi = 1,
                              .bads = {{OUTLOOK_ODDS, 0, 1.2, 0},
                                       {OUTLOOK_ODDS, 0, 1 / 1.2, 0},
                                       {OUTLOOK_ODDS, 1, 10, 0},
                                       {OUTLOOK_ODDS, 0, 1.12, 0}},
                              .n_bads = 4,
                              .runs = 60,
                              .seed = 1};
    struct outlook o = answer(text, &q);
    const struct outlook_answer *none = &o.answers[0], *up = &o.answers[1],
                                *down = &o.answers[2], *bad = &o.answers[3];
    double same_s = forecast_seconds(0.025, 0, forecast_promote_share(0.05, 0.5, 1.1),
                                     100, 1),
           win_s =
               forecast_seconds(0.025, 0, forecast_abort(0.05, 0.5, 1.2, 1), 100, 1);
    fprintf(stderr, "no effect %g s (%g), win %g s (%g)\n",
            none->ends[OUTLOOK_SAME].mean_s, same_s, up->ends[OUTLOOK_WIN].mean_s,
            win_s);
    /* The forms know the best point of one side only: a mixture is slower, and to show
     * that there is no difference both sides are needed. */
    cr_expect(ge(dbl, none->ends[OUTLOOK_SAME].mean_s, same_s));
    cr_expect(le(dbl, none->ends[OUTLOOK_SAME].mean_s, 3 * same_s));
    cr_expect(ge(dbl, up->ends[OUTLOOK_WIN].mean_s, win_s));
    cr_expect(le(dbl, up->ends[OUTLOOK_WIN].mean_s, 2.5 * win_s));
    cr_expect(le(uint, none->ends[OUTLOOK_WIN].hits + none->ends[OUTLOOK_LOSE].hits,
                 10)); /* 3 of 60 at level .05, and 4 standard deviations */
    cr_expect(ge(uint, up->ends[OUTLOOK_WIN].hits, 56));
    cr_expect(ge(uint, down->ends[OUTLOOK_LOSE].hits, 56));
    cr_expect(ge(uint, bad->ends[OUTLOOK_GUARDED].hits, 56));
    cr_expect(eq(sz, o.n_notes, 0), "%s", o.notes[0].text);
    q.rate = 0.001;
    q.runs = 10;
    o = answer(text, &q);
    cr_expect(eq(uint, o.answers[0].open, 10));
    cr_expect(says(&o, 0, "never decides"));
    cr_expect(says(&o, 0, "is found in"));
}
