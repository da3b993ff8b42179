/* engine/act/act.c */
#include "engine/act/act.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "engine/act/target.h"
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/bus/producer.h"
#include "engine/bus/table.h"
#include "engine/core/plan.h"
#include "proto/decode.h"
#include "proto/encode.h"

enum { POLL_MS = 100, OPEN_MS = 5000, FLUSH_MS = 10000 };

/* One of the targets that a plan names. */
struct place {
    const char *name; /* "": said inline */
    struct target *target;
    bool refused; /* it cannot be moved: target is NULL */
};

/* A rollout that is moved here, or that cannot be. */
struct moved {
    struct moved *next;
    char id[132];
    uint8_t plan_hash[HASH_DIGEST];
    struct arena arena; /* of its plan's section */
    struct place places[PLAN_MAX_TARGETS];
    size_t n_places;
    bool final;           /* its last verdict was heard */
    uint64_t refused_seq; /* the verdict that was answered with a refusal; 0: none */
};

struct act {
    struct bus *bus;
    struct act_options o;
    struct table *rows;
    struct producer *producer;
    struct moved *moved;
    pthread_mutex_t lock; /* of the list below */
    struct target_report *first, **last;
    atomic_bool stop;
};

/* ---- what targets report */
static void on_report(void *ctx, struct target_report *r)
{
    struct act *a = ctx;
    pthread_mutex_lock(&a->lock);
    *a->last = r;
    a->last = &r->next;
    pthread_mutex_unlock(&a->lock);
}

static struct target_report *take_reports(struct act *a)
{
    pthread_mutex_lock(&a->lock);
    struct target_report *r = a->first;
    a->first = NULL;
    a->last = &a->first;
    pthread_mutex_unlock(&a->lock);
    return r;
}

static enum serin_status acknowledge(struct act *a, struct target_report *r,
                                     struct fault *f)
{
    struct arena memory = {0};
    struct bytes out;
    pb_ack ack = SERIN__V1__ACK__INIT;
    pb_inbox box = SERIN__V1__INBOX__INIT;
    ack.rollout = r->rollout;
    ack.verdict_id = r->verdict_id;
    ack.actuator = messages_text(a->o.name);
    ack.applied_bp = r->applied_bp;
    ack.t_ms = clock_wall_ms();
    ack.error = r->error;
    ack.target = r->name;
    box.schema = SERIN_SCHEMA;
    box.body_case = SERIN__V1__INBOX__BODY_ACK;
    box.ack = &ack;
    enum serin_status rc = encode_inbox(&memory, &box, &out);
    if (rc == SERIN_OK)
        rc = producer_send(a->producer, bus_topic_name(a->bus, BUS_INBOX), -1,
                           r->rollout, strlen(r->rollout), out.p, out.n, f);
    arena_free(&memory);
    return rc;
}

/* An acknowledgement that does not get through costs time, never safety: the engine
 * holds without it. It is logged, and every target is asked to report again: the
 * engine may already hold for want of this very one, and then nothing else would come.
 */
static void send_reports(struct act *a)
{
    struct fault f = {0};
    struct target_report *r = take_reports(a), *next;
    enum serin_status rc = SERIN_OK;
    if (r == NULL) return;
    for (; r != NULL; r = next) {
        next = r->next;
        if (rc == SERIN_OK && !a->o.dry_run) rc = acknowledge(a, r, &f);
        mem_free(r);
    }
    if (rc == SERIN_OK && !a->o.dry_run) rc = producer_flush(a->producer, FLUSH_MS, &f);
    if (rc == SERIN_OK) return;
    log_error("act", "an acknowledgement was not written: %s", f.text);
    for (const struct moved *m = a->moved; m != NULL; m = m->next)
        for (size_t i = 0; i < m->n_places; i++)
            if (m->places[i].target != NULL) target_again(m->places[i].target);
}

static void refuse(struct act *a, struct moved *m, const struct place *p, uint64_t seq,
                   const struct fault *f)
{
    log_error("act", "%s: %s", m->id, f->text);
    if (seq == 0) return; /* no verdict yet to answer to */
    struct target_report *r = mem_calloc(1, sizeof *r);
    m->refused_seq = seq;
    if (r == NULL) return;
    snprintf(r->name, sizeof r->name, "%s", p->name);
    snprintf(r->rollout, sizeof r->rollout, "%s", m->id);
    snprintf(r->verdict_id, sizeof r->verdict_id, "%s/%llu", m->id,
             (unsigned long long)seq);
    snprintf(r->error, sizeof r->error, "%.255s", f->text);
    on_report(a, r);
}

/* ---- rows */
static struct moved *find(struct act *a, const char *id)
{
    struct moved *m = a->moved;
    while (m != NULL && strcmp(m->id, id) != 0)
        m = m->next;
    return m;
}

static void forget(struct act *a, struct moved *gone)
{
    struct moved **at = &a->moved;
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    for (size_t i = 0; i < gone->n_places; i++)
        target_close(gone->places[i].target);
    arena_free(&gone->arena);
    mem_free(gone);
}

static enum serin_status not_twice(struct act *a, const struct place *p,
                                   struct fault *f)
{
    for (const struct moved *o = a->moved; o != NULL; o = o->next)
        for (size_t i = 0; i < o->n_places; i++)
            if (&o->places[i] != p && o->places[i].target != NULL &&
                strcmp(target_place(o->places[i].target), target_place(p->target)) == 0)
                return fault_set(f, SERIN_ESTATE,
                                 "rollout %s already moves %s: end it first, or give "
                                 "this one a place of its own",
                                 o->id, target_place(p->target));
    return SERIN_OK;
}

static enum serin_status occupy(struct act *a, struct moved *m, struct place *p,
                                const struct driver *d, const void *settings,
                                struct fault *f)
{
    struct target_options to = {.name = p->name,
                                .lease_ms = a->o.policy->lease_ms,
                                .check_ms = a->o.policy->check_ms,
                                .dry_run = a->o.dry_run,
                                .report = on_report,
                                .ctx = a};
    enum serin_status rc = target_open(&p->target, m->id, d, settings, &to, f);
    if (rc == SERIN_OK) rc = not_twice(a, p, f);
    if (rc != SERIN_OK && p->target != NULL) {
        target_close(p->target);
        p->target = NULL;
    }
    return rc;
}

/* Target i of the section is moved here, is refused, or is another process' business.
 */
static void take_place(struct act *a, struct moved *m, const struct section *s,
                       size_t i, uint64_t seq)
{
    struct fault f = {0};
    struct place *p = &m->places[m->n_places];
    const struct driver *d = NULL;
    const void *settings = NULL;
    enum serin_status rc = section_resolve(a->o.policy, s, i, &d, &settings, &f);
    if (rc == SERIN_ENOENT && s->n_targets > 1) return; /* of several, others' */
    if (rc == SERIN_OK && a->o.kind != NULL && strcmp(d->name, a->o.kind) != 0) return;
    p->name = s->n_targets != 0 ? s->targets[i] : "";
    m->n_places++;
    if (rc == SERIN_OK) rc = occupy(a, m, p, d, settings, &f);
    p->refused = rc != SERIN_OK;
    if (p->refused) refuse(a, m, p, seq, &f);
}

/* The section of its plan: what of it is for this process. */
static void take_places(struct act *a, struct moved *m, const pb_rollout *row)
{
    struct plan *plan;
    struct fault f = {0};
    struct section s = {0};
    struct doc_errors errors = {.arena = &m->arena};
    uint64_t seq = row->status->seq;
    if (plan_parse(&m->arena, row->plan, strlen(row->plan), &plan, &errors) !=
            SERIN_OK ||
        plan->actuate == NULL ||
        section_read(&m->arena, plan->actuate, &s, &errors) != SERIN_OK)
        return;
    if (errors.total != 0) {
        fault_set(&f, SERIN_EDOM, "plan, line %u: %s", errors.items[0].line,
                  errors.items[0].text);
        m->places[m->n_places++] = (struct place){.name = "", .refused = true};
        refuse(a, m, &m->places[0], seq, &f);
        return;
    }
    for (size_t i = 0; i < (s.n_targets != 0 ? s.n_targets : 1); i++)
        take_place(a, m, &s, i, seq);
}

/* A rollout is taken up while it is live: what ended before this process began is
 * somebody's past, and its place may be another's by now. */
static struct moved *take_up(struct act *a, const pb_rollout *row)
{
    struct moved *m = mem_calloc(1, sizeof *m);
    if (m == NULL) return NULL;
    snprintf(m->id, sizeof m->id, "%s", row->rollout);
    if (row->plan_hash.len == HASH_DIGEST)
        memcpy(m->plan_hash, row->plan_hash.data, HASH_DIGEST);
    m->next = a->moved;
    a->moved = m;
    take_places(a, m, row);
    if (m->n_places != 0) return m;
    forget(a, m);
    return NULL;
}

static bool refused(const struct moved *m)
{
    for (size_t i = 0; i < m->n_places; i++)
        if (m->places[i].refused) return true;
    return false;
}

static bool same_plan(const struct moved *m, const pb_rollout *row)
{
    return row->plan_hash.len == HASH_DIGEST &&
           memcmp(m->plan_hash, row->plan_hash.data, HASH_DIGEST) == 0;
}

/* Of a rollout that is moved here. */
static void hear(struct moved *m, const pb_status *s, int64_t said_ms)
{
    struct lease_word w = {.seq = s->seq,
                           .weight_bp = s->weight_bp,
                           .final = s->final,
                           .stopped = s->final && s->weight_bp == 0};
    struct target_more more = {(const char *const *)s->audience, s->n_audience,
                               s->mirror_bp};
    for (size_t i = 0; i < m->n_places; i++)
        if (m->places[i].target != NULL)
            target_hear(m->places[i].target, &w, &more, said_ms);
    m->final = s->final;
}

/* It has another plan now, or what was refused may be tried again at this verdict:
 * others may have ended. */
static bool outdated(const struct moved *m, const pb_rollout *row)
{
    const pb_status *s = row->status;
    return !same_plan(m, row) || (refused(m) && s->seq > m->refused_seq && !s->final);
}

static void take_row(struct act *a, const pb_rollout *row, int64_t said_ms)
{
    const pb_status *s = row->status;
    struct moved *m = find(a, row->rollout);
    if (s == NULL || (a->o.rollout != NULL && strcmp(a->o.rollout, row->rollout) != 0))
        return;
    if (m != NULL && outdated(m, row)) {
        forget(a, m);
        m = NULL;
    }
    if (m == NULL && !s->final) m = take_up(a, row);
    if (m != NULL) hear(m, s, said_ms);
}

static void on_row(void *ctx, const struct bus_record *r)
{
    struct act *a = ctx;
    struct arena memory = {0};
    pb_rollout *row;
    int64_t age = clock_wall_ms() - r->timestamp_ms;
    if (r->value != NULL &&
        decode_rollout(&memory, r->value, r->value_len, &row) == SERIN_OK)
        take_row(a, row, clock_mono_ms() - (age > 0 ? age : 0));
    arena_free(&memory);
}

/* Nothing is left to do of it. */
static bool done(const struct moved *m)
{
    for (size_t i = 0; i < m->n_places; i++)
        if (m->places[i].target != NULL && !target_done(m->places[i].target))
            return false;
    return m->final;
}

static void let_go(struct act *a)
{
    struct moved *m = a->moved, *next;
    for (; m != NULL; m = next) {
        next = m->next;
        if (done(m)) {
            log_info("act", "%s: has ended", m->id);
            forget(a, m);
        }
    }
}

/* ---- the loop */
enum serin_status act_open(struct act **out, struct bus *b, const struct act_options *o,
                           struct fault *f)
{
    struct act *a = mem_calloc(1, sizeof *a);
    if (a == NULL) return fault_set(f, SERIN_ENOMEM, "no memory for the actuator");
    a->bus = b;
    a->o = *o;
    a->last = &a->first;
    pthread_mutex_init(&a->lock, NULL);
    *out = a;
    return SERIN_OK;
}

static enum serin_status connect_(struct act *a, struct fault *f)
{
    struct table_options to = {.topic = bus_topic_name(a->bus, BUS_ROLLOUTS),
                               .start = BUS_OFFSET_NONE,
                               .on_record = on_row,
                               .ctx = a};
    enum serin_status rc = SERIN_OK;
    if (a->producer == NULL && !a->o.dry_run)
        rc = producer_open(&a->producer, a->bus, NULL, OPEN_MS, f);
    if (rc == SERIN_OK && a->rows == NULL) rc = table_open(&a->rows, a->bus, &to, f);
    return rc;
}

enum serin_status act_run(struct act *a, struct fault *f)
{
    char said[TABLE_SAID] = "";
    while (!atomic_load(&a->stop)) {
        enum serin_status rc = connect_(a, f);
        if (rc == SERIN_OK) rc = table_poll(a->rows, POLL_MS, f);
        if (rc == SERIN_OK) {
            send_reports(a);
            let_go(a);
            said[0] = '\0';
            continue;
        }
        if (!f->retriable && a->rows == NULL) return rc;
        table_retry(&a->rows, said, "act", f);
    }
    send_reports(a);
    return SERIN_OK;
}

void act_stop(struct act *a)
{
    atomic_store(&a->stop, true);
}

void act_close(struct act *a)
{
    struct target_report *r, *next;
    if (a == NULL) return;
    while (a->moved != NULL)
        forget(a, a->moved);
    for (r = take_reports(a); r != NULL; r = next) {
        next = r->next;
        mem_free(r);
    }
    table_close(a->rows);
    producer_close(a->producer);
    pthread_mutex_destroy(&a->lock);
    mem_free(a);
}
