/* engine/act/file.h -- a file that others read while we change it: whole before, whole
 * after */
#ifndef SERIN_ENGINE_ACT_FILE_H
#define SERIN_ENGINE_ACT_FILE_H

#include <limits.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/base/text.h"

/* Between open and close nobody else who uses this has it: its folder is locked. */
struct file {
    char path[PATH_MAX]; /* symbolic links followed */
    int folder;          /* -1: not open */
};

/** Errors: SERIN_EIO (no such folder), SERIN_ETIME (locked too long); not open then. */
SERIN_MUST_USE
enum serin_status file_open(struct file *file, const char *path, struct fault *f);
void file_close(struct file *file);
/**
 * changed_ms  out: when it was last written, ms since the epoch; may be NULL
 * Errors      SERIN_ENOENT (no such file; *out stays empty), SERIN_EIO, SERIN_ENOMEM
 */
SERIN_MUST_USE
enum serin_status file_read(const struct file *file, struct text *out,
                            int64_t *changed_ms, struct fault *f);
/**
 * Written beside it, to the disk, then renamed; owner and mode stay as they were (0644
 * when it is new). Errors: SERIN_EIO, the file is as before.
 */
SERIN_MUST_USE
enum serin_status file_write(const struct file *file, const char *p, size_t n,
                             struct fault *f);

#endif
