/* stats/fnch_sum.c -- [FNCH] sums over the support, outward from the modes */
#include "stats/fnch_sum.h"

#include <stdbool.h>

#include "stats/elem.h"
#include "stats/vec.h"

static const double sum_tail =
    1e-19;                           /* terms below this share of the sum are dropped */
static const double sum_reach = 9.3; /* sd below the lowest mode where sums start … */
static const double sum_slack = 15;  /* … and this many more, for skewed laws */
static const double sum_peak = 250;  /* log of the largest term while summing */
static const double stirling_from = 32; /* smallest argument of the series */
static const double stride_per_sd = 1.5;

struct fnch_table fnch_sum_table(uint64_t n, uint64_t m, uint64_t k)
{
    return (struct fnch_table){.n = (double)n,
                               .m = (double)m,
                               .k = (double)k,
                               .lo = k > m ? (double)(k - m) : 0,
                               .hi = (double)(n < k ? n : k)};
}

double fnch_sum_ratio(const struct fnch_table *t, double x)
{
    return (t->n - x) * (t->k - x) / ((x + 1) * (t->m - t->k + x + 1));
}

/* Whole part of 0 <= x < 2^51. */
VEC_INLINE vec whole(vec x)
{
    vec near = (x + VEC_ROUND) - VEC_ROUND;
    return near - vec_pick((vec_bits)(near > x), vec_of(1), vec_of(0));
}

VEC_CLONES void fnch_sum_anchor(const struct fnch_table *t, struct fnch_group *q)
{
    vec w = vec_load(q->w), a = 1 - w, c = -(t->n + 1) * (t->k + 1) * w;
    vec b = (t->n + t->k + 2) * w + (t->m - t->k);
    vec root = vec_sqrt(vec_max(b * b - 4 * a * c, vec_of(0)));
    vec far = -b - vec_pick((vec_bits)(b < 0), -root, root);
    vec x = 2 * c / far;
    x = vec_pick((vec_bits)(x < 0), far / (2 * a), x);
    x = whole(vec_min(vec_max(x, vec_of(t->lo)), vec_of(t->hi)));
    vec_store(q->mode, x);
    vec v = 1 / (1 / (x + 1) + 1 / (t->n - x + 1) + 1 / (t->k - x + 1) +
                 1 / (t->m - t->k + x + 1));
    vec_store(q->sd, vec_sqrt(v));
}

double fnch_sum_widest(const struct fnch_group *q)
{
    return fmax(fmax(q->sd[0], q->sd[1]), fmax(q->sd[2], q->sd[3]));
}

/* ---------------------------------------------------------------- Stirling differences
 */

/* s(a): log a! less its leading terms */
VEC_INLINE vec series(vec a)
{
    vec z = 1 / a, y = z * z;
    return z * (1.0 / 12 - y * (1.0 / 360 - y * (1.0 / 1260 - y * (1.0 / 1680))));
}

/* (1 + u) log1p(u) - u, given log1p(u); its own series where that cancels */
VEC_INLINE vec bend(vec u, vec log1p_u)
{
    vec p = vec_of(1.0 / 132);
    p = 1.0 / 110 - u * p;
    p = 1.0 / 90 - u * p;
    p = 1.0 / 72 - u * p;
    p = 1.0 / 56 - u * p;
    p = 1.0 / 42 - u * p;
    p = 1.0 / 30 - u * p;
    p = 1.0 / 20 - u * p;
    p = 1.0 / 12 - u * p;
    p = 1.0 / 6 - u * p;
    p = u * u * (0.5 - u * p);
    vec_bits small = (vec_bits)((u < 0.03) & (u > -0.03));
    return vec_pick(small, p, (1 + u) * log1p_u - u);
}

/* log((a + d)!/a!) - d log a; a and a + d at least stirling_from */
VEC_INLINE vec growth(vec a, vec d)
{
    vec u = d / a, log1p_u = vec_log1p(u);
    return a * bend(u, log1p_u) + 0.5 * log1p_u + (series(a + d) - series(a));
}

VEC_CLONES static double climb_far(const struct fnch_table *t, double x, double to)
{
    double d = to - x;
    double slope = elem_log((t->n - x) * (t->k - x) / (x * (t->m - t->k + x)));
    vec a = {x, t->n - x, t->k - x, t->m - t->k + x};
    return d * slope - vec_sum(growth(a, (vec){d, -d, -d, d}));
}

static bool small_argument(const struct fnch_table *t, double x)
{
    return x < stirling_from || t->n - x < stirling_from || t->k - x < stirling_from ||
           t->m - t->k + x < stirling_from;
}

/* A product that keeps its exponent apart. */
struct product {
    double value;
    int factors, twos;
};

static void multiply(struct product *p, double factor)
{
    int twos;
    p->value *= factor;
    if (++p->factors % 8 != 0) return;
    p->value = frexp(p->value, &twos);
    p->twos += twos;
}

double fnch_sum_climb(const struct fnch_table *t, double a, double b)
{
    double from = fmin(a, b), to = fmax(a, b), far = 0;
    struct product p = {.value = 1};
    while (from < to && small_argument(t, from))
        multiply(&p, fnch_sum_ratio(t, from++));
    while (from < to && small_argument(t, to))
        multiply(&p, fnch_sum_ratio(t, --to));
    if (to - from > 16)
        far = climb_far(t, from, to);
    else
        while (from < to)
            multiply(&p, fnch_sum_ratio(t, from++));
    double sum = far + (elem_log(p.value) + p.twos * M_LN2);
    return a <= b ? sum : -sum;
}

/* ---------------------------------------------------------------- every term */

VEC_CLONES static void extend(const struct fnch_table *t, struct fnch_ratios *r,
                              int count)
{
    vec x = r->from + (double)r->count + (vec){0, 1, 2, 3};
    for (int i = r->count; i < count; i += VEC, x += VEC) {
        vec up = (t->n - x) * (t->k - x), down = (x + 1) * (t->m - t->k + x + 1);
        /* Beyond hi there is nothing: zeros end every recurrence. */
        vec_store(r->r + i, vec_pick((vec_bits)(x < t->hi), up / down, vec_of(0)));
    }
    r->count = count;
}

/* Have the ratios for [from, to) ready; at most FNCH_SUM_ROOM - 8 of them. */
static const double *ratios(const struct fnch_table *t, struct fnch_ratios *r,
                            double from, double to)
{
    bool fits = from >= r->from && from <= r->from + r->count &&
                to + 8 <= r->from + FNCH_SUM_ROOM;
    if (r->count == 0 || !fits) {
        r->from = from;
        r->count = 0;
    }
    int need = ((int)(to - r->from) + VEC - 1) / VEC * VEC;
    if (need > r->count) extend(t, r, need);
    return r->r + (int)(from - r->from);
}

struct running {
    double w[4], even[4], odd[4],
        sum[4]; /* terms at even and odd distance from start */
};

/* Sixteen more terms at a time; true once all four sums have converged. r needs one
 * entry more than count. */
VEC_CLONES static bool run(struct running *s, const double *r, int count)
{
    vec w = vec_load(s->w), w2 = w * w, even = vec_load(s->even),
        odd = vec_load(s->odd);
    vec sum_even = vec_load(s->sum), sum_odd = vec_of(0);
    bool done = false;
    for (int i = 0; i < count && !done; i += 16) {
        for (int j = i; j < i + 16; j += 2) {
            even *= w2 * (r[j] * r[j + 1]);
            odd *= w2 * (r[j + 1] * r[j + 2]);
            sum_even += even;
            sum_odd += odd;
        }
        vec left = (even + odd) - sum_tail * (sum_even + sum_odd);
        done = vec_top(left) <= 0;
    }
    vec_store(s->even, even);
    vec_store(s->odd, odd);
    vec_store(s->sum, sum_even + sum_odd);
    return done;
}

/* Start each node so that its largest term is near e^sum_peak. Gives the exponents. */
static void begin(struct running *s, const struct fnch_group *q, double from,
                  double first, int twos[4])
{
    for (int i = 0; i < 4; i++) {
        double z = (q->mode[i] - from) / q->sd[i], rise = z > 0 ? z * z / 2 : 0;
        twos[i] = (int)((sum_peak - fmin(rise, 900)) * M_LOG2E);
        s->w[i] = q->w[i];
        s->even[i] = scalbn(1, twos[i]);
        s->odd[i] = s->even[i] * (q->w[i] * first);
        s->sum[i] = s->even[i] + s->odd[i];
    }
}

/* Sum the four nodes from start on, at least up to `to`. */
static void sum_up(const struct fnch_table *t, const struct fnch_group *q,
                   struct fnch_ratios *r, double start, double to, struct running *s,
                   int twos[4])
{
    int count = ((int)(to - start) + 15) / 16 * 16 + 16;
    const double *at = ratios(t, r, start, start + count + VEC);
    begin(s, q, start, at[0], twos);
    for (double x = start; !run(s, at, count); count = 64) { /* heavier than reckoned */
        x += count;
        at = ratios(t, r, x, x + 64 + VEC);
    }
}

/* Log-concave terms: below the start they fall at least as fast as just below it. */
static bool nothing_below(const struct fnch_table *t, const struct fnch_group *q,
                          double start, const struct running *s, int twos0)
{
    if (start <= t->lo) return true;
    double fall = 1 / (q->w[0] * fnch_sum_ratio(t, start - 1));
    return fall < 1 &&
           scalbn(1, twos0) * fall / (1 - fall) <= 10 * sum_tail * s->sum[0];
}

void fnch_sum_shared(const struct fnch_table *t, const struct fnch_group *q,
                     struct fnch_ratios *r, double center, double *out)
{
    struct running s;
    int twos[4];
    double reach = sum_reach, start;
    double to = q->mode[3] + floor(sum_reach * q->sd[3] + sum_slack);
    do {
        start = fmax(t->lo, q->mode[0] - floor(reach * q->sd[0] + sum_slack));
        sum_up(t, q, r, start, fmin(to, t->hi), &s, twos);
        reach *= 1.5;
    } while (!nothing_below(t, q, start, &s, twos[0]));
    double climb = fnch_sum_climb(t, center, start);
    for (int i = 0; i < 4; i++) {
        int grown;
        double log_sum = elem_log(frexp(s.sum[i], &grown));
        out[i] = q->theta[i] * (start - center) + climb + log_sum +
                 (grown - twos[i]) * M_LN2;
    }
}

/* ---------------------------------------------------------------- every h-th term
 *
 * X is a sum of independent Bernoulli variables, so |E e^{iuX}| <= exp(-sd^2 (1-cos
 * u)): summing every h-th term and multiplying by h is off by less than 1e-18 for h <=
 * sd/1.5. Every argument is at least sd^2 >= 256 at the mode, hence large along the
 * whole sum. */

struct stride {
    vec x, up, down, low; /* the four arguments at the mode */
    vec slope, h;
};

VEC_INLINE vec stride_term(const struct stride *s, vec d)
{
    vec fall =
        growth(s->x, d) + growth(s->up, -d) + growth(s->down, -d) + growth(s->low, d);
    return vec_exp(d * s->slope - fall);
}

VEC_INLINE vec stride_side(const struct stride *s, vec h)
{
    vec sum = vec_of(0), d = h;
    for (;;) {
        vec term = stride_term(s, d);
        sum += term;
        if (vec_top(term) < sum_tail) return sum;
        d += h;
    }
}

VEC_CLONES void fnch_sum_strided(const struct fnch_table *t, const struct fnch_group *q,
                                 double center, double *out)
{
    vec x = vec_load(q->mode);
    struct stride s = {
        .x = x, .up = t->n - x, .down = t->k - x, .low = t->m - t->k + x};
    s.slope = vec_log(vec_load(q->w) * s.up * s.down / (s.x * s.low));
    s.h = whole(vec_load(q->sd) / stride_per_sd);
    vec sum = 1 + stride_side(&s, s.h) + stride_side(&s, -s.h);
    vec log_sum = vec_log(sum * s.h);
    for (int i = 0; i < 4; i++)
        out[i] = q->theta[i] * (q->mode[i] - center) +
                 fnch_sum_climb(t, center, q->mode[i]) + log_sum[i];
}
