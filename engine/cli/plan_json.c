/* engine/cli/plan_json.c -- the outlook for programs */
#include <math.h>

#include "engine/cli/plan_ask.h"
#include "engine/core/plan_keys.h"

/* Also of other numbers that may not be there. */
static json_t *seconds(double s)
{
    return isfinite(s) ? json_real(s) : json_null();
}

static json_t *time_json(const struct outlook_time *t)
{
    return json_pack("{s:i,s:i,s:o,s:o,s:o}", "runs", (int)t->runs, "hits",
                     (int)t->hits, "mean_s", seconds(t->mean_s), "p50_s",
                     seconds(t->p50_s), "p90_s", seconds(t->p90_s));
}

static const char *ratio_name(const struct plan_ask *a, size_t metric)
{
    enum plan_kind kind = a->plan->metrics[metric].kind;
    if (kind == PLAN_GAUGE) return "level_ratio";
    return kind == PLAN_EVENTS ? "rate_ratio" : "odds_ratio";
}

static json_t *bad_json(const struct plan_ask *a, const struct outlook_bad *b)
{
    json_t *o = json_object();
    json_object_set_new(o, "metric", json_string(a->plan->metrics[b->metric].name));
    if (b->how == OUTLOOK_ODDS)
        json_object_set_new(o, ratio_name(a, b->metric), json_real(b->size));
    else if (b->how == OUTLOOK_SLOWER)
        json_object_set_new(o, "times_longer", json_real(b->size));
    else
        json_object_set_new(o, "extra_ms", json_real(b->size));
    if (b->how == OUTLOOK_TAIL) json_object_set_new(o, "share", json_real(b->share));
    return o;
}

static json_t *step_json(const struct plan_ask *a, const struct outlook *o, size_t i)
{
    const struct outlook_step *s = &o->steps[i];
    json_t *list = json_array();
    for (size_t k = 0; k < a->q.n_bads; k++) {
        const struct outlook_found *f = &s->found[k];
        json_t *one = bad_json(a, &a->q.bads[k]);
        json_object_set_new(one, "abort", time_json(&f->abort));
        json_object_set_new(one, "promoted", json_integer(f->promoted));
        json_object_set_new(one, "undecided", json_integer(f->undecided));
        json_object_set_new(one, "requests", json_real(f->exposed));
        json_object_set_new(one, "hurt", seconds(f->hurt));
        json_array_append_new(list, one);
    }
    return json_pack(
        "{s:i,s:s,s:b,s:i,s:o,s:o,s:o,s:i,s:o,s:s,s:o}", "step", (int)i + 1, "kind",
        plan_keys_step_kinds[a->plan->steps[i].kind], "simulated", !s->guessed,
        "weight_bp", (int)a->plan->steps[i].weight_bp, "worse_than",
        seconds(a->plan->steps[i].worse_than), "passes", time_json(&s->passes),
        "evidence", time_json(&s->ready), "undecided", (int)s->undecided, "forecast_s",
        seconds(s->forecast_s), "slowest", s->slowest, "regressions", list);
}

static json_t *metric_json(const struct plan_ask *a, size_t i)
{
    const struct outlook_level *l = &a->q.levels[i];
    json_t *o = json_pack("{s:s}", "name", a->plan->metrics[i].name);
    enum plan_kind kind = a->plan->metrics[i].kind;
    if (kind == PLAN_LATENCY) {
        json_object_set_new(o, "p50_ms", json_real(a->q.latency[i].p50_ms));
        json_object_set_new(o, "p99_ms", json_real(a->q.latency[i].p99_ms));
    } else if (kind == PLAN_EVENTS) {
        json_object_set_new(o, "events_s", json_real(a->q.events[i]));
    } else if (kind == PLAN_GAUGE) {
        json_object_set_new(o, "mean", json_real(l->mean));
        json_object_set_new(o, "sd", json_real(l->sd));
    } else {
        json_object_set_new(o, "errors", json_real(a->q.errors[i]));
    }
    if (l->pods > 0) json_object_set_new(o, "pods", json_real(l->pods));
    return o;
}

/* What was given of every simulated metric. */
static json_t *metrics_json(const struct plan_ask *a)
{
    json_t *list = json_array();
    for (size_t i = 0; i < a->plan->n_metrics; i++) {
        if (plan_ask_simulated(a, i)) json_array_append_new(list, metric_json(a, i));
    }
    return list;
}

/* Without an effect first; its "effect" is null. */
static json_t *answers_json(const struct plan_ask *a, const struct outlook *o)
{
    json_t *list = json_array();
    for (size_t k = 0; k <= a->q.n_bads; k++) {
        const struct outlook_answer *r = &o->answers[k];
        json_array_append_new(
            list, json_pack("{s:o,s:o,s:o,s:o,s:o,s:i}", "effect",
                            k > 0 ? bad_json(a, &a->q.bads[k - 1]) : json_null(), "win",
                            time_json(&r->ends[OUTLOOK_WIN]), "lose",
                            time_json(&r->ends[OUTLOOK_LOSE]), "no_difference",
                            time_json(&r->ends[OUTLOOK_SAME]), "aborted",
                            time_json(&r->ends[OUTLOOK_GUARDED]), "inconclusive",
                            (int)r->open));
    }
    return list;
}

json_t *plan_json(const struct plan_ask *a, const struct outlook *o)
{
    json_t *steps = json_array(), *notes = json_array();
    for (size_t i = 0; i < o->n_steps; i++)
        json_array_append_new(steps, step_json(a, o, i));
    for (size_t i = 0; i < o->n_notes; i++)
        json_array_append_new(notes,
                              json_pack("{s:i,s:s}", "step", (int)o->notes[i].step,
                                        "message", o->notes[i].text));
    json_t *out = json_pack(
        "{s:s,s:s,s:f,s:o,s:f,s:I,s:b,s:i,s:I,s:o,s:i,s:o,s:o}", "schema",
        "serin.outlook/1", "rollout", a->plan->id, "rate", a->q.rate, "metrics",
        metrics_json(a), "phi", a->q.phi, "window_ms", (json_int_t)o->window_ms,
        "window_assumed", o->assumed, "runs", (int)o->runs, "seed",
        (json_int_t)a->q.seed, "promoted", time_json(&o->whole), "aborted",
        (int)o->aborted, "steps", steps, "warnings", notes);
    if (a->primary < a->plan->n_metrics)
        json_object_set_new(out, "experiment", answers_json(a, o));
    return out;
}
