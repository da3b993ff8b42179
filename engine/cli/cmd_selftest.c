/* engine/cli/cmd_selftest.c -- would this plan cry wolf on this traffic? */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/cli/output.h"
#include "engine/cli/tapes.h"
#include "engine/core/explain.h"
#include "engine/replay/tune/selftest.h"

enum { DEFAULT_RUNS = 200, LEAST_RUNS = 20 };

struct asked {
    struct tapes t;
    struct selftest_options o;
    struct selftest s;
};

/* ---------------------------------------------------------------- in words */

static const char *shows(enum split_how how)
{
    if (how == SPLIT_WINDOWS)
        return "two neighbouring windows become canary and baseline: bursts shorter "
               "than "
               "a window stay whole. Bursts that hit both cohorts alike count, too, so "
               "this errs upwards";
    if (how == SPLIT_UNITS)
        return "whole values of the attribute go one way: whatever they have of their "
               "own "
               "stays with them";
    return "each request goes its own way: drift, small counts and the plan's rules, "
           "not "
           "dependence between requests (pods of gauges and users stay whole)";
}

static const char *advice(const char *remedy)
{
    static const struct {
        const char *name, *says;
    } all[] = {{"phi", "the counts come in bursts: give their measured dispersion"},
               {"pods", "pods differ by luck: say how many there are, and how much"},
               {"tolerance", "units keep a level of their own: abort beyond that only"},
               {"per_user", "users come back: count each of them once"},
               {"window", "bursts last longer than a window: longer windows"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, remedy) == 0) return all[i].says;
    return "";
}

static void rate_cells(struct output_table *t, const struct selftest_rate *r)
{
    char low[32], high[32];
    output_cell(t, "%u of %u", r->aborted, r->runs);
    output_cell(t, "%s to %s", tapes_percent(low, r->lower),
                tapes_percent(high, r->upper));
    output_cell(t, "%u", r->promoted);
    output_cell(t, "%u%s%s%s", r->runs - r->promoted - r->aborted,
                r->why[0] != '\0' ? " (" : "", r->why, r->why[0] != '\0' ? ")" : "");
    output_cell(t, "%s", r->over ? "MORE THAN ALPHA" : "holds");
}

static void table(const struct selftest *s)
{
    static const char *const heads[] = {"split",    "false aborts", "exact 95 %",
                                        "promoted", "undecided",    ""};
    struct output_table *t = output_table_open(6, heads);
    for (size_t i = 0; i < s->n_cases; i++) {
        const struct selftest_case *c = &s->cases[i];
        output_cell(t, "%s", selftest_how(c->how));
        rate_cells(t, &c->rate);
        for (size_t k = 0; k < c->n_remedies; k++) {
            output_cell(t, "  with %s", c->remedies[k].name);
            rate_cells(t, &c->remedies[k].rate);
        }
    }
    output_table_close(t);
}

static void measured(const struct asked *a)
{
    for (size_t i = 0; i < a->t.plan->n_metrics; i++) {
        const struct measure_units *u = &a->s.measured.units[i];
        bool any = a->s.measured.over_time[i] > 0 || a->s.measured.between[i].phi > 0 ||
                   u->units > 1;
        if (!any) continue;
        const char *comma = "";
        printf("%s:", a->t.plan->metrics[i].name);
        if (a->s.measured.over_time[i] > 0) {
            printf(" phi %.3g over time", a->s.measured.over_time[i]);
            comma = ",";
        }
        if (a->s.measured.between[i].phi > 0) {
            printf("%s phi %.3g between the recorded cohorts (%" PRIu64 " windows)",
                   comma, a->s.measured.between[i].phi,
                   a->s.measured.between[i].windows);
            comma = ",";
        }
        if (u->units > 1)
            printf("%s %zu units, spread %.2g beyond chance", comma, u->units,
                   u->spread);
        printf("\n");
    }
}

/* The recorded cohorts show no more than chance: what windows show is common to both.
 */
static bool common(const struct asked *a)
{
    bool any = false;
    for (size_t i = 0; i < a->t.plan->n_metrics; i++) {
        if (a->s.measured.over_time[i] > 0 && a->s.measured.between[i].phi <= 0)
            return false;
        if (a->s.measured.between[i].phi > 1.2) return false;
        any |= a->s.measured.between[i].phi > 0;
    }
    return any;
}

static void conclude(const struct asked *a, const struct selftest_case *c)
{
    char rate[32], alpha[32];
    printf("\n%s: %s.\n", selftest_how(c->how), shows(c->how));
    if (!c->rate.over) return;
    printf("WARNING: the plan aborts %s of harmless canaries here; it allows %s.\n",
           tapes_percent(rate, (double)c->rate.aborted / c->rate.runs),
           tapes_percent(alpha, a->s.alpha));
    if (c->how == SPLIT_WINDOWS && common(a))
        printf(
            "But the recorded cohorts differ by no more than independent requests do: "
            "these bursts hit both alike, which does no harm.\n");
    if (c->holds < 0) {
        printf(c->n_remedies > 0
                   ? "None of the remedies that were tried suffices.\n"
                   : "No remedy that is known here can be written into this plan: it "
                     "needs more units to a cohort, or a larger tolerance "
                     "(abort_over, worse_than).\n");
        return;
    }
    const struct selftest_remedy *r = &c->remedies[c->holds];
    printf("Remedy: %s (%s aborted with it):\n", advice(r->name),
           tapes_percent(rate, (double)r->rate.aborted / r->rate.runs));
    for (size_t i = 0; i < r->n_edits; i++)
        printf("  %s: %s\n", r->edits[i].path, r->edits[i].value);
}

static void for_people(const struct asked *a)
{
    char alpha[32], share[32], window[32];
    snprintf(share, sizeof share, "as the plan commands");
    if (a->o.on.share > 0) tapes_percent(share, a->o.on.share);
    explain_span(a->s.window_ms, window);
    printf("%s: the baseline of %zu recording%s split at random %u times each way, "
           "windows of %s, share of the canary %s; alpha %s\n\n",
           a->t.plan->id, a->t.n, a->t.n == 1 ? "" : "s", a->o.on.runs, window, share,
           tapes_percent(alpha, a->s.alpha));
    table(&a->s);
    printf("\n");
    measured(a);
    for (size_t i = 0; i < a->s.n_cases; i++)
        conclude(a, &a->s.cases[i]);
}

/* ---------------------------------------------------------------- for programs */

static json_t *rate_json(const struct selftest_rate *r)
{
    return json_pack("{s:i, s:i, s:i, s:f, s:f, s:f, s:b, s:s}", "runs", (int)r->runs,
                     "aborted", (int)r->aborted, "promoted", (int)r->promoted, "rate",
                     (double)r->aborted / r->runs, "lower", r->lower, "upper", r->upper,
                     "holds", !r->over, "undecided_by", r->why);
}

static json_t *case_json(const struct selftest_case *c)
{
    json_t *j = rate_json(&c->rate), *list = json_array();
    json_object_set_new(j, "split", json_string(selftest_how(c->how)));
    for (size_t i = 0; i < c->n_remedies; i++) {
        const struct selftest_remedy *r = &c->remedies[i];
        json_t *one = rate_json(&r->rate), *edits = json_object();
        for (size_t k = 0; k < r->n_edits; k++)
            json_object_set_new(edits, r->edits[k].path,
                                json_string(r->edits[k].value));
        json_object_set_new(one, "remedy", json_string(r->name));
        json_object_set_new(one, "changes", edits);
        json_array_append_new(list, one);
    }
    json_object_set_new(j, "remedies", list);
    json_object_set_new(j, "remedy",
                        c->holds >= 0 ? json_string(c->remedies[c->holds].name)
                                      : json_null());
    return j;
}

static json_t *number(double x)
{
    return x > 0 ? json_real(x) : json_null();
}

static json_t *all_json(const struct asked *a)
{
    json_t *j = json_pack("{s:s, s:s, s:f, s:I, s:f, s:I}", "schema",
                          "serin.selftest/1", "plan", a->t.plan->id, "alpha",
                          a->s.alpha, "window_ms", (json_int_t)a->s.window_ms, "share",
                          a->o.on.share, "seed", (json_int_t)a->o.on.seed);
    json_t *cases = json_array(), *metrics = json_array();
    for (size_t i = 0; i < a->s.n_cases; i++)
        json_array_append_new(cases, case_json(&a->s.cases[i]));
    for (size_t i = 0; i < a->t.plan->n_metrics; i++) {
        json_t *m = json_object();
        json_object_set_new(m, "name", json_string(a->t.plan->metrics[i].name));
        json_object_set_new(m, "phi_over_time", number(a->s.measured.over_time[i]));
        json_object_set_new(m, "phi_between", number(a->s.measured.between[i].phi));
        json_object_set_new(m, "units",
                            json_integer((json_int_t)a->s.measured.units[i].units));
        json_object_set_new(m, "spread", number(a->s.measured.units[i].spread));
        json_array_append_new(metrics, m);
    }
    json_object_set_new(j, "cases", cases);
    json_object_set_new(j, "metrics", metrics);
    return j;
}

/* ---------------------------------------------------------------- the run */

static void progress(void *ctx, const char *what, size_t done, size_t runs)
{
    (void)ctx;
    fprintf(stderr, "\r\x1b[K%s: %zu of %zu", what, done, runs);
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    static struct asked a;
    struct fault f = {0};
    int code = tapes_open(v, args, n_args, &a.t);
    if (code == CLI_OK) code = tapes_asked(v, &a.t, LEAST_RUNS, DEFAULT_RUNS, &a.o.on);
    a.o.sources = a.t.sources;
    if (isatty(STDERR_FILENO)) a.o.progress = progress;
    if (code == CLI_OK) {
        enum serin_status rc = selftest_run(&a.t.arena, &a.o, &a.s, &f);
        if (a.o.progress != NULL) fputs("\r\x1b[K", stderr);
        if (rc != SERIN_OK)
            code = cli_fail(rc == SERIN_ENOMEM ? CLI_UNREACHABLE : CLI_USAGE, "%s",
                            f.text);
    }
    if (code == CLI_OK && a.t.output == OUTPUT_TABLE)
        for_people(&a);
    else if (code == CLI_OK)
        code = output_json(a.t.output, all_json(&a), NULL);
    for (size_t i = 0; code == CLI_OK && i < a.s.n_cases; i++)
        if (a.s.cases[i].rate.over) code = CLI_ABORTED;
    tapes_close(&a.t);
    return code;
}

static const struct cli_option options[] = {
    TAPES_OPTIONS,
    {"runs", 'n', "N", "random splits each way; default 200"},
    {"share", 0, "SHARE", "of the canary, e.g. 5%; default: as the plan commands"},
    OUTPUT_OPTIONS,
    {0}};

const struct cli_verb cmd_selftest = {"selftest",
                                      "--plan FILE --from FILE [FILE...] [options]",
                                      "Would this plan abort harmless canaries on this "
                                      "traffic? Splits a recorded baseline "
                                      "at random; exit 1 if it would",
                                      options,
                                      0,
                                      -1,
                                      run};
