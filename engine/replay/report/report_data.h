/* engine/replay/report/report_data.h -- what a report knows; of report*.c alone */
#ifndef SERIN_ENGINE_REPLAY_REPORT_REPORT_DATA_H
#define SERIN_ENGINE_REPLAY_REPORT_REPORT_DATA_H

#include "engine/core/plan.h"
#include "engine/replay/report/report.h"

enum {
    REPORT_OF_CANARY,
    REPORT_OF_BASELINE,
    REPORT_POINTS = 1024, /* kept; beyond, every second one is dropped */
    REPORT_EVENTS = 512   /* verdicts and commands kept, the first and the latest */
};

/* One metric at one moment, of its step; NAN: not known. Names as in serin.verdict/1.
 */
struct report_figure {
    double n[2], bad[2], mean[2], p50[2], p99[2]; /* canary, baseline */
    double estimate, lower, upper;
    double abort_log_e, abort_threshold, promote_log_e, promote_threshold,
        restart_log_e;
    double limit_log_e, worse_than, abort_over;
    double more, less, below, above, threshold; /* an experiment's question */
};

struct report_point {
    int64_t t_ms;
    double step, weight_bp, observed_bp; /* observed < 0: no traffic seen */
    double srm_log_e, srm_threshold;
    struct report_figure *metrics; /* of the report's metrics; NULL: none yet */
};

struct report {
    char *source;
    struct arena arena; /* of the plan */
    struct plan *plan;  /* NULL: none, or not readable */
    json_t *status, *explain;
    json_t *verdicts, *commands, *metrics; /* metrics: the latest of each */
    uint64_t left_out;                     /* verdicts and commands not kept */
    struct report_point *points;
    size_t n, stride, skipped; /* every stride-th point is kept */
};

/** The i-th metric's direction says that less is worse. */
bool report_data_down(const struct report *r, const char *metric);
const char *report_data_text(const json_t *o, const char *key); /* "" when absent */
double report_data_number(const json_t *o, const char *key);    /* NAN when absent */
int64_t report_data_ms(const json_t *o, const char *key);       /* 0 when absent */
/** Name of the rollout; "" when nothing was told. */
const char *report_data_rollout(const struct report *r);

#endif
