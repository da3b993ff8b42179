/* engine/bus/consumer.c -- group consumer on librdkafka's batch interface
 *
 * Two habits of librdkafka 2.0.2 shape this file.
 * - A rebalance arrives in the middle of a batch. The callback only notes it; it is
 *   carried out at the next poll, when the caller has done with every record it was
 * given, so that on_revoke may still commit them.
 * - At a rebalance the client pauses what it owns, and a pause makes the batch call
 * drop records that it has already counted as read. So every partition that stays is
 * put back to where we stand; what then comes twice is dropped by offset. */
#include "engine/bus/consumer.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/bus/client.h"
#include "engine/bus/slots.h"
#include "engine/bus/watch.h"

enum {
    MAX_CHANGES = 16,
    TOPICS_AGAIN_MS = 1000, /* between two looks for topics that do not exist yet */
    LOOKUP_MS = 1000,       /* longest wait for offsets inside one poll */
    SILENT_MS = 30000,      /* after so long without them people are told */
    OWNER_MS = 60000,       /* and after so long a new handle tries, by_owner */
    AGAIN_MS = 50,
    REJOIN_MS = 30000, /* longest wait for partitions to go before a new join */
    JOIN_MS = 10000,   /* longest wait of a close for the first assignment */
    QUIT_MS = 2000,    /* and for giving up what is assigned */
    ASSIGNOR_FIXED = 0x020300ff,
    WAKE_MS = 20, /* between two wake-ups, and the longest wait for one */
};

struct change {
    rd_kafka_resp_err_t kind; /* _ASSIGN_PARTITIONS or _REVOKE_PARTITIONS */
    rd_kafka_topic_partition_list_t *list;
};

struct consumer {
    struct client *client;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t **handles; /* keep the topics known, for metadata */
    struct slots slots;
    enum bus_start start;
    struct consumer_options o; /* callbacks only */
    struct change changes[MAX_CHANGES];
    size_t n_changes;
    bool waiting;               /* topics left to subscribe to */
    bool joining;               /* subscribed */
    bool joined;                /* had a first assignment, be it empty */
    bool left;                  /* left the group in order to join it again */
    int64_t left_ms, silent_ms; /* when; first lookup without an answer, or last told */
    struct watch watch;
    bool overrun; /* more changes than room: the handle cannot go on */
    int64_t look_ms, woken_ms;
    rd_kafka_message_t **batch;
    size_t room, held;
};

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t kind,
                         rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct consumer *c = ((struct client *)opaque)->owner;
    (void)rk;
    c->joined = true;
    if (c->n_changes == MAX_CHANGES) {
        c->overrun = true;
        return;
    }
    c->changes[c->n_changes++] =
        (struct change){kind, rd_kafka_topic_partition_list_copy(list)};
}

static enum serin_status setup(struct consumer *c, struct bus *b,
                               const struct consumer_options *o, struct fault *f)
{
    char what[128], member[512], bounds[4][24];
    const char *name = o->member != NULL ? o->member : bus_instance(b);
    snprintf(what, sizeof what, "consumer of %s", o->group);
    snprintf(member, sizeof member, "%s-%s", o->group, name);
    struct client_setup s = {.what = what, .rebalance = on_rebalance, .owner = c};
    s.extra[s.n_extra++] = (struct bus_property){"group.id", o->group};
    s.extra[s.n_extra++] = (struct bus_property){"group.instance.id", member};
    /* The decision log is thin and somebody waits for it: no batching at the broker. */
    if (o->by_owner)
        s.extra[s.n_extra++] = (struct bus_property){"fetch.min.bytes", "1"};
    client_bound_queue(&s, b, o->queue_bytes, bounds);
    enum serin_status status = client_open(&c->client, b, CLIENT_CONSUMER, &s, f);
    if (status != SERIN_OK) return status;
    c->rk = c->client->rk;
    rd_kafka_poll_set_consumer(c->rk);
    c->queue = rd_kafka_queue_get_consumer(c->rk);
    /* The embedded broker does not tell who is in a group. */
    if (!bus_embedded(b)) watch_open(&c->watch, c->rk, o->group);
    for (size_t i = 0; i < c->slots.n; i++) {
        c->handles[i] = rd_kafka_topic_new(c->rk, c->slots.topics[i].name, NULL);
        if (c->handles[i] == NULL)
            return fault_set(f, SERIN_EDOM, "topic \"%s\": %s", c->slots.topics[i].name,
                             rd_kafka_err2str(rd_kafka_last_error()));
    }
    return SERIN_OK;
}

enum serin_status consumer_open(struct consumer **out, struct bus *b,
                                const struct consumer_options *o, struct fault *f)
{
    struct consumer *c = mem_calloc(1, sizeof *c);
    if (c == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory for a consumer");
    c->o = *o;
    c->start = o->start;
    c->waiting = true;
    enum serin_status s = SERIN_OK;
    if (!slots_init(&c->slots, o->topics) ||
        (c->handles = mem_calloc(c->slots.n, sizeof(void *))) == NULL)
        s = fault_set(f, SERIN_ENOMEM, "out of memory for a consumer");
    if (s == SERIN_OK) s = setup(c, b, o, f);
    if (s == SERIN_OK)
        *out = c;
    else
        consumer_close(c);
    return s;
}

static void release(struct consumer *c)
{
    for (size_t i = 0; i < c->held; i++)
        if (c->batch[i] != NULL) rd_kafka_message_destroy(c->batch[i]);
    c->held = 0;
}

void consumer_keep(struct consumer *c, const struct bus_record *r)
{
    c->batch[r->at] = NULL;
}

void consumer_free(const struct bus_record *r)
{
    rd_kafka_message_destroy((rd_kafka_message_t *)(uintptr_t)r->message);
}

/* The owned partitions of a list as the caller sees them. */
static struct bus_partition *partitions_of(const struct consumer *c,
                                           const rd_kafka_topic_partition_list_t *list,
                                           size_t *n)
{
    struct bus_partition *p = mem_calloc((size_t)list->cnt, sizeof *p);
    *n = 0;
    for (int i = 0; p != NULL && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *e = &list->elems[i];
        const struct slots_topic *t = slots_topic(&c->slots, e->topic);
        const struct slot *s = slots_find(&c->slots, e->topic, e->partition);
        if (t == NULL) continue;
        p[(*n)++] = (struct bus_partition){t->name, e->partition,
                                           s != NULL ? s->next : e->offset};
    }
    return p;
}

static rd_kafka_topic_partition_list_t *list_of(const char *topic, int32_t partition,
                                                int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    return list;
}

/* The client remembers a pause even of what it does not own. */
static void let_go(struct consumer *c, const struct bus_partition *p)
{
    rd_kafka_topic_partition_list_t *list = list_of(p->topic, p->partition, p->offset);
    rd_kafka_resume_partitions(c->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static void revoke(struct consumer *c, const rd_kafka_topic_partition_list_t *list,
                   bool lost)
{
    size_t n;
    struct bus_partition *p = partitions_of(c, list, &n);
    for (size_t i = 0; i < n; i++) {
        struct slot *s = slots_find(&c->slots, p[i].topic, p[i].partition);
        if (s != NULL) s->leaving = true;
    }
    if (n > 0 && c->o.on_revoke != NULL) c->o.on_revoke(c->o.ctx, p, n, lost);
    for (size_t i = 0; i < n; i++) {
        struct slot *s = slots_find(&c->slots, p[i].topic, p[i].partition);
        if (s == NULL) continue;
        if (s->paused) let_go(c, &p[i]);
        *s = (struct slot){0};
    }
    mem_free(p);
}

static void say_error(struct consumer *c, const char *tried, rd_kafka_error_t *e)
{
    if (e == NULL) return;
    log_warn("bus", "%s: %s: %s", c->client->what, tried, rd_kafka_error_string(e));
    rd_kafka_error_destroy(e);
}

/* Take partitions from the client and give them back at chosen offsets: its own seek
 * waits a thousandth of the time it is told to. */
static void place(struct consumer *c, rd_kafka_topic_partition_list_t *list)
{
    if (list->cnt == 0) return;
    rd_kafka_topic_partition_list_t *off = rd_kafka_topic_partition_list_copy(list);
    say_error(c, "moving the read position", rd_kafka_incremental_unassign(c->rk, off));
    say_error(c, "moving the read position", rd_kafka_incremental_assign(c->rk, list));
    rd_kafka_topic_partition_list_destroy(off);
}

static void put_back(struct consumer *c)
{
    size_t n = slots_list(&c->slots, NULL, 0);
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)n + 1);
    for (size_t i = 0; i < c->slots.n; i++) {
        const struct slots_topic *t = &c->slots.topics[i];
        for (int32_t k = 0; k < t->n; k++)
            if (t->items[k].owned)
                rd_kafka_topic_partition_list_add(list, t->name, k)->offset =
                    t->items[k].next;
    }
    place(c, list);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Where to read partitions without a committed offset: asked for as a number, so that a
 * rewind comes back to the same place. A partition whose leader does not answer must
 * not keep the others waiting: the earliest record can be named without asking. */
static rd_kafka_resp_err_t resolve_start(struct consumer *c,
                                         rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_partition_list_t *open =
        rd_kafka_topic_partition_list_new(list->cnt);
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].offset < 0)
            rd_kafka_topic_partition_list_add(open, list->elems[i].topic,
                                              list->elems[i].partition)
                ->offset = c->start == BUS_START_LATEST ? RD_KAFKA_OFFSET_END
                                                        : RD_KAFKA_OFFSET_BEGINNING;
    if (open->cnt > 0) err = rd_kafka_offsets_for_times(c->rk, open, LOOKUP_MS);
    for (int i = 0; err == RD_KAFKA_RESP_ERR_NO_ERROR && i < open->cnt; i++) {
        const rd_kafka_topic_partition_t *e = &open->elems[i];
        err = e->err;
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
            rd_kafka_topic_partition_list_set_offset(list, e->topic, e->partition,
                                                     e->offset);
    }
    rd_kafka_topic_partition_list_destroy(open);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR || c->start == BUS_START_LATEST) return err;
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].offset < 0)
            list->elems[i].offset = RD_KAFKA_OFFSET_BEGINNING;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void say_silent(struct consumer *c, int n, rd_kafka_resp_err_t err)
{
    int64_t now = clock_mono_ms();
    bool tell = c->silent_ms != 0 && now - c->silent_ms >= SILENT_MS;
    if (tell || c->silent_ms == 0) c->silent_ms = now;
    log_write(tell ? LOG_WARN_LEVEL : LOG_DEBUG_LEVEL, "bus",
              "%s: where to read %d new partitions is not known yet: %s; asking again",
              c->client->what, n, rd_kafka_err2str(err));
}

/* False: the brokers do not answer, try again at the next poll. */
static bool find_offsets(struct consumer *c, rd_kafka_topic_partition_list_t *list)
{
    if (list->cnt == 0) return true;
    rd_kafka_resp_err_t err = rd_kafka_committed(c->rk, list, LOOKUP_MS);
    for (int i = 0; err == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
        err = list->elems[i].err;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR && !c->o.by_owner)
        err = resolve_start(c, list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) say_silent(c, list->cnt, err);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) c->silent_ms = 0;
    return err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* by_owner: what on_assign left as NONE starts where the options say; the client
 * resolves the logical offset by itself. */
static void take_owner_offsets(struct consumer *c,
                               rd_kafka_topic_partition_list_t *list,
                               const struct bus_partition *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        rd_kafka_topic_partition_list_set_offset(list, p[i].topic, p[i].partition,
                                                 p[i].offset);
    rd_kafka_resp_err_t err;
    int64_t until = clock_mono_ms() + OWNER_MS;
    while ((err = resolve_start(c, list)) != RD_KAFKA_RESP_ERR_NO_ERROR &&
           rd_kafka_fatal_error(c->rk, NULL, 0) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        say_silent(c, list->cnt, err);
        client_watch(c->client);
        if (clock_mono_ms() > until) c->overrun = true;
        if (c->overrun) return;
        clock_sleep_ms(AGAIN_MS);
    }
    c->silent_ms = 0;
}

static bool assign(struct consumer *c, rd_kafka_topic_partition_list_t *list)
{
    if (!find_offsets(c, list)) return false;
    size_t n;
    struct bus_partition *p = partitions_of(c, list, &n);
    if (n > 0 && c->o.on_assign != NULL) c->o.on_assign(c->o.ctx, p, n);
    if (c->o.by_owner) take_owner_offsets(c, list, p, n);
    put_back(c); /* before the new ones are owned */
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *e = &list->elems[i];
        if (!slots_own(&c->slots, e->topic, e->partition, e->offset)) c->overrun = true;
    }
    say_error(c, "assignment", rd_kafka_incremental_assign(c->rk, list));
    mem_free(p);
    return true;
}

/* Carry out what the group has decided; stops at a step that has to wait. */
static void apply_changes(struct consumer *c)
{
    while (c->n_changes > 0) {
        struct change *first = &c->changes[0];
        if (first->kind == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
            if (!assign(c, first->list)) return;
        } else {
            revoke(c, first->list, rd_kafka_assignment_lost(c->rk) != 0);
            say_error(c, "revocation",
                      rd_kafka_incremental_unassign(c->rk, first->list));
            put_back(c);
        }
        rd_kafka_topic_partition_list_destroy(first->list);
        memmove(first, first + 1, --c->n_changes * sizeof *first);
    }
}

/* Leave the group, and join it again once the partitions are given up: the group then
 * deals out what it had overlooked. A static member, too, leaves by this. */
static void join_again(struct consumer *c)
{
    rd_kafka_resp_err_t err = rd_kafka_unsubscribe(c->rk);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        log_warn("bus", "%s: leaving: %s", c->client->what, rd_kafka_err2str(err));
        return;
    }
    for (size_t i = 0; i < c->slots.n; i++)
        c->slots.topics[i].subscribed = false;
    c->waiting = c->left = true;
    c->left_ms = clock_mono_ms();
    c->look_ms = c->left_ms + TOPICS_AGAIN_MS;
}

/* After leaving: nothing is owned any more, a join may follow. */
static bool gone(struct consumer *c, int64_t now)
{
    if (!c->left || (c->n_changes == 0 && slots_list(&c->slots, NULL, 0) == 0))
        return true;
    if (now - c->left_ms > REJOIN_MS)
        c->overrun = true; /* the handle does not let go */
    return false;
}

/* Partitions that nobody reads, of the group or of this member. */
static void watch(struct consumer *c)
{
    struct bus_partition p;
    if (c->n_changes > 0) c->watch.wrong = 0;
    if (c->left || c->n_changes > 0 || !client_connected(c->client)) return;
    if (watch_group(&c->watch, &c->slots, c->client->what)) {
        join_again(c);
    } else if (watch_partition(&c->watch, &c->slots, LOOKUP_MS, &p)) {
        log_warn("bus",
                 "%s: %s [%d] stands still at offset %lld though there are records; "
                 "reading it anew from there",
                 c->client->what, p.topic, (int)p.partition, (long long)p.offset);
        rd_kafka_topic_partition_list_t *list = list_of(p.topic, p.partition, p.offset);
        place(c, list);
        rd_kafka_topic_partition_list_destroy(list);
    }
}

/* Subscribe to the topics that exist: a batch read of a missing one crashes 2.0.2. */
static void look_for_topics(struct consumer *c, int timeout_ms)
{
    int64_t now = clock_mono_ms();
    if (!c->waiting || now < c->look_ms || !gone(c, now)) return;
    struct fault f;
    const rd_kafka_metadata_t *md =
        client_metadata(c->client, timeout_ms > 100 ? timeout_ms : 100, &f);
    if (md == NULL) return;
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)c->slots.n);
    size_t before = 0;
    for (size_t i = 0; i < c->slots.n; i++) {
        struct slots_topic *t = &c->slots.topics[i];
        const rd_kafka_metadata_topic_t *found = client_topic(md, t->name);
        before += t->subscribed;
        if (found != NULL) t->count = found->partition_cnt;
        if (!t->subscribed && found == NULL) {
            if (c->look_ms == 0)
                log_warn("bus",
                         "%s: topic %s does not exist or may not be read; waiting "
                         "for it ('serin topics create' makes serin's own)",
                         c->client->what, t->name);
            continue;
        }
        t->subscribed = true;
        rd_kafka_topic_partition_list_add(list, t->name, RD_KAFKA_PARTITION_UA);
    }
    c->look_ms = now + TOPICS_AGAIN_MS;
    c->waiting = (size_t)list->cnt < c->slots.n;
    if ((size_t)list->cnt > before) {
        c->joining = true;
        if (before == 0) c->joined = c->left = false;
        rd_kafka_resp_err_t err = rd_kafka_subscribe(c->rk, list);
        if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
            log_warn("bus", "%s: subscribe: %s", c->client->what,
                     rd_kafka_err2str(err));
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_metadata_destroy(md);
}

/* The offset we want is gone: go on at the earliest there is. */
static void skip_gap(struct consumer *c, const struct slots_topic *t, int32_t partition)
{
    struct slot *s = slots_find(&c->slots, t->name, partition);
    int64_t low, high;
    if (s == NULL) return;
    int64_t expected = s->next;
    rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(
        c->rk, t->name, partition, &low, &high, LOOKUP_MS);
    /* No answer, or the offset exists: ask again, the client reports it again. */
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR && (expected < low || expected > high)) {
        log_warn("bus", "%s: %s [%d]: offset %lld is gone; going on at %lld",
                 c->client->what, t->name, (int)partition, (long long)expected,
                 (long long)low);
        s->next = s->start = low;
        s->eof = BUS_OFFSET_NONE;
    }
    rd_kafka_topic_partition_list_t *list = list_of(t->name, partition, s->next);
    place(c, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (s->next == expected || c->o.on_gap == NULL) return;
    struct bus_partition p = {t->name, partition, s->next};
    c->o.on_gap(c->o.ctx, &p, expected, s->next);
}

/* A message that is no record. Broker trouble passes; a dead handle is seen by the
 * poll. */
static void take_event(struct consumer *c, const rd_kafka_message_t *m)
{
    struct slots_topic *t =
        m->rkt != NULL ? slots_topic(&c->slots, rd_kafka_topic_name(m->rkt)) : NULL;
    struct slot *s = t != NULL ? slots_find(&c->slots, t->name, m->partition) : NULL;
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (s == NULL || s->paused) return;
        s->eof = m->offset;
        if (m->offset > s->next) s->next = m->offset;
    } else if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
               m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
        if (s != NULL) skip_gap(c, t, m->partition);
    } else {
        const char *why = rd_kafka_message_errstr(m);
        if (strcmp(c->client->told, why) == 0) return;
        snprintf(c->client->told, sizeof c->client->told, "%s", why);
        log_warn("bus", "%s: %s", c->client->what, why);
    }
}

static bool take_record(struct consumer *c, const rd_kafka_message_t *m,
                        struct slots_topic **at, struct bus_record *out)
{
    struct slots_topic *t = *at;
    if (t == NULL || t->handle != m->rkt) {
        t = slots_topic(&c->slots, rd_kafka_topic_name(m->rkt));
        if (t == NULL) return false;
        t->handle = m->rkt;
        *at = t;
    }
    if (m->partition >= t->n) return false;
    struct slot *s = &t->items[m->partition];
    /* Not ours now, or seen, or to be read again when it is resumed. */
    if (!s->owned || m->offset < s->next || s->paused) return false;
    s->next = m->offset + 1;
    *out = client_record(m, t->name);
    out->message = m;
    return true;
}

static int64_t high_of(const struct consumer *c, const char *topic, int32_t partition)
{
    int64_t low, high;
    rd_kafka_resp_err_t err =
        rd_kafka_get_watermark_offsets(c->rk, topic, partition, &low, &high);
    return err == RD_KAFKA_RESP_ERR_NO_ERROR ? high : -1;
}

/* A client that has fetched as much ahead as it may looks again only after a second
 * (2.0.2), though the records were taken long ago. A question to the partitions'
 * leaders wakes its threads. Only when there is nothing to do but wait. */
static void wake(struct consumer *c)
{
    int64_t now = clock_mono_ms();
    if (now - c->woken_ms < WAKE_MS) return;
    c->woken_ms = now;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    for (size_t i = 0; i < c->slots.n; i++) {
        const struct slots_topic *t = &c->slots.topics[i];
        for (int32_t k = 0; k < t->n; k++)
            if (t->items[k].owned && !t->items[k].paused &&
                high_of(c, t->name, k) > t->items[k].next)
                rd_kafka_topic_partition_list_add(list, t->name, k)->offset =
                    RD_KAFKA_OFFSET_END;
    }
    /* The answer does not matter. */
    if (list->cnt > 0) rd_kafka_offsets_for_times(c->rk, list, WAKE_MS);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Records that were fetched ahead of a pause are dropped by the batch call, which then
 * stands behind them: so the place is named when reading goes on. */
void consumer_pause(struct consumer *c, const char *topic, int32_t partition)
{
    struct slot *s = slots_find(&c->slots, topic, partition);
    if (s == NULL || s->paused) return;
    rd_kafka_topic_partition_list_t *list = list_of(topic, partition, s->next);
    s->paused = rd_kafka_pause_partitions(c->rk, list) == RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_topic_partition_list_destroy(list);
}

void consumer_resume(struct consumer *c, const char *topic, int32_t partition)
{
    struct slot *s = slots_find(&c->slots, topic, partition);
    if (s == NULL || !s->paused) return;
    struct bus_partition p = {topic, partition, s->next};
    s->paused = false;
    s->still_ms = 0; /* it stood still because it was told to */
    let_go(c, &p);
    if (s->leaving) return;
    rd_kafka_topic_partition_list_t *list = list_of(topic, partition, s->next);
    place(c, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static enum serin_status fetch(struct consumer *c, size_t max, int timeout_ms,
                               struct fault *f)
{
    if (max > c->room) {
        rd_kafka_message_t **more = mem_realloc(c->batch, max, sizeof *more);
        if (more == NULL)
            return fault_set(f, SERIN_ENOMEM, "out of memory for a batch");
        c->batch = more;
        c->room = max;
    }
    /* A batch call waits until the batch is full: wait for one record only. */
    ssize_t n = rd_kafka_consume_batch_queue(c->queue, 0, c->batch, max);
    if (n == 0) wake(c);
    if (n == 0 && timeout_ms > 0 && c->n_changes == 0)
        n = rd_kafka_consume_batch_queue(c->queue, timeout_ms, c->batch, 1);
    if (n > 0) c->held = (size_t)n;
    if (c->held == 1 && max > 1) {
        n = rd_kafka_consume_batch_queue(c->queue, 0, c->batch + 1, max - 1);
        if (n > 0) c->held += (size_t)n;
    }
    return SERIN_OK;
}

enum serin_status consumer_poll(struct consumer *c, struct bus_record *out, size_t max,
                                size_t *n, int timeout_ms, struct fault *f)
{
    *n = 0;
    release(c);
    enum serin_status s = client_alive(c->client, f);
    if (s != SERIN_OK) return s;
    look_for_topics(c, timeout_ms);
    watch(c);
    apply_changes(c);
    if (c->overrun) {
        fault_set(f, SERIN_EIO, "%s: lost track of its partitions; reopening it",
                  c->client->what);
        if (f != NULL) f->fatal = true;
        return SERIN_EIO;
    }
    s = fetch(c, max, timeout_ms, f);
    struct slots_topic *at = NULL;
    for (size_t i = 0; i < c->held; i++) {
        if (c->batch[i]->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            take_event(c, c->batch[i]);
        else if (take_record(c, c->batch[i], &at, &out[*n]))
            out[(*n)++].at = i;
    }
    client_watch(c->client);
    return s;
}

struct strview consumer_content_type(const struct bus_record *r)
{
    static const char *const names[] = {"content-type", "Content-Type", "contentType"};
    struct strview none = {NULL, 0};
    rd_kafka_headers_t *headers;
    const void *value;
    size_t n;
    if (r->message == NULL ||
        rd_kafka_message_headers(r->message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return none;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (rd_kafka_header_get_last(headers, names[i], &value, &n) ==
            RD_KAFKA_RESP_ERR_NO_ERROR)
            return (struct strview){value, n};
    return none;
}

enum serin_status consumer_rewind(struct consumer *c, const struct bus_partition *p,
                                  size_t n, struct fault *f)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)n + 1);
    for (size_t i = 0; i < n; i++) {
        struct slot *s = slots_find(&c->slots, p[i].topic, p[i].partition);
        if (s == NULL) continue;
        s->next = p[i].offset >= 0 ? p[i].offset : s->start;
        s->eof = BUS_OFFSET_NONE;
        if (!s->leaving)
            rd_kafka_topic_partition_list_add(list, p[i].topic, p[i].partition)
                ->offset = s->next;
    }
    place(c, list);
    rd_kafka_topic_partition_list_destroy(list);
    return client_alive(c->client, f);
}

enum serin_status consumer_committed(struct consumer *c, struct bus_partition *p,
                                     size_t n, int timeout_ms, struct fault *f)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)n + 1);
    for (size_t i = 0; i < n; i++)
        if (slots_find(&c->slots, p[i].topic, p[i].partition) != NULL)
            rd_kafka_topic_partition_list_add(list, p[i].topic, p[i].partition);
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (list->cnt > 0) err = rd_kafka_committed(c->rk, list, timeout_ms);
    for (int i = 0; err == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
        err = list->elems[i].err;
    for (size_t i = 0; err == RD_KAFKA_RESP_ERR_NO_ERROR && i < n; i++) {
        const rd_kafka_topic_partition_t *e =
            rd_kafka_topic_partition_list_find(list, p[i].topic, p[i].partition);
        p[i].offset = e != NULL && e->offset >= 0 ? e->offset : BUS_OFFSET_NONE;
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) return SERIN_OK;
    return client_fault(c->client, f, "reading committed offsets", err);
}

enum serin_status consumer_commit(struct consumer *c, const struct bus_partition *p,
                                  size_t n, struct fault *f)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)n + 1);
    for (size_t i = 0; i < n; i++)
        if (p[i].offset >= 0 &&
            slots_find(&c->slots, p[i].topic, p[i].partition) != NULL)
            rd_kafka_topic_partition_list_add(list, p[i].topic, p[i].partition)
                ->offset = p[i].offset;
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (list->cnt > 0) err = rd_kafka_commit(c->rk, list, 0);
    rd_kafka_topic_partition_list_destroy(list);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) return SERIN_OK;
    return client_fault(c->client, f, "committing offsets", err);
}

size_t consumer_assignment(const struct consumer *c, struct bus_partition *p,
                           size_t room)
{
    return slots_list(&c->slots, p, room);
}

int64_t consumer_position(const struct consumer *c, const char *topic,
                          int32_t partition)
{
    const struct slot *s = slots_find(&c->slots, topic, partition);
    return s != NULL ? s->next : BUS_OFFSET_NONE;
}

int64_t consumer_lag(const struct consumer *c, const char *topic, int32_t partition)
{
    const struct slot *s = slots_find(&c->slots, topic, partition);
    int64_t high = s != NULL ? high_of(c, topic, partition) : -1;
    if (s == NULL || high < 0) return -1;
    int64_t next = s->next > 0 ? s->next : 0; /* may be the earliest, by name */
    return high > next ? high - next : 0;
}

bool consumer_caught_up(const struct consumer *c, const char *topic, int32_t partition)
{
    const struct slot *s = slots_find(&c->slots, topic, partition);
    int64_t high = s != NULL ? high_of(c, topic, partition) : -1;
    return s != NULL && high >= 0 && s->next >= high;
}

size_t consumer_queued(const struct consumer *c)
{
    return rd_kafka_queue_length(c->queue);
}

bool consumer_connected(const struct consumer *c)
{
    return client_connected(c->client);
}

rd_kafka_t *consumer_handle(const struct consumer *c)
{
    return c->rk;
}

/* The handle's own close may hang, so the end is ours to run: the last commit, the
 * partitions, then the handle. */
static void leave(struct consumer *c)
{
    size_t n = slots_list(&c->slots, NULL, 0);
    struct bus_partition *p = mem_calloc(n, sizeof *p);
    if (p == NULL || n == 0) {
        mem_free(p);
        return;
    }
    slots_list(&c->slots, p, n);
    bool lost = rd_kafka_assignment_lost(c->rk) != 0 ||
                rd_kafka_fatal_error(c->rk, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (c->o.on_revoke != NULL) c->o.on_revoke(c->o.ctx, p, n, lost);
    mem_free(p);
}

/* Serve the queue of a handle that is ending; every rebalance has to be answered, or
 * the handle waits for the answer for ever. */
static void answer(struct consumer *c, int timeout_ms)
{
    rd_kafka_message_t *m;
    if (rd_kafka_consume_batch_queue(c->queue, timeout_ms, &m, 1) == 1)
        rd_kafka_message_destroy(m);
    for (; c->n_changes > 0; c->n_changes--) {
        struct change *first = &c->changes[0];
        rd_kafka_topic_partition_list_t *list = first->list;
        for (int i = 0; i < list->cnt; i++)
            list->elems[i].offset = RD_KAFKA_OFFSET_END;
        rd_kafka_error_t *e = first->kind == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
                                  ? rd_kafka_incremental_assign(c->rk, list)
                                  : rd_kafka_incremental_unassign(c->rk, list);
        if (e != NULL) rd_kafka_error_destroy(e);
        rd_kafka_topic_partition_list_destroy(list);
        memmove(first, first + 1, (c->n_changes - 1) * sizeof *first);
    }
}

static bool holds_partitions(const struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    if (rd_kafka_assignment(c->rk, &list) != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
    bool some = list->cnt > 0;
    rd_kafka_topic_partition_list_destroy(list);
    return some;
}

/* Out of the group's rebalances. False: the handle must be left alone, because one that
 * ends between its join and its first assignment crashes the process (before 2.3.0). */
static bool quit(struct consumer *c)
{
    int64_t now = clock_mono_ms(), until = now + QUIT_MS, join_until = now + JOIN_MS;
    if (!c->joining) return true;
    if (rd_kafka_version() < ASSIGNOR_FIXED)
        while (!c->joined && clock_mono_ms() < join_until)
            answer(c, 100);
    if (rd_kafka_version() < ASSIGNOR_FIXED && !c->joined) {
        log_warn("bus",
                 "%s: no first assignment within %d s; its handle is left behind",
                 c->client->what, JOIN_MS / 1000);
        return false;
    }
    rd_kafka_unsubscribe(c->rk);
    do {
        answer(c, 10);
    } while (holds_partitions(c) && clock_mono_ms() < until);
    answer(c, 10);
    return true;
}

void consumer_close(struct consumer *c)
{
    if (c == NULL) return;
    release(c);
    if (c->rk != NULL) leave(c);
    bool end = c->queue == NULL || quit(c);
    for (size_t i = 0; i < c->n_changes; i++)
        rd_kafka_topic_partition_list_destroy(c->changes[i].list);
    for (size_t i = 0; c->handles != NULL && i < c->slots.n; i++)
        if (c->handles[i] != NULL) rd_kafka_topic_destroy(c->handles[i]);
    watch_close(&c->watch);
    if (c->queue != NULL) rd_kafka_queue_destroy(c->queue);
    if (end) client_close(c->client);
    slots_free(&c->slots);
    mem_free(c->handles);
    mem_free(c->batch);
    mem_free(c);
}
