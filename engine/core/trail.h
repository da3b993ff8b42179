/* engine/core/trail.h -- is an audit trail whole? Entries go in, in the order of the
 * log
 *
 * Every rollout has its own chain: seq counts from 1, prev_hash is the hash of the
 * entry before, hash is over the entry's bytes without hash and signature. Entries of
 * seq 0 stand alone: commands for rollouts that do not exist. Checkpoints list the
 * heads of all chains of a partition; each head must be in the log. What is cut off
 * behind the last checkpoint leaves a valid, older trail: only a head kept elsewhere
 * (an earlier export) shows that. */
#ifndef SERIN_ENGINE_CORE_TRAIL_H
#define SERIN_ENGINE_CORE_TRAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/sign.h"
#include "engine/base/status.h"
#include "proto/messages.h"

#define TRAIL_CHECKPOINT "@checkpoint" /* rollout and key of such an entry */

enum trail_fault {
    TRAIL_GOOD,
    TRAIL_UNREADABLE, /* no entry, or not as serin writes it */
    TRAIL_CHANGED,    /* the hash is not that of the entry */
    TRAIL_MISPLACED,  /* the record's key names another rollout */
    TRAIL_REPEATED,   /* that seq was there before */
    TRAIL_MISSING,    /* entries between the last seq and this one */
    TRAIL_UNCHAINED,  /* prev_hash is not the hash of the entry before */
    TRAIL_UNSIGNED,
    TRAIL_FORGED, /* no key that was given made the signature */
    TRAIL_CUT     /* a head that was known is not in the log */
};

struct trail; /* opaque; thread: one */

/**
 * keys  public halves that may have signed; n_keys 0: signatures are not looked at.
 *       They must live until trail_close.
 * Errors: SERIN_ENOMEM
 */
SERIN_MUST_USE
enum serin_status trail_open(struct trail **out, const struct sign_public *keys,
                             size_t n_keys);
void trail_close(struct trail *t);
/**
 * The next record. key is the rollout's id. *found: TRAIL_GOOD, or what is wrong with
 * it (text: for people). The chain goes on from what was found, so that one fault is
 * told once. *entry (may be NULL): decoded, in *a; NULL when unreadable. Errors:
 * SERIN_ENOMEM
 */
SERIN_MUST_USE
enum serin_status trail_add(struct trail *t, struct arena *a, const char *key,
                            size_t key_len, const void *value, size_t n,
                            enum trail_fault *found, struct fault *text,
                            pb_audit **entry);
/**
 * This entry stood in the log once (an older export): trail_end looks for it. Errors:
 * SERIN_ENOMEM
 */
SERIN_MUST_USE
enum serin_status trail_expect(struct trail *t, const char *rollout, uint64_t seq,
                               const uint8_t hash[HASH_DIGEST]);
/**
 * After the last record: heads of checkpoints and of trail_expect that are missing,
 * one a call. False when there are no more.
 */
bool trail_end(struct trail *t, struct fault *text);

struct trail_counts {
    uint64_t entries, alone, checkpoints, rollouts, signed_;
};
struct trail_counts trail_counts(const struct trail *t);
/** "changed", …; never NULL. */
const char *trail_fault_text(enum trail_fault f);

#endif
