/* engine/replay/feed.h -- a recording of metrics through the ingest into a trial
 *
 * The very decoders, aggregate and partials of the ingest workers. Time comes from the
 * data: the wall is the largest event time seen, in whole seconds, and there is one
 * tick a second, also where the recording is silent. */
#ifndef SERIN_ENGINE_REPLAY_FEED_H
#define SERIN_ENGINE_REPLAY_FEED_H

#include "engine/core/plan.h"
#include "engine/replay/scene/change.h"
#include "engine/replay/source/source.h"
#include "engine/replay/trial.h"

enum { FEED_NAMES = 8 };

/* What a recording held. Times in ms; INT64_MIN: nothing was there. */
struct feed_report {
    uint64_t lines, refused; /* records; refused: could not be decoded */
    struct aggregate_counts samples;
    int64_t first_ms, last_ms;
    char rollouts[FEED_NAMES][129]; /* named by the recording, the first ones */
    uint64_t n_rollouts;
    char metrics[FEED_NAMES][65]; /* the same of metrics */
    uint64_t n_metrics;
    char refusal[340]; /* of the first record that was refused */
    bool stopped;      /* by go_on */
};

/* A stretch of the recording: [from, to). */
struct feed_range {
    bool since, until; /* else from its beginning, to its end */
    int64_t from_ms, to_ms;
    bool after_start; /* both count from the first time in it */
};

/* Who keeps what a trial would get. Not OK stops and is passed on. */
struct feed_ear {
    enum serin_status (*partial)(void *ctx, struct strview rollout, int64_t wall_ms,
                                 struct bytes inbox);
    enum serin_status (*tick)(void *ctx, int64_t wall_ms, int64_t watermark_ms);
    void *ctx;
};

struct feed_options {
    const char *path; /* "-": standard input */
    struct source_format format;
    struct feed_range range; /* what lies outside is not judged */
    const struct plan *plan;
    const char *rollout; /* only this one of those that records name; NULL: each */
    const char *as;      /* everything goes to this rollout; NULL: under its own name */
    int64_t shift_ms;    /* … and so much later, ticks and cells */
    /* Applied to every window once it is over; NULL: cells go on as they come. */
    change_fn change;
    void *change_ctx;
    const struct feed_ear *ear; /* instead of a trial; NULL: nobody */
    /* Told now and then; NULL: nobody. size 0: not known. */
    void (*progress)(void *ctx, uint64_t read, uint64_t size, int64_t event_ms);
    /* Asked before each tick, at this time of the data; may wait. False ends the
     * replay here, and what came is judged. NULL: go on. */
    bool (*go_on)(void *ctx, int64_t event_ms);
    void *ctx;
};

/**
 * Feed all of it, then the last windows' end. trial NULL: only look.
 * Errors: SERIN_ENOENT, SERIN_EIO, SERIN_ENOMEM; SERIN_EPARSE (not lines of metrics, or
 * damaged: what was before is judged); SERIN_EDOM (a rollout that cannot be judged,
 * or nothing in the range; those of the trial's sink. *out is filled as far as it came.
 */
SERIN_MUST_USE
enum serin_status feed_run(const struct feed_options *o, struct trial *t,
                           struct feed_report *out, struct fault *f);

#endif
