/* engine/stage/stage.h -- the decision stage: restore, apply, commit */
#ifndef SERIN_ENGINE_STAGE_STAGE_H
#define SERIN_ENGINE_STAGE_STAGE_H

#include "engine/base/status.h"
#include "engine/bus/bus.h"
#include "engine/core/fold.h"

struct stage_options {
    struct fold_options fold;
    int64_t tick_ms;       /* wall ticks into each owned partition; 0 = 1 000 */
    const char *key_file;  /* signs verdicts and audit entries; NULL = nobody does */
    int64_t checkpoint_ms; /* between checkpoints of the audit trail; 0 = 1 h */
};

struct stage_counts {
    struct fold_counts fold;
    uint64_t commits, aborts, rebuilds, restores;
    int64_t restore_ms;   /* of the latest restore */
    uint64_t partitions;  /* owned now */
    int64_t lag;          /* inbox records behind */
    uint64_t checkpoints; /* of the audit trail */
    bool unaudited;       /* the audit topic takes nothing: no promotions */
    bool connected;
};

struct stage; /* opaque */

/** Errors: SERIN_ENOMEM; of the key's file SERIN_EIO, SERIN_EDOM. */
SERIN_MUST_USE
enum serin_status stage_open(struct stage **out, struct bus *b,
                             const struct stage_options *o, struct fault *f);
/** Run until stage_stop. Blocks; survives every broker trouble. */
SERIN_MUST_USE
enum serin_status stage_run(struct stage *s, struct fault *f);
/** Thread: any; async-signal-safe. */
void stage_stop(struct stage *s);
void stage_close(struct stage *s);
/** Thread: any. */
struct stage_counts stage_counts(struct stage *s);
/** Assigned and restored. Thread: any. */
bool stage_ready(const struct stage *s);

#endif
