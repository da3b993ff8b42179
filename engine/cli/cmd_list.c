/* engine/cli/cmd_list.c -- every rollout, one line each */
#include <stdlib.h>

#include "engine/base/clock.h"
#include "engine/cli/output.h"
#include "engine/cli/remote.h"
#include "engine/cli/show.h"

/* "12: bad", "12: flagged", "12: e^3.1 of e^6.9": index among all, and evidence. */
static void fleet_cell(struct output_table *t, const json_t *e)
{
    long long index = (long long)output_int(e, "index");
    if (!json_is_object(e))
        output_cell(t, "-");
    else if (json_is_true(json_object_get(e, "discovery")))
        output_cell(t, "%lld: bad", index);
    else if (json_is_true(json_object_get(e, "flagged")))
        output_cell(t, "%lld: flagged", index);
    else
        output_cell(t, "%lld: e^%.1f of e^%.1f", index, output_real(e, "peak_log_e"),
                    output_real(e, "threshold"));
}

static bool has_fleet(const json_t *list)
{
    size_t i;
    json_t *r;
    json_array_foreach(list, i, r)
    {
        if (json_is_object(json_object_get(r, "fleet"))) return true;
    }
    return false;
}

static void print(const json_t *j)
{
    static const char *const heads[] = {"ROLLOUT", "STATE", "STEP", "WEIGHT",
                                        "FOR",     "WHY",   "FLEET"};
    size_t i;
    json_t *r;
    const json_t *list = json_object_get(j, "rollouts");
    if (json_array_size(list) == 0) {
        fputs("No rollouts; 'serin apply plan.yaml' starts one.\n", stderr);
        return;
    }
    bool fleet = has_fleet(list);
    struct output_table *t =
        output_table_open(sizeof heads / sizeof *heads - !fleet, heads);
    json_array_foreach(list, i, r)
    {
        char weight[32], ago[32];
        int64_t since = output_int(r, "since_ms");
        const char *why = output_text(r, "message");
        output_cell(t, "%s", output_text(r, "rollout"));
        output_state_cell(t, output_text(r, "state"));
        output_cell(t, "%lld/%lld", (long long)output_int(r, "step"),
                    (long long)output_int(r, "steps"));
        output_cell(t, "%s", output_weight(weight, output_real(r, "weight_bp")));
        output_cell(t, "%s",
                    output_duration(ago, since > 0 ? clock_wall_ms() - since : -1));
        output_cell(t, "%s", *why != '\0' ? why : output_text(r, "reason"));
        if (fleet) fleet_cell(t, json_object_get(r, "fleet"));
    }
    output_table_close(t);
}

static char *path_of(const char *state, const char *service)
{
    char *s = remote_escape(state != NULL ? state : ""), *path = NULL;
    char *w = remote_escape(service != NULL ? service : "");
    if (s == NULL || w == NULL ||
        asprintf(&path, "/v1/rollouts?%s%s&%s%s", state != NULL ? "state=" : "", s,
                 service != NULL ? "service=" : "", w) < 0)
        path = NULL;
    free(s);
    free(w);
    return path;
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)args, (void)n_args;
    return show_get(v, path_of(cli_get("state"), cli_get("service")), "rollouts",
                    print);
}

static const struct cli_option options[] = {
    {"state", 0, "STATE", "only those in this state, such as held"},
    {"service", 0, "NAME", "only those of this service"},
    OUTPUT_OPTIONS,
    REMOTE_OPTIONS,
    {0}};

const struct cli_verb cmd_list = {
    "list", "[options]", "List every rollout and where it stands.", options, 0, 0, run};
