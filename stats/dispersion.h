/* stats/dispersion.h -- how much burstier than independent units are the counts?
 *
 * phi = index of dispersion of window counts, drift removed, at three time scales. The
 * evidence is tempered by eta = 1/phi; phi is frozen before the first weight. */
#ifndef SERIN_STATS_DISPERSION_H
#define SERIN_STATS_DISPERSION_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"

enum {
    DISPERSION_SCALES = 3,      /* blocks of 1, 2 and 4 windows */
    DISPERSION_MIN_PAIRS = 8,   /* per scale, before the watch looks at it */
    DISPERSION_MIN_WINDOWS = 60 /* with data, before phi may be frozen */
};

/* Blocks of one size. A pair of neighbouring blocks splits K = Y_a + Y_b events by
 * exposure; drift slower than a block cancels. */
struct dispersion_scale {
    uint64_t open_y, open_m, open_windows; /* block being filled */
    uint64_t last_y, last_m;               /* first block of the open pair … */
    bool paired;                           /* … when there is one */
    uint64_t pairs;                        /* closed pairs that tell something */
    double excess;                         /* sum (Y_a - K r)^2 */
    double expected;                       /* sum K r (1 - r) */
};

/* Value type; start zeroed; to keep it, save every field. */
struct dispersion {
    uint64_t windows; /* with data (m > 0) */
    struct dispersion_scale scale[DISPERSION_SCALES];
};

/**
 * Add one closed window of one cohort: y bad of m units (strata summed). Windows
 * without units are skipped, so series that report rarely are compared report by
 * report. Errors  SERIN_EDOM (y > m, m > COUNT_MAX), *d unchanged.  Thread: any, one
 * writer. [PHI]
 */
SERIN_MUST_USE
enum serin_status dispersion_window(struct dispersion *d, uint64_t y, uint64_t m);
/* What a sample knows of the dispersion. */
struct dispersion_pool {
    double phi; /* unbiased, and so below 1 at times */
    uint64_t
        pairs; /* behind it: its degrees of freedom; 0: phi is given, not measured */
};
/**
 * Contrasts of different scales are orthogonal, so their pairs add up; a larger scale
 * stands alone where it shows more than the smaller ones together (F at .01). {1, 0}
 * without any pair.
 */
struct dispersion_pool dispersion_pool(const struct dispersion *d);
/**
 * What evidence is tempered by: 1 unless the pool is above 1 by more than chance
 * (chi-square at .1), and then 1.5 of its standard errors more, for a phi that came out
 * too small costs the level and one that came out too large costs time. Ref: [PHI]
 */
double dispersion_phi(const struct dispersion *d);
/** Enough windows with data to freeze phi. */
bool dispersion_ready(const struct dispersion *d);

/* Run-time watch. Value type; start zeroed; to keep it, save every field. */
struct dispersion_watch {
    struct dispersion seen;
    uint64_t due[DISPERSION_SCALES]; /* pairs at which the next look is taken; 0 = 8 */
    bool over[DISPERSION_SCALES];    /* outcome of the last look */
};

/**
 * Add one closed window of both cohorts together and, at 8, 16, 32, … pairs of a scale,
 * compare with what is frozen, one-sided at .001: more than phi (chi-square), and more
 * than the calibration found by more than the two samples' sizes explain (F; not when
 * pool.pairs is 0). A pair counts for at most eight times what phi expects of it, so
 * that a jump of the rate is no burst.
 * Errors: as dispersion_window, or phi < 1, or a pool that is no number. Ref: [PHI]
 */
SERIN_MUST_USE
enum serin_status dispersion_watch_window(struct dispersion_watch *w, uint64_t bad,
                                          uint64_t units, double phi,
                                          struct dispersion_pool pool);
/** The last look at some scale found more than the frozen phi: HOLD(dispersion). */
bool dispersion_outgrown(const struct dispersion_watch *w);

#endif
