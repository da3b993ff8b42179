/* engine/replay/scene/change.h -- what may be done to recorded cells before they are
 * judged
 */
#ifndef SERIN_ENGINE_REPLAY_SCENE_CHANGE_H
#define SERIN_ENGINE_REPLAY_SCENE_CHANGE_H

#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "proto/messages.h"

/* One window of one rollout, of the length that the rollout judges by. */
struct change_window {
    int64_t start_ms, length_ms;
    /* Of the requests, what the canary should get by the verdicts so far, in [0, 1];
     * NAN: nobody can say (previews). */
    double share;
};

/**
 * Change, drop, move or add cells of *p, all of that window; each cohort, stratum,
 * metric and second stands in one cell, sorted by them. It is called once a window and
 * in the order of time, but for records that come when their window was over: those
 * come in a call of their own. What it adds lives in the arena.
 * Errors: those of its own, which end the replay.
 */
typedef enum serin_status (*change_fn)(void *ctx, struct arena *a,
                                       const struct change_window *w, pb_partial *p);

#endif
