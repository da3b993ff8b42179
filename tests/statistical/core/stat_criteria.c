/* tests/statistical/core/stat_criteria.c -- several metrics through the real fold: one
 * of any_of is enough, and the level is shared among them
 *
 * Windows of 10 s, independent metrics over the same requests. 250 rollouts a cell,
 * 10 000 with SERIN_LONG=1. */
#include "tests/support/direct.h"

enum { T0 = 1700000000, WINDOW_MS = 10000, REQUESTS = 400, METRICS = 8, WINDOWS = 240 };
static const double rate = 0.05, worse_than = 1.5, beta = 0.05;

static const char *const names[METRICS] = {"m0", "m1", "m2", "m3",
                                           "m4", "m5", "m6", "m7"};
static const char plan[] =
    "id: r\ncohorts: {canary: {v: \"2\"}, baseline: {v: \"1\"}}\nwindow: 10s\n"
    "sample_ratio: {check: false}\ncalibrate: skip\n"
    "risk: {false_abort: 1e-9, false_promote: 0.05}\n"
    "steps:\n  - {weight: 20%, worse_than: 1.5, bake: 10s, warmup: 0s, timeout: 20d}\n"
    "  - {weight: 100%, watch: 0s}\n"
    "criteria: {any_of: [m0, m1, m2, m3, m4, m5, m6, m7]}\n"
    "metrics:\n"
    "  - {name: m0, abort_over: 1.49, phi: 1}\n  - {name: m1, abort_over: 1.49, phi: "
    "1}\n"
    "  - {name: m2, abort_over: 1.49, phi: 1}\n  - {name: m3, abort_over: 1.49, phi: "
    "1}\n"
    "  - {name: m4, abort_over: 1.49, phi: 1}\n  - {name: m5, abort_over: 1.49, phi: "
    "1}\n"
    "  - {name: m6, abort_over: 1.49, phi: 1}\n  - {name: m7, abort_over: 1.49, phi: "
    "1}\n";

static void window(struct fold *f, int64_t *offset, int64_t at_ms, double share,
                   const double odds[METRICS], gsl_rng *g, struct effects *fx)
{
    pb_inbox in = SERIN__V1__INBOX__INIT;
    pb_partial p = SERIN__V1__PARTIAL__INIT;
    pb_cell cells[2 * METRICS], *items[2 * METRICS];
    unsigned n[2] = {gsl_ran_binomial(g, share, REQUESTS)};
    n[1] = REQUESTS - n[0];
    p.rollout = "r";
    p.cells = items;
    for (int k = 0; k < METRICS; k++) {
        for (int b = 0; b < 2; b++) {
            if (n[b] == 0) continue;
            pb_cell *c = items[p.n_cells] = &cells[p.n_cells];
            p.n_cells++;
            serin__v1__cell__init(c);
            c->cohort = b ? SERIN__V1__COHORT__COHORT_BASELINE
                          : SERIN__V1__COHORT__COHORT_CANARY;
            c->metric = (char *)names[k];
            c->window_ms = at_ms;
            c->n = n[b];
            c->bad = gsl_ran_binomial(g, b ? rate : direct_worse(rate, odds[k]), n[b]);
        }
    }
    in.body_case = SERIN__V1__INBOX__BODY_PARTIAL;
    in.partial = &p;
    direct_give(f, offset, &in, fx);
}

static bool promoted(const double odds[METRICS], gsl_rng *g)
{
    struct fold_options o = direct_options();
    struct effects fx = {0};
    struct fold *f;
    int64_t offset = 0, now_ms = T0 * 1000LL;
    cr_assert(eq(int, fold_open(&f, &o), SERIN_OK));
    direct_tick(f, &offset, now_ms, &fx);
    direct_apply(f, &offset, plan, &fx);
    const struct rollout *r = fold_find(f, "r");
    for (int t = 0; t < WINDOWS && r->weight_bp < 10000; t++) {
        window(f, &offset, now_ms, r->weight_bp / 10000.0, odds, g, &fx);
        direct_tick(f, &offset, now_ms += WINDOW_MS, &fx);
    }
    bool all = r->weight_bp == 10000;
    fold_close(f);
    effects_free(&fx);
    return all;
}

static unsigned promotions(const char *name, const double odds[METRICS], unsigned runs,
                           unsigned long seed)
{
    unsigned hits = 0;
    gsl_rng *g = check_rng(seed);
    for (unsigned i = 0; i < runs; i++)
        hits += promoted(odds, g);
    gsl_rng_free(g);
    check_cell("any of 8, %s: %u of %u promoted", name, hits, runs);
    return hits;
}

static unsigned replicates(void)
{
    return getenv("SERIN_LONG") != NULL ? 10000 : 250;
}

/* Each at the full level would promote one in five. */
Test(criteria_stat, any_of_shares_its_level, .timeout = 3600)
{
    double odds[METRICS];
    for (int k = 0; k < METRICS; k++)
        odds[k] = worse_than;
    unsigned hits = promotions("all at worse_than", odds, replicates(), 1);
    cr_assert(not(direct_too_many(hits, beta, replicates())));
}

Test(criteria_stat, one_good_metric_of_any_of_is_enough, .timeout = 3600)
{
    double odds[METRICS];
    for (int k = 0; k < METRICS; k++)
        odds[k] = k == 5 ? 1 : worse_than;
    unsigned runs = replicates() / 8;
    cr_assert(ge(uint, promotions("one as before", odds, runs, 2), runs * 9 / 10));
}
