/* engine/core/evidence.h -- what the windows so far say, metric by metric */
#ifndef SERIN_ENGINE_CORE_EVIDENCE_H
#define SERIN_ENGINE_CORE_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/core/calibrate.h"
#include "engine/core/plan.h"
#include "engine/core/riskset.h"
#include "stats/dispersion.h"
#include "stats/floor.h"
#include "stats/grid.h"
#include "stats/horizon.h"
#include "stats/onset.h"
#include "stats/profile.h"

enum { EVIDENCE_CANARY, EVIDENCE_BASELINE };
enum {
    EVIDENCE_INFORMATIVE = 6,  /* windows with evidence that a step needs */
    EVIDENCE_BOUNDS_APART = 20 /* cells in a row: no deployment that is under way */
};

/* Chance of ever holding a canary that is not too good, by metric. */
#define EVIDENCE_TOO_GOOD 1e-3

struct kind;
struct kind_window;

/* One metric. */
struct evidence {
    const struct plan_metric *metric;
    const struct plan *plan;
    const struct kind *kind; /* who writes `all` to `own` */
    const struct grid *grid;
    double phi;                  /* frozen before the first weight; 1 until then */
    struct dispersion_pool pool; /* what it was measured from; pairs 0: it is given */
    struct profile all;          /* the whole rollout; `informative` of every kind */
    double
        begun[GRID_MAX]; /* all.l when this step began: the rest is its own evidence */
    uint64_t begun_informative;
    struct onset onset;        /* of `all` */
    struct floor floor, limit; /* d = 0: none */
    struct riskset *risk;      /* of a metric per user; else NULL */
    void *own;                 /* what else the kind keeps; on the heap, or NULL */
    struct dispersion_watch watch;
    struct count_table counts; /* of this step */
    int64_t seen_ms[2];        /* event time of each cohort's latest data */
    uint64_t since[2];         /* the other cohort's units since then */
    bool ever[2];
    bool accepted; /* somebody has looked at how good it is: not asked again */
    double
        bounds_ratio; /* widest quotient of the bounds that values came by; 0: none */
    uint64_t bounds_id[2];  /* by which ones each cohort's latest values came */
    uint32_t bounds_apart;  /* these have differed in so many cells in a row */
    int64_t informative_ms; /* end of the latest window with evidence */
    /* Not state: odds ratio limits as shown in rows, and when they were worked out. */
    double lower, upper;
    int64_t limits_ms;
};

/* All metrics of a rollout. */
struct evidence_set {
    struct evidence *metrics; /* n */
    size_t n;
    struct grid *grids; /* one for each distinct w_a */
    size_t n_grids;
    struct horizon horizon;
    int8_t
        tolerance[PLAN_MAX_STEPS]; /* step -> index of its w_s in the grid; -1 none */
    const struct plan *plan;
};

/* What a metric says about the present step. Natural logarithms. */
struct evidence_values {
    double abort; /* min(E_abort, E_floor), half of it E_limit when there is a limit */
    double harm;  /* its relative part: min(E_abort, E_floor) */
    double limit; /* E_limit; 0 when there is none */
    double
        promote; /* min over s' <= s of the carried evidence; 0 without a tolerance */
    double restart; /* the evidence of this step alone */
};

/**
 * Make room for a plan's metrics. Errors: SERIN_EDOM (why names the metric and what to
 * do), SERIN_ENOMEM; *s is empty then.
 */
SERIN_MUST_USE
enum serin_status evidence_open(struct evidence_set *s, const struct plan *p,
                                struct fault *why);
void evidence_close(struct evidence_set *s);
/** Forget all evidence, keep phi and what was seen of each cohort. */
void evidence_reset(struct evidence_set *s);
/** Fix the horizon for windows of this length: a function of plan and length. */
void evidence_horizon(struct evidence_set *s, int64_t window_ms);
/** A new step begins: its own evidence, counts and freshness start here, at now. */
void evidence_step(struct evidence_set *s, int64_t now_ms);
/** The weight changed within a step: only freshness starts again at now. */
void evidence_wait(struct evidence_set *s, int64_t now_ms);

/** The metric counts for abort (mode gate). */
bool evidence_gates(const struct evidence *e);
/** Promotion needs it: mode gate, and named by criteria.all_of when that is given. */
bool evidence_protected(const struct evidence *e);
/**
 * Fold one closed window of one metric, all strata; call it for every window.
 * Errors: SERIN_EDOM: a defect; hold, never promote.
 */
SERIN_MUST_USE
enum serin_status evidence_window(struct evidence_set *s, size_t metric,
                                  const struct kind_window *w);
/** Of a metric per user: fold in who of a batch of new users came again; call it when
 * the split is by chance. Errors: SERIN_EDOM: a defect. */
SERIN_MUST_USE
enum serin_status evidence_returns(struct evidence_set *s, size_t metric);
/** Values at the step (0-based). NaN anywhere is a defect. */
void evidence_values(const struct evidence_set *s, size_t metric, size_t step,
                     struct evidence_values *v);
/**
 * A metric lets the step (0-based, with a tolerance) pass: enough windows and requests,
 * within its absolute limit, carried and restarted evidence both at beta.
 */
bool evidence_passes(const struct evidence_set *s, size_t metric, size_t step);
/** Every metric that promotion needs passes: those of all_of, and one of any_of where
 * that names metrics only. False when it needs none. */
bool evidence_all_pass(const struct evidence_set *s, size_t step);
/** A metric of criteria.any_of passes. */
bool evidence_any_passes(const struct evidence_set *s, size_t step);
/** Without a comparison: enough of the canary's requests, and within its absolute
 * limit. */
bool evidence_alone(const struct evidence_set *s, size_t metric);
/** log of the weighted average over the gating metrics: the abort statistic. */
double evidence_abort(const struct evidence_set *s);
/**
 * Metric to blame at level alpha (closed averaging); -1: none on its own.
 */
int evidence_blame(const struct evidence_set *s, double alpha);
/** Windows with evidence in this step. */
uint64_t evidence_informative(const struct evidence *e);
/** Events over fixed pods: hearing nothing of a cohort is no silence by itself. */
bool evidence_sparse(const struct evidence *e);
/** Units of both cohorts in this step, of the protected metric that has most of them.
 */
double evidence_units(const struct evidence_set *s);
/** Canary and baseline report by different bounds, and go on doing so. */
bool evidence_bounds_differ(const struct evidence *e);
/** The metric is better than it should be, and nobody has accepted that. */
bool evidence_suspicious(const struct evidence *e);
/**
 * When harm relative to the baseline began: start of its window into *ms, from the part
 * with the most evidence. Returns the log likelihood ratio to "never"; 0: none, *ms as
 * it was. Ref: [ONSET] in stats/README.md
 */
double evidence_onset(const struct evidence *e, int64_t *ms);
/** Largest phi. */
double evidence_phi(const struct evidence_set *s);

#endif
