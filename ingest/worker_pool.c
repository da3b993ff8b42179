/* ingest/worker_pool.c */
#include "ingest/worker_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/base/mem.h"

struct member {
    struct worker_pool *pool;
    struct worker *worker;
    pthread_t thread;
    bool started;
    enum serin_status status;
    struct fault fault;
};

struct worker_pool {
    struct member *members;
    struct worker_level *levels;
    unsigned n;
    atomic_int failed; /* the first that ended by itself, plus 1 */
};

enum serin_status worker_pool_open(struct worker_pool **out, struct bus *b,
                                   const struct worker_options *o, unsigned n,
                                   struct fault *f)
{
    if (n < 1 || n > WORKER_POOL_MAX)
        return fault_set(f, SERIN_EDOM, "ingest threads: %u; expected 1 to %d", n,
                         WORKER_POOL_MAX);
    struct worker_pool *p = mem_calloc(1, sizeof *p);
    if (p == NULL || (p->members = mem_calloc(n, sizeof *p->members)) == NULL ||
        (p->levels = mem_calloc(n, sizeof *p->levels)) == NULL) {
        worker_pool_close(p);
        return fault_set(f, SERIN_ENOMEM, "out of memory for the workers");
    }
    struct worker_options one = *o;
    one.memory = o->memory / n;
    one.levels = p->levels;
    one.n_levels = n;
    for (unsigned i = 0; i < n; i++)
        atomic_store(&p->levels[i].level_ms, INT64_MAX);
    one.max_series = o->max_series / n + (o->max_series % n != 0);
    enum serin_status s = SERIN_OK;
    for (; s == SERIN_OK && p->n < n; p->n += s == SERIN_OK) {
        struct member *m = &p->members[p->n];
        one.index = p->n;
        m->pool = p;
        s = worker_open(&m->worker, b, &one, f);
    }
    if (s == SERIN_OK)
        *out = p;
    else
        worker_pool_close(p);
    return s;
}

void worker_pool_close(struct worker_pool *p)
{
    if (p == NULL) return;
    for (unsigned i = 0; i < p->n; i++)
        worker_close(p->members[i].worker);
    mem_free(p->members);
    mem_free(p->levels);
    mem_free(p);
}

static void *run_member(void *member)
{
    struct member *m = member;
    int none = 0, me = (int)(m - m->pool->members) + 1;
    m->status = worker_run(m->worker, &m->fault);
    if (m->status == SERIN_OK) return NULL;
    atomic_compare_exchange_strong(&m->pool->failed, &none, me);
    worker_pool_stop(m->pool);
    return NULL;
}

/* The first runs on the caller's thread. */
enum serin_status worker_pool_run(struct worker_pool *p, struct fault *f)
{
    enum serin_status s = SERIN_OK;
    for (unsigned i = 1; i < p->n && s == SERIN_OK; i++) {
        struct member *m = &p->members[i];
        m->started = pthread_create(&m->thread, NULL, run_member, m) == 0;
        if (!m->started)
            s = fault_set(f, SERIN_ENOMEM,
                          "cannot start ingest thread %u: the system's limit of "
                          "threads is reached (ulimit -u)",
                          i);
    }
    if (s == SERIN_OK)
        run_member(&p->members[0]);
    else
        worker_pool_stop(p);
    for (unsigned i = 1; i < p->n; i++)
        if (p->members[i].started) pthread_join(p->members[i].thread, NULL);
    int failed = atomic_load(&p->failed);
    if (s != SERIN_OK || failed == 0) return s;
    if (f != NULL) *f = p->members[failed - 1].fault;
    return p->members[failed - 1].status;
}

void worker_pool_stop(struct worker_pool *p)
{
    for (unsigned i = 0; i < p->n; i++)
        worker_stop(p->members[i].worker);
}

/* ---------------------------------------------------------------- looking at it */

unsigned worker_pool_size(const struct worker_pool *p)
{
    return p->n;
}

struct worker *worker_pool_at(const struct worker_pool *p, unsigned i)
{
    return p->members[i].worker;
}

struct worker_counts worker_pool_counts(const struct worker_pool *p)
{
    struct worker_counts all = worker_counts(p->members[0].worker);
    for (unsigned i = 1; i < p->n; i++) {
        struct worker_counts c = worker_counts(p->members[i].worker);
        uint64_t rollouts = c.rollouts > all.rollouts ? c.rollouts : all.rollouts;
        uint64_t since = c.since < all.since ? c.since : all.since;
#define X(name) all.name += c.name;
        WORKER_COUNTERS(X)
#undef X
        all.rollouts = rollouts;
        all.since = since;
    }
    return all;
}

static int by_time(const void *a, const void *b)
{
    const struct worker_quarantined *x = a, *y = b;
    return (x->t_ms < y->t_ms) - (x->t_ms > y->t_ms);
}

size_t worker_pool_quarantine(struct worker_pool *p, struct worker_quarantined *out,
                              size_t room)
{
    if (p->n == 1) return worker_quarantine(p->members[0].worker, out, room);
    struct worker_quarantined *all = mem_calloc(p->n * room, sizeof *all);
    size_t n = 0;
    for (unsigned i = 0; all != NULL && i < p->n; i++)
        n += worker_quarantine(p->members[i].worker, all + n, room);
    if (n > 0) qsort(all, n, sizeof *all, by_time);
    if (n > room) n = room;
    if (n > 0) memcpy(out, all, n * sizeof *all);
    mem_free(all);
    return n;
}

static int by_place(const void *a, const void *b)
{
    const struct worker_partition *x = a, *y = b;
    int topics = strcmp(x->topic, y->topic);
    if (topics != 0) return topics;
    if (x->partition != y->partition) return x->partition < y->partition ? -1 : 1;
    return y->assigned - x->assigned; /* its owner first */
}

enum serin_status worker_pool_partitions(struct worker_pool *p,
                                         struct worker_partition **out, size_t *n)
{
    size_t room = 0, found = 0, kept = 0;
    for (unsigned i = 0; i < p->n; i++) /* new ones may come meanwhile: next time */
        room += worker_partitions(p->members[i].worker, NULL, 0);
    *n = 0;
    *out = NULL;
    if (room == 0) return SERIN_OK;
    struct worker_partition *rows = mem_calloc(room, sizeof *rows);
    if (rows == NULL) return SERIN_ENOMEM;
    for (unsigned i = 0; i < p->n; i++) {
        size_t left = room - found;
        size_t there = worker_partitions(p->members[i].worker, rows + found, left);
        found += there < left ? there : left;
    }
    qsort(rows, found, sizeof *rows, by_place);
    for (size_t i = 0; i < found; i++) {
        struct worker_partition *last = kept > 0 ? &rows[kept - 1] : NULL;
        if (last != NULL && last->partition == rows[i].partition &&
            strcmp(last->topic, rows[i].topic) == 0)
            worker_tally_add(&last->n, &rows[i].n);
        else
            rows[kept++] = rows[i];
    }
    *out = rows;
    *n = kept;
    return SERIN_OK;
}

bool worker_pool_ready(const struct worker_pool *p)
{
    bool any = false;
    for (unsigned i = 0; i < p->n; i++) {
        if (!worker_routed(p->members[i].worker)) return false;
        any |= worker_ready(p->members[i].worker);
    }
    return any;
}
