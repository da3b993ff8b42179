/* engine/follow/coordinate.h -- which facts about others a rollout must be told; no I/O
 *
 * A rollout's row says what it knows; whatever it does not know yet is told, again and
 * again until its row shows it. So nothing has to be remembered, a lost record is made
 * good, and a second coordinator only repeats. */
#ifndef SERIN_ENGINE_FOLLOW_COORDINATE_H
#define SERIN_ENGINE_FOLLOW_COORDINATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/mem.h"
#include "engine/base/status.h"
#include "proto/messages.h"

#define HASH_NONFATAL_OOM 1
#define uthash_malloc(n) mem_calloc(1, n)
#define uthash_free(p, n) mem_free(p)
#include <uthash.h>

struct coordinate_wait {
    char *about, *state; /* as the row has them */
    bool after;
    int64_t told_ms; /* when its news were last told; 0 = not */
};

/* What of a row matters here. */
struct coordinate_row {
    char *id, *state, *scope;
    int64_t created_ms;
    bool final, alone;
    struct coordinate_wait *waits;
    size_t n_waits;
    int64_t told_ms; /* when a neighbour was last told of */
    UT_hash_handle hh;
};

struct coordinate { /* zero-initialise; coordinate_free when done */
    struct coordinate_row *rows;
};
void coordinate_free(struct coordinate *c);
/** Take a row; m NULL: the rollout `id` is gone. Errors: SERIN_ENOMEM */
SERIN_MUST_USE
enum serin_status coordinate_take(struct coordinate *c, const char *id,
                                  const pb_rollout *m);
/** Tell rollout `to` that `about` is in this state; queue: it came first. */
typedef void coordinate_tell(void *ctx, const char *to, const char *about,
                             const char *state, bool queue);
/**
 * Tell all that is to be told now. now_ms: any clock that only goes forward, > 0; the
 * same fact is told again after COORDINATE_AGAIN_MS at the soonest.
 */
enum { COORDINATE_AGAIN_MS = 5000 };
void coordinate_all(struct coordinate *c, int64_t now_ms, coordinate_tell *tell,
                    void *ctx);

#endif
