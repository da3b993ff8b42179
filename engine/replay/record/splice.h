/* engine/replay/record/splice.h -- recordings cut by time and put together again
 *
 * A piece holds, of every partition, one unbroken stretch: from its first record at or
 * after the start to the last before its first one at or after the end. So pieces that
 * follow each other in time give the whole again, record by record. */
#ifndef SERIN_ENGINE_REPLAY_RECORD_SPLICE_H
#define SERIN_ENGINE_REPLAY_RECORD_SPLICE_H

#include "engine/replay/record/recording.h"

/* What a file holds, or what became of it. Times in ms; INT64_MIN: nothing. */
struct splice_report {
    uint64_t read, written;
    uint64_t repeated; /* merge: records that were in another file, too */
    int64_t first_ms, last_ms;
};

/**
 * The records of [from_ms, to_ms) into another file; the meta stays. Frames without
 * such records are hopped over where the file allows it, and damage in them unseen.
 * Errors: SERIN_EPARSE (damaged: what was before is in *to, which is whole), those of
 * reading and writing.
 */
SERIN_MUST_USE
enum serin_status splice_cut(struct recording_reader *r, int64_t from_ms, int64_t to_ms,
                             const char *to, struct splice_report *out,
                             struct fault *f);

/**
 * All records of n files of the same topics, by time, segments of a ring by number;
 * what is in several comes once.
 * Errors: SERIN_EDOM (other topics, or records of one partition that would come in
 * another order than their offsets), else as splice_cut.
 */
SERIN_MUST_USE
enum serin_status splice_merge(struct recording_reader *const *r, size_t n,
                               const char *to, struct splice_report *out,
                               struct fault *f);

#endif
