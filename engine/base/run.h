/* engine/base/run.h -- a program, run to its end: no shell, no inherited files, a time
 */
#ifndef SERIN_ENGINE_BASE_RUN_H
#define SERIN_ENGINE_BASE_RUN_H

#include "engine/base/status.h"
#include "engine/base/text.h"

enum { RUN_OUTPUT_MAX = 4 << 20 };

/**
 * argv     argv[0] an absolute path; ends with NULL
 * env      "NAME=value" besides PATH and LANG; ends with NULL; NULL: none
 * out      what it wrote to standard output, at most RUN_OUTPUT_MAX
 * code     its exit code, -1 when it did not end by itself; NULL: not asked for
 * Errors   SERIN_EIO (cannot be started; an exit code that is not 0: *f has it and what
 *          the program said last), SERIN_ETIME: killed, with all that it started;
 *          SERIN_ENOMEM: its output could not be kept
 * Thread   any
 */
SERIN_MUST_USE
enum serin_status run_program(const char *const *argv, const char *const *env,
                              int timeout_ms, struct text *out, int *code,
                              struct fault *f);

#endif
