/* engine/core/external.h -- checks by others: asked in the row, answered in the inbox
 */
#ifndef SERIN_ENGINE_CORE_EXTERNAL_H
#define SERIN_ENGINE_CORE_EXTERNAL_H

#include "engine/core/turn.h"

/** Somebody has to perform the plan's checks now: a step before the last is judged. */
bool external_asked(const struct rollout *r);
/** Take an answer; what is not about the present weight is late news. */
void external_result(struct fold *f, struct rollout *r, const pb_check_result *c);
enum external_verdict {
    EXTERNAL_MET,  /* nothing of them is in the way */
    EXTERNAL_WAIT, /* an answer is still to be expected */
    EXTERNAL_UNMET /* and it takes more than a little patience */
};
/** Do the checks of criteria let the step pass? UNMET: *t says why not.
 * over: a step that compares nothing ends; of any_of no metric can be met or missed. */
enum external_verdict external_met(const struct fold *f, const struct rollout *r,
                                   bool over, struct turn *t);
/** A check failed whose plan says on_fail: abort; *t says which. */
bool external_aborts(const struct fold *f, const struct rollout *r, struct turn *t);
/** The checks for the row, in the arena; false: no memory. */
bool external_status(const struct fold *f, const struct rollout *r, struct arena *a,
                     pb_status *s);

#endif
