/* engine/replay/tune/pool.h -- the dispersion of baselines, measured by the fold itself
 */
#ifndef SERIN_ENGINE_REPLAY_TUNE_POOL_H
#define SERIN_ENGINE_REPLAY_TUNE_POOL_H

#include "engine/replay/tune/tape.h"

struct pool_result {
    double phi[PLAN_MAX_METRICS]; /* of the plan's metrics; 0: it wants none */
    int64_t window_ms;
    uint64_t windows; /* about how many were watched */
};

/**
 * Calibrate the plan on the baselines of these tapes, one behind the other.
 * text  of the plan; plan: the same, parsed
 * Errors: SERIN_EDOM (too little in them: *f says how much is wanted), SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status pool_tapes(const char *text, const struct plan *plan,
                             const struct tape *const *tapes, size_t n,
                             struct pool_result *out, struct fault *f);
/**
 * phi of every metric of the plan, whether it gives one or not, at its own window: what
 * a live calibration as long as the tapes would find. All 0 where they do not suffice.
 * Errors: SERIN_EPARSE (no plan), SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status pool_over_time(struct arena *a, const char *text,
                                 const struct tape *const *tapes, size_t n,
                                 double phi[PLAN_MAX_METRICS], struct fault *f);
/**
 * Calibrate the plan on the baselines of these recordings, one behind the other.
 * plan  its text; like  its parsed form, format and rollout for the files
 * Errors: as tape_read and pool_tapes.
 */
SERIN_MUST_USE
enum serin_status pool_measure(const char *plan, const struct feed_options *like,
                               const char *const *files, size_t n,
                               struct pool_result *out, struct fault *f);

#endif
