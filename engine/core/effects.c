/* engine/core/effects.c */
#include "engine/base/mem.h"
#include "engine/core/fold.h"

void effects_reset(struct effects *fx)
{
    arena_reset(&fx->arena);
    fx->n = fx->verdicts = 0;
}

void effects_free(struct effects *fx)
{
    arena_free(&fx->arena);
    mem_free(fx->items);
    fx->items = NULL;
    fx->n = fx->room = fx->verdicts = 0;
}
