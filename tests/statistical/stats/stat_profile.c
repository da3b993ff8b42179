/* tests/statistical/stats/stat_profile.c -- false alarms of whole runs, fixed seeds */
#include "stats/forecast.h"
#include "tests/statistical/stats/sim.h"

enum { WINDOWS = 720, HORIZON = 2160 };

/* ---------------------------------------------------------------- harmless canaries */

static struct truth constant(int t)
{
    (void)t;
    return (struct truth){20000, 0.05, 0.001, 1};
}

/* With two incidents of both cohorts, at once and twentyfold for ten windows. */
static struct truth diurnal(int t)
{
    double incident = t % 360 >= 100 && t % 360 < 110 ? 20 : 1;
    return (struct truth){20000, 0.05,
                          0.001 * incident * (1 + 0.8 * sin(t * 2 * M_PI / 360)), 1};
}

/* The error rate rises ninefold while traffic moves: pooled tables would alarm always.
 */
static struct truth ramp(int t)
{
    const double share[] = {0.01, 0.05, 0.25, 0.50};
    return (struct truth){20000, share[t / 180], 0.001 * (1 + 8.0 * t / WINDOWS), 1};
}

/* Nominal 1 %: a test that believes it alarms in half of the runs. */
static struct truth wrong_share(int t)
{
    (void)t;
    return (struct truth){20000, 0.0115, 0.001, 1};
}

static void harmless(scenario of, unsigned long seed)
{
    struct sim_limit limit = sim_limit();
    struct sim s = sim_make(SIM_ABORT, 1, 0, 0.05, WINDOWS, HORIZON);
    cr_assert(le(uint, sim_hits(&s, of, limit.reps, seed, NULL), limit.at_05));
}

Test(profile_stat, same_release_constant_rate)
{
    harmless(constant, 101);
}

Test(profile_stat, same_release_daily_drift_and_common_incidents)
{
    harmless(diurnal, 102);
}

Test(profile_stat, same_release_ramp_and_rising_rate)
{
    harmless(ramp, 103);
}

Test(profile_stat, same_release_wrong_nominal_share)
{
    harmless(wrong_share, 104);
}

/* ---------------------------------------------------------------- at the boundary */

static struct truth at_w_a(int t)
{
    (void)t;
    return (struct truth){20000, 0.05, 0.001, 1.2};
}

static struct truth below_w_a(int t)
{
    return (struct truth){20000, 0.05, 0.001, 1.2 * (0.75 + 0.25 * sin(t / 40.0))};
}

static struct truth at_w_s(int t)
{
    (void)t;
    return (struct truth){20000, 0.05, 0.001, 1.5};
}

static struct truth above_w_s(int t)
{
    return (struct truth){20000, 0.05, 0.001, 1.5 * (1.25 - 0.25 * sin(t / 40.0))};
}

static void boundary(enum sim_statistic statistic, scenario of, unsigned long seed)
{
    struct sim_limit limit = sim_limit();
    struct sim s = sim_make(statistic, 1.2, 1.5, 0.05, WINDOWS, HORIZON);
    cr_assert(le(uint, sim_hits(&s, of, limit.reps, seed, NULL), limit.at_05));
}

Test(profile_stat, abort_at_the_tolerance)
{
    boundary(SIM_ABORT, at_w_a, 105);
}

Test(profile_stat, abort_below_the_tolerance_moving)
{
    boundary(SIM_ABORT, below_w_a, 106);
}

Test(profile_stat, promote_at_the_tolerance)
{
    boundary(SIM_PROMOTE, at_w_s, 107);
}

Test(profile_stat, promote_above_the_tolerance_moving)
{
    boundary(SIM_PROMOTE, above_w_s, 108);
}

/* ---------------------------------------------------------------- power and time */

static struct truth doubled_at_5(int t)
{
    (void)t;
    return (struct truth){20000, 0.05, 0.001, 2};
}

static struct truth doubled_at_1(int t)
{
    (void)t;
    return (struct truth){20000, 0.01, 0.001, 2};
}

static struct truth fourfold_at_1(int t)
{
    (void)t;
    return (struct truth){20000, 0.01, 0.001, 4};
}

static struct truth healthy_at_5(int t)
{
    (void)t;
    return (struct truth){20000, 0.05, 0.001, 1};
}

Test(profile_stat, a_doubling_at_5_percent_is_found)
{
    struct sim s = sim_make(SIM_ABORT, 1, 0, 0.01, 120, HORIZON);
    cr_assert(
        ge(uint, sim_hits(&s, doubled_at_5, 1000, 109, NULL), 914)); /* power .95 */
}

Test(profile_stat, a_healthy_canary_is_promoted)
{
    struct sim s = sim_make(SIM_PROMOTE, 1.2, 1.5, 0.05, 120, HORIZON);
    cr_assert(ge(uint, sim_hits(&s, healthy_at_5, 1000, 110, NULL), 914));
}

/* Mean windows to abort over the bound ln(1/alpha) / rate, alpha .05, w_a = 1. */
static double over_bound(enum sim_statistic statistic, scenario of, double bound)
{
    double mean;
    struct sim s = sim_make(statistic, 1, 0, 0.05, HORIZON, HORIZON);
    cr_assert(eq(uint, sim_hits(&s, of, 1000, 111, &mean), 1000));
    return mean / bound;
}

Test(profile_stat, mean_time_to_abort_a_doubling)
{
    double plain = over_bound(SIM_PLAIN, doubled_at_1, 39.2);
    double abort = over_bound(SIM_ABORT, doubled_at_1, 39.2);
    cr_assert(le(dbl, abort, 1.5));
    cr_assert(epsilon_eq(dbl, plain, 1.24, 0.124)); /* the specification's figures */
    cr_assert(epsilon_eq(dbl, abort, 1.36, 0.136));
}

Test(profile_stat, mean_time_to_abort_a_fourfold_rate)
{
    double bound = level_threshold(0.05) / (20000 * forecast_abort(0.001, 0.01, 4, 1));
    cr_assert(epsilon_eq(dbl, bound, 5.99, 0.01));
    /* Six windows of .8 expected errors: half of the excess is the last step's size. */
    cr_assert(le(dbl, over_bound(SIM_ABORT, fourfold_at_1, bound), 2));
}

/* Two hours of health, then a doubling: median windows to find it at alpha .01. */
static struct truth late(int t)
{
    return t < WINDOWS ? healthy_at_5(t) : doubled_at_5(t);
}

static int late_median(enum sim_statistic statistic)
{
    enum { REPS = 200 };
    int at[REPS];
    struct sim s = sim_make(statistic, 1, 0, 0.01, 2 * WINDOWS, HORIZON);
    gsl_rng *g = check_rng(112);
    for (int i = 0; i < REPS; i++)
        at[i] = sim_run(&s, late, g) - WINDOWS;
    gsl_rng_free(g);
    qsort(at, REPS, sizeof *at, sim_by_size);
    check_cell("median delay %d windows", at[REPS / 2]);
    return at[REPS / 2];
}

Test(profile_stat, a_late_doubling_is_found_by_the_start_mixture)
{
    cr_assert(le(int, late_median(SIM_ABORT), 42)); /* 35 in the specification */
    cr_assert(ge(int, late_median(SIM_PLAIN), 90)); /* 125 */
}
