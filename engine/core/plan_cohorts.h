/* engine/core/plan_cohorts.h -- how a plan tells the two versions' records apart */
#ifndef SERIN_ENGINE_CORE_PLAN_COHORTS_H
#define SERIN_ENGINE_CORE_PLAN_COHORTS_H

#include "engine/core/plan.h"

/* JSON Schema of one cohort, members without the braces. */
extern const char plan_cohorts_schema[];

/**
 * Read p->cohort_node into p->cohort; p->service, p->environment
 * and p->flag have been read. Problems are noted in *errors, each at its place.
 * Errors: SERIN_ENOMEM
 */
SERIN_MUST_USE
enum serin_status plan_cohorts_read(struct arena *a, struct plan *p,
                                    struct doc_errors *errors);
/** Note it when some record would certainly belong to both cohorts. */
void plan_cohorts_check(const struct plan *p, struct doc_errors *errors);
/** The cohort as the route has it. Errors: SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status plan_cohorts_match(struct arena *a, const struct plan *p, int which,
                                     pb_match **out);

#endif
