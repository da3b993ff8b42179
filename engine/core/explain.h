/* engine/core/explain.h -- one good sentence for every verdict */
#ifndef SERIN_ENGINE_CORE_EXPLAIN_H
#define SERIN_ENGINE_CORE_EXPLAIN_H

#include "engine/core/turn.h"

/** "0.10 %", "12.5 %", "0.0021 %": three digits that people can compare. */
void explain_percent(double share, char out[24]);
/** "90 s", "15 min", "2.5 h". */
void explain_span(int64_t ms, char out[24]);
/** "14:03:20 UTC". */
void explain_clock(int64_t ms, char out[16]);
/** Abort by evidence: reason harm or limit, the metric to blame if there is one. */
void explain_harm(const struct rollout *r, struct turn *t);
/** The step's tolerance is ruled out: reason non_inferior, with the weakest metric. */
void explain_safe(const struct rollout *r, struct turn *t);
/** First weight. */
void explain_start(const struct rollout *r, struct turn *t);
/** Append to the message; cut when it is full. */
void explain_add(struct turn *t, const char *fmt, ...) SERIN_PRINTF(2, 3);

#endif
