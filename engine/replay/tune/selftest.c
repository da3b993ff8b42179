/* engine/replay/tune/selftest.c */
#include "engine/replay/tune/selftest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/replay/tune/crowd.h"
#include "engine/replay/tune/edit.h"
#include "engine/replay/tune/pool.h"
#include "engine/replay/tune/stand.h"
#include "stats/interval.h"

static const double confidence = 0.95;
static const double worth = 1.05; /* a larger phi than that is worth writing down */
static const int64_t longer = 5;  /* windows, as a remedy */

struct selftest_work {
    const struct selftest_options *o;
    struct arena *a;
    struct selftest *out;
    struct deck deck;
    struct fault *f;
};

const char *selftest_how(enum split_how how)
{
    static const char *const names[] = {"as recorded", "requests", "windows", "units"};
    return names[how];
}

/* ---------------------------------------------------------------- a rate */

struct batch {
    const struct selftest_work *w;
    const struct tape *const *tapes;
    struct stand stand;
    struct split split;
    struct rehearsed *results;
    const char *what;
};

static enum serin_status one_run(void *ctx, size_t i, struct fault *f)
{
    const struct batch *b = ctx;
    const struct selftest_options *o = b->w->o;
    uint64_t number = i;
    struct rehearse r = {.tape = b->tapes[i % o->on.n],
                         .usual = &b->w->deck.usual[i % o->on.n],
                         .text = b->stand.text,
                         .plan = b->stand.plan,
                         .max_lag_ms = o->on.max_lag_ms,
                         .split = b->split};
    r.split.seed = hash_bytes(&number, sizeof number, o->on.seed);
    return rehearse(&r, &b->results[i], f);
}

static bool told(void *ctx, size_t done)
{
    const struct batch *b = ctx;
    const struct selftest_options *o = b->w->o;
    if (o->progress != NULL) o->progress(o->ctx, b->what, done, o->on.runs);
    return false;
}

/* The reason that most of the undecided ended with. */
static void most_frequent(const struct rehearsed *r, unsigned n, char out[24])
{
    unsigned best = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < n; i++) {
        unsigned same = 0;
        if (r[i].end != REHEARSE_UNDECIDED) continue;
        for (unsigned k = i; k < n; k++)
            same +=
                r[k].end == REHEARSE_UNDECIDED && strcmp(r[i].reason, r[k].reason) == 0;
        if (same <= best) continue;
        best = same;
        snprintf(out, 24, "%s", r[i].reason);
    }
}

static void count(const struct rehearsed *r, unsigned n, double alpha,
                  struct selftest_rate *out)
{
    *out = (struct selftest_rate){.runs = n};
    for (unsigned i = 0; i < n; i++) {
        out->aborted += r[i].end == REHEARSE_ABORTED;
        out->promoted += r[i].end == REHEARSE_PROMOTED;
        out->started += r[i].start_ms != 0;
    }
    if (interval_binomial(out->aborted, n, confidence, &out->lower, &out->upper) !=
        SERIN_OK)
        out->upper = 1;
    out->over = out->lower > alpha;
    most_frequent(r, n, out->why);
}

/* How often the plan aborts under such splits of these tapes. */
static enum serin_status rate_of(const struct selftest_work *w,
                                 const struct tape *const *tapes, const char *text,
                                 enum split_how how, const char *what,
                                 struct selftest_rate *out)
{
    struct batch b = {.w = w, .tapes = tapes, .what = what};
    const struct selftest_options *o = w->o;
    bool unchecked = how != SPLIT_REQUESTS || o->on.share > 0;
    enum serin_status rc = stand(w->a, text, unchecked, &b.stand, w->f);
    if (rc != SERIN_OK) return rc;
    int64_t grid_ms = tape_about(tapes[0]).grid_ms;
    int64_t block_ms =
        b.stand.plan->window_ms > 0 ? b.stand.plan->window_ms : w->out->window_ms;
    b.split = (struct split){.how = how,
                             .by = w->deck.by,
                             .share = o->on.share,
                             .block_ms = block_ms > grid_ms ? block_ms : grid_ms,
                             .units = &w->deck.units};
    b.results = mem_calloc(o->on.runs, sizeof *b.results);
    if (b.results == NULL) return SERIN_ENOMEM;
    struct crowd c = {.n = o->on.runs,
                      .threads = o->on.threads,
                      .task = one_run,
                      .stop = told,
                      .ctx = &b};
    rc = crowd_run(&c, w->f);
    if (rc == SERIN_OK) count(b.results, o->on.runs, w->out->alpha, out);
    mem_free(b.results);
    return rc;
}

/* ---------------------------------------------------------------- remedies */

/* The plan's text with the remedy. */
static enum serin_status edited(const struct selftest_work *w,
                                const struct selftest_remedy *r, const char **out)
{
    enum serin_status rc = SERIN_OK;
    *out = w->o->on.text;
    for (size_t i = 0; rc == SERIN_OK && i < r->n_edits; i++)
        rc = edit_set(w->a, *out, r->edits[i].path, r->edits[i].value, out, w->f);
    return rc;
}

static void put(struct selftest_remedy *r, const struct plan_metric *m, const char *key,
                const char *value)
{
    struct selftest_edit *e = &r->edits[r->n_edits];
    if (r->n_edits == SELFTEST_EDITS) return;
    if (m != NULL)
        snprintf(e->path, sizeof e->path, "metrics[%s].%s", m->name, key);
    else
        snprintf(e->path, sizeof e->path, "%s", key);
    snprintf(e->value, sizeof e->value, "%s", value);
    r->n_edits++;
}

static bool phi_value(const struct plan_metric *m, double phi, char out[MEASURE_PODS])
{
    if (!(phi > worth) || !(phi > m->phi) || m->kind == PLAN_GAUGE) return false;
    snprintf(out, MEASURE_PODS, "%.3g", phi);
    return true;
}

/* Values of a metric's key; false: it stays as it is. */
static bool remedy_phi(const struct selftest_work *w, size_t i, char out[MEASURE_PODS])
{
    return phi_value(&w->o->on.plan->metrics[i], w->out->measured.over_time[i], out);
}

static bool remedy_pods(const struct selftest_work *w, size_t i, char out[MEASURE_PODS])
{
    const struct plan_metric *m = &w->o->on.plan->metrics[i];
    if (m->kind != PLAN_RATIO || m->per == PLAN_PER_USER) return false;
    return measure_pods(&w->out->measured.units[i], deck_first_share(&w->o->on), out);
}

/* The tolerance rule: luck beyond it is as rare as alpha allows. */
static bool remedy_tolerance(const struct selftest_work *w, size_t i,
                             char out[MEASURE_PODS])
{
    double share = deck_first_share(&w->o->on);
    double tau = measure_luck(&w->out->measured.units[i], share);
    double over = exp(sqrt(-2 * log(2 * w->out->alpha)) * tau);
    over = ceil(100 * over) / 100;
    snprintf(out, MEASURE_PODS, "%.2f", over);
    return over > w->o->on.plan->metrics[i].abort_over && over <= 20;
}

/* Whole users, where the records name them: their requests come in lumps. */
static bool remedy_users(const struct selftest_work *w, size_t i,
                         char out[MEASURE_PODS])
{
    const struct plan_metric *m = &w->o->on.plan->metrics[i];
    snprintf(out, MEASURE_PODS, "user");
    return m->kind == PLAN_RATIO && m->per != PLAN_PER_USER;
}

/* Longer windows, and the dispersion of those. */
static enum serin_status longer_windows(const struct selftest_work *w,
                                        struct selftest_remedy *r)
{
    double phi[PLAN_MAX_METRICS];
    const char *text;
    char value[MEASURE_PODS];
    snprintf(value, sizeof value, "%llds",
             (long long)(w->out->window_ms * longer / 1000));
    put(r, NULL, "window", value);
    enum serin_status rc = edited(w, r, &text);
    if (rc == SERIN_OK)
        rc = pool_over_time(w->a, text, w->o->on.tapes, w->o->on.n, phi, w->f);
    for (size_t i = 0; rc == SERIN_OK && i < w->o->on.plan->n_metrics; i++) {
        const struct plan_metric *m = &w->o->on.plan->metrics[i];
        if (phi_value(m, phi[i], value)) put(r, m, "phi", value);
    }
    return rc;
}

static enum serin_status see_users(void *ctx, struct arena *a,
                                   const struct change_window *w, pb_partial *p)
{
    bool *seen = ctx;
    (void)a, (void)w;
    for (size_t i = 0; i < p->n_cells; i++)
        *seen |= p->cells[i]->n_users > 0;
    return SERIN_OK;
}

/* The recordings read again, now that users are asked for; *seen: they name some. */
static enum serin_status read_users(const struct selftest_work *w, const char *text,
                                    struct tape **tapes, bool *seen)
{
    struct stand s;
    enum serin_status rc = stand(w->a, text, true, &s, w->f);
    *seen = false;
    for (size_t i = 0; rc == SERIN_OK && i < w->o->on.n; i++) {
        struct feed_options o = w->o->sources[i];
        if (strcmp(o.path, "-") == 0) return SERIN_OK; /* it is gone */
        o.plan = s.plan;
        rc = tape_read(&tapes[i], &o, w->o->on.by, 0, w->f);
        if (rc == SERIN_OK && !*seen)
            rc = tape_windows(tapes[i], 1000, see_users, seen);
    }
    return rc;
}

static enum serin_status try_users(const struct selftest_work *w,
                                   struct selftest_remedy *r, bool *tried)
{
    const char *text;
    struct tape **tapes = mem_calloc(w->o->on.n, sizeof *tapes);
    enum serin_status rc = tapes != NULL ? edited(w, r, &text) : SERIN_ENOMEM;
    if (rc == SERIN_OK) rc = read_users(w, text, tapes, tried);
    if (rc == SERIN_OK && *tried)
        rc = rate_of(w, (const struct tape *const *)tapes, text, SPLIT_REQUESTS,
                     "per user", &r->rate);
    for (size_t i = 0; tapes != NULL && i < w->o->on.n; i++)
        tape_close(tapes[i]);
    mem_free(tapes);
    return rc;
}

/* What helps against what, the cheapest first. */
static const struct remedy_kind {
    const char *name, *key; /* no key: longer windows */
    enum split_how against[2];
    bool (*value)(const struct selftest_work *w, size_t i, char out[MEASURE_PODS]);
} kinds[] = {
    {"phi", "phi", {SPLIT_WINDOWS, SPLIT_WINDOWS}, remedy_phi},
    {"pods", "pods", {SPLIT_UNITS, SPLIT_UNITS}, remedy_pods},
    {"tolerance", "abort_over", {SPLIT_UNITS, SPLIT_REQUESTS}, remedy_tolerance},
    {"per_user", "per", {SPLIT_WINDOWS, SPLIT_UNITS}, remedy_users},
    {"window", NULL, {SPLIT_WINDOWS, SPLIT_WINDOWS}, NULL}};

static enum serin_status make(const struct selftest_work *w,
                              const struct remedy_kind *k, struct selftest_remedy *r)
{
    char value[MEASURE_PODS];
    if (k->key == NULL) return longer_windows(w, r);
    for (size_t i = 0; i < w->o->on.plan->n_metrics; i++)
        if (k->value(w, i, value)) put(r, &w->o->on.plan->metrics[i], k->key, value);
    return SERIN_OK;
}

static enum serin_status try_remedy(const struct selftest_work *w,
                                    const struct selftest_case *c,
                                    const struct remedy_kind *k,
                                    struct selftest_remedy *r, bool *tried)
{
    const char *text;
    *r = (struct selftest_remedy){.name = k->name};
    *tried = false;
    r->edits = arena_alloc(w->a, SELFTEST_EDITS * sizeof *r->edits);
    if (r->edits == NULL) return SERIN_ENOMEM;
    enum serin_status rc = make(w, k, r);
    if (rc != SERIN_OK || r->n_edits == 0) return rc;
    if (k->value == remedy_users) return try_users(w, r, tried);
    *tried = true;
    rc = edited(w, r, &text);
    return rc == SERIN_OK ? rate_of(w, w->o->on.tapes, text, c->how, k->name, &r->rate)
                          : rc;
}

static enum serin_status remedy(const struct selftest_work *w, struct selftest_case *c)
{
    enum serin_status rc = SERIN_OK;
    for (size_t i = 0; rc == SERIN_OK && i < sizeof kinds / sizeof *kinds; i++) {
        const struct remedy_kind *k = &kinds[i];
        struct selftest_remedy *r = &c->remedies[c->n_remedies];
        bool tried;
        if (c->holds >= 0 || c->n_remedies == SELFTEST_REMEDIES) break;
        if (c->how != k->against[0] && c->how != k->against[1]) continue;
        rc = try_remedy(w, c, k, r, &tried);
        /* One that the plan does not allow is none. */
        if (rc == SERIN_EPARSE || rc == SERIN_EDOM || rc == SERIN_ENOENT) {
            *w->f = (struct fault){0};
            rc = SERIN_OK;
            continue;
        }
        if (!tried) continue;
        if (!r->rate.over) c->holds = (int)c->n_remedies;
        c->n_remedies++;
    }
    return rc;
}

/* ---------------------------------------------------------------- all of it */

/* Requests are in it, not only readings and whole users. */
static bool countable(const struct plan *p)
{
    for (size_t i = 0; i < p->n_metrics; i++) {
        const struct plan_metric *m = &p->metrics[i];
        bool whole = m->kind == PLAN_GAUGE || m->kind == PLAN_SATURATION ||
                     m->per == PLAN_PER_USER;
        if (!whole) return true;
    }
    return false;
}

static enum serin_status too_little(const struct selftest_work *w,
                                    const struct selftest_rate *r)
{
    struct tape_about about = tape_about(w->o->on.tapes[0]);
    return fault_set(w->f, SERIN_EDOM,
                     "no split got as far as the plan's first weight (%s): the first "
                     "recording lasts %lld s, calibrate asks for %lld s and 60 windows "
                     "with data; give longer ones, or calibrate: skip with phi",
                     r->why[0] != '\0' ? r->why : "no verdict",
                     (long long)((about.last_ms - about.first_ms) / 1000),
                     (long long)(w->o->on.plan->calibrate_ms / 1000));
}

static enum serin_status run_case(struct selftest_work *w, enum split_how how)
{
    struct selftest_case *c = &w->out->cases[w->out->n_cases++];
    *c = (struct selftest_case){.how = how, .holds = -1};
    enum serin_status rc =
        rate_of(w, w->o->on.tapes, w->o->on.text, how, selftest_how(how), &c->rate);
    if (rc != SERIN_OK) return rc;
    if (c->rate.started == 0) return too_little(w, &c->rate);
    return c->rate.over ? remedy(w, c) : SERIN_OK;
}

static enum serin_status measure(struct selftest_work *w)
{
    const struct deck_options *on = &w->o->on;
    struct selftest *t = w->out;
    enum serin_status rc = deck_window(w->a, &w->deck, on->text, &t->window_ms, w->f);
    if (rc == SERIN_OK)
        rc = measure_all(w->a, on, t->window_ms, on->text, &t->measured, w->f);
    return rc;
}

enum serin_status selftest_run(struct arena *a, const struct selftest_options *o,
                               struct selftest *out, struct fault *f)
{
    struct selftest_work w = {.o = o, .a = a, .out = out, .f = f};
    *out = (struct selftest){.alpha = stand_alpha(o->on.plan)};
    *f = (struct fault){0};
    enum serin_status rc = deck_open(a, &o->on, &w.deck, f);
    if (rc == SERIN_OK) rc = measure(&w);
    if (rc == SERIN_OK) rc = run_case(&w, SPLIT_REQUESTS);
    if (rc == SERIN_OK && countable(o->on.plan)) rc = run_case(&w, SPLIT_WINDOWS);
    if (rc == SERIN_OK && w.deck.by) rc = run_case(&w, SPLIT_UNITS);
    deck_close(&w.deck);
    if (rc != SERIN_OK && f->text[0] == '\0') fault_set(f, rc, "%s", status_text(rc));
    return rc;
}
