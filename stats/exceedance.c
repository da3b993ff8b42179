/* stats/exceedance.c -- [EXC] thresholds from the past, counts from the present */
#include "stats/exceedance.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "stats/combine.h"

const double exceedance_levels[EXCEEDANCE_LEVELS] = {0.5, 0.75, 0.9, 0.95, 0.99, 0.999};

static const double keep = 0.9;          /* of the past, per window with data */
static const double forgotten = 0x1p-60; /* a bucket's share that no longer matters */
enum { LEARN = 3 };                      /* windows before the first threshold */

void exceedance_init(struct exceedance *e)
{
    memset(e, 0, sizeof *e);
    e->scale = HIST_SCALE_MAX;
}

static void lower_scale(struct exceedance *e, int by)
{
    e->scale -= by;
    if (e->n == 0 || by == 0) return;
    int32_t offset = e->offset >> by;
    for (uint32_t k = 0; k < e->n; k++) {
        double count = e->past[k];
        e->past[k] = 0;
        e->past[((e->offset + (int32_t)k) >> by) - offset] += count;
    }
    e->n = (uint32_t)(((e->offset + (int32_t)e->n - 1) >> by) - offset) + 1;
    e->offset = offset;
}

/* First and last bucket with a count, at scale; false when there is none. */
static bool extent(const struct hist_view *v, int scale, int64_t *first, int64_t *last)
{
    bool any = false;
    for (size_t k = 0; k < v->n; k++) {
        if (v->counts[k] == 0) continue;
        *last = (v->offset + (int64_t)k) >> (v->scale - scale);
        if (!any) *first = *last;
        any = true;
    }
    return any;
}

/* Make the past cover the baseline's buckets, lowering the scale while it must. */
static void cover(struct exceedance *e, const struct hist_view *v)
{
    int64_t first = 0, last = 0;
    if (v->scale < e->scale) lower_scale(e, e->scale - v->scale);
    if (!extent(v, e->scale, &first, &last)) return;
    if (e->n == 0) e->offset = (int32_t)first;
    first = e->offset < first ? e->offset : first;
    last = e->offset + (int64_t)e->n - 1 > last ? e->offset + (int64_t)e->n - 1 : last;
    int by = 0;
    while ((last >> by) - (first >> by) >= HIST_ROOM)
        by++;
    lower_scale(e, by);
    if (e->n == 0) e->offset = (int32_t)(first >> by);
    uint32_t move = (uint32_t)(e->offset - (first >> by));
    memmove(e->past + move, e->past, e->n * sizeof *e->past);
    memset(e->past, 0, move * sizeof *e->past);
    e->offset = (int32_t)(first >> by);
    e->n = (uint32_t)((last >> by) - (first >> by)) + 1;
}

/* The past forgets far outliers, so that one of them does not cost resolution for ever.
 */
static void trim(struct exceedance *e)
{
    uint32_t skip = 0;
    while (e->n > 0 && e->past[e->n - 1] < forgotten)
        e->past[--e->n] = 0;
    while (skip < e->n && e->past[skip] < forgotten)
        skip++;
    if (skip == 0) return;
    memmove(e->past, e->past + skip, (e->n - skip) * sizeof *e->past);
    memset(e->past + e->n - skip, 0, skip * sizeof *e->past);
    e->offset += (int32_t)skip;
    e->n -= skip;
}

static void learn(struct exceedance *e, const struct hist_view *v)
{
    if (hist_total(v) == 0) return;
    for (uint32_t k = 0; k < e->n; k++)
        e->past[k] *= keep;
    e->zero = e->zero * keep + (double)v->zero;
    for (size_t k = 0; k < v->n; k++) {
        if (v->counts[k] == 0) continue;
        int64_t i = (v->offset + (int64_t)k) >> (v->scale - e->scale);
        e->past[i - e->offset] += (double)v->counts[k];
    }
    e->windows++;
    trim(e);
}

int32_t exceedance_threshold(const struct exceedance *e, double q)
{
    double total = e->zero, seen = e->zero;
    for (uint32_t k = 0; k < e->n; k++)
        total += e->past[k];
    int32_t best = EXCEEDANCE_ZERO;
    double gap = e->zero > 0 || e->n == 0 ? fabs(seen / total - q) : HUGE_VAL;
    for (uint32_t k = 0; k < e->n; k++) {
        seen += e->past[k];
        if (fabs(seen / total - q) >= gap) continue;
        gap = fabs(seen / total - q);
        best = e->offset + (int32_t)k;
    }
    return best;
}

uint64_t exceedance_above(const struct hist_view *v, int scale, int32_t b,
                          int32_t shift)
{
    uint64_t sum = 0;
    for (size_t k = 0; k < v->n; k++) {
        int64_t i = ((v->offset + (int64_t)k) >> (v->scale - scale)) - shift;
        if (b == EXCEEDANCE_ZERO || i > b) sum += v->counts[k];
    }
    return sum;
}

static bool view_ok(const struct hist_view *v)
{
    return v->scale >= HIST_SCALE_MIN && v->scale <= HIST_SCALE_MAX &&
           hist_total(v) <= COUNT_MAX;
}

enum serin_status exceedance_window(struct exceedance *e,
                                    const struct hist_view *canary,
                                    const struct hist_view *baseline, int32_t shift,
                                    struct count_table plain[EXCEEDANCE_LEVELS],
                                    struct count_table shifted[EXCEEDANCE_LEVELS])
{
    if (!view_ok(canary) || !view_ok(baseline)) return SERIN_EDOM;
    bool ready = e->windows >= LEARN;
    int floor_scale = canary->scale < baseline->scale ? canary->scale : baseline->scale;
    if (floor_scale < e->scale) lower_scale(e, e->scale - floor_scale);
    uint64_t n = hist_total(canary), m = hist_total(baseline);
    for (int q = 0; q < EXCEEDANCE_LEVELS; q++) {
        struct count_table c = {0};
        if (ready) {
            int32_t b = e->bucket[q] = exceedance_threshold(e, exceedance_levels[q]);
            c = (struct count_table){.n = n,
                                     .x = exceedance_above(canary, e->scale, b, 0),
                                     .m = m,
                                     .y = exceedance_above(baseline, e->scale, b, 0)};
        }
        plain[q] = c;
        if (shifted == NULL) continue;
        if (ready) c.x = exceedance_above(canary, e->scale, e->bucket[q], shift);
        shifted[q] = c;
    }
    cover(e, baseline);
    learn(e, baseline);
    return ready ? SERIN_OK : SERIN_AGAIN;
}

double exceedance_combo(double log_ranks, const double log_levels[EXCEEDANCE_LEVELS])
{
    double both[] = {log_ranks, combine_average(log_levels, NULL, EXCEEDANCE_LEVELS)};
    return combine_average(both, NULL, 2);
}
