/* ingest/aggregate.h -- samples to cells: what one flush saw, by rollout
 *
 * Decoders call aggregate_series once a header and one aggregate_run_* a sample;
 * nothing is copied on the way. A decoder must have checked its whole message before
 * the first aggregate_run_begin: what was added cannot be taken back but by
 * aggregate_clear. */
#ifndef SERIN_INGEST_AGGREGATE_H
#define SERIN_INGEST_AGGREGATE_H

#include "engine/base/arena.h"
#include "ingest/alias.h"
#include "ingest/buckets.h"
#include "ingest/cumulative.h"
#include "ingest/quarantine.h"
#include "ingest/route.h"
#include "ingest/users.h"

enum { AGGREGATE_WINDOW_MS = 1000, AGGREGATE_MAX_UNITS = 256 };
#define AGGREGATE_MAX_COUNT (UINT64_C(1) << 53) /* counts stay exact as double */

/* One reading per unit (pod): a list, in the order of first sight. */
struct aggregate_unit {
    struct aggregate_unit *next;
    const char *name;
    size_t name_len;
    uint64_t n;
    double sum, sum_sq;
};

/* One rollout, cohort, stratum and metric over [window_ms, window_ms + 1000). */
struct aggregate_cell {
    struct aggregate_cell *next; /* of the same rollout */
    struct route *route;
    uint32_t series; /* cohort, stratum, metric */
    int64_t window_ms;
    uint64_t n, bad;
    struct buckets hist; /* total == 0: none */
    double ratio;        /* widest, of the bounds that values came in by; 0: none */
    uint64_t bounds_id;  /* of these bounds; 0: none, 1: several */
    struct aggregate_unit *units;
    uint32_t n_units;
    struct users *users; /* of a metric per user; NULL: none yet */
};

static inline enum route_cohort aggregate_cell_cohort(const struct aggregate_cell *c)
{
    return (enum route_cohort)(c->series & 1);
}
static inline uint8_t aggregate_cell_stratum(const struct aggregate_cell *c)
{
    return (uint8_t)(c->series >> 8);
}
static inline size_t aggregate_cell_metric(const struct aggregate_cell *c)
{
    return c->series >> 16;
}

/* What this flush holds of one rollout. */
struct aggregate_tally {
    struct aggregate_tally *next;
    const struct route *route;
    struct aggregate_cell *cells;
    size_t n_cells;
    uint64_t
        samples; /* folded into the cells, a sample once however many metrics it fed */
    uint64_t poison; /* refused, or dropped for want of room */
};

/* One metric of one rollout that a series feeds. */
struct aggregate_target {
    struct route *route;
    const struct route_metric *metric;
    uint32_t series;             /* as in a cell */
    bool bad;                    /* the metric's condition holds for this header */
    struct strview unit;         /* value of the unit_key attribute */
    uint64_t user;               /* of the user_key attribute; 0: none */
    struct aggregate_cell *cell; /* latest, of window_ms in `flush` */
    bool folded;                 /* into the stratum "other" */
    int64_t window_ms;
    uint64_t flush;
};

struct aggregate_series {
    uint64_t hash, input;
    struct cumulative_key identity; /* of its key */
    const uint8_t *key;
    size_t key_len, n;
    struct aggregate_target *targets; /* those of one rollout stand together */
    uint64_t samples;                 /* since it was resolved, poison included */
    unsigned kinds;                   /* bit of each aggregate_kind it had */
};

/* Samples since the last aggregate_clear. samples = routed + unrouted + poison +
 * dropped; the others look at the same samples from another side: `other` fell into
 * the stratum "other" at a limit, `late` are of windows that were closed before
 * (aggregate_closed), `duplicate` was dropped by the decoder and is not in samples;
 * neither is `begun`, the first value of a counter that counted before: how much, is
 * not known. */
struct aggregate_counts {
    uint64_t samples, routed, unrouted, poison, dropped, other, late, duplicate, begun;
};

struct aggregate_options {
    size_t max_series;   /* cells in one flush; 0 = 1 000 000 */
    size_t max_bytes;    /* of cells and histograms in one flush; 0 = 512 MiB */
    int64_t future_ms;   /* 0 = 600 000 */
    size_t max_rollout;  /* cells of one rollout in one flush; 0 = max_series */
    size_t header_bytes; /* of the cache of series; 0 = 32 MiB */
};

/* What serin.yaml says of an input topic: where a record says nothing. */
struct aggregate_input {
    uint64_t id; /* inputs with other defaults have another one */
    const struct series_attribute *attributes;
    size_t n_attributes;
    struct strview metric;
    bool cumulative; /* counts in a format that does not tell: sums since a start */
    int64_t tick_ns; /* of times in a format that does not tell its unit; 0 = its own */
};

struct aggregate; /* opaque; thread: one */

SERIN_MUST_USE
enum serin_status aggregate_open(struct aggregate **out, struct route_table *routes,
                                 const struct aggregate_options *o);
void aggregate_close(struct aggregate *a);
/** Call after any change of the route table, and only while there are no cells. */
void aggregate_routes_changed(struct aggregate *a);
/** Start a message at this wall time: samples beyond it plus future_ms are poison. */
void aggregate_message(struct aggregate *a, int64_t now_ms);
/** What decoders remember of counters that only rise; the caller of this module tells
 * it what became of a flush. Never NULL. */
struct cumulative *aggregate_cumulative(struct aggregate *a);
/** Names of series as a format writes them, forgotten when the series are. Below the
 * input's id, for the inputs differ in their defaults. Never NULL. */
struct aliases *aggregate_aliases(struct aggregate *a);
/** The input that the next messages come from; *in is not copied. */
void aggregate_input(struct aggregate *a, const struct aggregate_input *in);
/** The input set last; all zero when none was. */
const struct aggregate_input *aggregate_input_now(const struct aggregate *a);
/** A series' name with the defaults of that input. SERIN_EPARSE as series_parse. */
SERIN_MUST_USE
enum serin_status aggregate_name(const struct aggregate_input *in, struct strview key,
                                 struct series_name *out, struct reject *why);
/** Windows that end at or before this time count as late; INT64_MIN: none does. */
void aggregate_closed(struct aggregate *a, int64_t watermark_ms);
/** The decoder dropped n samples that it has seen before. */
void aggregate_duplicate(struct aggregate *a, uint64_t n);
/** A counter or histogram was seen for the first time, or for the first time after
 * others may have counted it: what it rose by until then is not counted here. */
void aggregate_begun(struct aggregate *a);
/** Largest time of a good sample since aggregate_message; INT64_MIN: none. */
int64_t aggregate_latest(const struct aggregate *a);

/**
 * The series of a key (ingest/series.h), from the cache or found in the routes. Valid
 * until the next aggregate_message.
 * Errors: SERIN_EPARSE with *why; out of memory counts as QUARANTINE_LIMIT.
 */
SERIN_MUST_USE
enum serin_status aggregate_series(struct aggregate *a, struct strview key,
                                   struct aggregate_series **out, struct reject *why);

struct aggregate_counts aggregate_counts(const struct aggregate *a);
/** Cells of this flush, and bytes they take. */
size_t aggregate_cells(const struct aggregate *a);
size_t aggregate_bytes(const struct aggregate *a);
/** Half of a limit is reached: time to flush. */
bool aggregate_full(const struct aggregate *a);
/** All the memory it holds: cells, tables, the cache of series. */
size_t aggregate_memory(const struct aggregate *a);
/** Every series in the cache, in no order; for those who look at a topic. */
void aggregate_series_each(const struct aggregate *a,
                           void (*use)(void *ctx, const struct aggregate_series *s),
                           void *ctx);
/** Rollouts of this flush, linked. */
const struct aggregate_tally *aggregate_tallies(const struct aggregate *a);
/** Forget cells, tallies and counts; routes and the series cache stay. */
void aggregate_clear(struct aggregate *a);

/* ---------------------------------------------------------------- samples of a header
 */

enum aggregate_kind {                       /* what a sample of a header is */
                      AGGREGATE_COUNTS,     /* n and bad */
                      AGGREGATE_UNITS_ONLY, /* n, but not how many were bad */
                      AGGREGATE_VALUES,
                      AGGREGATE_HISTS,
                      AGGREGATE_GAUGES
};

/* Counts of the open window wait here; a new window or the end hands them on. */
struct aggregate_run {
    struct aggregate *a;
    struct aggregate_series *s;
    struct strview unit;
    uint64_t user; /* of the next sample (ingest/users.h); 0: nobody is named */
    enum aggregate_kind kind;
    int64_t window_ms, horizon_ms, latest_ms;
    uint64_t n, bad, samples; /* of the open window */
    uint64_t total, poison;   /* of the run; total without poison */
    uint64_t dropped;         /* whole windows without a cell */
    uint64_t lost;            /* single values without room */
};

void aggregate_run_begin(struct aggregate_run *r, struct aggregate *a,
                         struct aggregate_series *s, enum aggregate_kind kind);
/** Hand the open window's counts to the cells, open the one of t_ms. */
void aggregate_run_turn(struct aggregate_run *r, int64_t t_ms);
void aggregate_run_end(struct aggregate_run *r);
/** One latency, size or gauge reading; negative (but for gauges), NaN, inf: poison. */
void aggregate_run_value(struct aggregate_run *r, int64_t t_ms, double v);
/** One histogram; scale outside [-10, 20] or over 2^53 counts: poison. */
void aggregate_run_hist(struct aggregate_run *r, int64_t t_ms,
                        const struct buckets_view *v);

/**
 * One histogram with explicit bounds, in the stream's unit; placed at the upper bounds
 * (ingest/buckets.h). Bounds that are not finite and rising, none or over 1024 of them,
 * or over 2^53 counts: poison. For a count without bounds use AGGREGATE_UNITS_ONLY.
 * Begin the run with AGGREGATE_HISTS.
 */
void aggregate_run_bounds(struct aggregate_run *r, int64_t t_ms,
                          const struct buckets_bounds *v);

/* Is the time one that samples may have? Else the sample is poison, and counted. */
static inline bool aggregate_run_time(struct aggregate_run *r, int64_t t_ms, bool good)
{
    if (!good || t_ms < 0 || t_ms > r->horizon_ms) {
        r->poison++;
        return false;
    }
    if ((uint64_t)t_ms - (uint64_t)r->window_ms >= AGGREGATE_WINDOW_MS ||
        r->n > AGGREGATE_MAX_COUNT) {
        aggregate_run_turn(r, t_ms);
    }
    if (t_ms > r->latest_ms) r->latest_ms = t_ms;
    r->samples++;
    return true;
}

/** Note r->user in the cells of the open window; bad: met an error. */
void aggregate_run_user(struct aggregate_run *r, bool bad);

/** n units of which `bad` went wrong; bad > n, or n over 2^53 (negative): poison. */
static inline void aggregate_run_counts(struct aggregate_run *r, int64_t t_ms,
                                        uint64_t n, uint64_t bad)
{
    if (!aggregate_run_time(r, t_ms, bad <= n && n <= AGGREGATE_MAX_COUNT)) return;
    r->n += n;
    r->bad += bad;
    if (r->user != 0 && n != 0) aggregate_run_user(r, bad != 0);
}

#endif
