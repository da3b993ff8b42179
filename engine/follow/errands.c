/* engine/follow/errands.c */
#include "engine/follow/errands.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/bus/producer.h"
#include "engine/bus/table.h"
#include "engine/core/plan.h"
#include "engine/follow/coordinate.h"
#include "engine/follow/crew.h"
#include "proto/decode.h"
#include "proto/encode.h"

enum { POLL_MS = 100, OPEN_MS = 5000, FLUSH_MS = 10000, COORDINATE_MS = 500 };

/* A live rollout whose checks are asked for. */
struct asker {
    char *id;
    struct arena arena; /* of its plan */
    struct plan *plan;
    uint64_t weight_seq;
    uint32_t step, weight_bp;
    bool asked[PLAN_MAX_CHECKS];
    int64_t next_ms[PLAN_MAX_CHECKS];     /* monotonic: not asked again before */
    int64_t answered_ms[PLAN_MAX_CHECKS]; /* wall: as its row says; 0 = not yet */
    UT_hash_handle hh;
};

struct errands {
    struct bus *bus;
    struct errands_options o;
    struct table *rows;
    struct producer *producer;
    struct coordinate others;
    struct crew *crew;
    struct asker *askers;
    struct fault fault; /* of what was written in this round; code OK: none */
    unsigned written;
    int64_t coordinated_ms; /* when others were looked at */
    atomic_bool stop;
};

/* ---- into the inbox */
static void write_record(struct errands *w, const char *rollout, const pb_inbox *in)
{
    struct arena memory = {0};
    struct bytes out;
    if (w->fault.code != SERIN_OK) return;
    enum serin_status rc = encode_inbox(&memory, in, &out);
    if (rc == SERIN_OK)
        rc = producer_send(w->producer, bus_topic_name(w->bus, BUS_INBOX), -1, rollout,
                           strlen(rollout), out.p, out.n, &w->fault);
    if (rc != SERIN_OK) w->fault.code = rc;
    w->written += rc == SERIN_OK;
    arena_free(&memory);
}

static void tell(void *ctx, const char *to, const char *about, const char *state,
                 bool queue)
{
    struct errands *w = ctx;
    pb_inbox in = SERIN__V1__INBOX__INIT;
    pb_signal s = SERIN__V1__SIGNAL__INIT;
    s.rollout = messages_text(to);
    s.about = messages_text(about);
    s.state = messages_text(state);
    s.queue = queue;
    s.coordinator = messages_text(w->o.name);
    in.schema = SERIN_SCHEMA;
    in.body_case = SERIN__V1__INBOX__BODY_SIGNAL;
    in.signal = &s;
    write_record(w, to, &in);
}

static void write_answer(struct errands *w, struct crew_answer *a)
{
    pb_inbox in = SERIN__V1__INBOX__INIT;
    pb_check_result c = SERIN__V1__CHECK_RESULT__INIT;
    c.rollout = a->probe.rollout;
    c.check = a->probe.check;
    c.weight_seq = a->probe.weight_seq;
    c.t_ms = a->t_ms;
    c.outcome = messages_text(a->answer.outcome);
    c.message = a->answer.message;
    c.runner = messages_text(w->o.name);
    in.schema = SERIN_SCHEMA;
    in.body_case = SERIN__V1__INBOX__BODY_CHECK;
    in.check = &c;
    log_info("follow", "%s: check %s: %s %s", a->probe.rollout, a->probe.check,
             a->answer.outcome, a->answer.message);
    write_record(w, a->probe.rollout, &in);
}

static void write_answers(struct errands *w)
{
    struct crew_answer *a = crew_answers(w->crew), *next;
    for (; a != NULL; a = next) {
        next = a->next;
        write_answer(w, a);
        mem_free(a);
    }
}

/* ---- who asks */
static void forget(struct errands *w, struct asker *a)
{
    HASH_DEL(w->askers, a);
    arena_free(&a->arena);
    mem_free(a->id);
    mem_free(a);
}

static struct asker *asker_new(struct errands *w, const pb_rollout *m)
{
    struct asker *a = mem_calloc(1, sizeof *a);
    struct doc_errors errors = {0};
    if (a == NULL) return NULL;
    errors.arena = &a->arena;
    a->id = mem_strdup(m->rollout);
    if (a->id == NULL || plan_parse(&a->arena, m->plan, strlen(m->plan), &a->plan,
                                    &errors) != SERIN_OK) {
        log_warn("follow",
                 "%s: its plan cannot be read here; its checks are left to "
                 "others",
                 m->rollout);
        arena_free(&a->arena);
        mem_free(a->id);
        mem_free(a);
        return NULL;
    }
    HASH_ADD_KEYPTR(hh, w->askers, a->id, strlen(a->id), a);
    if (a->hh.tbl != NULL) return a;
    arena_free(&a->arena);
    mem_free(a->id);
    mem_free(a);
    return NULL;
}

static bool same_plan(const struct asker *a, const pb_rollout *m)
{
    return m->plan_hash.len == HASH_DIGEST &&
           memcmp(a->plan->hash, m->plan_hash.data, HASH_DIGEST) == 0;
}

static void take_checks(struct errands *w, const pb_rollout *m)
{
    const pb_status *s = m->status;
    struct asker *a = NULL;
    HASH_FIND_STR(w->askers, m->rollout, a);
    if (a != NULL && (s->final || !same_plan(a, m))) {
        forget(w, a);
        a = NULL;
    }
    if (a == NULL && !s->final && s->n_checks != 0) a = asker_new(w, m);
    if (a == NULL) return;
    if (a->weight_seq != s->weight_seq) memset(a->next_ms, 0, sizeof a->next_ms);
    a->weight_seq = s->weight_seq;
    a->step = s->step;
    a->weight_bp = s->weight_bp;
    memset(a->asked, 0, sizeof a->asked);
    for (size_t i = 0; i < s->n_checks && i < a->plan->n_checks; i++) {
        a->asked[i] = s->checks[i]->asked;
        a->answered_ms[i] = s->checks[i]->t_ms;
    }
}

static void on_row(void *ctx, const struct bus_record *r)
{
    struct errands *w = ctx;
    struct arena memory = {0};
    pb_rollout *m = NULL;
    char id[132] = "";
    if (r->value == NULL) {
        if (r->key_len < sizeof id) memcpy(id, r->key, r->key_len);
        if (coordinate_take(&w->others, id, NULL) != SERIN_OK) id[0] = '\0';
        struct asker *a = NULL;
        HASH_FIND_STR(w->askers, id, a);
        if (a != NULL) forget(w, a);
    } else if (decode_rollout(&memory, r->value, r->value_len, &m) == SERIN_OK &&
               m->status != NULL) {
        if (coordinate_take(&w->others, m->rollout, m) != SERIN_OK)
            log_warn("follow", "%s: no memory; told nothing until its next row",
                     m->rollout);
        take_checks(w, m);
    }
    arena_free(&memory);
}

static void start(struct errands *w, struct asker *a, size_t i, int64_t now_ms)
{
    const struct plan_external *x = &a->plan->checks[i];
    struct probe p = {.weight_seq = a->weight_seq,
                      .step = a->step,
                      .weight_bp = a->weight_bp,
                      .timeout_ms = (int)x->timeout_ms,
                      .retries = (unsigned)x->retries};
    snprintf(p.rollout, sizeof p.rollout, "%s", a->id);
    snprintf(p.check, sizeof p.check, "%s", x->name);
    snprintf(p.service, sizeof p.service, "%.256s", a->plan->service);
    snprintf(p.url, sizeof p.url, "%s", x->url);
    snprintf(p.secret_file, sizeof p.secret_file, "%s", x->secret_file);
    snprintf(p.target, sizeof p.target, "%s", x->target);
    if (crew_start(w->crew, &p)) a->next_ms[i] = now_ms + x->every_ms;
}

/* Another runner may have asked meanwhile: its answer stands in the row. */
static void start_due(struct errands *w)
{
    int64_t now = clock_mono_ms(), wall = clock_wall_ms();
    for (struct asker *a = w->askers; a != NULL; a = a->hh.next)
        for (size_t i = 0; i < a->plan->n_checks; i++) {
            int64_t age = wall - a->answered_ms[i];
            if (!a->asked[i] || now < a->next_ms[i]) continue;
            if (a->answered_ms[i] != 0 && age >= 0 && age < a->plan->checks[i].every_ms)
                continue;
            start(w, a, i, now);
        }
}

/* ---- the loop */
enum serin_status errands_open(struct errands **out, struct bus *b,
                               const struct errands_options *o, struct fault *f)
{
    static const struct probe_policy nothing = {0};
    struct errands *w = mem_calloc(1, sizeof *w);
    if (w == NULL ||
        crew_open(&w->crew, o->policy != NULL ? o->policy : &nothing) != SERIN_OK) {
        mem_free(w);
        return fault_set(f, SERIN_ENOMEM, "no memory to follow the rollouts");
    }
    w->bus = b;
    w->o = *o;
    if (o->name == NULL) w->o.name = "serin";
    *out = w;
    return SERIN_OK;
}

static enum serin_status connect_(struct errands *w, struct fault *f)
{
    struct table_options to = {.topic = bus_topic_name(w->bus, BUS_ROLLOUTS),
                               .start = BUS_OFFSET_NONE,
                               .on_record = on_row,
                               .ctx = w};
    enum serin_status rc = SERIN_OK;
    if (w->producer == NULL) rc = producer_open(&w->producer, w->bus, NULL, OPEN_MS, f);
    if (rc == SERIN_OK && w->rows == NULL) rc = table_open(&w->rows, w->bus, &to, f);
    return rc;
}

/* A record that was not written is written again: the rows do not show it. */
static enum serin_status round_(struct errands *w, struct fault *f)
{
    enum serin_status rc = connect_(w, f);
    if (rc == SERIN_OK) rc = table_poll(w->rows, POLL_MS, f);
    if (rc != SERIN_OK || !table_caught_up(w->rows)) return rc;
    w->fault = (struct fault){0};
    w->written = 0;
    if (clock_mono_ms() - w->coordinated_ms >= COORDINATE_MS) {
        w->coordinated_ms = clock_mono_ms();
        coordinate_all(&w->others, w->coordinated_ms, tell, w);
    }
    start_due(w);
    write_answers(w);
    if (w->fault.code == SERIN_OK && w->written != 0 &&
        producer_flush(w->producer, FLUSH_MS, &w->fault) != SERIN_OK)
        w->fault.code = SERIN_EIO;
    if (w->fault.code == SERIN_OK) return SERIN_OK;
    producer_close(w->producer);
    w->producer = NULL;
    *f = w->fault;
    f->retriable = true;
    return f->code;
}

enum serin_status errands_run(struct errands *w, struct fault *f)
{
    char said[TABLE_SAID] = "";
    while (!atomic_load(&w->stop)) {
        if (round_(w, f) == SERIN_OK) {
            said[0] = '\0';
            continue;
        }
        table_retry(&w->rows, said, "follow", f);
    }
    return SERIN_OK;
}

void errands_stop(struct errands *w)
{
    atomic_store(&w->stop, true);
}

void errands_close(struct errands *w)
{
    if (w == NULL) return;
    while (w->askers != NULL)
        forget(w, w->askers);
    coordinate_free(&w->others);
    crew_close(w->crew);
    table_close(w->rows);
    producer_close(w->producer);
    mem_free(w);
}
