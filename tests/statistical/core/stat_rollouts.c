/* tests/statistical/core/stat_rollouts.c -- whole rollouts through the real fold: the
 * promises about error rates, and the time that a decision takes
 *
 * Partials go in decoded, so that judging dominates. 2000 rollouts a cell, 10 000 with
 * SERIN_LONG=1. */
#include "stats/level.h"
#include "tests/support/direct.h"

enum { T0 = 1700000000, RATE = 2000 };

/* One cell of the study. */
struct cell {
    const char *plan;
    double rate;         /* of baseline errors at the start */
    double drift;        /* the daily wave's amplitude, relative */
    double ramp;         /* errors grow this many times while the weight goes up */
    double odds;         /* of the canary */
    unsigned per_second; /* requests */
    int seconds;         /* at most */
    double burst;        /* mean size of a burst of errors; 0 = independent errors */
};

/* Retry storms: each failing request drags others of its cohort along. */
static const char burst_plan[] =
    "apiVersion: serin/v1\nkind: Rollout\nid: r\n"
    "cohorts: {canary: {v: \"2\"}, baseline: {v: \"1\"}}\n"
    "window: 2s\n%s\n"
    "risk: {false_abort: 0.01, false_promote: 0.05}\n"
    "steps:\n"
    "  - {weight: 20%%, worse_than: 2, bake: 50m, warmup: 2s, timeout: 2h}\n"
    "  - {weight: 100%%, watch: 0s, warmup: 0s}\n"
    "metrics: [{name: errors, kind: ratio, abort_over: 1.2%s}]\n";

struct outcome {
    bool aborted, promoted;
    enum rollout_hold hold;
    uint64_t windows; /* judged until the end */
};

static const char ramp_plan[] =
    "apiVersion: serin/v1\nkind: Rollout\nid: r\n"
    "cohorts: {canary: {v: \"2\"}, baseline: {v: \"1\"}}\n"
    "window: 2s\ncalibrate: skip\n"
    "risk: {false_abort: 0.01, false_promote: 0.05}\n"
    "steps:\n"
    "  - {weight: 1%, worse_than: 4, bake: 12s, warmup: 2s, timeout: 2h}\n"
    "  - {weight: 5%, worse_than: 2.5, bake: 12s, warmup: 2s, timeout: 2h}\n"
    "  - {weight: 25%, worse_than: 2, bake: 12s, warmup: 2s, timeout: 2h}\n"
    "  - {weight: 50%, worse_than: 1.5, bake: 12s, warmup: 2s, timeout: 2h}\n"
    "  - {weight: 100%, watch: 0s, warmup: 0s}\n"
    "metrics: [{name: errors, kind: ratio, phi: 1, abort_over: 1.2}]\n";

/* The setting of the figures in STATISTICS: 20 000 requests a window, 1 %, w_a = 1. */
static const char time_plan[] =
    "apiVersion: serin/v1\nkind: Rollout\nid: r\n"
    "cohorts: {canary: {v: \"2\"}, baseline: {v: \"1\"}}\n"
    "window: 1s\ncalibrate: skip\n"
    "risk: {false_abort: 0.05, false_promote: 0.05}\n"
    "steps:\n"
    "  - {weight: 1%, worse_than: 50, bake: 35m, warmup: 1s, timeout: 2159s}\n"
    "  - {weight: 100%, watch: 0s, warmup: 0s}\n"
    "metrics: [{name: errors, kind: ratio, phi: 1, abort_over: 1}]\n";

/* Bad ones among n: independent, or in bursts of geometric size. */
static unsigned bad_of(gsl_rng *g, double p, unsigned n, double burst)
{
    if (burst == 0) return gsl_ran_binomial(g, p, n);
    unsigned bad = 0;
    for (unsigned left = gsl_ran_poisson(g, p * n / burst); left > 0; left--)
        bad += gsl_ran_geometric(g, 1 / burst);
    return bad < n ? bad : n;
}

static struct outcome run(const struct cell *c, gsl_rng *g)
{
    const double day = 600; /* seconds: a fast day, so that a run sees several */
    struct fold_options o = direct_options();
    struct effects fx = {0};
    struct fold *f;
    struct outcome out = {0};
    int64_t offset = 0;
    cr_assert(eq(int, fold_open(&f, &o), SERIN_OK));
    direct_tick(f, &offset, T0 * 1000LL, &fx);
    direct_apply(f, &offset, c->plan, &fx);
    const struct rollout *r = fold_find(f, "r");
    double phase = gsl_rng_uniform(g) * 2 * M_PI;
    for (int s = 0; s < c->seconds && !decide_final(r->state); s++) {
        double share = r->weight_bp / 10000.0;
        double p = c->rate * (1 + c->drift * sin(2 * M_PI * s / day + phase)) *
                   (1 + (c->ramp - 1) * (r->step > 0 ? r->step - 1 : 0) / 3.0);
        unsigned n = gsl_ran_binomial(g, share, c->per_second), m = c->per_second - n;
        unsigned counts[4] = {n, bad_of(g, direct_worse(p, c->odds), n, c->burst), m,
                              bad_of(g, p, m, c->burst)};
        if (r->weight_bp == 10000) break;
        direct_second(f, &offset, (T0 + s) * 1000LL, counts, &fx);
        direct_tick(f, &offset, (T0 + s + 1) * 1000LL, &fx);
        out.windows = r->step == 1 ? r->range.n : out.windows;
    }
    out.aborted = r->state == ROLLOUT_ABORTED;
    out.promoted = r->weight_bp == 10000;
    out.hold = r->state == ROLLOUT_HELD ? r->hold : HOLD_NONE;
    fold_close(f);
    effects_free(&fx);
    return out;
}

struct tally {
    unsigned runs, aborted, promoted, held[HOLD_NONE + 1];
    double windows; /* mean, of the aborted */
};

static unsigned replicates(void)
{
    return getenv("SERIN_LONG") != NULL ? 10000 : 2000;
}

static struct tally study(const char *name, const struct cell *c, unsigned runs,
                          unsigned long seed)
{
    struct tally t = {.runs = runs};
    gsl_rng *g = check_rng(seed);
    for (unsigned i = 0; i < runs; i++) {
        struct outcome o = run(c, g);
        t.aborted += o.aborted;
        t.promoted += o.promoted;
        t.held[o.hold]++;
        if (o.aborted) t.windows += (double)o.windows;
    }
    if (t.aborted != 0) t.windows /= t.aborted;
    gsl_rng_free(g);
    char held[256] = "";
    for (size_t h = 0, n = 0; h < HOLD_NONE; h++)
        if (t.held[h] != 0)
            n += (size_t)snprintf(held + n, sizeof held - n, ", %u held: %s", t.held[h],
                                  rollout_hold_text((enum rollout_hold)h));
    check_cell("%s: of %u %u aborted, %u promoted%s; windows to abort %.1f", name,
               t.runs, t.aborted, t.promoted, held, t.windows);
    return t;
}

Test(rollouts, a_harmless_canary_is_promoted_and_not_aborted, .timeout = 600)
{
    struct cell c = {ramp_plan, 0.001, 0.8, 9, 1, RATE, 3600, 0};
    struct tally t = study("A/A, drift, ramp", &c, replicates(), 1);
    cr_assert(not(direct_too_many(t.aborted, 0.01, t.runs)));
    cr_assert(
        ge(uint, t.promoted, t.runs * 99 / 100)); /* never promoting must not pass */
}

Test(rollouts, at_the_abort_tolerance_few_are_aborted, .timeout = 600)
{
    struct cell c = {ramp_plan, 0.001, 0.8, 9, 1.2, RATE, 1800, 0};
    struct tally t = study("odds ratio 1.2 = abort tolerance", &c, replicates(), 2);
    cr_assert(not(direct_too_many(t.aborted, 0.01, t.runs)));
}

Test(rollouts, at_the_last_tolerance_few_are_promoted, .timeout = 600)
{
    struct cell c = {ramp_plan, 0.001, 0.8, 9, 1.5, RATE, 5400, 0};
    struct tally t = study("odds ratio 1.5 = last tolerance", &c, replicates(), 3);
    cr_assert(not(direct_too_many(t.promoted, 0.05, t.runs)));
    cr_assert(ge(uint, t.aborted, t.runs * 9 / 10));
}

static struct tally bursts(bool calibrated)
{
    char plan[1024];
    struct cell c = {plan, 0.005, 0.3, 1, 1, 200, 3000, 2};
    snprintf(plan, sizeof plan, burst_plan,
             calibrated ? "calibrate: 2m" : "calibrate: skip",
             calibrated ? "" : ", phi: 1");
    return study(calibrated ? "bursts of 2, calibrated"
                            : "bursts of 2, taken for independent",
                 &c, replicates() / 5, 6);
}

Test(rollouts, calibration_keeps_bursts_from_aborting_healthy_canaries, .timeout = 600)
{
    struct tally with = bursts(true), without = bursts(false);
    cr_assert(not(direct_too_many(with.aborted, 0.01, with.runs)));
    cr_assert(gt(uint, without.aborted, without.runs / 10),
              "the bursts are too tame to tell");
}

/* The same counts straight into the statistics: what the fold's time is compared with.
 */
static double direct_windows(double p, double odds, unsigned per_window, double alpha,
                             unsigned runs, unsigned long seed)
{
    const double w_s = 50;
    struct grid grid;
    struct horizon horizon;
    double sum = 0;
    gsl_rng *g = check_rng(seed);
    cr_assert(eq(int, grid_init(&grid, 1, &w_s, 1), SERIN_OK));
    cr_assert(eq(int, horizon_init(&horizon, 2160), SERIN_OK));
    for (unsigned i = 0; i < runs; i++) {
        struct profile e;
        profile_init(&e, true);
        while (!level_crossed(profile_log_abort(&e, &grid), alpha)) {
            unsigned n = gsl_ran_binomial(g, 0.01, per_window), m = per_window - n;
            struct count_table c = {n, gsl_ran_binomial(g, direct_worse(p, odds), n), m,
                                    gsl_ran_binomial(g, p, m)};
            cr_assert(eq(int, profile_window(&e, &grid, &horizon, &c, 1, 1), SERIN_OK));
        }
        sum += (double)e.t;
    }
    gsl_rng_free(g);
    return sum / runs;
}

/* Growth of the evidence of an oracle that knows the odds ratio; windows to alpha. */
static double bound_windows(double p, double odds, unsigned per_window, double alpha)
{
    const double rho = 0.01;
    double mix = rho * odds + 1 - rho;
    double growth = p * (rho * odds * log(odds) - mix * log(mix)) * per_window;
    return -log(alpha) / growth;
}

static double time_to_abort(double odds, unsigned long seed, double *bound,
                            double *direct)
{
    enum { PER_WINDOW = 20000 };
    struct cell c = {time_plan, 0.001, 0, 1, odds, PER_WINDOW, 2100, 0};
    char name[64];
    snprintf(name, sizeof name, "odds ratio %g at 1 %%", odds);
    struct tally t = study(name, &c, replicates(), seed);
    *bound = bound_windows(c.rate, odds, PER_WINDOW, 0.05);
    *direct = direct_windows(c.rate, odds, PER_WINDOW, 0.05, replicates(), seed + 100);
    check_cell("%s: %.2f times the bound of %.1f windows; straight: %.1f", name,
               t.windows / *bound, *bound, *direct);
    cr_assert(ge(uint, t.aborted, t.runs * 99 / 100));
    return t.windows;
}

Test(rollouts, twice_the_errors_are_found_in_time, .timeout = 600)
{
    const double specified = 1.36; /* times the bound */
    double bound, direct, windows = time_to_abort(2, 4, &bound, &direct);
    cr_assert(lt(dbl, fabs(windows / (specified * bound) - 1), 0.1));
    cr_assert(lt(dbl, fabs(windows / direct - 1), 0.1));
}

Test(rollouts, four_times_the_errors_are_found_in_time, .timeout = 600)
{
    double bound, direct, windows = time_to_abort(4, 5, &bound, &direct);
    cr_assert(lt(dbl, fabs(windows / direct - 1), 0.1));
    cr_assert(lt(dbl, windows / bound, 2));
}
