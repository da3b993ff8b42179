/* engine/replay/tune/rehearse.c */
#include "engine/replay/tune/rehearse.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/replay/scene/scene.h"
#include "stats/hist.h"

/* Of the canary, by metric. */
struct tally {
    int64_t n[PLAN_MAX_METRICS], bad[PLAN_MAX_METRICS];
};

struct run {
    const struct rehearse *r;
    struct rehearsed *out;
    struct split split;
    struct scene *scene; /* NULL: nothing is injected */
    int64_t onset_ms;
    int64_t from_ms; /* counted from here on; INT64_MAX: not yet */
    struct tally before, after;
    bool done;
};

static size_t metric_of(const struct plan *p, const char *name)
{
    size_t i = 0;
    while (i < p->n_metrics && strcmp(p->metrics[i].name, name) != 0)
        i++;
    return i;
}

static struct hist_view view_of(const pb_histogram *h)
{
    return (struct hist_view){h->scale, h->offset, h->n_counts, h->zero_count,
                              h->counts};
}

/* ---------------------------------------------------------------- what is usual */

struct look {
    const struct plan *plan;
    struct hist *all; /* by metric */
};

static enum serin_status look_window(void *ctx, struct arena *a,
                                     const struct change_window *w, pb_partial *p)
{
    (void)a, (void)w;
    struct look *l = ctx;
    enum serin_status rc = SERIN_OK;
    for (size_t i = 0; rc == SERIN_OK && i < p->n_cells; i++) {
        const pb_cell *c = p->cells[i];
        size_t at = metric_of(l->plan, c->metric);
        if (c->cohort != SERIN__V1__COHORT__COHORT_BASELINE || c->hist == NULL ||
            at == l->plan->n_metrics)
            continue;
        struct hist_view v = view_of(c->hist);
        rc = hist_merge(&l->all[at], &v);
    }
    return rc;
}

enum serin_status rehearse_usual(const struct tape *t, const struct plan *p,
                                 struct rehearse_usual *out)
{
    struct look l = {.plan = p, .all = mem_calloc(PLAN_MAX_METRICS, sizeof *l.all)};
    enum serin_status rc = l.all != NULL ? SERIN_OK : SERIN_ENOMEM;
    for (size_t i = 0; rc == SERIN_OK && i < p->n_metrics; i++)
        rc = hist_init(&l.all[i], HIST_SCALE);
    if (rc == SERIN_OK) rc = tape_windows(t, 1000, look_window, &l);
    for (size_t i = 0; rc == SERIN_OK && i < p->n_metrics; i++) {
        struct hist_view v = hist_view(&l.all[i]);
        out->p99_ms[i] = l.all[i].total > 0 ? hist_quantile(&v, 0.99) : 0;
    }
    mem_free(l.all);
    return rc;
}

/* ---------------------------------------------------------------- one window */

static uint64_t bad_of(const struct run *run, size_t at, const pb_cell *c)
{
    if (c->hist == NULL) return c->bad;
    struct hist_view v = view_of(c->hist);
    return hist_above(&v, run->r->usual->p99_ms[at]);
}

static void tally(const struct run *run, const pb_partial *p, struct tally *t)
{
    for (size_t i = 0; i < p->n_cells; i++) {
        const pb_cell *c = p->cells[i];
        size_t at = metric_of(run->r->plan, c->metric);
        if (c->cohort != SERIN__V1__COHORT__COHORT_CANARY ||
            c->window_ms < run->from_ms || at == run->r->plan->n_metrics)
            continue;
        t->n[at] += (int64_t)c->n;
        t->bad[at] += (int64_t)bad_of(run, at, c);
    }
}

static enum serin_status on_window(void *ctx, struct arena *a,
                                   const struct change_window *w, pb_partial *p)
{
    struct run *run = ctx;
    enum serin_status rc = split_window(&run->split, a, w, p);
    if (rc == SERIN_OK && run->scene != NULL) {
        tally(run, p, &run->before);
        rc = scene_change(run->scene, a, w, p);
    }
    if (rc == SERIN_OK) tally(run, p, &run->after);
    return rc;
}

/* ---------------------------------------------------------------- verdicts */

static enum serin_status on_verdict(void *ctx, const pb_verdict *v, struct bytes bytes)
{
    struct run *run = ctx;
    struct rehearsed *out = run->out;
    (void)bytes;
    snprintf(out->reason, sizeof out->reason, "%s", v->reason);
    if (out->start_ms == 0 && v->to_bp > 0) {
        out->start_ms = v->t_ms;
        run->from_ms = v->t_ms > run->onset_ms ? v->t_ms : run->onset_ms;
        out->onset_ms = run->from_ms;
    }
    bool result = v->kind == SERIN__V1__KIND__KIND_RESULT;
    bool alarm = v->kind == SERIN__V1__KIND__KIND_ABORT ||
                 (result && strcmp(v->result, "no_difference") != 0);
    if (alarm) out->end = REHEARSE_ABORTED;
    if (!alarm && (v->final || result)) out->end = REHEARSE_PROMOTED;
    run->done = out->end != REHEARSE_UNDECIDED;
    if (run->done) out->end_ms = v->t_ms;
    return SERIN_OK;
}

static void sum_up(struct run *run, struct trial *t)
{
    const pb_rollout *row;
    int64_t canary = 0, hurt = 0;
    for (size_t i = 0; i < run->r->plan->n_metrics; i++) {
        int64_t more = run->after.bad[i] - run->before.bad[i];
        if (run->after.n[i] > canary) canary = run->after.n[i];
        if (more > hurt) hurt = more;
    }
    run->out->canary = (uint64_t)canary;
    run->out->hurt = run->scene != NULL ? (uint64_t)hurt : 0;
    if (!run->done) run->out->end_ms = tape_about(run->r->tape).last_ms;
    if (trial_rollouts(t) > 0 && trial_row(t, 0, &row) == SERIN_OK)
        run->out->window_ms = row->status->window_ms;
}

static enum serin_status play(struct run *run, struct fault *f)
{
    const struct rehearse *r = run->r;
    struct trial *t;
    struct trial_options to = {.plan = r->text,
                               .id = r->plan->id,
                               .acknowledge = r->plan->require_ack,
                               .max_lag_ms = r->max_lag_ms,
                               .sink = on_verdict,
                               .ctx = run};
    struct tape_player p = {.change = on_window,
                            .ctx = run,
                            .done = &run->done,
                            .window_ms = r->plan->window_ms};
    enum serin_status rc = trial_open(&t, &to);
    if (rc != SERIN_OK) return rc;
    rc = tape_play(r->tape, t, &p, f);
    if (rc == SERIN_OK) sum_up(run, t);
    trial_close(t);
    return rc;
}

/* Places the faults in the tape, and finds when the first one begins. */
static enum serin_status inject(struct run *run, struct fault *f)
{
    const struct rehearse *r = run->r;
    struct tape_about about = tape_about(r->tape);
    struct scene_options o = {
        .plan = r->plan, .inject = &r->inject, .n_inject = 1, .seed = r->split.seed};
    if (r->inject == NULL) return SERIN_OK;
    enum serin_status rc = scene_open(&run->scene, &o, f);
    if (rc == SERIN_OK) rc = scene_place(run->scene, about.first_ms, about.last_ms, f);
    if (rc != SERIN_OK) return rc;
    const struct inject_list *l = scene_injected(run->scene);
    run->onset_ms = INT64_MAX;
    for (size_t i = 0; i < l->n; i++)
        if (l->items[i].from_ms < run->onset_ms) run->onset_ms = l->items[i].from_ms;
    return SERIN_OK;
}

enum serin_status rehearse(const struct rehearse *r, struct rehearsed *out,
                           struct fault *f)
{
    struct run *run = mem_calloc(1, sizeof *run);
    *out = (struct rehearsed){0};
    *f = (struct fault){0};
    if (run == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
    run->r = r;
    run->out = out;
    run->split = r->split;
    run->from_ms = INT64_MAX;
    enum serin_status rc = inject(run, f);
    if (rc == SERIN_OK) rc = play(run, f);
    if (rc != SERIN_OK && run->scene != NULL && scene_why(run->scene)[0] != '\0')
        fault_set(f, rc, "%s", scene_why(run->scene));
    scene_close(run->scene);
    mem_free(run);
    if (rc != SERIN_OK && f->text[0] == '\0') fault_set(f, rc, "%s", status_text(rc));
    return rc;
}
