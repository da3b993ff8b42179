/* stats/hist.h -- exponential histograms as OpenTelemetry defines them
 *
 * base = 2^(2^-scale); bucket i holds (base^i, base^(i+1)]: an exact power belongs to
 * the lower bucket. Zeros lie apart, below all buckets. Counts at bucket edges are
 * exact, so tests evaluated at edges lose resolution only, never validity. */
#ifndef SERIN_STATS_HIST_H
#define SERIN_STATS_HIST_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

enum {
    HIST_SCALE_MIN = -10,
    HIST_SCALE_MAX = 20,
    HIST_SCALE = 5,  /* the usual one: buckets of 2.2 % */
    HIST_ROOM = 2304 /* buckets; at scale 5 these span 72 powers of two */
};
#define HIST_MAX_COUNT (UINT64_C(1) << 53)

/*
 * Value type of 18 KiB; only hist_*() write it. counts[k] is bucket offset + k. When
 * the range outgrows the room the scale is lowered, which loses resolution and no
 * counts. To keep it, save scale, offset, n, zero, total and counts[0..n).
 */
struct hist {
    int32_t scale, offset;
    uint32_t n; /* counts in use */
    uint64_t zero, total;
    uint64_t counts[HIST_ROOM];
};

/* The same, owned by someone else (a message, an arena). */
struct hist_view {
    int32_t scale, offset;
    size_t n;
    uint64_t zero;
    const uint64_t *counts;
};

/** Bucket of a value at a scale, exact at every edge; value > 0 and finite, scale in
 * [-10, 20]. SERIN_EDOM otherwise, *index unchanged. Zero is no bucket's. */
SERIN_MUST_USE
enum serin_status hist_index(double value, int scale, int32_t *index);
/** Upper edge of a bucket, base^(index + 1), rounded; +inf above the doubles. */
double hist_edge(int scale, int32_t index);

/** SERIN_EDOM for a scale outside [-10, 20]. */
SERIN_MUST_USE
enum serin_status hist_init(struct hist *h, int scale);
/** Count a value: SERIN_EDOM for negative, NaN, infinite, or a total over 2^53; *h is
 * unchanged then. 0 goes to the zero bucket. */
SERIN_MUST_USE
enum serin_status hist_add(struct hist *h, double value, uint64_t count);
/** Add another one; both end at the smaller scale. Errors as hist_add, and a bad scale.
 */
SERIN_MUST_USE
enum serin_status hist_merge(struct hist *h, const struct hist_view *v);
/** Lower the scale by `by`: i -> floor(i / 2^by). SERIN_EDOM below scale -10. */
SERIN_MUST_USE
enum serin_status hist_downscale(struct hist *h, int by);
struct hist_view hist_view(const struct hist *h);
/** Number of all values, zeros included. */
uint64_t hist_total(const struct hist_view *v);
/** Upper edge of the bucket that holds quantile q in [0, 1]; NaN when empty. */
double hist_quantile(const struct hist_view *v, double q);
/** Values surely above a limit: those in buckets whose lower edge is >= limit. */
uint64_t hist_above(const struct hist_view *v, double limit);

/**
 * A tolerance (1 + delta) on values as whole buckets: floor and ceiling of
 * log(1 + delta) / log(base), where within 1e-13 of a whole number that number.
 * 0 <= delta <= 1e6; SERIN_EDOM otherwise.
 */
SERIN_MUST_USE
enum serin_status hist_shift(int scale, double delta, int32_t *down, int32_t *up);
/** The tolerance that a shift by k buckets really is: base^k - 1. */
double hist_shift_effect(int scale, int32_t k);

#endif
