/* ingest/worker_learn.c -- what counters stood at where this worker begins to count
 *
 * What a counter rose by is told by its value before. Whoever takes partitions over, or
 * comes back after a crash, does not know those values; but they lie right before the
 * committed offsets. So that much is read once more, for the values alone: what it adds
 * up to is dropped, and nothing is counted or committed before all of it is read. The
 * values are those of the latest records before the offsets, so none is too old; a
 * series that reports more rarely begins anew, and is counted as such. */
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "ingest/worker_internal.h"

enum {
    EACH = 20000, /* records of one partition */
    ALL = 200000, /* of all of them */
    MOST_MS = 5000
};

/* Formats in which nothing is a sum since a start need none of it. */
static bool learnable(const struct worker_source *s)
{
    enum format f = s->topic->format;
    return f != FORMAT_SERIN && f != FORMAT_JSON;
}

static int64_t each(const struct worker *w)
{
    int64_t n = 0;
    for (size_t i = 0; i < w->n_sources; i++)
        n += w->sources[i].assigned && learnable(&w->sources[i]);
    if (n == 0 || route_table_live(w->routes) == 0) return 0;
    return ALL / n < EACH ? ALL / n : EACH;
}

/* Every partition to where it is to be read from; false: the clients say why not. */
static bool place(struct worker *w)
{
    struct fault f = {0};
    size_t n = 0;
    worker_align_forget_all(w);
    for (size_t i = 0; i < w->n_sources; i++) {
        const struct worker_source *s = &w->sources[i];
        if (s->assigned)
            w->positions[n++] =
                (struct bus_partition){s->topic->name, s->partition, s->next};
    }
    if (consumer_rewind(w->consumer, w->positions, n, &f) == SERIN_OK) return true;
    worker_flush_failed(w, &f, "reading the values of counters");
    return false;
}

bool worker_learn_begin(struct worker *w, int64_t now_ms)
{
    if (!w->learn.due) return false;
    if (w->moved) worker_flush(w);
    worker_flush_settle(w, true);
    if (w->must_rewind || w->broken) return true; /* then, once it is known where */
    /* Rebalances one after the other must not keep it from counting for long. */
    if (w->learn.until_ms == 0) w->learn.until_ms = now_ms + MOST_MS;
    int64_t back = now_ms < w->learn.until_ms ? each(w) : 0;
    w->learn.due = false;
    for (size_t i = 0; i < w->n_sources; i++) {
        struct worker_source *s = &w->sources[i];
        s->learning = s->assigned && back > 0 && s->next > 0 && learnable(s);
        if (!s->learning) continue;
        w->learn.on = true;
        s->count_from = s->next;
        s->next = s->next > back ? s->next - back : 0;
    }
    if (!w->learn.on) w->learn.until_ms = 0;
    return w->learn.on && place(w);
}

/* Nothing of what was read may count. */
static void drop(struct worker *w)
{
    quarantine_rollback(w->quarantine);
    worker_flush_drop(w);
    w->align.spanned = false;
    w->align.flushed_ms = INT64_MIN;
    w->learn.on = false;
}

/* From where it began to read again, or behind what was deleted meanwhile. */
static void count_on(struct worker_source *s)
{
    if (s->next < s->count_from) s->next = s->count_from;
}

static void keep(struct worker *w)
{
    struct cumulative *c = aggregate_cumulative(w->aggregate);
    int64_t latest_ms = INT64_MIN;
    drop(w);
    w->learn.until_ms = 0;
    cumulative_seal(c);
    cumulative_commit(c);
    for (size_t i = 0; i < w->n_sources; i++) {
        struct worker_source *s = &w->sources[i];
        s->pending = (struct worker_tally){0};
        if (!s->learning) continue;
        s->learning = false;
        count_on(s);
        s->committed_latest_ms = s->held_latest_ms = s->latest_ms;
        if (s->latest_ms > latest_ms) latest_ms = s->latest_ms;
    }
    /* From there on nobody else counts. Not from the least of them: what began since
     * then, another partition may have counted before what was read of it. */
    cumulative_watch(c, latest_ms != INT64_MIN ? latest_ms : clock_wall_ms());
}

/* A part of the values would not do: others may have counted on from it. */
static void forget(struct worker *w)
{
    drop(w);
    worker_source_rollback(w);
    cumulative_forget(aggregate_cumulative(w->aggregate));
    cumulative_watch(aggregate_cumulative(w->aggregate), clock_wall_ms());
    for (size_t i = 0; i < w->n_sources; i++) {
        struct worker_source *s = &w->sources[i];
        if (s->learning) count_on(s);
        s->learning = false;
    }
}

static void give_up(struct worker *w)
{
    log_info("ingest", "%s: values of counters not read within %d s; they begin anew",
             w->member, MOST_MS / 1000);
    forget(w);
    w->learn.until_ms = 0;
    (void)place(w);
}

void worker_learn_spare(struct worker *w)
{
    struct cumulative *c = aggregate_cumulative(w->aggregate);
    cumulative_seal(c);
    cumulative_commit(c);
    if (aggregate_full(w->aggregate)) worker_flush_drop(w);
}

void worker_learn_end(struct worker *w, int64_t now_ms)
{
    bool all = true;
    if (!w->learn.on || w->must_rewind) return;
    for (size_t i = 0; i < w->n_sources; i++) {
        const struct worker_source *s = &w->sources[i];
        /* By its position: the last offsets may be no records, and an end that is known
         * may be an old one. */
        all = all && (!s->assigned || !s->learning ||
                      consumer_position(w->consumer, s->topic->name, s->partition) >=
                          s->count_from);
    }
    if (all)
        keep(w);
    else if (now_ms > w->learn.until_ms)
        give_up(w);
}

void worker_learn_again(struct worker *w)
{
    if (!w->learn.on) return;
    forget(w);
    w->learn.due = true;
}
