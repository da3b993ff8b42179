/* engine/core/figures.h -- the numbers of a rollout as messages: for verdicts and rows
 */
#ifndef SERIN_ENGINE_CORE_FIGURES_H
#define SERIN_ENGINE_CORE_FIGURES_H

#include "engine/core/rollout.h"

#define FIGURES_SRM_ALPHA 1e-3 /* level of the sample-ratio alarm */

/**
 * Every metric's counts, estimate, limits and evidence at the present step. fresh: work
 * the limits out again (O(grid^2)); otherwise they may be as old as half a minute.
 * Errors: SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status figures_metrics(struct rollout *r, struct arena *a, bool fresh,
                                  int64_t now_ms, pb_metric_verdict ***out, size_t *n);
/** NULL in *out when there is no check. Errors: SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status figures_ratio(const struct rollout *r, struct arena *a,
                                pb_sample_ratio **out);
/** Share of the canary seen in this step, basis points; -1 before any traffic. */
double figures_observed_bp(const struct rollout *r);
/** Rough time until this step can end, ms; -1 unknown. */
int64_t figures_eta_ms(const struct rollout *r, int64_t now_ms);

#endif
