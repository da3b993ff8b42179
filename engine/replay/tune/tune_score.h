/* engine/replay/tune/tune_score.h -- rehearsals summed up, compared, and one of them
 * chosen
 */
#ifndef SERIN_ENGINE_REPLAY_TUNE_TUNE_SCORE_H
#define SERIN_ENGINE_REPLAY_TUNE_TUNE_SCORE_H

#include "engine/replay/tune/tune.h"

/** Fill a share and its limits. */
struct tune_share tune_score_share(unsigned k, unsigned n);
/** False aborts by splits (requests and windows, n each). */
void tune_score_healthy(struct tune_row *row, const struct rehearsed *requests,
                        const struct rehearsed *windows, unsigned n);
/** Errors: SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status tune_score_times(struct tune_row *row,
                                   const struct rehearsed *healthy, unsigned n);
/** One fault in n runs. Errors: SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status tune_score_found(struct tune_found *out, const struct rehearsed *r,
                                   unsigned n);
/**
 * Mark what is admissible (false aborts of splits at most alpha of them, rounded up, by
 * windows only where nothing is known between cohorts, recorded pairs not significantly
 * more) and the Pareto front, and choose among the admissible ones: those that promote
 * most healthy canaries within the recordings, if any does; of them those that find as
 * many faults as the best does, within its exact limits; of them by the shortest time
 * to abort, the fewest hurt, the shortest time to promote, the first. -1: none is
 * admissible.
 */
int tune_score_choose(struct tune_row *rows, size_t n, size_t faults,
                      const struct tune_measured *measured);

#endif
