/* engine/core/strategy.c */
#include "engine/core/strategy.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/core/explain.h"
#include "engine/core/plan_keys.h"

static enum plan_step_kind kind(const struct rollout *r)
{
    const struct plan_step *s = r->plan != NULL ? rollout_step(r) : NULL;
    return s != NULL ? s->kind : PLAN_STEP_WEIGHT;
}

double strategy_share(const struct rollout *r)
{
    double w = r->weight_bp / 10000.0,
           copies = (1 - w) * strategy_mirror_bp(r) / 10000.0;
    if (kind(r) == PLAN_STEP_PREVIEW && r->weight_bp == 0) return (double)NAN;
    return (w + copies) / (1 + copies);
}

bool strategy_splits(const struct rollout *r)
{
    return r->weight_bp != 0 && kind(r) != PLAN_STEP_MIRROR &&
           kind(r) != PLAN_STEP_PREVIEW;
}

bool strategy_alone(const struct rollout *r)
{
    char **segments;
    return r->weight_bp == 0 && kind(r) == PLAN_STEP_WEIGHT &&
           strategy_audience(r, &segments) != 0;
}

bool strategy_served(const struct rollout *r, const char *stratum)
{
    char **segments;
    size_t n = strategy_audience(r, &segments);
    for (const char *at = stratum; n != 0; at++) {
        size_t length = strcspn(at, ",");
        for (size_t i = 0; i < n; i++)
            if (strlen(segments[i]) == length && memcmp(segments[i], at, length) == 0)
                return true;
        at += length;
        if (*at == '\0') break;
    }
    return false;
}

int64_t strategy_left(const struct rollout *r, int64_t now_ms)
{
    if (kind(r) != PLAN_STEP_PAUSE || rollout_step(r)->pause_ms == 0) return -1;
    int64_t end_ms = r->began_ms + rollout_step(r)->pause_ms + r->extend_ms;
    return end_ms > now_ms ? end_ms - now_ms : 0;
}

/* Enough of the canary alone, and within the limits. */
static bool segments_well(const struct rollout *r)
{
    if (r->range.n == 0 || r->range.last_ms - r->settle_ms < rollout_step(r)->bake_ms)
        return false;
    for (size_t i = 0; i < r->evidence.n; i++)
        if (evidence_protected(&r->evidence.metrics[i]) &&
            !evidence_alone(&r->evidence, i))
            return false;
    return true;
}

bool strategy_over(const struct rollout *r, int64_t now_ms, struct turn *t)
{
    char where[64], span[24];
    if (strategy_left(r, now_ms) == 0) {
        explain_span(rollout_step(r)->pause_ms + r->extend_ms, span);
        t->reason = "pause_over";
        explain_add(t, "paused for %s", span);
        return true;
    }
    if (!strategy_alone(r) || !segments_well(r)) return false;
    strategy_where(r, where);
    t->reason = "segments_well";
    explain_add(t, "%s: enough requests, within the limits and without harm", where);
    return true;
}

/* "5 % and segments internal, beta"; cut where it gets long. */
static void with_segments(const struct rollout *r, char **segments, size_t n,
                          char out[64])
{
    size_t used = 0;
    if (r->weight_bp != 0)
        used = (size_t)snprintf(out, 64, "%g %% and ", r->weight_bp / 100.0);
    for (size_t i = 0; i < n && used < 64; i++)
        used += (size_t)snprintf(out + used, 64 - used, "%s%s",
                                 i > 0   ? ", "
                                 : n > 1 ? "segments "
                                         : "segment ",
                                 segments[i]);
}

void strategy_where(const struct rollout *r, char out[64])
{
    char **segments;
    size_t n = strategy_audience(r, &segments);
    if (kind(r) == PLAN_STEP_PREVIEW)
        snprintf(out, 64, "preview traffic");
    else if (kind(r) == PLAN_STEP_MIRROR)
        snprintf(out, 64, "copies of %g %% of the requests",
                 strategy_mirror_bp(r) / 100.0);
    else if (n != 0 && r->weight_bp < 10000)
        with_segments(r, segments, n, out);
    else
        snprintf(out, 64, "%g %%", r->weight_bp / 100.0);
}

void strategy_next(const struct rollout *r, struct turn *t)
{
    char **segments;
    const struct plan_step *next = rollout_next(r);
    if (next == NULL) return;
    if (t->to_bp != r->weight_bp)
        explain_add(t, "; %g %% -> %g %%", r->weight_bp / 100.0, t->to_bp / 100.0);
    if (next->kind != PLAN_STEP_WEIGHT)
        explain_add(t, "; then %s", plan_keys_step_kinds[next->kind]);
    else if (next->n_audience > strategy_audience(r, &segments))
        explain_add(t, "; then segment %.64s", next->audience[next->n_audience - 1]);
}

void strategy_settled(const struct rollout *r, struct turn *t)
{
    char where[64], span[24];
    const struct plan_step *s = rollout_step(r);
    strategy_where(r, where);
    t->reason = "observing";
    if (s->kind != PLAN_STEP_PAUSE) {
        explain_add(t, "judges step %u at %s", r->step, where);
        return;
    }
    t->reason = "pause";
    explain_span(s->pause_ms, span);
    if (s->pause_ms != 0)
        explain_add(t, "step %u pauses for %s at %s", r->step, span, where);
    else
        explain_add(t, "step %u waits at %s until a person promotes it", r->step,
                    where);
}

void strategy_watched(const struct rollout *r, struct turn *t)
{
    char span[24];
    bool once = r->plan->strategy == PLAN_BLUE_GREEN;
    explain_span(rollout_step(r)->watch_ms, span);
    t->reason = once ? "old_side_may_go" : "watched";
    explain_add(t, "watched for %s at 100 %%: nothing spoke against it%s", span,
                once ? "; the old side may go" : "");
}

const char *strategy_refuses(const struct rollout *r, uint32_t weight_bp)
{
    if (r->plan->strategy == PLAN_BLUE_GREEN && weight_bp != 0 && weight_bp != 10000)
        return "blue_green switches all traffic at once: set 0% or 100%";
    return NULL;
}

const char *strategy_kind(const struct rollout *r)
{
    return r->step != 0 && r->plan != NULL ? plan_keys_step_kinds[kind(r)] : "";
}

size_t strategy_audience(const struct rollout *r, char ***out)
{
    const struct plan_step *s = r->plan != NULL ? rollout_step(r) : NULL;
    bool none = s == NULL || r->state == ROLLOUT_ABORTED;
    *out = none ? NULL : (char **)(uintptr_t)s->audience;
    return none ? 0 : s->n_audience;
}

uint32_t strategy_mirror_bp(const struct rollout *r)
{
    return kind(r) == PLAN_STEP_MIRROR && r->state != ROLLOUT_ABORTED
               ? rollout_step(r)->mirror_bp
               : 0;
}
