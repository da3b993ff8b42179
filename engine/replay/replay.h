/* engine/replay/replay.h -- the fold of the decision stage over a recorded inbox
 *
 * One uninterrupted fold a partition; several threads share the partitions. The file is
 * read in blocks, and between two of them the verdicts that no partition can precede
 * any more are told: so their order does not depend on the threads. */
#ifndef SERIN_ENGINE_REPLAY_REPLAY_H
#define SERIN_ENGINE_REPLAY_REPLAY_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/hash.h"
#include "engine/base/status.h"
#include "engine/core/fold.h"
#include "engine/replay/record/recording.h"
#include "proto/messages.h"

/* For row_every_ms and snapshot_every_ms of a fold whose rows and snapshots nobody
 * reads; small enough for the fold to multiply. */
#define REPLAY_NEVER_MS (INT64_C(1) << 52)
enum { REPLAY_MAX_THREADS = 256 };

/* bytes: the encoded Verdict as the stage writes it, without a signature. */
struct replay_verdict {
    const char *rollout;
    uint64_t seq;
    int64_t t_ms;
    struct bytes bytes;
};

struct replay_options {
    struct fold_options fold;
    unsigned threads; /* 0 = 1 */
    /* Partitions there will be; a verdict is told once all of them are past its time.
     * 0: not known, so at the end. */
    int32_t partitions;
    /* Each verdict, in the order of time, rollout, number; it lives during the call.
     * NULL: nobody. On replay_run's thread. */
    enum serin_status (*verdict)(void *ctx, const struct replay_verdict *v);
    /* Every effect, partition by partition; it lives during the call. Takes one
     * thread. */
    enum serin_status (*effect)(void *ctx, const struct effect *e);
    /* Told after each block; NULL: nobody. */
    void (*progress)(void *ctx, uint64_t records, int64_t now_ms);
    void *ctx;
};

struct replay_counts {
    uint64_t records, rollouts, undecodable; /* over all partitions */
    uint64_t repeated; /* records at or below one already folded: skipped */
    uint64_t partials, windows, verdicts;
    size_t partitions;
    size_t waiting; /* most verdicts that waited for others at a time */
};

/**
 * Fold every record of topic 0. Memory: the folds, two blocks of about 4 MiB, and the
 * verdicts that are later than the partition that is furthest behind.
 * Errors: SERIN_EPARSE when the recording is damaged: what its good prefix gives has
 * been told. SERIN_ENOMEM, SERIN_EIO; a callback's. *out is filled as far as it came.
 */
SERIN_MUST_USE
enum serin_status replay_run(struct recording_reader *r, const struct replay_options *o,
                             struct replay_counts *out, struct fault *f);

/**
 * BLAKE2b-256 of an encoded verdict with its signature taken out, so that a signed
 * verdict from Kafka and a replayed one compare equal.
 * Errors: SERIN_EPARSE, SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status replay_digest(const void *p, size_t n, uint8_t out[HASH_DIGEST]);

#endif
