/* engine/replay/mask/anonymize.h -- a recording that can be shown to others
 *
 * Rollouts, services, owners, values of attributes, strata, units, users, people,
 * reasons, workers and topics have other names (engine/replay/mask/mask.h); numbers,
 * times, offsets, names of metrics, of attributes and of gates stay, and so does what a
 * replay decides. */
#ifndef SERIN_ENGINE_REPLAY_MASK_ANONYMIZE_H
#define SERIN_ENGINE_REPLAY_MASK_ANONYMIZE_H

#include "engine/replay/mask/mask.h"
#include "engine/replay/record/recording.h"

struct anonymize_report {
    uint64_t written;
    uint64_t unreadable; /* left out: nobody could have said what is in them */
};

/**
 * Errors: SERIN_EPARSE (damaged: what was before is in *to, which is whole), those of
 * reading and writing.
 */
SERIN_MUST_USE
enum serin_status anonymize(struct recording_reader *r, const struct mask *m,
                            const char *to, struct anonymize_report *out,
                            struct fault *f);

#endif
