/* engine/replay/scene/chance.h -- random numbers that belong to a cell, not to a moment
 *
 * They follow from the seed, the purpose and what the cell is, so that neither the
 * order of the calls nor anything else that is drawn changes them. */
#ifndef SERIN_ENGINE_REPLAY_SCENE_CHANCE_H
#define SERIN_ENGINE_REPLAY_SCENE_CHANCE_H

#include "engine/core/draw.h"
#include "proto/messages.h"

/* What numbers are for; injections count on from CHANCE_INJECT. */
enum { CHANCE_THIN, CHANCE_INJECT };

/** For this second, cohort, metric and stratum of the rollout. */
struct draw chance_cell(uint64_t seed, uint32_t purpose, const char *rollout,
                        const pb_cell *c);
/** One number in (0, 1) for n bytes, such as a pod's name or a user: always the same.
 */
double chance_bytes(uint64_t seed, uint32_t purpose, const void *p, size_t n);

#endif
