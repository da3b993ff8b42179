/* engine/replay/tune/diff.h -- what changed between two texts, as a unified diff */
#ifndef SERIN_ENGINE_REPLAY_TUNE_DIFF_H
#define SERIN_ENGINE_REPLAY_TUNE_DIFF_H

#include "engine/base/arena.h"
#include "engine/base/status.h"

/**
 * Unified diff with three lines around each change, as `patch` takes it; "" where the
 * texts are equal. NUL-terminated, in the arena. Errors: SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status diff_unified(struct arena *a, const char *from_name,
                               const char *to_name, const char *from, const char *to,
                               const char **out);

#endif
