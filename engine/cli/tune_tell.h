/* engine/cli/tune_tell.h -- what a sweep came to, for people and for programs */
#ifndef SERIN_ENGINE_CLI_TUNE_TELL_H
#define SERIN_ENGINE_CLI_TUNE_TELL_H

#include <jansson.h>

#include "engine/replay/tune/tune.h"

/** Tables, what was measured, the suggestion and its diff, on stdout. */
void tune_tell(const struct tune_options *o, const struct tune *t, const char *path,
               const char *diff);
/** The same; the caller owns it. */
json_t *tune_tell_json(const struct tune_options *o, const struct tune *t,
                       const char *diff);

#endif
