/* tests/integration/ingest/fake_bus.h -- a broker in memory that fails on purpose
 *
 * Implements engine/bus for one worker in one thread: real transactions (records and
 * offsets appear together or not at all), aborts, dead clients with either outcome of
 * the commit, rebalances, lost assignments, deleted records. */
#ifndef SERIN_TESTS_INTEGRATION_INGEST_FAKE_BUS_H
#define SERIN_TESTS_INTEGRATION_INGEST_FAKE_BUS_H

#include "engine/bus/producer.h"
#include "engine/bus/table.h"

enum { FAKE_PARTITIONS = 4, FAKE_INBOX = 3 };

struct fake_record {
    char *topic;
    int32_t partition;
    uint8_t *value;
    size_t n, key_len;
    int64_t transaction;
};

struct fake_log {
    struct fake_record *items;
    size_t n, room;
};

struct fake {
    struct fake_log input[FAKE_PARTITIONS]; /* what producers wrote */
    struct fake_log routes;
    struct fake_log out;                /* committed, in order */
    int64_t committed[FAKE_PARTITIONS]; /* -1: none */
    int64_t low[FAKE_PARTITIONS];       /* records below are deleted */
    int64_t transactions;
    int64_t (*history)[FAKE_PARTITIONS]; /* committed offsets after each of them */
    bool old_end; /* what is known of the partitions' ends lies far back */
    size_t each;  /* records a partition gives at once; 0: by chance */
    unsigned percent_abort, percent_fatal, percent_rebalance, percent_lost;
    unsigned long aborts, fatals, rebalances, losses, pauses;
    void (*on_idle)(void *ctx); /* all is read and committed */
    void *ctx;
};
extern struct fake fake;

void fake_reset(unsigned long seed);
void fake_append(struct fake_log *log, const char *topic, int32_t partition,
                 const void *key, size_t key_len, const void *value, size_t n);
/** A pseudo-random number below n. */
unsigned fake_random(unsigned n);

#endif
