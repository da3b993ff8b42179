/* engine/core/judge.c */
#include "engine/core/judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/core/acks.h"
#include "engine/core/aftermath.h"
#include "engine/core/experiment.h"
#include "engine/core/explain.h"
#include "engine/core/external.h"
#include "engine/core/facts.h"
#include "engine/core/figures.h"
#include "engine/core/gate.h"
#include "engine/core/holds.h"
#include "engine/core/kind.h"
#include "engine/core/schedule.h"
#include "engine/core/strategy.h"
#include "stats/level.h"

enum { FUTURE_MS = 600000 };          /* cells further ahead come from a broken clock */
static const double BOUNDS_MAX = 1e5; /* as ingest clamps it */

/* ---- cells come in */
static int metric_index(const struct rollout *r, const char *name)
{
    for (size_t i = 0; i < r->evidence.n; i++)
        if (strcmp(r->evidence.metrics[i].metric->name, name) == 0) return (int)i;
    return -1;
}

static void note_seen(const struct rollout *r, struct evidence *e, int cohort,
                      const pb_cell *cell)
{
    int64_t end_ms = cell->window_ms + calibrate_lengths[0];
    e->ever[cohort] = true;
    if (end_ms > e->seen_ms[cohort]) {
        e->seen_ms[cohort] = end_ms;
        e->since[cohort] = 0;
    }
    bool after = cell->window_ms >= e->seen_ms[1 - cohort];
    if (r->step != 0 && cell->window_ms >= r->settle_ms && after)
        e->since[1 - cohort] += cell->n;
}

/* A cohort without crashes is not silent: events are heard of by their exposure, and
 * where that is a number of pods, a report of none is a report. */
static void note_heard(struct rollout *r, size_t at, int cohort, const pb_cell *cell)
{
    struct evidence *e = &r->evidence.metrics[at];
    bool events = e->kind->content == KIND_EVENTS;
    if (events ? e->metric->exposure_metric < 0 : cell->n != 0)
        note_seen(r, e, cohort, cell);
    for (size_t i = 0; i < r->evidence.n && cell->n != 0; i++)
        if (r->evidence.metrics[i].kind->content == KIND_EVENTS &&
            r->evidence.metrics[i].metric->exposure_metric == (int)at)
            note_seen(r, &r->evidence.metrics[i], cohort, cell);
}

/* The readings of a cell by unit, in an arena; SERIN_EDOM: they do not fit it. */
static enum serin_status units_of(struct fold *f, const pb_cell *cell,
                                  struct unitsum **out)
{
    const double most = 1e150; /* squares are summed up */
    uint64_t n = 0;
    struct unitsum *u = arena_alloc(&f->record, cell->n_units * sizeof *u);
    if (u == NULL) return SERIN_ENOMEM;
    for (size_t i = 0; i < cell->n_units; i++) {
        const Serin__V1__UnitSum *s = cell->units[i];
        if (s->n == 0 || s->n > COUNT_MAX || !(fabs(s->sum) <= most * (double)s->n) ||
            !isfinite(s->sum_sq))
            return SERIN_EDOM;
        u[i] = (struct unitsum){hash_bytes(s->unit, strlen(s->unit), 0), s->n, s->sum};
        n += s->n;
    }
    *out = u;
    return n == cell->n && cell->bad == 0 ? SERIN_OK : SERIN_EDOM;
}

static bool view_of(const pb_cell *cell, struct hist_view *v)
{
    const Serin__V1__Histogram *h = cell->hist;
    *v = (struct hist_view){.scale = HIST_SCALE};
    if (h == NULL) return cell->n == 0;
    *v = (struct hist_view){h->scale, h->offset, h->n_counts, h->zero_count, h->counts};
    return binned_sane(v, cell->n);
}

/* Users wait in a bounded room: where it is used up, half of them are followed on. */
static enum serin_status wait_users(struct rollout *r, const pb_cell *cell, uint32_t at,
                                    int64_t start_ms, uint32_t stratum, int cohort)
{
    struct riskset *risk = r->evidence.metrics[at].risk;
    size_t n = cell->n_users;
    if (n > cell->n || !riskset_sane(cell->users, n, cell->user_thin))
        return SERIN_EDOM;
    for (uint32_t thin = risk->thin > cell->user_thin ? risk->thin : cell->user_thin;;
         thin++) {
        if (thin != risk->thin) pending_thin(&r->pending, at, thin);
        risk->thin = thin;
        while (n > 0 && !riskset_followed(risk, cell->users[n - 1]))
            n--;
        enum serin_status rc = pending_add_users(&r->pending, start_ms, at, stratum,
                                                 cohort, cell->users, n, thin);
        if (rc != SERIN_ELIMIT || n == 0) return rc;
    }
}

/* A cell's counts, or its histogram, join their window. What does not fit the kind in
 * the plan is no evidence of anything: SERIN_EDOM. */
static enum serin_status wait(struct fold *f, struct rollout *r, const pb_cell *cell,
                              int at, int64_t start_ms, uint32_t stratum, int cohort)
{
    struct hist_view v;
    enum kind_content content = r->evidence.metrics[at].kind->content;
    if (content != KIND_HISTOGRAM && cell->hist != NULL) return SERIN_EDOM;
    if (content == KIND_UNITS) {
        struct unitsum *u = NULL;
        enum serin_status rc = units_of(f, cell, &u);
        if (rc != SERIN_OK) return rc;
        return pending_add_units(&r->pending, start_ms, (uint32_t)at, stratum, cohort,
                                 u, cell->n_units);
    }
    bool per_user = r->evidence.metrics[at].risk != NULL;
    if (cell->n_units != 0 || (cell->n_users != 0 && !per_user)) return SERIN_EDOM;
    if (per_user) return wait_users(r, cell, (uint32_t)at, start_ms, stratum, cohort);
    if (content != KIND_HISTOGRAM)
        return pending_add(&r->pending, start_ms, (uint32_t)at, stratum, cohort,
                           cell->n, content == KIND_EVENTS ? 0 : cell->bad);
    if (!view_of(cell, &v)) return SERIN_EDOM;
    return pending_add_hist(&r->pending, start_ms, (uint32_t)at, stratum, cohort, &v,
                            false);
}

/* Each cohort by its own bounds, again and again; where a cell has several, or an old
 * record does not say, nothing is known. */
static void note_bounds(struct evidence *e, int cohort, const pb_cell *cell)
{
    enum { SEVERAL = 1 };
    uint64_t *id = e->bounds_id, now = cell->bounds_id;
    if (cell->hist == NULL) return;
    if (now == 0 && cell->bounds_ratio > 0) now = SEVERAL;
    bool same = e->ever[cohort] && id[cohort] == now;
    id[cohort] = now;
    if (!same || id[0] == SEVERAL || id[1] == SEVERAL || id[0] == id[1])
        e->bounds_apart = 0;
    else if (e->ever[1 - cohort] && e->bounds_apart < EVIDENCE_BOUNDS_APART)
        e->bounds_apart++;
}

static bool sane(const pb_cell *cell)
{
    return cell->bad <= cell->n && streamclock_sane(cell->window_ms) &&
           cell->bounds_ratio >= 0 && cell->bounds_ratio <= BOUNDS_MAX &&
           (cell->cohort == SERIN__V1__COHORT__COHORT_CANARY ||
            cell->cohort == SERIN__V1__COHORT__COHORT_BASELINE);
}

enum taken { TAKEN, TAKEN_LATE, TAKEN_POISON };

static enum taken take_cell(struct fold *f, struct rollout *r, const pb_cell *cell)
{
    int at = metric_index(r, cell->metric);
    int64_t now = streamclock_now(&f->clock);
    uint32_t stratum;
    if (at < 0 || !sane(cell)) return TAKEN_POISON;
    if (now > 0 && cell->window_ms > now + FUTURE_MS) return TAKEN_POISON;
    int64_t start_ms = pending_floor(cell->window_ms, r->window_ms);
    if (r->has_closed && start_ms < r->closed_ms) return TAKEN_LATE;
    if (rollout_stratum(r, cell->stratum, &stratum) != SERIN_OK) {
        f->nomem = true;
        return TAKEN;
    }
    int cohort = cell->cohort == SERIN__V1__COHORT__COHORT_CANARY ? EVIDENCE_CANARY
                                                                  : EVIDENCE_BASELINE;
    enum serin_status rc = wait(f, r, cell, at, start_ms, stratum, cohort);
    if (rc == SERIN_ENOMEM) f->nomem = true;
    if (rc != SERIN_OK) return TAKEN_POISON;
    struct evidence *e = &r->evidence.metrics[at];
    e->bounds_ratio = fmax(e->bounds_ratio, cell->bounds_ratio);
    note_bounds(e, cohort, cell);
    note_heard(r, (size_t)at, cohort, cell);
    return TAKEN;
}

void judge_partial(struct fold *f, struct rollout *r, const pb_partial *p)
{
    uint64_t good = 0, late = 0;
    uint64_t poison = p->poison < COUNT_MAX ? p->poison : COUNT_MAX;
    if (decide_final(r->state)) aftermath_partial(f, r, p);
    if (decide_final(r->state) || r->plan == NULL) return;
    for (size_t i = 0; i < p->n_cells && !f->nomem; i++) {
        uint64_t n = p->cells[i]->n < COUNT_MAX ? p->cells[i]->n : COUNT_MAX;
        switch (take_cell(f, r, p->cells[i])) {
        case TAKEN:
            good += n;
            break;
        case TAKEN_LATE:
            late += n;
            break;
        case TAKEN_POISON:
            poison += n != 0 ? n : 1;
            break;
        }
    }
    r->late += late;
    r->poison += poison;
    holds_quality(r, streamclock_now(&f->clock), good, late + poison);
    r->dirty = true;
}

/* ---- windows close */
struct slice { /* one metric's tables of one window */
    struct count_table tables[ROLLOUT_STRATA + 1];
    struct event_table events[ROLLOUT_STRATA + 1];
    struct latency_stratum hists[ROLLOUT_STRATA + 1];
    struct unitsum_view units[ROLLOUT_STRATA + 1];
    struct kind_window w;
    struct count_table split; /* of the sum, what the weight divides */
};

static int by_name(const void *a, const void *b, void *rollout)
{
    const struct rollout *r = rollout;
    const struct pending_cell *x = a, *y = b;
    const char *s = x->stratum < r->n_strata ? r->strata[x->stratum] : "\x7f";
    const char *t = y->stratum < r->n_strata ? r->strata[y->stratum] : "\x7f";
    return strcmp(s, t);
}

static size_t cells_of(const struct rollout *r, size_t metric, size_t cells,
                       size_t *from)
{
    const struct pending_cell *c = r->pending.cells;
    size_t to;
    for (*from = 0; *from < cells && c[*from].metric < metric;)
        ++*from;
    for (to = *from; to < cells && c[to].metric == metric;)
        to++;
    return to - *from;
}

static const char *stratum_name(const struct rollout *r, uint32_t stratum)
{
    return stratum < r->n_strata ? r->strata[stratum] : "";
}

static void sum_up(struct count_table *sum, const struct count_table *c)
{
    sum->n += c->n, sum->x += c->x;
    sum->m += c->m, sum->y += c->y;
}

/* The dispersion wants whole numbers with y <= m; of the exposure, only ratios matter.
 */
static struct count_table in_parts(struct count_table c)
{
    enum { PARTS = 1024 };
    const uint64_t most = COUNT_MAX / PARTS;
    c.n = (c.n < most ? c.n : most) * PARTS;
    c.m = (c.m < most ? c.m : most) * PARTS;
    if (c.x > c.n) c.x = c.n;
    if (c.y > c.m) c.y = c.m;
    return c;
}

/* Events of each stratum over its exposure in the same window. Fixed pods are those of
 * all strata together. Events without exposure cannot be judged: they count for people
 * only. */
static void events_of(const struct rollout *r, size_t metric, size_t cells,
                      struct slice *out)
{
    const struct plan_metric *m = r->evidence.metrics[metric].metric;
    const struct pending_cell *c = r->pending.cells;
    struct event_table by[ROLLOUT_STRATA + 1] = {{0}};
    struct kind_window *w = &out->w;
    size_t from, n = cells_of(r, metric, cells, &from);
    for (size_t i = from; i < from + n; i++) {
        size_t at = m->exposure_metric < 0 ? 0 : c[i].stratum;
        by[at].x += c[i].c.n, by[at].y += c[i].c.m;
        w->sum.x += c[i].c.n, w->sum.y += c[i].c.m;
    }
    double seconds = (double)r->window_ms / 1000;
    by[0].exposure_c = m->exposure_pods[0] * seconds;
    by[0].exposure_b = m->exposure_pods[1] * seconds;
    n = m->exposure_metric < 0 ? 0
                               : cells_of(r, (size_t)m->exposure_metric, cells, &from);
    for (size_t i = from; i < from + n; i++) {
        by[c[i].stratum].exposure_c = (double)c[i].c.n;
        by[c[i].stratum].exposure_b = (double)c[i].c.m;
    }
    for (size_t i = 0; i <= ROLLOUT_STRATA; i++) {
        w->sum.n += (uint64_t)llround(by[i].exposure_c);
        w->sum.m += (uint64_t)llround(by[i].exposure_b);
        if (by[i].exposure_c > 0 && by[i].exposure_b > 0) out->events[w->n++] = by[i];
    }
    w->spread = in_parts(w->sum);
}

/* Strata go in by name: their order of arrival must not show in the last bit. */
static void slice_of(struct rollout *r, size_t metric, size_t cells, struct slice *out)
{
    size_t from, n;
    struct kind_window *w = &out->w;
    out->split = (struct count_table){0};
    *w = (struct kind_window){.tables = out->tables,
                              .events = out->events,
                              .hists = out->hists,
                              .units = out->units,
                              .start_ms = r->closed_ms,
                              .end_ms = r->closed_ms + r->window_ms};
    if (r->evidence.metrics[metric].kind->content == KIND_EVENTS) {
        events_of(r, metric, cells, out);
        out->split = w->sum;
        return;
    }
    n = cells_of(r, metric, cells, &from);
    struct pending_cell *c = r->pending.cells + from;
    if (n > 1) qsort_r(c, n, sizeof *c, by_name, r);
    for (size_t i = 0; i < n; i++) {
        out->hists[i] = (struct latency_stratum){binned_view(pending_hist(&c[i], 0)),
                                                 binned_view(pending_hist(&c[i], 1))};
        out->units[i] = (struct unitsum_view){0};
        for (int k = 0; k < 2; k++) {
            const struct pending_units *u = pending_units(&c[i], k);
            if (u == NULL) continue;
            out->units[i].at[k] = u->at;
            out->units[i].n[k] = u->n;
        }
        out->tables[i] = c[i].c;
        sum_up(&w->sum, &c[i].c);
        if (!strategy_served(r, stratum_name(r, c[i].stratum)))
            sum_up(&out->split, &c[i].c);
    }
    w->n = n;
    w->spread = w->sum;
}

/* While segments alone have the canary, everybody else is no baseline of theirs. People
 * still see the sums. */
static void leave_alone(struct slice *s)
{
    for (size_t i = 0; i < s->w.n; i++) {
        s->tables[i].m = s->tables[i].y = 0;
        s->hists[i].baseline = binned_view(NULL);
        s->units[i].n[EVIDENCE_BASELINE] = 0;
        s->events[i].exposure_b = 0;
        s->events[i].y = 0;
    }
    s->w.spread = (struct count_table){0};
}

/* Whoever was active becomes units at risk: the tables that all else reads. */
static void count_users(struct fold *f, struct rollout *r, size_t metric, size_t cells,
                        bool judged)
{
    struct riskset_stratum strata[ROLLOUT_STRATA + 1];
    struct riskset *risk = r->evidence.metrics[metric].risk;
    size_t from, n = cells_of(r, metric, cells, &from);
    struct pending_cell *c = r->pending.cells + from;
    if (n > 1) qsort_r(c, n, sizeof *c, by_name, r);
    for (size_t i = 0; i < n; i++)
        strata[i] = (struct riskset_stratum){{pending_users(&c[i], EVIDENCE_CANARY),
                                              pending_users(&c[i], EVIDENCE_BASELINE)},
                                             &c[i].c};
    uint32_t before = risk->thin;
    risk->stayed_away = (struct count_table){0};
    if (judged)
        riskset_turn(risk, r->closed_ms, r->evidence.metrics[metric].metric->too_good);
    if (riskset_window(risk, strata, n, judged) != SERIN_OK) f->nomem = true;
    if (risk->thin != before) pending_thin(&r->pending, (uint32_t)metric, risk->thin);
}

static void defect(struct fold *f, struct rollout *r)
{
    (void)f;
    r->sticky |= 1u << HOLD_DEFECT;
}

static void calibrate_on(struct fold *f, struct rollout *r, size_t cells)
{
    for (size_t i = 0; i < r->evidence.n; i++) {
        struct slice s;
        slice_of(r, i, cells, &s);
        struct evidence *e = &r->evidence.metrics[i];
        if (e->kind->calibrate != NULL &&
            e->kind->calibrate(e, r->plan->window_ms, &s.w) != SERIN_OK)
            defect(f, r);
        if (calibrate_window(&r->calibrate[i], r->plan->window_ms, r->closed_ms,
                             s.w.spread.y, s.w.spread.m) != SERIN_OK)
            defect(f, r);
    }
}

static bool both_speak(const struct rollout *r, const struct count_table *sum)
{
    const double surely = 7; /* none of so many expected: e^-7 */
    double share = r->weight_bp / 10000.0;
    if (sum->n == 0 && (double)sum->m * share / (1 - share) >= surely) return false;
    return sum->m != 0 || (double)sum->n * (1 - share) / share < surely;
}

static void count_split(struct rollout *r)
{
    double eta = 1 / evidence_phi(&r->evidence);
    r->split.waits = false;
    if (srm_window(&r->srm, r->weight_bp / 10000.0, r->split.canary, r->split.baseline,
                   eta) != SERIN_OK)
        r->sticky |= 1u << HOLD_DEFECT;
    if (level_crossed(srm_log_e(&r->srm), FIGURES_SRM_ALPHA))
        r->sticky |= 1u << HOLD_SAMPLE_RATIO;
}

/* Requests, or users that are new at this weight. */
static void check_split(struct rollout *r, const struct evidence *e,
                        const struct count_table *sum)
{
    struct count_table fresh = {0};
    char **segments;
    if (e->risk != NULL && strategy_audience(r, &segments) != 0) return;
    if (e->risk != NULL) {
        fresh.n = e->risk->fresh[0];
        fresh.m = e->risk->fresh[1];
        sum = &fresh;
    }
    r->srm_canary += sum->n;
    r->srm_baseline += sum->m;
    enum rollout_state under = rollout_under(r);
    if (!r->plan->srm_check || !strategy_splits(r)) return;
    if (under != ROLLOUT_OBSERVING && under != ROLLOUT_WATCHING) return;
    bool now = both_speak(r, sum), before = r->split.calm;
    if (now && r->split.waits) count_split(r);
    r->split = (struct rollout_split){sum->n, sum->m, now && before, now};
}

/* Who has the canary is nobody's doing: neither testers nor segments, nor some strata
 * more than others. */
static bool by_chance(const struct rollout *r)
{
    char **segments;
    return strategy_splits(r) && strategy_audience(r, &segments) == 0 &&
           r->plan->n_strata == 0;
}

static void judge_metric(struct fold *f, struct rollout *r, size_t i, size_t cells,
                         struct slice *s)
{
    slice_of(r, i, cells, s);
    if (strategy_alone(r))
        leave_alone(s);
    else
        s->w.sum = s->split;
    if (evidence_window(&r->evidence, i, &s->w) != SERIN_OK) defect(f, r);
    if (r->evidence.metrics[i].risk != NULL && by_chance(r) &&
        evidence_returns(&r->evidence, i) != SERIN_OK)
        defect(f, r);
}

/* At 100 % the pace of the step before is soon that of another hour of the day: it goes
 * over to what the canary gets, so slowly that the silence in question hardly counts.
 */
static void follow_pace(struct rollout *r, double units)
{
    const double silences = 10;
    double part = (double)r->window_ms / (silences * (double)r->plan->silence_ms);
    r->pace += fmin(1, part) * (units / (double)r->window_ms - r->pace);
}

static void judge_on(struct fold *f, struct rollout *r, size_t cells)
{
    int64_t end_ms = r->closed_ms + r->window_ms;
    double units = evidence_units(&r->evidence);
    bool both = false, counted = false;
    for (size_t i = 0; i < r->evidence.n; i++) {
        struct slice s;
        judge_metric(f, r, i, cells, &s);
        both = both || (s.w.sum.n > 0 && s.w.sum.m > 0);
        const struct evidence *e = &r->evidence.metrics[i];
        /* What an experiment asks may well be this. */
        if (r->plan->strategy != PLAN_EXPERIMENT && evidence_suspicious(e))
            r->sticky |= 1u << HOLD_SUSPICIOUS;
        if (!counted && e->kind->requests && evidence_gates(e)) {
            check_split(r, e, &s.split);
            counted = true;
        }
    }
    if (rollout_under(r) == ROLLOUT_WATCHING)
        follow_pace(r, evidence_units(&r->evidence) - units);
    if (r->range.n++ == 0) r->range.first_ms = r->closed_ms;
    r->range.last_ms = end_ms;
    if (both || (r->weight_bp >= 10000 && cells > 0)) r->gap = false;
    r->stale = true;
}

static void close_window(struct fold *f, struct rollout *r)
{
    size_t cells = pending_front(&r->pending, r->closed_ms);
    bool counts = r->step != 0 && r->closed_ms >= r->settle_ms && !acks_missing(r);
    for (size_t i = 0; i < r->evidence.n; i++)
        if (r->evidence.metrics[i].risk != NULL) count_users(f, r, i, cells, counts);
    if (r->calibrate != NULL && rollout_under(r) == ROLLOUT_CALIBRATING)
        calibrate_on(f, r, cells);
    else if (counts)
        judge_on(f, r, cells);
    pending_drop(&r->pending, cells);
    r->closed_ms += r->window_ms;
    f->counts.windows++;
    r->dirty = true;
}

void judge_forget(struct fold *f, struct rollout *r)
{
    evidence_reset(&r->evidence);
    evidence_wait(&r->evidence,
                  f->clock.known ? f->clock.watermark_ms : streamclock_now(&f->clock));
    r->range = (struct rollout_range){0};
    r->stale = true;
}

/* ---- may it advance? */
static bool step_passes(const struct rollout *r)
{
    const struct plan_step *step = rollout_step(r);
    if (step == NULL || r->evidence.tolerance[r->step - 1] < 0) return false;
    if (r->range.n == 0 || r->range.last_ms - r->settle_ms < step->bake_ms)
        return false;
    return evidence_all_pass(&r->evidence, r->step - 1);
}

/* Both are functions of the evidence alone; worked out again when it has changed. */
static void refresh(struct rollout *r)
{
    if (!r->stale) return;
    r->stale = false;
    r->harmed = false;
    r->passes = r->any_passes = false;
    r->answer = RESULT_NONE;
    if (r->step == 0) return;
    double log_e = evidence_abort(&r->evidence);
    if (!isfinite(log_e)) r->sticky |= 1u << HOLD_DEFECT;
    r->harmed = level_crossed(log_e, r->plan->alpha);
    if (log_e > r->peak_log_e && isfinite(log_e)) r->peak_log_e = log_e;
    if (experiment_is(r)) r->answer = experiment_answer(r);
    r->passes = rollout_under(r) == ROLLOUT_OBSERVING && step_passes(r);
    r->any_passes = r->passes && evidence_any_passes(&r->evidence, r->step - 1);
}

/* ---- calibration */
static int64_t measured_interval(const struct rollout *r)
{
    int64_t most = 0;
    for (size_t i = 0; i < r->evidence.n; i++) {
        int64_t ms = calibrate_interval_ms(&r->calibrate[i], r->plan->window_ms);
        const struct evidence *e = &r->evidence.metrics[i];
        if (e->kind->content == KIND_UNITS) continue; /* batches, whatever the window */
        if (evidence_gates(e) && ms > most) most = ms;
    }
    return most;
}

static int64_t window_length(const struct rollout *r)
{
    if (r->plan->window_ms != 0) return r->plan->window_ms;
    return calibrate_choose_ms(measured_interval(r));
}

static bool calibrated(const struct fold *f, const struct rollout *r)
{
    int64_t spent = streamclock_now(&f->clock) - r->calibrate_ms;
    if (r->plan->calibrate_ms == 0) return true;
    if (spent < r->plan->calibrate_ms) return false;
    for (size_t i = 0; i < r->evidence.n; i++) {
        const struct evidence *e = &r->evidence.metrics[i];
        double phi;
        if (evidence_gates(e) && !(e->metric->phi >= 1) &&
            !e->kind->phi(e, &r->calibrate[i], r->plan->window_ms, window_length(r),
                          spent >= CALIBRATE_MAX_MS, &phi))
            return false;
    }
    return true;
}

static struct dispersion_pool pool_of(const struct rollout *r, size_t i,
                                      int64_t window_ms)
{
    const struct evidence *e = &r->evidence.metrics[i];
    const struct calibrate *c = &r->calibrate[i];
    return e->kind->pool != NULL ? e->kind->pool(e, c, r->plan->window_ms, window_ms)
                                 : calibrate_pool(c, r->plan->window_ms, window_ms);
}

/* Freeze what was measured; from here on it is a constant of the run. */
static void freeze_calibration(struct fold *f, struct rollout *r)
{
    r->interval_ms = measured_interval(r);
    int64_t window_ms = window_length(r);
    for (size_t i = 0; i < r->evidence.n; i++) {
        struct evidence *e = &r->evidence.metrics[i];
        double phi;
        if (e->metric->phi >= 1) continue;
        if (e->kind->phi(e, &r->calibrate[i], r->plan->window_ms, window_ms, true,
                         &phi)) {
            e->phi = phi;
            e->pool = pool_of(r, i, window_ms);
        }
    }
    if (window_ms != r->window_ms) {
        r->window_ms = window_ms;
        if (pending_rebin(&r->pending, window_ms) != SERIN_OK) f->nomem = true;
        r->closed_ms = pending_floor(r->closed_ms, window_ms);
    }
    evidence_horizon(&r->evidence, window_ms);
}

/* ---- the events, in the order in which they win */
static bool take(struct fold *f, struct rollout *r, enum decide_event ev,
                 struct turn *t)
{
    r->stale = true;
    return turn_take(f, r, ev, t);
}

static bool aborts(struct fold *f, struct rollout *r)
{
    struct turn t = turn_of(r, "harm");
    t.to_bp = 0;
    if (r->harmed) {
        explain_harm(r, &t);
        return take(f, r, EV_HARM, &t);
    }
    t.reason = "check";
    if (external_aborts(f, r, &t)) return take(f, r, EV_POLICY, &t);
    t.reason = "canary_silent";
    if (holds_dead(f, r, &t)) return take(f, r, EV_DEAD, &t);
    t.reason = "timeout";
    if (r->plan->on_timeout == PLAN_ON_ABORT && holds_timed_out(f, r)) {
        explain_add(&t, "step %u ran out of time undecided", r->step);
        return take(f, r, EV_POLICY, &t);
    }
    return false;
}

static bool policy_aborts(const struct rollout *r, enum rollout_hold top)
{
    return (top == HOLD_NO_DATA && r->plan->on_no_data == PLAN_ON_ABORT) ||
           (top == HOLD_SAMPLE_RATIO && r->plan->on_sample_ratio == PLAN_ON_ABORT);
}

static bool starts_ready(struct fold *f, struct rollout *r)
{
    return rollout_under(r) == ROLLOUT_CALIBRATING && calibrated(f, r);
}

/* What a freeze would keep from happening. */
static bool ready(struct fold *f, struct rollout *r)
{
    struct turn probe = turn_of(r, "");
    if (r->passes || starts_ready(f, r)) return true;
    return rollout_under(r) == ROLLOUT_OBSERVING &&
           strategy_over(r, streamclock_now(&f->clock), &probe);
}

/* HOLD, another HOLD, or RESUME. */
static bool holds(struct fold *f, struct rollout *r)
{
    struct turn t = turn_of(r, "");
    enum rollout_hold top = holds_top(f, r, ready(f, r), &t);
    t.hold = top;
    t.reason = rollout_hold_text(top);
    if (policy_aborts(r, top)) {
        t.to_bp = 0;
        return take(f, r, EV_POLICY, &t);
    }
    if (top != HOLD_NONE && r->state == ROLLOUT_HELD && r->hold == top) return false;
    if (top != HOLD_NONE)
        return take(f, r, top == HOLD_STATE_LOST ? EV_LOST : EV_DOUBT, &t);
    if (r->state != ROLLOUT_HELD) return false;
    t.reason = rollout_hold_text(r->hold);
    explain_add(&t, "the reason to hold (%s) is gone; goes on at %g %%", t.reason,
                r->weight_bp / 100.0);
    return take(f, r, EV_CLEAR, &t);
}

enum decide_event judge_next(const struct rollout *r, struct turn *t)
{
    const struct plan_step *next = rollout_next(r);
    if (next == NULL) return EV_DONE;
    t->to_bp = next->weight_bp;
    t->to_step = r->step + 1;
    return next->weight_bp >= 10000 ? EV_FULL : EV_SAFE;
}

/* What keeps it from starting, as *t. */
static bool pending(const struct rollout *r, int64_t now, struct turn *t)
{
    if (now == 0)
        explain_add(t, "waits for the first tick");
    else if (now < r->plan->not_before_ms)
        explain_add(t, "waits for schedule.not_before");
    else if (facts_blocked(r, t))
        return true;
    else if (schedule_closed(r, now, t))
        t->reason = "freeze";
    return t->message[0] != '\0';
}

/* Say what it waits for; a row, no verdict. */
static bool wait_so(struct rollout *r, const struct turn *t)
{
    if (strcmp(r->message, t->message) == 0) return false;
    snprintf(r->reason, sizeof r->reason, "%s", t->reason);
    snprintf(r->message, sizeof r->message, "%s", t->message);
    r->row_due = r->dirty = true;
    return false;
}

static bool from_pending(struct fold *f, struct rollout *r)
{
    int64_t now = streamclock_now(&f->clock);
    struct turn t = turn_of(r, "schedule");
    if (pending(r, now, &t)) return wait_so(r, &t);
    t.reason = "calibrating";
    explain_add(&t, "measures the baseline before the first weight");
    r->calibrate_ms = now;
    return take(f, r, EV_READY, &t);
}

static bool from_calibrating(struct fold *f, struct rollout *r)
{
    struct turn t = turn_of(r, "start");
    if (!calibrated(f, r)) return false;
    if (gate_closed(f, r, &t)) return take(f, r, EV_GATE, &t);
    freeze_calibration(f, r);
    enum decide_event ev = judge_next(r, &t);
    explain_start(r, &t);
    bool taken = take(f, r, ev == EV_SAFE ? EV_START : ev, &t);
    mem_free(r->calibrate);
    r->calibrate = NULL;
    return taken;
}

static bool from_experiment(struct fold *f, struct rollout *r)
{
    struct turn t = turn_of(r, "");
    if (!holds_fresh(f, r) || !experiment_ends(r, streamclock_now(&f->clock), &t))
        return false;
    return take(f, r, EV_RESULT, &t);
}

static bool from_observing(struct fold *f, struct rollout *r)
{
    struct turn t = turn_of(r, "non_inferior");
    if (experiment_is(r)) return from_experiment(f, r);
    bool over = strategy_over(r, streamclock_now(&f->clock), &t);
    if ((!r->passes && !over) || !holds_fresh(f, r)) return false;
    struct turn wait = turn_of(r, "");
    if (external_met(f, r, over, &wait) != EXTERNAL_MET) return false;
    wait = turn_of(r, "gate");
    if (gate_closed(f, r, &wait)) return take(f, r, EV_GATE, &wait);
    enum decide_event ev = judge_next(r, &t);
    if (over)
        strategy_next(r, &t);
    else
        explain_safe(r, &t);
    return take(f, r, ev, &t);
}

static bool from_settling(struct fold *f, struct rollout *r)
{
    struct turn t = turn_of(r, "actuator");
    if (acks_missing(r)) {
        acks_tell(r, &t);
        return wait_so(r, &t);
    }
    if (streamclock_now(&f->clock) < r->settle_ms) return false;
    strategy_settled(r, &t);
    return take(f, r, EV_SETTLED, &t);
}

static bool from_watching(struct fold *f, struct rollout *r)
{
    int64_t now = streamclock_now(&f->clock);
    struct turn t = turn_of(r, "");
    int64_t watch_ms = rollout_step(r)->watch_ms;
    if (now - r->began_ms < watch_ms || r->range.n == 0) return false;
    if (r->range.last_ms - r->began_ms < watch_ms) return false; /* seen, not waited */
    for (size_t i = 0; i < r->evidence.n; i++)
        if (evidence_protected(&r->evidence.metrics[i]) &&
            r->evidence.metrics[i].counts.n == 0)
            return false;
    if (!holds_fresh(f, r)) return false;
    strategy_watched(r, &t);
    return take(f, r, EV_DONE, &t);
}

static bool advances(struct fold *f, struct rollout *r)
{
    switch (r->state) {
    case ROLLOUT_PENDING:
        return from_pending(f, r);
    case ROLLOUT_CALIBRATING:
        return from_calibrating(f, r);
    case ROLLOUT_SETTLING:
        return from_settling(f, r);
    case ROLLOUT_OBSERVING:
        return from_observing(f, r);
    case ROLLOUT_GATED:
        return gate_turns(f, r);
    case ROLLOUT_WATCHING:
        return from_watching(f, r);
    case ROLLOUT_HELD:
    case ROLLOUT_PROMOTED:
    case ROLLOUT_CONCLUDED:
    case ROLLOUT_ABORTED:
    case ROLLOUT_CANCELLED:
    case ROLLOUT_NSTATE:
        break;
    }
    return false;
}

/* Neither plan nor evidence: say so once, and wait for a person. */
static void settle_lost(struct fold *f, struct rollout *r)
{
    struct turn t = turn_of(r, "state_lost");
    if (r->hold == HOLD_STATE_LOST) return;
    t.hold = HOLD_STATE_LOST;
    explain_add(&t,
                "neither plan nor evidence could be restored; traffic stays as it is; "
                "abort it, or apply the plan again");
    turn_take(f, r, EV_LOST, &t);
}

void judge_settle(struct fold *f, struct rollout *r)
{
    enum { MOST = 16 }; /* more moves in one record would be a circle */
    for (int i = 0; i < MOST && !f->nomem; i++) {
        if (decide_final(r->state)) break;
        if (r->plan == NULL) {
            settle_lost(f, r);
            break;
        }
        refresh(r);
        if (!aborts(f, r) && !holds(f, r) && !advances(f, r)) break;
    }
    if (decide_final(r->state)) rollout_shrink(r);
}

/* ---- an actuator speaks */
void judge_ack(struct fold *f, struct rollout *r, const pb_ack *a)
{
    if (decide_final(r->state) || r->plan == NULL) return;
    bool before = acks_missing(r);
    if (!acks_take(r, a)) return;
    r->stale = true; /* the bake counts from the acknowledgement */
    r->dirty = true;
    if (before && !acks_missing(r)) {
        struct turn t = turn_of(r, "warm_up");
        r->settle_ms = streamclock_now(&f->clock) + rollout_step(r)->warmup_ms;
        evidence_wait(&r->evidence, r->settle_ms);
        explain_add(&t, "%g %% is confirmed; the warm-up is no evidence",
                    r->weight_bp / 100.0);
        if (r->state == ROLLOUT_SETTLING) wait_so(r, &t);
    }
    judge_settle(f, r);
}

/* ---- time goes on */
static void notice_gaps(struct fold *f, struct rollout *r)
{
    if (f->clock.gaps == r->gaps_seen) return;
    r->gaps_seen = f->clock.gaps;
    if (r->step == 0) return;
    r->gap = true;
    judge_forget(f, r);
}

static bool window_due(const struct fold *f, struct rollout *r)
{
    if (!f->clock.known) return false;
    int64_t now = f->clock.watermark_ms;
    if (!r->has_closed || (r->state == ROLLOUT_PENDING && r->pending.n == 0)) {
        int64_t at = pending_floor(now, r->window_ms);
        if (!r->has_closed && r->pending.n != 0 && r->pending.cells[0].start_ms < at)
            at = r->pending.cells[0].start_ms;
        if (!r->has_closed || at > r->closed_ms) r->closed_ms = at;
        r->has_closed = true;
    }
    return r->closed_ms + r->window_ms <= now;
}

void judge_tick(struct fold *f, struct rollout *r)
{
    if (decide_final(r->state)) {
        aftermath_tick(f, r);
        return;
    }
    if (r->plan == NULL) {
        judge_settle(f, r);
        return;
    }
    notice_gaps(f, r);
    holds_quality(r, streamclock_now(&f->clock), 0, 0);
    judge_settle(f, r);
    while (!f->nomem && !decide_final(r->state) && window_due(f, r)) {
        close_window(f, r);
        judge_settle(f, r);
    }
}
