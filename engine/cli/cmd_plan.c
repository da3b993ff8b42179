/* engine/cli/cmd_plan.c -- what a plan will take and find at a given traffic */
#include <string.h>
#include <unistd.h>

#include "engine/cli/file.h"
#include "engine/cli/plan_ask.h"

static void progress(void *context, unsigned done, unsigned runs)
{
    (void)context;
    fprintf(stderr, "\r%u of %u rollouts", done, runs);
}

static int read_plan(struct plan_ask *a, struct arena *arena)
{
    struct fault f = {0};
    struct doc_errors errors = {0};
    const char *name = strcmp(a->file, "-") == 0 ? "stdin" : a->file;
    enum serin_status rc =
        file_load(arena, a->file, DOC_MAX_BYTES, &a->text, &a->n, &f);
    if (rc != SERIN_OK) return cli_fail(CLI_USAGE, "%s", f.text);
    rc = plan_parse(arena, a->text, a->n, &a->plan, &errors);
    if (rc == SERIN_OK) return CLI_OK;
    if (rc != SERIN_EPARSE) return cli_fail(CLI_USAGE, "%s: %s", name, status_text(rc));
    fputs(doc_errors_format(&errors, name, a->text, a->n), stderr);
    return CLI_USAGE;
}

static int look(struct plan_ask *a, enum output_format format)
{
    struct fault f = {0};
    static struct outlook o;
    int code = plan_ask(a);
    if (code != CLI_OK) return code;
    if (isatty(STDERR_FILENO)) a->q.progress = progress;
    enum serin_status rc = outlook_make(a->plan, &a->q, &o, &f);
    if (a->q.progress != NULL) fputs("\r\033[K", stderr);
    if (rc != SERIN_OK) return cli_fail(CLI_USAGE, "%s", f.text);
    if (format != OUTPUT_TABLE) return output_json(format, plan_json(a, &o), "steps");
    plan_tell(a, &o);
    return CLI_OK;
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    struct arena arena = {0};
    struct plan_ask a = {.v = v, .file = args[0]};
    enum output_format format;
    (void)n_args;
    int code = output_format(v, &format);
    if (code == CLI_OK) code = read_plan(&a, &arena);
    if (code == CLI_OK) code = look(&a, format);
    arena_free(&arena);
    return code;
}

static const struct cli_option options[] = {
    {"rate", 0, "N/s", "requests of both versions together, e.g. 2000/s or 90/min"},
    {"errors", 0, "SHARE", "usual share of bad requests, 0.1%; METRIC=0.1% for one"},
    {"latency", 0, "BASE", "usual latency, p50=80ms,p99=600ms; NAME:p50=… for one"},
    {"events", 0, "N/h", "usual rate of events, both versions together; NAME=N/h"},
    {"gauge", 0, "BASE",
     "usual level by pod, mean=40,sd=5,pods=8; NAME:mean=… for one"},
    {"saturation", 0, "BASE",
     "usual share of pods beyond the bound, share=1%,pods=8; NAME:share=… for one"},
    {"preview", 0, "N/s", "requests of testers in steps of kind preview"},
    {"segment", 0, "NAME=SHARE", "what part of the requests is a segment's, repeated"},
    {"worse", 0, "RATIO",
     "regression of odds, a rate or a level, repeated; else 1.5, 2, 4 and 10"},
    {"slower", 0, "TIMES", "regression of a latency: all of it so many times as long"},
    {"tail", 0, "SHARE:TIME", "… so many requests take so much longer, 1%:500ms"},
    {"metric", 0, "NAME",
     "metric that the regressions hit; else the first of its kind"},
    {"effect", 0, "RATIO",
     "odds ratio of what an experiment asks about; else 1.05, 1.1 and 1.2"},
    {"phi", 0, "N",
     "dispersion of metrics that the plan leaves to calibration (default 1)"},
    {"runs", 0, "N", "simulated rollouts; by default 200, fewer when they are long"},
    {"seed", 0, "N", "of the simulation (default 1)"},
    OUTPUT_OPTIONS,
    {0}};

const struct cli_verb cmd_plan = {
    "plan",
    "FILE --rate N/s --errors SHARE [options]",
    "Tell how long a plan will take, what it will find and whom a bad canary hurts.",
    options,
    1,
    1,
    run};
