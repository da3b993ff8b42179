/* stats/onset.c -- [ONSET] */
#include "stats/onset.h"

void onset_init(struct onset *o)
{
    *o = (struct onset){0};
}

void onset_window(struct onset *o, const double *before, const double *after, size_t n,
                  double d_null, uint32_t at)
{
    for (size_t j = 0; j < n; j++) {
        float s = o->s[j] + (float)(after[j] - before[j] - d_null);
        o->since[j] = o->s[j] > 0 ? o->since[j] : at;
        o->s[j] = s > 0 ? s : 0;
    }
}

double onset_estimate(const struct onset *o, size_t from, size_t n, uint32_t *at)
{
    float most = 0;
    for (size_t j = from; j < n; j++) {
        if (!(o->s[j] > most)) continue;
        most = o->s[j];
        *at = o->since[j];
    }
    return (double)most;
}
