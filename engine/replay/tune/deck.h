/* engine/replay/tune/deck.h -- the tapes that a plan is rehearsed on, again and again,
 * and what has to be known of them before */
#ifndef SERIN_ENGINE_REPLAY_TUNE_DECK_H
#define SERIN_ENGINE_REPLAY_TUNE_DECK_H

#include "engine/replay/tune/rehearse.h"

/* What every series of rehearsals is asked for. */
struct deck_options {
    const char *text; /* the plan, and parsed */
    const struct plan *plan;
    const struct tape *const *tapes;
    size_t n;
    const char *by; /* attribute of the tapes' units; "" or NULL: none */
    double share;   /* of the canary; 0: as the plan commands */
    unsigned runs;  /* splits each way */
    uint64_t seed;
    unsigned threads;   /* 0: as many as there are cores */
    int64_t max_lag_ms; /* 0: the fold's */
};

struct deck {
    const struct deck_options *o;
    bool by;
    struct split_units units;
    struct rehearse_usual *usual; /* by tape */
};

/** What is known of the tapes. deck_close whatever it returns. Errors: SERIN_ELIMIT
 * (*f: too many units), SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status deck_open(struct arena *a, const struct deck_options *o,
                            struct deck *out, struct fault *f);
void deck_close(struct deck *d);
/** Length of the windows that a plan of this text is judged by, ms: its own, or as it
 * comes out on the first tape. Errors: as stand and rehearse. */
SERIN_MUST_USE
enum serin_status deck_window(struct arena *a, const struct deck *d, const char *text,
                              int64_t *window_ms, struct fault *f);
/** The canary's share in the first step. */
double deck_first_share(const struct deck_options *o);

#endif
