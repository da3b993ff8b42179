/* engine/replay/tune/sweep.h -- which values of a plan are tried, all with all
 *
 *   risk.false_abort=0.001,0.01; steps[*].worse_than=1.5,2; window=1s,5s
 *
 * A path as edit.h has it; [*] is every item that the key may stand in. A value is as
 * one would write it in the plan; a comma inside of brackets or quotes is its own. */
#ifndef SERIN_ENGINE_REPLAY_TUNE_SWEEP_H
#define SERIN_ENGINE_REPLAY_TUNE_SWEEP_H

#include "engine/core/plan.h"

enum { SWEEP_KEYS = 8, SWEEP_VALUES = 32, SWEEP_COMBINATIONS = 1000 };

struct sweep_key {
    const char *path;
    const char *values[SWEEP_VALUES];
    size_t columns[SWEEP_VALUES]; /* of the values, from 1 */
    size_t n;
    const char *targets[PLAN_MAX_METRICS]; /* paths without [*] */
    size_t n_targets;
};

/* Zero-initialise; texts live in the arena. */
struct sweep {
    struct sweep_key keys[SWEEP_KEYS];
    size_t n;
};

/**
 * Read a specification and check every value of it on the plan, alone and in all
 * combinations. text: of the plan.
 * Errors: SERIN_EPARSE, SERIN_EDOM: *f says what was found at which column, and what
 * was expected; SERIN_ELIMIT (too many), SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status sweep_parse(struct arena *a, const char *text, const char *spec,
                              struct sweep *out, struct fault *f);
/** How many; 1 where nothing is swept. */
size_t sweep_combinations(const struct sweep *s);
/** Value of key k in combination i; the last key changes fastest. */
const char *sweep_value(const struct sweep *s, size_t i, size_t k);
/** The plan's text in combination i. Errors: as edit_set. */
SERIN_MUST_USE
enum serin_status sweep_apply(struct arena *a, const struct sweep *s, const char *text,
                              size_t i, const char **out, struct fault *f);
/** Is this path among the targets? */
bool sweep_has(const struct sweep *s, const char *path);

#endif
