/* engine/replay/scene/inject_apply.c */
#include "engine/replay/scene/inject_apply.h"

#include <math.h>
#include <string.h>

#include "engine/replay/scene/chance.h"
#include "engine/replay/scene/thin.h"
#include "ingest/users.h"
#include "stats/elem.h"

static const double hour_ms = 3600000;

double inject_apply_strength(const struct inject *one, int64_t at_ms)
{
    if (at_ms < one->from_ms || at_ms >= one->to_ms) return 0;
    double since = (double)(at_ms - one->from_ms);
    if (one->shape == INJECT_RAMP) return fmin(1, since / (double)one->ramp_ms);
    return one->shape == INJECT_LEAK ? since / hour_ms : 1;
}

/* A factor grows as a power, what is added in proportion; a leak of weeks stays a
 * number that can be reckoned with. */
static double amount_at(const struct inject *one, double strength)
{
    const double most = 1e12;
    if (one->how == INJECT_ADD) return strength * one->amount;
    if (strength == 1) return one->amount;
    return fmin(most, fmax(1 / most, elem_exp(strength * elem_log(one->amount))));
}

/* Its random numbers for that cell. */
static struct draw draw_for(const struct inject_apply *x, const pb_partial *p,
                            const pb_cell *c)
{
    return chance_cell(x->seed, x->purpose, p->rollout, c);
}

/* ---------------------------------------------------------------- ratio */

static double worse(const struct inject *one, double amount, double p)
{
    if (one->how == INJECT_ADD) return p + (1 - p) * fmin(1, amount);
    if (one->how == INJECT_RISK) return fmin(1, amount * p);
    return amount * p / (1 - p + amount * p);
}

/* Good ones become bad, or bad ones good, each on its own, so that a rate p becomes to.
 */
struct flip {
    double to_bad, to_good; /* probabilities; one of them is 0 */
};

static struct flip flip_of(double p, double to)
{
    if (to >= p) return (struct flip){.to_bad = p < 1 ? (to - p) / (1 - p) : 0};
    return (struct flip){.to_good = (p - to) / p};
}

static void flip_counts(struct flip f, struct draw *d, pb_cell *c, uint64_t *met)
{
    uint64_t worse_by = draw_binomial(d, c->n - c->bad, f.to_bad);
    uint64_t better_by = draw_binomial(d, c->bad, f.to_good);
    c->bad += worse_by;
    c->bad -= better_by;
    *met += worse_by + better_by;
}

static void flip_users(struct flip f, struct draw *d, pb_cell *c, uint64_t *met)
{
    for (size_t i = 0; i < c->n_users; i++) {
        bool bad = (c->users[i] & USERS_BAD) != 0;
        if (draw_uniform(d) >= (bad ? f.to_good : f.to_bad)) continue;
        c->users[i] ^= USERS_BAD;
        if (bad && c->bad > 0) c->bad--;
        if (!bad && c->bad < c->n) c->bad++;
        ++*met;
    }
}

static void flip_cell(struct inject_apply *x, const pb_partial *p, pb_cell *c,
                      double amount)
{
    const struct plan_metric *m = &x->plan->metrics[x->what->metric];
    struct draw d = draw_for(x, p, c);
    double rate = 0;
    if (c->bad > c->n) return; /* poison stays poison */
    if (x->what->how != INJECT_ADD)
        rate =
            rates_of(x->rates, x->what->metric, p->rollout, c->stratum, thin_cohort(c));
    struct flip f = flip_of(rate, worse(x->what, amount, rate));
    if (m->per == PLAN_PER_USER)
        flip_users(f, &d, c, &x->met);
    else
        flip_counts(f, &d, c, &x->met);
}

/* ---------------------------------------------------------------- gauge, saturation */

static void change_units(struct inject_apply *x, pb_cell *c, double amount)
{
    const struct inject *one = x->what;
    for (size_t i = 0; i < c->n_units; i++) {
        Serin__V1__UnitSum *u = c->units[i];
        double n = (double)u->n;
        if (one->part < 1 &&
            chance_bytes(x->seed, x->purpose, u->unit, strlen(u->unit)) >= one->part)
            continue;
        if (one->how == INJECT_ADD) {
            u->sum_sq += 2 * amount * u->sum + amount * amount * n;
            u->sum += amount * n;
        } else {
            u->sum_sq *= amount * amount;
            u->sum *= amount;
        }
        x->met += u->n;
    }
}

/* ---------------------------------------------------------------- events */

static pb_cell *new_cell(struct arena *a, const pb_cell *like, char *metric)
{
    pb_cell *c = arena_alloc(a, sizeof *c);
    if (c == NULL) return NULL;
    serin__v1__cell__init(c);
    c->cohort = like->cohort;
    c->stratum = like->stratum;
    c->window_ms = like->window_ms;
    c->metric = metric;
    return c;
}

static pb_cell *events_beside(const pb_partial *p, const pb_cell *like,
                              const char *metric, bool pods)
{
    for (size_t i = 0; i < p->n_cells; i++) {
        pb_cell *c = p->cells[i];
        if (c->cohort == like->cohort && c->window_ms == like->window_ms &&
            strcmp(c->metric, metric) == 0 &&
            (pods || strcmp(c->stratum, like->stratum) == 0))
            return c;
    }
    return NULL;
}

/* More events in the second and stratum of an exposure, at a rate of their own. */
static enum serin_status add_events(struct inject_apply *x, pb_partial *p,
                                    const pb_cell *like, double mean)
{
    const struct plan_metric *m = &x->plan->metrics[x->what->metric];
    pb_cell *c = events_beside(p, like, m->name, m->exposure_metric < 0), key = *like;
    key.metric = messages_text(m->name);
    struct draw d = draw_for(x, p, &key);
    uint64_t more = mean > 0 ? draw_events(&d, mean, 1) : 0;
    if (more == 0) return SERIN_OK;
    x->met += more;
    if (c == NULL) {
        c = new_cell(x->arena, like, key.metric);
        if (c == NULL) return SERIN_ENOMEM;
        p->cells[p->n_cells++] = c; /* room was made before */
    }
    c->n += more;
    return SERIN_OK;
}

/* Does this cell tell of an exposure that events are drawn for? Fixed pods, and what is
 * added for a whole cohort, stand beside the first one of its second. */
static bool exposes(const struct inject_apply *x, const pb_partial *p, size_t at)
{
    const struct plan_metric *m = &x->plan->metrics[x->what->metric];
    const pb_cell *c = p->cells[at];
    bool pods = m->exposure_metric < 0;
    if (!pods && thin_metric(x->plan, c->metric) != m->exposure_metric) return false;
    for (size_t i = 0; (pods || x->what->how == INJECT_ADD) && i < at; i++) {
        const pb_cell *o = p->cells[i];
        if (o->window_ms == c->window_ms && o->cohort == c->cohort &&
            (pods || strcmp(o->metric, c->metric) == 0))
            return false;
    }
    return true;
}

static double more_by(const struct inject_apply *x, const pb_partial *p,
                      const pb_cell *c, double amount)
{
    const struct plan_metric *m = &x->plan->metrics[x->what->metric];
    bool pods = m->exposure_metric < 0;
    int cohort = thin_cohort(c);
    if (x->what->how == INJECT_ADD) return amount;
    return (amount - 1) * (pods ? m->exposure_pods[cohort] : (double)c->n) *
           rates_of(x->rates, x->what->metric, p->rollout, pods ? "" : c->stratum,
                    cohort);
}

static void fewer_events(struct inject_apply *x, const pb_partial *p, pb_cell *c,
                         double amount)
{
    struct draw d = draw_for(x, p, c);
    uint64_t kept = draw_binomial(&d, c->n, amount);
    x->met += c->n - kept;
    c->n = kept;
    if (c->bad > kept) c->bad = kept;
}

/* ---------------------------------------------------------------- all of it */

static bool meets(const struct inject *one, const pb_cell *c, double *strength)
{
    *strength = inject_apply_strength(one, c->window_ms);
    return one->on[thin_cohort(c)] && *strength > 0;
}

static enum serin_status change_cell(struct inject_apply *x, const pb_partial *p,
                                     pb_cell *c, double amount)
{
    const struct inject *one = x->what;
    struct shift s = {one->how == INJECT_ADD, amount, one->part};
    struct draw d;
    switch (x->plan->metrics[one->metric].kind) {
    case PLAN_RATIO:
        flip_cell(x, p, c, amount);
        break;
    case PLAN_LATENCY:
        d = draw_for(x, p, c);
        if (!shift_cell(&s, &x->bounds[one->metric], x->arena, &d, c, &x->met))
            return SERIN_ENOMEM;
        break;
    case PLAN_GAUGE:
    case PLAN_SATURATION:
        change_units(x, c, amount);
        break;
    case PLAN_EVENTS:
        if (one->how != INJECT_ADD && amount < 1) fewer_events(x, p, c, amount);
        break;
    case PLAN_NKIND:
        break;
    }
    return SERIN_OK;
}

/* Events may have to be where no cell is. */
static enum serin_status draw_more_events(struct inject_apply *x, pb_partial *p)
{
    enum serin_status rc = SERIN_OK;
    size_t n = p->n_cells;
    pb_cell **wider = arena_alloc(x->arena, (2 * n + 1) * sizeof *wider);
    if (wider == NULL) return SERIN_ENOMEM;
    if (n > 0) memcpy(wider, p->cells, n * sizeof *wider);
    p->cells = wider;
    for (size_t i = 0; rc == SERIN_OK && i < n; i++) {
        double strength, amount;
        if (!meets(x->what, p->cells[i], &strength) || !exposes(x, p, i)) continue;
        amount = amount_at(x->what, strength);
        if (x->what->how == INJECT_ADD || amount > 1)
            rc = add_events(x, p, p->cells[i], more_by(x, p, p->cells[i], amount));
    }
    return rc;
}

static enum serin_status change_metric(struct inject_apply *x, pb_partial *p)
{
    enum serin_status rc = SERIN_OK;
    const struct plan_metric *m = &x->plan->metrics[x->what->metric];
    for (size_t i = 0; rc == SERIN_OK && i < p->n_cells; i++) {
        double strength;
        pb_cell *c = p->cells[i];
        if (strcmp(c->metric, m->name) != 0 || !meets(x->what, c, &strength)) continue;
        rc = change_cell(x, p, c, amount_at(x->what, strength));
    }
    if (rc == SERIN_OK && m->kind == PLAN_EVENTS) rc = draw_more_events(x, p);
    return rc;
}

/* A canary with less than its share, or a baseline with less than its own. */
static bool unsplit(struct inject_apply *x, const pb_partial *p, pb_cell *c,
                    double amount)
{
    double keep = thin_cohort(c) == THIN_CANARY ? fmin(1, amount) : fmin(1, 1 / amount);
    uint64_t before = c->n;
    bool left = thin_cell(x->plan, x->seed, x->purpose, keep, p->rollout, c);
    x->met += before - (left ? c->n : 0);
    return left;
}

/* Whole cells go or move. */
static void change_cells(struct inject_apply *x, pb_partial *p)
{
    const struct inject *one = x->what;
    size_t kept = 0;
    for (size_t i = 0; i < p->n_cells; i++) {
        pb_cell *c = p->cells[i];
        double strength = inject_apply_strength(one, c->window_ms);
        bool left = true, met = strength > 0 && one->on[thin_cohort(c)];
        if (one->what == INJECT_SILENCE && met) {
            left = false;
            x->met += c->n;
        } else if (one->what == INJECT_SKEW && met) {
            c->window_ms += (int64_t)one->amount;
            x->met += c->n;
        } else if (one->what == INJECT_SAMPLE_RATIO && strength > 0) {
            left = unsplit(x, p, c, amount_at(one, strength));
        }
        if (left) p->cells[kept++] = c;
    }
    p->n_cells = kept;
}

enum serin_status inject_apply(struct inject_apply *x, pb_partial *p)
{
    if (x->what->what == INJECT_METRIC) return change_metric(x, p);
    change_cells(x, p);
    return SERIN_OK;
}
