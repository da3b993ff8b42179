/* engine/replay/tune/split.h -- the baseline of a recording, split at random into two
 * cohorts that are alike: what a harmless canary looks like on this traffic
 *
 * What a split can show depends on what stays together. By requests, each one goes its
 * own way: dependence between requests is destroyed, so this shows drift, small counts
 * and the rules of the plan, and nothing of bursts. By windows, two neighbouring
 * windows become canary and baseline of one: what comes in bursts shorter than a window
 * stays whole. So do bursts that would have hit both cohorts alike, and what drifts
 * from one window to the next; the rate of false aborts that it gives errs upwards. By
 * units, whole values of an attribute (pods, tenants) go one way.
 *
 * Readings of pods and counts of users are split by pod and user whatever else is. */
#ifndef SERIN_ENGINE_REPLAY_TUNE_SPLIT_H
#define SERIN_ENGINE_REPLAY_TUNE_SPLIT_H

#include "engine/replay/tune/tape.h"

enum split_how { SPLIT_RECORDED, SPLIT_REQUESTS, SPLIT_WINDOWS, SPLIT_UNITS };
enum { SPLIT_MAX_UNITS = 1024 };

/* Units of a tape: names in readings, and last parts of strata. */
struct split_units {
    uint64_t *of_cells, *of_strata; /* hashes of their names, rising */
    size_t n_cells, n_strata;
};

/**
 * The units of several tapes together; split_units_free. by: strata end in a unit.
 * Errors: SERIN_ENOMEM, SERIN_ELIMIT (more than SPLIT_MAX_UNITS of either).
 */
SERIN_MUST_USE
enum serin_status split_units_of(const struct tape *const *tapes, size_t n, bool by,
                                 struct split_units *out);
/** The unit of a stratum: its last part. */
const char *split_unit_of(const char *stratum);
uint64_t split_unit_hash(const char *unit);
void split_units_free(struct split_units *u);
/** How many of n units are the canary's: the share, but one at least on either side. */
size_t split_units_share(size_t n, double share);

/* One random split. Value type. */
struct split {
    enum split_how how; /* SPLIT_RECORDED: as it is, both cohorts */
    bool by;            /* strata end in a unit: it is taken off */
    double share;       /* the canary's; 0: as the plan commands. Of windows a half */
    int64_t block_ms;   /* of windows */
    uint64_t seed;
    const struct split_units *units;
};

/** A change_fn; ctx is a const struct split. The recorded canary is left out. */
SERIN_MUST_USE
enum serin_status split_window(void *ctx, struct arena *a,
                               const struct change_window *w, pb_partial *p);

#endif
