/* engine/replay/source/hlog.h -- interval logs of HdrHistogram, one interval after the
 * other
 *
 *   #[StartTime: 1441812279.474 (seconds since epoch), Wed Sep 09 08:24:39 PDT 2015]
 *   "StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"
 *   Tag=canary,0.127,1.007,2.769,HISTFAAAAEV42pNpmSzMwMCgyAABTBDKT...
 *
 * What is in a histogram counts at the beginning of its interval. Values are in the
 * unit that the plan's metric names. */
#ifndef SERIN_ENGINE_REPLAY_SOURCE_HLOG_H
#define SERIN_ENGINE_REPLAY_SOURCE_HLOG_H

#include "engine/replay/source/columns.h"
#include "engine/replay/source/lines.h"
#include "ingest/aggregate.h"

struct hlog; /* opaque; thread: one */

/* One interval; it lives until the next call. */
struct hlog_interval {
    int64_t t_ms;
    struct strview tag;     /* n == 0: none */
    struct strview payload; /* as in the log */
};

/**
 * map  what samples are called; columns are "tag" and constants. NULL: the tag is the
 *      cohort and the metric is "latency". l and the map's text must outlive the log.
 * Errors: SERIN_EPARSE (a map that asks for other columns), SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status hlog_open(struct hlog **out, struct lines *l,
                            const struct columns *map, struct fault *f);
void hlog_close(struct hlog *h);
/** SERIN_AGAIN: this was all. out->payload.n == 0: the line was refused, *why says
 * why. Errors: as lines_next. */
SERIN_MUST_USE
enum serin_status hlog_next(struct hlog *h, struct hlog_interval *out,
                            struct reject *why, struct fault *f);
/** What the interval's samples are called: a rollout, a metric; n == 0: nothing. */
struct strview hlog_name(const struct hlog *h, const struct hlog_interval *i,
                         enum columns_field f);
/**
 * Decode the histogram and add it. A value counts as the largest that is equivalent to
 * it, and the cell says how much less it may have been.
 * Errors: SERIN_EPARSE with *why; nothing was added then.
 */
SERIN_MUST_USE
enum serin_status hlog_add(struct hlog *h, const struct hlog_interval *i,
                           struct aggregate *a, struct reject *why);

#endif
