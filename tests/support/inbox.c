/* tests/support/inbox.c */
#include "tests/support/inbox.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "proto/encode.h"

static void *must(void *p)
{
    if (p == NULL) {
        fprintf(stderr, "inbox: out of memory\n");
        abort();
    }
    return p;
}

void inbox_free(struct inbox *b)
{
    arena_free(&b->arena);
    mem_free(b->records);
    *b = (struct inbox){0};
}

void inbox_add(struct inbox *b, const pb_inbox *in)
{
    enum { MARKER_EVERY = 3 };
    struct inbox_record r = {.offset = b->next};
    if (b->arena.max == 0) b->arena.max = (size_t)1 << 30;
    if (encode_inbox(&b->arena, in, &r.value) != SERIN_OK) must(NULL);
    if (b->n == b->room) {
        b->room = b->room != 0 ? 2 * b->room : 64;
        b->records = must(mem_realloc(b->records, b->room, sizeof *b->records));
    }
    b->records[b->n++] = r;
    b->next += b->n % MARKER_EVERY == 0 ? 2 : 1;
}

static void tick(struct inbox *b, pb_tick *t)
{
    pb_inbox in = SERIN__V1__INBOX__INIT;
    in.schema = SERIN_SCHEMA;
    in.body_case = SERIN__V1__INBOX__BODY_TICK;
    in.tick = t;
    inbox_add(b, &in);
}

void inbox_wall(struct inbox *b, int64_t wall_ms)
{
    pb_tick t = SERIN__V1__TICK__INIT;
    t.worker = "stage";
    t.wall_ms = wall_ms;
    tick(b, &t);
}

void inbox_tick(struct inbox *b, int64_t wall_ms, int64_t watermark_ms)
{
    pb_tick t = SERIN__V1__TICK__INIT;
    pb_source s = SERIN__V1__SOURCE__INIT, *items[] = {&s};
    s.topic = "metrics";
    s.known = true;
    s.watermark_ms = watermark_ms;
    t.worker = "ingest-1";
    t.wall_ms = wall_ms;
    t.n_sources = 1;
    t.sources = items;
    tick(b, &t);
}

static void partial(struct inbox *b, pb_partial *p)
{
    pb_inbox in = SERIN__V1__INBOX__INIT;
    p->worker = "ingest-1";
    in.schema = SERIN_SCHEMA;
    in.body_case = SERIN__V1__INBOX__BODY_PARTIAL;
    in.partial = p;
    inbox_add(b, &in);
}

static void second(struct inbox *b, struct inbox_second s,
                   Serin__V1__Histogram *hist[2])
{
    pb_partial p = SERIN__V1__PARTIAL__INIT;
    pb_cell cells[2], *items[2];
    for (size_t c = 0; c < 2; c++) {
        if ((c == 0 ? s.n : s.m) == 0) continue;
        pb_cell *cell = items[p.n_cells] = &cells[p.n_cells];
        p.n_cells++;
        serin__v1__cell__init(cell);
        cell->cohort = c == 0 ? SERIN__V1__COHORT__COHORT_CANARY
                              : SERIN__V1__COHORT__COHORT_BASELINE;
        cell->metric = (char *)(s.metric != NULL ? s.metric : "errors");
        cell->stratum = (char *)(s.stratum != NULL ? s.stratum : "");
        cell->window_ms = s.at_ms;
        cell->n = c == 0 ? s.n : s.m;
        cell->bad = c == 0 ? s.x : s.y;
        cell->hist = hist[c];
        cell->bounds_ratio = s.bounds_ratio;
        cell->bounds_id = s.bounds_id[c];
    }
    p.rollout = (char *)s.rollout;
    p.cells = items;
    p.samples = s.n + s.m;
    p.poison = s.poison;
    partial(b, &p);
}

void inbox_cell(struct inbox *b, const char *rollout, pb_cell *cell)
{
    pb_partial p = SERIN__V1__PARTIAL__INIT;
    p.rollout = (char *)rollout;
    p.cells = &cell;
    p.n_cells = 1;
    p.samples = cell->n;
    partial(b, &p);
}

static void pods_of(pb_cell *cell, const char *prefix, const double *at, size_t n,
                    Serin__V1__UnitSum *sums, Serin__V1__UnitSum **list,
                    char names[][24])
{
    cell->units = list;
    for (size_t i = 0; i < n; i++) {
        if (isnan(at[i])) continue;
        Serin__V1__UnitSum *u = list[cell->n_units] = &sums[i];
        serin__v1__unit_sum__init(u);
        snprintf(names[i], sizeof names[i], "%s%zu", prefix, i);
        u->unit = names[i];
        u->n = 1;
        u->sum = at[i];
        u->sum_sq = at[i] * at[i];
        cell->n_units++;
        cell->n++;
    }
}

void inbox_gauge(struct inbox *b, struct inbox_second s, struct inbox_pods pods)
{
    enum { MOST = 64 };
    Serin__V1__UnitSum sums[MOST], *list[MOST];
    char names[MOST][24];
    for (int c = 0; c < 2; c++) {
        pb_cell cell = SERIN__V1__CELL__INIT;
        size_t n = c == 0 ? pods.n_canary : pods.n_baseline;
        if (n > MOST) must(NULL);
        cell.cohort = c == 0 ? SERIN__V1__COHORT__COHORT_CANARY
                             : SERIN__V1__COHORT__COHORT_BASELINE;
        cell.metric = (char *)s.metric;
        cell.stratum = (char *)(s.stratum != NULL ? s.stratum : "");
        cell.window_ms = s.at_ms;
        pods_of(&cell, c == 0 ? "c" : "b", c == 0 ? pods.canary : pods.baseline, n,
                sums, list, names);
        if (cell.n != 0) inbox_cell(b, s.rollout, &cell);
    }
}

static int rising(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

size_t inbox_users_sort(uint64_t *keys, size_t n)
{
    size_t k = 0;
    qsort(keys, n, sizeof *keys, rising);
    for (size_t i = 0; i < n; i++) {
        if (k > 0 && (keys[k - 1] & ~UINT64_C(3)) == (keys[i] & ~UINT64_C(3)))
            keys[k - 1] |= keys[i];
        else
            keys[k++] = keys[i];
    }
    return k;
}

void inbox_users(struct inbox *b, struct inbox_second s, struct inbox_users users)
{
    for (int c = 0; c < 2; c++) {
        pb_cell cell = SERIN__V1__CELL__INIT;
        size_t n = c == 0 ? users.n_canary : users.n_baseline;
        cell.cohort = c == 0 ? SERIN__V1__COHORT__COHORT_CANARY
                             : SERIN__V1__COHORT__COHORT_BASELINE;
        cell.metric = (char *)(s.metric != NULL ? s.metric : "errors");
        cell.stratum = (char *)(s.stratum != NULL ? s.stratum : "");
        cell.window_ms = s.at_ms;
        cell.n = c == 0 ? s.n : s.m;
        if (cell.n < n) cell.n = n;
        cell.users = (uint64_t *)(uintptr_t)(c == 0 ? users.canary : users.baseline);
        cell.n_users = n;
        cell.user_thin = users.thin;
        if (cell.n != 0) inbox_cell(b, s.rollout, &cell);
    }
}

void inbox_second(struct inbox *b, struct inbox_second s)
{
    Serin__V1__Histogram *none[2] = {NULL, NULL};
    second(b, s, none);
}

void inbox_latency(struct inbox *b, struct inbox_second s,
                   const struct hist_view *canary, const struct hist_view *baseline)
{
    const struct hist_view *views[2] = {canary, baseline};
    Serin__V1__Histogram hists[2], *items[2] = {NULL, NULL};
    uint64_t n[2] = {0, 0};
    for (size_t c = 0; c < 2; c++) {
        const struct hist_view *v = views[c];
        if (v == NULL) continue;
        items[c] = &hists[c];
        serin__v1__histogram__init(items[c]);
        items[c]->scale = v->scale;
        items[c]->offset = v->offset;
        items[c]->zero_count = n[c] = v->zero;
        items[c]->n_counts = v->n;
        items[c]->counts = (uint64_t *)(uintptr_t)v->counts;
        for (size_t k = 0; k < v->n; k++)
            n[c] += v->counts[k];
    }
    s.n = n[0], s.m = n[1];
    s.x = s.y = 0;
    second(b, s, items);
}

const char *inbox_command(struct inbox *b, const pb_command *c)
{
    char id[24];
    pb_inbox in = SERIN__V1__INBOX__INIT;
    pb_command copy = *c;
    snprintf(id, sizeof id, "c%u", ++b->commands);
    if (copy.id == NULL || copy.id[0] == '\0')
        copy.id = must(arena_copy(&b->arena, id, strlen(id)));
    in.schema = SERIN_SCHEMA;
    in.body_case = SERIN__V1__INBOX__BODY_COMMAND;
    in.command = &copy;
    inbox_add(b, &in);
    return copy.id;
}

void inbox_apply(struct inbox *b, const char *rollout, const char *plan)
{
    pb_command c = SERIN__V1__COMMAND__INIT;
    c.rollout = (char *)rollout;
    c.verb = SERIN__V1__VERB__VERB_APPLY;
    c.actor = "tester";
    c.plan = (char *)plan;
    inbox_command(b, &c);
}

void inbox_verb(struct inbox *b, const char *rollout, Serin__V1__Verb verb,
                const char *actor)
{
    pb_command c = SERIN__V1__COMMAND__INIT;
    c.rollout = (char *)rollout;
    c.verb = verb;
    c.actor = (char *)actor;
    inbox_command(b, &c);
}

void inbox_ack(struct inbox *b, const char *rollout, uint64_t seq, uint32_t applied_bp,
               const char *error)
{
    inbox_ack_of(b, "", rollout, seq, applied_bp, error);
}

void inbox_ack_of(struct inbox *b, const char *target, const char *rollout,
                  uint64_t seq, uint32_t applied_bp, const char *error)
{
    char id[160];
    pb_inbox in = SERIN__V1__INBOX__INIT;
    pb_ack a = SERIN__V1__ACK__INIT;
    snprintf(id, sizeof id, "%s/%llu", rollout, (unsigned long long)seq);
    a.rollout = (char *)rollout;
    a.verdict_id = id;
    a.actuator = "test";
    a.target = (char *)target;
    a.applied_bp = applied_bp;
    a.error = (char *)error;
    in.schema = SERIN_SCHEMA;
    in.body_case = SERIN__V1__INBOX__BODY_ACK;
    in.ack = &a;
    inbox_add(b, &in);
}

void inbox_check(struct inbox *b, const char *rollout, const char *check,
                 uint64_t weight_seq, int64_t t_ms, const char *outcome,
                 const char *message)
{
    pb_inbox in = SERIN__V1__INBOX__INIT;
    pb_check_result c = SERIN__V1__CHECK_RESULT__INIT;
    c.rollout = (char *)(uintptr_t)rollout;
    c.check = (char *)(uintptr_t)check;
    c.weight_seq = weight_seq;
    c.t_ms = t_ms;
    c.outcome = (char *)(uintptr_t)outcome;
    c.message = (char *)(uintptr_t)message;
    in.schema = SERIN_SCHEMA;
    in.body_case = SERIN__V1__INBOX__BODY_CHECK;
    in.check = &c;
    inbox_add(b, &in);
}

void inbox_signal(struct inbox *b, const char *rollout, const char *about,
                  const char *state, bool queue)
{
    pb_inbox in = SERIN__V1__INBOX__INIT;
    pb_signal s = SERIN__V1__SIGNAL__INIT;
    s.rollout = (char *)(uintptr_t)rollout;
    s.about = (char *)(uintptr_t)about;
    s.state = (char *)(uintptr_t)state;
    s.queue = queue;
    in.schema = SERIN_SCHEMA;
    in.body_case = SERIN__V1__INBOX__BODY_SIGNAL;
    in.signal = &s;
    inbox_add(b, &in);
}
