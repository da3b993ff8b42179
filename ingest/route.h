/* ingest/route.h -- which live rollouts want a series, and as what */
#ifndef SERIN_INGEST_ROUTE_H
#define SERIN_INGEST_ROUTE_H

#include "engine/base/condition.h"
#include "engine/base/pattern.h"
#include "engine/base/status.h"
#include "ingest/series.h"
#include "proto/messages.h"

enum {
    ROUTE_MAX_LIVE = 10000,
    ROUTE_MAX_METRICS = 255,
    ROUTE_MAX_STRATA = 64, /* names kept a rollout, the last is "other" */
    ROUTE_MAX_STRATUM = 128,
    ROUTE_MAX_MATCHES = 64
};

struct aggregate_tally; /* ingest/aggregate.h */

enum route_kind { ROUTE_RATIO, ROUTE_LATENCY, ROUTE_GAUGE, ROUTE_EVENTS, ROUTE_KINDS };
enum route_cohort { ROUTE_CANARY, ROUTE_BASELINE, ROUTE_COHORTS };

struct route_metric {
    char *name;
    struct strview from, unit_key, user_key;
    enum route_kind kind;
    bool per_user;    /* who was active, and who met an error; of a ratio */
    bool conditional; /* `bad` says which units are bad */
    struct condition bad;
    double scale; /* multiplies values to milliseconds */
};

struct route_rule { /* an attribute that a cohort's series have */
    struct strview key;
    struct pattern pattern;
};

/* One live rollout. Lives until the table is changed. */
struct route {
    char *id;
    size_t id_len;
    struct route_rule *match[ROUTE_COHORTS]; /* all of them hold */
    size_t n_match[ROUTE_COHORTS];
    struct strview *strata; /* attribute keys */
    size_t n_strata;
    struct route_metric *metrics;
    size_t n_metrics;
    uint64_t digest; /* of the route as encoded: equal means nothing changed */
    /* Strata seen by this worker; id ROUTE_MAX_STRATA - 1 is "other". */
    char *stratum[ROUTE_MAX_STRATA];
    size_t n_stratum;
    /* The aggregate's, for one flush. */
    struct aggregate_tally *tally;
    uint64_t tally_flush;
    size_t slot; /* the table's */
};

struct route_table; /* opaque; thread: one */

SERIN_MUST_USE
enum serin_status route_table_open(struct route_table **out);
void route_table_close(struct route_table *t);
/**
 * Take a row of the rollouts topic; a route that is not live is removed.
 * changed  whether any earlier route pointer or match may have become wrong
 * Errors: SERIN_ELIMIT past ROUTE_MAX_LIVE, SERIN_ENOMEM, SERIN_EDOM (a condition or
 * kind that is not understood: the other metrics of the row work). The table stays
 * usable.
 */
SERIN_MUST_USE
enum serin_status route_table_put(struct route_table *t, const pb_rollout *m,
                                  bool *changed, struct fault *f);
/** Forget a rollout (tombstone); true when there was one. */
bool route_table_remove(struct route_table *t, struct strview id);
size_t route_table_live(const struct route_table *t);

struct route_match {
    struct route *route;
    enum route_cohort cohort;
};

/**
 * All rollouts that want this series: the one it names, or those one of whose cohorts
 * it matches. A series that matches both cohorts of a rollout belongs to the one with
 * more rules; with as many, to neither. At most ROUTE_MAX_MATCHES. Errors:
 * SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status route_table_find(struct route_table *t, const struct series_name *s,
                                   struct route_match *out, size_t *n);
/** Stratum of a series in this rollout, by number; new ones are kept while room. */
uint8_t route_stratum(struct route *r, const struct series_name *s);
/** Its name; never NULL. */
const char *route_stratum_name(const struct route *r, uint8_t stratum);

#endif
