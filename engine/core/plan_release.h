/* engine/core/plan_release.h -- checks of what else a release waits for: criteria,
 * external checks, schedule, other rollouts; of plan.c only */
#ifndef SERIN_ENGINE_CORE_PLAN_RELEASE_H
#define SERIN_ENGINE_CORE_PLAN_RELEASE_H

#include "engine/core/plan.h"

/** Read the weekly times into *p, and note what cannot be meant. */
void plan_release_check(struct plan *p, const struct doc_node *root,
                        struct doc_errors *errors);

#endif
