/* engine/core/snapshot.c -- rollout to message; what follows from the plan is left out
 */
#include "engine/core/snapshot.h"

#include <string.h>

#include "engine/core/facts.h"
#include "engine/core/gate.h"
#include "engine/core/aftermath.h"
#include "engine/core/kind.h"
#include "engine/core/snapshot_units.h"
#include "proto/encode.h"

typedef Serin__V1__PendingCell pb_pending_cell;
typedef Serin__V1__GateState pb_gate_state;
typedef Serin__V1__MetricState pb_metric_state;

/* Allocates one message; the caller's `bad` collects failures, so that a long list of
 * allocations reads as one. */
static void *get(struct arena *a, size_t n, size_t size, bool *bad)
{
    void *p = arena_alloc(a, n * size);
    *bad = *bad || p == NULL;
    return p;
}

static double *doubles(struct arena *a, const double *from, size_t n, bool *bad)
{
    double *p = get(a, n, sizeof *p, bad);
    if (p != NULL && n != 0) memcpy(p, from, n * sizeof *p);
    return p;
}

/* What a point at 0 remembers means nothing, and must not show in the bytes. */
void snapshot_onset(struct arena *a, const struct onset *o, size_t n,
                    pb_profile_state *m, bool *bad)
{
    m->n_cusum = m->n_since = n;
    m->cusum = get(a, n, sizeof *m->cusum, bad);
    m->since = get(a, n, sizeof *m->since, bad);
    for (size_t j = 0; j < n && !*bad; j++) {
        m->cusum[j] = o->s[j];
        m->since[j] = o->s[j] > 0 ? o->since[j] : 0;
    }
}

pb_profile_state *snapshot_profile(struct arena *a, const struct profile *p, size_t n,
                                   bool *bad)
{
    pb_profile_state *m = get(a, 1, sizeof *m, bad);
    if (m == NULL) return NULL;
    serin__v1__profile_state__init(m);
    m->t = p->t;
    m->informative = p->informative;
    m->used = p->used;
    m->n_l = m->n_lw = n;
    m->l = doubles(a, p->l, n, bad);
    m->lw = doubles(a, p->lw, n, bad);
    return m;
}

static pb_profile_state *begun_out(struct arena *a, const struct evidence *e, bool *bad)
{
    pb_profile_state *m = get(a, 1, sizeof *m, bad);
    if (m == NULL) return NULL;
    serin__v1__profile_state__init(m);
    m->informative = e->begun_informative;
    m->n_l = e->grid->n;
    m->l = doubles(a, e->begun, e->grid->n, bad);
    return m;
}

pb_profile_state *snapshot_floor(struct arena *a, const struct floor *f, bool *bad)
{
    if (!(f->d > 0)) return NULL;
    pb_profile_state *m = get(a, 1, sizeof *m, bad);
    if (m == NULL) return NULL;
    serin__v1__profile_state__init(m);
    m->t = f->t;
    m->used = f->used;
    m->n_l = m->n_lw = FLOOR_POINTS;
    m->l = doubles(a, f->l, FLOOR_POINTS, bad);
    m->lw = doubles(a, f->lw, FLOOR_POINTS, bad);
    return m;
}

enum { SCALE_COUNTS = 7, SCALE_SUMS = 2, SCALE_LOOKS = 2 };

pb_dispersion_state *snapshot_dispersion(struct arena *a, const struct dispersion *d,
                                         const struct dispersion_watch *w, bool *bad)
{
    pb_dispersion_state *m = get(a, 1, sizeof *m, bad);
    uint64_t *counts = get(a, DISPERSION_SCALES * SCALE_COUNTS, sizeof *counts, bad),
             *looks = get(a, DISPERSION_SCALES * SCALE_LOOKS, sizeof *looks, bad);
    double *sums = get(a, DISPERSION_SCALES * SCALE_SUMS, sizeof *sums, bad);
    if (*bad) return NULL;
    serin__v1__dispersion_state__init(m);
    m->windows = d->windows;
    m->counts = counts;
    m->sums = sums;
    m->n_counts = DISPERSION_SCALES * SCALE_COUNTS;
    m->n_sums = DISPERSION_SCALES * SCALE_SUMS;
    for (size_t i = 0; i < DISPERSION_SCALES; i++) {
        const struct dispersion_scale *s = &d->scale[i];
        uint64_t row[SCALE_COUNTS] = {s->open_y, s->open_m, s->open_windows, s->last_y,
                                      s->last_m, s->paired, s->pairs};
        memcpy(counts + i * SCALE_COUNTS, row, sizeof row);
        sums[2 * i] = s->excess;
        sums[2 * i + 1] = s->expected;
        if (w == NULL) continue;
        looks[2 * i] = w->due[i];
        looks[2 * i + 1] = w->over[i];
    }
    m->looks = looks;
    m->n_looks = w != NULL ? DISPERSION_SCALES * SCALE_LOOKS : 0;
    return m;
}

pb_calibration_state *snapshot_calibration(struct arena *a, const struct calibrate *c,
                                           bool *bad)
{
    pb_calibration_state *m = get(a, 1, sizeof *m, bad);
    pb_dispersion_state **at = get(a, CALIBRATE_LENGTHS, sizeof *at, bad);
    uint64_t *open = get(a, 2 * CALIBRATE_LENGTHS, sizeof *open, bad);
    uint32_t *gaps = get(a, CALIBRATE_GAPS, sizeof *gaps, bad);
    if (*bad) return NULL;
    serin__v1__calibration_state__init(m);
    for (size_t i = 0; i < CALIBRATE_LENGTHS; i++) {
        at[i] = snapshot_dispersion(a, &c->at[i], NULL, bad);
        open[2 * i] = c->open_y[i];
        open[2 * i + 1] = c->open_m[i];
    }
    memcpy(gaps, c->gaps, sizeof c->gaps);
    m->at = at;
    m->n_at = CALIBRATE_LENGTHS;
    m->open = open;
    m->n_open = 2 * CALIBRATE_LENGTHS;
    m->gaps = gaps;
    m->n_gaps = CALIBRATE_GAPS;
    m->last_ms = c->last_ms;
    return m;
}

/* Only read while it is encoded. */
static uint64_t *lent(const struct riskset_users *u)
{
    return u != NULL ? (uint64_t *)(uintptr_t)u->at : NULL;
}

static Serin__V1__RiskState *risk_out(struct arena *a, const struct evidence *e,
                                      bool *bad)
{
    const struct riskset *r = e->risk;
    Serin__V1__RiskState *m = get(a, 1, sizeof *m, bad);
    if (m == NULL) return NULL;
    serin__v1__risk_state__init(m);
    m->young = lent(&r->young);
    m->n_young = r->young.n;
    m->old = lent(&r->old);
    m->n_old = r->old.n;
    m->batch_ms = r->batch_ms;
    m->away = snapshot_profile(a, &r->away, e->grid->n, bad);
    m->thin = r->thin;
    m->seen_thin = r->seen_thin;
    m->failed = lent(&r->failed);
    m->n_failed = r->failed.n;
    m->seen = lent(&r->seen);
    m->n_seen = r->seen.n;
    return m;
}

static pb_metric_state *metric_out(struct arena *a, const struct rollout *r, size_t i,
                                   bool *bad)
{
    const struct evidence *e = &r->evidence.metrics[i];
    pb_metric_state *m = get(a, 1, sizeof *m, bad);
    uint64_t *counts = get(a, 4, sizeof *counts, bad), *since = get(a, 2, 8, bad);
    int64_t *seen = get(a, 3, sizeof *seen, bad);
    uint64_t *bounds = get(a, 3, sizeof *bounds, bad);
    protobuf_c_boolean *ever = get(a, 2, sizeof *ever, bad);
    if (*bad) return NULL;
    serin__v1__metric_state__init(m);
    m->name = (char *)e->metric->name;
    m->phi = e->phi;
    m->phi_pairs = e->pool.pairs;
    m->phi_pooled = e->pool.phi;
    m->accepted = e->accepted;
    m->bounds_ratio = e->bounds_ratio;
    bounds[0] = e->bounds_id[0], bounds[1] = e->bounds_id[1];
    bounds[2] = e->bounds_apart;
    m->bounds = bounds;
    m->n_bounds = 3;
    m->all = snapshot_profile(a, &e->all, e->grid->n, bad);
    m->step = begun_out(a, e, bad);
    if (m->all != NULL) snapshot_onset(a, &e->onset, e->grid->n, m->all, bad);
    m->floor = snapshot_floor(a, &e->floor, bad);
    m->limit = snapshot_floor(a, &e->limit, bad);
    m->watch = snapshot_dispersion(a, &e->watch.seen, &e->watch, bad);
    counts[0] = e->counts.n, counts[1] = e->counts.x;
    counts[2] = e->counts.m, counts[3] = e->counts.y;
    for (int c = 0; c < 2; c++) {
        seen[c] = e->seen_ms[c];
        since[c] = e->since[c];
        ever[c] = e->ever[c];
    }
    seen[2] = e->informative_ms;
    m->counts = counts, m->n_counts = 4;
    m->seen_ms = seen, m->n_seen_ms = 3;
    m->since = since, m->n_since = 2;
    m->ever = ever, m->n_ever = 2;
    if (r->calibrate != NULL)
        m->calibration = snapshot_calibration(a, &r->calibrate[i], bad);
    if (e->risk != NULL) m->risk = risk_out(a, e, bad);
    if (e->kind->save != NULL) e->kind->save(e, a, r->calibrate != NULL, m, bad);
    return m;
}

static void metrics_out(struct arena *a, const struct rollout *r, pb_fold_state *m,
                        bool *bad)
{
    m->metrics = get(a, r->evidence.n, sizeof *m->metrics, bad);
    for (size_t i = 0; i < r->evidence.n && !*bad; i++)
        m->metrics[m->n_metrics++] = metric_out(a, r, i, bad);
    m->n_srm = 1 + 2 * (size_t)SRM_POINTS;
    m->srm = get(a, m->n_srm, sizeof *m->srm, bad);
    m->n_split = 4;
    m->split = get(a, m->n_split, sizeof *m->split, bad);
    if (*bad) return;
    m->split[0] = r->split.canary, m->split[1] = r->split.baseline;
    m->split[2] = r->split.waits, m->split[3] = r->split.calm;
    m->srm[0] = r->srm.eps;
    memcpy(m->srm + 1, r->srm.up, sizeof r->srm.up);
    memcpy(m->srm + 1 + SRM_POINTS, r->srm.down, sizeof r->srm.down);
    m->srm_canary = r->srm_canary;
    m->srm_baseline = r->srm_baseline;
}

static pb_histogram *waiting_out(struct arena *a, const struct binned *b, bool *bad)
{
    struct hist_view v = binned_view(b);
    return b != NULL ? snapshot_histogram(a, &v, bad) : NULL;
}

static void waiting_units_out(struct arena *a, const struct pending_cell *c,
                              pb_pending_cell *m, bool *bad)
{
    const struct pending_units *u[2] = {pending_units(c, 0), pending_units(c, 1)};
    if (u[0] != NULL) m->canary_units = snapshot_units(a, u[0]->at, u[0]->n, bad);
    if (u[1] != NULL) m->baseline_units = snapshot_units(a, u[1]->at, u[1]->n, bad);
    m->n_canary_units = u[0] != NULL ? u[0]->n : 0;
    m->n_baseline_units = u[1] != NULL ? u[1]->n : 0;
}

static void pending_out(struct arena *a, const struct rollout *r, pb_fold_state *m,
                        bool *bad)
{
    size_t n = r->pending.n;
    pb_pending_cell *cells = get(a, n, sizeof *cells, bad);
    m->pending = get(a, n, sizeof *m->pending, bad);
    for (size_t i = 0; i < n && !*bad; i++) {
        const struct pending_cell *c = &r->pending.cells[i];
        serin__v1__pending_cell__init(&cells[i]);
        cells[i].start_ms = c->start_ms;
        cells[i].metric = c->metric;
        cells[i].stratum = c->stratum;
        cells[i].n = c->c.n, cells[i].x = c->c.x;
        cells[i].m = c->c.m, cells[i].y = c->c.y;
        cells[i].canary = waiting_out(a, pending_hist(c, 0), bad);
        cells[i].baseline = waiting_out(a, pending_hist(c, 1), bad);
        waiting_units_out(a, c, &cells[i], bad);
        const struct riskset_users *who[2] = {pending_users(c, 0), pending_users(c, 1)};
        cells[i].canary_users = lent(who[0]);
        cells[i].n_canary_users = who[0] != NULL ? who[0]->n : 0;
        cells[i].baseline_users = lent(who[1]);
        cells[i].n_baseline_users = who[1] != NULL ? who[1]->n : 0;
        m->pending[m->n_pending++] = &cells[i];
    }
    m->strata = (char **)(uintptr_t)r->strata;
    m->n_strata = r->n_strata;
}

static void gates_out(struct arena *a, const struct rollout *r, pb_fold_state *m,
                      bool *bad)
{
    size_t n = r->plan != NULL ? r->plan->n_gates : 0;
    pb_gate_state *gates = get(a, n, sizeof *gates, bad);
    m->gates = get(a, n, sizeof *m->gates, bad);
    for (size_t i = 0; i < n && !*bad; i++) {
        const struct rollout_gate *g = &r->gates[i];
        serin__v1__gate_state__init(&gates[i]);
        gates[i].name = (char *)r->plan->gates[i].name;
        *bad = *bad || !gate_votes(a, g, &gates[i].votes, &gates[i].n_votes);
        gates[i].waiting_ms = g->waiting_ms;
        gates[i].expired = g->expired;
        m->gates[m->n_gates++] = &gates[i];
    }
}

/* Whose answers came, and what is known of others. */
static void outside_out(struct arena *a, const struct rollout *r, pb_fold_state *m,
                        bool *bad)
{
    size_t n = r->plan != NULL ? r->plan->n_checks : 0;
    Serin__V1__CheckState *checks = get(a, n, sizeof *checks, bad);
    m->checks = get(a, n, sizeof *m->checks, bad);
    m->override_ms = r->override_ms;
    for (size_t i = 0; i < n && !*bad; i++) {
        serin__v1__check_state__init(&checks[i]);
        checks[i].outcome = (uint32_t)r->external[i].outcome;
        checks[i].t_ms = r->external[i].t_ms;
        checks[i].message = messages_text(r->external[i].message);
        m->checks[m->n_checks++] = &checks[i];
    }
    *bad = *bad || !facts_waits(r, a, &m->waits, &m->n_waits);
}

static void acks_out(struct arena *a, const struct rollout *r, pb_fold_state *m,
                     bool *bad)
{
    size_t n = r->plan != NULL && r->plan->n_targets > 1 ? r->plan->n_targets - 1 : 0;
    Serin__V1__AckState *acks = get(a, n, sizeof *acks, bad);
    m->more_acks = get(a, n, sizeof *m->more_acks, bad);
    for (size_t i = 0; i < n && !*bad; i++) {
        const struct rollout_acked *from = &r->ack.at[i + 1];
        serin__v1__ack_state__init(&acks[i]);
        acks[i].acked = from->heard;
        acks[i].acked_bp = from->applied_bp;
        acks[i].error = messages_text(from->error);
        m->more_acks[m->n_more_acks++] = &acks[i];
    }
}

static void commands_out(struct arena *a, const struct rollout *r, pb_fold_state *m,
                         bool *bad)
{
    size_t n = r->n_done < ROLLOUT_DONE ? r->n_done : ROLLOUT_DONE;
    pb_outcome *outcomes = get(a, r->n_outcomes, sizeof *outcomes, bad);
    m->outcomes = get(a, r->n_outcomes, sizeof *m->outcomes, bad);
    m->done = get(a, n, sizeof *m->done, bad);
    for (size_t i = 0; i < r->n_outcomes && !*bad; i++) {
        serin__v1__outcome__init(&outcomes[i]);
        outcomes[i].command_id = r->outcomes[i].id;
        outcomes[i].message = r->outcomes[i].message;
        outcomes[i].accepted = r->outcomes[i].accepted;
        m->outcomes[m->n_outcomes++] = &outcomes[i];
    }
    for (size_t i = 0; i < n && !*bad; i++)
        m->done[m->n_done++] = r->done[(r->n_done - n + i) % ROLLOUT_DONE];
}

static void sticky_out(struct arena *a, const struct rollout *r, pb_fold_state *m,
                       bool *bad)
{
    m->sticky = get(a, HOLD_NONE, sizeof *m->sticky, bad);
    for (size_t h = 0; h < HOLD_NONE && !*bad; h++)
        if ((r->sticky & (1u << h)) != 0)
            m->sticky[m->n_sticky++] = (char *)rollout_hold_text((enum rollout_hold)h);
}

static void times_out(const struct rollout *r, pb_fold_state *m)
{
    m->created_ms = r->created_ms;
    m->since_ms = r->since_ms;
    m->began_ms = r->began_ms;
    m->settle_ms = r->settle_ms;
    m->extend_ms = r->extend_ms;
    m->started_ms = r->started_ms;
    m->result = messages_text(rollout_result_text(r->result));
    m->peak_log_e = r->peak_log_e;
    m->window_ms = r->window_ms;
    m->closed_ms = r->closed_ms;
    m->has_closed = r->has_closed;
    m->calibrate_ms = r->calibrate_ms;
    m->interval_ms = r->interval_ms;
    m->first_window_ms = r->range.first_ms;
    m->last_window_ms = r->range.last_ms;
    m->windows = r->range.n;
    m->gaps_seen = r->gaps_seen;
    m->gap = r->gap;
    m->late = r->late;
    m->poison = r->poison;
    m->quality_ms = r->quality.since_ms;
}

static void head_out(struct arena *a, const struct rollout *r, pb_fold_state *m,
                     bool *bad)
{
    serin__v1__fold_state__init(m);
    m->plan = (char *)(r->plan != NULL ? r->text : "");
    m->state = (char *)decide_state_name(r->state);
    m->held_from = (char *)decide_state_name(r->held_from);
    m->gated_from = (char *)decide_state_name(r->gated_from);
    m->hold = (char *)rollout_hold_text(r->hold);
    m->applied_by = messages_text(r->applied_by);
    m->reason = (char *)r->reason;
    m->message = (char *)r->message;
    m->step = r->step;
    m->weight_bp = r->weight_bp;
    m->final = decide_final(r->state);
    m->weight_seq = r->ack.weight_seq;
    m->pace = r->pace;
    m->acked = r->ack.at[0].heard;
    m->acked_bp = r->ack.at[0].applied_bp;
    m->ack_error = (char *)r->ack.at[0].error;
    m->prev_hash =
        (ProtobufCBinaryData){HASH_DIGEST, (uint8_t *)(uintptr_t)r->prev_hash};
    m->audit_seq = r->audit_seq;
    m->audit_hash =
        (ProtobufCBinaryData){HASH_DIGEST, (uint8_t *)(uintptr_t)r->audit_hash};
    m->n_quality = 4;
    m->quality = get(a, 4, sizeof *m->quality, bad);
    if (*bad) return;
    for (size_t i = 0; i < 2; i++) {
        m->quality[2 * i] = r->quality.good[i];
        m->quality[2 * i + 1] = r->quality.bad[i];
    }
}

static void aftermath_out(struct arena *a, const struct rollout *r, pb_fold_state *m,
                          bool *bad)
{
    const struct aftermath *from = &r->after;
    if (from->finding == AFTERMATH_NONE) return;
    Serin__V1__AftermathState *s = get(a, 1, sizeof *s, bad);
    uint64_t *before = get(a, 4, sizeof *before, bad);
    if (*bad) return;
    serin__v1__aftermath_state__init(s);
    s->finding = messages_text(aftermath_text(from->finding));
    s->metric = from->metric;
    s->above = from->above;
    s->phi = from->phi;
    before[0] = from->before.n, before[1] = from->before.x;
    before[2] = from->before.m, before[3] = from->before.y;
    s->before = before, s->n_before = 4;
    s->from_ms = from->from_ms, s->until_ms = from->until_ms;
    s->n = from->n, s->x = from->x;
    m->after = s;
}

static enum serin_status finish(const struct fold *f, struct arena *scratch,
                                struct arena *to, pb_snapshot *s, struct bytes *out)
{
    s->schema = SERIN_SCHEMA;
    s->epoch = f->o.epoch;
    s->applied_offset = f->offset;
    if (streamclock_save(&f->clock, scratch, &s->clock) != SERIN_OK)
        return SERIN_ENOMEM;
    return encode_snapshot(to, s, out);
}

enum serin_status snapshot_save(const struct fold *f, const struct rollout *r,
                                struct arena *scratch, struct arena *to,
                                struct bytes *out)
{
    pb_snapshot s = SERIN__V1__SNAPSHOT__INIT;
    pb_fold_state m;
    bool bad = false;
    head_out(scratch, r, &m, &bad);
    times_out(r, &m);
    if (!bad) sticky_out(scratch, r, &m, &bad);
    if (!bad) metrics_out(scratch, r, &m, &bad);
    if (!bad) pending_out(scratch, r, &m, &bad);
    if (!bad) gates_out(scratch, r, &m, &bad);
    if (!bad) outside_out(scratch, r, &m, &bad);
    if (!bad) acks_out(scratch, r, &m, &bad);
    if (!bad) commands_out(scratch, r, &m, &bad);
    if (!bad) aftermath_out(scratch, r, &m, &bad);
    if (bad) return SERIN_ENOMEM;
    s.seq = r->seq;
    s.rollout = (char *)r->id;
    s.state = &m;
    return finish(f, scratch, to, &s, out);
}

enum serin_status snapshot_clock(const struct fold *f, struct arena *scratch,
                                 struct arena *to, struct bytes *out)
{
    pb_snapshot s = SERIN__V1__SNAPSHOT__INIT;
    return finish(f, scratch, to, &s, out);
}
