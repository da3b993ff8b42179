/* engine/replay/tune/measure.h -- how far counts on a recording are from independent
 * ones
 *
 * Three questions that one number cannot answer. Between cohorts: given what both had
 * together in a window, does the canary's part spread more than a fair draw? What hits
 * both alike cancels, so this is the dispersion that evidence meets. Over time
 * (pool.h): what a live calibration finds; common bursts are in it. Between units: do
 * pods, tenants or users keep a level of their own for the whole recording? */
#ifndef SERIN_ENGINE_REPLAY_TUNE_MEASURE_H
#define SERIN_ENGINE_REPLAY_TUNE_MEASURE_H

#include "engine/replay/tune/deck.h"

/* Of a metric. */
struct measure_between {
    double phi; /* >= 1, as dispersion_phi; of a latency the largest over its
                 * protected levels; 0: too few windows for it */
    uint64_t
        windows; /* that tell something; neighbours are put together until they do */
};

/**
 * Recorded cohorts that are alike, as canary and baseline of the tapes. A lasting
 * difference between them is taken out first. Only ratios and latencies have one.
 * by: strata end in a unit, which is left out of account; out: by metric of the plan.
 * Errors: SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status measure_between(const struct tape *const *tapes, size_t n,
                                  const struct plan *p, int64_t window_ms, bool by,
                                  struct measure_between *out);

struct measure_units {
    size_t units;  /* seen; under 3 nothing is measured */
    double spread; /* of ratios the standard deviation of their log odds beyond chance,
                    * of gauges that of their means, relative */
    double phi;    /* of whole units: their counts over the recording, against chance */
};

/**
 * Units of the baseline: last parts of the strata (ratios), pods of readings (gauge,
 * saturation). out by metric of the plan. Errors: SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status measure_units(const struct tape *const *tapes, size_t n,
                                const struct plan *p, int64_t window_ms, bool by,
                                struct measure_units *out);
/* All of it, by metric of the plan. */
struct measured {
    struct measure_between between[PLAN_MAX_METRICS];
    double over_time[PLAN_MAX_METRICS]; /* as pool_over_time */
    struct measure_units units[PLAN_MAX_METRICS];
};

/**
 * At windows of that length, which a plan of this text has.
 * Errors: as pool_over_time.
 */
SERIN_MUST_USE
enum serin_status measure_all(struct arena *a, const struct deck_options *o,
                              int64_t window_ms, const char *text, struct measured *out,
                              struct fault *f);
/** What units that keep a level of their own add by luck: tau of the log odds when the
 * canary has this share of them; 0: not measured, or too few. */
double measure_luck(const struct measure_units *u, double share);
enum { MEASURE_PODS = 80 };
/**
 * The value of a ratio's `pods`, as one would write it. Less luck than it can say is
 * said as the least that it can. False: none, or more than it can.
 */
bool measure_pods(const struct measure_units *u, double share, char out[MEASURE_PODS]);

#endif
