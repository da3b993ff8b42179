/* engine/replay/record/record.c */
#include "engine/replay/record/record.h"

#include <inttypes.h>

#include "engine/base/clock.h"
#include "engine/replay/record/recording.h"
#include "engine/replay/record/sources.h"

enum { POLL_MS = 200, FLUSH_MS = 1000, TIMEOUT_MS = 30000 };

struct record {
    const struct record_options *o;
    struct origin origin; /* with the partitions that the inbox really has */
    struct arena scratch;
    struct sources *from;
    struct recording_writer *to; /* NULL: nothing has come yet */
    uint64_t records;
};

/* Not before the brokers answer: a file is not replaced by nothing. */
static enum serin_status begin(struct record *r, struct fault *f)
{
    const char *meta;
    if (r->to != NULL) return SERIN_OK;
    size_t n = sources_partitions(r->from, 0);
    if (!r->origin.topics[0].input && n > 0) r->origin.partitions = (int32_t)n;
    enum serin_status rc = origin_write(&r->origin, &r->scratch, &meta);
    if (rc != SERIN_OK) return fault_set(f, rc, "no memory for a recording's meta");
    return recording_create(&r->to, r->o->path, meta, f);
}

static enum serin_status on_record(void *ctx, const struct recording_record *one,
                                   struct fault *f)
{
    struct record *r = ctx;
    enum serin_status rc = begin(r, f);
    r->records++;
    return rc == SERIN_OK ? recording_add(r->to, one, f) : rc;
}

static bool stopped(const struct record_options *o)
{
    return o->stop != NULL && atomic_load(o->stop);
}

/* Until caught up, or stopped when following. */
static enum serin_status pump(struct record *r, struct fault *f)
{
    const struct record_options *o = r->o;
    int64_t patience = o->timeout_ms > 0 ? o->timeout_ms : TIMEOUT_MS;
    int64_t heard = clock_mono_ms(), flushed = heard;
    uint64_t seen = 0;
    while (!stopped(o) && (o->follow || !sources_caught_up(r->from))) {
        enum serin_status rc = sources_poll(r->from, POLL_MS, f);
        if (rc != SERIN_OK) return rc;
        int64_t now = clock_mono_ms();
        if (r->records != seen || sources_caught_up(r->from)) heard = now;
        seen = r->records;
        if (!o->follow && now - heard > patience) {
            fault_set(f, SERIN_EIO,
                      "no record from the brokers for %" PRId64 " s; are they up?",
                      patience / 1000);
            f->retriable = true;
            return SERIN_EIO;
        }
        if (!o->follow || r->to == NULL || now - flushed <= FLUSH_MS) continue;
        flushed = now;
        rc = recording_flush(r->to, f);
        if (rc != SERIN_OK) return rc;
    }
    return SERIN_OK;
}

enum serin_status record_run(struct bus *b, const struct record_options *o,
                             uint64_t *records, struct fault *f)
{
    struct record r = {.o = o, .origin = *o->origin};
    struct sources_options so = {.bus = b,
                                 .origin = o->origin,
                                 .since_ms = o->since_ms,
                                 .record = on_record,
                                 .ctx = &r};
    enum serin_status rc = sources_open(&r.from, &so, f);
    if (rc == SERIN_OK) rc = pump(&r, f);
    if (rc == SERIN_OK) rc = begin(&r, f);
    if (rc == SERIN_OK)
        rc = recording_finish(r.to, f);
    else
        recording_abandon(r.to);
    if (records != NULL) *records = r.records;
    sources_close(r.from);
    arena_free(&r.scratch);
    return rc;
}
