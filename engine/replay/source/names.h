/* engine/replay/source/names.h -- rollouts and metrics that a record names outright
 *
 * Read over before it is decoded, for the rollouts need routes by then. Formats that
 * have attributes only name none. */
#ifndef SERIN_ENGINE_REPLAY_SOURCE_NAMES_H
#define SERIN_ENGINE_REPLAY_SOURCE_NAMES_H

#include "ingest/decode/format.h"

/* rollout, metric: n == 0 where it is the other. Not OK ends the walk. */
typedef enum serin_status (*names_use)(void *ctx, struct strview rollout,
                                       struct strview metric);

/** Each of them, as often as it stands there. Errors: those of use. */
SERIN_MUST_USE
enum serin_status names_each(enum format f, struct strview record, names_use use,
                             void *ctx);

#endif
