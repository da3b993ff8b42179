/* engine/core/checkpoint.c */
#include "engine/core/checkpoint.h"

#include <string.h>

#include "engine/core/fold_state.h"
#include "engine/core/trail.h"
#include "engine/core/turn.h"
#include "proto/encode.h"

enum { HEADS = 1000 }; /* in one entry: well below any limit of a record's size */

static bool entry(struct fold *f, int32_t partition, int64_t t_ms,
                  Serin__V1__Head **heads, size_t n)
{
    char rollout[] = TRAIL_CHECKPOINT, kind[] = "checkpoint";
    struct bytes payload, out;
    uint8_t hash[HASH_DIGEST];
    pb_checkpoint m = SERIN__V1__CHECKPOINT__INIT;
    pb_audit e = SERIN__V1__AUDIT_ENTRY__INIT;
    m.schema = e.schema = SERIN_SCHEMA;
    m.partition = partition;
    m.heads = heads;
    m.n_heads = n;
    if (encode_checkpoint(&f->record, &m, &payload) != SERIN_OK) return false;
    e.rollout = rollout;
    e.kind = kind;
    e.t_ms = t_ms;
    e.payload = (ProtobufCBinaryData){payload.n, (uint8_t *)(uintptr_t)payload.p};
    if (encode_audit(&f->record, &e, &out) != SERIN_OK) return false;
    hash_digest(out.p, out.n, hash);
    e.hash = (ProtobufCBinaryData){HASH_DIGEST, hash};
    if (encode_audit(&f->fx->arena, &e, &out) != SERIN_OK) return false;
    turn_effect(f, EFFECT_AUDIT, TRAIL_CHECKPOINT, out);
    return !f->nomem;
}

static bool batch(struct fold *f, int32_t partition, int64_t t_ms, size_t from,
                  size_t to)
{
    size_t n = 0;
    arena_reset(&f->record);
    Serin__V1__Head *items = arena_alloc(&f->record, (to - from) * sizeof *items);
    Serin__V1__Head **heads = arena_alloc(&f->record, (to - from) * sizeof *heads);
    if (items == NULL || heads == NULL) return false;
    for (size_t i = from; i < to; i++) {
        struct rollout *r = f->sorted[i];
        if (r->audit_seq == 0) continue;
        serin__v1__head__init(&items[n]);
        items[n].rollout = r->id;
        items[n].seq = r->audit_seq;
        items[n].hash = (ProtobufCBinaryData){HASH_DIGEST, r->audit_hash};
        heads[n] = &items[n];
        n++;
    }
    return n == 0 || entry(f, partition, t_ms, heads, n);
}

enum serin_status checkpoint_append(struct fold *f, int32_t partition, int64_t t_ms,
                                    struct effects *fx)
{
    bool good = true;
    f->fx = fx;
    for (size_t i = 0; good && i < f->n; i += HEADS)
        good = batch(f, partition, t_ms, i, i + HEADS < f->n ? i + HEADS : f->n);
    f->fx = NULL;
    return good ? SERIN_OK : SERIN_ENOMEM;
}
