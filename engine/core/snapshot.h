/* engine/core/snapshot.h -- a rollout's state as bytes, and back without losing a bit
 */
#ifndef SERIN_ENGINE_CORE_SNAPSHOT_H
#define SERIN_ENGINE_CORE_SNAPSHOT_H

#include "engine/core/fold_state.h"

/** Snapshot of a rollout at f->offset, in the arena `to`. Errors: SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status snapshot_save(const struct fold *f, const struct rollout *r,
                                struct arena *scratch, struct arena *to,
                                struct bytes *out);
/** The "@clock" row at f->offset, as above. */
SERIN_MUST_USE
enum serin_status snapshot_clock(const struct fold *f, struct arena *scratch,
                                 struct arena *to, struct bytes *out);
/**
 * Fill a new rollout from a decoded snapshot.
 * Errors: SERIN_EPARSE (why says what is wrong; what could be read is in *r, and it is
 * HELD with state_lost), SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status snapshot_load(struct rollout *r, const pb_snapshot *s,
                                struct fault *why);

#endif
