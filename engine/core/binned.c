/* engine/core/binned.c */
#include "engine/core/binned.h"

#include <string.h>

#include "engine/base/mem.h"

struct hist_view binned_view(const struct binned *b)
{
    if (b == NULL) return (struct hist_view){.scale = HIST_SCALE};
    return (struct hist_view){b->scale, b->offset, b->n, b->zero, b->counts};
}

bool binned_sane(const struct hist_view *v, uint64_t n)
{
    const int64_t far = (int64_t)1 << 30; /* of scale 20 at the largest double */
    return v->scale >= HIST_SCALE_MIN && v->scale <= HIST_SCALE_MAX &&
           v->offset >= -far && v->offset + (int64_t)v->n <= far && hist_total(v) == n;
}

static enum serin_status fit(struct hist *h, uint32_t most)
{
    int by = 0;
    int64_t first = h->offset, last = first + (int64_t)h->n - 1;
    while (h->n != 0 && (last >> by) - (first >> by) >= (int64_t)most)
        by++;
    return by != 0 ? hist_downscale(h, by) : SERIN_OK;
}

enum serin_status binned_add(struct binned **b, const struct hist_view *v,
                             uint32_t most)
{
    struct hist sum;
    struct hist_view before = binned_view(*b);
    if (hist_init(&sum, HIST_SCALE) != SERIN_OK ||
        hist_merge(&sum, &before) != SERIN_OK || hist_merge(&sum, v) != SERIN_OK ||
        fit(&sum, most) != SERIN_OK)
        return SERIN_ELIMIT;
    struct binned *to = mem_calloc(1, sizeof *to + (size_t)sum.n * sizeof *to->counts);
    if (to == NULL) return SERIN_ENOMEM;
    to->scale = sum.scale;
    to->offset = sum.n != 0 ? sum.offset : 0;
    to->n = sum.n;
    to->zero = sum.zero;
    memcpy(to->counts, sum.counts, (size_t)sum.n * sizeof *to->counts);
    mem_free(*b);
    *b = to;
    return SERIN_OK;
}
