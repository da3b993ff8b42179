/* engine/core/snapshot_load.c -- message to rollout; nothing in it is trusted */
#include "engine/core/snapshot.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/core/aftermath.h"
#include "engine/core/kind.h"
#include "engine/core/snapshot_units.h"

typedef Serin__V1__MetricState pb_metric_state;

static bool finite_all(const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

bool snapshot_load_onset(struct onset *o, const pb_profile_state *m, size_t n)
{
    onset_init(o);
    if (m->n_cusum == 0 && m->n_since == 0)
        return true; /* written before it was kept */
    if (m->n_cusum != n || m->n_since != n) return false;
    memcpy(o->s, m->cusum, n * sizeof *o->s);
    memcpy(o->since, m->since, n * sizeof *o->since);
    for (size_t j = 0; j < n; j++)
        if (!(isfinite(o->s[j]) && o->s[j] >= 0)) return false;
    return true;
}

bool snapshot_load_profile(struct profile *p, const pb_profile_state *m, size_t n)
{
    if (m == NULL || m->n_l != n || m->n_lw != n || !finite_all(m->l, n)) return false;
    profile_init(p, true);
    p->t = m->t;
    p->informative = m->informative;
    p->used = m->used;
    memcpy(p->l, m->l, n * sizeof *p->l);
    memcpy(p->lw, m->lw, n * sizeof *p->lw);
    for (size_t i = 0; i < n; i++)
        if (isnan(p->lw[i]) || p->lw[i] > DBL_MAX) return false;
    return isfinite(p->used);
}

static bool begun_in(struct evidence *e, const pb_profile_state *m)
{
    if (m == NULL || m->n_l != e->grid->n || !finite_all(m->l, m->n_l)) return false;
    memcpy(e->begun, m->l, m->n_l * sizeof *e->begun);
    e->begun_informative = m->informative;
    return true;
}

bool snapshot_load_floor(struct floor *f, const pb_profile_state *m)
{
    if (!(f->d > 0)) return m == NULL;
    if (m == NULL || m->n_l != FLOOR_POINTS || m->n_lw != FLOOR_POINTS) return false;
    if (!finite_all(m->l, m->n_l) || !isfinite(m->used)) return false;
    f->t = m->t;
    f->used = m->used;
    memcpy(f->l, m->l, sizeof f->l);
    memcpy(f->lw, m->lw, sizeof f->lw);
    return true;
}

enum { SCALE_COUNTS = 7 };

bool snapshot_load_dispersion(struct dispersion *d, struct dispersion_watch *w,
                              const pb_dispersion_state *m)
{
    if (m == NULL || m->n_counts != DISPERSION_SCALES * SCALE_COUNTS ||
        m->n_sums != 2 * (size_t)DISPERSION_SCALES ||
        m->n_looks != (w != NULL ? 2 * (size_t)DISPERSION_SCALES : 0))
        return false;
    d->windows = m->windows;
    for (size_t i = 0; i < DISPERSION_SCALES; i++) {
        const uint64_t *c = m->counts + i * SCALE_COUNTS;
        d->scale[i] = (struct dispersion_scale){.open_y = c[0],
                                                .open_m = c[1],
                                                .open_windows = c[2],
                                                .last_y = c[3],
                                                .last_m = c[4],
                                                .paired = c[5] != 0,
                                                .pairs = c[6],
                                                .excess = m->sums[2 * i],
                                                .expected = m->sums[2 * i + 1]};
        if (w == NULL) continue;
        w->due[i] = m->looks[2 * i];
        w->over[i] = m->looks[2 * i + 1] != 0;
    }
    return finite_all(m->sums, m->n_sums);
}

bool snapshot_load_calibration(struct calibrate *c, const pb_calibration_state *m)
{
    if (m->n_at != CALIBRATE_LENGTHS || m->n_open != 2 * (size_t)CALIBRATE_LENGTHS ||
        m->n_gaps != CALIBRATE_GAPS)
        return false;
    for (size_t i = 0; i < CALIBRATE_LENGTHS; i++) {
        if (!snapshot_load_dispersion(&c->at[i], NULL, m->at[i])) return false;
        c->open_y[i] = m->open[2 * i];
        c->open_m[i] = m->open[2 * i + 1];
    }
    memcpy(c->gaps, m->gaps, sizeof c->gaps);
    c->last_ms = m->last_ms;
    return true;
}

static bool seen_in(struct evidence *e, const pb_metric_state *m)
{
    if (m->n_counts != 4 || m->n_seen_ms != 3 || m->n_since != 2 || m->n_ever != 2)
        return false;
    e->counts = (struct count_table){
        .n = m->counts[0], .x = m->counts[1], .m = m->counts[2], .y = m->counts[3]};
    for (int c = 0; c < 2; c++) {
        e->seen_ms[c] = m->seen_ms[c];
        e->since[c] = m->since[c];
        e->ever[c] = m->ever[c];
    }
    e->informative_ms = m->seen_ms[2];
    return true;
}

static bool users_and_bounds_in(struct evidence *e, const pb_metric_state *s)
{
    const Serin__V1__RiskState *m = s->risk;
    e->bounds_ratio = s->bounds_ratio;
    if (!(e->bounds_ratio >= 0) || isinf(e->bounds_ratio)) return false;
    if (s->n_bounds == 3) { /* older ones do not have it */
        e->bounds_id[0] = s->bounds[0], e->bounds_id[1] = s->bounds[1];
        if (s->bounds[2] > EVIDENCE_BOUNDS_APART) return false;
        e->bounds_apart = (uint32_t)s->bounds[2];
    }
    if (e->risk == NULL || m == NULL) return (e->risk == NULL) == (m == NULL);
    struct riskset kept = {.thin = m->thin,
                           .failed = {m->failed, (uint32_t)m->n_failed, 0},
                           .seen = {m->seen, (uint32_t)m->n_seen, 0},
                           .seen_thin = m->seen_thin,
                           .batch_ms = m->batch_ms,
                           .young = {m->young, (uint32_t)m->n_young, 0},
                           .old = {m->old, (uint32_t)m->n_old, 0}};
    profile_init(&kept.away, false);
    if (m->away != NULL && !snapshot_load_profile(&kept.away, m->away, e->grid->n))
        return false;
    return riskset_restore(e->risk, &kept) == SERIN_OK;
}

static bool phi_in(struct evidence *e, const pb_metric_state *m)
{
    if (!(m->phi >= 1) || !isfinite(m->phi) || !isfinite(m->phi_pooled)) return false;
    e->phi = m->phi;
    e->pool = (struct dispersion_pool){m->phi_pooled, m->phi_pairs};
    return true;
}

static bool metric_in(struct rollout *r, size_t i, const pb_metric_state *m)
{
    struct evidence *e = &r->evidence.metrics[i];
    if (strcmp(m->name, e->metric->name) != 0 || !phi_in(e, m)) return false;
    e->accepted = m->accepted;
    if (!seen_in(e, m)) return false;
    return snapshot_load_profile(&e->all, m->all, e->grid->n) && begun_in(e, m->step) &&
           snapshot_load_onset(&e->onset, m->all, e->grid->n) &&
           snapshot_load_floor(&e->floor, m->floor) &&
           snapshot_load_floor(&e->limit, m->limit) &&
           snapshot_load_dispersion(&e->watch.seen, &e->watch, m->watch) &&
           (e->kind->load == NULL || e->kind->load(e, m)) &&
           users_and_bounds_in(e, m) &&
           (m->calibration == NULL ||
            snapshot_load_calibration(&r->calibrate[i], m->calibration));
}

static bool split_in(struct rollout *r, const pb_fold_state *m)
{
    if (m->n_srm != 1 + 2 * (size_t)SRM_POINTS || !finite_all(m->srm, m->n_srm) ||
        m->n_split != 4)
        return false;
    r->split = (struct rollout_split){m->split[0], m->split[1], m->split[2] != 0,
                                      m->split[3] != 0};
    r->srm.eps = m->srm[0];
    memcpy(r->srm.up, m->srm + 1, sizeof r->srm.up);
    memcpy(r->srm.down, m->srm + 1 + SRM_POINTS, sizeof r->srm.down);
    r->srm_canary = m->srm_canary;
    r->srm_baseline = m->srm_baseline;
    return true;
}

static bool metrics_in(struct rollout *r, const pb_fold_state *m)
{
    if (m->n_metrics != r->evidence.n || !split_in(r, m)) return false;
    bool calibrating = false;
    for (size_t i = 0; i < r->evidence.n; i++) {
        calibrating = calibrating || m->metrics[i]->calibration != NULL;
        if (!metric_in(r, i, m->metrics[i])) return false;
    }
    if (!calibrating) {
        mem_free(r->calibrate);
        r->calibrate = NULL;
    }
    return true;
}

static enum serin_status units_in(struct rollout *r, const Serin__V1__PendingCell *c)
{
    struct unitsum units[2][UNITSUM_MAX];
    uint32_t n[2];
    enum serin_status rc = SERIN_OK;
    if (!snapshot_load_units(units[0], &n[0], c->canary_units, c->n_canary_units) ||
        !snapshot_load_units(units[1], &n[1], c->baseline_units, c->n_baseline_units))
        return SERIN_EPARSE;
    for (int i = 0; i < 2 && rc == SERIN_OK; i++)
        if (n[i] != 0)
            rc = pending_add_units(&r->pending, c->start_ms, c->metric, c->stratum, i,
                                   units[i], n[i]);
    return rc;
}

static enum serin_status users_in(struct rollout *r, const Serin__V1__PendingCell *c)
{
    const uint64_t *users[2] = {c->canary_users, c->baseline_users};
    size_t n[2] = {c->n_canary_users, c->n_baseline_users};
    enum serin_status rc = SERIN_OK;
    for (int i = 0; i < 2 && rc == SERIN_OK; i++) {
        if (!riskset_sane(users[i], n[i], 0)) return SERIN_EPARSE;
        rc = pending_add_users(&r->pending, c->start_ms, c->metric, c->stratum, i,
                               users[i], n[i], 0);
    }
    return rc;
}

static enum serin_status cell_in(struct rollout *r, const Serin__V1__PendingCell *c)
{
    if (r->evidence.metrics[c->metric].risk != NULL) return users_in(r, c);
    if (r->evidence.metrics[c->metric].kind->content == KIND_UNITS)
        return units_in(r, c);
    const pb_histogram *hists[2] = {c->canary, c->baseline};
    uint64_t n[2] = {c->n, c->m}, bad[2] = {c->x, c->y};
    enum serin_status rc = SERIN_OK;
    for (int i = 0; i < 2 && rc == SERIN_OK; i++) {
        const pb_histogram *h = hists[i];
        if (h == NULL) {
            rc = pending_add(&r->pending, c->start_ms, c->metric, c->stratum, i, n[i],
                             bad[i]);
            continue;
        }
        struct hist_view v = {h->scale, h->offset, h->n_counts, h->zero_count,
                              h->counts};
        if (r->evidence.metrics[c->metric].kind->content != KIND_HISTOGRAM ||
            !binned_sane(&v, n[i]))
            return SERIN_EPARSE;
        rc = pending_add_hist(&r->pending, c->start_ms, c->metric, c->stratum, i, &v,
                              true);
    }
    return rc;
}

static enum serin_status pending_in(struct rollout *r, const pb_fold_state *m)
{
    if (m->n_strata > ROLLOUT_STRATA) return SERIN_EPARSE;
    for (size_t i = 0; i < m->n_strata; i++) {
        uint32_t at;
        if (rollout_stratum(r, m->strata[i], &at) != SERIN_OK) return SERIN_ENOMEM;
        if (at != i) return SERIN_EPARSE;
    }
    for (size_t i = 0; i < m->n_pending; i++) {
        const Serin__V1__PendingCell *c = m->pending[i];
        if (c->metric >= r->evidence.n || c->stratum > ROLLOUT_STRATA || c->x > c->n ||
            c->y > c->m)
            return SERIN_EPARSE;
        enum serin_status rc = cell_in(r, c);
        if (rc != SERIN_OK) return rc == SERIN_ENOMEM ? rc : SERIN_EPARSE;
    }
    return SERIN_OK;
}

static enum serin_status gate_in(struct rollout_gate *g, const Serin__V1__GateState *m)
{
    enum serin_status rc = SERIN_OK;
    if (m->denied_by[0] != '\0') /* as it was written before there were votes */
        rc = rollout_vote(g, m->denied_by, "", 0, true);
    for (size_t i = 0; i < m->n_approved_by && rc == SERIN_OK; i++)
        rc = rollout_vote(g, m->approved_by[i], "", 0, false);
    for (size_t i = 0; i < m->n_votes && rc == SERIN_OK; i++)
        rc = rollout_vote(g, m->votes[i]->actor, m->votes[i]->reason, m->votes[i]->t_ms,
                          m->votes[i]->deny);
    g->waiting_ms = m->waiting_ms;
    g->expired = m->expired;
    return rc;
}

static bool outside_in(struct rollout *r, const pb_fold_state *m)
{
    r->override_ms = m->override_ms;
    if (m->n_checks > PLAN_MAX_CHECKS || m->n_waits > ROLLOUT_WAITS) return false;
    for (size_t i = 0; i < m->n_checks; i++) {
        struct rollout_external *x = &r->external[i];
        if (m->checks[i]->outcome > EXTERNAL_ERROR) return false;
        x->outcome = (enum external_outcome)m->checks[i]->outcome;
        x->t_ms = m->checks[i]->t_ms;
        snprintf(x->message, sizeof x->message, "%s", m->checks[i]->message);
    }
    for (size_t i = 0; i < m->n_waits; i++) {
        struct rollout_wait *w = &r->waits[r->n_waits++];
        w->after = m->waits[i]->after;
        w->queue = m->waits[i]->queue;
        snprintf(w->about, sizeof w->about, "%s", m->waits[i]->about);
        snprintf(w->state, sizeof w->state, "%s", m->waits[i]->state);
    }
    return true;
}

static enum serin_status commands_in(struct rollout *r, const pb_fold_state *m)
{
    if (m->n_outcomes > ROLLOUT_OUTCOMES || m->n_done > ROLLOUT_DONE)
        return SERIN_EPARSE;
    for (size_t i = 0; i < m->n_outcomes; i++) {
        struct rollout_outcome o = {mem_strdup(m->outcomes[i]->command_id),
                                    mem_strdup(m->outcomes[i]->message),
                                    m->outcomes[i]->accepted};
        if (o.id == NULL || o.message == NULL) {
            mem_free(o.id);
            mem_free(o.message);
            return SERIN_ENOMEM;
        }
        r->outcomes[r->n_outcomes++] = o;
    }
    for (size_t i = 0; i < m->n_done; i++)
        r->done[r->n_done++] = m->done[i];
    return SERIN_OK;
}

static bool digest_in(uint8_t out[HASH_DIGEST], const ProtobufCBinaryData *b)
{
    if (b->len != HASH_DIGEST) return false;
    memcpy(out, b->data, HASH_DIGEST);
    return true;
}

static void ack_in(struct rollout_acked *to, bool heard, uint32_t bp, const char *error)
{
    *to = (struct rollout_acked){.heard = heard, .applied_bp = bp};
    snprintf(to->error, sizeof to->error, "%.*s", (int)sizeof to->error - 1, error);
}

static void times_in(struct rollout *r, const pb_fold_state *m)
{
    r->created_ms = m->created_ms;
    r->since_ms = m->since_ms;
    r->began_ms = m->began_ms;
    r->settle_ms = m->settle_ms;
    r->extend_ms = m->extend_ms;
    r->started_ms = m->started_ms;
    r->result = rollout_result_parse(m->result);
    r->peak_log_e = m->peak_log_e;
    r->closed_ms = m->closed_ms;
    r->has_closed = m->has_closed;
    r->calibrate_ms = m->calibrate_ms;
    r->interval_ms = m->interval_ms;
    r->range =
        (struct rollout_range){m->first_window_ms, m->last_window_ms, m->windows};
    r->gaps_seen = m->gaps_seen;
    r->gap = m->gap;
    r->late = m->late;
    r->poison = m->poison;
    r->pace = m->pace > 0 ? m->pace : 0;
    r->ack = (struct rollout_ack){.weight_seq = m->weight_seq};
    ack_in(&r->ack.at[0], m->acked, m->acked_bp, m->ack_error);
    for (size_t i = 0; i < m->n_more_acks && i + 1 < PLAN_MAX_TARGETS; i++)
        ack_in(&r->ack.at[i + 1], m->more_acks[i]->acked, m->more_acks[i]->acked_bp,
               m->more_acks[i]->error);
    snprintf(r->reason, sizeof r->reason, "%s", m->reason);
    snprintf(r->message, sizeof r->message, "%s", m->message);
}

static bool states_in(struct rollout *r, const pb_fold_state *m)
{
    r->hold = HOLD_NONE;
    if (m->hold[0] != '\0' && !rollout_hold_parse(m->hold, &r->hold)) return false;
    r->sticky = 0;
    for (size_t i = 0; i < m->n_sticky; i++) {
        enum rollout_hold h;
        if (!rollout_hold_parse(m->sticky[i], &h)) return false;
        r->sticky |= 1u << h;
    }
    if (m->n_quality != 4) return false;
    r->quality.since_ms = m->quality_ms;
    for (size_t i = 0; i < 2; i++) {
        r->quality.good[i] = m->quality[2 * i];
        r->quality.bad[i] = m->quality[2 * i + 1];
    }
    return decide_state_parse(m->state, &r->state) &&
           decide_state_parse(m->held_from, &r->held_from) &&
           decide_state_parse(m->gated_from, &r->gated_from);
}

/* What is left when the evidence cannot be read: plan, step and weight; the next record
 * makes it HELD. */
static void lose(struct rollout *r)
{
    if (r->plan == NULL) r->step = 0;
    r->state = r->step != 0 ? ROLLOUT_OBSERVING : ROLLOUT_PENDING;
    r->hold = HOLD_NONE;
    r->sticky |= 1u << HOLD_STATE_LOST;
    if (r->plan != NULL) evidence_reset(&r->evidence);
}

static enum serin_status gates_in(struct rollout *r, const pb_fold_state *m)
{
    enum serin_status rc = SERIN_OK;
    for (size_t i = 0; i < m->n_gates && i < r->plan->n_gates && rc == SERIN_OK; i++)
        rc = gate_in(&r->gates[i], m->gates[i]);
    return rc;
}

/* What cannot be read, or fits no plan, is not watched on: nothing hangs on it. */
static void aftermath_in(struct rollout *r, const Serin__V1__AftermathState *m)
{
    if (m == NULL || r->plan == NULL || m->metric >= r->plan->n_metrics ||
        m->n_before != 4 || !(m->phi >= 1) || !isfinite(m->phi) || !(m->above >= 0))
        return;
    const struct count_table before = {m->before[0], m->before[1], m->before[2],
                                       m->before[3]};
    if (before.n > COUNT_MAX || before.m > COUNT_MAX || before.x > before.n ||
        before.y > before.m || m->x > m->n)
        return;
    r->after = (struct aftermath){.finding = aftermath_parse(m->finding),
                                  .metric = m->metric,
                                  .above = m->above,
                                  .phi = m->phi,
                                  .before = before,
                                  .from_ms = m->from_ms,
                                  .until_ms = m->until_ms,
                                  .n = m->n,
                                  .x = m->x};
}

static enum serin_status body_in(struct rollout *r, const pb_fold_state *m,
                                 struct fault *why)
{
    if (m->window_ms < 1000 || m->window_ms > 60000 || !metrics_in(r, m))
        return fault_set(
            why, SERIN_EPARSE,
            "rollout %s: the evidence in its snapshot does not fit its plan", r->id);
    r->window_ms = m->window_ms;
    evidence_horizon(&r->evidence, r->window_ms);
    enum serin_status rc = pending_in(r, m);
    return rc == SERIN_OK ? gates_in(r, m) : rc;
}

/* Of a final one, what its row shows: neither evidence nor windows. */
static enum serin_status ending_in(struct rollout *r, const pb_fold_state *m)
{
    rollout_shrink(r);
    if (r->plan == NULL || !split_in(r, m)) return SERIN_OK;
    r->window_ms = m->window_ms;
    aftermath_in(r, m->after);
    return gates_in(r, m);
}

/* All but the evidence. */
static enum serin_status head_in(struct rollout *r, const pb_fold_state *m,
                                 struct fault *why)
{
    uint32_t steps = r->plan != NULL ? (uint32_t)r->plan->n_steps : 0;
    bool sane = states_in(r, m) && m->weight_bp <= 10000 &&
                digest_in(r->prev_hash, &m->prev_hash) &&
                digest_in(r->audit_hash, &m->audit_hash) && outside_in(r, m);
    r->step = m->step <= steps ? m->step : 0;
    r->weight_bp = m->weight_bp <= 10000 ? m->weight_bp : 0;
    r->audit_seq = m->audit_seq;
    times_in(r, m);
    enum serin_status rc = rollout_applied(r, m->applied_by);
    if (rc == SERIN_OK) rc = commands_in(r, m);
    if (rc == SERIN_ENOMEM || (rc == SERIN_OK && sane)) return rc;
    return fault_set(why, SERIN_EPARSE, "rollout %s: its snapshot is damaged", r->id);
}

enum serin_status snapshot_load(struct rollout *r, const pb_snapshot *s,
                                struct fault *why)
{
    const pb_fold_state *m = s->state;
    r->seq = s->seq;
    r->applied_offset = s->applied_offset;
    r->epoch = s->epoch;
    r->stale = true;
    if (m == NULL) {
        lose(r);
        return fault_set(why, SERIN_EPARSE, "rollout %s: its snapshot holds no state",
                         r->id);
    }
    enum serin_status planned = rollout_plan(r, m->plan, why);
    if (planned == SERIN_ENOMEM) return planned;
    if (planned != SERIN_OK) {
        rollout_shrink(r);
        r->plan = NULL;
    }
    enum serin_status rc = head_in(r, m, why);
    if (rc == SERIN_OK && decide_final(r->state)) return ending_in(r, m);
    if (rc == SERIN_OK) rc = planned;
    if (rc == SERIN_OK) rc = body_in(r, m, why);
    if (rc == SERIN_EPARSE) lose(r);
    return rc;
}
