/* engine/replay/record.c */
#include "engine/replay/record.h"

#include <inttypes.h>
#include <stdio.h>

#include "engine/base/clock.h"
#include "engine/bus/table.h"
#include "engine/replay/recording.h"

enum { POLL_MS = 200, FLUSH_MS = 1000, TIMEOUT_MS = 30000 };

struct record {
    struct recording_writer *to;
    enum serin_status rc; /* of the first failed write */
    struct fault fault;
};

static void on_record(void *ctx, const struct bus_record *m)
{
    struct record *r = ctx;
    if (r->rc != SERIN_OK) return;
    struct recording_record one = {.partition = m->partition,
                                   .offset = m->offset,
                                   .timestamp_ms = m->timestamp_ms,
                                   .key = m->key,
                                   .key_len = m->key_len,
                                   .value = m->value,
                                   .value_len = m->value_len};
    r->rc = recording_add(r->to, &one, &r->fault);
}

static bool stopped(const struct record_options *o)
{
    return o->stop != NULL && atomic_load(o->stop);
}

/* Until caught up, or stopped when following. */
static enum serin_status pump(struct record *r, struct table *t,
                              const struct record_options *o, struct fault *f)
{
    int64_t patience = o->timeout_ms > 0 ? o->timeout_ms : TIMEOUT_MS;
    int64_t heard = clock_mono_ms(), flushed = heard;
    uint64_t seen = 0;
    while (!stopped(o) && (o->follow || !table_caught_up(t))) {
        enum serin_status rc = table_poll(t, POLL_MS, f);
        if (rc != SERIN_OK && !f->retriable) return rc;
        if (r->rc != SERIN_OK) break;
        int64_t now = clock_mono_ms();
        if (recording_written(r->to) != seen || table_caught_up(t)) heard = now;
        seen = recording_written(r->to);
        if (!o->follow && now - heard > patience) {
            fault_set(f, SERIN_EIO,
                      "no record from the brokers for %" PRId64 " s; are they up?",
                      patience / 1000);
            f->retriable = true;
            return SERIN_EIO;
        }
        if (o->follow && now - flushed > FLUSH_MS) {
            flushed = now;
            r->rc = recording_flush(r->to, &r->fault);
        }
    }
    if (r->rc != SERIN_OK) *f = r->fault;
    return r->rc;
}

enum serin_status record_inbox(struct bus *b, const struct record_options *o,
                               uint64_t *records, struct fault *f)
{
    struct record r = {0};
    struct table *t = NULL;
    char meta[640];
    const char *topic = bus_topic_name(b, BUS_INBOX);
    struct table_options to = {
        .topic = topic, .start = BUS_OFFSET_NONE, .on_record = on_record, .ctx = &r};
    snprintf(meta, sizeof meta,
             "{\"schema\":\"serin.recording/1\",\"what\":\"inbox\",\"serin\":\"%s\","
             "\"created_ms\":%" PRId64 ",\"topics\":[\"%s\"],\"partitions\":%d,"
             "\"max_lag_ms\":%" PRId64 "}",
             SERIN_VERSION, clock_wall_ms(), topic, bus_partitions(b), o->max_lag_ms);
    /* The brokers first: a file is not replaced by nothing. */
    enum serin_status rc = table_open(&t, b, &to, f);
    if (rc != SERIN_OK) return rc;
    rc = recording_create(&r.to, o->path, meta, f);
    if (rc == SERIN_OK) {
        rc = pump(&r, t, o, f);
        if (records != NULL) *records = recording_written(r.to);
        if (rc == SERIN_OK)
            rc = recording_finish(r.to, f);
        else
            recording_abandon(r.to);
    }
    table_close(t);
    return rc;
}
