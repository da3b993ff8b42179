/* engine/core/aftermath.h -- after an abort: did it help?
 *
 * The rollout is final and gives no verdict any more. For a time that the plan sets,
 * its stream is still read: the rate of the metric that was blamed, over the whole
 * service, is compared with what both cohorts had in the step that ended. The finding
 * goes to the row and to the audit trail, each exactly once as all effects do. */
#ifndef SERIN_ENGINE_CORE_AFTERMATH_H
#define SERIN_ENGINE_CORE_AFTERMATH_H

#include "engine/core/fold_state.h"

/** "watching", "recovered", …; "" for AFTERMATH_NONE. */
const char *aftermath_text(enum aftermath_finding f);
/** AFTERMATH_NONE for what is none. */
enum aftermath_finding aftermath_parse(const char *text);
/** Just aborted from from_bp, the evidence still there: remember what it was like.
 * metric: the one to blame; "": none. Nothing to do where nobody had the canary. */
void aftermath_begin(struct fold *f, struct rollout *r, const char *metric,
                     uint32_t from_bp);
/** Count what the service does now. */
void aftermath_partial(struct fold *f, struct rollout *r, const pb_partial *p);
/** Conclude once the time is over. */
void aftermath_tick(struct fold *f, struct rollout *r);
/** What was found, as a sentence; "" before the end. */
void aftermath_tell(const struct rollout *r, char out[ROLLOUT_TEXT]);

#endif
