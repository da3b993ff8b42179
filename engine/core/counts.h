/* engine/core/counts.h -- what the kinds share that are one profile of counts */
#ifndef SERIN_ENGINE_CORE_COUNTS_H
#define SERIN_ENGINE_CORE_COUNTS_H

#include "engine/core/evidence.h"
#include "engine/core/kind.h"

/* They work on e->all, begun, floor and limit; see struct kind for each. With
 * `direction: down` the profile is that of the opposite: whoever folds turns the tables
 * (counts_turn, or the cohorts change places), whoever reports turns back. */

/** Errors: SERIN_EDOM: floor or limit outside (0, 1). */
SERIN_MUST_USE
enum serin_status counts_open(struct evidence *e, struct fault *why);
void counts_reset(struct evidence *e);
void counts_step(struct evidence *e);
/** The opposite is counted as bad. */
struct count_table counts_turn(struct count_table c);
/** Fold tables that are turned already. Errors: SERIN_EDOM. */
SERIN_MUST_USE
enum serin_status counts_window(struct evidence *e, const struct horizon *h,
                                const struct count_table *tables, size_t n,
                                bool *informed);
double counts_harm(const struct evidence *e);
bool counts_limited(const struct evidence *e);
double counts_limit(const struct evidence *e);
bool counts_within(const struct evidence *e);
double counts_promote(const struct evidence *e, size_t s);
double counts_restart(const struct evidence *e, size_t s);
double counts_estimate(const struct evidence *e);
void counts_limits(const struct evidence *e, double alpha, double beta, double *lower,
                   double *upper);
/** Of the opposite where fewer is worse. */
const struct profile *counts_profile(const struct evidence *e);
double counts_left(const struct evidence *e, size_t s, double w_s, double beta,
                   double span_s);
bool counts_phi(const struct evidence *e, const struct calibrate *c, int64_t fixed_ms,
                int64_t length_ms, bool settle_for, double *out);
/** "canary 1.02 % vs baseline 0.10 %", of units or of whatever n and m count. */
void counts_cohorts(const struct evidence *e, struct turn *t);
/** Bad of all; 0 without any. */
double counts_rate(uint64_t bad, uint64_t n);

#endif
