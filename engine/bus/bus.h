/* engine/bus/bus.h -- Kafka's settings and serin's topics; shared by all clients */
#ifndef SERIN_ENGINE_BUS_BUS_H
#define SERIN_ENGINE_BUS_BUS_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"

/* One librdkafka property as written under `kafka:` in serin.yaml. */
struct bus_property {
    const char *name, *value;
};

enum bus_topic {
    BUS_INBOX,
    BUS_VERDICTS,
    BUS_ROLLOUTS,
    BUS_AUDIT,
    BUS_STATE,
    BUS_TOPIC_COUNT
};

struct bus_options {
    const struct bus_property *properties; /* any librdkafka property */
    size_t n_properties;
    const char *prefix;   /* of serin's own topics; NULL = "serin." */
    const char *instance; /* unique per process; NULL = host name */
    int partitions;       /* of serin's own topics; 0 = 16 */
    int replication;      /* 0 = the broker's default */
    bool embedded;        /* start librdkafka's mock cluster in this process */
};

struct bus; /* opaque; thread: any, read-only after open */

/**
 * Check every property against librdkafka and keep them; starts the embedded broker
 * when asked for. Does not connect. Errors: SERIN_EDOM with librdkafka's own words for
 * a refused property.
 */
SERIN_MUST_USE
enum serin_status bus_open(struct bus **out, const struct bus_options *o,
                           struct fault *f);
void bus_close(struct bus *b);

/** Full name of one of serin's topics, e.g. "serin.inbox". Lives as long as *b. */
const char *bus_topic_name(const struct bus *b, enum bus_topic t);
int bus_partitions(const struct bus *b);
const char *bus_instance(const struct bus *b);
/** bootstrap.servers, the embedded broker's own when embedded. */
const char *bus_bootstrap(const struct bus *b);
/** False on the embedded broker: its transactions do nothing. */
bool bus_transactional(const struct bus *b);

#endif
