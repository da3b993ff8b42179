/* engine/stage/part.h -- the inbox partitions that this process owns */
#ifndef SERIN_ENGINE_STAGE_PART_H
#define SERIN_ENGINE_STAGE_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/fold.h"

/* WAITING: assigned, nothing known yet   RESTORING: its state is being read
 * LIVE: records are applied              FENCED: a later owner has been seen */
enum part_state { PART_WAITING, PART_RESTORING, PART_LIVE, PART_FENCED };

struct part {
    int32_t id;
    enum part_state state;
    struct fold *fold; /* LIVE only */
    struct effects fx; /* of records applied since the last commit */
    int64_t next;      /* next inbox offset to apply */
    int64_t committed; /* the group's offset when it was restored; never commit less */
    uint64_t epoch;    /* stamped on snapshots and ticks */
    bool claimed;      /* the epoch stands in serin.state */
    bool from_nothing; /* no row was restored: a hole before the first record is none */
    int64_t since_ms;  /* monotonic: when it began to wait, or was fenced */
};

/* Zero-initialise. Thread: one. */
struct part_set {
    struct part **items;
    size_t n, room;
    struct fold_counts past; /* of folds since dropped */
};

struct part *part_find(const struct part_set *set, int32_t id);
/** WAITING; a partition already there stays as it is. SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status part_add(struct part_set *set, int32_t id);
/** Back to WAITING: fold and pending effects are thrown away. */
void part_drop(struct part_set *set, struct part *p);
void part_drop_all(struct part_set *set);
void part_remove(struct part_set *set, int32_t id);
/** Gives all memory back; the set is empty then. */
void part_clear(struct part_set *set);
/** How many are in this state. */
size_t part_count(const struct part_set *set, enum part_state state);
/** Sums over all folds there are and were; rollouts and live of those there are. */
struct fold_counts part_totals(const struct part_set *set);

#endif
