/* tests/tools/vectors_rules.c -- families of sample ratio, combination, forecast,
 * dispersion */
#include <math.h>

#include "stats/combine.h"
#include "stats/dispersion.h"
#include "stats/forecast.h"
#include "stats/level.h"
#include "stats/srm.h"
#include "tests/tools/vectors_check.h"

enum { RULES_MAX = COMBINE_MAX };

static void srm_points(struct check *c, const json_t *root)
{
    const json_t *item;
    c->section = "point";
    json_array_foreach(field_list(c, root, "point"), c->item, item)
    {
        struct srm_point s;
        uint64_t n_c = field_count(c, item, "S_c"), n_b = field_count(c, item, "S_b");
        check_that(c, "k", srm_point_init(&s, field_real(c, item, "k")) == SERIN_OK);
        check_that(c, "window",
                   srm_point_window(&s, field_real(c, item, "rho"), n_c, n_b) ==
                       SERIN_OK);
        /* Log-gammas of 1e9 lose digits. */
        double abs = n_c + n_b > 100000000 ? 1e-6 : 1e-10;
        check_near(c, "log BF", srm_point_log_e(&s), field_real(c, item, "log_BF"), abs,
                   1e-10);
    }
}

void check_srm(struct check *c, const json_t *root)
{
    const json_t *item, *step;
    srm_points(c, root);
    c->section = "interval";
    json_array_foreach(field_list(c, root, "interval"), c->item, item)
    {
        struct srm s;
        check_that(c, "eps", srm_init(&s, field_real(c, item, "epsilon")) == SERIN_OK);
        json_array_foreach(field_list(c, item, "steps"), c->step, step)
        {
            check_that(c, "window",
                       srm_window(&s, field_real(c, step, "rho"),
                                  field_count(c, step, "S_c"),
                                  field_count(c, step, "S_b"), 1) == SERIN_OK);
            check_near(c, "log E up", srm_log_up(&s), field_real(c, step, "log_E_up"),
                       1e-11, 1e-12);
            check_near(c, "log E down", srm_log_down(&s),
                       field_real(c, step, "log_E_down"), 1e-11, 1e-12);
            check_near(c, "log E", srm_log_e(&s), field_real(c, step, "log_E"), 1e-11,
                       1e-12);
        }
        c->step = 0;
    }
}

static size_t load(struct check *c, const json_t *item, const char *key, double *out)
{
    const json_t *list = field_list(c, item, key);
    size_t n = json_array_size(list);
    check_that(c, "a list that fits", n <= RULES_MAX);
    for (size_t i = 0; i < n && i < RULES_MAX; i++)
        out[i] = item_real(c, list, i);
    return n < RULES_MAX ? n : RULES_MAX;
}

static void averages(struct check *c, const json_t *root)
{
    const json_t *item;
    c->section = "average";
    json_array_foreach(field_list(c, root, "average"), c->item, item)
    {
        double log_e[RULES_MAX], weight[RULES_MAX];
        size_t n = load(c, item, "log_E", log_e);
        check_that(c, "a weight each", load(c, item, "weights", weight) == n);
        check_near(c, "average", combine_average(log_e, weight, n),
                   field_real(c, item, "log_E_combined"), 1e-12, 1e-12);
    }
}

static void closed(struct check *c, const json_t *root)
{
    const json_t *item;
    c->section = "closed";
    json_array_foreach(field_list(c, root, "closed"), c->item, item)
    {
        double log_e[RULES_MAX], want[RULES_MAX], got[RULES_MAX];
        size_t n = load(c, item, "log_E", log_e);
        const json_t *at_01 = field_list(c, item, "flag_at_alpha_0_01");
        const json_t *at_05 = field_list(c, item, "flag_at_alpha_0_05");
        check_that(c, "a value each", load(c, item, "log_E_adjusted", want) == n);
        check_that(c, "closed", combine_closed(log_e, n, got) == SERIN_OK);
        for (c->step = 0; c->step < n; c->step++) {
            double e = got[c->step];
            check_near(c, "adjusted", e, want[c->step], 1e-12, 1e-12);
            check_that(c, "flag at .01",
                       level_crossed(e, 0.01) ==
                           json_is_true(json_array_get(at_01, c->step)));
            check_that(c, "flag at .05",
                       level_crossed(e, 0.05) ==
                           json_is_true(json_array_get(at_05, c->step)));
        }
        c->step = 0;
    }
}

static void ebh(struct check *c, const json_t *root)
{
    const json_t *item;
    c->section = "e-BH";
    json_array_foreach(field_list(c, root, "ebh"), c->item, item)
    {
        double log_e[RULES_MAX];
        bool rejected[RULES_MAX], want[RULES_MAX] = {false};
        size_t n = load(c, item, "log_E", log_e), count;
        const json_t *list = field_list(c, item, "rejected");
        check_that(c, "e-BH",
                   combine_ebh(log_e, n, field_real(c, item, "alpha"), rejected,
                               &count) == SERIN_OK);
        check_count(c, "k*", (int64_t)count, (int64_t)field_count(c, item, "k_star"));
        for (size_t i = 0; i < json_array_size(list); i++)
            want[item_count(c, list, i) % RULES_MAX] = true;
        for (size_t i = 0; i < n; i++)
            check_that(c, "rejected", rejected[i] == want[i]);
    }
}

static void elond(struct check *c, const json_t *root)
{
    const json_t *item, *step, *gamma = field_list(c, root, "elond_gamma");
    c->section = "e-LOND";
    json_array_foreach(field_list(c, root, "elond"), c->item, item)
    {
        double alpha = field_real(c, item, "alpha");
        json_array_foreach(field_list(c, item, "sequence"), c->step, step)
        {
            double threshold = combine_elond_threshold(
                alpha, c->step + 1, field_count(c, step, "discoveries_before"));
            check_near(c, "threshold", threshold, field_real(c, step, "log_threshold"),
                       1e-12, 1e-12);
            check_that(c, "decision",
                       (field_real(c, step, "log_E") >= threshold) ==
                           json_is_true(json_object_get(step, "reject")));
        }
    }
    c->section = "e-LOND gamma";
    c->step = 0;
    for (c->item = 0; c->item < json_array_size(gamma); c->item++)
        check_near(c, "gamma", combine_elond_gamma(c->item + 1),
                   item_real(c, gamma, c->item), 0, 1e-12);
}

void check_combine(struct check *c, const json_t *root)
{
    averages(c, root);
    closed(c, root);
    ebh(c, root);
    elond(c, root);
}

void check_forecast(struct check *c, const json_t *root)
{
    const json_t *item;
    c->section = "case";
    json_array_foreach(field_list(c, root, "cases"), c->item, item)
    {
        double p = field_real(c, item, "p"), rho = field_real(c, item, "rho");
        double w = field_real(c, item, "w"), w_a = field_real(c, item, "w_a");
        check_near(c, "D promote", forecast_promote(p, rho, field_real(c, item, "w_s")),
                   field_real(c, item, "D_promote"), 0, 1e-12);
        check_near(c, "D abort against 1", forecast_abort(p, rho, w, 1),
                   field_real(c, item, "D_abort"), 0, 1e-12);
        check_near(c, "D abort", forecast_abort(p, rho, w, w_a),
                   field_real(c, item, "D_abort_vs_wa"), 0, 1e-12);
    }
}

void check_dispersion(struct check *c, const json_t *root)
{
    const json_t *item;
    c->section = "case";
    json_array_foreach(field_list(c, root, "cases"), c->item, item)
    {
        struct dispersion d = {0};
        const json_t *row, *ratios = field_list(c, item, "phi_by_scale");
        json_array_foreach(field_list(c, item, "windows"), c->step, row)
            check_that(c, "window",
                       dispersion_window(&d, item_count(c, row, 0),
                                         item_count(c, row, 1)) == SERIN_OK);
        c->step = 0;
        check_count(c, "windows", (int64_t)d.windows,
                    (int64_t)field_count(c, item, "with_data"));
        struct dispersion_pool pool = dispersion_pool(&d);
        check_near(c, "pool", pool.phi, field_real(c, item, "pool"), 0, 1e-12);
        check_count(c, "pairs", (int64_t)pool.pairs,
                    (int64_t)field_count(c, item, "pool_pairs"));
        check_near(c, "phi", dispersion_phi(&d), field_real(c, item, "phi"), 0, 1e-12);
        for (size_t s = 0; s < DISPERSION_SCALES; s++)
            check_near(c, "ratio", d.scale[s].excess / d.scale[s].expected,
                       item_real(c, ratios, s), 0, 1e-12);
    }
}
