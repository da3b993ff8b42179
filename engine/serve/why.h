/* engine/serve/why.h -- the inequality that decided, in sentences and as JSON */
#ifndef SERIN_ENGINE_SERVE_WHY_H
#define SERIN_ENGINE_SERVE_WHY_H

#include <jansson.h>

#include "proto/messages.h"

/* serin.explain/1: {"schema","rollout","id","verdict","state","reason","message",
 * "sentences":[…],"inequalities":[{"metric","about":"abort|promote|promote_restarted|
 * limit|sample_ratio|more|less|below|above","left","op":">=","right","holds"}]}.
 * Evidence in nats. New references; NULL when memory is out. */

/** Why this verdict was given. */
json_t *why_verdict(const pb_verdict *v);
/** Where the rollout stands now, and what is missing for the next step. */
json_t *why_status(const pb_rollout *r);

#endif
