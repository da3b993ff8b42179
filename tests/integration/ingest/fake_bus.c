/* tests/integration/ingest/fake_bus.c */
#include "tests/integration/ingest/fake_bus.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/hash.h"

struct fake fake;

struct bus {
    int unused;
};
struct table {
    struct table_options o;
    size_t at;
};
struct consumer {
    struct consumer_options o;
    int64_t next[FAKE_PARTITIONS];
    bool mine[FAKE_PARTITIONS], paused[FAKE_PARTITIONS];
    bool joined;
};
struct producer {
    struct fake_log open;
    bool begun, dead;
};

static struct bus the_bus;
static struct consumer *member; /* the group has one member at a time */
static uint64_t random_state;
/* The worker commits on a thread of its own: what that and the polls share. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int64_t committed(int p)
{
    pthread_mutex_lock(&lock);
    int64_t offset = fake.committed[p];
    pthread_mutex_unlock(&lock);
    return offset;
}

static unsigned dice(unsigned n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(random_state >> 33) % n;
}

unsigned fake_random(unsigned n)
{
    pthread_mutex_lock(&lock);
    unsigned k = dice(n);
    pthread_mutex_unlock(&lock);
    return k;
}

void fake_append(struct fake_log *log, const char *topic, int32_t partition,
                 const void *key, size_t key_len, const void *value, size_t n)
{
    (void)key;
    if (log->n == log->room) {
        log->room = log->room != 0 ? 2 * log->room : 64;
        log->items = realloc(log->items, log->room * sizeof *log->items);
        if (log->items == NULL) abort();
    }
    uint8_t *copy = malloc(n + 1); /* exact: a read past the end must show */
    if (copy == NULL) abort();
    memcpy(copy, value, n);
    log->items[log->n++] =
        (struct fake_record){strdup(topic), partition, copy, n, key_len, 0};
}

static void log_clear(struct fake_log *log)
{
    for (size_t i = 0; i < log->n; i++) {
        free(log->items[i].topic);
        free(log->items[i].value);
    }
    free(log->items);
    *log = (struct fake_log){0};
}

void fake_reset(unsigned long seed)
{
    for (int p = 0; p < FAKE_PARTITIONS; p++)
        log_clear(&fake.input[p]);
    log_clear(&fake.routes);
    log_clear(&fake.out);
    free(fake.history);
    memset(&fake, 0, sizeof fake);
    for (int p = 0; p < FAKE_PARTITIONS; p++)
        fake.committed[p] = -1;
    random_state = seed;
}

/* ---------------------------------------------------------------- bus */

enum serin_status bus_open(struct bus **out, const struct bus_options *o,
                           struct fault *f)
{
    (void)o, (void)f;
    *out = &the_bus;
    return SERIN_OK;
}
void bus_close(struct bus *b)
{
    (void)b;
}
const char *bus_topic_name(const struct bus *b, enum bus_topic t)
{
    (void)b;
    return t == BUS_INBOX ? "t.inbox" : "t.rollouts";
}
int bus_partitions(const struct bus *b)
{
    (void)b;
    return FAKE_INBOX;
}
const char *bus_instance(const struct bus *b)
{
    (void)b;
    return "w1";
}

/* ---------------------------------------------------------------- table */

enum serin_status table_open(struct table **out, struct bus *b,
                             const struct table_options *o, struct fault *f)
{
    (void)b, (void)f;
    *out = calloc(1, sizeof **out);
    (*out)->o = *o;
    return SERIN_OK;
}
void table_close(struct table *t)
{
    free(t);
}
enum serin_status table_poll(struct table *t, int timeout_ms, struct fault *f)
{
    (void)timeout_ms, (void)f;
    for (; t->at < fake.routes.n; t->at++) {
        const struct fake_record *r = &fake.routes.items[t->at];
        struct bus_record out = {.topic = "t.rollouts", .value = r->value};
        out.value_len = r->n;
        t->o.on_record(t->o.ctx, &out);
    }
    return SERIN_OK;
}
bool table_caught_up(const struct table *t)
{
    return t->at == fake.routes.n;
}

/* ---------------------------------------------------------------- consumer */

enum serin_status consumer_open(struct consumer **out, struct bus *b,
                                const struct consumer_options *o, struct fault *f)
{
    (void)b, (void)f;
    *out = member = calloc(1, sizeof **out);
    (*out)->o = *o;
    return SERIN_OK;
}

static void give(struct consumer *c, int p)
{
    struct bus_partition at = {c->o.topics[0], p, committed(p)};
    if (at.offset < 0) at.offset = fake.low[p];
    c->o.on_assign(c->o.ctx, &at, 1);
    c->next[p] = at.offset;
    c->mine[p] = true;
}

static void take_away(struct consumer *c, int p, bool lost)
{
    struct bus_partition at = {c->o.topics[0], p, c->next[p]};
    c->o.on_revoke(c->o.ctx, &at, 1, lost);
    c->mine[p] = false;
}

void consumer_close(struct consumer *c)
{
    if (c == NULL) return;
    for (int p = 0; p < FAKE_PARTITIONS; p++)
        if (c->mine[p]) take_away(c, p, false);
    member = NULL;
    free(c);
}

static void rebalance(struct consumer *c)
{
    for (int p = 0; p < FAKE_PARTITIONS; p++) {
        if (!c->mine[p] && (!c->joined || fake_random(2) == 0)) {
            give(c, p);
        } else if (c->mine[p] && c->joined &&
                   fake_random(100) < fake.percent_rebalance) {
            bool lost = fake_random(100) < fake.percent_lost;
            *(lost ? &fake.losses : &fake.rebalances) += 1;
            take_away(c, p, lost);
        }
    }
    c->joined = true;
}

static bool all_done(const struct consumer *c)
{
    for (int p = 0; p < FAKE_PARTITIONS; p++)
        if (committed(p) != (int64_t)fake.input[p].n || !c->mine[p]) return false;
    return true;
}

enum serin_status consumer_poll(struct consumer *c, struct bus_record *out, size_t max,
                                size_t *n, int timeout_ms, struct fault *f)
{
    (void)timeout_ms, (void)f;
    *n = 0;
    usleep(500); /* so that time passes and flushes fall due */
    rebalance(c);
    if (all_done(c)) {
        fake.on_idle(fake.ctx);
        return SERIN_OK;
    }
    size_t room = fake.each != 0 ? max : 1 + fake_random(50), each = fake.each;
    for (int p = 0; p < FAKE_PARTITIONS; p++) {
        if (c->mine[p] &&
            (c->next[p] < fake.low[p] || c->next[p] > (int64_t)fake.input[p].n)) {
            struct bus_partition at = {c->o.topics[0], p, fake.low[p]};
            c->o.on_gap(c->o.ctx, &at, c->next[p], fake.low[p]);
            c->next[p] = fake.low[p];
        }
        size_t upto = each != 0 ? *n + each : SIZE_MAX;
        while (c->mine[p] && !c->paused[p] && c->next[p] < (int64_t)fake.input[p].n &&
               *n < room && *n < upto && (each != 0 || fake_random(8) != 0)) {
            const struct fake_record *r = &fake.input[p].items[c->next[p]];
            out[(*n)++] = (struct bus_record){.topic = c->o.topics[0],
                                              .partition = p,
                                              .offset = c->next[p]++,
                                              .value = r->value,
                                              .value_len = r->n};
        }
    }
    return SERIN_OK;
}

void consumer_keep(struct consumer *c, const struct bus_record *r)
{
    (void)c, (void)r; /* the log keeps all of them */
}
void consumer_free(const struct bus_record *r)
{
    (void)r;
}
void consumer_pause(struct consumer *c, const char *topic, int32_t partition)
{
    (void)topic;
    c->paused[partition] = true;
    fake.pauses++;
}
void consumer_resume(struct consumer *c, const char *topic, int32_t partition)
{
    (void)topic;
    c->paused[partition] = false;
}

enum serin_status consumer_rewind(struct consumer *c, const struct bus_partition *p,
                                  size_t n, struct fault *f)
{
    (void)f;
    for (size_t i = 0; i < n; i++) {
        int k = p[i].partition;
        if (c->mine[k]) c->next[k] = p[i].offset >= 0 ? p[i].offset : fake.low[k];
    }
    return SERIN_OK;
}

enum serin_status consumer_committed(struct consumer *c, struct bus_partition *p,
                                     size_t n, int timeout_ms, struct fault *f)
{
    (void)c, (void)timeout_ms;
    if (fake_random(16) == 0) {
        fault_set(f, SERIN_EIO, "committed: timed out");
        f->retriable = true;
        return SERIN_EIO;
    }
    for (size_t i = 0; i < n; i++)
        p[i].offset = committed(p[i].partition) >= 0 ? committed(p[i].partition)
                                                     : BUS_OFFSET_NONE;
    return SERIN_OK;
}

int64_t consumer_position(const struct consumer *c, const char *topic,
                          int32_t partition)
{
    (void)topic;
    return c->mine[partition] ? c->next[partition] : BUS_OFFSET_NONE;
}
int64_t consumer_lag(const struct consumer *c, const char *topic, int32_t partition)
{
    (void)topic;
    return (int64_t)fake.input[partition].n - c->next[partition];
}
struct strview consumer_content_type(const struct bus_record *r)
{
    (void)r;
    return (struct strview){NULL, 0};
}
size_t consumer_queued(const struct consumer *c)
{
    (void)c;
    return 0;
}
bool consumer_caught_up(const struct consumer *c, const char *topic, int32_t partition)
{
    return fake.old_end || consumer_lag(c, topic, partition) == 0;
}

/* ---------------------------------------------------------------- producer */

enum serin_status producer_open(struct producer **out, struct bus *b, const char *role,
                                int timeout_ms, struct fault *f)
{
    (void)b, (void)role, (void)timeout_ms, (void)f;
    *out = calloc(1, sizeof **out);
    return SERIN_OK;
}
void producer_close(struct producer *p)
{
    if (p == NULL) return;
    log_clear(&p->open);
    free(p);
}
enum serin_status producer_begin(struct producer *p, struct fault *f)
{
    (void)f;
    if (p->begun || p->dead) abort(); /* the worker broke the protocol */
    p->begun = true;
    return SERIN_OK;
}

static enum serin_status fail(struct producer *p, struct fault *f, bool fatal)
{
    fault_set(f, SERIN_EIO,
              fatal ? "the producer is fenced" : "the transaction is lost");
    f->fatal = p->dead = fatal;
    f->rewind = !fatal;
    *(fatal ? &fake.fatals : &fake.aborts) += 1;
    return SERIN_EIO;
}

enum serin_status producer_send(struct producer *p, const char *topic,
                                int32_t partition, const void *key, size_t key_len,
                                const void *value, size_t value_len, struct fault *f)
{
    if (!p->begun || p->dead) abort();
    if (fake_random(400) < fake.percent_abort) return fail(p, f, fake_random(4) == 0);
    if (partition < 0) partition = hash_partition(key, key_len, FAKE_INBOX);
    fake_append(&p->open, topic, partition, key, key_len, value, value_len);
    return SERIN_OK;
}

static void commit_all(struct producer *p, const struct bus_partition *offsets,
                       size_t n)
{
    fake.transactions++;
    for (size_t i = 0; i < n; i++)
        fake.committed[offsets[i].partition] = offsets[i].offset;
    fake.history =
        realloc(fake.history, (size_t)(fake.transactions + 1) * sizeof *fake.history);
    if (fake.history == NULL) abort();
    memcpy(fake.history[fake.transactions], fake.committed, sizeof fake.committed);
    for (size_t i = 0; i < p->open.n; i++) {
        struct fake_record *r = &p->open.items[i];
        fake_append(&fake.out, r->topic, r->partition, NULL, r->key_len, r->value,
                    r->n);
        fake.out.items[fake.out.n - 1].transaction = fake.transactions;
    }
}

enum serin_status producer_commit(struct producer *p, struct consumer *c,
                                  const struct bus_partition *offsets, size_t n,
                                  struct fault *f)
{
    if (!p->begun || p->dead) abort();
    for (size_t i = 0; i < n; i++)
        if (!c->mine[offsets[i].partition]) abort(); /* somebody else's partition */
    bool fatal = fake_random(100) < fake.percent_fatal;
    bool lost = fake_random(100) < fake.percent_abort;
    p->begun = false;
    /* A dead producer does not know whether its last commit went through. */
    bool through = fatal ? fake_random(2) == 0 : !lost;
    if (fake_random(4) == 0) usleep(1000); /* polls go on meanwhile */
    pthread_mutex_lock(&lock);
    if (through) commit_all(p, offsets, n);
    pthread_mutex_unlock(&lock);
    log_clear(&p->open);
    return fatal || lost ? fail(p, f, fatal) : SERIN_OK;
}

enum serin_status producer_abort(struct producer *p, struct fault *f)
{
    if (!p->begun) abort();
    p->begun = false;
    log_clear(&p->open);
    return fake_random(100) < fake.percent_fatal ? fail(p, f, true) : SERIN_OK;
}
