/* engine/bus/client.c -- settings, log lines, who is connected, and a bounded end */
#include "engine/bus/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/log.h"
#include "engine/base/mem.h"

enum {
    CLIENT_CLOSE_MS = 10000,
    API_END_TXN = 26,
    QUEUED_BYTES = 400 /* what a fetched record takes beside its payload */
};

enum {
    FOR_CONSUMER = 1,
    FOR_TABLE = 2,
    FOR_PRODUCER = 4,
    FOR_ADMIN = 8,
    EMBEDDED = 16
};
#define FOR_READERS (FOR_CONSUMER | FOR_TABLE)
#define FOR_ALL (FOR_READERS | FOR_PRODUCER | FOR_ADMIN)

static const struct default_property {
    const char *name, *value;
    unsigned who;
} defaults[] = {
    {"socket.nagle.disable", "true", FOR_ALL},
    {"reconnect.backoff.max.ms", "1000",
     FOR_ALL}, /* 10 s by default: 4 s to come back */
    {"allow.auto.create.topics", "false", FOR_READERS | FOR_ADMIN},
    {"session.timeout.ms", "10000", FOR_CONSUMER},
    {"heartbeat.interval.ms", "1000",
     FOR_CONSUMER}, /* how soon a rebalance is noticed */
    {"fetch.min.bytes", "65536", FOR_CONSUMER},
    {"fetch.wait.max.ms", "50", FOR_READERS}, /* also how soon an end is told */
    {"fetch.error.backoff.ms", "100", FOR_READERS},
    {"fetch.message.max.bytes", "4194304", FOR_READERS},
    /* Whichever limit is hit stops a partition's fetches for a whole second. */
    {"queued.min.messages", "1000000", FOR_READERS},
    {"queued.max.messages.kbytes", "262144", FOR_READERS},
    /* It does not know that a static member came back, and waits for the old one. */
    {"session.timeout.ms", "3000", EMBEDDED | FOR_CONSUMER},
    {"fetch.wait.max.ms", "10", EMBEDDED | FOR_READERS}, /* it sleeps the whole of it */
    {"fetch.min.bytes", "1", EMBEDDED | FOR_READERS},
    {"linger.ms", "5", FOR_PRODUCER},
    {"compression.codec", "lz4", FOR_PRODUCER},
    {"transaction.timeout.ms", "10000", FOR_PRODUCER},
    {"retry.backoff.ms", "10",
     FOR_PRODUCER}, /* 100: waits so on concurrent transactions */
    {"message.max.bytes", "8388608", FOR_PRODUCER},
    {"partitioner", "murmur2_random", FOR_PRODUCER}, /* as Java's clients */
};

/* What exactly-once rests on: a user's other value is refused, not overridden in
 * silence. */
static const struct default_property owned[] = {
    {"enable.auto.commit", "false", FOR_READERS},
    {"enable.auto.offset.store", "false", FOR_READERS},
    {"auto.offset.reset", "error", FOR_CONSUMER},
    {"auto.offset.reset", "earliest", FOR_TABLE},
    {"isolation.level", "read_committed", FOR_READERS},
    {"enable.partition.eof", "true", FOR_READERS},
    {"partition.assignment.strategy", "cooperative-sticky", FOR_CONSUMER},
    {"enable.idempotence", "true", FOR_PRODUCER},
    {"delivery.report.only.error", "true", FOR_PRODUCER},
    {"group.id", NULL, 0},
    {"group.instance.id", NULL, 0},
    {"transactional.id", NULL, 0},
};

static unsigned mask_of(enum client_kind kind)
{
    static const unsigned masks[] = {[CLIENT_CONSUMER] = FOR_CONSUMER,
                                     [CLIENT_TABLE] = FOR_TABLE,
                                     [CLIENT_PRODUCER] = FOR_PRODUCER,
                                     [CLIENT_ADMIN] = FOR_ADMIN};
    return masks[kind];
}

static enum serin_status set(rd_kafka_conf_t *conf, const char *name, const char *value,
                             struct fault *f)
{
    char why[384];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK)
        return SERIN_OK;
    return fault_set(f, SERIN_EDOM, "kafka.%s: %s", name, why);
}

static enum serin_status set_table(rd_kafka_conf_t *conf,
                                   const struct default_property *p, size_t n,
                                   unsigned who, bool embedded, struct fault *f)
{
    for (size_t i = 0; i < n; i++) {
        if ((p[i].who & who) == 0 || ((p[i].who & EMBEDDED) != 0 && !embedded))
            continue;
        enum serin_status s = set(conf, p[i].name, p[i].value, f);
        if (s != SERIN_OK) return s;
    }
    return SERIN_OK;
}

static enum serin_status check_owned(const struct bus_property *p, struct fault *f)
{
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
        if (strcmp(p->name, owned[i].name) != 0) continue;
        if (owned[i].value == NULL)
            return fault_set(f, SERIN_EDOM,
                             "kafka.%s = \"%s\": serin sets it itself, one for every "
                             "client; remove the line",
                             p->name, p->value);
        if (strcmp(p->value, owned[i].value) != 0)
            return fault_set(
                f, SERIN_EDOM,
                "kafka.%s = \"%s\": serin needs \"%s\" (exactly-once rests on "
                "it); remove the line",
                p->name, p->value, owned[i].value);
    }
    return SERIN_OK;
}

static enum serin_status configure(rd_kafka_conf_t *conf, const struct bus *b,
                                   enum client_kind kind, struct fault *f)
{
    size_t n;
    const struct bus_property *p = bus_properties(b, &n);
    unsigned who = mask_of(kind);
    enum serin_status s = set_table(conf, defaults, sizeof defaults / sizeof *defaults,
                                    who, bus_embedded(b), f);
    for (size_t i = 0; s == SERIN_OK && i < n; i++)
        s = set(conf, p[i].name, p[i].value, f);
    if (s == SERIN_OK)
        s = set_table(conf, owned, sizeof owned / sizeof *owned, who, false, f);
    if (s == SERIN_OK && bus_bootstrap(b) != NULL)
        s = set(conf, "bootstrap.servers", bus_bootstrap(b), f);
    return s;
}

/* librdkafka's own lines. Connection trouble repeats at every attempt: client_watch
 * says it once. What makes a call fail is in its fault. Here both are for debugging
 * only. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility,
                   const char *text)
{
    static const char *const noise[] = {"FAIL",     "ERROR",  "CONFWARN",
                                        "REQTMOUT", "CLOSE",  "AUTOCREATE",
                                        "TXNERR",   "GETPID", "FATAL"};
    bool quiet = level > 4;
    for (size_t i = 0; i < sizeof noise / sizeof *noise; i++)
        quiet |= strcmp(facility, noise[i]) == 0;
    log_write(quiet ? LOG_DEBUG_LEVEL : LOG_WARN_LEVEL, "kafka", "%s: %s: %s",
              rk != NULL ? rd_kafka_name(rk) : "-", facility, text);
}

static bool scram_trap(const struct client *c)
{
    size_t n;
    const struct bus_property *p = bus_properties(c->bus, &n);
    if (rd_kafka_version() >= 0x020601ff) return false; /* its nonce was doubled */
    for (size_t i = 0; i < n; i++)
        if (strncmp(p[i].name, "sasl.mechanism", 14) == 0 &&
            strncmp(p[i].value, "SCRAM", 5) == 0)
            return true;
    return false;
}

/* Only informs: an unclean TLS close looks like a permanent error. */
static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct client *c = opaque;
    (void)rk;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        c->failed = true;
        return;
    }
    snprintf(c->reason, sizeof c->reason, "%s", reason);
    if (code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
        code == RD_KAFKA_RESP_ERR__FATAL)
        return; /* said by client_watch, client_alive */
    if (strcmp(c->told, c->reason) == 0) return;
    memcpy(c->told, c->reason, sizeof c->told);
    log_warn("bus", "%s: %s", c->what, reason);
    if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION && scram_trap(c))
        log_warn(
            "bus",
            "librdkafka %s cannot log in by SCRAM to Kafka 4, even with the right "
            "password: use SASL/PLAIN over TLS or mTLS, or build with librdkafka 2.6.1 "
            "or newer (CMAKE_PREFIX_PATH)",
            rd_kafka_version_str());
}

/* @thread librdkafka's; @locks c->lock */
static rd_kafka_resp_err_t on_state(rd_kafka_t *rk, int32_t id, const char *security,
                                    const char *name, int port, const char *state,
                                    void *opaque)
{
    struct client *c = opaque;
    char full[sizeof c->brokers[0].name];
    (void)rk, (void)id, (void)security;
    snprintf(full, sizeof full, "%s:%d", name, port);
    bool up = strncmp(state, "UP", 2) == 0;
    pthread_mutex_lock(&c->lock);
    size_t i = 0;
    while (i < c->n_brokers && strcmp(c->brokers[i].name, full) != 0)
        i++;
    if (i == c->n_brokers && i < CLIENT_MAX_BROKERS) {
        memcpy(c->brokers[i].name, full, sizeof full);
        c->n_brokers++;
    }
    if (i < c->n_brokers && c->brokers[i].up != up) {
        c->brokers[i].up = up;
        atomic_fetch_add(&c->up, up ? 1 : -1);
    }
    pthread_mutex_unlock(&c->lock);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Called for a request that failed as well, twice for some.
 * @thread librdkafka's */
static rd_kafka_resp_err_t on_response(rd_kafka_t *rk, int fd, const char *broker,
                                       int32_t id, int16_t api, int16_t version,
                                       int32_t correlation, size_t size, int64_t rtt,
                                       rd_kafka_resp_err_t err, void *opaque)
{
    struct client *c = opaque;
    (void)rk, (void)fd, (void)broker, (void)id, (void)version, (void)correlation;
    (void)size, (void)rtt;
    if (api == API_END_TXN && err != RD_KAFKA_RESP_ERR_NO_ERROR)
        atomic_store(&c->doubt, true);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf,
                                  void *opaque, char *why, size_t room)
{
    (void)conf, (void)why, (void)room;
    rd_kafka_interceptor_add_on_broker_state_change(rk, "serin", on_state, opaque);
    return rd_kafka_interceptor_add_on_response_received(rk, "serin", on_response,
                                                         opaque);
}

static enum serin_status create(struct client *c, enum client_kind kind,
                                const struct client_setup *s, struct fault *f)
{
    char why[384];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum serin_status status = configure(conf, c->bus, kind, f);
    for (size_t i = 0; status == SERIN_OK && i < s->n_extra; i++)
        status = set(conf, s->extra[i].name, s->extra[i].value, f);
    if (status != SERIN_OK) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    rd_kafka_conf_set_opaque(conf, c);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    if (s->rebalance != NULL) rd_kafka_conf_set_rebalance_cb(conf, s->rebalance);
    if (s->delivered != NULL) rd_kafka_conf_set_dr_msg_cb(conf, s->delivered);
    rd_kafka_conf_interceptor_add_on_new(conf, "serin", on_new, c);
    /* An asking producer makes brokers with auto.create.topics.enable create what it
     * asks for, with the wrong settings; a consumer can say that it does not want this.
     */
    bool reads = kind != CLIENT_PRODUCER;
    c->rk = rd_kafka_new(reads ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, why,
                         sizeof why);
    if (c->rk != NULL) return SERIN_OK; /* conf is the handle's now */
    rd_kafka_conf_destroy(conf);
    return fault_set(f, SERIN_EDOM, "kafka: librdkafka refuses these settings: %s",
                     why);
}

enum serin_status client_open(struct client **out, struct bus *b, enum client_kind kind,
                              const struct client_setup *s, struct fault *f)
{
    struct client *c = mem_calloc(1, sizeof *c);
    if (c == NULL)
        return fault_set(f, SERIN_ENOMEM, "out of memory for a Kafka client");
    pthread_mutex_init(&c->lock, NULL);
    c->bus = b;
    c->owner = s->owner;
    snprintf(c->what, sizeof c->what, "%s", s->what);
    enum serin_status status = create(c, kind, s, f);
    if (status != SERIN_OK) {
        pthread_mutex_destroy(&c->lock);
        mem_free(c);
        return status;
    }
    *out = c;
    return SERIN_OK;
}

/* The end of a handle, on a thread of its own so that it can be given up. */
struct ending {
    struct client *client;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool over, abandoned;
};

static void ending_free(struct ending *e)
{
    pthread_mutex_destroy(&e->client->lock);
    mem_free(e->client);
    pthread_cond_destroy(&e->done);
    pthread_mutex_destroy(&e->lock);
    mem_free(e);
}

static void *ending_run(void *opaque)
{
    struct ending *e = opaque;
    /* No consumer close: the group was left by unsubscribing, and the close may hang.
     */
    rd_kafka_destroy_flags(e->client->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    pthread_mutex_lock(&e->lock);
    e->over = true;
    bool mine = e->abandoned;
    pthread_cond_signal(&e->done);
    pthread_mutex_unlock(&e->lock);
    if (mine) ending_free(e);
    return NULL;
}

void client_close(struct client *c)
{
    if (c == NULL) return;
    struct ending *e = mem_calloc(1, sizeof *e);
    pthread_t thread;
    if (e == NULL) return; /* out of memory: the handle stays */
    e->client = c;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->done, NULL);
    if (pthread_create(&thread, NULL, ending_run, e) != 0) {
        log_warn("bus", "%s: no thread to close it; left open", c->what);
        return;
    }
    pthread_detach(thread);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CLIENT_CLOSE_MS / 1000;
    pthread_mutex_lock(&e->lock);
    int rc = 0;
    while (!e->over && rc == 0)
        rc = pthread_cond_timedwait(&e->done, &e->lock, &until);
    bool mine = e->over;
    e->abandoned = !mine;
    if (!mine)
        log_warn("bus", "%s: did not close within %d s; left behind", c->what,
                 CLIENT_CLOSE_MS / 1000);
    pthread_mutex_unlock(&e->lock);
    if (mine) ending_free(e);
}

bool client_connected(const struct client *c)
{
    return atomic_load(&c->up) > 0;
}

void client_watch(struct client *c)
{
    if (client_connected(c)) {
        if (c->was_up) return;
        c->was_up = true;
        c->failed = c->said = false;
        c->told[0] = '\0';
        if (bus_said_away(c->bus, false))
            log_info("bus", "%s: a Kafka broker is back", c->what);
        return;
    }
    c->was_up = false;
    if (!c->failed || c->said) return;
    c->said = true;
    if (bus_said_away(c->bus, true)) return; /* another client has told people */
    log_warn("bus",
             "%s: no Kafka broker at %s can be reached (%s); trying again, at most 1 s "
             "apart",
             c->what, bus_bootstrap(c->bus),
             c->reason[0] != '\0' ? c->reason : "no connection");
}

enum serin_status client_alive(struct client *c, struct fault *f)
{
    char why[256];
    rd_kafka_resp_err_t err = rd_kafka_fatal_error(c->rk, why, sizeof why);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) return SERIN_OK;
    fault_set(f, SERIN_EIO, "%s: %s (%s); closing it and opening another", c->what, why,
              rd_kafka_err2name(err));
    if (f != NULL) f->fatal = true;
    return SERIN_EIO;
}

enum serin_status client_fault(struct client *c, struct fault *f, const char *tried,
                               rd_kafka_resp_err_t err)
{
    static const rd_kafka_resp_err_t passing[] = {
        RD_KAFKA_RESP_ERR__TIMED_OUT,
        RD_KAFKA_RESP_ERR__TRANSPORT,
        RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE,
        RD_KAFKA_RESP_ERR__WAIT_COORD,
        RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
        RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
        RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT,
    };
    bool away = !client_connected(c);
    fault_set(f, SERIN_EIO, "%s: %s: %s%s%s%s%s", c->what, tried, rd_kafka_err2str(err),
              away ? "; no broker reached at " : "", away ? bus_bootstrap(c->bus) : "",
              away && c->reason[0] != '\0' ? ": " : "", away ? c->reason : "");
    if (f == NULL) return SERIN_EIO;
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        if (passing[i] == err) f->retriable = true;
    return SERIN_EIO;
}

const rd_kafka_metadata_t *client_metadata(struct client *c, int timeout_ms,
                                           struct fault *f)
{
    const struct rd_kafka_metadata *md = NULL;
    rd_kafka_resp_err_t err = rd_kafka_metadata(c->rk, 0, NULL, &md, timeout_ms);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) return md;
    client_fault(c, f, "asking for the topics", err);
    return NULL;
}

const rd_kafka_metadata_topic_t *client_topic(const rd_kafka_metadata_t *md,
                                              const char *name)
{
    for (int i = 0; i < md->topic_cnt; i++)
        if (strcmp(md->topics[i].topic, name) == 0)
            return md->topics[i].err == RD_KAFKA_RESP_ERR_NO_ERROR &&
                           md->topics[i].partition_cnt > 0
                       ? &md->topics[i]
                       : NULL;
    return NULL;
}

/* Some settings only clash when a handle is made of them (TLS files, time-outs). */
static enum serin_status probe_whole(const struct bus *b, enum client_kind kind,
                                     struct fault *f)
{
    char why[384];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum serin_status s = configure(conf, b, kind, f);
    bool reads = kind == CLIENT_CONSUMER;
    if (s == SERIN_OK)
        s = set(conf, reads ? "group.id" : "transactional.id", "probe", f);
    if (s == SERIN_OK) s = set(conf, "bootstrap.servers", "", f);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_t *rk = NULL;
    if (s == SERIN_OK) {
        rk = rd_kafka_new(reads ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, why,
                          sizeof why);
        if (rk == NULL)
            s = fault_set(f, SERIN_EDOM, "kafka: librdkafka refuses these settings: %s",
                          why);
    }
    if (rk != NULL)
        rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    else
        rd_kafka_conf_destroy(conf);
    return s;
}

enum serin_status client_probe(const struct bus *b, struct fault *f)
{
    size_t n;
    const struct bus_property *p = bus_properties(b, &n);
    rd_kafka_conf_t *scratch = rd_kafka_conf_new();
    enum serin_status s = SERIN_OK;
    for (size_t i = 0; s == SERIN_OK && i < n; i++) {
        s = set(scratch, p[i].name, p[i].value, f);
        if (s == SERIN_OK) s = check_owned(&p[i], f);
    }
    rd_kafka_conf_destroy(scratch);
    if (s == SERIN_OK) s = probe_whole(b, CLIENT_CONSUMER, f);
    if (s == SERIN_OK) s = probe_whole(b, CLIENT_PRODUCER, f);
    return s;
}

static bool set_by_user(const struct bus *b, const char *name)
{
    size_t n;
    const struct bus_property *p = bus_properties(b, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(p[i].name, name) == 0) return true;
    return false;
}

static size_t clamp(size_t v, size_t least, size_t most)
{
    return v < least ? least : v > most ? most : v;
}

void client_bound_queue(struct client_setup *s, const struct bus *b, size_t bytes,
                        char texts[4][24])
{
    const struct {
        const char *name;
        size_t limit;
    } all[] = {
        {"queued.max.messages.kbytes", clamp(bytes / 2048, 1, 262144)},
        {"queued.min.messages", clamp(bytes / 2 / QUEUED_BYTES, 1, 1000000)},
        {"fetch.max.bytes", clamp(bytes / 32, 1 << 20, 50 << 20)},
        {"fetch.message.max.bytes", clamp(bytes / 64, 1 << 18, 4 << 20)},
    };
    for (size_t i = 0; bytes != 0 && i < sizeof all / sizeof *all; i++) {
        if (set_by_user(b, all[i].name)) continue;
        snprintf(texts[i], sizeof texts[i], "%zu", all[i].limit);
        s->extra[s->n_extra++] = (struct bus_property){all[i].name, texts[i]};
    }
}

struct bus_record client_record(const rd_kafka_message_t *m, const char *topic)
{
    rd_kafka_timestamp_type_t type;
    return (struct bus_record){.topic = topic,
                               .partition = m->partition,
                               .offset = m->offset,
                               .timestamp_ms = rd_kafka_message_timestamp(m, &type),
                               .key = m->key,
                               .value = m->payload,
                               .key_len = m->key_len,
                               .value_len = m->len};
}
