/* engine/serve/directory.c -- rows and verdicts stay encoded: a third of the memory,
 * and a reader gets a copy of its own by decoding under the read lock */
#include "engine/serve/directory.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/base/strview.h"
#include "engine/bus/table.h"
#include "proto/decode.h"

#define HASH_NONFATAL_OOM 1
#define uthash_malloc(n) mem_calloc(1, n)
#define uthash_free(p, n) mem_free(p)
#include <uthash.h>

enum { POLL_MS = 100, RETRY_MAX_MS = 1000 };

struct row;

struct kept { /* one verdict, in its rollout's list and in everybody's */
    TAILQ_ENTRY(kept) own, all;
    struct row *row;
    uint64_t seq, version;
    size_t n;
    uint8_t bytes[];
};
TAILQ_HEAD(kept_list, kept);

struct row {
    char *id;
    uint8_t *bytes; /* encoded Rollout; NULL while only verdicts were seen */
    size_t n;
    uint64_t version; /* of the row */
    bool live;
    struct fleet_entry fleet; /* what of it the row says */
    struct kept_list verdicts;
    size_t n_verdicts;
    uint64_t last_seq;
    int64_t last_ms;
    UT_hash_handle hh;
};

struct directory {
    struct bus *bus;
    pthread_rwlock_t lock; /* @locks: rows, all, counts, scratch, taken */
    struct row *rows;
    struct kept_list all;
    struct directory_counts counts;
    struct arena scratch; /* of directory_take */
    uint64_t taken;       /* records so far: the version of the one being taken */
    pthread_mutex_t wake; /* @locks: version */
    pthread_cond_t grown;
    uint64_t version; /* everything up to it can be read */
    atomic_bool stop, ready[BUS_TOPIC_COUNT];
};

/* One topic being followed, by one thread. */
struct follower {
    struct directory *d;
    enum bus_topic topic;
};

enum serin_status directory_open(struct directory **out, struct bus *b, struct fault *f)
{
    struct directory *d = mem_calloc(1, sizeof *d);
    if (d == NULL) return fault_set(f, SERIN_ENOMEM, "no memory for the directory");
    pthread_rwlockattr_t fair;
    pthread_condattr_t monotonic;
    pthread_rwlockattr_init(&fair); /* readers that poll must not starve the writer */
    pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&d->lock, &fair);
    pthread_rwlockattr_destroy(&fair);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&d->grown, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&d->wake, NULL);
    TAILQ_INIT(&d->all);
    d->bus = b;
    *out = d;
    return SERIN_OK;
}

static void verdict_drop(struct directory *d, struct kept *k)
{
    TAILQ_REMOVE(&k->row->verdicts, k, own);
    TAILQ_REMOVE(&d->all, k, all);
    k->row->n_verdicts--;
    d->counts.verdicts--;
    d->counts.bytes -= k->n;
    mem_free(k);
}

static void verdicts_drop(struct directory *d, struct row *r)
{
    while (!TAILQ_EMPTY(&r->verdicts))
        verdict_drop(d, TAILQ_FIRST(&r->verdicts));
}

static void row_drop(struct directory *d, struct row *r)
{
    verdicts_drop(d, r);
    if (r->bytes != NULL) d->counts.rollouts--;
    if (r->live) d->counts.live--;
    HASH_DEL(d->rows, r);
    mem_free(r->bytes);
    mem_free(r->id);
    mem_free(r);
}

void directory_close(struct directory *d)
{
    if (d == NULL) return;
    for (struct row *r = d->rows, *next; r != NULL; r = next) {
        next = r->hh.next;
        row_drop(d, r);
    }
    arena_free(&d->scratch);
    pthread_rwlock_destroy(&d->lock);
    pthread_mutex_destroy(&d->wake);
    pthread_cond_destroy(&d->grown);
    mem_free(d);
}

static struct row *row_find(struct directory *d, const void *id, size_t n)
{
    struct row *r = NULL;
    HASH_FIND(hh, d->rows, id, n, r);
    return r;
}

static struct row *row_make(struct directory *d, const char *id)
{
    struct row *r = row_find(d, id, strlen(id));
    if (r != NULL) return r;
    r = mem_calloc(1, sizeof *r);
    if (r == NULL || (r->id = mem_strdup(id)) == NULL) {
        mem_free(r);
        return NULL;
    }
    TAILQ_INIT(&r->verdicts);
    HASH_ADD_KEYPTR(hh, d->rows, r->id, strlen(r->id), r);
    if (row_find(d, id, strlen(id)) == r) return r;
    mem_free(r->id); /* the table could not grow */
    mem_free(r);
    return NULL;
}

static struct fleet_entry fleet_part(const struct row *r, const pb_status *s)
{
    struct fleet_entry e = {.rollout = r->id};
    if (s == NULL) return e;
    e.started_ms = s->started_ms;
    e.ended_ms = s->final ? s->since_ms : 0;
    e.log_e = isfinite(s->abort_log_e) ? s->abort_log_e : 0;
    e.peak_log_e = isfinite(s->peak_log_e) ? s->peak_log_e : 0;
    return e;
}

static bool take_row(struct directory *d, const void *value, size_t n)
{
    pb_rollout *m = NULL;
    if (decode_rollout(&d->scratch, value, n, &m) != SERIN_OK || *m->rollout == '\0')
        return false;
    uint8_t *bytes = mem_calloc(n, 1);
    struct row *r = bytes != NULL ? row_make(d, m->rollout) : NULL;
    if (r == NULL) {
        mem_free(bytes);
        return false;
    }
    memcpy(bytes, value, n);
    bool live = m->status == NULL || !m->status->final;
    if (r->bytes == NULL) d->counts.rollouts++;
    d->counts.live += (uint64_t)live - (uint64_t)r->live;
    mem_free(r->bytes);
    r->bytes = bytes;
    r->n = n;
    r->version = d->taken;
    r->live = live;
    r->fleet = fleet_part(r, m->status);
    return true;
}

static void verdict_keep(struct directory *d, struct row *r, struct kept *k)
{
    TAILQ_INSERT_TAIL(&r->verdicts, k, own);
    TAILQ_INSERT_TAIL(&d->all, k, all);
    r->n_verdicts++;
    d->counts.verdicts++;
    d->counts.bytes += k->n;
    if (r->n_verdicts > DIRECTORY_MAX_VERDICTS)
        verdict_drop(d, TAILQ_FIRST(&r->verdicts));
    while (d->counts.bytes > DIRECTORY_MAX_BYTES)
        verdict_drop(d, TAILQ_FIRST(&d->all));
}

static bool take_verdict(struct directory *d, const void *value, size_t n)
{
    pb_verdict *m = NULL;
    if (decode_verdict(&d->scratch, value, n, &m) != SERIN_OK || *m->rollout == '\0')
        return false;
    struct row *r = row_make(d, m->rollout);
    if (r == NULL) return false;
    if (m->seq <= r->last_seq) {
        if (m->t_ms <= r->last_ms) return true; /* a repeat: at-least-once, or reread */
        verdicts_drop(d, r); /* the id was used again after its row was deleted */
    }
    struct kept *k = mem_calloc(1, sizeof *k + n);
    if (k == NULL) return false;
    k->row = r;
    k->version = d->taken;
    k->seq = r->last_seq = m->seq;
    r->last_ms = m->t_ms;
    k->n = n;
    memcpy(k->bytes, value, n);
    verdict_keep(d, r, k);
    return true;
}

void directory_take(struct directory *d, enum bus_topic topic, const void *key,
                    size_t key_len, const void *value, size_t value_len)
{
    bool ok = true;
    pthread_rwlock_wrlock(&d->lock);
    d->counts.records++;
    uint64_t version = ++d->taken;
    if (value != NULL) {
        ok = topic == BUS_ROLLOUTS ? take_row(d, value, value_len)
                                   : take_verdict(d, value, value_len);
        arena_reset(&d->scratch);
    } else if (topic == BUS_ROLLOUTS) {
        struct row *r = row_find(d, key, key_len);
        if (r != NULL) row_drop(d, r);
    }
    if (!ok) d->counts.undecodable++;
    pthread_rwlock_unlock(&d->lock);
    pthread_mutex_lock(&d->wake);
    if (version > d->version) d->version = version; /* two followers may overtake */
    pthread_cond_broadcast(&d->grown);
    pthread_mutex_unlock(&d->wake);
}

static void on_record(void *ctx, const struct bus_record *r)
{
    struct follower *w = ctx;
    directory_take(w->d, w->topic, r->key, r->key_len, r->value, r->value_len);
}

static struct table *follow_open(struct follower *w)
{
    struct table_options o = {.topic = bus_topic_name(w->d->bus, w->topic),
                              .start = BUS_OFFSET_NONE,
                              .on_record = on_record,
                              .ctx = w};
    int64_t pause = 50;
    bool said = false;
    while (!atomic_load(&w->d->stop)) {
        struct table *t = NULL;
        struct fault f = {0};
        if (table_open(&t, w->d->bus, &o, &f) == SERIN_OK) return t;
        if (!said) log_warn("serve", "cannot follow %s yet: %s", o.topic, f.text);
        said = true;
        clock_sleep_ms(pause);
        pause = pause * 2 < RETRY_MAX_MS ? pause * 2 : RETRY_MAX_MS;
    }
    return NULL;
}

static void *follow(void *ctx)
{
    struct follower *w = ctx;
    while (!atomic_load(&w->d->stop)) {
        struct table *t = follow_open(w);
        struct fault f = {0};
        while (t != NULL && !atomic_load(&w->d->stop)) {
            if (table_poll(t, POLL_MS, &f) != SERIN_OK) {
                log_warn("serve", "reading %s again from its start: %s",
                         bus_topic_name(w->d->bus, w->topic), f.text);
                clock_sleep_ms(RETRY_MAX_MS);
                break;
            }
            if (table_caught_up(t)) directory_caught_up(w->d, w->topic);
        }
        table_close(t);
    }
    return NULL;
}

enum serin_status directory_run(struct directory *d, struct fault *f)
{
    struct follower rows = {d, BUS_ROLLOUTS}, verdicts = {d, BUS_VERDICTS};
    pthread_t helper;
    if (pthread_create(&helper, NULL, follow, &verdicts) != 0)
        return fault_set(f, SERIN_ENOMEM,
                         "cannot start a thread to follow the verdicts");
    follow(&rows);
    pthread_join(helper, NULL);
    return SERIN_OK;
}

void directory_stop(struct directory *d)
{
    atomic_store(&d->stop, true);
}

void directory_caught_up(struct directory *d, enum bus_topic topic)
{
    atomic_store(&d->ready[topic], true);
}

bool directory_ready(const struct directory *d)
{
    return atomic_load(&d->ready[BUS_ROLLOUTS]) && atomic_load(&d->ready[BUS_VERDICTS]);
}

enum serin_status directory_get(struct directory *d, const char *rollout,
                                struct arena *a, pb_rollout **out)
{
    pthread_rwlock_rdlock(&d->lock);
    struct row *r = row_find(d, rollout, strlen(rollout));
    enum serin_status s = SERIN_ENOENT;
    if (r != NULL && r->bytes != NULL) s = decode_rollout(a, r->bytes, r->n, out);
    pthread_rwlock_unlock(&d->lock);
    return s;
}

static int by_id(const void *a, const void *b)
{
    const pb_rollout *const *x = a, *const *y = b;
    return strcmp((*x)->rollout, (*y)->rollout);
}

enum serin_status directory_list(struct directory *d, struct arena *a,
                                 pb_rollout ***out, size_t *n)
{
    enum serin_status s = SERIN_OK;
    size_t got = 0;
    pthread_rwlock_rdlock(&d->lock);
    pb_rollout **list = arena_alloc(a, (HASH_COUNT(d->rows) + 1) * sizeof *list);
    if (list == NULL) s = SERIN_ENOMEM;
    for (struct row *r = d->rows; r != NULL && s == SERIN_OK; r = r->hh.next)
        if (r->bytes != NULL) s = decode_rollout(a, r->bytes, r->n, &list[got++]);
    pthread_rwlock_unlock(&d->lock);
    if (s != SERIN_OK) return SERIN_ENOMEM; /* each row was decoded once when taken */
    qsort(list, got, sizeof *list, by_id);
    *out = list;
    *n = got;
    return SERIN_OK;
}

enum serin_status directory_fleet(struct directory *d, double level, struct arena *a,
                                  struct fleet *out)
{
    struct fleet f = {.level = level};
    enum serin_status s = SERIN_OK;
    pthread_rwlock_rdlock(&d->lock);
    f.entries = arena_alloc(a, (HASH_COUNT(d->rows) + 1) * sizeof *f.entries);
    if (f.entries == NULL) s = SERIN_ENOMEM;
    for (struct row *r = d->rows; r != NULL && s == SERIN_OK; r = r->hh.next) {
        if (r->fleet.started_ms == 0) continue;
        struct fleet_entry *e = &f.entries[f.n++];
        *e = r->fleet;
        e->rollout = arena_copy(a, r->id, strlen(r->id));
        if (e->rollout == NULL) s = SERIN_ENOMEM;
    }
    pthread_rwlock_unlock(&d->lock);
    if (s == SERIN_OK) s = fleet_judge(&f, a);
    if (s == SERIN_OK) *out = f;
    return s;
}

enum serin_status directory_verdicts(struct directory *d, const char *rollout,
                                     uint64_t after, struct arena *a, pb_verdict ***out,
                                     size_t *n)
{
    enum serin_status s = SERIN_OK;
    size_t got = 0;
    struct kept *k;
    pthread_rwlock_rdlock(&d->lock);
    struct row *r = row_find(d, rollout, strlen(rollout));
    pb_verdict **list = NULL;
    if (r == NULL) {
        s = SERIN_ENOENT;
    } else {
        list = arena_alloc(a, (r->n_verdicts + 1) * sizeof *list);
        if (list == NULL) s = SERIN_ENOMEM;
        TAILQ_FOREACH(k, &r->verdicts, own)
        {
            if (s != SERIN_OK) break;
            if (k->seq > after) s = decode_verdict(a, k->bytes, k->n, &list[got++]);
        }
        if (s != SERIN_OK) s = SERIN_ENOMEM;
    }
    pthread_rwlock_unlock(&d->lock);
    if (s != SERIN_OK) return s;
    *out = list;
    *n = got;
    return SERIN_OK;
}

/* What came of one rollout after `since`, appended to list. */
static enum serin_status changes_of(struct row *r, uint64_t since, struct arena *a,
                                    struct directory_change *list, size_t *n)
{
    enum serin_status s = SERIN_OK;
    struct kept *k;
    if (r->bytes != NULL && r->version > since) {
        list[*n] = (struct directory_change){.version = r->version};
        s = decode_rollout(a, r->bytes, r->n, &list[(*n)++].row);
    }
    TAILQ_FOREACH(k, &r->verdicts, own)
    {
        if (s != SERIN_OK || k->version <= since) continue;
        list[*n] = (struct directory_change){.version = k->version};
        s = decode_verdict(a, k->bytes, k->n, &list[(*n)++].verdict);
    }
    return s;
}

static int by_version(const void *a, const void *b)
{
    const struct directory_change *x = a, *y = b;
    return (x->version > y->version) - (x->version < y->version);
}

enum serin_status directory_changes(struct directory *d, const char *rollout,
                                    uint64_t since, struct arena *a,
                                    struct directory_change **out, size_t *n)
{
    enum serin_status s = SERIN_OK;
    *n = 0;
    pthread_rwlock_rdlock(&d->lock);
    struct row *only = rollout != NULL ? row_find(d, rollout, strlen(rollout)) : NULL;
    size_t room = HASH_COUNT(d->rows) + d->counts.verdicts;
    if (d->taken - since < room) room = d->taken - since; /* each record gives one */
    struct directory_change *list = arena_alloc(a, (room + 1) * sizeof *list);
    if (list == NULL) s = SERIN_ENOMEM;
    for (struct row *r = rollout != NULL ? only : d->rows; r != NULL && s == SERIN_OK;
         r = rollout != NULL ? NULL : r->hh.next)
        s = changes_of(r, since, a, list, n);
    pthread_rwlock_unlock(&d->lock);
    if (s != SERIN_OK) return SERIN_ENOMEM;
    qsort(list, *n, sizeof *list, by_version);
    *out = list;
    return SERIN_OK;
}

const char *directory_nearest(struct directory *d, const char *rollout, struct arena *a)
{
    const char *near = NULL;
    unsigned best = 4;
    pthread_rwlock_rdlock(&d->lock);
    for (struct row *r = d->rows; r != NULL; r = r->hh.next) {
        if (r->bytes == NULL) continue;
        unsigned away = strview_distance(strview_of(rollout), strview_of(r->id));
        if (away >= best) continue;
        best = away;
        near = r->id;
    }
    if (near != NULL) near = arena_copy(a, near, strlen(near));
    pthread_rwlock_unlock(&d->lock);
    return near;
}

uint64_t directory_wait(struct directory *d, uint64_t seen, int timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&d->wake);
    while (d->version <= seen && timeout_ms > 0)
        if (pthread_cond_timedwait(&d->grown, &d->wake, &until) != 0) break;
    uint64_t version = d->version;
    pthread_mutex_unlock(&d->wake);
    return version;
}

struct directory_counts directory_counts(struct directory *d)
{
    pthread_rwlock_rdlock(&d->lock);
    struct directory_counts c = d->counts;
    pthread_rwlock_unlock(&d->lock);
    return c;
}
