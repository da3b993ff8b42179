/* ingest/buckets.c */
#include "ingest/buckets.h"

#include <math.h>
#include <string.h>

#include "ingest/decode/wire.h"

/* 2^(k/32) rounded down: v <= edge[k] then means v <= the irrational edge itself. */
static const double edge[33] = {
    0x1.0000000000000p+0, 0x1.059b0d3158574p+0, 0x1.0b5586cf9890fp+0,
    0x1.11301d0125b50p+0, 0x1.172b83c7d517ap+0, 0x1.1d4873168b9aap+0,
    0x1.2387a6e756238p+0, 0x1.29e9df51fdee1p+0, 0x1.306fe0a31b715p+0,
    0x1.371a7373aa9cap+0, 0x1.3dea64c123422p+0, 0x1.44e086061892dp+0,
    0x1.4bfdad5362a27p+0, 0x1.5342b569d4f81p+0, 0x1.5ab07dd485429p+0,
    0x1.6247eb03a5584p+0, 0x1.6a09e667f3bccp+0, 0x1.71f75e8ec5f73p+0,
    0x1.7a11473eb0186p+0, 0x1.82589994cce12p+0, 0x1.8ace5422aa0dbp+0,
    0x1.93737b0cdc5e4p+0, 0x1.9c49182a3f090p+0, 0x1.a5503b23e255cp+0,
    0x1.ae89f995ad3adp+0, 0x1.b7f76f2fb5e46p+0, 0x1.c199bdd85529cp+0,
    0x1.cb720dcef9069p+0, 0x1.d5818dcfba487p+0, 0x1.dfc97337b9b5ep+0,
    0x1.ea4afa2a490d9p+0, 0x1.f50765b6e4540p+0, 0x1.0000000000000p+1};

/* Bucket of the lower end of each 1/64 of [1, 2): the answer, or one before it. */
static const int8_t first[64] = {0,  0,  1,  2,  2,  3,  4,  4,  5,  6,  6,  7,  7,
                                 8,  9,  9,  10, 10, 11, 12, 12, 13, 13, 14, 14, 15,
                                 15, 16, 16, 17, 17, 18, 18, 19, 19, 20, 20, 21, 21,
                                 21, 22, 22, 23, 23, 24, 24, 25, 25, 25, 26, 26, 27,
                                 27, 27, 28, 28, 29, 29, 29, 30, 30, 30, 31, 31};

int32_t buckets_index(double v)
{
    uint64_t bits;
    int exponent;
    if (v < 0x1p-1022) { /* subnormal: give it a normal's exponent */
        return buckets_index(v * 0x1p+600) - 600 * 32;
    }
    memcpy(&bits, &v, sizeof bits);
    exponent = (int)(bits >> 52) - 1023;
    double m;
    bits = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1023) << 52;
    memcpy(&m, &bits, sizeof m);
    int k = first[bits >> 46 & 63];
    while (m > edge[k + 1])
        k++;
    if (k == 0 && m <= 1) k = -1; /* an exact power of two: the bucket below */
    return exponent * 32 + k;
}

/* Make counts cover [lo, hi] (hi - lo < the hard maximum by the callers' clamping). */
static bool cover(struct buckets *b, struct arena *a, int32_t lo, int32_t hi)
{
    int32_t end = b->offset + (int32_t)b->n - 1;
    if (b->n != 0 && lo >= b->offset && hi <= end) return true;
    if (b->n != 0 && b->offset < lo) lo = b->offset;
    if (b->n != 0 && end > hi) hi = end;
    int32_t low = BUCKETS_LOW >> (BUCKETS_SCALE - b->scale);
    int32_t high = BUCKETS_HIGH >> (BUCKETS_SCALE - b->scale);
    int32_t spare = (hi - lo) / 2 + 8; /* grow by half: few copies, bounded waste */
    lo = lo - spare > low ? lo - spare : low;
    hi = hi + spare < high ? hi + spare : high;
    uint32_t n = (uint32_t)(hi - lo) + 1;
    uint64_t *counts = arena_alloc(a, n * sizeof *counts);
    if (counts == NULL) return false;
    if (b->n != 0) memcpy(counts + (b->offset - lo), b->counts, b->n * sizeof *counts);
    b->counts = counts;
    b->offset = lo;
    b->n = n;
    return true;
}

/* Add c to bucket i, given at b's own scale. */
static bool put(struct buckets *b, struct arena *a, int64_t i, uint64_t c)
{
    unsigned down = (unsigned)(BUCKETS_SCALE - b->scale);
    if (i < BUCKETS_LOW >> down) {
        b->zero += c;
    } else {
        int32_t top = BUCKETS_HIGH >> down, at = i > top ? top : (int32_t)i;
        if (!cover(b, a, at, at)) return false;
        b->counts[at - b->offset] += c;
    }
    b->total += c;
    return true;
}

bool buckets_add(struct buckets *b, struct arena *a, double v)
{
    if (!(v > 0)) {
        b->zero++;
        b->total++;
        return true;
    }
    if (isinf(v)) v = 0x1.fffffffffffffp+1023; /* a unit factor took it over the top */
    return put(b, a, buckets_index(v) >> (BUCKETS_SCALE - b->scale), 1);
}

/* i -> floor(i / 2^by): in place, since targets never pass what is still to be read. */
static void downscale(struct buckets *b, int32_t to)
{
    unsigned by = (unsigned)(b->scale - to);
    b->scale = to;
    if (b->n == 0) return;
    int32_t offset = b->offset >> by;
    for (uint32_t k = 0; k < b->n; k++) {
        uint64_t c = b->counts[k];
        b->counts[k] = 0;
        b->counts[((b->offset + (int32_t)k) >> by) - offset] += c;
    }
    int32_t last = (b->offset + (int32_t)b->n - 1) >> by;
    b->offset = offset;
    b->n = (uint32_t)(last - offset) + 1;
}

static uint64_t view_next(const struct buckets_view *v, const uint8_t **at, size_t k)
{
    return v->packed != NULL ? wire_take(at) : v->numbers[k];
}

bool buckets_merge(struct buckets *b, struct arena *a, const struct buckets_view *v,
                   double unit)
{
    if (v->scale < b->scale) downscale(b, v->scale);
    unsigned down = (unsigned)(v->scale - b->scale);
    int64_t shift = llround(ldexp(log2(unit), v->scale));
    const uint8_t *at = v->packed;
    b->zero += v->zero;
    b->total += v->zero;
    for (size_t k = 0; k < v->n; k++) {
        uint64_t c = view_next(v, &at, k);
        int64_t i = (v->offset + (int64_t)k + shift) >> down;
        if (c != 0 && !put(b, a, i, c)) return false;
    }
    return true;
}

bool buckets_view_total(const struct buckets_view *v, uint64_t limit, uint64_t *total)
{
    uint64_t sum = v->zero;
    const uint8_t *at = v->packed;
    if (sum > limit) return false;
    for (size_t k = 0; k < v->n; k++) {
        uint64_t c = view_next(v, &at, k);
        if (c > limit - sum) return false;
        sum += c;
    }
    *total = sum;
    return true;
}

bool buckets_bounds_ok(const struct buckets_bounds *v, uint64_t limit, uint64_t *total)
{
    uint64_t sum = 0;
    if (v->n == 0 || v->n > BUCKETS_BOUNDS_MAX) return false;
    for (size_t i = 0; i < v->n; i++) {
        if (!isfinite(v->bounds[i])) return false;
        if (i > 0 && !(v->bounds[i] > v->bounds[i - 1])) return false;
    }
    for (size_t i = 0; i <= v->n; i++) {
        if (v->counts[i] > limit - sum) return false;
        sum += v->counts[i];
    }
    *total = sum;
    return true;
}

bool buckets_merge_bounds(struct buckets *b, struct arena *a,
                          const struct buckets_bounds *v, double unit, double *ratio)
{
    unsigned down = (unsigned)(BUCKETS_SCALE - b->scale);
    for (size_t i = 0; i <= v->n; i++) {
        bool open = i == v->n;
        double top = v->bounds[open ? i - 1 : i] * unit;
        if (v->counts[i] == 0) continue;
        if (i > 0 && !open && v->bounds[i - 1] > 0)
            *ratio =
                fmax(*ratio, fmin(BUCKETS_RATIO_MAX, v->bounds[i] / v->bounds[i - 1]));
        /* Never a subnormal or infinite product: such an index is clamped anyway. */
        int64_t at = INT32_MIN;
        if (top > 0) at = buckets_index(fmin(top, 0x1.fffffffffffffp+1023)) >> down;
        if (open) at = top > 0 ? at + 1 : BUCKETS_LOW >> down;
        if (!put(b, a, at, v->counts[i])) return false;
    }
    return true;
}
