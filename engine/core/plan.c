/* engine/core/plan.c -- text -> document -> table of keys -> defaults -> checks */
#include "engine/core/plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/core/plan_check.h"
#include "engine/core/plan_cohorts.h"
#include "engine/core/plan_keys.h"
#include "engine/core/plan_release.h"
#include "engine/core/plan_steps.h"
#include "stats/elem.h"
#include "stats/level.h"
#include "stats/random_effect.h"

/* An experiment has one step, which ends by its result. */
static bool set_experiment(struct arena *a, struct plan *p)
{
    const struct plan_experiment *x = &p->experiment;
    const struct plan_step model =
        p->n_steps != 0 ? p->steps[0] : (struct plan_step){0};
    if (p->strategy != PLAN_EXPERIMENT) return true;
    p->steps = arena_alloc(a, sizeof *p->steps);
    if (p->steps == NULL) return false;
    p->n_steps = 1;
    p->steps[0] = (struct plan_step){.weight_bp = x->weight_bp,
                                     .worse_than = (double)NAN,
                                     .timeout_ms = x->duration_ms,
                                     .gate = x->gate,
                                     .warmup_ms = model.warmup_ms};
    for (size_t i = 0; i < p->n_metrics; i++)
        p->metrics[i].primary = x->metric == NULL
                                    ? p->n_metrics == 1
                                    : strcmp(p->metrics[i].name, x->metric) == 0;
    return true;
}

static bool listed(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], name) == 0) return true;
    return false;
}

/* Exposure is measured, never taken from the weight: a 1 % split that is really 1.15 %
 * would be taken for harm. */
static int exposure_of(const struct plan *p, const struct plan_metric *m)
{
    if (m->exposure_pods[0] > 0) return -1;
    for (size_t i = 0; i < p->n_metrics; i++) {
        const struct plan_metric *k = &p->metrics[i];
        if (k->name == NULL || (k->kind != PLAN_RATIO && k->kind != PLAN_LATENCY))
            continue;
        if (m->exposure != NULL ? strcmp(k->name, m->exposure) == 0
                                : k->mode == PLAN_GATE)
            return (int)i;
    }
    return -1;
}

static void fill_metrics(struct plan *p, const struct doc_node *root)
{
    const struct doc_node *list = doc_get(root, "metrics");
    for (size_t i = 0; i < p->n_metrics; i++) {
        struct plan_metric *m = &p->metrics[i];
        if (m->kind == PLAN_LATENCY && doc_get(list->items[i], "abort_over") == NULL)
            m->abort_over = 1;
        if (m->name == NULL) m->name = "";
        if (m->from == NULL) m->from = m->name;
        if (m->bad == NULL) m->bad = "";
        if (m->unit == NULL) m->unit = "";
        if (m->unit_key == NULL) m->unit_key = "";
        if (m->user_key == NULL) m->user_key = "";
        m->exposure_metric = exposure_of(p, m);
        m->has_bound = doc_get(list->items[i], "bound") != NULL;
        if (m->batch_ms == 0) m->batch_ms = 60000;
        if (m->exposure == NULL) m->exposure = "";
    }
}

/* One of several may pass for the others: each then has its part of the level. */
static void fill_criteria(struct plan *p)
{
    for (size_t i = 0; i < p->n_metrics; i++) {
        struct plan_metric *m = &p->metrics[i];
        m->any = listed(p->any_of, p->n_any_of, m->name);
        m->protected =
            m->mode == PLAN_GATE &&
            (m->any || p->n_all_of == 0 || listed(p->all_of, p->n_all_of, m->name));
        p->any_metrics += m->any;
    }
    for (size_t i = 0; i < p->n_metrics; i++)
        p->metrics[i].beta =
            p->metrics[i].any ? p->beta / (double)p->any_metrics : p->beta;
    for (size_t i = 0; i < p->n_checks; i++) {
        struct plan_external *x = &p->checks[i];
        if (x->url == NULL) x->url = "";
        if (x->secret_file == NULL) x->secret_file = "";
        if (x->target == NULL) x->target = "";
        x->all = listed(p->all_of, p->n_all_of, x->name);
        x->any = listed(p->any_of, p->n_any_of, x->name);
        p->any_checks += x->any;
    }
}

static void fill_texts(struct plan *p)
{
    const char **texts[] = {
        &p->id,          &p->service, &p->owner, &p->release_notes, &p->rollback_plan,
        &p->environment, &p->flag};
    for (size_t i = 0; p->service == NULL && i < p->n_cohort[0]; i++)
        if (strcmp(p->cohort[0][i].key, "service.name") == 0 &&
            p->cohort[0][i].kind == PATTERN_EQUAL)
            p->service = p->cohort[0][i].values[0];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (*texts[i] == NULL) *texts[i] = "";
    for (size_t i = 0; i < p->n_freezes; i++)
        if (p->freezes[i].reason == NULL) p->freezes[i].reason = "";
    for (size_t i = 0; i < p->n_gates; i++)
        if (p->gates[i].reason == NULL) p->gates[i].reason = "";
}

/* A name given twice is one target: nobody confirms it a second time. */
static void name_target(struct plan *p, const struct doc_node *name)
{
    if (name->type != DOC_SCALAR || p->n_targets == PLAN_MAX_TARGETS) return;
    for (size_t i = 0; i < p->n_targets; i++)
        if (strcmp(p->targets[i], name->text) == 0) return;
    p->targets[p->n_targets++] = name->text;
}

/* Who has to confirm a weight. What else `actuate` says is checked by engine/act. */
static void name_targets(struct plan *p)
{
    const struct doc_node *one = doc_get(p->actuate, "target"),
                          *all = doc_get(p->actuate, "targets");
    if (p->actuate != NULL) p->require_ack = true;
    if (one != NULL) name_target(p, one);
    for (size_t i = 0; all != NULL && all->type == DOC_LIST && i < all->n; i++)
        name_target(p, all->items[i]);
}

enum serin_status plan_parse(struct arena *a, const char *text, size_t n,
                             struct plan **out, struct doc_errors *errors)
{
    struct doc_node *root;
    size_t before = errors->total;
    enum serin_status rc = doc_parse(a, text, n, &root, errors);
    if (root == NULL) return rc;
    struct plan *p = arena_alloc(a, sizeof *p);
    if (p == NULL) return SERIN_ENOMEM;
    rc = plan_steps_default(a, root);
    if (rc == SERIN_OK) rc = keys_read(a, &plan_keys, root, p, errors);
    if (rc == SERIN_OK) rc = plan_cohorts_read(a, p, errors);
    if (rc != SERIN_OK) return rc;
    plan_steps_fill(p, root);
    fill_texts(p);
    fill_metrics(p, root);
    fill_criteria(p);
    if (!set_experiment(a, p)) return SERIN_ENOMEM;
    if (!p->srm_check) p->srm_tolerance = -1;
    name_targets(p);
    p->lateness_ms = 2000;
    hash_digest(text, n, p->hash);
    plan_check(p, root, errors);
    plan_release_check(p, root, errors);
    if (errors->total != before) return SERIN_EPARSE;
    *out = p;
    return SERIN_OK;
}

static bool limited(const struct plan_metric *m)
{
    for (size_t q = 0; q < PLAN_NQUANTILE; q++)
        if (m->limit_ms[q] != 0) return m->mode == PLAN_GATE;
    return m->limit > 0 && m->mode == PLAN_GATE;
}

/* What the strategy asks of metrics, of the whole plan; told with the first one. */
static bool strategy_warning(const struct plan *p, size_t i, char out[PLAN_WARNING])
{
    size_t limits = 0;
    for (size_t k = 0; k < p->n_metrics; k++)
        limits += limited(&p->metrics[k]);
    if (i == 0 && p->strategy == PLAN_BLUE_GREEN && limits == 0) {
        snprintf(out, PLAN_WARNING,
                 "no metric has a limit: after the switch no baseline is left to "
                 "compare with, and only a person can switch back");
        return true;
    }
    if (p->strategy != PLAN_FLAG || p->metrics[i].kind != PLAN_RATIO ||
        p->metrics[i].per == PLAN_PER_USER)
        return false;
    snprintf(
        out, PLAN_WARNING,
        "%.64s: a flag is drawn by user, but requests are counted: a few heavy "
        "users look like harm; add per: user, or rely on the calibrated dispersion",
        p->metrics[i].name);
    return true;
}

bool plan_warning(const struct plan *p, size_t i, char out[PLAN_WARNING])
{
    const struct plan_metric *m = &p->metrics[i];
    const struct plan_pods *n = &m->pods;
    if (m->protected && (m->kind == PLAN_EVENTS || m->kind == PLAN_SATURATION)) {
        snprintf(
            out, PLAN_WARNING,
            "%.64s: where nothing ever happens there is no evidence, and promotion "
            "waits for it; list the others in criteria.all_of and it only aborts",
            m->name);
        return true;
    }
    if (n->canary == 0) return strategy_warning(p, i, out);
    double ceiling =
        random_effect_ceiling((unsigned)(n->canary + n->baseline), (unsigned)n->canary);
    if (level_crossed(ceiling, p->alpha)) return false;
    snprintf(
        out, PLAN_WARNING,
        "%.64s: %llu of %llu pods can be chosen in %.0f ways only; evidence beyond "
        "that is not about the release, and false_abort %g asks for %.0f: use more "
        "pods, or expect pods to decide",
        m->name, (unsigned long long)n->canary,
        (unsigned long long)(n->canary + n->baseline), elem_exp(ceiling), p->alpha,
        1 / p->alpha);
    return true;
}

bool plan_unit(const char *unit, double *scale)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"", 1},      {"ms", 1},    {"s", 1e3},  {"us", 1e-3},
                 {"ns", 1e-6}, {"min", 6e4}, {"h", 3.6e6}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(units[i].name, unit) == 0) {
            *scale = units[i].ms;
            return true;
        }
    return false;
}

/* ---- the route */
static pb_route_metric *route_metric_new(struct arena *a, const struct plan_metric *m)
{
    pb_route_metric *r = arena_alloc(a, sizeof *r);
    if (r == NULL) return NULL;
    serin__v1__route_metric__init(r);
    r->name = messages_text(m->name);
    r->kind = messages_text(
        plan_keys_kinds[m->kind == PLAN_SATURATION ? PLAN_GAUGE : m->kind]);
    r->from = messages_text(m->from);
    r->bad = messages_text(m->bad);
    r->unit_key = messages_text(m->unit_key);
    r->user_key = messages_text(m->user_key);
    r->per_user = m->per == PLAN_PER_USER;
    double scale;
    if (m->kind == PLAN_LATENCY && plan_unit(m->unit, &scale)) r->scale = scale;
    return r;
}

enum serin_status plan_route(struct arena *a, const struct plan *p, pb_route **out)
{
    pb_route *r = arena_alloc(a, sizeof *r);
    if (r == NULL) return SERIN_ENOMEM;
    serin__v1__route__init(r);
    r->live = true;
    r->cohorts = arena_alloc(a, 2 * sizeof *r->cohorts);
    r->strata = arena_alloc(a, p->n_strata * sizeof *r->strata);
    r->metrics = arena_alloc(a, p->n_metrics * sizeof *r->metrics);
    if (r->cohorts == NULL || r->strata == NULL || r->metrics == NULL)
        return SERIN_ENOMEM;
    for (int i = 0; i < 2; i++)
        if (plan_cohorts_match(a, p, i, &r->cohorts[r->n_cohorts++]) != SERIN_OK)
            return SERIN_ENOMEM;
    for (size_t i = 0; i < p->n_strata; i++)
        r->strata[r->n_strata++] = messages_text(p->strata[i]);
    for (size_t i = 0; i < p->n_metrics; i++) {
        r->metrics[i] = route_metric_new(a, &p->metrics[i]);
        if (r->metrics[r->n_metrics++] == NULL) return SERIN_ENOMEM;
    }
    *out = r;
    return SERIN_OK;
}

enum serin_status plan_schema(struct arena *a, const char **out)
{
    return keys_schema(a, &plan_keys, "serin rollout plan",
                       "How serin judges and moves one release.", out);
}
