/* engine/replay/trial.h -- one fold over made-up inbox records: a plan judged on
 * partials from anywhere, with time from the data */
#ifndef SERIN_ENGINE_REPLAY_TRIAL_H
#define SERIN_ENGINE_REPLAY_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/base/strview.h"
#include "proto/messages.h"

/* Bytes as the stage would have written them, without a signature. v and bytes live
 * during the call. Not OK stops the trial and is passed on. */
typedef enum serin_status (*trial_sink)(void *ctx, const pb_verdict *v,
                                        struct bytes bytes);

/* How a rollout stands, each time the fold tells it; as trial_sink. */
typedef enum serin_status (*trial_look)(void *ctx, const pb_rollout *row);

struct trial_options {
    const char
        *plan; /* text that plan_parse takes, and its id; must outlive the trial */
    const char *id;
    bool acknowledge;   /* every weight is confirmed at once, as an actuator would */
    int64_t max_lag_ms; /* 0 = the fold's */
    trial_sink sink;    /* NULL: verdicts are not wanted */
    trial_look look;    /* NULL: rows are not wanted but in the end */
    int64_t look_ms;    /* at least so far apart, stream time */
    void *ctx;
};

struct trial; /* opaque; thread: one */

SERIN_MUST_USE
enum serin_status trial_open(struct trial **out, const struct trial_options *o);
void trial_close(struct trial *t);
/** Is this rollout judged already? */
bool trial_has(const struct trial *t, struct strview rollout);
/**
 * Judge this rollout by the plan, under its own id, from now on; known ones are left
 * alone. The first call sets the clock. Errors: SERIN_EDOM (the fold refuses: *f says
 * why), SERIN_ENOMEM, the sink's.
 */
SERIN_MUST_USE
enum serin_status trial_want(struct trial *t, struct strview rollout, int64_t now_ms,
                             struct fault *f);
/** One encoded Inbox record with a partial. Errors: SERIN_ENOMEM, the sink's. */
SERIN_MUST_USE
enum serin_status trial_partial(struct trial *t, struct bytes inbox);
/** The wall, and how far the stream has come; INT64_MIN: not known yet. */
SERIN_MUST_USE
enum serin_status trial_tick(struct trial *t, int64_t wall_ms, int64_t watermark_ms);

size_t trial_rollouts(const struct trial *t);
/**
 * Share of the requests that the canary should have had at that time by the verdicts so
 * far, in [0, 1]: its weight, and of a mirror step the copies. 0 before the first one;
 * NAN while previews are all that it gets.
 */
double trial_share(const struct trial *t, struct strview rollout, int64_t at_ms);
/** Length of the windows that the rollout judges by, as far as it is known; >= 1000. */
int64_t trial_window_ms(const struct trial *t, struct strview rollout);
/** Row of the i-th rollout, in the order of trial_want; lives until the next call. */
SERIN_MUST_USE
enum serin_status trial_row(struct trial *t, size_t i, const pb_rollout **out);
/** Partials that the fold could not read. */
uint64_t trial_undecodable(const struct trial *t);

#endif
