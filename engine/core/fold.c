/* engine/core/fold.c -- records in, effects out */
#include "engine/core/fold.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/core/external.h"
#include "engine/core/facts.h"
#include "engine/core/fold_state.h"
#include "engine/core/judge.h"
#include "engine/core/operator.h"
#include "engine/core/row.h"
#include "engine/core/snapshot.h"
#include "engine/core/turn.h"
#include "proto/decode.h"

static const char clock_key[] = "@clock";

enum {
    MAX_LAG_MS = 60000,
    ROW_EVERY_MS = 2000,
    SNAPSHOT_EVERY_MS = 10000,
    RECORD_MAX = 4 << 20,   /* longer ones are undecodable, whatever they hold */
    RECORD_ARENA = 1 << 29, /* what RECORD_MAX bytes can decode to, with room */
    SCRATCH_BYTES = 1 << 20,
    REFRESH_BYTES = 8 << 20,
    EFFECTS_ARENA = 1 << 30, /* every rollout of a partition may abort in one record */
    IDLE_FACTOR = 6          /* a rollout without news is saved this much more rarely */
};

/* The sequence number goes on from here when the old one could not be read: consumers
 * drop what is not newer than what they have seen. */
#define SEQ_UNKNOWN (UINT64_C(1) << 40)

/* ---- the fold and its rollouts */
enum serin_status fold_open(struct fold **out, const struct fold_options *o)
{
    struct fold *f = mem_calloc(1, sizeof *f);
    if (f == NULL) return SERIN_ENOMEM;
    f->o = *o;
    if (f->o.max_lag_ms == 0) f->o.max_lag_ms = MAX_LAG_MS;
    if (f->o.row_every_ms == 0) f->o.row_every_ms = ROW_EVERY_MS;
    if (f->o.snapshot_every_ms == 0) f->o.snapshot_every_ms = SNAPSHOT_EVERY_MS;
    f->offset = f->clock_offset = f->told_offset = -1;
    f->record.max = RECORD_ARENA;
    *out = f;
    return SERIN_OK;
}

void fold_close(struct fold *f)
{
    if (f == NULL) return;
    HASH_CLEAR(hh, f->by_id);
    for (size_t i = 0; i < f->n; i++)
        rollout_free(f->sorted[i]);
    mem_free(f->sorted);
    streamclock_free(&f->clock);
    arena_free(&f->record);
    arena_free(&f->clock_arena);
    mem_free(f);
}

struct rollout *fold_find(const struct fold *f, const char *id)
{
    struct rollout *r = NULL;
    HASH_FIND_STR(f->by_id, id, r);
    return r;
}

static size_t place(const struct fold *f, const char *id)
{
    size_t lo = 0, hi = f->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(f->sorted[mid]->id, id) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool fold_add(struct fold *f, struct rollout *r)
{
    if (f->n == f->room) {
        size_t room = f->room != 0 ? 2 * f->room : 64;
        void *grown = mem_realloc(f->sorted, room, sizeof *f->sorted);
        if (grown == NULL) {
            f->nomem = true;
            return false;
        }
        f->sorted = grown;
        f->room = room;
    }
    HASH_ADD_STR(f->by_id, id, r);
    if (r->hh.tbl == NULL) { /* uthash's word for: out of memory */
        f->nomem = true;
        return false;
    }
    size_t at = place(f, r->id);
    memmove(f->sorted + at + 1, f->sorted + at, (f->n - at) * sizeof *f->sorted);
    f->sorted[at] = r;
    f->n++;
    return true;
}

void fold_remove(struct fold *f, struct rollout *r)
{
    size_t at = place(f, r->id);
    HASH_DELETE(hh, f->by_id, r);
    f->n--;
    memmove(f->sorted + at, f->sorted + at + 1, (f->n - at) * sizeof *f->sorted);
    rollout_free(r);
}

/* ---- restore */
static enum serin_status restore_clock(struct fold *f, const void *value, size_t n,
                                       struct fault *why)
{
    struct arena a = {0};
    pb_snapshot *s;
    enum serin_status rc = decode_snapshot(&a, value, n, &s);
    if (rc == SERIN_OK && s->clock == NULL) rc = SERIN_EPARSE;
    bool newer = rc == SERIN_OK &&
                 (f->clock_row == NULL || s->epoch > f->clock_epoch ||
                  (s->epoch == f->clock_epoch && s->applied_offset > f->clock_offset));
    if (!newer) {
        arena_free(&a);
        return rc == SERIN_OK
                   ? SERIN_OK
                   : fault_set(why, rc, "the clock's snapshot cannot be read: %s",
                               status_text(rc));
    }
    arena_free(&f->clock_arena);
    f->clock_arena = a;
    f->clock_row = s->clock;
    f->clock_offset = s->applied_offset;
    f->clock_epoch = s->epoch;
    if (s->epoch > f->restored_epoch) f->restored_epoch = s->epoch;
    return SERIN_OK;
}

/* A rollout of which nothing but the id is left. */
static enum serin_status restore_lost(struct fold *f, const char *key,
                                      struct fault *why)
{
    struct rollout *r = fold_find(f, key);
    if (r != NULL) fold_remove(f, r);
    r = rollout_new(key);
    if (r == NULL || !fold_add(f, r)) {
        rollout_free(r);
        return fault_set(why, SERIN_ENOMEM, "out of memory");
    }
    r->seq = SEQ_UNKNOWN;
    r->sticky = 1u << HOLD_STATE_LOST;
    return fault_set(why, SERIN_EPARSE,
                     "rollout %s: its snapshot cannot be decoded; it is held", key);
}

static enum serin_status restore_into(struct fold *f, struct rollout *r,
                                      const char *key, const void *value, size_t n,
                                      struct fault *why)
{
    pb_snapshot *s;
    enum serin_status rc = decode_snapshot(&r->restored, value, n, &s);
    if (rc == SERIN_OK && (s->clock == NULL || strcmp(s->rollout, key) != 0))
        rc = SERIN_EPARSE;
    if (rc != SERIN_OK) {
        rollout_free(r);
        return rc == SERIN_EPARSE ? restore_lost(f, key, why)
                                  : fault_set(why, rc, "out of memory");
    }
    struct rollout *old = fold_find(f, key);
    if (s->epoch > f->restored_epoch) f->restored_epoch = s->epoch;
    if (old != NULL &&
        (s->epoch < old->epoch ||
         (s->epoch == old->epoch && s->applied_offset < old->applied_offset))) {
        rollout_free(r);
        return SERIN_OK;
    }
    r->restored_clock = s->clock;
    rc = snapshot_load(r, s, why);
    if (rc == SERIN_ENOMEM) {
        rollout_free(r);
        return rc;
    }
    if (old != NULL) fold_remove(f, old);
    if (fold_add(f, r)) return rc;
    rollout_free(r);
    return fault_set(why, SERIN_ENOMEM, "out of memory");
}

enum serin_status fold_restore(struct fold *f, const char *key, const void *value,
                               size_t n, struct fault *why)
{
    if (strcmp(key, clock_key) == 0)
        return n != 0 ? restore_clock(f, value, n, why) : SERIN_OK;
    struct rollout *old = fold_find(f, key);
    if (n == 0) {
        if (old != NULL) fold_remove(f, old);
        return SERIN_OK;
    }
    struct rollout *r = rollout_new(key);
    if (r == NULL) return fault_set(why, SERIN_ENOMEM, "out of memory");
    return restore_into(f, r, key, value, n, why);
}

uint64_t fold_epoch(const struct fold *f)
{
    return f->restored_epoch;
}

void fold_set_epoch(struct fold *f, uint64_t epoch)
{
    f->o.epoch = epoch;
}

/* The least applied offset among open rollouts and the clock row, and its clock. A
 * rollout whose offset is not known either must not hold the others back. */
static int64_t least_applied(const struct fold *f, const pb_clock **clock)
{
    int64_t least = f->clock_offset;
    bool any = f->clock_row != NULL;
    *clock = f->clock_row;
    for (size_t i = 0; i < f->n; i++) {
        const struct rollout *r = f->sorted[i];
        if (r->restored_clock == NULL || !rollout_open(r)) continue;
        if (any && r->applied_offset >= least) continue;
        any = true;
        least = r->applied_offset;
        *clock = r->restored_clock;
    }
    return any ? least : -1;
}

int64_t fold_start_offset(const struct fold *f)
{
    const pb_clock *clock;
    int64_t least = least_applied(f, &clock);
    return clock != NULL ? least + 1 : -1;
}

/* First record after a restore: put the clock of the start offset in place. */
static enum serin_status begin(struct fold *f)
{
    const pb_clock *clock;
    int64_t least = least_applied(f, &clock);
    f->begun = true;
    enum serin_status rc = SERIN_OK;
    if (clock != NULL) rc = streamclock_load(&f->clock, clock);
    if (rc == SERIN_EPARSE) { /* no clock: as if nothing was known yet */
        streamclock_free(&f->clock);
        rc = SERIN_OK;
    }
    if (clock != NULL) f->offset = least;
    f->told_offset = f->clock_offset;
    f->clock_saved_ms = streamclock_now(&f->clock);
    f->clock_row = NULL;
    arena_free(&f->clock_arena);
    for (size_t i = 0; i < f->n; i++) {
        struct rollout *r = f->sorted[i];
        if (r->applied_offset > f->told_offset) f->told_offset = r->applied_offset;
        r->restored_clock = NULL;
        arena_free(&r->restored);
        r->row_ms = r->snapshot_ms = f->clock_saved_ms;
        r->row_due = (r->sticky & (1u << HOLD_STATE_LOST)) != 0;
    }
    return rc;
}

/* ---- rows and snapshots at the end of a record */
static void write_row(struct fold *f, struct rollout *r)
{
    struct bytes out;
    if (row_encode(f, r, &f->fx->arena, &out) != SERIN_OK) {
        f->nomem = true;
        return;
    }
    turn_effect(f, EFFECT_ROLLOUT, r->id, out);
    r->row_ms = streamclock_now(&f->clock);
    r->row_due = false;
}

static void write_snapshot(struct fold *f, struct rollout *r)
{
    struct bytes out;
    if (snapshot_save(f, r, &f->record, &f->fx->arena, &out) != SERIN_OK) {
        f->nomem = true;
        return;
    }
    turn_effect(f, EFFECT_SNAPSHOT, r->id, out);
    r->snapshot_ms = streamclock_now(&f->clock);
    r->snapshot_due = r->dirty = false;
}

static void write_clock(struct fold *f)
{
    struct bytes out;
    if (snapshot_clock(f, &f->record, &f->fx->arena, &out) != SERIN_OK) {
        f->nomem = true;
        return;
    }
    turn_effect(f, EFFECT_SNAPSHOT, clock_key, out);
    f->clock_saved_ms = streamclock_now(&f->clock);
}

static void flush(struct fold *f, struct rollout *r)
{
    if (f->nomem || f->offset <= r->applied_offset) return;
    r->applied_offset = f->offset;
    if (r->row_due) write_row(f, r);
    if (r->snapshot_due && !f->nomem) write_snapshot(f, r);
}

/* A tick is read before the rollouts see it: its arena is free for their drafts. */
static void tidy(struct fold *f)
{
    if (f->record.used > SCRATCH_BYTES) arena_reset(&f->record);
}

static void refresh(struct fold *f, struct rollout *r)
{
    int64_t now = streamclock_now(&f->clock);
    int64_t every = f->o.snapshot_every_ms * (r->dirty ? 1 : IDLE_FACTOR);
    if (!rollout_open(r) || f->offset != r->applied_offset) return;
    if (rollout_due(r, r->row_ms, f->o.row_every_ms, now)) write_row(f, r);
    if (rollout_due(r, r->snapshot_ms, every, now) && !f->nomem) write_snapshot(f, r);
}

/* Rows and snapshots that only refresh: as many as fit, going round, so that a tick of
 * very many rollouts stays a transaction of bounded size. Verdicts do not wait. */
static void refresh_some(struct fold *f)
{
    size_t begun = f->fx->arena.used;
    for (size_t i = 0; i < f->n && !f->nomem; i++) {
        if (f->fx->arena.used - begun > REFRESH_BYTES) return;
        if (++f->cursor >= f->n) f->cursor = 0;
        tidy(f);
        refresh(f, f->sorted[f->cursor]);
    }
}

/* ---- one record */
static void on_partial(struct fold *f, const pb_partial *p)
{
    struct rollout *r = fold_find(f, p->rollout);
    f->counts.partials++;
    if (r == NULL || f->offset <= r->applied_offset) {
        f->counts.skipped++;
        return;
    }
    judge_partial(f, r, p);
    flush(f, r);
}

static void on_command(struct fold *f, const pb_command *c)
{
    f->counts.commands++;
    operator_command(f, c);
    struct rollout *r = fold_find(f, c->rollout);
    if (r != NULL) flush(f, r);
}

static void on_ack(struct fold *f, const pb_ack *a)
{
    struct rollout *r = fold_find(f, a->rollout);
    if (r == NULL || f->offset <= r->applied_offset) {
        f->counts.skipped++;
        return;
    }
    judge_ack(f, r, a);
    flush(f, r);
}

static void on_check(struct fold *f, const pb_check_result *c)
{
    struct rollout *r = fold_find(f, c->rollout);
    if (r == NULL || f->offset <= r->applied_offset) {
        f->counts.skipped++;
        return;
    }
    external_result(f, r, c);
    judge_settle(f, r);
    flush(f, r);
}

static void on_signal(struct fold *f, const pb_signal *s)
{
    struct rollout *r = fold_find(f, s->rollout);
    if (r == NULL || f->offset <= r->applied_offset) {
        f->counts.skipped++;
        return;
    }
    facts_signal(r, s);
    judge_settle(f, r);
    flush(f, r);
}

static void on_tick(struct fold *f, const pb_tick *t)
{
    f->counts.ticks++;
    if (streamclock_tick(&f->clock, t) != SERIN_OK) {
        f->nomem = true;
        return;
    }
    for (size_t i = 0; i < f->n && !f->nomem; i++) {
        struct rollout *r = f->sorted[i];
        if (!rollout_open(r) || f->offset <= r->applied_offset) continue;
        tidy(f);
        judge_tick(f, r);
        flush(f, r);
    }
    refresh_some(f);
    if (streamclock_now(&f->clock) - f->clock_saved_ms >= f->o.snapshot_every_ms)
        write_clock(f);
}

enum serin_status fold_take(struct fold *f, int64_t offset, const pb_inbox *in,
                            struct effects *fx)
{
    if (!f->begun && begin(f) != SERIN_OK) return SERIN_ENOMEM;
    f->fx = fx;
    if (fx->arena.max == 0) fx->arena.max = EFFECTS_ARENA;
    f->offset = offset;
    switch (in->body_case) {
    case SERIN__V1__INBOX__BODY_PARTIAL:
        on_partial(f, in->partial);
        break;
    case SERIN__V1__INBOX__BODY_COMMAND:
        on_command(f, in->command);
        break;
    case SERIN__V1__INBOX__BODY_ACK:
        on_ack(f, in->ack);
        break;
    case SERIN__V1__INBOX__BODY_TICK:
        on_tick(f, in->tick);
        break;
    case SERIN__V1__INBOX__BODY_CHECK:
        on_check(f, in->check);
        break;
    case SERIN__V1__INBOX__BODY_SIGNAL:
        on_signal(f, in->signal);
        break;
    case SERIN__V1__INBOX__BODY__NOT_SET:
    case _SERIN__V1__INBOX__BODY__CASE_IS_INT_SIZE:
        f->counts.undecodable++;
        break;
    }
    f->fx = NULL;
    return f->nomem ? SERIN_ENOMEM : SERIN_OK;
}

enum serin_status fold_apply(struct fold *f, int64_t offset, const void *value,
                             size_t n, struct effects *fx)
{
    pb_inbox *in;
    arena_reset(&f->record);
    f->counts.records++;
    enum serin_status rc =
        n <= RECORD_MAX ? decode_inbox(&f->record, value, n, &in) : SERIN_EPARSE;
    if (rc == SERIN_OK) return fold_take(f, offset, in, fx);
    if (rc == SERIN_ENOMEM) return rc;
    if (!f->begun && begin(f) != SERIN_OK) return SERIN_ENOMEM;
    f->offset = offset;
    f->counts.undecodable++;
    return SERIN_OK;
}

int64_t fold_now(const struct fold *f)
{
    return streamclock_now(&f->clock);
}

void fold_gap(struct fold *f, int64_t expected, int64_t found)
{
    (void)expected;
    for (size_t i = 0; i < f->n; i++) {
        struct rollout *r = f->sorted[i];
        if (decide_final(r->state) || r->plan == NULL || r->applied_offset >= found - 1)
            continue;
        r->gap = r->step != 0;
        if (r->gap) judge_forget(f, r);
    }
}

enum serin_status fold_snapshot_all(struct fold *f, struct effects *fx)
{
    if (!f->begun && begin(f) != SERIN_OK) return SERIN_ENOMEM;
    f->fx = fx;
    arena_reset(&f->record);
    for (size_t i = 0; i < f->n && !f->nomem; i++) {
        struct rollout *r = f->sorted[i];
        tidy(f);
        if (rollout_open(r) && r->applied_offset <= f->offset) write_snapshot(f, r);
    }
    if (!f->nomem && f->offset >= 0) write_clock(f);
    f->fx = NULL;
    return f->nomem ? SERIN_ENOMEM : SERIN_OK;
}

struct fold_counts fold_counts(const struct fold *f)
{
    struct fold_counts c = f->counts;
    c.rollouts = f->n;
    for (size_t i = 0; i < f->n; i++)
        c.live += !decide_final(f->sorted[i]->state);
    return c;
}
