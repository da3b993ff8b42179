/* engine/core/kind_gauge.h -- what a gauge keeps; for snapshots and tests */
#ifndef SERIN_ENGINE_CORE_KIND_GAUGE_H
#define SERIN_ENGINE_CORE_KIND_GAUGE_H

#include "engine/core/batch.h"
#include "stats/gauge.h"

/* Means and sums of squares about them, over batches: d is how much worse the canary
 * is, b the size of the baseline. */
struct gauge_moments {
    double t, canary, baseline; /* batches; means of the cohorts */
    double d, a, dd, da, aa;
    double before, lag; /* d of the latest batch; sum of products of neighbours */
};
enum { GAUGE_MOMENTS = sizeof(struct gauge_moments) / sizeof(double) };

struct gauge_own {
    struct batch batch;
    struct gauge_moments all, step;
};

/** Add a batch. sign: 1 when more is worse, else -1. */
void kind_gauge_add(struct gauge_moments *m, double canary, double baseline, int sign);
/** The sequence d - tolerance * a, with its mean and its own variance. */
struct gauge kind_gauge_against(const struct gauge_moments *m, double tolerance);

/**
 * More batches until the promote sequence suffices at level beta, after t with this sum
 * of r |b_i| - d_i, when every coming one adds `each` > 0; v: its variance. +inf beyond
 * a million. GAUGE_MIN_BATCHES in all at least.
 */
double kind_gauge_needs(double t, double sum, double each, double v, double beta);
/** Neighbouring batches resemble each other more than chance would have them. */
bool kind_gauge_correlated(const struct gauge_moments *m);

#endif
