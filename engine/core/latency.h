/* engine/core/latency.h -- evidence of a latency metric, from histograms
 *
 * Abort: half from ranks, half from the mean of six exceedance levels. Promote: the
 * least of the protected levels, each an odds ratio like any other. Thresholds come
 * from the past baseline of all strata together -- any function of the past is valid,
 * and one past learns faster than many -- while each window's counts and ranks are
 * taken stratum by stratum.
 *
 * `direction: down`, where faster is worse, exchanges the cohorts in all of it. `both`
 * averages the abort for slower with `fast`, the one for faster, half the level each.
 */
#ifndef SERIN_ENGINE_CORE_LATENCY_H
#define SERIN_ENGINE_CORE_LATENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/core/calibrate.h"
#include "engine/core/plan.h"
#include "stats/exceedance.h"
#include "stats/floor.h"
#include "stats/mann_whitney.h"
#include "stats/onset.h"

/* One stratum of a closed window; the buckets are someone else's. */
struct latency_stratum {
    struct hist_view canary, baseline;
};

/* About 120 KiB. To keep it, save all but what follows from the plan: metric, allows,
 * protects, first, last; of `past` what exceedance.h names. */
struct latency {
    const struct plan_metric *metric;
    bool allows; /* a tolerance on values: `allowed` is in use */
    bool protects[EXCEEDANCE_LEVELS];
    int first, last; /* lowest and highest protected level */
    struct exceedance past;
    struct mann_whitney ranks;
    struct profile levels[EXCEEDANCE_LEVELS];  /* canary values shifted up to abort */
    struct profile allowed[EXCEEDANCE_LEVELS]; /* shifted down to promote */
    double begun[EXCEEDANCE_LEVELS][GRID_MAX]; /* l of the ones that promote */
    struct onset onset[EXCEEDANCE_LEVELS + 1]; /* of levels, then ranks */
    struct profile fast[2]; /* faster, at first and last: cohorts exchanged */
    struct floor limits[EXCEEDANCE_LEVELS]; /* d = 0: none */
    struct hist step[2];                    /* of this step: canary, baseline */
    double ratio; /* widest quotient of explicit bounds in the source; 0 or 1: exact */
    int32_t fixed_scale;              /* thresholds at which bursts are counted … */
    int32_t fixed[EXCEEDANCE_LEVELS]; /* … fixed with the first past there is */
    bool has_fixed;
    struct calibrate calibrate[EXCEEDANCE_LEVELS];
};

/** Start clean. Errors: SERIN_EDOM (why: a quantile named twice or unknown). */
SERIN_MUST_USE
enum serin_status latency_init(struct latency *l, const struct plan_metric *m,
                               struct fault *why);
/** Forget all evidence; keep what the past baseline was like. */
void latency_reset(struct latency *l);
/** A new step begins. */
void latency_step(struct latency *l);
/**
 * Fold one closed window; call it for every window.
 * eta      1/phi, of every part alike
 * start_s  the window's begin
 * watched  out: both cohorts' counts at the fixed threshold of the last protected
 *          level, in the baseline's place: what the dispersion watch follows. Bursts
 *          show in the tail; a median moves with the load, which is no burst
 * Errors   SERIN_EDOM: a defect
 */
SERIN_MUST_USE
enum serin_status latency_window(struct latency *l, const struct grid *g,
                                 const struct horizon *h,
                                 const struct latency_stratum *strata, size_t n,
                                 double eta, uint32_t start_s,
                                 struct count_table *watched);
/** As evidence_onset, in start_s: of ranks or levels, whichever has most evidence. */
double latency_onset(const struct latency *l, const struct grid *g, uint32_t *s);
/** Windows in which some level had evidence. */
uint64_t latency_informative(const struct latency *l);

/** log E: the combination for abort, in the direction that the plan says. */
double latency_log_abort(const struct latency *l, const struct grid *g);
/** The plan has an absolute limit for some quantile. */
bool latency_limited(const struct latency *l);
/** log E: mean over the limited quantiles; 0 without any. */
double latency_log_limit(const struct latency *l);
/**
 * log E that the canary is faster than the baseline by more than `too_good` (direction
 * both: `abort_over`) at the lowest or the highest protected level: mean of the two,
 * whole rollout, start unknown. Direction down: 0, that is its abort.
 */
double latency_log_fast(const struct latency *l, const struct grid *g);
/** What it says is that the canary is faster: direction down, or both and clearly so.
 */
bool latency_faster(const struct latency *l, const struct grid *g);
/** Of the two, the level with more of it. */
int latency_fastest(const struct latency *l, const struct grid *g);
/** No limited quantile of this step's canary is beyond its limit. */
bool latency_within(const struct latency *l);
/** log E at tolerance s of the grid: least of the protected levels, whole rollout. */
double latency_log_promote(const struct latency *l, const struct grid *g, size_t s);
/** The same from this step's windows only. */
double latency_log_restart(const struct latency *l, const struct grid *g, size_t s);

/** Seconds until the slowest protected level suffices, as kind.h says of `left`: each
 * level at the share that is beyond its present threshold. */
double latency_left(const struct latency *l, const struct grid *g, size_t s, double w_s,
                    double beta, double span_s, double eta);

/** Protected level with the largest estimated odds ratio of harm: the one to report. */
int latency_worst(const struct latency *l, const struct grid *g);
/** Evidence of a level as it promotes. */
const struct profile *latency_profile(const struct latency *l, int level);
/** "p50", …, "p999". */
const char *latency_level_name(int level);
/** Quantile of this step's cohort, ms: upper edge of its bucket; 0 when empty. */
double latency_quantile(const struct latency *l, int cohort, double q);
/** The tolerance on values that aborts, in whole buckets: 1 = none. */
double latency_over(const struct latency *l);
/** Limited quantile with the strongest evidence; -1: none is limited. */
int latency_beyond(const struct latency *l);

/**
 * Learn from one closed window of the baseline before the first weight; arguments as
 * calibrate_window. Errors: SERIN_EDOM.
 */
SERIN_MUST_USE
enum serin_status latency_calibrate(struct latency *l, int64_t fixed_ms,
                                    int64_t start_ms,
                                    const struct latency_stratum *strata, size_t n);
/** Largest dispersion of the protected levels; as calibrate_phi. */
bool latency_phi(const struct latency *l, int64_t fixed_ms, int64_t length_ms,
                 bool settle_for, double *phi);
/** What it is measured from: the level that gave it. */
struct dispersion_pool latency_pool(const struct latency *l, int64_t fixed_ms,
                                    int64_t length_ms);

#endif
