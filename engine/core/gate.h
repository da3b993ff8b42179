/* engine/core/gate.h -- a step that people have to approve */
#ifndef SERIN_ENGINE_CORE_GATE_H
#define SERIN_ENGINE_CORE_GATE_H

#include "engine/core/turn.h"

enum gate_state { GATE_WAITING, GATE_OPEN, GATE_DENIED, GATE_EXPIRED };

/** Index of a gate of the plan; -1: there is none of this name. */
int gate_index(const struct rollout *r, const char *name);
enum gate_state gate_state(const struct rollout *r, size_t gate);
/** "waiting", "open", …; never NULL. */
const char *gate_state_text(enum gate_state s);
/** The next step has a gate that is not open; then *t says so. */
bool gate_closed(const struct fold *f, const struct rollout *r, struct turn *t);
/** While GATED: opened, or expired. True when the rollout moved. */
bool gate_turns(struct fold *f, struct rollout *r);
enum { GATE_MESSAGE = 240 };
/**
 * Somebody approves or denies. False: refused, and message (GATE_MESSAGE bytes) says
 * why. A denial voids the approvals before it; a quorum after it opens the gate.
 */
bool gate_vote(struct fold *f, struct rollout *r, const pb_command *c, char *message);
/** The votes as messages, the denial first; false: no memory. */
bool gate_votes(struct arena *a, const struct rollout_gate *g, pb_vote ***out,
                size_t *n);

#endif
