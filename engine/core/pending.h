/* engine/core/pending.h -- counts of windows that are still open, merged from 1 s cells
 */
#ifndef SERIN_ENGINE_CORE_PENDING_H
#define SERIN_ENGINE_CORE_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/core/binned.h"
#include "engine/core/riskset.h"
#include "engine/core/unitsum.h"
#include "stats/profile.h"

/* On the heap. */
struct pending_units {
    uint32_t n, room;
    struct unitsum at[];
};

/* One window, metric and stratum; both cohorts. */
struct pending_cell {
    int64_t start_ms;
    uint32_t metric;
    uint16_t stratum;
    bool by_unit; /* the readings of a gauge, not histograms */
    bool by_user; /* users, not histograms; c is worked out when the window closes */
    struct count_table c;
    union { /* canary, baseline; NULL = none */
        struct binned *hist[2];
        struct pending_units *units[2];
        struct riskset_users *users[2];
    };
};

/* Sorted by window, metric, stratum. Zero-initialise; pending_free when done. */
struct pending {
    struct pending_cell *cells;
    size_t n, room, max;         /* max: cells kept at most, fixed at birth */
    size_t buckets, max_buckets; /* of all histograms; max: fixed at birth */
    size_t units, max_units;     /* likewise of all lists of units */
    size_t users, max_users;     /* likewise of all lists of users */
};

enum {
    PENDING_CELLS_PER_METRIC = 576,     /* 36 KiB a metric */
    PENDING_BUCKETS_PER_LATENCY = 8192, /* 64 KiB a latency metric */
    PENDING_UNITS_PER_GAUGE = 8192,     /* 192 KiB a gauge */
    PENDING_USERS_PER_METRIC = 16384,   /* 128 KiB a metric per user */
    PENDING_FINE = 512 /* buckets of a histogram at most; fewer when room gets scarce */
};

void pending_free(struct pending *p);
/**
 * Add one cohort's counts to a window. cohort: 0 canary, 1 baseline.
 * Errors: SERIN_ELIMIT (no room for a new cell, or the sum passes COUNT_MAX) and
 * SERIN_ENOMEM; *p unchanged.
 */
SERIN_MUST_USE
enum serin_status pending_add(struct pending *p, int64_t start_ms, uint32_t metric,
                              uint32_t stratum, int cohort, uint64_t n, uint64_t bad);
/**
 * The same with the histogram of a latency: n = its total, none bad. It is kept at
 * scale 5 or coarser, the coarser the less room is left. kept: comes from here (a
 * snapshot), is taken as it is. Errors: as above; SERIN_ELIMIT also when the room is
 * used up.
 */
SERIN_MUST_USE
enum serin_status pending_add_hist(struct pending *p, int64_t start_ms, uint32_t metric,
                                   uint32_t stratum, int cohort,
                                   const struct hist_view *v, bool kept);
/**
 * The same with readings by unit: n = the sum of theirs. Errors: as above; SERIN_ELIMIT
 * also when the room for units is used up.
 */
SERIN_MUST_USE
enum serin_status pending_add_units(struct pending *p, int64_t start_ms,
                                    uint32_t metric, uint32_t stratum, int cohort,
                                    const struct unitsum *units, size_t n);
/** What a cell carries beside counts; NULL when there is nothing of this sort. */
const struct binned *pending_hist(const struct pending_cell *c, int cohort);
const struct pending_units *pending_units(const struct pending_cell *c, int cohort);
/**
 * The same with users (riskset_sane), those below 2^(64 - thin); it counts none.
 * Errors: as above; SERIN_ELIMIT also when there may not be room for all of them:
 * pending_thin makes some.
 */
SERIN_MUST_USE
enum serin_status pending_add_users(struct pending *p, int64_t start_ms,
                                    uint32_t metric, uint32_t stratum, int cohort,
                                    const uint64_t *users, size_t n, uint32_t thin);
/** Of a metric's users keep those below 2^(64 - thin). */
void pending_thin(struct pending *p, uint32_t metric, uint32_t thin);
/** Users of a cohort; NULL: none. */
const struct riskset_users *pending_users(const struct pending_cell *c, int cohort);
/** Cells of the window that starts at start_ms, all at the front; 0 when it is empty.
 */
size_t pending_front(const struct pending *p, int64_t start_ms);
/** Forget the first n cells. */
void pending_drop(struct pending *p, size_t n);
/**
 * Go over to windows of window_ms, a multiple of the present ones. Counts are kept.
 * Errors: SERIN_ENOMEM; *p can only be freed then.
 */
SERIN_MUST_USE
enum serin_status pending_rebin(struct pending *p, int64_t window_ms);
/** Start of the window of length window_ms that holds t, for negative t too. */
int64_t pending_floor(int64_t t, int64_t window_ms);

#endif
