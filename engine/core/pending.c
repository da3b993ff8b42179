/* engine/core/pending.c */
#include "engine/core/pending.h"

#include <string.h>

#include "engine/base/mem.h"

const struct binned *pending_hist(const struct pending_cell *c, int cohort)
{
    return c->by_unit || c->by_user ? NULL : c->hist[cohort];
}

const struct pending_units *pending_units(const struct pending_cell *c, int cohort)
{
    return c->by_unit ? c->units[cohort] : NULL;
}

const struct riskset_users *pending_users(const struct pending_cell *c, int cohort)
{
    return c->by_user ? c->users[cohort] : NULL;
}

static void drop_content(struct pending *p, struct pending_cell *c)
{
    for (int cohort = 0; cohort < 2; cohort++) {
        const struct binned *hist = pending_hist(c, cohort);
        const struct pending_units *units = pending_units(c, cohort);
        if (hist != NULL) p->buckets -= hist->n;
        if (units != NULL) p->units -= units->n;
        if (c->by_user && c->users[cohort] != NULL) {
            p->users -= c->users[cohort]->n;
            riskset_drop(c->users[cohort]);
        }
        mem_free(c->by_user   ? (void *)c->users[cohort]
                 : c->by_unit ? (void *)c->units[cohort]
                              : (void *)c->hist[cohort]);
        c->hist[cohort] = NULL;
    }
}

void pending_free(struct pending *p)
{
    pending_drop(p, p->n);
    mem_free(p->cells);
    p->cells = NULL;
    p->n = p->room = 0;
}

static int order(const struct pending_cell *a, const struct pending_cell *b)
{
    if (a->start_ms != b->start_ms) return a->start_ms < b->start_ms ? -1 : 1;
    if (a->metric != b->metric) return a->metric < b->metric ? -1 : 1;
    return (a->stratum > b->stratum) - (a->stratum < b->stratum);
}

/* Index of the cell, or where it belongs. Most cells come at the end. */
static size_t place(const struct pending *p, const struct pending_cell *key)
{
    size_t lo = 0, hi = p->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (order(&p->cells[mid], key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static enum serin_status grow(struct pending *p)
{
    if (p->n < p->room) return SERIN_OK;
    if (p->n >= p->max) return SERIN_ELIMIT;
    size_t room = p->room != 0 ? 2 * p->room : 16;
    if (room > p->max) room = p->max;
    void *cells = mem_realloc(p->cells, room, sizeof *p->cells);
    if (cells == NULL) return SERIN_ENOMEM;
    p->cells = cells;
    p->room = room;
    return SERIN_OK;
}

static enum serin_status sum(struct count_table *c, int cohort, uint64_t n,
                             uint64_t bad)
{
    uint64_t *units = cohort == 0 ? &c->n : &c->m, *bads = cohort == 0 ? &c->x : &c->y;
    if (n > COUNT_MAX - *units) return SERIN_ELIMIT;
    *units += n;
    *bads += bad;
    return SERIN_OK;
}

enum serin_status pending_add(struct pending *p, int64_t start_ms, uint32_t metric,
                              uint32_t stratum, int cohort, uint64_t n, uint64_t bad)
{
    struct pending_cell key = {
        .start_ms = start_ms, .metric = metric, .stratum = (uint16_t)stratum};
    size_t at = place(p, &key);
    if (at < p->n && order(&p->cells[at], &key) == 0)
        return sum(&p->cells[at].c, cohort, n, bad);
    enum serin_status s = sum(&key.c, cohort, n, bad);
    if (s == SERIN_OK) s = grow(p);
    if (s != SERIN_OK) return s;
    memmove(p->cells + at + 1, p->cells + at, (p->n - at) * sizeof key);
    p->cells[at] = key;
    p->n++;
    return SERIN_OK;
}

static enum serin_status add_hist(struct pending *p, struct pending_cell *c, int cohort,
                                  const struct hist_view *v, bool kept)
{
    struct binned **to = &c->hist[cohort];
    size_t before = *to != NULL ? (*to)->n : 0,
           left = p->max_buckets > p->buckets ? p->max_buckets - p->buckets : 0;
    uint32_t most = PENDING_FINE;
    if (left < p->max_buckets / 2) most = PENDING_FINE / 8;
    if (left < p->max_buckets / 4) most = PENDING_FINE / 32;
    if (kept)
        most = HIST_ROOM;
    else if (left + before < most)
        return SERIN_ELIMIT;
    enum serin_status rc = binned_add(to, v, most);
    if (rc == SERIN_OK) p->buckets += (*to)->n - before;
    return rc;
}

enum serin_status pending_add_hist(struct pending *p, int64_t start_ms, uint32_t metric,
                                   uint32_t stratum, int cohort,
                                   const struct hist_view *v, bool kept)
{
    struct pending_cell key = {
        .start_ms = start_ms, .metric = metric, .stratum = (uint16_t)stratum};
    uint64_t n = hist_total(v);
    enum serin_status rc = pending_add(p, start_ms, metric, stratum, cohort, n, 0);
    if (rc != SERIN_OK) return rc;
    struct pending_cell *c = &p->cells[place(p, &key)];
    rc = add_hist(p, c, cohort, v, kept);
    if (rc != SERIN_OK) *(cohort == 0 ? &c->c.n : &c->c.m) -= n;
    return rc;
}

/* Room for n more; units that are the same take less. */
static enum serin_status room_for(const struct pending *p, struct pending_units **to,
                                  size_t n)
{
    uint32_t used = *to != NULL ? (*to)->n : 0, before = *to != NULL ? (*to)->room : 0;
    size_t room = used + n < UNITSUM_MAX ? used + n : UNITSUM_MAX;
    if (room - used > p->max_units - p->units) return SERIN_ELIMIT;
    if (room <= before) return SERIN_OK;
    struct pending_units *u = mem_calloc(1, sizeof *u + room * sizeof *u->at);
    if (u == NULL) return SERIN_ENOMEM;
    if (used != 0) memcpy(u->at, (*to)->at, used * sizeof *u->at);
    u->n = used;
    u->room = (uint32_t)room;
    mem_free(*to);
    *to = u;
    return SERIN_OK;
}

static enum serin_status add_units(struct pending *p, struct pending_units **to,
                                   const struct unitsum *units, size_t n)
{
    size_t fresh = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t k = 0, have = *to != NULL ? (*to)->n : 0;
        while (k < have && (*to)->at[k].id != units[i].id)
            k++;
        fresh += k == have;
    }
    enum serin_status rc = room_for(p, to, fresh);
    if (rc != SERIN_OK || n == 0) return rc;
    p->units -= (*to)->n;
    for (size_t i = 0; i < n; i++)
        unitsum_add((*to)->at, &(*to)->n, &units[i]);
    p->units += (*to)->n;
    return SERIN_OK;
}

enum serin_status pending_add_units(struct pending *p, int64_t start_ms,
                                    uint32_t metric, uint32_t stratum, int cohort,
                                    const struct unitsum *units, size_t n)
{
    struct pending_cell key = {
        .start_ms = start_ms, .metric = metric, .stratum = (uint16_t)stratum};
    uint64_t readings = 0;
    for (size_t i = 0; i < n; i++)
        readings += units[i].n;
    enum serin_status rc =
        pending_add(p, start_ms, metric, stratum, cohort, readings, 0);
    if (rc != SERIN_OK) return rc;
    struct pending_cell *c = &p->cells[place(p, &key)];
    c->by_unit = true;
    rc = add_units(p, &c->units[cohort], units, n);
    if (rc != SERIN_OK) *(cohort == 0 ? &c->c.n : &c->c.m) -= readings;
    return rc;
}

static enum serin_status add_users(struct pending *p, struct riskset_users **to,
                                   const uint64_t *users, size_t n, uint32_t thin)
{
    if (n > p->max_users - p->users) return SERIN_ELIMIT;
    if (*to == NULL) *to = mem_calloc(1, sizeof **to);
    if (*to == NULL) return SERIN_ENOMEM;
    uint32_t before = (*to)->n;
    enum serin_status rc = riskset_join(*to, users, n, thin);
    p->users += (*to)->n - before;
    return rc;
}

enum serin_status pending_add_users(struct pending *p, int64_t start_ms,
                                    uint32_t metric, uint32_t stratum, int cohort,
                                    const uint64_t *users, size_t n, uint32_t thin)
{
    struct pending_cell key = {
        .start_ms = start_ms, .metric = metric, .stratum = (uint16_t)stratum};
    enum serin_status rc = pending_add(p, start_ms, metric, stratum, cohort, 0, 0);
    if (rc != SERIN_OK) return rc;
    struct pending_cell *c = &p->cells[place(p, &key)];
    c->by_user = true;
    return add_users(p, &c->users[cohort], users, n, thin);
}

void pending_thin(struct pending *p, uint32_t metric, uint32_t thin)
{
    for (size_t i = 0; i < p->n; i++) {
        struct pending_cell *c = &p->cells[i];
        for (int k = 0; k < 2 && c->metric == metric && c->by_user; k++) {
            if (c->users[k] == NULL) continue;
            p->users -= c->users[k]->n;
            riskset_keep(c->users[k], thin);
            p->users += c->users[k]->n;
        }
    }
}

size_t pending_front(const struct pending *p, int64_t start_ms)
{
    size_t n = 0;
    while (n < p->n && p->cells[n].start_ms <= start_ms)
        n++;
    return n;
}

void pending_drop(struct pending *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        drop_content(p, &p->cells[i]);
    p->n -= n;
    if (p->n != 0) memmove(p->cells, p->cells + n, p->n * sizeof *p->cells);
}

int64_t pending_floor(int64_t t, int64_t window_ms)
{
    int64_t rest = t % window_ms;
    return t - (rest < 0 ? rest + window_ms : rest);
}

static enum serin_status join(struct pending *p, struct pending_cell *to,
                              struct pending_cell *from)
{
    enum serin_status rc = SERIN_OK;
    to->c.n += from->c.n, to->c.x += from->c.x;
    to->c.m += from->c.m, to->c.y += from->c.y;
    for (int cohort = 0; cohort < 2 && rc != SERIN_ENOMEM; cohort++) {
        const struct pending_units *u = pending_units(from, cohort);
        const struct binned *h = pending_hist(from, cohort);
        struct hist_view v = binned_view(h);
        size_t before = h != NULL && to->hist[cohort] != NULL ? to->hist[cohort]->n : 0;
        to->by_unit = to->by_unit || from->by_unit;
        to->by_user = to->by_user || from->by_user;
        const struct riskset_users *who = pending_users(from, cohort);
        if (who != NULL) {
            p->users -= who->n; /* they move, and so there is room */
            rc = add_users(p, &to->users[cohort], who->at, who->n, 0);
            p->users += who->n;
        }
        if (u != NULL) {
            p->units -= u->n; /* they only move */
            rc = add_units(p, &to->units[cohort], u->at, u->n);
            p->units += u->n;
        }
        if (h == NULL) continue;
        rc = binned_add(&to->hist[cohort], &v, PENDING_FINE);
        if (rc == SERIN_OK) p->buckets += to->hist[cohort]->n - before;
    }
    drop_content(p, from);
    return rc == SERIN_ENOMEM ? rc : SERIN_OK;
}

enum serin_status pending_rebin(struct pending *p, int64_t window_ms)
{
    size_t n = p->n;
    enum serin_status rc = SERIN_OK;
    p->n = 0;
    for (size_t i = 0; i < n; i++) { /* in place: a merged cell never moves right */
        struct pending_cell c = p->cells[i];
        c.start_ms = pending_floor(c.start_ms, window_ms);
        size_t at = place(p, &c);
        if (rc != SERIN_OK) {
            drop_content(p, &c);
        } else if (at < p->n && order(&p->cells[at], &c) == 0) {
            rc = join(p, &p->cells[at], &c);
        } else {
            memmove(p->cells + at + 1, p->cells + at, (p->n - at) * sizeof c);
            p->cells[at] = c;
            p->n++;
        }
    }
    return rc;
}
