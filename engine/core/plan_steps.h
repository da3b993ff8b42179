/* engine/core/plan_steps.h -- what the strategy makes of a plan's steps; of plan*.c */
#ifndef SERIN_ENGINE_CORE_PLAN_STEPS_H
#define SERIN_ENGINE_CORE_PLAN_STEPS_H

#include "engine/core/plan.h"

/** Steps where the author could have written them, when there are none.
 * Errors: SERIN_ENOMEM */
SERIN_MUST_USE
enum serin_status plan_steps_default(struct arena *a, struct doc_node *root);
/** Fill in what follows from kinds, earlier steps and the strategy. */
void plan_steps_fill(struct plan *p, const struct doc_node *root);
/** Kinds, audiences and keys that do not fit together; appended to *errors. */
void plan_steps_check(const struct plan *p, const struct doc_node *root,
                      struct doc_errors *errors);
/** The step has a weight of its own to give. */
bool plan_steps_weighs(const struct plan_step *s, const struct doc_node *written);
/** The last step that is compared, counted from 1; 0: none. */
size_t plan_steps_last_judged(const struct plan *p);

#endif
