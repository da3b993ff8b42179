/* ingest/worker_source.c -- input partitions: positions, watermarks, idleness, ticks */
#include <stdio.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "ingest/worker_internal.h"
#include "proto/encode.h"

static const struct worker_topic *topic_of(const struct worker *w, const char *name)
{
    for (size_t i = 0; i < w->n_topics; i++)
        if (strcmp(w->topics[i].name, name) == 0) return &w->topics[i];
    return NULL;
}

/* Another source's records begin: what was counted until here is the last one's. */
static struct worker_source *turn_to(struct worker *w, struct worker_source *s)
{
    worker_source_account(w);
    w->last = s;
    aggregate_input(w->aggregate, &s->topic->input);
    bool known = s->committed_latest_ms != INT64_MIN;
    aggregate_closed(w->aggregate,
                     known ? s->committed_latest_ms - w->lateness_ms : INT64_MIN);
    return s;
}

struct worker_source *worker_source_find(struct worker *w, const char *topic,
                                         int32_t partition)
{
    struct worker_source *s = w->last;
    if (s != NULL && s->partition == partition && w->last_topic == topic) return s;
    w->last_topic = topic;
    if (s != NULL && s->partition == partition && strcmp(s->topic->name, topic) == 0)
        return s;
    for (size_t i = 0; i < w->n_sources; i++) {
        s = &w->sources[i];
        if (s->partition == partition && strcmp(s->topic->name, topic) == 0)
            return turn_to(w, s);
    }
    return NULL;
}

void worker_source_account(struct worker *w)
{
    struct aggregate_counts now = aggregate_counts(w->aggregate), was = w->counted;
    w->counted = now;
    if (w->last == NULL) return;
    struct worker_tally *t = &w->last->pending;
#define X(name) t->name += now.name - was.name;
    X(samples)
    X(routed) X(unrouted) X(poison) X(dropped) X(other) X(late) X(duplicate) X(begun)
#undef X
}

static void shown_fill(const struct worker *w, const struct worker_source *s,
                       struct worker_partition *out)
{
    bool known = s->committed_latest_ms != INT64_MIN;
    *out = (struct worker_partition){
        .partition = s->partition,
        .assigned = s->assigned,
        .known = known,
        .idle = s->idle,
        .watermark_ms = known ? s->committed_latest_ms - w->lateness_ms : 0,
        .lag = s->lag,
        .n = s->done};
    snprintf(out->topic, sizeof out->topic, "%s", s->topic->name);
}

void worker_source_show(struct worker *w)
{
    uint64_t owned = 0;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->n_sources; i++) {
        shown_fill(w, &w->sources[i], &w->shown[i]);
        owned += w->sources[i].assigned;
    }
    w->n_shown = w->n_sources;
    pthread_mutex_unlock(&w->lock);
    atomic_store_explicit(&w->counters.partitions, owned, memory_order_relaxed);
}

static bool room_for_one(struct worker *w)
{
    if (w->n_sources < w->sources_room) return true;
    size_t room = w->sources_room != 0 ? 2 * w->sources_room : 64;
    worker_source_account(w);
    w->last = NULL;
    w->align.first = NULL;
    struct worker_source *s = mem_realloc(w->sources, room, sizeof *s);
    if (s == NULL) return false;
    w->sources = s;
    struct bus_partition *p = mem_realloc(w->positions, room, sizeof *p);
    if (p == NULL) return false;
    w->positions = p;
    pthread_mutex_lock(&w->lock);
    struct worker_partition *shown = mem_realloc(w->shown, room, sizeof *shown);
    if (shown != NULL) w->shown = shown;
    pthread_mutex_unlock(&w->lock);
    if (shown == NULL) return false;
    w->sources_room = room;
    return true;
}

static struct worker_source *source_add(struct worker *w, const struct bus_partition *p)
{
    const struct worker_topic *topic = topic_of(w, p->topic);
    if (topic == NULL || !room_for_one(w)) return NULL;
    struct worker_source *s = &w->sources[w->n_sources++];
    *s = (struct worker_source){.topic = topic, .partition = p->partition};
    s->latest_ms = s->held_latest_ms = s->committed_latest_ms = INT64_MIN;
    s->level_ms = INT64_MIN;
    s->lag = -1;
    return s;
}

void worker_source_assign(void *ctx, struct bus_partition *p, size_t n)
{
    struct worker *w = ctx;
    for (size_t i = 0; i < n; i++) {
        struct worker_source *s = worker_source_find(w, p[i].topic, p[i].partition);
        if (s == NULL) s = source_add(w, &p[i]);
        if (s == NULL) {
            struct fault f = {0};
            fault_set(&f, SERIN_ENOMEM, "no memory for another partition");
            f.fatal = true;
            worker_flush_failed(w, &f, "assignment");
            return;
        }
        s->assigned = true;
        s->next = p[i].offset;
        s->latest_ms = s->committed_latest_ms;
        s->heard_ms = s->rose_ms = clock_mono_ms();
        s->level_ms = INT64_MIN; /* that of an earlier stay may be of hours ago */
        s->unread = true;
        s->batch_end = 0;
        s->learning = false;
    }
    /* Who had them until now may have counted on from what is remembered here. */
    if (n != 0) {
        worker_learn_again(w);
        w->learn.due = true;
        cumulative_forget(aggregate_cumulative(w->aggregate));
        cumulative_watch(aggregate_cumulative(w->aggregate), clock_wall_ms());
    }
    worker_source_show(w);
    atomic_store(&w->joined, true);
    log_info("ingest", "%zu input partitions assigned", n);
}

void worker_source_drop(struct worker *w, const struct bus_partition *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct worker_source *s = worker_source_find(w, p[i].topic, p[i].partition);
        if (s == NULL) continue;
        worker_align_forget(w, s);
        s->assigned = false;
    }
    worker_source_show(w);
}

void worker_source_gap(void *ctx, const struct bus_partition *p, int64_t expected,
                       int64_t found)
{
    struct worker *w = ctx;
    struct worker_source *s = worker_source_find(w, p->topic, p->partition);
    if (s != NULL && s->learning) {
        if (found <= s->count_from) return; /* was read once */
        expected = s->count_from;
    }
    bool anew = found < expected;
    if (anew)
        log_warn("ingest",
                 "%s [%d]: ends before %lld, where reading stood: the topic was made "
                 "anew or lost records; reading from %lld on",
                 p->topic, (int)p->partition, (long long)expected, (long long)found);
    else
        log_warn(
            "ingest",
            "%s [%d]: records %lld to %lld were deleted before they were read; longer "
            "retention or more workers keep this from happening",
            p->topic, (int)p->partition, (long long)expected, (long long)found - 1);
    worker_count(w, gaps, 1);
    if (s == NULL) return;
    s->gaps++;
    s->done.gaps++;
    if (anew) worker_align_forget(w, s); /* its offsets are those of before */
    /* What is kept of it lies before the gap. */
    if (anew || (found > s->next && s->n_kept == 0)) s->next = found;
}

size_t worker_source_positions(struct worker *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_sources; i++) {
        const struct worker_source *s = &w->sources[i];
        if (!s->assigned || s->next < 0) continue;
        w->positions[n++] =
            (struct bus_partition){s->topic->name, s->partition, s->next};
    }
    return n;
}

void worker_source_hold(struct worker *w)
{
    worker_source_account(w);
    for (size_t i = 0; i < w->n_sources; i++) {
        struct worker_source *s = &w->sources[i];
        s->held_latest_ms = s->latest_ms;
        s->held = s->pending;
        s->pending = (struct worker_tally){0};
    }
}

void worker_source_commit(struct worker *w)
{
    for (size_t i = 0; i < w->n_sources; i++) {
        struct worker_source *s = &w->sources[i];
        s->committed_latest_ms = s->held_latest_ms;
        worker_tally_add(&s->done, &s->held);
        s->held = (struct worker_tally){0};
    }
    worker_source_show(w);
}

void worker_source_rollback(struct worker *w)
{
    for (size_t i = 0; i < w->n_sources; i++) {
        w->sources[i].latest_ms = w->sources[i].committed_latest_ms;
        w->sources[i].pending = w->sources[i].held = (struct worker_tally){0};
    }
    w->align.spanned = false;
    w->align.flushed_ms = INT64_MIN;
}

enum serin_status worker_source_rewind(struct worker *w, struct fault *f)
{
    size_t n = 0;
    worker_align_forget_all(w);
    worker_learn_again(w);
    for (size_t i = 0; i < w->n_sources; i++) {
        const struct worker_source *s = &w->sources[i];
        if (!s->assigned) continue;
        w->positions[n++] =
            (struct bus_partition){s->topic->name, s->partition, BUS_OFFSET_NONE};
    }
    enum serin_status status =
        consumer_committed(w->consumer, w->positions, n, 5000, f);
    if (status == SERIN_OK) status = consumer_rewind(w->consumer, w->positions, n, f);
    for (size_t i = 0; status == SERIN_OK && i < n; i++) {
        const struct bus_partition *p = &w->positions[i];
        struct worker_source *s = worker_source_find(w, p->topic, p->partition);
        if (s != NULL) s->next = p->offset;
    }
    return status;
}

static void source_fill(struct worker *w, struct worker_source *s, int64_t now_ms,
                        pb_source *out)
{
    const char *topic = s->topic->name;
    int64_t lag = consumer_lag(w->consumer, topic, s->partition);
    serin__v1__source__init(out);
    out->topic = s->topic->name;
    out->partition = s->partition;
    out->known = s->latest_ms != INT64_MIN;
    out->watermark_ms = out->known ? s->latest_ms - w->lateness_ms : 0;
    if (lag >= 0) lag += (int64_t)s->n_kept;
    out->idle = now_ms - s->heard_ms >= w->idle_ms && s->n_kept == 0 &&
                consumer_caught_up(w->consumer, topic, s->partition);
    out->lag = lag > 0 ? (uint64_t)lag : 0;
    out->gaps = s->gaps;
    s->idle = out->idle;
    s->lag = lag;
}

enum serin_status worker_source_tick(struct worker *w, struct arena *a,
                                     struct bytes *out)
{
    int64_t now_ms = clock_mono_ms();
    pb_inbox inbox = SERIN__V1__INBOX__INIT;
    pb_tick tick = SERIN__V1__TICK__INIT;
    pb_source *sources = arena_alloc(a, w->n_sources * sizeof *sources);
    tick.sources = arena_alloc(a, w->n_sources * sizeof *tick.sources);
    if (sources == NULL || tick.sources == NULL) return SERIN_ENOMEM;
    for (size_t i = 0; i < w->n_sources; i++) {
        if (!w->sources[i].assigned) continue;
        source_fill(w, &w->sources[i], now_ms, &sources[tick.n_sources]);
        tick.sources[tick.n_sources] = &sources[tick.n_sources];
        tick.n_sources++;
    }
    tick.worker = w->member;
    tick.wall_ms = clock_wall_ms();
    inbox.schema = SERIN_SCHEMA;
    inbox.body_case = SERIN__V1__INBOX__BODY_TICK;
    inbox.tick = &tick;
    return encode_inbox(a, &inbox, out);
}
