/* engine/replay/source/matrix.h -- answers of Prometheus' /api/v1/query_range, by time
 *
 *   {"status":"success","data":{"resultType":"matrix","result":[
 *     {"metric":{"__name__":"http_requests_total","code":"200"},
 *      "values":[[1760000000,"17"],[1760000015,"23"]]}]}}
 *
 * One answer has one series behind the other, each over the whole range; what reads
 * them wants time to pass once. So it is all kept, and given out time by time, each as
 * a remote-write request, which ingest decodes: counters and histograms by their rise,
 * gauges as readings. */
#ifndef SERIN_ENGINE_REPLAY_SOURCE_MATRIX_H
#define SERIN_ENGINE_REPLAY_SOURCE_MATRIX_H

#include "engine/base/status.h"
#include "engine/base/strview.h"
#include "engine/replay/source/columns.h"

enum { MATRIX_MAX_BYTES = 64 << 20 }; /* of answers, as text */

struct matrix; /* opaque; thread: one */

/**
 * text  one answer or several, one behind the other; not needed afterwards
 * map   constants only: metric=:NAME for series without __name__, attributes.K=:V for
 *       all; NULL: none
 * Errors: SERIN_EPARSE (no such answer: *f says what it is), SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status matrix_open(struct matrix **out, struct strview text,
                              const struct columns *map, struct fault *f);
void matrix_close(struct matrix *m);
/** All samples of the next time; lives until the next call. SERIN_AGAIN: this was all.
 * Errors: SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status matrix_next(struct matrix *m, struct strview *request,
                              struct fault *f);
int64_t matrix_time(const struct matrix *m);   /* of the samples given last, ms */
uint64_t matrix_given(const struct matrix *m); /* samples so far, and in all */
uint64_t matrix_size(const struct matrix *m);

#endif
