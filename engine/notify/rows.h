/* engine/notify/rows.h -- is the engine alive? Rows of live rollouts are refreshed
 * every few seconds while it is
 *
 * Thread: any; one thread hears, others ask. */
#ifndef SERIN_ENGINE_NOTIFY_ROWS_H
#define SERIN_ENGINE_NOTIFY_ROWS_H

#include <stddef.h>

#include "engine/notify/receiver.h"
#include "proto/messages.h"

struct rows; /* opaque */

struct rows *rows_open(void); /* NULL: out of memory */
void rows_close(struct rows *r);
/** A row, written at said_ms of the monotonic clock; an older one of the rollout is
 * ignored, one that is final is forgotten. */
void rows_hear(struct rows *r, const pb_rollout *row, int64_t said_ms);
/** A tombstone. */
void rows_drop(struct rows *r, const char *rollout);
/** All rows that were there at the start have been heard. */
void rows_ready(struct rows *r);

struct rows_silent {
    bool ready;
    size_t live, silent; /* rollouts that the receiver may hear of */
    int64_t longest_ms;  /* silence of the one heard last of them */
    char examples[128];  /* "a, b, c" of the silent ones */
};
/** What a receiver has to know; all zero before rows_ready. */
struct rows_silent rows_ask(struct rows *rows, const struct receiver *r,
                            int64_t silence_ms, int64_t now_ms);

#endif
