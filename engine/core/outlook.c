/* engine/core/outlook.c */
#include "engine/core/outlook.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/core/calibrate.h"
#include "engine/core/draw.h"
#include "engine/core/evidence.h"
#include "engine/core/kind.h"
#include "engine/core/outlook_notes.h"
#include "stats/forecast.h"
#include "stats/level.h"

/* Times of one question, one a run that came to it. */
struct sample {
    double *s;
    unsigned hits, runs;
};

enum { PASSES, READY, FOUND }; /* samples of a step: FOUND + odds */

struct sim {
    const struct outlook_query *q;
    struct plan plan; /* its metrics of kind ratio only */
    struct plan_metric metrics[PLAN_MAX_METRICS];
    double errors[PLAN_MAX_METRICS];
    size_t hit;
    struct evidence_set evidence;
    struct evidence *kept; /* at the begin of a step */
    struct draw draw;
    int64_t window_ms;
    uint64_t spent; /* windows, by metric */
    struct outlook *out;
    double *times; /* of all samples */
    struct sample steps[PLAN_MAX_STEPS][FOUND + OUTLOOK_MAX_ODDS], whole;
};

enum end { PASSED, ABORTED, UNDECIDED };

/* One canary on its way. */
struct walk {
    double odds;
    int64_t ms;     /* since it was begun */
    double exposed; /* requests to the canary */
};

bool outlook_simulated(const struct plan_metric *m)
{
    return m->kind == PLAN_RATIO && m->direction == PLAN_UP;
}

static double worse(double p, double odds)
{
    return odds * p / (1 + (odds - 1) * p);
}

static void note_time(struct sample *s, double seconds)
{
    s->s[s->hits++] = seconds;
}

/* ---- one window, one step, the steps to the end */
static enum serin_status window(struct sim *s, size_t step, struct walk *w)
{
    double share = s->plan.steps[step].weight_bp / 10000.0;
    double all = s->q->rate * (double)s->window_ms / 1000;
    uint64_t total = (uint64_t)floor(all + draw_uniform(&s->draw));
    uint64_t n = draw_binomial(&s->draw, total, share), m = total - n;
    enum serin_status rc = SERIN_OK;
    w->exposed += (double)n;
    w->ms += s->window_ms;
    s->spent += s->evidence.n;
    for (size_t i = 0; i < s->evidence.n && rc == SERIN_OK; i++) {
        double p = s->errors[i], phi = s->evidence.metrics[i].phi;
        double odds = i == s->hit ? w->odds : 1;
        struct count_table c = {n, draw_lumps(&s->draw, n, worse(p, odds), phi), m,
                                draw_lumps(&s->draw, m, p, phi)};
        struct kind_window one = {
            .tables = &c, .n = 1, .sum = c, .spread = c, .end_ms = w->ms};
        rc = evidence_window(&s->evidence, i, &one);
    }
    return rc;
}

static bool passes(const struct sim *s, size_t step)
{
    size_t protected = 0;
    for (size_t i = 0; i < s->evidence.n; i++) {
        if (!evidence_protected(&s->evidence.metrics[i])) continue;
        protected++;
        if (!evidence_passes(&s->evidence, i, step)) return false;
    }
    return protected > 0;
}

/* ready_ms: when it would have passed without a bake; unchanged when it would not. */
static enum serin_status play_step(struct sim *s, size_t step, struct walk *w,
                                   int64_t *ready_ms, enum end *end)
{
    const struct plan_step *t = &s->plan.steps[step];
    bool ready = false;
    int64_t began = w->ms, settled = began + t->warmup_ms;
    w->exposed += s->q->rate * t->weight_bp / 10000.0 * (double)t->warmup_ms / 1000;
    w->ms = settled;
    evidence_step(&s->evidence, settled);
    *end = UNDECIDED;
    while (w->ms + s->window_ms - began <= t->timeout_ms) {
        enum serin_status rc = window(s, step, w);
        if (rc != SERIN_OK) return rc;
        if (level_crossed(evidence_abort(&s->evidence), s->plan.alpha)) {
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

/* A regression from this step on. */
static enum serin_status play_bad(struct sim *s, size_t from, size_t which)
{
    struct outlook_found *found = &s->out->steps[from].found[which];
    struct sample *sample = &s->steps[from][FOUND + which];
    struct walk w = {.odds = s->q->odds[which]};
    double p = s->errors[s->hit];
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
    found->hurt += w.exposed * (worse(p, w.odds) - p);
    return SERIN_OK;
}

static enum serin_status play_bads(struct sim *s, size_t step)
{
    size_t bytes = s->evidence.n * sizeof *s->kept;
    enum serin_status rc = SERIN_OK;
    memcpy(s->kept, s->evidence.metrics, bytes);
    for (size_t i = 0; i < s->q->n_odds && rc == SERIN_OK; i++) {
        rc = play_bad(s, step, i);
        memcpy(s->evidence.metrics, s->kept, bytes);
    }
    return rc;
}

/* One healthy rollout, and at every step the bad ones that it might have become. A step
 * without a decision is taken as passed, so that the later ones are seen, too. */
static enum serin_status play(struct sim *s)
{
    struct walk w = {.odds = 1};
    bool decided = true;
    evidence_reset(&s->evidence);
    s->whole.runs++;
    for (size_t i = 0; i < s->out->n_steps; i++) {
        enum end end;
        int64_t began = w.ms, ready_ms = -1;
        enum serin_status rc = play_bads(s, i);
        if (rc == SERIN_OK) rc = play_step(s, i, &w, &ready_ms, &end);
        if (rc != SERIN_OK) return rc;
        s->steps[i][PASSES].runs++;
        s->steps[i][READY].runs++;
        if (ready_ms >= 0) note_time(&s->steps[i][READY], (double)ready_ms / 1000);
        if (end == PASSED)
            note_time(&s->steps[i][PASSES], (double)(w.ms - began) / 1000);
        s->out->steps[i].undecided += end == UNDECIDED;
        decided = decided && end == PASSED;
        s->out->aborted += end == ABORTED;
        if (end == ABORTED) return SERIN_OK;
    }
    if (decided) note_time(&s->whole, (double)w.ms / 1000);
    return SERIN_OK;
}

/* ---- results */
static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Least time within which this share of all runs came to it. */
static double quantile(const struct sample *s, double share)
{
    unsigned rank = (unsigned)ceil(share * s->runs);
    return rank >= 1 && rank <= s->hits ? s->s[rank - 1] : HUGE_VAL;
}

static struct outlook_time summary(struct sample *s)
{
    struct outlook_time t = {.hits = s->hits, .runs = s->runs, .mean_s = (double)NAN};
    double sum = 0;
    qsort(s->s, s->hits, sizeof *s->s, by_size);
    for (unsigned i = 0; i < s->hits; i++)
        sum += s->s[i];
    if (s->hits > 0) t.mean_s = sum / s->hits;
    t.p50_s = quantile(s, 0.5);
    t.p90_s = quantile(s, 0.9);
    return t;
}

/* The slowest protected metric. */
static double forecast(const struct sim *s, size_t step)
{
    const struct plan_step *t = &s->plan.steps[step];
    double most = 0, share = t->weight_bp / 10000.0;
    for (size_t i = 0; i < s->evidence.n; i++) {
        const struct evidence *e = &s->evidence.metrics[i];
        if (!evidence_protected(e)) continue;
        double speed = forecast_promote(s->errors[i], share, t->worse_than);
        double seconds =
            forecast_seconds(s->plan.beta, 0, speed, s->q->rate, 1 / e->phi);
        if (seconds > most) most = seconds;
    }
    return most;
}

static void conclude(struct sim *s)
{
    struct outlook *o = s->out;
    o->whole = summary(&s->whole);
    for (size_t i = 0; i < o->n_steps; i++) {
        struct outlook_step *t = &o->steps[i];
        t->passes = summary(&s->steps[i][PASSES]);
        t->ready = summary(&s->steps[i][READY]);
        t->forecast_s = forecast(s, i);
        for (size_t k = 0; k < s->q->n_odds; k++) {
            struct outlook_found *found = &t->found[k];
            found->abort = summary(&s->steps[i][FOUND + k]);
            if (found->abort.runs == 0) continue;
            found->exposed /= found->abort.runs;
            found->hurt /= found->abort.runs;
        }
    }
}

/* ---- preparation */
static bool in(double x, double low, double high)
{
    return x > low && x < high; /* NaN is not */
}

static enum serin_status check(const struct plan *p, const struct outlook_query *q,
                               struct fault *f)
{
    if (p->strategy == PLAN_EXPERIMENT)
        return fault_set(f, SERIN_EDOM,
                         "an experiment has no steps to pass; times are simulated for "
                         "the other strategies");
    if (!in(q->rate, 0, 1e9))
        return fault_set(f, SERIN_EDOM, "rate %g: above 0 and below 1e9 requests/s",
                         q->rate);
    for (size_t i = 0; i < p->n_metrics; i++)
        if (!in(q->errors[i], 0, 1))
            return fault_set(f, SERIN_EDOM, "errors %g of %s: a share between 0 and 1",
                             q->errors[i], p->metrics[i].name);
    for (size_t i = 0; i < q->n_odds; i++)
        if (!in(q->odds[i], 1, 1e6))
            return fault_set(f, SERIN_EDOM, "odds ratio %g: above 1 and below 1e6",
                             q->odds[i]);
    if (!(q->phi >= 1 && q->phi <= 1e4))
        return fault_set(f, SERIN_EDOM, "phi %g: between 1 and 10000", q->phi);
    if (q->hit >= p->n_metrics || !outlook_simulated(&p->metrics[q->hit]) ||
        p->metrics[q->hit].mode != PLAN_GATE)
        return fault_set(f, SERIN_EDOM,
                         "no metric of kind ratio and mode gate to look at; the times "
                         "of other kinds cannot be foreseen");
    if (q->runs < 1 || q->runs > OUTLOOK_MAX_RUNS || q->n_odds > OUTLOOK_MAX_ODDS)
        return fault_set(f, SERIN_EDOM, "runs %u, %zu odds ratios: 1 to %d, at most %d",
                         q->runs, q->n_odds, OUTLOOK_MAX_RUNS, OUTLOOK_MAX_ODDS);
    return SERIN_OK;
}

/* Kinds without a rate and metrics that decide nothing are left out. */
static void choose_metrics(struct sim *s, const struct plan *p)
{
    s->plan = *p;
    s->plan.metrics = s->metrics;
    s->plan.n_metrics = 0;
    for (size_t i = 0; i < p->n_metrics; i++) {
        const struct plan_metric *m = &p->metrics[i];
        if (!outlook_simulated(m) || m->mode != PLAN_GATE) continue;
        size_t at = s->plan.n_metrics++;
        s->metrics[at] = *m;
        if (!(m->phi >= 1)) s->metrics[at].phi = s->q->phi;
        s->errors[at] = s->q->errors[i];
        if (i == s->q->hit) s->hit = at;
    }
}

static enum serin_status make_room(struct sim *s, struct fault *f)
{
    size_t runs = s->q->runs, a_step = FOUND + s->q->n_odds;
    enum serin_status rc = evidence_open(&s->evidence, &s->plan, f);
    if (rc != SERIN_OK) return rc;
    evidence_horizon(&s->evidence, s->window_ms);
    s->kept = mem_calloc(s->evidence.n, sizeof *s->kept);
    s->times = mem_calloc(runs * (s->out->n_steps * a_step + 1), sizeof *s->times);
    if (s->kept == NULL || s->times == NULL)
        return fault_set(f, SERIN_ENOMEM, "out of memory for %zu runs", runs);
    double *at = s->whole.s = s->times;
    for (size_t i = 0; i < s->out->n_steps; i++)
        for (size_t k = 0; k < a_step; k++)
            s->steps[i][k].s = at += runs;
    return SERIN_OK;
}

static enum serin_status simulate(struct sim *s, struct fault *f)
{
    const struct outlook_query *q = s->q;
    enum serin_status rc = make_room(s, f);
    s->draw = draw_seeded(q->seed);
    for (unsigned i = 0; i < q->runs && rc == SERIN_OK; i++) {
        if (q->budget > 0 && s->spent > q->budget && i >= OUTLOOK_LEAST_RUNS) break;
        rc = play(s);
        s->out->runs = i + 1;
        if (rc != SERIN_OK)
            return fault_set(f, rc, "%g requests/s are more than a window can hold",
                             q->rate);
        if (q->progress != NULL) q->progress(q->context, i + 1, q->runs);
    }
    return rc;
}

enum serin_status outlook_make(const struct plan *p, const struct outlook_query *q,
                               struct outlook *out, struct fault *f)
{
    enum serin_status rc = check(p, q, f);
    if (rc != SERIN_OK) return rc;
    struct sim *s = mem_calloc(1, sizeof *s);
    if (s == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
    *out = (struct outlook){.window_ms = p->window_ms, .assumed = p->window_ms == 0};
    if (out->assumed) out->window_ms = CALIBRATE_DEFAULT_MS;
    while (out->n_steps < p->n_steps && p->steps[out->n_steps].weight_bp < 10000)
        out->n_steps++;
    s->q = q;
    s->out = out;
    s->window_ms = out->window_ms;
    choose_metrics(s, p);
    rc = simulate(s, f);
    if (rc == SERIN_OK) {
        conclude(s);
        outlook_notes(p, q, out);
    }
    evidence_close(&s->evidence);
    mem_free(s->kept);
    mem_free(s->times);
    mem_free(s);
    return rc;
}
