/* stats/fnch_sum.h -- kernels behind fnch.h: log normalisers at four odds ratios at
 * once
 *
 * Internal to stats/. c(x) = C(n,x) C(m,k-x); no log-factorial is ever formed. */
#ifndef SERIN_STATS_FNCH_SUM_H
#define SERIN_STATS_FNCH_SUM_H

#include <stdint.h>

/* One table in doubles: uint64_t products overflow above 4e9^2. */
struct fnch_table {
    double n, m, k;
    double lo, hi; /* support of x */
};

struct fnch_table fnch_sum_table(uint64_t n, uint64_t m, uint64_t k);
/** c(x + 1) / c(x), lo <= x <= hi; exactly 0 at hi. */
double fnch_sum_ratio(const struct fnch_table *t, double x);
/** log c(b)/c(a) in O(1): factors where an argument is small, Stirling elsewhere. */
double fnch_sum_climb(const struct fnch_table *t, double a, double b);

/* Four nodes, ascending, neighbours at most 0.3 apart (or equal). */
struct fnch_group {
    double theta[4], w[4];
    double mode[4]; /* an anchor only: a few units off is harmless */
    double sd[4];   /* there; within .2 % of the truth above 16 */
};
/** Fill mode and sd from w. */
void fnch_sum_anchor(const struct fnch_table *t, struct fnch_group *q);
double fnch_sum_widest(const struct fnch_group *q);

/* Ratios c(x+1)/c(x) for x = from + i, i < count, shared by the groups of one table;
 * start with count = 0. */
enum { FNCH_SUM_ROOM = 8192 };
struct fnch_ratios {
    double from;
    int count;
    double r[FNCH_SUM_ROOM];
};

/* Both write log sum_x c(x)/c(center) e^{theta (x - center)} of the four nodes to out.
 */
/** Every term, by recurrence. Needs sd <= 36: beyond, the four nodes overflow. */
void fnch_sum_shared(const struct fnch_table *t, const struct fnch_group *q,
                     struct fnch_ratios *r, double center, double *out);
/** Every h-th term, h = sd / 1.5. Needs sd >= 16 at each node. */
void fnch_sum_strided(const struct fnch_table *t, const struct fnch_group *q,
                      double center, double *out);

#endif
