/* engine/replay/tune/ledger.h -- results of rehearsals in a file, so that a run that
 * was interrupted goes on where it was
 *
 * A line that names what the results are of, then one record a result, appended as they
 * come. A record that was cut short or damaged is done again. Of this machine and this
 * version of the program. */
#ifndef SERIN_ENGINE_REPLAY_TUNE_LEDGER_H
#define SERIN_ENGINE_REPLAY_TUNE_LEDGER_H

#include "engine/replay/tune/rehearse.h"

struct ledger; /* opaque; thread: any, ledger_put is locked */

/**
 * Open, or begin, the file of the results that `key` names (hex, HASH_DIGEST bytes) and
 * fill in those that it has. results, done: n
 * Errors: SERIN_EIO; SERIN_EDOM (the file is something else, or of another run).
 */
SERIN_MUST_USE
enum serin_status ledger_open(struct ledger **out, const char *path, const char *key,
                              struct rehearsed *results, bool *done, size_t n,
                              struct fault *f);
/** Append the i-th result. Errors: SERIN_EIO. */
SERIN_MUST_USE
enum serin_status ledger_put(struct ledger *l, size_t i, const struct rehearsed *r);
/** What was put is in the file. NULL is a no-op. Errors: SERIN_EIO. */
SERIN_MUST_USE
enum serin_status ledger_close(struct ledger *l);

#endif
