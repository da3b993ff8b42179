/* engine/replay/record/ring.h -- a folder of recordings, one behind the other; the
 * oldest go
 *
 * Files NUMBER-TIME.rec, each a whole recording whose meta says its number and where,
 * by topic and partition, the segments before it had come to (origin.h). So the last
 * one tells where to go on: after it there are neither holes nor doubles, and
 * splice_merge of all of them is one recording. What was killed while it wrote left its
 * last segment cut short: the next start ends it after its good part, and reads again
 * what was lost. Times are given, no clock is read. */
#ifndef SERIN_ENGINE_REPLAY_RECORD_RING_H
#define SERIN_ENGINE_REPLAY_RECORD_RING_H

#include "engine/replay/record/origin.h"
#include "engine/replay/record/recording.h"

struct ring_options {
    const char *dir;       /* made when it is not there */
    struct origin *origin; /* the topics; its segment and next are the ring's */
    uint64_t max_bytes;    /* of all segments; the newest stays whatever it has */
    uint64_t segment_bytes;
    int64_t max_age_ms; /* of a segment since it was written last */
    int64_t segment_ms;
};

struct ring; /* opaque; thread: one */

/**
 * Take a folder over: only one process has it at a time. now_ms: wall time.
 * Errors: SERIN_EIO (not writable, or another process has it: what to do is said),
 * SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status ring_open(struct ring **out, const struct ring_options *o,
                            int64_t now_ms, struct fault *f);
/** Finish the segment. *r is gone whatever it returns; NULL is a no-op. */
SERIN_MUST_USE
enum serin_status ring_close(struct ring *r, struct fault *f);
/** As after a kill: the segment stays as it is in the file. */
void ring_abandon(struct ring *r);

/** First offset of a partition that is not in the ring; -1: none of it is. */
int64_t ring_next(const struct ring *r, size_t topic, int32_t partition);
/** The topic was made anew: its offsets begin again. */
void ring_forget(struct ring *r, size_t topic, int32_t partition);
/**
 * One record; one that is in the ring already is skipped. Begins a segment where there
 * is none. Errors: SERIN_EIO, SERIN_ENOMEM: abandon the ring, and open it later;
 * SERIN_ELIMIT: this record is too long for any recording, it was left out.
 */
SERIN_MUST_USE
enum serin_status ring_add(struct ring *r, const struct recording_record *one,
                           int64_t now_ms, struct fault *f);
/**
 * Put into the files what waits; end a segment that is large or old enough, delete
 * those that are too old or too many. Call about once a second. Errors: as ring_add.
 */
SERIN_MUST_USE
enum serin_status ring_turn(struct ring *r, int64_t now_ms, struct fault *f);

struct ring_size {
    uint64_t segments, bytes;         /* there now */
    uint64_t begun, deleted, records; /* since ring_open */
};
struct ring_size ring_size(const struct ring *r);

#endif
