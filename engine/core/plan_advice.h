/* engine/core/plan_advice.h -- what a plan may say, and probably does not mean
 *
 * Beside plan_parse's errors: nothing here refuses a plan, so a live rollout is not
 * touched by a later version's better advice. */
#ifndef SERIN_ENGINE_CORE_PLAN_ADVICE_H
#define SERIN_ENGINE_CORE_PLAN_ADVICE_H

#include "engine/core/plan.h"

/**
 * Note advice about a plan that plan_parse took, each at its line and column.
 * text, n  as given to plan_parse
 * Errors   SERIN_ENOMEM, SERIN_EPARSE (it is not that text)
 */
SERIN_MUST_USE
enum serin_status plan_advise(struct arena *a, const struct plan *p, const char *text,
                              size_t n, struct doc_errors *advice);

#endif
