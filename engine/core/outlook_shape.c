/* engine/core/outlook_shape.c */
#include "engine/core/outlook_shape.h"

#include <math.h>
#include <string.h>

static const double z99 = 2.3263478740408408; /* quantile .99 of the normal law */
static const double widest = 5; /* standard deviations that are drawn from */

static double sigma_of(const struct outlook_base *base)
{
    return log(base->p99_ms / base->p50_ms) / z99;
}

/* Share above ms of the usual law, its values times factor. */
static double usual(const struct outlook_base *base, double factor, double ms)
{
    if (!(ms > 0)) return 1;
    double z = log(ms / factor / base->p50_ms) / sigma_of(base);
    return erfc(z * M_SQRT1_2) / 2;
}

double outlook_shape_beyond(const struct outlook_base *base,
                            const struct outlook_bad *bad, double ms)
{
    if (bad == NULL) return usual(base, 1, ms);
    if (bad->how == OUTLOOK_SLOWER) return usual(base, bad->size, ms);
    return (1 - bad->share) * usual(base, 1, ms) +
           bad->share * usual(base, 1, ms - bad->size);
}

enum serin_status outlook_shape_make(struct outlook_shape *s,
                                     const struct outlook_base *base,
                                     const struct outlook_bad *bad)
{
    double spread = exp(widest * sigma_of(base)), most = base->p50_ms * spread;
    int32_t last;
    if (bad != NULL && bad->how == OUTLOOK_SLOWER) most *= bad->size;
    if (bad != NULL && bad->how == OUTLOOK_TAIL) most += bad->size;
    if (hist_index(base->p50_ms / spread, HIST_SCALE, &s->first) != SERIN_OK ||
        hist_index(most, HIST_SCALE, &last) != SERIN_OK || last - s->first >= HIST_ROOM)
        return SERIN_EDOM;
    s->n = (size_t)(last - s->first) + 1;
    for (size_t k = 0; k < s->n; k++)
        s->below[k] = 1 - outlook_shape_beyond(
                              base, bad, hist_edge(HIST_SCALE, s->first - 1 + (int)k));
    s->below[0] = 0;
    s->below[s->n] = 1;
    return SERIN_OK;
}

static void draw_one(const struct outlook_shape *s, struct draw *d, uint64_t *counts)
{
    double u = draw_uniform(d);
    size_t low = 0, high = s->n; /* below[low] <= u < below[high] */
    while (high - low > 1) {
        size_t mid = (low + high) / 2;
        if (s->below[mid] <= u)
            low = mid;
        else
            high = mid;
    }
    counts[low]++;
}

static void draw_all(const struct outlook_shape *s, struct draw *d, uint64_t n,
                     uint64_t *counts)
{
    for (size_t k = 0; k < s->n && n > 0; k++) {
        double rest = 1 - s->below[k], share = s->below[k + 1] - s->below[k];
        counts[k] = share < rest ? draw_binomial(d, n, share / rest) : n;
        n -= counts[k];
    }
}

struct hist_view outlook_shape_draw(const struct outlook_shape *s, struct draw *d,
                                    uint64_t n, double phi, uint64_t *counts)
{
    uint64_t tries = n;
    memset(counts, 0, s->n * sizeof *counts);
    if (phi > 1) tries = (uint64_t)floor((double)n / phi + draw_uniform(d));
    if (tries < s->n / 2)
        for (uint64_t i = 0; i < tries; i++)
            draw_one(s, d, counts);
    else
        draw_all(s, d, tries, counts);
    for (size_t k = 0; phi > 1 && k < s->n; k++)
        if (counts[k] != 0)
            counts[k] = (uint64_t)floor(phi * (double)counts[k] + draw_uniform(d));
    return (struct hist_view){HIST_SCALE, s->first, s->n, 0, counts};
}
