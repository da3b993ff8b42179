/* tests/statistical/stats/stat_dispersion.c -- bursts: calibrated runs keep their level
 *
 * Events come in clusters of geometric size, each within one cohort and window. */
#include "stats/dispersion.h"
#include "tests/statistical/stats/sim.h"

enum { CALIBRATE = 60, WINDOWS = 720, HORIZON = 2160 };

struct bursts {
    double mean;   /* requests of one burst */
    double errors; /* of the baseline in a window */
    double w_a;
    bool calibrated;
};

static uint64_t errors(gsl_rng *g, double mean, double burst)
{
    uint64_t sum = 0;
    unsigned clusters = gsl_ran_poisson(g, mean / burst);
    for (unsigned i = 0; i < clusters; i++)
        sum += gsl_ran_geometric(g, 1 / burst);
    return sum;
}

static double calibrate(gsl_rng *g, const struct bursts *b)
{
    struct dispersion d = {0};
    for (int t = 0; t < CALIBRATE; t++)
        cr_assert(eq(int, dispersion_window(&d, errors(g, b->errors, b->mean), 19000),
                     SERIN_OK));
    cr_assert(dispersion_ready(&d));
    return b->calibrated ? dispersion_phi(&d) : 1;
}

static bool alarm(gsl_rng *g, const struct sim *s, const struct bursts *b)
{
    double eta = 1 / calibrate(g, b);
    struct profile p;
    profile_init(&p, true);
    for (int t = 0; t < s->windows; t++) {
        struct count_table c = {
            .n = 1000, .m = 19000, .y = errors(g, b->errors, b->mean)};
        c.x = errors(g, b->errors / 19, b->mean); /* 5 % of the traffic, same release */
        cr_assert(eq(int, profile_window(&p, &s->g, &s->h, &c, 1, eta), SERIN_OK));
        if (level_crossed(sim_evidence(s, &p), s->level)) return true;
    }
    return false;
}

static unsigned alarms(const struct bursts *b, double level, int runs,
                       unsigned long seed)
{
    unsigned hits = 0;
    struct sim s = sim_make(SIM_ABORT, b->w_a, 0, level, WINDOWS, HORIZON);
    gsl_rng *g = check_rng(seed);
    for (int i = 0; i < runs; i++)
        hits += alarm(g, &s, b);
    gsl_rng_free(g);
    printf("burst %.1f, %.0f errors, w_a %.1f, level %.2f: %u of %d\n", b->mean,
           b->errors, b->w_a, level, hits, runs);
    return hits;
}

/* phi itself is estimated from 60 windows, so the rate may pass the level a little: it
 * is held to twice the nominal one (specified: up to .017 at .01), with a binomial
 * guard. */
static void keeps_level(double errors_a_window, double w_a, double level,
                        unsigned long seed)
{
    const double mean[] = {1.2, 1.5, 2, 4};
    int runs = sim_long() ? 3000 : 300;
    for (int i = 0; i < 4; i++) {
        struct bursts b = {mean[i], errors_a_window, w_a, true};
        unsigned hits = alarms(&b, level, runs, seed + (unsigned)i);
        cr_assert(gt(dbl, gsl_cdf_binomial_Q(hits, 2 * level, (unsigned)runs), 1e-6));
    }
}

Test(dispersion_stat, twenty_errors_a_window)
{
    keeps_level(20, 1, 0.01, 201);
}

Test(dispersion_stat, two_errors_a_window)
{
    keeps_level(2, 1, 0.01, 211);
}

Test(dispersion_stat, two_hundred_errors_a_window)
{
    keeps_level(200, 1, 0.01, 221);
}

Test(dispersion_stat, with_a_tolerance)
{
    keeps_level(20, 1.2, 0.01, 231);
}

Test(dispersion_stat, without_calibration_bursts_alarm)
{
    struct bursts b = {4, 20, 1.2, false};
    cr_assert(ge(uint, alarms(&b, 0.01, 100, 241), 50)); /* .73 in the specification */
}

/* The price on clean data: windows to find a doubling at 5 %, with and without. */
static int median_delay(bool calibrated, unsigned long seed)
{
    enum { REPS = 400 };
    int at[REPS];
    struct sim s = sim_make(SIM_ABORT, 1.2, 0, 0.01, WINDOWS, HORIZON);
    struct bursts clean = {1.000001, 20, 1.2, calibrated};
    gsl_rng *g = check_rng(seed);
    for (int i = 0; i < REPS; i++) {
        double eta = 1 / calibrate(g, &clean);
        struct profile p;
        profile_init(&p, true);
        for (at[i] = 1; at[i] <= WINDOWS; at[i]++) {
            struct truth v = {20000, 0.05, 0.001, 2};
            struct count_table c = sim_window(g, &v);
            cr_assert(eq(int, profile_window(&p, &s.g, &s.h, &c, 1, eta), SERIN_OK));
            if (level_crossed(sim_evidence(&s, &p), s.level)) break;
        }
    }
    gsl_rng_free(g);
    qsort(at, REPS, sizeof *at, sim_by_size);
    printf("median %d windows\n", at[REPS / 2]);
    return at[REPS / 2];
}

Test(dispersion_stat, calibration_costs_a_few_windows)
{
    int plain = median_delay(false, 251), calibrated = median_delay(true, 252);
    cr_assert(le(int, plain, 30));      /* 25 in the specification */
    cr_assert(le(int, calibrated, 33)); /* 28 */
    cr_assert(ge(int, calibrated, plain));
}

/* The run-time watch: quiet at the frozen phi, awake when the bursts grow. */
static unsigned outgrown(double burst, double phi, double jump, unsigned long seed)
{
    unsigned hits = 0;
    gsl_rng *g = check_rng(seed);
    for (int i = 0; i < 300; i++) {
        struct dispersion_watch w = {0};
        bool over = false;
        for (int t = 0; t < WINDOWS; t++) {
            uint64_t bad = errors(g, t < 100 ? 20 : 20 * jump, burst);
            cr_assert(
                eq(int, dispersion_watch_window(&w, bad, 20000, phi, 0), SERIN_OK));
            over = over || dispersion_outgrown(&w);
        }
        hits += over;
    }
    gsl_rng_free(g);
    printf("burst %.1f against phi %.1f, rate times %.0f: %u of 300\n", burst, phi,
           jump, hits);
    return hits;
}

Test(dispersion_stat, watch_sees_growth_and_little_else)
{
    cr_assert(le(uint, outgrown(1.000001, 1, 1, 261), 13)); /* 20 looks at .001 */
    cr_assert(ge(uint, outgrown(4, 3, 1, 262), 285));
    cr_assert(ge(uint, outgrown(2, 1, 1, 263), 285));
    /* An incident of both cohorts at once is drift; uncapped it holds all 300. */
    cr_assert(le(uint, outgrown(1.000001, 1, 3, 264), 20));
}
