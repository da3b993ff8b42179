/* engine/core/acks.h -- what the actuators of a rollout said about its weight
 *
 * A plan names targets, or asks for an acknowledgement of any actuator. The weight
 * counts as applied when every one of them has read it back. */
#ifndef SERIN_ENGINE_CORE_ACKS_H
#define SERIN_ENGINE_CORE_ACKS_H

#include "engine/core/turn.h"

/** Some actuator has not confirmed the present weight; never so without require_ack. */
bool acks_missing(const struct rollout *r);
/** Take one. False: it is about an earlier weight, or about a target that the plan does
 * not name; nothing changed. */
bool acks_take(struct rollout *r, const pb_ack *a);
/** A reason to hold: one failed, reads back something else, or is too late. */
bool acks_trouble(const struct rollout *r, int64_t now_ms, struct turn *t);
/** While it only waits: for whom, and since when. */
void acks_tell(const struct rollout *r, struct turn *t);

#endif
