/* engine/act/act.h -- verdicts to proxies: the loop of `serin actuate`
 *
 * It follows the rows of serin.rollouts: each carries the latest verdict's number and
 * weight, is written in the verdict's own transaction, and is refreshed every few
 * seconds while the engine lives. So a row is verdict and heartbeat in one; a lost or
 * repeated one is made good by the next, and no offsets have to be kept. */
#ifndef SERIN_ENGINE_ACT_ACT_H
#define SERIN_ENGINE_ACT_ACT_H

#include "engine/act/section.h"
#include "engine/bus/bus.h"

struct act_options {
    const struct section_policy *policy;
    const char *name;    /* of this actuator, in its acknowledgements */
    const char *rollout; /* only this one; NULL = all */
    const char *kind;    /* only targets of this kind; NULL = all */
    bool dry_run;        /* say what would be done; acknowledge nothing */
};

struct act; /* opaque */

/** o's texts and policy must live until act_close. Errors: SERIN_ENOMEM, SERIN_EIO. */
SERIN_MUST_USE
enum serin_status act_open(struct act **out, struct bus *b, const struct act_options *o,
                           struct fault *f);
/** Run until act_stop; survives every broker trouble. Errors: a dead client. */
SERIN_MUST_USE
enum serin_status act_run(struct act *a, struct fault *f);
/** Thread: any; async-signal-safe. */
void act_stop(struct act *a);
/** Weights that are in force stay: whoever follows takes them over, or the proxies' own
 * configuration does. */
void act_close(struct act *a);

#endif
