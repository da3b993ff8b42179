/* engine/replay/tune/rehearse.h -- a plan judged once on a tape, under a random split
 * and with faults injected, and what came of it */
#ifndef SERIN_ENGINE_REPLAY_TUNE_REHEARSE_H
#define SERIN_ENGINE_REPLAY_TUNE_REHEARSE_H

#include "engine/replay/tune/split.h"

/* What is usual on a tape: of each metric of the plan that is a latency, the p99 of the
 * baseline in ms. */
struct rehearse_usual {
    double p99_ms[PLAN_MAX_METRICS];
};

struct rehearse {
    const struct tape *tape;
    const struct rehearse_usual *usual;
    const char *text; /* of the plan, and parsed */
    const struct plan *plan;
    int64_t max_lag_ms; /* 0 = the fold's */
    struct split split; /* share 0: as the plan commands */
    const char *inject; /* faults as inject.h says, after the split; NULL: none */
};

enum rehearse_end { REHEARSE_UNDECIDED, REHEARSE_PROMOTED, REHEARSE_ABORTED };

/* Times in ms of the tape; 0: it never came. */
struct rehearsed {
    int64_t start_ms; /* the first weight */
    int64_t end_ms;   /* the final verdict; undecided: the tape's end */
    int64_t onset_ms; /* … or, if it is later, the begin of what is injected */
    uint64_t canary; /* requests to it from then on (of the metric that has most) … */
    uint64_t hurt;   /* … and how many more of them were bad, or above the usual p99,
                      * than without the injection (of the metric that has most) */
    int64_t window_ms; /* judged with */
    uint8_t end;       /* enum rehearse_end */
    char reason[23];   /* of the last verdict */
};

SERIN_MUST_USE
enum serin_status rehearse_usual(const struct tape *t, const struct plan *p,
                                 struct rehearse_usual *out);
/**
 * One rehearsal. An experiment that is won or lost counts as aborted, one without
 * difference as promoted. Thread: any. Errors: SERIN_EDOM (*f: the plan cannot be
 * judged, or the faults do not fit), SERIN_EPARSE (the faults), SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status rehearse(const struct rehearse *r, struct rehearsed *out,
                           struct fault *f);

#endif
