/* ingest/cumulative.c -- one open-addressing table, and a log that undoes */
#include "ingest/cumulative.h"

#include <string.h>

#include "engine/base/mem.h"
#include "ingest/gather.h"
#include "ingest/series.h"

enum { FIRST_ROOM = 1024 };

struct entry {
    struct cumulative_key key; /* both zero: empty */
    int64_t t_ms;              /* INT64_MIN: known again to be unknown */
    double value;              /* exact to 2^53, as counts are */
};

struct undo {
    struct entry was; /* t_ms INT64_MIN: there was none */
};

struct cumulative {
    struct entry *entries;
    size_t n, room; /* room: a power of two, at most half full */
    int64_t latest_ms;
    struct undo *log;
    size_t n_log, log_room, sealed;
    struct gather *gather;
};

struct cumulative_key cumulative_key_of(struct strview header, uint64_t salt)
{
    struct cumulative_key k = {series_hash(header.p, header.n, 11 + salt),
                               series_hash(header.p, header.n, ~salt)};
    k.a |= k.a == 0 && k.b == 0; /* zero stands for an empty slot */
    return k;
}

static struct cumulative_key key_of_bucket(struct cumulative_key k, uint64_t name)
{
    uint64_t all[3] = {k.a, k.b, name};
    return cumulative_key_of((struct strview){(const char *)all, sizeof all}, 1);
}

/* ---------------------------------------------------------------- open and close */

enum serin_status cumulative_open(struct cumulative **out)
{
    struct cumulative *c = mem_calloc(1, sizeof *c);
    if (c == NULL) return SERIN_ENOMEM;
    c->entries = mem_calloc(FIRST_ROOM, sizeof *c->entries);
    if (c->entries == NULL || gather_open(&c->gather) != SERIN_OK) {
        cumulative_close(c);
        return SERIN_ENOMEM;
    }
    c->room = FIRST_ROOM;
    c->latest_ms = INT64_MIN;
    *out = c;
    return SERIN_OK;
}

void cumulative_close(struct cumulative *c)
{
    if (c == NULL) return;
    gather_close(c->gather);
    mem_free(c->entries);
    mem_free(c->log);
    mem_free(c);
}

size_t cumulative_bytes(const struct cumulative *c)
{
    return c->room * sizeof *c->entries + c->log_room * sizeof *c->log +
           gather_bytes(c->gather);
}

/* ---------------------------------------------------------------- the table */

/* The slot of a key, or the empty one where it belongs. */
static struct entry *slot(struct entry *entries, size_t room, struct cumulative_key k)
{
    size_t i = (size_t)k.a & (room - 1);
    while ((entries[i].key.a | entries[i].key.b) != 0 &&
           (entries[i].key.a != k.a || entries[i].key.b != k.b))
        i = (i + 1) & (room - 1);
    return &entries[i];
}

static bool known(const struct entry *e)
{
    return (e->key.a | e->key.b) != 0 && e->t_ms != INT64_MIN;
}

/* Into a table of this size, without those that had no news for long. */
static bool rebuild(struct cumulative *c, size_t room)
{
    struct entry *entries = mem_calloc(room, sizeof *entries);
    if (entries == NULL) return false;
    size_t n = 0;
    for (size_t i = 0; i < c->room; i++) {
        const struct entry *e = &c->entries[i];
        if (!known(e) || e->t_ms < c->latest_ms - CUMULATIVE_FORGET_MS) continue;
        *slot(entries, room, e->key) = *e;
        n++;
    }
    mem_free(c->entries);
    c->entries = entries;
    c->room = room;
    c->n = n;
    return true;
}

/* Room for n more values, or false. Moves entries. */
static bool make_room(struct cumulative *c, size_t n)
{
    size_t room = c->room;
    while (2 * (c->n + n) > room)
        room *= 2;
    bool grown = room == c->room || rebuild(c, room);
    if (!grown || c->n + n > CUMULATIVE_MAX) return false;
    if (c->n_log + n <= c->log_room) return true;
    size_t log_room = c->log_room != 0 ? c->log_room : FIRST_ROOM;
    while (log_room < c->n_log + n)
        log_room *= 2;
    struct undo *log = mem_realloc(c->log, log_room, sizeof *log);
    if (log == NULL) return false;
    c->log = log;
    c->log_room = log_room;
    return true;
}

/* Remember; what was before goes to the log. make_room has been asked. */
static void learn(struct cumulative *c, struct entry *e, struct cumulative_key key,
                  int64_t t_ms, double value)
{
    struct undo *u = &c->log[c->n_log++];
    bool fresh = (e->key.a | e->key.b) == 0;
    u->was = fresh ? (struct entry){key, INT64_MIN, 0} : *e;
    c->n += fresh;
    *e = (struct entry){key, t_ms, value};
    if (t_ms > c->latest_ms) c->latest_ms = t_ms;
}

/* ---------------------------------------------------------------- rises */

enum cumulative_result cumulative_counter(struct cumulative *c,
                                          struct cumulative_key key, int64_t t_ms,
                                          double value, double *rise)
{
    if (!make_room(c, 1)) return CUMULATIVE_FULL;
    struct entry *e = slot(c->entries, c->room, key);
    bool first = !known(e);
    if (!first && t_ms <= e->t_ms) return CUMULATIVE_REPEAT;
    *rise = first ? 0 : value >= e->value ? value - e->value : value;
    learn(c, e, key, t_ms, value);
    return first ? CUMULATIVE_FIRST : CUMULATIVE_RISE;
}

enum cumulative_result cumulative_buckets(struct cumulative *c,
                                          struct cumulative_key key, int64_t t_ms,
                                          const uint64_t *names, const uint64_t *values,
                                          size_t n, uint64_t *rises)
{
    double sum = 0;
    if (n > CUMULATIVE_MAX_BUCKETS || !make_room(c, n + 1)) return CUMULATIVE_FULL;
    struct entry *head = slot(c->entries, c->room, key);
    bool first = !known(head), fell = false;
    if (!first && t_ms <= head->t_ms) return CUMULATIVE_REPEAT;
    for (size_t i = 0; i < n; i++) {
        const struct entry *e = slot(c->entries, c->room, key_of_bucket(key, names[i]));
        double was = known(e) ? e->value : 0;
        sum += (double)values[i];
        fell |= (double)values[i] < was;
        rises[i] = values[i] - (fell ? 0 : (uint64_t)was);
    }
    fell |= !first && sum < head->value;
    learn(c, head, key, t_ms, sum);
    for (size_t i = 0; i < n; i++) {
        struct cumulative_key k = key_of_bucket(key, names[i]);
        if (fell) rises[i] = values[i];
        learn(c, slot(c->entries, c->room, k), k, t_ms, (double)values[i]);
    }
    return first ? CUMULATIVE_FIRST : CUMULATIVE_RISE;
}

/* ---------------------------------------------------------------- transactions */

void cumulative_seal(struct cumulative *c)
{
    c->sealed = c->n_log;
}

void cumulative_commit(struct cumulative *c)
{
    size_t left = c->n_log - c->sealed;
    if (left != 0) memmove(c->log, c->log + c->sealed, left * sizeof *c->log);
    c->n_log = left;
    c->sealed = 0;
}

void cumulative_rollback(struct cumulative *c)
{
    while (c->n_log != 0) {
        const struct undo *u = &c->log[--c->n_log];
        struct entry *e = slot(c->entries, c->room, u->was.key);
        /* A rebuild may have dropped it: then it stays forgotten. */
        if ((e->key.a | e->key.b) != 0) *e = u->was;
    }
    c->sealed = 0;
}

struct gather *cumulative_gather(struct cumulative *c)
{
    return c->gather;
}

void cumulative_forget(struct cumulative *c)
{
    gather_forget(c->gather);
    memset(c->entries, 0, c->room * sizeof *c->entries);
    c->n = c->n_log = c->sealed = 0;
    c->latest_ms = INT64_MIN;
}
