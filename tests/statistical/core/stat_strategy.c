/* tests/statistical/core/stat_strategy.c -- a mirror's evidence through the whole fold:
 * every request is answered by both sides, so what both get wrong is no coincidence.
 * 1000 rollouts a cell, 10 000 with SERIN_LONG=1. */
#include "tests/support/direct.h"

enum { T0 = 1700000000, RATE = 1000, SECONDS = 600 };

static const char plan_of[] =
    "apiVersion: serin/v1\nkind: Rollout\nid: r\nstrategy: blue_green\n"
    "cohorts: {canary: {v: \"2\"}, baseline: {v: \"1\"}}\n"
    "window: 2s\ncalibrate: skip\n"
    "risk: {false_abort: 0.05, false_promote: 0.05}\n"
    "steps:\n"
    "  - {kind: mirror, worse_than: 2, bake: 12s, warmup: 2s, timeout: 2h}\n"
    "  - {weight: 100%%, watch: 0s, warmup: 0s}\n"
    "metrics: [{name: errors, phi: 1, abort_over: %g}]\n";

struct cell {
    double odds; /* of the canary */
    double abort_over;
    double shared; /* part of the baseline's errors that the request itself causes */
    unsigned aborted, promoted;
};

static void run(struct cell *c, gsl_rng *g)
{
    const double p = 0.02, q = p * c->shared, p_c = direct_worse(p, c->odds);
    struct fold_options o = direct_options();
    struct effects fx = {0};
    char plan[1024];
    struct fold *f;
    int64_t offset = 0;
    cr_assert(eq(int, fold_open(&f, &o), SERIN_OK));
    direct_tick(f, &offset, T0 * 1000LL, &fx);
    snprintf(plan, sizeof plan, plan_of, c->abort_over);
    direct_apply(f, &offset, plan, &fx);
    const struct rollout *r = fold_find(f, "r");
    for (int s = 0; s < SECONDS && !decide_final(r->state); s++) {
        if (r->weight_bp == 10000) break;
        unsigned hard = gsl_ran_binomial(g, q, RATE), rest = RATE - hard;
        unsigned counts[4] = {
            RATE, hard + gsl_ran_binomial(g, (p_c - q) / (1 - q), rest), RATE,
            hard + gsl_ran_binomial(g, (p - q) / (1 - q), rest)};
        direct_second(f, &offset, (T0 + s) * 1000LL, counts, &fx);
        direct_tick(f, &offset, (T0 + s + 1) * 1000LL, &fx);
    }
    c->aborted += r->state == ROLLOUT_ABORTED;
    c->promoted += r->weight_bp == 10000;
    fold_close(f);
    effects_free(&fx);
}

static unsigned study(struct cell *c, unsigned long seed)
{
    unsigned runs = getenv("SERIN_LONG") != NULL ? 10000 : 1000;
    gsl_rng *g = check_rng(seed);
    for (unsigned i = 0; i < runs; i++)
        run(c, g);
    gsl_rng_free(g);
    fprintf(stderr, "odds ratio %g, %g shared: %u of %u aborted, %u promoted\n",
            c->odds, c->shared, c->aborted, runs, c->promoted);
    return runs;
}

Test(strategy, a_mirror_of_a_harmless_canary_promotes, .timeout = 600)
{
    for (int k = 0; k < 2; k++) {
        struct cell c = {.odds = 1, .abort_over = 1, .shared = k == 0 ? 0 : 0.8};
        unsigned runs = study(&c, 31 + (unsigned long)k);
        cr_assert(not(direct_too_many(c.aborted, 0.05, runs)));
        cr_assert(ge(uint, c.promoted, runs * 94 / 100));
    }
}

Test(strategy, a_mirror_at_the_tolerance_rarely_promotes, .timeout = 600)
{
    for (int k = 0; k < 2; k++) {
        /* Close to the tolerance, so that an abort does not come before it. */
        struct cell c = {.odds = 2, .abort_over = 1.9, .shared = k == 0 ? 0 : 0.8};
        unsigned runs = study(&c, 41 + (unsigned long)k);
        cr_assert(not(direct_too_many(c.promoted, 0.05, runs)));
    }
}
