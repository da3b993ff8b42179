/* ingest/buckets.h -- the exponential histogram of one cell
 *
 * OpenTelemetry base 2: bucket i holds (b^i, b^(i+1)] with b = 2^(2^-scale). Kept at
 * scale 5 (b = 1.0219) or, once something coarser was merged in, at that. Values are in
 * milliseconds; below 2^-30 ms (a picosecond) they count as zero, beyond 2^40 ms (34
 * years) as that. */
#ifndef SERIN_INGEST_BUCKETS_H
#define SERIN_INGEST_BUCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/strview.h"

enum {
    BUCKETS_SCALE = 5,
    BUCKETS_LOW = -960,  /* 2^-30 ms: bucket indexes below are zero */
    BUCKETS_HIGH = 1279, /* up to 2^40 ms: indexes above count here */
    BUCKETS_SCALE_MIN = -10,
    BUCKETS_SCALE_MAX = 20,
    BUCKETS_BOUNDS_MAX = 1024,
    BUCKETS_RATIO_MAX = 100000 /* bounds further apart count as this far */
};

/* Value type; zero-initialise, set scale. counts[k] is bucket offset + k. */
struct buckets {
    int32_t scale, offset;
    uint32_t n; /* length of counts; at most BUCKETS_HIGH - BUCKETS_LOW + 1 */
    uint64_t zero, total;
    uint64_t *counts; /* in the arena */
};

/* A histogram from outside: packed varints checked by wire_packed_count, or numbers. */
struct buckets_view {
    int32_t scale, offset;
    uint64_t zero;
    const uint8_t *packed; /* NULL: `numbers` */
    const uint64_t *numbers;
    size_t n;
};

/** Bucket of v at scale 5, exact at the edges; v > 0, finite. */
int32_t buckets_index(double v);
/** Count one value (ms, >= 0, finite). False when the arena is full; unchanged then. */
bool buckets_add(struct buckets *b, struct arena *a, double v);
/**
 * Add another histogram; both end at the smaller scale. Its values are multiplied by
 * `unit` (> 0) first: by a whole number of its buckets, so within half a bucket.
 * False when the arena is full: part of it may have been added.
 */
bool buckets_merge(struct buckets *b, struct arena *a, const struct buckets_view *v,
                   double unit);
/* A histogram with explicit bounds: counts[i] lie in (bounds[i - 1], bounds[i]], the
 * last above them all. bounds: n, finite, rising; counts: n + 1. */
struct buckets_bounds {
    const double *bounds;
    const uint64_t *counts;
    size_t n;
};
/** n in [1, BUCKETS_BOUNDS_MAX], bounds finite and rising, counts at most `limit` in
 * all: *total is their sum. */
bool buckets_bounds_ok(const struct buckets_bounds *v, uint64_t limit, uint64_t *total);
/**
 * Add one; its bounds are multiplied by `unit` (> 0) first. All counts of a source
 * bucket go to where its upper bound lies, those above the last bound to the bucket
 * behind it. Whoever asks "above x?" gets the exact answer at every bound, and between
 * two bounds the answer of the upper one: a function of the value alone, so two
 * cohorts with the same bounds stay comparable, whatever the bounds are.
 * ratio  raised to the widest quotient of a used bucket's bounds: a value is at most
 *        what it counts as, and at least that / *ratio. The first and the last bucket
 *        have no such quotient: values there are at most, or above, their bound.
 * False when the arena is full: part of it may have been added.
 */
bool buckets_merge_bounds(struct buckets *b, struct arena *a,
                          const struct buckets_bounds *v, double unit, double *ratio);
/** Sum of all counts, zero bucket included; false when above limit. */
bool buckets_view_total(const struct buckets_view *v, uint64_t limit, uint64_t *total);

#endif
