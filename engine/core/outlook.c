/* engine/core/outlook.c */
#include "engine/core/outlook.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/core/calibrate.h"
#include "engine/core/draw.h"
#include "engine/core/evidence.h"
#include "engine/core/kind.h"
#include "engine/core/latency.h"
#include "engine/core/outlook_notes.h"
#include "engine/core/outlook_shape.h"
#include "stats/forecast.h"
#include "stats/level.h"

/* Times of one question, one a run that came to it. */
struct sample {
    double *s;
    unsigned hits, runs;
};

enum { PASSES, READY, FOUND }; /* samples of a step: FOUND + regression */
enum { COST_LATENCY = 15 };    /* of one of its windows, in those of a ratio */

/* One simulated metric. */
struct source {
    size_t of;                   /* index in the query's plan */
    double errors;               /* of a ratio */
    double events;               /* a second, both cohorts together */
    struct outlook_shape *usual; /* of a latency; NULL otherwise */
};

struct sim {
    const struct outlook_query *q;
    struct plan plan; /* its simulated metrics only */
    struct plan_metric metrics[PLAN_MAX_METRICS];
    struct source sources[PLAN_MAX_METRICS];
    struct outlook_shape *shapes; /* usual ones, then one a regression */
    const struct outlook_shape *worse[OUTLOOK_MAX_BAD]; /* NULL: of a ratio */
    struct evidence_set evidence;
    struct evidence *kept; /* at the begin of a step … */
    char *kept_own;        /* … and what their kinds keep */
    struct draw draw;
    int64_t window_ms;
    uint64_t spent; /* windows, by metric */
    struct outlook *out;
    double *times; /* of all samples */
    struct sample steps[PLAN_MAX_STEPS][FOUND + OUTLOOK_MAX_BAD], whole;
    uint64_t counts[2][HIST_ROOM]; /* of the latency being drawn */
};

enum end { PASSED, ABORTED, UNDECIDED };

/* One canary on its way. */
struct walk {
    const struct outlook_bad *bad; /* NULL: healthy */
    int64_t ms;                    /* since it was begun */
    double exposed;                /* requests to the canary */
};

bool outlook_simulated(const struct plan *p, const struct outlook_query *q, size_t i)
{
    const struct plan_metric *m = &p->metrics[i];
    if (m->mode != PLAN_GATE) return false;
    if (m->kind == PLAN_LATENCY)
        return q->latency[i].p50_ms != 0 && m->direction != PLAN_DOWN;
    return m->kind == PLAN_RATIO || (m->kind == PLAN_EVENTS && q->events[i] != 0);
}

static double worse(double p, double odds)
{
    return odds * p / (1 + (odds - 1) * p);
}

/* Where fewer is worse, a regression takes away. */
static double times_of(const struct plan_metric *m, const struct outlook_bad *bad)
{
    return m->direction == PLAN_DOWN ? 1 / bad->size : bad->size;
}

static void note_time(struct sample *s, double seconds)
{
    s->s[s->hits++] = seconds;
}

/* ---- one window, one step, the steps to the end */
static enum serin_status fold(struct sim *s, size_t i, struct kind_window *w,
                              int64_t end_ms)
{
    w->n = 1;
    w->start_ms = end_ms - s->window_ms;
    w->end_ms = end_ms;
    return evidence_window(&s->evidence, i, w);
}

static const struct outlook_shape *shape_of(const struct sim *s, size_t i,
                                            const struct outlook_bad *bad)
{
    if (bad == NULL || bad->metric != s->sources[i].of) return s->sources[i].usual;
    return s->worse[bad - s->q->bads];
}

static enum serin_status take_latency(struct sim *s, size_t i, uint64_t n, uint64_t m,
                                      const struct walk *w)
{
    const struct outlook_shape *usual = s->sources[i].usual;
    double phi = s->evidence.metrics[i].phi;
    struct latency_stratum h = {
        outlook_shape_draw(shape_of(s, i, w->bad), &s->draw, n, phi, s->counts[0]),
        outlook_shape_draw(usual, &s->draw, m, phi, s->counts[1])};
    struct count_table c = {.n = hist_total(&h.canary), .m = hist_total(&h.baseline)};
    struct kind_window one = {.tables = &c, .hists = &h, .sum = c, .spread = c};
    return fold(s, i, &one, w->ms);
}

/* How much worse the canary is at this metric now; 1: as usual. */
static double times_now(const struct sim *s, size_t i, const struct walk *w)
{
    if (w->bad == NULL || w->bad->metric != s->sources[i].of) return 1;
    return times_of(&s->metrics[i], w->bad);
}

static enum serin_status take_ratio(struct sim *s, size_t i, uint64_t n, uint64_t m,
                                    const struct walk *w)
{
    double phi = s->evidence.metrics[i].phi, p = s->sources[i].errors;
    struct count_table c = {n,
                            draw_lumps(&s->draw, n, worse(p, times_now(s, i, w)), phi),
                            m, draw_lumps(&s->draw, m, p, phi)};
    struct kind_window one = {.tables = &c, .sum = c, .spread = c};
    return fold(s, i, &one, w->ms);
}

/* Where pods are the exposure, their number; else the requests. */
static enum serin_status take_events(struct sim *s, size_t i, uint64_t n, uint64_t m,
                                     const struct walk *w)
{
    const struct plan_metric *metric = &s->metrics[i];
    bool pods = metric->exposure_metric < 0;
    double phi = s->evidence.metrics[i].phi, seconds = (double)s->window_ms / 1000;
    struct event_table e = {pods ? metric->exposure_pods[0] * seconds : (double)n,
                            pods ? metric->exposure_pods[1] * seconds : (double)m, 0,
                            0};
    double all = e.exposure_c + e.exposure_b, mean = s->sources[i].events * seconds;
    if (e.exposure_c > 0)
        e.x =
            draw_events(&s->draw, mean * times_now(s, i, w) * e.exposure_c / all, phi);
    if (e.exposure_b > 0) e.y = draw_events(&s->draw, mean * e.exposure_b / all, phi);
    struct count_table c = {(uint64_t)e.exposure_c, e.x, (uint64_t)e.exposure_b, e.y};
    const struct count_table none = {0}; /* the dispersion is no part of this */
    struct kind_window one = {.events = &e, .sum = c, .spread = none};
    return fold(s, i, &one, w->ms);
}

/* n requests of the canary, m of the baseline. */
static enum serin_status take(struct sim *s, size_t i, uint64_t n, uint64_t m,
                              const struct walk *w)
{
    if (s->metrics[i].kind == PLAN_LATENCY) return take_latency(s, i, n, m, w);
    if (s->metrics[i].kind == PLAN_EVENTS) return take_events(s, i, n, m, w);
    return take_ratio(s, i, n, m, w);
}

static enum serin_status window(struct sim *s, size_t step, struct walk *w)
{
    double share = s->plan.steps[step].weight_bp / 10000.0;
    double all = s->q->rate * (double)s->window_ms / 1000;
    uint64_t total = (uint64_t)floor(all + draw_uniform(&s->draw));
    uint64_t n = draw_binomial(&s->draw, total, share), m = total - n;
    enum serin_status rc = SERIN_OK;
    w->exposed += (double)n;
    w->ms += s->window_ms;
    for (size_t i = 0; i < s->evidence.n && rc == SERIN_OK; i++) {
        s->spent += s->sources[i].usual != NULL ? COST_LATENCY : 1;
        rc = take(s, i, n, m, w);
    }
    return rc;
}

static bool passes(const struct sim *s, size_t step)
{
    return evidence_all_pass(&s->evidence, step);
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

/* Bad requests of the canary by a regression that is w.exposed requests long; of events
 * the additional ones (or, where fewer is worse, the missing ones). */
static double hurt(const struct sim *s, const struct walk *w, double share)
{
    const struct outlook_bad *bad = w->bad;
    const struct outlook_base *base = &s->q->latency[bad->metric];
    size_t i = 0;
    while (s->sources[i].of != bad->metric)
        i++;
    double p = s->sources[i].errors, times = times_of(&s->metrics[i], bad);
    if (s->metrics[i].kind == PLAN_LATENCY)
        return w->exposed * (outlook_shape_beyond(base, bad, base->p99_ms) -
                             outlook_shape_beyond(base, NULL, base->p99_ms));
    if (s->metrics[i].kind == PLAN_RATIO) return w->exposed * fabs(worse(p, times) - p);
    return fabs(times - 1) * share * s->sources[i].events * (double)w->ms / 1000;
}

/* A regression from this step on. */
static enum serin_status play_bad(struct sim *s, size_t from, size_t which)
{
    struct outlook_found *found = &s->out->steps[from].found[which];
    struct sample *sample = &s->steps[from][FOUND + which];
    struct walk w = {.bad = &s->q->bads[which]};
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
    found->hurt += hurt(s, &w, w.exposed / (s->q->rate * (double)w.ms / 1000 + 1));
    return SERIN_OK;
}

/* Evidence is put aside, or taken back, with what its kind keeps. */
static void keep(struct sim *s, bool back)
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

static enum serin_status play_bads(struct sim *s, size_t step)
{
    enum serin_status rc = SERIN_OK;
    keep(s, false);
    for (size_t i = 0; i < s->q->n_bads && rc == SERIN_OK; i++) {
        rc = play_bad(s, step, i);
        keep(s, true);
    }
    return rc;
}

/* One healthy rollout, and at every step the bad ones that it might have become. A step
 * without a decision is taken as passed, so that the later ones are seen, too. */
static enum serin_status play(struct sim *s)
{
    struct walk w = {0};
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

/* Of the bad ones. */
static double usual_share(const struct sim *s, size_t i)
{
    double p = s->sources[i].errors;
    return s->metrics[i].direction == PLAN_DOWN ? 1 - p : p;
}

static double slowest_events(const struct sim *s, size_t i, const struct plan_step *t)
{
    const struct plan_metric *m = &s->metrics[i];
    double share = t->weight_bp / 10000.0,
           pods = m->exposure_pods[0] + m->exposure_pods[1];
    if (m->exposure_metric < 0) share = m->exposure_pods[0] / pods;
    if (m->direction == PLAN_DOWN) share = 1 - share;
    /* Growth per event: of the rate only the product with the exposure matters. */
    double speed = 2 * forecast_promote(0.5, share, t->worse_than);
    return forecast_seconds(s->plan.beta, 0, speed, s->sources[i].events,
                            1 / s->evidence.metrics[i].phi);
}

/* A metric's slowest level, -1 of what has none. */
static double slowest_of(const struct sim *s, size_t i, const struct plan_step *t,
                         int *level)
{
    const struct evidence *e = &s->evidence.metrics[i];
    const struct latency *l = e->own;
    double share = t->weight_bp / 10000.0, least = INFINITY;
    *level = -1;
    if (e->metric->kind == PLAN_EVENTS) return slowest_events(s, i, t);
    if (s->sources[i].usual == NULL)
        least = forecast_promote_share(usual_share(s, i), share, t->worse_than);
    for (int q = 0; s->sources[i].usual != NULL && q < EXCEEDANCE_LEVELS; q++) {
        if (!l->protects[q]) continue;
        double speed =
            forecast_promote_share(1 - exceedance_levels[q], share, t->worse_than);
        if (speed >= least) continue;
        least = speed;
        *level = q;
    }
    return forecast_seconds(s->plan.beta, 0, least, s->q->rate, 1 / e->phi);
}

/* The slowest protected metric. */
static void forecast(const struct sim *s, size_t step, struct outlook_step *out)
{
    for (size_t i = 0; i < s->evidence.n; i++) {
        const struct evidence *e = &s->evidence.metrics[i];
        int level;
        if (!evidence_protected(e)) continue;
        double seconds = slowest_of(s, i, &s->plan.steps[step], &level);
        if (seconds <= out->forecast_s) continue;
        out->forecast_s = seconds;
        snprintf(out->slowest, sizeof out->slowest, "%.40s%s%s", e->metric->name,
                 level >= 0 ? " " : "", level >= 0 ? latency_level_name(level) : "");
    }
}

static void conclude(struct sim *s)
{
    struct outlook *o = s->out;
    o->whole = summary(&s->whole);
    for (size_t i = 0; i < o->n_steps; i++) {
        struct outlook_step *t = &o->steps[i];
        t->passes = summary(&s->steps[i][PASSES]);
        t->ready = summary(&s->steps[i][READY]);
        forecast(s, i, t);
        for (size_t k = 0; k < s->q->n_bads; k++) {
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

static enum serin_status check_bad(const struct plan *p, const struct outlook_query *q,
                                   const struct outlook_bad *b, struct fault *f)
{
    bool odds = b->how == OUTLOOK_ODDS;
    if (b->metric >= p->n_metrics || !outlook_simulated(p, q, b->metric) ||
        odds == (p->metrics[b->metric].kind == PLAN_LATENCY))
        return fault_set(f, SERIN_EDOM,
                         "a regression is of a metric of mode gate that is simulated: "
                         "longer times of a latency, else an odds or rate ratio");
    if (b->how != OUTLOOK_TAIL && !in(b->size, 1, 1e6))
        return fault_set(f, SERIN_EDOM, "%s %g: above 1 and below 1e6",
                         odds ? "odds ratio" : "slower", b->size);
    if (b->how == OUTLOOK_TAIL && !(in(b->size, 0, 1e9) && in(b->share, 0, 1)))
        return fault_set(f, SERIN_EDOM,
                         "tail: %g of the requests take %g ms more: a share between 0 "
                         "and 1, a time above 0",
                         b->share, b->size);
    return SERIN_OK;
}

static enum serin_status check_metrics(const struct plan *p,
                                       const struct outlook_query *q, struct fault *f)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_metrics; i++) {
        const struct outlook_base *base = &q->latency[i];
        double ratio = base->p99_ms / base->p50_ms;
        n += outlook_simulated(p, q, i);
        if (!(q->events[i] >= 0 && q->events[i] < 1e9))
            return fault_set(f, SERIN_EDOM, "events %g/s of %s: at least 0, below 1e9",
                             q->events[i], p->metrics[i].name);
        if (!in(q->errors[i], 0, 1))
            return fault_set(f, SERIN_EDOM, "errors %g of %s: a share between 0 and 1",
                             q->errors[i], p->metrics[i].name);
        if (base->p50_ms != 0 &&
            !(in(base->p50_ms, 0, 1e9) && ratio > 1 && ratio <= 100))
            return fault_set(f, SERIN_EDOM,
                             "latency p50 %g ms, p99 %g ms of %s: p50 above 0, p99 "
                             "above it and at most 100 times as long",
                             base->p50_ms, base->p99_ms, p->metrics[i].name);
    }
    if (n > 0) return SERIN_OK;
    return fault_set(
        f, SERIN_EDOM,
        "no metric of mode gate to look at: a ratio, a latency whose usual "
        "p50 and p99, or events whose usual rate is given; other kinds "
        "cannot be foreseen");
}

/* Mirrors, previews, segments and pauses: what they bring is not in the question. */
static enum serin_status check_steps(const struct plan *p, struct fault *f)
{
    for (size_t i = 0; i < p->n_steps; i++) {
        enum plan_step_kind kind = p->steps[i].kind;
        if ((kind == PLAN_STEP_WEIGHT || kind == PLAN_STEP_ANALYSIS) &&
            p->steps[i].n_audience == 0)
            continue;
        return fault_set(
            f, SERIN_EDOM,
            "step %zu: only weights and analysis_only are simulated; leave "
            "steps of other kinds and the audience out of a copy of the "
            "plan",
            i + 1);
    }
    return SERIN_OK;
}

static enum serin_status check(const struct plan *p, const struct outlook_query *q,
                               struct fault *f)
{
    if (check_steps(p, f) != SERIN_OK) return SERIN_EDOM;
    if (p->strategy == PLAN_EXPERIMENT)
        return fault_set(f, SERIN_EDOM,
                         "an experiment has no steps to pass; times are simulated for "
                         "the other strategies");
    if (!in(q->rate, 0, 1e9))
        return fault_set(f, SERIN_EDOM, "rate %g: above 0 and below 1e9 requests/s",
                         q->rate);
    if (!(q->phi >= 1 && q->phi <= 1e4))
        return fault_set(f, SERIN_EDOM, "phi %g: between 1 and 10000", q->phi);
    if (q->runs < 1 || q->runs > OUTLOOK_MAX_RUNS || q->n_bads > OUTLOOK_MAX_BAD)
        return fault_set(f, SERIN_EDOM, "runs %u, %zu regressions: 1 to %d, at most %d",
                         q->runs, q->n_bads, OUTLOOK_MAX_RUNS, OUTLOOK_MAX_BAD);
    enum serin_status rc = check_metrics(p, q, f);
    for (size_t i = 0; i < q->n_bads && rc == SERIN_OK; i++)
        rc = check_bad(p, q, &q->bads[i], f);
    return rc;
}

/* Kinds without a rate and metrics that decide nothing are left out. */
static void choose_metrics(struct sim *s, const struct plan *p)
{
    s->plan = *p;
    s->plan.metrics = s->metrics;
    s->plan.n_metrics = 0;
    for (size_t i = 0; i < p->n_metrics; i++) {
        if (!outlook_simulated(p, s->q, i)) continue;
        size_t at = s->plan.n_metrics++;
        s->metrics[at] = p->metrics[i];
        if (!(p->metrics[i].phi >= 1)) s->metrics[at].phi = s->q->phi;
        s->sources[at] = (struct source){
            .of = i, .errors = s->q->errors[i], .events = s->q->events[i]};
    }
}

static enum serin_status make_shapes(struct sim *s, struct fault *f)
{
    const struct outlook_query *q = s->q;
    struct outlook_shape *at = s->shapes =
        mem_calloc(s->plan.n_metrics + q->n_bads, sizeof *s->shapes);
    enum serin_status rc = SERIN_OK;
    if (at == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
    for (size_t i = 0; i < s->plan.n_metrics && rc == SERIN_OK; i++) {
        if (s->metrics[i].kind != PLAN_LATENCY) continue;
        s->sources[i].usual = at;
        rc = outlook_shape_make(at++, &q->latency[s->sources[i].of], NULL);
    }
    for (size_t i = 0; i < q->n_bads && rc == SERIN_OK; i++) {
        if (q->bads[i].how == OUTLOOK_ODDS) continue;
        s->worse[i] = at;
        rc = outlook_shape_make(at++, &q->latency[q->bads[i].metric], &q->bads[i]);
    }
    if (rc == SERIN_OK) return rc;
    return fault_set(f, rc, "the latencies spread wider than a histogram can hold");
}

/* Calibration has shown the baseline before the first weight. */
static enum serin_status learn(struct sim *s)
{
    enum { WINDOWS = 12 };
    uint64_t m = (uint64_t)(s->q->rate * (double)s->window_ms / 1000) + 1;
    enum serin_status rc = SERIN_OK;
    for (size_t i = 0; i < s->evidence.n; i++) {
        struct evidence *e = &s->evidence.metrics[i];
        for (int k = 0; s->sources[i].usual != NULL && k < WINDOWS && rc == SERIN_OK;
             k++) {
            const struct latency_stratum h = {{.scale = HIST_SCALE},
                                              outlook_shape_draw(s->sources[i].usual,
                                                                 &s->draw, m, e->phi,
                                                                 s->counts[1])};
            const struct kind_window w = {
                .hists = &h, .n = 1, .start_ms = k * s->window_ms};
            rc = e->kind->calibrate(e, s->plan.window_ms, &w);
        }
    }
    return rc;
}

static enum serin_status make_room(struct sim *s, struct fault *f)
{
    size_t runs = s->q->runs, a_step = FOUND + s->q->n_bads, own = 1;
    enum serin_status rc = make_shapes(s, f);
    if (rc == SERIN_OK) rc = evidence_open(&s->evidence, &s->plan, f);
    if (rc != SERIN_OK) return rc;
    evidence_horizon(&s->evidence, s->window_ms);
    for (size_t i = 0; i < s->evidence.n; i++)
        own += s->evidence.metrics[i].kind->size;
    s->kept = mem_calloc(s->evidence.n, sizeof *s->kept);
    s->kept_own = mem_calloc(own, 1);
    s->times = mem_calloc(runs * (s->out->n_steps * a_step + 1), sizeof *s->times);
    if (s->kept == NULL || s->kept_own == NULL || s->times == NULL)
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
    if (rc == SERIN_OK) rc = learn(s);
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
    mem_free(s->shapes);
    mem_free(s->kept);
    mem_free(s->kept_own);
    mem_free(s->times);
    mem_free(s);
    return rc;
}
