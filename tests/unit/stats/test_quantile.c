/* tests/unit/stats/test_quantile.c -- ends of the domain; values: tests/vectors */
#include "stats/quantile.h"
#include "tests/support/check.h"

Test(quantile, refusals_leave_the_result_alone)
{
    const double bad[] = {0, 1, -0.2, NAN};
    const uint64_t counts[2] = {3, 4};
    struct hist_view v = {.scale = 5, .n = 2, .counts = counts};
    struct quantile_limits q = {.at = 7};
    for (size_t i = 0; i < 4; i++) {
        cr_assert(eq(int, quantile_limits(&v, bad[i], 0.01, 1, &q), SERIN_EDOM));
        cr_assert(eq(int, quantile_limits(&v, 0.5, bad[i], 1, &q), SERIN_EDOM));
    }
    cr_assert(eq(int, quantile_limits(&v, 0.5, 0.01, 1.01, &q), SERIN_EDOM));
    cr_assert(eq(int, quantile_limits(&v, 0.5, 0.01, 0, &q), SERIN_EDOM));
    v.scale = 21;
    cr_assert(eq(int, quantile_limits(&v, 0.5, 0.01, 1, &q), SERIN_EDOM));
    v.scale = 5, v.n = HIST_ROOM + 1;
    cr_assert(eq(int, quantile_limits(&v, 0.5, 0.01, 1, &q), SERIN_EDOM));
    cr_assert(eq(dbl, q.at, 7.0));
}

Test(quantile, nothing_seen_says_nothing)
{
    struct hist_view v = {.scale = 5};
    struct quantile_limits q, some = {4, 3, 5}, r;
    cr_assert(eq(int, quantile_limits(&v, 0.5, 0.01, 1, &q), SERIN_OK));
    cr_assert(eq(dbl, q.at, 0.0));
    cr_assert(eq(dbl, q.lower, 0.0));
    cr_assert(eq(dbl, q.upper, INFINITY));
    r = quantile_shift(&some, &q);
    cr_assert(eq(dbl, r.lower, 0.0));
    cr_assert(eq(dbl, r.upper, INFINITY));
    cr_assert(eq(dbl, r.at, 0.0));
}

/* 0 / 0 must not become NaN in a verdict. */
Test(quantile, nothing_but_zeros)
{
    struct hist_view v = {.scale = 5, .zero = 5000};
    struct quantile_limits q, r;
    cr_assert(eq(int, quantile_limits(&v, 0.9, 0.01, 1, &q), SERIN_OK));
    cr_assert(eq(dbl, q.upper, 0.0));
    r = quantile_shift(&q, &q);
    cr_assert(eq(dbl, r.lower, 0.0));
    cr_assert(eq(dbl, r.upper, INFINITY));
}

Test(quantile, shift_is_the_widest_ratio)
{
    struct quantile_limits c = {10, 8, 12}, b = {5, 4, 6}, r = quantile_shift(&c, &b);
    cr_assert(eq(dbl, r.at, 2.0));
    cr_assert(eq(dbl, r.lower, 8.0 / 6));
    cr_assert(eq(dbl, r.upper, 3.0));
}

/* Less evidence, wider limits; and more of it closes in. */
Test(quantile, tempering_widens)
{
    static struct hist h;
    gsl_rng *g = check_rng(55);
    struct quantile_limits one, half, more;
    cr_assert(eq(int, hist_init(&h, 5), SERIN_OK));
    for (int i = 0; i < 4000; i++)
        cr_assert(eq(int, hist_add(&h, gsl_ran_lognormal(g, 3, 0.7), 1), SERIN_OK));
    struct hist_view v = hist_view(&h);
    cr_assert(eq(int, quantile_limits(&v, 0.9, 0.01, 1, &one), SERIN_OK));
    cr_assert(eq(int, quantile_limits(&v, 0.9, 0.01, 0.1, &half), SERIN_OK));
    for (int i = 0; i < 200000; i++)
        cr_assert(eq(int, hist_add(&h, gsl_ran_lognormal(g, 3, 0.7), 1), SERIN_OK));
    v = hist_view(&h);
    cr_assert(eq(int, quantile_limits(&v, 0.9, 0.01, 1, &more), SERIN_OK));
    cr_assert(half.lower < one.lower && one.upper < half.upper);
    cr_assert(one.lower < more.lower && more.upper < one.upper);
    gsl_rng_free(g);
}
