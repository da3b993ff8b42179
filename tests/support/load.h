/* tests/support/load.h -- fill a topic with serin batches, header only: for the ingest
 * bench and loadgen. Rollouts are load-0 … load-(R-1), cohorts canary and baseline,
 * strata eu, us and ap, metric errors. */
#ifndef SERIN_TESTS_SUPPORT_LOAD_H
#define SERIN_TESTS_SUPPORT_LOAD_H

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/clock.h"
#include "proto/encode.h"

struct load {
    const char *bootstrap, *topic, *compression;
    uint64_t messages;
    unsigned samples, rollouts; /* a message; in all */
    int partitions;             /* > 0: create the topic with as many */
    int64_t start_ms;           /* event time of the first */
    uint64_t per_second;        /* messages a second of event time */
};

enum { LOAD_TEMPLATES = 4096, LOAD_MAX_SAMPLES = 1000 };

static inline char *load_text(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* Message i, encoded in the arena. One unit in 500 is bad. */
static inline struct bytes load_message(struct arena *a, const struct load *l,
                                        uint64_t i)
{
    static const char *const strata[] = {"eu", "us", "ap"};
    uint64_t n[LOAD_MAX_SAMPLES], bad[LOAD_MAX_SAMPLES];
    int64_t dt[LOAD_MAX_SAMPLES];
    char id[32];
    struct bytes out = {NULL, 0};
    pb_batch m = SERIN__V1__BATCH__INIT;
    pb_column c = SERIN__V1__COLUMN__INIT, *columns[] = {&c};
    snprintf(id, sizeof id, "load-%u", (unsigned)(i % l->rollouts));
    for (unsigned k = 0; k < l->samples; k++) {
        n[k] = 1 + (i + k) % 3;
        bad[k] = (i * l->samples + k) % 500 == 0;
        dt[k] = k != 0 && l->samples > 1 ? 1 : 0;
    }
    m.schema = SERIN_SCHEMA;
    m.columns = columns;
    m.n_columns = 1;
    c.rollout = id;
    c.cohort = load_text(i / l->rollouts % 2 != 0 ? "canary" : "baseline");
    c.stratum = load_text(strata[i % 3]);
    c.metric = load_text("errors");
    c.base_ms = l->start_ms + (int64_t)(i * 1000 / l->per_second);
    c.dt_ms = dt, c.n = n, c.bad = bad;
    c.n_n = c.n_bad = l->samples;
    c.n_dt_ms = l->samples > 1 ? l->samples : 0;
    if (encode_batch(a, &m, &out) != SERIN_OK) abort();
    return out;
}

static inline rd_kafka_t *load_client(const struct load *l)
{
    char why[512];
    const char *const set[][2] = {{"bootstrap.servers", l->bootstrap},
                                  {"compression.codec", l->compression},
                                  {"linger.ms", "50"},
                                  {"batch.num.messages", "10000"},
                                  {"queue.buffering.max.messages", "1000000"},
                                  {"allow.auto.create.topics", "true"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof set / sizeof *set; i++)
        if (rd_kafka_conf_set(conf, set[i][0], set[i][1], why, sizeof why) !=
            RD_KAFKA_CONF_OK) {
            fprintf(stderr, "load: %s\n", why);
            return NULL;
        }
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (rk == NULL) fprintf(stderr, "load: %s\n", why);
    return rk;
}

static inline void load_create(rd_kafka_t *rk, const struct load *l)
{
    char why[512];
    rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
    rd_kafka_NewTopic_t *t =
        rd_kafka_NewTopic_new(l->topic, l->partitions, 1, why, sizeof why);
    rd_kafka_CreateTopics(rk, &t, 1, NULL, q);
    rd_kafka_event_t *e = rd_kafka_queue_poll(q, 10000); /* exists already: as well */
    if (e != NULL) rd_kafka_event_destroy(e);
    rd_kafka_NewTopic_destroy(t);
    rd_kafka_queue_destroy(q);
}

static inline void load_send(rd_kafka_topic_t *t, int32_t partition, struct bytes b)
{
    while (rd_kafka_produce(t, partition, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)b.p,
                            b.n, NULL, 0, NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            fprintf(stderr, "load: %s\n", rd_kafka_err2str(rd_kafka_last_error()));
            abort();
        }
        clock_sleep_ms(5);
    }
}

/** What all of it adds up to. */
static inline void load_sum(const struct load *l, uint64_t *units, uint64_t *bad)
{
    *units = *bad = 0;
    for (uint64_t i = 0; i < l->messages; i++)
        for (unsigned k = 0; k < l->samples; k++) {
            *units += 1 + (i + k) % 3;
            *bad += (i * l->samples + k) % 500 == 0;
        }
}

/** Write all of it; false when the brokers did not take everything. */
static inline bool load_fill(const struct load *l)
{
    struct arena a = {.max = (size_t)1 << 30};
    rd_kafka_t *rk = load_client(l);
    if (rk == NULL) return false;
    if (l->partitions > 0) load_create(rk, l);
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, l->topic, NULL);
    int partitions = l->partitions > 0 ? l->partitions : 1;
    for (uint64_t i = 0; i < l->messages; i++) {
        load_send(t, (int32_t)(i % (uint64_t)partitions), load_message(&a, l, i));
        if (i % 1024 == 0) {
            arena_reset(&a);
            rd_kafka_poll(rk, 0);
        }
    }
    bool ok = rd_kafka_flush(rk, 60000) == RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_topic_destroy(t);
    rd_kafka_destroy(rk);
    arena_free(&a);
    return ok;
}

#endif
