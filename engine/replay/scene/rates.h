/* engine/replay/scene/rates.h -- how often requests of a recording fail, from its own
 * past
 *
 * What an injection adds has to be drawn at a rate that does not come from the window's
 * own counts: counts times two vary by more than counts at twice the rate. */
#ifndef SERIN_ENGINE_REPLAY_SCENE_RATES_H
#define SERIN_ENGINE_REPLAY_SCENE_RATES_H

#include <stddef.h>

#include "engine/core/plan.h"
#include "engine/replay/scene/change.h"

struct rate;

/* Zero-initialise; rates_free when done. */
struct rates {
    struct rate *items; /* open addressing */
    size_t n, room;
};

void rates_free(struct rates *r);
/**
 * Learn from a window, as it was recorded, of the plan's ratios and events. A window
 * counts from the next one on, and less and less: half after about 200. Windows that
 * come late count for nothing. Errors: SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status rates_learn(struct rates *r, const struct plan *plan,
                              const struct change_window *w, const pb_partial *p);
/**
 * Bad ones per unit (request, user, exposure) in that cohort and stratum: its own,
 * drawn to that of both cohorts as if five more had been seen there. Of a first window
 * its own. 0 while there were none.
 */
double rates_of(const struct rates *r, int metric, const char *rollout,
                const char *stratum, int cohort);

#endif
