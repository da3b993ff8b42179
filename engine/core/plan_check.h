/* engine/core/plan_check.h -- what a table of keys cannot say; of plan*.c only */
#ifndef SERIN_ENGINE_CORE_PLAN_CHECK_H
#define SERIN_ENGINE_CORE_PLAN_CHECK_H

#include "engine/core/plan.h"

/** Note everything in p that contradicts itself, at its place in the document. */
void plan_check(const struct plan *p, const struct doc_node *root,
                struct doc_errors *errors);

#endif
