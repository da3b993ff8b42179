/* tests/tools/vectors_counts.c -- families of the count tests */
#include <math.h>

#include "stats/floor.h"
#include "stats/fnch.h"
#include "stats/profile.h"
#include "tests/tools/vectors_check.h"

static struct grid default_grid(struct check *c)
{
    const double w_s[] = {4, 2.5, 2, 1.5};
    struct grid g = {0};
    check_that(c, "grid_init", grid_init(&g, 1.2, w_s, 4) == SERIN_OK);
    return g;
}

static size_t grid_find(const struct grid *g, double theta)
{
    size_t best = 0;
    for (size_t j = 0; j < g->n; j++)
        if (fabs(g->theta[j] - theta) < fabs(g->theta[best] - theta)) best = j;
    return best;
}

/* As the engine computes it: interpolated, at a point of the grid. */
static void law_profile(struct check *c, const struct grid *g, uint64_t n, uint64_t m,
                        uint64_t k, double theta, double want)
{
    double out[GRID_MAX], center = fnch_profile(g, n, m, k, out);
    size_t j = grid_find(g, theta);
    if (fabs(g->theta[j] - theta) > 1e-12) return; /* not a grid point */
    check_near(c, "log P ratio (profile)", out[j] + center * theta, want,
               1e-12 * fmax(1, fabs(want)), 0);
}

static void law_routes(struct check *c, uint64_t n, uint64_t m, uint64_t k,
                       double theta, double want)
{
    struct grid g = default_grid(c);
    double out[GRID_MAX], center = fnch_profile(&g, n, m, k, out) * theta;
    double limit = 1e-12 * fmax(1, fabs(want));
    double low = fmin(fnch_sd(theta, n, m, k), fnch_sd(0, n, m, k));
    double high = fmax(fnch_sd(theta, n, m, k), fnch_sd(0, n, m, k));
    if (high <= FNCH_SHARED_SD)
        check_near(c, "log P ratio (shared)",
                   center + fnch_at(theta, n, m, k, FNCH_SHARED), want, limit, 0);
    if (low >= FNCH_STRIDED_SD)
        check_near(c, "log P ratio (strided)",
                   center + fnch_at(theta, n, m, k, FNCH_STRIDED), want, limit, 0);
    if (high <= 3000)
        check_near(c, "log P ratio (reference)",
                   center + fnch_at(theta, n, m, k, FNCH_REFERENCE), want, limit, 0);
}

void check_fnch(struct check *c, const json_t *root)
{
    const json_t *item, *cases = field_list(c, root, "cases");
    struct grid g = default_grid(c);
    c->section = "case";
    json_array_foreach(cases, c->item, item)
    {
        uint64_t n = field_count(c, item, "n"), m = field_count(c, item, "m");
        uint64_t k = field_count(c, item, "K");
        double theta = field_real(c, item, "theta");
        double want = field_real(c, item, "log_P_ratio");
        law_profile(c, &g, n, m, k, theta, want);
        law_routes(c, n, m, k, theta, want);
        if (json_object_get(item, "edge") != NULL) continue;
        struct fnch_law law = fnch_law(theta, n, m, k);
        check_near(c, "mean", law.mean, field_real(c, item, "mean"), 0, 1e-11);
        check_near(c, "var", law.var, field_real(c, item, "var"), 0, 1e-11);
        /* Through log-factorials, hence with the digits these leave. */
        check_near(c, "log P", law.log_p, field_real(c, item, "log_P"), 1e-10, 1e-10);
    }
}

/* A grid whose promote boundary, abort boundary or zero holds theta. */
static double increment(const struct count_table *t, double theta)
{
    uint64_t k = t->x + t->y;
    if (t->n == 0 || t->m == 0 || k == 0 || k == t->n + t->m || theta == 0) return 0;
    struct grid g;
    double out[GRID_MAX];
    if (grid_init(&g, 1.2, NULL, 0) != SERIN_OK) return NAN;
    size_t j = grid_find(&g, theta);
    if (fabs(g.theta[j] - theta) < 1e-12) {
        double center = fnch_profile(&g, t->n, t->m, k, out);
        return ((double)t->x - center) * theta - out[j];
    }
    double center = fnch_profile(&g, t->n, t->m, k, out);
    enum fnch_route route =
        fnch_sd(theta, t->n, t->m, k) > FNCH_STRIDED_SD ? FNCH_STRIDED : FNCH_SHARED;
    return ((double)t->x - center) * theta - fnch_at(theta, t->n, t->m, k, route);
}

static double choose(uint64_t n, uint64_t x)
{
    double product = 1;
    for (uint64_t i = 0; i < x; i++)
        product *= (double)(n - i) / (double)(i + 1);
    return product;
}

static double expectation(uint64_t n, uint64_t m, uint64_t k, double w0, double w1,
                          double w)
{
    uint64_t lo = k > m ? k - m : 0, hi = n < k ? n : k;
    double sum = 0, weight = 0;
    for (uint64_t x = lo; x <= hi; x++) {
        struct count_table t = {n, x, m, k - x};
        double p = choose(n, x) * choose(m, k - x) * pow(w, (double)x);
        weight += p;
        sum += p * exp(increment(&t, log(w1)) - increment(&t, log(w0)));
    }
    return sum / weight;
}

void check_fnch_window(struct check *c, const json_t *root)
{
    const json_t *item, *cases = field_list(c, root, "cases");
    const json_t *means = field_list(c, root, "expectation");
    c->section = "case";
    json_array_foreach(cases, c->item, item)
    {
        struct count_table t = {field_count(c, item, "n"), field_count(c, item, "X"),
                                field_count(c, item, "m"), field_count(c, item, "Y")};
        double got = increment(&t, field_real(c, item, "theta1")) -
                     increment(&t, field_real(c, item, "theta0"));
        check_near(c, "log e", got, field_real(c, item, "log_e"), 1e-11, 1e-12);
    }
    c->section = "expectation";
    json_array_foreach(means, c->item, item)
    {
        double got =
            expectation(field_count(c, item, "n"), field_count(c, item, "m"),
                        field_count(c, item, "K"), field_ratio(c, item, "w0"),
                        field_ratio(c, item, "w1"), field_ratio(c, item, "true_w"));
        check_near(c, "E", got, field_real(c, item, "E"), 0, 1e-12);
        if (json_is_true(json_object_get(item, "in_null")))
            check_that(c, "E <= 1", got <= 1 + 1e-12);
    }
}

/* ---------------------------------------------------------------- walk */

struct walk {
    struct grid g;
    struct horizon h;
    struct profile p;
    bool events;
    double eta, alpha, beta, abs; /* abs: tolerance of log E */
};

enum { WALK_STRATA = 16 };

static bool walk_start(struct check *c, struct walk *w, const json_t *item)
{
    double w_s[GRID_MAX_STEPS];
    const json_t *tolerances = field_list(c, item, "tolerances");
    const char *name = json_string_value(json_object_get(item, "name"));
    const char *kind = json_string_value(json_object_get(item, "kind"));
    size_t n = json_array_size(tolerances);
    for (size_t s = 0; s < n && s < GRID_MAX_STEPS; s++)
        w_s[s] = item_real(c, tolerances, s);
    if (name == NULL || kind == NULL || n > GRID_MAX_STEPS ||
        grid_init(&w->g, field_real(c, item, "w_a"), w_s, n) != SERIN_OK ||
        horizon_init(&w->h, field_count(c, item, "H")) != SERIN_OK) {
        check_that(c, "a walk's settings", false);
        return false;
    }
    check_count(c, "G", (int64_t)w->g.n, (int64_t)field_count(c, item, "G"));
    profile_init(&w->p, true);
    w->events = kind[0] == 'p';
    w->eta = field_real(c, item, "eta");
    w->alpha = field_real(c, item, "alpha");
    w->beta = field_real(c, item, "beta");
    w->abs = name[0] == 'h' && name[1] == 'u' ? 1e-8 : 1e-10; /* "huge windows" */
    return true;
}

static enum serin_status walk_fold(struct check *c, struct walk *w,
                                   const json_t *strata)
{
    struct count_table counts[WALK_STRATA] = {0};
    struct event_table events[WALK_STRATA] = {0};
    size_t n = json_array_size(strata), i;
    const json_t *row;
    if (n > WALK_STRATA) return SERIN_ELIMIT;
    json_array_foreach(strata, i, row)
    {
        if (w->events)
            events[i] =
                (struct event_table){item_real(c, row, 0), item_real(c, row, 1),
                                     item_count(c, row, 2), item_count(c, row, 3)};
        else
            counts[i] =
                (struct count_table){item_count(c, row, 0), item_count(c, row, 2),
                                     item_count(c, row, 1), item_count(c, row, 3)};
    }
    return w->events ? profile_events(&w->p, &w->g, &w->h, events, n, w->eta)
                     : profile_window(&w->p, &w->g, &w->h, counts, n, w->eta);
}

static void walk_step(struct check *c, struct walk *w, const json_t *step)
{
    const json_t *promote = field_list(c, step, "log_E_promote");
    double lower, upper;
    check_that(c, "fold", walk_fold(c, w, field_list(c, step, "strata")) == SERIN_OK);
    check_near(c, "log E plain", profile_log_plain(&w->p, &w->g),
               field_real(c, step, "log_E_abort_plain"), w->abs, 1e-12);
    check_near(c, "log E abort", profile_log_abort(&w->p, &w->g),
               field_real(c, step, "log_E_abort_cp"), w->abs, 1e-12);
    for (size_t s = 0; s < json_array_size(promote); s++)
        check_near(c, "log E promote", profile_log_promote(&w->p, &w->g, s),
                   item_real(c, promote, s), w->abs, 1e-12);
    profile_limits(&w->p, &w->g, w->alpha, w->beta, &lower, &upper);
    /* "Exact" up to the last bit of a boundary's logarithm. */
    check_near(c, "U", upper, field_real(c, step, "U_theta"), 1e-15, 1e-15);
    check_near(c, "L", lower, field_real(c, step, "L_theta"), 1e-15, 1e-15);
}

void check_walk(struct check *c, const json_t *root)
{
    const json_t *item, *sub, *walks = field_list(c, root, "walks");
    c->section = "walk";
    json_array_foreach(walks, c->item, item)
    {
        struct walk w;
        if (!walk_start(c, &w, item)) continue;
        json_array_foreach(field_list(c, item, "steps"), c->step, sub)
            walk_step(c, &w, sub);
        json_array_foreach(field_list(c, item, "final_profile_probe"), c->step, sub)
        {
            size_t j = grid_find(&w.g, field_real(c, sub, "theta"));
            check_near(c, "l", w.p.l[j], field_real(c, sub, "l"), w.abs, 1e-12);
            check_near(c, "log W", w.p.lw[j], field_real(c, sub, "log_W"), w.abs,
                       1e-12);
        }
        c->step = 0;
    }
}

/* ---------------------------------------------------------------- floor, event counts
 */

void check_floor(struct check *c, const json_t *root)
{
    const json_t *item, *step, *cases = field_list(c, root, "cases");
    c->section = "case";
    json_array_foreach(cases, c->item, item)
    {
        struct floor f;
        struct horizon h;
        if (floor_init(&f, field_real(c, item, "d")) != SERIN_OK ||
            horizon_init(&h, field_count(c, item, "H")) != SERIN_OK) {
            check_that(c, "d and H", false);
            continue;
        }
        json_array_foreach(field_list(c, item, "steps"), c->step, step)
        {
            struct count_table t = {.n = field_count(c, step, "n"),
                                    .x = field_count(c, step, "X")};
            check_that(c, "fold", floor_window(&f, &h, &t, 1, 1) == SERIN_OK);
            check_near(c, "log E plain", floor_log_plain(&f),
                       field_real(c, step, "log_E_plain"), 1e-11, 1e-12);
            check_near(c, "log E", floor_log_abort(&f), field_real(c, step, "log_E_cp"),
                       1e-11, 1e-12);
        }
        c->step = 0;
    }
}

void check_poisson(struct check *c, const json_t *root)
{
    const json_t *item, *cases = field_list(c, root, "cases");
    c->section = "case";
    json_array_foreach(cases, c->item, item)
    {
        struct event_table e = {field_real(c, item, "exposure_c"),
                                field_real(c, item, "exposure_b"),
                                field_count(c, item, "X"), field_count(c, item, "Y")};
        double got = profile_event_increment(&e, field_real(c, item, "theta1")) -
                     profile_event_increment(&e, field_real(c, item, "theta0"));
        check_near(c, "log e", got, field_real(c, item, "log_e"), 1e-12, 1e-12);
    }
}
