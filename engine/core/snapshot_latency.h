/* engine/core/snapshot_latency.h -- histograms and latency evidence, to messages and
 * back; of snapshot*.c only */
#ifndef SERIN_ENGINE_CORE_SNAPSHOT_LATENCY_H
#define SERIN_ENGINE_CORE_SNAPSHOT_LATENCY_H

#include "engine/core/latency.h"
#include "engine/core/snapshot.h"

typedef Serin__V1__Histogram pb_histogram;
typedef Serin__V1__ProfileState pb_profile_state;
typedef Serin__V1__CalibrationState pb_calibration_state;
typedef Serin__V1__LatencyState pb_latency_state;

/** View in a message; counts are shared. NULL and *bad when the arena is full. */
pb_histogram *snapshot_histogram(struct arena *a, const struct hist_view *v, bool *bad);
/** Of a metric of kind latency. calibrating: before the first weight. */
pb_latency_state *snapshot_latency(struct arena *a, const struct evidence *e,
                                   bool calibrating, bool *bad);
/** False when it does not fit the plan or cannot be. */
bool snapshot_latency_load(struct evidence *e, const pb_latency_state *m);

/* Of snapshot.c and snapshot_load.c. */
typedef Serin__V1__DispersionState pb_dispersion_state;
pb_dispersion_state *snapshot_dispersion(struct arena *a, const struct dispersion *d,
                                         const struct dispersion_watch *w, bool *bad);
bool snapshot_load_dispersion(struct dispersion *d, struct dispersion_watch *w,
                              const pb_dispersion_state *m);
void snapshot_onset(struct arena *a, const struct onset *o, size_t n,
                    pb_profile_state *m, bool *bad);
bool snapshot_load_onset(struct onset *o, const pb_profile_state *m, size_t n);
pb_profile_state *snapshot_profile(struct arena *a, const struct profile *p, size_t n,
                                   bool *bad);
pb_profile_state *snapshot_floor(struct arena *a, const struct floor *f, bool *bad);
pb_calibration_state *snapshot_calibration(struct arena *a, const struct calibrate *c,
                                           bool *bad);
bool snapshot_load_profile(struct profile *p, const pb_profile_state *m, size_t n);
bool snapshot_load_floor(struct floor *f, const pb_profile_state *m);
bool snapshot_load_calibration(struct calibrate *c, const pb_calibration_state *m);

#endif
