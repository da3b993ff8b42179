/* engine/replay/scene/thin.c */
#include "engine/replay/scene/thin.h"

#include <math.h>
#include <string.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/replay/scene/chance.h"
#include "ingest/users.h"

int thin_metric(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->n_metrics; i++)
        if (strcmp(plan->metrics[i].name, name) == 0) return (int)i;
    return -1;
}

/* The metric whose units are the requests (or users) that a weight divides: the first
 * that gates, as in the fold's own check of the split. */
static const struct plan_metric *divided(const struct plan *plan)
{
    const struct plan_metric *found = NULL;
    for (size_t i = 0; i < plan->n_metrics; i++) {
        const struct plan_metric *m = &plan->metrics[i];
        if (m->kind != PLAN_RATIO && m->kind != PLAN_LATENCY) continue;
        if (m->mode == PLAN_GATE) return m;
        if (found == NULL) found = m;
    }
    return found;
}

enum serin_status thin_check(const struct plan *plan, struct fault *f)
{
    if (divided(plan) == NULL)
        return fault_set(f, SERIN_EDOM,
                         "no metric of the plan counts requests (ratio or latency), "
                         "so there is no split to change; replay it as recorded");
    for (size_t i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].n_audience > 0)
            return fault_set(f, SERIN_EDOM,
                             "step %zu serves segments whole (audience), which no "
                             "weight tells; replay it as recorded",
                             i + 1);
    return SERIN_OK;
}

static void count(const struct plan_metric *m, const pb_partial *p, uint64_t n[2])
{
    n[0] = n[1] = 0;
    for (size_t i = 0; i < p->n_cells; i++) {
        const pb_cell *c = p->cells[i];
        if (strcmp(c->metric, m->name) == 0)
            n[thin_cohort(c)] += m->per == PLAN_PER_USER ? c->n_users : c->n;
    }
}

/* ---------------------------------------------------------------- one cell */

static void thin_counts(pb_cell *c, double keep, struct draw *d)
{
    uint64_t bad = draw_binomial(d, c->bad, keep);
    c->n = bad + draw_binomial(d, c->n - c->bad, keep);
    c->bad = bad;
}

static void thin_hist(pb_cell *c, double keep, struct draw *d)
{
    pb_histogram *h = c->hist;
    if (h == NULL) return;
    c->n = h->zero_count = draw_binomial(d, h->zero_count, keep);
    for (size_t i = 0; i < h->n_counts; i++) {
        h->counts[i] = draw_binomial(d, h->counts[i], keep);
        c->n += h->counts[i];
    }
    c->bad = 0;
}

/* Who is kept at a share is kept at every larger one: users stick. */
static void thin_users(pb_cell *c, double keep, uint64_t seed, uint32_t purpose,
                       struct draw *d)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n_users; i++) {
        uint64_t user = c->users[i] & ~(uint64_t)USERS_FLAGS;
        if (chance_bytes(seed, purpose, &user, sizeof user) < keep)
            c->users[n++] = c->users[i];
    }
    c->n_users = n;
    thin_counts(c, keep, d);
    if (c->n < n) c->n = n; /* each of them made a request */
}

static void thin_kind(const struct plan_metric *m, uint64_t seed, uint32_t purpose,
                      double keep, const char *rollout, pb_cell *c)
{
    struct draw d = chance_cell(seed, purpose, rollout, c);
    switch (m->kind) {
    case PLAN_RATIO:
        if (m->per == PLAN_PER_USER)
            thin_users(c, keep, seed, purpose, &d);
        else
            thin_counts(c, keep, &d);
        break;
    case PLAN_LATENCY:
        thin_hist(c, keep, &d);
        break;
    case PLAN_EVENTS:
        if (m->exposure_metric >= 0) thin_counts(c, keep, &d);
        break;
    case PLAN_GAUGE:
    case PLAN_SATURATION:
    case PLAN_NKIND:
        break;
    }
}

bool thin_cell(const struct plan *plan, uint64_t seed, uint32_t purpose, double keep,
               const char *rollout, pb_cell *c)
{
    int m = thin_metric(plan, c->metric);
    if (!(keep > 0)) return false;
    if (m < 0 || !(keep < 1) || c->n == 0 || c->bad > c->n) return true;
    thin_kind(&plan->metrics[m], seed, purpose, keep, rollout, c);
    return c->n > 0;
}

static void thin_cells(const struct thin *t, const double keep[2], pb_partial *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->n_cells; i++) {
        pb_cell *c = p->cells[i];
        if (thin_cell(t->plan, t->seed, CHANCE_THIN, keep[thin_cohort(c)], p->rollout,
                      c))
            p->cells[kept++] = c;
    }
    p->n_cells = kept;
}

/* ---------------------------------------------------------------- the recorded split
 */

struct thin_split {
    uint64_t rollout;  /* hash of its id */
    int64_t latest_ms; /* window; what comes late is no split */
    double n[2];       /* requests, of the past the less the longer ago */
};

void thin_free(struct thin *t)
{
    mem_free(t->splits);
    t->splits = NULL;
    t->n = t->room = 0;
}

static struct thin_split *split_of(struct thin *t, const char *rollout)
{
    uint64_t key = hash_bytes(rollout, strlen(rollout), 0);
    for (size_t i = 0; i < t->n; i++)
        if (t->splits[i].rollout == key) return &t->splits[i];
    if (t->n == t->room) {
        size_t room = t->room > 0 ? 2 * t->room : 4;
        struct thin_split *grown = mem_realloc(t->splits, room, sizeof *grown);
        if (grown == NULL) return NULL;
        t->splits = grown;
        t->room = room;
    }
    t->splits[t->n] = (struct thin_split){.rollout = key, .latest_ms = INT64_MIN};
    return &t->splits[t->n++];
}

/* A window without one of the cohorts tells of a silence, not of a split. */
static void learn(struct thin_split *s, int64_t start_ms, const uint64_t n[2])
{
    const double keep = 1 - 1.0 / 30, far = 5; /* standard deviations, and requests */
    double canary = (double)n[THIN_CANARY], all = canary + (double)n[THIN_BASELINE];
    double share = s->n[THIN_CANARY] / (s->n[THIN_CANARY] + s->n[THIN_BASELINE]);
    if (n[THIN_CANARY] == 0 || n[THIN_BASELINE] == 0) return;
    if (start_ms <= s->latest_ms) return;
    s->latest_ms = start_ms;
    bool other =
        fabs(canary - all * share) > far * sqrt(all * share * (1 - share)) + far;
    for (int i = 0; i < 2; i++)
        s->n[i] = (other ? 0 : keep * s->n[i]) + (double)n[i];
}

/* ---------------------------------------------------------------- one window */

/* Of the cohort that has too many, as many as fit the other one. False: of one of them
 * nothing is known. */
static bool shares(double share, const struct thin_split *s, double keep[2])
{
    keep[THIN_CANARY] = share > 0;
    keep[THIN_BASELINE] = share < 1;
    if (!(share > 0 && share < 1)) return true;
    if (!(s->n[THIN_CANARY] > 0)) return false;
    double more = share / (1 - share) * s->n[THIN_BASELINE] / s->n[THIN_CANARY];
    keep[THIN_CANARY] = fmin(1, more);
    keep[THIN_BASELINE] = fmin(1, 1 / more);
    return true;
}

static void note(struct thin_report *r, double share, const uint64_t before[2],
                 const uint64_t after[2])
{
    uint64_t all = before[0] + before[1], used = after[0] + after[1];
    double part = (double)used / (double)all;
    if (r->recorded == 0 || part < r->least) {
        r->least = part;
        r->least_at = share;
    }
    r->recorded += all;
    r->used += used;
}

enum serin_status thin_window(struct thin *t, const struct change_window *w,
                              pb_partial *p)
{
    uint64_t before[2], after[2];
    double keep[2];
    const struct plan_metric *m = divided(t->plan);
    if (m == NULL || isnan(w->share)) return SERIN_OK;
    struct thin_split *s = split_of(t, p->rollout);
    if (s == NULL) return SERIN_ENOMEM;
    count(m, p, before);
    learn(s, w->start_ms, before);
    bool both = w->share > 0 && w->share < 1, known = shares(w->share, s, keep);
    if (known) thin_cells(t, keep, p);
    if (!both || before[0] + before[1] == 0) return SERIN_OK;
    t->report.windows++;
    t->report.one_sided += !known;
    if (!known) return SERIN_OK;
    count(m, p, after);
    note(&t->report, w->share, before, after);
    return SERIN_OK;
}
