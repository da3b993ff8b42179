/* tests/statistical/core/stat_users.c -- heavy users through the real fold: requests
 * taken for independent, and the same traffic counted per user
 *
 * Users differ in how much they ask for (lognormal) and in how often they fail: a few
 * have a broken client. A user stays in its cohort. 400 rollouts a cell, 10 000 with
 * SERIN_LONG=1. */
#include "stats/level.h"
#include "tests/support/direct.h"
#include "tests/support/inbox.h"

enum { T0 = 1700000000, USERS = 1000, SECONDS = 100 };

static const char plan[] =
    "apiVersion: serin/v1\nkind: Rollout\nid: r\n"
    "cohorts: {canary: {v: \"2\"}, baseline: {v: \"1\"}}\n"
    "window: 1s\ncalibrate: skip\nsample_ratio: {check: false}\n"
    "risk: {false_abort: 0.05, false_promote: 0.05}\n"
    "steps:\n"
    "  - {weight: 20%%, worse_than: 2, bake: 1h, warmup: 1s, timeout: 2h}\n"
    "  - {weight: 100%%, watch: 0s, warmup: 0s}\n"
    "metrics: [{name: errors, abort_over: 1, phi: 1, per: %s}]\n";

struct user {
    uint64_t key;
    double rate, fails; /* requests a second; chance that one fails */
    int cohort;
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

static bool aborts(gsl_rng *g, bool per_user, double odds)
{
    static struct user u[USERS];
    static struct tally t[2];
    char text[1024];
    struct fold_options o = direct_options();
    struct effects fx = {0};
    struct fold *f;
    int64_t offset = 0;
    snprintf(text, sizeof text, plan, per_user ? "user" : "request");
    cr_assert(eq(int, fold_open(&f, &o), SERIN_OK));
    direct_tick(f, &offset, T0 * 1000LL, &fx);
    direct_apply(f, &offset, text, &fx);
    const struct rollout *r = fold_find(f, "r");
    populate(g, u, odds);
    for (int s = 0; s < SECONDS && !decide_final(r->state); s++) {
        second(g, u, t);
        send(f, &offset, (T0 + s) * 1000LL, t, per_user, &fx);
        direct_tick(f, &offset, (T0 + s + 1) * 1000LL, &fx);
    }
    bool aborted = r->state == ROLLOUT_ABORTED;
    fold_close(f);
    effects_free(&fx);
    return aborted;
}

static unsigned runs(void)
{
    return getenv("SERIN_LONG") != NULL ? 10000 : 400;
}

static unsigned study(const char *name, bool per_user, double odds, unsigned long seed)
{
    unsigned hits = 0;
    gsl_rng *g = check_rng(seed);
    for (unsigned i = 0; i < runs(); i++)
        hits += aborts(g, per_user, odds);
    gsl_rng_free(g);
    check_cell("%s: %u of %u aborted", name, hits, runs());
    return hits;
}

Test(users_stat, heavy_users_abort_healthy_canaries_by_request_but_not_by_user,
     .timeout = 3600)
{
    unsigned by_request = study("healthy, by request", false, 1, 41),
             by_user = study("healthy, by user", true, 1, 41);
    cr_assert(not(direct_too_many(by_user, 0.05, runs())));
    cr_assert(gt(uint, by_request, runs() / 6), "the users are too light to tell");
}

Test(users_stat, a_bad_canary_is_found_by_user, .timeout = 3600)
{
    unsigned hits = study("odds 6, by user", true, 6, 42);
    cr_assert(ge(uint, hits, runs() * 9 / 10));
}
