/* tests/tools/vectors_latency.c -- families of latency metrics, gauges and pods */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/exceedance.h"
#include "stats/gauge.h"
#include "stats/hist.h"
#include "stats/mann_whitney.h"
#include "stats/quantile.h"
#include "stats/random_effect.h"
#include "tests/tools/vectors_check.h"

/* ---------------------------------------------------------------- histograms */

/* {"-27": 1, …} at a scale; the order in which buckets come must not matter. */
static bool hist_read(struct check *c, struct hist *h, const json_t *item)
{
    const json_t *count;
    const char *key;
    uint64_t one[1];
    if (hist_init(h, (int)json_integer_value(json_object_get(item, "scale"))) !=
        SERIN_OK) {
        check_that(c, "scale", false);
        return false;
    }
    if (json_object_get(item, "zero") != NULL &&
        hist_add(h, 0, field_count(c, item, "zero")) != SERIN_OK)
        return false;
    json_object_foreach((json_t *)json_object_get(item, "buckets"), key, count)
    {
        one[0] = (uint64_t)json_integer_value(count);
        struct hist_view v = {.scale = h->scale,
                              .offset = (int32_t)strtol(key, NULL, 10),
                              .n = 1,
                              .counts = one};
        if (hist_merge(h, &v) != SERIN_OK) return false;
    }
    return true;
}

static bool hist_same(const struct hist *a, const struct hist *b)
{
    if (a->scale != b->scale || a->zero != b->zero || a->total != b->total)
        return false;
    for (uint32_t k = 0; k < a->n; k++) {
        int64_t at = a->offset + (int64_t)k - b->offset;
        uint64_t other = at >= 0 && at < b->n ? b->counts[at] : 0;
        if (a->counts[k] != other) return false;
    }
    return true; /* totals agree, so b has nothing elsewhere */
}

static void hist_combine(struct check *c, const json_t *root)
{
    static struct hist a, b, want;
    const json_t *item;
    c->section = "downscale";
    json_array_foreach(field_list(c, root, "downscale"), c->item, item)
    {
        if (!hist_read(c, &a, item) ||
            !hist_read(c, &want, json_object_get(item, "result")))
            continue;
        check_that(c, "scale",
                   hist_downscale(&a, (int)field_count(c, item, "by")) == SERIN_OK);
        check_that(c, "the result", hist_same(&a, &want));
    }
    c->section = "merge";
    json_array_foreach(field_list(c, root, "merge"), c->item, item)
    {
        if (!hist_read(c, &a, json_object_get(item, "a")) ||
            !hist_read(c, &b, json_object_get(item, "b")) ||
            !hist_read(c, &want, json_object_get(item, "merged")))
            continue;
        struct hist_view of_a = hist_view(&a), of_b = hist_view(&b);
        static struct hist copy;
        copy = b;
        check_that(c, "merge", hist_merge(&copy, &of_a) == SERIN_OK);
        check_that(c, "a into b", hist_same(&copy, &want));
        check_that(c, "merge", hist_merge(&a, &of_b) == SERIN_OK);
        check_that(c, "b into a", hist_same(&a, &want));
    }
}

void check_exp_histogram(struct check *c, const json_t *root)
{
    const json_t *item;
    c->section = "index";
    json_array_foreach(field_list(c, root, "index"), c->item, item)
    {
        int32_t index = INT32_MIN;
        int scale = (int)json_integer_value(json_object_get(item, "scale"));
        check_that(c, "value",
                   hist_index(field_real(c, item, "value"), scale, &index) == SERIN_OK);
        check_count(c, "index", index,
                    json_integer_value(json_object_get(item, "index")));
    }
    hist_combine(c, root);
    c->section = "shift";
    json_array_foreach(field_list(c, root, "shift"), c->item, item)
    {
        int32_t down = -1, up = -1;
        int scale = (int)field_count(c, item, "scale");
        check_that(c, "delta",
                   hist_shift(scale, field_real(c, item, "delta"), &down, &up) ==
                       SERIN_OK);
        check_count(c, "k abort", up, (int64_t)field_count(c, item, "k_abort"));
        check_count(c, "k promote", down, (int64_t)field_count(c, item, "k_promote"));
        check_near(c, "effective abort", hist_shift_effect(scale, up),
                   field_real(c, item, "effective_abort"), 0, 1e-12);
        check_near(c, "effective promote", hist_shift_effect(scale, down),
                   field_real(c, item, "effective_promote"), 0, 1e-12);
    }
}

/* ---------------------------------------------------------------- Mann-Whitney */

enum { BUCKETS = 64 };

static struct hist_view view_read(struct check *c, const json_t *list,
                                  uint64_t room[BUCKETS])
{
    size_t n = json_array_size(list);
    check_that(c, "buckets that fit", n <= BUCKETS);
    for (size_t k = 0; k < n && k < BUCKETS; k++)
        room[k] = item_count(c, list, k);
    return (struct hist_view){.scale = 5, .offset = -7, .n = n, .counts = room};
}

static struct mann_whitney_ranks ranks_read(struct check *c, const json_t *item)
{
    uint64_t x[BUCKETS], y[BUCKETS];
    struct mann_whitney_ranks r = {0};
    struct hist_view canary = view_read(c, field_list(c, item, "canary"), x);
    struct hist_view baseline = view_read(c, field_list(c, item, "baseline"), y);
    check_that(c, "ranks", mann_whitney_ranks(&canary, &baseline, 0, &r) == SERIN_OK);
    return r;
}

/* Multinomial probability of counts x under p, times the number of orders. */
static double multinomial(const uint64_t x[3], const double p[3])
{
    double product = 1;
    uint64_t left = x[0] + x[1] + x[2];
    for (int b = 0; b < 3; b++)
        for (uint64_t i = 0; i < x[b]; i++)
            product *= p[b] * (double)(left--) / (double)(i + 1);
    return product;
}

static double ties_mean(uint64_t n, uint64_t m, const double p[3], const double q[3],
                        double theta)
{
    double sum = 0;
    for (uint64_t i = 0; i < (n + 1) * (n + 1) * (m + 1) * (m + 1); i++) {
        uint64_t x[3] = {i % (n + 1), i / (n + 1) % (n + 1), 0};
        uint64_t rest = i / ((n + 1) * (n + 1));
        uint64_t y[3] = {rest % (m + 1), rest / (m + 1), 0};
        if (x[0] + x[1] > n || y[0] + y[1] > m) continue;
        x[2] = n - x[0] - x[1];
        y[2] = m - y[0] - y[1];
        struct hist_view of_x = {.scale = 0, .n = 3, .counts = x};
        struct hist_view of_y = {.scale = 0, .n = 3, .counts = y};
        struct mann_whitney_ranks r;
        if (mann_whitney_ranks(&of_x, &of_y, 0, &r) != SERIN_OK) return NAN;
        double log_e =
            theta * r.t / (2 * (double)(n + m)) - mann_whitney_omega(theta, n, m);
        sum += multinomial(x, p) * multinomial(y, q) * exp(log_e);
    }
    return sum;
}

static double ratio_item(const json_t *list, size_t i)
{
    char *end;
    const char *text = json_string_value(json_array_get(list, i));
    if (text == NULL) return NAN;
    double num = strtod(text, &end);
    return *end == '/' ? num / strtod(end + 1, NULL) : num;
}

static void mann_whitney_norm(struct check *c, const json_t *root)
{
    const json_t *item;
    c->section = "norm";
    json_array_foreach(field_list(c, root, "norm"), c->item, item)
    {
        uint64_t n = field_count(c, item, "n"), m = field_count(c, item, "m");
        bool huge = json_is_true(json_object_get(item, "huge"));
        double theta = field_real(c, item, "theta");
        double omega = mann_whitney_omega(theta, n, m);
        check_near(c, "omega", omega, field_real(c, item, "omega"), 1e-13,
                   huge ? 1e-10 : 1e-11);
        double middle = theta * (double)n / (double)(n + m) * (double)m / 2;
        check_near(c, "log Z", omega + middle, field_real(c, item, "log_Z"), 1e-13,
                   huge ? 1e-10 : 1e-11);
    }
    c->section = "ties";
    json_array_foreach(field_list(c, root, "ties"), c->item, item)
    {
        double p[3], q[3];
        for (size_t i = 0; i < 3; i++) {
            p[i] = ratio_item(field_list(c, item, "p_canary"), i);
            q[i] = ratio_item(field_list(c, item, "p_baseline"), i);
        }
        double got = ties_mean(field_count(c, item, "n"), field_count(c, item, "m"), p,
                               q, field_real(c, item, "theta"));
        check_near(c, "E", got, field_real(c, item, "E"), 0, 1e-11);
    }
}

void check_mann_whitney(struct check *c, const json_t *root)
{
    const json_t *item, *step, *theta = field_list(c, root, "theta_grid");
    const json_t *prior = field_list(c, root, "prior");
    struct mann_whitney w;
    struct horizon h;
    c->section = "grid";
    mann_whitney_init(&w);
    check_that(c, "horizon", horizon_init(&h, 1000) == SERIN_OK);
    check_count(c, "points", MANN_WHITNEY_POINTS, (int64_t)json_array_size(theta));
    for (c->item = 0; c->item < MANN_WHITNEY_POINTS; c->item++) {
        check_near(c, "theta", mann_whitney_theta((int)c->item),
                   item_real(c, theta, c->item), 1e-15, 0);
        check_near(c, "prior", exp(w.log_prior[c->item]), item_real(c, prior, c->item),
                   0, 1e-12);
    }
    mann_whitney_norm(c, root);
    c->section = "window";
    json_array_foreach(field_list(c, root, "windows"), c->item, item)
    {
        mann_whitney_init(&w);
        json_array_foreach(field_list(c, item, "steps"), c->step, step)
        {
            struct mann_whitney_ranks r = ranks_read(c, step);
            check_near(
                c, "2U - nm", r.t,
                (double)json_integer_value(json_object_get(step, "two_U_minus_nm")), 0,
                0);
            check_that(c, "fold", mann_whitney_window(&w, &h, &r, 1) == SERIN_OK);
            check_near(c, "log E", mann_whitney_log_plain(&w),
                       field_real(c, step, "log_E"), 1e-10, 1e-12);
        }
    }
    c->section = "integer U";
    item = json_object_get(root, "integer_U");
    if (item == NULL) return;
    const char *want = json_string_value(json_object_get(item, "two_U_minus_nm"));
    check_near(c, "2U - nm", ranks_read(c, item).t,
               strtod(want == NULL ? "nan" : want, NULL), 0, 0);
}

/* ---------------------------------------------------------------- exceedance */

static void exceedance_step(struct check *c, struct exceedance *e, const json_t *step)
{
    uint64_t x[BUCKETS], y[BUCKETS];
    struct count_table table[EXCEEDANCE_LEVELS];
    const json_t *row, *tables = json_object_get(step, "tables");
    size_t q;
    struct hist_view canary = view_read(c, field_list(c, step, "canary"), x);
    struct hist_view baseline = view_read(c, field_list(c, step, "baseline"), y);
    enum serin_status rc = exceedance_window(e, &canary, &baseline, 0, table, NULL);
    if (json_is_null(tables)) {
        check_that(c, "no table yet", rc == SERIN_AGAIN && table[0].n == 0);
        return;
    }
    check_that(c, "tables",
               rc == SERIN_OK && json_array_size(tables) == EXCEEDANCE_LEVELS);
    json_array_foreach(tables, q, row)
    {
        int64_t want = (int64_t)field_count(c, row, "threshold_bucket");
        check_count(c, "bucket", e->bucket[q] - canary.offset, want);
        check_count(c, "n", (int64_t)table[q].n, (int64_t)field_count(c, row, "n"));
        check_count(c, "m", (int64_t)table[q].m, (int64_t)field_count(c, row, "m"));
        check_count(c, "X", (int64_t)table[q].x, (int64_t)field_count(c, row, "X"));
        check_count(c, "Y", (int64_t)table[q].y, (int64_t)field_count(c, row, "Y"));
    }
}

void check_exceedance(struct check *c, const json_t *root)
{
    static struct exceedance e;
    const json_t *item, *step, *levels = field_list(c, root, "levels");
    c->section = "case";
    for (size_t q = 0; q < EXCEEDANCE_LEVELS; q++)
        check_near(c, "level", exceedance_levels[q], item_real(c, levels, q), 0, 0);
    json_array_foreach(field_list(c, root, "cases"), c->item, item)
    {
        exceedance_init(&e);
        json_array_foreach(field_list(c, item, "steps"), c->step, step)
            exceedance_step(c, &e, step);
        c->step = 0;
    }
}

/* ---------------------------------------------------------------- gauges, pods */

static void gauge_case(struct check *c, const json_t *item)
{
    const json_t *step, *means = field_list(c, item, "batch_means");
    double alpha = field_real(c, item, "alpha"),
           tolerance = field_real(c, item, "tolerance");
    double rho2 = gauge_rho2(alpha, field_real(c, item, "t_opt"));
    struct gauge g = {0};
    check_near(c, "rho2", rho2, field_real(c, item, "rho2"), 0, 1e-12);
    json_array_foreach(field_list(c, item, "steps"), c->step, step)
    {
        uint64_t t = field_count(c, step, "t");
        while (g.t < t && g.t < json_array_size(means))
            check_that(c, "batch", gauge_add(&g, item_real(c, means, g.t)) == SERIN_OK);
        check_near(c, "mean", g.mean, field_real(c, step, "mean"), 0, 1e-10);
        check_near(c, "variance", gauge_variance(&g), field_real(c, step, "var"), 0,
                   1e-10);
        check_near(c, "half width", gauge_half_width(&g, rho2, alpha),
                   field_real(c, step, "two_sided_half_width"), 0, 1e-10);
        check_near(c, "log E abort", gauge_log_abort(&g, tolerance, rho2),
                   field_real(c, step, "log_E_abort"), 0, 1e-10);
        check_near(c, "log E promote", gauge_log_promote(&g, tolerance, rho2),
                   field_real(c, step, "log_E_promote"), 0, 1e-10);
    }
    c->step = 0;
}

void check_gauge(struct check *c, const json_t *root)
{
    const json_t *item;
    c->section = "case";
    json_array_foreach(field_list(c, root, "cases"), c->item, item) gauge_case(c, item);
    c->section = "mixture";
    json_array_foreach(field_list(c, root, "mixture"), c->item, item)
    {
        double got =
            gauge_mixture(field_real(c, item, "S"), field_real(c, item, "t"),
                          field_real(c, item, "var"), field_real(c, item, "rho2"));
        check_near(c, "log E", got, field_real(c, item, "log_E"), 0, 1e-10);
    }
}

void check_random_effect(struct check *c, const json_t *root)
{
    const json_t *item, *step;
    c->section = "case";
    json_array_foreach(field_list(c, root, "cases"), c->item, item)
    {
        struct grid g;
        struct profile p;
        double tau = field_real(c, item, "tau"), log_e = NAN;
        if (grid_init(&g, field_real(c, item, "w_a"), NULL, 0) != SERIN_OK) {
            check_that(c, "w_a", false);
            continue;
        }
        profile_init(&p, false);
        json_array_foreach(field_list(c, item, "steps"), c->step, step)
        {
            struct count_table t = {
                field_count(c, step, "n"), field_count(c, step, "X"),
                field_count(c, step, "m"), field_count(c, step, "Y")};
            check_that(c, "fold", profile_window(&p, &g, NULL, &t, 1, 1) == SERIN_OK);
            check_that(c, "tau", random_effect_log_e(&p, &g, tau, &log_e) == SERIN_OK);
            check_near(c, "log E", log_e, field_real(c, step, "log_E"), 1e-10, 1e-10);
        }
        c->step = 0;
    }
}

static void quantile_case(struct check *c, const json_t *item)
{
    uint64_t counts[HIST_ROOM];
    struct quantile_limits q;
    const json_t *list = field_list(c, item, "counts");
    struct hist_view v = {
        .scale = (int32_t)json_integer_value(json_object_get(item, "scale")),
        .offset = (int32_t)json_integer_value(json_object_get(item, "offset")),
        .n = json_array_size(list),
        .zero = field_count(c, item, "zero"),
        .counts = counts};
    check_that(c, "size", v.n <= HIST_ROOM);
    for (size_t i = 0; i < v.n && i < HIST_ROOM; i++)
        counts[i] = item_count(c, list, i);
    check_that(c, "limits",
               quantile_limits(&v, field_real(c, item, "p"),
                               field_real(c, item, "level"), field_real(c, item, "eta"),
                               &q) == SERIN_OK);
    check_near(c, "lower", q.lower, field_real(c, item, "lower"), 0, 1e-12);
    check_near(c, "upper", q.upper, field_real(c, item, "upper"), 0, 1e-12);
}

void check_quantile(struct check *c, const json_t *root)
{
    const json_t *item;
    c->section = "value";
    json_array_foreach(field_list(c, root, "values"), c->item, item)
    {
        double below = (double)field_count(c, item, "below"),
               n = (double)field_count(c, item, "n");
        check_near(c, "log E",
                   quantile_log_e(below, n, field_real(c, item, "p"),
                                  field_real(c, item, "eta")),
                   field_real(c, item, "log_e"), 1e-10, 1e-12);
    }
    c->section = "limit";
    json_array_foreach(field_list(c, root, "limits"), c->item, item)
        quantile_case(c, item);
}
