/* engine/core/holds.c -- the no-data table, row by row */
#include "engine/core/holds.h"

#include <stdio.h>

#include "engine/core/acks.h"
#include "engine/core/calibrate.h"
#include "engine/core/explain.h"
#include "engine/core/external.h"
#include "engine/core/facts.h"
#include "engine/core/figures.h"
#include "engine/core/kind.h"
#include "engine/core/schedule.h"
#include "engine/core/strategy.h"

/* A cohort that sends nothing is silent only if it should have sent something: with
 * this many units expected, none at all has a probability of e^-7, and e^-20. */
static const double expected_hold = 7, expected_abort = 20;

enum {
    QUALITY_SPAN_MS = 30000,
    QUALITY_LEAST = 100, /* samples before a share means anything */
    QUALITY_SHARE = 100  /* one in so many may be lost */
};

/* ---- time */
static int64_t event_now(const struct fold *f)
{
    return f->clock.known ? f->clock.watermark_ms : streamclock_now(&f->clock);
}

static bool watched_data(const struct rollout *r)
{
    enum rollout_state s = rollout_under(r);
    return r->step != 0 &&
           (s == ROLLOUT_OBSERVING || s == ROLLOUT_WATCHING || s == ROLLOUT_GATED);
}

static bool compares(const struct rollout *r)
{
    double share = strategy_share(r); /* NAN: some */
    return watched_data(r) && !(share <= 0) && !(share >= 1);
}

static int64_t silent_ms(const struct fold *f, const struct evidence *e, int cohort)
{
    return event_now(f) - e->seen_ms[cohort];
}

/* Units a cohort should have sent while the other one sent since[cohort]; NAN: nobody
 * knows. */
static double expected(const struct rollout *r, const struct evidence *e, int cohort)
{
    double canary = strategy_share(r), baseline = 1 - canary;
    if (evidence_sparse(e)) {
        canary = e->metric->exposure_pods[0];
        baseline = e->metric->exposure_pods[1];
    }
    return (double)e->since[cohort] *
           (cohort == EVIDENCE_CANARY ? canary / baseline : baseline / canary);
}

/* Events over fixed pods may be far between: only too many of the other's tell. */
static bool silent(const struct fold *f, const struct rollout *r,
                   const struct evidence *e, int cohort)
{
    int64_t most = rollout_silence_ms(r);
    if (evidence_sparse(e)) return expected(r, e, cohort) >= expected_hold;
    if (e->kind->content == KIND_UNITS && most < 2 * e->metric->batch_ms)
        most = 2 * e->metric->batch_ms; /* read more rarely than requests come */
    return silent_ms(f, e, cohort) > most;
}

/* ---- the rows of the table; each says why in *t */
static bool lagging(const struct fold *f, const struct rollout *r, struct turn *t)
{
    char lag[24], most[24];
    int64_t ms = streamclock_lag(&f->clock);
    if (r->state == ROLLOUT_PENDING || ms <= f->o.max_lag_ms) return false;
    explain_span(ms, lag);
    explain_span(f->o.max_lag_ms, most);
    explain_add(t, "metrics are %s behind, more than %s: nothing recent is known", lag,
                most);
    return true;
}

static bool all_silent(const struct fold *f, const struct rollout *r, struct turn *t)
{
    bool ever = false;
    char span[24];
    if (!watched_data(r)) return false;
    for (size_t i = 0; i < r->evidence.n; i++) {
        const struct evidence *e = &r->evidence.metrics[i];
        ever = ever || e->ever[0] || e->ever[1];
        if (!silent(f, r, e, EVIDENCE_CANARY) || !silent(f, r, e, EVIDENCE_BASELINE))
            return false;
    }
    if (!ever) return false;
    explain_span(rollout_silence_ms(r), span);
    explain_add(t, "neither cohort has reported any metric for more than %s", span);
    return true;
}

static bool blind(const struct fold *f, const struct rollout *r, struct turn *t)
{
    if (r->gap) {
        explain_add(t, "records were lost before they were read; the evidence starts "
                       "again with the next windows");
        return true;
    }
    return lagging(f, r, t) || all_silent(f, r, t);
}

static bool uncalibrated(const struct fold *f, const struct rollout *r, struct turn *t)
{
    if (rollout_under(r) != ROLLOUT_CALIBRATING || r->calibrate == NULL) return false;
    int64_t spent = streamclock_now(&f->clock) - r->calibrate_ms,
            most = CALIBRATE_MAX_MS;
    if (r->plan->calibrate_ms > most) most = r->plan->calibrate_ms;
    if (r->plan->calibrate_ms == 0 || spent < r->plan->calibrate_ms) return false;
    for (size_t i = 0; i < r->evidence.n; i++) {
        const struct evidence *e = &r->evidence.metrics[i];
        double phi;
        if (!evidence_gates(e) || e->metric->phi >= 1) continue;
        uint64_t windows = calibrate_windows(&r->calibrate[i], r->plan->window_ms,
                                             calibrate_lengths[0]);
        /* A name that nobody reports need not wait as long as a slow exporter may. */
        if (spent < most && windows != 0) continue;
        if (e->kind->phi(e, &r->calibrate[i], r->plan->window_ms, r->window_ms, true,
                         &phi))
            continue;
        t->metric = e->metric->name;
        explain_add(
            t,
            "%s: the baseline gave %llu windows with data to calibrate on, 60 are "
            "needed; check the metric's name and the cohort, or give phi in the "
            "plan",
            e->metric->name, (unsigned long long)windows);
        return true;
    }
    return false;
}

static bool no_data(const struct fold *f, const struct rollout *r, struct turn *t)
{
    char span[24];
    if (!watched_data(r)) return uncalibrated(f, r, t);
    explain_span(rollout_silence_ms(r), span);
    for (size_t i = 0; i < r->evidence.n; i++) {
        const struct evidence *e = &r->evidence.metrics[i];
        if (!evidence_protected(e)) continue;
        if (!silent(f, r, e, EVIDENCE_CANARY) || !silent(f, r, e, EVIDENCE_BASELINE))
            continue;
        t->metric = e->metric->name;
        if (e->ever[0] || e->ever[1])
            explain_add(t, "%s: neither cohort has reported it for more than %s",
                        e->metric->name, span);
        else
            explain_add(
                t,
                "%s: no sample of it was ever seen; is `from: {metric: %s}` the "
                "name in the stream?",
                e->metric->name, e->metric->from);
        return true;
    }
    return false;
}

static bool cohort_silent(const struct fold *f, const struct rollout *r, int cohort,
                          struct turn *t)
{
    static const char *const names[] = {"canary", "baseline"};
    char span[24];
    for (size_t i = 0; i < r->evidence.n && compares(r); i++) {
        const struct evidence *e = &r->evidence.metrics[i];
        if (!evidence_protected(e) || !silent(f, r, e, cohort)) continue;
        if (!(expected(r, e, cohort) >= expected_hold)) continue;
        t->metric = e->metric->name;
        explain_span(silent_ms(f, e, cohort), span);
        explain_add(t,
                    "%s: nothing from the %s for %s while the %s sent %llu; about %.0f "
                    "were expected",
                    e->metric->name, names[cohort], span, names[1 - cohort],
                    (unsigned long long)e->since[cohort], expected(r, e, cohort));
        return true;
    }
    return false;
}

static bool canary_silent(const struct fold *f, const struct rollout *r, struct turn *t)
{
    char span[24];
    if (rollout_under(r) != ROLLOUT_WATCHING)
        return cohort_silent(f, r, EVIDENCE_CANARY, t);
    for (size_t i = 0; i < r->evidence.n; i++) {
        const struct evidence *e = &r->evidence.metrics[i];
        if (!evidence_protected(e) || !silent(f, r, e, EVIDENCE_CANARY)) continue;
        t->metric = e->metric->name;
        explain_span(silent_ms(f, e, EVIDENCE_CANARY), span);
        explain_add(t, "%s: nothing from the canary at 100 %% for %s", e->metric->name,
                    span);
        return true;
    }
    return false;
}

static bool baseline_silent(const struct fold *f, const struct rollout *r,
                            struct turn *t)
{
    return cohort_silent(f, r, EVIDENCE_BASELINE, t);
}

/* Between bounds nothing is known, and it is not the same in both cohorts. */
static bool bounds_differ(const struct rollout *r, struct turn *t)
{
    for (size_t i = 0; i < r->evidence.n; i++) {
        const struct evidence *e = &r->evidence.metrics[i];
        if (!evidence_gates(e) || !evidence_bounds_differ(e)) continue;
        t->metric = e->metric->name;
        explain_add(
            t,
            "%s: canary and baseline report by different bucket bounds, so that "
            "the same times are counted differently; give both versions the same "
            "bounds (or exponential histograms), or the metric mode: warn",
            e->metric->name);
        return true;
    }
    return false;
}

static bool bad_data(const struct fold *f, const struct rollout *r, struct turn *t)
{
    const struct rollout_quality *q = &r->quality;
    uint64_t bad = q->bad[0] + q->bad[1], all = bad + q->good[0] + q->good[1];
    (void)f;
    if (watched_data(r) && bounds_differ(r, t)) return true;
    if (!watched_data(r) || all < QUALITY_LEAST || bad <= all / QUALITY_SHARE)
        return false;
    char share[24];
    explain_percent((double)bad / (double)all, share);
    explain_add(t, "%s of the latest samples were late or unusable, more than 1 %%",
                share);
    return true;
}

static bool actuator(const struct fold *f, const struct rollout *r, struct turn *t)
{
    return acks_trouble(r, streamclock_now(&f->clock), t);
}

static bool dispersion(const struct fold *f, const struct rollout *r, struct turn *t)
{
    (void)f;
    for (size_t i = 0; i < r->evidence.n && compares(r); i++) {
        const struct evidence *e = &r->evidence.metrics[i];
        if (!evidence_gates(e) || !dispersion_outgrown(&e->watch)) continue;
        t->metric = e->metric->name;
        explain_add(
            t,
            "%s: counts now vary by %.3g times what independent requests would, "
            "calibrated at %.3g; the guarantee does not cover this",
            e->metric->name, dispersion_phi(&e->watch.seen), e->phi);
        return true;
    }
    return false;
}

static bool timeout(const struct fold *f, const struct rollout *r, struct turn *t)
{
    char span[24];
    if (!holds_timed_out(f, r)) return false;
    explain_span(rollout_step(r)->timeout_ms + r->extend_ms, span);
    explain_add(t, "step %u is undecided after %s; retry, extend, promote or abort it",
                r->step, span);
    return true;
}

static bool freeze(const struct fold *f, const struct rollout *r, struct turn *t)
{
    struct turn said = *t;
    if (r->state == ROLLOUT_PENDING) return false; /* it waits there */
    explain_add(&said, "%s, but ",
                r->step == 0 ? "ready to start" : "the evidence suffices");
    if (!schedule_closed(r, streamclock_now(&f->clock), &said)) return false;
    *t = said;
    return true;
}

static bool after(const struct fold *f, const struct rollout *r, struct turn *t)
{
    (void)f;
    return facts_blocked(r, t) && t->hold == HOLD_AFTER;
}

static bool queue(const struct fold *f, const struct rollout *r, struct turn *t)
{
    (void)f;
    return facts_blocked(r, t) && t->hold == HOLD_QUEUE;
}

static bool check(const struct fold *f, const struct rollout *r, struct turn *t)
{
    struct turn probe = turn_of(r, "");
    bool over = rollout_under(r) == ROLLOUT_OBSERVING && rollout_next(r) != NULL &&
                strategy_over(r, streamclock_now(&f->clock), &probe);
    if (!r->passes && !over) return false;
    return external_met(f, r, over, t) == EXTERNAL_UNMET;
}

/* ---- the order */
static void suspicious(const struct rollout *r, struct turn *t)
{
    for (size_t i = 0; i < r->evidence.n; i++) {
        const struct evidence *e = &r->evidence.metrics[i];
        if (!evidence_suspicious(e)) continue;
        t->metric = e->metric->name;
        explain_add(t, "%s: ", e->metric->name);
        e->kind->better(e, t);
        explain_add(t, "; ");
        break;
    }
    explain_add(t, "too good to be true: see whether the canary fails early or does "
                   "less, then resume it");
}

/* The split is that of the first metric with requests that gates. */
static const char *split_of(const struct rollout *r)
{
    for (size_t i = 0; i < r->evidence.n; i++) {
        const struct evidence *e = &r->evidence.metrics[i];
        if (e->kind->requests && evidence_gates(e))
            return e->risk != NULL ? "users who were new at this weight" : "requests";
    }
    return "requests";
}

static enum rollout_hold sticky(const struct rollout *r, struct turn *t)
{
    char seen[24], wanted[24];
    for (size_t h = 0; h < HOLD_NONE; h++) {
        if ((r->sticky & (1u << h)) == 0) continue;
        if (h == HOLD_OPERATOR) explain_add(t, "held by an operator; resume it");
        if (h == HOLD_STATE_LOST)
            explain_add(t,
                        "the state of this rollout could not be restored; abort it, or "
                        "resume it with new evidence only");
        if (h == HOLD_DEFECT)
            explain_add(t,
                        "a window gave no finite evidence and was dropped; this is a "
                        "defect, please report it; abort or resume");
        if (h == HOLD_SUSPICIOUS) suspicious(r, t);
        explain_percent(figures_observed_bp(r) / 10000, seen);
        explain_percent(r->weight_bp / 10000.0, wanted);
        if (h == HOLD_SAMPLE_RATIO)
            explain_add(
                t,
                "the canary got %s of %llu %s, %s was commanded; the cohorts are not "
                "comparable until this is understood",
                seen, (unsigned long long)(r->srm_canary + r->srm_baseline),
                split_of(r), wanted);
        return (enum rollout_hold)h;
    }
    return HOLD_NONE;
}

enum rollout_hold holds_top(const struct fold *f, const struct rollout *r, bool ready,
                            struct turn *t)
{
    static const struct {
        enum rollout_hold hold;
        bool (*applies)(const struct fold *, const struct rollout *, struct turn *);
    } rows[] = {
        {HOLD_BLIND, blind},
        {HOLD_NO_DATA, no_data},
        {HOLD_CANARY_SILENT, canary_silent},
        {HOLD_BASELINE_SILENT, baseline_silent},
        {HOLD_BAD_DATA, bad_data},
        {HOLD_ACTUATOR, actuator},
        {HOLD_DISPERSION, dispersion},
        {HOLD_TIMEOUT, timeout},
        {HOLD_AFTER, after},
        {HOLD_QUEUE, queue},
        {HOLD_CHECK, check},
        {HOLD_FREEZE, freeze},
    };
    enum rollout_hold top = sticky(r, t);
    if (top != HOLD_NONE) return top;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].hold == HOLD_FREEZE && !ready) continue;
        if (rows[i].applies(f, r, t)) return rows[i].hold;
        t->message[0] = '\0'; /* of a fact that is no reason to hold */
    }
    return HOLD_NONE;
}

/* What is not silent yet is not dead: exporters may be slower than `silence`. */
static int64_t dead_ms(const struct rollout *r)
{
    int64_t silent_ms = rollout_silence_ms(r);
    return r->plan->silence_ms > silent_ms ? r->plan->silence_ms : silent_ms;
}

/* At 100 % no baseline says that there are users; the pace of the step before does, and
 * later the canary's own. That time goes on at all says that others report: a stream
 * that stands still is blind. */
static bool dead_at_full(const struct fold *f, const struct rollout *r, struct turn *t)
{
    bool sure = false;
    char span[24];
    for (size_t i = 0; i < r->evidence.n; i++) {
        const struct evidence *e = &r->evidence.metrics[i];
        if (!evidence_protected(e) || evidence_sparse(e)) continue;
        int64_t ms = silent_ms(f, e, EVIDENCE_CANARY);
        if (ms <= dead_ms(r)) return false;
        sure = sure || r->pace * (double)ms >= expected_abort;
    }
    if (!sure) return false;
    explain_span(dead_ms(r), span);
    explain_add(t,
                "nothing from the canary at 100 %% for more than %s, while the stream "
                "goes on",
                span);
    return true;
}

bool holds_dead(const struct fold *f, const struct rollout *r, struct turn *t)
{
    char span[24];
    bool sure = false;
    if (rollout_under(r) == ROLLOUT_WATCHING) return dead_at_full(f, r, t);
    if (!compares(r)) return false;
    for (size_t i = 0; i < r->evidence.n; i++) {
        const struct evidence *e = &r->evidence.metrics[i];
        if (!evidence_protected(e) || !e->ever[EVIDENCE_BASELINE]) continue;
        if (evidence_sparse(e)) continue; /* fewer events may be good news */
        if (silent_ms(f, e, EVIDENCE_CANARY) <= dead_ms(r)) return false;
        if (silent(f, r, e, EVIDENCE_BASELINE)) continue;
        sure = sure || expected(r, e, EVIDENCE_CANARY) >= expected_abort;
    }
    if (!sure) return false;
    explain_span(dead_ms(r), span);
    explain_add(
        t, "nothing from the canary for more than %s while the baseline reports", span);
    return true;
}

bool holds_fresh(const struct fold *f, const struct rollout *r)
{
    bool has_canary = strategy_alone(r) || !(strategy_share(r) <= 0);
    for (size_t i = 0; i < r->evidence.n; i++) {
        const struct evidence *e = &r->evidence.metrics[i];
        if (!evidence_protected(e)) continue;
        if (has_canary && silent(f, r, e, EVIDENCE_CANARY)) return false;
        if (r->weight_bp < 10000 && silent(f, r, e, EVIDENCE_BASELINE)) return false;
    }
    return true;
}

bool holds_timed_out(const struct fold *f, const struct rollout *r)
{
    const struct plan_step *step = rollout_step(r);
    if (step == NULL || rollout_under(r) != ROLLOUT_OBSERVING) return false;
    if (r->plan->strategy == PLAN_EXPERIMENT) return false; /* it concludes */
    if (step->kind == PLAN_STEP_PAUSE) return false;
    return streamclock_now(&f->clock) - r->began_ms > step->timeout_ms + r->extend_ms;
}

void holds_quality(struct rollout *r, int64_t now_ms, uint64_t good, uint64_t bad)
{
    struct rollout_quality *q = &r->quality;
    if (now_ms - q->since_ms >= QUALITY_SPAN_MS) {
        bool next = now_ms - q->since_ms < 2 * QUALITY_SPAN_MS;
        q->good[1] = next ? q->good[0] : 0;
        q->bad[1] = next ? q->bad[0] : 0;
        q->good[0] = q->bad[0] = 0;
        q->since_ms = now_ms - now_ms % QUALITY_SPAN_MS;
    }
    q->good[0] += good;
    q->bad[0] += bad;
}
