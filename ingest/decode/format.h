/* ingest/decode/format.h -- one record of an input topic into the aggregate
 *
 * A decoder checks the whole record before it adds the first sample: a record counts
 * completely or, refused with a reason, not at all. */
#ifndef SERIN_INGEST_DECODE_FORMAT_H
#define SERIN_INGEST_DECODE_FORMAT_H

#include "ingest/aggregate.h"

/* clang-format off */
#define FORMAT_MAP(X) \
    X(AUTO, "auto") X(SERIN, "serin") X(JSON, "json") X(INFLUX, "influx") \
    X(PROMETHEUS, "prometheus_rw") X(OTLP_PROTO, "otlp_proto") X(OTLP_JSON, "otlp_json")
#define X(name, text) FORMAT_##name,
enum format { FORMAT_MAP(X) FORMAT_COUNT };
#undef X
/* clang-format on */

/** Its name in serin.yaml; never NULL. */
const char *format_name(enum format f);
/** The format of that name; false when there is none, *out is untouched then. */
bool format_parse(const char *name, enum format *out);
/** What a record's content type says; `otherwise` when it is empty or not known. */
enum format format_of_type(struct strview content_type, enum format otherwise);
/** What `auto` takes a record for: json, otlp_json, otlp_proto, else serin. */
enum format format_guess(const void *record, size_t n);
/**
 * Decode one record. Call aggregate_message first. Errors: SERIN_EPARSE with *why,
 * nothing was added then.
 */
SERIN_MUST_USE
enum serin_status format_decode(enum format f, struct aggregate *a, const void *record,
                                size_t n, struct reject *why);

/** serin.v1.Batch, in place. As format_decode. */
SERIN_MUST_USE
enum serin_status serin_decode(struct aggregate *a, const void *record, size_t n,
                               struct reject *why);
/** An object, an array of objects, or lines of either. As format_decode. */
SERIN_MUST_USE
enum serin_status json_decode(struct aggregate *a, const void *record, size_t n,
                              struct reject *why);

/** Lines of InfluxDB's line protocol, as Telegraf writes them. As format_decode. */
SERIN_MUST_USE
enum serin_status influx_decode(struct aggregate *a, const void *record, size_t n,
                                struct reject *why);

/** Prometheus remote write 1.0: a snappy block of a WriteRequest. As format_decode. */
SERIN_MUST_USE
enum serin_status prometheus_decode(struct aggregate *a, const void *record, size_t n,
                                    struct reject *why);

/** OpenTelemetry's export requests, metrics or traces: as protobuf, in place, or as
 * JSON, which may be several with blanks between them. otlp_proto takes what begins
 * with '{' for JSON. As format_decode. */
SERIN_MUST_USE
enum serin_status otlp_proto_decode(struct aggregate *a, const void *record, size_t n,
                                    struct reject *why);
SERIN_MUST_USE
enum serin_status otlp_json_decode(struct aggregate *a, const void *record, size_t n,
                                   struct reject *why);

#endif
