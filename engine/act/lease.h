/* engine/act/lease.h -- which weight may be in force: the last verdict's while the
 * engine is heard, else none
 *
 * Pure: time is an argument, in ms of a clock that never goes back. A verdict counts
 * once, by its number; what is older than one that was taken is ignored. When the
 * engine has not been heard of for the length of the lease the weight is 0, and stays
 * so until a *newer* verdict names one: nothing is raised because an old verdict is
 * seen again. */
#ifndef SERIN_ENGINE_ACT_LEASE_H
#define SERIN_ENGINE_ACT_LEASE_H

#include <stdbool.h>
#include <stdint.h>

struct lease {
    int64_t length_ms;
    uint64_t seq;       /* of the latest verdict; 0 = none yet */
    uint32_t weight_bp; /* that it names */
    bool final;         /* it is the last one: it holds without a lease */
    bool stopped;       /* it is an abort */
    int64_t heard_ms;   /* when the engine last spoke of this rollout */
    bool lost;          /* the lease ran out after that verdict */
};

/* What a row of the rollouts topic says. */
struct lease_word {
    uint64_t seq;
    uint32_t weight_bp;
    bool final, stopped;
};

void lease_open(struct lease *l, int64_t length_ms);
/**
 * The engine spoke, at said_ms (before now when the record waited somewhere). True when
 * the word is a newer verdict than any before.
 */
bool lease_hear(struct lease *l, const struct lease_word *w, int64_t said_ms,
                int64_t now_ms);
/** True once when the lease has just run out. */
bool lease_check(struct lease *l, int64_t now_ms);
/** The weight that may be in force now. */
uint32_t lease_weight(const struct lease *l);
/** When lease_check has to be called next; INT64_MAX: not because of the lease. */
int64_t lease_due_ms(const struct lease *l);

#endif
