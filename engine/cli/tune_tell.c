/* engine/cli/tune_tell.c */
#include "engine/cli/tune_tell.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/cli/output.h"
#include "engine/cli/tapes.h"
#include "engine/core/explain.h"

/* ---------------------------------------------------------------- for people */

static const char *span(char out[32], double seconds)
{
    snprintf(out, 32, "-");
    if (isfinite(seconds)) explain_span((int64_t)(seconds * 1000), out);
    return out;
}

static const char *amount(char out[32], double n)
{
    snprintf(out, 32, "-");
    if (isfinite(n)) snprintf(out, 32, "%.0f", n);
    return out;
}

static void share_cell(struct output_table *t, const struct tune_share *s)
{
    char low[32], high[32];
    if (s->n == 0) {
        output_cell(t, "-");
        return;
    }
    output_cell(t, "%u of %u (%s to %s)", s->k, s->n, tapes_percent(low, s->lower),
                tapes_percent(high, s->upper));
}

static void number_cell(struct output_table *t, const struct tune *x, size_t i)
{
    output_cell(t, "%zu%s%s", i + 1, x->rows[i].front ? " *" : "",
                (int)i == x->best ? " <" : "");
}

/* Number and swept values: what both tables begin with. */
static void begin_row(struct output_table *t, const struct tune *x, size_t i)
{
    number_cell(t, x, i);
    for (size_t k = 0; k < x->sweep.n; k++)
        output_cell(t, "%s", sweep_value(&x->sweep, i, k));
}

static struct output_table *open_table(const struct tune *x, const char *const *more,
                                       size_t n)
{
    const char *heads[SWEEP_KEYS + 8] = {"#"};
    size_t at = 1;
    for (size_t k = 0; k < x->sweep.n; k++)
        heads[at++] = x->sweep.keys[k].path;
    for (size_t k = 0; k < n; k++)
        heads[at++] = more[k];
    return output_table_open(at, heads);
}

static void healthy_table(const struct tune *x)
{
    static const char *const more[] = {
        "false aborts: requests", "windows", "recorded", "promoted",
        "in p50 / p90",           ""};
    struct output_table *t = open_table(x, more, 6);
    for (size_t i = 0; i < x->n_rows; i++) {
        const struct tune_row *r = &x->rows[i];
        char a[32], b[32];
        begin_row(t, x, i);
        share_cell(t, &r->requests);
        share_cell(t, &r->windows);
        share_cell(t, &r->recorded);
        output_cell(t, "%u%s%s%s", r->promoted, r->why[0] != '\0' ? " (else " : "",
                    r->why, r->why[0] != '\0' ? ")" : "");
        output_cell(t, "%s / %s", span(a, r->promote.p50), span(b, r->promote.p90));
        output_cell(t, "%s", r->admissible ? "" : "over alpha");
    }
    output_table_close(t);
}

static void fault_table(const struct tune *x, size_t fault)
{
    static const char *const more[] = {"found", "early", "in p50 / p90",
                                       "requests p50 / p90", "hurt p50 / p90"};
    struct output_table *t = open_table(x, more, 5);
    for (size_t i = 0; i < x->n_rows; i++) {
        const struct tune_found *f = &x->rows[i].injected[fault];
        char a[32], b[32];
        begin_row(t, x, i);
        share_cell(t, &f->found);
        output_cell(t, "%u", f->early);
        output_cell(t, "%s / %s", span(a, f->time.p50), span(b, f->time.p90));
        output_cell(t, "%s / %s", amount(a, f->requests.p50),
                    amount(b, f->requests.p90));
        output_cell(t, "%s / %s", amount(a, f->hurt.p50), amount(b, f->hurt.p90));
    }
    output_table_close(t);
}

static void recorded_table(const struct tune *x)
{
    static const char *const more[] = {"found", "early"};
    struct output_table *t = open_table(x, more, 2);
    for (size_t i = 0; i < x->n_rows; i++) {
        begin_row(t, x, i);
        share_cell(t, &x->rows[i].faults);
        output_cell(t, "%u", x->rows[i].early);
    }
    output_table_close(t);
}

static void measured_metric(const struct tune_measured *m, size_t i, const char *name)
{
    const struct measure_units *u = &m->of.units[i];
    const char *comma = "";
    if (m->of.between[i].phi <= 0 && m->of.over_time[i] <= 0 && u->units < 2) return;
    printf("  %s:", name);
    if (m->of.between[i].phi > 0) {
        printf(" phi %.3g between the recorded cohorts", m->of.between[i].phi);
        comma = ",";
    }
    if (m->of.over_time[i] > 0) {
        printf("%s phi %.3g over time%s", comma, m->of.over_time[i],
               m->of.between[i].phi > 0 ? " (with what hits both cohorts alike)" : "");
        comma = ",";
    }
    if (u->units > 1)
        printf("%s %zu units, spread %.2g beyond chance", comma, u->units, u->spread);
    printf("\n");
}

/* Whole units differ, and the plan cannot say how much: no split here shows it. */
static bool unsaid(const struct tune_options *o, const struct tune_measured *m,
                   size_t i)
{
    const struct plan_metric *p = &o->on.plan->metrics[i];
    char path[sizeof m->edits->path];
    snprintf(path, sizeof path, "metrics[%s].pods", p->name);
    for (size_t k = 0; k < m->n_edits; k++)
        if (strcmp(m->edits[k].path, path) == 0) return false;
    return p->kind == PLAN_RATIO && m->of.units[i].spread > 0 &&
           !(p->pods.spread > 0) && o->on.by != NULL && o->on.by[0] != '\0';
}

static void measured(const struct tune_options *o, const struct tune_measured *m)
{
    char window[32];
    explain_span(m->window_ms, window);
    printf("\nMeasured, windows of %s\n", window);
    for (size_t i = 0; i < o->on.plan->n_metrics; i++)
        measured_metric(m, i, o->on.plan->metrics[i].name);
    for (size_t i = 0; i < m->n_edits; i++)
        printf("  so plans with such windows have %s: %s\n", m->edits[i].path,
               m->edits[i].value);
    for (size_t i = 0; i < o->on.plan->n_metrics; i++)
        if (unsaid(o, m, i))
            printf(
                "  WARNING: %s differs between values of %s, which the plan does not "
                "say (`pods`): a canary of few of them may be aborted. No split below "
                "shows it; 'serin selftest --by %s' does\n",
                o->on.plan->metrics[i].name, o->on.by, o->on.by);
}

static void suggest(const struct tune *x, const char *diff)
{
    if (x->best < 0) {
        printf("\nNo combination keeps its false aborts within alpha: nothing is "
               "suggested. 'serin selftest' tries remedies.\n");
        return;
    }
    bool paired = x->measured[x->rows[x->best].measured].paired;
    printf(
        "\nSuggested: %d. False aborts come first: of splits by requests%s at most "
        "alpha, of recorded pairs not significantly more. Then most healthy canaries "
        "promoted, as many faults found as by the best (within its exact limits), "
        "found soonest, fewest hurt, promoted soonest.\n",
        x->best + 1, paired ? "" : " and by windows");
    if (paired)
        printf("Splits by windows do not count here: the recorded cohorts tell which "
               "bursts they share.\n");
    printf(
        "Phi and the choice come from these recordings, and so do all rates above: on "
        "others they may be worse ('serin selftest' with the suggestion and "
        "recordings that were not among these).\n");
    if (diff[0] == '\0')
        printf("It is the plan as it stands.\n");
    else
        fputs(diff, stdout);
}

void tune_tell(const struct tune_options *o, const struct tune *t, const char *path,
               const char *diff)
{
    printf("%s (%s): %zu combination%s, %zu recording%s, %u splits each way\n",
           o->on.plan->id, path, t->n_rows, t->n_rows == 1 ? "" : "s", o->on.n,
           o->on.n == 1 ? "" : "s", o->on.runs);
    for (size_t i = 0; i < t->n_measured; i++)
        measured(o, &t->measured[i]);
    printf("\nHarmless canaries (* Pareto front, < suggested)\n");
    healthy_table(t);
    for (size_t k = 0; k < o->n_inject; k++) {
        printf("\nInjected: %s\n", o->inject[k]);
        fault_table(t, k);
    }
    if (o->n_faults > 0) {
        printf("\nRecorded faults\n");
        recorded_table(t);
    }
    suggest(t, diff);
}

/* ---------------------------------------------------------------- for programs */

static json_t *real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *share_json(const struct tune_share *s)
{
    return json_pack("{s:i, s:i, s:f, s:f}", "k", (int)s->k, "n", (int)s->n, "lower",
                     s->lower, "upper", s->upper);
}

static json_t *times_json(const struct tune_times *t)
{
    return json_pack("{s:o, s:o}", "p50", real(t->p50), "p90", real(t->p90));
}

static json_t *found_json(const char *name, const struct tune_found *f)
{
    return json_pack("{s:s, s:o, s:i, s:o, s:o, s:o}", "inject", name, "found",
                     share_json(&f->found), "early", (int)f->early, "seconds",
                     times_json(&f->time), "requests", times_json(&f->requests), "hurt",
                     times_json(&f->hurt));
}

static json_t *row_json(const struct tune_options *o, const struct tune *t, size_t i)
{
    const struct tune_row *r = &t->rows[i];
    json_t *values = json_object(), *list = json_array();
    for (size_t k = 0; k < t->sweep.n; k++)
        json_object_set_new(values, t->sweep.keys[k].path,
                            json_string(sweep_value(&t->sweep, i, k)));
    for (size_t k = 0; k < o->n_inject; k++)
        json_array_append_new(list, found_json(o->inject[k], &r->injected[k]));
    return json_pack(
        "{s:i, s:o, s:f, s:{s:o, s:o, s:o}, s:i, s:o, s:s, s:o, s:o, s:i, s:b, s:b}",
        "number", (int)i + 1, "values", values, "alpha", r->alpha, "false_aborts",
        "requests", share_json(&r->requests), "windows", share_json(&r->windows),
        "recorded", share_json(&r->recorded), "promoted", (int)r->promoted,
        "promote_seconds", times_json(&r->promote), "undecided_by", r->why, "injected",
        list, "faults", share_json(&r->faults), "faults_early", (int)r->early,
        "admissible", (int)r->admissible, "front", (int)r->front);
}

static json_t *metric_json(const struct tune_measured *m, size_t i, const char *name)
{
    double between = m->of.between[i].phi, time = m->of.over_time[i];
    return json_pack("{s:s, s:o, s:o, s:I, s:o}", "name", name, "phi_between",
                     between > 0 ? json_real(between) : json_null(), "phi_over_time",
                     time > 0 ? json_real(time) : json_null(), "units",
                     (json_int_t)m->of.units[i].units, "spread",
                     real(m->of.units[i].spread));
}

static json_t *measured_json(const struct tune_options *o,
                             const struct tune_measured *m)
{
    json_t *metrics = json_array(), *edits = json_object();
    for (size_t i = 0; i < o->on.plan->n_metrics; i++)
        json_array_append_new(metrics, metric_json(m, i, o->on.plan->metrics[i].name));
    for (size_t i = 0; i < m->n_edits; i++)
        json_object_set_new(edits, m->edits[i].path, json_string(m->edits[i].value));
    return json_pack("{s:I, s:o, s:o}", "window_ms", (json_int_t)m->window_ms,
                     "metrics", metrics, "changes", edits);
}

json_t *tune_tell_json(const struct tune_options *o, const struct tune *t,
                       const char *diff)
{
    json_t *rows = json_array(), *found = json_array(), *best = json_null();
    const char *text = t->best >= 0 ? t->rows[t->best].text : NULL;
    for (size_t i = 0; i < t->n_rows; i++)
        json_array_append_new(rows, row_json(o, t, i));
    for (size_t i = 0; i < t->n_measured; i++)
        json_array_append_new(found, measured_json(o, &t->measured[i]));
    if (text != NULL) best = json_integer(t->best + 1);
    return json_pack("{s:s, s:s, s:i, s:I, s:o, s:o, s:o, s:s, s:s?}", "schema",
                     "serin.tune/1", "plan", o->on.plan->id, "runs", (int)o->on.runs,
                     "seed", (json_int_t)o->on.seed, "measured", found, "combinations",
                     rows, "suggested", best, "diff", diff, "suggested_plan", text);
}
