/* ingest/cumulative.h -- counters that only rise, as what they rose by
 *
 * Remembers the last value of every counter and of every bucket of a histogram that a
 * live rollout asks for. What is learned belongs to a flush: it is kept when the flush
 * is committed, and undone when its records will be read again. */
#ifndef SERIN_INGEST_CUMULATIVE_H
#define SERIN_INGEST_CUMULATIVE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/base/strview.h"

enum {
    CUMULATIVE_MAX = 1 << 19, /* values kept, 32 bytes each */
    CUMULATIVE_MAX_BUCKETS = 4096,
    CUMULATIVE_FORGET_MS = 3600000 /* without news, when room is wanted */
};

enum cumulative_result {
    CUMULATIVE_RISE,   /* what it rose by is known */
    CUMULATIVE_FIRST,  /* never seen: a beginning, nothing to count */
    CUMULATIVE_REPEAT, /* at or before the time of the last one: seen already */
    CUMULATIVE_FULL    /* no room to remember it */
};

struct cumulative_key { /* 128 bits of hash stand for the series */
    uint64_t a, b;
};

struct cumulative; /* opaque; thread: one */

SERIN_MUST_USE
enum serin_status cumulative_open(struct cumulative **out);
void cumulative_close(struct cumulative *c);
/** The key of a header (ingest/series.h); salt: several counters of one header. */
struct cumulative_key cumulative_key_of(struct strview header, uint64_t salt);

/** One counter. It fell: it was restarted, and rose by its value. */
enum cumulative_result cumulative_counter(struct cumulative *c,
                                          struct cumulative_key key, int64_t t_ms,
                                          double value, double *rise);
/**
 * All buckets of one histogram at one time, by names of theirs (indexes, bits of
 * bounds). One of them fell, or their sum: all were restarted. One not seen before
 * began at zero.
 * n  at most CUMULATIVE_MAX_BUCKETS; rises: receives n
 */
enum cumulative_result cumulative_buckets(struct cumulative *c,
                                          struct cumulative_key key, int64_t t_ms,
                                          const uint64_t *names, const uint64_t *values,
                                          size_t n, uint64_t *rises);

/** What was learned so far belongs to one transaction, the rest to another. */
void cumulative_seal(struct cumulative *c);
/** The sealed part was committed. */
void cumulative_commit(struct cumulative *c);
/** It was not: undo it and what was learned since. */
void cumulative_rollback(struct cumulative *c);
/** Forget all values: somebody else may have counted on meanwhile. */
void cumulative_forget(struct cumulative *c);
/** Histograms that are being put together; they hold nothing that a rollback undoes. */
struct gather *cumulative_gather(struct cumulative *c);
/** Bytes it takes. */
size_t cumulative_bytes(const struct cumulative *c);

#endif
