/* engine/cli/show.h -- a rollout's status on the terminal, and the code it ends with */
#ifndef SERIN_ENGINE_CLI_SHOW_H
#define SERIN_ENGINE_CLI_SHOW_H

#include <jansson.h>
#include <stdio.h>

#include "engine/cli/cli.h"

/** Status (serin.status/1) with its metrics, gates and warnings. */
void show_status(const json_t *status);
/** One line: rollout, state, step, weight, why. */
void show_line(FILE *out, const json_t *status);
/** What `wait` returns for this state: PROMOTED 0, ABORTED and CANCELLED 1, HELD 4;
 * -1 for every other. */
int show_code(const json_t *status);

#endif
