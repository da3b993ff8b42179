/* engine/replay/tune/edit.h -- one value of a plan's text changed in place: comments,
 * order and everything else stay as their author wrote them */
#ifndef SERIN_ENGINE_REPLAY_TUNE_EDIT_H
#define SERIN_ENGINE_REPLAY_TUNE_EDIT_H

#include <stddef.h>

#include "engine/base/arena.h"
#include "engine/base/status.h"

/**
 * text   YAML that doc_parse takes; path: keys with dots between them, an item of a
 * list by its number from 1 or, where its members have a name, by that:
 *        "risk.false_abort", "steps[2].bake", "metrics[errors].phi"
 * value  as one would write it behind the colon, on one line
 * What is there is replaced; what is not is added to the innermost map that is there.
 * out    NUL-terminated, in the arena
 * Errors: SERIN_EPARSE (not YAML), SERIN_ENOENT (no such item), SERIN_EDOM (written in
 * a way that cannot be changed in place), SERIN_ENOMEM; *f says which.
 */
SERIN_MUST_USE
enum serin_status edit_set(struct arena *a, const char *text, const char *path,
                           const char *value, const char **out, struct fault *f);
/** How many items the list at this path has; 0: there is none. */
size_t edit_items(struct arena *a, const char *text, const char *path, size_t n_path);

#endif
