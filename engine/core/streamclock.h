/* engine/core/streamclock.h -- time as the inbox tells it: a partition's clock from
 * ticks */
#ifndef SERIN_ENGINE_CORE_STREAMCLOCK_H
#define SERIN_ENGINE_CORE_STREAMCLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "proto/messages.h"

/* One partition of one input topic, as its reader reported it last. */
struct streamclock_source {
    char *topic, *worker;
    int32_t partition;
    bool known, idle;
    int64_t watermark_ms; /* never falls */
    int64_t seen_ms;      /* wall time of the latest report */
    uint64_t lag, gaps;
};

/* Zero-initialise; streamclock_free when done. */
struct streamclock {
    int64_t wall_ms;                    /* largest wall time seen; never falls */
    bool known;                         /* watermark_ms is meaningful */
    int64_t watermark_ms;               /* of the stream; never falls */
    uint64_t gaps;                      /* times any source lost records */
    struct streamclock_source *sources; /* sorted by topic and partition */
    size_t n, room;
};

/* Times outside [0, year 10 000) come from a broken program and are ignored. */
#define STREAMCLOCK_END_MS INT64_C(253402300800000)
static inline bool streamclock_sane(int64_t ms)
{
    return ms >= 0 && ms < STREAMCLOCK_END_MS;
}

enum {
    STREAMCLOCK_LEAVE_MS = 60000, /* a source not reported for this long leaves */
    STREAMCLOCK_SOURCES = 65536   /* more are ignored: a tick cannot exhaust memory */
};

void streamclock_free(struct streamclock *c);
/**
 * Take one tick. Wall time and watermarks only rise. The stream's watermark is the
 * least of the sources that are neither idle nor gone; when all are, the largest known;
 * a source that is neither known nor idle holds it where it is. Errors: SERIN_ENOMEM;
 * *c must be thrown away then.
 */
SERIN_MUST_USE
enum serin_status streamclock_tick(struct streamclock *c, const pb_tick *tick);
/** max(wall, watermark): the time verdicts carry. */
int64_t streamclock_now(const struct streamclock *c);
/** How far the stream is behind the wall, ms, >= 0; -1 when there is no watermark. */
int64_t streamclock_lag(const struct streamclock *c);

/** A message for a snapshot, in the arena; texts are borrowed from *c. */
SERIN_MUST_USE
enum serin_status streamclock_save(const struct streamclock *c, struct arena *a,
                                   pb_clock **out);
/** Replace *c by what was saved. Errors: SERIN_EPARSE, SERIN_ENOMEM; *c is empty then.
 */
SERIN_MUST_USE
enum serin_status streamclock_load(struct streamclock *c, const pb_clock *saved);

#endif
