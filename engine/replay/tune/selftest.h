/* engine/replay/tune/selftest.h -- would this plan cry wolf on this traffic?
 *
 * The baseline of recordings is split at random, many times, and judged as a release;
 * it cannot be worse than itself, so every abort is false. Where there are more of them
 * than the plan allows, what helps is tried, and measured in the same way. */
#ifndef SERIN_ENGINE_REPLAY_TUNE_SELFTEST_H
#define SERIN_ENGINE_REPLAY_TUNE_SELFTEST_H

#include "engine/replay/tune/deck.h"
#include "engine/replay/tune/measure.h"

enum {
    SELFTEST_CASES = 3,
    SELFTEST_REMEDIES = 4,
    SELFTEST_EDITS = 2 * PLAN_MAX_METRICS + 1
};

struct selftest_rate {
    unsigned runs, aborted, promoted;
    unsigned started;    /* reached their first weight */
    double lower, upper; /* exact, 95 % */
    bool over;           /* even the lower limit is above alpha */
    char why[24];        /* most frequent last verdict of those that were undecided */
};

/* A value of the plan, as edit_set takes it. */
struct selftest_edit {
    char path[192], value[MEASURE_PODS];
};

struct selftest_remedy {
    const char *name; /* phi, window, pods, tolerance, per_user */
    struct selftest_edit *edits;
    size_t n_edits;
    struct selftest_rate rate; /* with it */
};

struct selftest_case {
    enum split_how how;
    struct selftest_rate rate;
    struct selftest_remedy remedies[SELFTEST_REMEDIES]; /* tried in this order … */
    size_t n_remedies;
    int holds; /* … until one is not over: its index; -1: none */
};

struct selftest {
    double alpha;
    int64_t window_ms; /* judged with */
    struct selftest_case cases[SELFTEST_CASES];
    size_t n_cases;
    struct measured measured;
};

struct selftest_options {
    struct deck_options on;
    const struct feed_options *sources; /* what the tapes were read from */
    /* Told now and then, what and how far; NULL: nobody. */
    void (*progress)(void *ctx, const char *what, size_t done, size_t runs);
    void *ctx;
};

/**
 * Errors: SERIN_EDOM (*f: the plan or the recordings do not allow it), SERIN_ENOMEM.
 * Texts of *out live in the arena. The same options give the same result on any number
 * of threads.
 */
SERIN_MUST_USE
enum serin_status selftest_run(struct arena *a, const struct selftest_options *o,
                               struct selftest *out, struct fault *f);
/** "requests", "windows", "units". */
const char *selftest_how(enum split_how how);

#endif
