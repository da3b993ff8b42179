/* tests/statistical/stats/stat_others.c -- floor, event counts, sample ratio,
 * combination: false alarms and power, fixed seeds */
#include "stats/combine.h"
#include "stats/floor.h"
#include "stats/srm.h"
#include "tests/statistical/stats/sim.h"

enum { WINDOWS = 720, HORIZON = 2160 };

/* ---------------------------------------------------------------- floor */

static unsigned floor_hits(double rate, double level, int windows, int reps,
                           unsigned long seed)
{
    unsigned hits = 0;
    struct horizon h;
    gsl_rng *g = check_rng(seed);
    cr_assert(eq(int, horizon_init(&h, HORIZON), SERIN_OK));
    for (int i = 0; i < reps; i++) {
        struct floor f;
        bool hit = false;
        cr_assert(eq(int, floor_init(&f, 0.005), SERIN_OK));
        for (int t = 0; t < windows && !hit; t++) {
            struct count_table c = {.n = 1000, .x = gsl_ran_binomial(g, rate, 1000)};
            cr_assert(eq(int, floor_window(&f, &h, &c, 1, 1), SERIN_OK));
            hit = level_crossed(floor_log_abort(&f), level);
        }
        hits += hit;
    }
    gsl_rng_free(g);
    check_cell("rate %.4f: %u of %d", rate, hits, reps);
    return hits;
}

Test(floor_stat, rate_at_the_bound)
{
    struct sim_limit limit = sim_limit();
    cr_assert(le(uint, floor_hits(0.005, 0.05, WINDOWS, limit.reps, 301), limit.at_05));
}

Test(floor_stat, twice_the_bound_is_found)
{
    cr_assert(ge(uint, floor_hits(0.01, 0.01, 40, 1000, 302), 914));
}

/* ---------------------------------------------------------------- event counts */

static unsigned event_hits(double w, double level, int windows, int reps,
                           unsigned long seed)
{
    unsigned hits = 0;
    struct sim s = sim_make(SIM_ABORT, 1.2, 0, level, windows, HORIZON);
    gsl_rng *g = check_rng(seed);
    for (int i = 0; i < reps; i++) {
        struct profile p;
        bool hit = false;
        profile_init(&p, true);
        for (int t = 0; t < windows && !hit; t++) {
            struct event_table e = {.exposure_c = 3, .exposure_b = 17};
            e.x = gsl_ran_poisson(g, w * 0.1 * e.exposure_c);
            e.y = gsl_ran_poisson(g, 0.1 * e.exposure_b);
            cr_assert(eq(int, profile_events(&p, &s.g, &s.h, &e, 1, 1), SERIN_OK));
            hit = level_crossed(profile_log_abort(&p, &s.g), level);
        }
        hits += hit;
    }
    gsl_rng_free(g);
    check_cell("rate ratio %.1f: %u of %d", w, hits, reps);
    return hits;
}

Test(events_stat, rate_ratio_at_the_tolerance)
{
    struct sim_limit limit = sim_limit();
    int reps = sim_long() ? limit.reps : 1000;
    unsigned most = sim_long() ? limit.at_05 : 86; /* P(more | .05, 1000) < 1e-6 */
    cr_assert(le(uint, event_hits(1.2, 0.05, 360, reps, 311), most));
}

Test(events_stat, a_fourfold_rate_is_found)
{
    cr_assert(ge(uint, event_hits(4, 0.01, 60, 400, 312), 356));
}

/* ---------------------------------------------------------------- sample ratio */

static unsigned srm_hits(double factor, int windows, int reps, unsigned long seed)
{
    unsigned hits = 0;
    const double share[] = {0.01, 0.05, 0.25, 0.50};
    gsl_rng *g = check_rng(seed);
    for (int i = 0; i < reps; i++) {
        struct srm s;
        bool hit = false;
        cr_assert(eq(int, srm_init(&s, 0.01), SERIN_OK));
        for (int t = 0; t < windows && !hit; t++) {
            double rho = share[t * 4 / windows];
            double p = rho * (factor > 1 ? factor : 1 + 0.01 * sin(t / 50.0));
            unsigned c = gsl_ran_binomial(g, p, 20000);
            cr_assert(eq(int, srm_window(&s, rho, c, 20000 - c, 1), SERIN_OK));
            hit = level_crossed(srm_log_e(&s), 0.001);
        }
        hits += hit;
    }
    gsl_rng_free(g);
    check_cell("share times %.2f: %u of %d", factor, hits, reps);
    return hits;
}

Test(srm_stat, share_inside_the_tolerance)
{
    struct sim_limit limit = sim_limit();
    cr_assert(le(uint, srm_hits(1, WINDOWS, limit.reps, 321), limit.at_001));
}

Test(srm_stat, share_at_the_edge_of_the_tolerance)
{
    struct sim_limit limit = sim_limit();
    cr_assert(le(uint, srm_hits(1.01, WINDOWS, limit.reps, 322), limit.at_001));
}

Test(srm_stat, one_percent_that_is_really_1_15_is_found)
{
    cr_assert(ge(uint, srm_hits(1.15, 40, 1000, 323), 972));
}

/* ---------------------------------------------------------------- combination */

/* Five metrics, all harmless and strongly dependent (the same errors in each). */
Test(combine_stat, dependent_metrics_keep_the_level)
{
    struct sim_limit limit = sim_limit();
    unsigned hits = 0;
    struct sim s = sim_make(SIM_ABORT, 1, 0, 0.05, 120, HORIZON);
    gsl_rng *g = check_rng(331);
    for (int i = 0; i < limit.reps; i++) {
        struct profile p[5];
        bool hit = false;
        for (int k = 0; k < 5; k++)
            profile_init(&p[k], true);
        for (int t = 0; t < s.windows && !hit; t++) {
            double log_e[5];
            struct truth v = {4000, 0.2, 0.004, 1};
            struct count_table c = sim_window(g, &v);
            for (int k = 0; k < 5; k++) {
                c.y += k > 0 && gsl_rng_uniform(g) < 0.1;
                cr_assert(
                    eq(int, profile_window(&p[k], &s.g, &s.h, &c, 1, 1), SERIN_OK));
                log_e[k] = profile_log_abort(&p[k], &s.g);
            }
            hit = level_crossed(combine_average(log_e, NULL, 5), s.level);
        }
        hits += hit;
    }
    gsl_rng_free(g);
    check_cell("%u of %d", hits, limit.reps);
    cr_assert(le(uint, hits, limit.at_05));
}

/* Two bad metrics among five harmless ones at the edge of their tolerance: closed
 * averaging blames any of the five, ever, at the level; each by itself would not. */
Test(combine_stat, harmless_metrics_beside_bad_ones_are_not_blamed)
{
    enum { BAD = 2, ALL = 7 };
    const double level = 0.05;
    unsigned reps = sim_long() ? 10000 : 1000, wrong = 0, naive = 0, found = 0;
    struct sim s = sim_make(SIM_ABORT, 1, 0, level, 60, HORIZON);
    gsl_rng *g = check_rng(341);
    for (unsigned i = 0; i < reps; i++) {
        struct profile p[ALL];
        double log_e[ALL], own[ALL];
        bool blamed = false, high = false;
        for (int k = 0; k < ALL; k++)
            profile_init(&p[k], true);
        for (int t = 0; t < s.windows; t++) {
            for (int k = 0; k < ALL; k++) {
                struct truth v = {4000, 0.2, 0.004, k < BAD ? 3 : 1};
                struct count_table c = sim_window(g, &v);
                cr_assert(
                    eq(int, profile_window(&p[k], &s.g, &s.h, &c, 1, 1), SERIN_OK));
                log_e[k] = profile_log_abort(&p[k], &s.g);
                high = high || (k >= BAD && level_crossed(log_e[k], level));
            }
            cr_assert(eq(int, combine_closed(log_e, ALL, own), SERIN_OK));
            for (int k = BAD; k < ALL; k++)
                blamed = blamed || level_crossed(own[k], level);
        }
        wrong += blamed;
        naive += high;
        found += level_crossed(own[0], level) && level_crossed(own[1], level);
    }
    gsl_rng_free(g);
    check_cell("of %u: a harmless one blamed %u, over the level by itself %u, both bad "
               "ones blamed %u",
               reps, wrong, naive, found);
    cr_assert(gt(dbl, gsl_cdf_binomial_Q(wrong, level, reps), 1e-6));
    cr_assert(gt(uint, naive, wrong));
    cr_assert(ge(uint, found, reps * 9 / 10));
}
