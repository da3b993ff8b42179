/* stats/horizon.h -- weights gamma_t of the change-point mixture over start times */
#ifndef SERIN_STATS_HORIZON_H
#define SERIN_STATS_HORIZON_H

#include <stdint.h>

#include "engine/base/status.h"

/* Value type, read-only after horizon_init; a function of `windows` alone. */
struct horizon {
    uint64_t windows; /* H: windows in the maximum run time, fixed before the run */
    double scale;     /* a_t = scale / ((t + 10) ln^2(t + 10)) */
};
#define HORIZON_MAX (UINT64_C(1) << 40)

/** H in [1, HORIZON_MAX]; SERIN_EDOM otherwise, *h unchanged. O(1). Thread: any. */
SERIN_MUST_USE
enum serin_status horizon_init(struct horizon *h, uint64_t windows);
/** gamma_t = a_t / 2 + [t = 0] / 2; 0 for t >= H. O(1). Sums to 1 over t < H. */
double horizon_gamma(const struct horizon *h, uint64_t t);

#endif
