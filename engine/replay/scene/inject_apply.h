/* engine/replay/scene/inject_apply.h -- an injection onto a window's cells */
#ifndef SERIN_ENGINE_REPLAY_SCENE_INJECT_APPLY_H
#define SERIN_ENGINE_REPLAY_SCENE_INJECT_APPLY_H

#include "engine/replay/scene/change.h"
#include "engine/replay/scene/inject.h"
#include "engine/replay/scene/rates.h"
#include "engine/replay/scene/shift.h"

struct inject_apply {
    const struct plan *plan;
    const struct rates *rates;
    const struct shift_bounds *bounds; /* of the plan's metrics */
    uint64_t seed;
    uint32_t purpose; /* of its random numbers */
    const struct inject *what;
    struct arena *arena;
    uint64_t met; /* requests, readings or events that it has changed */
};

/** How much of it is there at that time: 0 before and after, 1 in full, more of a leak.
 */
double inject_apply_strength(const struct inject *one, int64_t at_ms);
/** Change the cells of p that it concerns. Errors: SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status inject_apply(struct inject_apply *x, pb_partial *p);

#endif
