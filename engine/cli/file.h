/* engine/cli/file.h -- read a whole small file, or standard input */
#ifndef SERIN_ENGINE_CLI_FILE_H
#define SERIN_ENGINE_CLI_FILE_H

#include <stddef.h>

#include "engine/base/arena.h"
#include "engine/base/status.h"

/**
 * Read path ("-": standard input) into the arena; *text is NUL-terminated, *n its
 * bytes. Errors: SERIN_EIO (cannot be opened or read), SERIN_ELIMIT (more than max
 * bytes), SERIN_ENOMEM; *f names the file and says what to do.
 */
SERIN_MUST_USE
enum serin_status file_load(struct arena *a, const char *path, size_t max,
                            const char **text, size_t *n, struct fault *f);

#endif
