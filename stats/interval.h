/* stats/interval.h -- exact limits of a share that was counted */
#ifndef SERIN_STATS_INTERVAL_H
#define SERIN_STATS_INTERVAL_H

#include <stdint.h>

#include "engine/base/status.h"

/**
 * Clopper-Pearson: limits of p after k of n independent tries, two-sided; both hold
 * together with probability >= level. n = 0 gives 0 and 1.
 * Errors: SERIN_EDOM for k > n, n > 2^31, level outside (0, 1); outputs untouched.
 * Ref: [CP]
 */
SERIN_MUST_USE
enum serin_status interval_binomial(uint64_t k, uint64_t n, double level, double *lower,
                                    double *upper);

#endif
