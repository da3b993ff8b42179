/* tests/support/check.c */
#include "tests/support/check.h"

#include <stdarg.h>

gsl_rng *check_rng(unsigned long seed)
{
    gsl_rng *g = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(g, seed);
    return g;
}

void check_cell(const char *format, ...)
{
    char text[512];
    va_list more;
    va_start(more, format);
    vsnprintf(text, sizeof text, format, more);
    va_end(more);
    fprintf(stderr, "| %s | %s | %s |\n", criterion_current_test->category,
            criterion_current_test->name, text);
}
