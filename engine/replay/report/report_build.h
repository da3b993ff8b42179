/* engine/replay/report/report_build.h -- what stands on a report's page, in which order
 */
#ifndef SERIN_ENGINE_REPLAY_REPORT_REPORT_BUILD_H
#define SERIN_ENGINE_REPLAY_REPORT_REPORT_BUILD_H

#include "engine/replay/report/report_data.h"
#include "engine/replay/report/report_page.h"

/** The whole page, every curve in at most `points` pieces; see p->failed. */
void report_build(const struct report *r, size_t points, struct report_page *p);
/** The sections of metric i of r->metrics: its plots, each with its numbers. */
void report_metric(const struct report *r, size_t i, size_t points,
                   struct report_page *p);
/** Begin and end of what curves are drawn over. */
void report_build_span(const struct report *r, struct plot *plot);
/** Verdicts as marks: harm, safe, all else. */
void report_build_marks(const struct report *r, struct plot *plot);
/** "2026-12-01 09:00:00 UTC"; 0: "-". */
const char *report_build_time(struct report_page *p, int64_t ms);
/** Four digits; "-" for what is not known, "no limit" for what is infinite. */
const char *report_build_number(struct report_page *p, double x);

#endif
