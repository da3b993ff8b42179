/* engine/notify/follow.c */
#include "engine/notify/follow.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/bus/consumer.h"
#include "engine/notify/queue.h"
#include "engine/notify/send.h"
#include "proto/decode.h"

enum {
    BATCH = 64,
    POLL_MS = 100,
    AGAIN_MS = 1000, /* between two tries to open or to commit */
    FIRST_PAUSE_MS = 500,
    LONGEST_PAUSE_MS = 60000,
    ASKED_MAX_MS = 3600000, /* of Retry-After */
    LOOK_MS = 1000,         /* between two looks whether the engine lives */
    REPEAT_MS = 60000,      /* Alertmanager forgets what is not said again */
    ABORT_KEPT_MS = 3600000 /* an ABORT, which nothing ends, is said again so long */
};

struct part {
    int32_t partition;
    int64_t live;      /* records from here on are told; -1: not known yet */
    int64_t committed; /* -1: nothing */
};

struct follow {
    struct bus *bus;
    struct rows *rows;
    const struct receiver *r;
    int64_t silence_ms;
    struct consumer *consumer;
    struct incident_set *open;
    struct queue queue;
    struct part *parts;
    size_t n_parts;
    struct bus_partition *at, *out; /* room for n_room: where they stand, commits */
    size_t n_room;
    unsigned failures; /* in a row */
    uint64_t seed;
    int64_t due_ms, look_ms, repeat_ms, commit_ms;
    bool dead, looked;
    char told[480];
    pthread_t thread;
    atomic_bool stop, ready;
    atomic_uint_least64_t delivered, failed, refused, given_up, dropped, queued;
};

int64_t follow_pause_ms(unsigned n, uint64_t *seed)
{
    int64_t most = LONGEST_PAUSE_MS;
    if (n < 8 && FIRST_PAUSE_MS << (n - 1) < most) most = FIRST_PAUSE_MS << (n - 1);
    *seed = hash_bytes(seed, sizeof *seed, n);
    return most / 2 + (int64_t)(*seed % (uint64_t)(most / 2 + 1));
}

/* ---- partitions */
static struct part *part_of(struct follow *w, int32_t partition)
{
    for (size_t i = 0; i < w->n_parts; i++)
        if (w->parts[i].partition == partition) return &w->parts[i];
    return NULL;
}

/* What is open has to be known, so everything is read; told is what comes after the
 * committed offset. */
static void on_assign(void *ctx, struct bus_partition *p, size_t n)
{
    struct follow *w = ctx;
    struct part *more = mem_realloc(w->parts, w->n_parts + n, sizeof *more);
    if (more == NULL) return; /* they stay unknown, and nothing of them is committed */
    w->parts = more;
    for (size_t i = 0; i < n; i++) {
        int64_t at = p[i].offset >= 0 ? p[i].offset : -1;
        w->parts[w->n_parts++] = (struct part){p[i].partition, at, at};
        p[i].offset = BUS_OFFSET_NONE;
    }
}

static void on_revoke(void *ctx, const struct bus_partition *p, size_t n, bool lost)
{
    struct follow *w = ctx;
    (void)lost; /* every delivery was committed at once */
    for (size_t i = 0; i < n; i++) {
        struct part *part = part_of(w, p[i].partition);
        incident_forget(w->open, p[i].partition);
        queue_forget(&w->queue, p[i].partition);
        if (part != NULL) *part = w->parts[--w->n_parts];
    }
}

/* Where the partitions stand, in w->at; 0: none, or no memory for them yet. */
static size_t assigned(struct follow *w)
{
    size_t n = consumer_assignment(w->consumer, NULL, 0);
    if (n > w->n_room) {
        struct bus_partition *at = mem_realloc(w->at, n, sizeof *at);
        if (at != NULL) w->at = at;
        struct bus_partition *out = mem_realloc(w->out, n, sizeof *out);
        if (out != NULL) w->out = out;
        if (at == NULL || out == NULL) return 0;
        w->n_room = n;
    }
    return consumer_assignment(w->consumer, w->at, w->n_room);
}

/* A receiver that is new begins with what comes: history is not told. */
static void find_live(struct follow *w)
{
    const char *topic = bus_topic_name(w->bus, BUS_VERDICTS);
    size_t n = assigned(w);
    bool all = n != 0 && n == w->n_parts;
    for (size_t i = 0; i < n; i++) {
        const struct bus_partition *at = &w->at[i];
        struct part *p = part_of(w, at->partition);
        if (p == NULL) continue;
        if (p->live < 0 && consumer_caught_up(w->consumer, topic, p->partition))
            p->live = at->offset > 0 ? at->offset : 0;
        all = all && p->live >= 0 && at->offset >= p->live;
    }
    if (all && !atomic_load(&w->ready)) {
        atomic_store(&w->ready, true);
        log_info("notify", "%s: follows %zu partitions of %s", w->r->name, w->n_parts,
                 topic);
    }
}

static void commit(struct follow *w)
{
    struct fault f = {0};
    if (clock_mono_ms() < w->commit_ms) return;
    size_t n = assigned(w), k = 0;
    for (size_t i = 0; i < n; i++) {
        struct part *p = part_of(w, w->at[i].partition);
        if (p == NULL || p->live < 0) continue;
        int64_t oldest = queue_oldest(&w->queue, p->partition);
        int64_t done = oldest >= 0 ? oldest : w->at[i].offset;
        if (done <= p->committed || done < p->live) continue;
        w->out[k] = w->at[i];
        w->out[k++].offset = done;
    }
    if (k == 0) return;
    if (consumer_commit(w->consumer, w->out, k, &f) != SERIN_OK) {
        log_warn("notify", "%s: %s; trying again", w->r->name, f.text);
        w->commit_ms = clock_mono_ms() + AGAIN_MS;
        return;
    }
    for (size_t i = 0; i < k; i++) {
        struct part *p = part_of(w, w->out[i].partition);
        if (p != NULL) p->committed = w->out[i].offset;
    }
}

/* ---- what is told */
static void enqueue(struct follow *w, const struct incident_event *e, int32_t partition,
                    int64_t offset)
{
    bool dropped;
    if (!receiver_wants(w->r, e->what.severity, e->what.rollout, e->what.service) &&
        partition != QUEUE_OWN)
        return;
    if (!queue_add(&w->queue, e, partition, offset, &dropped)) {
        log_error("notify", "%s: out of memory: %s is not told", w->r->name,
                  e->what.key);
        dropped = true;
    } else if (dropped) {
        log_error("notify", "%s: %d alerts wait already: the oldest is dropped",
                  w->r->name, QUEUE_MAX);
    }
    if (dropped) atomic_fetch_add(&w->dropped, 1);
}

static void take(struct follow *w, const struct bus_record *r)
{
    struct arena memory = {0};
    struct incident_event events[INCIDENT_EVENTS];
    const struct part *p = part_of(w, r->partition);
    pb_verdict *v;
    int n = 0;
    if (r->value == NULL || p == NULL) return;
    if (decode_verdict(&memory, r->value, r->value_len, &v) == SERIN_OK)
        n = incident_take(w->open, v, r->partition, events);
    else
        log_warn("notify", "%s: %s [%d] %lld is no verdict", w->r->name, r->topic,
                 (int)r->partition, (long long)r->offset);
    arena_free(&memory);
    if (n < 0) {
        log_error("notify", "%s: out of memory: a verdict is not told", w->r->name);
        atomic_fetch_add(&w->dropped, 1);
    }
    if (p->live < 0 || r->offset < p->live) return;
    for (int i = 0; i < n; i++)
        enqueue(w, &events[i], r->partition, r->offset);
}

/* ---- delivery */
static void done(struct follow *w, atomic_uint_least64_t *counter)
{
    atomic_fetch_add(counter, 1);
    queue_next(&w->queue);
    w->commit_ms = 0;
}

static void deliver(struct follow *w)
{
    struct queue_entry *e = w->queue.first;
    struct fault f = {0};
    int64_t wait_ms;
    if (e == NULL || clock_mono_ms() < w->due_ms) return;
    int64_t now = clock_wall_ms(),
            began = e->event.firing ? e->event.what.t_ms : e->event.ended_ms;
    e->tries++;
    if (send_alert(w->r, &e->event, now, &wait_ms, &f) == SERIN_OK) {
        if (w->failures != 0) log_info("notify", "%s: is back", w->r->name);
        w->failures = 0;
        w->told[0] = '\0';
        log_info("notify", "%s: %s %s told", w->r->name, e->event.what.key,
                 e->event.firing ? "firing" : "resolved");
        done(w, &w->delivered);
        return;
    }
    atomic_fetch_add(&w->failed, 1);
    if (strcmp(w->told, f.text) != 0)
        log_warn("notify", "%s: %s: %s%s", w->r->name, e->event.what.key, f.text,
                 f.retriable ? "; trying again" : "");
    snprintf(w->told, sizeof w->told, "%s", f.text);
    if (f.retriable) {
        int64_t pause_ms = follow_pause_ms(++w->failures, &w->seed);
        if (wait_ms > ASKED_MAX_MS) wait_ms = ASKED_MAX_MS;
        w->due_ms = clock_mono_ms() + (wait_ms > pause_ms ? wait_ms : pause_ms);
    }
    if (f.retriable && now - began <= w->r->give_up_ms) return;
    log_error("notify", "%s: %s is given up after %u tries: %s", w->r->name,
              e->event.what.key, e->tries, f.text);
    done(w, f.retriable ? &w->given_up : &w->refused);
}

struct repeat {
    struct follow *w;
    int64_t now_ms;
    bool failed;
};

static void repeat_one(void *ctx, const struct incident *i)
{
    struct repeat *p = ctx;
    struct fault f = {0};
    int64_t wait_ms;
    struct incident_event e = {.what = *i, .firing = true};
    if (p->failed || atomic_load(&p->w->stop) ||
        !receiver_wants(p->w->r, i->severity, i->rollout, i->service) ||
        (i->abort && p->now_ms - i->t_ms > ABORT_KEPT_MS))
        return;
    p->failed = send_alert(p->w->r, &e, p->now_ms, &wait_ms, &f) != SERIN_OK;
    if (p->failed) atomic_fetch_add(&p->w->failed, 1);
}

/* ---- the engine itself */
static void engine_event(struct incident_event *e, const struct rows_silent *s)
{
    struct incident *i = &e->what;
    *e = (struct incident_event){.firing = true};
    snprintf(i->key, sizeof i->key, "serin:engine");
    snprintf(i->verdict, sizeof i->verdict, "ENGINE");
    snprintf(i->reason, sizeof i->reason, "engine_silent");
    snprintf(i->message, sizeof i->message,
             "%zu of %zu live rollouts not refreshed for %" PRId64
             " s (%s): no engine decides, or the brokers are away; canaries keep their "
             "weight until the actuator's lease ends",
             s->silent, s->live, s->longest_ms / 1000, s->examples);
    i->severity = SEVERITY_CRITICAL;
    i->t_ms = clock_wall_ms();
}

static void engine_back(struct incident_event *e)
{
    engine_event(e, &(struct rows_silent){0});
    e->what.message[0] = '\0';
    e->firing = false;
    e->ended_ms = clock_wall_ms();
    snprintf(e->how, sizeof e->how, "the rollouts are refreshed again");
}

/* One process of a group says it: the owner of the first partition. */
static void look(struct follow *w)
{
    struct incident_event e;
    int64_t now = clock_mono_ms();
    if (now < w->look_ms || part_of(w, 0) == NULL || !atomic_load(&w->ready)) return;
    w->look_ms = now + LOOK_MS;
    struct rows_silent s = rows_ask(w->rows, w->r, w->silence_ms, now);
    if (!s.ready) return;
    bool dead = s.silent > 0, first = !w->looked;
    w->looked = true;
    if (dead && !w->dead) {
        engine_event(&e, &s);
        enqueue(w, &e, QUEUE_OWN, 0);
    }
    /* PagerDuty keeps what an earlier process began; an end of nothing is nothing. */
    if (!dead && (w->dead || (first && w->r->kind == RECEIVER_PAGERDUTY))) {
        engine_back(&e);
        enqueue(w, &e, QUEUE_OWN, 0);
    }
    w->dead = dead;
}

static void repeat(struct follow *w)
{
    struct incident_event e;
    struct repeat p = {.w = w, .now_ms = clock_wall_ms()};
    int64_t now = clock_mono_ms();
    if (w->r->kind != RECEIVER_ALERTMANAGER || now < w->repeat_ms ||
        !atomic_load(&w->ready) || w->queue.n != 0)
        return;
    w->repeat_ms = now + REPEAT_MS;
    incident_each(w->open, repeat_one, &p);
    if (!w->dead) return;
    struct rows_silent s = rows_ask(w->rows, w->r, w->silence_ms, now);
    engine_event(&e, &s);
    repeat_one(&p, &e.what);
}

/* ---- the thread */
static enum serin_status connect_(struct follow *w, struct fault *f)
{
    char group[512];
    const char *topics[] = {bus_topic_name(w->bus, BUS_VERDICTS), NULL};
    if (w->consumer != NULL) return SERIN_OK;
    /* serin.verdicts -> serin.notify.NAME: one group a prefix and receiver */
    snprintf(group, sizeof group, "%.*snotify.%s",
             (int)(strlen(topics[0]) - strlen("verdicts")), topics[0], w->r->name);
    struct consumer_options o = {.group = group,
                                 .topics = topics,
                                 .start = BUS_START_EARLIEST,
                                 .by_owner = true,
                                 .on_assign = on_assign,
                                 .on_revoke = on_revoke,
                                 .ctx = w};
    return consumer_open(&w->consumer, w->bus, &o, f);
}

static enum serin_status turn(struct follow *w, struct fault *f)
{
    struct bus_record records[BATCH];
    size_t n = 0;
    enum serin_status rc = connect_(w, f);
    if (rc == SERIN_OK) rc = consumer_poll(w->consumer, records, BATCH, &n, POLL_MS, f);
    if (rc != SERIN_OK) return rc;
    for (size_t i = 0; i < n; i++)
        take(w, &records[i]);
    find_live(w);
    look(w);
    deliver(w);
    repeat(w);
    commit(w);
    atomic_store(&w->queued, w->queue.n);
    return SERIN_OK;
}

static void *run(void *arg)
{
    struct follow *w = arg;
    while (!atomic_load(&w->stop)) {
        struct fault f = {0};
        if (turn(w, &f) == SERIN_OK) continue;
        log_warn("notify", "%s: %s", w->r->name, f.text);
        if (!f.retriable) {
            atomic_store(&w->ready, false);
            consumer_close(w->consumer);
            w->consumer = NULL;
        }
        clock_sleep_ms(AGAIN_MS);
    }
    consumer_close(w->consumer);
    w->consumer = NULL;
    return NULL;
}

enum serin_status follow_open(struct follow **out, struct bus *b, struct rows *rows,
                              const struct receiver *r, int64_t silence_ms,
                              struct fault *f)
{
    struct follow *w = mem_calloc(1, sizeof *w);
    if (w == NULL) return fault_set(f, SERIN_ENOMEM, "no memory for a receiver");
    w->bus = b;
    w->rows = rows;
    w->r = r;
    w->silence_ms = silence_ms;
    w->seed = hash_bytes(r->name, strlen(r->name), 0);
    w->open = incident_open();
    if (w->open == NULL || pthread_create(&w->thread, NULL, run, w) != 0) {
        incident_close(w->open);
        mem_free(w);
        return fault_set(f, SERIN_EIO, "no thread for receiver %s", r->name);
    }
    *out = w;
    return SERIN_OK;
}

void follow_stop(struct follow *w)
{
    if (w != NULL) atomic_store(&w->stop, true);
}

void follow_close(struct follow *w)
{
    if (w == NULL) return;
    follow_stop(w);
    pthread_join(w->thread, NULL);
    queue_clear(&w->queue);
    incident_close(w->open);
    mem_free(w->parts);
    mem_free(w->at);
    mem_free(w->out);
    mem_free(w);
}

struct follow_counts follow_counts(const struct follow *w)
{
    return (struct follow_counts){.delivered = atomic_load(&w->delivered),
                                  .failed = atomic_load(&w->failed),
                                  .refused = atomic_load(&w->refused),
                                  .given_up = atomic_load(&w->given_up),
                                  .dropped = atomic_load(&w->dropped),
                                  .queued = atomic_load(&w->queued),
                                  .ready = atomic_load(&w->ready)};
}
