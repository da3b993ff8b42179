/* engine/core/outlook_walk.c -- canaries on their way through the steps, as the fold
 * would lead them */
#include "engine/core/outlook_sim.h"

#include <string.h>

#include "engine/core/experiment.h"
#include "engine/core/kind.h"
#include "stats/level.h"

enum end { PASSED, ABORTED, UNDECIDED };

bool outlook_walk_alone(const struct plan_step *t)
{
    return t->kind == PLAN_STEP_WEIGHT && t->weight_bp == 0 && t->n_audience != 0;
}

static void note_time(struct outlook_sample *s, double seconds)
{
    s->s[s->hits++] = seconds;
}

/* What lets the step pass, whatever the time. */
static bool passes(const struct outlook_sim *s, size_t step)
{
    const struct evidence_set *e = &s->evidence;
    if (!outlook_walk_alone(&s->plan.steps[step])) return evidence_all_pass(e, step);
    for (size_t i = 0; i < e->n; i++)
        if (evidence_protected(&e->metrics[i]) && !evidence_alone(e, i)) return false;
    return true;
}

static bool harmed(const struct outlook_sim *s)
{
    return level_crossed(evidence_abort(&s->evidence), s->plan.alpha);
}

static void begin_step(struct outlook_sim *s, size_t step, struct outlook_walk *w)
{
    const struct plan_step *t = &s->plan.steps[step];
    w->exposed +=
        outlook_traffic_flow(&s->plan, s->q, step).people * (double)t->warmup_ms / 1000;
    w->ms += t->warmup_ms;
    memset(w->batched_ms, 0, sizeof w->batched_ms);
    evidence_step(&s->evidence, w->ms);
}

/* It is judged as it goes by; by itself it ends with its time only. */
static enum serin_status play_pause(struct outlook_sim *s, size_t step,
                                    struct outlook_walk *w, enum end *end)
{
    const struct plan_step *t = &s->plan.steps[step];
    int64_t over = w->ms + t->pause_ms;
    bool judged = t->weight_bp != 0 || t->n_audience != 0;
    *end = PASSED;
    if (t->pause_ms == 0) return SERIN_OK;
    begin_step(s, step, w);
    while (judged && w->ms + w->window_ms <= over) {
        enum serin_status rc = outlook_traffic_window(s, step, w);
        if (rc != SERIN_OK) return rc;
        if (!harmed(s)) continue;
        *end = ABORTED;
        return SERIN_OK;
    }
    if (w->ms < over) w->ms = over;
    return SERIN_OK;
}

/* ready_ms: when it would have passed without a bake; unchanged when it would not. */
static enum serin_status play_judged(struct outlook_sim *s, size_t step,
                                     struct outlook_walk *w, int64_t *ready_ms,
                                     enum end *end)
{
    const struct plan_step *t = &s->plan.steps[step];
    bool ready = false;
    int64_t began = w->ms;
    begin_step(s, step, w);
    int64_t settled = w->ms;
    *end = UNDECIDED;
    while (w->ms + w->window_ms - began <= t->timeout_ms) {
        enum serin_status rc = outlook_traffic_window(s, step, w);
        if (rc != SERIN_OK) return rc;
        if (harmed(s)) {
            *end = ABORTED;
            return SERIN_OK;
        }
        bool baked = w->ms - settled >= t->bake_ms;
        if (ready && !baked) continue;
        bool now = passes(s, step);
        if (now && !ready) *ready_ms = w->ms - began;
        ready = ready || now;
        if (!now || !baked) continue;
        *end = PASSED;
        return SERIN_OK;
    }
    return SERIN_OK;
}

static enum serin_status play_step(struct outlook_sim *s, size_t step,
                                   struct outlook_walk *w, int64_t *ready_ms,
                                   enum end *end)
{
    if (s->plan.steps[step].kind == PLAN_STEP_PAUSE) return play_pause(s, step, w, end);
    if (!s->out->steps[step].guessed) return play_judged(s, step, w, ready_ms, end);
    begin_step(s, step, w);
    w->ms += s->plan.steps[step].bake_ms;
    *end = PASSED;
    return SERIN_OK;
}

static size_t source_of(const struct outlook_sim *s, size_t metric)
{
    size_t i = 0;
    while (s->sources[i].of != metric)
        i++;
    return i;
}

/* Bad requests of the canary by a regression that is w.exposed requests long; of events
 * the additional ones (or, where fewer is worse, the missing ones). */
static double hurt(const struct outlook_sim *s, const struct outlook_walk *w)
{
    const struct outlook_bad *bad = w->bad;
    const struct outlook_base *base = &s->q->latency[bad->metric];
    size_t i = source_of(s, bad->metric);
    double share = w->exposed / (s->q->rate * (double)w->ms / 1000 + 1);
    double p = s->sources[i].errors, times = outlook_traffic_times(&s->metrics[i], bad);
    switch (s->metrics[i].kind) {
    case PLAN_LATENCY:
        return w->exposed * (outlook_shape_beyond(base, bad, base->p99_ms) -
                             outlook_shape_beyond(base, NULL, base->p99_ms));
    case PLAN_RATIO:
        return w->exposed * fabs(outlook_traffic_worse(p, times) - p);
    case PLAN_EVENTS:
        return fabs(times - 1) * share * s->sources[i].events * (double)w->ms / 1000;
    case PLAN_GAUGE:
    case PLAN_SATURATION:
    case PLAN_NKIND:
        break;
    }
    return (double)NAN;
}

/* A regression from this step on. */
static enum serin_status play_bad(struct outlook_sim *s, size_t from, size_t which)
{
    struct outlook_found *found = &s->out->steps[from].found[which];
    struct outlook_sample *sample = &s->steps[from][OUTLOOK_FOUND + which];
    struct outlook_walk w = {.bad = &s->q->bads[which], .window_ms = s->out->window_ms};
    enum end end = PASSED;
    int64_t ready_ms;
    sample->runs++;
    for (size_t i = from; i < s->out->n_steps && end == PASSED; i++) {
        enum serin_status rc = play_step(s, i, &w, &ready_ms, &end);
        if (rc != SERIN_OK) return rc;
    }
    if (end == ABORTED) note_time(sample, (double)w.ms / 1000);
    found->promoted += end == PASSED;
    found->undecided += end == UNDECIDED;
    found->exposed += w.exposed;
    found->hurt += hurt(s, &w);
    return SERIN_OK;
}

/* Evidence is put aside, or taken back, with what its kind keeps. */
static void keep(struct outlook_sim *s, bool back)
{
    size_t n = s->evidence.n, bytes = n * sizeof *s->kept;
    char *own = s->kept_own;
    memcpy(back ? s->evidence.metrics : s->kept, back ? s->kept : s->evidence.metrics,
           bytes);
    for (size_t i = 0; i < n; i++) {
        const struct evidence *e = &s->evidence.metrics[i];
        if (e->kind->size == 0) continue;
        memcpy(back ? e->own : own, back ? own : e->own, e->kind->size);
        own += e->kind->size;
    }
}

/* Where nothing is drawn, nothing can turn bad. */
static bool drawn(const struct outlook_sim *s, size_t step)
{
    const struct plan_step *t = &s->plan.steps[step];
    return t->kind != PLAN_STEP_PAUSE && !s->out->steps[step].guessed;
}

static enum serin_status play_bads(struct outlook_sim *s, size_t step)
{
    enum serin_status rc = SERIN_OK;
    if (!drawn(s, step)) return rc;
    keep(s, false);
    for (size_t i = 0; i < s->q->n_bads && rc == SERIN_OK; i++) {
        rc = play_bad(s, step, i);
        keep(s, true);
    }
    return rc;
}

/* One healthy rollout, and at every step the bad ones that it might have become. A step
 * without a decision is taken as passed, so that the later ones are seen, too. */
static enum serin_status play(struct outlook_sim *s)
{
    struct outlook_walk w = {.window_ms = s->out->window_ms};
    bool decided = true;
    evidence_reset(&s->evidence);
    s->whole.runs++;
    for (size_t i = 0; i < s->out->n_steps; i++) {
        enum end end;
        int64_t began = w.ms, ready_ms = -1;
        enum serin_status rc = play_bads(s, i);
        if (rc == SERIN_OK) rc = play_step(s, i, &w, &ready_ms, &end);
        if (rc != SERIN_OK) return rc;
        s->steps[i][OUTLOOK_PASSES].runs++;
        s->steps[i][OUTLOOK_READY].runs++;
        if (ready_ms >= 0)
            note_time(&s->steps[i][OUTLOOK_READY], (double)ready_ms / 1000);
        if (end == PASSED)
            note_time(&s->steps[i][OUTLOOK_PASSES], (double)(w.ms - began) / 1000);
        s->out->steps[i].undecided += end == UNDECIDED;
        decided = decided && end == PASSED;
        s->out->aborted += end == ABORTED;
        if (end == ABORTED) return SERIN_OK;
    }
    if (decided) note_time(&s->whole, (double)w.ms / 1000);
    return SERIN_OK;
}

/* ---- experiments */
/* Weeks of looks a second apart are many: the later ones are further apart, by a small
 * part of the time so far, but no batch is skipped. */
static int64_t next_look(const struct outlook_sim *s, int64_t since_ms)
{
    enum { PART = 64 };
    int64_t least = s->out->window_ms, ms = since_ms / PART / least * least;
    for (size_t i = 0; i < s->plan.n_metrics; i++) {
        enum plan_kind kind = s->metrics[i].kind;
        if (kind != PLAN_GAUGE && kind != PLAN_SATURATION) continue;
        if (ms > s->metrics[i].batch_ms) ms = s->metrics[i].batch_ms;
    }
    return ms > least ? ms : least;
}

static const struct evidence *primary(const struct outlook_sim *s)
{
    size_t i = 0;
    while (!s->metrics[i].primary)
        i++;
    return &s->evidence.metrics[i];
}

/* at: 0 without an effect, else 1 + regression. */
static enum serin_status ask(struct outlook_sim *s, size_t at)
{
    static const enum outlook_end ends[RESULT_N] = {[RESULT_WIN] = OUTLOOK_WIN,
                                                    [RESULT_LOSE] = OUTLOOK_LOSE,
                                                    [RESULT_NO_DIFFERENCE] =
                                                        OUTLOOK_SAME};
    const struct evidence *e = primary(s);
    struct outlook_walk w = {.bad = at > 0 ? &s->q->bads[at - 1] : NULL};
    evidence_reset(&s->evidence);
    begin_step(s, 0, &w);
    int64_t settled = w.ms;
    for (int k = 0; k < OUTLOOK_N_ENDS; k++)
        s->answers[at][k].runs++;
    for (;;) {
        w.window_ms = next_look(s, w.ms - settled);
        if (w.ms + w.window_ms > s->plan.experiment.duration_ms) break;
        enum serin_status rc = outlook_traffic_window(s, 0, &w);
        if (rc != SERIN_OK) return rc;
        enum rollout_result answer = experiment_decide(&s->plan, e);
        bool aborted = harmed(s);
        if (!aborted && answer == RESULT_NONE) continue;
        note_time(&s->answers[at][aborted ? OUTLOOK_GUARDED : ends[answer]],
                  (double)w.ms / 1000);
        return SERIN_OK;
    }
    s->out->answers[at].open++;
    return SERIN_OK;
}

enum serin_status outlook_walk_run(struct outlook_sim *s)
{
    enum serin_status rc = SERIN_OK;
    if (s->plan.strategy != PLAN_EXPERIMENT) return play(s);
    for (size_t i = 0; i <= s->q->n_bads && rc == SERIN_OK; i++)
        rc = ask(s, i);
    return rc;
}
