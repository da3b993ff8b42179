/* stats/gauge.h -- difference of a gauge between cohorts, by batch means (asymptotic)
 *
 * Holds asymptotically, with batches about independent. A batch should last ten
 * correlation times of the gauge: with five, false alarms are .024 at .01 and .075 at
 * .05. */
#ifndef SERIN_STATS_GAUGE_H
#define SERIN_STATS_GAUGE_H

#include <stdint.h>

#include "engine/base/status.h"

enum { GAUGE_MIN_BATCHES = 8 };

/* Value type; start zeroed; only gauge_add writes it; to keep it, save every field. */
struct gauge {
    uint64_t t;  /* batches */
    double mean; /* of the differences d_i: canary pod mean less baseline pod mean */
    double m2;   /* sum of squares about the mean */
};

enum gauge_state {
    GAUGE_READY,
    GAUGE_FEW, /* fewer than GAUGE_MIN_BATCHES: E = 1 */
    GAUGE_FLAT /* no variance at all: E = 1, a reason to report */
};

/** Add a batch's difference; SERIN_EDOM when not finite, *g unchanged. */
SERIN_MUST_USE
enum serin_status gauge_add(struct gauge *g, double difference);
enum gauge_state gauge_state(const struct gauge *g);
/** Sample variance, divisor t - 1; 0 below two batches. */
double gauge_variance(const struct gauge *g);

/** Tuning of the normal mixture: tightest near t_opt batches at level a. */
double gauge_rho2(double a, double t_opt);
/** log E of the one-sided mixture; s sum of differences less t tolerances, v variance.
 */
double gauge_mixture(double s, double t, double v, double rho2);
/** log E against "mean difference <= tolerance"; 0 unless GAUGE_READY. Ref: [GAU] */
double gauge_log_abort(const struct gauge *g, double tolerance, double rho2);
/** log E against "mean difference >= tolerance"; 0 unless GAUGE_READY. */
double gauge_log_promote(const struct gauge *g, double tolerance, double rho2);
/** The interval is mean -+ this, two-sided at level a; +inf unless GAUGE_READY. */
double gauge_half_width(const struct gauge *g, double rho2, double a);

#endif
