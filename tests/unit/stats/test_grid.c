/* tests/unit/stats/test_grid.c -- points, boundaries, priors; start weights */
#include "stats/fnch.h"
#include "stats/grid.h"
#include "stats/horizon.h"
#include "tests/support/check.h"

Test(grid, boundaries_are_points_and_repeats_share_one)
{
    const double w_s[] = {4, 2, 2, 1.5, M_E};
    struct grid g;
    cr_assert(eq(int, grid_init(&g, 1.2, w_s, 5), SERIN_OK));
    cr_assert(eq(sz, g.n, 133 + 1 + 3)); /* e displaces theta = 1 */
    cr_assert(eq(dbl, g.theta[g.j0], 0));
    cr_assert(epsilon_eq(dbl, g.theta[g.ja], log(1.2), 1e-16));
    cr_assert(eq(sz, g.js[1], g.js[2]));
    for (size_t s = 0; s < 5; s++)
        cr_assert(epsilon_eq(dbl, g.theta[g.js[s]], log(w_s[s]), 1e-15));
    for (size_t j = 1; j < g.n; j++)
        cr_assert(lt(dbl, g.theta[j - 1], g.theta[j]));
    cr_assert(eq(dbl, g.theta[0], -2));
    cr_assert(eq(dbl, g.theta[g.n - 1], 4.6));
}

Test(grid, most_tolerances_fit)
{
    double w_s[GRID_MAX_STEPS + 1];
    struct grid g;
    for (int s = 0; s <= GRID_MAX_STEPS; s++)
        w_s[s] = 1.31 + 0.37 * s;
    cr_assert(eq(int, grid_init(&g, 1.2, w_s, GRID_MAX_STEPS), SERIN_OK));
    cr_assert(eq(sz, g.n, 133 + 33));
    cr_assert(eq(int, grid_init(&g, 1.2, w_s, GRID_MAX_STEPS + 1), SERIN_EDOM));
}

/* Both margins are points, so is half of each; between, the normaliser is as exact as
 * at the uniform points. */
Test(grid, around_one_the_margin_is_a_boundary_on_either_side)
{
    const double margins[] = {0.001, 0.0037, 0.02, 0.05, 0.0512710963760240, 0.3, 1};
    struct grid g;
    for (size_t i = 0; i < sizeof margins / sizeof *margins; i++) {
        double fast[GRID_MAX], slow[GRID_MAX], m = log1p(margins[i]);
        cr_assert(eq(int, grid_init_around(&g, margins[i]), SERIN_OK));
        cr_assert(le(sz, g.n, (size_t)GRID_MAX));
        cr_assert(eq(dbl, g.theta[g.j0], 0));
        cr_assert(eq(sz, g.ja, g.j0));
        cr_assert(epsilon_eq(dbl, g.theta[g.js[0]], m, 1e-15), "%g", margins[i]);
        cr_assert(eq(dbl, g.theta[g.jm], -g.theta[g.js[0]]));
        for (size_t j = 1; j < g.n; j++)
            cr_assert(lt(dbl, g.theta[j - 1] + 1e-10, g.theta[j]));
        cr_assert(le(dbl, g.theta[g.j0 + 1], m / 2 + 1e-15), "%g", margins[i]);
        fnch_profile(&g, 1000, 1200, 90, fast);
        fnch_profile_slowly(&g, 1000, 1200, 90, slow);
        for (size_t j = 0; j < g.n; j++)
            cr_assert(
                epsilon_eq(dbl, fast[j], slow[j], 1e-12 * fmax(1, fabs(slow[j]))));
    }
    g.n = 7;
    const double bad[] = {0, 0.0009, -0.1, 1.01, NAN};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(eq(int, grid_init_around(&g, bad[i]), SERIN_EDOM));
    cr_assert(eq(sz, g.n, 7));
}

Test(grid, refuses_what_has_no_alternative)
{
    const struct {
        double w_a, w_s;
    } bad[] = {{0.9, 2},        {NAN, 2},      {60, 70},      {1 + 1e-11, 2},
               {1.2, 1.2},      {1.2, 1.1},    {1.2, NAN},    {1.2, 100},
               {1.2, INFINITY}, {INFINITY, 2}, {1, 1 + 1e-11}};
    struct grid g = {.n = 7};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(eq(int, grid_init(&g, bad[i].w_a, &bad[i].w_s, 1), SERIN_EDOM), "%zu",
                  i);
    cr_assert(eq(sz, g.n, 7));
    cr_assert(eq(int, grid_init(&g, 1, NULL, 0), SERIN_OK));
    cr_assert(eq(sz, g.ja, g.j0));
}

/* No mass at or beyond the boundary of the null: that would break validity. */
Test(grid, priors_sum_to_one_on_the_alternative_only)
{
    const double w_s[] = {4, 1.5};
    struct grid g;
    cr_assert(eq(int, grid_init(&g, 1.2, w_s, 2), SERIN_OK));
    double abort = 0, promote[2] = {0};
    for (size_t j = 0; j < GRID_MAX; j++) {
        bool above = j > g.ja && j < g.n;
        cr_assert(eq(int, isinf(g.log_pi[j]) != 0, !above));
        abort += exp(g.log_pi[j]);
    }
    for (int s = 0; s < 2; s++)
        for (size_t j = 0; j < g.js[s]; j++)
            promote[s] += exp(g.log_u[j] - g.log_uz[s]);
    cr_assert(epsilon_eq(dbl, abort, 1, 1e-14));
    cr_assert(epsilon_eq(dbl, promote[0], 1, 1e-14));
    cr_assert(epsilon_eq(dbl, promote[1], 1, 1e-14));
}

Test(horizon, weights_sum_to_one_and_end)
{
    const uint64_t windows[] = {1, 2, 64, 4096, 4097, 100000};
    struct horizon h;
    for (int i = 0; i < 6; i++) {
        cr_assert(eq(int, horizon_init(&h, windows[i]), SERIN_OK));
        double sum = 0;
        for (uint64_t t = 0; t < windows[i]; t++)
            sum += horizon_gamma(&h, t);
        cr_assert(epsilon_eq(dbl, sum, 1, 1e-12), "H = %d", (int)windows[i]);
        cr_assert(eq(dbl, horizon_gamma(&h, windows[i]), 0));
        cr_assert(ge(dbl, horizon_gamma(&h, 0), 0.5));
    }
    h.windows = 3;
    cr_assert(eq(int, horizon_init(&h, 0), SERIN_EDOM));
    cr_assert(eq(int, horizon_init(&h, HORIZON_MAX + 1), SERIN_EDOM));
    cr_assert(eq(u64, h.windows, 3));
}
