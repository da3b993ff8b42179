/* engine/follow/errands.h -- beside the decision stage: performs the checks that rows
 * ask for, and tells rollouts what they must know of one another
 *
 * It follows the rows of serin.rollouts and answers in serin.inbox. It keeps no state:
 * a row says what is asked and what is known, so a restart goes on where the rows
 * stand, and several at once only do some of it twice. */
#ifndef SERIN_ENGINE_FOLLOW_ERRANDS_H
#define SERIN_ENGINE_FOLLOW_ERRANDS_H

#include "engine/bus/bus.h"
#include "engine/follow/probe.h"

struct errands_options {
    const struct probe_policy *policy; /* NULL: nothing may be asked */
    const char *name; /* of this process, in its records; NULL = "serin" */
};

struct errands; /* opaque */

/** o's policy is copied, its name must live until errands_close. Errors: SERIN_ENOMEM
 */
SERIN_MUST_USE
enum serin_status errands_open(struct errands **out, struct bus *b,
                               const struct errands_options *o, struct fault *f);
/** Run until errands_stop, through every broker trouble. */
SERIN_MUST_USE
enum serin_status errands_run(struct errands *w, struct fault *f);
void errands_stop(struct errands *w); /* any thread; async-signal-safe */
/** A check that still runs is not waited for; its answer is dropped. */
void errands_close(struct errands *w);

#endif
