/* ingest/worker_flush.c -- one flush is one transaction
 *
 * Order inside it: partials, dead letters, ticks, offsets. A reader of an inbox
 * partition therefore sees a window's counts before the watermark that closes it. */
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "ingest/partial.h"
#include "ingest/worker_internal.h"

struct sending {
    struct worker *w;
    struct fault *f;
};

static enum serin_status send_partial(void *ctx, struct strview key, struct bytes value)
{
    struct sending *s = ctx;
    return producer_send(s->w->producer, bus_topic_name(s->w->bus, BUS_INBOX), -1,
                         key.p, key.n, value.p, value.n, s->f);
}

/* A dead-letter topic that takes no records (too large, no rights) must not keep serin
 * from judging: the records stay in quarantine then. */
static enum serin_status send_letters(struct worker *w, struct fault *f)
{
    enum serin_status s = SERIN_OK;
    if (w->letters != NULL && w->letters_failed >= WORKER_DEAD_TRIES) {
        log_warn("ingest", "%s: records not forwarded after %u failed transactions",
                 w->letters->topic, w->letters_failed);
        w->letters = NULL;
    }
    for (struct worker_letter *l = w->letters; s == SERIN_OK && l != NULL;
         l = l->next) {
        s = producer_send(w->producer, l->topic, -1, l->key.p, l->key.n, l->value.p,
                          l->value.n, f);
        if (s != SERIN_ELIMIT) continue;
        log_warn("ingest", "record not forwarded: %s", f->text);
        *f = (struct fault){0};
        s = SERIN_OK;
    }
    return s;
}

static enum serin_status send_ticks(struct worker *w, struct fault *f)
{
    struct bytes tick;
    const char *id = w->member;
    arena_reset(&w->scratch);
    enum serin_status s = worker_source_tick(w, &w->scratch, &tick);
    for (int p = 0; s == SERIN_OK && p < bus_partitions(w->bus); p++)
        s = producer_send(w->producer, bus_topic_name(w->bus, BUS_INBOX), p, id,
                          strlen(id), tick.p, tick.n, f);
    return s;
}

/* All of a transaction but its end. */
static enum serin_status fill(struct worker *w, struct fault *f)
{
    struct sending to = {w, f};
    enum serin_status s = producer_begin(w->producer, f);
    if (s != SERIN_OK) return s;
    s = partial_each(w->aggregate, w->member, &w->scratch, send_partial, &to);
    if (s == SERIN_OK) s = send_letters(w, f);
    if (s == SERIN_OK) s = send_ticks(w, f);
    if (s == SERIN_OK) return s;
    struct fault aborting = {0};
    bool dead = f->fatal;
    if (!dead && producer_abort(w->producer, &aborting) != SERIN_OK) *f = aborting;
    if (f->code == SERIN_OK) fault_set(f, s, "%s", status_text(s));
    /* An abort that failed leaves the producer in no state to go on with. */
    f->fatal = dead || aborting.code != SERIN_OK;
    return s;
}

void worker_flush_drop(struct worker *w)
{
    aggregate_clear(w->aggregate);
    w->counted = (struct aggregate_counts){0};
    w->last = NULL; /* what it committed moves the line behind which samples are late */
    arena_reset(&w->dead);
    w->letters = NULL;
    w->messages = w->bytes = w->quarantined = 0;
    w->moved = false;
}

static void set(_Atomic uint64_t *to, size_t value)
{
    atomic_store_explicit(to, value, memory_order_relaxed);
}

/* What this worker holds; the records fetched ahead are known by their number only. */
static void measure(struct worker *w)
{
    const struct worker_commit *c = &w->commit;
    if (c->messages > 0) w->record_bytes = c->bytes / c->messages;
    size_t queued =
        consumer_queued(w->consumer) * (WORKER_QUEUED_BYTES + w->record_bytes) +
        w->align.bytes;
    set(&w->counters.queued, queued);
    set(&w->counters.memory, queued + aggregate_memory(w->aggregate) + w->dead.used +
                                 w->scratch.used + quarantine_memory());
    set(&w->counters.since, (size_t)w->flushed_ms);
}

/* The transaction went through. */
static void count(struct worker *w, const struct worker_commit *c)
{
    worker_count(w, messages, c->messages);
    worker_count(w, bytes, c->bytes);
    worker_count(w, quarantined, c->quarantined);
    worker_count(w, samples, c->samples.samples);
    worker_count(w, routed, c->samples.routed);
    worker_count(w, unrouted, c->samples.unrouted);
    worker_count(w, poison, c->samples.poison);
    worker_count(w, dropped, c->samples.dropped);
    worker_count(w, other, c->samples.other);
    worker_count(w, late, c->samples.late);
    worker_count(w, duplicate, c->samples.duplicate);
    worker_count(w, begun, c->samples.begun);
    worker_count(w, cells, c->cells);
    worker_count(w, flushes, 1);
    quarantine_commit(w->quarantine);
    cumulative_commit(aggregate_cumulative(w->aggregate));
    worker_source_commit(w);
    measure(w);
}

void worker_flush_failed(struct worker *w, const struct fault *f, const char *what)
{
    worker_flush_settle(w, true);
    worker_count(w, transactions_aborted, 1);
    quarantine_rollback(w->quarantine);
    cumulative_rollback(aggregate_cumulative(w->aggregate));
    worker_source_rollback(w);
    worker_flush_drop(w);
    w->must_rewind = true;
    if (f->fatal && !w->broken) {
        w->broken = true;
        w->broken_by = *f;
    }
    log_warn("ingest", "%s failed, %s: %s", what,
             f->fatal ? "opening the clients again"
                      : "reading again from the last commit",
             f->text);
}

/* ---------------------------------------------------------------- the commit */

static void commit(struct worker *w)
{
    struct worker_commit *c = &w->commit;
    c->status =
        producer_commit(w->producer, w->consumer, c->positions, c->n, &c->fault);
}

static void *commit_run(void *worker)
{
    struct worker *w = worker;
    struct worker_commit *c = &w->commit;
    pthread_mutex_lock(&c->lock);
    while (!c->quit) {
        if (!c->busy) {
            pthread_cond_wait(&c->change, &c->lock);
            continue;
        }
        pthread_mutex_unlock(&c->lock);
        commit(w);
        pthread_mutex_lock(&c->lock);
        c->busy = false;
        pthread_cond_broadcast(&c->change);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

void worker_flush_start(struct worker *w)
{
    struct worker_commit *c = &w->commit;
    c->busy = c->quit = false;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->change, NULL);
    c->started = pthread_create(&c->thread, NULL, commit_run, w) == 0;
    if (!c->started)
        log_warn("ingest", "%s: no thread for its commits: reading waits for each",
                 w->member);
}

void worker_flush_end(struct worker *w)
{
    struct worker_commit *c = &w->commit;
    pthread_mutex_lock(&c->lock);
    c->quit = true;
    pthread_cond_broadcast(&c->change);
    pthread_mutex_unlock(&c->lock);
    if (c->started) pthread_join(c->thread, NULL);
    pthread_cond_destroy(&c->change);
    pthread_mutex_destroy(&c->lock);
    c->started = false;
}

/* What this flush holds moves into the transaction. */
static enum serin_status hold(struct worker *w, struct fault *f)
{
    struct worker_commit *c = &w->commit;
    c->n = worker_source_positions(w);
    c->positions = mem_calloc(c->n + 1, sizeof *c->positions);
    if (c->positions == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
    memcpy(c->positions, w->positions, c->n * sizeof *c->positions);
    c->samples = aggregate_counts(w->aggregate);
    c->cells = aggregate_cells(w->aggregate);
    c->messages = w->messages;
    c->bytes = w->bytes;
    c->quarantined = w->quarantined;
    c->fault = (struct fault){0};
    quarantine_seal(w->quarantine);
    cumulative_seal(aggregate_cumulative(w->aggregate));
    worker_source_hold(w);
    return SERIN_OK;
}

void worker_flush(struct worker *w)
{
    struct worker_commit *c = &w->commit;
    struct fault f = {0};
    worker_flush_settle(w, true);
    if (w->must_rewind || w->broken) return; /* nothing is held any more */
    w->flushed_ms = clock_mono_ms();
    enum serin_status s = hold(w, &f);
    if (s == SERIN_OK) s = fill(w, &f);
    if (s != SERIN_OK) {
        mem_free(c->positions);
        c->positions = NULL;
        w->letters_failed += w->letters != NULL;
        worker_flush_failed(w, &f, "flush");
        return;
    }
    c->letters = w->letters != NULL;
    worker_flush_drop(w);
    worker_align_flushed(w);
    c->under_way = true;
    if (!c->started) {
        commit(w);
        worker_flush_settle(w, true);
        return;
    }
    pthread_mutex_lock(&c->lock);
    c->busy = true;
    pthread_cond_broadcast(&c->change);
    pthread_mutex_unlock(&c->lock);
}

void worker_flush_settle(struct worker *w, bool wait)
{
    struct worker_commit *c = &w->commit;
    if (!c->under_way) return;
    pthread_mutex_lock(&c->lock);
    while (wait && c->busy)
        pthread_cond_wait(&c->change, &c->lock);
    bool ended = !c->busy;
    pthread_mutex_unlock(&c->lock);
    if (!ended) return;
    c->under_way = false;
    mem_free(c->positions);
    c->positions = NULL;
    if (c->status == SERIN_OK) {
        w->letters_failed = 0;
        count(w, c);
    } else {
        w->letters_failed += c->letters;
        worker_flush_failed(w, &c->fault, "flush");
    }
}

static bool assigned_any(const struct worker *w)
{
    for (size_t i = 0; i < w->n_sources; i++)
        if (w->sources[i].assigned) return true;
    return false;
}

bool worker_flush_due(struct worker *w)
{
    if (w->learn.on) {
        worker_learn_spare(w);
        return false;
    }
    int64_t since = clock_mono_ms() - w->flushed_ms;
    bool busy = w->commit.under_way; /* the next one waits for it */
    bool due = aggregate_full(w->aggregate) || w->dead.used >= WORKER_DEAD_BYTES ||
               w->align.spanned || (!busy && w->moved && since >= w->flush_ms) ||
               (!busy && since >= WORKER_TICK_MS && assigned_any(w));
    if (due) worker_flush(w);
    return due;
}
