/* tests/statistical/replay/stat_scene.c -- recordings at half and half, judged as if
 * their split had been that of the plan: the promises hold on what is left */
#include "engine/replay/scene/scene.h"
#include "engine/replay/trial.h"
#include "proto/encode.h"
#include "tests/support/cells.h"

enum { SECONDS = 240 };
static const double alpha = 0.05;

static const char latency_text[] =
    "id: r\n"
    "cohorts: {canary: {v: c}, baseline: {v: b}}\n"
    "window: 1s\n"
    "calibrate: skip\n"
    "risk: {false_abort: 0.05}\n"
    "steps:\n"
    "  - {weight: 5%, worse_than: 8, bake: 10s, warmup: 0s}\n"
    "  - {weight: 20%, worse_than: 1.5, bake: 1h, warmup: 0s, timeout: 2h}\n"
    "  - {weight: 100%}\n"
    "metrics: [{name: latency, kind: latency, phi: 1}]\n";

static const char plan_text[] =
    "id: r\n"
    "cohorts: {canary: {v: c}, baseline: {v: b}}\n"
    "window: 1s\n"
    "calibrate: skip\n"
    "risk: {false_abort: 0.05}\n"
    "steps:\n"
    "  - {weight: 5%, worse_than: 8, bake: 20s, warmup: 0s}\n"
    "  - {weight: 20%, worse_than: 1.21, bake: 1h, warmup: 0s, timeout: 2h}\n"
    "  - {weight: 100%}\n"
    "metrics: [{name: errors, kind: ratio, phi: 1, abort_over: 1.2}]\n";

struct told {
    unsigned aborted, split, raised; /* runs */
    double share;                    /* of the canary at 20 %, of the last run */
};

static enum serin_status on_verdict(void *ctx, const pb_verdict *v, struct bytes b)
{
    struct told *t = ctx;
    (void)b;
    t->aborted += v->kind == SERIN__V1__KIND__KIND_ABORT;
    t->split += strcmp(v->reason, "sample_ratio") == 0;
    t->raised += v->to_bp == 2000 && v->from_bp < 2000;
    return SERIN_OK;
}

static void give(struct trial *t, struct arena *a, struct cells *c)
{
    struct bytes b;
    pb_inbox m = SERIN__V1__INBOX__INIT;
    c->p.worker = (char *)"w";
    m.schema = SERIN_SCHEMA;
    m.body_case = SERIN__V1__INBOX__BODY_PARTIAL;
    m.partial = &c->p;
    cr_assert(eq(int, encode_inbox(a, &m, &b), SERIN_OK));
    cr_assert(eq(int, trial_partial(t, b), SERIN_OK));
}

/* 400 requests a second of each cohort, drift and ripples in the rate, the canary's
 * odds times `odds`. */
static void requests(gsl_rng *g, int second, double odds, struct cells *c)
{
    double p = 0.02 * (1 + second / 400. + 0.3 * sin(second / 17.)),
           q = odds * p / (1 + (odds - 1) * p);
    for (int canary = 1; canary >= 0; canary--) {
        unsigned n = gsl_ran_poisson(g, 400);
        cells_add(c, canary, "errors", CELLS_T0 + 1000 * second, n,
                  gsl_ran_binomial(g, canary ? q : p, n));
    }
}

/* The same number, in buckets of which all wander up and down together. */
static void latencies(gsl_rng *g, int second, struct cells *c)
{
    enum { BUCKETS = 12 };
    double shares[BUCKETS];
    for (int i = 0; i < BUCKETS; i++)
        shares[i] = exp(-pow(i - 4 - sin(second / 30.), 2) / 8);
    for (int canary = 1; canary >= 0; canary--) {
        unsigned n[BUCKETS];
        uint64_t counts[8 * BUCKETS] = {0};
        gsl_ran_multinomial(g, BUCKETS, gsl_ran_poisson(g, 400), shares, n);
        for (int i = 0; i < BUCKETS; i++)
            counts[8 * i] = n[i];
        cells_hist(c, cells_add(c, canary, "latency", CELLS_T0 + 1000 * second, 0, 0),
                   150, counts, 8 * BUCKETS);
    }
}

/* One recording; of latencies where odds is 0. */
static void play(gsl_rng *g, const struct plan *plan, const char *spec, uint64_t seed,
                 double odds, struct told *told)
{
    struct fault f = {0};
    struct trial *t;
    struct scene *s;
    struct arena a = {0};
    struct told one = {0};
    struct scene_options so = {.plan = plan,
                               .inject = &spec,
                               .n_inject = spec != NULL,
                               .commanded = true,
                               .seed = seed};
    struct trial_options to = {.plan = odds > 0 ? plan_text : latency_text,
                               .id = "r",
                               .sink = on_verdict,
                               .ctx = &one};
    cr_assert(eq(int, scene_open(&s, &so, &f), SERIN_OK), "%s", f.text);
    cr_assert(eq(int, trial_open(&t, &to), SERIN_OK));
    cr_assert(eq(int, trial_want(t, strview_of("r"), CELLS_T0, &f), SERIN_OK));
    for (int i = 0; i < SECONDS && one.aborted == 0; i++) {
        int64_t at = CELLS_T0 + 1000 * i;
        struct cells c;
        struct change_window w = cells_window(at, trial_share(t, strview_of("r"), at));
        arena_reset(&a);
        cells_begin(&c, &a);
        if (odds > 0)
            requests(g, i, odds, &c);
        else
            latencies(g, i, &c);
        cr_assert(eq(int, scene_change(s, &a, &w, &c.p), SERIN_OK));
        give(t, &a, &c);
        cr_assert(eq(int, trial_tick(t, at + 1000, at + 1000), SERIN_OK));
    }
    told->aborted += one.aborted > 0;
    told->split += one.split > 0;
    told->raised += one.raised > 0;
    trial_close(t);
    scene_close(s);
    arena_free(&a);
}

static struct told runs(unsigned n, const char *spec, double odds, unsigned long seed)
{
    struct arena a = {0};
    struct told told = {0};
    const struct plan *plan = cells_plan(&a, odds > 0 ? plan_text : latency_text);
    gsl_rng *g = check_rng(seed);
    for (unsigned i = 0; i < n; i++)
        play(g, plan, spec, seed + i, odds, &told);
    gsl_rng_free(g);
    arena_free(&a);
    return told;
}

/* More than so many happen to a correct program once in a million. */
static bool too_many(unsigned hits, double level, unsigned n)
{
    return gsl_cdf_binomial_Q(hits, level, n) < 1e-6;
}

Test(scene_stat, a_thinned_canary_at_the_bound_is_aborted_as_rarely_as_promised)
{
    enum { RUNS = 300 };
    struct told t = runs(RUNS, NULL, 1.2, 20261124);
    check_cell("odds 1.2 of 1.2 tolerated, half and half thinned to 5 and 20 %%: %u of "
               "%d aborted at .05, %u held for their split",
               t.aborted, RUNS, t.split);
    cr_assert(eq(int, too_many(t.aborted, alpha, RUNS), false), "%u", t.aborted);
    cr_assert(eq(int, too_many(t.split, 0.001, RUNS), false), "%u", t.split);
    cr_assert(ge(uint, t.raised, RUNS / 2), "the split has to change: %u", t.raised);
}

Test(scene_stat, thinned_latencies_are_alike_as_they_were)
{
    enum { RUNS = 100 };
    struct told t = runs(RUNS, NULL, 0, 97);
    check_cell(
        "latencies alike, half and half thinned to 5 and 20 %%: %u of %d aborted "
        "at .05",
        t.aborted, RUNS);
    cr_assert(eq(int, too_many(t.aborted, alpha, RUNS), false), "%u", t.aborted);
    t = runs(20, "latency=+40%@1m", 0, 98);
    cr_assert(ge(uint, t.aborted, 18), "%u", t.aborted);
}

Test(scene_stat, what_is_injected_is_found)
{
    enum { RUNS = 60 };
    struct told t = runs(RUNS, "errors=x4@1m", 1, 7);
    check_cell("odds times 4 injected after a minute: %u of %d aborted", t.aborted,
               RUNS);
    cr_assert(ge(uint, t.aborted, RUNS * 9 / 10), "%u", t.aborted);
    t = runs(RUNS, "sample_ratio=x0.5@30s", 1, 8);
    cr_assert(ge(uint, t.split, RUNS * 9 / 10), "%u", t.split);
}
