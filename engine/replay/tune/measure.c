/* engine/replay/tune/measure.c -- all of it conditions on what a window had in all, as
 * the evidence does: X of n, given K of N, has mean K n / N and the hypergeometric
 * variance
 */
#include "engine/replay/tune/measure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/replay/tune/pool.h"
#include "stats/dispersion.h"
#include "stats/exceedance.h"
#include "stats/random_effect.h"

enum { STRATA = 64, MIN_UNITS = 3, PAIRS = 20 /* before there is a phi */ };

/* A count of variance v has v (3 v + 1) as its fourth moment: below this the few
 * windows that have any event look like bursts. */
static const double enough = 3;

static double variance_of(double n, double all, double bad)
{
    if (!(all > 1)) return 0;
    return bad * n * (all - n) * (all - bad) / (all * all * (all - 1));
}

/* ---------------------------------------------------------------- a series */

/* By window: what the canary had beyond its expectation, and the variance of that. Two
 * neighbouring blocks of windows are compared, as dispersion.h compares the baseline's:
 * what lasts is no dispersion. */
struct series {
    double d, v; /* windows put together until they tell enough */
    struct block {
        double d, v; /* being filled */
        unsigned windows;
        double last_d, last_v; /* the first of a pair … */
        bool paired;           /* … when there is one */
    } block[DISPERSION_SCALES];
    struct dispersion found;
};

static void close_block(struct block *b, struct dispersion_scale *s)
{
    if (b->paired) {
        double v = b->v + b->last_v;
        double d = (b->last_d * b->v - b->d * b->last_v) / v;
        s->excess += d * d;
        s->expected += b->v * b->last_v / v;
        s->pairs++;
    }
    b->last_d = b->d;
    b->last_v = b->v;
    b->paired = !b->paired;
    b->d = b->v = 0;
    b->windows = 0;
}

static void series_add(struct series *s, double d, double v)
{
    s->d += d;
    s->v += v;
    s->found.windows += v > 0;
    if (!(s->v >= enough)) return;
    for (unsigned k = 0; k < DISPERSION_SCALES; k++) {
        struct block *b = &s->block[k];
        b->d += s->d;
        b->v += s->v;
        if (++b->windows == 1u << k) close_block(b, &s->found.scale[k]);
    }
    s->d = s->v = 0;
}

/* A recording ends: the next one is no neighbour. */
static void series_end(struct series *s)
{
    s->d = s->v = 0;
    for (unsigned k = 0; k < DISPERSION_SCALES; k++)
        s->block[k] = (struct block){0};
}

/* ---------------------------------------------------------------- between cohorts */

struct between {
    const struct plan *plan;
    bool by;
    struct exceedance *past; /* by metric */
    struct hist *hists;      /* canary and baseline of one window */
    struct series s[PLAN_MAX_METRICS][EXCEEDANCE_LEVELS]; /* of ratios the first */
    uint64_t hash[STRATA];                                /* strata of one window */
    struct count_table table[STRATA];
};

static void add_tables(struct series *s, const struct count_table *t, size_t n)
{
    double d = 0, v = 0;
    for (size_t i = 0; i < n; i++) {
        double all = (double)(t[i].n + t[i].m), bad = (double)(t[i].x + t[i].y);
        if (!(all > 0)) continue;
        d += (double)t[i].x - bad * (double)t[i].n / all;
        v += variance_of((double)t[i].n, all, bad);
    }
    series_add(s, d, v);
}

static struct count_table *stratum_of(struct between *b, size_t *n, const char *name)
{
    size_t len = b->by ? (size_t)(split_unit_of(name) - name) : strlen(name);
    uint64_t h = hash_bytes(name, len, 0);
    size_t i = 0;
    while (i < *n && b->hash[i] != h)
        i++;
    if (i == STRATA) return &b->table[STRATA - 1];
    if (i == *n) {
        b->hash[(*n)++] = h;
        b->table[i] = (struct count_table){0};
    }
    return &b->table[i];
}

static void ratio_window(struct between *b, size_t at, const pb_partial *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_cells; i++) {
        const pb_cell *c = p->cells[i];
        if (strcmp(c->metric, b->plan->metrics[at].name) != 0) continue;
        struct count_table *t = stratum_of(b, &n, c->stratum);
        bool canary = c->cohort == SERIN__V1__COHORT__COHORT_CANARY;
        *(canary ? &t->n : &t->m) += c->n;
        *(canary ? &t->x : &t->y) += c->bad;
    }
    add_tables(&b->s[at][0], b->table, n);
}

static enum serin_status latency_window(struct between *b, size_t at,
                                        const pb_partial *p)
{
    struct count_table levels[EXCEEDANCE_LEVELS];
    enum serin_status rc = hist_init(&b->hists[0], HIST_SCALE);
    if (rc == SERIN_OK) rc = hist_init(&b->hists[1], HIST_SCALE);
    for (size_t i = 0; rc == SERIN_OK && i < p->n_cells; i++) {
        const pb_cell *c = p->cells[i];
        if (c->hist == NULL || strcmp(c->metric, b->plan->metrics[at].name) != 0)
            continue;
        struct hist_view v = {c->hist->scale, c->hist->offset, c->hist->n_counts,
                              c->hist->zero_count, c->hist->counts};
        rc = hist_merge(&b->hists[c->cohort != SERIN__V1__COHORT__COHORT_CANARY], &v);
    }
    if (rc != SERIN_OK) return rc;
    struct hist_view canary = hist_view(&b->hists[0]);
    struct hist_view baseline = hist_view(&b->hists[1]);
    rc = exceedance_window(&b->past[at], &canary, &baseline, 0, levels, NULL);
    if (rc == SERIN_AGAIN) return SERIN_OK;
    for (size_t k = 0; rc == SERIN_OK && k < EXCEEDANCE_LEVELS; k++)
        add_tables(&b->s[at][k], &levels[k], 1);
    return rc;
}

static enum serin_status between_window(void *ctx, struct arena *a,
                                        const struct change_window *w, pb_partial *p)
{
    struct between *b = ctx;
    enum serin_status rc = SERIN_OK;
    (void)a, (void)w;
    for (size_t i = 0; rc == SERIN_OK && i < b->plan->n_metrics; i++) {
        if (b->plan->metrics[i].kind == PLAN_RATIO) ratio_window(b, i, p);
        if (b->plan->metrics[i].kind == PLAN_LATENCY) rc = latency_window(b, i, p);
    }
    return rc;
}

static bool protects(const struct plan_metric *m, size_t level)
{
    static const char *const names[EXCEEDANCE_LEVELS] = {"p50", "p75", "p90",
                                                         "p95", "p99", "p999"};
    for (size_t i = 0; i < m->n_protect; i++)
        if (strcmp(m->protect[i], names[level]) == 0) return true;
    return m->n_protect == 0 &&
           (level == PLAN_P50 || level == PLAN_P90 || level == PLAN_P99);
}

static void conclude(const struct between *b, struct measure_between *out)
{
    for (size_t i = 0; i < b->plan->n_metrics; i++) {
        const struct plan_metric *m = &b->plan->metrics[i];
        out[i] = (struct measure_between){0};
        for (size_t k = 0; k < EXCEEDANCE_LEVELS; k++) {
            const struct series *s = &b->s[i][k];
            if (m->kind == PLAN_LATENCY && !protects(m, k)) continue;
            if (s->found.windows > out[i].windows) out[i].windows = s->found.windows;
            if (s->found.scale[0].pairs >= PAIRS)
                out[i].phi = fmax(out[i].phi, dispersion_phi(&s->found));
        }
    }
}

enum serin_status measure_between(const struct tape *const *tapes, size_t n,
                                  const struct plan *p, int64_t window_ms, bool by,
                                  struct measure_between *out)
{
    struct between *b = mem_calloc(1, sizeof *b);
    if (b == NULL) return SERIN_ENOMEM;
    b->plan = p;
    b->by = by;
    b->past = mem_calloc(p->n_metrics + 1, sizeof *b->past);
    b->hists = mem_calloc(2, sizeof *b->hists);
    enum serin_status rc =
        b->past != NULL && b->hists != NULL ? SERIN_OK : SERIN_ENOMEM;
    for (size_t i = 0; rc == SERIN_OK && i < n; i++) {
        if (!tape_about(tapes[i]).both) continue;
        for (size_t k = 0; k < p->n_metrics; k++)
            exceedance_init(&b->past[k]);
        rc = tape_windows(tapes[i], window_ms, between_window, b);
        for (size_t k = 0; k < p->n_metrics; k++)
            for (size_t q = 0; q < EXCEEDANCE_LEVELS; q++)
                series_end(&b->s[k][q]);
    }
    if (rc == SERIN_OK) conclude(b, out);
    mem_free(b->past);
    mem_free(b->hists);
    mem_free(b);
    return rc;
}

/* ---------------------------------------------------------------- between units */

struct unit {
    uint64_t hash;
    double d, v;           /* of a ratio: beyond expectation, over all windows */
    double sum, n;         /* of readings */
    uint64_t now_n, now_x; /* of this window */
};

struct units {
    const struct plan *plan;
    bool by;
    size_t at; /* the metric */
    struct unit *list;
    size_t n;
};

static struct unit *unit_at(struct units *u, const char *name)
{
    uint64_t h = split_unit_hash(name);
    size_t i = 0;
    while (i < u->n && u->list[i].hash != h)
        i++;
    if (i == SPLIT_MAX_UNITS) return &u->list[i - 1];
    if (i == u->n) u->list[u->n++] = (struct unit){.hash = h};
    return &u->list[i];
}

static void take_readings(struct units *u, const pb_cell *c)
{
    for (size_t i = 0; i < c->n_units; i++) {
        struct unit *one = unit_at(u, c->units[i]->unit);
        one->sum += c->units[i]->sum;
        one->n += (double)c->units[i]->n;
    }
}

static enum serin_status units_window(void *ctx, struct arena *a,
                                      const struct change_window *w, pb_partial *p)
{
    struct units *u = ctx;
    double all = 0, bad = 0;
    (void)a, (void)w;
    for (size_t i = 0; i < p->n_cells; i++) {
        const pb_cell *c = p->cells[i];
        if (c->cohort == SERIN__V1__COHORT__COHORT_CANARY ||
            strcmp(c->metric, u->plan->metrics[u->at].name) != 0)
            continue;
        take_readings(u, c);
        if (!u->by || c->n_units > 0 || c->hist != NULL) continue;
        struct unit *one = unit_at(u, split_unit_of(c->stratum));
        one->now_n += c->n;
        one->now_x += c->bad;
        all += (double)c->n;
        bad += (double)c->bad;
    }
    for (size_t i = 0; i < u->n && all > 0; i++) {
        struct unit *one = &u->list[i];
        one->d += (double)one->now_x - bad * (double)one->now_n / all;
        one->v += variance_of((double)one->now_n, all, bad);
        one->now_n = one->now_x = 0;
    }
    return SERIN_OK;
}

/* DerSimonian and Laird's estimate of a spread beyond chance, on one-step log odds. */
static void of_counts(const struct units *u, struct measure_units *out)
{
    double w = 0, w2 = 0, wc = 0, q = 0, d2 = 0;
    size_t told = 0;
    for (size_t i = 0; i < u->n; i++) {
        const struct unit *one = &u->list[i];
        if (!(one->v > 0)) continue;
        told++;
        w += one->v;
        w2 += one->v * one->v;
        wc += one->d;
        d2 += one->d * one->d;
    }
    out->units = told;
    if (told < MIN_UNITS) return;
    for (size_t i = 0; i < u->n; i++) {
        const struct unit *one = &u->list[i];
        if (one->v > 0) q += one->v * pow(one->d / one->v - wc / w, 2);
    }
    out->spread = sqrt(fmax(0, (q - (double)(told - 1)) / (w - w2 / w)));
    out->phi = fmax(1, d2 / w);
}

static void of_readings(const struct units *u, struct measure_units *out)
{
    double sum = 0, squares = 0;
    size_t told = 0;
    for (size_t i = 0; i < u->n; i++) {
        if (!(u->list[i].n > 0)) continue;
        double mean = u->list[i].sum / u->list[i].n;
        sum += mean;
        squares += mean * mean;
        told++;
    }
    out->units = told;
    if (told < MIN_UNITS || sum == 0) return;
    double mean = sum / (double)told;
    double variance = (squares - (double)told * mean * mean) / (double)(told - 1);
    out->spread = sqrt(fmax(0, variance)) / fabs(mean);
}

static enum serin_status units_of(const struct tape *const *tapes, size_t n,
                                  struct units *u, int64_t window_ms,
                                  struct measure_units *out)
{
    enum serin_status rc = SERIN_OK;
    bool readings = false;
    u->n = 0;
    for (size_t i = 0; rc == SERIN_OK && i < n; i++)
        rc = tape_windows(tapes[i], window_ms, units_window, u);
    for (size_t i = 0; i < u->n; i++)
        readings |= u->list[i].n > 0;
    *out = (struct measure_units){0};
    if (readings)
        of_readings(u, out);
    else
        of_counts(u, out);
    return rc;
}

enum serin_status measure_units(const struct tape *const *tapes, size_t n,
                                const struct plan *p, int64_t window_ms, bool by,
                                struct measure_units *out)
{
    struct units u = {.plan = p, .by = by};
    u.list = mem_calloc(SPLIT_MAX_UNITS, sizeof *u.list);
    enum serin_status rc = u.list != NULL ? SERIN_OK : SERIN_ENOMEM;
    for (u.at = 0; rc == SERIN_OK && u.at < p->n_metrics; u.at++)
        rc = units_of(tapes, n, &u, window_ms, &out[u.at]);
    mem_free(u.list);
    return rc;
}

enum serin_status measure_all(struct arena *a, const struct deck_options *o,
                              int64_t window_ms, const char *text, struct measured *out,
                              struct fault *f)
{
    bool by = o->by != NULL && o->by[0] != '\0';
    enum serin_status rc =
        measure_between(o->tapes, o->n, o->plan, window_ms, by, out->between);
    if (rc == SERIN_OK)
        rc = measure_units(o->tapes, o->n, o->plan, window_ms, by, out->units);
    if (rc == SERIN_OK) rc = pool_over_time(a, text, o->tapes, o->n, out->over_time, f);
    return rc;
}

double measure_luck(const struct measure_units *u, double share)
{
    size_t canary = split_units_share(u->units, share);
    if (canary == 0 || canary >= u->units) return 0;
    return random_effect_tau(u->spread, (double)canary, (double)(u->units - canary));
}

bool measure_pods(const struct measure_units *u, double share, char out[MEASURE_PODS])
{
    double tau = measure_luck(u, share), spread = u->spread;
    size_t canary = split_units_share(u->units, share);
    if (!(tau > 0) || tau > RANDOM_EFFECT_TAU_MAX) return false;
    if (tau < RANDOM_EFFECT_TAU_MIN) spread *= 1.01 * RANDOM_EFFECT_TAU_MIN / tau;
    snprintf(out, MEASURE_PODS, "{canary: %zu, baseline: %zu, spread: %.3g}", canary,
             u->units - canary, spread);
    return true;
}
