/* tests/unit/stats/test_profile.c -- refusals, order, restart, empty windows */
#include "engine/base/hash.h"
#include "stats/level.h"
#include "stats/profile.h"
#include "tests/support/check.h"

static const double tolerances[] = {4, 2.5, 2, 1.5};

struct setting {
    struct grid g;
    struct horizon h;
};

static struct setting setting(double w_a, uint64_t windows)
{
    struct setting s;
    cr_assert(eq(int, grid_init(&s.g, w_a, tolerances, 4), SERIN_OK));
    cr_assert(eq(int, horizon_init(&s.h, windows), SERIN_OK));
    return s;
}

static void fold(struct profile *p, const struct setting *s,
                 const struct count_table *c, size_t n)
{
    cr_assert(eq(int, profile_window(p, &s->g, &s->h, c, n, 1), SERIN_OK));
}

static bool same_bits(const struct profile *a, const struct profile *b, size_t n)
{
    return a->t == b->t && a->informative == b->informative &&
           memcmp(&a->used, &b->used, sizeof a->used) == 0 &&
           memcmp(a->l, b->l, n * sizeof *a->l) == 0 &&
           memcmp(a->lw, b->lw, n * sizeof *a->lw) == 0;
}

Test(profile, refusal_leaves_state_untouched)
{
    const struct count_table bad[] = {{.n = 5, .x = 6, .m = 9, .y = 1},
                                      {.n = 5, .x = 1, .m = 9, .y = 10},
                                      {.n = COUNT_MAX + 1, .x = 1, .m = 9, .y = 1},
                                      {.n = 5, .x = 1, .m = COUNT_MAX + 1, .y = 1}};
    const struct count_table good = {.n = 331, .x = 3, .m = 2997, .y = 17};
    const double eta[] = {0, -0.5, 1.001, NAN, INFINITY};
    struct setting s = setting(1.2, 50);
    struct profile p;
    profile_init(&p, true);
    fold(&p, &s, &good, 1);
    const struct profile before = p;
    for (size_t i = 0; i < 4; i++) {
        struct count_table two[] = {good, bad[i]};
        cr_assert(eq(int, profile_window(&p, &s.g, &s.h, two, 2, 1), SERIN_EDOM));
    }
    for (size_t i = 0; i < sizeof eta / sizeof *eta; i++)
        cr_assert(
            eq(int, profile_window(&p, &s.g, &s.h, &good, 1, eta[i]), SERIN_EDOM));
    cr_assert(eq(int, memcmp(&p, &before, sizeof p), 0));
}

Test(profile, refuses_a_step_that_is_not_finite)
{
    const struct event_table bad[] = {
        {.exposure_c = NAN, .exposure_b = 2, .x = 1, .y = 1},
        {.exposure_c = 1, .exposure_b = INFINITY, .y = 1},
        {.exposure_c = -1, .exposure_b = 2, .y = 1},
        {.exposure_c = 0, .exposure_b = 2, .x = 1, .y = 1},
        {.exposure_c = 1, .exposure_b = 0, .x = 1, .y = 1}};
    const struct count_table good = {.n = 331, .x = 3, .m = 2997, .y = 17};
    struct setting s = setting(1.2, 50);
    struct profile p;
    profile_init(&p, true);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(eq(int, profile_events(&p, &s.g, &s.h, &bad[i], 1, 1), SERIN_EDOM));
    p.l[17] = NAN; /* as a broken snapshot would leave it */
    cr_assert(eq(int, profile_window(&p, &s.g, &s.h, &good, 1, 1), SERIN_EDOM));
    cr_assert(eq(u64, p.t, 0));
    p.l[17] = -INFINITY;
    cr_assert(eq(int, profile_window(&p, &s.g, &s.h, &good, 1, 1), SERIN_EDOM));
}

Test(profile, no_evidence_is_one_and_never_crosses)
{
    struct setting s = setting(1.2, 50);
    const struct count_table none[] = {{0},
                                       {.n = 40, .x = 7},
                                       {.m = 40, .y = 7},
                                       {.n = 40, .m = 60},
                                       {.n = 40, .x = 40, .m = 60, .y = 60}};
    struct profile p;
    double lower, upper;
    profile_init(&p, true);
    for (int t = 0; t < 60; t++) {
        cr_assert(not(profile_informative(&none[t % 5])));
        fold(&p, &s, none, 5);
        fold(&p, &s, NULL, 0);
        cr_assert(epsilon_eq(dbl, profile_log_plain(&p, &s.g), 0, 1e-14));
        cr_assert(epsilon_eq(dbl, profile_log_abort(&p, &s.g), 0, 1e-12));
        for (size_t i = 0; i < 4; i++)
            cr_assert(epsilon_eq(dbl, profile_log_promote(&p, &s.g, i), 0, 1e-14));
    }
    cr_assert(eq(u64, p.t, 120));
    cr_assert(eq(u64, p.informative, 0));
    profile_limits(&p, &s.g, 0.01, 0.05, &lower, &upper);
    cr_assert(isinf(lower) && lower < 0);
    cr_assert(isinf(upper) && upper > 0);
    cr_assert(isnan(profile_estimate(&p, &s.g)));
}

Test(profile, empty_windows_touch_only_the_start_mixture)
{
    struct setting s = setting(1.2, 50);
    const struct count_table c = {.n = 331, .x = 9, .m = 2997, .y = 17};
    struct profile p;
    profile_init(&p, true);
    fold(&p, &s, &c, 1);
    struct profile q = p;
    fold(&q, &s, NULL, 0);
    cr_assert(eq(int, memcmp(p.l, q.l, sizeof p.l), 0));
    cr_assert(epsilon_eq(dbl, q.used - p.used, horizon_gamma(&s.h, 1), 1e-16));
    for (size_t j = 0; j < s.g.n; j++) {
        double want = log(exp(p.lw[j]) + horizon_gamma(&s.h, 1));
        cr_assert(epsilon_eq(dbl, q.lw[j], want, 1e-13 * (1 + fabs(want))));
    }
}

Test(profile, strata_add_up_in_any_order)
{
    struct setting s = setting(1.2, 50);
    const struct count_table c[] = {{.n = 331, .x = 9, .m = 2997, .y = 17},
                                    {.n = 71, .x = 3, .m = 900, .y = 44},
                                    {.n = 331, .x = 9, .m = 2997, .y = 17},
                                    {.n = 12, .x = 0, .m = 13, .y = 5}};
    const struct count_table d[] = {c[3], c[0], c[1], c[2]};
    struct profile one, other, apart;
    profile_init(&one, true);
    profile_init(&other, true);
    profile_init(&apart, false);
    fold(&one, &s, c, 4);
    fold(&other, &s, d, 4);
    cr_assert(same_bits(&one, &other, s.g.n));
    for (size_t i = 0; i < 4; i++)
        fold(&apart, &s, &c[i], 1);
    for (size_t j = 0; j < s.g.n; j++)
        cr_assert(epsilon_eq(dbl, one.l[j], apart.l[j], 1e-13 * (1 + fabs(one.l[j]))));
}

/* What engine/core keeps of a profile, and nothing else. */
static struct profile restored(const struct profile *p, size_t n)
{
    struct profile q;
    profile_init(&q, p->starts);
    q.t = p->t;
    q.informative = p->informative;
    q.used = p->used;
    memcpy(q.l, p->l, n * sizeof *q.l);
    memcpy(q.lw, p->lw, n * sizeof *q.lw);
    return q;
}

Test(profile, restored_run_goes_on_with_the_same_bits)
{
    gsl_rng *g = check_rng(417);
    struct setting s = setting(1.2, 50);
    struct profile whole, parts;
    profile_init(&whole, true);
    profile_init(&parts, true);
    for (int t = 0; t < 80; t++) { /* past the horizon */
        struct count_table c = {.n = 150 + gsl_rng_uniform_int(g, 99), .m = 3000};
        c.x = gsl_ran_binomial(g, 0.02, (unsigned)c.n);
        c.y = gsl_ran_binomial(g, 0.01, 3000);
        fold(&whole, &s, &c, 1);
        parts = restored(&parts, s.g.n);
        fold(&parts, &s, &c, 1);
        cr_assert(same_bits(&whole, &parts, s.g.n), "window %d", t);
    }
    gsl_rng_free(g);
}

Test(profile, without_starts_the_rest_is_the_same)
{
    struct setting s = setting(1.2, 50);
    const struct count_table c = {.n = 331, .x = 9, .m = 2997, .y = 17};
    struct profile with, without;
    profile_init(&with, true);
    profile_init(&without, false);
    fold(&with, &s, &c, 1);
    fold(&without, &s, &c, 1);
    cr_assert(eq(int, memcmp(with.l, without.l, sizeof with.l), 0));
    cr_assert(eq(dbl, without.used, 0));
}

Test(profile, estimate_is_near_the_sample_odds_ratio)
{
    struct setting s = setting(1.2, 50);
    const struct count_table c = {.n = 4000, .x = 120, .m = 40000, .y = 500};
    const struct count_table all = {.n = 400, .x = 30, .m = 40000, .y = 0};
    double odds = log(120.0 / 3880 / (500.0 / 39500));
    struct profile p;
    profile_init(&p, true);
    fold(&p, &s, &c, 1);
    cr_assert(epsilon_eq(dbl, profile_estimate(&p, &s.g), odds, 0.01));
    profile_init(&p, true);
    fold(&p, &s, &all, 1);
    cr_assert(eq(dbl, profile_estimate(&p, &s.g), 4.6)); /* the grid's end */
}

Test(profile, limits_hold_the_estimate_and_shrink)
{
    struct setting s = setting(1.2, 50);
    const struct count_table c = {.n = 4000, .x = 120, .m = 40000, .y = 500};
    double lower, upper, last = INFINITY;
    struct profile p;
    profile_init(&p, true);
    for (int t = 0; t < 6; t++) {
        fold(&p, &s, &c, 1);
        profile_limits(&p, &s.g, 0.01, 0.05, &lower, &upper);
        double at = profile_estimate(&p, &s.g);
        cr_assert(lower < at && at < upper);
        cr_assert(upper - lower <= last);
        last = upper - lower;
    }
}

/* Point by point, without a shorter way. */
static void plain_limits(const struct profile *p, const struct grid *g, double *lower,
                         double *upper)
{
    size_t n = g->n, i = n - 1;
    while (i > 0 && level_crossed(profile_log_below(p, g, i), 0.05))
        i--;
    *upper = i == n - 1 ? HUGE_VAL : g->theta[i + 1];
    for (i = 0; i + 1 < n && level_crossed(profile_log_above(p, g, i), 0.01);)
        i++;
    *lower = i == 0 ? -HUGE_VAL : g->theta[i - 1];
}

Test(profile, the_short_way_to_limits_gives_the_same)
{
    gsl_rng *rng = check_rng(31);
    for (int k = 0; k < 60; k++) {
        struct setting s = setting(k % 2 == 0 ? 1.2 : 1, 50);
        double odds = exp(gsl_ran_gaussian(rng, 1.2));
        struct profile p;
        profile_init(&p, true);
        for (int t = 0; t < 40; t++) {
            unsigned n = 1 + (unsigned)gsl_rng_uniform_int(rng, 900);
            const struct count_table c = {
                .n = n,
                .x = gsl_ran_binomial(rng, odds * 0.05 / (1 + (odds - 1) * 0.05), n),
                .m = 4000,
                .y = gsl_ran_binomial(rng, 0.05, 4000)};
            double found[2], expected[2];
            fold(&p, &s, &c, 1);
            if (t % 5 != 0) continue;
            profile_limits(&p, &s.g, 0.01, 0.05, &found[0], &found[1]);
            plain_limits(&p, &s.g, &expected[0], &expected[1]);
            cr_assert(eq(dbl, found[0], expected[0]), "%d, %d", k, t);
            cr_assert(eq(dbl, found[1], expected[1]), "%d, %d", k, t);
        }
    }
    gsl_rng_free(rng);
}

/* The value was found with gcc and clang, with and without optimisation, AVX2 and fused
 * multiply-add: a verdict computed from it is the same wherever the inbox is replayed.
 */
Test(profile, same_bits_on_every_machine)
{
    struct setting s = setting(1.2, 300);
    struct profile p;
    uint64_t r = 12345, seen = hash_bytes(s.g.row, sizeof s.g.row, 1);
    profile_init(&p, true);
    for (int i = 0; i < 600; i++) {
        uint64_t draw[4];
        for (int j = 0; j < 4; j++) {
            r = r * 6364136223846793005u + 1442695040888963407u;
            draw[j] = r >> 33;
        }
        const uint64_t most[] = {200, 30000, 2000000};
        struct count_table c = {.n = 1 + draw[0] % most[i % 3],
                                .m = 1 + draw[1] % 1000000};
        c.x = draw[2] % (c.n / 4 + 1);
        c.y = draw[3] % (c.m / 4 + 1);
        cr_assert(eq(int, profile_window(&p, &s.g, &s.h, &c, 1, 0.7), SERIN_OK));
        double e[] = {profile_log_plain(&p, &s.g), profile_log_abort(&p, &s.g),
                      profile_log_promote(&p, &s.g, 2), profile_estimate(&p, &s.g)};
        seen = hash_bytes(e, sizeof e, seen);
        seen = hash_bytes(p.l, s.g.n * sizeof *p.l, seen);
        seen = hash_bytes(p.lw, s.g.n * sizeof *p.lw, seen);
    }
    cr_assert(eq(u64, seen, UINT64_C(8267872605619487598)));
}
