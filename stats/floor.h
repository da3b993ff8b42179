/* stats/floor.h -- evidence that the canary's own rate is above an absolute bound d
 *
 * Two uses: min(E_abort, E_floor) ignores a large odds ratio at a negligible rate, and
 * E_floor alone with d = the SLO limit is the absolute limit test. */
#ifndef SERIN_STATS_FLOOR_H
#define SERIN_STATS_FLOOR_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "stats/horizon.h"
#include "stats/profile.h"

enum {
    FLOOR_POINTS = 35,
    FLOOR_ROOM = 36 /* whole vectors; the last place carries no mass */
};

/*
 * Value type; only floor_*() write it. To keep it, save d, t, used, l and lw (of the
 * FLOOR_POINTS in use); to restore, floor_init(d) and put the others back: cost and
 * log_prior are functions of d.
 */
struct floor {
    double d;                     /* null: the rate is at most d */
    double cost[FLOOR_ROOM];      /* log1p(d expm1(delta_k)), paid per unit */
    double log_prior[FLOOR_ROOM]; /* weights of the mixture */
    uint64_t t;                   /* windows folded */
    double used;                  /* sum of gamma over t */
    double l[FLOOR_ROOM];         /* log likelihood ratio to rate d */
    double lw[FLOOR_ROOM];        /* mixture over start times */
};

/** Start with no evidence; 0 < d < 1, SERIN_EDOM otherwise and *f unchanged. */
SERIN_MUST_USE
enum serin_status floor_init(struct floor *f, double d);
/**
 * Fold one closed window; only n and x of the strata are read.
 * Errors  SERIN_EDOM as for profile_window; *f unchanged.   Thread, Ref: there, [FLOOR]
 */
SERIN_MUST_USE
enum serin_status floor_window(struct floor *f, const struct horizon *h,
                               const struct count_table *strata, size_t n, double eta);
/** log E against "rate <= d in every window", excess from the first window on. */
double floor_log_plain(const struct floor *f);
/** The same null, start of the excess unknown: the one to use. */
double floor_log_abort(const struct floor *f);

#endif
