/* engine/cli/show.h -- a rollout's status on the terminal, and the code it ends with */
#ifndef SERIN_ENGINE_CLI_SHOW_H
#define SERIN_ENGINE_CLI_SHOW_H

#include <jansson.h>
#include <stdio.h>

#include "engine/cli/cli.h"

/** Status (serin.status/1) with its metrics, gates and warnings. */
void show_status(const json_t *status);
/** One line: rollout, state, step, weight, why. Before an aborted one's its rollback
 * plan, if it has one. */
void show_line(FILE *out, const json_t *status);
/** What `wait` returns for this state: PROMOTED 0, ABORTED and CANCELLED 1, HELD 4;
 * CONCLUDED by its result: win 0, lose 1, no difference 6; -1 for every other. */
int show_code(const json_t *status);

/**
 * The whole of a verb that looks: GET path (taken; NULL: out of memory) and print the
 * answer as -o asks for; print does it for people. list: as for output_json.
 * Returns the exit code.
 */
int show_get(const struct cli_verb *v, char *path, const char *list,
             void (*print)(const json_t *));

#endif
