/* engine/notify/receiver.h -- `alerts` of serin.yaml: who is told what, and where */
#ifndef SERIN_ENGINE_NOTIFY_RECEIVER_H
#define SERIN_ENGINE_NOTIFY_RECEIVER_H

#include "engine/base/doc.h"
#include "engine/base/keys.h"

enum { RECEIVER_MAX = 32 };

/* As PagerDuty has them, least first. */
/* clang-format off */
#define RECEIVER_SEVERITIES(X) X(INFO, "info") X(WARNING, "warning") X(ERROR, "error") X(CRITICAL, "critical")
#define RECEIVER_KINDS(X) \
    X(WEBHOOK, "webhook") X(SLACK, "slack") X(PAGERDUTY, "pagerduty") \
    X(ALERTMANAGER, "alertmanager") X(EMAIL, "email")
#define X(name, text) SEVERITY_##name,
enum severity { RECEIVER_SEVERITIES(X) SEVERITY_N };
#undef X
#define X(name, text) RECEIVER_##name,
enum receiver_kind { RECEIVER_KINDS(X) RECEIVER_KIND_N };
#undef X
/* clang-format on */
/** Never NULL. */
const char *receiver_severity(enum severity s);
const char *receiver_kind(enum receiver_kind k);

/* One entry of `receivers`; texts live in the configuration's arena. */
struct receiver {
    const char *name;
    int kind;                   /* enum receiver_kind */
    const char *url, *url_file; /* one of them, where the kind has an address */
    const char *secret_file;    /* HMAC key, routing key or password */
    const char *ca_file;        /* whom https trusts; NULL: the system's */
    const char *from, *user;    /* email */
    const char **to;
    size_t n_to;
    int severity;          /* enum severity: this and above */
    const char **rollouts; /* shell patterns; none: all */
    size_t n_rollouts;
    const char **services;
    size_t n_services;
    const char *template_; /* NULL: the usual text */
    int64_t timeout_ms, give_up_ms;
};

struct receiver_list {
    struct receiver *items;
    size_t n;
    int64_t silence_ms; /* live rows not refreshed for so long: the engine is dead */
};

/**
 * Read serin.yaml's `alerts`; NULL: nobody is told anything. Every problem is noted at
 * its place. Errors: SERIN_ENOMEM only.
 */
SERIN_MUST_USE
enum serin_status receiver_read(struct arena *a, const struct doc_node *map,
                                struct receiver_list *out, struct doc_errors *errors);
/** Does it want to hear of this rollout at this severity? "" service: none given. */
bool receiver_wants(const struct receiver *r, enum severity severity,
                    const char *rollout, const char *service);
/** NULL: no receiver of this name. */
const struct receiver *receiver_find(const struct receiver_list *l, const char *name);
/** For the configuration's own table: the members of the section's JSON Schema. */
extern const char receiver_schema[];

#endif
