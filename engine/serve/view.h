/* engine/serve/view.h -- messages as the JSON that people and programs read */
#ifndef SERIN_ENGINE_SERVE_VIEW_H
#define SERIN_ENGINE_SERVE_VIEW_H

#include <jansson.h>

#include "engine/serve/fleet.h"
#include "proto/messages.h"

/* How every JSON text of serin is dumped: 15 digits, so that 0.05 stays 0.05. */
#define VIEW_DUMP (JSON_COMPACT | JSON_REAL_PRECISION(15))

/* New references; NULL when memory is out. Field names and order are fixed (README).
 * Infinite numbers become the strings "inf" and "-inf", since JSON has none; what is
 * not known (NaN, an estimated time that cannot be told) is null. Bytes that are not
 * UTF-8 become "?". Counts past 2^63 - 1 are shown as that. */
json_t *view_verdict(const pb_verdict *v); /* serin.verdict/1 */
json_t *view_status(const pb_rollout *r);  /* serin.status/1 */
json_t *view_fleet(const struct fleet *f); /* serin.fleet/1 */
/** A rollout among the others: null for e NULL. */
json_t *view_fleet_entry(const struct fleet_entry *e);

/** "PROMOTE", "ABORT", …; "UNKNOWN" for a kind of a later version. Never NULL. */
const char *view_kind(Serin__V1__Kind kind);
/** A text as JSON under the rules above; NULL text is "". */
json_t *view_text(const char *text);
/** A number as JSON under the rules above. */
json_t *view_number(double x);

#endif
