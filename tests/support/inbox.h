/* tests/support/inbox.h -- scripts an inbox partition: records at growing offsets */
#ifndef SERIN_TESTS_SUPPORT_INBOX_H
#define SERIN_TESTS_SUPPORT_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "proto/messages.h"
#include "stats/hist.h"

/* One encoded record. */
struct inbox_record {
    int64_t offset;
    struct bytes value;
};

/* Zero-initialise; inbox_free when done. Offsets begin at `next` and leave holes the
 * way transaction markers do. A script that cannot be built stops the test (abort). */
struct inbox {
    struct arena arena;
    struct inbox_record *records;
    size_t n, room;
    int64_t next;
    unsigned commands; /* ids are "c1", "c2", … */
};
void inbox_free(struct inbox *b);

/** Any record; encoded at once. */
void inbox_add(struct inbox *b, const pb_inbox *in);
/** Wall time only, as a stage writes it. */
void inbox_wall(struct inbox *b, int64_t wall_ms);
/** One source of topic "metrics", partition 0, not idle. */
void inbox_tick(struct inbox *b, int64_t wall_ms, int64_t watermark_ms);
/** One stratum's second of both cohorts; a cohort with n = 0 is left out. */
struct inbox_second {
    const char *rollout, *metric, *stratum; /* NULL: "errors", "" */
    int64_t at_ms;
    uint64_t n, x, m, y;
    uint64_t poison;
    double bounds_ratio;   /* of a latency by explicit bounds */
    uint64_t bounds_id[2]; /* of canary and baseline */
};
void inbox_second(struct inbox *b, struct inbox_second s);
/** As above for a latency: n and m come from the histograms; NULL is left out. */
void inbox_latency(struct inbox *b, struct inbox_second s,
                   const struct hist_view *canary, const struct hist_view *baseline);
/** A gauge's second: one reading of each pod, "c0", "c1", … and "b0", "b1", … */
struct inbox_pods {
    const double *canary, *baseline; /* readings; NAN: this pod says nothing */
    size_t n_canary, n_baseline;
};
void inbox_gauge(struct inbox *b, struct inbox_second s, struct inbox_pods pods);
/** A second of a metric per user: keys with RISKSET_BAD, rising (inbox_users_sort). */
struct inbox_users {
    const uint64_t *canary, *baseline;
    size_t n_canary, n_baseline;
    uint32_t thin;
};
void inbox_users(struct inbox *b, struct inbox_second s, struct inbox_users users);
/** Bring keys in order, each once, flags joined; returns how many are left. */
size_t inbox_users_sort(uint64_t *keys, size_t n);
/** One cell as it is. */
void inbox_cell(struct inbox *b, const char *rollout, pb_cell *cell);
/** A command; id "" makes one. Returns its id (in the arena). */
const char *inbox_command(struct inbox *b, const pb_command *c);
void inbox_apply(struct inbox *b, const char *rollout, const char *plan);
void inbox_verb(struct inbox *b, const char *rollout, Serin__V1__Verb verb,
                const char *actor);
void inbox_ack(struct inbox *b, const char *rollout, uint64_t seq, uint32_t applied_bp,
               const char *error);
/** What an external check answered, of the weight of that verdict. */
void inbox_check(struct inbox *b, const char *rollout, const char *check,
                 uint64_t weight_seq, int64_t t_ms, const char *outcome,
                 const char *message);
/** What became of another rollout. */
void inbox_signal(struct inbox *b, const char *rollout, const char *about,
                  const char *state, bool queue);
/** The same of one of several targets. */
void inbox_ack_of(struct inbox *b, const char *target, const char *rollout,
                  uint64_t seq, uint32_t applied_bp, const char *error);

#endif
