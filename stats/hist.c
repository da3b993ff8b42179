/* stats/hist.c -- [HIST] exact indexes, merge by addition, one bucket at a time */
#include "stats/hist.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "stats/elem.h"

/* A mantissa in [1, 2) with 127 bits behind the point. */
struct fixed {
    uint64_t high, low;
};

/* m * m, cut to 127 bits; true when that reached 2 and was halved. */
static bool square(struct fixed *m)
{
    unsigned __int128 high = (unsigned __int128)m->high * m->high;
    unsigned __int128 cross = (unsigned __int128)m->high * m->low;
    unsigned __int128 sum = high + (cross >> 63);
    bool doubled = sum >> 127 != 0;
    if (!doubled) sum = sum << 1 | (cross >> 62 & 1);
    m->high = (uint64_t)(sum >> 64);
    m->low = (uint64_t)sum;
    return doubled;
}

/*
 * Each squaring gives one more binary digit of log2(mantissa). Twenty of them lose
 * 2^-106; no double lies nearer than about 2^-75 to an irrational edge, so every digit
 * is right.
 */
enum serin_status hist_index(double value, int scale, int32_t *index)
{
    if (!(value > 0 && isfinite(value)) || scale < HIST_SCALE_MIN ||
        scale > HIST_SCALE_MAX)
        return SERIN_EDOM;
    int exponent;
    double fraction = frexp(value, &exponent); /* [1/2, 1) */
    int64_t at = exponent - 1;
    bool power = fraction == 0.5;
    if (scale <= 0) {
        at -= power;
        *index = (int32_t)(at >> -scale);
        return SERIN_OK;
    }
    struct fixed m = {.high = (uint64_t)ldexp(fraction, 64), .low = 0};
    for (int i = 0; i < scale; i++)
        at = 2 * at + (!power && square(&m));
    *index = (int32_t)(at - power);
    return SERIN_OK;
}

double hist_edge(int scale, int32_t index)
{
    double log2_edge = ldexp((double)index + 1, -scale);
    if (log2_edge >= 1024) return HUGE_VAL;
    double whole = floor(log2_edge);
    return ldexp(elem_exp((log2_edge - whole) * M_LN2), (int)whole);
}

enum serin_status hist_init(struct hist *h, int scale)
{
    if (scale < HIST_SCALE_MIN || scale > HIST_SCALE_MAX) return SERIN_EDOM;
    memset(h, 0, sizeof *h);
    h->scale = scale;
    return SERIN_OK;
}

/* In place: targets never pass what is still to be read. */
static void lower_scale(struct hist *h, int by)
{
    h->scale -= by;
    if (h->n == 0 || by == 0) return;
    int32_t offset = h->offset >> by;
    for (uint32_t k = 0; k < h->n; k++) {
        uint64_t count = h->counts[k];
        h->counts[k] = 0;
        h->counts[((h->offset + (int32_t)k) >> by) - offset] += count;
    }
    h->n = (uint32_t)(((h->offset + (int32_t)h->n - 1) >> by) - offset) + 1;
    h->offset = offset;
}

enum serin_status hist_downscale(struct hist *h, int by)
{
    if (by < 0 || h->scale - by < HIST_SCALE_MIN) return SERIN_EDOM;
    lower_scale(h, by);
    return SERIN_OK;
}

/* Make bucket i (at h's scale) fit; gives how many powers the scale was lowered by. */
static int cover(struct hist *h, int64_t i)
{
    int by = 0;
    int64_t first = h->n == 0 ? i : h->offset, last = h->n == 0 ? i : first + h->n - 1;
    first = i < first ? i : first;
    last = i > last ? i : last;
    while ((last >> by) - (first >> by) >= HIST_ROOM)
        by++;
    lower_scale(h, by);
    first >>= by;
    last >>= by;
    if (h->n == 0) h->offset = (int32_t)first;
    uint32_t move = (uint32_t)(h->offset - first);
    if (move > 0) {
        memmove(h->counts + move, h->counts, h->n * sizeof *h->counts);
        memset(h->counts, 0, move * sizeof *h->counts);
        h->offset = (int32_t)first;
    }
    h->n = (uint32_t)(last - first) + 1;
    return by;
}

static void put(struct hist *h, int64_t i, uint64_t count)
{
    int by = cover(h, i);
    h->counts[(i >> by) - h->offset] += count;
    h->total += count;
}

enum serin_status hist_add(struct hist *h, double value, uint64_t count)
{
    int32_t i = 0;
    if (!(value >= 0 && isfinite(value)) || count > HIST_MAX_COUNT - h->total)
        return SERIN_EDOM;
    if (value > 0 && hist_index(value, h->scale, &i) != SERIN_OK) return SERIN_EDOM;
    if (count == 0) return SERIN_OK;
    if (value > 0) {
        put(h, i, count);
    } else {
        h->zero += count;
        h->total += count;
    }
    return SERIN_OK;
}

enum serin_status hist_merge(struct hist *h, const struct hist_view *v)
{
    if (v->scale < HIST_SCALE_MIN || v->scale > HIST_SCALE_MAX) return SERIN_EDOM;
    uint64_t total = hist_total(v);
    if (total > HIST_MAX_COUNT - h->total) return SERIN_EDOM;
    if (v->scale < h->scale) lower_scale(h, h->scale - v->scale);
    for (size_t k = 0; k < v->n; k++) { /* h->scale may fall on the way */
        if (v->counts[k] == 0) continue;
        put(h, (v->offset + (int64_t)k) >> (v->scale - h->scale), v->counts[k]);
    }
    h->zero += v->zero;
    h->total += v->zero;
    return SERIN_OK;
}

struct hist_view hist_view(const struct hist *h)
{
    return (struct hist_view){.scale = h->scale,
                              .offset = h->offset,
                              .n = h->n,
                              .zero = h->zero,
                              .counts = h->counts};
}

uint64_t hist_total(const struct hist_view *v)
{
    uint64_t sum = v->zero;
    for (size_t k = 0; k < v->n; k++)
        sum = v->counts[k] > UINT64_MAX - sum ? UINT64_MAX : sum + v->counts[k];
    return sum;
}

double hist_quantile(const struct hist_view *v, double q)
{
    double goal = q * (double)hist_total(v), seen = (double)v->zero;
    if (!(q >= 0 && q <= 1) || hist_total(v) == 0) return (double)NAN;
    if (seen > 0 && seen >= goal) return 0;
    size_t last = 0;
    for (size_t k = 0; k < v->n; k++) {
        if (v->counts[k] == 0) continue;
        last = k;
        seen += (double)v->counts[k];
        if (seen >= goal) break;
    }
    return hist_edge(v->scale, v->offset + (int32_t)last);
}

uint64_t hist_above(const struct hist_view *v, double limit)
{
    int32_t from = 0;
    uint64_t sum = 0;
    if (limit > 0 && hist_index(limit, v->scale, &from) != SERIN_OK) return 0;
    for (size_t k = 0; k < v->n; k++)
        if (!(limit > 0) || v->offset + (int64_t)k > from) sum += v->counts[k];
    return sum;
}

enum serin_status hist_shift(int scale, double delta, int32_t *down, int32_t *up)
{
    if (!(delta >= 0 && delta <= 1e6)) return SERIN_EDOM;
    if (scale < HIST_SCALE_MIN || scale > HIST_SCALE_MAX) return SERIN_EDOM;
    double buckets = ldexp(elem_log1p(delta) / M_LN2, scale), near = rint(buckets);
    if (fabs(buckets - near) <= 1e-13 * fmax(1, near)) buckets = near;
    *down = (int32_t)floor(buckets);
    *up = (int32_t)ceil(buckets);
    return SERIN_OK;
}

double hist_shift_effect(int scale, int32_t k)
{
    return elem_expm1(ldexp((double)k, -scale) * M_LN2);
}
