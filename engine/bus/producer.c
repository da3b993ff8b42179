/* engine/bus/producer.c -- records out; with offsets, in transactions
 *
 * A commit or abort whose answer got lost may still be carried out by the broker later,
 * and would then end a following transaction. So a producer whose request to end one
 * got no answer is replaced before its next begin. */
#include "engine/bus/producer.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/bus/client.h"

enum {
    SLICE_MS = 1000,   /* between two looks at the brokers' state */
    COMMIT_MS = 60000, /* then the producer is given up */
    ABORT_MS = 30000,
    FULL_MS = 60000,  /* wait for room in the client's queue */
    SERVE_EVERY = 32, /* sends between two looks for delivery reports */
};

struct producer {
    struct client *client;
    rd_kafka_t *rk;
    struct bus *bus;
    char *id;           /* transactional id; NULL = none */
    bool transactional; /* false on the embedded broker */
    rd_kafka_topic_t **topics;
    size_t n_topics;
    unsigned sends;
    uint64_t lost;  /* records not written since the last flush */
    bool too_large; /* all of them because the topic takes none of their size */
    char loss[256];
    char lost_topic[256]; /* of the first one lost since the last begin */
};

enum serin_status producer_fault(rd_kafka_error_t *e, struct fault *f)
{
    if (e == NULL) return SERIN_OK;
    bool fenced = rd_kafka_error_code(e) == RD_KAFKA_RESP_ERR__FENCED;
    struct fault found = {.code = SERIN_EIO,
                          .retriable = rd_kafka_error_is_retriable(e) != 0,
                          .rewind = rd_kafka_error_txn_requires_abort(e) != 0,
                          .fatal = fenced || rd_kafka_error_is_fatal(e) != 0};
    /* Neither to be repeated nor to be aborted: only a new producer helps. */
    if (!found.retriable && !found.rewind) found.fatal = true;
    if (found.fatal) found.retriable = found.rewind = false;
    snprintf(found.text, sizeof found.text, "producer: %s (%s); %s",
             rd_kafka_error_string(e), rd_kafka_error_name(e),
             found.fatal    ? "opening another producer"
             : found.rewind ? "aborting, restarting from the last commit"
                            : "trying again");
    rd_kafka_error_destroy(e); /* ours now */
    if (f != NULL) *f = found;
    return SERIN_EIO;
}

static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct producer *p = ((struct client *)opaque)->owner;
    (void)rk;
    if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR || p == NULL) return;
    p->too_large = (p->lost == 0 || p->too_large) &&
                   m->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    const char *topic = m->rkt != NULL ? rd_kafka_topic_name(m->rkt) : "?";
    /* Those given up because another one was lost say nothing about their topic. */
    if (*p->lost_topic == '\0' && m->err != RD_KAFKA_RESP_ERR__PURGE_QUEUE &&
        m->err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
        snprintf(p->lost_topic, sizeof p->lost_topic, "%s", topic);
    if (p->lost++ == 0)
        snprintf(p->loss, sizeof p->loss, "%s [%d]: %s", topic, (int)m->partition,
                 rd_kafka_err2str(m->err));
}

/* The topic's object, made at its first use: the client needs its metadata to send. */
static rd_kafka_topic_t *topic_of(struct producer *p, const char *name)
{
    for (size_t i = 0; i < p->n_topics; i++)
        if (strcmp(rd_kafka_topic_name(p->topics[i]), name) == 0) return p->topics[i];
    rd_kafka_topic_t **more = mem_realloc(p->topics, p->n_topics + 1, sizeof(void *));
    if (more == NULL) return NULL;
    p->topics = more;
    rd_kafka_topic_t *t = rd_kafka_topic_new(p->rk, name, NULL);
    if (t != NULL) p->topics[p->n_topics++] = t;
    return t;
}

static void serve(struct producer *p)
{
    rd_kafka_poll(p->rk, 0);
    client_watch(p->client);
}

static int slice_until(int64_t deadline)
{
    int64_t left = deadline - clock_mono_ms();
    return left > SLICE_MS ? SLICE_MS : left > 0 ? (int)left : 0;
}

static enum serin_status init_transactions(struct producer *p, int64_t deadline,
                                           struct fault *f)
{
    for (;;) {
        struct fault found = {0};
        rd_kafka_error_t *e = rd_kafka_init_transactions(p->rk, slice_until(deadline));
        serve(p);
        if (producer_fault(e, &found) == SERIN_OK) return SERIN_OK;
        if (found.retriable && clock_mono_ms() < deadline) continue;
        if (found.retriable) {
            client_fault(p->client, &found, "init_transactions",
                         RD_KAFKA_RESP_ERR__TIMED_OUT);
            found.retriable = true;
        }
        if (f != NULL) *f = found;
        return SERIN_EIO;
    }
}

/* Know serin's topics before the first send: a cold topic makes it wait up to a second.
 */
static enum serin_status warm(struct producer *p, int64_t deadline, struct fault *f)
{
    for (int t = 0; t < BUS_TOPIC_COUNT; t++)
        if (topic_of(p, bus_topic_name(p->bus, (enum bus_topic)t)) == NULL)
            return fault_set(f, SERIN_ENOMEM, "out of memory for a topic");
    for (;;) {
        struct fault found = {0};
        const rd_kafka_metadata_t *md =
            client_metadata(p->client, slice_until(deadline), &found);
        serve(p);
        if (md != NULL) {
            rd_kafka_metadata_destroy(md);
            return SERIN_OK;
        }
        if (clock_mono_ms() < deadline && found.retriable) continue;
        if (f != NULL) *f = found;
        return SERIN_EIO;
    }
}

static enum serin_status start(struct producer *p, int timeout_ms, struct fault *f)
{
    char what[128];
    int64_t deadline = clock_mono_ms() + timeout_ms;
    snprintf(what, sizeof what, "producer%s%.100s", p->id != NULL ? " " : "",
             p->id != NULL ? p->id : "");
    struct client_setup s = {.what = what, .delivered = on_delivered, .owner = p};
    if (p->transactional)
        s.extra[s.n_extra++] = (struct bus_property){"transactional.id", p->id};
    enum serin_status status = client_open(&p->client, p->bus, CLIENT_PRODUCER, &s, f);
    if (status != SERIN_OK) return status;
    p->rk = p->client->rk;
    status = warm(p, deadline, f);
    if (status == SERIN_OK && p->transactional)
        status = init_transactions(p, deadline, f);
    return status;
}

static void stop(struct producer *p)
{
    for (size_t i = 0; i < p->n_topics; i++)
        rd_kafka_topic_destroy(p->topics[i]);
    mem_free(p->topics);
    p->topics = NULL;
    p->n_topics = 0;
    /* Late reports must not reach an owner that is gone. */
    if (p->client != NULL) p->client->owner = NULL;
    client_close(p->client);
    p->client = NULL;
    p->rk = NULL;
    p->lost = 0;
}

enum serin_status producer_open(struct producer **out, struct bus *b, const char *role,
                                int timeout_ms, struct fault *f)
{
    char id[512];
    struct producer *p = mem_calloc(1, sizeof *p);
    if (p == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory for a producer");
    p->bus = b;
    enum serin_status s = SERIN_OK;
    if (role != NULL) {
        snprintf(id, sizeof id, "%s%s-%s", bus_prefix(b), role, bus_instance(b));
        p->transactional = bus_transactional(b);
        if ((p->id = mem_strdup(id)) == NULL)
            s = fault_set(f, SERIN_ENOMEM, "out of memory for a producer");
    }
    if (s == SERIN_OK) s = start(p, timeout_ms, f);
    if (s == SERIN_OK)
        *out = p;
    else
        producer_close(p);
    return s;
}

void producer_close(struct producer *p)
{
    if (p == NULL) return;
    stop(p);
    mem_free(p->id);
    mem_free(p);
}

static enum serin_status dead(struct fault *f, const char *text)
{
    fault_set(f, SERIN_EIO, "%s; open another producer", text);
    if (f != NULL) f->fatal = true;
    return SERIN_EIO;
}

const char *producer_lost_topic(const struct producer *p)
{
    return p->lost_topic;
}

enum serin_status producer_begin(struct producer *p, struct fault *f)
{
    *p->lost_topic = '\0';
    if (!p->transactional) return client_alive(p->client, f);
    serve(p);
    if (atomic_load(&p->client->doubt)) {
        log_info("bus",
                 "%s: the end of a transaction got no answer; replacing the producer",
                 p->client->what);
        stop(p);
        enum serin_status s = start(p, COMMIT_MS, f);
        if (s != SERIN_OK && f != NULL) {
            f->fatal = true;
            f->retriable = f->rewind = false;
        }
        if (s != SERIN_OK) return s;
    }
    return producer_fault(rd_kafka_begin_transaction(p->rk), f);
}

static enum serin_status send_fault(struct producer *p, struct fault *f,
                                    const char *topic, size_t size,
                                    rd_kafka_resp_err_t err)
{
    snprintf(p->lost_topic, sizeof p->lost_topic, "%s", topic);
    if (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        return fault_set(
            f, SERIN_ELIMIT,
            "%s: a record of %zu bytes is over kafka.message.max.bytes; raise "
            "it there and max.message.bytes of the topic",
            topic, size);
    enum serin_status s = client_alive(p->client, f);
    if (s != SERIN_OK) return s;
    fault_set(f, SERIN_EIO, "%s: %s", topic, rd_kafka_err2str(err));
    if (f != NULL) f->rewind = p->transactional;
    return SERIN_EIO;
}

static rd_kafka_resp_err_t queue_record(struct producer *p, rd_kafka_topic_t *t,
                                        int32_t partition, const char *type,
                                        struct strview key, const void *value, size_t n)
{
    if (partition < 0) partition = RD_KAFKA_PARTITION_UA;
    if (type == NULL) {
        int rc = rd_kafka_produce(t, partition, RD_KAFKA_MSG_F_COPY,
                                  (void *)(uintptr_t)value, n, key.p, key.n, NULL);
        return rc == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_last_error();
    }
    return rd_kafka_producev(
        p->rk, RD_KAFKA_V_RKT(t), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)value, n), RD_KAFKA_V_KEY(key.p, key.n),
        RD_KAFKA_V_HEADER("content-type", type, -1), RD_KAFKA_V_END);
}

static enum serin_status send_record(struct producer *p, const char *topic,
                                     int32_t partition, const char *type,
                                     struct strview key, const void *value,
                                     size_t value_len, struct fault *f)
{
    rd_kafka_topic_t *t = topic_of(p, topic);
    int64_t deadline = 0;
    if (t == NULL) return send_fault(p, f, topic, value_len, rd_kafka_last_error());
    for (;;) {
        rd_kafka_resp_err_t err =
            queue_record(p, t, partition, type, key, value, value_len);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) break;
        int64_t now = clock_mono_ms();
        if (deadline == 0) deadline = now + FULL_MS;
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL || now >= deadline)
            return send_fault(p, f, topic, value_len, err);
        rd_kafka_poll(p->rk, 10);
        client_watch(p->client);
    }
    if (++p->sends % SERVE_EVERY == 0) serve(p);
    return SERIN_OK;
}

enum serin_status producer_send(struct producer *p, const char *topic,
                                int32_t partition, const void *key, size_t key_len,
                                const void *value, size_t value_len, struct fault *f)
{
    return send_record(p, topic, partition, NULL, (struct strview){key, key_len}, value,
                       value_len, f);
}

enum serin_status producer_send_typed(struct producer *p, const char *topic,
                                      const char *type, struct strview key,
                                      const void *value, size_t value_len,
                                      struct fault *f)
{
    return send_record(p, topic, -1, type, key, value, value_len, f);
}

enum serin_status producer_flush(struct producer *p, int timeout_ms, struct fault *f)
{
    int64_t deadline = clock_mono_ms() + timeout_ms;
    rd_kafka_resp_err_t err;
    do {
        err = rd_kafka_flush(p->rk, slice_until(deadline));
        serve(p);
    } while (err == RD_KAFKA_RESP_ERR__TIMED_OUT && clock_mono_ms() < deadline);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        client_fault(p->client, f, "waiting for acknowledgements", err);
        return SERIN_EIO;
    }
    if (p->lost == 0) return client_alive(p->client, f);
    enum serin_status s = p->too_large ? SERIN_ELIMIT : SERIN_EIO;
    fault_set(f, s, "%llu records were not written; the first: %s",
              (unsigned long long)p->lost, p->loss);
    p->lost = 0;
    return s;
}

/* Repeat one step of the transaction while it is retriable. */
enum step { STEP_OFFSETS, STEP_COMMIT, STEP_ABORT };
struct offsets {
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_consumer_group_metadata_t *group;
};

static enum serin_status run_step(struct producer *p, enum step step,
                                  const struct offsets *o, int64_t deadline,
                                  struct fault *f)
{
    for (;;) {
        rd_kafka_error_t *e;
        if (step == STEP_OFFSETS)
            e = rd_kafka_send_offsets_to_transaction(p->rk, o->list, o->group,
                                                     SLICE_MS);
        else if (step == STEP_COMMIT)
            e = rd_kafka_commit_transaction(p->rk, SLICE_MS);
        else
            e = rd_kafka_abort_transaction(p->rk, SLICE_MS);
        serve(p);
        if (producer_fault(e, f) == SERIN_OK) return SERIN_OK;
        if (!f->retriable) return SERIN_EIO;
        if (clock_mono_ms() >= deadline)
            return dead(f, "producer: the end of a transaction took too long");
    }
}

enum serin_status producer_abort(struct producer *p, struct fault *f)
{
    struct fault own = {0};
    if (f == NULL) f = &own;
    if (!p->transactional) {
        rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE);
        rd_kafka_flush(p->rk, SLICE_MS);
        p->lost = 0;
        return client_alive(p->client, f);
    }
    enum serin_status s = run_step(p, STEP_ABORT, NULL, clock_mono_ms() + ABORT_MS, f);
    p->lost = 0;
    if (s == SERIN_OK) return s;
    f->fatal = true;
    f->rewind = f->retriable = false;
    return s;
}

static rd_kafka_topic_partition_list_t *list_of(const struct bus_partition *offsets,
                                                size_t n)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)n + 1);
    for (size_t i = 0; i < n; i++)
        if (offsets[i].offset >= 0)
            rd_kafka_topic_partition_list_add(list, offsets[i].topic,
                                              offsets[i].partition)
                ->offset = offsets[i].offset;
    return list;
}

/* Without transactions: all acknowledged, then the offsets. At least once. */
static enum serin_status commit_plain(struct producer *p, struct consumer *c,
                                      const rd_kafka_topic_partition_list_t *list,
                                      struct fault *f)
{
    enum serin_status s = producer_flush(p, ABORT_MS, f);
    if (s != SERIN_OK) {
        if (!f->fatal) f->rewind = true;
        f->retriable = false;
        return s;
    }
    if (c == NULL || list->cnt == 0) return SERIN_OK;
    rd_kafka_resp_err_t err = rd_kafka_commit(consumer_handle(c), list, 0);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_debug("bus", "offsets not committed (%s); the next commit brings them",
                  rd_kafka_err2str(err));
    return SERIN_OK;
}

static enum serin_status commit_transaction(struct producer *p, struct consumer *c,
                                            rd_kafka_topic_partition_list_t *list,
                                            struct fault *f)
{
    enum serin_status s = SERIN_OK;
    int64_t deadline = clock_mono_ms() + COMMIT_MS;
    if (c != NULL && list->cnt > 0) {
        /* Fresh every time: an old generation is what fences a zombie. */
        struct offsets o = {list, rd_kafka_consumer_group_metadata(consumer_handle(c))};
        if (o.group == NULL) return dead(f, "producer: the consumer is in no group");
        s = run_step(p, STEP_OFFSETS, &o, deadline, f);
        rd_kafka_consumer_group_metadata_destroy(o.group);
    }
    if (s == SERIN_OK) s = run_step(p, STEP_COMMIT, NULL, deadline, f);
    if (s == SERIN_OK || f->fatal) return s;
    struct fault abort = {0};
    if (producer_abort(p, &abort) == SERIN_OK) return s; /* f says rewind */
    *f = abort;
    return s;
}

enum serin_status producer_commit(struct producer *p, struct consumer *c,
                                  const struct bus_partition *offsets, size_t n,
                                  struct fault *f)
{
    struct fault own = {0};
    if (f == NULL) f = &own;
    rd_kafka_topic_partition_list_t *list = list_of(offsets, n);
    enum serin_status s = p->transactional ? commit_transaction(p, c, list, f)
                                           : commit_plain(p, c, list, f);
    rd_kafka_topic_partition_list_destroy(list);
    return s;
}
