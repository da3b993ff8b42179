/* engine/replay/scene/rates.c */
#include "engine/replay/scene/rates.h"

#include <string.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/replay/scene/thin.h"
#include "ingest/users.h"

enum { BOTH = 2, FIRST = 64 };
static const double keep = 1 - 1.0 / 300; /* of the past, at each window */
static const double prior = 5;            /* bad ones of both cohorts */

struct rate {
    uint64_t key; /* 0: free */
    int64_t start_ms;
    double n, bad;         /* of the windows before */
    double now_n, now_bad; /* of the window of start_ms */
};

void rates_free(struct rates *r)
{
    mem_free(r->items);
    *r = (struct rates){0};
}

static uint64_t key_of(int metric, const char *rollout, const char *stratum, int cohort)
{
    const int numbers[] = {metric, cohort};
    uint64_t h = hash_bytes(rollout, strlen(rollout) + 1, 0);
    h = hash_bytes(stratum, strlen(stratum) + 1, h);
    return hash_bytes(numbers, sizeof numbers, h) | 1;
}

static struct rate *slot(const struct rates *r, uint64_t key)
{
    size_t i = (size_t)(key >> 1) & (r->room - 1);
    while (r->items[i].key != 0 && r->items[i].key != key)
        i = (i + 1) & (r->room - 1);
    return &r->items[i];
}

static enum serin_status grow(struct rates *r)
{
    struct rates wider = {.n = r->n, .room = r->room > 0 ? 2 * r->room : FIRST};
    if (2 * (r->n + 1) <= r->room) return SERIN_OK;
    wider.items = mem_calloc(wider.room, sizeof *wider.items);
    if (wider.items == NULL) return SERIN_ENOMEM;
    for (size_t i = 0; i < r->room; i++)
        if (r->items[i].key != 0) *slot(&wider, r->items[i].key) = r->items[i];
    mem_free(r->items);
    *r = wider;
    return SERIN_OK;
}

static enum serin_status add_one(struct rates *r, uint64_t key, int64_t start_ms,
                                 double n, double bad)
{
    enum serin_status rc = grow(r);
    if (rc != SERIN_OK) return rc;
    struct rate *e = slot(r, key);
    if (e->key == 0) {
        *e = (struct rate){.key = key, .start_ms = start_ms};
        r->n++;
    }
    if (start_ms < e->start_ms) return SERIN_OK;
    if (start_ms > e->start_ms) {
        e->n = keep * e->n + e->now_n;
        e->bad = keep * e->bad + e->now_bad;
        e->now_n = e->now_bad = 0;
        e->start_ms = start_ms;
    }
    e->now_n += n;
    e->now_bad += bad;
    return SERIN_OK;
}

static enum serin_status add(struct rates *r, int metric, const char *rollout,
                             const char *stratum, int cohort, int64_t start_ms,
                             double n, double bad)
{
    enum serin_status rc =
        add_one(r, key_of(metric, rollout, stratum, cohort), start_ms, n, bad);
    if (rc != SERIN_OK) return rc;
    return add_one(r, key_of(metric, rollout, stratum, BOTH), start_ms, n, bad);
}

static enum serin_status learn_ratio(struct rates *r, const struct plan_metric *m,
                                     int metric, int64_t start_ms, const char *rollout,
                                     const pb_cell *c)
{
    double n = (double)c->n, bad = (double)c->bad;
    if (m->per == PLAN_PER_USER) {
        n = (double)c->n_users;
        bad = 0;
        for (size_t i = 0; i < c->n_users; i++)
            bad += (c->users[i] & USERS_BAD) != 0;
    }
    return add(r, metric, rollout, c->stratum, thin_cohort(c), start_ms, n, bad);
}

/* The exposure of events stands in other cells; over fixed pods strata do not count. */
static enum serin_status learn_events(struct rates *r, const struct plan *plan,
                                      int metric, const struct change_window *w,
                                      const pb_partial *p)
{
    const struct plan_metric *m = &plan->metrics[metric];
    enum serin_status rc = SERIN_OK;
    bool pods = m->exposure_metric < 0;
    for (int cohort = 0; pods && cohort < 2 && rc == SERIN_OK; cohort++)
        rc = add(r, metric, p->rollout, "", cohort, w->start_ms,
                 m->exposure_pods[cohort] * (double)w->length_ms / 1000, 0);
    for (size_t i = 0; rc == SERIN_OK && i < p->n_cells; i++) {
        const pb_cell *c = p->cells[i];
        int of = thin_metric(plan, c->metric);
        const char *stratum = pods ? "" : c->stratum;
        if (of == metric)
            rc = add(r, metric, p->rollout, stratum, thin_cohort(c), w->start_ms, 0,
                     (double)c->n);
        else if (!pods && of == m->exposure_metric)
            rc = add(r, metric, p->rollout, stratum, thin_cohort(c), w->start_ms,
                     (double)c->n, 0);
    }
    return rc;
}

enum serin_status rates_learn(struct rates *r, const struct plan *plan,
                              const struct change_window *w, const pb_partial *p)
{
    enum serin_status rc = SERIN_OK;
    for (size_t i = 0; rc == SERIN_OK && i < p->n_cells; i++) {
        int m = thin_metric(plan, p->cells[i]->metric);
        if (m >= 0 && plan->metrics[m].kind == PLAN_RATIO)
            rc = learn_ratio(r, &plan->metrics[m], m, w->start_ms, p->rollout,
                             p->cells[i]);
    }
    for (int m = 0; rc == SERIN_OK && m < (int)plan->n_metrics; m++)
        if (plan->metrics[m].kind == PLAN_EVENTS) rc = learn_events(r, plan, m, w, p);
    return rc;
}

/* Sums, of the present window where there was none before. */
static void sums(const struct rates *r, uint64_t key, double *n, double *bad)
{
    static const struct rate none = {0};
    const struct rate *e = r->room > 0 ? slot(r, key) : &none;
    bool past = e->n > 0;
    *n = past ? e->n : e->now_n;
    *bad = past ? e->bad : e->now_bad;
}

double rates_of(const struct rates *r, int metric, const char *rollout,
                const char *stratum, int cohort)
{
    double n, bad, all_n, all_bad;
    sums(r, key_of(metric, rollout, stratum, cohort), &n, &bad);
    sums(r, key_of(metric, rollout, stratum, BOTH), &all_n, &all_bad);
    if (!(all_bad > 0) || !(all_n > 0)) return 0;
    return (bad + prior) / (n + prior * all_n / all_bad);
}
