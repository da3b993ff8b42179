/* engine/replay/lane.c */
#include "engine/replay/lane.h"

#include <string.h>

#include "engine/base/mem.h"
#include "proto/decode.h"

enum serin_status lane_open(struct lane *l, const struct fold_options *o)
{
    *l = (struct lane){.last = -1};
    return fold_open(&l->fold, o);
}

static void drop(struct replay_verdict *v)
{
    mem_free((void *)(uintptr_t)v->rollout);
    mem_free((void *)(uintptr_t)v->bytes.p);
}

void lane_close(struct lane *l)
{
    for (size_t i = l->first; i < l->n; i++)
        drop(&l->waiting[i]);
    mem_free(l->waiting);
    effects_free(&l->fx);
    arena_free(&l->arena);
    fold_close(l->fold);
}

void lane_told(struct lane *l)
{
    size_t left = l->n - l->first;
    memmove(l->waiting, l->waiting + l->first, left * sizeof *l->waiting);
    l->first = 0;
    l->n = left;
}

static enum serin_status keep(struct lane *l, const struct bytes *value)
{
    pb_verdict *v;
    arena_reset(&l->arena);
    enum serin_status rc = decode_verdict(&l->arena, value->p, value->n, &v);
    if (rc != SERIN_OK) return rc;
    if (l->n == l->room) {
        size_t room = l->room > 0 ? 2 * l->room : 16;
        struct replay_verdict *grown = mem_realloc(l->waiting, room, sizeof *grown);
        if (grown == NULL) return SERIN_ENOMEM;
        l->waiting = grown;
        l->room = room;
    }
    uint8_t *copy = mem_calloc(value->n + 1, 1);
    struct replay_verdict k = {.rollout = mem_strdup(v->rollout),
                               .seq = v->seq,
                               .t_ms = v->t_ms,
                               .bytes = {copy, value->n}};
    if (copy == NULL || k.rollout == NULL) {
        drop(&k);
        return SERIN_ENOMEM;
    }
    memcpy(copy, value->p, value->n);
    l->waiting[l->n++] = k;
    return SERIN_OK;
}

enum serin_status lane_take(struct lane *l, const struct replay_options *o,
                            int64_t offset, const void *value, size_t n)
{
    if (offset <= l->last) {
        l->repeated++;
        return SERIN_OK;
    }
    l->last = offset;
    effects_reset(&l->fx);
    enum serin_status rc = fold_apply(l->fold, offset, value, n, &l->fx);
    for (size_t i = 0; rc == SERIN_OK && i < l->fx.n; i++) {
        const struct effect *e = &l->fx.items[i];
        if (o->effect != NULL) rc = o->effect(o->ctx, e);
        bool wanted = e->kind == EFFECT_VERDICT && o->verdict != NULL;
        if (rc == SERIN_OK && wanted) rc = keep(l, &e->value);
    }
    return rc;
}
