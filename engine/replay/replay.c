/* engine/replay/replay.c */
#include "engine/replay/replay.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/replay/lane.h"
#include "engine/replay/record/origin.h"
#include "proto/decode.h"
#include "proto/encode.h"

enum { BLOCK_BYTES = 4 << 20, NONE = -1 };

/* A record of a block; those of one partition are chained. */
struct item {
    int64_t offset;
    size_t at, n; /* its value in the block */
    ptrdiff_t next;
};

/* What is folded at a time. */
struct block {
    uint8_t *bytes;
    size_t used, room;
    struct item *items;
    size_t n, items_room;
    ptrdiff_t *head, *tail; /* by partition; NONE */
    size_t parts;
};

struct replay {
    const struct replay_options *o;
    struct recording_reader *reader;
    struct replay_counts *out;
    struct fault *f;
    struct lane *lanes; /* by partition */
    size_t n;
    struct block blocks[2];
    enum serin_status read; /* how reading ended; SERIN_OK: not yet */
    struct replay_verdict *due;
    size_t due_room;
    /* The threads, and the block that they share. @locks lock */
    pthread_t threads[REPLAY_MAX_THREADS];
    unsigned n_threads;
    pthread_mutex_t lock;
    pthread_cond_t begin, done;
    const struct block *work;
    uint64_t round; /* of `work` */
    unsigned busy;
    bool over;
    atomic_size_t next; /* partition to be taken */
};

static enum serin_status no_memory(struct fault *f)
{
    return fault_set(f, SERIN_ENOMEM, "no memory for the replay");
}

/* ---------------------------------------------------------------- blocks */

static void block_reset(struct block *b)
{
    b->used = b->n = 0;
    for (size_t i = 0; i < b->parts; i++)
        b->head[i] = b->tail[i] = NONE;
}

static void block_free(struct block *b)
{
    mem_free(b->bytes);
    mem_free(b->items);
    mem_free(b->head);
    mem_free(b->tail);
}

static bool block_room(struct block *b, size_t parts, size_t n)
{
    if (parts > b->parts) {
        ptrdiff_t *head = mem_realloc(b->head, parts, sizeof *head);
        if (head != NULL) b->head = head;
        ptrdiff_t *tail = mem_realloc(b->tail, parts, sizeof *tail);
        if (tail != NULL) b->tail = tail;
        if (head == NULL || tail == NULL) return false;
        for (; b->parts < parts; b->parts++)
            b->head[b->parts] = b->tail[b->parts] = NONE;
    }
    if (b->n == b->items_room) {
        size_t room = b->items_room > 0 ? 2 * b->items_room : 4096;
        struct item *grown = mem_realloc(b->items, room, sizeof *grown);
        if (grown == NULL) return false;
        b->items = grown;
        b->items_room = room;
    }
    if (n <= b->room - b->used) return true;
    size_t room = b->used + n > BLOCK_BYTES ? b->used + n : BLOCK_BYTES;
    uint8_t *grown = mem_realloc(b->bytes, room, 1);
    if (grown == NULL) return false;
    b->bytes = grown;
    b->room = room;
    return true;
}

static enum serin_status block_add(struct replay *rp, struct block *b,
                                   const struct recording_record *r)
{
    if (r->topic != 0) return SERIN_OK;
    if (r->partition < 0 || r->partition >= ORIGIN_MAX_PARTITIONS)
        return fault_set(rp->f, SERIN_EPARSE,
                         "a record of partition %d: expected 0 to %d",
                         (int)r->partition, ORIGIN_MAX_PARTITIONS - 1);
    size_t p = (size_t)r->partition;
    if (!block_room(b, p + 1, r->value_len)) return no_memory(rp->f);
    b->items[b->n] = (struct item){r->offset, b->used, r->value_len, NONE};
    if (r->value_len > 0) memcpy(b->bytes + b->used, r->value, r->value_len);
    b->used += r->value_len;
    if (b->head[p] == NONE)
        b->head[p] = (ptrdiff_t)b->n;
    else
        b->items[b->tail[p]].next = (ptrdiff_t)b->n;
    b->tail[p] = (ptrdiff_t)b->n++;
    return SERIN_OK;
}

/* Always the same records, however they are folded then. */
static void block_read(struct replay *rp, struct block *b)
{
    struct recording_record one;
    block_reset(b);
    while (rp->read == SERIN_OK && b->used < BLOCK_BYTES / 2 &&
           b->n < BLOCK_BYTES / 256) {
        rp->read = recording_next(rp->reader, &one, rp->f);
        if (rp->read == SERIN_OK) rp->read = block_add(rp, b, &one);
    }
}

/* ---------------------------------------------------------------- folding */

/* Whole partitions, one after the other, until none is left. */
static void fold_lanes(struct replay *rp, const struct block *b)
{
    size_t p;
    while ((p = atomic_fetch_add(&rp->next, 1)) < b->parts) {
        struct lane *l = &rp->lanes[p];
        for (ptrdiff_t i = b->head[p]; i != NONE && l->rc == SERIN_OK;
             i = b->items[i].next) {
            const struct item *it = &b->items[i];
            l->rc = lane_take(l, rp->o, it->offset, b->bytes + it->at, it->n);
        }
    }
}

static void *worker(void *arg)
{
    struct replay *rp = arg;
    uint64_t seen = 0;
    pthread_mutex_lock(&rp->lock);
    for (;;) {
        while (!rp->over && rp->round == seen)
            pthread_cond_wait(&rp->begin, &rp->lock);
        if (rp->over) break;
        seen = rp->round;
        const struct block *b = rp->work;
        pthread_mutex_unlock(&rp->lock);
        fold_lanes(rp, b);
        pthread_mutex_lock(&rp->lock);
        if (--rp->busy == 0) pthread_cond_signal(&rp->done);
    }
    pthread_mutex_unlock(&rp->lock);
    return NULL;
}

/* Fold a block while the next one is read. */
static void fold_and_read(struct replay *rp, const struct block *b, struct block *next)
{
    atomic_store(&rp->next, 0);
    if (rp->n_threads == 0) {
        fold_lanes(rp, b);
        block_read(rp, next);
        return;
    }
    pthread_mutex_lock(&rp->lock);
    rp->work = b;
    rp->busy = rp->n_threads;
    rp->round++;
    pthread_cond_broadcast(&rp->begin);
    pthread_mutex_unlock(&rp->lock);
    block_read(rp, next);
    pthread_mutex_lock(&rp->lock);
    while (rp->busy > 0)
        pthread_cond_wait(&rp->done, &rp->lock);
    pthread_mutex_unlock(&rp->lock);
}

static enum serin_status start(struct replay *rp)
{
    unsigned wanted =
        rp->o->threads > REPLAY_MAX_THREADS ? REPLAY_MAX_THREADS : rp->o->threads;
    pthread_mutex_init(&rp->lock, NULL);
    pthread_cond_init(&rp->begin, NULL);
    pthread_cond_init(&rp->done, NULL);
    if (wanted < 2 || rp->o->effect != NULL) return SERIN_OK;
    for (; rp->n_threads < wanted; rp->n_threads++)
        if (pthread_create(&rp->threads[rp->n_threads], NULL, worker, rp) != 0)
            return fault_set(rp->f, SERIN_ENOMEM,
                             "cannot start thread %u of the replay: lower --threads",
                             rp->n_threads + 1);
    return SERIN_OK;
}

static void stop(struct replay *rp)
{
    pthread_mutex_lock(&rp->lock);
    rp->over = true;
    pthread_cond_broadcast(&rp->begin);
    pthread_mutex_unlock(&rp->lock);
    for (unsigned i = 0; i < rp->n_threads; i++)
        pthread_join(rp->threads[i], NULL);
    pthread_cond_destroy(&rp->begin);
    pthread_cond_destroy(&rp->done);
    pthread_mutex_destroy(&rp->lock);
}

static enum serin_status open_lanes(struct replay *rp, const struct block *b)
{
    if (b->parts > rp->n) {
        struct lane *grown = mem_realloc(rp->lanes, b->parts, sizeof *grown);
        if (grown == NULL) return no_memory(rp->f);
        rp->lanes = grown;
        memset(grown + rp->n, 0, (b->parts - rp->n) * sizeof *grown);
        rp->n = b->parts;
    }
    for (size_t p = 0; p < b->parts; p++) {
        struct lane *l = &rp->lanes[p];
        if (b->head[p] == NONE || l->fold != NULL) continue;
        if (lane_open(l, &rp->o->fold) != SERIN_OK) return no_memory(rp->f);
        rp->out->partitions++;
    }
    return SERIN_OK;
}

/* ---------------------------------------------------------------- telling */

static int by_time(const void *a, const void *b)
{
    const struct replay_verdict *x = a, *y = b;
    if (x->t_ms != y->t_ms) return x->t_ms < y->t_ms ? -1 : 1;
    int c = strcmp(x->rollout, y->rollout);
    if (c != 0) return c;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* No verdict to come is earlier. */
static int64_t horizon(const struct replay *rp)
{
    int64_t least = INT64_MAX;
    if (rp->o->partitions <= 0 || rp->n < (size_t)rp->o->partitions) return INT64_MIN;
    for (size_t p = 0; p < rp->n; p++) {
        int64_t now = rp->lanes[p].fold != NULL       ? fold_now(rp->lanes[p].fold)
                      : p < (size_t)rp->o->partitions ? INT64_MIN
                                                      : INT64_MAX;
        if (now < least) least = now;
    }
    return least;
}

/* The verdicts before `end_ms`, out of the lanes into rp->due. */
static enum serin_status collect(struct replay *rp, int64_t end_ms, size_t *n)
{
    size_t waiting = 0;
    *n = 0;
    for (size_t p = 0; p < rp->n; p++)
        waiting += rp->lanes[p].n - rp->lanes[p].first;
    if (waiting > rp->out->waiting) rp->out->waiting = waiting;
    if (waiting > rp->due_room) {
        struct replay_verdict *grown = mem_realloc(rp->due, waiting, sizeof *grown);
        if (grown == NULL) return no_memory(rp->f);
        rp->due = grown;
        rp->due_room = waiting;
    }
    for (size_t p = 0; p < rp->n; p++) {
        struct lane *l = &rp->lanes[p];
        while (l->first < l->n && l->waiting[l->first].t_ms < end_ms)
            rp->due[(*n)++] = l->waiting[l->first++];
        if (l->first > 0) lane_told(l);
    }
    return SERIN_OK;
}

static enum serin_status tell(struct replay *rp, int64_t end_ms)
{
    size_t n;
    enum serin_status rc = collect(rp, end_ms, &n);
    if (rc != SERIN_OK || n == 0) return rc;
    qsort(rp->due, n, sizeof *rp->due, by_time);
    rp->out->verdicts += n;
    for (size_t i = 0; i < n; i++) {
        if (rc == SERIN_OK) rc = rp->o->verdict(rp->o->ctx, &rp->due[i]);
        mem_free((void *)(uintptr_t)rp->due[i].rollout);
        mem_free((void *)(uintptr_t)rp->due[i].bytes.p);
    }
    return rc;
}

static enum serin_status run(struct replay *rp)
{
    struct block *b = &rp->blocks[0], *next = &rp->blocks[1];
    enum serin_status rc = SERIN_OK;
    block_read(rp, b);
    while (rc == SERIN_OK && b->n > 0) {
        rc = open_lanes(rp, b);
        if (rc != SERIN_OK) return rc;
        fold_and_read(rp, b, next);
        rp->out->records += b->n;
        for (size_t p = 0; rc == SERIN_OK && p < rp->n; p++)
            rc = rp->lanes[p].rc;
        if (rc == SERIN_ENOMEM) return no_memory(rp->f);
        int64_t end_ms = next->n > 0 ? horizon(rp) : INT64_MAX;
        if (rc == SERIN_OK) rc = tell(rp, end_ms);
        if (rp->o->progress != NULL)
            rp->o->progress(rp->o->ctx, rp->out->records, end_ms);
        struct block *spare = b;
        b = next;
        next = spare;
    }
    return rc;
}

static void count(struct replay *rp)
{
    for (size_t i = 0; i < rp->n; i++) {
        if (rp->lanes[i].fold == NULL) continue;
        struct fold_counts k = fold_counts(rp->lanes[i].fold);
        rp->out->rollouts += k.rollouts;
        rp->out->undecodable += k.undecodable;
        rp->out->partials += k.partials;
        rp->out->windows += k.windows;
        rp->out->repeated += rp->lanes[i].repeated;
    }
}

enum serin_status replay_run(struct recording_reader *r, const struct replay_options *o,
                             struct replay_counts *out, struct fault *f)
{
    *out = (struct replay_counts){0};
    struct replay rp = {.o = o, .reader = r, .out = out, .f = f};
    enum serin_status rc = start(&rp);
    if (rc == SERIN_OK) rc = run(&rp);
    stop(&rp);
    count(&rp);
    for (size_t i = 0; i < rp.n; i++)
        lane_close(&rp.lanes[i]);
    mem_free(rp.lanes);
    mem_free(rp.due);
    block_free(&rp.blocks[0]);
    block_free(&rp.blocks[1]);
    if (rc != SERIN_OK || rp.read == SERIN_AGAIN) return rc;
    return rp.read;
}

enum serin_status replay_digest(const void *p, size_t n, uint8_t out[HASH_DIGEST])
{
    struct arena a = {0};
    struct bytes bytes;
    pb_verdict *v;
    enum serin_status rc = decode_verdict(&a, p, n, &v);
    if (rc == SERIN_OK) {
        v->sig = (ProtobufCBinaryData){0};
        rc = encode_verdict(&a, v, &bytes);
    }
    if (rc == SERIN_OK) hash_digest(bytes.p, bytes.n, out);
    arena_free(&a);
    return rc;
}
