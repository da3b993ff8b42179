/* engine/cli/cmd_notes.c -- a rollout as a page of Markdown: what was released, what
 * came of it, who said yes, and how to go back */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cli/output.h"
#include "engine/cli/remote.h"

/* Somebody's words as Markdown text of one line: no markup, no table cells, no HTML. */
static void words(const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7f) {
            putchar(' ');
            continue;
        }
        if (strchr("\\`*_[]<>|#", *p) != NULL) putchar('\\');
        putchar(*p);
    }
}

/* A document is Markdown of its author, or a link, or a line; kept as it is but for
 * control characters. */
static void document(const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if ((c >= 0x20 && c != 0x7f) || c == '\n') putchar(*p);
    }
    putchar('\n');
}

static void section(const char *head, const char *text, const char *without)
{
    printf("## %s\n\n", head);
    document(*text != '\0' ? text : without);
    putchar('\n');
}

static void row(const char *name, const char *text)
{
    if (*text == '\0') return;
    printf("| %s | ", name);
    words(text);
    puts(" |");
}

static void facts(const json_t *s)
{
    char weight[32], when[32];
    const char *message = output_text(s, "message");
    printf("# ");
    words(output_text(s, "rollout"));
    printf(": %s\n\n", output_text(s, "state"));
    if (*message != '\0') {
        words(message);
        fputs("\n\n", stdout);
    }
    puts("| | |\n|---|---|");
    row("service", output_text(s, "service"));
    row("owner", output_text(s, "owner"));
    row("reason", output_text(s, "reason"));
    row("result", output_text(s, "result"));
    printf("| canary | %s, step %lld of %lld |\n",
           output_weight(weight, output_real(s, "weight_bp")),
           (long long)output_int(s, "step"), (long long)output_int(s, "steps"));
    row("first weight", output_time(when, output_int(s, "started_ms")));
    row("since", output_time(when, output_int(s, "since_ms")));
    row("plan", output_text(s, "plan_hash"));
    putchar('\n');
}

static void approvals(const json_t *gates)
{
    size_t i, k;
    json_t *gate, *vote;
    if (json_array_size(gates) == 0) return;
    puts("## Approvals\n");
    json_array_foreach(gates, i, gate)
    {
        fputs("- gate ", stdout);
        words(output_text(gate, "name"));
        printf(": %s%s", output_text(gate, "state"),
               *output_text(gate, "reason") != '\0' ? ", for: " : "");
        words(output_text(gate, "reason"));
        putchar('\n');
        json_array_foreach(json_object_get(gate, "votes"), k, vote)
        {
            char when[32];
            bool no = strcmp(output_text(vote, "vote"), "deny") == 0;
            printf("  - %s by ", no ? "denied" : "approved");
            words(output_text(vote, "actor"));
            printf(", %s%s", output_time(when, output_int(vote, "t_ms")),
                   *output_text(vote, "reason") != '\0' ? ": " : "");
            words(output_text(vote, "reason"));
            putchar('\n');
        }
    }
    putchar('\n');
}

static void timeline(const json_t *verdicts)
{
    size_t i;
    json_t *v;
    puts("## Timeline\n");
    if (json_array_size(verdicts) == 0) {
        puts("No verdicts yet.\n");
        return;
    }
    puts("| time | verdict | weight | reason | why | by |\n|---|---|---|---|---|---|");
    json_array_foreach(verdicts, i, v)
    {
        char when[32], from[32], to[32];
        printf("| %s | %s | %s to %s | ", output_time(when, output_int(v, "t_ms")),
               output_text(v, "verdict"),
               output_weight(from, output_real(v, "from_bp")),
               output_weight(to, output_real(v, "to_bp")));
        words(output_text(v, "reason"));
        fputs(" | ", stdout);
        words(output_text(v, "message"));
        fputs(" | ", stdout);
        words(output_text(v, "actor"));
        puts(" |");
    }
    putchar('\n');
}

static void cohort(const json_t *c)
{
    if (json_object_get(c, "p50") != NULL)
        printf("%.3g / %.3g / %.3g ms", output_real(c, "p50"), output_real(c, "p90"),
               output_real(c, "p99"));
    else if (json_object_get(c, "mean") != NULL)
        printf("mean %.4g", output_real(c, "mean"));
    else
        printf("%lld of %lld", (long long)output_int(c, "bad"),
               (long long)output_int(c, "n"));
}

static void number(double x)
{
    if (isnan(x))
        putchar('-');
    else
        printf("%.4g", x);
}

static void figures(const json_t *metrics)
{
    size_t i;
    json_t *m;
    if (json_array_size(metrics) == 0) return;
    puts(
        "## Figures\n\nBad of all, or p50 / p90 / p99; the ratio with limits that hold "
        "whenever one looks.\n");
    puts("| metric | canary | baseline | ratio | lower | upper |\n"
         "|---|---|---|---|---|---|");
    json_array_foreach(metrics, i, m)
    {
        static const char *const keys[] = {"estimate", "lower", "upper"};
        fputs("| ", stdout);
        words(output_text(m, "name"));
        fputs(" | ", stdout);
        cohort(json_object_get(m, "canary"));
        fputs(" | ", stdout);
        cohort(json_object_get(m, "baseline"));
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            fputs(" | ", stdout);
            number(output_real(m, keys[k]));
        }
        puts(" |");
    }
}

/* The figures that the last verdict with any was given on; else those of now. */
static const json_t *judged(const json_t *status, const json_t *verdicts)
{
    for (size_t i = json_array_size(verdicts); i-- > 0;) {
        const json_t *m = json_object_get(json_array_get(verdicts, i), "metrics");
        if (json_array_size(m) != 0 && json_is_true(json_object_get(status, "final")))
            return m;
    }
    return json_object_get(status, "metrics");
}

static void page(const json_t *s, const json_t *verdicts)
{
    static const char none[] = "None were given in the plan.";
    bool aborted = strcmp(output_text(s, "state"), "ABORTED") == 0;
    facts(s);
    if (aborted) section("Rollback plan", output_text(s, "rollback_plan"), none);
    section("Release notes", output_text(s, "release_notes"), none);
    if (!aborted) section("Rollback plan", output_text(s, "rollback_plan"), none);
    approvals(json_object_get(s, "gates"));
    timeline(verdicts);
    figures(judged(s, verdicts));
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    json_t *status = NULL, *verdicts = NULL;
    (void)v, (void)n_args;
    char *path = remote_path(args[0], ""), *more = remote_path(args[0], "/verdicts");
    int code = remote_get(path, &status);
    if (code == CLI_OK) code = remote_get(more, &verdicts);
    if (code == CLI_OK) page(status, json_object_get(verdicts, "verdicts"));
    free(path);
    free(more);
    json_decref(status);
    json_decref(verdicts);
    return code;
}

static const struct cli_option options[] = {REMOTE_OPTIONS, {0}};

const struct cli_verb cmd_notes = {"notes",
                                   "R [options]",
                                   "Write a rollout up as Markdown: notes, outcome, "
                                   "approvals, timeline, rollback plan.",
                                   options,
                                   1,
                                   1,
                                   run};
