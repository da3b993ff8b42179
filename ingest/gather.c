/* ingest/gather.c */
#include "ingest/gather.h"

#include <string.h>

#include "engine/base/mem.h"

enum { TABLE = 2 * GATHER_MAX };

struct part {
    double bound;
    uint64_t upto;
    bool here; /* came at the histogram's time */
};

struct histogram {
    struct cumulative_key key;
    int64_t t_ms;
    bool known, given; /* its buckets are; this time's set was given out */
    unsigned misses;
    size_t n, room, have;
    struct part *parts; /* bounds rise */
};

struct gather {
    struct histogram *table[TABLE]; /* open addressing */
    size_t n, parts_room;
    double bounds[GATHER_MAX_BUCKETS];
    uint64_t upto[GATHER_MAX_BUCKETS];
};

enum serin_status gather_open(struct gather **out)
{
    struct gather *g = mem_calloc(1, sizeof *g);
    if (g == NULL) return SERIN_ENOMEM;
    *out = g;
    return SERIN_OK;
}

void gather_forget(struct gather *g)
{
    for (size_t i = 0; g->n != 0 && i < TABLE; i++) {
        if (g->table[i] == NULL) continue;
        mem_free(g->table[i]->parts);
        mem_free(g->table[i]);
        g->table[i] = NULL;
        g->n--;
    }
    g->parts_room = 0;
}

void gather_close(struct gather *g)
{
    if (g == NULL) return;
    gather_forget(g);
    mem_free(g);
}

size_t gather_bytes(const struct gather *g)
{
    return sizeof *g + g->n * sizeof(struct histogram) +
           g->parts_room * sizeof(struct part);
}

static struct histogram *find(struct gather *g, struct cumulative_key key)
{
    if (g->n == GATHER_MAX) gather_forget(g);
    size_t i = (size_t)key.a % TABLE;
    for (; g->table[i] != NULL; i = (i + 1) % TABLE)
        if (g->table[i]->key.a == key.a && g->table[i]->key.b == key.b)
            return g->table[i];
    struct histogram *h = mem_calloc(1, sizeof *h);
    if (h == NULL) return NULL;
    h->key = key;
    h->t_ms = INT64_MIN;
    g->table[i] = h;
    g->n++;
    return h;
}

static bool room_for_part(struct gather *g, struct histogram *h)
{
    if (h->n < h->room) return true;
    if (h->n == GATHER_MAX_BUCKETS) return false;
    size_t room = h->room != 0 ? 2 * h->room : 16;
    struct part *parts = mem_realloc(h->parts, room, sizeof *parts);
    if (parts == NULL) return false;
    g->parts_room += room - h->room;
    h->parts = parts;
    h->room = room;
    return true;
}

/* The part of a bound, made where there is none; NULL: no room. */
static struct part *part_of(struct gather *g, struct histogram *h, double bound)
{
    size_t lo = 0, hi = h->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (h->parts[mid].bound < bound)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < h->n && h->parts[lo].bound == bound) return &h->parts[lo];
    if (!room_for_part(g, h)) return NULL;
    struct part *p = &h->parts[lo];
    memmove(p + 1, p, (h->n - lo) * sizeof *p);
    *p = (struct part){.bound = bound};
    h->n++;
    return p;
}

static void give(struct gather *g, struct histogram *h, struct gather_set *out)
{
    for (size_t i = 0; i < h->n; i++) {
        g->bounds[i] = h->parts[i].bound;
        g->upto[i] = h->parts[i].upto;
    }
    *out = (struct gather_set){h->t_ms, g->bounds, g->upto, h->n};
    h->given = h->known = true;
    h->misses = 0;
}

static void begin(struct histogram *h, int64_t t_ms)
{
    for (size_t i = 0; i < h->n; i++)
        h->parts[i].here = false;
    h->have = 0;
    h->given = false;
    h->t_ms = t_ms;
}

/* Another time comes: was the one before complete after all? */
static bool turn(struct gather *g, struct histogram *h, int64_t t_ms,
                 struct gather_set *out)
{
    bool all = h->n != 0 && h->have == h->n, ready = all && !h->given;
    if (ready) {
        give(g, h, out);
    } else if (!all && ++h->misses == GATHER_MISSES) {
        h->n = h->misses = 0;
        h->known = false;
    }
    begin(h, t_ms);
    return ready;
}

bool gather_add(struct gather *g, struct cumulative_key key, int64_t t_ms, double bound,
                uint64_t upto, struct gather_set *out)
{
    struct histogram *h = find(g, key);
    bool ready = false;
    if (h == NULL) return false;
    if (t_ms != h->t_ms) ready = turn(g, h, t_ms, out);
    struct part *p = part_of(g, h, bound);
    if (p == NULL) return ready;
    if (p->here) begin(h, t_ms);
    p->here = true;
    p->upto = upto;
    h->have++;
    if (ready || !h->known || h->have < h->n || h->given) return ready;
    give(g, h, out);
    return true;
}
