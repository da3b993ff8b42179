/* engine/notify/incident.h -- from verdicts to alerts: what began, what ended
 *
 * A pure fold over serin.verdicts, so that a restart reads the topic again and knows
 * what is open, without a store of its own. One reason of one rollout is one incident
 * with one key, however often it is said. */
#ifndef SERIN_ENGINE_NOTIFY_INCIDENT_H
#define SERIN_ENGINE_NOTIFY_INCIDENT_H

#include "engine/notify/receiver.h"
#include "proto/messages.h"

enum {
    INCIDENT_KEY = 192,
    INCIDENT_TEXT = 512,
    INCIDENT_DOC = 4100,
    INCIDENT_EVENTS = 2, /* at most of one verdict: one ends, one begins */
};

/* Texts are UTF-8, or have '?' for what is none, and are cut to their room. */
struct incident {
    char key[INCIDENT_KEY]; /* rollout:reason, the same at its end */
    char rollout[132], service[132], owner[132], id[160], verdict[16], reason[32];
    char metric[132], state[32], actor[132], message[INCIDENT_TEXT];
    char release_notes[INCIDENT_DOC], rollback_plan[INCIDENT_DOC];
    enum severity severity;
    bool abort; /* an ABORT: nothing ends it but another run of the rollout */
    uint32_t weight_bp;
    uint64_t seq;
    int64_t t_ms; /* of the verdict */
};

struct incident_event {
    struct incident what;
    bool firing;             /* false: it has ended */
    int64_t ended_ms;        /* 0 while it is firing */
    char how[INCIDENT_TEXT]; /* how it ended */
};

struct incident_set; /* what is open, by rollout; opaque; thread: one */

struct incident_set *incident_open(void); /* NULL: out of memory */
void incident_close(struct incident_set *s);
/**
 * Take in a verdict of `partition`. HOLD begins an incident (and ends one of another
 * reason), ABORT begins one, anything else of the rollout ends what is open. A repeat
 * says nothing. Returns how many of out[INCIDENT_EVENTS] were filled; -1: out of
 * memory, nothing changed.
 */
int incident_take(struct incident_set *s, const pb_verdict *v, int32_t partition,
                  struct incident_event out[INCIDENT_EVENTS]);
/** Forget the rollouts of a partition that another process follows now. */
void incident_forget(struct incident_set *s, int32_t partition);
/** Call each for every open incident. */
void incident_each(const struct incident_set *s,
                   void (*each)(void *ctx, const struct incident *i), void *ctx);
/** How urgent a verdict is; ABORTs that a person ordered are no surprise. */
enum severity incident_severity(const pb_verdict *v);
/** Copy text into room bytes as one clean line or, lines true, several: no control
 * characters, valid UTF-8. */
void incident_text(char *out, size_t room, const char *text, bool lines);

#endif
