/* engine/core/explain.c */
#include "engine/core/explain.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/core/kind.h"
#include "engine/core/strategy.h"
#include "stats/level.h"

void explain_add(struct turn *t, const char *fmt, ...)
{
    size_t used = strlen(t->message);
    va_list args;
    va_start(args, fmt);
    vsnprintf(t->message + used, sizeof t->message - used, fmt, args);
    va_end(args);
}

void explain_percent(double share, char out[24])
{
    double percent = 100 * share;
    if (percent == 0 || percent >= 0.1)
        snprintf(out, 24, "%.*f %%", percent == 0 ? 0 : percent < 10 ? 2 : 1, percent);
    else
        snprintf(out, 24, "%.2g %%", percent);
}

void explain_span(int64_t ms, char out[24])
{
    double s = (double)ms / 1000;
    if (s < 120)
        snprintf(out, 24, "%.3g s", s);
    else if (s < 7200)
        snprintf(out, 24, "%.3g min", s / 60);
    else
        snprintf(out, 24, "%.3g h", s / 3600);
}

/* "errors at 25 %: " */
static void where(const struct rollout *r, const struct evidence *e, struct turn *t)
{
    char at[64];
    strategy_where(r, at);
    explain_add(t, "%s at %s: ", e->metric->name, at);
}

static bool down(const struct evidence *e)
{
    return e->kind->lower != NULL ? e->kind->lower(e)
                                  : e->metric->direction == PLAN_DOWN;
}

void explain_clock(int64_t ms, char out[16])
{
    int64_t s = ms / 1000 % 86400;
    snprintf(out, 16, "%02d:%02d:%02d UTC", (int)(s / 3600), (int)(s / 60 % 60),
             (int)(s % 60));
}

/* "; began about 14:03:20 UTC, 42 windows before" */
static void began(const struct rollout *r, const struct evidence *e, struct turn *t)
{
    int64_t ms = 0;
    char clock[16];
    if (!(evidence_onset(e, &ms) > 0)) return;
    long long windows = (r->range.last_ms - ms) / r->window_ms;
    explain_clock(ms, clock);
    explain_add(t, "; began about %s, %lld window%s before", clock, windows,
                windows == 1 ? "" : "s");
}

static size_t strongest(const struct rollout *r)
{
    size_t best = 0;
    double most = -INFINITY;
    for (size_t i = 0; i < r->evidence.n; i++) {
        struct evidence_values v;
        if (!evidence_gates(&r->evidence.metrics[i])) continue;
        evidence_values(&r->evidence, i, 0, &v);
        if (v.abort <= most) continue;
        most = v.abort;
        best = i;
    }
    return best;
}

void explain_harm(const struct rollout *r, struct turn *t)
{
    int blamed = evidence_blame(&r->evidence, r->plan->alpha);
    size_t i = blamed >= 0 ? (size_t)blamed : strongest(r);
    const struct evidence *e = &r->evidence.metrics[i];
    struct evidence_values v;
    double lower, upper;
    evidence_values(&r->evidence, i, 0, &v);
    bool over = e->kind->limited(e) && v.limit >= v.harm;
    t->reason = over ? "limit" : "harm";
    t->metric = blamed >= 0 ? e->metric->name : "";
    e->kind->limits(e, r->plan->alpha, e->metric->beta, &lower, &upper);
    where(r, e, t);
    if (over) {
        e->kind->beyond(e, t);
    } else {
        e->kind->cohorts(e, t);
        e->kind->worse(e, t);
        began(r, e, t);
    }
    explain_add(t, "; evidence e^%.1f exceeds e^%.1f (alpha %g)",
                evidence_abort(&r->evidence), level_threshold(r->plan->alpha),
                r->plan->alpha);
    /* The harm may have begun late: the whole run says less than the evidence. Ranks
     * alone may abort before there is an estimate. */
    if (!over && isfinite(e->kind->estimate(e)))
        explain_add(t, "; %s of the whole run %.3g, at %s %.3g", e->kind->effect,
                    e->kind->estimate(e), down(e) ? "most" : "least",
                    down(e) ? upper : lower);
    if (blamed < 0) explain_add(t, "; no metric alone accounts for it");
}

static size_t weakest(const struct rollout *r, struct evidence_values *least)
{
    size_t worst = 0;
    least->promote = INFINITY;
    for (size_t i = 0; i < r->evidence.n; i++) {
        struct evidence_values v;
        if (!evidence_protected(&r->evidence.metrics[i])) continue;
        if (r->evidence.metrics[i].metric->any &&
            !evidence_passes(&r->evidence, i, r->step - 1))
            continue; /* another one stands for it */
        evidence_values(&r->evidence, i, r->step - 1, &v);
        if (v.promote >= least->promote) continue;
        *least = v;
        worst = i;
    }
    return worst;
}

void explain_safe(const struct rollout *r, struct turn *t)
{
    struct evidence_values v = {0};
    double lower, upper;
    const struct evidence *e = &r->evidence.metrics[weakest(r, &v)];
    t->reason = "non_inferior";
    t->metric = e->metric->name;
    where(r, e, t);
    e->kind->cohorts(e, t);
    e->kind->limits(e, r->plan->alpha, e->metric->beta, &lower, &upper);
    explain_add(t, "; %s of the whole run %.3g, at %s %.3g", e->kind->effect,
                e->kind->estimate(e), down(e) ? "least" : "most",
                down(e) ? lower : upper);
    explain_add(t,
                "; worse than %g is ruled out: evidence e^%.1f exceeds e^%.1f "
                "(beta %g)",
                rollout_step(r)->worse_than, v.promote,
                level_threshold(e->metric->beta), e->metric->beta);
    strategy_next(r, t);
}

void explain_start(const struct rollout *r, struct turn *t)
{
    t->reason = "start";
    explain_add(t, "start at %g %%", t->to_bp / 100.0);
    if (t->to_bp == 0) strategy_next(r, t);
    explain_add(t, "; windows of %g s", (double)r->window_ms / 1000);
    for (size_t i = 0; i < r->evidence.n; i++) {
        const struct evidence *e = &r->evidence.metrics[i];
        if (!evidence_gates(e) || e->kind == &kind_gauge) continue;
        explain_add(t, "; %s: dispersion %.3g%s", e->metric->name, e->phi,
                    e->metric->phi >= 1 ? " as planned" : "");
        if (e->phi >= 1.05) explain_add(t, ", needs %.2g times the requests", e->phi);
    }
    if (r->interval_ms > r->window_ms)
        explain_add(t, "; the window is shorter than the %lld s between reports",
                    (long long)(r->interval_ms / 1000));
}
