/* engine/replay/scene/inject.h -- what is to be done to recorded metrics, as it is
 * written: WHAT=HOW[@WHEN][,option...], several separated by ';' */
#ifndef SERIN_ENGINE_REPLAY_SCENE_INJECT_H
#define SERIN_ENGINE_REPLAY_SCENE_INJECT_H

#include <stdbool.h>

#include "engine/core/plan.h"

enum { INJECT_MAX = 32 };

enum inject_what { INJECT_METRIC, INJECT_SILENCE, INJECT_SKEW, INJECT_SAMPLE_RATIO };
enum inject_how {
    INJECT_FACTOR, /* odds of a ratio, rate of events, values of the others */
    INJECT_RISK,   /* factor of a ratio's rate */
    INJECT_ADD     /* probability, events a second, ms, level */
};
enum inject_shape { INJECT_STEP, INJECT_RAMP, INJECT_LEAK };
enum inject_when { INJECT_OPEN, INJECT_CLOCK, INJECT_DATE, INJECT_SINCE };

struct inject_time {
    enum inject_when kind;
    int64_t ms; /* since midnight, the epoch, or the recording's start */
    size_t column;
};

struct inject {
    enum inject_what what;
    enum inject_how how;
    enum inject_shape shape;
    int metric;      /* of the plan; -1: none */
    bool on[2];      /* canary, baseline */
    double amount;   /* > 0 of a factor; of a skew whole seconds, in ms */
    double part;     /* of the requests, or of the pods, that it meets */
    int64_t ramp_ms; /* until it is there in full */
    struct inject_time from, to;
    int64_t from_ms, to_ms; /* set by inject_place */
    const char *text;       /* the whole SPEC, for messages */
    size_t column;          /* where this one begins, from 1 */
};

/* Zero-initialise. */
struct inject_list {
    struct inject items[INJECT_MAX];
    size_t n;
};

/**
 * Append what one SPEC says. text  must outlive the list.
 * Errors: SERIN_EPARSE: *f says what was found at which column, and what was expected.
 */
SERIN_MUST_USE
enum serin_status inject_parse(const struct plan *plan, const char *text,
                               struct inject_list *out, struct fault *f);
/**
 * Set the times, in a recording of [first_ms, last_ms] (INT64_MAX: not known yet).
 * Errors: SERIN_EDOM: one begins outside of it, two concern the same at the same time,
 * or nobody would be left.
 */
SERIN_MUST_USE
enum serin_status inject_place(struct inject_list *l, int64_t first_ms, int64_t last_ms,
                               struct fault *f);

#endif
