/* stats/dispersion.c -- [PHI] neighbouring blocks against each other */
#include "stats/dispersion.h"

#include <gsl/gsl_cdf.h>
#include <math.h>

#include "stats/profile.h"

/*
 * One incident common to both cohorts is one pair that straddles a jump: uncapped, a
 * jump to three times the rate holds every healthy run for hundreds of windows. With
 * the cap 2 % of them, and growth of the bursts is found as surely and as soon.
 */
static const double watch_cap =
    8; /* times phi: what one pair may add, over its expected */
static const double watch_level = 0.001; /* one look's false alarm */

/* Chosen by the study in stats/README.md. */
static const double scale_level = 0.01; /* a larger scale shows more than the smaller */
static const double bursts_level = 0.1; /* there are bursts at all */
static const double margin = 1.5;       /* standard errors of phi, where there are */

/* cap: the most a pair may add to the excess, over what it adds to the expected */
static void close_pair(struct dispersion_scale *s, double cap)
{
    double k = (double)(s->last_y + s->open_y);
    double r = (double)s->last_m / (double)(s->last_m + s->open_m);
    double off = (double)s->last_y - k * r;
    s->paired = false;
    if (k == 0) return;
    double expected = k * r * (1 - r);
    s->excess += fmin(off * off, cap * expected);
    s->expected += expected;
    s->pairs++;
}

static void add(struct dispersion_scale *s, uint64_t block, uint64_t y, uint64_t m,
                double cap)
{
    s->open_y += y;
    s->open_m += m;
    if (++s->open_windows < block) return;
    if (s->paired) {
        close_pair(s, cap);
    } else {
        s->last_y = s->open_y;
        s->last_m = s->open_m;
        s->paired = true;
    }
    s->open_y = s->open_m = s->open_windows = 0;
}

static enum serin_status fold(struct dispersion *d, uint64_t y, uint64_t m, double cap)
{
    if (y > m || m > 2 * COUNT_MAX) return SERIN_EDOM;
    if (m == 0) return SERIN_OK;
    d->windows++;
    for (unsigned i = 0; i < DISPERSION_SCALES; i++)
        add(&d->scale[i], UINT64_C(1) << i, y, m, cap);
    return SERIN_OK;
}

enum serin_status dispersion_window(struct dispersion *d, uint64_t y, uint64_t m)
{
    return fold(d, y, m, HUGE_VAL);
}

/* ratio, of so many pairs, is above the pool's by more than both samples' chance. */
static bool beyond(double ratio, uint64_t pairs, struct dispersion_pool pool)
{
    if (!(pool.phi > 0)) return ratio > 0;
    return gsl_cdf_fdist_Q(ratio / pool.phi, (double)pairs, (double)pool.pairs) <
           scale_level;
}

struct dispersion_pool dispersion_pool(const struct dispersion *d)
{
    struct dispersion_pool p = {.phi = 1};
    for (int i = 0; i < DISPERSION_SCALES; i++) {
        const struct dispersion_scale *s = &d->scale[i];
        if (s->pairs == 0) continue;
        double ratio = s->excess / s->expected;
        if (p.pairs == 0 || beyond(ratio, s->pairs, p)) {
            p = (struct dispersion_pool){ratio, s->pairs};
            continue;
        }
        uint64_t all = p.pairs + s->pairs;
        p.phi = ((double)p.pairs * p.phi + (double)s->pairs * ratio) / (double)all;
        p.pairs = all;
    }
    return p;
}

double dispersion_phi(const struct dispersion *d)
{
    struct dispersion_pool p = dispersion_pool(d);
    double pairs = (double)p.pairs;
    if (p.pairs == 0 || gsl_cdf_chisq_Q(pairs * p.phi, pairs) >= bursts_level) return 1;
    return fmax(1, p.phi * (1 + margin * sqrt(2 / pairs)));
}

bool dispersion_ready(const struct dispersion *d)
{
    return d->windows >= DISPERSION_MIN_WINDOWS;
}

/* The ratio from so many pairs that is more than chance, given what is frozen. */
static double allowed(double pairs, double phi, struct dispersion_pool pool)
{
    double given = phi * gsl_cdf_chisq_Qinv(watch_level, pairs) / pairs;
    if (pool.pairs == 0) return given;
    return fmax(given, fmax(1, pool.phi) *
                           gsl_cdf_fdist_Qinv(watch_level, pairs, (double)pool.pairs));
}

enum serin_status dispersion_watch_window(struct dispersion_watch *w, uint64_t bad,
                                          uint64_t units, double phi,
                                          struct dispersion_pool pool)
{
    if (!(phi >= 1 && isfinite(phi) && isfinite(pool.phi))) return SERIN_EDOM;
    enum serin_status rc = fold(&w->seen, bad, units, watch_cap * phi);
    if (rc != SERIN_OK) return rc;
    for (int i = 0; i < DISPERSION_SCALES; i++) {
        const struct dispersion_scale *s = &w->seen.scale[i];
        if (w->due[i] == 0) w->due[i] = DISPERSION_MIN_PAIRS;
        if (s->pairs < w->due[i]) continue;
        w->due[i] *= 2;
        w->over[i] = s->excess / s->expected > allowed((double)s->pairs, phi, pool);
    }
    return SERIN_OK;
}

bool dispersion_outgrown(const struct dispersion_watch *w)
{
    for (int i = 0; i < DISPERSION_SCALES; i++)
        if (w->over[i]) return true;
    return false;
}
