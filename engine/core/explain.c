/* engine/core/explain.c */
#include "engine/core/explain.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "stats/elem.h"
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

static void weight(uint32_t bp, char out[24])
{
    snprintf(out, 24, "%g %%", bp / 100.0);
}

/* "latency at 25 %: p99 canary 812 ms vs baseline 640 ms" */
static void quantiles(const struct rollout *r, const struct evidence *e, int level,
                      struct turn *t)
{
    char at[24];
    double q = exceedance_levels[level];
    weight(r->weight_bp, at);
    explain_add(t, "%s at %s: %s canary %.3g ms", e->metric->name, at,
                latency_level_name(level),
                latency_quantile(e->latency, EVIDENCE_CANARY, q));
    if (e->counts.m != 0)
        explain_add(t, " vs baseline %.3g ms",
                    latency_quantile(e->latency, EVIDENCE_BASELINE, q));
    else
        explain_add(t, ", no baseline");
}

/* "errors at 25 %: canary 1.02 % vs baseline 0.10 %": the rates of this step */
static void rates(const struct rollout *r, const struct evidence *e, struct turn *t)
{
    char c[24], b[24], at[24];
    const struct count_table *n = &e->counts;
    if (e->latency != NULL) {
        quantiles(r, e, latency_worst(e->latency, e->grid), t);
        return;
    }
    explain_percent(n->n != 0 ? (double)n->x / (double)n->n : 0, c);
    explain_percent(n->m != 0 ? (double)n->y / (double)n->m : 0, b);
    weight(r->weight_bp, at);
    explain_add(t, "%s at %s: canary %s", e->metric->name, at, c);
    if (n->m != 0) explain_add(t, " vs baseline %s", b);
}

static void limits(const struct rollout *r, const struct evidence *e, double *lower,
                   double *upper)
{
    profile_limits(evidence_profile(e), e->grid, r->plan->alpha, r->plan->beta, lower,
                   upper);
    *lower = elem_exp(*lower);
    *upper = elem_exp(*upper);
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

static void beyond(const struct rollout *r, const struct evidence *e, struct turn *t)
{
    char limit[24];
    int level = e->latency != NULL ? latency_beyond(e->latency) : -1;
    if (level < 0) {
        rates(r, e, t);
        explain_percent(e->metric->limit, limit);
        explain_add(t, ", above its limit %s", limit);
        return;
    }
    quantiles(r, e, level, t);
    explain_add(t, ", above its limit %lld ms", (long long)e->metric->limit_ms[level]);
}

static void harmed(const struct evidence *e, struct turn *t)
{
    if (e->latency == NULL)
        explain_add(t, ", more than %g times the odds", e->metric->abort_over);
    else if (e->latency->allows)
        explain_add(t, ", more than %.4g times as long", latency_over(e->latency));
    else
        explain_add(t, ", slower");
}

void explain_harm(const struct rollout *r, struct turn *t)
{
    int blamed = evidence_blame(&r->evidence, r->plan->alpha);
    size_t i = blamed >= 0 ? (size_t)blamed : strongest(r);
    const struct evidence *e = &r->evidence.metrics[i];
    struct evidence_values v;
    double lower, upper;
    evidence_values(&r->evidence, i, 0, &v);
    bool over = evidence_limited(e) && v.limit >= v.harm;
    t->reason = over ? "limit" : "harm";
    t->metric = blamed >= 0 ? e->metric->name : "";
    limits(r, e, &lower, &upper);
    if (over) {
        beyond(r, e, t);
    } else {
        rates(r, e, t);
        harmed(e, t);
    }
    explain_add(t, "; evidence e^%.1f exceeds e^%.1f (alpha %g)",
                evidence_abort(&r->evidence), level_threshold(r->plan->alpha),
                r->plan->alpha);
    /* The harm may have begun late: the whole run says less than the evidence. */
    if (!over)
        explain_add(t, "; odds ratio of the whole run %.3g, at least %.3g",
                    elem_exp(profile_estimate(evidence_profile(e), e->grid)), lower);
    if (blamed < 0) explain_add(t, "; no metric alone accounts for it");
}

static size_t weakest(const struct rollout *r, struct evidence_values *least)
{
    size_t worst = 0;
    least->promote = INFINITY;
    for (size_t i = 0; i < r->evidence.n; i++) {
        struct evidence_values v;
        if (!evidence_protected(&r->evidence.metrics[i])) continue;
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
    char from[24], to[24];
    const struct evidence *e = &r->evidence.metrics[weakest(r, &v)];
    t->reason = "non_inferior";
    t->metric = e->metric->name;
    rates(r, e, t);
    limits(r, e, &lower, &upper);
    explain_add(t, "; odds ratio of the whole run %.3g, at most %.3g",
                elem_exp(profile_estimate(evidence_profile(e), e->grid)), upper);
    explain_add(t,
                "; worse than %g is ruled out: evidence e^%.1f exceeds e^%.1f "
                "(beta %g)",
                rollout_step(r)->worse_than, v.promote, level_threshold(r->plan->beta),
                r->plan->beta);
    weight(r->weight_bp, from);
    weight(t->to_bp, to);
    if (t->to_bp != r->weight_bp) explain_add(t, "; %s -> %s", from, to);
}

void explain_start(const struct rollout *r, struct turn *t)
{
    char to[24];
    weight(t->to_bp, to);
    t->reason = "start";
    explain_add(t, "start at %s; windows of %g s", to, (double)r->window_ms / 1000);
    for (size_t i = 0; i < r->evidence.n; i++) {
        const struct evidence *e = &r->evidence.metrics[i];
        if (!evidence_gates(e)) continue;
        explain_add(t, "; %s: dispersion %.3g%s", e->metric->name, e->phi,
                    e->metric->phi >= 1 ? " as planned" : "");
        if (e->phi >= 1.05) explain_add(t, ", needs %.2g times the requests", e->phi);
    }
    if (r->interval_ms > r->window_ms)
        explain_add(t, "; the window is shorter than the %lld s between reports",
                    (long long)(r->interval_ms / 1000));
}
