/* engine/cli/cmd_schema.c -- JSON Schemas, for editors and CI */
#include <stdio.h>
#include <string.h>

#include "engine/cli/cli.h"
#include "engine/cli/config.h"
#include "engine/core/plan.h"

static int run(const struct cli_verb *v, char **args, int n_args)
{
    const char *what = n_args > 0 ? args[0] : "plan", *schema;
    bool config = strcmp(what, "config") == 0;
    if (!config && strcmp(what, "plan") != 0)
        return cli_usage(v, "no schema \"%s\"; there are plan and config", what);
    struct arena a = {0};
    enum serin_status rc =
        config ? config_schema(&a, &schema) : plan_schema(&a, &schema);
    if (rc == SERIN_OK) fputs(schema, stdout);
    arena_free(&a);
    return rc == SERIN_OK ? CLI_OK : cli_fail(CLI_USAGE, "schema: %s", status_text(rc));
}

const struct cli_verb cmd_schema = {
    "schema",
    "[plan|config]",
    "Print the JSON Schema of plans (default) or of serin.yaml.",
    NULL,
    0,
    1,
    run};
