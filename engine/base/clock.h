/* engine/base/clock.h -- the only place that reads a clock */
#ifndef SERIN_ENGINE_BASE_CLOCK_H
#define SERIN_ENGINE_BASE_CLOCK_H

#include <stdint.h>

/** Wall time, ms since the epoch. */
int64_t clock_wall_ms(void);
/** Monotonic time in ms, for intervals and time-outs. */
int64_t clock_mono_ms(void);
/** Sleep; returns early on a signal. */
void clock_sleep_ms(int64_t ms);

#endif
