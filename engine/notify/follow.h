/* engine/notify/follow.h -- one receiver: its place in serin.verdicts, its queue, its
 * thread
 *
 * Each receiver is a consumer group of its own, so that a dead one holds up nobody else
 * and goes on where it stopped. An offset is committed once its alerts were delivered
 * or given up; so a process that dies repeats, under the same key, and loses nothing.
 * What is open is no state on disk: the topic is read again from its beginning,
 * silently up to the committed offset. */
#ifndef SERIN_ENGINE_NOTIFY_FOLLOW_H
#define SERIN_ENGINE_NOTIFY_FOLLOW_H

#include "engine/bus/bus.h"
#include "engine/notify/rows.h"

/* Since the process began. */
struct follow_counts {
    uint64_t delivered; /* alerts that the receiver took */
    uint64_t failed;    /* attempts that did not get through */
    uint64_t refused;   /* alerts that it will not take, such as 400 */
    uint64_t given_up;  /* alerts too old to try again */
    uint64_t dropped;   /* alerts without room in the queue */
    uint64_t queued;    /* now */
    bool ready;         /* follows its partitions */
};

struct follow; /* opaque */

/** Starts the thread. r and rows must outlive it. Errors: SERIN_ENOMEM, SERIN_EIO. */
SERIN_MUST_USE
enum serin_status follow_open(struct follow **out, struct bus *b, struct rows *rows,
                              const struct receiver *r, int64_t silence_ms,
                              struct fault *f);
/** Ask the thread to end; an attempt under way is waited for by follow_close. */
void follow_stop(struct follow *w);
void follow_close(struct follow *w);
/** Thread: any. */
struct follow_counts follow_counts(const struct follow *w);

/** ms to wait after the n-th failure in a row (from 1): 0.5 s doubling up to 60 s, of
 * which between half and all, by the seed, which moves on. */
int64_t follow_pause_ms(unsigned n, uint64_t *seed);

#endif
