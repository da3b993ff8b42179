/* engine/replay/source/raw.h -- recorded input topics, record by record in the order of
 * time
 *
 * A recording holds the records of its partitions as they came from the brokers, which
 * is not the order of time where it caught up with a past. Up to RAW_ROOM bytes of them
 * are kept back, and the earliest goes first (of the same time, the one that stands
 * first). */
#ifndef SERIN_ENGINE_REPLAY_SOURCE_RAW_H
#define SERIN_ENGINE_REPLAY_SOURCE_RAW_H

#include "engine/replay/record/origin.h"
#include "engine/replay/record/recording.h"

#define RAW_ROOM ((size_t)64 << 20)

struct raw; /* opaque; thread: one */

struct raw_record { /* lives until the next call */
    struct strview bytes;
    enum format format;
    const struct origin_topic *topic;
    int32_t partition;
    int64_t offset, timestamp_ms;
};

/**
 * The reader must outlive *out and is read by nobody else.
 * Errors: SERIN_EPARSE (its meta, or no input topic), SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status raw_open(struct raw **out, struct recording_reader *r,
                           struct fault *f);
void raw_close(struct raw *r);
/** SERIN_AGAIN: this was all. Errors: as recording_next, once all before is given. */
SERIN_MUST_USE
enum serin_status raw_next(struct raw *r, struct raw_record *out, struct fault *f);
/** What the meta says; lives as long as *r. */
const struct origin *raw_origin(const struct raw *r);

#endif
