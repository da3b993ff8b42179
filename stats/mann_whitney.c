/* stats/mann_whitney.c -- [MW] exponential tilts of the rank sum, mixed outside the
 * product */
#include "stats/mann_whitney.h"

#include <math.h>
#include <stdbool.h>

#include "stats/elem.h"
#include "stats/lse.h"
#include "stats/vec.h"

enum { TERMS = 22, DIRECT = 16, GAUSS = 8 };

/* h(y) = log(sinh(y/2)/(y/2)), its integral, first and third derivative, each over its
 * leading power of y, as Chebyshev series in y^2 over [0, 36.5]
 * (tests/tools/make_series.py). */
static const double series_span = 36.5;
/* clang-format off */
static const struct {
    double integral[TERMS], value[TERMS], first[TERMS], third[TERMS];
} series = {
    .integral = {
        0x1.a6ad64328d386p-7,
        -0x1.de4b868655b61p-11,
        0x1.25386a0cd40ffp-14,
        -0x1.c6fab449d3260p-18,
        0x1.8c6a830f48849p-21,
        -0x1.72995f6324cd4p-24,
        0x1.6b899fcfaa0dcp-27,
        -0x1.716e11127d6d4p-30,
        0x1.81c4528397a4dp-33,
        -0x1.9ba4d649e10e0p-36,
        0x1.bf1764f440144p-39,
        -0x1.eccace7cbbf45p-42,
        0x1.12fc4b8d54c2ap-44,
        -0x1.362fad977ce7fp-47,
        0x1.612594a9038b5p-50,
        -0x1.955425d35baebp-53,
        0x1.d48fba146a2c8p-56,
        -0x1.108ee7b38698cp-58,
        0x1.3ee6ba2063811p-61,
        -0x1.770b1799d2bf8p-64,
        0x1.bb1f62eca4910p-67,
        -0x1.06e36c9f3ea18p-69,
    },
    .value = {
        0x1.300fa037a653cp-5,
        -0x1.0af01fb5041f2p-8,
        0x1.b6a32b6be2262p-12,
        -0x1.a95e6db8d87fdp-15,
        0x1.bc1a56e81b048p-18,
        -0x1.e37ab6f0855a6p-21,
        0x1.0e7ca65d8a24ep-23,
        -0x1.34a74fec7404ap-26,
        0x1.657d8eae9ec5dp-29,
        -0x1.a2f21187e7721p-32,
        0x1.efa96284fb6d0p-35,
        -0x1.27888fce73279p-37,
        0x1.62c3e8ee7e3afp-40,
        -0x1.ac4a2af642de7p-43,
        0x1.03cba28d3352fp-45,
        -0x1.3c872bc9eb852p-48,
        0x1.831a991dd7ffbp-51,
        -0x1.dafff2580c3fep-54,
        0x1.244c25eb05683p-56,
        -0x1.68b4459360675p-59,
        0x1.be333aec0ea8dp-62,
        -0x1.14969ba5a5939p-64,
    },
    .first = {
        0x1.147c8fcf3a301p-4,
        -0x1.b9310686c23b4p-7,
        0x1.051418b21f828p-9,
        -0x1.4a830819e490fp-12,
        0x1.a9c76bc98b33ep-15,
        -0x1.13a8a7ea1799dp-17,
        0x1.657f3a5d76a1bp-20,
        -0x1.cfdc4e4f2af03p-23,
        0x1.2cfb694e29775p-25,
        -0x1.869ca82a61c76p-28,
        0x1.faf0df26615f6p-31,
        -0x1.48f56d7fd1687p-33,
        0x1.aaedf166ed066p-36,
        -0x1.150a0439ce3eap-38,
        0x1.678c22c7eeb96p-41,
        -0x1.d2a0e3652fe7fp-44,
        0x1.2ecce12ea2098p-46,
        -0x1.88fb19b08f71bp-49,
        0x1.fe04e70087344p-52,
        -0x1.4af4fdf0ca18bp-54,
        0x1.ad85f24321db4p-57,
        -0x1.16b8e9bbb690bp-59,
    },
    .third = {
        -0x1.d2c0f728851c0p-9,
        0x1.b092cf3c6bfd5p-9,
        -0x1.1b3b134c91ab0p-10,
        0x1.373ee6d304fbap-12,
        -0x1.3350192926a41p-14,
        0x1.1a685e5a6436ep-16,
        -0x1.ed21ad9c529f3p-19,
        0x1.9e66ca7f2418dp-21,
        -0x1.5219c42ad7c92p-23,
        0x1.0d708a3ea2993p-25,
        -0x1.a54de5a0a43b0p-28,
        0x1.443198c204365p-30,
        -0x1.ec4cf0c6d93dap-33,
        0x1.7189cadece5c5p-35,
        -0x1.12a90e7517187p-37,
        0x1.94c6e700e6cc8p-40,
        -0x1.2802971654a9bp-42,
        0x1.ae08173d728e2p-45,
        -0x1.367dd3cf095c9p-47,
        0x1.bdf1794c688a4p-50,
        -0x1.3eae6bb4e8677p-52,
        0x1.c574fff0ccb5bp-55,
    },
};
/* clang-format on */

/* Gauss-Legendre of 8 points on [-1, 1]; symmetric, the positive half. */
static const double gauss_at[GAUSS / 2] = {
    0.1834346424956498049394761, 0.5255324099163289858177390,
    0.7966664774136267395915539, 0.9602898564975362316835609};
static const double gauss_weight[GAUSS / 2] = {
    0.3626837833783619829651504, 0.3137066458778872873379622,
    0.2223810344533744705443560, 0.1012285362903762591525314};
static const double narrow =
    0.5; /* upper bracket: quadrature instead of a difference */

static const double prior_narrow = 0.2; /* in s = theta / 2 */

VEC_INLINE vec clenshaw(const double *c, vec y)
{
    vec x2 = (y * y) * (4 / series_span) - 2, b = vec_of(0), last = vec_of(0);
    for (int k = TERMS - 1; k > 0; k--) {
        vec next = c[k] + x2 * b - last;
        last = b;
        b = next;
    }
    return c[0] + 0.5 * x2 * b - last;
}

VEC_INLINE vec h_value(vec y)
{
    return y * y * clenshaw(series.value, y);
}

/* sum_{i=1}^{count} h(c (from + i)) */
VEC_CLONES static double direct(double c, double from, int count)
{
    vec sum = vec_of(0), i = {1, 2, 3, 4};
    for (int left = count; left > 0; left -= VEC, i += VEC) {
        vec h = h_value(c * (from + i));
        sum += vec_pick((vec_bits)(i <= (double)count), h, vec_of(0));
    }
    return vec_sum(sum);
}

/* Integral of h over middle -+ half, half small: a difference of integrals would
 * cancel, and so would a width taken from the two ends. */
VEC_CLONES static double quadrature(double middle, double half)
{
    vec at = vec_load(gauss_at) * half, weight = vec_load(gauss_weight);
    return half * vec_sum(weight * (h_value(middle + at) + h_value(middle - at)));
}

/* Euler-Maclaurin at midpoints: sums over max < i <= N less sums over 0 < i <= min. */
VEC_CLONES static double brackets(double c, double most, double least)
{
    double total = most + least;
    vec y = {(total + 0.5) * c, (most + 0.5) * c, (least + 0.5) * c, 0.5 * c};
    vec whole = y * y * y * clenshaw(series.integral, y);
    vec first = y * clenshaw(series.first, y), third = y * clenshaw(series.third, y);
    double upper = whole[0] - whole[1];
    if (least * c < narrow)
        upper = quadrature((most + 0.5 + least / 2) * c, least / 2 * c);
    double sum = (upper - (whole[2] - whole[3])) / c;
    sum -= c / 24 * ((first[0] - first[1]) - (first[2] - first[3]));
    return sum + 7 * c * c * c / 5760 * ((third[0] - third[1]) - (third[2] - third[3]));
}

double mann_whitney_omega(double theta, uint64_t n, uint64_t m)
{
    double most = (double)(n > m ? n : m), least = (double)(n > m ? m : n);
    double c = theta / (most + least);
    if (least == 0) return 0;
    if (least <= DIRECT) return direct(c, most, (int)least) - direct(c, 0, (int)least);
    return brackets(c, most, least);
}

double mann_whitney_theta(int j)
{
    return j < 19 ? 0.05 * (j + 1) : 1 + 0.25 * (j - 19);
}

static double prior(int j)
{
    double s = mann_whitney_theta(j) / 2, a = s / prior_narrow;
    double below = mann_whitney_theta(j > 0 ? j - 1 : 0) / 2;
    double above = mann_whitney_theta(j + 1 < MANN_WHITNEY_POINTS ? j + 1 : j) / 2;
    bool end = j == 0 || j + 1 == MANN_WHITNEY_POINTS;
    double width = end ? above - below : (above - below) / 2;
    return width *
           (0.5 / prior_narrow * elem_exp(-a * a / 2) + 0.5 * elem_exp(-s * s / 2));
}

void mann_whitney_init(struct mann_whitney *w)
{
    double total = 0;
    *w = (struct mann_whitney){0};
    for (int j = 0; j < MANN_WHITNEY_POINTS; j++)
        total += prior(j);
    for (int j = 0; j < MANN_WHITNEY_POINTS; j++) {
        w->log_prior[j] = elem_log(prior(j) / total);
        w->lw[j] = -HUGE_VAL;
    }
}

/* Walks a histogram bucket by bucket at a coarser scale, shifted down by k. */
struct walker {
    const struct hist_view *v;
    size_t k;
    int by;
    int64_t shift;
};

static bool walker_at(struct walker *w, int64_t *bucket)
{
    while (w->k < w->v->n && w->v->counts[w->k] == 0)
        w->k++;
    if (w->k == w->v->n) return false;
    *bucket = ((w->v->offset + (int64_t)w->k) >> w->by) - w->shift;
    return true;
}

static uint64_t walker_take(struct walker *w, int64_t bucket)
{
    uint64_t sum = 0;
    int64_t at;
    while (walker_at(w, &at) && at == bucket)
        sum += w->v->counts[w->k++];
    return sum;
}

static bool view_ok(const struct hist_view *v)
{
    return v->scale >= HIST_SCALE_MIN && v->scale <= HIST_SCALE_MAX &&
           hist_total(v) <= COUNT_MAX;
}

enum serin_status mann_whitney_ranks(const struct hist_view *canary,
                                     const struct hist_view *baseline, int32_t shift,
                                     struct mann_whitney_ranks *out)
{
    if (!view_ok(canary) || !view_ok(baseline)) return SERIN_EDOM;
    int scale = canary->scale < baseline->scale ? canary->scale : baseline->scale;
    struct walker x = {canary, 0, canary->scale - scale, shift};
    struct walker y = {baseline, 0, baseline->scale - scale, 0};
    uint64_t n = hist_total(canary), m = hist_total(baseline), below = baseline->zero;
    /* 1e9 a cohort overflows 64 bits. */
    __int128 t = (__int128)canary->zero * baseline->zero - (__int128)n * m;
    for (;;) {
        int64_t at_x, at_y;
        bool more_x = walker_at(&x, &at_x), more_y = walker_at(&y, &at_y);
        if (!more_x) break;
        int64_t at = more_y && at_y < at_x ? at_y : at_x;
        uint64_t count_x = walker_take(&x, at), count_y = walker_take(&y, at);
        t += (__int128)count_x * (2 * below + count_y);
        below += count_y;
    }
    *out = (struct mann_whitney_ranks){.t = (double)t, .n = n, .m = m};
    return SERIN_OK;
}

static void add_increment(const struct mann_whitney_ranks *r, double eta,
                          double inc[MANN_WHITNEY_POINTS])
{
    double total = (double)r->n + (double)r->m;
    for (int j = 0; j < MANN_WHITNEY_POINTS && r->n > 0 && r->m > 0; j++) {
        double theta = mann_whitney_theta(j);
        inc[j] +=
            eta * (theta * r->t / (2 * total) - mann_whitney_omega(theta, r->n, r->m));
    }
}

enum serin_status mann_whitney_strata(struct mann_whitney *w, const struct horizon *h,
                                      const struct mann_whitney_ranks *strata, size_t n,
                                      double eta)
{
    double inc[MANN_WHITNEY_POINTS] = {0};
    if (!(eta > 0 && eta <= 1)) return SERIN_EDOM;
    for (size_t i = 0; i < n; i++)
        add_increment(&strata[i], eta, inc);
    for (int j = 0; j < MANN_WHITNEY_POINTS; j++)
        if (!isfinite(w->l[j] + inc[j])) return SERIN_EDOM;
    double gamma = horizon_gamma(h, w->t), log_gamma = elem_log(gamma);
    w->used += gamma;
    w->t++;
    for (int j = 0; j < MANN_WHITNEY_POINTS; j++) {
        w->l[j] += inc[j];
        w->lw[j] = lse_add(w->lw[j], log_gamma) + inc[j];
    }
    return SERIN_OK;
}

enum serin_status mann_whitney_window(struct mann_whitney *w, const struct horizon *h,
                                      const struct mann_whitney_ranks *r, double eta)
{
    return mann_whitney_strata(w, h, r, 1, eta);
}

double mann_whitney_log_plain(const struct mann_whitney *w)
{
    return lse_dot(w->log_prior, w->l, MANN_WHITNEY_POINTS);
}

double mann_whitney_log_abort(const struct mann_whitney *w)
{
    double begun = lse_dot(w->log_prior, w->lw, MANN_WHITNEY_POINTS),
           rest = 1 - w->used;
    return rest < 1e-14 ? begun : lse_add(begun, elem_log(rest));
}
