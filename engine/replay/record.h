/* engine/replay/record.h -- dump the inbox into a recording */
#ifndef SERIN_ENGINE_REPLAY_RECORD_H
#define SERIN_ENGINE_REPLAY_RECORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/bus/bus.h"

struct record_options {
    const char *path;   /* "-": standard output */
    bool follow;        /* go on after the high watermark, until *stop */
    int64_t max_lag_ms; /* of the engine that runs on this inbox; goes into the meta */
    int timeout_ms;     /* without any answer from the brokers; 0 = 30 000 */
    const atomic_bool *stop; /* set by a signal; NULL = never */
};

/**
 * All partitions of the inbox, from their beginning to the high watermark that stands
 * at the start; committed records only. Stopped early, the file is whole as far as it
 * goes. records   how many (NULL: not wanted) Errors: SERIN_EIO (retriable: the brokers
 * do not answer; or the file cannot be written), SERIN_ENOMEM, SERIN_ELIMIT. Thread:
 * any, blocks.
 */
SERIN_MUST_USE
enum serin_status record_inbox(struct bus *b, const struct record_options *o,
                               uint64_t *records, struct fault *f);

#endif
