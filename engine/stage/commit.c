/* engine/stage/commit.c -- one transaction, opened late and closed soon: while it is
 * open no read_committed reader of these partitions sees anything newer */
#include "engine/stage/commit.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/stage/restore.h"
#include "proto/encode.h"

static enum bus_topic topic_of(enum effect_kind kind)
{
    switch (kind) {
    case EFFECT_VERDICT:
        return BUS_VERDICTS;
    case EFFECT_ROLLOUT:
        return BUS_ROLLOUTS;
    case EFFECT_AUDIT:
        return BUS_AUDIT;
    case EFFECT_SNAPSHOT:
        break;
    }
    return BUS_STATE;
}

/* Rows and snapshots replace each other: of each key only the last one need go out,
 * which matters when a backlog is folded. NULL when memory is out: then send them all.
 */
static bool *superseded(const struct effects *fx)
{
    size_t room = 8;
    while (room < 2 * fx->n)
        room *= 2;
    bool *old = mem_calloc(fx->n, sizeof *old);
    size_t *seen = mem_calloc(room, sizeof *seen); /* index + 1 of the last of a key */
    for (size_t i = fx->n; old != NULL && seen != NULL && i-- > 0;) {
        const struct effect *e = &fx->items[i];
        if (e->kind != EFFECT_SNAPSHOT && e->kind != EFFECT_ROLLOUT) continue;
        size_t at = hash_bytes(e->key, strlen(e->key), (uint64_t)e->kind) & (room - 1);
        for (; seen[at] != 0; at = (at + 1) & (room - 1)) {
            const struct effect *later = &fx->items[seen[at] - 1];
            if (later->kind == e->kind && strcmp(later->key, e->key) == 0) break;
        }
        if (seen[at] != 0)
            old[i] = true;
        else
            seen[at] = i + 1;
    }
    mem_free(seen);
    return old;
}

static enum serin_status send_effects(const struct commit *c, const struct part *p,
                                      struct fault *f)
{
    enum serin_status rc = SERIN_OK;
    bool *old = p->fx.n > 1 ? superseded(&p->fx) : NULL;
    for (size_t i = 0; rc == SERIN_OK && i < p->fx.n; i++) {
        const struct effect *e = &p->fx.items[i];
        if (old != NULL && old[i]) continue;
        /* State lies beside its inbox partition whatever the key hashes to. */
        int32_t to = e->kind == EFFECT_SNAPSHOT ? p->id : -1;
        rc = producer_send(c->producer, bus_topic_name(c->bus, topic_of(e->kind)), to,
                           e->key, strlen(e->key), e->value.n > 0 ? e->value.p : NULL,
                           e->value.n, f);
    }
    mem_free(old);
    return rc;
}

static enum serin_status send_claim(const struct commit *c, const struct part *p,
                                    struct arena *a, struct fault *f)
{
    struct bytes out;
    pb_snapshot claim = SERIN__V1__SNAPSHOT__INIT;
    claim.schema = SERIN_SCHEMA;
    claim.epoch = p->epoch;
    claim.applied_offset = p->next - 1;
    enum serin_status rc = encode_snapshot(a, &claim, &out);
    if (rc != SERIN_OK) return fault_set(f, rc, "no memory for a claim");
    return producer_send(c->producer, bus_topic_name(c->bus, BUS_STATE), p->id,
                         RESTORE_CLAIM, strlen(RESTORE_CLAIM), out.p, out.n, f);
}

/* The tick carries time into the log, and the epoch of who wrote it. */
static enum serin_status send_tick(const struct commit *c, const struct part *p,
                                   struct arena *a, struct fault *f)
{
    struct bytes out;
    char worker[32];
    snprintf(worker, sizeof worker, "%s/%llu", RESTORE_CLAIM,
             (unsigned long long)p->epoch);
    pb_tick tick = SERIN__V1__TICK__INIT;
    pb_inbox box = SERIN__V1__INBOX__INIT;
    tick.worker = worker;
    tick.wall_ms = c->tick_ms;
    box.schema = SERIN_SCHEMA;
    box.body_case = SERIN__V1__INBOX__BODY_TICK;
    box.tick = &tick;
    enum serin_status rc = encode_inbox(a, &box, &out);
    if (rc != SERIN_OK) return fault_set(f, rc, "no memory for a tick");
    return producer_send(c->producer, bus_topic_name(c->bus, BUS_INBOX), p->id,
                         RESTORE_CLAIM, strlen(RESTORE_CLAIM), out.p, out.n, f);
}

static enum serin_status send_part(const struct commit *c, const struct part *p,
                                   struct arena *a, struct fault *f)
{
    enum serin_status rc = send_effects(c, p, f);
    if (rc == SERIN_OK && !p->claimed) rc = send_claim(c, p, a, f);
    if (rc == SERIN_OK && c->tick_ms >= 0) rc = send_tick(c, p, a, f);
    return rc;
}

static enum serin_status send_all(const struct commit *c, struct bus_partition *offsets,
                                  size_t n, struct fault *f)
{
    struct arena a = {0};
    enum serin_status rc = producer_begin(c->producer, f);
    if (rc != SERIN_OK) {
        f->fatal = true; /* it refuses to start: nothing to abort, only to rebuild */
        return rc;
    }
    for (size_t i = 0; rc == SERIN_OK && i < c->n; i++)
        if (c->parts[i]->state == PART_LIVE) rc = send_part(c, c->parts[i], &a, f);
    arena_free(&a);
    if (rc == SERIN_OK) return producer_commit(c->producer, c->consumer, offsets, n, f);
    struct fault at_abort = {0};
    bool fatal = f->fatal;
    if (producer_abort(c->producer, &at_abort) != SERIN_OK) fatal = true;
    f->fatal = fatal;
    f->rewind = !fatal;
    return rc;
}

static void done(const struct commit *c)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->parts[i]->state != PART_LIVE) continue;
        effects_reset(&c->parts[i]->fx);
        c->parts[i]->claimed = true;
    }
}

enum serin_status commit_run(const struct commit *c, struct fault *f)
{
    size_t n = 0;
    struct bus_partition *offsets = mem_calloc(c->n + 1, sizeof *offsets);
    if (offsets == NULL) {
        enum serin_status out = fault_set(f, SERIN_ENOMEM, "no memory to commit");
        f->rewind = true;
        return out;
    }
    for (size_t i = 0; i < c->n; i++) {
        const struct part *p = c->parts[i];
        if (p->state != PART_LIVE) continue;
        offsets[n].topic = bus_topic_name(c->bus, BUS_INBOX);
        offsets[n].partition = p->id;
        /* A restored fold reads some records again; what is committed stays so. */
        offsets[n++].offset = p->next > p->committed ? p->next : p->committed;
    }
    enum serin_status rc = n > 0 ? send_all(c, offsets, n, f) : SERIN_OK;
    mem_free(offsets);
    if (rc == SERIN_OK) {
        done(c);
    } else if (!f->fatal) {
        f->rewind = true;
    }
    return rc;
}
