/* stats/quantile.c -- [QUANT] */
#include "stats/quantile.h"

#include <math.h>
#include <stdbool.h>

#include "stats/level.h"
#include "stats/srm.h"

/* The mixture is Beta(k p, k (1 - p)) with as much as so many values on the rarer side:
 * narrow enough to cost little at thousands of values, wide enough for dozens. */
static const double rarer_side = 10;

double quantile_log_e(double below, double n, double p, double eta)
{
    double k = rarer_side / fmin(p, 1 - p);
    return srm_point_factor(k, p, eta * below, eta * (n - below));
}

/* Edge e of 0..v->n: the lower end of the first bucket, then each one's upper end. */
struct edges {
    const struct hist_view *v;
    uint64_t below[HIST_ROOM + 1]; /* values at or below edge e */
    double n, p, side, eta;        /* side: level of one of the two limits */
};

static double edge_value(const struct edges *s, size_t e)
{
    return hist_edge(s->v->scale, s->v->offset + (int32_t)e - 1);
}

static bool rejected(const struct edges *s, double below)
{
    return level_crossed(quantile_log_e(below, s->n, s->p, s->eta), s->side);
}

/* Edges that the quantile is surely above: the first so many. */
static size_t surely_above(const struct edges *s)
{
    size_t from = 0, to = s->v->n + 1;
    while (from < to) {
        size_t mid = (from + to) / 2;
        double below = (double)s->below[mid];
        if (below < s->p * s->n && rejected(s, below))
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

/* The first edge that the quantile is surely not above; v->n + 1: none. */
static size_t surely_below(const struct edges *s)
{
    size_t from = 0, to = s->v->n + 1;
    while (from < to) {
        size_t mid = (from + to) / 2;
        double below = (double)s->below[mid];
        if (below > s->p * s->n && rejected(s, below))
            to = mid;
        else
            from = mid + 1;
    }
    return from;
}

static bool share(double x)
{
    return x > 0 && x < 1;
}

static bool view_ok(const struct hist_view *v)
{
    return v->n <= HIST_ROOM && v->scale >= HIST_SCALE_MIN &&
           v->scale <= HIST_SCALE_MAX;
}

enum serin_status quantile_limits(const struct hist_view *v, double p, double level,
                                  double eta, struct quantile_limits *out)
{
    struct edges s = {.v = v, .p = p, .side = level / 2, .eta = eta};
    if (!share(p) || !share(level) || !(eta > 0 && eta <= 1) || !view_ok(v))
        return SERIN_EDOM;
    s.below[0] = v->zero;
    for (size_t i = 0; i < v->n; i++)
        s.below[i + 1] = s.below[i] + v->counts[i];
    s.n = (double)s.below[v->n];
    *out = (struct quantile_limits){.upper = HUGE_VAL};
    if (s.below[v->n] == 0) return SERIN_OK;
    size_t above = surely_above(&s), below = surely_below(&s);
    out->at = hist_quantile(v, p);
    if (above > 0) out->lower = edge_value(&s, above - 1);
    /* What lies at or below the first edge is all zeros. */
    if (below == 0) out->upper = 0;
    if (below > 0 && below <= v->n) out->upper = edge_value(&s, below);
    return SERIN_OK;
}

struct quantile_limits quantile_shift(const struct quantile_limits *canary,
                                      const struct quantile_limits *baseline)
{
    const struct quantile_limits *c = canary, *b = baseline;
    struct quantile_limits out = {.upper = HUGE_VAL};
    if (b->at > 0) out.at = c->at / b->at;
    if (b->upper > 0) out.lower = c->lower / b->upper; /* 0 / 0: nothing but zeros */
    if (b->lower > 0) out.upper = c->upper / b->lower;
    return out;
}
