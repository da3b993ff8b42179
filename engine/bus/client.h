/* engine/bus/client.h -- one librdkafka handle with serin's settings; inside bus/ only
 */
#ifndef SERIN_ENGINE_BUS_CLIENT_H
#define SERIN_ENGINE_BUS_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <librdkafka/rdkafka.h>

#include "engine/bus/bus.h"
#include "engine/bus/consumer.h"

enum client_kind { CLIENT_CONSUMER, CLIENT_TABLE, CLIENT_PRODUCER, CLIENT_ADMIN };

enum { CLIENT_MAX_BROKERS = 64, CLIENT_MAX_EXTRA = 8 };

/* What a client may add to the settings its kind has. */
struct client_setup {
    const char *what; /* for log lines: "consumer of serin-ingest" */
    struct bus_property extra[CLIENT_MAX_EXTRA];
    size_t n_extra;
    void (*rebalance)(rd_kafka_t *, rd_kafka_resp_err_t,
                      rd_kafka_topic_partition_list_t *, void *opaque);
    void (*delivered)(rd_kafka_t *, const rd_kafka_message_t *, void *opaque);
    void *owner; /* client->owner; callbacks get the client as opaque */
};

/* The handle's owner thread uses it; brokers, up and doubt are written by librdkafka's.
 */
struct client {
    rd_kafka_t *rk;
    struct bus *bus;
    void *owner;
    char what[128];
    pthread_mutex_t lock; /* brokers */
    struct {
        char name[96];
        bool up;
    } brokers[CLIENT_MAX_BROKERS];
    size_t n_brokers;
    atomic_int up;             /* brokers connected now */
    atomic_bool doubt;         /* an EndTxn request got no answer */
    bool was_up, failed, said; /* at the last look; all down since; told people */
    char reason[256], told[256];
};

SERIN_MUST_USE
enum serin_status client_open(struct client **out, struct bus *b, enum client_kind kind,
                              const struct client_setup *s, struct fault *f);
/**
 * Bound what a reader fetches ahead, unless the user's properties do: half of `bytes`
 * for the payloads, half for what stands around them. A response that is under way
 * comes on top, compressed, so that it may become ten times as large. 0: the defaults.
 * texts must live until client_open.
 */
void client_bound_queue(struct client_setup *s, const struct bus *b, size_t bytes,
                        char texts[4][24]);
/** Bounded: a handle that does not go within 10 s is left to its thread, and said so.
 */
void client_close(struct client *c);
/** Say, once for all clients, that the brokers are away, and once that one is back. */
void client_watch(struct client *c);
bool client_connected(const struct client *c);
/** SERIN_EIO with f->fatal when the handle has died, else SERIN_OK. */
SERIN_MUST_USE
enum serin_status client_alive(struct client *c, struct fault *f);
/** SERIN_EIO naming what was tried and the error; retriable for broker trouble. */
enum serin_status client_fault(struct client *c, struct fault *f, const char *tried,
                               rd_kafka_resp_err_t err);
/** Metadata of the topics this handle knows; NULL on failure with *f filled. */
const rd_kafka_metadata_t *client_metadata(struct client *c, int timeout_ms,
                                           struct fault *f);
/** A topic in that answer that exists and has partitions, else NULL. */
const rd_kafka_metadata_topic_t *client_topic(const rd_kafka_metadata_t *md,
                                              const char *name);
/** Try every property alone and the whole for each kind, without connecting. */
SERIN_MUST_USE
enum serin_status client_probe(const struct bus *b, struct fault *f);

/* bus.c for the other files here */
const struct bus_property *bus_properties(const struct bus *b, size_t *n);
const char *bus_prefix(const struct bus *b);
int bus_replication(const struct bus *b);
bool bus_embedded(const struct bus *b);
/** Note that people were told the brokers are away (or back); gives what was noted
 * before. Thread: any. */
bool bus_said_away(struct bus *b, bool away);
/** Create a topic on the embedded broker; one that exists is fine. */
rd_kafka_resp_err_t bus_embedded_topic(struct bus *b, const char *name, int partitions);

/** A message as callers see it; points into *m, named by topic. */
struct bus_record client_record(const rd_kafka_message_t *m, const char *topic);

/* consumer.c for producer.c */
rd_kafka_t *consumer_handle(const struct consumer *c);

/* producer.c: pass on what librdkafka knows of an error, free it. NULL gives SERIN_OK.
 */
enum serin_status producer_fault(rd_kafka_error_t *e, struct fault *f);

#endif
