/* engine/serve/inbox.c */
#include "engine/serve/inbox.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "engine/base/mem.h"
#include "engine/bus/producer.h"
#include "proto/encode.h"

enum { OPEN_MS = 5000, ACK_MS = 5000 };

struct inbox {
    struct bus *bus;
    pthread_mutex_t lock;      /* @locks: producer */
    struct producer *producer; /* NULL until the first command, and after a failure */
};

enum serin_status inbox_open(struct inbox **out, struct bus *b, struct fault *f)
{
    struct inbox *in = mem_calloc(1, sizeof *in);
    if (in == NULL) return fault_set(f, SERIN_ENOMEM, "no memory for the inbox");
    in->bus = b;
    pthread_mutex_init(&in->lock, NULL);
    *out = in;
    return SERIN_OK;
}

void inbox_close(struct inbox *in)
{
    if (in == NULL) return;
    producer_close(in->producer);
    pthread_mutex_destroy(&in->lock);
    mem_free(in);
}

static enum serin_status write_one(struct inbox *in, const pb_command *c,
                                   struct bytes value, struct fault *f)
{
    enum serin_status s = SERIN_OK;
    if (in->producer == NULL)
        s = producer_open(&in->producer, in->bus, NULL, OPEN_MS, f);
    if (s == SERIN_OK)
        s = producer_send(in->producer, bus_topic_name(in->bus, BUS_INBOX), -1,
                          c->rollout, strlen(c->rollout), value.p, value.n, f);
    bool sent = s == SERIN_OK;
    if (sent) s = producer_flush(in->producer, ACK_MS, f);
    if (s == SERIN_OK) return s;
    if (sent) {
        struct fault cause = *f;
        fault_set(f, s, "it was not acknowledged, and may still take effect: %.400s",
                  cause.text);
    }
    producer_close(in->producer); /* start afresh; what is in flight is lost or late */
    in->producer = NULL;
    return s;
}

enum serin_status inbox_send(struct inbox *in, const pb_command *c, struct fault *f)
{
    struct arena a = {0};
    struct bytes value;
    pb_inbox m = SERIN__V1__INBOX__INIT;
    m.schema = SERIN_SCHEMA;
    m.body_case = SERIN__V1__INBOX__BODY_COMMAND;
    m.command = (pb_command *)c;
    enum serin_status s = encode_inbox(&a, &m, &value);
    if (s != SERIN_OK) {
        arena_free(&a);
        return fault_set(f, s, "no memory for the command");
    }
    struct timespec
        until; /* those before us may be waiting for a broker that is away */
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (OPEN_MS + ACK_MS) / 1000;
    if (pthread_mutex_timedlock(&in->lock, &until) == 0) {
        s = write_one(in, c, value, f);
        pthread_mutex_unlock(&in->lock);
    } else {
        s = fault_set(f, SERIN_EIO,
                      "the brokers do not acknowledge; the command was not sent");
    }
    arena_free(&a);
    return s;
}
