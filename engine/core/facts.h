/* engine/core/facts.h -- what is known of other rollouts: told by records of the inbox,
 * since the fold sees its own partition only */
#ifndef SERIN_ENGINE_CORE_FACTS_H
#define SERIN_ENGINE_CORE_FACTS_H

#include "engine/core/turn.h"

/** At apply: wait for the plan's `after`, and for those of its service that came first
 * (ids, n) unless the plan is concurrent. False: too many, and message (of
 * FACTS_MESSAGE bytes) says so. */
enum { FACTS_MESSAGE = 240 };
bool facts_begin(struct rollout *r, char *const *behind, size_t n, char *message);
/** Take a fact. */
void facts_signal(struct rollout *r, const pb_signal *s);
/** It may not start, or go on, because of others; then *t has reason and sentence, and
 * t->hold the reason to hold: HOLD_NONE while it only has to wait before its start. */
bool facts_blocked(const struct rollout *r, struct turn *t);
/** service/environment: rollouts of one scope follow one another; "": alone. In the
 * arena; NULL: no memory. */
const char *facts_scope(const struct plan *p, struct arena *a);
/** As messages, in the arena; false: no memory. */
bool facts_waits(const struct rollout *r, struct arena *a, pb_wait ***out, size_t *n);

#endif
