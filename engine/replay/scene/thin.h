/* engine/replay/scene/thin.h -- requests left out at random, so that a recorded split
 * becomes another one
 *
 * Each cohort's requests are kept with one probability, of which one is 1. It depends
 * on how many requests each cohort had in the windows so far and in this one, never on
 * how they went: given the requests of each cohort, what is kept is a fair sample of
 * them. The recorded split is a mean over about 30 windows, which starts again where a
 * window is far from it, so that the luck of a window stays in it. */
#ifndef SERIN_ENGINE_REPLAY_SCENE_THIN_H
#define SERIN_ENGINE_REPLAY_SCENE_THIN_H

#include "engine/core/plan.h"
#include "engine/replay/scene/change.h"

enum { THIN_CANARY, THIN_BASELINE };

/* How much was used while both cohorts were to have requests. */
struct thin_report {
    uint64_t windows, one_sided; /* one_sided: of them, left as they are, since of one
                                  * cohort nothing was seen yet */
    uint64_t recorded, used;     /* requests */
    double least;                /* share used in the window that used least … */
    double least_at; /* … and the canary's share there; windows == 0: none */
};

/**
 * Can this plan's metrics be thinned? SERIN_EDOM: no metric counts requests, or
 * segments are served whole; *f says so.
 */
SERIN_MUST_USE
enum serin_status thin_check(const struct plan *plan, struct fault *f);
struct thin_split;

/* Set plan and seed, the rest to zero; thin_free when done. */
struct thin {
    const struct plan *plan;
    uint64_t seed;
    struct thin_report report;
    struct thin_split *splits; /* as recorded, of each rollout */
    size_t n, room;
};

void thin_free(struct thin *t);
/**
 * Thin one whole window to the share that w names (NAN: nothing happens). At 0 the
 * canary's cells go, at 1 the baseline's. Counts and histograms lose units at random,
 * users are kept or not for the whole rollout, events over measured exposure follow it;
 * what is counted by pod stays. Errors: SERIN_ENOMEM.
 */
SERIN_MUST_USE
enum serin_status thin_window(struct thin *t, const struct change_window *w,
                              pb_partial *p);
/**
 * Keep each request, user or event of one cell with a probability; at 0 the cell goes,
 * at 1 it stays as it is. False: nothing is left of it.
 */
bool thin_cell(const struct plan *plan, uint64_t seed, uint32_t purpose, double keep,
               const char *rollout, pb_cell *c);

/** Index in the plan of the metric that a cell is of; -1: none. */
int thin_metric(const struct plan *plan, const char *name);
/** THIN_CANARY or THIN_BASELINE. */
static inline int thin_cohort(const pb_cell *c)
{
    return c->cohort == SERIN__V1__COHORT__COHORT_CANARY ? THIN_CANARY : THIN_BASELINE;
}

#endif
