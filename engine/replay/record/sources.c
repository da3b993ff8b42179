/* engine/replay/record/sources.c */
#include "engine/replay/record/sources.h"

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/bus/table.h"

enum { RETRY_MS = 1000 };

struct source {
    struct sources *all;
    size_t topic;
    struct table *table; /* NULL: not open */
    int64_t retry_ms;    /* monotonic: no try to open before */
};

struct sources {
    struct sources_options o;
    struct source *items;
    size_t n;
    bool idle; /* the last poll gave nothing */
    uint64_t taken;
    enum serin_status rc; /* of the callback */
    struct fault fault;
};

static void on_record(void *ctx, const struct bus_record *m)
{
    struct source *at = ctx;
    struct sources *s = at->all;
    const struct origin_topic *t = &s->o.origin->topics[at->topic];
    if (s->rc != SERIN_OK) return;
    enum format named =
        t->input ? format_of_type(consumer_content_type(m), FORMAT_AUTO) : FORMAT_AUTO;
    struct recording_record one = {.topic = (uint16_t)at->topic,
                                   .format = (uint8_t)named,
                                   .partition = m->partition,
                                   .offset = m->offset,
                                   .timestamp_ms = m->timestamp_ms,
                                   .key = m->key,
                                   .key_len = m->key_len,
                                   .value = m->value,
                                   .value_len = m->value_len};
    s->taken++;
    s->rc = s->o.record(s->o.ctx, &one, &s->fault);
}

static int64_t start_of(void *ctx, int32_t partition)
{
    const struct source *at = ctx;
    return at->all->o.next(at->all->o.ctx, at->topic, partition);
}

static void on_gap(void *ctx, int32_t partition, int64_t expected, int64_t found)
{
    const struct source *at = ctx;
    const struct sources_options *o = &at->all->o;
    if (o->gap != NULL) o->gap(o->ctx, at->topic, partition, expected, found);
}

static enum serin_status open_one(struct sources *s, struct source *at, struct fault *f)
{
    struct table_options o = {.topic = s->o.origin->topics[at->topic].name,
                              .start = BUS_OFFSET_NONE,
                              .since_ms = s->o.since_ms,
                              .start_of = s->o.next != NULL ? start_of : NULL,
                              .on_gap = on_gap,
                              .on_record = on_record,
                              .ctx = at,
                              .queue_bytes = s->o.queue_bytes / s->n};
    int64_t now = clock_mono_ms();
    if (now < at->retry_ms) return SERIN_OK;
    at->retry_ms = now + RETRY_MS;
    return table_open(&at->table, s->o.bus, &o, f);
}

enum serin_status sources_open(struct sources **out, const struct sources_options *o,
                               struct fault *f)
{
    struct sources *s = mem_calloc(1, sizeof *s);
    if (s != NULL) s->items = mem_calloc(o->origin->n, sizeof *s->items);
    if (s == NULL || s->items == NULL) {
        mem_free(s);
        return fault_set(f, SERIN_ENOMEM, "no memory to read topics");
    }
    s->o = *o;
    s->n = o->origin->n;
    for (size_t i = 0; i < s->n; i++)
        s->items[i] = (struct source){.all = s, .topic = i};
    *out = s;
    return SERIN_OK;
}

void sources_close(struct sources *s)
{
    if (s == NULL) return;
    for (size_t i = 0; i < s->n; i++)
        table_close(s->items[i].table);
    mem_free(s->items);
    mem_free(s);
}

/* Open it where it is not, unless the brokers are away: no second wait for them. */
static enum serin_status poll_one(struct sources *s, struct source *at, int timeout_ms,
                                  bool *away, struct fault *f)
{
    enum serin_status rc = SERIN_OK;
    if (at->table == NULL && !*away) rc = open_one(s, at, f);
    *away |= rc != SERIN_OK && f->retriable;
    if (rc != SERIN_OK || at->table == NULL) return rc;
    rc = table_poll(at->table, timeout_ms, f);
    if (rc != SERIN_OK && !f->retriable) { /* its handle died: a new one */
        table_close(at->table);
        at->table = NULL;
    }
    return rc;
}

enum serin_status sources_poll(struct sources *s, int timeout_ms, struct fault *f)
{
    uint64_t before = s->taken;
    int wait = s->idle ? timeout_ms / (int)s->n + 1 : 0;
    enum serin_status worst = SERIN_OK;
    bool away = false, any = false;
    s->rc = SERIN_OK;
    for (size_t i = 0; i < s->n && s->rc == SERIN_OK; i++) {
        struct fault one = {0};
        enum serin_status rc = poll_one(s, &s->items[i], wait, &away, &one);
        any |= s->items[i].table != NULL;
        if (rc == SERIN_OK) continue;
        if (worst == SERIN_OK) *f = one;
        worst = rc;
    }
    s->idle = s->taken == before;
    if (!any) clock_sleep_ms(timeout_ms);
    if (s->rc == SERIN_OK) return worst;
    *f = s->fault;
    return s->rc;
}

bool sources_caught_up(const struct sources *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->items[i].table == NULL || !table_caught_up(s->items[i].table))
            return false;
    return true;
}

size_t sources_partitions(const struct sources *s, size_t topic)
{
    const struct table *t = s->items[topic].table;
    return t != NULL ? table_partitions(t) : 0;
}

void sources_refresh(struct sources *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct source *at = &s->items[i];
        if (at->table == NULL || !table_outgrown(at->table)) continue;
        table_close(at->table);
        at->table = NULL;
        at->retry_ms = 0;
    }
}
