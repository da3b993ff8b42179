/* engine/bus/slots.h -- the partitions a consumer owns and how far each has been read
 */
#ifndef SERIN_ENGINE_BUS_SLOTS_H
#define SERIN_ENGINE_BUS_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/bus/consumer.h"

struct slot {
    bool owned;
    bool leaving;  /* on_revoke is running for it */
    bool paused;   /* by consumer_pause */
    int64_t start; /* where this ownership began to read */
    int64_t next;  /* next offset to hand out */
    int64_t eof; /* end of the partition as last reported; BUS_OFFSET_NONE = not yet */
    int64_t still_at, still_ms; /* next as watch.c saw it, and since when; 0 = never */
};

struct slots_topic {
    char *name;
    const void *handle; /* the client's topic object last seen in a record of it */
    bool subscribed;
    int count;          /* partitions it had when it was subscribed to */
    struct slot *items; /* by partition */
    int32_t n;
};

/* Zero-initialise. A pointer to a slot is valid until slots_own. */
struct slots {
    struct slots_topic *topics;
    size_t n;
};

SERIN_MUST_USE
bool slots_init(struct slots *s, const char *const *topics);
void slots_free(struct slots *s);
/** NULL when that topic was not asked for. */
struct slots_topic *slots_topic(const struct slots *s, const char *name);
/** NULL when not owned. */
struct slot *slots_find(const struct slots *s, const char *topic, int32_t partition);
/** Begin to own a partition at `start`; false when memory is out. */
SERIN_MUST_USE
bool slots_own(struct slots *s, const char *topic, int32_t partition, int64_t start);
/** Owned partitions in order; p may be NULL. Returns how many there are. */
size_t slots_list(const struct slots *s, struct bus_partition *p, size_t room);

#endif
