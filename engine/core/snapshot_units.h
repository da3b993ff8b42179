/* engine/core/snapshot_units.h -- units and batches of gauges, to messages and back */
#ifndef SERIN_ENGINE_CORE_SNAPSHOT_UNITS_H
#define SERIN_ENGINE_CORE_SNAPSHOT_UNITS_H

#include "engine/core/batch.h"
#include "engine/core/snapshot_latency.h"

typedef Serin__V1__UnitState pb_unit_state;
typedef Serin__V1__BatchState pb_batch_state;

/** List of n units; *bad when the arena is full. */
pb_unit_state **snapshot_units(struct arena *a, const struct unitsum *at, size_t n,
                               bool *bad);
/** False: too many, a unit without readings, a sum that is not finite. */
bool snapshot_load_units(struct unitsum *at, uint32_t *n, pb_unit_state *const *m,
                         size_t n_m);
pb_batch_state *snapshot_batch(struct arena *a, const struct batch *b, bool *bad);
bool snapshot_load_batch(struct batch *b, const pb_batch_state *m);

#endif
