/* engine/follow/coordinate.c */
#include "engine/follow/coordinate.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH = 64 };

static void free_row(struct coordinate_row *r)
{
    for (size_t i = 0; i < r->n_waits; i++) {
        mem_free(r->waits[i].about);
        mem_free(r->waits[i].state);
    }
    mem_free(r->waits);
    mem_free(r->id);
    mem_free(r->state);
    mem_free(r->scope);
    mem_free(r);
}

static void drop(struct coordinate *c, struct coordinate_row *r)
{
    HASH_DEL(c->rows, r);
    free_row(r);
}

void coordinate_free(struct coordinate *c)
{
    struct coordinate_row *r, *next;
    for (r = c->rows; r != NULL; r = next) {
        next = r->hh.next;
        drop(c, r);
    }
}

static struct coordinate_row *find(const struct coordinate *c, const char *id)
{
    struct coordinate_row *r = NULL;
    HASH_FIND_STR(c->rows, id, r);
    return r;
}

static struct coordinate_wait *wait_of(const struct coordinate_row *r,
                                       const char *about)
{
    for (size_t i = 0; i < r->n_waits; i++)
        if (strcmp(r->waits[i].about, about) == 0) return &r->waits[i];
    return NULL;
}

static bool fill(struct coordinate_row *r, const pb_status *s)
{
    r->state = mem_strdup(s->state);
    r->scope = mem_strdup(s->scope);
    r->created_ms = s->created_ms;
    r->final = s->final;
    r->alone = s->alone;
    r->waits = mem_calloc(s->n_waits + 1, sizeof *r->waits);
    if (r->state == NULL || r->scope == NULL || r->waits == NULL) return false;
    for (size_t i = 0; i < s->n_waits && !s->final; i++) {
        struct coordinate_wait *w = &r->waits[r->n_waits++];
        w->about = mem_strdup(s->waits[i]->about);
        w->state = mem_strdup(s->waits[i]->state);
        w->after = s->waits[i]->after;
        if (w->about == NULL || w->state == NULL) return false;
    }
    return true;
}

/* What was told lately is not told again at every refresh of the row. */
static void remember(struct coordinate_row *r, const struct coordinate_row *old)
{
    r->told_ms = old->told_ms;
    for (size_t i = 0; i < r->n_waits; i++) {
        const struct coordinate_wait *w = wait_of(old, r->waits[i].about);
        if (w != NULL && strcmp(w->state, r->waits[i].state) == 0)
            r->waits[i].told_ms = w->told_ms;
    }
}

enum serin_status coordinate_take(struct coordinate *c, const char *id,
                                  const pb_rollout *m)
{
    struct coordinate_row *old = find(c, id), *r;
    if (m == NULL || m->status == NULL) {
        if (old != NULL) drop(c, old);
        return SERIN_OK;
    }
    r = mem_calloc(1, sizeof *r);
    if (r == NULL) return SERIN_ENOMEM;
    r->id = mem_strdup(id);
    bool whole = r->id != NULL && fill(r, m->status);
    if (whole && old != NULL) remember(r, old);
    if (old != NULL) drop(c, old);
    if (r->id != NULL) HASH_ADD_KEYPTR(hh, c->rows, r->id, strlen(r->id), r);
    if (r->id == NULL || r->hh.tbl == NULL) { /* uthash's word for: out of memory */
        free_row(r);
        return SERIN_ENOMEM;
    }
    if (whole) return SERIN_OK;
    drop(c, r);
    return SERIN_ENOMEM;
}

/* Does the plan of `from` lead back to `to` by its `after`? */
static bool leads_to(const struct coordinate *c, const struct coordinate_row *from,
                     const char *to, int depth)
{
    for (size_t i = 0; i < from->n_waits && depth < DEPTH && !from->final; i++) {
        if (!from->waits[i].after) continue;
        if (strcmp(from->waits[i].about, to) == 0) return true;
        const struct coordinate_row *next = find(c, from->waits[i].about);
        if (next != NULL && next != from && leads_to(c, next, to, depth + 1))
            return true;
    }
    return false;
}

static void tell_waits(struct coordinate *c, struct coordinate_row *r, int64_t now_ms,
                       coordinate_tell *tell, void *ctx)
{
    for (size_t i = 0; i < r->n_waits; i++) {
        struct coordinate_wait *w = &r->waits[i];
        const struct coordinate_row *o = find(c, w->about);
        if (o == NULL) continue;
        const char *state =
            w->after && leads_to(c, o, r->id, 0) ? "CIRCULAR" : o->state;
        if (strcmp(state, w->state) == 0) continue;
        if (w->told_ms != 0 && now_ms - w->told_ms < COORDINATE_AGAIN_MS) continue;
        w->told_ms = now_ms;
        tell(ctx, r->id, w->about, state, false);
    }
}

/* By scope, and there by who came first. */
static int in_line(const void *a, const void *b)
{
    const struct coordinate_row *const *x = a, *const *y = b;
    int d = strcmp((*x)->scope, (*y)->scope);
    if (d != 0) return d;
    if ((*x)->created_ms != (*y)->created_ms)
        return (*x)->created_ms < (*y)->created_ms ? -1 : 1;
    return strcmp((*x)->id, (*y)->id);
}

/* Two that were applied at the same moment, neither knowing of the other: the later one
 * is told. */
static void tell_neighbours(struct coordinate_row **line, size_t at, int64_t now_ms,
                            coordinate_tell *tell, void *ctx)
{
    struct coordinate_row *r = line[at];
    bool told = false;
    if (!r->alone) return;
    if (r->told_ms != 0 && now_ms - r->told_ms < COORDINATE_AGAIN_MS) return;
    for (size_t i = at; i-- > 0 && strcmp(line[i]->scope, r->scope) == 0;) {
        if (wait_of(r, line[i]->id) != NULL) continue;
        told = true;
        tell(ctx, r->id, line[i]->id, line[i]->state, true);
    }
    if (told) r->told_ms = now_ms;
}

void coordinate_all(struct coordinate *c, int64_t now_ms, coordinate_tell *tell,
                    void *ctx)
{
    struct coordinate_row **line =
        mem_calloc(HASH_COUNT(c->rows) + 1, sizeof(struct coordinate_row *));
    size_t n = 0;
    if (line == NULL) return; /* the next round may have memory */
    for (struct coordinate_row *r = c->rows; r != NULL; r = r->hh.next) {
        if (r->final) continue;
        tell_waits(c, r, now_ms, tell, ctx);
        if (r->scope[0] != '\0') line[n++] = r;
    }
    if (n != 0) qsort(line, n, sizeof(struct coordinate_row *), in_line);
    for (size_t i = 0; i < n; i++)
        tell_neighbours(line, i, now_ms, tell, ctx);
    mem_free(line);
}
