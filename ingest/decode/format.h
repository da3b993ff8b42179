/* ingest/decode/format.h -- one record of an input topic into the aggregate
 *
 * A decoder checks the whole record before it adds the first sample: a record counts
 * completely or, refused with a reason, not at all. */
#ifndef SERIN_INGEST_DECODE_FORMAT_H
#define SERIN_INGEST_DECODE_FORMAT_H

#include "ingest/aggregate.h"

enum format { FORMAT_AUTO, FORMAT_SERIN, FORMAT_JSON, FORMAT_COUNT };

/** "auto", "serin" or "json"; false for anything else. */
bool format_parse(const char *name, enum format *out);
/**
 * Decode one record. auto: '{' or '[' as the first byte that is no blank means json.
 * Call aggregate_message first. Errors: SERIN_EPARSE with *why, nothing was added then.
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

#endif
