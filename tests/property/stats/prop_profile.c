/* tests/property/stats/prop_profile.c -- what the evidence keeps to for every input:
 * mean at most one under the null by enumeration, adding, cutting, exchanging, saving
 */
#include "stats/mann_whitney.h"
#include "stats/profile.h"
#include "tests/support/check.h"

static struct grid grid_of(double w_a, double w_s)
{
    struct grid g;
    cr_assert(eq(int, grid_init(&g, w_a, &w_s, 1), SERIN_OK));
    return g;
}

static struct horizon horizon(void)
{
    struct horizon h;
    cr_assert(eq(int, horizon_init(&h, 50), SERIN_OK));
    return h;
}

static double choose(unsigned n, unsigned x)
{
    double product = 1;
    for (unsigned i = 0; i < x; i++)
        product = product * (n - i) / (i + 1);
    return product;
}

/* Probability of x of k in a table with odds ratio w, not normalised. */
static double weight(unsigned n, unsigned m, unsigned k, unsigned x, double w)
{
    return choose(n, x) * choose(m, k - x) * pow(w, x);
}

enum which { ABORT, PLAIN, PROMOTE };
static double evidence(const struct profile *p, const struct grid *g, enum which what)
{
    if (what == PROMOTE) return profile_log_promote(p, g, 0);
    return what == ABORT ? profile_log_abort(p, g) : profile_log_plain(p, g);
}

static void fold(struct profile *p, const struct grid *g, const struct horizon *h,
                 struct count_table c, double eta)
{
    cr_assert(eq(int, profile_window(p, g, h, &c, 1, eta), SERIN_OK));
}

/* E[E_t] over all pairs of outcomes of two windows with odds ratios w and v. */
static double mean_of_two(const unsigned t[2][3], const double w[2], enum which what,
                          const struct grid *g, const struct horizon *h, double eta)
{
    double sum = 0, total = 0;
    unsigned lo[2], hi[2];
    for (int i = 0; i < 2; i++) {
        lo[i] = t[i][2] > t[i][1] ? t[i][2] - t[i][1] : 0;
        hi[i] = t[i][2] < t[i][0] ? t[i][2] : t[i][0];
    }
    for (unsigned x = lo[0]; x <= hi[0]; x++) {
        static struct profile one, two;
        profile_init(&one, what == ABORT);
        fold(&one, g, h, (struct count_table){t[0][0], x, t[0][1], t[0][2] - x}, eta);
        for (unsigned y = lo[1]; y <= hi[1]; y++) {
            double p = weight(t[0][0], t[0][1], t[0][2], x, w[0]) *
                       weight(t[1][0], t[1][1], t[1][2], y, w[1]);
            two = one;
            fold(&two, g, h, (struct count_table){t[1][0], y, t[1][1], t[1][2] - y},
                 eta);
            sum += p * exp(evidence(&two, g, what));
            total += p;
        }
    }
    return sum / total;
}

/* The whole mixtures, change point included, over two windows whose odds ratios differ
 * but both keep to the null; tempered, too. */
Test(profile_property, mean_is_at_most_one_under_every_null)
{
    struct grid g = grid_of(1.2, 2);
    struct horizon h = horizon();
    const unsigned tables[][2][3] = {
        {{3, 5, 2}, {4, 4, 3}}, {{1, 7, 1}, {6, 2, 5}}, {{5, 5, 5}, {2, 6, 7}}};
    const double up[][2] = {{1.2, 1.2}, {1.2, 0.4}, {0.1, 1.2}},
                 down[][2] = {{2, 2}, {2, 7}, {30, 2}};
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 3; k++)
            for (int t = 0; t < 2; t++) {
                double eta = t == 0 ? 1 : 0.37;
                double abort = mean_of_two(tables[i], up[k], ABORT, &g, &h, eta),
                       plain = mean_of_two(tables[i], up[k], PLAIN, &g, &h, eta),
                       pass = mean_of_two(tables[i], down[k], PROMOTE, &g, &h, eta);
                cr_assert(le(dbl, abort, 1 + 1e-12), "table %zu null %zu", i, k);
                cr_assert(le(dbl, plain, 1 + 1e-12), "table %zu null %zu", i, k);
                cr_assert(le(dbl, pass, 1 + 1e-12), "table %zu null %zu", i, k);
                if (eta < 1 || k != 0) continue; /* at the bound itself: exactly one */
                cr_assert(epsilon_eq(dbl, abort, 1, 1e-12));
                cr_assert(epsilon_eq(dbl, plain, 1, 1e-12));
                cr_assert(epsilon_eq(dbl, pass, 1, 1e-12));
            }
}

/* Events by exposure: given K, X is binomial with share f w / (f w + 1 - f). */
Test(profile_property, events_have_mean_one_at_the_bound)
{
    struct grid g = grid_of(1.2, 2);
    struct horizon h = horizon();
    const double shares[] = {0.05, 0.5, 0.9}, nulls[] = {1.2, 0.7};
    for (int s = 0; s < 3; s++)
        for (unsigned k = 1; k <= 8; k++)
            for (int at = 0; at < 2; at++) {
                double f = shares[s], abort = 0, pass = 0;
                double p = f * nulls[at] / (f * nulls[at] + 1 - f),
                       r = f * 2 / nulls[at] * 1.2 / (f * 2 / nulls[at] * 1.2 + 1 - f);
                for (unsigned x = 0; x <= k; x++) {
                    static struct profile e;
                    struct event_table t = {f, 1 - f, x, k - x};
                    profile_init(&e, true);
                    cr_assert(eq(int, profile_events(&e, &g, &h, &t, 1, 1), SERIN_OK));
                    abort +=
                        gsl_ran_binomial_pdf(x, p, k) * exp(profile_log_abort(&e, &g));
                    pass += gsl_ran_binomial_pdf(x, r, k) *
                            exp(profile_log_promote(&e, &g, 0));
                }
                cr_assert(le(dbl, abort, 1 + 1e-12));
                cr_assert(le(dbl, pass, 1 + 1e-12));
                if (at != 0) continue;
                cr_assert(epsilon_eq(dbl, abort, 1, 1e-12));
                cr_assert(epsilon_eq(dbl, pass, 1, 1e-12));
            }
}

/* Ties: over all assignments of a pooled sample of few distinct values, midranks stay
 * at or below one. */
Test(profile_property, tied_ranks_have_mean_at_most_one)
{
    const unsigned pools[][3] = {{2, 3, 2}, {1, 5, 1}, {4, 1, 2}, {7, 0, 0}};
    for (size_t q = 0; q < 4; q++)
        for (unsigned n = 1; n <= 6; n++)
            for (int j = 0; j < MANN_WHITNEY_POINTS; j += 3) {
                const unsigned *c = pools[q];
                double theta = mann_whitney_theta(j), sum = 0, count = 0;
                for (unsigned a = 0; a <= c[0]; a++)
                    for (unsigned b = 0; b <= c[1]; b++) {
                        if (a + b > n || n - a - b > c[2]) continue;
                        uint64_t x[] = {a, b, n - a - b},
                                 y[] = {c[0] - a, c[1] - b, c[2] - (n - a - b)};
                        struct hist_view vx = {.scale = 3, .n = 3, .counts = x},
                                         vy = {.scale = 3, .n = 3, .counts = y};
                        struct mann_whitney_ranks r;
                        cr_assert(
                            eq(int, mann_whitney_ranks(&vx, &vy, 0, &r), SERIN_OK));
                        double p =
                            choose(c[0], a) * choose(c[1], b) * choose(c[2], n - a - b);
                        sum += p * exp(theta * r.t / (2.0 * (double)(r.n + r.m)) -
                                       mann_whitney_omega(theta, r.n, r.m));
                        count += p;
                    }
                cr_assert(le(dbl, sum / count, 1 + 1e-12), "pool %zu n %u", q, n);
            }
}

static struct count_table draw(gsl_rng *g)
{
    struct count_table c = {.n = gsl_rng_uniform_int(g, 400),
                            .m = gsl_rng_uniform_int(g, 4000)};
    c.x = gsl_ran_binomial(g, 0.05, (unsigned)c.n);
    c.y = gsl_ran_binomial(g, 0.04, (unsigned)c.m);
    return c;
}

/* Strata of one window: what they say is the sum of what each says, and their order is
 * of no consequence to the last bit. */
Test(profile_property, strata_add_in_any_order)
{
    struct grid g = grid_of(1.2, 2);
    struct horizon h = horizon();
    gsl_rng *rng = check_rng(9101);
    for (int i = 0; i < 100; i++) {
        struct count_table s[3], back[3];
        static struct profile all, other, one[3];
        for (int k = 0; k < 3; k++) {
            s[k] = back[2 - k] = draw(rng);
            profile_init(&one[k], true);
            fold(&one[k], &g, &h, s[k], 0.6);
        }
        profile_init(&all, true);
        profile_init(&other, true);
        cr_assert(eq(int, profile_window(&all, &g, &h, s, 3, 0.6), SERIN_OK));
        cr_assert(eq(int, profile_window(&other, &g, &h, back, 3, 0.6), SERIN_OK));
        cr_assert(memcmp(&all, &other, sizeof all) == 0);
        for (size_t j = 0; j < g.n; j++) {
            double sum = one[0].l[j] + one[1].l[j] + one[2].l[j];
            cr_assert(epsilon_eq(dbl, all.l[j], sum, 1e-11 * fmax(1, fabs(sum))));
        }
    }
    gsl_rng_free(rng);
}

/* A window split in two before anything of it is seen: other numbers, the same promise.
 * By enumeration over where the k events of the window fall. */
Test(profile_property, cutting_windows_keeps_the_mean)
{
    struct grid g = grid_of(1.2, 2);
    struct horizon h = horizon();
    for (unsigned k = 1; k <= 6; k++)
        for (unsigned first = 0; first <= k; first++) {
            const unsigned cut[2][3] = {{3, 4, first}, {2, 5, k - first}};
            const double null[2] = {1.2, 1.2}, pass[2] = {2, 2};
            if (first > 7 || k - first > 7) continue;
            cr_assert(le(dbl, mean_of_two(cut, null, ABORT, &g, &h, 1), 1 + 1e-12));
            cr_assert(le(dbl, mean_of_two(cut, pass, PROMOTE, &g, &h, 1), 1 + 1e-12));
        }
}

/* Swapping the cohorts maps theta to -theta, over a whole run. */
Test(profile_property, exchanged_cohorts_mirror_the_run)
{
    struct grid g;
    struct horizon h = horizon();
    gsl_rng *rng = check_rng(9102);
    static struct profile a, b;
    cr_assert(eq(int, grid_init(&g, 1, NULL, 0), SERIN_OK));
    profile_init(&a, true);
    profile_init(&b, true);
    for (int t = 0; t < 40; t++) {
        struct count_table c = draw(rng);
        fold(&a, &g, &h, c, 1);
        fold(&b, &g, &h, (struct count_table){c.m, c.y, c.n, c.x}, 1);
    }
    int seen = 0;
    for (size_t j = 0; j < g.n; j++)
        for (size_t k = 0; k < g.n; k++)
            if (g.theta[k] == -g.theta[j]) {
                cr_assert(
                    epsilon_eq(dbl, a.l[j], b.l[k], 1e-10 * fmax(1, fabs(a.l[j]))));
                seen++;
            }
    cr_assert(ge(int, seen, 80));
    cr_assert(
        epsilon_eq(dbl, profile_estimate(&a, &g), -profile_estimate(&b, &g), 1e-9));
    gsl_rng_free(rng);
}

/* A run of 30 windows; before window `cut` it is kept as the header says and restored.
 */
static void run_cut_at(int cut, const struct grid *g, const struct horizon *h,
                       struct profile *p)
{
    static struct profile kept;
    gsl_rng *rng = check_rng(9103);
    profile_init(p, true);
    for (int t = 0; t < 30; t++) {
        if (t == cut) {
            kept = *p;
            memset(p, 0x5a, sizeof *p);
            profile_init(p, true);
            p->t = kept.t, p->used = kept.used, p->informative = kept.informative;
            memcpy(p->l, kept.l, g->n * sizeof *p->l);
            memcpy(p->lw, kept.lw, g->n * sizeof *p->lw);
        }
        fold(p, g, h, draw(rng), 0.8);
    }
    gsl_rng_free(rng);
}

Test(profile_property, saved_and_restored_anywhere_it_goes_on_to_the_bit)
{
    struct grid g = grid_of(1.2, 2);
    struct horizon h = horizon();
    static struct profile whole, cut;
    run_cut_at(-1, &g, &h, &whole);
    for (int at = 0; at < 30; at += 3) {
        run_cut_at(at, &g, &h, &cut);
        cr_assert(memcmp(&cut, &whole, sizeof cut) == 0, "cut at %d", at);
    }
}

/* More failures of the canary never lower the evidence of harm, nor raise that for
 * promotion. */
Test(profile_property, evidence_is_monotone_in_failures)
{
    struct grid g = grid_of(1, 2);
    struct horizon h = horizon();
    gsl_rng *rng = check_rng(9104);
    for (int i = 0; i < 40; i++) {
        struct count_table c = draw(rng);
        double harm = -INFINITY, pass = INFINITY;
        if (c.n == 0 || c.m == 0) continue;
        uint64_t k = c.x + c.y; /* given the margins */
        for (c.x = k > c.m ? k - c.m : 0; c.x <= c.n && c.x <= k; c.x++) {
            static struct profile p;
            c.y = k - c.x;
            profile_init(&p, true);
            fold(&p, &g, &h, c, 1);
            cr_assert(ge(dbl, profile_log_abort(&p, &g), harm - 1e-11));
            cr_assert(le(dbl, profile_log_promote(&p, &g, 0), pass + 1e-11));
            harm = profile_log_abort(&p, &g);
            pass = profile_log_promote(&p, &g, 0);
        }
    }
    gsl_rng_free(rng);
}
