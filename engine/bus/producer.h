/* engine/bus/producer.h -- write, in transactions where the broker has them */
#ifndef SERIN_ENGINE_BUS_PRODUCER_H
#define SERIN_ENGINE_BUS_PRODUCER_H

#include "engine/base/strview.h"
#include "engine/bus/bus.h"
#include "engine/bus/consumer.h"

struct producer; /* opaque; thread: one at a time */

/**
 * role   NULL: idempotent, no transactions. Else the transactional id is
 *        PREFIX + role + "-" + instance; init_transactions runs here and fences an
 *        earlier process of the same id. On the embedded broker a role is accepted and
 *        its transactions do nothing (bus_transactional).
 * Errors: SERIN_EIO; f->retriable while the brokers cannot be reached.
 */
SERIN_MUST_USE
enum serin_status producer_open(struct producer **out, struct bus *b, const char *role,
                                int timeout_ms, struct fault *f);
void producer_close(struct producer *p);

/** Topic that refused the first record since the latest begin; "" when none did. */
const char *producer_lost_topic(const struct producer *p);
SERIN_MUST_USE
enum serin_status producer_begin(struct producer *p, struct fault *f);
/**
 * Queue one record; key and value are copied. partition < 0: murmur2 of the key.
 * value NULL: a tombstone. Waits while the client's queue is full.
 */
SERIN_MUST_USE
enum serin_status producer_send(struct producer *p, const char *topic,
                                int32_t partition, const void *key, size_t key_len,
                                const void *value, size_t value_len, struct fault *f);
/** As producer_send with partition -1, and a header content-type unless type is NULL.
 */
SERIN_MUST_USE
enum serin_status producer_send_typed(struct producer *p, const char *topic,
                                      const char *type, struct strview key,
                                      const void *value, size_t value_len,
                                      struct fault *f);
/**
 * Offsets (next to read) of c's group go into the transaction, then it is committed.
 * Retriable errors are retried inside; what comes back is rewind (abort was done:
 * restart from the last commit) or fatal (destroy, open again, restore).
 */
SERIN_MUST_USE
enum serin_status producer_commit(struct producer *p, struct consumer *c,
                                  const struct bus_partition *offsets, size_t n,
                                  struct fault *f);
/** Abort the open transaction; after a failure treat the producer as dead. */
SERIN_MUST_USE
enum serin_status producer_abort(struct producer *p, struct fault *f);
/** Without transactions: wait until all is acknowledged; SERIN_EIO names the first
 * loss, SERIN_ELIMIT does when all of them were too large for their topics. */
SERIN_MUST_USE
enum serin_status producer_flush(struct producer *p, int timeout_ms, struct fault *f);

#endif
