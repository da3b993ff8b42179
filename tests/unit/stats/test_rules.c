/* tests/unit/stats/test_rules.c -- levels, combination, forecast, sample ratio, floor,
 * dispersion: refusals and ends of the domain (values: tests/vectors) */
#include "stats/combine.h"
#include "stats/dispersion.h"
#include "stats/elem.h"
#include "stats/floor.h"
#include "stats/fnch.h"
#include "stats/forecast.h"
#include "stats/level.h"
#include "stats/srm.h"
#include "tests/support/check.h"

Test(elem, agrees_with_long_double)
{
    gsl_rng *g = check_rng(31);
    for (int i = 0; i < 200000; i++) {
        double x = 1380 * (gsl_rng_uniform(g) - 0.5), y = exp(x / 2);
        double z = (gsl_rng_uniform(g) < 0.5 ? -1 : 1) * exp(-40 * gsl_rng_uniform(g));
        cr_assert(le(dbl, fabs(elem_exp(x) / (double)expl(x) - 1), 3e-16));
        cr_assert(
            le(dbl, fabs(elem_log(y) - (double)logl(y)), 2.3e-16 * (1 + fabs(x / 2))));
        cr_assert(le(dbl, fabs(elem_log1p(z) / (double)log1pl(z) - 1), 5e-16));
        cr_assert(le(dbl, fabs(elem_expm1(z) / (double)expm1l(z) - 1), 8e-16));
    }
    gsl_rng_free(g);
    cr_assert(eq(dbl, elem_exp(-800), 0));
    cr_assert(eq(dbl, elem_exp(0), 1));
    cr_assert(isinf(elem_exp(710)) && isinf(elem_log(0)) && isinf(elem_log1p(-1)));
    cr_assert(isnan(elem_log(-1)) && isnan(elem_log1p(-2)) && isnan(elem_exp(NAN)));
    cr_assert(epsilon_eq(dbl, elem_log(5e-324), log(5e-324), 1e-12));
    cr_assert(eq(dbl, elem_expm1(1e-300), 1e-300));
    cr_assert(eq(dbl, elem_expm1(-60), -1));
}

Test(level, margin_makes_rounding_conservative)
{
    double at = level_threshold(0.05);
    cr_assert(not(level_crossed(at, 0.05)));
    cr_assert(level_crossed(at * (1 + 2e-9), 0.05));
    cr_assert(not(level_crossed(NAN, 0.05)));
    cr_assert(not(level_crossed(INFINITY, 0.05)));
    cr_assert(not(level_crossed(-INFINITY, 0.05)));
    cr_assert(not(level_crossed(0, 0.999))); /* no evidence */
}

Test(combine, ends_of_the_domain)
{
    const double log_e[] = {-INFINITY, 3.7, NAN}, weight[] = {0.75, 0.25};
    double adjusted[3];
    bool rejected[3];
    size_t count;
    cr_assert(eq(dbl, combine_average(log_e, NULL, 0), 0));
    cr_assert(epsilon_eq(dbl, combine_average(log_e, weight, 2), 3.7 - log(4), 1e-14));
    cr_assert(isnan(combine_average(log_e, NULL, 3)));
    cr_assert(eq(int, combine_closed(log_e, 3, adjusted), SERIN_EDOM));
    cr_assert(eq(int, combine_ebh(log_e, 3, 0.1, rejected, &count), SERIN_EDOM));
    cr_assert(eq(int, combine_ebh(log_e, 2, 1, rejected, &count), SERIN_EDOM));
    cr_assert(eq(int, combine_closed(log_e, COMBINE_MAX + 1, adjusted), SERIN_EDOM));
    cr_assert(eq(int, combine_closed(log_e, 2, adjusted), SERIN_OK));
    cr_assert(eq(dbl, adjusted[0], -INFINITY));
    cr_assert(epsilon_eq(dbl, adjusted[1], 3.7 - log(2), 1e-14));
}

Test(forecast, seconds)
{
    double rate = forecast_promote(0.001, 0.05, 1.5);
    /* 678k pooled requests at 5 %, w_s = 1.5 (specification, section 11) */
    cr_assert(epsilon_eq(dbl, forecast_seconds(0.05, 0, rate, 2000, 1), 339, 0.5));
    cr_assert(epsilon_eq(dbl, forecast_seconds(0.05, 0, rate, 2000, 0.5), 678, 1));
    cr_assert(eq(dbl, forecast_seconds(0.05, 4, rate, 2000, 1), 0));
    cr_assert(isinf(forecast_seconds(0.05, 0, 0, 2000, 1)));
    cr_assert(isinf(forecast_seconds(0.05, 0, rate, 0, 1)));
}

/* The normaliser of a large table says how fast the evidence grows. */
Test(forecast, at_any_share)
{
    const double w_s[] = {1.5, 2, 4};
    static const struct {
        uint64_t n, m, k;
    } tables[] = {{500000, 500000, 500000},
                  {10000, 990000, 500000},
                  {250000, 750000, 100000},
                  {50000, 950000, 10000}};
    for (size_t i = 0; i < 12; i++) {
        uint64_t n = tables[i / 3].n, m = tables[i / 3].m, k = tables[i / 3].k;
        double all = (double)(n + m), w = w_s[i % 3], out[GRID_MAX];
        struct grid g;
        cr_assert(eq(int, grid_init(&g, 1, &w, 1), SERIN_OK));
        double center = fnch_profile(&g, n, m, k, out);
        double grown =
            out[g.js[0]] + (center - (double)n * (double)k / all) * g.theta[g.js[0]];
        double rate = forecast_promote_share((double)k / all, (double)n / all, w);
        cr_expect(epsilon_eq(dbl, rate * all / grown, 1.0, 2e-3), "%zu: %g of %g", i,
                  rate * all, grown);
    }
    cr_expect(epsilon_eq(dbl,
                         forecast_promote_share(1e-5, 0.05, 1.5) /
                             forecast_promote(1e-5, 0.05, 1.5),
                         1.0, 1e-4));
    cr_expect(lt(dbl, forecast_promote_share(0.5, 0.5, 2),
                 0.6 * forecast_promote(0.5, 0.5, 2)));
}

Test(srm, everything_is_a_share)
{
    struct srm all, half;
    cr_assert(eq(int, srm_init(&all, 0.01), SERIN_OK));
    cr_assert(eq(int, srm_init(&half, 0.01), SERIN_OK));
    for (int i = 0; i < 20; i++) {
        cr_assert(eq(int, srm_window(&all, 1, 700, 3, 1), SERIN_OK));
        cr_assert(eq(int, srm_window(&half, 1, 370, 330, 1), SERIN_OK));
    }
    cr_assert(lt(dbl, srm_log_e(&all), 0.0));
    cr_assert(gt(dbl, srm_log_e(&half), 1000.0));
}

Test(srm, refusal_leaves_state_untouched)
{
    const double bad[] = {0, 1, -0.1, 1.2, NAN};
    struct srm s;
    struct srm_point p;
    cr_assert(eq(int, srm_init(&s, 0.01), SERIN_OK));
    cr_assert(eq(int, srm_point_init(&p, 100), SERIN_OK));
    cr_assert(eq(int, srm_window(&s, 0.05, 61, 939, 1), SERIN_OK));
    cr_assert(eq(int, srm_point_window(&p, 0.05, 61, 939), SERIN_OK));
    const struct srm before = s;
    const struct srm_point before_p = p;
    for (int i = 0; i < 5; i++) {
        /* "everything" is a share with a tolerance, but not without one */
        if (bad[i] != 1)
            cr_assert(eq(int, srm_window(&s, bad[i], 5, 95, 1), SERIN_EDOM));
        cr_assert(eq(int, srm_point_window(&p, bad[i], 5, 95), SERIN_EDOM));
    }
    cr_assert(eq(int, srm_window(&s, 0.05, COUNT_MAX + 1, 95, 1), SERIN_EDOM));
    cr_assert(eq(int, srm_window(&s, 0.05, 5, 95, 0), SERIN_EDOM));
    cr_assert(eq(int, srm_init(&s, 1), SERIN_EDOM));
    cr_assert(eq(int, srm_init(&s, -0.1), SERIN_EDOM));
    cr_assert(eq(int, srm_point_init(&p, 0), SERIN_EDOM));
    cr_assert(eq(int, memcmp(&s, &before, sizeof s), 0));
    cr_assert(eq(int, memcmp(&p, &before_p, sizeof p), 0));
    cr_assert(
        eq(int, srm_window(&s, 0.999, 500, 1, 1), SERIN_OK)); /* interval beyond 1 */
    cr_assert(isfinite(srm_log_e(&s)));
}

Test(srm, a_new_share_starts_a_new_factor)
{
    struct srm_point p, a, b;
    cr_assert(eq(int, srm_point_init(&p, 100), SERIN_OK));
    a = b = p;
    cr_assert(eq(dbl, srm_point_log_e(&p), 0));
    cr_assert(eq(int, srm_point_window(&p, 0.05, 30, 470), SERIN_OK));
    cr_assert(eq(int, srm_point_window(&p, 0.05, 31, 469), SERIN_OK));
    cr_assert(eq(int, srm_point_window(&p, 0.25, 130, 370), SERIN_OK));
    cr_assert(eq(int, srm_point_window(&a, 0.05, 61, 939), SERIN_OK));
    cr_assert(eq(int, srm_point_window(&b, 0.25, 130, 370), SERIN_OK));
    cr_assert(epsilon_eq(dbl, srm_point_log_e(&p),
                         srm_point_log_e(&a) + srm_point_log_e(&b), 1e-14));
}

Test(floor, refusal_and_empty_windows)
{
    const double bad[] = {0, 1, -0.1, NAN};
    struct floor f;
    struct horizon h;
    struct count_table c = {.n = 5, .x = 6};
    cr_assert(eq(int, horizon_init(&h, 3), SERIN_OK));
    cr_assert(eq(int, floor_init(&f, 0.01), SERIN_OK));
    for (int i = 0; i < 4; i++)
        cr_assert(eq(int, floor_init(&f, bad[i]), SERIN_EDOM));
    const struct floor before = f;
    cr_assert(eq(int, floor_window(&f, &h, &c, 1, 1), SERIN_EDOM));
    c = (struct count_table){.n = 10, .x = 1};
    cr_assert(eq(int, floor_window(&f, &h, &c, 1, NAN), SERIN_EDOM));
    cr_assert(eq(int, memcmp(&f, &before, sizeof f), 0));
    for (int t = 0; t < 5; t++)
        cr_assert(eq(int, floor_window(&f, &h, NULL, 0, 1), SERIN_OK));
    cr_assert(epsilon_eq(dbl, floor_log_abort(&f), 0, 1e-13));
    cr_assert(epsilon_eq(dbl, floor_log_plain(&f), 0, 1e-14));
}

Test(dispersion, without_a_pair_it_is_one)
{
    struct dispersion d = {0};
    cr_assert(eq(dbl, dispersion_phi(&d), 1));
    cr_assert(eq(int, dispersion_window(&d, 90, 100), SERIN_OK));
    cr_assert(eq(dbl, dispersion_phi(&d), 1));
    cr_assert(eq(u64, dispersion_pool(&d).pairs, 0));
    cr_assert(eq(int, dispersion_window(&d, 1, 100), SERIN_OK));
    cr_assert(gt(dbl, dispersion_phi(&d), 20));
    cr_assert(not(dispersion_ready(&d)));
    const struct dispersion before = d;
    cr_assert(eq(int, dispersion_window(&d, 5, 4), SERIN_EDOM));
    cr_assert(
        eq(int, dispersion_window(&d, 0, 0), SERIN_OK)); /* no data: not a window */
    cr_assert(eq(int, memcmp(&d, &before, sizeof d), 0));
}

/* Neighbours that differ by an ordinary amount are no bursts; a phi that is one is a
 * margin above what was found. */
Test(dispersion, chance_is_left_out_and_bursts_get_a_margin)
{
    struct dispersion calm = {0}, bursty = {0};
    for (int t = 0; t < 64; t++) {
        uint64_t y = t % 4 < 2 ? 100 : 114;
        cr_assert(
            eq(int, dispersion_window(&calm, t % 2 ? 100 : 114, 10000), SERIN_OK));
        cr_assert(
            eq(int, dispersion_window(&bursty, 3 * y * (t % 2), 10000), SERIN_OK));
    }
    cr_assert(eq(dbl, dispersion_phi(&calm), 1));
    struct dispersion_pool p = dispersion_pool(&bursty);
    cr_assert(gt(dbl, p.phi, 1));
    cr_assert(epsilon_eq(dbl, dispersion_phi(&bursty),
                         p.phi * (1 + 1.5 * sqrt(2.0 / (double)p.pairs)), 1e-12));
}

Test(dispersion, drift_cancels)
{
    struct dispersion d = {0};
    for (int t = 0; t < 240; t++) {
        uint64_t m = 1000 + (uint64_t)(10 * t); /* traffic triples, the rate doubles */
        cr_assert(eq(int, dispersion_window(&d, m * (uint64_t)(240 + t) / 4800, m),
                     SERIN_OK));
    }
    cr_assert(eq(dbl, dispersion_phi(&d), 1));
}

Test(dispersion, watch_looks_at_doubling_sizes)
{
    const struct dispersion_pool given = {1, 0};
    struct dispersion_watch w = {0};
    cr_assert(eq(int, dispersion_watch_window(&w, 1, 100, 0.9, given), SERIN_EDOM));
    cr_assert(eq(int, dispersion_watch_window(&w, 1, 100, NAN, given), SERIN_EDOM));
    for (int t = 0; t < 16; t++) {
        cr_assert(not(dispersion_outgrown(&w)));
        cr_assert(eq(int, dispersion_watch_window(&w, t % 2 ? 60 : 5, 100, 1, given),
                     SERIN_OK));
    }
    cr_assert(dispersion_outgrown(&w)); /* the eighth pair */
    cr_assert(eq(u64, w.due[0], 16));
}
