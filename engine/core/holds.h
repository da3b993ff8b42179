/* engine/core/holds.h -- why a rollout must not advance now */
#ifndef SERIN_ENGINE_CORE_HOLDS_H
#define SERIN_ENGINE_CORE_HOLDS_H

#include "engine/core/turn.h"

/**
 * The strongest reason to hold (the order of ROLLOUT_HOLDS), HOLD_NONE when there is
 * none. ready: the evidence would let it advance, which is when a freeze matters.
 * *t gets metric and message.
 */
enum rollout_hold holds_top(const struct fold *f, const struct rollout *r, bool ready,
                            struct turn *t);
/** The canary has been silent for the plan's `silence` while the baseline reports; at
 * 100 %, while anything does. */
bool holds_dead(const struct fold *f, const struct rollout *r, struct turn *t);
/** Every cohort that has traffic sent every protected metric just now. */
bool holds_fresh(const struct fold *f, const struct rollout *r);
/** The step ran out of time; not while it waits for a gate or only watches. */
bool holds_timed_out(const struct fold *f, const struct rollout *r);
/** Note samples used and lost, for HOLD(bad_data). */
void holds_quality(struct rollout *r, int64_t now_ms, uint64_t good, uint64_t bad);

#endif
