/* ingest/cumulative.h -- counters that only rise, as what they rose by
 *
 * Remembers the last value of every counter and of every bucket of a histogram that a
 * live rollout asks for. What is learned belongs to a flush: it is kept when the flush
 * is committed, and undone when its records will be read again. */
#ifndef SERIN_INGEST_CUMULATIVE_H
#define SERIN_INGEST_CUMULATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/base/strview.h"

enum {
    CUMULATIVE_MAX = 1 << 19, /* values kept, 32 bytes each */
    CUMULATIVE_MAX_BUCKETS = 4096,
    CUMULATIVE_FORGET_MS = 3600000, /* without news, when room is wanted */
    CUMULATIVE_GAP_MS = 60000,      /* in which every series reports */
    CUMULATIVE_SKEW_MS = 1000       /* by which the clocks of hosts may differ */
};
#define CUMULATIVE_NO_START INT64_MIN /* the sender does not say when it began */

enum cumulative_result {
    CUMULATIVE_RISE,   /* what it rose by is known */
    CUMULATIVE_FIRST,  /* a beginning: what it had counted before is not known */
    CUMULATIVE_REPEAT, /* at or before the time of the last one: seen already */
    CUMULATIVE_FULL    /* no room to remember it */
};

/** Times are nanoseconds since the epoch: a process may end and another begin within a
 * millisecond. Beyond the year 2262 all are one. */
static inline int64_t cumulative_ns(int64_t t_ms)
{
    int64_t most = INT64_MAX / 1000000;
    return (t_ms > most ? most : t_ms < -most ? -most : t_ms) * 1000000;
}

struct cumulative_key { /* 128 bits of hash stand for the series */
    uint64_t a, b;
};

struct cumulative; /* opaque; thread: one */

SERIN_MUST_USE
enum serin_status cumulative_open(struct cumulative **out);
void cumulative_close(struct cumulative *c);
/** The key of a header (ingest/series.h); salt: several counters of one header. */
struct cumulative_key cumulative_key_of(struct strview header, uint64_t salt);

/** Another key of the same series. */
struct cumulative_key cumulative_key_salted(struct cumulative_key k, uint64_t salt);

/**
 * One counter. It fell, or began (start_ns) after the last value: it was restarted, and
 * rose by its value. So did one never seen that began since cumulative_watch; one that
 * began at t_ns itself has only begun.
 * start_ns  or CUMULATIVE_NO_START
 */
enum cumulative_result cumulative_counter(struct cumulative *c,
                                          struct cumulative_key key, int64_t t_ns,
                                          int64_t start_ns, double value, double *rise);
/**
 * All buckets of one histogram at one time, by names of theirs (indexes, bits of
 * bounds). One of them fell, or their sum: all were restarted. One not seen before
 * began at zero.
 * n  at most CUMULATIVE_MAX_BUCKETS; rises: receives n
 */
enum cumulative_result cumulative_buckets(struct cumulative *c,
                                          struct cumulative_key key, int64_t t_ns,
                                          int64_t start_ns, const uint64_t *names,
                                          const uint64_t *values, size_t n,
                                          uint64_t *rises);

/* A histogram with exponential buckets; counts[k] is bucket offset + k. */
struct cumulative_scaled {
    int32_t scale; /* in [-10, 20] */
    int32_t offset;
    uint64_t zero;
    uint64_t *counts;
    size_t n; /* at most CUMULATIVE_MAX_BUCKETS - 2 */
};
/**
 * One of these, replaced by what it rose by. It may have become coarser since the last
 * time; finer, it was restarted. Empty buckets need not be in it.
 */
enum cumulative_result cumulative_exponential(struct cumulative *c,
                                              struct cumulative_key key, int64_t t_ns,
                                              int64_t start_ns,
                                              struct cumulative_scaled *h);
/** A point that is no sum but a rise: is it the latest one of its series again, or the
 * one that came before? Older ones are not told apart. */
bool cumulative_seen(struct cumulative *c, struct cumulative_key key, int64_t t_ns);

/** The key will be asked for soon. */
void cumulative_ahead(const struct cumulative *c, struct cumulative_key key);

/** What was learned so far belongs to one transaction, the rest to another. */
void cumulative_seal(struct cumulative *c);
/** The sealed part was committed. */
void cumulative_commit(struct cumulative *c);
/** It was not: undo it and what was learned since. */
void cumulative_rollback(struct cumulative *c);
/** Forget all values: somebody else may have counted on meanwhile. */
void cumulative_forget(struct cumulative *c);
/**
 * From this wall time on all is watched that is asked for, and by nobody else: call it
 * when partitions were assigned and when routes changed. What begins later is known
 * from its beginning. What had no value for CUMULATIVE_GAP_MS before begins anew: it
 * may have risen while nobody asked. Until the next cumulative_forget.
 */
void cumulative_watch(struct cumulative *c, int64_t since_ms);
/** Histograms that are being put together; they hold nothing that a rollback undoes. */
struct gather *cumulative_gather(struct cumulative *c);
/** Bytes it takes. */
size_t cumulative_bytes(const struct cumulative *c);

#endif
