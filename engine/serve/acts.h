/* engine/serve/acts.h -- the handlers that write a command into the inbox (private) */
#ifndef SERIN_ENGINE_SERVE_ACTS_H
#define SERIN_ENGINE_SERVE_ACTS_H

#include "engine/serve/api.h"

/** POST /v1/rollouts: lint the plan, then send APPLY and wait for its outcome. */
void acts_apply(struct api *api, const struct request *q, const char *id,
                struct reply *r);
/** POST /v1/rollouts/R/VERB for every other verb; the verb is the path's last part. */
void acts_command(struct api *api, const struct request *q, const char *id,
                  struct reply *r);
/**
 * "5%", "5" or "0.25 %" as basis points. False unless it is a number of percent in
 * [0, 100] with at most two decimals; *bp unchanged then.
 */
bool acts_weight(const char *text, uint32_t *bp);

#endif
