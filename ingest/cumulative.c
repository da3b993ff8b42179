/* ingest/cumulative.c -- one open-addressing table, and a log that undoes */
#include "ingest/cumulative.h"

#include <string.h>

#include "engine/base/mem.h"
#include "ingest/gather.h"
#include "ingest/series.h"

enum {
    FIRST_ROOM = 1024,
    LOOKUPS_MAX = 65536, /* of buckets that one coarser histogram is made of */
    SCALES = 64          /* more than there are */
};

/* A name that no bucket has. */
#define SHAPE (UINT64_C(1) << 62)

struct entry {
    struct cumulative_key key; /* both zero: empty */
    int64_t t_ns;              /* INT64_MIN: known again to be unknown */
    double value;              /* exact to 2^53, as counts are */
};

struct undo {
    struct entry was; /* t_ns INT64_MIN: there was none */
};

struct cumulative {
    struct entry *entries;
    size_t n, room; /* room: a power of two, at most half full */
    int64_t latest_ns;
    int64_t since_ns; /* nobody else counts what begins later */
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

struct cumulative_key cumulative_key_salted(struct cumulative_key k, uint64_t salt)
{
    k.a ^= (salt + 1) * UINT64_C(0x9e3779b97f4a7c15);
    k.b ^= (salt + 1) * UINT64_C(0xd6e8feb86659fd93);
    k.a |= k.a == 0 && k.b == 0;
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
    c->latest_ns = INT64_MIN;
    c->since_ns = INT64_MAX;
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

void cumulative_ahead(const struct cumulative *c, struct cumulative_key key)
{
    __builtin_prefetch(&c->entries[(size_t)key.a & (c->room - 1)], 1);
}

static bool known(const struct entry *e)
{
    return (e->key.a | e->key.b) != 0 && e->t_ns != INT64_MIN;
}

/* Into a table of this size, without those that had no news for long. */
static bool rebuild(struct cumulative *c, size_t room)
{
    struct entry *entries = mem_calloc(room, sizeof *entries);
    if (entries == NULL) return false;
    size_t n = 0;
    for (size_t i = 0; i < c->room; i++) {
        const struct entry *e = &c->entries[i];
        if (!known(e) || e->t_ns < c->latest_ns - cumulative_ns(CUMULATIVE_FORGET_MS))
            continue;
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
                  int64_t t_ns, double value)
{
    struct undo *u = &c->log[c->n_log++];
    bool fresh = (e->key.a | e->key.b) == 0;
    u->was = fresh ? (struct entry){key, INT64_MIN, 0} : *e;
    c->n += fresh;
    *e = (struct entry){key, t_ns, value};
    if (t_ns > c->latest_ns) c->latest_ns = t_ns;
}

/* ---------------------------------------------------------------- rises */

/* Was it asked for all the time since its last value? */
static bool followed(const struct cumulative *c, const struct entry *e)
{
    return known(e) && (c->since_ns == INT64_MAX ||
                        e->t_ns >= c->since_ns - cumulative_ns(CUMULATIVE_GAP_MS));
}

/* What comes at t_ns, having begun at start_ns, is to what is known. zero: all of it is
 * a rise. */
static enum cumulative_result begun(const struct cumulative *c, const struct entry *e,
                                    int64_t t_ns, int64_t start_ns, bool *zero)
{
    bool first = !followed(c, e);
    if (known(e) && t_ns <= e->t_ns) return CUMULATIVE_REPEAT;
    *zero = start_ns > (first ? c->since_ns : e->t_ns);
    if (*zero) return start_ns < t_ns ? CUMULATIVE_RISE : CUMULATIVE_FIRST;
    return first ? CUMULATIVE_FIRST : CUMULATIVE_RISE;
}

enum cumulative_result cumulative_counter(struct cumulative *c,
                                          struct cumulative_key key, int64_t t_ns,
                                          int64_t start_ns, double value, double *rise)
{
    bool zero;
    if (!make_room(c, 1)) return CUMULATIVE_FULL;
    struct entry *e = slot(c->entries, c->room, key);
    enum cumulative_result s = begun(c, e, t_ns, start_ns, &zero);
    if (s == CUMULATIVE_REPEAT) return s;
    if (zero || value < e->value || !known(e))
        *rise = value;
    else
        *rise = value - e->value;
    learn(c, e, key, t_ns, value);
    return s;
}

/* was: of each bucket; the head holds their sum. */
static bool take_rises(const struct entry *head, bool zero, const uint64_t *values,
                       const double *was, size_t n, double *sum, uint64_t *rises)
{
    bool fell = zero;
    *sum = 0;
    for (size_t i = 0; i < n; i++) {
        *sum += (double)values[i];
        fell |= (double)values[i] < was[i];
    }
    fell |= known(head) && *sum < head->value;
    for (size_t i = 0; i < n; i++)
        rises[i] = values[i] - (fell ? 0 : (uint64_t)was[i]);
    return fell;
}

static double value_of(const struct cumulative *c, struct cumulative_key k)
{
    const struct entry *e = slot(c->entries, c->room, k);
    return known(e) ? e->value : 0;
}

static void learn_at(struct cumulative *c, struct cumulative_key k, int64_t t_ns,
                     double value)
{
    learn(c, slot(c->entries, c->room, k), k, t_ns, value);
}

enum cumulative_result cumulative_buckets(struct cumulative *c,
                                          struct cumulative_key key, int64_t t_ns,
                                          int64_t start_ns, const uint64_t *names,
                                          const uint64_t *values, size_t n,
                                          uint64_t *rises)
{
    double sum = 0, was[CUMULATIVE_MAX_BUCKETS];
    bool zero;
    if (n > CUMULATIVE_MAX_BUCKETS || !make_room(c, n + 1)) return CUMULATIVE_FULL;
    struct entry *head = slot(c->entries, c->room, key);
    enum cumulative_result s = begun(c, head, t_ns, start_ns, &zero);
    if (s == CUMULATIVE_REPEAT) return s;
    was[0] = 0;
    for (size_t i = 0; i < n; i++)
        was[i] = value_of(c, key_of_bucket(key, names[i]));
    (void)take_rises(head, zero, values, was, n, &sum, rises);
    learn(c, head, key, t_ns, sum);
    for (size_t i = 0; i < n; i++)
        learn_at(c, key_of_bucket(key, names[i]), t_ns, (double)values[i]);
    return s;
}

/* ---------------------------------------------------------------- exponential ones */

/* How the buckets are named: a restart begins names afresh, since buckets that are
 * empty after it are not seen to fall. */
struct shape {
    int32_t scale;
    uint64_t run; /* restarts so far */
};

static struct shape shape_of(const struct cumulative *c, struct cumulative_key key,
                             int32_t otherwise)
{
    const struct entry *e = slot(c->entries, c->room, key_of_bucket(key, SHAPE));
    if (!known(e)) return (struct shape){otherwise, 0};
    uint64_t v = (uint64_t)e->value;
    return (struct shape){(int32_t)(v % SCALES) - SCALES / 2, v / SCALES};
}

static struct cumulative_key key_of_index(struct cumulative_key k, struct shape s,
                                          int64_t index)
{
    uint64_t all[4] = {k.a, k.b, (uint64_t)index,
                       s.run * SCALES + (uint64_t)(s.scale + SCALES / 2)};
    return cumulative_key_of((struct strview){(const char *)all, sizeof all}, 1);
}

/* What a bucket held at the scale of before: the finer ones that it is made of. */
static double was_of(const struct cumulative *c, struct cumulative_key k,
                     struct shape before, int32_t scale, int64_t index)
{
    int d = before.scale - scale;
    double sum = 0;
    for (int64_t m = 0; m < INT64_C(1) << d; m++)
        sum += value_of(c, key_of_index(k, before, index * (INT64_C(1) << d) + m));
    return sum;
}

static void learn_shape(struct cumulative *c, struct cumulative_key key, int64_t t_ns,
                        struct shape s, const struct cumulative_scaled *h,
                        const uint64_t *values)
{
    learn_at(c, key_of_bucket(key, SHAPE), t_ns,
             (double)(s.run * SCALES + (uint64_t)(s.scale + SCALES / 2)));
    learn_at(c, key_of_index(key, s, INT64_MAX), t_ns, (double)values[0]);
    for (size_t k = 0; k < h->n; k++)
        if (values[k + 1] != 0)
            learn_at(c, key_of_index(key, s, h->offset + (int64_t)k), t_ns,
                     (double)values[k + 1]);
}

enum cumulative_result cumulative_exponential(struct cumulative *c,
                                              struct cumulative_key key, int64_t t_ns,
                                              int64_t start_ns,
                                              struct cumulative_scaled *h)
{
    uint64_t values[CUMULATIVE_MAX_BUCKETS], rises[CUMULATIVE_MAX_BUCKETS];
    double was[CUMULATIVE_MAX_BUCKETS], sum = 0;
    bool zero;
    if (h->n > CUMULATIVE_MAX_BUCKETS - 2 || !make_room(c, h->n + 3))
        return CUMULATIVE_FULL;
    struct entry *head = slot(c->entries, c->room, key);
    enum cumulative_result s = begun(c, head, t_ns, start_ns, &zero);
    if (s == CUMULATIVE_REPEAT) return s;
    struct shape before = shape_of(c, key, h->scale), now = {h->scale, before.run};
    int d = before.scale - h->scale;
    bool far = d > 0 && h->n > (size_t)LOOKUPS_MAX >> d;
    zero |= d < 0 || far;
    if (far && s == CUMULATIVE_RISE && start_ns <= head->t_ns) s = CUMULATIVE_FIRST;
    values[0] = h->zero;
    was[0] = value_of(c, key_of_index(key, before, INT64_MAX));
    for (size_t k = 0; k < h->n; k++) {
        values[k + 1] = h->counts[k];
        was[k + 1] = zero || h->counts[k] == 0
                         ? 0
                         : was_of(c, key, before, h->scale, h->offset + (int64_t)k);
    }
    now.run += take_rises(head, zero, values, was, h->n + 1, &sum, rises);
    learn(c, head, key, t_ns, sum);
    learn_shape(c, key, t_ns, now, h, values);
    h->zero = rises[0];
    memcpy(h->counts, rises + 1, h->n * sizeof *rises);
    return s;
}

/* ---------------------------------------------------------------- rises as they come
 */

/* A rise has no value to remember; the time that came before its latest lies there. */
static double as_value(int64_t t_ns)
{
    double v;
    memcpy(&v, &t_ns, sizeof v);
    return v;
}

static bool is_time(double v, int64_t t_ns)
{
    return memcmp(&v, &t_ns, sizeof v) == 0;
}

bool cumulative_seen(struct cumulative *c, struct cumulative_key key, int64_t t_ns)
{
    if (!make_room(c, 1)) return false;
    struct entry *e = slot(c->entries, c->room, key);
    if (known(e) && (e->t_ns == t_ns || is_time(e->value, t_ns))) return true;
    if (!known(e) || t_ns > e->t_ns)
        learn(c, e, key, t_ns, as_value(known(e) ? e->t_ns : INT64_MIN));
    else
        learn(c, e, key, e->t_ns, as_value(t_ns));
    return false;
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
    if (c->n != 0) memset(c->entries, 0, c->room * sizeof *c->entries);
    c->n = c->n_log = c->sealed = 0;
    c->latest_ns = INT64_MIN;
    c->since_ns = INT64_MAX;
}

void cumulative_watch(struct cumulative *c, int64_t since_ms)
{
    c->since_ns = cumulative_ns(since_ms + CUMULATIVE_SKEW_MS);
}
