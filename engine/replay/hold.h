/* engine/replay/hold.h -- recorded partials kept until their windows are whole
 *
 * What a flush holds depends on how lines fell into it; a window does not. */
#ifndef SERIN_ENGINE_REPLAY_HOLD_H
#define SERIN_ENGINE_REPLAY_HOLD_H

#include <stddef.h>

#include "engine/base/strview.h"
#include "engine/replay/scene/change.h"
#include "engine/replay/trial.h"

struct hold_rollout;

/* Zero-initialise; hold_free when done. */
struct hold {
    struct hold_rollout *rollouts;
    size_t n, room;
    struct arena window;
};

void hold_free(struct hold *h);
/**
 * Keep the partial of an encoded Inbox record for this rollout, its cells later by
 * shift_ms. Errors: SERIN_EPARSE, SERIN_ENOMEM; unchanged then.
 */
SERIN_MUST_USE
enum serin_status hold_put(struct hold *h, struct strview rollout, struct bytes inbox,
                           int64_t shift_ms);
/** Id of the i-th of h->n rollouts, in the order in which they came. */
const char *hold_id(const struct hold *h, size_t i);
/**
 * The earliest window of rollout i, of length_ms, that ends by until_ms: its cells,
 * sorted by second, cohort, metric and stratum, each of them once. All of it lives in
 * the arena or until the next call of hold_put or hold_take.
 * Errors: SERIN_AGAIN (no window is over), SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status hold_take(struct hold *h, size_t i, int64_t length_ms,
                            int64_t until_ms, struct arena *a, int64_t *start_ms,
                            pb_partial **out);
/**
 * Change every window that ends by until_ms (NULL: as it is) and give it to the trial,
 * before the fold closes it. Errors: those of the change and of the trial,
 * SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status hold_release(struct hold *h, struct trial *t, int64_t until_ms,
                               change_fn change, void *ctx);

#endif
