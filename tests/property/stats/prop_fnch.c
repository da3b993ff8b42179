/* tests/property/stats/prop_fnch.c -- the normaliser's routes agree; e-values have mean
 * 1 */
#include "stats/fnch.h"
#include "stats/profile.h"
#include "tests/support/check.h"

static struct grid grid(void)
{
    const double w_s[] = {4, 2.5, 2, 1.5};
    struct grid g;
    cr_assert(eq(int, grid_init(&g, 1.2, w_s, 4), SERIN_OK));
    return g;
}

/* Spread over orders of magnitude. */
static uint64_t size(gsl_rng *g, double most)
{
    return (uint64_t)exp(gsl_rng_uniform(g) * log(most));
}

/* |got - want| relative to max(1, |log P(theta)/P(0)|) */
static double off(double got, double want, double uncentred)
{
    return fabs(got - want) / fmax(1, fabs(uncentred));
}

Test(fnch_property, routes_agree_on_random_tables)
{
    struct grid gr = grid();
    gsl_rng *g = check_rng(9001);
    double worst = 0, out[GRID_MAX];
    int shared = 0, strided = 0;
    for (int i = 0; i < 1000; i++) {
        double most = i % 2 ? 3e6 : 3e4;
        uint64_t least = i % 2 ? 4000 : 0;
        uint64_t n = least + size(g, most), m = least + size(g, most);
        uint64_t k = 1 + gsl_rng_uniform_int(g, n + m);
        size_t j = gsl_rng_uniform_int(g, gr.n);
        double theta = gr.theta[j], center = fnch_profile(&gr, n, m, k, out);
        double want = fnch_at(theta, n, m, k, FNCH_REFERENCE),
               all = want + center * theta;
        double here = fnch_sd(theta, n, m, k), zero = fnch_sd(0, n, m, k);
        worst = fmax(worst, off(out[j], want, all));
        if (fmax(here, zero) <= FNCH_SHARED_SD) {
            shared++;
            worst = fmax(worst, off(fnch_at(theta, n, m, k, FNCH_SHARED), want, all));
        }
        if (fmin(here, zero) >= FNCH_STRIDED_SD) {
            strided++;
            worst = fmax(worst, off(fnch_at(theta, n, m, k, FNCH_STRIDED), want, all));
        }
        cr_assert(le(dbl, worst, 1e-12), "n %d m %d k %d theta %g", (int)n, (int)m,
                  (int)k, theta);
    }
    gsl_rng_free(g);
    printf("worst %.2g; %d shared, %d strided\n", worst, shared, strided);
    cr_assert(ge(int, shared, 100));
    cr_assert(ge(int, strided, 100));
}

/* Swapping the cohorts: X becomes K - X, theta becomes -theta. */
Test(fnch_property, swapped_cohorts_mirror_the_profile)
{
    struct grid gr = grid();
    gsl_rng *g = check_rng(9002);
    double a[GRID_MAX], b[GRID_MAX];
    for (int i = 0; i < 300; i++) {
        uint64_t n = size(g, 1e5), m = size(g, 1e5),
                 k = gsl_rng_uniform_int(g, n + m + 1);
        uint64_t lo = k > m ? k - m : 0, hi = k < n ? k : n;
        double x = (double)(lo + gsl_rng_uniform_int(g, hi - lo + 1)),
               y = (double)k - x;
        double center_a = fnch_profile(&gr, n, m, k, a);
        double center_b = fnch_profile(&gr, m, n, k, b);
        for (size_t j = 0; j < gr.n; j++) { /* both theta and -theta are points */
            size_t at = gr.n;
            for (size_t l = 0; l < gr.n; l++)
                if (gr.theta[l] == -gr.theta[j]) at = l;
            if (at == gr.n) continue;
            double one = (x - center_a) * gr.theta[j] - a[j];
            double two = (y - center_b) * gr.theta[at] - b[at];
            cr_assert(
                le(dbl, fabs(one - two), 1e-12 * fmax(1, fabs(x * gr.theta[j]) + k)));
        }
    }
    gsl_rng_free(g);
}

/* Any table up to the largest counts: 0 at theta = 0, finite, convex in theta. */
Test(fnch_property, sound_at_any_size)
{
    struct grid gr = grid();
    gsl_rng *g = check_rng(9003);
    double out[GRID_MAX];
    for (int i = 0; i < 4000; i++) {
        uint64_t n = size(g, COUNT_MAX), m = size(g, COUNT_MAX);
        uint64_t any = (uint64_t)(gsl_rng_uniform(g) * (double)(n + m));
        uint64_t few = size(g, (double)(n + m));
        const uint64_t choices[] = {any, few, n + m - few, n, m};
        uint64_t k = choices[i % 5];
        fnch_profile(&gr, n, m, k, out);
        cr_assert(eq(dbl, out[gr.j0], 0));
        for (size_t j = 1; j + 1 < gr.n; j++) {
            double left = gr.theta[j] - gr.theta[j - 1],
                   right = gr.theta[j + 1] - gr.theta[j];
            double before = (out[j] - out[j - 1]) / left,
                   after = (out[j + 1] - out[j]) / right;
            double slack = 1e-12 * (1 + fabs(out[j])) / fmin(left, right);
            cr_assert(ge(dbl, after, before - slack), "n %g m %g k %g theta %g",
                      (double)n, (double)m, (double)k, gr.theta[j]);
        }
    }
    gsl_rng_free(g);
}

static double choose(unsigned n, unsigned x)
{
    double product = 1;
    for (unsigned i = 0; i < x; i++)
        product = product * (n - i) / (i + 1);
    return product;
}

/* E_w[f(X; w1) / f(X; w0)] by enumeration. */
static double mean_e(unsigned n, unsigned m, unsigned k, const double log_e[9],
                     double w)
{
    unsigned lo = k > m ? k - m : 0, hi = k < n ? k : n;
    double sum = 0, weight = 0;
    for (unsigned x = lo; x <= hi; x++) {
        double p = choose(n, x) * choose(m, k - x) * pow(w, x);
        weight += p;
        sum += p * exp(log_e[x]);
    }
    return sum / weight;
}

Test(fnch_property, mean_is_one_at_the_bound_not_more_inside_the_null)
{
    const double up[][2] = {{1, 1.5}, {1, 4}, {1.2, 2}, {1.2, 1.3}, {2, 9}};
    const double inside[] = {1, 0.8, 0.35}; /* times w0; at and below the bound */
    for (unsigned n = 1; n <= 8; n++)
        for (unsigned m = 1; m <= 8; m++)
            for (unsigned k = 0; k <= n + m; k++)
                for (int pair = 0; pair < 10; pair++) {
                    bool down = pair >= 5; /* the promote direction: null is w >= w0 */
                    double w0 = up[pair % 5][down], w1 = up[pair % 5][!down],
                           log_e[9] = {0};
                    double t0 = log(w0), t1 = log(w1);
                    double step = fnch_at(t1, n, m, k, FNCH_SHARED) -
                                  fnch_at(t0, n, m, k, FNCH_SHARED);
                    double center =
                        floor((n + 1.0) * (k + 1.0) / (n + m + 2.0)); /* mode at 0 */
                    for (unsigned x = 0; x <= n; x++)
                        log_e[x] = (x - center) * (t1 - t0) - step;
                    for (int i = 0; i < 3; i++) {
                        double w = down ? w0 / inside[i] : w0 * inside[i];
                        double mean = mean_e(n, m, k, log_e, w);
                        cr_assert(le(dbl, mean, 1 + 1e-12));
                        if (i == 0) cr_assert(epsilon_eq(dbl, mean, 1, 1e-12));
                    }
                }
}

/* One more bad canary unit never lowers the abort evidence (w_a = 1, baseline fixed).
 */
Test(fnch_property, abort_evidence_rises_with_canary_failures)
{
    struct grid gr;
    struct horizon h;
    gsl_rng *g = check_rng(9004);
    cr_assert(eq(int, grid_init(&gr, 1, NULL, 0), SERIN_OK));
    cr_assert(eq(int, horizon_init(&h, 100), SERIN_OK));
    for (int i = 0; i < 60; i++) {
        struct count_table c = {.n = 5 + size(g, 2000), .m = 5 + size(g, 20000)};
        c.y = gsl_rng_uniform_int(g, c.m / 2 + 1);
        double last = -INFINITY;
        for (c.x = 0; c.x <= c.n && c.x < 60; c.x++) {
            struct profile p;
            profile_init(&p, true);
            cr_assert(eq(int, profile_window(&p, &gr, &h, &c, 1, 1), SERIN_OK));
            double now = profile_log_abort(&p, &gr);
            bool none = !profile_informative(&c);
            cr_assert(none || now >= last - 1e-12, "n %d x %d m %d y %d", (int)c.n,
                      (int)c.x, (int)c.m, (int)c.y);
            last = none ? last : now;
        }
    }
    gsl_rng_free(g);
}
