/* engine/bus/watch.h -- what a group may overlook for ever: partitions that belong to
 * nobody, and partitions that are owned but not read */
#ifndef SERIN_ENGINE_BUS_WATCH_H
#define SERIN_ENGINE_BUS_WATCH_H

#include <librdkafka/rdkafka.h>

#include "engine/bus/slots.h"

/* Zero-initialise. @thread the consumer's */
struct watch {
    rd_kafka_t *rk;
    char *group;
    unsigned wrong; /* answers in a row that showed partitions out of place */
    int64_t ask_ms, act_ms, backoff_ms; /* next question; no remedy before; then this */
    int64_t still_ms;                   /* next look for partitions that stand still */
};

/** Begin to watch a group that rk is a member of; copies the name, and without memory
 * for it does not watch. */
void watch_open(struct watch *w, rd_kafka_t *rk, const char *group);
void watch_close(struct watch *w);

/**
 * True when, for two looks 5 s apart, the group was at rest and partitions of these
 * topics belonged to no member (and this member is the first by name, so that one
 * acts), or this member reads others than the group gave it: leave the group and join
 * again. At most once per back-off (30 s to 10 min). Says so. Waits at most 1 s for
 * brokers, and after that asks only every 30 s.
 */
bool watch_group(struct watch *w, const struct slots *s, const char *what);

/**
 * The next owned partition that has gone nowhere for 30 s though the broker has records
 * for it, else false: read it again from slot->next. Asks for at most 8 partitions that
 * stand still in 5 s, waiting at most timeout_ms in all when brokers do not answer.
 */
bool watch_partition(struct watch *w, const struct slots *s, int timeout_ms,
                     struct bus_partition *out);

#endif
