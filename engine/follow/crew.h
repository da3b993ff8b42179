/* engine/follow/crew.h -- checks being performed, each in a thread of its own, so that
 * one that hangs delays nobody */
#ifndef SERIN_ENGINE_FOLLOW_CREW_H
#define SERIN_ENGINE_FOLLOW_CREW_H

#include "engine/follow/probe.h"

struct crew; /* opaque */

struct crew_answer {
    struct crew_answer *next;
    struct probe probe;
    struct probe_answer answer;
    int64_t t_ms; /* wall time of the answer */
};

/** The policy is copied. Errors: SERIN_ENOMEM */
SERIN_MUST_USE
enum serin_status crew_open(struct crew **out, const struct probe_policy *policy);
/** What still runs is not waited for; its answer is dropped. */
void crew_close(struct crew *c);
/** Start one; false: too many are running, or no memory. p is copied. */
bool crew_start(struct crew *c, const struct probe *p);
/** Answers that came, oldest first; the caller frees each (mem_free). */
struct crew_answer *crew_answers(struct crew *c);

#endif
