/* proto/messages.h -- short names for the generated types, and the schema number */
#ifndef SERIN_PROTO_MESSAGES_H
#define SERIN_PROTO_MESSAGES_H

#include <stddef.h>
#include <stdint.h>

#include "proto/serin/v1/serin.pb-c.h"

/* Version of the messages' meaning. Written into every message; a reader refuses more.
 */
#define SERIN_SCHEMA 1u

/* Every top-level message, once: SHORT name, Generated name, generated_prefix. */
/* clang-format off */
#define MESSAGES_MAP(X)                    \
    X(batch, Batch, batch)                 \
    X(inbox, Inbox, inbox)                 \
    X(verdict, Verdict, verdict)           \
    X(rollout, Rollout, rollout)           \
    X(audit, AuditEntry, audit_entry)      \
    X(checkpoint, Checkpoint, checkpoint)  \
    X(snapshot, Snapshot, snapshot)
#define X(name, Type, prefix) typedef Serin__V1__##Type pb_##name;
MESSAGES_MAP(X)
#undef X
/* clang-format on */

typedef Serin__V1__Partial pb_partial;
typedef Serin__V1__Cell pb_cell;
typedef Serin__V1__Tick pb_tick;
typedef Serin__V1__Source pb_source;
typedef Serin__V1__Command pb_command;
typedef Serin__V1__Ack pb_ack;
typedef Serin__V1__Column pb_column;
typedef Serin__V1__Attribute pb_attribute;
typedef Serin__V1__Histogram pb_histogram;
typedef Serin__V1__Route pb_route;
typedef Serin__V1__RouteMetric pb_route_metric;
typedef Serin__V1__Match pb_match;
typedef Serin__V1__Status pb_status;
typedef Serin__V1__Outcome pb_outcome;
typedef Serin__V1__MetricVerdict pb_metric_verdict;
typedef Serin__V1__CohortSummary pb_cohort_summary;
typedef Serin__V1__Question pb_question;
typedef Serin__V1__SampleRatio pb_sample_ratio;
typedef Serin__V1__GateStatus pb_gate_status;
typedef Serin__V1__CheckResult pb_check_result;
typedef Serin__V1__CheckStatus pb_check_status;
typedef Serin__V1__Signal pb_signal;
typedef Serin__V1__Vote pb_vote;
typedef Serin__V1__Wait pb_wait;
typedef Serin__V1__Clock pb_clock;
typedef Serin__V1__FoldState pb_fold_state;

/* A text for a field of a message that is only encoded: protobuf-c has no const, and
 * encoding only reads. */
static inline char *messages_text(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* A piece of an arena. */
struct bytes {
    const uint8_t *p;
    size_t n;
};

#endif
