/* engine/replay/tune/crowd.h -- independent tasks on all cores */
#ifndef SERIN_ENGINE_REPLAY_TUNE_CROWD_H
#define SERIN_ENGINE_REPLAY_TUNE_CROWD_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/status.h"

enum { CROWD_MAX = 64 };

struct crowd {
    size_t n;         /* tasks, 0 .. n - 1; begun in this order */
    unsigned threads; /* 0: as many as there are cores; at most CROWD_MAX */
    /* One task, in any thread. What it writes must be its own. Not OK stops all. */
    enum serin_status (*task)(void *ctx, size_t i, struct fault *f);
    /* The caller's thread asks now and then; true: begin no more. NULL: never. */
    bool (*stop)(void *ctx, size_t done);
    void *ctx;
};

/**
 * Returns when all that was begun has ended. SERIN_AGAIN: `stop` said so; else the
 * first failure by number, with its *f; SERIN_ENOMEM (no thread could be started).
 */
SERIN_MUST_USE
enum serin_status crowd_run(const struct crowd *c, struct fault *f);
/** Cores that this process may use. */
unsigned crowd_cores(void);

#endif
