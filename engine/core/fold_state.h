/* engine/core/fold_state.h -- what the files of the fold share; nobody outside needs it
 */
#ifndef SERIN_ENGINE_CORE_FOLD_STATE_H
#define SERIN_ENGINE_CORE_FOLD_STATE_H

#include "engine/core/fold.h"
#include "engine/core/rollout.h"
#include "engine/core/streamclock.h"

struct fold {
    struct fold_options o;
    struct streamclock clock;
    struct rollout *by_id;   /* uthash */
    struct rollout **sorted; /* by id: the order in which a tick visits them */
    size_t n, room;
    bool begun; /* the clock of the start offset is in place */

    int64_t offset; /* of the record being folded */
    struct effects *fx;
    struct arena record; /* lives until the next one */
    bool nomem; /* an allocation failed: fold_apply reports it, nothing else does */

    int64_t clock_offset; /* of the restored @clock row; -1 = none */
    uint64_t clock_epoch;
    struct arena clock_arena;
    pb_clock *clock_row;
    size_t cursor;          /* of the round of refreshes */
    int64_t clock_saved_ms; /* when @clock was last written */
    uint64_t restored_epoch;
    int64_t told_offset; /* records up to here have had their effects, also orphans' */
    struct fold_counts counts;
};

/** As fold_apply, for a record that is decoded already. */
SERIN_MUST_USE
enum serin_status fold_take(struct fold *f, int64_t offset, const pb_inbox *in,
                            struct effects *fx);
/** NULL when there is none. */
struct rollout *fold_find(const struct fold *f, const char *id);
/** Make it known; false when memory is out (f->nomem). */
bool fold_add(struct fold *f, struct rollout *r);
void fold_remove(struct fold *f, struct rollout *r);

#endif
