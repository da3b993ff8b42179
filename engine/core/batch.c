/* engine/core/batch.c */
#include "engine/core/batch.h"

bool batch_window(struct batch *b, const struct kind_window *w, int64_t batch_ms)
{
    if (b->end_ms == b->begin_ms || b->end_ms != w->start_ms) {
        batch_clear(b);
        b->begin_ms = w->start_ms;
    }
    for (size_t i = 0; i < w->n; i++)
        for (int c = 0; c < 2; c++)
            for (uint32_t k = 0; k < w->units[i].n[c]; k++)
                unitsum_add(b->units[c], &b->n[c], &w->units[i].at[c][k]);
    b->end_ms = w->end_ms;
    return b->end_ms - b->begin_ms >= batch_ms;
}

void batch_clear(struct batch *b)
{
    b->begin_ms = b->end_ms = 0;
    b->n[0] = b->n[1] = 0;
}

static double mean(const struct unitsum *u)
{
    return u->sum / (double)u->n;
}

double batch_mean(const struct batch *b, int cohort)
{
    double sum = 0;
    for (uint32_t i = 0; i < b->n[cohort]; i++)
        sum += mean(&b->units[cohort][i]);
    return sum / b->n[cohort];
}

uint64_t batch_above(const struct batch *b, int cohort, double bound)
{
    uint64_t above = 0;
    for (uint32_t i = 0; i < b->n[cohort]; i++)
        above += mean(&b->units[cohort][i]) > bound;
    return above;
}
