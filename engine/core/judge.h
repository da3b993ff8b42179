/* engine/core/judge.h -- windows close, evidence grows, the rollout moves on */
#ifndef SERIN_ENGINE_CORE_JUDGE_H
#define SERIN_ENGINE_CORE_JUDGE_H

#include "engine/core/turn.h"

/** Take one partial's cells. Thread: the fold's. */
void judge_partial(struct fold *f, struct rollout *r, const pb_partial *p);
/** Take an actuator's word about the weight. */
void judge_ack(struct fold *f, struct rollout *r, const pb_ack *a);
/** Time went on: close the windows that are due, judge each, then look at the time. */
void judge_tick(struct fold *f, struct rollout *r);
/** Something else changed (command, acknowledgement): follow every event that applies.
 */
void judge_settle(struct fold *f, struct rollout *r);
/** All evidence so far is void, new windows only; after lost records. */
void judge_forget(struct fold *f, struct rollout *r);
/** The next step's weight, or the end, as the turn that leads there. */
enum decide_event judge_next(const struct rollout *r, struct turn *t);

#endif
