/* engine/serve/directory.h -- every rollout's latest row and its verdicts, in memory
 *
 * Follows serin.rollouts and serin.verdicts, so that any instance answers for any
 * rollout. directory_run writes (one thread a topic), any thread reads copies. */
#ifndef SERIN_ENGINE_SERVE_DIRECTORY_H
#define SERIN_ENGINE_SERVE_DIRECTORY_H

#include "engine/base/arena.h"
#include "engine/base/status.h"
#include "engine/bus/bus.h"
#include "engine/serve/fleet.h"
#include "proto/messages.h"

/* Verdicts kept in memory: of one rollout, and bytes of all; the oldest go first. */
enum { DIRECTORY_MAX_VERDICTS = 256 };
#define DIRECTORY_MAX_BYTES ((size_t)256 << 20)

struct directory; /* opaque */

/** b may be NULL: then only directory_take fills it (tests). */
SERIN_MUST_USE
enum serin_status directory_open(struct directory **out, struct bus *b,
                                 struct fault *f);
/** Follow the topics until directory_stop, through every broker trouble. Blocks. */
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
/** Every rollout that has had traffic, judged together at a level in (0, 1). */
SERIN_MUST_USE
enum serin_status directory_fleet(struct directory *d, double level, struct arena *a,
                                  struct fleet *out);
/** Verdicts of a rollout with seq > after, oldest first. */
SERIN_MUST_USE
enum serin_status directory_verdicts(struct directory *d, const char *rollout,
                                     uint64_t after, struct arena *a, pb_verdict ***out,
                                     size_t *n);
/* One thing that came; exactly one of the two is set. */
struct directory_change {
    uint64_t version; /* of the directory when it came */
    pb_rollout *row;  /* the latest of its rollout */
    pb_verdict *verdict;
};
/** What came after version `since`, in that order; rollout NULL: of all. */
SERIN_MUST_USE
enum serin_status directory_changes(struct directory *d, const char *rollout,
                                    uint64_t since, struct arena *a,
                                    struct directory_change **out, size_t *n);
/** The id nearest to a mistyped one, copied into the arena; NULL when none is near. */
const char *directory_nearest(struct directory *d, const char *rollout,
                              struct arena *a);
/** Grows with every row or verdict; wait until it is past `seen` or timeout_ms passed.
 */
uint64_t directory_wait(struct directory *d, uint64_t seen, int timeout_ms);

/**
 * Take one record as read from a topic (BUS_ROLLOUTS or BUS_VERDICTS); value NULL is a
 * tombstone. What cannot be decoded is counted and changes nothing.
 */
void directory_take(struct directory *d, enum bus_topic topic, const void *key,
                    size_t key_len, const void *value, size_t value_len);
/** All that stood in the topic has been taken. */
void directory_caught_up(struct directory *d, enum bus_topic topic);

struct directory_counts {
    uint64_t rollouts, live, verdicts, bytes; /* held now */
    uint64_t records, undecodable;            /* since the start */
};
struct directory_counts directory_counts(struct directory *d);

#endif
