/* engine/replay/report/plot_scale.c */
#include "engine/replay/report/plot_scale.h"

#include <math.h>

void plot_scale_add(struct plot_range *r, double x)
{
    if (!isfinite(x) || (r->log && !(x > 0))) return;
    if (!r->any || x < r->low) r->low = x;
    if (!r->any || x > r->high) r->high = x;
    r->any = true;
}

struct plot_scale plot_scale_of(const struct plot_range *r, double a, double b)
{
    struct plot_scale s = {r->low, r->high, a, b, r->log};
    const double margin = 0.05;
    if (!r->any) {
        s.low = r->log ? 0.5 : 0;
        s.high = r->log ? 2 : 1;
    } else if (r->log) {
        double wider = fmax(margin * log(s.high / s.low), 0.02);
        s.low *= exp(-wider);
        s.high *= exp(wider);
    } else {
        double wider = margin * (s.high - s.low);
        if (!(wider > 0)) wider = s.high != 0 ? 0.1 * fabs(s.high) : 1;
        if (s.low != 0) s.low -= wider; /* counts and shares begin at 0 */
        s.high += wider;
    }
    return s;
}

double plot_scale_place(const struct plot_scale *s, double x)
{
    if (isnan(x)) return x;
    double at = s->log ? log(x > 0 ? x / s->low : 0) / log(s->high / s->low)
                       : (x - s->low) / (s->high - s->low);
    return s->a + (s->b - s->a) * fmin(fmax(at, 0), 1);
}

static size_t every(const struct plot_scale *s, double step, double out[PLOT_TICKS])
{
    size_t n = 0;
    for (double k = ceil(s->low / step); k * step <= s->high && n < PLOT_TICKS; k++)
        out[n++] = k == 0 ? 0 : k * step;
    return n;
}

/* 1, 2, 5 of every power of ten, or powers alone when there are many of them. */
static size_t powers(const struct plot_scale *s, size_t want, double out[PLOT_TICKS])
{
    static const double nine[] = {1, 2, 5};
    double decades = log10(s->high / s->low);
    size_t n = 0, part = decades > (double)want / 1.5 ? 1 : 3;
    double skip = fmax(1, ceil(decades / (double)want));
    for (double k = floor(log10(s->low)); k <= log10(s->high); k += skip)
        for (size_t i = 0; i < part && n < PLOT_TICKS; i++) {
            double x = nine[i] * pow(10, k);
            if (x >= s->low && x <= s->high) out[n++] = x;
        }
    return n;
}

size_t plot_scale_ticks(const struct plot_scale *s, size_t want, double out[PLOT_TICKS])
{
    double rough = (s->high - s->low) / (double)want;
    double ten = pow(10, floor(log10(rough)));
    double step = rough <= ten ? 1 : rough <= 2 * ten ? 2 : rough <= 5 * ten ? 5 : 10;
    if (s->log && s->high / s->low > 8) return powers(s, want, out);
    return every(s, step * ten, out);
}

size_t plot_scale_times(const struct plot_scale *s, size_t want, double out[PLOT_TICKS])
{
    static const double steps[] = {1,     2,     5,     10,    15,     30,    60,
                                   120,   300,   600,   900,   1800,   3600,  7200,
                                   10800, 21600, 43200, 86400, 172800, 604800};
    const size_t n = sizeof steps / sizeof *steps;
    double rough = (s->high - s->low) / (double)want;
    for (size_t i = 0; i < n; i++)
        if (1000 * steps[i] >= rough) return every(s, 1000 * steps[i], out);
    return every(s, 1000 * steps[n - 1] * ceil(rough / 1000 / steps[n - 1]), out);
}
