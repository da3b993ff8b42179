/* engine/replay/tune/split.c -- each cell draws from a seed of its own, so that a split
 * is the same whatever plan it is judged by, as long as the share is */
#include "engine/replay/tune/split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/core/draw.h"

static const double previews = 0.05; /* their share, while there is nothing else */

/* ---------------------------------------------------------------- units */

struct collect {
    struct split_units *u;
    bool by;
};

const char *split_unit_of(const char *stratum)
{
    const char *comma = strrchr(stratum, ',');
    return comma != NULL ? comma + 1 : stratum;
}

uint64_t split_unit_hash(const char *name)
{
    return hash_bytes(name, strlen(name), 0);
}

static int rising(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Insert where it belongs, once. */
static enum serin_status add(uint64_t *list, size_t *n, uint64_t h)
{
    size_t at = 0;
    if (bsearch(&h, list, *n, sizeof h, rising) != NULL) return SERIN_OK;
    if (*n == SPLIT_MAX_UNITS) return SERIN_ELIMIT;
    while (at < *n && list[at] < h)
        at++;
    memmove(list + at + 1, list + at, (*n - at) * sizeof h);
    list[at] = h;
    ++*n;
    return SERIN_OK;
}

static enum serin_status collect_window(void *ctx, struct arena *a,
                                        const struct change_window *w, pb_partial *p)
{
    (void)a, (void)w;
    struct collect *c = ctx;
    enum serin_status rc = SERIN_OK;
    for (size_t i = 0; rc == SERIN_OK && i < p->n_cells; i++) {
        const pb_cell *cell = p->cells[i];
        if (cell->cohort != SERIN__V1__COHORT__COHORT_BASELINE) continue;
        for (size_t k = 0; rc == SERIN_OK && k < cell->n_units; k++)
            rc = add(c->u->of_cells, &c->u->n_cells,
                     split_unit_hash(cell->units[k]->unit));
        if (rc == SERIN_OK && c->by)
            rc = add(c->u->of_strata, &c->u->n_strata,
                     split_unit_hash(split_unit_of(cell->stratum)));
    }
    return rc;
}

enum serin_status split_units_of(const struct tape *const *tapes, size_t n, bool by,
                                 struct split_units *out)
{
    struct collect c = {.u = out, .by = by};
    *out = (struct split_units){0};
    out->of_cells = mem_calloc(SPLIT_MAX_UNITS, sizeof *out->of_cells);
    out->of_strata = mem_calloc(SPLIT_MAX_UNITS, sizeof *out->of_strata);
    enum serin_status rc =
        out->of_cells != NULL && out->of_strata != NULL ? SERIN_OK : SERIN_ENOMEM;
    for (size_t i = 0; rc == SERIN_OK && i < n; i++)
        rc = tape_windows(tapes[i], 1000, collect_window, &c);
    if (rc != SERIN_OK) split_units_free(out);
    return rc;
}

void split_units_free(struct split_units *u)
{
    mem_free(u->of_cells);
    mem_free(u->of_strata);
    *u = (struct split_units){0};
}

size_t split_units_share(size_t n, double share)
{
    if (n < 2 || !(share > 0)) return 0;
    if (share >= 1) return n;
    size_t k = (size_t)(share * (double)n + 0.5);
    return k < 1 ? 1 : k >= n ? n - 1 : k;
}

static uint64_t mixed(uint64_t seed, uint64_t h)
{
    return hash_bytes(&h, sizeof h, seed);
}

/* Does the canary have this one? Those that rank first by a hash that the seed makes,
 * so a larger share keeps the units of a smaller one. */
static bool canary_unit(const struct split *s, const uint64_t *list, size_t n,
                        const char *name)
{
    uint64_t own = mixed(s->seed, split_unit_hash(name));
    size_t before = 0, want = split_units_share(n, s->share);
    for (size_t i = 0; i < n; i++)
        before += mixed(s->seed, list[i]) < own;
    return before < want;
}

/* ---------------------------------------------------------------- one cell */

static pb_cell *copy_of(struct arena *a, const pb_cell *c)
{
    pb_cell *out = arena_alloc(a, sizeof *out);
    if (out != NULL) *out = *c;
    return out;
}

static uint64_t part(struct draw *d, double share, uint64_t *n)
{
    uint64_t k = draw_binomial(d, *n, share);
    *n -= k;
    return k;
}

static bool split_hist(struct arena *a, struct draw *d, double share, pb_cell *b,
                       pb_cell *c)
{
    pb_histogram *rest = arena_alloc(a, sizeof *rest),
                 *got = arena_alloc(a, sizeof *got);
    if (rest == NULL || got == NULL) return false;
    *rest = *got = *b->hist;
    rest->counts = arena_alloc(a, (rest->n_counts + 1) * sizeof *rest->counts);
    got->counts = arena_alloc(a, (got->n_counts + 1) * sizeof *got->counts);
    if (rest->counts == NULL || got->counts == NULL) return false;
    got->zero_count = part(d, share, &rest->zero_count);
    c->n = got->zero_count;
    for (size_t i = 0; i < got->n_counts; i++) {
        rest->counts[i] = b->hist->counts[i];
        got->counts[i] = part(d, share, &rest->counts[i]);
        c->n += got->counts[i];
    }
    b->n -= c->n;
    b->hist = rest;
    c->hist = got;
    return true;
}

static void split_counts(struct draw *d, double share, pb_cell *b, pb_cell *c)
{
    uint64_t good = b->n - b->bad;
    c->bad = part(d, share, &b->bad);
    c->n = c->bad + part(d, share, &good);
    b->n -= c->n;
}

/* Whole users: bit 0 says that one met an error. */
static bool split_users(struct arena *a, const struct split *s, pb_cell *b, pb_cell *c)
{
    const uint64_t *all = b->users;
    size_t n = b->n_users;
    b->users = arena_alloc(a, (n + 1) * sizeof *b->users);
    c->users = arena_alloc(a, (n + 1) * sizeof *c->users);
    if (b->users == NULL || c->users == NULL) return false;
    b->n_users = c->n_users = 0;
    b->bad = c->bad = 0;
    for (size_t i = 0; i < n; i++) {
        double at = (double)(mixed(s->seed, all[i] & ~UINT64_C(1)) >> 11) * 0x1p-53;
        pb_cell *to = at < s->share ? c : b;
        to->users[to->n_users++] = all[i];
        to->bad += all[i] & 1;
    }
    c->n = (uint64_t)((double)b->n * (double)c->n_users / (double)n);
    if (c->n < c->n_users) c->n = c->n_users;
    b->n -= c->n;
    return true;
}

static bool split_readings(struct arena *a, const struct split *s, pb_cell *b,
                           pb_cell *c)
{
    Serin__V1__UnitSum **all = b->units;
    size_t n = b->n_units;
    b->units = arena_alloc(a, (n + 1) * sizeof *b->units);
    c->units = arena_alloc(a, (n + 1) * sizeof *c->units);
    if (b->units == NULL || c->units == NULL) return false;
    b->n_units = c->n_units = 0;
    b->n = c->n = 0;
    for (size_t i = 0; i < n; i++) {
        bool own = canary_unit(s, s->units->of_cells, s->units->n_cells, all[i]->unit);
        pb_cell *to = own ? c : b;
        to->units[to->n_units++] = all[i];
        to->n += all[i]->n;
    }
    return true;
}

/* Which of a pair of windows a cell is in, and both moved to the later one: a window
 * that has closed takes no more. */
static bool canary_window(const struct split *s, pb_cell *c)
{
    int64_t pair_ms = 2 * s->block_ms;
    int64_t pair = c->window_ms / pair_ms - (c->window_ms % pair_ms < 0);
    bool later = c->window_ms - pair * pair_ms >= s->block_ms;
    bool want = (mixed(s->seed, (uint64_t)pair) & 1) != 0;
    if (!later) c->window_ms += s->block_ms;
    return later == want;
}

static void all_of(pb_cell *b, pb_cell *c)
{
    *c = *b;
    c->cohort = SERIN__V1__COHORT__COHORT_CANARY;
    b->n = 0;
}

/* Of its own, so that neither order nor what stands beside it matters. */
static uint64_t seed_of(const struct split *s, const pb_cell *c)
{
    uint64_t h = mixed(s->seed, (uint64_t)c->window_ms);
    return mixed(mixed(h, split_unit_hash(c->metric)), split_unit_hash(c->stratum));
}

/* b keeps the baseline's part, c gets the canary's. */
static bool split_cell(const struct split *s, uint64_t seed, struct arena *a,
                       pb_cell *b, pb_cell *c)
{
    struct draw d = draw_seeded(seed);
    *c = *b;
    c->cohort = SERIN__V1__COHORT__COHORT_CANARY;
    c->n = c->bad = 0;
    if (b->n_units > 0) return split_readings(a, s, b, c);
    if (b->n_users > 0) return split_users(a, s, b, c);
    if (s->how == SPLIT_WINDOWS) {
        bool own = canary_window(s, b);
        c->window_ms = b->window_ms;
        if (own) all_of(b, c);
        return true;
    }
    if (s->how == SPLIT_UNITS) return true; /* by its stratum, before */
    if (b->hist != NULL) return split_hist(a, &d, s->share, b, c);
    split_counts(&d, s->share, b, c);
    return true;
}

/* The unit is taken off the stratum; does the canary have it? */
static bool take_unit(const struct split *s, struct arena *a, pb_cell *b, bool *canary)
{
    const char *unit = split_unit_of(b->stratum);
    size_t n = (size_t)(unit - b->stratum);
    *canary = s->how == SPLIT_UNITS && b->n_units == 0 && b->n_users == 0 &&
              canary_unit(s, s->units->of_strata, s->units->n_strata, unit);
    b->stratum = arena_copy(a, b->stratum, n > 0 ? n - 1 : 0);
    return b->stratum != NULL;
}

/* What one cell of the recording becomes; to has room for two. */
static enum serin_status split_one(const struct split *s, struct arena *a,
                                   const pb_cell *cell, pb_cell **to, size_t *n)
{
    bool whole = false, empty = cell->n == 0;
    pb_cell *b = copy_of(a, cell), *c = arena_alloc(a, sizeof *c);
    if (b == NULL || c == NULL) return SERIN_ENOMEM;
    if (s->by && !take_unit(s, a, b, &whole)) return SERIN_ENOMEM;
    if (s->how == SPLIT_RECORDED) {
        to[(*n)++] = b;
        return SERIN_OK;
    }
    if (b->cohort != SERIN__V1__COHORT__COHORT_BASELINE) return SERIN_OK;
    if (whole)
        all_of(b, c);
    else if (!split_cell(s, seed_of(s, cell), a, b, c))
        return SERIN_ENOMEM;
    if (c->n > 0) to[(*n)++] = c;
    if (b->n > 0 || empty) to[(*n)++] = b;
    return SERIN_OK;
}

enum serin_status split_window(void *ctx, struct arena *a,
                               const struct change_window *w, pb_partial *p)
{
    struct split s = *(const struct split *)ctx;
    size_t n = 0;
    pb_cell **cells = arena_alloc(a, (2 * p->n_cells + 1) * sizeof *cells);
    enum serin_status rc = cells != NULL ? SERIN_OK : SERIN_ENOMEM;
    if (s.share <= 0) s.share = isnan(w->share) ? previews : w->share;
    for (size_t i = 0; rc == SERIN_OK && i < p->n_cells; i++)
        rc = split_one(&s, a, p->cells[i], cells, &n);
    if (rc != SERIN_OK) return rc;
    p->cells = cells;
    p->n_cells = n;
    return SERIN_OK;
}
