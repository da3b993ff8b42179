/* stats/exceedance.h -- latency as counts above thresholds that the past chose
 *
 * At six levels q the threshold is the bucket edge nearest to the q-quantile of the
 * past baseline; the window's table (above, not above) then goes into a count profile
 * like any other. Choosing thresholds from the window itself would break validity. */
#ifndef SERIN_STATS_EXCEEDANCE_H
#define SERIN_STATS_EXCEEDANCE_H

#include <stdint.h>

#include "engine/base/status.h"
#include "stats/hist.h"
#include "stats/profile.h"

enum { EXCEEDANCE_LEVELS = 6 };
extern const double exceedance_levels[EXCEEDANCE_LEVELS]; /* .5 .75 .9 .95 .99 .999 */
enum { EXCEEDANCE_ZERO = INT32_MIN }; /* threshold: everything but zeros is above */

/*
 * Decayed past of the baseline, 18 KiB. Value type; start with exceedance_init; to keep
 * it, save scale, offset, n, windows, zero and past[0..n).
 */
struct exceedance {
    int32_t scale, offset;
    uint32_t n;
    uint64_t windows; /* non-empty baseline windows seen */
    double zero;
    double past[HIST_ROOM];
    int32_t
        bucket[EXCEEDANCE_LEVELS]; /* thresholds of the latest window: upper edges */
};

void exceedance_init(struct exceedance *e);
/**
 * Tables of one closed window from the past, then fold its baseline into the past.
 * plain   one table a level
 * shifted as plain with canary bucket i counted as i - shift (hist_shift rounded down,
 * for a tolerance at promotion); NULL when not wanted Returns SERIN_AGAIN with empty
 * tables (no evidence) before the fourth window with baseline data; SERIN_EDOM (a
 * scale, a total over COUNT_MAX), *e unchanged. Ref: [EXC] in stats/README.md
 */
SERIN_MUST_USE
enum serin_status exceedance_window(struct exceedance *e,
                                    const struct hist_view *canary,
                                    const struct hist_view *baseline, int32_t shift,
                                    struct count_table plain[EXCEEDANCE_LEVELS],
                                    struct count_table shifted[EXCEEDANCE_LEVELS]);
/** Bucket of the past (at e->scale) up to which the share is nearest to q, the lowest
 * on ties; EXCEEDANCE_ZERO: zeros alone. */
int32_t exceedance_threshold(const struct exceedance *e, double q);
/**
 * Counts above the upper edge of bucket b of this scale (EXCEEDANCE_ZERO: all but
 * zeros), bucket i counted as i - shift. v's scale is not below `scale`. For strata:
 * the thresholds of a window are e->bucket, at the smallest of the scales of past,
 * canary and baseline before the call.
 */
uint64_t exceedance_above(const struct hist_view *v, int scale, int32_t b,
                          int32_t shift);
/**
 * Abort evidence of a latency metric: half from ranks, half from the mean of the
 * levels. Either alone misses much: ranks a slow 1 %, levels a small shift of
 * everything.
 */
double exceedance_combo(double log_ranks, const double log_levels[EXCEEDANCE_LEVELS]);

#endif
