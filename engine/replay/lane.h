/* engine/replay/lane.h -- one partition of a replayed inbox: its fold, and the verdicts
 * that wait for those of other partitions */
#ifndef SERIN_ENGINE_REPLAY_LANE_H
#define SERIN_ENGINE_REPLAY_LANE_H

#include "engine/replay/replay.h"

/* Value type, zeroed; lane_open before its first record. @thread one at a time */
struct lane {
    struct fold *fold;
    int64_t last; /* offset folded */
    struct effects fx;
    struct arena arena;
    struct replay_verdict *waiting; /* in the order they came; copies */
    size_t first, n, room;          /* waiting[first .. n) are still there */
    uint64_t repeated;
    enum serin_status rc; /* of the first record that failed */
};

SERIN_MUST_USE
enum serin_status lane_open(struct lane *l, const struct fold_options *o);
void lane_close(struct lane *l);
/** Fold one record in; keep its verdicts, tell o->effect of all effects. Errors:
 * SERIN_ENOMEM, the callback's. */
SERIN_MUST_USE
enum serin_status lane_take(struct lane *l, const struct replay_options *o,
                            int64_t offset, const void *value, size_t n);
/** Forget the verdicts before `first`, which the caller has moved on. */
void lane_told(struct lane *l);

#endif
