/* engine/stage/stage.c -- the loop: poll, fold, commit; and what happens to partitions
 *
 * A fold is ahead of the log from the first record applied until the next commit. So
 * whatever goes wrong with a commit has one answer: drop every fold and restore. */
#include "engine/stage/stage.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/bus/consumer.h"
#include "engine/bus/producer.h"
#include "engine/core/checkpoint.h"
#include "engine/stage/commit.h"
#include "engine/stage/part.h"
#include "engine/stage/restore.h"

enum {
    BATCH = 1024,          /* records a poll */
    POLL_MS = 100,         /* longest wait; bounds how late a stop is seen */
    VERDICT_MS = 20,       /* longest a verdict waits for the rest of its batch */
    RESTORE_POLL_MS = 20,  /* while state is read */
    BARRIER_MS = 500,      /* one try at the committed offsets */
    PRODUCER_MS = 5000,    /* one try to register the producer */
    BACKOFF_MS = 50,       /* after a failure, doubled up to ... */
    BACKOFF_MAX_MS = 2000, /* ... this */
    FENCED_MS = 15000,     /* then a partition still ours is restored again */
    DEFAULT_TICK_MS = 1000,
    DEFAULT_CHECKPOINT_MS = 3600000,
    UNAUDITED_MS = 2000, /* between two tries of the audit topic */
};
static const size_t pending_most = (size_t)16 << 20; /* effects that force a commit */

struct stage {
    struct bus *bus;
    struct stage_options o;
    struct sign_key key; /* of o.key_file */
    char group[280];
    struct consumer *consumer;
    struct producer *producer;
    struct restore *restore;
    struct part_set parts;
    struct bus_record *batch;
    int64_t next_tick;       /* monotonic */
    int64_t next_checkpoint; /* monotonic */
    int64_t unaudited_until; /* monotonic: the audit topic refused a record; 0 = no */
    int64_t urgent_since;    /* monotonic; 0 = nothing urgent is pending */
    int64_t not_before;      /* monotonic: of the next try after a failure */
    int64_t backoff;
    bool failed;           /* the folds are ahead of the log for good: */
    struct fault fault;    /* ... why */
    char said[480];        /* the trouble last logged; empty = none since */
    bool rejoin;           /* an assignment could not be taken in */
    bool assigned;         /* the group has spoken */
    struct stage_counts c; /* this thread's */
    pthread_mutex_t lock;  /* of shown */
    struct stage_counts shown;
    atomic_bool stop, ready;
};

/* ------------------------------------------------------------------ trouble */

/* Say it once, however often it is tried again. */
static void say(struct stage *s, const char *what, const struct fault *f)
{
    if (strcmp(s->said, f->text) == 0) return;
    snprintf(s->said, sizeof s->said, "%s", f->text);
    log_warn("stage", "%s: %s", what, f->text);
}

static void wait_longer(struct stage *s)
{
    s->backoff = s->backoff == 0 ? BACKOFF_MS : 2 * s->backoff;
    if (s->backoff > BACKOFF_MAX_MS) s->backoff = BACKOFF_MAX_MS;
    s->not_before = clock_mono_ms() + s->backoff;
}

static bool waiting_out(const struct stage *s)
{
    return clock_mono_ms() < s->not_before;
}

static void restore_give_up(struct stage *s)
{
    restore_close(s->restore);
    s->restore = NULL;
}

/* Go on from what is committed. */
static void start_over(struct stage *s, const struct fault *f)
{
    say(s, "restoring after", f);
    part_drop_all(&s->parts);
    restore_give_up(s);
    s->urgent_since = 0;
    s->failed = false;
    s->c.aborts++;
    if (f->fatal) {
        producer_close(s->producer);
        s->producer = NULL;
        s->c.rebuilds++;
    }
    wait_longer(s);
}

static struct commit commit_of(const struct stage *s, int64_t tick_ms)
{
    return (struct commit){.bus = s->bus,
                           .consumer = s->consumer,
                           .producer = s->producer,
                           .parts = s->parts.items,
                           .n = s->parts.n,
                           .tick_ms = tick_ms,
                           .key = s->o.key_file != NULL ? &s->key : NULL};
}

/* Only the audit topic refused: the folds keep what they have to say, nothing is
 * promoted, and whatever takes traffic away is told all the same. */
static bool unaudited(struct stage *s)
{
    const char *lost = producer_lost_topic(s->producer);
    if (s->fault.fatal || strcmp(lost, bus_topic_name(s->bus, BUS_AUDIT)) != 0)
        return false;
    if (s->unaudited_until == 0)
        say(s, "no promotions until the audit topic takes records again", &s->fault);
    s->unaudited_until = clock_mono_ms() + UNAUDITED_MS;
    return true;
}

static bool commit_urgent(struct stage *s)
{
    struct commit c = commit_of(s, -1);
    s->urgent_since = 0;
    s->fault = (struct fault){0};
    if (commit_ahead(&c, &s->fault) == SERIN_OK) return true;
    s->failed = true;
    return false;
}

static bool commit(struct stage *s, int64_t tick_ms)
{
    struct commit c = commit_of(s, tick_ms);
    if (clock_mono_ms() < s->unaudited_until) return commit_urgent(s);
    s->fault = (struct fault){0};
    if (commit_run(&c, &s->fault) != SERIN_OK) {
        if (unaudited(s)) return commit_urgent(s);
        s->failed = true;
        return false;
    }
    s->c.commits++;
    s->urgent_since = 0;
    s->backoff = 0;
    s->unaudited_until = 0;
    if (*s->said != '\0') log_info("stage", "committing again");
    *s->said = '\0';
    return true;
}

/* Where the audit chains stand: what is cut off before this shows. */
static void checkpoint(struct stage *s, struct part *p)
{
    if (s->failed) return;
    if (checkpoint_append(p->fold, p->id, clock_wall_ms(), &p->fx) == SERIN_OK) {
        s->c.checkpoints++;
        return;
    }
    fault_set(&s->fault, SERIN_ENOMEM, "no memory for a checkpoint");
    s->failed = true;
}

/* A snapshot of every rollout of a partition about to go: whoever has it next shall not
 * have to read far. */
static void last_snapshot(struct stage *s, struct part *p)
{
    checkpoint(s, p);
    if (s->failed || fold_snapshot_all(p->fold, &p->fx) == SERIN_OK) return;
    fault_set(&s->fault, SERIN_ENOMEM, "no memory for a last snapshot");
    s->failed = true;
}

/* ------------------------------------------------------------------ the group's calls
 */

/* Restoring may take longer than a rebalance should, so the loop does it. Until then
 * the partition's records are dropped; then it is read again from where its state ends.
 */
static void on_assign(void *ctx, struct bus_partition *p, size_t n)
{
    struct stage *s = ctx;
    s->assigned = true;
    for (size_t i = 0; i < n; i++) {
        if (p[i].offset < 0) p[i].offset = 0; /* known without asking a broker */
        if (part_add(&s->parts, p[i].partition) != SERIN_OK) s->rejoin = true;
    }
    log_info("stage", "%zu partitions came, %zu owned", n, s->parts.n);
}

static void on_revoke(void *ctx, const struct bus_partition *p, size_t n, bool lost)
{
    struct stage *s = ctx;
    bool live = false;
    for (size_t i = 0; i < n && !lost; i++) {
        struct part *part = part_find(&s->parts, p[i].partition);
        if (part == NULL || part->state != PART_LIVE) continue;
        live = true;
        last_snapshot(s, part);
    }
    if (live && !s->failed && s->producer != NULL) (void)commit(s, -1);
    for (size_t i = 0; i < n; i++)
        part_remove(&s->parts, p[i].partition);
    log_info("stage", "%zu partitions went%s, %zu owned", n, lost ? " (lost)" : "",
             s->parts.n);
}

static void on_gap(void *ctx, const struct bus_partition *p, int64_t expected,
                   int64_t found)
{
    struct stage *s = ctx;
    struct part *part = part_find(&s->parts, p->partition);
    /* A fold that restored nothing begins where the log begins; nothing is missing. */
    if (part == NULL || part->state != PART_LIVE || part->from_nothing) return;
    log_error("stage",
              "inbox partition %d: records %lld to %lld were deleted before they were "
              "read; its rollouts hold (blind). Keep the inbox longer (retention.ms)",
              (int)p->partition, (long long)expected, (long long)found - 1);
    fold_gap(part->fold, expected, found);
    part->next = found;
}

/* ------------------------------------------------------------------ restore */

/* The committed offsets are not given out while an earlier owner's transaction is open,
 * and an owner of an older generation can add none: once they are here, what stands in
 * the state topic up to its high watermark is all there will ever be from before. */
static enum serin_status restore_begin(struct stage *s, struct fault *f)
{
    size_t n = 0, all = s->parts.n;
    struct bus_partition *at = mem_calloc(all, sizeof *at);
    int32_t *ids = mem_calloc(all, sizeof *ids);
    enum serin_status rc = fault_set(f, SERIN_ENOMEM, "no memory to restore");
    if (at == NULL || ids == NULL) goto out;
    for (size_t i = 0; i < all; i++) {
        if (s->parts.items[i]->state != PART_WAITING) continue;
        ids[n] = s->parts.items[i]->id;
        at[n].topic = bus_topic_name(s->bus, BUS_INBOX);
        at[n].partition = ids[n];
        at[n++].offset = BUS_OFFSET_NONE;
    }
    rc = consumer_committed(s->consumer, at, n, BARRIER_MS, f);
    if (rc == SERIN_OK) rc = restore_open(&s->restore, s->bus, ids, n, f);
    for (size_t i = 0; rc == SERIN_OK && i < n; i++) {
        struct part *p = part_find(&s->parts, ids[i]);
        p->state = PART_RESTORING;
        p->committed = at[i].offset >= 0 ? at[i].offset : 0;
    }
out:
    mem_free(at);
    mem_free(ids);
    return rc;
}

static enum serin_status restore_part(struct stage *s, struct part *p, struct fault *f)
{
    size_t rows;
    enum serin_status rc =
        restore_fold(s->restore, p->id, &s->o.fold, &p->fold, &p->epoch, &rows, f);
    if (rc != SERIN_OK) return rc;
    int64_t start = fold_start_offset(p->fold);
    p->from_nothing = start < 0;
    p->next = start < 0 ? 0 : start;
    p->claimed = false;
    log_info("stage",
             "partition %d: %zu rows restored, epoch %llu, the inbox from offset %lld",
             (int)p->id, rows, (unsigned long long)p->epoch, (long long)p->next);
    return SERIN_OK;
}

static enum serin_status restore_all(struct stage *s, struct bus_partition *at,
                                     struct fault *f)
{
    size_t n = 0;
    enum serin_status rc = SERIN_OK;
    for (size_t i = 0; rc == SERIN_OK && i < s->parts.n; i++) {
        struct part *p = s->parts.items[i];
        if (p->state != PART_RESTORING) continue;
        rc = restore_part(s, p, f);
        at[n].topic = bus_topic_name(s->bus, BUS_INBOX);
        at[n].partition = p->id;
        at[n++].offset = p->next;
    }
    if (rc == SERIN_OK && n > 0) rc = consumer_rewind(s->consumer, at, n, f);
    for (size_t i = 0; rc == SERIN_OK && i < n; i++) {
        struct part *p = part_find(&s->parts, at[i].partition);
        p->state = PART_LIVE;
        s->c.restores++;
        s->c.restore_ms = clock_mono_ms() - p->since_ms;
    }
    if (rc == SERIN_OK)
        log_info("stage", "%zu partitions restored in %lld ms", n,
                 (long long)s->c.restore_ms);
    return rc;
}

static enum serin_status restore_finish(struct stage *s, struct fault *f)
{
    struct bus_partition *at = mem_calloc(s->parts.n + 1, sizeof *at);
    if (at == NULL) return fault_set(f, SERIN_ENOMEM, "no memory to restore");
    enum serin_status rc = restore_all(s, at, f);
    mem_free(at);
    restore_give_up(s);
    s->next_tick = 0; /* at once: it claims the epochs and tells the folds the time */
    return rc;
}

/* A failed try costs the restoring partitions only; the live ones go on. */
static void restore_failed(struct stage *s, const struct fault *f)
{
    say(s, "cannot restore yet", f);
    restore_give_up(s);
    for (size_t i = 0; i < s->parts.n; i++)
        if (s->parts.items[i]->state == PART_RESTORING)
            part_drop(&s->parts, s->parts.items[i]);
    wait_longer(s);
}

static void restore_advance(struct stage *s)
{
    struct fault f = {0};
    enum serin_status rc = SERIN_OK;
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < s->parts.n; i++) {
        struct part *p = s->parts.items[i];
        if (p->state == PART_FENCED && now - p->since_ms > FENCED_MS)
            part_drop(&s->parts, p);
    }
    if (s->restore == NULL) {
        if (part_count(&s->parts, PART_WAITING) == 0 || waiting_out(s)) return;
        rc = restore_begin(s, &f);
    }
    if (rc == SERIN_OK) rc = restore_step(s->restore, RESTORE_POLL_MS, &f);
    if (rc == SERIN_OK) rc = restore_finish(s, &f);
    if (rc != SERIN_OK && rc != SERIN_AGAIN) restore_failed(s, &f);
}

/* ------------------------------------------------------------------ apply */

/* Ticks carry the epoch of the stage that wrote them. A larger one than ours means that
 * a later owner has committed: whatever we still did here would be a zombie's. */
static bool fenced(const struct part *p, const struct bus_record *r)
{
    char text[96];
    const size_t key = strlen(RESTORE_CLAIM), lead = key + 1;
    if (r->key_len != key || memcmp(r->key, RESTORE_CLAIM, key) != 0) return false;
    size_t n = r->value_len < sizeof text - 1 ? r->value_len : sizeof text - 1;
    memcpy(text, r->value, n);
    text[n] = '\0';
    const char *at = memmem(text, n, RESTORE_CLAIM "/", lead);
    return at != NULL && strtoull(at + lead, NULL, 10) > p->epoch;
}

/* Inbox{schema = 1, command = 3}, whose fields go out in this order. */
static bool is_command(const struct bus_record *r)
{
    const uint8_t *p = r->value;
    return r->value_len > 3 && p[0] == 1u << 3 && p[1] < 0x80 && p[2] == (3u << 3 | 2u);
}

static bool fold_record(struct stage *s, struct part *p, const struct bus_record *r)
{
    size_t verdicts = p->fx.verdicts;
    enum serin_status rc =
        fold_apply(p->fold, r->offset, r->value, r->value_len, &p->fx);
    if (rc != SERIN_OK) {
        fault_set(&s->fault, rc, "partition %d, offset %lld: %s", (int)p->id,
                  (long long)r->offset, status_text(rc));
        s->failed = true;
        return false;
    }
    p->next = r->offset + 1;
    p->from_nothing = false;
    /* Somebody waits for a verdict, and for the outcome of a command. */
    bool urgent = p->fx.verdicts > verdicts || is_command(r);
    if (urgent && s->urgent_since == 0) s->urgent_since = clock_mono_ms();
    return true;
}

static void apply(struct stage *s, size_t n)
{
    for (size_t i = 0; i < n && !s->failed; i++) {
        const struct bus_record *r = &s->batch[i];
        struct part *p = part_find(&s->parts, r->partition);
        if (p == NULL || p->state != PART_LIVE || r->offset < p->next) continue;
        if (fenced(p, r)) {
            log_error("stage",
                      "partition %d has a later owner than this process: given "
                      "up here",
                      (int)p->id);
            part_drop(&s->parts, p);
            p->state = PART_FENCED;
            continue;
        }
        if (!fold_record(s, p, r)) return;
        bool late =
            s->urgent_since != 0 && clock_mono_ms() - s->urgent_since >= VERDICT_MS;
        if (late || p->fx.arena.used > pending_most) (void)commit(s, -1);
        if (s->unaudited_until != 0 && p->fx.arena.used > 2 * pending_most) {
            fault_set(&s->fault, SERIN_ELIMIT, "too much waits for the audit topic");
            s->failed = true; /* it is all in the inbox: fold it again */
        }
    }
}

static void commit_if_due(struct stage *s)
{
    int64_t now = clock_mono_ms();
    if (s->failed || part_count(&s->parts, PART_LIVE) == 0) return;
    if (now >= s->next_checkpoint) {
        if (s->next_checkpoint != 0)
            for (size_t i = 0; i < s->parts.n; i++)
                if (s->parts.items[i]->state == PART_LIVE)
                    checkpoint(s, s->parts.items[i]);
        s->next_checkpoint = now + s->o.checkpoint_ms;
    }
    if (now >= s->next_tick) {
        s->next_tick = now + s->o.tick_ms;
        (void)commit(s, clock_wall_ms());
    } else if (s->urgent_since != 0) {
        (void)commit(s, -1);
    }
}

/* ------------------------------------------------------------------ the loop */

static void show(struct stage *s)
{
    struct stage_counts c = s->c;
    size_t live = part_count(&s->parts, PART_LIVE);
    c.fold = part_totals(&s->parts);
    c.partitions = live;
    c.unaudited = s->unaudited_until != 0;
    c.connected = s->consumer != NULL && consumer_connected(s->consumer);
    for (size_t i = 0; s->consumer != NULL && i < s->parts.n; i++) {
        int64_t lag = consumer_lag(s->consumer, bus_topic_name(s->bus, BUS_INBOX),
                                   s->parts.items[i]->id);
        if (lag > 0) c.lag += lag;
    }
    pthread_mutex_lock(&s->lock);
    s->shown = c;
    pthread_mutex_unlock(&s->lock);
    atomic_store(&s->ready, s->assigned && s->producer != NULL && live == s->parts.n);
}

static void consumer_gone(struct stage *s)
{
    consumer_close(s->consumer);
    s->consumer = NULL;
    part_clear(&s->parts);
    s->assigned = s->rejoin = false;
}

/* Open what is missing; a failed try is repeated later. */
static void clients(struct stage *s)
{
    const char *const topics[] = {bus_topic_name(s->bus, BUS_INBOX), NULL};
    struct consumer_options o = {.group = s->group,
                                 .topics = topics,
                                 .start = BUS_START_EARLIEST,
                                 .by_owner = true,
                                 .on_assign = on_assign,
                                 .on_revoke = on_revoke,
                                 .on_gap = on_gap,
                                 .ctx = s};
    struct fault f = {0};
    enum serin_status rc = SERIN_OK;
    if ((s->consumer != NULL && s->producer != NULL) || waiting_out(s)) return;
    if (s->consumer == NULL) rc = consumer_open(&s->consumer, s->bus, &o, &f);
    if (rc == SERIN_OK && s->producer == NULL)
        rc = producer_open(&s->producer, s->bus, "decide", PRODUCER_MS, &f);
    if (rc == SERIN_OK) return;
    say(s, "cannot start yet", &f);
    wait_longer(s);
}

static int poll_wait(const struct stage *s)
{
    int64_t left = s->next_tick - clock_mono_ms();
    if (s->restore != NULL || s->producer == NULL) return 0;
    if (part_count(&s->parts, PART_LIVE) == 0) return RESTORE_POLL_MS;
    return left < 0 ? 0 : left > POLL_MS ? POLL_MS : (int)left;
}

static void turn(struct stage *s)
{
    struct fault f = {0};
    size_t n = 0;
    clients(s);
    if (s->consumer == NULL) {
        clock_sleep_ms(POLL_MS);
        return;
    }
    if (s->producer != NULL) restore_advance(s);
    enum serin_status rc =
        consumer_poll(s->consumer, s->batch, BATCH, &n, poll_wait(s), &f);
    if (rc == SERIN_OK && s->rejoin)
        rc = fault_set(&f, SERIN_ENOMEM, "no memory for the partitions of the inbox");
    if (rc != SERIN_OK) { /* fenced, or dead: a new one joins */
        f.fatal = true;
        start_over(s, &f);
        consumer_gone(s);
        return;
    }
    apply(s, n);
    commit_if_due(s);
    if (s->failed) start_over(s, &s->fault);
}

/* Leave with everything said. Without a broker nothing can be: whoever restores reads a
 * little more of the inbox then. */
static void finish(struct stage *s)
{
    if (s->producer != NULL && s->consumer != NULL && consumer_connected(s->consumer)) {
        for (size_t i = 0; i < s->parts.n; i++)
            if (s->parts.items[i]->state == PART_LIVE)
                last_snapshot(s, s->parts.items[i]);
        if (!s->failed) (void)commit(s, -1);
        if (s->failed) say(s, "the last snapshots are not written", &s->fault);
    }
    restore_give_up(s);
    part_clear(&s->parts); /* nothing is left for on_revoke to do */
    consumer_gone(s);
    producer_close(s->producer);
    s->producer = NULL;
}

enum serin_status stage_run(struct stage *s, struct fault *f)
{
    (void)f;
    while (!atomic_load(&s->stop)) {
        turn(s);
        show(s);
    }
    finish(s);
    show(s);
    return SERIN_OK;
}

enum serin_status stage_open(struct stage **out, struct bus *b,
                             const struct stage_options *o, struct fault *f)
{
    struct sign_key key = {0};
    enum serin_status rc = SERIN_OK;
    if (o->key_file != NULL) rc = sign_load(o->key_file, &key, f);
    if (rc != SERIN_OK) return rc;
    struct stage *s = mem_calloc(1, sizeof *s);
    if (s != NULL) s->batch = mem_calloc(BATCH, sizeof *s->batch);
    if (s == NULL || s->batch == NULL) {
        mem_free(s);
        return fault_set(f, SERIN_ENOMEM, "no memory for the decision stage");
    }
    s->key = key;
    const char *inbox = bus_topic_name(b, BUS_INBOX);
    s->bus = b;
    s->o = *o;
    if (s->o.tick_ms <= 0) s->o.tick_ms = DEFAULT_TICK_MS;
    if (s->o.checkpoint_ms <= 0) s->o.checkpoint_ms = DEFAULT_CHECKPOINT_MS;
    /* serin.inbox -> serin.decide: one group a prefix */
    snprintf(s->group, sizeof s->group, "%.*sdecide",
             (int)(strlen(inbox) - strlen("inbox")), inbox);
    pthread_mutex_init(&s->lock, NULL);
    if (!bus_transactional(b))
        log_info("stage", "these brokers have no transactions: at least once, not "
                          "exactly once; verdict ids still tell a repeat");
    if (o->key_file == NULL)
        log_info("stage", "verdicts and audit entries are chained, not signed: no "
                          "audit.key_file is given");
    *out = s;
    return SERIN_OK;
}

void stage_stop(struct stage *s)
{
    atomic_store(&s->stop, true);
}

void stage_close(struct stage *s)
{
    if (s == NULL) return;
    restore_give_up(s);
    part_clear(&s->parts);
    consumer_close(s->consumer);
    producer_close(s->producer);
    pthread_mutex_destroy(&s->lock);
    mem_free(s->batch);
    mem_free(s);
}

struct stage_counts stage_counts(struct stage *s)
{
    pthread_mutex_lock(&s->lock);
    struct stage_counts c = s->shown;
    pthread_mutex_unlock(&s->lock);
    return c;
}

bool stage_ready(const struct stage *s)
{
    return atomic_load(&s->ready);
}
