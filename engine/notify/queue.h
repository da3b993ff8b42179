/* engine/notify/queue.h -- alerts that wait for their receiver, oldest first
 *
 * An entry remembers the record that it came from: queue_oldest says how far a
 * partition is done with. */
#ifndef SERIN_ENGINE_NOTIFY_QUEUE_H
#define SERIN_ENGINE_NOTIFY_QUEUE_H

#include "engine/notify/incident.h"

enum { QUEUE_MAX = 256, QUEUE_OWN = -1 };

struct queue_entry {
    struct queue_entry *next;
    struct incident_event event;
    int32_t partition; /* QUEUE_OWN: of no record */
    int64_t offset;
    unsigned tries;
};

/* Zero-initialise; queue_clear when done. Thread: one. */
struct queue {
    struct queue_entry *first, *last;
    size_t n;
};

/** False: out of memory. A full queue drops its oldest entry and sets *dropped. */
SERIN_MUST_USE
bool queue_add(struct queue *q, const struct incident_event *e, int32_t partition,
               int64_t offset, bool *dropped);
/** Remove the oldest. */
void queue_next(struct queue *q);
/** Offset of the oldest entry of a partition; -1: none. */
int64_t queue_oldest(const struct queue *q, int32_t partition);
/** Remove a partition's entries. */
void queue_forget(struct queue *q, int32_t partition);
void queue_clear(struct queue *q);

#endif
