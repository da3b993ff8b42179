/* engine/notify/notify.h -- verdicts to people: the loop of `serin notify` */
#ifndef SERIN_ENGINE_NOTIFY_NOTIFY_H
#define SERIN_ENGINE_NOTIFY_NOTIFY_H

#include "engine/bus/bus.h"
#include "engine/notify/follow.h"
#include "engine/notify/receiver.h"

struct notify; /* opaque */

/** *l must outlive it. Errors: SERIN_ENOMEM, SERIN_EIO. */
SERIN_MUST_USE
enum serin_status notify_open(struct notify **out, struct bus *b,
                              const struct receiver_list *l, struct fault *f);
/** Run until notify_stop; survives every broker trouble. Errors: a dead client. */
SERIN_MUST_USE
enum serin_status notify_run(struct notify *n, struct fault *f);
/** Thread: any; async-signal-safe. */
void notify_stop(struct notify *n);
/** Attempts under way are waited for, each within its receiver's time. */
void notify_close(struct notify *n);
/** Of receiver i of the list. Thread: any, between open and close. */
struct follow_counts notify_counts(const struct notify *n, size_t i);

/**
 * A made-up alert to one receiver, and its end; one attempt each, whatever the filters.
 * Errors: as send_alert
 */
SERIN_MUST_USE
enum serin_status notify_test(const struct receiver *r, struct fault *f);

#endif
