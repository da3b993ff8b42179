/* ingest/aggregate.c
 *
 * Three levels, each a shortcut for the next: a target's latest cell, the table of
 * cells, and (for headers) the cache of series over the route table. */
#include "ingest/aggregate.h"

#include <math.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"

enum {
    TABLE_FIRST = 4096,
    SERIES_ENOUGH = 65536,   /* cached headers before the cache starts afresh */
    SERIES_BYTES = 32 << 20, /* likewise */
    SERIES_BYTES_TIMES = 4,  /* of it within one message */
    TARGETS_MAX = 256
};

static const struct aggregate_input no_input;

struct aggregate {
    struct route_table *routes;
    const struct aggregate_input *input;
    struct cumulative *cumulative;
    struct aliases *aliases;
    size_t max_series, max_rollout, header_bytes;
    int64_t future_ms;
    int64_t late_ms; /* windows that begin up to here were closed before */
    /* series cache: open addressing, size a power of two, at most half full */
    struct aggregate_series **series;
    size_t n_series, series_room;
    struct arena series_arena;
    /* the flush */
    uint64_t flush;
    struct aggregate_cell **cells; /* open addressing as above */
    size_t n_cells, cells_room;
    bool crowded;
    struct arena arena;
    struct aggregate_tally *tallies;
    struct aggregate_counts counts;
    /* the message */
    int64_t horizon_ms, latest_ms;
};

enum serin_status aggregate_open(struct aggregate **out, struct route_table *routes,
                                 const struct aggregate_options *o)
{
    struct aggregate *a = mem_calloc(1, sizeof *a);
    if (a == NULL) return SERIN_ENOMEM;
    a->routes = routes;
    a->max_series = o->max_series != 0 ? o->max_series : 1000000;
    a->future_ms = o->future_ms != 0 ? o->future_ms : 600000;
    a->arena.max = o->max_bytes != 0 ? o->max_bytes : (size_t)512 << 20;
    a->max_rollout = o->max_rollout != 0 ? o->max_rollout : a->max_series;
    a->header_bytes = o->header_bytes != 0 ? o->header_bytes : SERIES_BYTES;
    a->series_arena.max = SERIES_BYTES_TIMES * a->header_bytes;
    a->input = &no_input;
    aggregate_closed(a, INT64_MIN);
    a->flush = 1;
    a->series = mem_calloc(TABLE_FIRST, sizeof *a->series);
    a->cells = mem_calloc(TABLE_FIRST, sizeof *a->cells);
    if (a->series == NULL || a->cells == NULL ||
        cumulative_open(&a->cumulative) != SERIN_OK ||
        alias_open(&a->aliases, a->header_bytes) != SERIN_OK) {
        aggregate_close(a);
        return SERIN_ENOMEM;
    }
    a->series_room = a->cells_room = TABLE_FIRST;
    *out = a;
    return SERIN_OK;
}

void aggregate_close(struct aggregate *a)
{
    if (a == NULL) return;
    cumulative_close(a->cumulative);
    alias_close(a->aliases);
    mem_free(a->series);
    mem_free(a->cells);
    arena_free(&a->series_arena);
    arena_free(&a->arena);
    mem_free(a);
}

void aggregate_routes_changed(struct aggregate *a)
{
    memset(a->series, 0, a->series_room * sizeof *a->series);
    arena_reset(&a->series_arena);
    a->n_series = 0;
    alias_forget(a->aliases);
}

void aggregate_message(struct aggregate *a, int64_t now_ms)
{
    a->horizon_ms = now_ms + a->future_ms;
    a->latest_ms = INT64_MIN;
    if (a->n_series >= SERIES_ENOUGH || a->series_arena.used >= a->header_bytes) {
        aggregate_routes_changed(a);
    }
    if (alias_full(a->aliases)) alias_forget(a->aliases);
}

struct aliases *aggregate_aliases(struct aggregate *a)
{
    return a->aliases;
}

struct cumulative *aggregate_cumulative(struct aggregate *a)
{
    return a->cumulative;
}

void aggregate_input(struct aggregate *a, const struct aggregate_input *in)
{
    a->input = in;
}

const struct aggregate_input *aggregate_input_now(const struct aggregate *a)
{
    return a->input;
}

void aggregate_closed(struct aggregate *a, int64_t watermark_ms)
{
    bool known = watermark_ms >= INT64_MIN + AGGREGATE_WINDOW_MS;
    a->late_ms = known ? watermark_ms - AGGREGATE_WINDOW_MS : INT64_MIN;
}

void aggregate_duplicate(struct aggregate *a, uint64_t n)
{
    a->counts.duplicate += n;
}

void aggregate_begun(struct aggregate *a)
{
    a->counts.begun++;
}

int64_t aggregate_latest(const struct aggregate *a)
{
    return a->latest_ms;
}

struct aggregate_counts aggregate_counts(const struct aggregate *a)
{
    return a->counts;
}

size_t aggregate_cells(const struct aggregate *a)
{
    return a->n_cells;
}

bool aggregate_full(const struct aggregate *a)
{
    return a->crowded || a->n_cells >= a->max_series / 2 ||
           a->arena.used >= a->arena.max / 2;
}

size_t aggregate_bytes(const struct aggregate *a)
{
    return a->arena.used;
}

size_t aggregate_memory(const struct aggregate *a)
{
    return a->arena.used + a->series_arena.used +
           (a->series_room + a->cells_room) * sizeof(void *) + sizeof *a +
           cumulative_bytes(a->cumulative) + alias_bytes(a->aliases);
}

void aggregate_series_each(const struct aggregate *a,
                           void (*use)(void *ctx, const struct aggregate_series *s),
                           void *ctx)
{
    for (size_t i = 0; i < a->series_room; i++)
        if (a->series[i] != NULL) use(ctx, a->series[i]);
}

const struct aggregate_tally *aggregate_tallies(const struct aggregate *a)
{
    return a->tallies;
}

void aggregate_clear(struct aggregate *a)
{
    a->flush++;
    a->tallies = NULL;
    a->counts = (struct aggregate_counts){0};
    arena_reset(&a->arena);
    if (a->n_cells != 0) memset(a->cells, 0, a->cells_room * sizeof *a->cells);
    a->n_cells = 0;
    a->crowded = false;
}

/* ---------------------------------------------------------------- series */

/* Double an open-addressing table of pointers whose entries `hash` knows. */
static void **grown(void **old, size_t *room, uint64_t (*hash)(const void *))
{
    size_t size = *room * 2;
    void **slots = mem_calloc(size, sizeof *slots);
    if (slots == NULL) return NULL;
    for (size_t i = 0; i < *room; i++) {
        if (old[i] == NULL) continue;
        size_t k = (size_t)hash(old[i]) & (size - 1);
        while (slots[k] != NULL)
            k = (k + 1) & (size - 1);
        slots[k] = old[i];
    }
    mem_free(old);
    *room = size;
    return slots;
}

static uint64_t series_hash_of(const void *s)
{
    return ((const struct aggregate_series *)s)->hash;
}

static bool attribute(const void *series, struct strview key, struct strview *value)
{
    return series_attribute_get(series, key, value);
}

static size_t match_targets(struct route_match *m, const struct series_name *name,
                            struct aggregate_target *out, size_t room)
{
    struct route *r = m->route;
    size_t n = 0;
    uint32_t stratum = 0;
    for (size_t i = 0; i < r->n_metrics && n < room; i++) {
        const struct route_metric *metric = &r->metrics[i];
        if (!strview_eq(metric->from, name->metric)) continue;
        if (n == 0) stratum = route_stratum(r, name);
        out[n] = (struct aggregate_target){.route = r, .metric = metric};
        out[n].series = (uint32_t)i << 16 | stratum << 8 | (uint32_t)m->cohort;
        struct strview value;
        out[n].bad =
            metric->conditional && condition_holds(&metric->bad, attribute, name);
        (void)series_attribute_get(name, metric->unit_key, &out[n].unit);
        if (metric->per_user && metric->user_key.n != 0 &&
            series_attribute_get(name, metric->user_key, &value))
            out[n].user = users_of_name(value);
        n++;
    }
    return n;
}

static bool series_resolve(struct aggregate *a, struct aggregate_series *s,
                           const struct series_name *name)
{
    struct route_match match[ROUTE_MAX_MATCHES];
    struct aggregate_target targets[TARGETS_MAX];
    size_t n_match, n = 0;
    if (route_table_find(a->routes, name, match, &n_match) != SERIN_OK) return false;
    for (size_t i = 0; i < n_match; i++) {
        n += match_targets(&match[i], name, targets + n, TARGETS_MAX - n);
    }
    if (n == 0) return true;
    s->targets = arena_alloc(&a->series_arena, n * sizeof *s->targets);
    if (s->targets == NULL) return false;
    memcpy(s->targets, targets, n * sizeof *targets);
    s->n = n;
    return true;
}

enum serin_status aggregate_name(const struct aggregate_input *in, struct strview key,
                                 struct series_name *out, struct reject *why)
{
    enum serin_status status = series_parse(key, out, why);
    struct strview there;
    if (status != SERIN_OK) return status;
    if (out->metric.n == 0) out->metric = in->metric;
    if (out->metric.n == 0)
        return quarantine_refuse(why, QUARANTINE_FIELD, "metric: missing");
    for (size_t i = 0; i < in->n_attributes; i++)
        if (out->n_attributes < SERIES_MAX_ATTRIBUTES &&
            !series_attribute_get(out, in->attributes[i].key, &there))
            out->attributes[out->n_attributes++] = in->attributes[i];
    return SERIN_OK;
}

static enum serin_status series_add(struct aggregate *a, struct strview key,
                                    uint64_t hash, struct aggregate_series **out,
                                    struct reject *why)
{
    struct series_name name;
    if (key.n > SERIES_MAX_KEY) {
        return quarantine_refuse(why, QUARANTINE_LIMIT, "header over %d bytes",
                                 SERIES_MAX_KEY);
    }
    if (2 * a->n_series >= a->series_room) {
        void **p = grown((void **)a->series, &a->series_room, series_hash_of);
        if (p != NULL) a->series = (struct aggregate_series **)p;
    }
    struct aggregate_series *s = arena_alloc(&a->series_arena, sizeof *s);
    char *copy = arena_copy(&a->series_arena, key.p, key.n);
    if (s == NULL || copy == NULL || a->n_series + 1 >= a->series_room) {
        return quarantine_refuse(why, QUARANTINE_LIMIT, "no memory for another header");
    }
    enum serin_status status =
        aggregate_name(a->input, (struct strview){copy, key.n}, &name, why);
    if (status != SERIN_OK) return status;
    if (!series_resolve(a, s, &name)) {
        return quarantine_refuse(why, QUARANTINE_LIMIT, "no memory for another header");
    }
    s->hash = hash;
    s->identity = cumulative_key_of(key, 0);
    s->input = a->input->id;
    s->key = (const uint8_t *)copy;
    s->key_len = key.n;
    size_t i = (size_t)hash & (a->series_room - 1);
    while (a->series[i] != NULL)
        i = (i + 1) & (a->series_room - 1);
    a->series[i] = *out = s;
    a->n_series++;
    return SERIN_OK;
}

enum serin_status aggregate_series(struct aggregate *a, struct strview key,
                                   struct aggregate_series **out, struct reject *why)
{
    uint64_t hash = series_hash(key.p, key.n, a->input->id);
    size_t i = (size_t)hash & (a->series_room - 1);
    for (; a->series[i] != NULL; i = (i + 1) & (a->series_room - 1)) {
        struct aggregate_series *s = a->series[i];
        if (s->hash != hash || s->key_len != key.n || s->input != a->input->id)
            continue;
        if (memcmp(s->key, key.p, key.n) != 0) continue;
        *out = s;
        return SERIN_OK;
    }
    return series_add(a, key, hash, out, why);
}

/* ---------------------------------------------------------------- cells */

static uint64_t cell_hash(const struct route *r, uint32_t series, int64_t window_ms)
{
    uint64_t key[3] = {(uint64_t)(uintptr_t)r, series, (uint64_t)window_ms};
    return series_hash(key, sizeof key, 3);
}

static uint64_t cell_hash_of(const void *p)
{
    const struct aggregate_cell *c = p;
    return cell_hash(c->route, c->series, c->window_ms);
}

static struct aggregate_tally *tally_of(struct aggregate *a, struct route *r)
{
    if (r->tally_flush == a->flush) return r->tally;
    struct aggregate_tally *t = arena_alloc(&a->arena, sizeof *t);
    if (t == NULL) return NULL;
    t->route = r;
    t->next = a->tallies;
    a->tallies = t;
    r->tally = t;
    r->tally_flush = a->flush;
    return t;
}

static struct aggregate_cell **cell_slot(struct aggregate *a, const struct route *r,
                                         uint32_t series, int64_t window_ms)
{
    size_t i = (size_t)cell_hash(r, series, window_ms) & (a->cells_room - 1);
    for (; a->cells[i] != NULL; i = (i + 1) & (a->cells_room - 1)) {
        struct aggregate_cell *c = a->cells[i];
        if (c->route == r && c->series == series && c->window_ms == window_ms) break;
    }
    return &a->cells[i];
}

static struct aggregate_cell *cell_add(struct aggregate *a, struct route *r,
                                       uint32_t series, int64_t window_ms)
{
    if (2 * (a->n_cells + 1) > a->cells_room) {
        void **p = grown((void **)a->cells, &a->cells_room, cell_hash_of);
        if (p == NULL) return NULL;
        a->cells = (struct aggregate_cell **)p;
    }
    struct aggregate_tally *t = tally_of(a, r);
    struct aggregate_cell *c = t != NULL ? arena_alloc(&a->arena, sizeof *c) : NULL;
    if (c == NULL) return NULL;
    c->route = r;
    c->series = series;
    c->window_ms = window_ms;
    c->hist.scale = BUCKETS_SCALE;
    c->next = t->cells;
    t->cells = c;
    t->n_cells++;
    a->crowded |= t->n_cells >= a->max_rollout / 2;
    *cell_slot(a, r, series, window_ms) = c;
    a->n_cells++;
    return c;
}

/* Of the limits, in all and of this rollout, an eighth is kept for "other". */
static bool is_near(const struct aggregate *a, const struct aggregate_tally *t)
{
    size_t of_rollout = t != NULL ? t->n_cells : 0;
    return a->n_cells >= a->max_series - a->max_series / 8 ||
           of_rollout >= a->max_rollout - a->max_rollout / 8;
}

/* Near a limit new strata fall into "other"; at it there is no cell. */
static struct aggregate_cell *cell_find(struct aggregate *a, struct aggregate_target *t,
                                        int64_t window_ms)
{
    uint32_t series = t->series;
    struct aggregate_cell *c = *cell_slot(a, t->route, series, window_ms);
    const struct aggregate_tally *tally = c == NULL ? tally_of(a, t->route) : NULL;
    if (c == NULL && is_near(a, tally)) {
        series = (series & ~UINT32_C(0xff00)) | (uint32_t)(ROUTE_MAX_STRATA - 1) << 8;
        c = *cell_slot(a, t->route, series, window_ms);
    }
    if (c == NULL && a->n_cells < a->max_series && tally != NULL &&
        tally->n_cells < a->max_rollout) {
        c = cell_add(a, t->route, series, window_ms);
    }
    t->cell = c;
    t->folded = c != NULL && aggregate_cell_stratum(c) == ROUTE_MAX_STRATA - 1;
    t->window_ms = window_ms;
    t->flush = a->flush;
    return c;
}

static inline struct aggregate_cell *
cell_of(struct aggregate *a, struct aggregate_target *t, int64_t window_ms)
{
    if (t->flush == a->flush && t->window_ms == window_ms && t->cell != NULL) {
        return t->cell;
    }
    return cell_find(a, t, window_ms);
}

/* ---------------------------------------------------------------- runs */

/* Can this metric use samples of this kind? Else the series counts as unrouted. */
static bool accepts(const struct aggregate_target *t, const struct aggregate_run *r)
{
    enum route_kind m = t->metric->kind;
    if (t->metric->per_user && r->user == 0 && t->user == 0) return false;
    switch (r->kind) {
    case AGGREGATE_COUNTS:
        return m == ROUTE_RATIO || m == ROUTE_EVENTS;
    case AGGREGATE_UNITS_ONLY:
        return m == ROUTE_EVENTS || (m == ROUTE_RATIO && t->metric->conditional);
    case AGGREGATE_VALUES:
        return m == ROUTE_LATENCY || m == ROUTE_GAUGE || t->metric->conditional;
    case AGGREGATE_HISTS:
        return m == ROUTE_LATENCY || t->metric->conditional;
    case AGGREGATE_GAUGES:
        return m == ROUTE_GAUGE;
    }
    return false;
}

void aggregate_run_begin(struct aggregate_run *r, struct aggregate *a,
                         struct aggregate_series *s, enum aggregate_kind kind)
{
    *r = (struct aggregate_run){.a = a, .s = s, .kind = kind};
    r->window_ms = INT64_MAX; /* no time is in it */
    r->horizon_ms = a->horizon_ms;
    r->latest_ms = INT64_MIN;
}

static bool note_user(struct aggregate *a, struct aggregate_cell *c, uint64_t user,
                      bool bad)
{
    if (c->users == NULL) c->users = arena_alloc(&a->arena, sizeof *c->users);
    return c->users != NULL && users_add(c->users, &a->arena, user, bad);
}

void aggregate_run_user(struct aggregate_run *r, bool bad)
{
    bool lost = false;
    for (size_t i = 0; i < r->s->n; i++) {
        struct aggregate_target *t = &r->s->targets[i];
        if (!t->metric->per_user || !accepts(t, r)) continue;
        struct aggregate_cell *c = cell_of(r->a, t, r->window_ms);
        bool met = r->kind != AGGREGATE_COUNTS && t->metric->conditional ? t->bad : bad;
        lost |= c != NULL && !note_user(r->a, c, r->user, met);
    }
    if (lost) r->lost++;
}

/* Counts of the open window into one target's cell; false: no room. */
static bool give_counts(struct aggregate_run *r, struct aggregate_target *t)
{
    enum route_kind m = t->metric->kind;
    if (m == ROUTE_LATENCY || m == ROUTE_GAUGE) return true; /* went there one by one */
    struct aggregate_cell *c = cell_of(r->a, t, r->window_ms);
    uint64_t bad = r->bad, n = r->n;
    if (r->kind != AGGREGATE_COUNTS && t->metric->conditional) bad = t->bad ? n : 0;
    /* Events have no denominator: where a condition picks them, only those are units.
     */
    if (m == ROUTE_EVENTS && t->metric->conditional && r->kind != AGGREGATE_COUNTS)
        n = bad;
    if (c == NULL || n > AGGREGATE_MAX_COUNT - c->n) return false;
    if (t->metric->per_user && r->user == 0 && n != 0 &&
        !note_user(r->a, c, t->user, bad != 0))
        return false;
    c->n += n;
    c->bad += bad;
    return true;
}

void aggregate_run_turn(struct aggregate_run *r, int64_t t_ms)
{
    struct aggregate_tally *last = NULL;
    bool lost = false, folded = false;
    for (size_t i = 0; r->samples != 0 && i < r->s->n; i++) {
        struct aggregate_target *t = &r->s->targets[i];
        if (!accepts(t, r)) continue;
        bool kept = give_counts(r, t);
        folded |= t->folded;
        struct aggregate_tally *tally = tally_of(r->a, t->route);
        lost |= !kept || tally == NULL;
        if (tally == NULL || tally == last) continue;
        if (kept)
            tally->samples += r->samples;
        else
            tally->poison += r->samples;
        last = tally;
    }
    if (lost) r->dropped += r->samples;
    if (folded) r->a->counts.other += r->samples;
    if (r->window_ms <= r->a->late_ms) r->a->counts.late += r->samples;
    r->total += r->samples;
    r->n = r->bad = r->samples = 0;
    r->window_ms = t_ms - t_ms % AGGREGATE_WINDOW_MS;
}

void aggregate_run_end(struct aggregate_run *r)
{
    struct aggregate_counts *c = &r->a->counts;
    const struct aggregate_tally *last = NULL;
    bool wanted = false;
    if (r->samples != 0) aggregate_run_turn(r, r->window_ms);
    for (size_t i = 0; i < r->s->n; i++) {
        struct aggregate_target *t = &r->s->targets[i];
        if (!accepts(t, r)) continue;
        wanted = true;
        if (r->poison + r->lost == 0) break;
        struct aggregate_tally *tally = tally_of(r->a, t->route);
        if (tally != NULL && tally != last) tally->poison += r->poison + r->lost;
        last = tally;
    }
    r->dropped = r->dropped + r->lost < r->total ? r->dropped + r->lost : r->total;
    c->samples += r->total + r->poison;
    c->poison += r->poison;
    c->dropped += r->dropped;
    *(wanted ? &c->routed : &c->unrouted) += r->total - r->dropped;
    r->s->samples += r->total + r->poison;
    r->s->kinds |= 1U << r->kind;
    if (r->latest_ms > r->a->latest_ms) r->a->latest_ms = r->latest_ms;
}

/* ---------------------------------------------------------------- values */

static struct aggregate_unit *unit_of(struct aggregate *a, struct aggregate_cell *c,
                                      struct strview name)
{
    struct aggregate_unit **at = &c->units;
    for (; *at != NULL; at = &(*at)->next) {
        if (strview_eq((struct strview){(*at)->name, (*at)->name_len}, name))
            return *at;
    }
    struct strview other = strview_of("other");
    if (c->n_units == AGGREGATE_MAX_UNITS - 1 && !strview_eq(name, other)) {
        return unit_of(a, c, other);
    }
    struct aggregate_unit *u = arena_alloc(&a->arena, sizeof *u);
    char *copy = arena_copy(&a->arena, name.p, name.n);
    if (u == NULL || copy == NULL) return NULL;
    u->name = copy;
    u->name_len = name.n;
    c->n_units++;
    return *at = u;
}

static bool give_gauge(struct aggregate_run *r, struct aggregate_target *t, double v)
{
    struct aggregate_cell *c = cell_of(r->a, t, r->window_ms);
    struct strview name = r->unit.n != 0 ? r->unit : t->unit;
    struct aggregate_unit *u = c != NULL ? unit_of(r->a, c, name) : NULL;
    if (u == NULL) return false;
    u->n++;
    u->sum += v;
    u->sum_sq += v * v;
    c->n++;
    return true;
}

/* Values came by these bounds (0: exactly), whatever came before. */
static void note_bounds(struct aggregate_cell *c, uint64_t id)
{
    enum { SEVERAL = 1 };
    if (c->hist.total == 0)
        c->bounds_id = id;
    else if (c->bounds_id != id)
        c->bounds_id = SEVERAL;
}

static bool give_latency(struct aggregate_run *r, struct aggregate_target *t, double v)
{
    struct aggregate_cell *c = cell_of(r->a, t, r->window_ms);
    if (c == NULL || c->n >= AGGREGATE_MAX_COUNT) return false;
    note_bounds(c, 0);
    if (!buckets_add(&c->hist, &r->a->arena, v * t->metric->scale)) return false;
    c->n++;
    return true;
}

void aggregate_run_value(struct aggregate_run *r, int64_t t_ms, double v)
{
    bool gauge = r->kind == AGGREGATE_GAUGES;
    /* Squares are summed up: beyond 1e150 they would overflow. */
    bool good = gauge ? fabs(v) <= 1e150 : v >= 0 && isfinite(v);
    if (!aggregate_run_time(r, t_ms, good)) return;
    r->n++;
    bool lost = false;
    if (r->user != 0) aggregate_run_user(r, false);
    for (size_t i = 0; i < r->s->n; i++) {
        struct aggregate_target *t = &r->s->targets[i];
        if (t->metric->kind == ROUTE_LATENCY && !gauge) lost |= !give_latency(r, t, v);
        if (t->metric->kind == ROUTE_GAUGE) lost |= !give_gauge(r, t, v);
    }
    if (lost) r->lost++;
}

/* A histogram of either form; the other one is NULL. */
static bool give_hist(struct aggregate_run *r, struct aggregate_target *t,
                      const struct buckets_view *v, const struct buckets_bounds *b,
                      uint64_t bounds_id, uint64_t total)
{
    struct aggregate_cell *c = cell_of(r->a, t, r->window_ms);
    struct arena *a = &r->a->arena;
    double scale = t->metric->scale;
    if (c == NULL || c->n > AGGREGATE_MAX_COUNT - total) return false;
    if (total != 0) note_bounds(c, bounds_id);
    if (!(v != NULL ? buckets_merge(&c->hist, a, v, scale)
                    : buckets_merge_bounds(&c->hist, a, b, scale, &c->ratio)))
        return false;
    c->n += total;
    return true;
}

static void run_hist(struct aggregate_run *r, const struct buckets_view *v,
                     const struct buckets_bounds *b, uint64_t total)
{
    bool lost = false;
    uint64_t id =
        b != NULL ? hash_bytes(b->bounds, b->n * sizeof *b->bounds, 0) | 2 : 0;
    r->n += total;
    if (r->user != 0 && total != 0) aggregate_run_user(r, false);
    for (size_t i = 0; i < r->s->n; i++) {
        struct aggregate_target *t = &r->s->targets[i];
        if (t->metric->kind == ROUTE_LATENCY) lost |= !give_hist(r, t, v, b, id, total);
    }
    if (lost) r->lost++;
}

void aggregate_run_hist(struct aggregate_run *r, int64_t t_ms,
                        const struct buckets_view *v)
{
    uint64_t total = 0;
    bool good = v->scale >= BUCKETS_SCALE_MIN && v->scale <= BUCKETS_SCALE_MAX &&
                buckets_view_total(v, AGGREGATE_MAX_COUNT, &total);
    if (aggregate_run_time(r, t_ms, good)) run_hist(r, v, NULL, total);
}

void aggregate_run_bounds(struct aggregate_run *r, int64_t t_ms,
                          const struct buckets_bounds *v)
{
    uint64_t total = 0;
    bool good = buckets_bounds_ok(v, AGGREGATE_MAX_COUNT, &total);
    if (aggregate_run_time(r, t_ms, good)) run_hist(r, NULL, v, total);
}
