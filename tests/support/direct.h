/* tests/support/direct.h -- decoded records straight into the fold, for studies of many
 * rollouts: judging dominates, not the codec. The rollout is "r", its metric "errors".
 */
#ifndef SERIN_TESTS_SUPPORT_DIRECT_H
#define SERIN_TESTS_SUPPORT_DIRECT_H

#include "engine/core/fold_state.h"
#include "tests/support/check.h"

/* What it gave stays in *fx until the next one. */
static inline void direct_give(struct fold *f, int64_t *offset, const pb_inbox *in,
                               struct effects *fx)
{
    arena_reset(&f->record);
    effects_reset(fx);
    cr_assert(eq(int, fold_take(f, (*offset)++, in, fx), SERIN_OK));
}

static inline void direct_tick(struct fold *f, int64_t *offset, int64_t at_ms,
                               struct effects *fx)
{
    pb_inbox in = SERIN__V1__INBOX__INIT;
    pb_tick t = SERIN__V1__TICK__INIT;
    pb_source s = SERIN__V1__SOURCE__INIT, *items[] = {&s};
    s.topic = "m";
    s.known = true;
    s.watermark_ms = at_ms;
    t.wall_ms = at_ms;
    t.n_sources = 1;
    t.sources = items;
    in.body_case = SERIN__V1__INBOX__BODY_TICK;
    in.tick = &t;
    direct_give(f, offset, &in, fx);
}

static inline void direct_apply(struct fold *f, int64_t *offset, const char *plan,
                                struct effects *fx)
{
    pb_inbox in = SERIN__V1__INBOX__INIT;
    pb_command c = SERIN__V1__COMMAND__INIT;
    c.id = "1";
    c.rollout = "r";
    c.verb = SERIN__V1__VERB__VERB_APPLY;
    c.plan = (char *)plan;
    in.body_case = SERIN__V1__INBOX__BODY_COMMAND;
    in.command = &c;
    direct_give(f, offset, &in, fx);
    cr_assert(fold_find(f, "r") != NULL);
}

static inline void direct_second(struct fold *f, int64_t *offset, int64_t at_ms,
                                 const unsigned c[4], struct effects *fx)
{
    pb_inbox in = SERIN__V1__INBOX__INIT;
    pb_partial p = SERIN__V1__PARTIAL__INIT;
    pb_cell cells[2], *items[] = {&cells[0], &cells[1]};
    for (size_t i = 0; i < 2; i++) {
        serin__v1__cell__init(&cells[i]);
        cells[i].cohort = i == 0 ? SERIN__V1__COHORT__COHORT_CANARY
                                 : SERIN__V1__COHORT__COHORT_BASELINE;
        cells[i].metric = "errors";
        cells[i].window_ms = at_ms;
        cells[i].n = c[2 * i];
        cells[i].bad = c[2 * i + 1];
    }
    p.rollout = "r";
    p.n_cells = 2;
    p.cells = items;
    in.body_case = SERIN__V1__INBOX__BODY_PARTIAL;
    in.partial = &p;
    direct_give(f, offset, &in, fx);
}

/** Neither rows nor snapshots but with verdicts. */
static inline struct fold_options direct_options(void)
{
    return (struct fold_options){.row_every_ms = INT64_MAX / 2,
                                 .snapshot_every_ms = INT64_MAX / 16};
}

static inline double direct_worse(double p, double odds)
{
    return odds * p / (1 + (odds - 1) * p);
}

/** More hits than this happen to a correct program once in a million. */
static inline bool direct_too_many(unsigned hits, double level, unsigned runs)
{
    return gsl_cdf_binomial_Q(hits, level, runs) < 1e-6;
}

#endif
