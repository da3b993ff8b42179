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

/** A point of this series is added soon: bring near what that looks at. */
static inline void otlp_ahead_far(const struct aggregate_series *s)
{
    __builtin_prefetch(s);
    __builtin_prefetch(&s->targets);
}
void otlp_ahead_near(struct aggregate *a, const struct aggregate_series *s,
                     const struct otlp_stream *stream);

#endif
