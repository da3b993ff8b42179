/* engine/core/outlook.h -- before the start: how long will this plan take, what will it
 * find, and whom will a bad canary hurt?
 *
 * Rollouts are simulated with the plan's own evidence and rules from a seed, window by
 * window. Requests arrive evenly, errors are independent or (phi > 1) come in lumps;
 * calibration, gates, freezes, holds and the way of the data are not in it. A step of
 * which nothing is known (a preview, a segment) takes its warm-up and bake; one that
 * waits for a person takes no time. */
#ifndef SERIN_ENGINE_CORE_OUTLOOK_H
#define SERIN_ENGINE_CORE_OUTLOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/status.h"
#include "engine/core/plan.h"

enum {
    OUTLOOK_MAX_BAD = 12,
    OUTLOOK_MAX_SEGMENTS = 16,
    OUTLOOK_MAX_PODS = 256, /* of a cohort: as many as a batch tells apart */
    OUTLOOK_MAX_RUNS = 10000,
    OUTLOOK_LEAST_RUNS = 20,
    OUTLOOK_MAX_NOTES = 3 * PLAN_MAX_STEPS + 4 * PLAN_MAX_METRICS + OUTLOOK_MAX_BAD
};

/* A regression. */
enum outlook_how { OUTLOOK_ODDS, OUTLOOK_SLOWER, OUTLOOK_TAIL };
struct outlook_bad {
    enum outlook_how how;
    size_t metric; /* of the plan, simulated: a latency but for ODDS */
    double size;   /* odds, rates or levels so many times as high, > 1, or as low where
                    * fewer is worse (of an experiment's question as high, not 1); all
                    * values so many times as long, > 1; ms more */
    double share;  /* TAIL: of so many requests, in (0, 1) */
};

/* A latency as it usually is, log-normal: 0 < p50 < p99 <= 100 p50. */
struct outlook_base {
    double p50_ms, p99_ms; /* 0: not known, the metric is left out */
};

/* A gauge as it usually is. Pods follow the weight, each cohort has one at least; of
 * blue_green each side has all. */
struct outlook_level {
    double mean, sd; /* of a pod's mean over a batch: between pods, between batches */
    double pods;     /* of both cohorts, 2 to OUTLOOK_MAX_PODS; 0: not known */
};

/* Who has the canary first, and their share of all requests, in (0, 1). */
struct outlook_segment {
    const char *name;
    double share;
};

struct outlook_query {
    double rate;                     /* requests/s, both cohorts together; > 0 */
    double errors[PLAN_MAX_METRICS]; /* bad share by metric of the plan, in (0, 1); of
                                      * saturation the pods beyond the bound */
    struct outlook_base latency[PLAN_MAX_METRICS]; /* by metric of the plan */
    struct outlook_level levels[PLAN_MAX_METRICS]; /* gauge; saturation: pods only */
    double preview; /* requests/s of testers to a preview; 0: not known */
    struct outlook_segment segments[OUTLOOK_MAX_SEGMENTS];
    size_t n_segments;
    double events[PLAN_MAX_METRICS]; /* a second, both cohorts together; 0: not known */
    double phi; /* >= 1; of metrics whose dispersion the plan does not give */
    struct outlook_bad bads[OUTLOOK_MAX_BAD];
    size_t n_bads;
    unsigned runs;   /* simulated rollouts, 1..OUTLOOK_MAX_RUNS */
    uint64_t budget; /* of windows of one metric: fewer runs when it is spent, but
                      * OUTLOOK_LEAST_RUNS; 0 = none */
    uint64_t seed;
    void (*progress)(void *context, unsigned done, unsigned runs); /* NULL = none */
    void *context;
};

/* How long something took in those of the runs where it came (hits). */
struct outlook_time {
    unsigned hits, runs;
    double mean_s;       /* over the hits; NAN without */
    double p50_s, p90_s; /* over all runs; +inf where it came in fewer */
};

/* A regression that begins with a step, the canary being healthy before. */
struct outlook_found {
    struct outlook_time abort;    /* since its begin */
    unsigned promoted, undecided; /* to 100 %; at a timeout */
    double exposed; /* mean requests of people to the canary until the end, whichever
                     * it was: no copies, no testers … */
    double hurt;    /* … and how many of them were bad that else were good; of a
                     * latency above the usual p99, of events additional ones; NAN of
                     * what pods show */
};

struct outlook_step {
    struct outlook_time passes; /* a healthy canary, since the weight changed */
    struct outlook_time ready;  /* the same but for the bake */
    bool guessed;               /* nothing is known of it: it takes warm-up and bake */
    unsigned undecided;         /* healthy, at the timeout; then taken as passed */
    double forecast_s; /* closed form: evidence at the step's own tolerance alone */
    char slowest[48];  /* metric, and level of a latency, that this is of */
    struct outlook_found found[OUTLOOK_MAX_BAD];
};

struct outlook_note {
    size_t step; /* 1-based; 0 = of the whole */
    char text[300];
};

/* How an experiment ends; no difference is shown, or guardrails abort it. */
enum outlook_end { OUTLOOK_WIN, OUTLOOK_LOSE, OUTLOOK_SAME, OUTLOOK_GUARDED };
enum { OUTLOOK_N_ENDS = OUTLOOK_GUARDED + 1 };
struct outlook_answer {
    struct outlook_time ends[OUTLOOK_N_ENDS];
    unsigned open; /* undecided when the time is over */
};

struct outlook {
    int64_t window_ms; /* judged with */
    bool assumed;      /* the plan says auto */
    unsigned runs;     /* simulated */
    size_t n_steps;    /* judged ones */
    struct outlook_step steps[PLAN_MAX_STEPS];
    /* Of an experiment: without an effect, then by regression. */
    struct outlook_answer answers[1 + OUTLOOK_MAX_BAD];
    struct outlook_time whole; /* healthy, from the first weight to 100 % */
    unsigned aborted;          /* healthy */
    struct outlook_note notes[OUTLOOK_MAX_NOTES];
    size_t n_notes;
};

/** Share of the requests that a step's segments make; < 0: of one it is not known. */
double outlook_segments(const struct plan_step *t, const struct outlook_query *q);
/** The metric (of the plan) gates and its windows can be drawn. */
bool outlook_simulated(const struct plan *p, const struct outlook_query *q, size_t i);
/**
 * Look ahead. The same plan and query give the same outlook.
 * Errors: SERIN_EDOM (*f says what of the query or the plan), SERIN_ENOMEM
 * Thread: any; takes seconds.
 */
SERIN_MUST_USE
enum serin_status outlook_make(const struct plan *p, const struct outlook_query *q,
                               struct outlook *out, struct fault *f);

#endif
