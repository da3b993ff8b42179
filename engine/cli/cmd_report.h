/* engine/cli/cmd_report.h -- a report from a file */
#ifndef SERIN_ENGINE_CLI_CMD_REPORT_H
#define SERIN_ENGINE_CLI_CMD_REPORT_H

#include "engine/cli/cli.h"
#include "engine/replay/report/report.h"

/**
 * Judge the recording again and tell the report every window: an inbox by what it
 * holds, metrics by --plan. The exit code; what is wrong was said on stderr, and
 * *out is then unchanged.
 */
int cmd_report_file(const struct cli_verb *v, const char *path, struct report **out);

#endif
