/* engine/core/outlook_traffic.c -- one window of everybody's requests, and what each
 * metric's stream would make of it */
#include "engine/core/outlook_sim.h"

#include <math.h>
#include <string.h>

#include "engine/core/kind.h"

enum { COST_LATENCY = 15 }; /* of one of its windows, in those of a ratio */

/* Requests of a window. */
struct crowd {
    uint64_t canary, baseline;
    double people; /* of them, to the canary */
};

double outlook_traffic_worse(double p, double odds)
{
    return odds * p / (1 + (odds - 1) * p);
}

double outlook_traffic_times(const struct plan_metric *m, const struct outlook_bad *bad)
{
    return m->direction == PLAN_DOWN && !m->primary ? 1 / bad->size : bad->size;
}

/* ---- who comes */
double outlook_segments(const struct plan_step *t, const struct outlook_query *q)
{
    double sum = 0;
    for (size_t i = 0; i < t->n_audience; i++) {
        size_t k = 0;
        while (k < q->n_segments && strcmp(q->segments[k].name, t->audience[i]) != 0)
            k++;
        if (k == q->n_segments) return -1;
        sum += q->segments[k].share;
    }
    return fmin(sum, 1);
}

static double in_segments(const struct plan_step *t, const struct outlook_query *q)
{
    return fmax(0, outlook_segments(t, q));
}

static struct crowd crowd(struct outlook_sim *s, const struct plan_step *t,
                          double seconds)
{
    struct draw *d = &s->draw;
    uint64_t all = (uint64_t)floor(s->q->rate * seconds + draw_uniform(d));
    uint64_t in = draw_binomial(d, all, in_segments(t, s->q)), rest = all - in;
    uint64_t live = draw_binomial(d, rest, t->weight_bp / 10000.0);
    uint64_t copies = draw_binomial(d, rest - live, t->mirror_bp / 10000.0);
    struct crowd c = {live + copies, rest - live, (double)(live + in)};
    if (t->kind == PLAN_STEP_PREVIEW)
        c.canary += (uint64_t)floor(s->q->preview * seconds + draw_uniform(d));
    /* Segments are compared with nobody. */
    if (outlook_walk_alone(t)) c.canary = in, c.baseline = 0;
    return c;
}

struct outlook_flow outlook_traffic_flow(const struct plan *p,
                                         const struct outlook_query *q, size_t step)
{
    const struct plan_step *t = &p->steps[step];
    double in = in_segments(t, q), rest = 1 - in, w = t->weight_bp / 10000.0;
    double copies = (1 - w) * t->mirror_bp / 10000.0;
    struct outlook_flow f = {q->rate * (in + rest * w), q->rate * rest * (w + copies),
                             q->rate * rest * (1 - w)};
    if (t->kind == PLAN_STEP_PREVIEW) f.canary += q->preview;
    if (outlook_walk_alone(t)) f.canary = f.people, f.baseline = 0;
    return f;
}

void outlook_traffic_pods(const struct plan *p, const struct outlook_level *l,
                          size_t step, double pods[2])
{
    double w = p->steps[step].weight_bp / 10000.0;
    pods[0] = fmin(fmax(1, round(w * l->pods)), l->pods - 1);
    pods[1] = l->pods - pods[0];
    if (p->strategy == PLAN_BLUE_GREEN) pods[0] = pods[1] = l->pods;
}

struct outlook_flow outlook_traffic_units(const struct plan *p,
                                          const struct outlook_query *q, size_t metric,
                                          size_t step, int64_t window_ms)
{
    const struct plan_metric *m = &p->metrics[metric];
    struct outlook_flow f = outlook_traffic_flow(p, q, step);
    double pods[2] = {m->exposure_pods[0], m->exposure_pods[1]}, every_s = 1;
    if (m->kind == PLAN_GAUGE || m->kind == PLAN_SATURATION) {
        outlook_traffic_pods(p, &q->levels[metric], step, pods);
        every_s = (double)(m->kind == PLAN_GAUGE ? window_ms : m->batch_ms) / 1000;
    } else if (m->kind != PLAN_EVENTS || m->exposure_metric >= 0) {
        return f;
    }
    f.canary = pods[0] / every_s;
    f.baseline = outlook_walk_alone(&p->steps[step]) ? 0 : pods[1] / every_s;
    return f;
}

/* ---- what a metric's stream makes of it */
static enum serin_status fold(struct outlook_sim *s, size_t i, struct kind_window *w,
                              const struct outlook_walk *walk)
{
    w->start_ms = walk->ms - walk->window_ms;
    w->end_ms = walk->ms;
    return evidence_window(&s->evidence, i, w);
}

/* How much worse the canary is at this metric now; 1: as usual. */
static double times_now(const struct outlook_sim *s, size_t i,
                        const struct outlook_walk *w)
{
    if (w->bad == NULL || w->bad->metric != s->sources[i].of) return 1;
    return outlook_traffic_times(&s->metrics[i], w->bad);
}

static enum serin_status take_ratio(struct outlook_sim *s, size_t i,
                                    const struct crowd *c, const struct outlook_walk *w)
{
    double phi = s->evidence.metrics[i].phi, p = s->sources[i].errors;
    double bad = outlook_traffic_worse(p, times_now(s, i, w));
    struct count_table t = {c->canary, draw_lumps(&s->draw, c->canary, bad, phi),
                            c->baseline, draw_lumps(&s->draw, c->baseline, p, phi)};
    struct kind_window one = {.tables = &t, .n = 1, .sum = t, .spread = t};
    return fold(s, i, &one, w);
}

static const struct outlook_shape *shape_of(const struct outlook_sim *s, size_t i,
                                            const struct outlook_bad *bad)
{
    if (bad == NULL || bad->metric != s->sources[i].of) return s->sources[i].usual;
    return s->worse[bad - s->q->bads];
}

static enum serin_status take_latency(struct outlook_sim *s, size_t i,
                                      const struct crowd *c,
                                      const struct outlook_walk *w)
{
    const struct outlook_shape *usual = s->sources[i].usual;
    double phi = s->evidence.metrics[i].phi;
    struct latency_stratum h = {
        outlook_shape_draw(shape_of(s, i, w->bad), &s->draw, c->canary, phi,
                           s->counts[0]),
        outlook_shape_draw(usual, &s->draw, c->baseline, phi, s->counts[1])};
    struct count_table t = {.n = hist_total(&h.canary), .m = hist_total(&h.baseline)};
    struct kind_window one = {.tables = &t, .hists = &h, .n = 1, .sum = t, .spread = t};
    return fold(s, i, &one, w);
}

/* Where pods are the exposure, their number; else the requests. */
static enum serin_status take_events(struct outlook_sim *s, size_t i,
                                     const struct crowd *c,
                                     const struct outlook_walk *w)
{
    const struct plan_metric *metric = &s->metrics[i];
    bool pods = metric->exposure_metric < 0;
    double phi = s->evidence.metrics[i].phi, seconds = (double)w->window_ms / 1000;
    struct event_table e = {
        pods ? metric->exposure_pods[0] * seconds : (double)c->canary,
        pods ? metric->exposure_pods[1] * seconds : (double)c->baseline, 0, 0};
    double all = e.exposure_c + e.exposure_b, mean = s->sources[i].events * seconds;
    if (e.exposure_c > 0)
        e.x =
            draw_events(&s->draw, mean * times_now(s, i, w) * e.exposure_c / all, phi);
    if (e.exposure_b > 0) e.y = draw_events(&s->draw, mean * e.exposure_b / all, phi);
    struct count_table t = {(uint64_t)e.exposure_c, e.x, (uint64_t)e.exposure_b, e.y};
    const struct count_table none = {0}; /* the dispersion is no part of this */
    struct kind_window one = {.events = &e, .n = 1, .sum = t, .spread = none};
    return fold(s, i, &one, w);
}

/* Pods beyond the bound, by pod. */
static void fill_pods(struct outlook_sim *s, size_t i, double pods, double times,
                      struct unitsum *u)
{
    double p = outlook_traffic_worse(s->sources[i].errors, times);
    for (uint64_t k = 0; k < (uint64_t)pods; k++)
        u[k] = (struct unitsum){k + 1, 1,
                                draw_uniform(&s->draw) < p ? (double)INFINITY
                                                           : -(double)INFINITY};
}

/* The mean over so many pods. */
static void fill_level(struct outlook_sim *s, size_t i, double pods, double times,
                       struct unitsum *u)
{
    const struct outlook_level *l = &s->sources[i].level;
    double mean = times * l->mean + l->sd / sqrt(pods) * draw_normal(&s->draw);
    *u = (struct unitsum){1, 1, mean};
}

/* All readings of a batch come with its last window; a pod reports once a window. */
static enum serin_status take_units(struct outlook_sim *s, size_t i, size_t step,
                                    struct outlook_walk *w)
{
    static const double usual = 1;
    struct unitsum u[2][OUTLOOK_MAX_PODS];
    bool gauge = s->metrics[i].kind == PLAN_GAUGE;
    bool alone = outlook_walk_alone(&s->plan.steps[step]);
    double pods[2];
    outlook_traffic_pods(&s->plan, &s->sources[i].level, step, pods);
    struct count_table t = {(uint64_t)pods[0], 0, alone ? 0 : (uint64_t)pods[1], 0};
    struct unitsum_view v = {{u[0], u[1]}, {0, 0}};
    w->batched_ms[i] += w->window_ms;
    struct kind_window one = {.tables = &t, .units = &v, .sum = t};
    if (w->batched_ms[i] >= s->metrics[i].batch_ms) {
        w->batched_ms[i] = 0;
        one.n = 1;
        for (int c = 0; c < 2; c++) {
            double times = c == 0 ? times_now(s, i, w) : usual;
            (gauge ? fill_level : fill_pods)(s, i, pods[c], times, u[c]);
            v.n[c] = c == 1 && alone ? 0 : gauge ? 1 : (uint32_t)pods[c];
        }
    }
    return fold(s, i, &one, w);
}

static enum serin_status take(struct outlook_sim *s, size_t i, size_t step,
                              const struct crowd *c, struct outlook_walk *w)
{
    s->spent += s->sources[i].usual != NULL ? COST_LATENCY : 1;
    switch (s->metrics[i].kind) {
    case PLAN_LATENCY:
        return take_latency(s, i, c, w);
    case PLAN_EVENTS:
        return take_events(s, i, c, w);
    case PLAN_GAUGE:
    case PLAN_SATURATION:
        return take_units(s, i, step, w);
    case PLAN_RATIO:
    case PLAN_NKIND:
        break;
    }
    return take_ratio(s, i, c, w);
}

enum serin_status outlook_traffic_window(struct outlook_sim *s, size_t step,
                                         struct outlook_walk *w)
{
    const struct crowd c = crowd(s, &s->plan.steps[step], (double)w->window_ms / 1000);
    enum serin_status rc = SERIN_OK;
    w->exposed += c.people;
    w->ms += w->window_ms;
    for (size_t i = 0; i < s->evidence.n && rc == SERIN_OK; i++)
        rc = take(s, i, step, &c, w);
    return rc;
}
