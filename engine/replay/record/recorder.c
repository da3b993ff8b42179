/* engine/replay/record/recorder.c */
#include "engine/replay/record/recorder.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/replay/record/sources.h"

enum { POLL_MS = 100, TURN_MS = 1000, RETRY_MS = 10000, REFRESH_MS = 300000 };

struct recorder {
    struct recorder_options o;
    struct bus *bus;
    struct origin origin; /* topics are a copy: the ring writes into them */
    struct ring *ring;
    struct sources *from;
    atomic_bool stopping;
    enum serin_status failed; /* a write into the ring */
    char said[480]; /* the last trouble that people were told; empty: none since */
    int64_t turned_ms, refreshed_ms;
    struct ring_size before; /* of the ring at the last count */
#define X(name) atomic_uint_fast64_t name;
    struct {
        RECORDER_COUNTERS(X)
    } n;
#undef X
};

enum serin_status recorder_open(struct recorder **out, struct bus *b,
                                const struct recorder_options *o, struct fault *f)
{
    struct recorder *r = mem_calloc(1, sizeof *r);
    if (r == NULL) return fault_set(f, SERIN_ENOMEM, "no memory for a recorder");
    const struct origin *from = o->ring.origin;
    r->o = *o;
    r->bus = b;
    r->origin = *from;
    r->origin.arena = (struct arena){0};
    r->origin.topics = arena_alloc(&r->origin.arena, from->n * sizeof *from->topics);
    if (r->origin.topics == NULL) {
        mem_free(r);
        return fault_set(f, SERIN_ENOMEM, "no memory for a recorder");
    }
    memcpy(r->origin.topics, from->topics, from->n * sizeof *from->topics);
    r->o.ring.origin = &r->origin;
    *out = r;
    return SERIN_OK;
}

void recorder_close(struct recorder *r)
{
    if (r == NULL) return;
    sources_close(r->from);
    ring_abandon(r->ring);
    origin_free(&r->origin);
    mem_free(r);
}

void recorder_stop(struct recorder *r)
{
    atomic_store(&r->stopping, true);
}

struct recorder_counts recorder_counts(const struct recorder *r)
{
#define X(name) .name = atomic_load_explicit(&r->n.name, memory_order_relaxed),
    return (struct recorder_counts){RECORDER_COUNTERS(X)};
#undef X
}

/* Also those that a restart of the ring begins to count anew. */
static void count(struct recorder *r)
{
    struct ring_size s = ring_size(r->ring);
    r->n.records += s.records - r->before.records;
    r->n.begun += s.begun - r->before.begun;
    r->n.deleted += s.deleted - r->before.deleted;
    r->n.segments = s.segments;
    r->n.bytes = s.bytes;
    r->before = s;
}

static int64_t next(void *ctx, size_t topic, int32_t partition)
{
    const struct recorder *r = ctx;
    return ring_next(r->ring, topic, partition);
}

static void gap(void *ctx, size_t topic, int32_t partition, int64_t expected,
                int64_t found)
{
    struct recorder *r = ctx;
    const char *name = r->origin.topics[topic].name;
    if (found > expected) {
        r->n.lost += (uint64_t)(found - expected);
        log_warn("record",
                 "%s [%d]: offsets %" PRId64 " to %" PRId64 " were deleted before they "
                 "were recorded: the topic's retention is shorter than the recorder "
                 "was away",
                 name, (int)partition, expected, found - 1);
        return;
    }
    log_warn("record",
             "%s [%d]: the topic was made anew; its offsets begin again at "
             "%" PRId64,
             name, (int)partition, found);
    ring_forget(r->ring, topic, partition);
}

static enum serin_status record(void *ctx, const struct recording_record *one,
                                struct fault *f)
{
    struct recorder *r = ctx;
    enum serin_status rc = ring_add(r->ring, one, clock_wall_ms(), f);
    if (rc != SERIN_ELIMIT) return r->failed = rc;
    if (r->n.skipped++ == 0) log_warn("record", "left out: %s", f->text);
    return SERIN_OK;
}

static void say(struct recorder *r, const struct fault *f)
{
    if (strcmp(r->said, f->text) != 0) log_warn("record", "%s; trying on", f->text);
    snprintf(r->said, sizeof r->said, "%s", f->text);
}

static enum serin_status begin(struct recorder *r, struct fault *f)
{
    const struct sources_options o = {.bus = r->bus,
                                      .origin = &r->origin,
                                      .next = next,
                                      .gap = gap,
                                      .record = record,
                                      .ctx = r,
                                      .queue_bytes = r->o.queue_bytes};
    r->before = (struct ring_size){0};
    enum serin_status rc = ring_open(&r->ring, &r->o.ring, clock_wall_ms(), f);
    if (rc == SERIN_OK) rc = sources_open(&r->from, &o, f);
    if (rc != SERIN_OK) return rc;
    count(r);
    r->turned_ms = r->refreshed_ms = clock_mono_ms();
    return rc;
}

/* What was fetched and is not in the ring is read again. */
static void give_up(struct recorder *r, const struct fault *f)
{
    say(r, f);
    r->n.failures++;
    r->n.writing = 0;
    sources_close(r->from);
    ring_abandon(r->ring);
    r->from = NULL;
    r->ring = NULL;
    r->failed = SERIN_OK;
    int64_t wait = r->o.retry_ms > 0 ? r->o.retry_ms : RETRY_MS;
    for (int64_t end = clock_mono_ms() + wait;
         clock_mono_ms() < end && !atomic_load(&r->stopping);)
        clock_sleep_ms(POLL_MS);
}

static enum serin_status turn(struct recorder *r, struct fault *f)
{
    int64_t now = clock_mono_ms();
    if (now - r->turned_ms < TURN_MS) return SERIN_OK;
    r->turned_ms = now;
    if (now - r->refreshed_ms >= REFRESH_MS) {
        r->refreshed_ms = now;
        sources_refresh(r->from);
    }
    size_t n = sources_partitions(r->from, 0);
    if (n > 0 && !r->origin.topics[0].input) r->origin.partitions = (int32_t)n;
    enum serin_status rc = ring_turn(r->ring, clock_wall_ms(), f);
    count(r);
    if (rc == SERIN_OK && r->n.writing == 0) {
        r->n.writing = 1;
        r->said[0] = '\0';
        log_info("record", "recording into %s", r->o.ring.dir);
    }
    return rc;
}

void recorder_run(struct recorder *r)
{
    struct fault f;
    while (!atomic_load(&r->stopping)) {
        f = (struct fault){0};
        if (r->from == NULL && begin(r, &f) != SERIN_OK) {
            give_up(r, &f);
            continue;
        }
        /* A topic that cannot be read does not keep the others waiting. */
        if (sources_poll(r->from, POLL_MS, &f) != SERIN_OK && r->failed == SERIN_OK)
            say(r, &f);
        if (r->failed == SERIN_OK) r->failed = turn(r, &f);
        if (r->failed != SERIN_OK) give_up(r, &f);
    }
    if (r->ring != NULL) count(r);
    if (ring_close(r->ring, &f) != SERIN_OK) log_warn("record", "%s", f.text);
    r->ring = NULL;
    sources_close(r->from);
    r->from = NULL;
}
