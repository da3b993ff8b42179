/* engine/replay/trial.c */
#include "engine/replay/trial.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/core/fold.h"
#include "engine/replay/replan.h"
#include "engine/replay/replay.h"
#include "proto/decode.h"
#include "proto/encode.h"

enum { MAX = 10000 }; /* rollouts of one recording */

/* What the canary should get from a verdict on. */
struct share {
    int64_t since_ms;
    double of_all; /* as trial_share */
};

struct judged {
    char *rollout;
    uint8_t *row; /* the latest, encoded */
    size_t row_n;
    int64_t window_ms;
    struct share *shares; /* in the order of time */
    size_t n_shares;
};

struct trial {
    struct trial_options o;
    struct fold *fold;
    struct effects fx;
    struct arena in, out;
    int64_t offset, wall_ms;
    struct judged *judged;
    size_t n, room;
};

enum serin_status trial_open(struct trial **out, const struct trial_options *o)
{
    /* Nobody reads snapshots; rows only for how it stands in the end. */
    struct fold_options fo = {.max_lag_ms = o->max_lag_ms,
                              .row_every_ms = o->look != NULL ? o->look_ms : 10000,
                              .fresh_rows = o->look != NULL,
                              .snapshot_every_ms = REPLAY_NEVER_MS};
    struct trial *t = mem_calloc(1, sizeof *t);
    if (t == NULL) return SERIN_ENOMEM;
    t->o = *o;
    enum serin_status rc = fold_open(&t->fold, &fo);
    if (rc != SERIN_OK) {
        trial_close(t);
        return rc;
    }
    *out = t;
    return SERIN_OK;
}

void trial_close(struct trial *t)
{
    if (t == NULL) return;
    for (size_t i = 0; i < t->n; i++) {
        mem_free(t->judged[i].rollout);
        mem_free(t->judged[i].row);
        mem_free(t->judged[i].shares);
    }
    mem_free(t->judged);
    fold_close(t->fold);
    effects_free(&t->fx);
    arena_free(&t->in);
    arena_free(&t->out);
    mem_free(t);
}

static struct judged *find(const struct trial *t, struct strview rollout)
{
    for (size_t i = 0; i < t->n; i++)
        if (strview_eq(strview_of(t->judged[i].rollout), rollout)) return &t->judged[i];
    return NULL;
}

bool trial_has(const struct trial *t, struct strview rollout)
{
    return find(t, rollout) != NULL;
}

static enum serin_status keep_row(struct trial *t, const struct effect *e)
{
    struct judged *j = find(t, strview_of(e->key));
    if (j == NULL) return SERIN_OK;
    uint8_t *row = mem_realloc(j->row, e->value.n + 1, 1);
    if (row == NULL) return SERIN_ENOMEM;
    memcpy(row, e->value.p, e->value.n);
    j->row = row;
    j->row_n = e->value.n;
    pb_rollout *now;
    arena_reset(&t->out);
    enum serin_status rc = decode_rollout(&t->out, row, j->row_n, &now);
    if (rc != SERIN_OK) return rc;
    if (now->status != NULL) j->window_ms = now->status->window_ms;
    return t->o.look != NULL ? t->o.look(t->o.ctx, now) : SERIN_OK;
}

/* As the fold's own strategy_share. */
static double share_of(const pb_verdict *v)
{
    double w = v->to_bp / 10000.0, copies = (1 - w) * v->mirror_bp / 10000.0;
    if (v->to_bp == 0 && strcmp(v->step_kind, "preview") == 0) return (double)NAN;
    return (w + copies) / (1 + copies);
}

static enum serin_status keep_share(struct trial *t, const pb_verdict *v)
{
    struct judged *j = find(t, strview_of(v->rollout));
    double of_all = share_of(v);
    if (j == NULL) return SERIN_OK;
    double before = j->n_shares > 0 ? j->shares[j->n_shares - 1].of_all : 0;
    if (of_all == before || (isnan(of_all) && isnan(before))) return SERIN_OK;
    struct share *grown = mem_realloc(j->shares, j->n_shares + 1, sizeof *grown);
    if (grown == NULL) return SERIN_ENOMEM;
    j->shares = grown;
    j->shares[j->n_shares++] = (struct share){v->t_ms, of_all};
    return SERIN_OK;
}

static enum serin_status apply(struct trial *t, struct bytes record);

static enum serin_status send(struct trial *t, const pb_inbox *m)
{
    struct bytes bytes;
    arena_reset(&t->in);
    enum serin_status rc = encode_inbox(&t->in, m, &bytes);
    return rc == SERIN_OK ? apply(t, bytes) : rc;
}

static enum serin_status acknowledge(struct trial *t, const char *rollout,
                                     const char *id, uint32_t bp)
{
    pb_ack ack = SERIN__V1__ACK__INIT;
    pb_inbox m = SERIN__V1__INBOX__INIT;
    ack.rollout = messages_text(rollout);
    ack.verdict_id = messages_text(id);
    ack.actuator = messages_text("replay");
    ack.applied_bp = bp;
    ack.t_ms = t->wall_ms;
    m.schema = SERIN_SCHEMA;
    m.body_case = SERIN__V1__INBOX__BODY_ACK;
    m.ack = &ack;
    return send(t, &m);
}

/* The verdicts of one record, then the confirmation of the weight they end at. */
static enum serin_status apply(struct trial *t, struct bytes record)
{
    char rollout[256] = "", id[288] = "";
    uint32_t bp = 0;
    effects_reset(&t->fx);
    enum serin_status rc = fold_apply(t->fold, t->offset++, record.p, record.n, &t->fx);
    for (size_t i = 0; rc == SERIN_OK && i < t->fx.n; i++) {
        const struct effect *e = &t->fx.items[i];
        pb_verdict *v;
        if (e->kind == EFFECT_ROLLOUT) rc = keep_row(t, e);
        if (e->kind != EFFECT_VERDICT) continue;
        arena_reset(&t->out);
        rc = decode_verdict(&t->out, e->value.p, e->value.n, &v);
        if (rc == SERIN_OK) rc = keep_share(t, v);
        if (rc == SERIN_OK && t->o.sink != NULL) rc = t->o.sink(t->o.ctx, v, e->value);
        if (rc != SERIN_OK || e->move == EFFECT_STAYS) continue;
        snprintf(rollout, sizeof rollout, "%s", v->rollout);
        snprintf(id, sizeof id, "%s", v->id);
        bp = v->to_bp;
    }
    if (rc != SERIN_OK || !t->o.acknowledge || id[0] == '\0') return rc;
    return acknowledge(t, rollout, id, bp);
}

static enum serin_status add(struct trial *t, struct strview rollout)
{
    if (t->n == MAX) return SERIN_ELIMIT;
    if (t->n == t->room) {
        size_t room = t->room > 0 ? 2 * t->room : 8;
        struct judged *grown = mem_realloc(t->judged, room, sizeof *grown);
        if (grown == NULL) return SERIN_ENOMEM;
        t->judged = grown;
        t->room = room;
    }
    char *copy = mem_calloc(rollout.n + 1, 1);
    if (copy == NULL) return SERIN_ENOMEM;
    memcpy(copy, rollout.p, rollout.n);
    t->judged[t->n++] = (struct judged){.rollout = copy};
    return SERIN_OK;
}

/* The plan under the rollout's id: the fold takes no other. */
static enum serin_status apply_plan(struct trial *t, const char *rollout,
                                    int64_t now_ms)
{
    struct arena a = {0};
    pb_command c = SERIN__V1__COMMAND__INIT;
    pb_inbox m = SERIN__V1__INBOX__INIT;
    const char *plan = t->o.plan;
    char id[280];
    enum serin_status rc = SERIN_OK;
    if (strcmp(rollout, t->o.id) != 0)
        rc = replan(&a, plan, strlen(plan), &(struct replan){.id = rollout}, &plan);
    snprintf(id, sizeof id, "replay-%s", rollout);
    c.id = id;
    c.rollout = messages_text(rollout);
    c.verb = SERIN__V1__VERB__VERB_APPLY;
    c.actor = messages_text("replay");
    c.t_ms = now_ms;
    c.plan = messages_text(plan);
    m.schema = SERIN_SCHEMA;
    m.body_case = SERIN__V1__INBOX__BODY_COMMAND;
    m.command = &c;
    if (rc == SERIN_OK) rc = send(t, &m);
    arena_free(&a);
    return rc;
}

enum serin_status trial_want(struct trial *t, struct strview rollout, int64_t now_ms,
                             struct fault *f)
{
    if (trial_has(t, rollout)) return SERIN_OK;
    enum serin_status rc = add(t, rollout);
    if (rc == SERIN_ELIMIT)
        return fault_set(f, rc, "more than %d rollouts: pick one by --rollout", MAX);
    if (rc == SERIN_OK && t->n == 1) rc = trial_tick(t, now_ms, INT64_MIN);
    const struct judged *j = &t->judged[t->n - 1];
    if (rc == SERIN_OK) rc = apply_plan(t, j->rollout, now_ms);
    if (rc != SERIN_OK) return fault_set(f, rc, "no memory for the replay");
    if (j->row != NULL) return SERIN_OK;
    return fault_set(f, SERIN_EDOM,
                     "the plan cannot judge rollout %.128s; an id is "
                     "[a-z0-9][a-z0-9._-]{0,127}: pick another one by --rollout",
                     j->rollout);
}

enum serin_status trial_partial(struct trial *t, struct bytes inbox)
{
    return apply(t, inbox);
}

enum serin_status trial_tick(struct trial *t, int64_t wall_ms, int64_t watermark_ms)
{
    pb_tick tick = SERIN__V1__TICK__INIT;
    pb_source source = SERIN__V1__SOURCE__INIT, *sources[1] = {&source};
    pb_inbox m = SERIN__V1__INBOX__INIT;
    source.topic = messages_text("recording");
    source.known = watermark_ms != INT64_MIN;
    source.watermark_ms = source.known ? watermark_ms : 0;
    tick.worker = messages_text("replay");
    tick.wall_ms = wall_ms;
    tick.n_sources = 1;
    tick.sources = sources;
    m.schema = SERIN_SCHEMA;
    m.body_case = SERIN__V1__INBOX__BODY_TICK;
    m.tick = &tick;
    t->wall_ms = wall_ms;
    return send(t, &m);
}

size_t trial_rollouts(const struct trial *t)
{
    return t->n;
}

double trial_share(const struct trial *t, struct strview rollout, int64_t at_ms)
{
    const struct judged *j = find(t, rollout);
    size_t i = j != NULL ? j->n_shares : 0;
    while (i > 0 && j->shares[i - 1].since_ms > at_ms)
        i--;
    return i > 0 ? j->shares[i - 1].of_all : 0;
}

int64_t trial_window_ms(const struct trial *t, struct strview rollout)
{
    const struct judged *j = find(t, rollout);
    return j != NULL && j->window_ms > 1000 ? j->window_ms : 1000;
}

enum serin_status trial_row(struct trial *t, size_t i, const pb_rollout **out)
{
    pb_rollout *row;
    arena_reset(&t->out);
    enum serin_status rc =
        decode_rollout(&t->out, t->judged[i].row, t->judged[i].row_n, &row);
    if (rc == SERIN_OK) *out = row;
    return rc;
}

uint64_t trial_undecodable(const struct trial *t)
{
    return fold_counts(t->fold).undecodable;
}
