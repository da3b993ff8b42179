/* engine/replay/replay.c */
#include "engine/replay/replay.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "proto/decode.h"
#include "proto/encode.h"

enum { PARTITIONS_MAX = 65536 };

struct lane {
    struct fold *fold;
    int64_t last; /* offset folded */
};

struct replay {
    struct lane *lanes; /* by partition */
    size_t n;
    struct effects fx;
    struct arena arena;
    const struct fold_options *o;
    const struct replay_watch *watch; /* NULL: nobody */
    struct replay_result *out;
};

static enum serin_status no_memory(struct fault *f)
{
    return fault_set(f, SERIN_ENOMEM, "no memory for the replay");
}

static int by_time(const void *a, const void *b)
{
    const struct replay_verdict *x = a, *y = b;
    if (x->t_ms != y->t_ms) return x->t_ms < y->t_ms ? -1 : 1;
    int c = strcmp(x->rollout, y->rollout);
    if (c != 0) return c;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static enum serin_status keep(struct replay *rp, const struct bytes *value)
{
    struct replay_result *out = rp->out;
    pb_verdict *v;
    arena_reset(&rp->arena);
    enum serin_status rc = decode_verdict(&rp->arena, value->p, value->n, &v);
    if (rc != SERIN_OK) return rc;
    if (out->n == out->room) {
        size_t room = out->room > 0 ? 2 * out->room : 64;
        struct replay_verdict *grown = mem_realloc(out->verdicts, room, sizeof *grown);
        if (grown == NULL) return SERIN_ENOMEM;
        out->verdicts = grown;
        out->room = room;
    }
    struct replay_verdict *k = &out->verdicts[out->n];
    uint8_t *copy = mem_calloc(value->n + 1, 1);
    k->rollout = mem_strdup(v->rollout);
    if (copy == NULL || k->rollout == NULL) {
        mem_free(copy);
        mem_free(k->rollout);
        return SERIN_ENOMEM;
    }
    memcpy(copy, value->p, value->n);
    k->bytes = (struct bytes){copy, value->n};
    k->seq = v->seq;
    k->t_ms = v->t_ms;
    out->n++;
    return SERIN_OK;
}

static enum serin_status lane_of(struct replay *rp, int32_t partition,
                                 struct lane **out)
{
    size_t at = (size_t)partition;
    if (at >= rp->n) {
        struct lane *grown = mem_realloc(rp->lanes, at + 1, sizeof *grown);
        if (grown == NULL) return SERIN_ENOMEM;
        rp->lanes = grown;
        for (; rp->n <= at; rp->n++)
            rp->lanes[rp->n] = (struct lane){NULL, -1};
    }
    *out = &rp->lanes[at];
    if ((*out)->fold != NULL) return SERIN_OK;
    rp->out->partitions++;
    return fold_open(&(*out)->fold, rp->o);
}

static enum serin_status fold_one(struct replay *rp, const struct recording_record *r,
                                  struct fault *f)
{
    struct lane *lane;
    if (r->topic != 0) return SERIN_OK;
    if (r->partition < 0 || r->partition >= PARTITIONS_MAX)
        return fault_set(f, SERIN_EPARSE, "a record of partition %d: expected 0 to %d",
                         (int)r->partition, PARTITIONS_MAX - 1);
    enum serin_status rc = lane_of(rp, r->partition, &lane);
    if (rc != SERIN_OK) return no_memory(f);
    if (r->offset <= lane->last) {
        rp->out->repeated++;
        return SERIN_OK;
    }
    lane->last = r->offset;
    effects_reset(&rp->fx);
    rc = fold_apply(lane->fold, r->offset, r->value, r->value_len, &rp->fx);
    for (size_t i = 0; rc == SERIN_OK && i < rp->fx.n; i++) {
        const struct effect *e = &rp->fx.items[i];
        if (rp->watch != NULL) rc = rp->watch->effect(rp->watch->ctx, e);
        if (rc == SERIN_OK && e->kind == EFFECT_VERDICT) rc = keep(rp, &e->value);
    }
    return rc == SERIN_OK ? rc : no_memory(f);
}

enum serin_status replay_inbox(struct recording_reader *r, const struct fold_options *o,
                               struct replay_result *out, struct fault *f)
{
    return replay_watched(r, o, NULL, out, f);
}

enum serin_status replay_watched(struct recording_reader *r,
                                 const struct fold_options *o,
                                 const struct replay_watch *w,
                                 struct replay_result *out, struct fault *f)
{
    struct replay rp = {.o = o, .watch = w, .out = out};
    struct recording_record record;
    enum serin_status rc;
    while ((rc = recording_next(r, &record, f)) == SERIN_OK) {
        rc = fold_one(&rp, &record, f);
        if (rc != SERIN_OK) break;
    }
    if (rc == SERIN_AGAIN) rc = SERIN_OK;
    for (size_t i = 0; i < rp.n; i++) {
        if (rp.lanes[i].fold == NULL) continue;
        struct fold_counts k = fold_counts(rp.lanes[i].fold);
        out->rollouts += k.rollouts;
        out->undecodable += k.undecodable;
        fold_close(rp.lanes[i].fold);
    }
    mem_free(rp.lanes);
    effects_free(&rp.fx);
    arena_free(&rp.arena);
    if (rc != SERIN_OK && rc != SERIN_EPARSE) replay_free(out);
    if (out->n > 0) qsort(out->verdicts, out->n, sizeof *out->verdicts, by_time);
    return rc;
}

void replay_free(struct replay_result *out)
{
    for (size_t i = 0; i < out->n; i++) {
        mem_free(out->verdicts[i].rollout);
        mem_free((void *)(uintptr_t)out->verdicts[i].bytes.p);
    }
    mem_free(out->verdicts);
    *out = (struct replay_result){0};
}

enum serin_status replay_digest(const void *p, size_t n, uint8_t out[HASH_DIGEST])
{
    struct arena a = {0};
    struct bytes bytes;
    pb_verdict *v;
    enum serin_status rc = decode_verdict(&a, p, n, &v);
    if (rc == SERIN_OK) {
        v->sig = (ProtobufCBinaryData){0};
        rc = encode_verdict(&a, v, &bytes);
    }
    if (rc == SERIN_OK) hash_digest(bytes.p, bytes.n, out);
    arena_free(&a);
    return rc;
}
