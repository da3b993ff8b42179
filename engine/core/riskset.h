/* engine/core/riskset.h -- users instead of requests: who can still meet a first error
 *
 * A user leaves the risk set with its first error, for the rest of the rollout and in
 * both cohorts; a window's units are the users active in it that are still at risk.
 * A user is 62 random bits (ingest/users.h) above two flags. Where there are too many,
 * only users below 2^(64 - thin) are followed, in both cohorts alike: who they are
 * depends on who is active and on errors of the past, never on who meets an error in
 * the window itself, so a window's table stays exact. thin never falls: somebody who
 * was not followed may have met an error unseen. */
#ifndef SERIN_ENGINE_CORE_RISKSET_H
#define SERIN_ENGINE_CORE_RISKSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "stats/profile.h"

enum {
    RISKSET_BAD = 1,    /* flag of a user in a window: met an error */
    RISKSET_CANARY = 1, /* flags of a user in `seen` */
    RISKSET_BASELINE = 2,
    RISKSET_FLAGS = 3,
    RISKSET_FAILED = 8192, /* users kept that met an error: 64 KiB */
    RISKSET_SEEN = 4096,   /* users watched for a change of cohort: 32 KiB */
    RISKSET_AGAIN = 2, /* flag of a user in `young` and `old`, with RISKSET_CANARY */
    RISKSET_BATCH_MS = 60000
};

/* Users, rising, each once; on the heap. Zero-initialise. */
struct riskset_users {
    uint64_t *at;
    uint32_t n, room;
};

/** Strictly rising by user, all below 2^(64 - thin). */
bool riskset_sane(const uint64_t *users, size_t n, uint32_t thin);
/**
 * Add users (riskset_sane for some thin), those below 2^(64 - thin); of one that is
 * there already the flags join. Errors: SERIN_ENOMEM, unchanged.
 */
SERIN_MUST_USE
enum serin_status riskset_join(struct riskset_users *to, const uint64_t *users,
                               size_t n, uint32_t thin);
/* One metric's state, below. */
struct riskset;
/** Is this user one of those below 2^(64 - r->thin)? */
bool riskset_followed(const struct riskset *r, uint64_t user);
/** Keep only users below 2^(64 - thin). */
void riskset_keep(struct riskset_users *u, uint32_t thin);
void riskset_drop(struct riskset_users *u);

/* One metric's. Zero-initialise; riskset_free when done. */
struct riskset {
    uint32_t thin;
    struct riskset_users failed; /* met an error; flags 0 */
    /* A sample, below 2^(64 - seen_thin), of the users judged at this weight, with the
     * cohorts that they were in. */
    struct riskset_users seen;
    uint32_t seen_thin;
    /* Of the sample, those seen at this weight for the first time in the latest window:
     * canary, baseline. What the sample ratio is about: somebody whose place is fixed
     * says nothing new by coming back. Not state. */
    uint64_t fresh[2];
    /* Do people come again? Those of the sample that were new in this batch of time and
     * in the one before, and whether they were active in another window since. */
    int64_t batch_ms; /* when this batch began; 0: there is none */
    struct riskset_users young, old;
    struct profile away; /* evidence that fewer of the canary's come again */
    /* Of the batch that has just been followed to its end: users, and those that did
     * not come again or, of the baseline, are taken as such. Not state. */
    struct count_table stayed_away;
};
void riskset_free(struct riskset *r);
/**
 * As it was kept. Errors: SERIN_EPARSE (lists that cannot be), SERIN_ENOMEM; *r can
 * only be freed then.
 */
SERIN_MUST_USE
enum serin_status riskset_restore(struct riskset *r, const struct riskset *kept);
/** Users may have been moved to the other cohort: watch them afresh. */
void riskset_wait(struct riskset *r);

/**
 * A judged window begins: the users of the batch before the last one are counted into
 * stayed_away when their time is over. Call it before riskset_window. Of the baseline's
 * that came again so large a share is taken not to have, by a hash of the user: when
 * that share of the canary's, or less, is lost for real, the odds ratio is at most 1.
 */
void riskset_turn(struct riskset *r, int64_t start_ms, double share);

/* One stratum of a closed window. */
struct riskset_stratum {
    const struct riskset_users *cohort[2]; /* NULL: nobody */
    struct count_table *table;             /* out */
};
/**
 * A window's tables, and its errors into the past. A user seen in several strata counts
 * in the first one only. One seen in both cohorts, in this window or since
 * riskset_wait, is left out of the tables.
 * judged  the window is evidence: changes of cohort count; else weights may be moving
 * Errors: SERIN_ENOMEM; *r can only be freed then. When it returns, r->thin
 * may have grown: what still waits must be thinned.
 */
SERIN_MUST_USE
enum serin_status riskset_window(struct riskset *r,
                                 const struct riskset_stratum *strata, size_t n,
                                 bool judged);
/** Share of all users that is followed: 2^-thin. */
double riskset_share(const struct riskset *r);
/** Users of the sample, and how many of them were seen in both cohorts. */
uint64_t riskset_crossed(const struct riskset *r, uint64_t *of);

#endif
