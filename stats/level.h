/* stats/level.h -- when evidence counts as reached */
#ifndef SERIN_STATS_LEVEL_H
#define SERIN_STATS_LEVEL_H

#include <math.h>
#include <stdbool.h>

/** Threshold of log evidence at an error level: log(1 / level), nats. 0 < level < 1. */
static inline double level_threshold(double level)
{
    return -log(level);
}

/**
 * log E >= log(1/level) with a margin of 1e-9 max(1, |log E|), which makes rounding
 * conservative. NaN never crosses; +inf does not either (a defect, not evidence).
 */
static inline bool level_crossed(double log_e, double level)
{
    double margin = 1e-9 * fmax(1, fabs(log_e));
    return isfinite(log_e) && log_e >= level_threshold(level) + margin;
}

#endif
