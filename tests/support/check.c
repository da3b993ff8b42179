/* tests/support/check.c */
#include "tests/support/check.h"

gsl_rng *check_rng(unsigned long seed)
{
    gsl_rng *g = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(g, seed);
    return g;
}
