/* engine/cli/cmd_status.c -- where one rollout stands */
#include <stdlib.h>

#include "engine/cli/output.h"
#include "engine/cli/remote.h"
#include "engine/cli/show.h"

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)n_args;
    enum output_format format;
    json_t *j = NULL;
    int code = output_format(v, &format);
    if (code != CLI_OK) return code;
    char *path = remote_path(args[0], "");
    code = remote_get(path, &j);
    free(path);
    if (code != CLI_OK) return code;
    if (format != OUTPUT_TABLE) return output_json(format, j, NULL);
    show_status(j);
    json_decref(j);
    return CLI_OK;
}

static const struct cli_option options[] = {OUTPUT_OPTIONS, REMOTE_OPTIONS, {0}};

const struct cli_verb cmd_status = {"status",
                                    "R [options]",
                                    "Show where a rollout stands, with its metrics.",
                                    options,
                                    1,
                                    1,
                                    run};
