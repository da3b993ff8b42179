/* engine/replay/scene/chance.c */
#include "engine/replay/scene/chance.h"

#include <string.h>

#include "engine/base/hash.h"

/* With its NUL, so that names cannot run into each other. */
static uint64_t name(const char *s, uint64_t seed)
{
    return hash_bytes(s, strlen(s) + 1, seed);
}

struct draw chance_cell(uint64_t seed, uint32_t purpose, const char *rollout,
                        const pb_cell *c)
{
    const int64_t numbers[] = {c->window_ms, c->cohort, purpose};
    uint64_t h = name(c->stratum, name(c->metric, name(rollout, seed)));
    return draw_seeded(hash_bytes(numbers, sizeof numbers, h));
}

double chance_bytes(uint64_t seed, uint32_t purpose, const void *p, size_t n)
{
    struct draw d =
        draw_seeded(hash_bytes(p, n, hash_bytes(&purpose, sizeof purpose, seed)));
    return draw_uniform(&d);
}
