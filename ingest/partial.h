/* ingest/partial.h -- a flush's cells as Inbox records, one or more a rollout */
#ifndef SERIN_INGEST_PARTIAL_H
#define SERIN_INGEST_PARTIAL_H

#include "ingest/aggregate.h"
#include "proto/messages.h"

/* Takes one encoded record; key is the rollout's id. Not OK stops and is passed on. */
typedef enum serin_status (*partial_sink)(void *ctx, struct strview key,
                                          struct bytes value);

/**
 * Every rollout of the flush, in records of about PARTIAL_BYTES; a rollout's samples
 * and poison stand in its first record, so that sums over records are right. scratch is
 * reset for every record Errors: SERIN_ENOMEM, or the sink's.
 */
SERIN_MUST_USE
enum serin_status partial_each(const struct aggregate *a, const char *worker,
                               struct arena *scratch, partial_sink sink, void *ctx);

enum { PARTIAL_BYTES = 256 * 1024 };

#endif
