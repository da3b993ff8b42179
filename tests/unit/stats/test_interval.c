/* Exact limits of a counted share. Reference values: binomial tails summed with 50
 * digits, the limit found by bisection. */
#include "stats/interval.h"

#include "tests/support/check.h"

Test(interval, agrees_with_exact_sums)
{
    const struct {
        unsigned k, n;
        double level, lower, upper;
    } rows[] = {{0, 10, .95, 0, .30849710781876083},
                {1, 10, .95, .0025285785444617843, .44501611702819543},
                {5, 10, .95, .18708602844739852, .81291397155260148},
                {3, 200, .95, .0031041076215535097, .043208281917712608},
                {200, 200, .95, .98172465964486377, 1},
                {17, 200, .95, .050295918630257279, .13260516582955237},
                {7, 59, .99, .035755305966770783, .26617170521408728}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double lower = -1, upper = -1;
        int rc = interval_binomial(rows[i].k, rows[i].n, rows[i].level, &lower, &upper);
        cr_assert(eq(int, rc, SERIN_OK));
        cr_assert(epsilon_eq(dbl, lower, rows[i].lower, 1e-12), "row %zu", i);
        cr_assert(epsilon_eq(dbl, upper, rows[i].upper, 1e-12), "row %zu", i);
    }
}

Test(interval, nothing_seen_says_nothing)
{
    double lower = -1, upper = -1;
    cr_assert(eq(int, interval_binomial(0, 0, .95, &lower, &upper), SERIN_OK));
    cr_assert(eq(dbl, lower, 0));
    cr_assert(eq(dbl, upper, 1));
}

Test(interval, refuses_what_is_no_share)
{
    double lower = -1, upper = -1;
    cr_assert(eq(int, interval_binomial(3, 2, .95, &lower, &upper), SERIN_EDOM));
    cr_assert(eq(int, interval_binomial(1, 2, 1, &lower, &upper), SERIN_EDOM));
    cr_assert(eq(int, interval_binomial(1, 2, NAN, &lower, &upper), SERIN_EDOM));
    cr_assert(eq(int, interval_binomial(1, UINT64_C(1) << 40, .9, &lower, &upper),
                 SERIN_EDOM));
    cr_assert(eq(dbl, lower, -1));
    cr_assert(eq(dbl, upper, -1));
}
