/* engine/replay/tune/stand.h -- a plan made ready to be judged on tapes: nobody is
 * asked, nothing is waited for */
#ifndef SERIN_ENGINE_REPLAY_TUNE_STAND_H
#define SERIN_ENGINE_REPLAY_TUNE_STAND_H

#include "engine/core/plan.h"

struct stand {
    const char *text; /* judged by */
    const struct plan *plan;
};

/**
 * text       of a plan
 * unchecked  the recorded split is taken as it is
 * Errors: SERIN_EPARSE (*f: the first thing that is wrong with the plan), SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status stand(struct arena *a, const char *text, bool unchecked,
                        struct stand *out, struct fault *f);
/** Probability that a harmless canary ever aborts: alpha, of an experiment its level.
 */
double stand_alpha(const struct plan *p);

#endif
