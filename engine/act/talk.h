/* engine/act/talk.h -- a line to a socket, and what comes back */
#ifndef SERIN_ENGINE_ACT_TALK_H
#define SERIN_ENGINE_ACT_TALK_H

#include <stddef.h>

#include "engine/base/status.h"

/**
 * Connect, send line and a newline, read until the other side closes.
 * address  a path (unix socket) or host:port
 * answer   at most room - 1 bytes and a NUL; the rest is dropped
 * Errors: SERIN_EIO, SERIN_ETIME after timeout_ms for all of it
 */
SERIN_MUST_USE
enum serin_status talk_line(const char *address, const char *line, char *answer,
                            size_t room, int timeout_ms, struct fault *f);

#endif
