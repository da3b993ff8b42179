/* engine/replay/tune/tape.h -- a recording of metrics, read once through the ingest,
 * kept in memory as the very partials and ticks that a replay gets, and played as often
 * as one likes */
#ifndef SERIN_ENGINE_REPLAY_TUNE_TAPE_H
#define SERIN_ENGINE_REPLAY_TUNE_TAPE_H

#include "engine/replay/feed.h"

/* Bytes of packed partials that one tape may have: about a week of three metrics by the
 * second. A longer recording is refused, never cut. */
#define TAPE_MAX ((size_t)512 << 20)

struct tape; /* opaque; thread: one while it is read, any number afterwards */

struct tape_about {
    int64_t first_ms, last_ms; /* event time */
    int64_t grid_ms;           /* most seconds with data are so far apart */
    size_t bytes, partials;
    bool both;         /* cohorts; else one of them alone has cells */
    char rollout[129]; /* as the recording calls it */
    uint64_t digest;   /* of all that is played */
};

/**
 * Read what o names, all of it under the plan's id. by: attribute whose values become
 * the last part of each cell's stratum (behind a comma where the plan has strata); ""
 * or NULL: none.
 * Errors: as feed_run; SERIN_EDOM (nothing in it for the plan, or several rollouts
 * where o->as does not say that they are one),
 * SERIN_ELIMIT (more than max bytes; 0 = TAPE_MAX). *f says what was found.
 */
SERIN_MUST_USE
enum serin_status tape_read(struct tape **out, const struct feed_options *o,
                            const char *by, size_t max, struct fault *f);
void tape_close(struct tape *t);
struct tape_about tape_about(const struct tape *t);

struct tape_player {
    change_fn change; /* of whole windows; NULL: as it is */
    void *ctx;
    int64_t shift_ms;  /* so much later, ticks and cells */
    const bool *done;  /* set by the trial's sink: nothing more is wanted; NULL: all */
    int64_t window_ms; /* the end of the last window is told, too; 0: grid */
};

/** Errors: SERIN_EDOM (a plan that cannot be judged), SERIN_ENOMEM, those of the sink
 * and of the change. */
SERIN_MUST_USE
enum serin_status tape_play(const struct tape *t, struct trial *trial,
                            const struct tape_player *p, struct fault *f);
/** Show every whole window of length_ms, as it was recorded; what look changes is not
 * kept. Errors: those of look, SERIN_ENOMEM. */
SERIN_MUST_USE
enum serin_status tape_windows(const struct tape *t, int64_t length_ms, change_fn look,
                               void *ctx);

#endif
