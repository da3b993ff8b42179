/* engine/cli/cmd_version.c */
#include <stdio.h>

#include "engine/cli/cli.h"

static int run(const struct cli_verb *v, char **args, int n_args)
{
    (void)v, (void)args, (void)n_args;
    puts("serin " SERIN_VERSION);
    return CLI_OK;
}

const struct cli_verb cmd_version = {"version", "", "Print the version.", NULL, 0,
                                     0,         run};
