/* tests/unit/stage/test_stage.c -- kill, fail or rebalance the stage at every single
 * call
 *
 * The bus, the clock and the fold are small fakes in this file: a broker in memory
 * whose transactions are atomic and whose group has generations, and a fold whose
 * verdicts hash everything it has ever been given. Whatever happens at the k-th call,
 * for every k, the verdicts must be those of one uninterrupted fold over the inbox as
 * it is in the end. */
#include "engine/stage/stage.h"

#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/bus/consumer.h"
#include "engine/bus/producer.h"
#include "engine/bus/table.h"
#include "engine/core/checkpoint.h"
#include "engine/stage/restore.h"
#include "proto/decode.h"
#include "proto/encode.h"
#include "tests/support/check.h"

enum { PARTITIONS = 2, RECORDS = 40, LOG = 20000, POLLS = 4000, PER_VERDICT = 5 };

enum mode {
    KILL,   /* the process dies at this call (in a commit: before it, or after it) */
    REWIND, /* a send or a commit fails, the transaction is aborted */
    FATAL,  /* ... the producer dies, nothing was committed */
    FATAL_AFTER, /* ... the producer dies, although it was committed */
    FETCH,       /* reading state, the committed offsets or a rewind fails */
    POLL_FATAL,  /* the consumer dies */
    TAKEOVER,    /* the partitions go to another process and come back */
    ZOMBIE,      /* ... and this one is told only later */
    FOREIGN, /* a later owner's claim and tick appear, though the group says nothing */
    NOMEM,   /* the fold has no memory for a record */
    AUDIT,   /* the audit topic refuses a record: the transaction is aborted */
    GAP,     /* two records of the inbox were deleted unread */
    MODES
};

struct entry {
    char key[32];
    uint8_t value[256];
    size_t key_len, n;
};

struct log {
    struct entry *e;
    size_t n;
};

static struct {
    struct log inbox[PARTITIONS], state[PARTITIONS], verdicts;
    int64_t committed[PARTITIONS];
    unsigned generation;
    uint64_t calls, at;
    enum mode mode;
    bool dead, foreign, unaudited;
    unsigned gaps; /* told to a fold */
    unsigned polls;
    int64_t now;
    struct stage *running;
} world;

static const char *const names[] = {"t.inbox", "t.verdicts", "t.rollouts", "t.audit",
                                    "t.state"};

/* ------------------------------------------------------------------ clock, log, names
 */

int64_t clock_mono_ms(void)
{
    return world.now++;
}

int64_t clock_wall_ms(void)
{
    return 1700000000000 + world.now;
}

void clock_sleep_ms(int64_t ms)
{
    world.now += ms;
}

const char *bus_topic_name(const struct bus *b, enum bus_topic t)
{
    (void)b;
    return names[t];
}

bool bus_transactional(const struct bus *b)
{
    (void)b;
    return true;
}

/* Count a call. True: the thing to try happens here. */
static bool here(enum mode mode)
{
    world.calls++;
    return world.calls == world.at && world.mode == mode;
}

static bool dead(void)
{
    if (here(KILL)) world.dead = true;
    if (world.dead) stage_stop(world.running);
    return world.dead;
}

static void append(struct log *log, const void *key, size_t key_len, const void *p,
                   size_t n)
{
    if (log->e == NULL) log->e = calloc(LOG, sizeof *log->e);
    cr_assert(log->n < LOG && n <= sizeof log->e->value && key_len < 32);
    struct entry *e = &log->e[log->n++];
    memset(e, 0, sizeof *e);
    memcpy(e->key, key, key_len);
    memcpy(e->value, p, n);
    e->key_len = key_len;
    e->n = n;
}

static enum serin_status refuse(struct fault *f, bool fatal, bool rewind)
{
    fault_set(f, SERIN_EIO, "as the test says");
    f->fatal = fatal;
    f->rewind = rewind;
    return SERIN_EIO;
}

/* ------------------------------------------------------------------ the fold */

enum { ROLLOUTS = 4 };

struct rollout {
    uint64_t n, hash;
    int64_t applied;
};

struct fold {
    struct rollout r[ROLLOUTS];
    struct fold_options o;
    uint64_t epoch, restored, since_snapshot;
    bool any;
    struct fold_counts c;
};

void effects_reset(struct effects *fx)
{
    fx->n = fx->verdicts = 0;
    arena_reset(&fx->arena);
    fx->items = NULL;
    fx->room = 0;
}

void effects_free(struct effects *fx)
{
    arena_free(&fx->arena);
    *fx = (struct effects){0};
}

static bool effect(struct effects *fx, enum effect_kind kind, const char *key,
                   struct bytes value)
{
    struct effect *grown = arena_alloc(&fx->arena, (fx->n + 1) * sizeof *grown);
    char *k = arena_copy(&fx->arena, key, strlen(key));
    char *v = arena_copy(&fx->arena, value.p, value.n);
    if (grown == NULL || k == NULL || v == NULL) return false;
    if (fx->n > 0) memcpy(grown, fx->items, fx->n * sizeof *grown);
    fx->items = grown;
    fx->items[fx->n++] =
        (struct effect){.kind = kind, .key = k, .value = {(uint8_t *)v, value.n}};
    fx->verdicts += kind == EFFECT_VERDICT;
    return true;
}

enum serin_status fold_open(struct fold **out, const struct fold_options *o)
{
    *out = calloc(1, sizeof **out);
    (*out)->o = *o;
    for (int i = 0; i < ROLLOUTS; i++)
        (*out)->r[i].applied = -1;
    return SERIN_OK;
}

void fold_close(struct fold *f)
{
    free(f);
}

uint64_t fold_epoch(const struct fold *f)
{
    return f->restored;
}

void fold_set_epoch(struct fold *f, uint64_t epoch)
{
    f->epoch = epoch;
}

struct fold_counts fold_counts(const struct fold *f)
{
    return f->c;
}

void fold_gap(struct fold *f, int64_t expected, int64_t found)
{
    (void)f;
    cr_assert(eq(i64, found, expected + 2));
    world.gaps++;
}

static bool snapshot(struct fold *f, unsigned i, struct effects *fx)
{
    struct arena a = {0};
    struct bytes out;
    char key[16], text[64];
    pb_snapshot s = SERIN__V1__SNAPSHOT__INIT;
    snprintf(key, sizeof key, "r%u", i);
    snprintf(text, sizeof text, "%llx", (unsigned long long)f->r[i].hash);
    s.schema = SERIN_SCHEMA;
    s.epoch = f->epoch;
    s.applied_offset = f->r[i].applied;
    s.seq = f->r[i].n;
    s.rollout = text;
    bool ok = encode_snapshot(&a, &s, &out) == SERIN_OK &&
              effect(fx, EFFECT_SNAPSHOT, key, out);
    arena_free(&a);
    return ok;
}

enum serin_status fold_restore(struct fold *f, const char *key, const void *value,
                               size_t n, struct fault *why)
{
    (void)why;
    struct arena a = {0};
    pb_snapshot *s;
    cr_assert(key[0] == 'r', "the fold is not shown claims: %s", key);
    struct rollout *r = &f->r[key[1] - '0'];
    enum serin_status rc = decode_snapshot(&a, value, n, &s);
    if (rc == SERIN_ENOMEM) arena_free(&a);
    if (rc == SERIN_ENOMEM) return rc;
    cr_assert(eq(int, rc, SERIN_OK));
    r->applied = s->applied_offset;
    r->n = s->seq;
    r->hash = strtoull(s->rollout, NULL, 16);
    f->any = true;
    if (s->epoch > f->restored) f->restored = s->epoch;
    arena_free(&a);
    return SERIN_OK;
}

int64_t fold_start_offset(const struct fold *f)
{
    int64_t least = INT64_MAX;
    if (!f->any) return -1;
    for (int i = 0; i < ROLLOUTS; i++)
        if (f->r[i].applied + 1 < least) least = f->r[i].applied + 1;
    return least;
}

enum serin_status fold_snapshot_all(struct fold *f, struct effects *fx)
{
    for (unsigned i = 0; i < ROLLOUTS; i++)
        snapshot(f, i, fx);
    return SERIN_OK;
}

enum serin_status checkpoint_append(struct fold *f, int32_t partition, int64_t t_ms,
                                    struct effects *fx)
{
    (void)f, (void)partition, (void)t_ms, (void)fx;
    return SERIN_OK;
}

/* Data: "r2..."; everything else (ticks) goes into every rollout's hash. */
enum serin_status fold_apply(struct fold *f, int64_t offset, const void *value,
                             size_t n, struct effects *fx)
{
    const char *text = value;
    bool data = n > 1 && text[0] == 'r', ok = true;
    if (here(NOMEM)) return SERIN_ENOMEM;
    f->c.records++;
    for (unsigned i = 0; i < ROLLOUTS; i++) {
        struct rollout *r = &f->r[i];
        if (offset <= r->applied) continue;
        r->applied = offset;
        if (data && (unsigned)(text[1] - '0') != i) continue;
        r->hash = hash_bytes(value, n, r->hash + (uint64_t)offset);
        if (!data || ++r->n % PER_VERDICT != 0) continue;
        char line[64], key[16];
        snprintf(key, sizeof key, "r%u", i);
        snprintf(line, sizeof line, "r%u/%u %llx", i, (unsigned)(r->n / PER_VERDICT),
                 (unsigned long long)r->hash);
        ok = effect(fx, EFFECT_VERDICT, key,
                    (struct bytes){(const uint8_t *)line, strlen(line)}) &&
             snapshot(f, i, fx) && ok;
    }
    if (++f->since_snapshot % 7 == 0)
        ok = snapshot(f, (unsigned)offset % ROLLOUTS, fx) && ok;
    return ok ? SERIN_OK : SERIN_ENOMEM;
}

/* ------------------------------------------------------------------ state table */

struct table {
    struct table_options o;
    size_t upto[PARTITIONS];
    bool read;
};

enum serin_status table_open(struct table **out, struct bus *b,
                             const struct table_options *o, struct fault *f)
{
    (void)b;
    if (here(FETCH)) return refuse(f, false, false);
    *out = calloc(1, sizeof **out);
    (*out)->o = *o;
    for (int p = 0; p < PARTITIONS; p++)
        (*out)->upto[p] = world.state[p].n;
    return dead() ? SERIN_OK : SERIN_OK;
}

void table_close(struct table *t)
{
    free(t);
}

enum serin_status table_poll(struct table *t, int timeout_ms, struct fault *f)
{
    (void)timeout_ms;
    if (here(FETCH)) return refuse(f, false, false);
    if (dead() || t->read) return SERIN_OK;
    t->read = true;
    for (size_t k = 0; k < t->o.n_partitions; k++) {
        int32_t p = t->o.partitions[k];
        for (size_t i = 0; i < t->upto[p]; i++) {
            const struct entry *e = &world.state[p].e[i];
            struct bus_record r = {.topic = names[BUS_STATE],
                                   .partition = p,
                                   .offset = (int64_t)i,
                                   .key = e->key,
                                   .key_len = e->key_len,
                                   .value = e->value,
                                   .value_len = e->n};
            t->o.on_record(t->o.ctx, &r);
        }
    }
    return SERIN_OK;
}

bool table_caught_up(const struct table *t)
{
    return t->read;
}

/* ------------------------------------------------------------------ consumer */

struct consumer {
    struct consumer_options o;
    unsigned generation; /* 0: not assigned */
    int64_t at[PARTITIONS];
    unsigned polls, stop_at; /* of a nested process */
    unsigned tell_in;        /* polls until a zombie is told */
};

static unsigned nested; /* stop_at of the next consumer opened; 0 = the main one */

enum serin_status consumer_open(struct consumer **out, struct bus *b,
                                const struct consumer_options *o, struct fault *f)
{
    (void)b, (void)f;
    *out = calloc(1, sizeof **out);
    (*out)->o = *o;
    (*out)->stop_at = nested;
    return SERIN_OK;
}

static void all_partitions(struct bus_partition p[PARTITIONS])
{
    for (int32_t i = 0; i < PARTITIONS; i++)
        p[i] = (struct bus_partition){names[BUS_INBOX], i, world.committed[i]};
}

static void revoke(struct consumer *c, bool lost)
{
    struct bus_partition p[PARTITIONS];
    all_partitions(p);
    if (c->generation != 0) c->o.on_revoke(c->o.ctx, p, PARTITIONS, lost);
    c->generation = 0;
}

void consumer_close(struct consumer *c)
{
    if (c != NULL && !world.dead) revoke(c, c->generation != world.generation);
    free(c);
}

static void run_stage(unsigned polls)
{
    struct stage *s, *outer = world.running;
    struct stage_options o = {.tick_ms = 40};
    struct fault f = {0};
    while (stage_open(&s, NULL, &o, &f) !=
           SERIN_OK) /* without memory at the first try */
        cr_assert(eq(int, f.code, SERIN_ENOMEM));
    world.running = s;
    nested = polls;
    cr_assert(eq(int, stage_run(s, &f), SERIN_OK));
    nested = 0;
    if (world.at == 0) cr_assert(gt(u64, stage_counts(s).commits, 10));
    stage_close(s);
    world.running = outer;
}

/* Write as a later owner of partition 0 would. */
static void claim(uint64_t epoch)
{
    struct arena a = {0};
    struct bytes out;
    char worker[32];
    pb_tick tick = SERIN__V1__TICK__INIT;
    pb_inbox box = SERIN__V1__INBOX__INIT;
    pb_snapshot row = SERIN__V1__SNAPSHOT__INIT;
    snprintf(worker, sizeof worker, "%s/%u", RESTORE_CLAIM, (unsigned)epoch);
    tick.worker = worker;
    tick.wall_ms = 1700000000000;
    box.schema = row.schema = SERIN_SCHEMA;
    box.body_case = SERIN__V1__INBOX__BODY_TICK;
    box.tick = &tick;
    row.epoch = epoch;
    cr_assert(eq(int, encode_inbox(&a, &box, &out), SERIN_OK));
    append(&world.inbox[0], RESTORE_CLAIM, strlen(RESTORE_CLAIM), out.p, out.n);
    cr_assert(eq(int, encode_snapshot(&a, &row, &out), SERIN_OK));
    append(&world.state[0], RESTORE_CLAIM, strlen(RESTORE_CLAIM), out.p, out.n);
    arena_free(&a);
    world.foreign = true;
}

static uint64_t last_epoch(int partition)
{
    uint64_t epoch = 0;
    const struct log *log = &world.state[partition];
    if (log->n > 0)
        (void)restore_epoch(log->e[log->n - 1].value, log->e[log->n - 1].n, &epoch);
    return epoch;
}

static bool finished(void)
{
    if (world.foreign && last_epoch(0) < 100) return false;
    for (int p = 0; p < PARTITIONS; p++)
        if (world.committed[p] < RECORDS) return false;
    return true;
}

static bool trouble_at_poll(struct consumer *c, struct fault *f)
{
    if (here(POLL_FATAL)) {
        refuse(f, true, false);
        return true;
    }
    if (here(TAKEOVER)) {
        revoke(c, false);
        run_stage(9);
    }
    if (here(FOREIGN)) claim(99);
    if (here(GAP)) {
        struct bus_partition p = {names[BUS_INBOX], 0, c->at[0] + 2};
        c->o.on_gap(c->o.ctx, &p, c->at[0], c->at[0] + 2);
        cr_assert(c->at[0] > 0 || world.gaps == 0, "the log begins where it begins");
        c->at[0] += 2;
    }
    if (here(ZOMBIE)) {
        run_stage(9);
        c->tell_in = 5;
    }
    return false;
}

enum serin_status consumer_poll(struct consumer *c, struct bus_record *out, size_t max,
                                size_t *n, int timeout_ms, struct fault *f)
{
    struct bus_partition p[PARTITIONS];
    (void)max;
    *n = 0;
    world.now += timeout_ms;
    cr_assert(lt(uint, world.polls++, POLLS), "the stage does not get on");
    if (dead()) return SERIN_OK;
    if (c->stop_at == 0 && c->generation != 0 && trouble_at_poll(c, f))
        return SERIN_EIO;
    if (c->tell_in > 0 && --c->tell_in == 0) revoke(c, true);
    if (c->stop_at > 0 ? ++c->polls >= c->stop_at : finished()) {
        stage_stop(world.running);
        return SERIN_OK;
    }
    if (c->generation == 0) {
        all_partitions(p);
        c->o.on_assign(c->o.ctx, p, PARTITIONS);
        c->generation = ++world.generation;
        for (int i = 0; i < PARTITIONS; i++)
            c->at[i] = p[i].offset;
        return SERIN_OK;
    }
    for (int32_t i = 0; i < PARTITIONS; i++)
        for (int k = 0; k < 2 && c->at[i] < (int64_t)world.inbox[i].n; k++) {
            const struct entry *e = &world.inbox[i].e[c->at[i]];
            out[(*n)++] = (struct bus_record){.topic = names[BUS_INBOX],
                                              .partition = i,
                                              .offset = c->at[i]++,
                                              .key = e->key,
                                              .key_len = e->key_len,
                                              .value = e->value,
                                              .value_len = e->n};
        }
    return SERIN_OK;
}

enum serin_status consumer_rewind(struct consumer *c, const struct bus_partition *p,
                                  size_t n, struct fault *f)
{
    if (here(FETCH)) return refuse(f, false, false);
    for (size_t i = 0; i < n && !dead(); i++)
        c->at[p[i].partition] = p[i].offset;
    return SERIN_OK;
}

enum serin_status consumer_committed(struct consumer *c, struct bus_partition *p,
                                     size_t n, int timeout_ms, struct fault *f)
{
    (void)c, (void)timeout_ms;
    if (here(FETCH)) return refuse(f, false, false);
    for (size_t i = 0; i < n && !dead(); i++)
        p[i].offset = world.committed[p[i].partition];
    return SERIN_OK;
}

int64_t consumer_lag(const struct consumer *c, const char *topic, int32_t partition)
{
    (void)topic;
    return (int64_t)world.inbox[partition].n - c->at[partition];
}

bool consumer_connected(const struct consumer *c)
{
    return c != NULL;
}

/* ------------------------------------------------------------------ producer */

struct sent {
    struct log *to;
    struct entry e;
};

struct producer {
    struct sent s[2000];
    size_t n;
    bool open;
};

enum serin_status producer_open(struct producer **out, struct bus *b, const char *role,
                                int timeout_ms, struct fault *f)
{
    (void)b, (void)timeout_ms, (void)f;
    cr_assert(eq(str, (char *)role, (char *)"decide"));
    *out = calloc(1, sizeof **out);
    return dead() ? SERIN_OK : SERIN_OK;
}

void producer_close(struct producer *p)
{
    free(p);
}

const char *producer_lost_topic(const struct producer *p)
{
    (void)p;
    return world.unaudited ? names[BUS_AUDIT] : "";
}

enum serin_status producer_begin(struct producer *p, struct fault *f)
{
    (void)f;
    world.unaudited = false;
    cr_assert(world.dead || !p->open);
    p->open = true;
    p->n = 0;
    return dead() ? SERIN_OK : SERIN_OK;
}

enum serin_status producer_send(struct producer *p, const char *topic,
                                int32_t partition, const void *key, size_t key_len,
                                const void *value, size_t value_len, struct fault *f)
{
    if (here(REWIND)) return refuse(f, false, true);
    if (here(FATAL)) return refuse(f, true, false);
    if (dead()) return SERIN_OK;
    struct log *to = NULL;
    if (topic == names[BUS_INBOX]) to = &world.inbox[partition];
    if (topic == names[BUS_STATE]) to = &world.state[partition];
    if (topic == names[BUS_VERDICTS]) to = &world.verdicts;
    cr_assert(to != NULL && p->n < sizeof p->s / sizeof *p->s);
    struct sent *s = &p->s[p->n++];
    memset(s, 0, sizeof *s);
    s->to = to;
    s->e.key_len = key_len;
    s->e.n = value_len;
    memcpy(s->e.key, key, key_len);
    memcpy(s->e.value, value, value_len);
    return SERIN_OK;
}

enum serin_status producer_abort(struct producer *p, struct fault *f)
{
    (void)f;
    p->open = false;
    p->n = 0;
    return SERIN_OK;
}

enum serin_status producer_commit(struct producer *p, struct consumer *c,
                                  const struct bus_partition *offsets, size_t n,
                                  struct fault *f)
{
    if (here(REWIND) || (!world.dead && c->generation != world.generation)) {
        p->open = false;
        return refuse(f, false, true);
    }
    if (here(AUDIT)) {
        world.unaudited = true;
        p->open = false;
        return refuse(f, false, true);
    }
    if (here(FATAL)) return refuse(f, true, false);
    if (dead()) return SERIN_OK;
    cr_assert(n > 0, "offsets go with every transaction");
    for (size_t i = 0; i < p->n; i++)
        append(p->s[i].to, p->s[i].e.key, p->s[i].e.key_len, p->s[i].e.value,
               p->s[i].e.n);
    for (size_t i = 0; i < n; i++) {
        cr_assert(offsets[i].offset >= world.committed[offsets[i].partition]);
        world.committed[offsets[i].partition] = offsets[i].offset;
    }
    p->open = false;
    p->n = 0;
    if (here(FATAL_AFTER)) return refuse(f, true, false);
    (void)dead(); /* committed, and nobody will ever know */
    return SERIN_OK;
}

/* ------------------------------------------------------------------ the test */

static void world_clear(void)
{
    for (int p = 0; p < PARTITIONS; p++) {
        free(world.inbox[p].e);
        free(world.state[p].e);
    }
    free(world.verdicts.e);
    memset(&world, 0, sizeof world);
}

static void world_begin(enum mode mode, uint64_t at)
{
    world_clear();
    world.mode = mode;
    world.at = at;
    for (int i = 0; i < RECORDS; i++)
        for (int p = 0; p < PARTITIONS; p++) {
            char text[32];
            snprintf(text, sizeof text, "r%d %d.%d", (i * i + p) % ROLLOUTS, p, i);
            append(&world.inbox[p], text, 2, text, strlen(text));
        }
}

/* One fold over the whole inbox; its verdicts must be those of the topic, in order. */
static void check_verdicts(void)
{
    enum mode mode = world.mode;
    world.mode = MODES; /* nothing fails from here on */
    static char want[PARTITIONS][64][64];
    size_t n[PARTITIONS] = {0}, m[PARTITIONS] = {0};
    for (int p = 0; p < PARTITIONS; p++) {
        struct fold *fold;
        struct effects fx = {0};
        struct fold_options o = {0};
        cr_assert(eq(int, fold_open(&fold, &o), SERIN_OK));
        for (size_t i = 0; i < world.inbox[p].n; i++) {
            const struct entry *e = &world.inbox[p].e[i];
            cr_assert(
                eq(int, fold_apply(fold, (int64_t)i, e->value, e->n, &fx), SERIN_OK));
        }
        for (size_t i = 0; i < fx.n; i++)
            if (fx.items[i].kind == EFFECT_VERDICT)
                snprintf(want[p][n[p]++], 64, "%.*s", (int)fx.items[i].value.n,
                         (const char *)fx.items[i].value.p);
        effects_free(&fx);
        fold_close(fold);
    }
    world.mode = mode;
    /* Both partitions use the same rollout names: match each verdict with either. */
    for (size_t i = 0; i < world.verdicts.n; i++) {
        const char *v = (const char *)world.verdicts.e[i].value;
        int p = m[0] < n[0] && strcmp(v, want[0][m[0]]) == 0 ? 0 : 1;
        cr_assert(m[p] < n[p], "verdict \"%s\" is one too many (mode %d, call %u)", v,
                  world.mode, (unsigned)world.at);
        cr_assert(strcmp(v, want[p][m[p]]) == 0, "\"%s\" for \"%s\" (mode %d, call %u)",
                  v, want[p][m[p]], world.mode, (unsigned)world.at);
        m[p]++;
    }
    for (int p = 0; p < PARTITIONS; p++) {
        cr_assert(ge(sz, n[p], 4), "a test without verdicts must not pass");
        cr_assert(eq(sz, m[p], n[p]), "a verdict was lost (mode %d, call %u)",
                  world.mode, (unsigned)world.at);
    }
}

/* Epochs never fall along the log: no zombie has written after its successor. */
static void check_epochs(void)
{
    for (int p = 0; p < PARTITIONS; p++) {
        uint64_t last = 0, epoch;
        for (size_t i = 0; i < world.state[p].n; i++) {
            const struct entry *e = &world.state[p].e[i];
            cr_assert(restore_epoch(e->value, e->n, &epoch));
            cr_assert(ge(u64, epoch, last), "mode %d, call %u", world.mode,
                      (unsigned)world.at);
            last = epoch;
        }
    }
}

/* The number of calls of the run. */
static uint64_t scenario(enum mode mode, uint64_t at)
{
    world_begin(mode, at);
    run_stage(0);
    uint64_t calls = world.calls;
    for (int again = 0; world.dead || !finished(); again++) {
        cr_assert(lt(int, again, 3));
        world.dead = false;
        run_stage(0);
    }
    mem_fail_at(0);
    if (mode == GAP) return calls; /* its verdicts are those of another log */
    check_verdicts();
    if (mode != FOREIGN) check_epochs();
    return calls;
}

static void everywhere(enum mode mode)
{
    log_setup(LOG_ERROR_LEVEL + 1, false);
    uint64_t calls = scenario(mode, 0), tried = 0;
    cr_assert(ge(u64, calls, 100));
    for (uint64_t at = 1; at <= calls; at++) {
        scenario(mode, at);
        tried++;
    }
    cr_assert(eq(u64, tried, calls));
    world_clear();
}

Test(stage, killed_at_any_call_says_every_verdict_once, .timeout = 120)
{
    everywhere(KILL);
}

Test(stage, an_aborted_transaction_changes_nothing, .timeout = 120)
{
    everywhere(REWIND);
}

Test(stage, an_audit_topic_that_refuses_loses_nothing, .timeout = 120)
{
    everywhere(AUDIT);
}

Test(stage, a_dead_producer_is_replaced_committed_or_not, .timeout = 120)
{
    everywhere(FATAL);
    everywhere(FATAL_AFTER);
}

Test(stage, trouble_while_restoring_is_tried_again, .timeout = 120)
{
    everywhere(FETCH);
}

Test(stage, a_dead_consumer_is_replaced, .timeout = 120)
{
    everywhere(POLL_FATAL);
}

Test(stage, partitions_go_to_another_process_and_come_back, .timeout = 120)
{
    everywhere(TAKEOVER);
}

Test(stage, a_zombie_writes_nothing, .timeout = 120)
{
    everywhere(ZOMBIE);
}

/* Only by giving up, waiting and restoring does its epoch become 100 (see finished). */
Test(stage, an_owner_that_sees_a_later_epoch_gives_up_and_later_asks_again,
     .timeout = 120)
{
    everywhere(FOREIGN);
}

Test(stage, a_fold_without_memory_is_thrown_away, .timeout = 120)
{
    everywhere(NOMEM);
}

Test(stage, any_allocation_may_fail_once, .timeout = 120)
{
    log_setup(LOG_ERROR_LEVEL + 1, false);
    for (uint64_t k = 1; k < 2500; k++) {
        mem_fail_at(k);
        scenario(MODES, 1);
    }
    world_clear();
}

Test(stage, a_gap_is_told_to_a_fold_that_had_something_to_lose, .timeout = 120)
{
    unsigned told = 0, silent = 0;
    log_setup(LOG_ERROR_LEVEL + 1, false);
    uint64_t calls = scenario(MODES, 0);
    for (uint64_t at = 1; at <= calls; at++) {
        scenario(GAP, at);
        cr_assert(le(uint, world.gaps, 1));
        told += world.gaps;
        silent += world.gaps == 0;
    }
    cr_assert(gt(uint, told, 5));
    cr_assert(gt(uint, silent, 5));
    world_clear();
}

static void row(const char *key, uint64_t epoch, int64_t applied, bool tombstone)
{
    struct arena a = {0};
    struct bytes out = {0};
    char hash[] = "1";
    pb_snapshot s = SERIN__V1__SNAPSHOT__INIT;
    s.schema = SERIN_SCHEMA;
    s.epoch = epoch;
    s.applied_offset = applied;
    s.rollout = hash;
    if (!tombstone) cr_assert(eq(int, encode_snapshot(&a, &s, &out), SERIN_OK));
    append(&world.state[1], key, strlen(key), out.p != NULL ? (const void *)out.p : "",
           out.n);
    arena_free(&a);
}

Test(restore, the_largest_epoch_wins_then_the_latest_row)
{
    const int32_t partition[] = {1};
    struct restore *r;
    struct fold *fold;
    struct fault f = {0};
    struct fold_options o = {0};
    uint64_t epoch;
    size_t rows;
    world_begin(MODES, 0);
    row("r0", 3, 50, false);
    row("r0", 3, 70, false);
    row("r0", 2, 90, false); /* a zombie's, written later */
    row("r1", 3, 60, false);
    row("r1", 0, 0, true); /* gone */
    row("r2", 1, 80, false);
    row(RESTORE_CLAIM, 6, 0, false);
    cr_assert(eq(int, restore_open(&r, NULL, partition, 1, &f), SERIN_OK));
    cr_assert(eq(int, restore_step(r, 0, &f), SERIN_OK));
    cr_assert(eq(int, restore_fold(r, 1, &o, &fold, &epoch, &rows, &f), SERIN_OK));
    restore_close(r);
    cr_assert(eq(sz, rows, 2));
    cr_assert(eq(u64, epoch, 7));
    cr_assert(eq(i64, fold->r[0].applied, 70));
    cr_assert(eq(i64, fold->r[1].applied, -1));
    cr_assert(eq(i64, fold->r[2].applied, 80));
    fold_close(fold);
    world_clear();
}

Test(restore, an_epoch_is_read_from_bytes_of_any_kind)
{
    uint64_t epoch = 7;
    const uint8_t good[] = {0x08, 1, 0x10, 0xac, 0x02, 0x18},
                  none[] = {0x08, 1, 0x18, 4};
    cr_assert(restore_epoch(good, sizeof good, &epoch));
    cr_assert(eq(u64, epoch, 300));
    cr_assert(not(restore_epoch(none, sizeof none, &epoch)));
    cr_assert(eq(u64, epoch, 0));
    for (size_t n = 0; n < 5; n++)
        cr_assert(not(restore_epoch(good, n, &epoch)));
    const uint8_t endless[12] = {0x88, 0x80, 0x80, 0x80, 0x80,
                                 0x80, 0x80, 0x80, 0x80, 0x80};
    cr_assert(not(restore_epoch(endless, sizeof endless, &epoch)));
}
