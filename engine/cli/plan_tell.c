/* engine/cli/plan_tell.c -- the outlook for people */
#include <math.h>

#include "engine/cli/plan_ask.h"
#include "engine/core/explain.h"

static const char *span(char out[32], double seconds)
{
    snprintf(out, 32, "-");
    if (seconds < 1e9) explain_span((int64_t)(seconds * 1000), out);
    return out;
}

static const char *share(char out[32], unsigned part, unsigned all)
{
    if (all == 0)
        snprintf(out, 32, "-");
    else
        snprintf(out, 32, "%.3g %%", 100.0 * part / all);
    return out;
}

static void usual_metric(const struct plan_ask *a, size_t i)
{
    const struct outlook_base *base = &a->q.latency[i];
    const struct outlook_level *l = &a->q.levels[i];
    const char *name = a->plan->metrics[i].name;
    switch (a->plan->metrics[i].kind) {
    case PLAN_LATENCY:
        printf("p50 %g ms and p99 %g ms of %s", base->p50_ms, base->p99_ms, name);
        break;
    case PLAN_EVENTS:
        printf("%g/h of %s", 3600 * a->q.events[i], name);
        break;
    case PLAN_GAUGE:
        printf("%s %g with sd %g between %g pods", name, l->mean, l->sd, l->pods);
        break;
    case PLAN_SATURATION:
        printf("%g %% of %g pods beyond the bound of %s", 100 * a->q.errors[i], l->pods,
               name);
        break;
    case PLAN_RATIO:
    case PLAN_NKIND:
        printf("%g %% bad in %s", 100 * a->q.errors[i], name);
        break;
    }
}

/* "usually 0.1 % bad in errors, p50 80 ms and p99 600 ms of latency" */
static void usual(const struct plan_ask *a)
{
    const char *between = "usually ";
    for (size_t i = 0; i < a->plan->n_metrics; i++) {
        if (!plan_ask_simulated(a, i)) continue;
        printf("%s", between);
        between = ", ";
        usual_metric(a, i);
    }
}

static void head(const struct plan_ask *a, const struct outlook *o)
{
    char window[32], phi[48] = "";
    bool question = a->primary < a->plan->n_metrics;
    if (a->q.phi > 1) snprintf(phi, sizeof phi, ", phi %g", a->q.phi);
    printf("%s at %g requests/s, ", a->plan->id, a->q.rate);
    usual(a);
    printf("%s; windows of %s%s.\n"
           "%u simulated %s a line, seed %llu. Not in it: calibration, gates, "
           "freezes, the way of the data.\n\n",
           phi, output_duration(window, o->window_ms),
           o->assumed ? " (assumed; the plan measures it)" : "", o->runs,
           question ? "experiments" : "rollouts", (unsigned long long)a->q.seed);
}

/* "2x", "1.2x longer", "1 % +500 ms" */
static const char *bad_text(const struct outlook_bad *b, char out[40])
{
    if (b->how == OUTLOOK_TAIL)
        snprintf(out, 40, "%g %% +%g ms", 100 * b->share, b->size);
    else
        snprintf(out, 40, "%gx%s", b->size, b->how == OUTLOOK_SLOWER ? " longer" : "");
    return out;
}

/* "5 %", "copies of 20 %", "preview", "pause", "segments" */
static const char *where(const struct plan_step *s, char out[48])
{
    char weight[32];
    output_weight(weight, s->kind == PLAN_STEP_MIRROR ? s->mirror_bp : s->weight_bp);
    if (s->kind == PLAN_STEP_PAUSE)
        snprintf(out, 48, "pause");
    else if (s->kind == PLAN_STEP_PREVIEW)
        snprintf(out, 48, "preview");
    else if (s->kind == PLAN_STEP_WEIGHT && s->weight_bp == 0 && s->n_audience != 0)
        snprintf(out, 48, "segments");
    else
        snprintf(out, 48, "%s%s", s->kind == PLAN_STEP_MIRROR ? "copies of " : "",
                 weight);
    return out;
}

static void healthy(const struct plan_ask *a, const struct outlook *o)
{
    static const char *const heads[] = {"STEP", "WEIGHT", "WORSE THAN", "EVIDENCE",
                                        "MEAN", "P90",    "UNDECIDED"};
    char b[3][32], at[48];
    struct output_table *t = output_table_open(sizeof heads / sizeof *heads, heads);
    puts(
        "A healthy canary passes (EVIDENCE: mean time until all but the bake is done)");
    for (size_t i = 0; i < o->n_steps; i++) {
        const struct outlook_step *s = &o->steps[i];
        output_cell(t, "%zu", i + 1);
        output_cell(t, "%s", where(&a->plan->steps[i], at));
        if (a->plan->steps[i].worse_than > 1)
            output_cell(t, "%g", a->plan->steps[i].worse_than);
        else
            output_cell(t, "-");
        output_cell(t, "%s", span(b[0], s->ready.mean_s));
        output_cell(t, "%s", span(b[0], s->passes.mean_s));
        output_cell(t, "%s", span(b[1], s->passes.p90_s));
        output_cell(t, "%s", share(b[2], s->undecided, s->passes.runs));
    }
    output_table_close(t);
    printf("Promoted to 100 %% in %s (p90 %s): %s of the runs; aborted: %s.\n",
           span(b[0], o->whole.mean_s), span(b[1], o->whole.p90_s),
           share(b[2], o->whole.hits, o->whole.runs),
           share((char[32]){0}, o->aborted, o->whole.runs));
}

static void bad(const struct plan_ask *a, const struct outlook *o)
{
    static const char *const heads[] = {"WORSE", "FROM STEP", "ABORTED",  "MEAN",
                                        "P90",   "PROMOTED",  "REQUESTS", "HURT"};
    char b[2][32], at[48], what[40];
    struct output_table *t = output_table_open(sizeof heads / sizeof *heads, heads);
    puts("\nA canary that turns bad when a step begins (REQUESTS of people to it until "
         "the end,\nand how many of them are HURT: bad, or beyond the usual p99, and "
         "not "
         "so with the old\nversion; copies and testers are nobody)");
    for (size_t k = 0; k < a->q.n_bads; k++)
        for (size_t i = 0; i < o->n_steps; i++) {
            const struct outlook_found *f = &o->steps[i].found[k];
            if (f->abort.runs == 0) continue;
            output_cell(t, "%s", bad_text(&a->q.bads[k], what));
            output_cell(t, "%zu (%s)", i + 1, where(&a->plan->steps[i], at));
            output_cell(t, "%s", share(b[0], f->abort.hits, f->abort.runs));
            output_cell(t, "%s", span(b[0], f->abort.mean_s));
            output_cell(t, "%s", span(b[0], f->abort.p90_s));
            output_cell(t, "%s", share(b[0], f->promoted, f->abort.runs));
            output_cell(t, "%.0f", f->exposed);
            if (isfinite(f->hurt))
                output_cell(t, "%.3g", f->hurt);
            else
                output_cell(t, "-");
        }
    output_table_close(t);
}

static void ending(struct output_table *t, const struct outlook_answer *r,
                   enum outlook_end end)
{
    char part[32], mean[32];
    const struct outlook_time *x = &r->ends[end];
    if (x->hits == 0)
        output_cell(t, "-");
    else
        output_cell(t, "%s in %s", share(part, x->hits, x->runs),
                    span(mean, x->mean_s));
}

static void answers(const struct plan_ask *a, const struct outlook *o)
{
    static const char *const heads[] = {"EFFECT",        "WIN",     "LOSE",
                                        "NO DIFFERENCE", "ABORTED", "INCONCLUSIVE"};
    static const enum outlook_end ends[] = {OUTLOOK_WIN, OUTLOOK_LOSE, OUTLOOK_SAME,
                                            OUTLOOK_GUARDED};
    char what[40], part[32];
    struct output_table *t = output_table_open(sizeof heads / sizeof *heads, heads);
    puts("How it ends, and after how long on average");
    for (size_t k = 0; k <= a->q.n_bads; k++) {
        const struct outlook_bad *b = k > 0 ? &a->q.bads[k - 1] : NULL;
        const struct outlook_answer *r = &o->answers[k];
        if (b == NULL)
            output_cell(t, "none");
        else
            output_cell(t, "%s in %s", bad_text(b, what),
                        a->plan->metrics[b->metric].name);
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
            ending(t, r, ends[i]);
        output_cell(t, "%s", share(part, r->open, r->ends[0].runs));
    }
    output_table_close(t);
}

void plan_tell(const struct plan_ask *a, const struct outlook *o)
{
    head(a, o);
    if (a->primary < a->plan->n_metrics) {
        answers(a, o);
    } else {
        healthy(a, o);
        bad(a, o);
    }
    for (size_t i = 0; i < o->n_notes; i++) {
        if (i == 0) puts("");
        if (o->notes[i].step > 0)
            printf("Warning: step %zu: %s.\n", o->notes[i].step, o->notes[i].text);
        else
            printf("Warning: %s.\n", o->notes[i].text);
    }
}
