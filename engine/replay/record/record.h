/* engine/replay/record/record.h -- the inbox, input topics, or both, into one recording
 */
#ifndef SERIN_ENGINE_REPLAY_RECORD_RECORD_H
#define SERIN_ENGINE_REPLAY_RECORD_RECORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/bus/bus.h"
#include "engine/replay/record/origin.h"

struct record_options {
    const char *path;            /* "-": standard output */
    const struct origin *origin; /* the topics, and what goes into the meta */
    bool follow;                 /* go on after the high watermark, until *stop */
    int64_t since_ms; /* > 0: from the first record at or after this time; else all */
    int timeout_ms;   /* without any answer from the brokers; 0 = 30 000 */
    const atomic_bool *stop; /* set by a signal; NULL = never */
};

/**
 * All partitions of the topics to the high watermarks that stand at the start;
 * committed records only. Stopped early, the file is whole as far as it goes.
 * records   how many (NULL: not wanted)
 * Errors: SERIN_EIO (retriable: the brokers do not answer; or a topic does not exist,
 * or the file cannot be written), SERIN_ENOMEM, SERIN_ELIMIT. Thread: any, blocks.
 */
SERIN_MUST_USE
enum serin_status record_run(struct bus *b, const struct record_options *o,
                             uint64_t *records, struct fault *f);

#endif
