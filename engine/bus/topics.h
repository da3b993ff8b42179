/* engine/bus/topics.h -- create serin's topics and check their settings */
#ifndef SERIN_ENGINE_BUS_TOPICS_H
#define SERIN_ENGINE_BUS_TOPICS_H

#include "engine/bus/bus.h"

/* One finding of a check; topics_check gives one a topic, ok or not. */
struct topics_finding {
    char topic[256];
    bool ok, missing;
    char text[480]; /* what is set, what is expected, what to do */
};

/**
 * Create what is missing among serin's topics and `inputs` (NULL-terminated, may be
 * NULL; inputs are created only on the embedded broker), keep what exists. Waits up to
 * timeout_ms for the brokers.
 * Errors: SERIN_EIO (retriable when the brokers cannot be reached).
 */
SERIN_MUST_USE
enum serin_status topics_create(struct bus *b, const char *const *inputs,
                                int timeout_ms, struct fault *f);

/**
 * Create input topics that are missing (NULL-terminated names), with the broker's
 * default partitions and room for records of 8 MiB; those that exist stay as they are.
 * Errors: SERIN_EIO, also without the right to create.
 */
SERIN_MUST_USE
enum serin_status topics_create_inputs(struct bus *b, const char *const *names,
                                       int timeout_ms, struct fault *f);

/**
 * Compare serin's topics with what they must be: partition count equal for inbox and
 * state, cleanup.policy, retention.
 * findings  room for BUS_TOPIC_COUNT
 * Errors: SERIN_EIO as above; SERIN_ESTATE when a setting is wrong or a topic is
 * missing (the first finding's text in *f).
 */
SERIN_MUST_USE
enum serin_status topics_check(struct bus *b, struct topics_finding *findings,
                               int timeout_ms, struct fault *f);

#endif
