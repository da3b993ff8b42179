/* engine/base/log.h -- log lines on stderr, as logfmt or JSON */
#ifndef SERIN_ENGINE_BASE_LOG_H
#define SERIN_ENGINE_BASE_LOG_H

#include <stdbool.h>

#include "engine/base/status.h"

enum log_level { LOG_DEBUG_LEVEL, LOG_INFO_LEVEL, LOG_WARN_LEVEL, LOG_ERROR_LEVEL };

/** Set once at start, before threads. json: one object a line instead of logfmt. */
void log_setup(enum log_level least, bool json);

/**
 * One line: time, level, component ("bus", "ingest", …) and a message.
 * Thread: any; a line is written whole (one write(2)), cut at 2 KiB.
 */
void log_write(enum log_level level, const char *component, const char *fmt, ...)
    SERIN_PRINTF(3, 4);

#define log_debug(component, ...) log_write(LOG_DEBUG_LEVEL, component, __VA_ARGS__)
#define log_info(component, ...) log_write(LOG_INFO_LEVEL, component, __VA_ARGS__)
#define log_warn(component, ...) log_write(LOG_WARN_LEVEL, component, __VA_ARGS__)
#define log_error(component, ...) log_write(LOG_ERROR_LEVEL, component, __VA_ARGS__)

#endif
