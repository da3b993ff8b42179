/* stats/combine.h -- several e-values at once: metrics of a rollout, rollouts of a
 * fleet */
#ifndef SERIN_STATS_COMBINE_H
#define SERIN_STATS_COMBINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

enum { COMBINE_MAX = 256 };

/**
 * log of the weighted average of e-values, valid under any dependence: the abort rule.
 * weight  n weights > 0, fixed before the run, normalised here; NULL = equal
 * A metric without data has log_e = 0 and keeps its weight. n = 0 gives 0 (E = 1).
 * NaN in log_e gives NaN, which never crosses a level.   Ref: [AVG]
 */
double combine_average(const double *log_e, const double *weight, size_t n);
/**
 * Familywise attribution (closed averaging): adjusted log e of every metric; blame k
 * when it crosses alpha. Errors: SERIN_EDOM for n > COMBINE_MAX or NaN. Ref: [CLOSED]
 */
SERIN_MUST_USE
enum serin_status combine_closed(const double *log_e, size_t n, double *adjusted);
/**
 * e-BH at false discovery rate alpha: marks the rejected, returns how many in *count.
 * Errors: as combine_closed, or alpha outside (0, 1). Ref: [EBH]
 */
SERIN_MUST_USE
enum serin_status combine_ebh(const double *log_e, size_t n, double alpha,
                              bool *rejected, size_t *count);
/**
 * e-BH of any number of values: how many of the first are rejected.
 * descending  n logs, none NaN, largest first.   0 < alpha < 1.   Ref: [EBH]
 */
size_t combine_ebh_count(const double *descending, size_t n, double alpha);
/** e-LOND weight of rollout j >= 1; sums to .976. Ref: [ELOND] */
double combine_elond_gamma(uint64_t j);
/**
 * log threshold of rollout t >= 1: log 1/(alpha gamma_t (R + 1)), R = discoveries
 * finished before it started.
 */
double combine_elond_threshold(double alpha, uint64_t t, uint64_t discoveries);

#endif
