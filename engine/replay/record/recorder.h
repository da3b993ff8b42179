/* engine/replay/record/recorder.h -- the engine's own recording: topics into a ring,
 * for as long as it runs
 *
 * Nothing here stops the engine. What cannot be written or read is counted, said once,
 * and tried again from where the ring stands: Kafka keeps the records meanwhile. */
#ifndef SERIN_ENGINE_REPLAY_RECORD_RECORDER_H
#define SERIN_ENGINE_REPLAY_RECORD_RECORDER_H

#include "engine/bus/bus.h"
#include "engine/replay/record/ring.h"

struct recorder_options {
    struct ring_options ring; /* its origin is copied, its texts are not */
    size_t queue_bytes;       /* of records fetched ahead */
    int64_t retry_ms;         /* after a failed write; 0 = 10 000 */
};

struct recorder; /* opaque */

/** Does not connect and touches no file. Errors: SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status recorder_open(struct recorder **out, struct bus *b,
                                const struct recorder_options *o, struct fault *f);
/** Record until recorder_stop, then finish the segment. Blocks. */
void recorder_run(struct recorder *r);
/** Thread: any; async-signal-safe. */
void recorder_stop(struct recorder *r);
void recorder_close(struct recorder *r);

/* Since the start, but for the gauges. Thread: read anywhere. */
/* clang-format off */
#define RECORDER_COUNTERS(X) \
    X(records) X(skipped) X(lost) X(failures) X(begun) X(deleted) \
    X(segments) X(bytes) X(writing)
/* clang-format on */
#define X(name) uint64_t name;
struct recorder_counts {
    RECORDER_COUNTERS(X)
};
#undef X
struct recorder_counts recorder_counts(const struct recorder *r);

#endif
