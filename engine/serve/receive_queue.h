/* engine/serve/receive_queue.h -- received bodies into Kafka, many in one go (private)
 *
 * One thread writes: it takes all that waits, sends it, waits for the acknowledgement
 * of all replicas, answers everybody, and takes what came meanwhile. */
#ifndef SERIN_ENGINE_SERVE_RECEIVE_QUEUE_H
#define SERIN_ENGINE_SERVE_RECEIVE_QUEUE_H

#include <stdint.h>

#include "engine/base/status.h"
#include "engine/base/strview.h"
#include "engine/bus/bus.h"

struct receive_record {
    const char *topic;
    const char *type;   /* content-type of the record; NULL: what the input says */
    struct strview key; /* records of one key stay in order */
    const void *value;
    size_t n;
};

struct receive_queue; /* opaque; has a thread */

SERIN_MUST_USE
enum serin_status receive_queue_open(struct receive_queue **out, struct bus *b,
                                     struct fault *f);
/** Nobody may be writing. NULL is a no-op. */
void receive_queue_close(struct receive_queue *q);
/**
 * Write one record; returns when all replicas have it. Thread: any.
 * Errors: SERIN_ELIMIT the topic takes no record that large; SERIN_EIO no
 * acknowledgement: it may be written all the same, and sending it again is right.
 */
SERIN_MUST_USE
enum serin_status receive_queue_write(struct receive_queue *q,
                                      const struct receive_record *r, struct fault *f);

struct receive_queue_counts {
    uint64_t records, bytes, flushes;
};
/** Acknowledged since the start. Thread: any. */
struct receive_queue_counts receive_queue_counts(const struct receive_queue *q);

#endif
