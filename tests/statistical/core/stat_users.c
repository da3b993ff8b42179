/* tests/statistical/core/stat_users.c -- heavy users through the real fold: requests
 * taken for independent, and the same traffic counted per user
 *
 * Users differ in how much they ask for (lognormal) and in how often they fail: a few
 * have a broken client. A user stays in its cohort. 400 rollouts a cell, 10 000 with
 * SERIN_LONG=1. */
#include "stats/level.h"
#include "tests/support/direct.h"
#include "tests/support/inbox.h"

enum { T0 = 1700000000, USERS = 1000 };

#define PLAN(false_abort, step, metric)                                                \
    "apiVersion: serin/v1\nkind: Rollout\nid: r\n"                                     \
    "cohorts: {canary: {v: \"2\"}, baseline: {v: \"1\"}}\n"                            \
    "window: 1s\ncalibrate: skip\nsample_ratio: {check: false}\n"                      \
    "risk: {false_abort: " false_abort ", false_promote: 0.05}\n"                      \
    "steps:\n  - {weight: 20%, " step ", warmup: 1s, timeout: 2h}\n"                   \
    "  - {weight: 100%, watch: 0s, warmup: 0s}\n"                                      \
    "metrics: [{name: errors, phi: 1, " metric "}]\n"
#define WATCHED "worse_than: 2, bake: 1h"

enum how { BY_REQUEST, BY_USER, PASSING };
static const struct {
    const char *plan;
    bool per_user;
    int seconds;
} ways[] = {
    [BY_REQUEST] = {PLAN("0.05", WATCHED, "abort_over: 1, per: request"), false, 100},
    [BY_USER] = {PLAN("0.05", WATCHED, "abort_over: 1, per: user"), true, 100},
    [PASSING] = {PLAN("1e-9", "worse_than: 3, bake: 10s", "abort_over: 2.9, per: user"),
                 true, 200},
};

struct user {
    uint64_t key;
    double rate, fails; /* requests a second; chance that one fails */
    int cohort;
    bool met; /* an error, before */
};

struct tally {
    uint64_t n, bad;
    uint64_t keys[USERS];
    size_t active;
};

static void populate(gsl_rng *g, struct user *u, double odds)
{
    for (size_t i = 0; i < USERS; i++) {
        u[i].key = (gsl_rng_get(g) << 32 ^ gsl_rng_get(g)) << 2;
        u[i].cohort = gsl_rng_uniform(g) < 0.2 ? 0 : 1;
        u[i].rate = 0.1 * gsl_ran_lognormal(g, 0, 1.5);
        u[i].fails = gsl_rng_uniform(g) < 0.02 ? 0.3 : 0.002;
        if (u[i].cohort == 0) u[i].fails = direct_worse(u[i].fails, odds);
        u[i].met = false;
    }
}

static void second(gsl_rng *g, const struct user *u, struct tally t[2])
{
    for (int c = 0; c < 2; c++)
        t[c].n = t[c].bad = t[c].active = 0;
    for (size_t i = 0; i < USERS; i++) {
        unsigned n = gsl_ran_poisson(g, u[i].rate);
        if (n == 0) continue;
        unsigned bad = gsl_ran_binomial(g, u[i].fails, n);
        struct tally *x = &t[u[i].cohort];
        x->n += n;
        x->bad += bad;
        x->keys[x->active++] = u[i].key | (bad != 0);
    }
}

/* As above, but whoever of the canary never met an error meets one with just these odds
 * to the mean of the baseline's like. When all requests fail three times as often, the
 * odds of users are lower and fall: the frail ones go first, and sooner. */
static void second_of_users(gsl_rng *g, struct user *u, double odds, struct tally t[2])
{
    unsigned asks[USERS], at_risk = 0;
    double sum = 0;
    for (size_t i = 0; i < USERS; i++) {
        asks[i] = gsl_ran_poisson(g, u[i].rate);
        if (asks[i] == 0 || u[i].met || u[i].cohort == 0) continue;
        sum += 1 - pow(1 - u[i].fails, asks[i]);
        at_risk++;
    }
    double hit = at_risk > 0 ? direct_worse(sum / at_risk, odds) : 0;
    for (int c = 0; c < 2; c++)
        t[c].n = t[c].bad = t[c].active = 0;
    for (size_t i = 0; i < USERS; i++) {
        if (asks[i] == 0) continue;
        bool drawn = u[i].cohort == 0 && !u[i].met;
        unsigned bad =
            drawn ? gsl_rng_uniform(g) < hit : gsl_ran_binomial(g, u[i].fails, asks[i]);
        struct tally *x = &t[u[i].cohort];
        x->n += asks[i];
        x->bad += bad;
        x->keys[x->active++] = u[i].key | (bad != 0);
        u[i].met = u[i].met || bad != 0;
    }
}

static void send(struct fold *f, int64_t *offset, int64_t at_ms, struct tally t[2],
                 bool per_user, struct effects *fx)
{
    pb_inbox in = SERIN__V1__INBOX__INIT;
    pb_partial p = SERIN__V1__PARTIAL__INIT;
    pb_cell cells[2], *items[] = {&cells[0], &cells[1]};
    for (int c = 0; c < 2; c++) {
        serin__v1__cell__init(&cells[c]);
        cells[c].cohort = c == 0 ? SERIN__V1__COHORT__COHORT_CANARY
                                 : SERIN__V1__COHORT__COHORT_BASELINE;
        cells[c].metric = "errors";
        cells[c].window_ms = at_ms;
        cells[c].n = t[c].n;
        cells[c].bad = t[c].bad;
        if (!per_user) continue;
        cells[c].users = t[c].keys;
        cells[c].n_users = inbox_users_sort(t[c].keys, t[c].active);
    }
    p.rollout = "r";
    p.n_cells = 2;
    p.cells = items;
    in.body_case = SERIN__V1__INBOX__BODY_PARTIAL;
    in.partial = &p;
    direct_give(f, offset, &in, fx);
}

/* It is aborted, or where it may pass, promoted. */
static bool ends(gsl_rng *g, enum how how, double odds)
{
    static struct user u[USERS];
    static struct tally t[2];
    struct fold_options o = direct_options();
    struct effects fx = {0};
    struct fold *f;
    int64_t offset = 0;
    cr_assert(eq(int, fold_open(&f, &o), SERIN_OK));
    direct_tick(f, &offset, T0 * 1000LL, &fx);
    direct_apply(f, &offset, ways[how].plan, &fx);
    const struct rollout *r = fold_find(f, "r");
    populate(g, u, how == PASSING ? 1 : odds);
    for (int s = 0; s < ways[how].seconds && !decide_final(r->state); s++) {
        if (r->weight_bp == 10000) break;
        how == PASSING ? second_of_users(g, u, odds, t) : second(g, u, t);
        send(f, &offset, (T0 + s) * 1000LL, t, ways[how].per_user, &fx);
        direct_tick(f, &offset, (T0 + s + 1) * 1000LL, &fx);
    }
    bool ended = how == PASSING ? r->weight_bp == 10000 : r->state == ROLLOUT_ABORTED;
    fold_close(f);
    effects_free(&fx);
    return ended;
}

static unsigned runs(void)
{
    return getenv("SERIN_LONG") != NULL ? 10000 : 400;
}

static unsigned study(const char *name, enum how how, double odds, unsigned n,
                      unsigned long seed)
{
    unsigned hits = 0;
    gsl_rng *g = check_rng(seed);
    for (unsigned i = 0; i < n; i++)
        hits += ends(g, how, odds);
    gsl_rng_free(g);
    check_cell("%s: %u of %u", name, hits, n);
    return hits;
}

Test(users_stat, heavy_users_abort_healthy_canaries_by_request_but_not_by_user,
     .timeout = 3600)
{
    unsigned by_request =
                 study("healthy, by request: aborted", BY_REQUEST, 1, runs(), 41),
             by_user = study("healthy, by user: aborted", BY_USER, 1, runs(), 41);
    cr_assert(not(direct_too_many(by_user, 0.05, runs())));
    cr_assert(gt(uint, by_request, runs() / 6), "the users are too light to tell");
}

Test(users_stat, a_bad_canary_is_found_by_user, .timeout = 3600)
{
    unsigned hits = study("odds 6, by user: aborted", BY_USER, 6, runs(), 42);
    cr_assert(ge(uint, hits, runs() * 9 / 10));
}

Test(users_stat, at_worse_than_it_is_not_promoted_by_user, .timeout = 3600)
{
    unsigned worse =
                 study("users' odds 3 = worse_than: promoted", PASSING, 3, runs(), 43),
             healthy = study("the same: promoted", PASSING, 1, runs() / 8, 44);
    cr_assert(not(direct_too_many(worse, 0.05, runs())));
    cr_assert(ge(uint, healthy, runs() / 8 * 8 / 10));
}
