/* tests/unit/stats/test_onset.c -- the CUSUM by hand, and the change point of a run */
#include "stats/onset.h"
#include "stats/profile.h"
#include "tests/support/check.h"

/* Point 2 of 5 fed these steps at times 100, 101, …; the others get 0. */
static double feed(struct onset *o, const double *steps, size_t n, uint32_t *at)
{
    double before[5] = {0}, after[5] = {0};
    onset_init(o);
    for (size_t t = 0; t < n; t++) {
        after[2] = before[2] + steps[t];
        onset_window(o, before, after, 5, 0, 100 + (uint32_t)t);
        before[2] = after[2];
    }
    return onset_estimate(o, 1, 5, at);
}

Test(onset, the_window_after_the_last_zero)
{
    static struct onset o;
    const double steps[] = {0.5, -1, 0.25, 0.5, -0.125, 2};
    uint32_t at = 1;
    cr_assert(eq(dbl, feed(&o, steps, 2, &at), 0.0));
    cr_assert(eq(u32, at, 1), "nothing above 0 has no onset");
    cr_assert(eq(dbl, feed(&o, steps, 6, &at), 2.625));
    cr_assert(eq(u32, at, 102), "it rose from 0 there and never fell back");
    cr_assert(eq(dbl, feed(&o, steps, 1, &at), 0.5));
    cr_assert(eq(u32, at, 100));
}

Test(onset, relative_to_the_bound_and_only_its_points)
{
    static struct onset o;
    const double before[5] = {0}, after[5] = {1, 3, 0, 0, 2};
    uint32_t at = 0;
    onset_init(&o);
    onset_window(&o, before, after, 5, 1, 7);
    cr_assert(eq(dbl, onset_estimate(&o, 2, 5, &at), 1.0), "point 1 is not asked for");
    cr_assert(eq(dbl, onset_estimate(&o, 0, 5, &at), 2.0));
    cr_assert(eq(u32, at, 7));
}

/* 400 windows of health, then 2.5 times the odds: found within a few windows of the
 * truth. */
Test(onset, of_a_late_regression)
{
    static struct profile p;
    static struct grid g;
    static struct onset o;
    struct horizon h;
    gsl_rng *rng = check_rng(41);
    uint32_t at = 0;
    cr_assert(eq(int, grid_init(&g, 1.2, NULL, 0), SERIN_OK));
    cr_assert(eq(int, horizon_init(&h, 2000), SERIN_OK));
    profile_init(&p, true);
    onset_init(&o);
    for (uint32_t t = 0; t < 500; t++) {
        double rate = t < 400 ? 0.01 : 0.025, before[GRID_MAX];
        struct count_table c = {.n = 2000, .m = 38000};
        c.x = gsl_ran_binomial(rng, rate, 2000);
        c.y = gsl_ran_binomial(rng, 0.01, 38000);
        memcpy(before, p.l, sizeof before);
        cr_assert(eq(int, profile_window(&p, &g, &h, &c, 1, 1), SERIN_OK));
        onset_window(&o, before, p.l, g.n, p.l[g.ja] - before[g.ja], t);
    }
    cr_assert(gt(dbl, onset_estimate(&o, g.ja + 1, g.n, &at), 50.0));
    cr_assert(ge(u32, at, 396));
    cr_assert(le(u32, at, 404));
    gsl_rng_free(rng);
}
