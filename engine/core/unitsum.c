/* engine/core/unitsum.c */
#include "engine/core/unitsum.h"

void unitsum_add(struct unitsum *at, uint32_t *n, const struct unitsum *one)
{
    uint32_t i = 0;
    while (i < *n && at[i].id != one->id)
        i++;
    if (i == UNITSUM_MAX) i--;
    if (i == *n) at[(*n)++] = (struct unitsum){.id = one->id};
    at[i].n += one->n;
    at[i].sum += one->sum;
}
