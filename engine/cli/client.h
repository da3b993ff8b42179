/* engine/cli/client.h -- the configuration of a verb that only talks to the brokers */
#ifndef SERIN_ENGINE_CLI_CLIENT_H
#define SERIN_ENGINE_CLI_CLIENT_H

#include "engine/cli/cli.h"
#include "engine/cli/config.h"

/**
 * Read what --config names and put --brokers over it. CLI_OK, or the exit code once it
 * has been told why not. *c must be freed (config_free) in either case.
 */
int client_config(const struct cli_verb *v, struct config *c);

#endif
