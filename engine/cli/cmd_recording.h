/* engine/cli/cmd_recording.h -- `recording anonymize`, which has options of its own */
#ifndef SERIN_ENGINE_CLI_CMD_RECORDING_H
#define SERIN_ENGINE_CLI_CMD_RECORDING_H

#include "engine/cli/cli.h"

/* clang-format off */
#define CMD_RECORDING_ANONYMIZE_OPTIONS \
    {"keep", 0, "ATTRIBUTE", "anonymize: its values stay; several times"}, \
    {"key-file", 0, "FILE", "anonymize: the key, 16 bytes or more, for the same names " \
     "another time (default: random, thrown away)"}, \
    {"plan", 0, "PLAN", "anonymize: one that judges these metrics, to be masked alike"}, \
    {"plan-out", 0, "FILE", "anonymize: where that goes"}
/* clang-format on */

int cmd_recording_anonymize(const struct cli_verb *v, const char *path,
                            const char *out);

#endif
