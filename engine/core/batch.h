/* engine/core/batch.h -- windows of a gauge become batches, long enough to be about
 * independent of each other */
#ifndef SERIN_ENGINE_CORE_BATCH_H
#define SERIN_ENGINE_CORE_BATCH_H

#include "engine/core/kind.h"

/* 12 KiB. Value type; start zeroed; to keep it, save every field in use. */
struct batch {
    int64_t begin_ms, end_ms; /* end == begin: nothing yet */
    uint32_t n[2];            /* units of canary and baseline */
    struct unitsum units[2][UNITSUM_MAX];
};

/**
 * Add one window; a hole between windows begins a new batch. True when the batch lasts
 * batch_ms now: read it, then clear it.
 */
bool batch_window(struct batch *b, const struct kind_window *w, int64_t batch_ms);
void batch_clear(struct batch *b);
/** Mean over the units of a cohort of each one's mean: the unit is what varies. */
double batch_mean(const struct batch *b, int cohort);
/** Units of a cohort whose mean is above the bound. */
uint64_t batch_above(const struct batch *b, int cohort, double bound);

#endif
