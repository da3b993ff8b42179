/* engine/replay/tune/tune.h -- every combination of some values of a plan, judged on
 * recorded traffic: how often it cries wolf, what it finds and when, and how long it
 * takes
 *
 * Harmless canaries are splits of the recorded baseline (split.h), by requests and by
 * windows, and the recorded pairs of cohorts as they are. Bad ones are the same splits
 * by requests with a fault injected, and recordings of faults as they are. The same
 * recordings, plan, options and seed give the same result on any number of threads;
 * every combination meets the same splits. */
#ifndef SERIN_ENGINE_REPLAY_TUNE_TUNE_H
#define SERIN_ENGINE_REPLAY_TUNE_TUNE_H

#include "engine/replay/tune/deck.h"
#include "engine/replay/tune/measure.h"
#include "engine/replay/tune/sweep.h"

enum { TUNE_FAULTS = 16, TUNE_RECORDED = 512, TUNE_TASKS = 1000000 };

/* A recording of a fault that is known. */
struct tune_recorded {
    const char *name;
    const struct tape *tape;
    int64_t onset_ms; /* an abort before is a false one */
};

struct tune_options {
    struct deck_options on; /* harmless recordings: cohorts that are alike */
    const char *sweep;      /* NULL: the plan as it is */
    const char *const *inject;
    size_t n_inject;
    const struct tune_recorded *faults;
    size_t n_faults;
    bool as_given;     /* phi and pods of the plan stay; else they are measured */
    const char *state; /* file of the results; NULL: none */
    /* Asked now and then; true: end here, to go on another time. NULL: never. */
    bool (*stop)(void *ctx, size_t done, size_t all);
    void *ctx;
};

/* Times in seconds over all runs: of those where it did not come, +inf. */
struct tune_times {
    double p50, p90;
};

struct tune_share { /* of runs, with exact 95 % limits */
    unsigned k, n;
    double lower, upper;
};

struct tune_found { /* of one fault */
    struct tune_share found;
    unsigned early; /* aborted before it began */
    struct tune_times time, requests,
        hurt; /* requests: of the canary, from the onset */
};

struct tune_edit {
    char path[192], value[96];
};

/* What the recordings say at one length of windows; by metric of the plan, 0: nothing.
 */
struct tune_measured {
    int64_t window_ms;
    struct measured of;
    bool paired;             /* cohorts were compared: windows alone do not rule out */
    struct tune_edit *edits; /* what is written into plans of such windows */
    size_t n_edits;
};

struct tune_row { /* one combination */
    size_t number;
    size_t measured;  /* of its windows */
    const char *text; /* of its plan */
    double alpha;
    struct tune_share requests, windows, recorded; /* false aborts */
    unsigned promoted;
    struct tune_times promote; /* a healthy one, from its first weight */
    char why[24]; /* most frequent last verdict of healthy ones that were undecided */
    struct tune_found injected[TUNE_FAULTS];
    struct tune_share faults; /* recorded ones, found */
    unsigned early;
    bool admissible; /* false aborts are within alpha */
    bool front;      /* no other combination is better in all */
};

struct tune {
    struct sweep sweep;
    struct tune_measured *measured; /* the first at the plan's own windows */
    size_t n_measured;
    struct tune_row *rows; /* by combination */
    size_t n_rows;
    size_t tasks, resumed; /* rehearsals; of them found in the state */
    int best;              /* row of the suggestion; -1: none is admissible */
};

/**
 * Errors: SERIN_AGAIN (stop said so), SERIN_EDOM, SERIN_EPARSE, SERIN_ELIMIT (*f: what
 * was asked for does not fit plan or recordings), SERIN_EIO (the state), SERIN_ENOMEM.
 * All of *out lives in the arena.
 */
SERIN_MUST_USE
enum serin_status tune_run(struct arena *a, const struct tune_options *o,
                           struct tune *out, struct fault *f);

#endif
