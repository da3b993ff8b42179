/* engine/core/strategy.h -- what steps other than plain weights mean for a rollout
 *
 * Every kind of step goes through the same states; they differ in what share of the
 * requests is the canary's, in what has to be shown before the next one, and in words.
 */
#ifndef SERIN_ENGINE_CORE_STRATEGY_H
#define SERIN_ENGINE_CORE_STRATEGY_H

#include "engine/core/turn.h"

/** Share of the canary among the requests that are reported, 0 to 1: by the weight, or
 * by the copies of a mirror. NAN: a preview, of any size. */
double strategy_share(const struct rollout *r);
/** The observed split has to agree with the weight. */
bool strategy_splits(const struct rollout *r);
/** Segments alone have the canary: nobody like them is left to compare with. */
bool strategy_alone(const struct rollout *r);
/** The stratum's users all have the canary, for their segment has. Strata of several
 * attributes are joined by ","; one that fits is enough. */
bool strategy_served(const struct rollout *r, const char *stratum);
/** A step that compares nothing is over at now_ms: reason and sentence go to *t. */
bool strategy_over(const struct rollout *r, int64_t now_ms, struct turn *t);
/** Milliseconds until a pause ends; -1: it is none, or it waits for a person. */
int64_t strategy_left(const struct rollout *r, int64_t now_ms);
/** Who has the canary, for sentences: "5 %", "copies of 100 % of the requests", … */
void strategy_where(const struct rollout *r, char out[64]);
/** "; 1 % -> 5 %": where it goes from here, as *t has it; nothing when it ends here. */
void strategy_next(const struct rollout *r, struct turn *t);
/** The step begins to be judged, or to wait. */
void strategy_settled(const struct rollout *r, struct turn *t);
/** At 100 % nothing spoke against it. */
void strategy_watched(const struct rollout *r, struct turn *t);
/** Why this weight cannot be set by hand under the plan's strategy; NULL: it can. */
const char *strategy_refuses(const struct rollout *r, uint32_t weight_bp);
/** What an actuator needs beside the weight, of the present step: its kind, segments
 * (n of *out, not to be freed; none after an abort) and the share to mirror. */
const char *strategy_kind(const struct rollout *r);
size_t strategy_audience(const struct rollout *r, char ***out);
uint32_t strategy_mirror_bp(const struct rollout *r);

#endif
