/* engine/core/binned.h -- a histogram of a pending cell, as small as its buckets are */
#ifndef SERIN_ENGINE_CORE_BINNED_H
#define SERIN_ENGINE_CORE_BINNED_H

#include <stdbool.h>

#include "stats/hist.h"

/* On the heap; counts[k] is bucket offset + k, the first and the last are not 0. */
struct binned {
    int32_t scale, offset;
    uint32_t n;
    uint64_t zero;
    uint64_t counts[];
};

/** Empty at the scale in use when b is NULL. */
struct hist_view binned_view(const struct binned *b);
/** v can be taken: known scale, indexes of doubles, total = n. */
bool binned_sane(const struct hist_view *v, uint64_t n);
/**
 * *b += v; *b may be NULL. The scale is lowered until at most `most` buckets are
 * needed, so that any order of merging gives the same. Errors: SERIN_ENOMEM,
 * SERIN_ELIMIT (the sum is too large); *b unchanged.
 */
SERIN_MUST_USE
enum serin_status binned_add(struct binned **b, const struct hist_view *v,
                             uint32_t most);

#endif
