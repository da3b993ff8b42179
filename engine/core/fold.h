/* engine/core/fold.h -- the decision: a pure fold over one partition of the inbox
 *
 * fold(state, record) -> state', effects. No clock, no I/O, no randomness: the same
 * records at the same offsets give the same effects, byte for byte. */
#ifndef SERIN_ENGINE_CORE_FOLD_H
#define SERIN_ENGINE_CORE_FOLD_H

#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "proto/messages.h"

enum effect_kind { EFFECT_VERDICT, EFFECT_ROLLOUT, EFFECT_AUDIT, EFFECT_SNAPSHOT };

/* What a verdict does to the canary's traffic; an abort lowers, whatever it was. */
enum effect_move { EFFECT_STAYS, EFFECT_RAISES, EFFECT_LOWERS };

/* One record to write. key: the rollout id, or "@clock". value: encoded message; n = 0
 * is a tombstone. Lives in the effects' arena. */
struct effect {
    enum effect_kind kind;
    const char *key;
    struct bytes value;
    enum effect_move move; /* of a verdict */
    bool told;             /* written already, ahead of its transaction */
};

/* Zero-initialise; effects_free when done, effects_reset to use again. */
struct effects {
    struct arena arena;
    struct effect *items;
    size_t n, room;
    size_t verdicts; /* how many of the items are verdicts */
};
void effects_reset(struct effects *fx);
void effects_free(struct effects *fx);

struct fold_options {
    uint64_t epoch;       /* stamped into snapshots */
    int64_t max_lag_ms;   /* HOLD(blind) beyond; 0 = 60 000 */
    int64_t row_every_ms; /* refresh of a live rollout's row, stream time; 0 = 2 000 */
    bool fresh_rows;      /* their limits are worked out each time, as a verdict's */
    int64_t
        snapshot_every_ms; /* of a live rollout's snapshot, stream time; 0 = 10 000 */
};

struct fold; /* opaque; thread: one */

SERIN_MUST_USE
enum serin_status fold_open(struct fold **out, const struct fold_options *o);
void fold_close(struct fold *f);

/**
 * Take one record of the state topic, in any order, before the first fold_apply.
 * Errors: SERIN_EPARSE names the rollout in *why; the fold then knows that this
 * rollout's state is lost (HOLD(state_lost)) and goes on.
 */
SERIN_MUST_USE
enum serin_status fold_restore(struct fold *f, const char *key, const void *value,
                               size_t n, struct fault *why);
/** Largest epoch among the restored snapshots; 0 when none. */
uint64_t fold_epoch(const struct fold *f);
void fold_set_epoch(struct fold *f, uint64_t epoch);
/** Where the inbox must be read from; -1: nothing restored, start at the beginning. */
int64_t fold_start_offset(const struct fold *f);

/**
 * Fold one inbox record in; effects are appended to *fx. A record at or below a
 * rollout's applied offset is skipped for that rollout. An undecodable record changes
 * nothing but a counter. Errors: SERIN_ENOMEM only; the fold must be thrown away then.
 */
SERIN_MUST_USE
enum serin_status fold_apply(struct fold *f, int64_t offset, const void *value,
                             size_t n, struct effects *fx);
/** The time of the stream, ms: no later verdict carries less. 0 before the first tick.
 */
int64_t fold_now(const struct fold *f);
/** Records before this offset are gone unread: HOLD(blind), new evidence only. */
void fold_gap(struct fold *f, int64_t expected, int64_t found);
/** Append a snapshot of every live rollout and of the clock (clean stop). */
SERIN_MUST_USE
enum serin_status fold_snapshot_all(struct fold *f, struct effects *fx);

struct fold_counts {
    uint64_t records, undecodable, skipped, partials, ticks, commands, windows,
        verdicts;
    uint64_t rollouts, live;
};
struct fold_counts fold_counts(const struct fold *f);

#endif
