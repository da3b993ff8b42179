/* engine/replay/report/report_series.h -- the curves of one metric, as coarse as a
 * picture */
#ifndef SERIN_ENGINE_REPLAY_REPORT_REPORT_SERIES_H
#define SERIN_ENGINE_REPLAY_REPORT_REPORT_SERIES_H

#include "engine/replay/report/report_data.h"
#include "engine/replay/report/report_page.h"

/* clang-format off */
#define REPORT_SERIES(X) /* column; NAN: not known then */ \
    X(T) X(CANARY_N) X(BASELINE_N) X(CANARY_BAD) X(BASELINE_BAD) /* since the last one */ \
    X(CANARY) X(BASELINE) X(TOLERANCE)  /* level: share, rate, mean; of latency p99 */ \
    X(CANARY_P50) X(BASELINE_P50) \
    X(ESTIMATE) X(LOWER) X(UPPER) X(WORSE_THAN) \
    X(ABORT) X(ABORT_AT) X(PROMOTE) X(PROMOTE_AT) X(RESTART) X(LIMIT) \
    X(MORE) X(LESS) X(BELOW) X(ABOVE) X(ASKED_AT) \
    X(WEIGHT) X(OBSERVED) X(SRM) X(SRM_AT)
#define X(name) REPORT_##name,
enum report_column { REPORT_SERIES(X) REPORT_NCOLUMN };
#undef X
/* clang-format on */

enum report_level { REPORT_SHARE, REPORT_RATE, REPORT_MEAN, REPORT_VALUE };
/** What the level of a metric of this kind is; shares in percent, values in ms. */
enum report_level report_series_level(const char *kind);

struct report_series {
    double *at[REPORT_NCOLUMN]; /* n each */
    size_t n;
};

/**
 * Metric i (of r->metrics) in at most `want` pieces of its time: counts are summed,
 * all else is as at a piece's end. SIZE_MAX: no metric, the columns of the rollout
 * alone. In the page's memory.
 */
struct report_series report_series(const struct report *r, struct report_page *p,
                                   size_t i, size_t want);
/** Fold the i-th metric's tolerance onto its baseline level. */
double report_series_tolerance(enum report_level level, double baseline, double times,
                               bool down);

#endif
