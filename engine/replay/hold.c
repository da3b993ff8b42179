/* engine/replay/hold.c */
#include "engine/replay/hold.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/core/pending.h"
#include "ingest/buckets.h"
#include "ingest/users.h"
#include "proto/decode.h"
#include "proto/encode.h"

struct record {
    struct record *next;
    struct arena arena;
    pb_partial *partial; /* in the arena; cells that were taken are NULL */
    size_t left;
};

struct hold_rollout {
    char *id;
    struct record *first, **end;
    uint64_t samples, poison; /* not yet handed on */
};

static void drop_records(struct hold_rollout *r, bool all)
{
    struct record **at = &r->first;
    while (*at != NULL) {
        struct record *one = *at;
        if (!all && one->left > 0) {
            at = &one->next;
            continue;
        }
        *at = one->next;
        arena_free(&one->arena);
        mem_free(one);
    }
    r->end = at;
}

void hold_free(struct hold *h)
{
    for (size_t i = 0; i < h->n; i++) {
        drop_records(&h->rollouts[i], true);
        mem_free(h->rollouts[i].id);
    }
    mem_free(h->rollouts);
    arena_free(&h->window);
    *h = (struct hold){0};
}

const char *hold_id(const struct hold *h, size_t i)
{
    return h->rollouts[i].id;
}

static enum serin_status grow(struct hold *h)
{
    size_t room = h->room > 0 ? 2 * h->room : 4;
    if (h->n < h->room) return SERIN_OK;
    struct hold_rollout *r = mem_realloc(h->rollouts, room, sizeof *r);
    if (r == NULL) return SERIN_ENOMEM;
    h->rollouts = r;
    h->room = room;
    for (size_t i = 0; i < h->n; i++) /* an end may lie in the array itself */
        if (r[i].first == NULL) r[i].end = &r[i].first;
    return SERIN_OK;
}

static enum serin_status rollout_of(struct hold *h, struct strview id,
                                    struct hold_rollout **out)
{
    size_t i = 0;
    while (i < h->n && !strview_eq(strview_of(h->rollouts[i].id), id))
        i++;
    if (i == h->n) {
        char *copy = mem_calloc(id.n + 1, 1);
        if (copy == NULL || grow(h) != SERIN_OK) {
            mem_free(copy);
            return SERIN_ENOMEM;
        }
        memcpy(copy, id.p, id.n);
        h->rollouts[i] = (struct hold_rollout){.id = copy};
        h->n++;
    }
    *out = &h->rollouts[i];
    if ((*out)->first == NULL) (*out)->end = &(*out)->first;
    return SERIN_OK;
}

enum serin_status hold_put(struct hold *h, struct strview rollout, struct bytes inbox,
                           int64_t shift_ms)
{
    struct hold_rollout *to;
    pb_inbox *m = NULL;
    enum serin_status rc = rollout_of(h, rollout, &to);
    struct record *one = rc == SERIN_OK ? mem_calloc(1, sizeof *one) : NULL;
    if (one == NULL) return SERIN_ENOMEM;
    rc = decode_inbox(&one->arena, inbox.p, inbox.n, &m);
    if (rc == SERIN_OK && m->body_case != SERIN__V1__INBOX__BODY_PARTIAL)
        rc = SERIN_EPARSE;
    if (rc != SERIN_OK) {
        arena_free(&one->arena);
        mem_free(one);
        return rc;
    }
    one->partial = m->partial;
    one->left = m->partial->n_cells;
    for (size_t i = 0; i < one->left; i++)
        m->partial->cells[i]->window_ms += shift_ms;
    to->samples += m->partial->samples;
    to->poison += m->partial->poison;
    *to->end = one;
    to->end = &one->next;
    return SERIN_OK;
}

/* ---------------------------------------------------------------- one cell of two */

static struct buckets_view view(const pb_histogram *h)
{
    return (struct buckets_view){h->scale, h->offset, h->zero_count,
                                 NULL,     h->counts, h->n_counts};
}

static bool join_hists(struct arena *a, pb_cell *to, const pb_cell *from)
{
    struct buckets b = {.scale = BUCKETS_SCALE};
    struct buckets_view one, other;
    if (from->hist == NULL) return true;
    if (to->hist == NULL) {
        to->hist = from->hist;
        return true;
    }
    one = view(to->hist);
    other = view(from->hist);
    if (!buckets_merge(&b, a, &one, 1) || !buckets_merge(&b, a, &other, 1))
        return false;
    to->hist->scale = b.scale;
    to->hist->offset = b.offset;
    to->hist->zero_count = b.zero;
    to->hist->counts = b.counts;
    to->hist->n_counts = b.n;
    return true;
}

static bool join_units(struct arena *a, pb_cell *to, const pb_cell *from)
{
    if (from->n_units == 0) return true;
    Serin__V1__UnitSum **all =
        arena_alloc(a, (to->n_units + from->n_units) * sizeof *all);
    if (all == NULL) return false;
    if (to->n_units > 0) memcpy(all, to->units, to->n_units * sizeof *all);
    for (size_t i = 0; i < from->n_units; i++) {
        const Serin__V1__UnitSum *u = from->units[i];
        size_t k = 0;
        while (k < to->n_units && strcmp(all[k]->unit, u->unit) != 0)
            k++;
        if (k == to->n_units) {
            all[to->n_units++] = from->units[i];
            continue;
        }
        all[k]->n += u->n;
        all[k]->sum += u->sum;
        all[k]->sum_sq += u->sum_sq;
    }
    to->units = all;
    return true;
}

static bool add_users(struct users *u, struct arena *a, const pb_cell *c)
{
    for (size_t i = 0; i < c->n_users; i++)
        if (!users_add(u, a, c->users[i] & ~(uint64_t)USERS_FLAGS,
                       (c->users[i] & USERS_BAD) != 0))
            return false;
    return true;
}

static bool join_users(struct arena *a, pb_cell *to, const pb_cell *from)
{
    struct users u = {.thin = to->user_thin > from->user_thin ? to->user_thin
                                                              : from->user_thin};
    if (from->n_users == 0 && from->user_thin == 0) return true;
    if (!add_users(&u, a, to) || !add_users(&u, a, from)) return false;
    to->users = arena_alloc(a, (u.n + 1) * sizeof *to->users);
    if (to->users == NULL) return false;
    users_list(&u, to->users);
    to->n_users = u.n;
    to->user_thin = u.thin;
    return true;
}

static bool join(struct arena *a, pb_cell *to, const pb_cell *from)
{
    to->n += from->n;
    to->bad += from->bad;
    if (from->bounds_id != to->bounds_id) to->bounds_id = 1; /* several */
    if (from->bounds_ratio > to->bounds_ratio) to->bounds_ratio = from->bounds_ratio;
    return join_hists(a, to, from) && join_units(a, to, from) &&
           join_users(a, to, from);
}

/* ---------------------------------------------------------------- one window */

static int order(const void *x, const void *y)
{
    const pb_cell *a = *(pb_cell *const *)x, *b = *(pb_cell *const *)y;
    if (a->window_ms != b->window_ms) return a->window_ms < b->window_ms ? -1 : 1;
    if (a->cohort != b->cohort) return a->cohort < b->cohort ? -1 : 1;
    int by = strcmp(a->metric, b->metric);
    return by != 0 ? by : strcmp(a->stratum, b->stratum);
}

/* Start of the earliest window that is over, and how many cells it has. */
static size_t due(const struct hold_rollout *r, int64_t length_ms, int64_t until_ms,
                  int64_t *start_ms)
{
    size_t n = 0;
    for (const struct record *one = r->first; one != NULL; one = one->next)
        for (size_t i = 0; i < one->partial->n_cells; i++) {
            const pb_cell *c = one->partial->cells[i];
            if (c == NULL) continue;
            int64_t at = pending_floor(c->window_ms, length_ms);
            if (at > until_ms - length_ms) continue;
            if (n == 0 || at < *start_ms) n = 0;
            if (n > 0 && at > *start_ms) continue;
            *start_ms = at;
            n++;
        }
    return n;
}

static void pick(struct hold_rollout *r, int64_t start_ms, int64_t length_ms,
                 pb_partial *p)
{
    for (struct record *one = r->first; one != NULL; one = one->next)
        for (size_t i = 0; i < one->partial->n_cells; i++) {
            pb_cell *c = one->partial->cells[i];
            if (c == NULL || pending_floor(c->window_ms, length_ms) != start_ms)
                continue;
            p->cells[p->n_cells++] = c;
            one->partial->cells[i] = NULL;
            one->left--;
        }
}

static bool merge(struct arena *a, pb_partial *p)
{
    size_t n = 0;
    qsort(p->cells, p->n_cells, sizeof *p->cells, order);
    for (size_t i = 0; i < p->n_cells; i++) {
        if (n == 0 || order(&p->cells[n - 1], &p->cells[i]) != 0)
            p->cells[n++] = p->cells[i];
        else if (!join(a, p->cells[n - 1], p->cells[i]))
            return false;
    }
    p->n_cells = n;
    return true;
}

enum serin_status hold_take(struct hold *h, size_t i, int64_t length_ms,
                            int64_t until_ms, struct arena *a, int64_t *start_ms,
                            pb_partial **out)
{
    struct hold_rollout *r = &h->rollouts[i];
    drop_records(r, false);
    size_t n = due(r, length_ms, until_ms, start_ms);
    if (n == 0) return SERIN_AGAIN;
    pb_partial *p = arena_alloc(a, sizeof *p);
    if (p == NULL) return SERIN_ENOMEM;
    serin__v1__partial__init(p);
    p->cells = arena_alloc(a, n * sizeof *p->cells);
    if (p->cells == NULL) return SERIN_ENOMEM;
    pick(r, *start_ms, length_ms, p);
    if (!merge(a, p)) return SERIN_ENOMEM;
    p->rollout = r->id;
    p->worker = messages_text("replay");
    p->samples = r->samples;
    p->poison = r->poison;
    r->samples = r->poison = 0;
    *out = p;
    return SERIN_OK;
}

/* ---------------------------------------------------------------- into the trial */

struct release {
    struct hold *h;
    struct trial *t;
    change_fn change;
    void *ctx;
};

/* A whole window, changed. */
static enum serin_status changed(const struct release *r, const char *id,
                                 int64_t start_ms, int64_t length_ms, pb_partial *p)
{
    struct bytes bytes;
    pb_inbox m = SERIN__V1__INBOX__INIT;
    struct change_window w = {start_ms, length_ms,
                              trial_share(r->t, strview_of(id), start_ms)};
    enum serin_status rc = SERIN_OK;
    if (r->change != NULL) rc = r->change(r->ctx, &r->h->window, &w, p);
    m.schema = SERIN_SCHEMA;
    m.body_case = SERIN__V1__INBOX__BODY_PARTIAL;
    m.partial = p;
    if (rc == SERIN_OK) rc = encode_inbox(&r->h->window, &m, &bytes);
    return rc == SERIN_OK ? trial_partial(r->t, bytes) : rc;
}

enum serin_status hold_release(struct hold *h, struct trial *t, int64_t until_ms,
                               change_fn change, void *ctx)
{
    const struct release r = {h, t, change, ctx};
    enum serin_status rc = SERIN_OK;
    for (size_t i = 0; rc == SERIN_OK && i < h->n; i++) {
        const char *id = hold_id(h, i);
        for (;;) {
            pb_partial *p;
            int64_t start_ms, length_ms = trial_window_ms(t, strview_of(id));
            arena_reset(&h->window);
            rc = hold_take(h, i, length_ms, until_ms, &h->window, &start_ms, &p);
            if (rc == SERIN_OK) rc = changed(&r, id, start_ms, length_ms, p);
            if (rc != SERIN_OK) break;
        }
        if (rc == SERIN_AGAIN) rc = SERIN_OK;
    }
    return rc;
}
