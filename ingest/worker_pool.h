/* ingest/worker_pool.h -- several workers in one process, each for its own partitions
 *
 * Every worker is a member of the group with clients, aggregate and transactions of its
 * own, on a thread of its own: what keeps one of them waiting (a partition without a
 * leader, a commit that takes long) does not touch the others. Kafka deals out the
 * partitions. */
#ifndef SERIN_INGEST_WORKER_POOL_H
#define SERIN_INGEST_WORKER_POOL_H

#include "ingest/worker.h"

enum { WORKER_POOL_MAX = 64 };

struct worker_pool; /* opaque */

/**
 * n workers, 1 to WORKER_POOL_MAX. o->memory and o->max_series are those of all
 * together; o->index is not looked at. Errors: those of worker_open.
 */
SERIN_MUST_USE
enum serin_status worker_pool_open(struct worker_pool **out, struct bus *b,
                                   const struct worker_options *o, unsigned n,
                                   struct fault *f);
/** Run all of them until worker_pool_stop. One that ends by itself ends the others,
 * too; its fault is *f. Blocks. */
SERIN_MUST_USE
enum serin_status worker_pool_run(struct worker_pool *p, struct fault *f);
/** Thread: any; async-signal-safe. */
void worker_pool_stop(struct worker_pool *p);
void worker_pool_close(struct worker_pool *p);

/* Looking at it. Thread: any. */
unsigned worker_pool_size(const struct worker_pool *p);
struct worker *worker_pool_at(const struct worker_pool *p, unsigned i);
/** Added up; `since` is the least, `rollouts` the largest. */
struct worker_counts worker_pool_counts(const struct worker_pool *p);
/** As worker_quarantine, of all of them. */
size_t worker_pool_quarantine(struct worker_pool *p, struct worker_quarantined *out,
                              size_t room);
/**
 * One row a partition, by topic and number, in *out (free with mem_free; NULL when
 * there is none): what each worker counted of it is added up, the rest is its owner's.
 * Errors: SERIN_ENOMEM
 */
SERIN_MUST_USE
enum serin_status worker_pool_partitions(struct worker_pool *p,
                                         struct worker_partition **out, size_t *n);
/** All routes are read, and every worker that got partitions has them; with fewer
 * partitions than workers some never get any. */
bool worker_pool_ready(const struct worker_pool *p);

#endif
