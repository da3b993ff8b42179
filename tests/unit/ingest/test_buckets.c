/* tests/unit/ingest/test_buckets.c -- exact at the edges, merges as sums of values */
#include "ingest/buckets.h"
#include "tests/support/check.h"

/* b^i < v <= b^(i+1) for b = 2^(1/32), in 64-bit mantissa arithmetic. */
static bool holds(int32_t i, double v)
{
    return exp2l((long double)i / 32) < (long double)v &&
           (long double)v <= exp2l(((long double)i + 1) / 32);
}

Test(buckets, index_is_exact_around_every_edge)
{
    for (int k = -1074; k < 1024; k++) {
        double two = ldexp(1, k); /* a power of two belongs below */
        cr_assert(eq(int, buckets_index(two), 32 * k - 1));
        cr_assert(eq(int, buckets_index(nextafter(two, INFINITY)),
                     k > -1022 ? 32 * k : buckets_index(nextafter(two, INFINITY))));
    }
    for (int k = -20; k < 20; k++) {
        for (int j = 1; j < 32; j++) {
            double e = exp2(k + j / 32.0), v = nextafter(nextafter(e, 0), 0);
            for (int step = 0; step < 5; step++, v = nextafter(v, INFINITY))
                cr_assert(holds(buckets_index(v), v), "%a", v);
        }
    }
    cr_assert(eq(int, buckets_index(0x1p-1074), -1074 * 32 - 1));
    cr_assert(eq(int, buckets_index(0x1.fffffffffffffp+1023), 1024 * 32 - 1));
}

Test(buckets, random_values_lie_in_their_bucket)
{
    gsl_rng *g = check_rng(12);
    for (int i = 0; i < 1000000; i++) {
        double v = exp(40 * (gsl_rng_uniform(g) - 0.5));
        cr_assert(holds(buckets_index(v), v), "%a", v);
    }
    gsl_rng_free(g);
}

static uint64_t total(const struct buckets *b)
{
    uint64_t n = b->zero;
    for (uint32_t k = 0; k < b->n; k++)
        n += b->counts[k];
    return n;
}

Test(buckets, extremes_stay_inside_the_hard_maximum)
{
    struct arena a = {0};
    struct buckets b = {.scale = BUCKETS_SCALE};
    const double v[] = {0, 5e-324, 1e-300, 1e-9, 1, 1e12, 1e300, INFINITY};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++)
        cr_assert(buckets_add(&b, &a, v[i]));
    cr_assert(eq(u64, b.total, 8));
    cr_assert(eq(u64, total(&b), 8));
    cr_assert(eq(u64, b.zero, 3));
    cr_assert(le(u64, b.n, BUCKETS_HIGH - BUCKETS_LOW + 1));
    cr_assert(eq(u64, b.counts[BUCKETS_HIGH - b.offset], 2));
    arena_free(&a);
}

/* Merging at a smaller scale counts where the values themselves would have. */
Test(buckets, merge_is_the_histogram_of_both)
{
    gsl_rng *g = check_rng(13);
    for (int round = 0; round < 200; round++) {
        struct arena a = {0};
        struct buckets b = {.scale = BUCKETS_SCALE}, direct = {.scale = BUCKETS_SCALE};
        int scale = (int)gsl_rng_uniform_int(g, 8) - 2;
        uint64_t counts[40] = {0};
        struct buckets_view v = {.scale = scale, .offset = -20, .zero = 3, .n = 40};
        v.numbers = counts;
        for (int i = 0; i < 300; i++) {
            double x = exp(3 * (gsl_rng_uniform(g) - 0.5));
            int32_t at = buckets_index(x);
            at = scale <= 5 ? at >> (5 - scale) : at;
            if (i % 2 == 0 && at >= -20 && at < 20 && scale <= 5)
                counts[at + 20]++;
            else
                cr_assert(buckets_add(&b, &a, x));
            cr_assert(buckets_add(&direct, &a, x));
        }
        cr_assert(buckets_merge(&b, &a, &v, 1));
        struct buckets_view none = {.scale = scale < 5 ? scale : 5, .numbers = counts};
        cr_assert(buckets_merge(&direct, &a, &none, 1));
        cr_assert(eq(int, b.scale, direct.scale));
        if (scale <= 5) cr_assert(eq(u64, b.total, 303));
        for (uint32_t k = 0; k < direct.n && scale <= 5; k++) {
            int32_t i = direct.offset + (int32_t)k;
            uint64_t there = i >= b.offset && i < b.offset + (int32_t)b.n
                                 ? b.counts[i - b.offset]
                                 : 0;
            cr_assert(eq(u64, there, direct.counts[k]), "scale %d bucket %d", scale, i);
        }
        arena_free(&a);
    }
    gsl_rng_free(g);
}

Test(buckets, units_shift_by_whole_buckets)
{
    struct arena a = {0};
    struct buckets b = {.scale = BUCKETS_SCALE};
    uint64_t one = 7;
    struct buckets_view v = {.scale = 5, .offset = -64, .n = 1, .numbers = &one};
    cr_assert(buckets_merge(&b, &a, &v, 1000)); /* log2(1000) * 32 = 318.9 */
    cr_assert(eq(u64, b.counts[319 - 64 - b.offset], 7));
    arena_free(&a);
}

Test(buckets, a_full_arena_is_told)
{
    struct arena a = {.max = 64};
    struct buckets b = {.scale = BUCKETS_SCALE};
    cr_assert(not(buckets_add(&b, &a, 3.7)));
    cr_assert(eq(u64, b.total, 0));
    arena_free(&a);
}

/* How many of b lie above x, where x is the upper edge of a bucket. */
static uint64_t above(const struct buckets *b, double x)
{
    uint64_t n = 0;
    int32_t edge = buckets_index(x) >> (BUCKETS_SCALE - b->scale);
    for (uint32_t k = 0; k < b->n; k++)
        if (b->offset + (int32_t)k > edge) n += b->counts[k];
    return n;
}

Test(buckets, explicit_bounds_are_exact_at_every_bound)
{
    const double bounds[] = {-1, 0, 0.005, 0.01, 0.025, 0.1, 2.5};
    const uint64_t counts[] = {1, 2, 4, 8, 16, 32, 64, 128};
    for (int32_t scale = BUCKETS_SCALE; scale >= 0; scale--) {
        struct arena a = {0};
        struct buckets b = {.scale = scale};
        struct buckets_bounds v = {bounds, counts, 7};
        double ratio = 0;
        uint64_t sum, left = 255;
        cr_assert(buckets_bounds_ok(&v, 1000, &sum));
        cr_assert(eq(u64, sum, 255));
        cr_assert(buckets_merge_bounds(&b, &a, &v, 1000, &ratio));
        cr_assert(epsilon_eq(dbl, ratio, 25, 1e-12), "2.5 / 0.1");
        cr_assert(eq(u64, b.total, 255));
        cr_assert(eq(u64, b.zero, 3), "nothing above zero");
        for (size_t i = 0; i < 7; i++) {
            left -= counts[i];
            if (bounds[i] > 0) cr_assert(eq(u64, above(&b, bounds[i] * 1000), left));
        }
        arena_free(&a);
    }
}

Test(buckets, bounds_that_cannot_be_are_refused)
{
    const double fall[] = {1, 1}, nan[] = {NAN, 1}, inf[] = {1, INFINITY};
    const uint64_t counts[] = {1, 2, 3};
    uint64_t sum;
    struct buckets_bounds v = {fall, counts, 2};
    cr_assert(not(buckets_bounds_ok(&v, 1000, &sum)));
    v.bounds = nan;
    cr_assert(not(buckets_bounds_ok(&v, 1000, &sum)));
    v.bounds = inf;
    cr_assert(not(buckets_bounds_ok(&v, 1000, &sum)));
    v.n = 1;
    cr_assert(buckets_bounds_ok(&v, 3, &sum));
    cr_assert(not(buckets_bounds_ok(&v, 2, &sum)), "over the limit");
    v.n = 0;
    cr_assert(not(buckets_bounds_ok(&v, 1000, &sum)));
}
