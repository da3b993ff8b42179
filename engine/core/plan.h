/* engine/core/plan.h -- what a rollout's author wrote, checked */
#ifndef SERIN_ENGINE_CORE_PLAN_H
#define SERIN_ENGINE_CORE_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/doc.h"
#include "engine/base/hash.h"
#include "engine/base/pattern.h"
#include "engine/base/status.h"
#include "proto/messages.h"

enum {
    PLAN_MAX_STEPS = 32,
    PLAN_MAX_METRICS = 32,
    PLAN_MAX_GATES = 16,
    PLAN_MAX_CHECKS = 16,
    PLAN_MAX_AFTER = 8,
    PLAN_MAX_TARGETS = 8,
    PLAN_TARGET_NAME = 128, /* with its zero */
    PLAN_MAX_STRATA = 64,
    PLAN_MAX_PER_USER = 3 /* 256 KiB each in a snapshot, which a message has to hold */
};

/* Written in a plan as ratio, latency, …; plan_check.c says which ones are judged. */
enum plan_kind {
    PLAN_RATIO,
    PLAN_LATENCY,
    PLAN_GAUGE,
    PLAN_EVENTS,
    PLAN_SATURATION,
    PLAN_NKIND
};
enum plan_strategy { PLAN_CANARY, PLAN_BLUE_GREEN, PLAN_FLAG, PLAN_EXPERIMENT };
/* What a step does: gives the canary a weight; or leaves the weight as it is and judges
 * on (analysis_only), copies of requests (mirror) or requests made on purpose
 * (preview), or waits (pause). */
enum plan_step_kind {
    PLAN_STEP_WEIGHT,
    PLAN_STEP_ANALYSIS,
    PLAN_STEP_MIRROR,
    PLAN_STEP_PREVIEW,
    PLAN_STEP_PAUSE
};
enum plan_direction { PLAN_UP, PLAN_DOWN, PLAN_BOTH };
enum plan_quantile {
    PLAN_P50,
    PLAN_P75,
    PLAN_P90,
    PLAN_P95,
    PLAN_P99,
    PLAN_P999,
    PLAN_NQUANTILE
};
enum plan_mode { PLAN_GATE, PLAN_WARN, PLAN_SHADOW };
enum plan_per { PLAN_PER_REQUEST, PLAN_PER_USER };
enum plan_action { PLAN_ON_HOLD, PLAN_ON_ABORT };

struct plan_rule { /* which values of an attribute a cohort's records have */
    const char *key;
    enum pattern_kind kind;
    const char **values; /* n; 1 but for PATTERN_IN */
    size_t n;
};

struct plan_step {
    enum plan_step_kind kind;
    uint32_t weight_bp;    /* of live traffic; that of the step before it, where the
                              kind leaves it as it is */
    uint32_t mirror_bp;    /* of mirror: share of the other requests that is copied */
    int64_t pause_ms;      /* of pause; 0: until a person promotes */
    const char **audience; /* segments that are served whole, those of earlier steps
                              included */
    size_t n_audience;
    double worse_than;  /* odds ratio w_s, > 1; NAN where nothing is compared */
    int64_t bake_ms;    /* least time of judging; the fold also wants 6 windows */
    int64_t timeout_ms; /* undecided this long after the weight changed: on_timeout */
    int64_t watch_ms;   /* at 100 %: time until PROMOTED; 0 elsewhere */
    int64_t warmup_ms;  /* samples this soon after the weight changed are excluded */
    const char *gate;   /* must be open before this weight; NULL = none */
    unsigned line;      /* in the plan's text; 0 = a default step */
};

/* Few pods: what they differ by, by luck. */
struct plan_pods {
    uint64_t canary, baseline; /* canary 0: not given */
    double spread;             /* relative spread (CV) between pods */
};

struct plan_metric {
    /* name in verdicts; the stream's metric (never NULL: name by default); condition
     * that makes a unit bad; attribute that names the pod of a gauge; unit of the
     * values. "" = none. */
    const char *name, *from, *bad, *unit_key, *unit;
    const char *user_key; /* attribute that names the user; "" = the records do */
    enum plan_per per;    /* what a unit is; users: of a ratio only */
    enum plan_kind kind;
    enum plan_mode mode;
    enum plan_direction direction;
    bool primary;          /* the experiment's question; it never aborts */
    bool protected;        /* promotion needs it: mode gate, and in criteria */
    bool any;              /* … by criteria.any_of: another one may stand for it */
    double beta;           /* level of its promote evidence; any_of shares it out */
    double abort_over;     /* odds ratio w_a; of a latency the ratio of values; >= 1 */
    double floor;          /* rate d below which a large ratio is ignored; 0 = none */
    double limit;          /* absolute rate; 0 = none */
    double share;          /* weight in the abort average, > 0 */
    double phi;            /* dispersion >= 1; 0 = to be calibrated */
    struct plan_pods pods; /* ratio only */
    int64_t batch_ms;      /* gauge and saturation only */
    double bound;          /* saturation only: beyond it a pod is saturated */
    bool has_bound;
    /* Events only. */
    const char *exposure;    /* the metric whose units are the exposure; "" = none */
    int exposure_metric;     /* its index; -1: pods below */
    double exposure_pods[2]; /* canary, baseline; 0 = not given */
    /* Latency only. */
    const char **protect; /* quantiles that promotion needs: "p50", … */
    size_t n_protect;
    double too_good;                  /* clearly faster than this share is suspicious */
    int64_t limit_ms[PLAN_NQUANTILE]; /* absolute; 0 = none */
};

/* strategy: experiment. One step of this weight, one question about one metric. */
struct plan_experiment {
    const char *metric; /* NULL: the only one */
    uint32_t weight_bp;
    int64_t duration_ms;
    enum plan_direction better; /* of the share that it counts: up or down */
    double equivalent; /* margin m: odds ratios within 1/(1+m) to 1+m do not matter */
    double level;      /* of the two-sided limits */
    bool keep;         /* the weight, unless it lost */
    const char *gate;  /* must be open before the start; NULL = none */
};

struct plan_gate {
    const char *name;
    const char **approvers;
    size_t n_approvers;
    uint64_t quorum; /* 1..n_approvers */
    int64_t expires_ms;
    enum plan_action on_expiry;
    const char *reason; /* what it is for; "" = not given */
    bool four_eyes;     /* whoever applied the plan may not approve */
};

enum plan_check_kind { PLAN_WEBHOOK, PLAN_EXEC };

/* A question to the outside, asked again and again while a step is judged. */
struct plan_external {
    const char *name;
    enum plan_check_kind kind;
    const char *url, *secret_file; /* of a webhook; secret_file "" = not signed */
    const char *target;            /* of exec: a name in the engine's configuration */
    int64_t timeout_ms;            /* of one attempt */
    uint64_t retries;              /* after the first attempt */
    int64_t every_ms, valid_ms;    /* asked so often; an answer holds so long */
    enum plan_action on_fail;
    bool all, any; /* named by criteria.all_of, any_of */
};

struct plan_allow { /* weekly, UTC */
    const char **days;
    size_t n_days;
    const char *from, *to;
    unsigned day_bits; /* bit 0: Monday */
    int from_min, to_min;
};

struct plan_freeze {
    int64_t from_ms, to_ms;
    const char *reason;
};

/* All texts live in the arena given to plan_parse and are never NULL unless said so.
 * Frozen for the run. */
struct plan {
    int api_version, document_kind;
    const char *id;      /* [a-z0-9][a-z0-9._-]{0,127} */
    const char *service; /* default: the canary's service.name, else "" */
    const char *owner, *release_notes, *rollback_plan; /* "" = not given */
    bool strict;
    enum plan_strategy strategy;
    const char *environment, *flag; /* of cohorts that name a version or variant only */
    const struct doc_node *cohort_node[2]; /* as written */
    struct plan_rule *cohort[2];           /* 0 canary, 1 baseline; all of them hold */
    size_t n_cohort[2];
    const char **strata;
    size_t n_strata;
    int64_t window_ms;    /* 0 = auto */
    int64_t calibrate_ms; /* 0 = skip */
    double alpha, beta;
    struct plan_step *steps; /* never falling; the last has 10 000 bp and is watched
                                only */
    size_t n_steps;
    struct plan_metric *metrics;
    size_t n_metrics;
    struct plan_experiment experiment; /* with strategy experiment */
    struct plan_gate *gates;
    size_t n_gates;
    const char *
        *all_of; /* names of metrics and checks; none: every metric of mode gate */
    size_t n_all_of;
    const char **any_of; /* names of metrics and checks */
    size_t n_any_of;
    size_t any_metrics, any_checks; /* how many of them are which */
    struct plan_external *checks;
    size_t n_checks;
    uint64_t min_requests;
    const char **after; /* rollouts that must be promoted before the start */
    size_t n_after;
    bool concurrent;       /* other rollouts of the same service may be live */
    int64_t not_before_ms; /* 0 = none */
    struct plan_allow *allow;
    size_t n_allow;
    struct plan_freeze *freezes;
    size_t n_freezes;
    enum plan_action on_no_data, on_timeout, on_sample_ratio;
    int64_t after_abort_ms;                /* how long its effect is watched; 0 = not */
    int64_t silence_ms;                    /* canary silent this long: abort */
    bool require_ack;                      /* also set by an `actuate` section */
    const struct doc_node *actuate;        /* as written; NULL = none */
    const char *targets[PLAN_MAX_TARGETS]; /* that it names */
    size_t n_targets;
    int64_t ack_timeout_ms;
    bool srm_check;
    double srm_tolerance;      /* eps of the sample-ratio check; < 0 = off */
    int64_t lateness_ms;       /* of a partial, for display only */
    uint8_t hash[HASH_DIGEST]; /* of the text as given */
};

/**
 * Parse and check a plan. All errors are found at once and appended to *errors, each at
 * its line and column; the plan is written only when there are none.
 * text    YAML (or JSON), UTF-8, n bytes, at most 256 KiB; not needed afterwards
 * Errors  SERIN_EPARSE (see *errors), SERIN_ENOMEM
 */
SERIN_MUST_USE
enum serin_status plan_parse(struct arena *a, const char *text, size_t n,
                             struct plan **out, struct doc_errors *errors);
enum { PLAN_WARNING = 240 };
/** What is allowed but will disappoint, of metric i; false: nothing. */
bool plan_warning(const struct plan *p, size_t i, char out[PLAN_WARNING]);
/** Factor from a unit of time to ms; "" is ms. False for an unknown one. */
bool plan_unit(const char *unit, double *scale);
/** The route that ingest needs, in the arena. */
SERIN_MUST_USE
enum serin_status plan_route(struct arena *a, const struct plan *p, pb_route **out);
/** JSON Schema of a plan, from the same table as the parser; NUL-terminated. */
SERIN_MUST_USE
enum serin_status plan_schema(struct arena *a, const char **out);

#endif
