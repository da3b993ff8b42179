/* engine/bus/consumer.h -- read input topics or the inbox as a member of a group */
#ifndef SERIN_ENGINE_BUS_CONSUMER_H
#define SERIN_ENGINE_BUS_CONSUMER_H

#include "engine/base/strview.h"
#include "engine/bus/bus.h"

#define BUS_OFFSET_NONE INT64_C(-1001)

struct bus_partition {
    const char *topic;
    int32_t partition;
    int64_t offset; /* next to read or commit; BUS_OFFSET_NONE = none */
};

/* Points into the client's buffers: valid until the next consumer_poll. */
struct bus_record {
    const char *topic;
    int32_t partition;
    int64_t offset, timestamp_ms;
    const void *key, *value;
    size_t key_len, value_len;
    const void *message; /* the client's, for consumer_content_type */
    size_t at;           /* in the client's batch, for consumer_keep */
};

enum bus_start { BUS_START_EARLIEST, BUS_START_LATEST };

struct consumer_options {
    const char *group;
    const char *const *topics; /* NULL-terminated */
    enum bus_start start;      /* no offset committed; out of range: the earliest */
    bool by_owner;      /* start at on_assign's offsets instead of committed ones */
    const char *member; /* name in the group, unique in it; NULL = bus_instance */
    size_t queue_bytes; /* of records fetched ahead, about; 0 = the default */
    /* Called from consumer_poll, on its thread. offset holds the start; on_assign may
     * change it (by_owner). on_revoke runs before the partitions go; lost: too late to
     * commit. on_gap: records between `expected` and `found` were deleted unread. */
    void (*on_assign)(void *ctx, struct bus_partition *p, size_t n);
    void (*on_revoke)(void *ctx, const struct bus_partition *p, size_t n, bool lost);
    void (*on_gap)(void *ctx, const struct bus_partition *p, int64_t expected,
                   int64_t found);
    void *ctx;
};

struct consumer; /* opaque; thread: one */

SERIN_MUST_USE
enum serin_status consumer_open(struct consumer **out, struct bus *b,
                                const struct consumer_options *o, struct fault *f);
/** Leaves the group; bounded: gives up after 10 s and says so. NULL is a no-op. */
void consumer_close(struct consumer *c);

/**
 * Serve callbacks and give up to max records, waiting at most timeout_ms for the first.
 * Broker trouble is no error: it is logged once, retried with capped back-off, and 0
 * records come. A client that died (fatal, fenced) gives SERIN_EIO with f->fatal: close
 * it and open another.
 */
SERIN_MUST_USE
enum serin_status consumer_poll(struct consumer *c, struct bus_record *out, size_t max,
                                size_t *n, int timeout_ms, struct fault *f);

/** A record's header "content-type"; empty without one. Not free: 50 ns. Lives as the
 * record. */
struct strview consumer_content_type(const struct bus_record *r);
/** A record of the latest poll outlives the next one: it is the caller's, until
 * consumer_free, before the consumer is closed. Keeps the whole fetch it came in. */
void consumer_keep(struct consumer *c, const struct bus_record *r);
void consumer_free(const struct bus_record *r);
/** Fetch and hand out no more of this partition, what was fetched ahead of it included;
 * until consumer_resume, which goes on where it stood, or until it is not owned. */
void consumer_pause(struct consumer *c, const char *topic, int32_t partition);
void consumer_resume(struct consumer *c, const char *topic, int32_t partition);
/** Read again from these offsets (after an aborted transaction). */
SERIN_MUST_USE
enum serin_status consumer_rewind(struct consumer *c, const struct bus_partition *p,
                                  size_t n, struct fault *f);
/** Committed offsets of the assigned partitions among p (BUS_OFFSET_NONE where none).
 */
SERIN_MUST_USE
enum serin_status consumer_committed(struct consumer *c, struct bus_partition *p,
                                     size_t n, int timeout_ms, struct fault *f);
/**
 * Commit offsets (next to read) by themselves, for a reader that writes nothing. Waits
 * for the answer. Errors: SERIN_EIO; retriable while brokers are away or the group
 * rebalances.
 */
SERIN_MUST_USE
enum serin_status consumer_commit(struct consumer *c, const struct bus_partition *p,
                                  size_t n, struct fault *f);
/** The assigned partitions; NULL room asks for the count only. offset = next to read.
 */
size_t consumer_assignment(const struct consumer *c, struct bus_partition *p,
                           size_t room);
/** Next to hand out of a partition; BUS_OFFSET_NONE: not owned. */
int64_t consumer_position(const struct consumer *c, const char *topic,
                          int32_t partition);
/** Messages behind the partition's high watermark; -1 unknown. */
int64_t consumer_lag(const struct consumer *c, const char *topic, int32_t partition);
/** Everything up to the high watermark as last seen has been handed out. Of a partition
 * that comes back that may be the one of an earlier stay, until its first fetch. */
bool consumer_caught_up(const struct consumer *c, const char *topic, int32_t partition);
/** Records fetched ahead and not handed out yet. */
size_t consumer_queued(const struct consumer *c);
/** False since the last broker went away until one is back. */
bool consumer_connected(const struct consumer *c);

#endif
