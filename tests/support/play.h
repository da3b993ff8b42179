/* tests/support/play.h -- one rollout played second by second through the real fold;
 * traffic follows the commanded weight unless a test says otherwise */
#ifndef SERIN_TESTS_SUPPORT_PLAY_H
#define SERIN_TESTS_SUPPORT_PLAY_H

#include "tests/support/foldrun.h"

enum { PLAY_T0 = 1700000000, PLAY_RATE = 1000 };
#define PLAY_ID "web-2"

/* A plan that decides quickly; a test adds lines after it. */
#define PLAY_HEAD                                                                      \
    "apiVersion: serin/v1\nkind: Rollout\nid: web-2\n"                                 \
    "cohorts:\n  canary: {version: \"2\"}\n  baseline: {version: \"1\"}\n"
#define PLAY_STEPS                                                                     \
    "steps:\n"                                                                         \
    "  - {weight: 10%, worse_than: 3, bake: 10s, warmup: 2s, timeout: 5m}\n"           \
    "  - {weight: 50%, worse_than: 2, bake: 10s, warmup: 2s, timeout: 5m}\n"           \
    "  - {weight: 100%, watch: 20s, warmup: 2s}\n"
#define PLAY_METRIC "metrics:\n  - {name: errors, kind: ratio, phi: 1}\n"
#define PLAY_PLAN PLAY_HEAD "window: 1s\ncalibrate: skip\n" PLAY_STEPS PLAY_METRIC

/* What the world sends in a second. Start from play_traffic(). */
struct play_traffic {
    double rate_c, rate_b;   /* share of bad requests */
    double weight;           /* share of the canary; < 0: as commanded */
    double canary, baseline; /* part of each cohort's requests that is reported, 0..1 */
    unsigned per_second;
    const char *metric;
    uint64_t poison;
    bool silent_clock; /* no tick of the ingest worker, only wall time */
    int64_t lag_ms;    /* of the watermark */
};

struct play {
    struct inbox inbox;
    struct foldrun run;
    size_t done;
    int64_t now; /* seconds */
    gsl_rng *rng;
};

static inline struct play_traffic play_traffic(void)
{
    return (struct play_traffic){.rate_c = 0.01,
                                 .rate_b = 0.01,
                                 .weight = -1,
                                 .canary = 1,
                                 .baseline = 1,
                                 .per_second = PLAY_RATE,
                                 .metric = "errors",
                                 .lag_ms = 2000};
}

static inline void play_feed(struct play *p)
{
    p->done = foldrun_apply(&p->run, &p->inbox, p->done);
}

static inline void play_start(struct play *p, const char *plan)
{
    *p = (struct play){.now = PLAY_T0};
    p->rng = check_rng(11);
    foldrun_start(&p->run);
    inbox_tick(&p->inbox, p->now * 1000, p->now * 1000 - 2000);
    inbox_apply(&p->inbox, PLAY_ID, plan);
    play_feed(p);
}

static inline void play_end(struct play *p)
{
    gsl_rng_free(p->rng);
    inbox_free(&p->inbox);
    foldrun_free(&p->run);
}

static inline uint32_t play_weight(const struct play *p)
{
    return p->run.n_verdicts != 0 ? p->run.verdicts[p->run.n_verdicts - 1]->to_bp : 0;
}

static inline void play_clock(struct play *p, const struct play_traffic *t)
{
    if (t->silent_clock)
        inbox_wall(&p->inbox, p->now * 1000);
    else
        inbox_tick(&p->inbox, p->now * 1000, p->now * 1000 - t->lag_ms);
}

static inline void play_second(struct play *p, struct play_traffic t)
{
    double w = t.weight >= 0 ? t.weight : play_weight(p) / 10000.0;
    unsigned all = gsl_ran_binomial(p->rng, w, t.per_second);
    unsigned n = gsl_ran_binomial(p->rng, t.canary, all),
             m = gsl_ran_binomial(p->rng, t.baseline, t.per_second - all);
    inbox_second(&p->inbox,
                 (struct inbox_second){.rollout = PLAY_ID,
                                       .metric = t.metric,
                                       .at_ms = p->now * 1000,
                                       .n = n,
                                       .x = gsl_ran_binomial(p->rng, t.rate_c, n),
                                       .m = m,
                                       .y = gsl_ran_binomial(p->rng, t.rate_b, m),
                                       .poison = t.poison});
    p->now++;
    play_clock(p, &t);
    play_feed(p);
}

static inline void play_for(struct play *p, int seconds, struct play_traffic t)
{
    for (int i = 0; i < seconds; i++)
        play_second(p, t);
}

/** True when a verdict of this kind and reason came after the first `after` ones. */
static inline pb_verdict *play_find(const struct play *p, size_t after,
                                    Serin__V1__Kind kind, const char *reason)
{
    for (size_t i = after; i < p->run.n_verdicts; i++) {
        pb_verdict *v = p->run.verdicts[i];
        if (v->kind == kind && strcmp(v->reason, reason) == 0) return v;
    }
    return NULL;
}

static inline const char *play_state(struct play *p)
{
    return foldrun_row(&p->run, PLAY_ID)->status->state;
}

/** Send a command and return its outcome, from the row. */
static inline pb_outcome *play_command(struct play *p, pb_command c)
{
    c.rollout = PLAY_ID;
    const char *id = inbox_command(&p->inbox, &c);
    play_feed(p);
    pb_rollout *row = foldrun_row(&p->run, PLAY_ID);
    for (size_t i = 0; i < row->n_outcomes; i++)
        if (strcmp(row->outcomes[i]->command_id, id) == 0) return row->outcomes[i];
    cr_assert(0, "no outcome of %s", id);
    return NULL;
}

static inline pb_outcome *play_verb(struct play *p, Serin__V1__Verb verb)
{
    pb_command c = SERIN__V1__COMMAND__INIT;
    c.verb = verb;
    c.actor = "ann";
    c.reason = "because";
    return play_command(p, c);
}

/** With SHOW=1 in the environment: every verdict as a line. */
static inline void play_show(const struct play *p)
{
    for (size_t i = 0; i < p->run.n_verdicts && getenv("SHOW") != NULL; i++) {
        const pb_verdict *v = p->run.verdicts[i];
        fprintf(stderr, "%s kind %d %s %u->%u %s->%s %s\n", v->id, (int)v->kind,
                v->reason, v->from_bp, v->to_bp, v->state_before, v->state_after,
                v->message);
    }
}

#endif
