/* engine/core/streamclock.c -- everything here is a function of the ticks alone, so
 * that the clock at an offset is the same in every run over the same log */
#include "engine/core/streamclock.h"

#include <string.h>

#include "engine/base/mem.h"

void streamclock_free(struct streamclock *c)
{
    for (size_t i = 0; i < c->n; i++) {
        mem_free(c->sources[i].topic);
        mem_free(c->sources[i].worker);
    }
    mem_free(c->sources);
    *c = (struct streamclock){0};
}

static int order(const struct streamclock_source *s, const char *topic,
                 int32_t partition)
{
    int by_topic = strcmp(s->topic, topic);
    if (by_topic != 0) return by_topic;
    return (s->partition > partition) - (s->partition < partition);
}

/* Index of the source, or where it belongs. */
static size_t place(const struct streamclock *c, const char *topic, int32_t partition)
{
    size_t lo = 0, hi = c->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (order(&c->sources[mid], topic, partition) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static enum serin_status insert(struct streamclock *c, size_t at, const char *topic,
                                int32_t partition)
{
    if (c->n == c->room) {
        size_t room = c->room != 0 ? 2 * c->room : 8;
        void *grown = mem_realloc(c->sources, room, sizeof *c->sources);
        if (grown == NULL) return SERIN_ENOMEM;
        c->sources = grown;
        c->room = room;
    }
    char *name = mem_strdup(topic), *worker = mem_strdup("");
    if (name == NULL || worker == NULL) {
        mem_free(name);
        mem_free(worker);
        return SERIN_ENOMEM;
    }
    struct streamclock_source *s = &c->sources[at];
    memmove(s + 1, s, (c->n - at) * sizeof *s);
    *s = (struct streamclock_source){
        .topic = name, .worker = worker, .partition = partition};
    c->n++;
    return SERIN_OK;
}

/* A reader counts its losses from its own start, so a new reader starts at 0. */
static enum serin_status count_gaps(struct streamclock *c, struct streamclock_source *s,
                                    const char *worker, uint64_t gaps)
{
    if (strcmp(s->worker, worker) != 0) {
        char *copy = mem_strdup(worker);
        if (copy == NULL) return SERIN_ENOMEM;
        mem_free(s->worker);
        s->worker = copy;
        s->gaps = 0;
    }
    if (gaps > s->gaps) c->gaps += gaps - s->gaps;
    s->gaps = gaps;
    return SERIN_OK;
}

static enum serin_status take(struct streamclock *c, const char *worker,
                              const pb_source *in)
{
    size_t at = place(c, in->topic, in->partition);
    if (at == c->n || order(&c->sources[at], in->topic, in->partition) != 0) {
        if (c->n >= STREAMCLOCK_SOURCES) return SERIN_OK;
        if (insert(c, at, in->topic, in->partition) != SERIN_OK) return SERIN_ENOMEM;
    }
    struct streamclock_source *s = &c->sources[at];
    bool known = in->known && streamclock_sane(in->watermark_ms);
    if (known && (!s->known || in->watermark_ms > s->watermark_ms))
        s->watermark_ms = in->watermark_ms;
    s->known = s->known || known;
    s->idle = in->idle;
    s->lag = in->lag;
    s->seen_ms = c->wall_ms;
    return count_gaps(c, s, worker, in->gaps);
}

/* False: held back by a source that is not known yet, or nothing is known. */
static bool least_watermark(const struct streamclock *c, int64_t *out)
{
    bool any = false, largest_known = false;
    int64_t least = INT64_MAX, largest = INT64_MIN;
    for (size_t i = 0; i < c->n; i++) {
        const struct streamclock_source *s = &c->sources[i];
        if (c->wall_ms - s->seen_ms > STREAMCLOCK_LEAVE_MS) continue;
        if (s->known && s->watermark_ms > largest) largest = s->watermark_ms;
        largest_known = largest_known || s->known;
        if (s->idle) continue;
        if (!s->known) return false;
        if (s->watermark_ms < least) least = s->watermark_ms;
        any = true;
    }
    *out = any ? least : largest;
    return any || largest_known;
}

enum serin_status streamclock_tick(struct streamclock *c, const pb_tick *tick)
{
    int64_t least;
    if (tick->wall_ms > c->wall_ms && streamclock_sane(tick->wall_ms))
        c->wall_ms = tick->wall_ms;
    for (size_t i = 0; i < tick->n_sources; i++)
        if (take(c, tick->worker, tick->sources[i]) != SERIN_OK) return SERIN_ENOMEM;
    if (!least_watermark(c, &least)) return SERIN_OK;
    if (!c->known || least > c->watermark_ms) c->watermark_ms = least;
    c->known = true;
    return SERIN_OK;
}

int64_t streamclock_now(const struct streamclock *c)
{
    return c->known && c->watermark_ms > c->wall_ms ? c->watermark_ms : c->wall_ms;
}

int64_t streamclock_lag(const struct streamclock *c)
{
    if (!c->known) return -1;
    return c->wall_ms > c->watermark_ms ? c->wall_ms - c->watermark_ms : 0;
}

enum serin_status streamclock_save(const struct streamclock *c, struct arena *a,
                                   pb_clock **out)
{
    pb_clock *m = arena_alloc(a, sizeof *m);
    pb_source *sources = arena_alloc(a, c->n * sizeof *sources);
    pb_source **items = arena_alloc(a, c->n * sizeof *items);
    int64_t *seen = arena_alloc(a, c->n * sizeof *seen);
    char **workers = arena_alloc(a, c->n * sizeof *workers);
    if (m == NULL || sources == NULL || items == NULL || seen == NULL ||
        workers == NULL)
        return SERIN_ENOMEM;
    for (size_t i = 0; i < c->n; i++) {
        const struct streamclock_source *s = &c->sources[i];
        serin__v1__source__init(&sources[i]);
        sources[i].topic = s->topic;
        sources[i].partition = s->partition;
        sources[i].known = s->known;
        sources[i].watermark_ms = s->watermark_ms;
        sources[i].idle = s->idle;
        sources[i].lag = s->lag;
        sources[i].gaps = s->gaps;
        items[i] = &sources[i];
        seen[i] = s->seen_ms;
        workers[i] = s->worker;
    }
    serin__v1__clock__init(m);
    m->wall_ms = c->wall_ms;
    m->n_sources = m->n_seen_ms = m->n_workers = c->n;
    m->sources = items;
    m->seen_ms = seen;
    m->workers = workers;
    m->gaps = c->gaps;
    m->known = c->known;
    m->watermark_ms = c->watermark_ms;
    *out = m;
    return SERIN_OK;
}

enum serin_status streamclock_load(struct streamclock *c, const pb_clock *saved)
{
    streamclock_free(c);
    if (!streamclock_sane(saved->wall_ms) || !streamclock_sane(saved->watermark_ms))
        return SERIN_EPARSE;
    if (saved->n_seen_ms != saved->n_sources || saved->n_workers != saved->n_sources)
        return SERIN_EPARSE;
    c->wall_ms = saved->wall_ms;
    for (size_t i = 0; i < saved->n_sources; i++) {
        const pb_source *in = saved->sources[i];
        if (take(c, saved->workers[i], in) != SERIN_OK) {
            streamclock_free(c);
            return SERIN_ENOMEM;
        }
        size_t at = place(c, in->topic, in->partition);
        if (at == c->n || !streamclock_sane(saved->seen_ms[i])) continue;
        c->sources[at].seen_ms = saved->seen_ms[i];
    }
    c->gaps = saved->gaps;
    c->known = saved->known;
    c->watermark_ms = saved->watermark_ms;
    return SERIN_OK;
}
