/* engine/core/checkpoint.h -- where the audit chains stand: what makes a trail that was
 * cut off show */
#ifndef SERIN_ENGINE_CORE_CHECKPOINT_H
#define SERIN_ENGINE_CORE_CHECKPOINT_H

#include "engine/core/fold.h"

/**
 * Append audit entries that list the heads of all rollouts' chains
 * (engine/core/trail.h). They come from no record, so that neither verdicts nor chains
 * depend on them. partition, t_ms: for people. Errors: SERIN_ENOMEM
 */
SERIN_MUST_USE
enum serin_status checkpoint_append(struct fold *f, int32_t partition, int64_t t_ms,
                                    struct effects *fx);

#endif
