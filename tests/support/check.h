/* tests/support/check.h -- Criterion's new assertions, GSL, seeded random numbers */
#ifndef SERIN_TESTS_SUPPORT_CHECK_H
#define SERIN_TESTS_SUPPORT_CHECK_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** A Mersenne twister with this seed; gsl_rng_free it. */
gsl_rng *check_rng(unsigned long seed);
/** What a study found, as a row of the table that tests/statistical/table.sh makes:
 * "| suite | test | text |" on standard error. */
__attribute__((format(printf, 1, 2))) void check_cell(const char *format, ...);

#endif
