/* engine/core/turn.h -- a rollout changes state: the only place that emits verdicts */
#ifndef SERIN_ENGINE_CORE_TURN_H
#define SERIN_ENGINE_CORE_TURN_H

#include "engine/core/fold_state.h"

/* What goes with an event. Start from turn_of. */
struct turn {
    const char *reason;         /* code */
    char message[ROLLOUT_TEXT]; /* one sentence */
    const char *actor;          /* who, for commands; "" otherwise */
    const char *metric;         /* the one that decided; "" otherwise */
    uint32_t to_bp, to_step;    /* where the weight goes */
    enum rollout_hold hold;     /* with HOLD verdicts */
    enum rollout_result result; /* with RESULT verdicts */
};

/** No change of weight, no actor, empty message. */
struct turn turn_of(const struct rollout *r, const char *reason);
/**
 * Follow the event: verdict, audit entries, state, weight; asks for row and snapshot at
 * the end of the record. False: the event does not apply in this state; nothing
 * changed.
 */
bool turn_take(struct fold *f, struct rollout *r, enum decide_event ev,
               const struct turn *t);
/** Append an entry to the rollout's audit chain. payload may be empty. */
void turn_audit(struct fold *f, struct rollout *r, const char *kind, const char *actor,
                const char *reason, const char *subject, struct bytes payload);
/** Append one effect; the value is in the effects' arena. Sets f->nomem when it fails.
 */
void turn_effect(struct fold *f, enum effect_kind kind, const char *key,
                 struct bytes value);

#endif
