/* engine/core/experiment.h -- strategy experiment: one question about one metric
 *
 * Does the canary's odds ratio w differ from 1? Two anytime limits, each at half the
 * plan's level, are worked out after every window; one may stop at any look. They
 * exclude 1: win or lose. They lie within 1/(1 + m) and 1 + m: no difference that
 * matters. The time is over: no difference was shown, and the limits say how large it
 * may still be. Other metrics of mode gate guard it: they abort as in every rollout. */
#ifndef SERIN_ENGINE_CORE_EXPERIMENT_H
#define SERIN_ENGINE_CORE_EXPERIMENT_H

#include "engine/core/turn.h"

/** The plan is one. */
bool experiment_is(const struct rollout *r);
/** What the evidence says now; RESULT_NONE while it is open. */
enum rollout_result experiment_answer(const struct rollout *r);
/** The same of a plan's evidence; e: of its primary metric. */
enum rollout_result experiment_decide(const struct plan *p, const struct evidence *e);
/** It is over, by r->answer or by its time: result, reason, sentence and weight go to
 * *t. False: it goes on. now_ms: the stream's. */
bool experiment_ends(const struct rollout *r, int64_t now_ms, struct turn *t);
/** The question in numbers, into the figures of the primary metric. False: no memory.
 */
bool experiment_figures(const struct plan *p, const struct evidence *e, struct arena *a,
                        pb_metric_verdict *m);

#endif
