/* tests/unit/stats/test_latency.c -- histograms, ranks, exceedances, gauges, pods: ends
 * of the domain and refusals (values: tests/vectors) */
#include "stats/exceedance.h"
#include "stats/gauge.h"
#include "stats/hist.h"
#include "stats/mann_whitney.h"
#include "stats/random_effect.h"
#include "tests/support/check.h"

static const uint64_t four[] = {3, 0, 5, 2};

static struct hist_view view(int scale, int32_t offset, uint64_t zero)
{
    return (struct hist_view){scale, offset, 4, zero, four};
}

Test(hist, refuses_what_is_not_a_latency)
{
    const double bad[] = {-1, NAN, INFINITY, -INFINITY};
    static struct hist h, before;
    int32_t i = 77;
    cr_assert(eq(int, hist_init(&h, 21), SERIN_EDOM));
    cr_assert(eq(int, hist_init(&h, -11), SERIN_EDOM));
    cr_assert(eq(int, hist_init(&h, 5), SERIN_OK));
    cr_assert(eq(int, hist_add(&h, 12.5, 3), SERIN_OK));
    before = h;
    for (int k = 0; k < 4; k++) {
        cr_assert(eq(int, hist_add(&h, bad[k], 1), SERIN_EDOM));
        cr_assert(eq(int, hist_index(bad[k], 5, &i), SERIN_EDOM));
    }
    cr_assert(eq(int, hist_index(0, 5, &i), SERIN_EDOM));
    cr_assert(eq(int, hist_index(1, 21, &i), SERIN_EDOM));
    cr_assert(eq(int, hist_add(&h, 1, HIST_MAX_COUNT - 2), SERIN_EDOM));
    struct hist_view v = view(22, 0, 0);
    cr_assert(eq(int, hist_merge(&h, &v), SERIN_EDOM));
    v = view(5, 0, HIST_MAX_COUNT);
    cr_assert(eq(int, hist_merge(&h, &v), SERIN_EDOM));
    cr_assert(eq(int, hist_downscale(&h, -1), SERIN_EDOM));
    cr_assert(eq(int, hist_downscale(&h, 16), SERIN_EDOM));
    cr_assert(eq(int, memcmp(&h, &before, sizeof h), 0));
    cr_assert(eq(i32, i, 77));
}

Test(hist, zeros_lie_apart_and_a_wide_range_costs_resolution_only)
{
    static struct hist h;
    cr_assert(eq(int, hist_init(&h, 20), SERIN_OK));
    cr_assert(eq(int, hist_add(&h, 0, 4), SERIN_OK));
    cr_assert(eq(int, hist_add(&h, 5e-324, 1), SERIN_OK));
    cr_assert(eq(int, hist_add(&h, 1, 0), SERIN_OK)); /* nothing: keeps the scale */
    cr_assert(eq(i32, h.scale, 20));
    cr_assert(eq(int, hist_add(&h, 1.7e308, 2), SERIN_OK));
    struct hist_view v = hist_view(&h);
    cr_assert(eq(u64, h.total, 7));
    cr_assert(eq(u64, hist_total(&v), 7));
    cr_assert(eq(u64, h.zero, 4));
    cr_assert(eq(i32, h.scale, 0)); /* 2098 powers of two in 2304 buckets */
    cr_assert(eq(dbl, hist_quantile(&v, 0.5), 0));
    cr_assert(isinf(hist_quantile(&v, 1)));
    cr_assert(isnan(hist_quantile(&v, 1.5)));
    cr_assert(eq(u64, hist_above(&v, 0), 3));
    cr_assert(eq(u64, hist_above(&v, 1), 2));
}

Test(hist, edges_and_quantiles)
{
    cr_assert(eq(dbl, hist_edge(0, 4), 32));
    cr_assert(eq(dbl, hist_edge(5, -33), 0.5));
    cr_assert(epsilon_eq(dbl, hist_edge(5, 0), exp2(1.0 / 32), 1e-15));
    cr_assert(isinf(hist_edge(0, 1023)));
    struct hist_view v = view(0, 2, 0); /* 3 in (4,8], 5 in (16,32], 2 in (32,64] */
    cr_assert(eq(dbl, hist_quantile(&v, 0.3), 8));
    cr_assert(eq(dbl, hist_quantile(&v, 0.31), 32));
    cr_assert(eq(dbl, hist_quantile(&v, 1), 64));
    cr_assert(eq(u64, hist_above(&v, 32), 2));
    cr_assert(eq(u64, hist_above(&v, 16), 7));
    cr_assert(eq(u64, hist_above(&v, 17), 2)); /* surely above: whole buckets only */
}

Test(mann_whitney, refusal_and_empty_cohorts)
{
    struct mann_whitney w;
    struct mann_whitney_ranks r = {.t = 5, .n = 1, .m = 2};
    struct horizon h;
    struct hist_view bad = view(33, 0, 0), good = view(5, 0, 1), none = {.scale = 5};
    struct hist_view large = view(5, 0, COUNT_MAX);
    cr_assert(eq(int, horizon_init(&h, 2), SERIN_OK));
    mann_whitney_init(&w);
    const struct mann_whitney before = w;
    cr_assert(eq(int, mann_whitney_ranks(&bad, &good, 0, &r), SERIN_EDOM));
    cr_assert(eq(int, mann_whitney_ranks(&good, &large, 0, &r), SERIN_EDOM));
    cr_assert(eq(dbl, r.t, 5));
    cr_assert(eq(int, mann_whitney_window(&w, &h, &r, 0), SERIN_EDOM));
    r.t = NAN;
    cr_assert(eq(int, mann_whitney_window(&w, &h, &r, 1), SERIN_EDOM));
    cr_assert(eq(int, memcmp(&w, &before, sizeof w), 0));
    for (int t = 0; t < 4; t++) {
        cr_assert(eq(int, mann_whitney_ranks(&good, &none, 0, &r), SERIN_OK));
        cr_assert(eq(int, mann_whitney_window(&w, &h, &r, 1), SERIN_OK));
    }
    cr_assert(epsilon_eq(dbl, mann_whitney_log_plain(&w), 0, 1e-14));
    cr_assert(epsilon_eq(dbl, mann_whitney_log_abort(&w), 0, 1e-12));
}

Test(mann_whitney, scales_and_shift)
{
    struct mann_whitney_ranks a, b;
    struct hist_view x = view(1, 0, 2), y = view(0, 0, 1);
    cr_assert(eq(int, mann_whitney_ranks(&x, &y, 0, &a), SERIN_OK));
    /* at scale 0, x is {3, 7} and y {3, 0, 5, 2}; zeros 2 and 1 */
    double u2 = 2 * 1 + 3 * (2 * 1 + 3) + 7 * (2 * 4 + 0);
    cr_assert(eq(dbl, a.t, u2 - 12.0 * 11));
    cr_assert(eq(int, mann_whitney_ranks(&x, &y, 1, &b), SERIN_OK));
    u2 = 2 * 1 + 3 * (2 * 1) + 7 * (2 * 1 + 3);
    cr_assert(eq(dbl, b.t, u2 - 12.0 * 11));
}

Test(exceedance, learns_before_it_judges_and_keeps_the_past_on_refusal)
{
    static struct exceedance e, before;
    struct count_table plain[EXCEEDANCE_LEVELS], shifted[EXCEEDANCE_LEVELS];
    struct hist_view v = view(5, 10, 0), none = {.scale = 5}, bad = view(21, 0, 0);
    exceedance_init(&e);
    for (int t = 0; t < 3; t++) {
        cr_assert(
            eq(int, exceedance_window(&e, &v, &none, 1, plain, NULL), SERIN_AGAIN));
        cr_assert(
            eq(int, exceedance_window(&e, &v, &v, 1, plain, shifted), SERIN_AGAIN));
        cr_assert(eq(u64, plain[0].n, 0));
    }
    before = e;
    cr_assert(eq(int, exceedance_window(&e, &bad, &v, 0, plain, NULL), SERIN_EDOM));
    cr_assert(eq(int, memcmp(&e, &before, sizeof e), 0));
    cr_assert(eq(int, exceedance_window(&e, &v, &v, 1, plain, shifted), SERIN_OK));
    cr_assert(eq(i32, e.bucket[0], 10)); /* .3 and .8 are .2 and .3 away from .5 */
    cr_assert(eq(i32, e.bucket[1], 12));
    cr_assert(eq(i32, e.bucket[5], 13));
    cr_assert(eq(u64, plain[0].x, 7));
    cr_assert(eq(u64, shifted[0].x, 7)); /* 12 counts as 11, still above 10 */
    cr_assert(eq(u64, plain[1].x, 2));
    cr_assert(eq(u64, shifted[1].x, 0));
    cr_assert(eq(u64, shifted[1].y, 2));
}

Test(exceedance, a_coarser_window_lowers_the_scale)
{
    static struct exceedance e;
    struct count_table plain[EXCEEDANCE_LEVELS];
    struct hist_view fine = view(5, 64, 0), coarse = view(0, 2, 3);
    exceedance_init(&e);
    for (int t = 0; t < 3; t++)
        (void)!exceedance_window(&e, &fine, &fine, 0, plain, NULL);
    cr_assert(eq(int, exceedance_window(&e, &fine, &coarse, 0, plain, NULL), SERIN_OK));
    cr_assert(eq(i32, e.scale, 0));
    cr_assert(eq(i32, e.bucket[0], 2)); /* 64 .. 67 all fall into (4, 8] */
    cr_assert(eq(u64, plain[0].x, 0));
    cr_assert(eq(u64, plain[0].y, 7));
    cr_assert(eq(u64, plain[0].m, 13));
}

Test(gauge, few_flat_and_not_finite)
{
    struct gauge g = {0};
    cr_assert(eq(int, gauge_state(&g), GAUGE_FEW));
    for (int t = 0; t < 9; t++) {
        cr_assert(eq(dbl, gauge_log_abort(&g, 0, 0.08), 0));
        cr_assert(eq(int, gauge_add(&g, 2.5), SERIN_OK));
    }
    cr_assert(eq(int, gauge_state(&g), GAUGE_FLAT));
    cr_assert(eq(dbl, gauge_log_abort(&g, 0, 0.08), 0));
    cr_assert(eq(dbl, gauge_log_promote(&g, 9, 0.08), 0));
    cr_assert(isinf(gauge_half_width(&g, 0.08, 0.05)));
    cr_assert(eq(int, gauge_add(&g, NAN), SERIN_EDOM));
    cr_assert(eq(int, gauge_add(&g, INFINITY), SERIN_EDOM));
    cr_assert(eq(int, gauge_add(&g, 1e300), SERIN_EDOM)); /* its square is not finite */
    cr_assert(eq(u64, g.t, 9));
    cr_assert(eq(int, gauge_add(&g, 3), SERIN_OK));
    cr_assert(eq(int, gauge_state(&g), GAUGE_READY));
    cr_assert(gt(dbl, gauge_log_abort(&g, 0, 0.08), 50));
    cr_assert(lt(dbl, gauge_log_promote(&g, 0, 0.08), 0));
    cr_assert(isfinite(gauge_log_promote(&g, -1e6, 0.08)));
}

Test(random_effect, tau_has_a_range)
{
    struct grid g;
    struct profile p;
    double log_e = 7;
    cr_assert(eq(int, grid_init(&g, 1.2, NULL, 0), SERIN_OK));
    profile_init(&p, false);
    cr_assert(eq(int, random_effect_log_e(&p, &g, 0.09, &log_e), SERIN_EDOM));
    cr_assert(eq(int, random_effect_log_e(&p, &g, 0.31, &log_e), SERIN_EDOM));
    cr_assert(eq(int, random_effect_log_e(&p, &g, NAN, &log_e), SERIN_EDOM));
    cr_assert(eq(dbl, log_e, 7));
    cr_assert(eq(int, random_effect_log_e(&p, &g, 0.2, &log_e), SERIN_OK));
    cr_assert(epsilon_eq(dbl, log_e, 0, 1e-14));
    cr_assert(
        epsilon_eq(dbl, random_effect_tau(0.2, 2, 6), 0.2 * sqrt(2.0 / 3), 1e-15));
    cr_assert(epsilon_eq(dbl, random_effect_ceiling(8, 2), log(28), 1e-14));
}

/* What carries validity from theta_a to all smaller theta: alternative over null rises.
 */
Test(random_effect, mixture_ratio_rises)
{
    const double tau[] = {0.1, 0.15, 0.2, 0.3};
    for (int i = 0; i < 4; i++) {
        struct grid g;
        cr_assert(eq(int, grid_init(&g, 1.2, NULL, 0), SERIN_OK));
        double last = -INFINITY;
        for (size_t j = g.ja + 1; j < g.n; j++) {
            double z = (g.theta[j] - g.theta[g.ja]) / tau[i];
            double now = g.log_pi[j] - (log(g.width[j]) - z * z / 2);
            cr_assert(gt(dbl, now, last), "tau %g theta %g", tau[i], g.theta[j]);
            last = now;
        }
    }
}
