/* engine/core/rollout.h -- one rollout's state in the fold, and the only way to change
 * it */
#ifndef SERIN_ENGINE_CORE_ROLLOUT_H
#define SERIN_ENGINE_CORE_ROLLOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/arena.h"
#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/base/status.h"
#include "engine/core/calibrate.h"
#include "engine/core/decide.h"
#include "engine/core/evidence.h"
#include "engine/core/pending.h"
#include "engine/core/plan.h"
#include "engine/core/streamclock.h"
#include "stats/srm.h"

#define HASH_NONFATAL_OOM 1
#define uthash_malloc(n) mem_calloc(1, n)
#define uthash_free(p, n) mem_free(p)
#include <uthash.h>

/* Why a rollout does not advance, strongest first: when several apply, the first one is
 * the one shown. `sticky`: only a person ends it. */
/* clang-format off */
#define ROLLOUT_HOLDS(X)                                          \
    X(OPERATOR, "operator", true)                                 \
    X(STATE_LOST, "state_lost", true)                             \
    X(DEFECT, "defect", true)                                     \
    X(SAMPLE_RATIO, "sample_ratio", true)                         \
    X(SUSPICIOUS, "suspicious", true)                             \
    X(BLIND, "blind", false)                                      \
    X(NO_DATA, "no_data", false)                                  \
    X(CANARY_SILENT, "canary_silent", false)                      \
    X(BASELINE_SILENT, "baseline_silent", false)                  \
    X(BAD_DATA, "bad_data", false)                                \
    X(ACTUATOR, "actuator", false)                                \
    X(DISPERSION, "dispersion", false)                            \
    X(TIMEOUT, "timeout", false)                                  \
    X(AFTER, "after", false)                                      \
    X(QUEUE, "queue", false)                                      \
    X(CHECK, "check", false)                                      \
    X(FREEZE, "freeze", false)                                    \
    X(GATE, "gate", false)
/* clang-format on */
#define X(name, text, sticky) HOLD_##name,
enum rollout_hold { ROLLOUT_HOLDS(X) HOLD_NONE };
#undef X

/* Of an experiment. */
#define ROLLOUT_RESULTS(X)                                                             \
    X(NONE, "")                                                                        \
    X(WIN, "win")                                                                      \
    X(LOSE, "lose")                                                                    \
    X(NO_DIFFERENCE, "no_difference")
#define X(name, text) RESULT_##name,
enum rollout_result { ROLLOUT_RESULTS(X) RESULT_N };
#undef X

enum {
    ROLLOUT_OUTCOMES = 16, /* kept in the row */
    ROLLOUT_DONE = 64,     /* command ids remembered, to drop repeats */
    ROLLOUT_STRATA = 64,   /* the rest is "other" */
    ROLLOUT_TEXT = 480,    /* of a verdict's sentence */
    ROLLOUT_WAITS = 64,    /* other rollouts that one waits for */
    ROLLOUT_ID = 128,      /* plan: [a-z0-9][a-z0-9._-]{0,127} */
    ROLLOUT_REASON = 24
};

/* Of the time after an abort. */
#define ROLLOUT_AFTERMATHS(X)                                                          \
    X(NONE, "")                                                                        \
    X(WATCHING, "watching")                                                            \
    X(RECOVERED, "recovered")                                                          \
    X(PARTLY, "partly_recovered")                                                      \
    X(NOT_RECOVERED, "not_recovered")                                                  \
    X(UNCLEAR, "unclear")
#define X(name, text) AFTERMATH_##name,
enum aftermath_finding { ROLLOUT_AFTERMATHS(X) AFTERMATH_N };
#undef X

/* Whether an abort helped: one metric's rate in the whole service since then, beside
 * those of the step that ended. */
struct aftermath {
    enum aftermath_finding finding;
    uint32_t metric;           /* index in the plan */
    double above;              /* ms beyond which a request is bad; 0: counts say it */
    double phi;                /* dispersion */
    struct count_table before; /* of the step: canary n, x; baseline m, y */
    int64_t from_ms, until_ms; /* event time */
    uint64_t n, x;             /* since */
};

struct rollout_outcome {
    char *id, *message;
    bool accepted;
};

struct rollout_vote {
    char *actor, *reason;
    int64_t t_ms;
};

struct rollout_gate {
    struct rollout_vote *approvals; /* by different people, since the denial */
    size_t n_approved;
    struct rollout_vote denied; /* actor NULL: nobody did */
    int64_t waiting_ms;         /* since; 0 = not waited for yet */
    bool expired;
};

enum external_outcome { EXTERNAL_NONE, EXTERNAL_PASS, EXTERNAL_FAIL, EXTERNAL_ERROR };

/* The latest answer of an external check at the present weight. */
struct rollout_external {
    enum external_outcome outcome;
    int64_t t_ms;
    char message[160];
};

/* Another rollout that this one waits for. */
struct rollout_wait {
    char about[ROLLOUT_ID + 1];
    char state[16];    /* of it, as far as known; "" = not */
    bool after, queue; /* until it is promoted (the plan says so); until it has ended */
};

/* What the actuator said about the weight now commanded. */
struct rollout_ack {
    uint64_t weight_seq; /* of the verdict that set the weight; 0 = none */
    struct rollout_acked {
        bool heard;
        uint32_t applied_bp;
        char error[96];
    } at[PLAN_MAX_TARGETS]; /* by the order of the plan */
};

/* Samples used and samples lost, in this and in the half minute before. */
struct rollout_quality {
    int64_t since_ms;
    uint64_t good[2], bad[2];
};

/* Windows that counted in the present step. */
struct rollout_range {
    int64_t first_ms, last_ms; /* start of the first, end of the last */
    uint64_t n;
};

/* The latest window of the sample-ratio check. It counts once the next one shows both
 * cohorts as well: a cohort that falls silent, or comes back, is no wrong split. */
struct rollout_split {
    uint64_t canary, baseline;
    bool waits; /* the two above are a window that waits for its successor */
    bool calm;  /* the latest window showed both cohorts */
};

struct rollout {
    char id[ROLLOUT_ID + 1];
    UT_hash_handle hh;
    int64_t applied_offset; /* records up to here are in this state */

    struct arena arena;     /* of plan and text */
    struct plan *plan;      /* NULL: lost with the state */
    const char *text;       /* as applied */
    const char *applied_by; /* never NULL */

    enum rollout_state state;
    enum rollout_state held_from, gated_from; /* where HELD and GATED go back to */
    enum rollout_hold hold;                   /* the one shown; HOLD_NONE unless HELD */
    enum rollout_result result;               /* once it is CONCLUDED */
    struct aftermath after;                   /* once it is ABORTED */
    uint32_t sticky;                          /* bit per enum rollout_hold */
    char reason[ROLLOUT_REASON], message[ROLLOUT_TEXT];
    uint32_t step, weight_bp; /* step: 1-based, 0 before the first weight */
    uint64_t seq;             /* of the latest verdict */
    int64_t created_ms, since_ms, began_ms, settle_ms, extend_ms;
    int64_t started_ms; /* of the first weight; 0 = not yet */
    double peak_log_e;  /* largest abort evidence so far, for the fleet's level */

    int64_t window_ms;
    bool has_closed;
    int64_t closed_ms; /* windows that end here or before are closed */
    struct pending pending;
    char *strata[ROLLOUT_STRATA];
    size_t n_strata;

    struct evidence_set evidence;
    struct calibrate *calibrate; /* plan->n_metrics until the first weight, then NULL */
    int64_t calibrate_ms;        /* begin; 0 = not yet */
    int64_t interval_ms;         /* measured between reports; 0 = not measured */
    struct srm srm;
    struct rollout_split split;
    uint64_t srm_canary, srm_baseline;
    /* Units a ms of both cohorts in the step before this one; at 100 % it goes over to
     * the canary's. 0: unknown */
    double pace;
    struct rollout_range range;

    struct rollout_ack ack;
    uint64_t gaps_seen; /* of the clock */
    bool gap;           /* records were lost: new evidence only */
    uint64_t late, poison;
    struct rollout_quality quality;
    struct rollout_gate gates[PLAN_MAX_GATES];
    struct rollout_external external[PLAN_MAX_CHECKS];
    struct rollout_wait waits[ROLLOUT_WAITS];
    size_t n_waits;
    int64_t override_ms; /* what is closed until then does not hold */

    uint8_t prev_hash[HASH_DIGEST], audit_hash[HASH_DIGEST];
    uint64_t audit_seq;
    struct rollout_outcome outcomes[ROLLOUT_OUTCOMES];
    size_t n_outcomes;
    uint64_t done[ROLLOUT_DONE]; /* ring: the oldest at n_done % ROLLOUT_DONE */
    size_t n_done;

    /* Not part of the state: when rows and snapshots are due, and what this record
     * asks. */
    int64_t row_ms, snapshot_ms, summary_ms;
    uint32_t phase; /* by the id: who is due when */
    bool dirty, row_due, snapshot_due;
    bool stale, harmed, passes,
        any_passes; /* the last three follow from the evidence unless stale … */
    enum rollout_result answer; /* … and so does this one */
    pb_clock *restored_clock;   /* until the first record; in restored */
    struct arena restored;
    uint64_t epoch;
};

/** What is done every so often is due again, each rollout at its own time within that:
 * of a thousand, an even part is due at every tick. */
bool rollout_due(const struct rollout *r, int64_t last_ms, int64_t every_ms,
                 int64_t now_ms);
/** "no_data", …; "" for HOLD_NONE. */
const char *rollout_hold_text(enum rollout_hold h);
bool rollout_hold_parse(const char *text, enum rollout_hold *out);
bool rollout_hold_sticky(enum rollout_hold h);

/** "win", …; "" for RESULT_NONE. */
const char *rollout_result_text(enum rollout_result r);
/** RESULT_NONE for what is none. */
enum rollout_result rollout_result_parse(const char *text);

/** An empty rollout: no plan, PENDING. NULL when memory is out. */
struct rollout *rollout_new(const char *id);
void rollout_free(struct rollout *r);
/**
 * A vote at a gate; a denial voids the approvals so far.
 * Errors: SERIN_ENOMEM, *g unchanged
 */
SERIN_MUST_USE
enum serin_status rollout_vote(struct rollout_gate *g, const char *actor,
                               const char *reason, int64_t t_ms, bool deny);
/**
 * Take the plan's text: parse it, make room for evidence, start clean in PENDING. Keeps
 * id, seq and the chains.
 * Errors: SERIN_EPARSE (why says what is wrong), SERIN_ENOMEM. *r must be freed then.
 */
SERIN_MUST_USE
enum serin_status rollout_plan(struct rollout *r, const char *text, struct fault *why);
/** Note who applied the plan; call after rollout_plan. Errors: SERIN_ENOMEM */
SERIN_MUST_USE
enum serin_status rollout_applied(struct rollout *r, const char *actor);
/** Free what a final rollout needs no more: evidence, pending windows. */
void rollout_shrink(struct rollout *r);

/**
 * The only writer of state: follow the rule of this event. Only for events that apply
 * (decide_rules[..].why != NULL). Notes reason and time; leaving for HELD or GATED
 * remembers where from.
 */
void rollout_move(struct rollout *r, enum decide_event ev, const char *reason,
                  int64_t ms);
/** Records still change it: it is not final, or its aftermath is watched. */
bool rollout_open(const struct rollout *r);
/** The state it is in, or the one it will go back to from HELD (not from GATED). */
enum rollout_state rollout_under(const struct rollout *r);
/** Step of the present weight; NULL before the first. */
const struct plan_step *rollout_step(const struct rollout *r);
/** The next one; NULL at the last. */
const struct plan_step *rollout_next(const struct rollout *r);
/** Index of a stratum's name, learnt as they come; the last one is "other". */
SERIN_MUST_USE
enum serin_status rollout_stratum(struct rollout *r, const char *name, uint32_t *out);
/** Longer than this in event time without data is silence. */
int64_t rollout_silence_ms(const struct rollout *r);

#endif
