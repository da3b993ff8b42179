/* engine/core/schedule.h -- when traffic may move: freezes, weekly times, an override
 */
#ifndef SERIN_ENGINE_CORE_SCHEDULE_H
#define SERIN_ENGINE_CORE_SCHEDULE_H

#include "engine/core/turn.h"

/**
 * Promotions may not happen at this time; then *t says why and until when. not_before
 * is about the start and no part of it.
 */
bool schedule_closed(const struct rollout *r, int64_t now_ms, struct turn *t);
/**
 * Go on although it is closed now, until it opens by itself. False: it is not closed.
 */
bool schedule_override(struct rollout *r, int64_t now_ms);

#endif
