/* engine/replay/source/moment.h -- a time as recordings write it */
#ifndef SERIN_ENGINE_REPLAY_SOURCE_MOMENT_H
#define SERIN_ENGINE_REPLAY_SOURCE_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/strview.h"

/* What moment_parse takes, for messages. */
#define MOMENT_EXPECTED                                                                \
    "seconds, ms, us or ns since the epoch, or a time such as 2026-12-01T09:00:00Z"

/**
 * A number since the epoch, whose unit is the one that makes it a date between 1973 and
 * 5138; or ISO 8601, in UTC where it names no zone. False, *ms unchanged, for anything
 * else.
 */
bool moment_parse(struct strview s, int64_t *ms);

#endif
