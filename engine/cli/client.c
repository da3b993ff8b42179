/* engine/cli/client.c */
#include "engine/cli/client.h"

#include <stdio.h>

int client_config(const struct cli_verb *v, struct config *c)
{
    struct fault f = {0};
    struct config_overrides o = {.brokers = cli_get("brokers")};
    if (config_load(cli_get("config"), c, stderr) != SERIN_OK) return CLI_USAGE;
    config_log(c);
    if (config_apply(c, &o, &f) != SERIN_OK || config_check(c, false, &f) != SERIN_OK)
        return cli_usage(v, "%s", f.text);
    return CLI_OK;
}
