/* ingest/worker.h -- the ingest stage: input topics -> window partials and ticks ->
 * inbox */
#ifndef SERIN_INGEST_WORKER_H
#define SERIN_INGEST_WORKER_H

#include "engine/base/status.h"
#include "engine/bus/bus.h"

struct worker_input {
    const char *topic;
    const char *format;      /* "serin" | "json" | "auto" (by first byte) */
    const char *dead_letter; /* topic for undecodable records; NULL = none */
    enum { WORKER_FROM_EARLIEST, WORKER_FROM_LATEST } start;
};

struct worker_options {
    const struct worker_input *inputs;
    size_t n_inputs;
    int64_t flush_ms;    /* 0 = 200 */
    int64_t lateness_ms; /* 0 = 2 000; < 0 = none */
    int64_t idle_ms;     /* 0 = 5 000 */
    int64_t future_ms;   /* 0 = 600 000 */
    size_t max_series;   /* cells kept per flush; 0 = 1 000 000 */
    size_t max_message;  /* bytes; 0 = 4 MiB */
};

/* Counters since the start; thread: read anywhere (relaxed atomics). Each is counted
 * apart: samples = routed + unrouted + poison + dropped, and messages = decoded +
 * quarantined. Only committed work counts: what an aborted transaction will read again
 * is counted then. */
struct worker_counts {
    uint64_t messages, bytes, samples, routed, unrouted, poison, quarantined;
    uint64_t flushes, transactions_aborted, cells, gaps, rollouts;
    uint64_t dropped;  /* samples without room in the flush (max_series); also in the
                        * partials' poison, so that the judge sees them */
    uint64_t rebuilds; /* clients closed and opened again after fatal errors */
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

#endif
