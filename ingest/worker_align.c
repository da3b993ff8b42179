/* ingest/worker_align.c -- no partition's event time runs away from the others'
 *
 * After an outage hours are read within seconds, of some partitions sooner than of
 * others. The judge closes windows by the slowest partition, and what is ahead of that
 * waits in a bounded room. So a partition that is WORKER_AHEAD_MS ahead of one that has
 * more to come is not taken from: its records are kept here and, when that is much,
 * fetched again later. A partition that stands still (its broker is away, its records
 * have no time) does not stop the others: they go on as fast as the clock. */
#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "ingest/worker_internal.h"

enum {
    STANDS_MS = 1000, /* without progress, after which the others go on */
    CLOSELY_MS = 50   /* between two looks at who has more to come */
};

static size_t size_of(const struct bus_record *r)
{
    return WORKER_QUEUED_BYTES + r->key_len + r->value_len;
}

/* ---------------------------------------------------------------- who is ahead */

/* Up to where a partition lets the others go. */
static int64_t bound(int64_t level_ms, int64_t rose_ms, int64_t now_ms)
{
    int64_t stands = now_ms - rose_ms - STANDS_MS;
    return level_ms + WORKER_AHEAD_MS + (stands > 0 ? stands : 0);
}

/* Where a partition stands; before its first sample: where the least of the others
 * stood then. False: nothing is known. */
static bool level(struct worker_source *s, int64_t least_ms, int64_t now_ms,
                  int64_t *out)
{
    if (s->latest_ms != INT64_MIN) {
        *out = s->latest_ms;
        return true;
    }
    if (s->level_ms == INT64_MIN && least_ms != INT64_MAX) {
        s->level_ms = least_ms;
        s->rose_ms = now_ms;
    }
    *out = s->level_ms;
    return s->level_ms != INT64_MIN;
}

static int64_t least_known(const struct worker *w)
{
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < w->n_sources; i++) {
        const struct worker_source *s = &w->sources[i];
        if (s->assigned && s->latest_ms != INT64_MIN && s->latest_ms < least)
            least = s->latest_ms;
    }
    return least;
}

static void look_closely(struct worker *w, int64_t now_ms)
{
    struct worker_align *a = &w->align;
    if (!a->held && now_ms - a->looked_ms < CLOSELY_MS) return;
    a->looked_ms = now_ms;
    for (size_t i = 0; i < w->n_sources; i++) {
        struct worker_source *s = &w->sources[i];
        if (s->assigned)
            s->unread = !consumer_caught_up(w->consumer, s->topic->name, s->partition);
    }
}

static bool more(const struct worker_source *s)
{
    return s->unread || s->paused || s->n_kept != 0 || s->batch_end > s->next;
}

/* The other workers of the process have partitions of their own. */
static int64_t others(const struct worker *w, int64_t now_ms)
{
    int64_t least = INT64_MAX;
    for (unsigned i = 0; w->levels != NULL && i < w->n_levels; i++) {
        struct worker_level *l = &w->levels[i];
        int64_t level_ms = atomic_load(&l->level_ms);
        if (i == w->index || level_ms == INT64_MAX) continue;
        int64_t b = bound(level_ms, atomic_load(&l->rose_ms), now_ms);
        if (b < least) least = b;
    }
    return least;
}

static void publish(struct worker *w, int64_t level_ms, int64_t rose_ms)
{
    if (w->levels == NULL) return;
    atomic_store(&w->levels[w->index].rose_ms, rose_ms);
    atomic_store(&w->levels[w->index].level_ms, level_ms);
}

void worker_align_look(struct worker *w, int64_t now_ms)
{
    struct worker_align *a = &w->align;
    int64_t least = least_known(w), slowest = INT64_MAX, rose = now_ms;
    look_closely(w, now_ms);
    a->stale = false;
    a->first_ms = a->second_ms = others(w, now_ms);
    a->first = NULL;
    for (size_t i = 0; i < w->n_sources; i++) {
        struct worker_source *s = &w->sources[i];
        int64_t level_ms;
        if (!s->assigned || !more(s) || !level(s, least, now_ms, &level_ms)) continue;
        int64_t b = bound(level_ms, s->rose_ms, now_ms);
        if (level_ms < slowest) slowest = level_ms, rose = s->rose_ms;
        if (b < a->first_ms)
            a->second_ms = a->first_ms, a->first_ms = b, a->first = s;
        else if (b < a->second_ms)
            a->second_ms = b;
    }
    publish(w, slowest, rose);
    if (slowest == INT64_MAX) return;
    if (a->flushed_ms == INT64_MIN) a->flushed_ms = slowest;
    a->spanned |= slowest - a->flushed_ms > WORKER_SPAN_MS;
}

bool worker_align_ahead(const struct worker *w, const struct worker_source *s)
{
    const struct worker_align *a = &w->align;
    return s->latest_ms > (s == a->first ? a->second_ms : a->first_ms);
}

void worker_align_took(struct worker *w, const struct worker_source *s)
{
    struct worker_align *a = &w->align;
    if (s != a->first && (a->first != NULL || !more(s))) return;
    if (a->flushed_ms == INT64_MIN) a->flushed_ms = s->latest_ms;
    a->spanned |= s->latest_ms > a->flushed_ms + WORKER_SPAN_MS;
}

void worker_align_flushed(struct worker *w)
{
    w->align.flushed_ms = INT64_MIN;
    w->align.spanned = false;
    worker_align_look(w, clock_mono_ms());
}

void worker_align_batch(struct worker *w, const struct bus_record *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool last = i + 1 == n || r[i + 1].partition != r[i].partition ||
                    r[i + 1].topic != r[i].topic;
        struct worker_source *s =
            last ? worker_source_find(w, r[i].topic, r[i].partition) : NULL;
        if (s != NULL) s->batch_end = r[i].offset + 1;
    }
    worker_align_look(w, clock_mono_ms());
}

/* ---------------------------------------------------------------- what waits */

bool worker_align_keep(struct worker *w, struct worker_source *s,
                       const struct bus_record *r)
{
    if (s->kept_at + s->n_kept == s->kept_room) {
        if (s->n_kept != 0)
            memmove(s->kept, s->kept + s->kept_at, s->n_kept * sizeof *s->kept);
        s->kept_at = 0;
    }
    if (s->n_kept == s->kept_room) {
        size_t room = s->kept_room != 0 ? 2 * s->kept_room : 256;
        struct bus_record *kept = mem_realloc(s->kept, room, sizeof *kept);
        if (kept == NULL) return false;
        s->kept = kept;
        s->kept_room = room;
    }
    consumer_keep(w->consumer, r);
    s->kept[s->kept_at + s->n_kept++] = *r;
    s->kept_bytes += size_of(r);
    w->align.bytes += size_of(r);
    w->align.held = true;
    return true;
}

const struct bus_record *worker_align_next(const struct worker *w,
                                           const struct worker_source *s)
{
    if (s->n_kept == 0 || worker_align_ahead(w, s)) return NULL;
    return &s->kept[s->kept_at];
}

void worker_align_pop(struct worker *w, struct worker_source *s)
{
    const struct bus_record *r = &s->kept[s->kept_at++];
    s->kept_bytes -= size_of(r);
    w->align.bytes -= size_of(r);
    if (--s->n_kept == 0) s->kept_at = 0;
    consumer_free(r);
}

void worker_align_bound(struct worker *w)
{
    size_t n = 1, all = w->memory / WORKER_KEPT_SHARE;
    bool held = false, much = w->align.bytes > all;
    for (size_t i = 0; i < w->n_sources; i++)
        n += w->sources[i].assigned;
    for (size_t i = 0; w->align.held && i < w->n_sources; i++) {
        struct worker_source *s = &w->sources[i];
        bool full =
            s->paused ? s->kept_bytes > all / n / 2 : much && s->kept_bytes > all / n;
        if (full && !s->paused)
            consumer_pause(w->consumer, s->topic->name, s->partition);
        if (!full && s->paused)
            consumer_resume(w->consumer, s->topic->name, s->partition);
        s->paused = full;
        held |= full || s->n_kept != 0;
    }
    w->align.held = held;
}

void worker_align_forget(struct worker *w, struct worker_source *s)
{
    while (s->n_kept != 0)
        worker_align_pop(w, s);
    mem_free(s->kept);
    s->kept = NULL;
    s->kept_room = s->kept_at = 0;
    if (s->paused && w->consumer != NULL)
        consumer_resume(w->consumer, s->topic->name, s->partition);
    s->paused = false;
}

void worker_align_forget_all(struct worker *w)
{
    for (size_t i = 0; i < w->n_sources; i++)
        worker_align_forget(w, &w->sources[i]);
    w->align = (struct worker_align){
        .first_ms = INT64_MAX, .second_ms = INT64_MAX, .flushed_ms = INT64_MIN};
    publish(w, INT64_MAX, 0);
}
