/* engine/cli/cmd_history.c -- the verdicts of a rollout */

#include "engine/cli/output.h"
#include "engine/cli/remote.h"
#include "engine/cli/show.h"

static void print(const json_t *j)
{
    static const char *const heads[] = {"SEQ", "TIME",   "VERDICT", "FROM",
                                        "TO",  "REASON", "WHY"};
    size_t i;
    json_t *verdict;
    const json_t *list = json_object_get(j, "verdicts");
    if (json_array_size(list) == 0) {
        fputs("No verdicts yet.\n", stderr);
        return;
    }
    struct output_table *t = output_table_open(sizeof heads / sizeof *heads, heads);
    json_array_foreach(list, i, verdict)
    {
        char when[32], from[32], to[32];
        const char *actor = output_text(verdict, "actor");
        output_cell(t, "%lld", (long long)output_int(verdict, "seq"));
        output_cell(t, "%s", output_time(when, output_int(verdict, "t_ms")));
        output_state_cell(t, output_text(verdict, "verdict"));
        output_cell(t, "%s", output_weight(from, output_real(verdict, "from_bp")));
        output_cell(t, "%s", output_weight(to, output_real(verdict, "to_bp")));
        output_cell(t, "%s", output_text(verdict, "reason"));
        output_cell(t, "%s%s%s%s", output_text(verdict, "message"),
                    *actor != '\0' ? " (" : "", actor, *actor != '\0' ? ")" : "");
    }
    output_table_close(t);
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)n_args;
    return show_get(v, remote_path(args[0], "/verdicts"), "verdicts", print);
}

static const struct cli_option options[] = {OUTPUT_OPTIONS, REMOTE_OPTIONS, {0}};

const struct cli_verb cmd_history = {
    "history", "R [options]", "List the verdicts of a rollout.", options, 1, 1, run};
