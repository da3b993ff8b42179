/* engine/stage/commit.h -- effects, ticks and offsets of all partitions, in one
 * transaction */
#ifndef SERIN_ENGINE_STAGE_COMMIT_H
#define SERIN_ENGINE_STAGE_COMMIT_H

#include "engine/base/sign.h"
#include "engine/bus/bus.h"
#include "engine/bus/consumer.h"
#include "engine/bus/producer.h"
#include "engine/stage/part.h"

struct commit {
    struct bus *bus;
    struct consumer *consumer;
    struct producer *producer;
    struct part **parts;
    size_t n;
    int64_t tick_ms; /* wall time to write into each partition; < 0 = no tick now */
    const struct sign_key
        *key; /* signs verdicts and audit entries; NULL = nobody does */
};

/**
 * Write what the LIVE partitions have to say and their next offsets; on success their
 * effects are empty. Without a LIVE partition nothing happens.
 * Errors: SERIN_EIO with f->rewind (the transaction is aborted) or f->fatal (the
 * producer is dead), SERIN_ENOMEM as rewind. The folds are then ahead of the log: drop
 * them.
 */
SERIN_MUST_USE
enum serin_status commit_run(const struct commit *c, struct fault *f);

/**
 * While the audit topic takes nothing: tell what must not wait, ahead of everything
 * else and without moving offsets. That is every verdict that lowers a weight, and the
 * rows of rollouts whose weight is not about to be raised. commit_run says all of it
 * again, under the same ids, once it can. Errors: as commit_run, but the folds may be
 * kept.
 */
SERIN_MUST_USE
enum serin_status commit_ahead(const struct commit *c, struct fault *f);

#endif
