/* engine/replay/scene/shift.c -- coordinates: value = 2^(x / 2^scale), so that bucket i
 * is (i, i + 1] */
#include "engine/replay/scene/shift.h"

#include <math.h>

#include "stats/elem.h"

/* Where values may go, of one histogram. */
struct grid {
    const struct shift_bounds *bounds; /* NULL: every whole number is an edge */
    double per_octave;                 /* buckets */
    double step;                       /* edges beyond those that were seen */
};

static double log2_of(double v)
{
    return elem_log(v) / M_LN2;
}

/* ---------------------------------------------------------------- edges */

static bool seen(const struct shift_bounds *b, int32_t bucket)
{
    uint32_t at = (uint32_t)(bucket - BUCKETS_LOW);
    return (b->seen[at / 64] >> at % 64 & 1) != 0;
}

void shift_learn(struct shift_bounds *b, const pb_cell *c)
{
    const pb_histogram *h = c->hist;
    if (h == NULL || !(c->bounds_ratio > 0) || h->scale != BUCKETS_SCALE) return;
    for (size_t i = 0; i < h->n_counts; i++) {
        int64_t bucket = (int64_t)h->offset + (int64_t)i;
        if (h->counts[i] == 0 || bucket < BUCKETS_LOW || bucket > BUCKETS_HIGH)
            continue;
        uint32_t at = (uint32_t)(bucket - BUCKETS_LOW);
        b->seen[at / 64] |= UINT64_C(1) << at % 64;
    }
}

/* The first edge above x. */
static double above(const struct grid *g, double x)
{
    int32_t top = BUCKETS_LOW - 1;
    double from = floor(x);
    if (g->bounds == NULL) return from + 1;
    int32_t first = from < BUCKETS_LOW    ? BUCKETS_LOW
                    : from > BUCKETS_HIGH ? BUCKETS_HIGH + 1
                                          : (int32_t)from;
    for (int32_t i = first; i <= BUCKETS_HIGH; i++)
        if (seen(g->bounds, i)) return i + 1;
    for (int32_t i = BUCKETS_LOW; i < first; i++)
        if (seen(g->bounds, i)) top = i;
    return top + 1 + (floor((x - top - 1) / g->step) + 1) * g->step;
}

/* The edge below the bucket that ends at x. */
static double below(const struct grid *g, double x)
{
    if (g->bounds == NULL) return x - 1;
    for (int32_t i = (int32_t)x - 2; i >= BUCKETS_LOW; i--)
        if (i <= BUCKETS_HIGH && seen(g->bounds, i)) return i + 1;
    return x - g->step;
}

/* ---------------------------------------------------------------- values */

static double forth(const struct shift *s, const struct grid *g, double x)
{
    if (!s->adds) return x + g->per_octave * log2_of(s->amount);
    double v = elem_exp(x / g->per_octave * M_LN2) + s->amount;
    return g->per_octave * log2_of(v);
}

/* -inf: no value goes so low. */
static double back(const struct shift *s, const struct grid *g, double x)
{
    if (!s->adds) return x - g->per_octave * log2_of(s->amount);
    double v = elem_exp(x / g->per_octave * M_LN2) - s->amount;
    return v > 0 ? g->per_octave * log2_of(v) : (double)-INFINITY;
}

static bool put(struct buckets *to, struct arena *a, double edge, uint64_t n)
{
    struct buckets_view one = {.scale = to->scale,
                               .offset = (int32_t)fmin(edge - 1, 1e6),
                               .numbers = &n,
                               .n = 1};
    return n == 0 || buckets_merge(to, a, &one, 1);
}

/* n values anywhere in (from, to], into the edges that they get to. */
static bool spread(const struct shift *s, const struct grid *g, double from, double to,
                   uint64_t n, struct arena *a, struct draw *d, struct buckets *out)
{
    for (double edge = above(g, forth(s, g, from)); n > 0; edge = above(g, edge)) {
        double upto = fmin(to, back(s, g, edge));
        uint64_t here = n;
        if (upto < to)
            here = draw_binomial(d, n, upto > from ? (upto - from) / (to - from) : 0);
        if (!put(out, a, edge, here)) return false;
        n -= here;
        from = fmax(from, upto);
    }
    return true;
}

static bool shift_zeros(const struct shift *s, const struct grid *g,
                        const struct buckets *in, struct arena *a, struct draw *d,
                        struct buckets *out, uint64_t *moved)
{
    uint64_t hit = s->adds ? draw_binomial(d, in->zero, s->part) : 0;
    out->zero += in->zero - hit;
    out->total += in->zero - hit;
    *moved += hit;
    return hit == 0 ||
           put(out, a, above(g, g->per_octave * log2_of(s->amount) - 1e-9), hit);
}

bool shift_cell(const struct shift *s, const struct shift_bounds *bounds,
                struct arena *a, struct draw *d, pb_cell *c, uint64_t *moved)
{
    struct buckets in = {.scale = BUCKETS_SCALE}, out;
    pb_histogram *h = c->hist;
    uint64_t hits = 0;
    if (h == NULL) return true;
    struct buckets_view v = {h->scale, h->offset, h->zero_count,
                             NULL,     h->counts, h->n_counts};
    if (!buckets_merge(&in, a, &v, 1)) return false;
    bool explicit = c->bounds_ratio > 0 && in.scale == BUCKETS_SCALE;
    struct grid g = {explicit ? bounds : NULL, ldexp(1, in.scale), 1};
    if (explicit) g.step = fmax(1, round(g.per_octave * log2_of(c->bounds_ratio)));
    out = (struct buckets){.scale = in.scale};
    if (!shift_zeros(s, &g, &in, a, d, &out, &hits)) return false;
    for (uint32_t i = 0; i < in.n; i++) {
        uint64_t n = in.counts[i];
        if (n == 0) continue;
        uint64_t hit = draw_binomial(d, n, s->part);
        double edge = in.offset + (double)i + 1;
        if (!put(&out, a, edge, n - hit) ||
            !spread(s, &g, below(&g, edge), edge, hit, a, d, &out))
            return false;
        hits += hit;
    }
    *h = (pb_histogram){.base = h->base,
                        .scale = out.scale,
                        .zero_count = out.zero,
                        .offset = out.offset,
                        .n_counts = out.n,
                        .counts = out.counts};
    *moved += hits;
    return true;
}
