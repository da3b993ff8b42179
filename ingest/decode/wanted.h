/* ingest/decode/wanted.h -- for formats whose numbers do not say what they are
 *
 * A field of a line, a series of Prometheus: the plans say whether it is a count, a
 * latency or a reading. */
#ifndef SERIN_INGEST_DECODE_WANTED_H
#define SERIN_INGEST_DECODE_WANTED_H

#include "ingest/aggregate.h"

/** Does any metric of this kind ask for the series? */
static inline bool wanted_as(const struct aggregate_series *s, enum route_kind kind)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->targets[i].metric->kind == kind) return true;
    return false;
}

#endif
