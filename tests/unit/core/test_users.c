/* tests/unit/core/test_users.c -- metrics per user, through the whole fold */
#include "engine/core/pending.h"
#include "engine/core/riskset.h"
#include "tests/support/play.h"

#define USERS_METRIC "metrics:\n  - {name: errors, per: user, phi: 1}\n"
#define USERS_PLAN PLAY_HEAD "window: 1s\ncalibrate: skip\n" PLAY_STEPS USERS_METRIC

enum { POOL = 20000, ACTIVE = 1000 };

struct crowd {
    double rate[2];  /* chance of an error of an active user: canary, baseline */
    double astray;   /* share of activity that goes to the wrong cohort */
    int pool, parts; /* users there are; input partitions they are spread over */
    bool repeat;     /* every user is active in every second */
    double unfair;   /* the canary gets this much more than commanded */
    double leave;    /* share of the canary's users that never come again */
    uint32_t thin;
};

static bool been[POOL]; /* have sent a request */

/* Sticky: a user belongs to the canary by its number, the more so the higher the
 * weight. */
static void crowd_second(struct play *p, struct crowd t)
{
    enum { PARTS = 3 };
    static uint64_t keys[PARTS][2][ACTIVE];
    size_t n[PARTS][2] = {{0}};
    double w = play_weight(p) / 10000.0;
    gsl_rng *route = gsl_rng_clone(p->rng); /* partitions must not change the draws */
    for (int i = 0; i < ACTIVE; i++) {
        uint64_t u =
            t.repeat ? (uint64_t)i : gsl_rng_uniform_int(p->rng, (unsigned)t.pool);
        int c = (double)(u * 7919 % 10007) >= (w + t.unfair) * 10007;
        if (gsl_rng_uniform(p->rng) < t.astray) c = !c;
        bool gone = c == 0 && (double)(u * 31 % 1000) < 1000 * t.leave && been[u];
        been[u] = true;
        if (gone) continue;
        uint64_t key = ((u + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ u << 40) << 2;
        if (gsl_rng_uniform(p->rng) < t.rate[c]) key |= RISKSET_BAD;
        size_t part = gsl_rng_uniform_int(route, (unsigned)t.parts);
        if (t.thin != 0 && key >> (64 - t.thin) != 0) continue;
        keys[part][c][n[part][c]++] = key;
    }
    gsl_rng_free(route);
    for (int k = 0; k < t.parts; k++) {
        for (int c = 0; c < 2; c++)
            n[k][c] = inbox_users_sort(keys[k][c], n[k][c]);
        inbox_users(
            &p->inbox,
            (struct inbox_second){.rollout = PLAY_ID, .at_ms = p->now * 1000},
            (struct inbox_users){keys[k][0], keys[k][1], n[k][0], n[k][1], t.thin});
    }
}

static struct crowd crowd_of(double canary, double baseline)
{
    return (struct crowd){.rate = {canary, baseline}, .pool = POOL, .parts = 1};
}

static void crowd_for(struct play *p, int seconds, struct crowd t)
{
    struct play_traffic clock = play_traffic();
    for (int i = 0; i < seconds; i++) {
        crowd_second(p, t);
        p->now++;
        play_clock(p, &clock);
        play_feed(p);
    }
}

Test(users, a_healthy_release_is_promoted_and_says_what_was_counted)
{
    struct play p;
    play_start(&p, USERS_PLAN);
    crowd_for(&p, 260, crowd_of(0.01, 0.01));
    play_show(&p);
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_PROMOTE, "non_inferior");
    cr_assert(v != NULL);
    cr_assert(strstr(v->message, "of users at risk meet an error in a window") != NULL,
              "%s", v->message);
    cr_assert(strstr(v->message, "sticky") == NULL, "%s", v->message);
    pb_metric_verdict *m = v->metrics[0];
    cr_assert(eq(str, m->per, (char *)"user"));
    cr_assert(eq(dbl, m->followed, 1));
    cr_assert(gt(u64, m->sampled, 500));
    cr_assert(eq(u64, m->crossed, 0));
    cr_assert(eq(str, (char *)play_state(&p), (char *)"PROMOTED"));
    play_end(&p);
}

Test(users, a_bad_release_is_aborted)
{
    struct play p;
    play_start(&p, USERS_PLAN);
    crowd_for(&p, 200, crowd_of(0.06, 0.01));
    play_show(&p);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"ABORTED"));
    cr_assert(eq(str, foldrun_last(&p.run)->reason, (char *)"harm"));
    play_end(&p);
}

Test(users, the_same_few_users_can_fail_only_once)
{
    struct play p;
    play_start(&p, USERS_PLAN);
    struct crowd t = crowd_of(0.3, 0.3);
    t.repeat = true;
    crowd_for(&p, 40, t);
    play_show(&p);
    pb_rollout *row = foldrun_row(&p.run, PLAY_ID);
    pb_metric_verdict *m = row->status->metrics[0];
    cr_assert(le(u64, m->canary->bad + m->baseline->bad, ACTIVE), "once each");
    cr_assert(lt(u64, m->canary->n + m->baseline->n, 3 * ACTIVE), "then they are out");
    pb_sample_ratio *split = row->status->sample_ratio;
    cr_assert(le(u64, split->canary + split->baseline, ACTIVE), "each user once");
    cr_assert(gt(u64, split->canary + split->baseline, ACTIVE / 2));
    play_end(&p);
}

static struct bytes last_verdict(const struct play *p)
{
    return p->run.raw[p->run.n_verdicts - 1];
}

Test(users, how_they_are_spread_over_partitions_does_not_show)
{
    struct play p[2];
    for (int i = 0; i < 2; i++) {
        struct crowd t = crowd_of(0.02, 0.02);
        t.parts = 1 + 2 * i;
        play_start(&p[i], USERS_PLAN);
        crowd_for(&p[i], 200, t);
    }
    cr_assert(gt(sz, p[0].run.n_verdicts, 2));
    cr_assert(eq(sz, p[0].run.n_verdicts, p[1].run.n_verdicts));
    struct bytes a = last_verdict(&p[0]), b = last_verdict(&p[1]);
    cr_assert(eq(sz, a.n, b.n));
    cr_assert(memcmp(a.p, b.p, a.n) == 0);
    play_end(&p[0]);
    play_end(&p[1]);
}

Test(users, routing_that_is_not_sticky_is_said)
{
    struct play p;
    play_start(&p, USERS_PLAN);
    struct crowd t = crowd_of(0.01, 0.01);
    t.pool = 3000;
    t.astray = 0.05;
    crowd_for(&p, 120, t);
    play_show(&p);
    pb_metric_verdict *m = foldrun_row(&p.run, PLAY_ID)->status->metrics[0];
    cr_assert(gt(u64, m->crossed, m->sampled / 50), "%lu of %lu", m->crossed,
              m->sampled);
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_PROMOTE, "non_inferior");
    if (v != NULL)
        cr_assert(strstr(v->message, "routing is not sticky") != NULL, "%s",
                  v->message);
    play_end(&p);
}

Test(users, thinned_cells_thin_the_whole_metric_for_good)
{
    struct play p;
    play_start(&p, USERS_PLAN);
    struct crowd t = crowd_of(0.01, 0.01);
    crowd_for(&p, 20, t);
    t.thin = 2;
    crowd_for(&p, 5, t);
    t.thin = 0;
    crowd_for(&p, 10, t);
    pb_metric_verdict *m = foldrun_row(&p.run, PLAY_ID)->status->metrics[0];
    cr_assert(eq(dbl, m->followed, 0.25));
    play_end(&p);
}

Test(users, cells_that_cannot_be_are_refused)
{
    static const uint64_t good[] = {4, 9}, same[] = {8, 9}, fall[] = {12, 8},
                          flag[] = {6}, high[] = {UINT64_C(1) << 63};
    static const struct inbox_users bad[] = {
        {.canary = same, .n_canary = 2},
        {.canary = fall, .n_canary = 2},
        {.canary = flag, .n_canary = 1},
        {.canary = high, .n_canary = 1, .thin = 1},
        {.canary = good, .n_canary = 2, .thin = 64}};
    struct play p;
    play_start(&p, USERS_PLAN);
    struct inbox_second s = {.rollout = PLAY_ID, .at_ms = PLAY_T0 * 1000LL};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        inbox_users(&p.inbox, s, bad[i]);
    inbox_users(&p.inbox, s, (struct inbox_users){.canary = good, .n_canary = 2});
    crowd_for(&p, 12, crowd_of(0, 0));
    cr_assert(eq(u64, foldrun_row(&p.run, PLAY_ID)->status->poison, 2 + 2 + 1 + 1 + 2));
    play_end(&p);
}

Test(users, memory_is_bounded)
{
    struct pending q = {.max = 576, .max_users = PENDING_USERS_PER_METRIC};
    static uint64_t keys[4096];
    gsl_rng *g = check_rng(3);
    size_t refused = 0;
    for (int64_t t = 0; t < 30; t++) {
        for (size_t i = 0; i < 4096; i++)
            keys[i] = (gsl_rng_get(g) << 32 ^ gsl_rng_get(g)) << 2;
        size_t n = inbox_users_sort(keys, 4096);
        int rc = pending_add_users(&q, t, 0, 0, (int)(t % 2), keys, n, 0);
        cr_assert(rc == SERIN_OK || rc == SERIN_ELIMIT);
        refused += rc != SERIN_OK;
        cr_assert(le(sz, q.users, q.max_users));
    }
    cr_assert(gt(sz, refused, 20));
    pending_thin(&q, 0, 3);
    cr_assert(lt(sz, q.users, q.max_users / 6));
    pending_free(&q);
    cr_assert(eq(sz, q.users, 0));
    gsl_rng_free(g);
}

#define LONG_STEP                                                                      \
    "steps:\n  - {weight: 50%, worse_than: 2, bake: 1h, warmup: 0s, timeout: 9h}\n"    \
    "  - {weight: 100%}\n"
#define LONG_PLAN PLAY_HEAD "window: 1s\ncalibrate: skip\n" LONG_STEP

/* Half of the canary's users give up: each request that is counted looks well. */
Test(users, a_canary_whose_users_stay_away_is_held)
{
    struct play p;
    struct crowd t = crowd_of(0.01, 0.01);
    t.leave = 0.6;
    play_start(&p, LONG_PLAN USERS_METRIC);
    crowd_for(&p, 150, t);
    p.done = foldrun_restart(&p.run, &p.inbox); /* in the middle of a batch */
    crowd_for(&p, 150, t);
    play_show(&p);
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_HOLD, "suspicious");
    cr_assert(v != NULL, "%s", play_state(&p));
    cr_assert(eq(str, v->metric, (char *)"errors"));
    cr_assert(strstr(v->message, "30 % fewer of the canary's users come again") != NULL,
              "%s", v->message);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"HELD"));
    cr_assert(play_verb(&p, SERIN__V1__VERB__VERB_RESUME)->accepted);
    crowd_for(&p, 150, t);
    cr_assert(eq(str, (char *)play_state(&p), (char *)"OBSERVING"), "not asked again");
    play_end(&p);
}

/* Fewer by as much as is tolerated; where strata differ there is no fair comparison. */
Test(users, some_who_stay_away_are_no_suspicion)
{
    static const char *const plans[] = {
        LONG_PLAN USERS_METRIC, LONG_PLAN "strata: [region]\n" USERS_METRIC,
        LONG_PLAN "metrics:\n  - {name: errors, per: user, phi: 1, too_good: 80%}\n"};
    for (size_t i = 0; i < 3; i++) {
        struct play p;
        struct crowd t = crowd_of(0.01, 0.01);
        t.leave = i == 0 ? 0.25 : 0.6;
        memset(been, 0, sizeof been);
        play_start(&p, plans[i]);
        crowd_for(&p, 300, t);
        cr_expect(eq(str, (char *)play_state(&p), (char *)"OBSERVING"), "plan %zu", i);
        play_end(&p);
    }
}

/* More users than commanded: it is users that are counted. */
Test(users, a_wrong_split_speaks_of_users)
{
    struct play p;
    struct crowd t = crowd_of(0.01, 0.01);
    play_start(&p, LONG_PLAN USERS_METRIC);
    t.unfair = 0.3;
    crowd_for(&p, 60, t);
    pb_verdict *v = play_find(&p, 0, SERIN__V1__KIND__KIND_HOLD, "sample_ratio");
    cr_assert(v != NULL, "%s", play_state(&p));
    cr_assert(strstr(v->message, " users who were new at this weight, 50.0 %") != NULL,
              "%s", v->message);
    play_end(&p);
}
