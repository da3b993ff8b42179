/* stats/srm.h -- sample-ratio check: did traffic split as commanded? */
#ifndef SERIN_STATS_SRM_H
#define SERIN_STATS_SRM_H

#include <stdint.h>

#include "engine/base/status.h"

enum { SRM_POINTS = 14 };

/*
 * Interval null: the canary's share lies in rho (1 -+ eps) in every window; rho may
 * change from window to window. Value type; only srm_*() write it; to keep it, save
 * eps, up, down.
 */
struct srm {
    double eps;
    double up[SRM_POINTS];   /* log likelihood ratios: share above the interval … */
    double down[SRM_POINTS]; /* … and below it */
};

/** 0 <= eps < 1; SERIN_EDOM otherwise, *s unchanged. */
SERIN_MUST_USE
enum serin_status srm_init(struct srm *s, double eps);
/**
 * Fold one window of requests (or users).
 * rho     share of the current step, in (0, 1], fixed before the window
 * c, b    canary, baseline; each <= COUNT_MAX
 * eta     tempering of this check, 0 < eta <= 1
 * Errors  SERIN_EDOM, *s unchanged.   Thread: any, one writer.   Ref: [SRM]
 */
SERIN_MUST_USE
enum serin_status srm_window(struct srm *s, double rho, uint64_t c, uint64_t b,
                             double eta);
double srm_log_up(const struct srm *s);   /* share too large */
double srm_log_down(const struct srm *s); /* share too small */
/** log E against the interval, both directions; alarm at alpha_srm. */
double srm_log_e(const struct srm *s);

/*
 * Point null: the share is exactly rho. Value type; to keep it, save every field.
 */
struct srm_point {
    double k;      /* concentration of the Beta prior around rho; 100 is usual */
    double closed; /* log Bayes factors of finished shares */
    double rho;    /* share of the open factor; 0 = none yet */
    uint64_t c, b; /* its counts */
};
/** 0 < k < inf; SERIN_EDOM otherwise, *s unchanged. */
SERIN_MUST_USE
enum serin_status srm_point_init(struct srm_point *s, double k);
/** As srm_window, not tempered. A new share starts a new factor. Ref: [SRMP] */
SERIN_MUST_USE
enum serin_status srm_point_window(struct srm_point *s, double rho, uint64_t c,
                                   uint64_t b);
double srm_point_log_e(const struct srm_point *s);
/**
 * One factor of it: log of the Bayes factor of a Beta(k rho, k (1 - rho)) share against
 * rho, from c of c + b; counts need not be whole (tempering). 0 < rho < 1.
 */
double srm_point_factor(double k, double rho, double c, double b);

#endif
