/* tests/statistical/core/stat_experiment.c -- experiments through the real fold: false
 * results, power, and coverage of the limits at the moment they stop
 *
 * 1000 experiments a cell, 10 000 with SERIN_LONG=1; limits fail a correct program once
 * in a million. */
#include "proto/decode.h"
#include "tests/support/direct.h"

enum { T0 = 1700000000, RATE = 2000 };

static const char plan_of[] =
    "apiVersion: serin/v1\nkind: Rollout\nid: r\nstrategy: experiment\n"
    "cohorts: {canary: {v: \"2\"}, baseline: {v: \"1\"}}\n"
    "window: 1s\ncalibrate: skip\n"
    "experiment: {better: up, weight: %s, duration: %ds, equivalent: %s, level: 0.05}\n"
    "metrics: [{name: errors, phi: 1}]\n";

struct cell {
    const char *name, *weight, *equivalent;
    int seconds;
    double odds;  /* of the canary */
    double drift; /* amplitude of the wave, relative */
};

struct tally {
    unsigned runs, win, lose, equivalent, inconclusive, missed;
    unsigned held;  /* by sample ratio or dispersion, each at .001 by chance */
    double seconds; /* mean until the end */
};

static void count(struct tally *t, const struct cell *c, const struct effects *fx)
{
    struct arena a = {0};
    pb_verdict *v = NULL;
    for (size_t i = 0; i < fx->n; i++)
        if (fx->items[i].kind == EFFECT_VERDICT)
            cr_assert(eq(
                int, decode_verdict(&a, fx->items[i].value.p, fx->items[i].value.n, &v),
                SERIN_OK));
    t->runs++;
    cr_assert(v != NULL && v->kind == SERIN__V1__KIND__KIND_RESULT);
    const pb_metric_verdict *m = v->metrics[0];
    t->win += strcmp(v->result, "win") == 0;
    t->lose += strcmp(v->result, "lose") == 0;
    t->equivalent += strcmp(v->reason, "equivalent") == 0;
    t->inconclusive += strcmp(v->reason, "inconclusive") == 0;
    t->missed += m->lower > c->odds * (1 + 1e-9) || m->upper < c->odds * (1 - 1e-9);
    t->seconds += (double)(v->t_ms - T0 * 1000LL) / 1000;
    arena_free(&a);
}

static void run(struct tally *t, const struct cell *c, const char *plan, gsl_rng *g)
{
    struct fold_options o = direct_options();
    struct effects fx = {0};
    struct fold *f;
    int64_t offset = 0;
    cr_assert(eq(int, fold_open(&f, &o), SERIN_OK));
    direct_tick(f, &offset, T0 * 1000LL, &fx);
    direct_apply(f, &offset, plan, &fx);
    const struct rollout *r = fold_find(f, "r");
    double phase = gsl_rng_uniform(g) * 2 * M_PI;
    for (int s = 0; s < c->seconds + 30 && !decide_final(r->state); s++) {
        double p = 0.05 * (1 + c->drift * sin(2 * M_PI * s / 600 + phase));
        unsigned n = gsl_ran_binomial(g, r->weight_bp / 10000.0, RATE), m = RATE - n;
        unsigned x = gsl_ran_binomial(g, direct_worse(p, c->odds), n);
        direct_second(f, &offset, (T0 + s) * 1000LL,
                      (unsigned[]){n, x, m, gsl_ran_binomial(g, p, m)}, &fx);
        direct_tick(f, &offset, (T0 + s + 1) * 1000LL, &fx);
    }
    if (r->state == ROLLOUT_HELD) {
        cr_assert(r->hold == HOLD_SAMPLE_RATIO || r->hold == HOLD_DISPERSION, "%s",
                  rollout_hold_text(r->hold));
        t->runs++, t->held++;
    } else {
        count(t, c, &fx);
    }
    fold_close(f);
    effects_free(&fx);
}

static struct tally study(struct cell c, unsigned long seed)
{
    struct tally t = {0};
    char plan[800];
    gsl_rng *g = check_rng(seed);
    unsigned runs = getenv("SERIN_LONG") != NULL ? 10000 : 1000;
    snprintf(plan, sizeof plan, plan_of, c.weight, c.seconds, c.equivalent);
    for (unsigned i = 0; i < runs; i++)
        run(&t, &c, plan, g);
    gsl_rng_free(g);
    t.seconds /= t.runs - t.held;
    cr_assert(not(direct_too_many(t.held, 0.002, t.runs)));
    check_cell("%s: %u runs, %u win, %u lose, %u equivalent, %u inconclusive, %u held; "
               "%u limits "
               "missed %g; mean %.0f s",
               c.name, t.runs, t.win, t.lose, t.equivalent, t.inconclusive, t.held,
               t.missed, c.odds, t.seconds);
    return t;
}

Test(experiment_stat, no_effect_seldom_wins_or_loses, .timeout = 600)
{
    struct tally t =
        study((struct cell){"no effect, drift", "50%", "0.5%", 240, 1, 0.8}, 1);
    cr_assert(not(direct_too_many(t.win + t.lose, 0.05, t.runs)));
    cr_assert(not(direct_too_many(t.win, 0.025, t.runs)));
    cr_assert(not(direct_too_many(t.lose, 0.025, t.runs)));
    cr_assert(not(direct_too_many(t.missed, 0.05, t.runs)));
    cr_assert(gt(uint, t.win + t.lose, 0), "a test that never fires proves nothing");
}

Test(experiment_stat, effects_are_found_either_way, .timeout = 600)
{
    struct tally up =
        study((struct cell){"odds ratio 1.2", "50%", "2%", 240, 1.2, 0}, 2);
    struct tally down =
        study((struct cell){"odds ratio 1/1.2", "20%", "2%", 240, 1 / 1.2, 0.5}, 3);
    cr_assert(ge(uint, up.win, up.runs * 97 / 100));
    cr_assert(ge(uint, down.lose, down.runs * 95 / 100));
    cr_assert(not(direct_too_many(up.lose, 0.025, up.runs)));
    cr_assert(not(direct_too_many(down.win, 0.025, down.runs)));
    cr_assert(not(direct_too_many(up.missed, 0.05, up.runs)));
    cr_assert(not(direct_too_many(down.missed, 0.05, down.runs)));
}

Test(experiment_stat, equivalence_is_shown_and_seldom_wrong, .timeout = 600)
{
    struct tally same = study((struct cell){"margin 20%", "50%", "20%", 240, 1, 0}, 4);
    struct tally edge =
        study((struct cell){"at the margin", "50%", "10%", 240, 1.1, 0.3}, 5);
    cr_assert(ge(uint, same.equivalent, same.runs * 90 / 100));
    cr_assert(not(direct_too_many(edge.equivalent, 0.025, edge.runs)));
    cr_assert(not(direct_too_many(same.missed, 0.05, same.runs)));
    cr_assert(not(direct_too_many(edge.missed, 0.05, edge.runs)));
}
