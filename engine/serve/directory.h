/* engine/serve/directory.h -- every rollout's latest row and its verdicts, in memory
 *
 * Follows serin.rollouts and serin.verdicts, so that any instance answers for any
 * rollout. One thread writes (directory_run), any thread reads copies. */
#ifndef SERIN_ENGINE_SERVE_DIRECTORY_H
#define SERIN_ENGINE_SERVE_DIRECTORY_H

#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "engine/bus/bus.h"
#include "proto/messages.h"

struct directory; /* opaque */

SERIN_MUST_USE
enum serin_status directory_open(struct directory **out, struct bus *b,
                                 struct fault *f);
/** Follow the topics until directory_stop. Blocks. */
SERIN_MUST_USE
enum serin_status directory_run(struct directory *d, struct fault *f);
void directory_stop(struct directory *d); /* any thread; async-signal-safe */
void directory_close(struct directory *d);
bool directory_ready(const struct directory *d); /* both topics read once to the end */

/* Thread: any, for all below. Messages are decoded into the caller's arena. */
/** SERIN_ENOENT when there is no such rollout. */
SERIN_MUST_USE
enum serin_status directory_get(struct directory *d, const char *rollout,
                                struct arena *a, pb_rollout **out);
/** All rows, sorted by id. */
SERIN_MUST_USE
enum serin_status directory_list(struct directory *d, struct arena *a,
                                 pb_rollout ***out, size_t *n);
/** Verdicts of a rollout with seq > after, oldest first. */
SERIN_MUST_USE
enum serin_status directory_verdicts(struct directory *d, const char *rollout,
                                     uint64_t after, struct arena *a, pb_verdict ***out,
                                     size_t *n);
/** Grows with every row or verdict; wait until it is past `seen` or timeout_ms passed.
 */
uint64_t directory_wait(struct directory *d, uint64_t seen, int timeout_ms);

#endif
