/* engine/core/plan.h -- what a rollout's author wrote, checked */
#ifndef SERIN_ENGINE_CORE_PLAN_H
#define SERIN_ENGINE_CORE_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/doc.h"
#include "engine/base/hash.h"
#include "engine/base/status.h"
#include "proto/messages.h"

enum {
    PLAN_MAX_STEPS = 32,
    PLAN_MAX_METRICS = 32,
    PLAN_MAX_GATES = 16,
    PLAN_MAX_STRATA = 64
};

enum plan_kind { PLAN_RATIO, PLAN_LATENCY, PLAN_GAUGE, PLAN_EVENTS };
enum plan_mode { PLAN_GATE, PLAN_WARN, PLAN_SHADOW };
enum plan_action { PLAN_ON_HOLD, PLAN_ON_ABORT };

struct plan_attribute {
    const char *key, *value;
};

struct plan_step {
    uint32_t weight_bp;
    double worse_than; /* odds ratio w_s, > 1; NAN where the step only watches */
    int64_t bake_ms, timeout_ms, watch_ms, warmup_ms;
    const char *gate; /* NULL = none */
    unsigned line;
};

struct plan_metric {
    const char *name, *from, *bad, *unit_key;
    enum plan_kind kind;
    enum plan_mode mode;
    double abort_over; /* odds ratio w_a, >= 1 */
    double floor;      /* rate d below which a large ratio is ignored; 0 = none */
    double limit;      /* absolute rate; 0 = none */
    double share;      /* weight in the abort average, > 0 */
    double phi;        /* dispersion >= 1; 0 = to be calibrated */
};

struct plan_gate {
    const char *name;
    const char **approvers;
    size_t n_approvers;
    uint32_t quorum;
    int64_t expires_ms;
    enum plan_action on_expiry;
};

struct plan_freeze {
    int64_t from_ms, to_ms;
    const char *reason;
};

/* All texts live in the arena given to plan_parse. Frozen for the run. */
struct plan {
    const char *id, *service, *owner, *release_notes, *rollback_plan;
    bool strict;
    struct plan_attribute *cohort[2]; /* 0 canary, 1 baseline */
    size_t n_cohort[2];
    const char **strata;
    size_t n_strata;
    int64_t window_ms;    /* 0 = auto */
    int64_t calibrate_ms; /* 0 = skip */
    double alpha, beta;
    struct plan_step *steps; /* a last step of 10 000 bp is the one that is watched */
    size_t n_steps;
    struct plan_metric *metrics;
    size_t n_metrics;
    struct plan_gate *gates;
    size_t n_gates;
    uint64_t min_requests;
    int64_t not_before_ms; /* 0 = none */
    struct plan_freeze *freezes;
    size_t n_freezes;
    enum plan_action on_no_data, on_timeout, on_sample_ratio;
    int64_t silence_ms; /* canary silent this long: abort */
    bool require_ack;   /* or an `actuate` section */
    int64_t ack_timeout_ms;
    double srm_tolerance;      /* eps of the sample-ratio check; < 0 = off */
    int64_t lateness_ms;       /* of a partial, for display only */
    uint8_t hash[HASH_DIGEST]; /* of the text as given */
};

/**
 * Parse and check a plan. All errors are found at once and appended to *errors with
 * line and column; the plan is written only when there are none. text   YAML (or JSON),
 * UTF-8, n bytes, at most 256 KiB Errors: SERIN_EPARSE (see *errors), SERIN_ENOMEM
 */
SERIN_MUST_USE
enum serin_status plan_parse(struct arena *a, const char *text, size_t n,
                             struct plan **out, struct doc_errors *errors);
/** The route that ingest needs, in the arena. */
SERIN_MUST_USE
enum serin_status plan_route(struct arena *a, const struct plan *p, pb_route **out);
/** JSON Schema of a plan, from the same table as the parser; NUL-terminated. */
SERIN_MUST_USE
enum serin_status plan_schema(struct arena *a, const char **out);

#endif
