/* engine/core/draw.c -- splitmix64; binomial numbers by waiting times where few are
 * expected, else by transformed rejection (BTRS: Hörmann, J. Stat. Comput. Simul. 46,
 * 1993) */
#include "engine/core/draw.h"

#include <math.h>

#include "stats/elem.h"

static const double few = 10; /* expected: BTRS needs at least so many */

struct draw draw_seeded(uint64_t seed)
{
    return (struct draw){seed};
}

static uint64_t next(struct draw *d)
{
    uint64_t z = d->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

double draw_uniform(struct draw *d)
{
    return ((double)(next(d) >> 11) + 0.5) * 0x1p-53;
}

/* Marsaglia's polar method; the second number is not kept. */
double draw_normal(struct draw *d)
{
    double u, v, r;
    do {
        u = 2 * draw_uniform(d) - 1;
        v = 2 * draw_uniform(d) - 1;
        r = u * u + v * v;
    } while (r >= 1 || r == 0);
    return u * sqrt(-2 * elem_log(r) / r);
}

/* Trials until the next success are geometric. */
static uint64_t by_waiting(struct draw *d, uint64_t n, double p)
{
    uint64_t bad = 0;
    double at = 0, scale = elem_log1p(-p);
    for (;;) {
        at += floor(elem_log(draw_uniform(d)) / scale) + 1;
        if (!(at <= (double)n)) return bad;
        bad++;
    }
}

/* log(k!) minus Stirling's formula at k + 1; its error below 3e-4 at k = 0 and below
 * 1e-7 from 3 on does not show where at least `few` are expected. */
static double stirling_rest(double k)
{
    double z = 1 / ((k + 1) * (k + 1));
    return (1.0 / 12 - (1.0 / 360 - z / 1260) * z) / (k + 1);
}

/* p <= 1/2. */
static uint64_t by_rejection(struct draw *d, double n, double p)
{
    double odds = p / (1 - p), spread = sqrt(n * p * (1 - p));
    double b = 1.15 + 2.53 * spread, a = -0.0873 + 0.0248 * b + 0.01 * p;
    double c = n * p + 0.5, v_r = 0.92 - 4.2 / b, alpha = (2.83 + 5.1 / b) * spread;
    double mode = floor((n + 1) * p);
    for (;;) {
        double u = draw_uniform(d) - 0.5, v = draw_uniform(d), us = 0.5 - fabs(u);
        double k = floor((2 * a / us + b) * u + c);
        if (us >= 0.07 && v <= v_r) return (uint64_t)k;
        if (k < 0 || k > n) continue;
        double most = (mode + 0.5) * elem_log((mode + 1) / (odds * (n - mode + 1))) +
                      (n + 1) * elem_log((n - mode + 1) / (n - k + 1)) +
                      (k + 0.5) * elem_log(odds * (n - k + 1) / (k + 1)) +
                      stirling_rest(mode) + stirling_rest(n - mode) - stirling_rest(k) -
                      stirling_rest(n - k);
        if (elem_log(v * alpha / (a / (us * us) + b)) <= most) return (uint64_t)k;
    }
}

uint64_t draw_binomial(struct draw *d, uint64_t n, double p)
{
    if (!(p > 0) || n == 0) return 0;
    if (p >= 1) return n;
    if (p > 0.5) return n - draw_binomial(d, n, 1 - p);
    if ((double)n * p < few) return by_waiting(d, n, p);
    return by_rejection(d, (double)n, p);
}

/* Rare among so many trials. */
uint64_t draw_events(struct draw *d, double mean, double phi)
{
    const uint64_t trials = UINT64_C(1) << 36;
    double lumps = (double)draw_binomial(d, trials, mean / phi / (double)trials);
    return (uint64_t)floor(phi * lumps + (phi > 1 ? draw_uniform(d) : 0));
}

uint64_t draw_lumps(struct draw *d, uint64_t n, double p, double phi)
{
    if (!(phi > 1)) return draw_binomial(d, n, p);
    /* Fractions are rounded at random, so that the means stay as they are. */
    double tries = floor((double)n / phi + draw_uniform(d));
    double bad =
        floor(phi * (double)draw_binomial(d, (uint64_t)tries, p) + draw_uniform(d));
    return bad < (double)n ? (uint64_t)bad : n;
}
