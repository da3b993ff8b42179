/* tests/property/replay/prop_scene.c -- what is left out or added has the law that it
 * should have */
#include "engine/replay/scene/scene.h"
#include "engine/replay/scene/shift.h"
#include "stats/hist.h"
#include "tests/support/cells.h"

enum { WINDOWS = 4000 };

static const char plan_text[] =
    "id: r\n"
    "cohorts: {canary: {v: c}, baseline: {v: b}}\n"
    "window: 1s\n"
    "calibrate: skip\n"
    "steps: [{weight: 10%, worse_than: 2}, {weight: 100%}]\n"
    "metrics:\n"
    "  - {name: errors, kind: ratio, phi: 1}\n"
    "  - {name: latency, kind: latency, phi: 1}\n";

static struct arena arena;
static const struct plan *plan;

static void setup(void)
{
    arena.max = (size_t)1 << 30;
    plan = cells_plan(&arena, plan_text);
}

static void teardown(void)
{
    arena_free(&arena);
}

TestSuite(scene_property, .init = setup, .fini = teardown);

/* Mean and variance of many numbers, against what they should be. Of the mean six
 * standard deviations; of the variance the same of its own normal law. */
struct moments {
    double n, sum, squares;
};

static void note(struct moments *m, double x)
{
    m->n++;
    m->sum += x;
    m->squares += x * x;
}

static void is_law(const char *what, const struct moments *m, double mean,
                   double variance, double slack)
{
    double found = m->sum / m->n, spread = m->squares / m->n - found * found;
    double guard = 6 * sqrt(variance / m->n) + slack * mean;
    cr_assert(fabs(found - mean) < guard, "%s: mean %g, wanted %g +- %g", what, found,
              mean, guard);
    /* Kurtosis of a binomial adds 1 / variance at most. */
    guard = 6 * sqrt((2 + 1 / variance) / m->n) + slack;
    cr_assert(fabs(spread / variance - 1) < guard, "%s: variance %g, wanted %g +- %g",
              what, spread, variance, guard * variance);
}

Test(scene_property, thinned_counts_are_binomial)
{
    const double keep = 0.23;
    struct moments good = {0}, bad = {0}, sum = {0};
    for (int i = 0; i < WINDOWS; i++) {
        struct cells c;
        cells_begin(&c, &arena);
        pb_cell *one = cells_add(&c, true, "errors", CELLS_T0 + 1000 * i, 1000, 37);
        cr_assert(thin_cell(plan, 7, 0, keep, "r", one));
        note(&bad, (double)one->bad);
        note(&good, (double)(one->n - one->bad));
        note(&sum, (double)one->n);
    }
    is_law("bad", &bad, 37 * keep, 37 * keep * (1 - keep), 0);
    is_law("good", &good, 963 * keep, 963 * keep * (1 - keep), 0);
    /* Their sum has the sum of the variances: they are drawn apart. */
    is_law("all", &sum, 1000 * keep, 1000 * keep * (1 - keep), 0);
}

Test(scene_property, thinned_buckets_are_binomial)
{
    static const uint64_t counts[] = {3, 0, 50, 2000};
    const double keep = 0.6;
    struct moments m[4] = {{0}};
    for (int i = 0; i < WINDOWS; i++) {
        struct cells c;
        cells_begin(&c, &arena);
        pb_cell *one = cells_add(&c, false, "latency", CELLS_T0 + 1000 * i, 0, 0);
        cells_hist(&c, one, 100, counts, 4);
        cr_assert(thin_cell(plan, 9, 0, keep, "r", one));
        uint64_t sum = 0;
        for (int k = 0; k < 4; k++) {
            note(&m[k], (double)one->hist->counts[k]);
            sum += one->hist->counts[k];
        }
        cr_assert(eq(u64, one->n, sum));
    }
    cr_assert(eq(dbl, m[1].sum, 0));
    for (int k = 0; k < 4; k++)
        if (counts[k] > 0)
            is_law("bucket", &m[k], (double)counts[k] * keep,
                   (double)counts[k] * keep * (1 - keep), 0);
}

/* Chi-square of frequencies against a binomial law; its upper tail. */
static double fits(const unsigned *seen, unsigned n, double p, unsigned total)
{
    double x2 = 0, rest = total;
    int cells = 0;
    unsigned left = total;
    for (unsigned k = 0; k <= n; k++) {
        double mean = total * gsl_ran_binomial_pdf(k, p, n);
        if (mean < 8) continue;
        x2 += (seen[k] - mean) * (seen[k] - mean) / mean;
        rest -= mean;
        left -= seen[k];
        cells++;
    }
    if (rest > 1) x2 += (left - rest) * (left - rest) / rest;
    return gsl_cdf_chisq_Q(x2, cells - (rest > 1 ? 0 : 1));
}

/* First thinned and then put together, or the other way round: the same law. */
Test(scene_property, thinning_and_merging_commute_in_law)
{
    enum { N = 17, REPS = 20000 };
    const double keep = 0.31;
    unsigned apart[N + 1] = {0}, merged[N + 1] = {0};
    for (int i = 0; i < REPS; i++) {
        struct cells c;
        cells_begin(&c, &arena);
        int64_t at = CELLS_T0 + 5000 * i;
        pb_cell *a = cells_add(&c, true, "errors", at, 6, 0),
                *b = cells_add(&c, true, "errors", at + 1000, N - 6, 0),
                *both = cells_add(&c, true, "errors", at + 2000, N, 0);
        bool left[3] = {thin_cell(plan, 3, 0, keep, "r", a),
                        thin_cell(plan, 3, 0, keep, "r", b),
                        thin_cell(plan, 3, 0, keep, "r", both)};
        apart[(left[0] ? a->n : 0) + (left[1] ? b->n : 0)]++;
        merged[left[2] ? both->n : 0]++;
    }
    cr_assert(gt(dbl, fits(apart, N, keep, REPS), 1e-6));
    cr_assert(gt(dbl, fits(merged, N, keep, REPS), 1e-6));
    cr_assert(lt(dbl, fits(apart, N, keep * 1.05, REPS), 1e-6), "can fail");
}

/* Bad ones as if the rate had been another one: as binomial as they were recorded. */
static void injected(const char *spec, double p, double to)
{
    enum { N = 500, LEARN = 200 };
    struct fault f = {0};
    struct moments m = {0}, other = {0};
    struct scene *s;
    struct scene_options o = {.plan = plan, .inject = &spec, .n_inject = 1, .seed = 11};
    gsl_rng *g = check_rng(4711);
    cr_assert(eq(int, scene_open(&s, &o, &f), SERIN_OK), "%s", f.text);
    for (int i = 0; i < LEARN + WINDOWS; i++) {
        struct cells c;
        struct change_window w = cells_window(CELLS_T0 + 1000 * i, NAN);
        cells_begin(&c, &arena);
        pb_cell *canary = cells_add(&c, true, "errors", w.start_ms, N,
                                    gsl_ran_binomial(g, p, N)),
                *baseline = cells_add(&c, false, "errors", w.start_ms, N,
                                      gsl_ran_binomial(g, p, N));
        cr_assert(eq(int, scene_change(s, &arena, &w, &c.p), SERIN_OK));
        cr_assert(eq(u64, canary->n, N));
        if (i < LEARN) continue;
        note(&m, (double)canary->bad);
        note(&other, (double)baseline->bad);
    }
    /* The rate is measured on some 300 windows: 2 % at 3000 bad ones. */
    is_law(spec, &m, N * to, N * to * (1 - to), 0.02);
    is_law("the baseline", &other, N * p, N * p * (1 - p), 0);
    gsl_rng_free(g);
    scene_close(s);
}

Test(scene_property, injected_rates_are_binomial)
{
    const double p = 0.03;
    injected("errors=x2", p, 2 * p / (1 + p));
    injected("errors=x2,risk", p, 2 * p);
    injected("errors=x0.5", p, 0.5 * p / (1 - 0.5 * p));
    injected("errors=x0.5,risk", p, 0.5 * p);
    injected("errors=+1%", p, p + 0.01 * (1 - p));
}

static double mean_bucket(const struct hist_view *v)
{
    double sum = 0;
    for (size_t i = 0; i < v->n; i++)
        sum += (double)v->counts[i] * (v->offset + (double)i);
    return sum / (double)hist_total(v);
}

/* Values changed bucket by bucket against the values changed one by one. */
static void shifted(double factor, double add_ms, double part)
{
    enum { VALUES = 200000 };
    static const double at[] = {0.1, 0.5, 0.9, 0.99};
    struct shift_bounds none = {{0}};
    struct draw d = draw_seeded(5);
    struct hist before, want;
    struct cells c;
    uint64_t moved = 0;
    gsl_rng *g = check_rng(99);
    cr_assert(eq(int, hist_init(&before, 5), SERIN_OK));
    cr_assert(eq(int, hist_init(&want, 5), SERIN_OK));
    for (int i = 0; i < VALUES; i++) {
        double v = gsl_ran_lognormal(g, 4, 0.7);
        bool hit = gsl_rng_uniform(g) < part;
        cr_assert(eq(int, hist_add(&before, v, 1), SERIN_OK));
        cr_assert(eq(int, hist_add(&want, hit ? v * factor + add_ms : v, 1), SERIN_OK));
    }
    cells_begin(&c, &arena);
    pb_cell *one = cells_add(&c, true, "latency", CELLS_T0, 0, 0);
    cells_hist(&c, one, before.offset, before.counts, before.n);
    struct shift s = {add_ms > 0, add_ms > 0 ? add_ms : factor, part};
    cr_assert(shift_cell(&s, &none, &arena, &d, one, &moved));
    cr_assert(fabs((double)moved - part * VALUES) <=
              6 * sqrt(part * (1 - part) * VALUES));
    const pb_histogram *h = one->hist;
    struct hist_view got = {h->scale, h->offset, h->n_counts, h->zero_count, h->counts},
                     right = hist_view(&want);
    cr_assert(eq(u64, hist_total(&got), VALUES));
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        double x = hist_quantile(&got, at[i]), y = hist_quantile(&right, at[i]);
        cr_assert(fabs(log2(x / y)) <= 1.01 / 32, "x%g +%g: p%g %g, wanted %g", factor,
                  add_ms, 100 * at[i], x, y);
    }
    /* Where all are changed, the mean is right to a small part of a bucket. */
    if (part == 1) {
        double x = mean_bucket(&got), y = mean_bucket(&right);
        cr_assert(fabs(x - y) < 0.03, "x%g +%g: bucket %g, wanted %g", factor, add_ms,
                  x, y);
    }
    gsl_rng_free(g);
}

Test(scene_property, shifted_values_are_off_by_a_bucket_at_most)
{
    shifted(1.3, 0, 1);
    shifted(0.8, 0, 1);
    shifted(2, 0, 1);
    shifted(1.005, 0, 1);
    shifted(10, 0, 0.05);
    shifted(1, 500, 0.01);
    shifted(1, 3, 1);
    shifted(1, 20, 1);
}
