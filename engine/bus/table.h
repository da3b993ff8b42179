/* engine/bus/table.h -- read a topic from its beginning and follow it, outside any
 * group */
#ifndef SERIN_ENGINE_BUS_TABLE_H
#define SERIN_ENGINE_BUS_TABLE_H

#include "engine/bus/bus.h"
#include "engine/bus/consumer.h"

struct table_options {
    const char *topic;
    const int32_t *partitions; /* NULL: all of them */
    size_t n_partitions;
    int64_t start; /* first offset of each partition; BUS_OFFSET_NONE = the beginning */
    int64_t last;  /* > 0: only so many of each partition, instead of `start` */
    int64_t
        since_ms; /* > 0: from the first at or after this time, instead of `start` */
    /* Instead of `start`; NULL: no. A start that is not there any more (retention, or a
     * topic made anew) becomes the first offset that is, and on_gap is told. */
    int64_t (*start_of)(void *ctx, int32_t partition);
    void (*on_gap)(void *ctx, int32_t partition, int64_t expected, int64_t found);
    size_t queue_bytes; /* of records fetched ahead, about; 0 = the default */
    /* One record, value_len 0 and value NULL for a tombstone. On table_poll's thread.
     */
    void (*on_record)(void *ctx, const struct bus_record *r);
    void *ctx;
};

struct table; /* opaque; thread: one */

/** Committed records only. Errors: SERIN_EIO; retriable while brokers are away. */
SERIN_MUST_USE
enum serin_status table_open(struct table **out, struct bus *b,
                             const struct table_options *o, struct fault *f);
void table_close(struct table *t);
/** Hand out what has come, waiting at most timeout_ms for the first record. */
SERIN_MUST_USE
enum serin_status table_poll(struct table *t, int timeout_ms, struct fault *f);
enum { TABLE_SAID = 480 };
/**
 * A reader's try failed: say so unless it was the last thing said (said, begins empty),
 * throw the table away when only a new one helps, wait a second. *t may be NULL.
 * who: component of the log line
 */
void table_retry(struct table **t, char said[TABLE_SAID], const char *who,
                 const struct fault *f);
/**
 * All partitions have been read to the high watermark that stood when the table was
 * opened (not merely to the last stable offset): the state is complete.
 */
bool table_caught_up(const struct table *t);
size_t table_partitions(const struct table *t); /* that it reads */
/** The topic has more partitions than this table reads: open another one. Asks the
 * brokers and waits for them a second; false when they do not answer. */
bool table_outgrown(struct table *t);

#endif
