/* tests/statistical/stats/stat_damage.c -- what each remedy against dependence
 * prevents, and what it costs
 *
 * Two hours watched in windows of 2 s, 4000 requests a window, 5 % to the canary, four
 * of them errors, alpha .01. SERIN_LONG=1: 10 000 replicates,
 * the table in stats/README.md. */
#include "stats/dispersion.h"
#include "stats/random_effect.h"
#include "tests/statistical/stats/sim.h"

enum { WINDOWS = 3600, HORIZON = 10800, CANARY = 200, BASELINE = 3800 };
static const double errors_c = 0.2, errors_b = 3.8; /* a window */
static const double alpha = 0.01;

static uint64_t burst_errors(gsl_rng *g, double mean, double burst)
{
    uint64_t sum = 0;
    if (!(burst > 1)) return gsl_ran_poisson(g, mean);
    for (unsigned i = gsl_ran_poisson(g, mean / burst); i > 0; i--)
        sum += gsl_ran_geometric(g, 1 / burst);
    return sum;
}

/* What the calibration of so many windows finds; none: 1. */
static double measured(gsl_rng *g, double burst, int windows)
{
    struct dispersion d = {0};
    for (int t = 0; t < windows; t++)
        cr_assert(eq(int,
                     dispersion_window(&d, burst_errors(g, errors_b, burst), BASELINE),
                     SERIN_OK));
    return dispersion_phi(&d);
}

/* Window in which it aborts; WINDOWS: never. w: true odds ratio of the canary. */
static int bursty_run(gsl_rng *g, const struct sim *s, double burst, double w,
                      double eta)
{
    struct profile p;
    profile_init(&p, true);
    for (int t = 0; t < s->windows; t++) {
        struct count_table c = {.n = CANARY,
                                .x = burst_errors(g, w * errors_c, burst),
                                .m = BASELINE,
                                .y = burst_errors(g, errors_b, burst)};
        cr_assert(eq(int, profile_window(&p, &s->g, &s->h, &c, 1, eta), SERIN_OK));
        if (level_crossed(sim_evidence(s, &p), alpha)) return t;
    }
    return s->windows;
}

static int bursty(double burst, double w, double w_a, int calibrate, int runs,
                  int *median, unsigned long seed)
{
    enum { MOST = 10000 };
    static int at[MOST];
    struct sim s = sim_make(SIM_ABORT, w_a, 0, alpha, WINDOWS, HORIZON);
    gsl_rng *g = check_rng(seed);
    int hits = 0;
    for (int i = 0; i < runs; i++) {
        double eta = 1 / measured(g, burst, calibrate);
        at[i] = bursty_run(g, &s, burst, w, eta);
        hits += at[i] < WINDOWS;
    }
    gsl_rng_free(g);
    qsort(at, (size_t)runs, sizeof *at, sim_by_size);
    *median = at[runs / 2];
    check_cell(
        "bursts of %.3g, odds ratio %g, tolerance %g, calibrated on %d windows: aborts "
        "%d of %d, median %d",
        burst, w, w_a, calibrate, hits, runs, *median);
    return hits;
}

/* Promised: at most .01, and .97 without; with the tolerance that plans have by default
 * and without any. */
Test(damage, retry_bursts)
{
    int median, runs = sim_long() ? 10000 : 150;
    int without = bursty(2, 1, 1, 0, runs, &median, 901),
        strict = bursty(2, 1, 1, 60, runs, &median, 902),
        usual = bursty(2, 1, 1.2, 60, runs, &median, 904);
    if (sim_long()) {
        bursty(2, 1, 1.2, 0, runs, &median, 905);
        bursty(2, 1, 1, 120, runs, &median, 903);
        bursty(2, 1, 1, 360, runs, &median, 906);
        bursty(1.2, 1, 1, 60, runs, &median, 907);
        bursty(1.2, 1, 1.2, 60, runs, &median, 908);
        bursty(4, 1, 1, 60, runs, &median, 909);
    }
    cr_assert(ge(int, without, 9 * runs / 10));
    cr_assert(
        gt(dbl, gsl_cdf_binomial_Q((unsigned)usual, alpha, (unsigned)runs), 1e-6));
    cr_assert(
        gt(dbl, gsl_cdf_binomial_Q((unsigned)strict, alpha, (unsigned)runs), 1e-6));
}

/* The price where there is nothing to remedy: a tenth of the time to find twice the
 * errors, and what the medians of so many replicates err by (2.5 deviations). */
Test(damage, price_on_clean_data)
{
    int plain, sixty, more, runs = sim_long() ? 10000 : 2000,
                            guard = sim_long() ? 2 : 5;
    bursty(1, 2, 1, 0, runs, &plain, 911);
    bursty(1, 2, 1, 60, runs, &sixty, 912);
    bursty(1, 2, 1, 120, runs, &more, 913);
    if (sim_long()) {
        int usual;
        bursty(1, 2, 1.2, 0, runs, &usual, 914);
        bursty(1, 2, 1.2, 60, runs, &usual, 915);
    }
    cr_assert(le(int, sixty, plain + plain / 10 + guard));
    cr_assert(le(int, more, plain + plain / 10 + guard));
}

/* Pods whose own error rates differ by CV .2, 4 of the canary and 76 of the baseline,
 * each pod one 80th of the requests. */
enum { PODS_C = 4, PODS_B = 76 };

static double luck(gsl_rng *g, int pods, double cv)
{
    double sum = 0, sigma = sqrt(log(1 + cv * cv));
    for (int i = 0; i < pods; i++)
        sum += exp(gsl_ran_gaussian(g, sigma) - sigma * sigma / 2);
    return sum / pods;
}

static void pod_run(gsl_rng *g, const struct sim *s, double cv, double w, int at[2])
{
    struct profile p;
    double tau = random_effect_tau(0.2, PODS_C, PODS_B), c_rate = luck(g, PODS_C, cv),
           b_rate = luck(g, PODS_B, cv), log_e;
    at[0] = at[1] = WINDOWS;
    profile_init(&p, true);
    for (int t = 0; t < WINDOWS && (at[0] == WINDOWS || at[1] == WINDOWS); t++) {
        struct count_table c = {.n = CANARY,
                                .x = gsl_ran_poisson(g, w * errors_c * c_rate),
                                .m = BASELINE,
                                .y = gsl_ran_poisson(g, errors_b * b_rate)};
        cr_assert(eq(int, profile_window(&p, &s->g, &s->h, &c, 1, 1), SERIN_OK));
        if (at[0] == WINDOWS && level_crossed(sim_evidence(s, &p), alpha)) at[0] = t;
        cr_assert(eq(int, random_effect_log_e(&p, &s->g, tau, &log_e), SERIN_OK));
        if (at[1] == WINDOWS && level_crossed(log_e, alpha)) at[1] = t;
    }
}

static void pods(double cv, double w, int runs, int hits[2], int median[2],
                 unsigned long seed)
{
    enum { MOST = 10000 };
    static int at[2][MOST];
    struct sim s = sim_make(SIM_ABORT, 1, 0, alpha, WINDOWS, HORIZON);
    gsl_rng *g = check_rng(seed);
    hits[0] = hits[1] = 0;
    for (int i = 0; i < runs; i++) {
        int one[2];
        pod_run(g, &s, cv, w, one);
        for (int k = 0; k < 2; k++) {
            at[k][i] = one[k];
            hits[k] += one[k] < WINDOWS;
        }
    }
    gsl_rng_free(g);
    for (int k = 0; k < 2; k++) {
        qsort(at[k], (size_t)runs, sizeof **at, sim_by_size);
        median[k] = at[k][runs / 2];
    }
    check_cell(
        "4 pods of 80, CV %.2g, odds ratio %g: aborts of %d: plain %d (median %d), "
        "random-effect null %d (%d)",
        cv, w, runs, hits[0], median[0], hits[1], median[1]);
}

Test(damage, few_pods)
{
    int hits[2], median[2], runs = sim_long() ? 10000 : 300;
    pods(0.2, 1, runs, hits, median, 921);
    cr_assert(ge(int, hits[0], runs / 20));
    cr_assert(
        gt(dbl, gsl_cdf_binomial_Q((unsigned)hits[1], alpha, (unsigned)runs), 1e-6));
    pods(0.2, 3, runs, hits, median, 922); /* and harm is still found */
    cr_assert(ge(int, hits[1], 9 * runs / 10));
}
