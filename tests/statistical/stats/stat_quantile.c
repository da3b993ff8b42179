/* tests/statistical/stats/stat_quantile.c -- limits of quantiles hold at all times
 * together, also when one stops to look at the worst moment */
#include "stats/quantile.h"
#include "tests/statistical/stats/sim.h"

enum { LOOKS = 60 };

/* The law's quantiles do not lie on bucket edges, so "enclosed" is strict enough. */
static double truth(double p)
{
    return 40 * exp(0.6 * gsl_cdf_ugaussian_Pinv(p));
}

struct run {
    double p, level;
    int from, step; /* values at the first look, and between looks, of the canary */
};

static bool enclosed(const struct quantile_limits *q, double value)
{
    return q->lower < value && value <= q->upper;
}

/* A run fails when any of the three is ever wrong: the rule that stops at the first
 * wrong report is the worst of all stopping rules. */
static bool fails(gsl_rng *g, const struct run *r)
{
    static struct hist h[2];
    cr_assert(eq(int, hist_init(&h[0], 5), SERIN_OK));
    cr_assert(eq(int, hist_init(&h[1], 5), SERIN_OK));
    for (int look = 0; look < LOOKS; look++) {
        struct quantile_limits q[2];
        for (int c = 0; c < 2; c++) {
            int more = (look == 0 ? r->from : r->step) * (c == 0 ? 1 : 3);
            for (int i = 0; i < more; i++)
                cr_assert(eq(int,
                             hist_add(&h[c], gsl_ran_lognormal(g, log(40), 0.6), 1),
                             SERIN_OK));
            struct hist_view v = hist_view(&h[c]);
            cr_assert(eq(int, quantile_limits(&v, r->p, r->level / 2, 1, &q[c]), 0));
            if (!enclosed(&q[c], truth(r->p))) return true;
        }
        struct quantile_limits shift = quantile_shift(&q[0], &q[1]);
        if (shift.lower > 1 || shift.upper < 1) return true;
    }
    return false;
}

static void covers(double p, unsigned long seed)
{
    struct run r = {.p = p, .level = 0.2, .from = 20, .step = 20};
    int runs = sim_long() ? 10000 : 250;
    unsigned wrong = 0;
    gsl_rng *g = check_rng(seed);
    for (int i = 0; i < runs; i++)
        wrong += fails(g, &r);
    gsl_rng_free(g);
    check_cell("p %.3g: %u of %d runs wrong at some time, level .2", p, wrong, runs);
    cr_assert(gt(dbl, gsl_cdf_binomial_Q(wrong, r.level, (unsigned)runs), 1e-6));
}

Test(quantile_stat, median)
{
    covers(0.5, 801);
}

Test(quantile_stat, p90)
{
    covers(0.9, 802);
}

Test(quantile_stat, p99)
{
    covers(0.99, 803);
}

/* The limits of one fixed time (binomial, 95 %), looked at as often, do not hold: the
 * test above can fail. */
Test(quantile_stat, limits_of_one_time_would_not)
{
    int runs = 250;
    unsigned wrong = 0;
    gsl_rng *g = check_rng(804);
    for (int i = 0; i < runs; i++) {
        double n = 0, below = 0;
        bool ever = false;
        for (int look = 0; look < LOOKS; look++) {
            double off = 0;
            for (int k = 0; k < 20; k++, n++)
                below += gsl_rng_uniform(g) < 0.5;
            off = fabs(below - n / 2) / sqrt(n / 4);
            ever = ever || off > 1.96;
        }
        wrong += ever;
    }
    gsl_rng_free(g);
    cr_assert(gt(uint, wrong, (unsigned)runs / 5));
}

/* What anytime costs: 20 000 values give p50 to 5 %, p99 to 20 %. */
Test(quantile_stat, limits_are_narrow_enough_to_be_of_use)
{
    static struct hist h;
    struct quantile_limits q;
    gsl_rng *g = check_rng(805);
    cr_assert(eq(int, hist_init(&h, 5), SERIN_OK));
    for (int i = 0; i < 20000; i++)
        cr_assert(
            eq(int, hist_add(&h, gsl_ran_lognormal(g, log(40), 0.6), 1), SERIN_OK));
    gsl_rng_free(g);
    struct hist_view v = hist_view(&h);
    cr_assert(eq(int, quantile_limits(&v, 0.5, 0.01, 1, &q), SERIN_OK));
    cr_assert(lt(dbl, q.upper / q.lower, 1.09)); /* four buckets */
    cr_assert(eq(int, quantile_limits(&v, 0.99, 0.01, 1, &q), SERIN_OK));
    cr_assert(lt(dbl, q.upper / q.lower, 1.25));
}
