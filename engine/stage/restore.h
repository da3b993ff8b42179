/* engine/stage/restore.h -- one read of serin.state: the rows of some partitions */
#ifndef SERIN_ENGINE_STAGE_RESTORE_H
#define SERIN_ENGINE_STAGE_RESTORE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/bus/bus.h"
#include "engine/core/fold.h"

/* Key of the row in which an owner of a partition claims its epoch, and of its ticks.
 */
#define RESTORE_CLAIM "@stage"

struct restore; /* opaque; thread: one */

/**
 * Begin to read these partitions of the state topic to the high watermark that stands
 * now. The caller has made sure that no earlier owner can still commit (stage.c).
 * Errors: SERIN_EIO (retriable while the brokers are away), SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status restore_open(struct restore **out, struct bus *b,
                               const int32_t *partitions, size_t n, struct fault *f);
void restore_close(struct restore *r);
/**
 * Read on for at most timeout_ms. SERIN_AGAIN: there is more; SERIN_OK: complete.
 * Errors: SERIN_EIO, SERIN_ENOMEM; close it then and begin anew.
 */
SERIN_MUST_USE
enum serin_status restore_step(struct restore *r, int timeout_ms, struct fault *f);
/**
 * The fold of one partition, its epoch one above every epoch ever written there.
 * A row that cannot be understood is logged; the fold holds that rollout (state_lost).
 * rows   how many rows went in (NULL: not wanted)
 * Errors: SERIN_ENOMEM; *out stays untouched.
 */
SERIN_MUST_USE
enum serin_status restore_fold(struct restore *r, int32_t partition,
                               const struct fold_options *o, struct fold **out,
                               uint64_t *epoch, size_t *rows, struct fault *f);
/**
 * Epoch of an encoded snapshot without decoding it. False when it has none that can be
 * read (not a snapshot, or damaged before it); *epoch is 0 then.
 */
bool restore_epoch(const void *value, size_t n, uint64_t *epoch);

#endif
