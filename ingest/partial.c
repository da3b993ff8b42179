/* ingest/partial.c */
#include "ingest/partial.h"

#include "proto/encode.h"

static char *text(const char *s)
{
    return (char *)(uintptr_t)s; /* protobuf-c has no const */
}

static bool put_hist(struct arena *s, const struct buckets *b, pb_cell *out)
{
    pb_histogram *h = arena_alloc(s, sizeof *h);
    uint32_t first = 0, last = b->n;
    if (h == NULL) return false;
    while (first < last && b->counts[first] == 0)
        first++;
    while (last > first && b->counts[last - 1] == 0)
        last--;
    serin__v1__histogram__init(h);
    h->scale = b->scale;
    h->zero_count = b->zero;
    h->offset = first < last ? b->offset + (int32_t)first : 0;
    h->counts = b->counts != NULL ? b->counts + first : NULL;
    h->n_counts = last - first;
    out->hist = h;
    return true;
}

static bool put_units(struct arena *s, const struct aggregate_cell *c, pb_cell *out)
{
    out->units = arena_alloc(s, c->n_units * sizeof *out->units);
    if (out->units == NULL) return false;
    for (const struct aggregate_unit *u = c->units; u != NULL; u = u->next) {
        Serin__V1__UnitSum *p = arena_alloc(s, sizeof *p);
        if (p == NULL) return false;
        serin__v1__unit_sum__init(p);
        p->unit = text(u->name);
        p->n = u->n;
        p->sum = u->sum;
        p->sum_sq = u->sum_sq;
        out->units[out->n_units++] = p;
    }
    return true;
}

static bool put_users(struct arena *s, const struct users *u, pb_cell *out)
{
    out->users = arena_alloc(s, (u->n + 1) * sizeof *out->users);
    if (out->users == NULL) return false;
    users_list(u, out->users);
    out->n_users = u->n;
    out->user_thin = u->thin;
    return true;
}

static pb_cell *put_cell(struct arena *s, const struct aggregate_cell *c)
{
    pb_cell *out = arena_alloc(s, sizeof *out);
    if (out == NULL) return NULL;
    serin__v1__cell__init(out);
    out->cohort = aggregate_cell_cohort(c) == ROUTE_CANARY
                      ? SERIN__V1__COHORT__COHORT_CANARY
                      : SERIN__V1__COHORT__COHORT_BASELINE;
    out->stratum = text(route_stratum_name(c->route, aggregate_cell_stratum(c)));
    out->metric = c->route->metrics[aggregate_cell_metric(c)].name;
    out->window_ms = c->window_ms;
    out->n = c->n;
    out->bad = c->bad;
    out->bounds_ratio = c->ratio;
    out->bounds_id = c->bounds_id;
    if (c->hist.total != 0 && !put_hist(s, &c->hist, out)) return NULL;
    if (c->n_units != 0 && !put_units(s, c, out)) return NULL;
    if (c->users != NULL && !put_users(s, c->users, out)) return NULL;
    return out;
}

/* An upper bound of what the cell adds to a record, within a small factor. */
static size_t weight(const struct aggregate_cell *c)
{
    size_t users = c->users != NULL ? c->users->n : 0;
    return 128 + 3 * (size_t)c->hist.n + 160 * (size_t)c->n_units + 8 * users;
}

/* One record from *at on; *at moves behind its last cell. */
static enum serin_status record(struct arena *s, const struct aggregate_cell **at,
                                pb_partial *p, struct bytes *out)
{
    size_t n = 0, bytes = 0;
    const struct aggregate_cell *c = *at;
    for (; c != NULL && bytes < PARTIAL_BYTES; c = c->next, n++)
        bytes += weight(c);
    p->cells = arena_alloc(s, n * sizeof *p->cells);
    if (p->cells == NULL) return SERIN_ENOMEM;
    for (c = *at; p->n_cells < n; c = c->next) {
        p->cells[p->n_cells] = put_cell(s, c);
        if (p->cells[p->n_cells++] == NULL) return SERIN_ENOMEM;
    }
    *at = c;
    pb_inbox inbox = SERIN__V1__INBOX__INIT;
    inbox.schema = SERIN_SCHEMA;
    inbox.body_case = SERIN__V1__INBOX__BODY_PARTIAL;
    inbox.partial = p;
    return encode_inbox(s, &inbox, out);
}

enum serin_status partial_each(const struct aggregate *a, const char *worker,
                               struct arena *scratch, partial_sink sink, void *ctx)
{
    const struct aggregate_tally *t = aggregate_tallies(a);
    for (; t != NULL; t = t->next) {
        const struct aggregate_cell *at = t->cells;
        pb_partial p = SERIN__V1__PARTIAL__INIT;
        p.rollout = t->route->id;
        p.worker = text(worker);
        p.samples = t->samples;
        p.poison = t->poison;
        do {
            struct bytes value;
            arena_reset(scratch);
            p.cells = NULL;
            p.n_cells = 0;
            enum serin_status s = record(scratch, &at, &p, &value);
            if (s == SERIN_OK)
                s = sink(ctx, (struct strview){t->route->id, t->route->id_len}, value);
            if (s != SERIN_OK) return s;
            p.samples = p.poison = 0;
        } while (at != NULL);
    }
    return SERIN_OK;
}
