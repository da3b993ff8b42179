/* engine/core/calibrate.h -- what the baseline tells before the first weight: how
 * bursty its counts are, and how often it reports */
#ifndef SERIN_ENGINE_CORE_CALIBRATE_H
#define SERIN_ENGINE_CORE_CALIBRATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "stats/dispersion.h"

enum {
    CALIBRATE_LENGTHS = 6,      /* of windows that `window: auto` chooses from */
    CALIBRATE_GAPS = 62,        /* 0..60 windows between reports, and more */
    CALIBRATE_MAX_MS = 600000,  /* then what there is has to do */
    CALIBRATE_DEFAULT_MS = 2000 /* window when nothing was measured */
};
extern const int64_t calibrate_lengths[CALIBRATE_LENGTHS];

/* One metric. Value type; start zeroed; to keep it, save every field. */
struct calibrate {
    struct dispersion at[CALIBRATE_LENGTHS];
    uint64_t open_y[CALIBRATE_LENGTHS], open_m[CALIBRATE_LENGTHS];
    uint32_t gaps[CALIBRATE_GAPS]; /* distances between reports, in windows */
    int64_t last_ms;               /* start of the latest window with data; 0 = none */
};

/**
 * Add one closed window of the baseline.
 * fixed_ms  length of the windows when the plan fixes it: only at[0] is used, and it is
 *           of that length. 0: auto, windows are of 1 s and all lengths are tried.
 * Errors: SERIN_EDOM (y > m, m too large); the window is left out.
 */
SERIN_MUST_USE
enum serin_status calibrate_window(struct calibrate *c, int64_t fixed_ms,
                                   int64_t start_ms, uint64_t y, uint64_t m);
/** Time between reports: nine in ten distances are no longer; 0 = fewer than 2 seen. */
int64_t calibrate_interval_ms(const struct calibrate *c, int64_t fixed_ms);
/** Smallest length at least twice the interval; the largest there is otherwise. */
int64_t calibrate_choose_ms(int64_t interval_ms);
/**
 * Dispersion at windows of length_ms. False while fewer than 60 of them had data; with
 * settle_for, the next smaller length that has enough is taken instead.
 */
bool calibrate_phi(const struct calibrate *c, int64_t fixed_ms, int64_t length_ms,
                   bool settle_for, double *phi);
/** What calibrate_phi settles for is measured from; pairs = 0: it has nothing. */
struct dispersion_pool calibrate_pool(const struct calibrate *c, int64_t fixed_ms,
                                      int64_t length_ms);
/** Windows of length_ms with data so far. */
uint64_t calibrate_windows(const struct calibrate *c, int64_t fixed_ms,
                           int64_t length_ms);

#endif
