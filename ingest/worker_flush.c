/* ingest/worker_flush.c -- one flush is one transaction
 *
 * Order inside it: partials, dead letters, ticks, offsets. A reader of an inbox
 * partition therefore sees a window's counts before the watermark that closes it. */
#include "engine/base/clock.h"
#include "engine/base/log.h"
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

static enum serin_status transact(struct worker *w, struct fault *f)
{
    struct sending to = {w, f};
    enum serin_status s = producer_begin(w->producer, f);
    if (s != SERIN_OK) return s;
    s = partial_each(w->aggregate, w->member, &w->scratch, send_partial, &to);
    if (s == SERIN_OK) s = send_letters(w, f);
    if (s == SERIN_OK) s = send_ticks(w, f);
    if (s == SERIN_OK) {
        size_t n = worker_source_positions(w);
        return producer_commit(w->producer, w->consumer, w->positions, n, f);
    }
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
    if (w->messages > 0) w->record_bytes = w->bytes / w->messages;
    size_t queued =
        consumer_queued(w->consumer) * (WORKER_QUEUED_BYTES + w->record_bytes);
    set(&w->counters.queued, queued);
    set(&w->counters.memory, queued + aggregate_memory(w->aggregate) + w->dead.used +
                                 w->scratch.used + quarantine_memory());
    set(&w->counters.since, (size_t)w->flushed_ms);
}

static void settle(struct worker *w)
{
    struct aggregate_counts c = aggregate_counts(w->aggregate);
    worker_count(w, messages, w->messages);
    worker_count(w, bytes, w->bytes);
    worker_count(w, quarantined, w->quarantined);
    worker_count(w, samples, c.samples);
    worker_count(w, routed, c.routed);
    worker_count(w, unrouted, c.unrouted);
    worker_count(w, poison, c.poison);
    worker_count(w, dropped, c.dropped);
    worker_count(w, other, c.other);
    worker_count(w, late, c.late);
    worker_count(w, duplicate, c.duplicate);
    worker_count(w, cells, aggregate_cells(w->aggregate));
    worker_count(w, flushes, 1);
    quarantine_commit(w->quarantine);
    worker_source_commit(w);
    measure(w);
}

void worker_flush_failed(struct worker *w, const struct fault *f, const char *what)
{
    worker_count(w, transactions_aborted, 1);
    quarantine_rollback(w->quarantine);
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

void worker_flush(struct worker *w)
{
    struct fault f = {0};
    w->flushed_ms = clock_mono_ms();
    if (transact(w, &f) != SERIN_OK) {
        w->letters_failed += w->letters != NULL;
        worker_flush_failed(w, &f, "flush");
        return;
    }
    w->letters_failed = 0;
    settle(w);
    worker_flush_drop(w);
}

static bool assigned_any(const struct worker *w)
{
    for (size_t i = 0; i < w->n_sources; i++)
        if (w->sources[i].assigned) return true;
    return false;
}

bool worker_flush_due(struct worker *w)
{
    int64_t since = clock_mono_ms() - w->flushed_ms;
    bool due = aggregate_full(w->aggregate) || w->dead.used >= WORKER_DEAD_BYTES ||
               (w->moved && since >= w->flush_ms) ||
               (since >= WORKER_TICK_MS && assigned_any(w));
    if (due) worker_flush(w);
    return due;
}
