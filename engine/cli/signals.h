/* engine/cli/signals.h -- SIGTERM and SIGINT ask once, and insist the second time */
#ifndef SERIN_ENGINE_CLI_SIGNALS_H
#define SERIN_ENGINE_CLI_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

/** Hold both signals back, in this thread and all it starts. Call before any thread. */
void signals_hold(void);
/**
 * Sleep ms, 0 just looks. True once a signal has come, at once from then on; the next
 * one ends the process without waiting for anything. Thread: the one that held them.
 */
bool signals_pause(void *unused, int64_t ms);
/**
 * If the process is still there in `seconds`, say text on stderr and end it with code.
 * For a stop that must not hang on a broker that is away. text must be static.
 */
void signals_end_within(unsigned seconds, const char *text, int code);

#endif
