/* engine/cli/cmd_quarantine.c -- records that could not be decoded */

#include "engine/cli/output.h"
#include "engine/cli/remote.h"
#include "engine/cli/show.h"

static void print(const json_t *j)
{
    static const char *const heads[] = {"TIME", "RECORD", "REASON", "DETAIL", "HEAD"};
    size_t i;
    json_t *r;
    const json_t *list = json_object_get(j, "records");
    if (json_array_size(list) == 0) {
        fputs("Nothing is in quarantine.\n", stderr);
        return;
    }
    struct output_table *t = output_table_open(sizeof heads / sizeof *heads, heads);
    json_array_foreach(list, i, r)
    {
        char when[32];
        output_cell(t, "%s", output_time(when, output_int(r, "t_ms")));
        output_cell(t, "%s/%lld@%lld", output_text(r, "topic"),
                    (long long)output_int(r, "partition"),
                    (long long)output_int(r, "offset"));
        output_cell(t, "%s", output_text(r, "reason"));
        output_cell(t, "%s", output_text(r, "detail"));
        output_cell(t, "%s", output_text(r, "head"));
    }
    output_table_close(t);
}

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)args, (void)n_args;
    char *path = NULL;
    if (asprintf(&path, "/v1/quarantine") < 0) path = NULL;
    return show_get(v, path, "records", print);
}

static const struct cli_option options[] = {OUTPUT_OPTIONS, REMOTE_OPTIONS, {0}};

const struct cli_verb cmd_quarantine = {
    "quarantine", "[options]", "Show the latest records that could not be decoded.",
    options,      0,           0,
    run};
