/* engine/core/outlook_sim.h -- the parts of the simulation; of the outlook's files only
 *
 * outlook.c checks the question and makes room, outlook_traffic.c draws windows,
 * outlook_walk.c leads canaries through the steps, outlook_sum.c adds up. */
#ifndef SERIN_ENGINE_CORE_OUTLOOK_SIM_H
#define SERIN_ENGINE_CORE_OUTLOOK_SIM_H

#include "engine/core/draw.h"
#include "engine/core/evidence.h"
#include "engine/core/outlook.h"
#include "engine/core/outlook_shape.h"

/* Times of one question, one a run that came to it. */
struct outlook_sample {
    double *s;
    unsigned hits, runs;
};

/* Samples of a step: FOUND + regression. */
enum { OUTLOOK_PASSES, OUTLOOK_READY, OUTLOOK_FOUND };

/* One simulated metric. */
struct outlook_source {
    size_t of;                   /* index in the query's plan */
    double errors;               /* of a ratio; of saturation the pods beyond it */
    double events;               /* a second, both cohorts together */
    struct outlook_level level;  /* of a gauge; of saturation its pods */
    struct outlook_shape *usual; /* of a latency; NULL otherwise */
};

struct outlook_sim {
    const struct outlook_query *q;
    const struct plan *given; /* as asked */
    struct plan plan;         /* its simulated metrics only */
    struct plan_metric metrics[PLAN_MAX_METRICS];
    struct outlook_source sources[PLAN_MAX_METRICS];
    struct outlook_shape *shapes; /* usual ones, then one a regression */
    const struct outlook_shape *worse[OUTLOOK_MAX_BAD]; /* NULL: of a ratio */
    struct evidence_set evidence;
    struct evidence *kept; /* at the begin of a step … */
    char *kept_own;        /* … and what their kinds keep */
    struct draw draw;
    uint64_t spent; /* windows, by metric */
    struct outlook *out;
    double *times; /* of all samples */
    struct outlook_sample steps[PLAN_MAX_STEPS][OUTLOOK_FOUND + OUTLOOK_MAX_BAD], whole;
    struct outlook_sample answers[1 + OUTLOOK_MAX_BAD][OUTLOOK_N_ENDS];
    uint64_t counts[2][HIST_ROOM]; /* of the latency being drawn */
};

/* One canary on its way. */
struct outlook_walk {
    const struct outlook_bad *bad; /* NULL: healthy */
    int64_t ms;                    /* since it was begun */
    int64_t window_ms;
    int64_t batched_ms[PLAN_MAX_METRICS]; /* how long the batch is by now */
    double exposed;                       /* requests of people to the canary */
};

/* ---- outlook_traffic.c */
/** How many times as much (odds, rate, level) of a metric a regression makes. */
double outlook_traffic_times(const struct plan_metric *m,
                             const struct outlook_bad *bad);
/** The same share with its odds so many times as high. */
double outlook_traffic_worse(double p, double odds);
/** Draw the windows of all metrics that begin at w->ms, and fold them in.
 * Errors: SERIN_EDOM: more than a window can hold. */
SERIN_MUST_USE
enum serin_status outlook_traffic_window(struct outlook_sim *s, size_t step,
                                         struct outlook_walk *w);
/** Requests a second in a step, as expected. */
struct outlook_flow {
    double people;           /* to the canary, by weight and in segments */
    double canary, baseline; /* that are compared */
};
struct outlook_flow outlook_traffic_flow(const struct plan *p,
                                         const struct outlook_query *q, size_t step);
/** Units a second of a metric in both cohorts, as compared. */
struct outlook_flow outlook_traffic_units(const struct plan *p,
                                          const struct outlook_query *q, size_t metric,
                                          size_t step, int64_t window_ms);
/** Pods of the cohorts in a step. */
void outlook_traffic_pods(const struct plan *p, const struct outlook_level *l,
                          size_t step, double pods[2]);

/* ---- outlook_walk.c */
/** One rollout, or one experiment, and what might have become of it. */
SERIN_MUST_USE
enum serin_status outlook_walk_run(struct outlook_sim *s);
/** The step compares nothing: segments alone have the canary. */
bool outlook_walk_alone(const struct plan_step *t);

/* ---- outlook_sum.c */
/** Fill the figures of s->out from the samples. */
void outlook_sum(struct outlook_sim *s);

#endif
