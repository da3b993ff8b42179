/* engine/replay/replay.h -- the fold of the decision stage over a recorded inbox */
#ifndef SERIN_ENGINE_REPLAY_REPLAY_H
#define SERIN_ENGINE_REPLAY_REPLAY_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/hash.h"
#include "engine/base/status.h"
#include "engine/core/fold.h"
#include "engine/replay/recording.h"
#include "proto/messages.h"

/* For row_every_ms and snapshot_every_ms of a fold whose rows and snapshots nobody
 * reads; small enough for the fold to multiply. */
#define REPLAY_NEVER_MS (INT64_C(1) << 52)

/* bytes: the encoded Verdict as the stage writes it, without a signature. */
struct replay_verdict {
    char *rollout;
    uint64_t seq;
    int64_t t_ms;
    struct bytes bytes;
};

/* Zero-initialise; replay_free when done. Sorted by (t_ms, rollout, seq). */
struct replay_result {
    struct replay_verdict *verdicts;
    size_t n, room;
    uint64_t rollouts, undecodable; /* over all partitions */
    uint64_t repeated; /* records at or below one already folded: skipped */
    size_t partitions;
};

/**
 * Fold every record of topic 0 of the recording, one uninterrupted fold a partition.
 * Errors: SERIN_EPARSE when the recording is damaged: *out then holds what its good
 * prefix gives, complete and sorted. SERIN_ENOMEM, SERIN_EIO: *out is empty.
 */
SERIN_MUST_USE
enum serin_status replay_inbox(struct recording_reader *r, const struct fold_options *o,
                               struct replay_result *out, struct fault *f);
/* Told of every effect as it comes, which lives during the call. Not OK ends the replay
 * and is passed on. */
struct replay_watch {
    enum serin_status (*effect)(void *ctx, const struct effect *e);
    void *ctx;
};
/** As replay_inbox; w is told of every effect, also of those that are no verdicts. */
SERIN_MUST_USE
enum serin_status replay_watched(struct recording_reader *r,
                                 const struct fold_options *o,
                                 const struct replay_watch *w,
                                 struct replay_result *out, struct fault *f);
void replay_free(struct replay_result *out);

/**
 * BLAKE2b-256 of an encoded verdict with its signature taken out, so that a signed
 * verdict from Kafka and a replayed one compare equal.
 * Errors: SERIN_EPARSE, SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status replay_digest(const void *p, size_t n, uint8_t out[HASH_DIGEST]);

#endif
