/* stats/horizon.c -- a slowly falling weight: late starts keep a fair share */
#include "stats/horizon.h"

#include <math.h>

#include "stats/elem.h"

enum { HORIZON_SHIFT = 10, HORIZON_DIRECT = 4096 };

static double term(double x)
{
    double log_x = elem_log(x);
    return 1 / (x * log_x * log_x);
}

static double slope(double x)
{
    double log_x = elem_log(x);
    return -(log_x + 2) / (x * x * log_x * log_x * log_x);
}

/* Euler-Maclaurin from 4106 on: the next term is below 1e-16 of the sum. */
static double tail(double a, double b)
{
    return 1 / elem_log(a) - 1 / elem_log(b) + (term(a) - term(b)) / 2 +
           (slope(b) - slope(a)) / 12;
}

enum serin_status horizon_init(struct horizon *h, uint64_t windows)
{
    if (windows < 1 || windows > HORIZON_MAX) return SERIN_EDOM;
    double sum = 0;
    for (uint64_t t = 0; t < windows && t < HORIZON_DIRECT; t++)
        sum += term((double)(t + HORIZON_SHIFT));
    if (windows > HORIZON_DIRECT)
        sum += tail(HORIZON_DIRECT + HORIZON_SHIFT, (double)(windows + HORIZON_SHIFT));
    *h = (struct horizon){.windows = windows, .scale = 1 / sum};
    return SERIN_OK;
}

double horizon_gamma(const struct horizon *h, uint64_t t)
{
    if (t >= h->windows) return 0;
    return h->scale * term((double)(t + HORIZON_SHIFT)) / 2 + (t == 0 ? 0.5 : 0);
}
