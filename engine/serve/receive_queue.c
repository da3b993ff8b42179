/* engine/serve/receive_queue.c */
#include "engine/serve/receive_queue.h"

#include <pthread.h>
#include <stdatomic.h>

#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/bus/producer.h"

enum { OPEN_MS = 3000, ACK_MS = 5000 };

struct job { /* on the stack of the thread that waits for it */
    struct job *next;
    const struct receive_record *record;
    bool done;
    enum serin_status status;
    struct fault fault;
};

struct receive_queue {
    struct bus *bus;
    pthread_t thread;
    pthread_mutex_t lock; /* @locks: first, last, stopping, jobs' results */
    pthread_cond_t work, answered;
    struct job *first, **last;
    bool started, stopping;
    struct producer *producer; /* @thread the writer's; NULL after a failure */
    atomic_uint_least64_t records, bytes, flushes;
};

/* ---------------------------------------------------------------- the writer */

static enum serin_status write_jobs(struct receive_queue *q, struct job *from,
                                    const struct job *end, struct fault *f)
{
    enum serin_status s = SERIN_OK;
    if (q->producer == NULL) s = producer_open(&q->producer, q->bus, NULL, OPEN_MS, f);
    for (struct job *j = from; s == SERIN_OK && j != end; j = j->next) {
        const struct receive_record *r = j->record;
        j->status = producer_send_typed(q->producer, r->topic, r->type, r->key,
                                        r->value, r->n, &j->fault);
        if (j->status == SERIN_OK || j->status == SERIN_ELIMIT) continue;
        *f = j->fault;
        s = j->status;
    }
    if (s == SERIN_OK) s = producer_flush(q->producer, ACK_MS, f);
    return s;
}

static void settle(struct job *from, const struct job *end, enum serin_status s,
                   const struct fault *f)
{
    for (struct job *j = from; s != SERIN_OK && j != end; j = j->next) {
        j->status = s;
        j->fault = *f;
    }
}

/* A record that its topic refuses must not take the others with it, time and again. */
static void write_each(struct receive_queue *q, struct job *batch)
{
    for (struct job *j = batch; j != NULL; j = j->next) {
        struct fault f = {0};
        enum serin_status s = write_jobs(q, j, j->next, &f);
        settle(j, j->next, s, &f);
    }
}

static void write_batch(struct receive_queue *q, struct job *batch)
{
    struct fault f = {0};
    enum serin_status s = write_jobs(q, batch, NULL, &f);
    if (s == SERIN_ELIMIT && batch->next != NULL)
        write_each(q, batch);
    else
        settle(batch, NULL, s, &f);
    if (s != SERIN_OK && s != SERIN_ELIMIT) {
        log_warn("serve", "received records were not written: %s", f.text);
        producer_close(q->producer); /* start afresh */
        q->producer = NULL;
    }
    atomic_fetch_add(&q->flushes, 1);
    for (const struct job *j = batch; j != NULL; j = j->next) {
        if (j->status != SERIN_OK) continue;
        atomic_fetch_add(&q->records, 1);
        atomic_fetch_add(&q->bytes, j->record->n);
    }
}

static void *run(void *ctx)
{
    struct receive_queue *q = ctx;
    pthread_mutex_lock(&q->lock);
    while (!q->stopping) {
        struct job *batch = q->first, *next;
        if (batch == NULL) {
            pthread_cond_wait(&q->work, &q->lock);
            continue;
        }
        q->first = NULL;
        q->last = &q->first;
        pthread_mutex_unlock(&q->lock);
        write_batch(q, batch);
        pthread_mutex_lock(&q->lock);
        for (; batch != NULL; batch = next) {
            next = batch->next; /* done: its owner may be gone at once */
            batch->done = true;
        }
        pthread_cond_broadcast(&q->answered);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

/* ---------------------------------------------------------------- everybody else */

enum serin_status receive_queue_open(struct receive_queue **out, struct bus *b,
                                     struct fault *f)
{
    struct receive_queue *q = mem_calloc(1, sizeof *q);
    if (q == NULL) return fault_set(f, SERIN_ENOMEM, "no memory for the receivers");
    q->bus = b;
    q->last = &q->first;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->work, NULL);
    pthread_cond_init(&q->answered, NULL);
    q->started = pthread_create(&q->thread, NULL, run, q) == 0;
    if (q->started) {
        *out = q;
        return SERIN_OK;
    }
    receive_queue_close(q);
    return fault_set(f, SERIN_ENOMEM,
                     "cannot start the receivers' thread: the system's limit of "
                     "threads is reached (ulimit -u)");
}

void receive_queue_close(struct receive_queue *q)
{
    if (q == NULL) return;
    pthread_mutex_lock(&q->lock);
    q->stopping = true;
    pthread_cond_signal(&q->work);
    pthread_mutex_unlock(&q->lock);
    if (q->started) pthread_join(q->thread, NULL);
    producer_close(q->producer);
    pthread_cond_destroy(&q->answered);
    pthread_cond_destroy(&q->work);
    pthread_mutex_destroy(&q->lock);
    mem_free(q);
}

enum serin_status receive_queue_write(struct receive_queue *q,
                                      const struct receive_record *r, struct fault *f)
{
    struct job j = {.record = r};
    pthread_mutex_lock(&q->lock);
    *q->last = &j;
    q->last = &j.next;
    pthread_cond_signal(&q->work);
    while (!j.done)
        pthread_cond_wait(&q->answered, &q->lock);
    pthread_mutex_unlock(&q->lock);
    if (j.status != SERIN_OK && f != NULL) *f = j.fault;
    return j.status;
}

struct receive_queue_counts receive_queue_counts(const struct receive_queue *q)
{
    return (struct receive_queue_counts){.records = atomic_load(&q->records),
                                         .bytes = atomic_load(&q->bytes),
                                         .flushes = atomic_load(&q->flushes)};
}
