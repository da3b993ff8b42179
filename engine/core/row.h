/* engine/core/row.h -- the compacted row of a rollout: what routes, API and CLI read */
#ifndef SERIN_ENGINE_CORE_ROW_H
#define SERIN_ENGINE_CORE_ROW_H

#include "engine/core/fold_state.h"

/** Encode the row into the arena. Errors: SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status row_encode(struct fold *f, struct rollout *r, struct arena *a,
                             struct bytes *out);

#endif
