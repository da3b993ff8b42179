/* engine/replay/mask/mask.h -- names replaced by others, so that a recording can be
 * shown
 *
 * The same text becomes the same name wherever it stands: 'x' and 48 bits of an HMAC
 * under a key, in hex. Who has the key can look names up, nobody can read them back;
 * without it not even that. */
#ifndef SERIN_ENGINE_REPLAY_MASK_MASK_H
#define SERIN_ENGINE_REPLAY_MASK_MASK_H

#include "engine/base/hash.h"
#include "engine/base/status.h"
#include "engine/base/strview.h"
#include "engine/base/text.h"
#include "engine/core/plan.h"
#include "ingest/decode/format.h"

enum { MASK_KEPT = 64, MASK_NAME = 14 };

/* Value type. */
struct mask {
    uint8_t key[HASH_DIGEST];
    struct strview keep[MASK_KEPT]; /* attributes whose values stay; not owned */
    size_t n_keep;
};

/** Start with a key of any bytes, and with what always stays: numbers of protocols. */
void mask_start(struct mask *m, const void *key, size_t n);
/** The attribute's values stay from now on; false: there is no room. */
bool mask_keep(struct mask *m, struct strview attribute);
bool mask_kept(const struct mask *m, struct strview attribute);
/** Another name for this one; an empty one stays empty. NUL-terminated. */
void mask_name(const struct mask *m, struct strview name, char out[MASK_NAME]);
/** The same for each of the values of a stratum, which stand between commas; "other"
 * stays. Appends to *out. */
void mask_stratum(const struct mask *m, struct strview stratum, struct text *out);
/** Another user for this one of a cell: flags stay, and so does whether a thinned cell
 * would have kept it. */
uint64_t mask_user(const struct mask *m, uint64_t user);

/* Each appends to *out. Errors: SERIN_EPARSE (not such a record), SERIN_ENOMEM. */

/** A serin.v1.Inbox. */
SERIN_MUST_USE
enum serin_status mask_inbox(const struct mask *m, struct strview record,
                             struct text *out);
/** A record of an input topic; AUTO is guessed. */
SERIN_MUST_USE
enum serin_status mask_record(const struct mask *m, enum format f,
                              struct strview record, struct text *out);
/** Formats `json` and `otlp_json`; mask_record knows. */
SERIN_MUST_USE
enum serin_status mask_json(const struct mask *m, enum format f, struct strview record,
                            struct text *out);
/**
 * Keep what the conditions of this plan's metrics compare with, so that it judges the
 * masked records as the plan did the others. The plan must outlive *m.
 * Errors: SERIN_EDOM: a cohort is matched by a pattern, which no other name fits.
 */
SERIN_MUST_USE
enum serin_status mask_fit(struct mask *m, const struct plan *p, struct fault *f);
/** The text of a plan, as JSON. Addresses are removed, conditions stay as they are. */
SERIN_MUST_USE
enum serin_status mask_plan(const struct mask *m, struct strview plan,
                            struct text *out);

#endif
