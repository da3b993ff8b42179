/* stats/random_effect.h -- few pods: a null that lets the canary differ by pod luck
 *
 * log offset u ~ N(0, tau^2) is drawn once per run on top of theta <= theta_a. */
#ifndef SERIN_STATS_RANDOM_EFFECT_H
#define SERIN_STATS_RANDOM_EFFECT_H

#include "engine/base/status.h"
#include "stats/profile.h"

#define RANDOM_EFFECT_TAU_MIN 0.1
#define RANDOM_EFFECT_TAU_MAX 0.3

/** tau = sigma_pod sqrt(1/P_c + 1/P_b), pods of canary and baseline, each > 0. */
double random_effect_tau(double sigma_pod, double pods_c, double pods_b);
/**
 * log E against the random-effect null, from a profile's l alone (no start mixture).
 * tau in [0.1, 0.3]: outside the mixture ratio is not monotone, which validity needs;
 * for larger tau raise w_a. Errors: SERIN_EDOM, *log_e unchanged.   Ref: [RE]
 */
SERIN_MUST_USE
enum serin_status random_effect_log_e(const struct profile *p, const struct grid *g,
                                      double tau, double *log_e);
/** Ceiling of the evidence about pods_c of `pods`: log of the number of assignments. */
double random_effect_ceiling(unsigned pods, unsigned pods_c);

#endif
