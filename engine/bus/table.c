/* engine/bus/table.c -- a topic as a table: from its beginning, then on, outside a
 * group
 *
 * Complete means: read to the high watermark seen by the first fetch. The end that
 * read_committed reports (last stable offset) stops short of an open transaction, and
 * state written just before a crash lies behind it. */
#include "engine/bus/table.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/bus/client.h"

enum { TABLE_BATCH = 1000, OPEN_MS = 10000, LOOK_MS = 1000 };

struct part {
    int32_t partition;
    int64_t next;   /* read so far; -1 = nothing has come yet */
    int64_t target; /* high watermark of the first fetch; -1 = not known */
};

struct table {
    struct client *client;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t *handle;
    char *topic;
    struct part *parts;
    size_t n_parts;
    void (*on_record)(void *ctx, const struct bus_record *r);
    void *ctx;
    size_t missing; /* parts not read to their target */
};

/* How many partitions the topic has; 0 with *f filled. */
static int32_t count_partitions(struct table *t, struct fault *f)
{
    const rd_kafka_metadata_t *md = client_metadata(t->client, OPEN_MS, f);
    int32_t n = 0;
    if (md == NULL) return 0;
    const rd_kafka_metadata_topic_t *topic = client_topic(md, t->topic);
    if (topic != NULL)
        n = topic->partition_cnt;
    else
        fault_set(
            f, SERIN_EIO,
            "topic %s does not exist or may not be read: 'serin topics create' makes "
            "serin's topics, and its ACL must allow READ",
            t->topic);
    rd_kafka_metadata_destroy(md);
    return n;
}

static enum serin_status choose(struct table *t, const struct table_options *o,
                                struct fault *f)
{
    int32_t count = count_partitions(t, f);
    if (count == 0) return SERIN_EIO;
    t->n_parts = o->partitions != NULL ? o->n_partitions : (size_t)count;
    t->parts = mem_calloc(t->n_parts, sizeof *t->parts);
    if (t->parts == NULL)
        return fault_set(f, SERIN_ENOMEM, "out of memory for a table");
    for (size_t i = 0; i < t->n_parts; i++) {
        int32_t p = o->partitions != NULL ? o->partitions[i] : (int32_t)i;
        if (p < 0 || p >= count)
            return fault_set(f, SERIN_EDOM, "topic %s: partition %d of 0 to %d",
                             t->topic, (int)p, (int)count - 1);
        t->parts[i] = (struct part){p, -1, -1};
    }
    t->missing = t->n_parts;
    return SERIN_OK;
}

/* Where a partition that was read before goes on. */
static enum serin_status resume(struct table *t, const struct table_options *o,
                                rd_kafka_topic_partition_t *at, struct fault *f)
{
    int64_t low, high, start = o->start_of(o->ctx, at->partition);
    if (start < 0) return SERIN_OK; /* its beginning */
    rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(
        t->client->rk, t->topic, at->partition, &low, &high, OPEN_MS);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return client_fault(t->client, f, "asking for the offsets there are", err);
    at->offset = start >= low && start <= high ? start : low;
    if (at->offset != start && o->on_gap != NULL)
        o->on_gap(o->ctx, at->partition, start, at->offset);
    return SERIN_OK;
}

/* What list->elems[].offset is left at is the beginning. */
static enum serin_status place(struct table *t, const struct table_options *o,
                               rd_kafka_topic_partition_list_t *list, struct fault *f)
{
    enum serin_status s = SERIN_OK;
    for (int i = 0; s == SERIN_OK && i < list->cnt; i++) {
        rd_kafka_topic_partition_t *at = &list->elems[i];
        at->offset = o->last > 0       ? RD_KAFKA_OFFSET_TAIL(o->last)
                     : o->since_ms > 0 ? o->since_ms
                     : o->start >= 0   ? o->start
                                       : RD_KAFKA_OFFSET_BEGINNING;
        if (o->start_of != NULL) {
            at->offset = RD_KAFKA_OFFSET_BEGINNING;
            s = resume(t, o, at, f);
        }
    }
    if (s != SERIN_OK || o->since_ms <= 0 || o->start_of != NULL) return s;
    rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(t->client->rk, list, OPEN_MS);
    for (int i = 0; err == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
        err = list->elems[i].err;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) return SERIN_OK;
    return client_fault(t->client, f, "asking where a time is", err);
}

static enum serin_status assign(struct table *t, const struct table_options *o,
                                struct fault *f)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)t->n_parts);
    for (size_t i = 0; i < t->n_parts; i++)
        rd_kafka_topic_partition_list_add(list, t->topic, t->parts[i].partition);
    enum serin_status s = place(t, o, list, f);
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (s == SERIN_OK) err = rd_kafka_assign(t->client->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) return s;
    return client_fault(t->client, f, "assigning partitions", err);
}

static enum serin_status begin(struct table *t, struct bus *b,
                               const struct table_options *o, struct fault *f)
{
    char what[128], group[300], bounds[4][24];
    snprintf(what, sizeof what, "table %.100s", o->topic);
    snprintf(group, sizeof group, "%stable", bus_prefix(b));
    struct client_setup s = {.what = what, .owner = t};
    s.extra[s.n_extra++] =
        (struct bus_property){"group.id", group}; /* no member of it */
    client_bound_queue(&s, b, o->queue_bytes, bounds);
    enum serin_status status = client_open(&t->client, b, CLIENT_TABLE, &s, f);
    if (status != SERIN_OK) return status;
    rd_kafka_t *rk = t->client->rk;
    rd_kafka_poll_set_consumer(rk);
    t->queue = rd_kafka_queue_get_consumer(rk);
    t->handle = rd_kafka_topic_new(rk, t->topic, NULL);
    if (t->handle == NULL)
        return fault_set(f, SERIN_EDOM, "topic \"%s\": %s", t->topic,
                         rd_kafka_err2str(rd_kafka_last_error()));
    status = choose(t, o, f);
    return status == SERIN_OK ? assign(t, o, f) : status;
}

enum serin_status table_open(struct table **out, struct bus *b,
                             const struct table_options *o, struct fault *f)
{
    struct table *t = mem_calloc(1, sizeof *t);
    if (t == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory for a table");
    t->on_record = o->on_record;
    t->ctx = o->ctx;
    t->topic = mem_strdup(o->topic);
    enum serin_status s = t->topic != NULL
                              ? begin(t, b, o, f)
                              : fault_set(f, SERIN_ENOMEM, "out of memory");
    if (s == SERIN_OK)
        *out = t;
    else
        table_close(t);
    return s;
}

void table_close(struct table *t)
{
    if (t == NULL) return;
    if (t->handle != NULL) rd_kafka_topic_destroy(t->handle);
    if (t->queue != NULL) rd_kafka_queue_destroy(t->queue);
    client_close(t->client);
    mem_free(t->topic);
    mem_free(t->parts);
    mem_free(t);
}

static struct part *part_of(struct table *t, int32_t partition)
{
    if (partition >= 0 && (size_t)partition < t->n_parts &&
        t->parts[partition].partition == partition)
        return &t->parts[partition];
    for (size_t i = 0; i < t->n_parts; i++)
        if (t->parts[i].partition == partition) return &t->parts[i];
    return NULL;
}

static void advance(struct table *t, struct part *p, int64_t next)
{
    bool was = p->target >= 0 && p->next >= p->target;
    if (next > p->next) p->next = next;
    if (p->target < 0) {
        int64_t low, high;
        rd_kafka_resp_err_t err = rd_kafka_get_watermark_offsets(
            t->client->rk, t->topic, p->partition, &low, &high);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0) p->target = high;
    }
    if (!was && p->target >= 0 && p->next >= p->target) t->missing--;
}

static void take(struct table *t, const rd_kafka_message_t *m)
{
    struct part *p = m->rkt != NULL ? part_of(t, m->partition) : NULL;
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (p != NULL) advance(t, p, m->offset);
        return;
    }
    if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char *why = rd_kafka_message_errstr(m);
        if (strcmp(t->client->told, why) == 0) return;
        snprintf(t->client->told, sizeof t->client->told, "%s", why);
        log_warn("bus", "%s: %s", t->client->what, why);
        return;
    }
    if (p == NULL || m->offset < p->next) return;
    struct bus_record r = client_record(m, t->topic);
    r.message = m;
    t->on_record(t->ctx, &r);
    advance(t, p, m->offset + 1);
}

enum serin_status table_poll(struct table *t, int timeout_ms, struct fault *f)
{
    rd_kafka_message_t *batch[TABLE_BATCH];
    enum serin_status s = client_alive(t->client, f);
    if (s != SERIN_OK) return s;
    /* A batch call waits until the batch is full: wait for one record only. */
    ssize_t n = rd_kafka_consume_batch_queue(t->queue, 0, batch, TABLE_BATCH);
    if (n == 0 && timeout_ms > 0)
        n = rd_kafka_consume_batch_queue(t->queue, timeout_ms, batch, 1);
    for (ssize_t i = 0; i < n; i++) {
        take(t, batch[i]);
        rd_kafka_message_destroy(batch[i]);
    }
    client_watch(t->client);
    return SERIN_OK;
}

void table_retry(struct table **t, char said[TABLE_SAID], const char *who,
                 const struct fault *f)
{
    enum { RETRY_MS = 1000 };
    if (strcmp(said, f->text) != 0) log_warn(who, "trying again: %s", f->text);
    snprintf(said, TABLE_SAID, "%s", f->text);
    if (!f->retriable) {
        table_close(*t);
        *t = NULL;
    }
    clock_sleep_ms(RETRY_MS);
}

bool table_caught_up(const struct table *t)
{
    return t->missing == 0;
}

size_t table_partitions(const struct table *t)
{
    return t->n_parts;
}

bool table_outgrown(struct table *t)
{
    struct fault f;
    const rd_kafka_metadata_t *md = client_metadata(t->client, LOOK_MS, &f);
    if (md == NULL) return false;
    const rd_kafka_metadata_topic_t *topic = client_topic(md, t->topic);
    bool more = topic != NULL && (size_t)topic->partition_cnt > t->n_parts;
    rd_kafka_metadata_destroy(md);
    return more;
}
