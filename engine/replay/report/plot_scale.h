/* engine/replay/report/plot_scale.h -- values to places, and where the ticks go */
#ifndef SERIN_ENGINE_REPLAY_REPORT_PLOT_SCALE_H
#define SERIN_ENGINE_REPLAY_REPORT_PLOT_SCALE_H

#include <stdbool.h>
#include <stddef.h>

enum { PLOT_TICKS = 16 };

/* low < high, finite, above 0 where log; a, b: their places. */
struct plot_scale {
    double low, high, a, b;
    bool log;
};

/* Zero but for log; ready only when something was added. */
struct plot_range {
    double low, high;
    bool log, any;
};

/** Take in a value; what is not finite (or not above 0 where log) is no value. */
void plot_scale_add(struct plot_range *r, double x);
/** A little wider than what was added; 0 to 1, or 0.5 to 2, for nothing. */
struct plot_scale plot_scale_of(const struct plot_range *r, double a, double b);
/** Place of x; beyond the ends: the end. NaN stays. */
double plot_scale_place(const struct plot_scale *s, double x);
/** At most about `want` round values from low to high, rising; returns how many. */
size_t plot_scale_ticks(const struct plot_scale *s, size_t want,
                        double out[PLOT_TICKS]);
/** The same of times in ms: round seconds, minutes, hours, days. */
size_t plot_scale_times(const struct plot_scale *s, size_t want,
                        double out[PLOT_TICKS]);

#endif
