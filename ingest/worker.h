/* ingest/worker.h -- the ingest stage: input topics -> window partials and ticks ->
 * inbox */
#ifndef SERIN_INGEST_WORKER_H
#define SERIN_INGEST_WORKER_H

#include <stdatomic.h>

#include "engine/base/status.h"
#include "engine/bus/bus.h"
#include "ingest/quarantine.h"
#include "ingest/series.h"

struct worker_input {
    const char *topic;
    const char *format;      /* a name of ingest/decode/format.h; NULL = "auto" */
    const char *dead_letter; /* topic for undecodable records; NULL = none */
    enum { WORKER_FROM_EARLIEST, WORKER_FROM_LATEST } start;
    size_t max_message; /* bytes; 0 = the worker's */
    /* Where a record says nothing. */
    const char *metric;
    const struct series_attribute *attributes;
    size_t n_attributes;
    bool cumulative; /* counts in a format that does not tell: sums since a start */
    int64_t tick_ns; /* of times in a format that does not tell its unit; 0 = its own */
};

/* How far a worker is in event time: the least of the partitions that have more to
 * come. Written by that worker, read by all of the process. */
struct worker_level {
    _Atomic int64_t level_ms; /* INT64_MAX: nothing is to come */
    _Atomic int64_t rose_ms;  /* monotonic; since when it stands there */
};

struct worker_options {
    const struct worker_input *inputs;
    size_t n_inputs;
    int64_t flush_ms;    /* 0 = 200 */
    int64_t lateness_ms; /* 0 = 2 000; < 0 = none */
    int64_t idle_ms;     /* 0 = 5 000 */
    int64_t future_ms;   /* 0 = 600 000 */
    size_t max_series;   /* cells kept per flush; 0 = 1 000 000 */
    size_t max_rollout;  /* of one rollout; 0 = max_series */
    size_t max_message;  /* bytes; 0 = 4 MiB */
    size_t memory;       /* bytes, records fetched ahead included; 0 = 512 MiB */
    unsigned index;      /* among the workers of this process: its name and its id */
    struct worker_level *levels; /* one of each of them, all INT64_MAX; NULL: alone */
    unsigned n_levels;
};

enum { WORKER_MAX_MEMBER = 272 };
/* What a process that ingests best keeps of freed memory (mem_keep). */
#define WORKER_KEEP ((size_t)64 << 20)

/* clang-format off */
#define WORKER_COUNTERS(X)                                                \
    X(messages) X(bytes) X(samples) X(routed) X(unrouted) X(poison)       \
    X(quarantined) X(flushes) X(transactions_aborted) X(cells) X(gaps)    \
    X(rollouts) X(dropped) X(rebuilds) X(other) X(late) X(duplicate)      \
    X(begun)                                                              \
    X(memory) X(memory_limit) X(queued) X(partitions) X(since)
/* clang-format on */

/* Counters since the start; thread: read anywhere (relaxed atomics). Each is counted
 * apart: samples = routed + unrouted + poison + dropped, and messages = decoded +
 * quarantined. Only committed work counts: what an aborted transaction will read again
 * is counted then. */
struct worker_counts {
    uint64_t messages, bytes, samples, routed, unrouted, poison, quarantined;
    uint64_t flushes, transactions_aborted, cells, gaps, rollouts;
    uint64_t dropped;   /* samples without room in the flush (max_series); also in the
                         * partials' poison, so that the judge sees them */
    uint64_t rebuilds;  /* clients closed and opened again after fatal errors */
    uint64_t other;     /* samples that fell into the stratum "other" at a limit */
    uint64_t late;      /* samples of windows that their partition had closed */
    uint64_t duplicate; /* samples seen before, dropped by the decoder */
    uint64_t begun;     /* first values of counters: what they count up to is not known,
                         * after a restart it is lost */
    uint64_t memory, memory_limit, queued; /* bytes held now, at most, fetched ahead */
    uint64_t partitions, since;            /* owned; monotonic ms of the latest flush */
};

/* What came of one input partition, committed work only; the sums of worker_counts. */
/* clang-format off */
#define WORKER_TALLIES(X)                                                 \
    X(messages) X(bytes) X(decoded) X(samples) X(routed) X(unrouted)      \
    X(poison) X(dropped) X(other) X(late) X(duplicate) X(begun)           \
    X(quarantined) X(gaps)
/* clang-format on */
#define X(name) uint64_t name;
struct worker_tally {
    WORKER_TALLIES(X) uint64_t reasons[QUARANTINE_REASONS]; /* of quarantined */
};
#undef X
struct worker_partition {
    char topic[250];
    int32_t partition;
    bool assigned;        /* to this process, now */
    bool known, idle;     /* a watermark; silent and read to its end */
    int64_t watermark_ms; /* event time */
    int64_t lag;          /* records; -1 = not known */
    struct worker_tally n;
};

/* One record that could not be decoded. reason: a code of ingest/quarantine.h. */
struct worker_quarantined {
    int64_t t_ms, offset;
    int32_t partition;
    char topic[128], reason[64], detail[160],
        head[96]; /* head: printable start of it */
};

struct worker; /* opaque */

SERIN_MUST_USE
enum serin_status worker_open(struct worker **out, struct bus *b,
                              const struct worker_options *o, struct fault *f);
/** Run until worker_stop; rebuilds its clients after fatal broker errors. Blocks. */
SERIN_MUST_USE
enum serin_status worker_run(struct worker *w, struct fault *f);
/** Thread: any; async-signal-safe. */
void worker_stop(struct worker *w);
void worker_close(struct worker *w);

struct worker_counts worker_counts(const struct worker *w);
/** Latest quarantined records, newest first; returns how many were written. Thread:
 * any. */
size_t worker_quarantine(struct worker *w, struct worker_quarantined *out, size_t room);
/* Quarantined records of one reason. */
struct worker_reason {
    const char *reason;
    uint64_t n;
};
/** Every reason with its count since the start, zero or not; returns how many. Thread:
 * any. */
size_t worker_reasons(struct worker *w, struct worker_reason *out, size_t room);
/** Joined its group, routes read. Thread: any. */
bool worker_ready(const struct worker *w);
/** Routes read. Thread: any. */
bool worker_routed(const struct worker *w);
/** The partitions it has read since the start; how many there are, written or not.
 * Thread: any. */
size_t worker_partitions(struct worker *w, struct worker_partition *out, size_t room);
void worker_tally_add(struct worker_tally *to, const struct worker_tally *t);
/** Its name in the group. */
const char *worker_member(const struct worker *w);

#endif
