/* tests/support/foldrun.h -- runs a scripted inbox through the fold and keeps what
 * comes out: verdicts, latest rows, and the state topic as a compacted map */
#ifndef SERIN_TESTS_SUPPORT_FOLDRUN_H
#define SERIN_TESTS_SUPPORT_FOLDRUN_H

#include "engine/base/mem.h"
#include "engine/core/fold.h"
#include "proto/decode.h"
#include "proto/encode.h"
#include "tests/support/check.h"
#include "tests/support/inbox.h"

enum { FOLDRUN_VERDICTS = 512, FOLDRUN_KEYS = 64, FOLDRUN_AUDITS = 4096 };

struct foldrun_row {
    const char *key;
    struct bytes value;
};

/* Zero-initialise; foldrun_free when done. */
struct foldrun {
    struct fold *fold;
    struct fold_options o;
    struct effects fx;
    struct arena arena;
    struct bytes raw[FOLDRUN_VERDICTS], audits[FOLDRUN_AUDITS];
    pb_verdict *verdicts[FOLDRUN_VERDICTS];
    size_t n_verdicts, n_audits, n_state, n_rows;
    struct foldrun_row state[FOLDRUN_KEYS], rows[FOLDRUN_KEYS];
};

static inline void foldrun_start(struct foldrun *r)
{
    r->arena.max = (size_t)1 << 30;
    cr_assert(eq(int, fold_open(&r->fold, &r->o), SERIN_OK));
}

static inline void foldrun_free(struct foldrun *r)
{
    fold_close(r->fold);
    effects_free(&r->fx);
    arena_free(&r->arena);
}

static inline struct bytes foldrun_copy(struct foldrun *r, struct bytes b)
{
    return (struct bytes){(const uint8_t *)arena_copy(&r->arena, b.p, b.n), b.n};
}

static inline void foldrun_put(struct foldrun *r, struct foldrun_row *rows, size_t *n,
                               const struct effect *e)
{
    size_t i = 0;
    while (i < *n && strcmp(rows[i].key, e->key) != 0)
        i++;
    if (i == *n) {
        cr_assert(lt(sz, i, (size_t)FOLDRUN_KEYS));
        rows[(*n)++].key = arena_copy(&r->arena, e->key, strlen(e->key));
    }
    rows[i].value = foldrun_copy(r, e->value);
}

static inline void foldrun_keep(struct foldrun *r)
{
    for (size_t i = 0; i < r->fx.n; i++) {
        const struct effect *e = &r->fx.items[i];
        if (e->kind == EFFECT_SNAPSHOT) foldrun_put(r, r->state, &r->n_state, e);
        if (e->kind == EFFECT_ROLLOUT) foldrun_put(r, r->rows, &r->n_rows, e);
        if (e->kind == EFFECT_AUDIT && r->n_audits < FOLDRUN_AUDITS)
            r->audits[r->n_audits++] = foldrun_copy(r, e->value);
        if (e->kind != EFFECT_VERDICT) continue;
        cr_assert(lt(sz, r->n_verdicts, (size_t)FOLDRUN_VERDICTS));
        struct bytes raw = r->raw[r->n_verdicts] = foldrun_copy(r, e->value);
        cr_assert(eq(
            int, decode_verdict(&r->arena, raw.p, raw.n, &r->verdicts[r->n_verdicts]),
            SERIN_OK));
        r->n_verdicts++;
    }
    effects_reset(&r->fx);
}

/** Apply the records from index `from` on; returns how many there are now. */
static inline size_t foldrun_apply(struct foldrun *r, const struct inbox *b,
                                   size_t from)
{
    for (size_t i = from; i < b->n; i++) {
        const struct inbox_record *x = &b->records[i];
        cr_assert(eq(int,
                     fold_apply(r->fold, x->offset, x->value.p, x->value.n, &r->fx),
                     SERIN_OK));
        foldrun_keep(r);
    }
    return b->n;
}

/** A new fold from the kept state topic, as after a crash; reads on at its start. */
static inline size_t foldrun_restart(struct foldrun *r, const struct inbox *b)
{
    struct fault why = {0};
    size_t from = 0;
    fold_close(r->fold);
    cr_assert(eq(int, fold_open(&r->fold, &r->o), SERIN_OK));
    for (size_t i = 0; i < r->n_state; i++)
        cr_assert(eq(int,
                     fold_restore(r->fold, r->state[i].key, r->state[i].value.p,
                                  r->state[i].value.n, &why),
                     SERIN_OK),
                  "%s", why.text);
    while (from < b->n && b->records[from].offset < fold_start_offset(r->fold))
        from++;
    return from;
}

/** Latest row of a rollout; decoded into the run's arena. */
static inline pb_rollout *foldrun_row(struct foldrun *r, const char *id)
{
    pb_rollout *row = NULL;
    for (size_t i = 0; i < r->n_rows; i++)
        if (strcmp(r->rows[i].key, id) == 0)
            cr_assert(eq(
                int,
                decode_rollout(&r->arena, r->rows[i].value.p, r->rows[i].value.n, &row),
                SERIN_OK));
    cr_assert(row != NULL, "no row of %s", id);
    return row;
}

static inline pb_verdict *foldrun_last(struct foldrun *r)
{
    cr_assert(gt(sz, r->n_verdicts, (size_t)0));
    return r->verdicts[r->n_verdicts - 1];
}

#endif
