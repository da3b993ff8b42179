/* engine/core/outlook.c -- is the question sound; room for its answer */
#include "engine/core/outlook.h"

#include <math.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/core/calibrate.h"
#include "engine/core/kind.h"
#include "engine/core/latency.h"
#include "engine/core/outlook_notes.h"
#include "engine/core/outlook_sim.h"

bool outlook_simulated(const struct plan *p, const struct outlook_query *q, size_t i)
{
    const struct plan_metric *m = &p->metrics[i];
    if (m->mode != PLAN_GATE) return false;
    switch (m->kind) {
    case PLAN_LATENCY:
        return q->latency[i].p50_ms != 0 && m->direction != PLAN_DOWN;
    case PLAN_EVENTS:
        return q->events[i] != 0;
    case PLAN_GAUGE:
    case PLAN_SATURATION:
        return q->levels[i].pods != 0;
    case PLAN_RATIO:
    case PLAN_NKIND:
        break;
    }
    return true;
}

/* ---- the question */
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
                         "longer times of a latency, else an odds, rate or level "
                         "ratio");
    bool asked = p->metrics[b->metric].primary;
    if (b->how != OUTLOOK_TAIL && !in(b->size, asked ? 1e-6 : 1, 1e6))
        return fault_set(f, SERIN_EDOM, "%s %g: above 1 and below 1e6",
                         odds ? "ratio" : "slower", b->size);
    if (b->how == OUTLOOK_TAIL && !(in(b->size, 0, 1e9) && in(b->share, 0, 1)))
        return fault_set(f, SERIN_EDOM,
                         "tail: %g of the requests take %g ms more: a share between 0 "
                         "and 1, a time above 0",
                         b->share, b->size);
    return SERIN_OK;
}

static enum serin_status check_level(const struct plan_metric *m,
                                     const struct outlook_level *l, struct fault *f)
{
    if (l->pods == 0) return SERIN_OK;
    if (!(l->pods >= 2 && l->pods <= OUTLOOK_MAX_PODS && l->pods == floor(l->pods)))
        return fault_set(f, SERIN_EDOM, "pods %g of %s: a whole number from 2 to %d",
                         l->pods, m->name, OUTLOOK_MAX_PODS);
    if (m->kind == PLAN_GAUGE && !(in(l->mean, 0, 1e15) && in(l->sd, 0, 1e15)))
        return fault_set(f, SERIN_EDOM, "mean %g, sd %g of %s: both above 0", l->mean,
                         l->sd, m->name);
    return SERIN_OK;
}

static enum serin_status check_metric(const struct plan_metric *m,
                                      const struct outlook_query *q, size_t i,
                                      struct fault *f)
{
    const struct outlook_base *base = &q->latency[i];
    double ratio = base->p99_ms / base->p50_ms;
    if (!(q->events[i] >= 0 && q->events[i] < 1e9))
        return fault_set(f, SERIN_EDOM, "events %g/s of %s: at least 0, below 1e9",
                         q->events[i], m->name);
    if (!in(q->errors[i], 0, 1))
        return fault_set(f, SERIN_EDOM, "errors %g of %s: a share between 0 and 1",
                         q->errors[i], m->name);
    if (base->p50_ms != 0 && !(in(base->p50_ms, 0, 1e9) && ratio > 1 && ratio <= 100))
        return fault_set(f, SERIN_EDOM,
                         "latency p50 %g ms, p99 %g ms of %s: p50 above 0, p99 "
                         "above it and at most 100 times as long",
                         base->p50_ms, base->p99_ms, m->name);
    return check_level(m, &q->levels[i], f);
}

static enum serin_status check_metrics(const struct plan *p,
                                       const struct outlook_query *q, struct fault *f)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_metrics; i++) {
        enum serin_status rc = check_metric(&p->metrics[i], q, i, f);
        if (rc != SERIN_OK) return rc;
        bool known = outlook_simulated(p, q, i);
        n += known;
        if (p->metrics[i].primary && !known)
            return fault_set(f, SERIN_EDOM,
                             "metric %s is what the experiment asks about: say what it "
                             "usually is like",
                             p->metrics[i].name);
    }
    if (n > 0) return SERIN_OK;
    return fault_set(f, SERIN_EDOM,
                     "no metric of mode gate to look at: a ratio, or another kind of "
                     "which is given what it usually is like");
}

static enum serin_status check_traffic(const struct outlook_query *q, struct fault *f)
{
    if (!in(q->rate, 0, 1e9))
        return fault_set(f, SERIN_EDOM, "rate %g: above 0 and below 1e9 requests/s",
                         q->rate);
    if (!(q->preview >= 0 && q->preview < 1e9))
        return fault_set(f, SERIN_EDOM,
                         "preview %g: at least 0 and below 1e9 requests/s", q->preview);
    for (size_t i = 0; i < q->n_segments; i++)
        if (!in(q->segments[i].share, 0, 1))
            return fault_set(f, SERIN_EDOM,
                             "segment %s, %g: a share of the requests between 0 and 1",
                             q->segments[i].name, q->segments[i].share);
    return SERIN_OK;
}

static enum serin_status check(const struct plan *p, const struct outlook_query *q,
                               struct fault *f)
{
    enum serin_status rc = check_traffic(q, f);
    if (rc != SERIN_OK) return rc;
    if (!(q->phi >= 1 && q->phi <= 1e4))
        return fault_set(f, SERIN_EDOM, "phi %g: between 1 and 10000", q->phi);
    if (q->runs < 1 || q->runs > OUTLOOK_MAX_RUNS || q->n_bads > OUTLOOK_MAX_BAD)
        return fault_set(f, SERIN_EDOM, "runs %u, %zu regressions: 1 to %d, at most %d",
                         q->runs, q->n_bads, OUTLOOK_MAX_RUNS, OUTLOOK_MAX_BAD);
    rc = check_metrics(p, q, f);
    for (size_t i = 0; i < q->n_bads && rc == SERIN_OK; i++)
        rc = check_bad(p, q, &q->bads[i], f);
    return rc;
}

/* ---- preparation */
/* Metrics that decide nothing, or of which nothing is known, are left out. */
static void choose_metrics(struct outlook_sim *s, const struct plan *p)
{
    s->given = p;
    s->plan = *p;
    s->plan.metrics = s->metrics;
    s->plan.n_metrics = 0;
    for (size_t i = 0; i < p->n_metrics; i++) {
        if (!outlook_simulated(p, s->q, i)) continue;
        size_t at = s->plan.n_metrics++;
        s->metrics[at] = p->metrics[i];
        if (!(p->metrics[i].phi >= 1)) s->metrics[at].phi = s->q->phi;
        s->sources[at] = (struct outlook_source){.of = i,
                                                 .errors = s->q->errors[i],
                                                 .events = s->q->events[i],
                                                 .level = s->q->levels[i]};
    }
}

static enum serin_status make_shapes(struct outlook_sim *s, struct fault *f)
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
static enum serin_status learn(struct outlook_sim *s)
{
    enum { WINDOWS = 12 };
    int64_t window_ms = s->out->window_ms;
    uint64_t m = (uint64_t)(s->q->rate * (double)window_ms / 1000) + 1;
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
                .hists = &h, .n = 1, .start_ms = k * window_ms};
            rc = e->kind->calibrate(e, s->plan.window_ms, &w);
        }
    }
    return rc;
}

/* Every sample has room for all runs. */
static bool make_samples(struct outlook_sim *s)
{
    size_t runs = s->q->runs, a_step = OUTLOOK_FOUND + s->q->n_bads;
    bool asked = s->plan.strategy == PLAN_EXPERIMENT;
    size_t answers = asked ? OUTLOOK_N_ENDS * (1 + s->q->n_bads) : 0;
    s->times =
        mem_calloc(runs * (s->out->n_steps * a_step + answers + 1), sizeof *s->times);
    if (s->times == NULL) return false;
    double *at = s->whole.s = s->times;
    for (size_t i = 0; i < s->out->n_steps; i++)
        for (size_t k = 0; k < a_step; k++)
            s->steps[i][k].s = at += runs;
    for (size_t k = 0; k < answers; k++)
        s->answers[k / OUTLOOK_N_ENDS][k % OUTLOOK_N_ENDS].s = at += runs;
    return true;
}

static enum serin_status make_room(struct outlook_sim *s, struct fault *f)
{
    size_t own = 1;
    enum serin_status rc = make_shapes(s, f);
    if (rc == SERIN_OK) rc = evidence_open(&s->evidence, &s->plan, f);
    if (rc != SERIN_OK) return rc;
    evidence_horizon(&s->evidence, s->out->window_ms);
    for (size_t i = 0; i < s->evidence.n; i++)
        own += s->evidence.metrics[i].kind->size;
    s->kept = mem_calloc(s->evidence.n, sizeof *s->kept);
    s->kept_own = mem_calloc(own, 1);
    if (s->kept == NULL || s->kept_own == NULL || !make_samples(s))
        return fault_set(f, SERIN_ENOMEM, "out of memory for %u runs", s->q->runs);
    return SERIN_OK;
}

static enum serin_status simulate(struct outlook_sim *s, struct fault *f)
{
    const struct outlook_query *q = s->q;
    enum serin_status rc = make_room(s, f);
    s->draw = draw_seeded(q->seed);
    if (rc == SERIN_OK) rc = learn(s);
    for (unsigned i = 0; i < q->runs && rc == SERIN_OK; i++) {
        if (q->budget > 0 && s->spent > q->budget && i >= OUTLOOK_LEAST_RUNS) break;
        rc = outlook_walk_run(s);
        s->out->runs = i + 1;
        if (rc != SERIN_OK)
            return fault_set(f, rc, "%g requests/s are more than a window can hold",
                             q->rate);
        if (q->progress != NULL) q->progress(q->context, i + 1, q->runs);
    }
    return rc;
}

/* A step that compares, or judges segments, but nobody knows what comes. */
static bool guessed(const struct plan_step *t, const struct outlook_query *q)
{
    if (t->kind == PLAN_STEP_PREVIEW && q->preview == 0) return true;
    return outlook_walk_alone(t) && outlook_segments(t, q) < 0;
}

static struct outlook blank(const struct plan *p, const struct outlook_query *q)
{
    struct outlook o = {.window_ms = p->window_ms, .assumed = p->window_ms == 0};
    if (o.assumed) o.window_ms = CALIBRATE_DEFAULT_MS;
    while (o.n_steps < p->n_steps && p->steps[o.n_steps].weight_bp < 10000) {
        o.steps[o.n_steps].guessed = guessed(&p->steps[o.n_steps], q);
        o.n_steps++;
    }
    return o;
}

enum serin_status outlook_make(const struct plan *p, const struct outlook_query *q,
                               struct outlook *out, struct fault *f)
{
    enum serin_status rc = check(p, q, f);
    if (rc != SERIN_OK) return rc;
    struct outlook_sim *s = mem_calloc(1, sizeof *s);
    if (s == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
    *out = blank(p, q);
    s->q = q;
    s->out = out;
    choose_metrics(s, p);
    rc = simulate(s, f);
    if (rc == SERIN_OK) {
        outlook_sum(s);
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
