/* engine/serve/fleet.h -- all rollouts together: which of them are bad, when many are
 * judged?
 *
 * Every rollout keeps its own alpha and beta; a thousand harmless ones still give ten
 * false aborts at .01. Two levels for the whole fleet, for alerting only:
 *   e-LOND  over all rollouts ever, each tested at alpha_t from its start on: among the
 *           discoveries at most `level` are false in expectation, whatever the
 *           dependence between them
 *   e-BH    over those that are live, by their evidence now
 * The index t is the place in the order of starts (then of ids), so it follows from the
 * rows alone and is the same in every process and after every restart. When a row is
 * deleted, those that started later move up and its discovery no longer counts: their
 * levels change. Keep the rows of a fleet whose level matters; they are small. */
#ifndef SERIN_ENGINE_SERVE_FLEET_H
#define SERIN_ENGINE_SERVE_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/status.h"

/* One rollout that has had traffic. */
struct fleet_entry {
    const char *rollout;
    int64_t started_ms, ended_ms; /* ended_ms: 0 while it is live */
    double log_e, peak_log_e;     /* abort evidence now, and the largest so far */
    /* Found by fleet_judge: */
    uint64_t index;   /* t, from 1 */
    double threshold; /* log 1/alpha_t */
    uint64_t earlier; /* discoveries finished before it started */
    bool discovery;   /* the largest evidence reached the threshold */
    bool flagged;     /* live, and rejected by e-BH */
};

struct fleet {
    struct fleet_entry *entries; /* n, by index */
    struct fleet_entry **by_id;  /* the same; found by fleet_judge */
    size_t n, live, discoveries;
    double level; /* in (0, 1) */
};

/**
 * Put the entries into order and judge them. f: entries, n and level are set; memory
 * comes from the arena. Errors: SERIN_ENOMEM. O(n log n). Ref: [ELOND], [EBH] in
 * stats/README.md
 */
SERIN_MUST_USE
enum serin_status fleet_judge(struct fleet *f, struct arena *a);
/** The entry of a rollout; NULL when it is not in the fleet. */
const struct fleet_entry *fleet_find(const struct fleet *f, const char *rollout);

#endif
