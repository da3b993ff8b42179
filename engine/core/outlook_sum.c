/* engine/core/outlook_sum.c -- samples to figures, and what closed forms say */
#include "engine/core/outlook_sim.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/core/kind_gauge.h"
#include "engine/core/latency.h"
#include "stats/forecast.h"

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Least time within which this share of all runs came to it. */
static double quantile(const struct outlook_sample *s, double share)
{
    unsigned rank = (unsigned)ceil(share * s->runs);
    return rank >= 1 && rank <= s->hits ? s->s[rank - 1] : HUGE_VAL;
}

static struct outlook_time summary(struct outlook_sample *s)
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

/* ---- closed forms */
struct question { /* a metric in a step */
    const struct outlook_sim *s;
    size_t i, step;
    double w_s, beta;
};

/* Of the bad ones. */
static double usual_share(const struct question *k)
{
    double p = k->s->sources[k->i].errors;
    return k->s->metrics[k->i].direction == PLAN_DOWN ? 1 - p : p;
}

static struct outlook_flow units(const struct question *k)
{
    return outlook_traffic_units(k->s->given, k->s->q, k->s->sources[k->i].of, k->step,
                                 k->s->out->window_ms);
}

static double by_shares(const struct question *k, double p)
{
    struct outlook_flow f = units(k);
    double all = f.canary + f.baseline;
    double speed = forecast_promote_share(p, f.canary / all, k->w_s);
    return forecast_seconds(k->beta, 0, speed, all,
                            1 / k->s->evidence.metrics[k->i].phi);
}

static double by_events(const struct question *k)
{
    const struct outlook_sim *s = k->s;
    struct outlook_flow f = units(k);
    double share = f.canary / (f.canary + f.baseline);
    if (s->metrics[k->i].direction == PLAN_DOWN) share = 1 - share;
    /* Growth per event: of the rate only the product with the exposure matters. */
    double speed = 2 * forecast_promote(0.5, share, k->w_s);
    return forecast_seconds(k->beta, 0, speed, s->sources[k->i].events,
                            1 / s->evidence.metrics[k->i].phi);
}

/* d - r b of a batch has mean -r b when the canary is like the baseline. */
static double by_batches(const struct question *k)
{
    const struct plan_metric *m = &k->s->metrics[k->i];
    const struct outlook_level *l = &k->s->sources[k->i].level;
    double r = m->direction == PLAN_DOWN ? 1 - 1 / k->w_s : k->w_s - 1, pods[2];
    outlook_traffic_pods(&k->s->plan, l, k->step, pods);
    double v = l->sd * l->sd * (1 / pods[0] + (1 + r) * (1 + r) / pods[1]);
    return kind_gauge_needs(0, 0, r * fabs(l->mean), v, k->beta) * (double)m->batch_ms /
           1000;
}

/* A metric's slowest level, -1 of what has none. */
static double slowest_of(const struct question *k, int *level)
{
    const struct plan_metric *m = &k->s->metrics[k->i];
    const struct latency *l = k->s->evidence.metrics[k->i].own;
    double most = 0;
    *level = -1;
    if (m->kind == PLAN_EVENTS) return by_events(k);
    if (m->kind == PLAN_GAUGE) return by_batches(k);
    if (m->kind != PLAN_LATENCY) return by_shares(k, usual_share(k));
    for (int q = 0; q < EXCEEDANCE_LEVELS; q++) {
        double seconds = l->protects[q] ? by_shares(k, 1 - exceedance_levels[q]) : 0;
        if (seconds <= most) continue;
        most = seconds;
        *level = q;
    }
    return most;
}

/* The slowest protected metric. */
static void forecast(const struct outlook_sim *s, size_t step, struct outlook_step *out)
{
    double w_s = s->plan.steps[step].worse_than;
    if (!(w_s > 1) || out->guessed) return;
    for (size_t i = 0; i < s->evidence.n; i++) {
        const struct evidence *e = &s->evidence.metrics[i];
        int level;
        if (!evidence_protected(e)) continue;
        double seconds =
            slowest_of(&(struct question){s, i, step, w_s, e->metric->beta}, &level);
        if (seconds <= out->forecast_s) continue;
        out->forecast_s = seconds;
        snprintf(out->slowest, sizeof out->slowest, "%.40s%s%s", e->metric->name,
                 level >= 0 ? " " : "", level >= 0 ? latency_level_name(level) : "");
    }
}

static void step_figures(struct outlook_sim *s, size_t i)
{
    struct outlook_step *t = &s->out->steps[i];
    t->passes = summary(&s->steps[i][OUTLOOK_PASSES]);
    t->ready = summary(&s->steps[i][OUTLOOK_READY]);
    forecast(s, i, t);
    for (size_t k = 0; k < s->q->n_bads; k++) {
        struct outlook_found *found = &t->found[k];
        found->abort = summary(&s->steps[i][OUTLOOK_FOUND + k]);
        if (found->abort.runs == 0) continue;
        found->exposed /= found->abort.runs;
        found->hurt /= found->abort.runs;
    }
}

void outlook_sum(struct outlook_sim *s)
{
    struct outlook *o = s->out;
    if (s->plan.strategy == PLAN_EXPERIMENT) {
        for (size_t i = 0; i <= s->q->n_bads; i++)
            for (int k = 0; k < OUTLOOK_N_ENDS; k++)
                o->answers[i].ends[k] = summary(&s->answers[i][k]);
        return;
    }
    o->whole = summary(&s->whole);
    for (size_t i = 0; i < o->n_steps; i++)
        step_figures(s, i);
}
