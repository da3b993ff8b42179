/* ingest/survey.h -- what a topic holds, and what rollouts would find in it
 *
 * For people who set serin up: feed it routes, then records, then ask for the report.
 */
#ifndef SERIN_INGEST_SURVEY_H
#define SERIN_INGEST_SURVEY_H

#include <jansson.h>

#include "ingest/decode/format.h"

struct survey; /* opaque; thread: one */

/** in: what the topic's records do not say; kept, not copied. SERIN_ENOMEM */
SERIN_MUST_USE
enum serin_status survey_open(struct survey **out, const struct aggregate_input *in);
void survey_close(struct survey *s);
/**
 * A rollout that will be looked for, if its route is live; it takes the place of an
 * earlier row of the same rollout. *row must live as long as the survey. Errors: those
 * of route_table_put.
 */
SERIN_MUST_USE
enum serin_status survey_rollout(struct survey *s, const pb_rollout *row,
                                 struct fault *f);
/** A rollout that was deleted. */
void survey_forget(struct survey *s, struct strview rollout);
/** One record; what it is refused for is part of the report. max: its largest size. */
void survey_record(struct survey *s, enum format f, const void *record, size_t n,
                   size_t max, int64_t now_ms);
/**
 * The report, a new reference (NULL: out of memory): {"records", "samples", "formats":
 * {name: records}, "refused": [{"reason", "records", "detail"}], "metrics": [{"name",
 * "series", "samples", "kinds": []}], "attributes": [{"key", "values", "examples"}],
 * "rollouts": [{"rollout", "canary": series, "baseline": series, "metrics": [{"name",
 * "from", "canary": samples, "baseline": samples}], "missing": [sentence]}]}
 */
json_t *survey_report(struct survey *s);

#endif
