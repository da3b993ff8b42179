/* tests/statistical/core/stat_returns.c -- who comes again, user by user: the guard's
 * level where exactly `too_good` of the canary's users are lost, and its power
 *
 * Users differ in how often they come (lognormal: the heavy ones come every second).
 * 400 rollouts a cell, 10 000 with SERIN_LONG=1. */
#include "engine/core/evidence.h"
#include "stats/level.h"
#include "tests/support/check.h"

enum { USERS = 600, WINDOWS = 300, WINDOW_MS = 2000 };
static const double too_good = 0.3, level = 1e-3;

struct user {
    uint64_t key;
    double chance; /* to be active in a window */
    bool canary, leaves, gone;
};

static unsigned runs(void)
{
    return getenv("SERIN_LONG") != NULL ? 10000 : 400;
}

static int by_key(const void *a, const void *b)
{
    const struct user *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

static void populate(gsl_rng *g, struct user *u, double leave)
{
    for (size_t i = 0; i < USERS; i++) {
        u[i].key = (gsl_rng_get(g) << 32 ^ gsl_rng_get(g)) << 2;
        u[i].chance = 1 - exp(-0.02 * gsl_ran_lognormal(g, 0, 1.5));
        u[i].canary = gsl_rng_uniform(g) < 0.3;
        u[i].leaves = u[i].canary && gsl_rng_uniform(g) < leave;
        u[i].gone = false;
    }
    qsort(u, USERS, sizeof *u, by_key);
}

static bool held(gsl_rng *g, const struct grid *grid, const struct horizon *h,
                 double leave)
{
    static struct user u[USERS];
    static uint64_t keys[2][USERS];
    struct riskset r = {0};
    bool crossed = false;
    profile_init(&r.away, false);
    populate(g, u, leave);
    for (int64_t t = 0; t < WINDOWS && !crossed; t++) {
        struct riskset_users who[2] = {{.at = keys[0]}, {.at = keys[1]}};
        for (size_t i = 0; i < USERS; i++) {
            if (u[i].gone || gsl_rng_uniform(g) > u[i].chance) continue;
            struct riskset_users *to = &who[u[i].canary ? 0 : 1];
            to->at[to->n++] = u[i].key;
            u[i].gone = u[i].leaves;
        }
        struct count_table all;
        const struct riskset_stratum one = {{&who[0], &who[1]}, &all};
        riskset_turn(&r, (t + 1) * WINDOW_MS, too_good);
        cr_assert(eq(int, riskset_window(&r, &one, 1, true), SERIN_OK));
        if (r.stayed_away.n == 0 || r.stayed_away.m == 0) continue;
        int rc = profile_window(&r.away, grid, h, &r.stayed_away, 1, 1);
        cr_assert(eq(int, rc, SERIN_OK));
        crossed = level_crossed(profile_log_above(&r.away, grid, grid->j0), level);
    }
    riskset_free(&r);
    return crossed;
}

static unsigned study(const char *name, double leave, unsigned long seed)
{
    const double w_s = 2;
    static struct grid grid;
    struct horizon h;
    unsigned hits = 0;
    gsl_rng *g = check_rng(seed);
    cr_assert(eq(int, grid_init(&grid, 1.2, &w_s, 1), SERIN_OK));
    cr_assert(eq(int, horizon_init(&h, 1000), SERIN_OK));
    for (unsigned i = 0; i < runs(); i++)
        hits += held(g, &grid, &h, leave);
    gsl_rng_free(g);
    check_cell("%s: %u of %u held", name, hits, runs());
    return hits;
}

Test(returns_stat, heavy_users_do_not_make_a_suspicion, .timeout = 3600)
{
    unsigned none = study("all come again", 0, 51),
             edge = study("30 % stay away", too_good, 52);
    cr_assert(le(uint, none, 1 + runs() / 500)); /* far inside the null */
    cr_assert(gt(dbl, gsl_cdf_binomial_Q(edge, level, runs()), 1e-6));
}

Test(returns_stat, most_who_stay_away_are_noticed, .timeout = 3600)
{
    cr_assert(ge(uint, study("70 % stay away", 0.7, 53), runs() * 9 / 10));
}
