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

/* The hash is the last field of both messages, and the signature the one after it, so
 * signing is appending: nothing is decoded, and what was hashed stays as it is. */
static enum serin_status sign(const struct commit *c, struct arena *a,
                              const struct effect *e, struct bytes *out)
{
    static const uint8_t of_verdict[] = {0xd2, 0x02, SIGN_BYTES}, /* field 42 */
        of_audit[] = {0x62, SIGN_BYTES};                          /* field 12 */
    bool verdict = e->kind == EFFECT_VERDICT;
    size_t n = e->value.n, tag = verdict ? sizeof of_verdict : sizeof of_audit;
    *out = e->value;
    if (c->key == NULL || (!verdict && e->kind != EFFECT_AUDIT)) return SERIN_OK;
    if (n <= HASH_DIGEST || e->value.p[n - HASH_DIGEST - 1] != HASH_DIGEST)
        return SERIN_EDOM;
    uint8_t *p = arena_alloc(a, n + tag + SIGN_BYTES);
    if (p == NULL) return SERIN_ENOMEM;
    memcpy(p, e->value.p, n);
    memcpy(p + n, verdict ? of_verdict : of_audit, tag);
    *out = (struct bytes){p, n + tag + SIGN_BYTES};
    return sign_digest(c->key, p + n - HASH_DIGEST, p + n + tag);
}

static enum serin_status send_effect(const struct commit *c, const struct part *p,
                                     struct arena *a, const struct effect *e,
                                     struct fault *f)
{
    struct bytes value;
    /* State lies beside its inbox partition whatever the key hashes to. */
    int32_t to = e->kind == EFFECT_SNAPSHOT ? p->id : -1;
    enum serin_status rc = sign(c, a, e, &value);
    if (rc != SERIN_OK) return fault_set(f, rc, "%s: cannot be signed", e->key);
    return producer_send(c->producer, bus_topic_name(c->bus, topic_of(e->kind)), to,
                         e->key, strlen(e->key), value.n > 0 ? value.p : NULL, value.n,
                         f);
}

static bool about_to_rise(const struct effects *fx, const char *rollout)
{
    for (size_t i = 0; i < fx->n; i++)
        if (fx->items[i].move == EFFECT_RAISES &&
            strcmp(fx->items[i].key, rollout) == 0)
            return true;
    return false;
}

static bool must_not_wait(const struct effects *fx, const struct effect *e)
{
    if (e->told) return false;
    return e->kind == EFFECT_ROLLOUT ? !about_to_rise(fx, e->key)
                                     : e->move == EFFECT_LOWERS;
}

static enum serin_status send_effects(const struct commit *c, const struct part *p,
                                      bool urgent, struct arena *a, struct fault *f)
{
    enum serin_status rc = SERIN_OK;
    bool *old = p->fx.n > 1 ? superseded(&p->fx) : NULL;
    for (size_t i = 0; rc == SERIN_OK && i < p->fx.n; i++) {
        const struct effect *e = &p->fx.items[i];
        bool skip = (old != NULL && old[i]) || (urgent && !must_not_wait(&p->fx, e));
        if (!skip) rc = send_effect(c, p, a, e, f);
    }
    mem_free(old);
    return rc;
}

static enum serin_status send_urgent(const struct commit *c, const struct part *p,
                                     struct arena *a, struct fault *f)
{
    return send_effects(c, p, true, a, f);
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

/* What goes out for one partition. */
typedef enum serin_status part_sender(const struct commit *, const struct part *,
                                      struct arena *, struct fault *);

static enum serin_status send_part(const struct commit *c, const struct part *p,
                                   struct arena *a, struct fault *f)
{
    enum serin_status rc = send_effects(c, p, false, a, f);
    if (rc == SERIN_OK && !p->claimed) rc = send_claim(c, p, a, f);
    if (rc == SERIN_OK && c->tick_ms >= 0) rc = send_tick(c, p, a, f);
    return rc;
}

static enum serin_status send_all(const struct commit *c, part_sender *send,
                                  struct bus_partition *offsets, size_t n,
                                  struct fault *f)
{
    struct arena a = {0};
    enum serin_status rc = producer_begin(c->producer, f);
    if (rc != SERIN_OK) {
        f->fatal = true; /* it refuses to start: nothing to abort, only to rebuild */
        return rc;
    }
    for (size_t i = 0; rc == SERIN_OK && i < c->n; i++)
        if (c->parts[i]->state == PART_LIVE) rc = send(c, c->parts[i], &a, f);
    arena_free(&a);
    if (rc == SERIN_OK) return producer_commit(c->producer, c->consumer, offsets, n, f);
    struct fault at_abort = {0};
    bool fatal = f->fatal;
    if (producer_abort(c->producer, &at_abort) != SERIN_OK) fatal = true;
    f->fatal = fatal;
    f->rewind = !fatal;
    return rc;
}

static int64_t next_of(const struct part *p)
{
    /* A restored fold reads some records again; what is committed stays so. */
    return p->next > p->committed ? p->next : p->committed;
}

static void done(const struct commit *c)
{
    for (size_t i = 0; i < c->n; i++) {
        struct part *p = c->parts[i];
        if (p->state != PART_LIVE) continue;
        effects_reset(&p->fx);
        p->claimed = true;
        p->committed = next_of(p);
    }
}

/* The group's generation goes with the offsets, so they are always sent: a zombie's
 * transaction is refused. */
static enum serin_status transact(const struct commit *c, part_sender *send, bool move,
                                  struct fault *f)
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
        offsets[n++].offset = move ? next_of(p) : p->committed;
    }
    enum serin_status rc = n > 0 ? send_all(c, send, offsets, n, f) : SERIN_OK;
    mem_free(offsets);
    if (rc != SERIN_OK && !f->fatal) f->rewind = true;
    return rc;
}

enum serin_status commit_run(const struct commit *c, struct fault *f)
{
    enum serin_status rc = transact(c, send_part, true, f);
    if (rc == SERIN_OK) done(c);
    return rc;
}

enum serin_status commit_ahead(const struct commit *c, struct fault *f)
{
    enum serin_status rc = transact(c, send_urgent, false, f);
    for (size_t i = 0; rc == SERIN_OK && i < c->n; i++) {
        struct effects *fx = &c->parts[i]->fx;
        for (size_t k = 0; k < fx->n; k++)
            fx->items[k].told = fx->items[k].told ||
                                fx->items[k].kind == EFFECT_ROLLOUT ||
                                fx->items[k].move == EFFECT_LOWERS;
    }
    return rc;
}
