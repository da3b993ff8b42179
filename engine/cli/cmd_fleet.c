/* engine/cli/cmd_fleet.c -- all rollouts judged together */
#include <stdio.h>

#include "engine/cli/output.h"
#include "engine/cli/remote.h"
#include "engine/cli/show.h"

static const char *finding(const json_t *e)
{
    if (json_is_true(json_object_get(e, "discovery"))) return "bad";
    return json_is_true(json_object_get(e, "flagged")) ? "flagged" : "";
}

static void print(const json_t *j)
{
    static const char *const heads[] = {"INDEX", "ROLLOUT", "STARTED", "ENDED",
                                        "NOW",   "MOST",    "NEEDS",   "FINDING"};
    size_t i;
    json_t *e;
    const json_t *list = json_object_get(j, "rollouts");
    struct output_table *t = output_table_open(sizeof heads / sizeof *heads, heads);
    json_array_foreach(list, i, e)
    {
        char started[32], ended[32];
        output_cell(t, "%lld", (long long)output_int(e, "index"));
        output_cell(t, "%s", output_text(e, "rollout"));
        output_cell(t, "%s", output_time(started, output_int(e, "started_ms")));
        output_cell(t, "%s", output_time(ended, output_int(e, "ended_ms")));
        output_cell(t, "e^%.1f", output_real(e, "log_e"));
        output_cell(t, "e^%.1f", output_real(e, "peak_log_e"));
        output_cell(t, "e^%.1f", output_real(e, "threshold"));
        output_cell(t, "%s", finding(e));
    }
    output_table_close(t);
    printf("%lld of %lld rollouts are bad; of such findings at most %g %% are false "
           "(e-LOND), whatever each rollout's own risk is.\n",
           (long long)output_int(j, "discoveries"), (long long)output_int(j, "started"),
           100 * output_real(j, "level"));
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)args, (void)n_args;
    char *path = NULL;
    if (asprintf(&path, "/v1/fleet") < 0) path = NULL;
    return show_get(v, path, "rollouts", print);
}

static const struct cli_option options[] = {OUTPUT_OPTIONS, REMOTE_OPTIONS, {0}};

const struct cli_verb cmd_fleet = {
    "fleet", "[options]", "Say which rollouts are bad at a level of them all.",
    options, 0,           0,
    run};
