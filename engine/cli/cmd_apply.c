/* engine/cli/cmd_apply.c -- lint a plan here, then start its rollout */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/act/section.h"
#include "engine/cli/command.h"
#include "engine/cli/file.h"
#include "engine/core/plan_advice.h"

enum { PLAN_MAX = 256 * 1024 };

static void tell_step(const struct plan_step *s)
{
    static const char *const kinds[] = {
        [PLAN_STEP_WEIGHT] = NULL,
        [PLAN_STEP_ANALYSIS] = NULL,
        [PLAN_STEP_MIRROR] = "then copies of requests go to the canary",
        [PLAN_STEP_PREVIEW] = "then its preview traffic counts",
        [PLAN_STEP_PAUSE] = "then it pauses",
    };
    char text[32];
    if (kinds[s->kind] != NULL)
        fprintf(stderr, "%s", kinds[s->kind]);
    else if (s->weight_bp == 0 && s->n_audience != 0)
        fprintf(stderr, "then segment %s gets the canary", s->audience[0]);
    else
        fprintf(stderr, "then the canary gets %s", output_weight(text, s->weight_bp));
    if (s->kind == PLAN_STEP_PAUSE && s->pause_ms == 0)
        fputs(" until 'serin promote'.\n", stderr);
    else if (s->kind == PLAN_STEP_PAUSE)
        fprintf(stderr, " for %s.\n", output_duration(text, s->pause_ms));
    else
        fprintf(stderr, ", judged for at least %s.\n",
                output_duration(text, s->bake_ms));
}

/* The first things that will happen, in order. */
static void tell_next(const struct plan *p)
{
    char text[32];
    fputs("Next: ", stderr);
    if (p->not_before_ms > 0)
        fprintf(stderr, "it starts at %s; ", output_time(text, p->not_before_ms));
    if (p->steps[0].gate != NULL)
        fprintf(stderr, "gate %s must be approved; ", p->steps[0].gate);
    if (p->calibrate_ms > 0)
        fprintf(stderr, "the baseline alone is measured for %s; ",
                output_duration(text, p->calibrate_ms));
    tell_step(&p->steps[0]);
    fprintf(stderr, "Follow it with 'serin get %s --watch' or 'serin wait %s'.\n",
            p->id, p->id);
}

static char *path_of(void)
{
    const char *reason = cli_get("reason");
    char *actor = remote_escape(command_actor()), *path = NULL;
    char *why = remote_escape(reason != NULL ? reason : "");
    if (actor == NULL || why == NULL ||
        asprintf(&path, "/v1/rollouts?actor=%s&reason=%s", actor, why) < 0)
        path = NULL;
    free(actor);
    free(why);
    return path;
}

static int apply(const struct plan *p, const char *text, size_t n,
                 enum output_format format)
{
    json_t *reply = NULL;
    char *path = path_of();
    if (path == NULL) return cli_fail(CLI_UNREACHABLE, "out of memory");
    int code = command_post(path, "application/yaml", text, n, "apply", p->id, &reply);
    free(path);
    if (code != CLI_OK) return code;
    if (format != OUTPUT_TABLE) return output_json(format, reply, NULL);
    printf("%s: ", p->id);
    output_clean(stdout, output_text(reply, "message"));
    putchar('\n');
    tell_next(p);
    json_decref(reply);
    return CLI_OK;
}

/* What lint would say; no reason not to start. */
static void advise(struct arena *a, const struct plan *p, const char *text, size_t n,
                   const char *file)
{
    struct doc_errors advice = {0};
    if (plan_advise(a, p, text, n, &advice) != SERIN_OK) return;
    for (size_t i = 0; i < advice.n; i++)
        fprintf(stderr, "%s:%u:%u: warning: %s\n", file, advice.items[i].line,
                advice.items[i].column, advice.items[i].text);
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)n_args;
    struct arena a = {0};
    struct doc_errors errors = {.arena = &a};
    struct fault f = {0};
    struct plan *plan = NULL;
    enum output_format format;
    const char *text = NULL;
    size_t n = 0;
    int code = output_format(v, &format);
    if (code != CLI_OK) return code;
    if (file_load(&a, args[0], PLAN_MAX, &text, &n, &f) != SERIN_OK) {
        code = cli_fail(CLI_USAGE, "%s", f.text);
    } else if (section_plan(&a, text, n, &plan, &errors) == SERIN_OK) {
        advise(&a, plan, text, n, args[0]);
        code = apply(plan, text, n, format);
    } else {
        const char *shown = doc_errors_format(&errors, args[0], text, n);
        fputs(shown != NULL ? shown : "out of memory\n", stderr);
        code = CLI_USAGE;
    }
    arena_free(&a);
    return code;
}

static const struct cli_option options[] = {
    COMMAND_OPTIONS, OUTPUT_OPTIONS, REMOTE_OPTIONS, {0}};

const struct cli_verb cmd_apply = {
    "apply",
    "FILE [options]",
    "Check a plan and start its rollout ('-': standard input).",
    options,
    1,
    1,
    run};
