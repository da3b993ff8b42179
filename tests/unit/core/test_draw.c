/* Random counts: the law they follow, by chi-square, mean and variance. */
#include "engine/core/draw.h"
#include "tests/support/check.h"

enum { DRAWS = 20000 };

/* Chi-square of DRAWS numbers against the binomial law, cells of 20 and more; its upper
 * tail probability. */
static double tail(uint64_t n, double p, uint64_t seed)
{
    struct draw d = draw_seeded(seed);
    unsigned *seen = calloc(n + 1, sizeof *seen), cells = 0;
    double sum = 0, expected = 0, count = 0;
    for (int i = 0; i < DRAWS; i++) {
        uint64_t k = draw_binomial(&d, n, p);
        cr_assert(le(u64, k, n));
        seen[k]++;
    }
    for (uint64_t k = 0; k <= n; k++) {
        expected += DRAWS * gsl_ran_binomial_pdf((unsigned)k, p, (unsigned)n);
        count += seen[k];
        if (expected < 20) continue;
        sum += (count - expected) * (count - expected) / expected;
        cells++;
        expected = count = 0;
    }
    free(seen);
    return gsl_cdf_chisq_Q(sum, cells - 1);
}

Test(draw, binomial_numbers_follow_their_law)
{
    static const struct {
        uint64_t n;
        double p;
    } cases[] = {{7, 0.3},      {1000, 0.004}, {999, 0.01},   {1000, 0.0101},
                 {2000, 0.031}, {40, 0.5},     {50, 0.83},    {20000, 0.01},
                 {300, 0.999},  {1000, 0.2},   {100000, 1e-5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double q = tail(cases[i].n, cases[i].p, 11 + i);
        cr_expect(gt(dbl, q, 1e-5), "n %lu, p %g", (unsigned long)cases[i].n,
                  cases[i].p);
    }
}

Test(draw, edges)
{
    struct draw d = draw_seeded(1);
    cr_expect(eq(u64, draw_binomial(&d, 0, 0.4), 0));
    cr_expect(eq(u64, draw_binomial(&d, 40, 0), 0));
    cr_expect(eq(u64, draw_binomial(&d, 40, 1), 40));
    double big = (double)draw_binomial(&d, 1000000000000, 0.37);
    cr_expect(lt(dbl, fabs(big - 0.37e12), 6 * sqrt(1e12 * 0.37 * 0.63)));
    for (int i = 0; i < 1000; i++) {
        double u = draw_uniform(&d);
        cr_assert(u > 0 && u < 1);
    }
}

Test(draw, lumps_keep_the_mean_and_raise_the_variance)
{
    static const double phi[] = {1, 1.7, 3, 8};
    for (size_t i = 0; i < 4; i++) {
        struct draw d = draw_seeded(5 + i);
        double sum = 0, squares = 0, mean = 5000 * 0.01;
        for (int k = 0; k < DRAWS; k++) {
            double x = (double)draw_lumps(&d, 5000, 0.01, phi[i]) - mean;
            sum += x;
            squares += x * x;
        }
        double variance = phi[i] * mean * 0.99;
        cr_expect(lt(dbl, fabs(sum / DRAWS), 5 * sqrt(variance / DRAWS)));
        cr_expect(lt(dbl, fabs(squares / DRAWS / variance - 1), 0.06), "phi %g: %g",
                  phi[i], squares / DRAWS / variance);
    }
}

Test(draw, events_have_the_mean_as_variance)
{
    static const struct {
        double mean, phi;
    } cases[] = {{0.3, 1}, {4, 1}, {250, 1}, {30, 2.5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct draw d = draw_seeded(50 + i);
        double sum = 0, squares = 0, mean = cases[i].mean;
        for (int k = 0; k < DRAWS; k++) {
            double x = (double)draw_events(&d, mean, cases[i].phi) - mean;
            sum += x;
            squares += x * x;
        }
        double variance = cases[i].phi * mean;
        cr_expect(lt(dbl, fabs(sum / DRAWS), 5 * sqrt(variance / DRAWS)));
        cr_expect(lt(dbl, fabs(squares / DRAWS / variance - 1), 0.08), "%g: %g", mean,
                  squares / DRAWS / variance);
    }
    struct draw d = draw_seeded(1);
    cr_expect(eq(u64, draw_events(&d, 0, 1), 0));
}
