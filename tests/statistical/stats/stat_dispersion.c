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
    check_cell("burst %.1f, %.0f errors, w_a %.1f, level %.2f: %u of %d", b->mean,
               b->errors, b->w_a, level, hits, runs);
    return hits;
}

/* phi itself is estimated from 60 windows: without a tolerance the rate may pass the
 * level (.02-.03 of bursts that 60 windows cannot tell from none); it is held to twice
 * the level at 20 and more errors a window, with a binomial guard. */
static void keeps_level(double errors_a_window, double w_a, double level,
                        unsigned long seed)
{
    const double mean[] = {1.2, 1.5, 2, 4};
    int runs = sim_long() ? 3000 : 200;
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
    check_cell("median %d windows", at[REPS / 2]);
    return at[REPS / 2];
}

Test(dispersion_stat, calibration_costs_a_few_windows)
{
    int plain = median_delay(false, 251), calibrated = median_delay(true, 252);
    cr_assert(le(int, plain, 30));      /* 25 in the specification */
    cr_assert(le(int, calibrated, 31)); /* a tenth more */
    cr_assert(ge(int, calibrated, plain));
}

/* The run-time watch: quiet at a phi that the plan gives, awake when the bursts grow.
 */
static unsigned outgrown(double burst, double phi, double jump, unsigned long seed)
{
    unsigned hits = 0;
    const struct dispersion_pool given = {1, 0};
    gsl_rng *g = check_rng(seed);
    for (int i = 0; i < 300; i++) {
        struct dispersion_watch w = {0};
        bool over = false;
        for (int t = 0; t < WINDOWS; t++) {
            uint64_t bad = errors(g, t < 100 ? 20 : 20 * jump, burst);
            cr_assert(
                eq(int, dispersion_watch_window(&w, bad, 20000, phi, given), SERIN_OK));
            over = over || dispersion_outgrown(&w);
        }
        hits += over;
    }
    gsl_rng_free(g);
    check_cell("burst %.1f against phi %.1f, rate times %.0f: %u of 300", burst, phi,
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

/* Calibrated on 60 windows, then watched for two hours, by an F test or as if phi were
 * known. from: the window in which bursts grow from `burst` to `later`. */
struct watched {
    int held[2], delay[2]; /* chi-square, F; median delay of those held in time */
};

static struct watched watch(int calibrate_on, double burst, double later, int from,
                            int runs, unsigned long seed)
{
    enum { MOST = 10000 };
    static int at[2][MOST];
    struct watched out = {0};
    gsl_rng *g = check_rng(seed);
    for (int i = 0; i < runs; i++) {
        struct dispersion d = {0};
        struct dispersion_watch w[2] = {0};
        bool over[2] = {false, false};
        for (int t = 0; t < calibrate_on; t++)
            cr_assert(eq(int, dispersion_window(&d, errors(g, 20, burst), 19000), 0));
        double phi = dispersion_phi(&d);
        struct dispersion_pool pool[2] = {{1, 0}, dispersion_pool(&d)};
        for (int t = 0; t < WINDOWS; t++) {
            uint64_t bad = errors(g, 20, t < from ? burst : later);
            for (int f = 0; f < 2 && t < WINDOWS; f++) {
                cr_assert(eq(int,
                             dispersion_watch_window(&w[f], bad, 20000, phi, pool[f]),
                             SERIN_OK));
                if (over[f] || !dispersion_outgrown(&w[f]) || t < from) continue;
                over[f] = true;
                at[f][out.held[f]++] = t - from;
            }
        }
    }
    for (int f = 0; f < 2; f++) {
        qsort(at[f], (size_t)out.held[f], sizeof **at, sim_by_size);
        if (out.held[f] > 0) out.delay[f] = at[f][out.held[f] / 2];
    }
    check_cell(
        "calibrated on %d, burst %.1f -> %.1f from window %d: held as if phi were "
        "known %d of %d "
        "(median after %d), by F %d (%d)",
        calibrate_on, burst, later, from, out.held[0], runs, out.delay[0], out.held[1],
        out.delay[1]);
    gsl_rng_free(g);
    return out;
}

/* About 17 looks at .001 that depend on one another and on the one calibration. */
Test(dispersion_stat, a_healthy_calibrated_run_is_rarely_held)
{
    const double bursts[] = {1.000001, 1.5, 2, 4};
    int runs = sim_long() ? 10000 : 400;
    for (unsigned i = 0; i < 4; i++) {
        struct watched w = watch(CALIBRATE, bursts[i], bursts[i], 0, runs, 271 + i);
        cr_assert(gt(dbl, gsl_cdf_binomial_Q((unsigned)w.held[1], 0.02, (unsigned)runs),
                     1e-6));
        if (bursts[i] > 1.4) cr_assert(gt(int, w.held[0], 2 * w.held[1]));
    }
}

/* phi from 2 to 4 (geometric bursts of mean 1.5 to 2.5). A calibration of 120 windows
 * knows phi to within a quarter only, so the most that can be asked of it is more than
 * half in two hours; after 360 windows, or when phi triples, most are found. */
Test(dispersion_stat, growth_after_calibration_is_found)
{
    int runs = sim_long() ? 10000 : 300;
    struct watched some = watch(120, 1.5, 2.5, 100, runs, 281),
                   more = watch(360, 1.5, 2.5, 100, runs, 284),
                   three = watch(CALIBRATE, 1.5, 3.5, 100, runs, 282);
    cr_assert(ge(int, some.held[1], runs / 2));
    cr_assert(ge(int, more.held[1], 4 * runs / 5));
    cr_assert(ge(int, three.held[1], 3 * runs / 4));
}
