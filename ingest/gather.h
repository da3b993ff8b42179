/* ingest/gather.h -- histograms whose buckets come one by one, in any order
 *
 * Prometheus sends each bucket of a classic histogram as a series of its own; those of
 * one time may come in several records. Which buckets a histogram has is learned from
 * the first time it is seen. */
#ifndef SERIN_INGEST_GATHER_H
#define SERIN_INGEST_GATHER_H

#include "ingest/buckets.h"
#include "ingest/cumulative.h"

enum {
    GATHER_MAX = 16384, /* histograms; one more, and all are forgotten */
    GATHER_MAX_BUCKETS = BUCKETS_BOUNDS_MAX + 1,
    GATHER_MISSES = 3 /* incomplete times in a row, and the buckets are learned anew */
};

/* A histogram at one time: upto[i] values are at most bounds[i], which rise. Valid
 * until the next call. */
struct gather_set {
    int64_t t_ms;
    const double *bounds;
    const uint64_t *upto;
    size_t n;
};

struct gather; /* opaque; thread: one */

SERIN_MUST_USE
enum serin_status gather_open(struct gather **out);
void gather_close(struct gather *g);
/**
 * One bucket at one time. True when that completes a histogram, this time's or, when it
 * was seen for the first time, the one before. A bucket that comes again at its time
 * begins this time anew: its record is read again. A time that stays incomplete is
 * skipped, which loses nothing of a cumulative histogram.
 */
bool gather_add(struct gather *g, struct cumulative_key key, int64_t t_ms, double bound,
                uint64_t upto, struct gather_set *out);
void gather_forget(struct gather *g);
/** Bytes it takes. */
size_t gather_bytes(const struct gather *g);

#endif
