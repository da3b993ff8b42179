/* ingest/decode/otlp.h -- what a point of OpenTelemetry means, in samples */
#ifndef SERIN_INGEST_DECODE_OTLP_H
#define SERIN_INGEST_DECODE_OTLP_H

#include "ingest/aggregate.h"
#include "ingest/decode/otlp_wire.h"

/** The metric that spans are: their durations, in milliseconds. */
#define OTLP_SPAN_METRIC "span.duration"

/** Is it a sample at all? No recorded value, and spans of other kinds than SERVER, are
 * none. */
bool otlp_counts(const struct otlp_stream *stream, const struct otlp_point *p);
/** Add a point that counts to its series. */
void otlp_add(struct aggregate *a, struct aggregate_series *s,
              const struct otlp_stream *stream, const struct otlp_point *p);

#endif
