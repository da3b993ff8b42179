/* engine/replay/scene/shift.h -- the values of a histogram made larger or smaller
 *
 * Of a value no more is known than its bucket. It is taken to lie anywhere in it, on a
 * logarithmic scale, and is drawn anew into the buckets that its changed value may be
 * in: right in the mean, off by a bucket at most (2.2 % at scale 5). Where values came
 * by explicit bounds the buckets are those between the bounds seen so far. */
#ifndef SERIN_ENGINE_REPLAY_SCENE_SHIFT_H
#define SERIN_ENGINE_REPLAY_SCENE_SHIFT_H

#include <stdbool.h>

#include "engine/base/arena.h"
#include "engine/core/draw.h"
#include "ingest/buckets.h"
#include "proto/messages.h"

enum { SHIFT_WORDS = (BUCKETS_HIGH - BUCKETS_LOW) / 64 + 1 };

/* Buckets at scale 5 that explicit bounds end in. Zero-initialise. */
struct shift_bounds {
    uint64_t seen[SHIFT_WORDS];
};

/** Remember the bounds of a cell that has explicit ones (bounds_ratio > 0). */
void shift_learn(struct shift_bounds *b, const pb_cell *c);

struct shift {
    bool adds;     /* ms; else a factor > 0 */
    double amount; /* of adds > 0 */
    double part;   /* of the values, at random, in (0, 1] */
};

/**
 * Change the values of a cell's histogram; *moved grows by how many were.
 * bounds  as learnt, of cells with explicit ones
 * False: the arena is full; the cell is as it was.
 */
bool shift_cell(const struct shift *s, const struct shift_bounds *bounds,
                struct arena *a, struct draw *d, pb_cell *c, uint64_t *moved);

#endif
