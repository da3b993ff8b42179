/* engine/cli/cmd_status.c -- where one rollout stands */

#include "engine/cli/output.h"
#include "engine/cli/remote.h"
#include "engine/cli/show.h"

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)n_args;
    return show_get(v, remote_path(args[0], ""), NULL, show_status);
}

static const struct cli_option options[] = {OUTPUT_OPTIONS, REMOTE_OPTIONS, {0}};

const struct cli_verb cmd_status = {"status",
                                    "R [options]",
                                    "Show where a rollout stands, with its metrics.",
                                    options,
                                    1,
                                    1,
                                    run};
