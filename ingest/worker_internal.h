/* ingest/worker_internal.h -- what the worker's files share; nobody else includes it */
#ifndef SERIN_INGEST_WORKER_INTERNAL_H
#define SERIN_INGEST_WORKER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/bus/producer.h"
#include "engine/bus/table.h"
#include "ingest/aggregate.h"
#include "ingest/decode/format.h"
#include "ingest/worker.h"

enum {
    WORKER_BATCH = 4096,         /* records a poll */
    WORKER_TICK_MS = 1000,       /* ticks at least this often */
    WORKER_DEAD_BYTES = 8 << 20, /* dead letters held before a flush */
    WORKER_DEAD_TRIES = 20,      /* failed flushes after which they stay behind */
    WORKER_QUEUED_BYTES = 400, /* what a record fetched ahead takes beside its bytes */
    WORKER_TELL_MS = 10000,    /* between two lines about the same trouble */
    /* Event time of one flush, and of a partition ahead of another one: the judge keeps
     * what no watermark closes yet, 576 cells a metric (9 s of all 64 strata). */
    WORKER_SPAN_MS = 3000,
    WORKER_AHEAD_MS = 3000,
    WORKER_KEPT_SHARE = 4, /* of the memory, for records of partitions ahead */
};

/* One input topic. */
struct worker_topic {
    char *name, *dead_letter;
    enum format format;
    size_t max_message;
    struct aggregate_input input; /* its texts are the topic's */
};

/* One partition of an input topic; kept when it moves away, so that what this worker
 * says of it never goes back. @thread the worker's */
struct worker_source {
    const struct worker_topic *topic;
    int32_t partition;
    bool assigned;
    int64_t next;      /* offset to read and commit; < 0: none yet */
    int64_t latest_ms; /* largest event time of what is read; INT64_MIN: none */
    int64_t committed_latest_ms;
    int64_t heard_ms; /* monotonic time of the last record, or of the assignment */
    uint64_t gaps;
    bool idle;
    int64_t lag;
    struct worker_tally pending, held, done; /* of this flush; on its way; committed */
    int64_t held_latest_ms;
    bool learning;      /* records before count_from are read for their values only */
    int64_t count_from; /* (worker_learn.c) */
    /* worker_align.c */
    int64_t rose_ms;   /* monotonic; when latest_ms last rose */
    int64_t level_ms;  /* stands for latest_ms while there is none; INT64_MIN: none */
    int64_t batch_end; /* behind the last record of the batch at hand */
    bool unread;       /* more to come, as of the latest look */
    bool paused;
    struct bus_record *kept; /* read, not taken; from kept_at on */
    size_t kept_at, n_kept, kept_room, kept_bytes;
};

/* What of event time may be taken now. */
struct worker_align {
    int64_t first_ms, second_ms; /* bounds of the slowest partition and of the next */
    const struct worker_source *first; /* it; NULL: of another worker, or nobody */
    int64_t flushed_ms; /* the slowest at the latest flush; INT64_MIN: not known */
    int64_t looked_ms;  /* monotonic; closely */
    bool held;          /* records are kept, or partitions paused */
    bool ready;         /* some of them could be taken at once */
    bool stale;         /* a partition has its first sample: look again */
    bool spanned;       /* the flush holds all that it may */
    size_t bytes;       /* kept */
};

/* A record on its way to a dead-letter topic. */
struct worker_letter {
    struct worker_letter *next;
    const char *topic;
    struct strview key, value;
};

/* A transaction on its way. Its commit runs on a thread of its own, since it waits for
 * the brokers, and reading goes on meanwhile. While `busy` the producer is that
 * thread's. */
struct worker_commit {
    pthread_t thread;
    bool started; /* else commits run on the worker's thread */
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool busy, quit; /* @locks lock */
    bool under_way;  /* @thread the worker's: not settled yet */
    bool letters;    /* it holds dead letters */
    struct bus_partition *positions;
    size_t n;
    enum serin_status status;
    struct fault fault;
    uint64_t messages, bytes, quarantined, cells; /* counted when it is through */
    struct aggregate_counts samples;
};

struct worker {
    struct bus *bus;
    int64_t flush_ms, lateness_ms, idle_ms;
    size_t max_message, max_series, memory;
    char member[WORKER_MAX_MEMBER], role[32];
    struct aggregate_options aggregate_options;
    struct worker_topic *topics;
    size_t n_topics;
    const char **names; /* of the topics, NULL-terminated */
    char *group;
    bool from_latest;

    struct route_table *routes;
    struct aggregate *aggregate;
    struct quarantine *quarantine;
    struct table *table;
    struct consumer *consumer;
    struct producer *producer;
    struct worker_source *sources;
    size_t n_sources, sources_room;
    struct worker_source *last;      /* found last: records come in runs */
    const char *last_topic;          /* the text that it was found by */
    struct aggregate_counts counted; /* of this flush, given to their sources */
    pthread_mutex_t lock;            /* shown */
    struct worker_partition *shown;  /* the sources as of the latest flush */
    size_t n_shown;
    struct bus_record *batch;
    struct bus_partition *positions; /* room for every source */
    struct arena scratch, dead;
    struct worker_letter *letters;
    unsigned letters_failed; /* flushes in a row that failed with letters */

    struct worker_commit commit;
    struct worker_align align;
    struct {
        bool due, on;
        int64_t until_ms; /* monotonic; 0: none under way */
    } learn;
    struct worker_level *levels; /* of all workers of the process; NULL: alone */
    unsigned index, n_levels;

    uint64_t messages, bytes, quarantined; /* of this flush */
    bool moved;                            /* offsets to commit */
    bool must_rewind; /* the flush was lost: nothing may be added before a rewind */
    bool broken;      /* a client died: no more commits */
    struct fault broken_by;
    int64_t flushed_ms;  /* monotonic */
    int64_t told_ms;     /* monotonic; when people last heard of a failing rewind */
    size_t record_bytes; /* mean of the latest flush */

    atomic_bool stop, joined, routed_once;
#define X(name) _Atomic uint64_t name;
    struct {
        WORKER_COUNTERS(X)
    } counters;
#undef X
};

#define worker_count(w, name, by)                                                      \
    atomic_fetch_add_explicit(&(w)->counters.name, (by), memory_order_relaxed)

/* worker_source.c */
void worker_source_assign(void *w, struct bus_partition *p, size_t n);
void worker_source_gap(void *w, const struct bus_partition *p, int64_t expected,
                       int64_t found);
void worker_source_drop(struct worker *w, const struct bus_partition *p, size_t n);
struct worker_source *worker_source_find(struct worker *w, const char *topic,
                                         int32_t partition);
/** Give what was counted since the last call to the source that it came from. */
void worker_source_account(struct worker *w);
/** Show the sources as they are now. */
void worker_source_show(struct worker *w);
/** Next offsets of what is assigned, into w->positions; how many. */
size_t worker_source_positions(struct worker *w);
/** What was read so far goes into a transaction. */
void worker_source_hold(struct worker *w);
/** The transaction went through, or did not. */
void worker_source_commit(struct worker *w);
void worker_source_rollback(struct worker *w);
SERIN_MUST_USE
enum serin_status worker_source_rewind(struct worker *w, struct fault *f);
/** The tick of now in *out, in the arena. */
SERIN_MUST_USE
enum serin_status worker_source_tick(struct worker *w, struct arena *a,
                                     struct bytes *out);

/* worker_align.c */
/** A batch begins: who has records in it. */
void worker_align_batch(struct worker *w, const struct bus_record *r, size_t n);
/** See anew who is ahead of whom. */
void worker_align_look(struct worker *w, int64_t now_ms);
/** Nothing may be taken of this partition now. */
bool worker_align_ahead(const struct worker *w, const struct worker_source *s);
/** A record of it was taken. */
void worker_align_took(struct worker *w, const struct worker_source *s);
/** A flush ended; what comes next belongs to another one. */
void worker_align_flushed(struct worker *w);
/** Keep a record until it may be taken; false: no memory. */
SERIN_MUST_USE
bool worker_align_keep(struct worker *w, struct worker_source *s,
                       const struct bus_record *r);
/** The first record kept that may be taken; NULL: none. Then pop it. */
const struct bus_record *worker_align_next(const struct worker *w,
                                           const struct worker_source *s);
void worker_align_pop(struct worker *w, struct worker_source *s);
/** Stop fetching where much is kept, go on where it is little again. */
void worker_align_bound(struct worker *w);
/** Drop what is kept: it will be read again, or by others. */
void worker_align_forget(struct worker *w, struct worker_source *s);
void worker_align_forget_all(struct worker *w);

/* worker_learn.c */
/** Partitions were assigned: begin to read the values of counters, where there may be
 * some. True: the batch at hand is void, it comes again. */
bool worker_learn_begin(struct worker *w, int64_t now_ms);
/** Count from now on, if all of them are read. */
void worker_learn_end(struct worker *w, int64_t now_ms);
/** Keep of what was read no more than the values: a failure forgets all of them, so
 * there is nothing to undo, and it adds up to nothing. */
void worker_learn_spare(struct worker *w);
/** What was being read has to be read again, later. */
void worker_learn_again(struct worker *w);

/* worker_flush.c */
/** Partials, dead letters, ticks and offsets in one transaction, whose commit is begun.
 * A failure is dealt with, when it shows: what was held is dropped, must_rewind or
 * broken say what comes next. */
void worker_flush(struct worker *w);
/** Settle the commit on its way if it has ended; `wait`: wait for that. */
void worker_flush_settle(struct worker *w, bool wait);
/** The thread of the commits, for as long as the worker runs. */
void worker_flush_start(struct worker *w);
void worker_flush_end(struct worker *w);
/** Flush when the time or a bound has come; true when it has. */
bool worker_flush_due(struct worker *w);
/** Forget what this flush holds. */
void worker_flush_drop(struct worker *w);
/** An error of a client: broken when it is dead, else the flush is lost. */
void worker_flush_failed(struct worker *w, const struct fault *f, const char *what);

#endif
