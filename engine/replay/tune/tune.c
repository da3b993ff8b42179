/* engine/replay/tune/tune.c */
#include "engine/replay/tune/tune.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/base/text.h"
#include "engine/replay/tune/crowd.h"
#include "engine/replay/tune/edit.h"
#include "engine/replay/scene/inject.h"
#include "engine/replay/tune/ledger.h"
#include "engine/replay/tune/pool.h"
#include "engine/replay/tune/stand.h"
#include "engine/replay/tune/tune_score.h"
#include "stats/dispersion.h"

enum { WINDOWS_AUTO = 6 }; /* lengths that `window: auto` may come out at */

/* One combination, ready to be judged: with the sample ratio checked and without. */
struct combination {
    struct stand checked, unchecked;
    int64_t window_ms;
};

struct tune_work {
    const struct tune_options *o;
    struct arena *a;
    struct tune *out;
    struct fault *f;
    struct deck deck;
    struct rehearse_usual *usual; /* by recorded fault */
    struct combination *all;
    struct rehearsed *results;
    bool *done;
    struct ledger *ledger;
    size_t each; /* tasks of one combination */
    size_t resumed;
};

/* ---------------------------------------------------------------- what is measured */

static void put_edit(struct tune_measured *m, const char *metric, const char *key,
                     const char *value)
{
    struct tune_edit *e = &m->edits[m->n_edits++];
    if (metric != NULL)
        snprintf(e->path, sizeof e->path, "metrics[%s].%s", metric, key);
    else
        snprintf(e->path, sizeof e->path, "%s", key);
    snprintf(e->value, sizeof e->value, "%s", value);
}

/* Recorded cohorts have been compared, whether that gave a phi or not. */
static bool compared(const struct tune_measured *m, size_t i)
{
    return m->of.between[i].windows >= DISPERSION_MIN_WINDOWS;
}

/* Between cohorts where that is known; else the plan's own, where both were recorded
 * and had too few events to tell; else over time. 0: none of them. */
static double phi_of(const struct plan *p, const struct tune_measured *m, size_t i)
{
    if (m->of.between[i].phi <= 0 && compared(m, i) && p->metrics[i].phi > 0)
        return p->metrics[i].phi;
    return m->of.between[i].phi > 0 ? m->of.between[i].phi : m->of.over_time[i];
}

/* Is there a phi at every metric that would be calibrated? */
static bool all_known(const struct plan *p, const struct tune_measured *m)
{
    for (size_t i = 0; i < p->n_metrics; i++)
        if (p->metrics[i].kind != PLAN_GAUGE && p->metrics[i].phi <= 0 &&
            phi_of(p, m, i) <= 0)
            return false;
    return true;
}

static void note_edits(const struct tune_work *w, struct tune_measured *to)
{
    const struct tune_options *o = w->o;
    for (size_t i = 0; i < o->on.plan->n_metrics; i++) {
        const struct plan_metric *m = &o->on.plan->metrics[i];
        double phi = ceil(100 * phi_of(o->on.plan, to, i)) / 100;
        char value[MEASURE_PODS];
        snprintf(value, sizeof value, "%.4g", phi);
        bool wants = m->kind != PLAN_GAUGE && phi >= 1 && fabs(phi - m->phi) > 1e-9;
        if (wants) put_edit(to, m->name, "phi", value);
        bool pods = w->deck.by && m->kind == PLAN_RATIO && m->per != PLAN_PER_USER &&
                    measure_pods(&to->of.units[i], deck_first_share(&o->on), value);
        if (pods) put_edit(to, m->name, "pods", value);
    }
    if (o->on.plan->calibrate_ms > 0 && all_known(o->on.plan, to))
        put_edit(to, NULL, "calibrate", "skip");
}

/* All that is measured at windows of that length, once. */
static enum serin_status measure_at(struct tune_work *w, int64_t window_ms,
                                    const char *text, size_t *out)
{
    const struct tune_options *o = w->o;
    struct tune *t = w->out;
    for (*out = 0; *out < t->n_measured; ++*out)
        if (t->measured[*out].window_ms == window_ms) return SERIN_OK;
    struct tune_measured *m = &t->measured[t->n_measured++];
    *m = (struct tune_measured){.window_ms = window_ms, .paired = true};
    m->edits = arena_alloc(w->a, (2 * PLAN_MAX_METRICS + 1) * sizeof *m->edits);
    if (m->edits == NULL) return SERIN_ENOMEM;
    enum serin_status rc = measure_all(w->a, &o->on, window_ms, text, &m->of, w->f);
    for (size_t i = 0; i < o->on.plan->n_metrics; i++) {
        const struct plan_metric *one = &o->on.plan->metrics[i];
        bool counts = one->kind != PLAN_GAUGE && one->mode == PLAN_GATE;
        if (counts && !compared(m, i)) m->paired = false;
    }
    if (rc == SERIN_OK && !o->as_given) note_edits(w, m);
    return rc;
}

static enum serin_status look(struct tune_work *w)
{
    const struct tune_options *o = w->o;
    enum serin_status rc = deck_open(w->a, &o->on, &w->deck, w->f);
    w->usual = arena_alloc(w->a, (o->n_faults + 1) * sizeof *w->usual);
    if (w->usual == NULL) return SERIN_ENOMEM;
    for (size_t i = 0; rc == SERIN_OK && i < o->n_faults; i++)
        rc = rehearse_usual(o->faults[i].tape, o->on.plan, &w->usual[i]);
    return rc;
}

/* The combination's plan: what was measured at its windows, then its values. */
static enum serin_status combine(struct tune_work *w, size_t i, struct tune_row *row,
                                 struct combination *c)
{
    struct tune *t = w->out;
    const char *text;
    enum serin_status rc = sweep_apply(w->a, &t->sweep, w->o->on.text, i, &text, w->f);
    if (rc == SERIN_OK) rc = deck_window(w->a, &w->deck, text, &c->window_ms, w->f);
    if (rc == SERIN_OK) rc = measure_at(w, c->window_ms, text, &row->measured);
    if (rc != SERIN_OK) return rc;
    const struct tune_measured *m = &t->measured[row->measured];
    text = w->o->on.text;
    for (size_t k = 0; rc == SERIN_OK && k < m->n_edits; k++)
        rc = edit_set(w->a, text, m->edits[k].path, m->edits[k].value, &text, w->f);
    if (rc == SERIN_OK) rc = sweep_apply(w->a, &t->sweep, text, i, &row->text, w->f);
    if (rc == SERIN_OK) rc = stand(w->a, row->text, false, &c->checked, w->f);
    if (rc == SERIN_OK) rc = stand(w->a, row->text, true, &c->unchecked, w->f);
    if (rc == SERIN_OK) row->alpha = stand_alpha(c->checked.plan);
    return rc;
}

/* ---------------------------------------------------------------- what is asked */

/* Every fault fits every recording, before anything is run. */
static enum serin_status check_faults(const struct tune_work *w)
{
    const struct tune_options *o = w->o;
    for (size_t i = 0; i < o->n_inject; i++)
        for (size_t k = 0; k < o->on.n; k++) {
            struct inject_list list = {0};
            struct tape_about about = tape_about(o->on.tapes[k]);
            enum serin_status rc = inject_parse(o->on.plan, o->inject[i], &list, w->f);
            if (rc == SERIN_OK)
                rc = inject_place(&list, about.first_ms, about.last_ms, w->f);
            if (rc != SERIN_OK) return rc;
        }
    return SERIN_OK;
}

static enum serin_status prepare(struct tune_work *w)
{
    size_t n = w->out->n_rows;
    enum serin_status rc = SERIN_OK;
    w->all = arena_alloc(w->a, n * sizeof *w->all);
    w->out->rows = arena_alloc(w->a, n * sizeof *w->out->rows);
    if (w->all == NULL || w->out->rows == NULL) return SERIN_ENOMEM;
    for (size_t i = 0; rc == SERIN_OK && i < n; i++) {
        w->out->rows[i] = (struct tune_row){.number = i};
        rc = combine(w, i, &w->out->rows[i], &w->all[i]);
    }
    return rc;
}

static enum serin_status count_tasks(struct tune_work *w)
{
    const struct tune_options *o = w->o;
    enum serin_status rc = SERIN_OK;
    if (o->sweep != NULL)
        rc = sweep_parse(w->a, o->on.text, o->sweep, &w->out->sweep, w->f);
    if (rc != SERIN_OK) return rc;
    w->out->n_rows = sweep_combinations(&w->out->sweep);
    w->each = (2 + o->n_inject) * (size_t)o->on.runs + o->on.n + o->n_faults;
    w->out->tasks = w->out->n_rows * w->each;
    if (w->out->tasks > TUNE_TASKS)
        return fault_set(w->f, SERIN_ELIMIT,
                         "%zu combinations of %zu rehearsals each are %zu, at most %d "
                         "are done: fewer values, splits (--runs) or faults",
                         w->out->n_rows, w->each, w->out->tasks, TUNE_TASKS);
    w->results = mem_calloc(w->out->tasks, sizeof *w->results);
    w->done = mem_calloc(w->out->tasks, sizeof *w->done);
    return w->results != NULL && w->done != NULL ? SERIN_OK : SERIN_ENOMEM;
}

/* ---------------------------------------------------------------- tasks */

/* The k-th of a combination: splits by requests, by windows, then those with each
 * fault, then recorded pairs, then recorded faults. */
static void task_of(const struct tune_work *w, size_t k, const struct combination *c,
                    struct rehearse *r)
{
    const struct tune_options *o = w->o;
    size_t splits = (2 + o->n_inject) * (size_t)o->on.runs, what = k / o->on.runs;
    uint64_t number = k % o->on.runs;
    size_t tape = k < splits ? (size_t)number % o->on.n : k - splits;
    bool recorded = k >= splits;
    bool unchecked = recorded || what == 1 || o->on.share > 0;
    const struct stand *s = unchecked ? &c->unchecked : &c->checked;
    bool fault = tape >= o->on.n;
    size_t at = fault ? tape - o->on.n : tape;
    *r = (struct rehearse){.tape = fault ? o->faults[at].tape : o->on.tapes[at],
                           .usual = fault ? &w->usual[at] : &w->deck.usual[at],
                           .text = s->text,
                           .plan = s->plan,
                           .max_lag_ms = o->on.max_lag_ms};
    int64_t grid_ms = tape_about(r->tape).grid_ms;
    r->split =
        (struct split){.by = w->deck.by,
                       .share = o->on.share,
                       .block_ms = c->window_ms > grid_ms ? c->window_ms : grid_ms,
                       .seed = hash_bytes(&number, sizeof number, o->on.seed),
                       .units = &w->deck.units};
    r->split.how = recorded    ? SPLIT_RECORDED
                   : what == 1 ? SPLIT_WINDOWS
                               : SPLIT_REQUESTS;
    if (!recorded && what >= 2) r->inject = o->inject[what - 2];
}

static enum serin_status one_task(void *ctx, size_t i, struct fault *f)
{
    struct tune_work *w = ctx;
    struct rehearse r;
    if (w->done[i]) return SERIN_OK;
    task_of(w, i % w->each, &w->all[i / w->each], &r);
    enum serin_status rc = rehearse(&r, &w->results[i], f);
    if (rc == SERIN_OK && w->ledger != NULL && ledger_put(w->ledger, i, &w->results[i]))
        rc = fault_set(f, SERIN_EIO, "%s: cannot be written", w->o->state);
    return rc;
}

static bool asked_to_stop(void *ctx, size_t done)
{
    const struct tune_work *w = ctx;
    return w->o->stop != NULL && w->o->stop(w->o->ctx, done, w->out->tasks);
}

/* ---------------------------------------------------------------- the state */

static void key_of(const struct tune_work *w, char out[2 * HASH_DIGEST + 1])
{
    const struct tune_options *o = w->o;
    struct text t = {0};
    uint8_t digest[HASH_DIGEST];
    text_add(&t, "%s\n%s\n%d %u %llu %.17g %lld %s\n", o->on.text,
             o->sweep != NULL ? o->sweep : "", o->as_given, o->on.runs,
             (unsigned long long)o->on.seed, o->on.share, (long long)o->on.max_lag_ms,
             o->on.by != NULL ? o->on.by : "");
    for (size_t i = 0; i < o->n_inject; i++)
        text_add(&t, "%s\n", o->inject[i]);
    for (size_t i = 0; i < o->on.n; i++)
        text_add(&t, "%llx\n", (unsigned long long)tape_about(o->on.tapes[i]).digest);
    for (size_t i = 0; i < o->n_faults; i++)
        text_add(&t, "%llx\n",
                 (unsigned long long)tape_about(o->faults[i].tape).digest);
    hash_digest(t.p, t.n, digest);
    hash_hex(digest, sizeof digest, out);
    text_free(&t);
}

static enum serin_status run_tasks(struct tune_work *w)
{
    char key[2 * HASH_DIGEST + 1];
    enum serin_status rc = SERIN_OK;
    key_of(w, key);
    if (w->o->state != NULL)
        rc = ledger_open(&w->ledger, w->o->state, key, w->results, w->done,
                         w->out->tasks, w->f);
    if (rc != SERIN_OK) return rc;
    for (size_t i = 0; i < w->out->tasks; i++)
        w->out->resumed += w->done[i];
    struct crowd c = {.n = w->out->tasks,
                      .threads = w->o->on.threads,
                      .task = one_task,
                      .stop = asked_to_stop,
                      .ctx = w};
    rc = crowd_run(&c, w->f);
    enum serin_status closed = ledger_close(w->ledger);
    if (closed != SERIN_OK && (rc == SERIN_OK || rc == SERIN_AGAIN))
        rc = fault_set(w->f, closed, "%s: cannot be written", w->o->state);
    return rc;
}

/* ---------------------------------------------------------------- the table */

/* Recorded pairs, of tapes that have both cohorts, and recorded faults. */
static void score_recorded(const struct tune_work *w, struct tune_row *row,
                           const struct rehearsed *r)
{
    const struct tune_options *o = w->o;
    unsigned k = 0, n = 0, found = 0;
    for (size_t i = 0; i < o->on.n; i++) {
        if (!tape_about(o->on.tapes[i]).both) continue;
        n++;
        k += r[i].end == REHEARSE_ABORTED;
    }
    row->recorded = tune_score_share(k, n);
    for (size_t i = 0; i < o->n_faults; i++) {
        const struct rehearsed *one = &r[o->on.n + i];
        bool late = one->end_ms >= o->faults[i].onset_ms;
        found += one->end == REHEARSE_ABORTED && late;
        row->early += one->end == REHEARSE_ABORTED && !late;
    }
    row->faults = tune_score_share(found, (unsigned)o->n_faults);
}

static enum serin_status score(struct tune_work *w, size_t i)
{
    const struct tune_options *o = w->o;
    struct tune_row *row = &w->out->rows[i];
    const struct rehearsed *r = w->results + i * w->each;
    tune_score_healthy(row, r, r + o->on.runs, o->on.runs);
    enum serin_status rc = tune_score_times(row, r, o->on.runs);
    r += 2 * (size_t)o->on.runs;
    for (size_t k = 0; rc == SERIN_OK && k < o->n_inject; k++, r += o->on.runs)
        rc = tune_score_found(&row->injected[k], r, o->on.runs);
    score_recorded(w, row, r);
    return rc;
}

static bool any_started(const struct tune_work *w)
{
    for (size_t i = 0; i < w->out->tasks; i++)
        if (w->results[i].start_ms != 0) return true;
    return false;
}

static enum serin_status conclude(struct tune_work *w)
{
    struct tune *t = w->out;
    enum serin_status rc = SERIN_OK;
    if (!any_started(w))
        return fault_set(w->f, SERIN_EDOM,
                         "too little data: no rehearsal got as far as the plan's first "
                         "weight (%s); give longer recordings, or calibrate: skip with "
                         "phi",
                         w->results[0].reason[0] != '\0' ? w->results[0].reason
                                                         : "no verdict");
    for (size_t i = 0; rc == SERIN_OK && i < t->n_rows; i++)
        rc = score(w, i);
    if (rc == SERIN_OK)
        t->best = tune_score_choose(t->rows, t->n_rows, w->o->n_inject, t->measured);
    return rc;
}

enum serin_status tune_run(struct arena *a, const struct tune_options *o,
                           struct tune *out, struct fault *f)
{
    struct tune_work w = {.o = o, .a = a, .out = out, .f = f};
    *out = (struct tune){.best = -1};
    *f = (struct fault){0};
    out->measured =
        arena_alloc(a, (SWEEP_VALUES + WINDOWS_AUTO) * sizeof *out->measured);
    enum serin_status rc = out->measured != NULL ? check_faults(&w) : SERIN_ENOMEM;
    if (rc == SERIN_OK) rc = look(&w);
    if (rc == SERIN_OK) rc = count_tasks(&w);
    if (rc == SERIN_OK) rc = prepare(&w);
    if (rc == SERIN_OK) rc = run_tasks(&w);
    if (rc == SERIN_OK) rc = conclude(&w);
    deck_close(&w.deck);
    mem_free(w.results);
    mem_free(w.done);
    if (rc != SERIN_OK && f->text[0] == '\0') fault_set(f, rc, "%s", status_text(rc));
    return rc;
}
