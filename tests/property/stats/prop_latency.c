/* tests/property/stats/prop_latency.c -- merging is adding; rank evidence has mean one
 */
#include "stats/hist.h"
#include "stats/mann_whitney.h"
#include "tests/support/check.h"

static void draw(gsl_rng *g, struct hist *h, int scale)
{
    cr_assert(eq(int, hist_init(h, scale), SERIN_OK));
    for (int i = 0; i < 200; i++) {
        double v = gsl_rng_uniform(g) < 0.05 ? 0 : gsl_ran_lognormal(g, 2, 1.5);
        cr_assert(eq(int, hist_add(h, v, 1 + gsl_rng_uniform_int(g, 9)), SERIN_OK));
    }
}

/* The same counts at the same scale; where unused room begins does not matter. */
static bool same(const struct hist *a, const struct hist *b)
{
    if (a->scale != b->scale || a->zero != b->zero || a->total != b->total)
        return false;
    for (uint32_t k = 0; k < a->n; k++) {
        int64_t at = a->offset + (int64_t)k - b->offset;
        if (a->counts[k] != (at >= 0 && at < b->n ? b->counts[at] : 0)) return false;
    }
    return true;
}

static void merge(struct hist *into, const struct hist *from)
{
    struct hist_view v = hist_view(from);
    cr_assert(eq(int, hist_merge(into, &v), SERIN_OK));
}

Test(hist_property, merge_commutes_associates_and_goes_with_downscaling)
{
    static struct hist a, b, c, left, right;
    gsl_rng *g = check_rng(71);
    for (int i = 0; i < 60; i++) {
        draw(g, &a, (int)gsl_rng_uniform_int(g, 9) - 1);
        draw(g, &b, (int)gsl_rng_uniform_int(g, 9) - 1);
        draw(g, &c, (int)gsl_rng_uniform_int(g, 9) - 1);
        left = a, merge(&left, &b);
        right = b, merge(&right, &a);
        cr_assert(same(&left, &right));
        merge(&left, &c);
        right = b, merge(&right, &c), merge(&right, &a);
        cr_assert(same(&left, &right));
        left = a, merge(&left, &b);
        int to = left.scale - 2;
        cr_assert(eq(int, hist_downscale(&left, 2), SERIN_OK));
        cr_assert(eq(int, hist_downscale(&a, a.scale - to), SERIN_OK));
        cr_assert(eq(int, hist_downscale(&b, b.scale - to), SERIN_OK));
        merge(&a, &b);
        cr_assert(same(&left, &a));
    }
    gsl_rng_free(g);
}

Test(hist_property, a_value_lies_in_its_bucket)
{
    gsl_rng *g = check_rng(72);
    for (int i = 0; i < 100000; i++) {
        int32_t at, coarse;
        int scale = (int)gsl_rng_uniform_int(g, 31) - 10;
        double v = exp(1300 * (gsl_rng_uniform(g) - 0.5));
        cr_assert(eq(int, hist_index(v, scale, &at), SERIN_OK));
        cr_assert(le(dbl, v, hist_edge(scale, at) * (1 + 1e-13)));
        cr_assert(ge(dbl, v, hist_edge(scale, at - 1) * (1 - 1e-13)));
        if (scale == HIST_SCALE_MIN) continue;
        cr_assert(eq(int, hist_index(v, scale - 1, &coarse), SERIN_OK));
        cr_assert(eq(i32, coarse, at >> 1));
    }
    gsl_rng_free(g);
}

/* All C(n + m, n) assignments of distinct values are equally likely under the null. */
Test(mann_whitney_property, mean_is_one_over_all_assignments)
{
    for (unsigned n = 1; n <= 5; n++)
        for (unsigned m = 1; m <= 6; m++)
            for (int j = 0; j < MANN_WHITNEY_POINTS; j += 3) {
                double theta = mann_whitney_theta(j), sum = 0, count = 0;
                for (unsigned set = 0; set < 1u << (n + m); set++) {
                    uint64_t x[11], y[11];
                    struct mann_whitney_ranks r;
                    if ((unsigned)__builtin_popcount(set) != n) continue;
                    for (unsigned i = 0; i < n + m; i++) {
                        x[i] = set >> i & 1;
                        y[i] = !x[i];
                    }
                    struct hist_view of_x = {.scale = 3, .n = n + m, .counts = x};
                    struct hist_view of_y = {.scale = 3, .n = n + m, .counts = y};
                    cr_assert(
                        eq(int, mann_whitney_ranks(&of_x, &of_y, 0, &r), SERIN_OK));
                    sum += exp(theta * r.t / (2.0 * (n + m)) -
                               mann_whitney_omega(theta, n, m));
                    count++;
                }
                cr_assert(epsilon_eq(dbl, sum / count, 1, 1e-12), "n %u m %u", n, m);
            }
}

/* The two ways to the normaliser meet: at 16 units it changes from sums to brackets. */
Test(mann_whitney_property, omega_by_addition)
{
    gsl_rng *g = check_rng(73);
    for (int i = 0; i < 400; i++) {
        uint64_t n = 1 + gsl_rng_uniform_int(g, 60),
                 m = 1 + gsl_rng_uniform_int(g, 4000);
        double theta = mann_whitney_theta((int)gsl_rng_uniform_int(g, 40)), sum = 0;
        double c = theta / (double)(n + m), most = fmax((double)n, (double)m);
        for (double k = 1; k <= fmin((double)n, (double)m); k++) {
            double a = c * (most + k) / 2, b = c * k / 2;
            double h_b = b < 1e-2 ? b * b / 6 - b * b * b * b / 180 : log(sinh(b) / b);
            double h_a = a < 1e-2 ? a * a / 6 - a * a * a * a / 180 : log(sinh(a) / a);
            sum += h_a - h_b;
        }
        cr_assert(
            epsilon_eq(dbl, mann_whitney_omega(theta, n, m), sum, 1e-9 * sum + 1e-12));
    }
    gsl_rng_free(g);
}
