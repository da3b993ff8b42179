/* stats/grid.h -- the grid of log odds ratios and the priors on it */
#ifndef SERIN_STATS_GRID_H
#define SERIN_STATS_GRID_H

#include <stddef.h>

#include "engine/base/status.h"
#include "stats/cheb.h"

enum {
    GRID_UNIFORM = 133,  /* theta = (i - 40) / 20 */
    GRID_MAX_STEPS = 32, /* tolerances w_s, repeats allowed */
    GRID_MAX = 168       /* 133 + 1 + 32, rounded up to whole vectors */
};

/*
 * Value type, read-only after grid_init; a function of (w_a, w_s) alone, so it is
 * rebuilt and never serialised. Points are ascending; beyond n the arrays repeat the
 * last point and carry no prior mass, so that loops may run over whole vectors.
 */
struct grid {
    size_t n;                  /* points in use */
    size_t j0, ja;             /* theta = 0; theta = log w_a */
    size_t n_s;                /* tolerances given */
    size_t js[GRID_MAX_STEPS]; /* theta = log w_s, by step */
    size_t jm;                 /* theta = -log w_s[0], after grid_init_around; else 0 */
    short uniform[GRID_MAX];   /* index of the uniform point; -1 - row for boundaries */
    double row[GRID_MAX_STEPS + 1][CHEB_NODES]; /* their interpolation weights */
    double theta[GRID_MAX];                     /* log odds ratio canary / baseline */
    double w[GRID_MAX];                         /* exp(theta) */
    double width[GRID_MAX];                     /* cell widths D_j */
    double log_pi[GRID_MAX];                    /* abort prior; -inf for j <= ja */
    double log_u[GRID_MAX];        /* promote prior before normalising … */
    double log_uz[GRID_MAX_STEPS]; /* … log q_j(s) = log_u[j] - log_uz[s], j < js[s] */
};

/**
 * Build grid and priors.
 * w_a    abort tolerance (odds ratio), 1 <= w_a <= 50; 1, or further than 1e-9 from it
 * w_s    n_s step tolerances, each in (w_a, 90]; any order, repeats allowed; n_s <= 32
 * Errors: SERIN_EDOM, *g unchanged.   Thread: any.   Ref: [GRID] in stats/README.md
 */
SERIN_MUST_USE
enum serin_status grid_init(struct grid *g, double w_a, const double *w_s, size_t n_s);
/**
 * Grid for the two-sided question whether w differs from 1: w_a = 1, boundaries at w =
 * 1 + margin (js[0]) and at its inverse (jm), points between the uniform ones so that
 * ratios near the margin can be told apart.
 * Errors: SERIN_EDOM unless GRID_MARGIN_MIN <= margin <= 1, *g unchanged.   Ref: [GRID]
 */
SERIN_MUST_USE
enum serin_status grid_init_around(struct grid *g, double margin);
#define GRID_MARGIN_MIN 1e-3
/** Unnormalised density of the abort prior at delta = theta - theta_a > 0. */
double grid_abort_bump(double delta);
#define GRID_BUMP_MAX 2.6 /* at most this anywhere: (.5 / .3 + 1 / 1.2), rounded up */
/**
 * Abort prior for the boundary at point i: log pi_j for j > i into out[0..n), -inf at
 * and below i. i < n - 1.
 */
void grid_abort_prior(const struct grid *g, size_t i, double *out);

#endif
