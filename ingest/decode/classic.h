/* ingest/decode/classic.h -- classic histograms of Prometheus, bucket by bucket
 *
 * Each bucket is a counter of its own, up to a bound ("le"), whoever carries it. */
#ifndef SERIN_INGEST_DECODE_CLASSIC_H
#define SERIN_INGEST_DECODE_CLASSIC_H

#include "ingest/aggregate.h"

#define CLASSIC_SUFFIX "_bucket"

/** Is this the name of a histogram's buckets? *histogram: the histogram's own. */
bool classic_name(struct strview name, struct strview *histogram);
/** The number in a text "le"; false: it is none. */
bool classic_bound(struct strview le, double *out);
/**
 * One bucket of the run's series; with the last one of its time the histogram counts by
 * what it rose. Begin the run with AGGREGATE_HISTS.
 * upto  units at most le, as they came: no number of units is poison
 */
void classic_add(struct aggregate *a, struct aggregate_run *r, int64_t t_ms, double le,
                 double upto);

#endif
