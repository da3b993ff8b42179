/* engine/cli/cmd_explain.c -- the inequality that decided, or what is missing */
#include <string.h>

#include "engine/cli/output.h"
#include "engine/cli/remote.h"
#include "engine/cli/show.h"

static void print(const json_t *j)
{
    size_t i;
    json_t *sentence;
    const char *id = json_string_value(json_object_get(j, "id"));
    const char *verdict = json_string_value(json_object_get(j, "verdict"));
    const char *shown = verdict != NULL ? verdict : output_text(j, "state");
    output_clean(stdout, id != NULL ? id : output_text(j, "rollout"));
    printf("  %s%s%s", output_colour(shown), shown, output_plain());
    if (*output_text(j, "message") != '\0') fputs("  ", stdout);
    output_clean(stdout, output_text(j, "message"));
    putchar('\n');
    json_array_foreach(json_object_get(j, "sentences"), i, sentence)
    {
        fputs("  - ", stdout);
        output_clean(stdout, json_string_value(sentence));
        putchar('\n');
    }
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)n_args;
    char tail[64] = "/explain", *seq = strchr(args[0], '/');
    if (seq != NULL) {
        *seq++ = '\0';
        if (*seq == '\0' || strlen(seq) > 20 ||
            strspn(seq, "0123456789") != strlen(seq))
            return cli_usage(v, "\"%s/%s\": expected R or R/SEQ, a verdict's id",
                             args[0], seq);
        snprintf(tail, sizeof tail, "/explain?seq=%s", seq);
    }
    return show_get(v, remote_path(args[0], tail), NULL, print);
}

static const struct cli_option options[] = {OUTPUT_OPTIONS, REMOTE_OPTIONS, {0}};

const struct cli_verb cmd_explain = {
    "explain",
    "R[/SEQ] [options]",
    "Say why a verdict was given, or what a live rollout is waiting for.",
    options,
    1,
    1,
    run};
