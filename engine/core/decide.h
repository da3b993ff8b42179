/* engine/core/decide.h -- the whole state machine: one table, state x event */
#ifndef SERIN_ENGINE_CORE_DECIDE_H
#define SERIN_ENGINE_CORE_DECIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/messages.h"

/* clang-format off */
#define DECIDE_STATES(X)                                                              \
    X(PENDING, "waits for its schedule")                                              \
    X(CALIBRATING, "measures the baseline before the first weight")                   \
    X(SETTLING, "a step just began; the warm-up is no evidence")                \
    X(OBSERVING, "judges every window; a pause waits, judging")                                               \
    X(GATED, "the evidence suffices; a person has to approve")                        \
    X(HELD, "does not advance, for the reason shown; still judged, still abortable")  \
    X(WATCHING, "at 100 %, still abortable")                                          \
    X(PROMOTED, "final")                                                              \
    X(CONCLUDED, "final: the experiment has its result")                              \
    X(ABORTED, "final, 0 %")                                                          \
    X(CANCELLED, "final, never had traffic")

#define DECIDE_EVENTS(X)                                                              \
    X(READY, "schedule reached")                                                      \
    X(START, "calibrated")                                                            \
    X(SETTLED, "warm-up over")                                                        \
    X(SAFE, "step passed: next step")                                         \
    X(FULL, "step passed: 100 %")                                               \
    X(DONE, "nothing left to prove")                                                  \
    X(RESULT, "an experiment is decided, or over")                                    \
    X(GATE, "a gate is closed")                                                       \
    X(OPEN, "the gate opened")                                                        \
    X(DOUBT, "a reason to hold")                                                      \
    X(CLEAR, "no reason left")                                                        \
    X(HARM, "evidence of harm")                                                       \
    X(DEAD, "canary silent for long")                                                 \
    X(POLICY, "the plan says abort")                                                  \
    X(LOST, "state lost")                                                             \
    X(CANCEL, "cancel")                                                               \
    X(HOLD, "hold")                                                                   \
    X(ADVANCE, "promote")                                                             \
    X(ADVANCE_FULL, "promote to 100 %")                                               \
    X(FINISH, "promote the last step")                                                \
    X(LOWER, "set-weight down")                                                       \
    X(KILL, "abort")
/* clang-format on */

#define X(name, text) ROLLOUT_##name,
enum rollout_state { DECIDE_STATES(X) ROLLOUT_NSTATE, ROLLOUT_BACK = ROLLOUT_NSTATE };
#undef X
#define X(name, text) EV_##name,
enum decide_event { DECIDE_EVENTS(X) EV_N };
#undef X

/* What an event does in a state. why == NULL: nothing, the event does not apply there.
 * to == ROLLOUT_BACK: the state that was left for HELD or GATED. kind: the verdict that
 * goes out with it; KIND_UNSPECIFIED for none. */
struct decide_rule {
    enum rollout_state to;
    Serin__V1__Kind kind;
    const char *why;
};
extern const struct decide_rule decide_rules[ROLLOUT_NSTATE][EV_N];

/** "OBSERVING", …; never NULL. */
const char *decide_state_name(enum rollout_state s);
/** False when there is no such state; *out unchanged then. */
bool decide_state_parse(const char *name, enum rollout_state *out);
bool decide_final(enum rollout_state s);
/** "SAFE", …; never NULL. */
const char *decide_event_name(enum decide_event e);
enum { DECIDE_TABLE = 8192 };
/** The states and the table as Markdown, for the README. */
void decide_table(char out[DECIDE_TABLE]);

#endif
