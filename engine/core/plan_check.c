/* engine/core/plan_check.c -- checks across keys. A value that already has an error of
 * its own is passed over, so that one mistake gives one message. */
#include "engine/core/plan_check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/condition.h"
#include "engine/core/plan_cohorts.h"
#include "engine/core/plan_keys.h"
#include "engine/core/plan_steps.h"
#include "stats/dispersion.h"
#include "stats/random_effect.h"

struct check {
    const struct plan *p;
    const struct doc_node *root;
    struct doc_errors *errors;
};

enum {
    BIT_RATIO = 1 << PLAN_RATIO,
    BIT_LATENCY = 1 << PLAN_LATENCY,
    BIT_EVENTS = 1 << PLAN_EVENTS,
    BIT_GAUGE = 1 << PLAN_GAUGE,
    BIT_SATURATION = 1 << PLAN_SATURATION
};

/* The value of a key, when it is written and has no error yet; else NULL. */
static const struct doc_node *good(const struct check *c, const struct doc_node *map,
                                   const char *key)
{
    const struct doc_node *v = doc_get(map, key);
    return v != NULL && !doc_error_at(c->errors, v) ? v : NULL;
}

/* Entry i of the list or table under a top-level key; the arrays of the plan follow the
 * document, so it is there. */
static const struct doc_node *entry(const struct check *c, const char *key, size_t i)
{
    return doc_get(c->root, key)->items[i];
}

/* Where to complain about a key of a map: at its value, else at the map. */
static const struct doc_node *place(const struct doc_node *map, const char *key)
{
    const struct doc_node *v = doc_get(map, key);
    return v != NULL ? v : map;
}

/* The words whose bits are set, separated by commas. */
static void words_of(const char *const *words, unsigned bits, char out[80])
{
    int used = 0;
    out[0] = '\0';
    for (unsigned i = 0; words[i] != NULL && used < 80; i++)
        if ((bits & 1u << i) != 0)
            used += snprintf(out + used, 80 - (size_t)used, "%s%s",
                             used > 0 ? ", " : "", words[i]);
}

static void check_texts(struct check *c)
{
    static const char *const names[] = {"owner", "release_notes", "rollback_plan"};
    if (!c->p->strict) return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (doc_get(c->root, names[i]) == NULL)
            doc_error_add(c->errors, doc_get(c->root, "strict"),
                          "strict: true needs \"%s\"; add it, or drop strict",
                          names[i]);
}

/* ---- gates */
static void check_gate(struct check *c, const struct plan_gate *g,
                       const struct doc_node *node)
{
    const struct doc_node *approvers = good(c, node, "approvers");
    if (approvers == NULL) return;
    for (size_t i = 0; i < g->n_approvers; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(g->approvers[i], g->approvers[j]) == 0)
                doc_error_add(c->errors, approvers, "approvers: \"%s\" is listed twice",
                              g->approvers[i]);
    if (g->quorum > g->n_approvers && good(c, node, "quorum") != NULL)
        doc_error_add(
            c->errors, doc_get(node, "quorum"),
            "quorum: %llu of %zu approvers can never agree; lower it, or list "
            "more approvers",
            (unsigned long long)g->quorum, g->n_approvers);
}

static void check_gate_name(struct check *c, const struct doc_node *at,
                            const char *name)
{
    const char *names[PLAN_MAX_GATES + 1] = {NULL};
    for (size_t i = 0; i < c->p->n_gates; i++) {
        names[i] = c->p->gates[i].name;
        if (strcmp(names[i], name) == 0) return;
    }
    char hint[KEYS_HINT];
    keys_hint(name, names, hint);
    doc_error_add(c->errors, at, "gate: \"%s\" is not defined%s", name,
                  *hint != '\0' ? hint : "; define it under gates: with its approvers");
}

/* ---- steps */
static void percent_text(uint32_t bp, char out[16])
{
    snprintf(out, 16, "%g%%", bp / 100.0);
}

static void check_order(struct check *c, const struct doc_node *node, size_t i)
{
    const struct plan_step *now = &c->p->steps[i], *before = &c->p->steps[i - 1];
    const struct doc_node *weight = good(c, node, "weight");
    const struct doc_node *worse = good(c, node, "worse_than");
    if (weight != NULL && now->weight_bp <= before->weight_bp) {
        char text[2][16];
        percent_text(now->weight_bp, text[0]);
        percent_text(before->weight_bp, text[1]);
        doc_error_add(c->errors, weight,
                      "weight: %s does not exceed the %s before it; weights must rise",
                      text[0], text[1]);
    }
    while (i > 0 && !(c->p->steps[i - 1].worse_than > 1))
        i--;
    if (worse != NULL && i > 0 && now->worse_than > c->p->steps[i - 1].worse_than)
        doc_error_add(
            c->errors, worse,
            "worse_than: %g exceeds the %g before it; tolerances must not grow",
            now->worse_than, c->p->steps[i - 1].worse_than);
}

static void check_step_keys(struct check *c, const struct doc_node *node, bool full)
{
    static const char *const judged[] = {"worse_than", "bake", "timeout"};
    if (!full && doc_get(node, "watch") != NULL)
        doc_error_add(c->errors, doc_get(node, "watch"),
                      "watch: only the 100%% step is watched; use bake here");
    for (size_t i = 0; full && i < sizeof judged / sizeof *judged; i++)
        if (doc_get(node, judged[i]) != NULL)
            doc_error_add(c->errors, doc_get(node, judged[i]),
                          "%s: at 100%% no baseline is left to compare with; use watch",
                          judged[i]);
}

static void check_step(struct check *c, size_t i)
{
    const struct plan_step *s = &c->p->steps[i];
    const struct doc_node *node = entry(c, "steps", i);
    bool full = s->weight_bp == 10000, last = i + 1 == c->p->n_steps;
    const struct doc_node *weight = good(c, node, "weight");
    bool wanted = doc_get(node, "weight") != NULL || plan_steps_weighs(s, node);
    if (node->type != DOC_MAP || (weight == NULL && wanted)) return;
    check_step_keys(c, node, full);
    if (i > 0) check_order(c, node, i);
    if (last && !full)
        doc_error_add(c->errors, place(node, "weight"),
                      "weight: the last step must be 100%%, where the canary is only "
                      "watched; append {weight: 100%%, watch: 15m}");
    if (good(c, node, "gate") != NULL)
        check_gate_name(c, doc_get(node, "gate"), s->gate);
    if (!full && s->kind != PLAN_STEP_PAUSE &&
        s->timeout_ms < s->warmup_ms + s->bake_ms)
        doc_error_add(
            c->errors, place(node, "timeout"),
            "timeout: shorter than warmup and bake together (%lld s); the step "
            "could never pass",
            (long long)((s->warmup_ms + s->bake_ms) / 1000));
}

/* The tolerance of the last judged step; NAN when there is none. */
static double last_tolerance(const struct check *c)
{
    size_t last = plan_steps_last_judged(c->p);
    return last > 0 ? c->p->steps[last - 1].worse_than : (double)NAN;
}

/* ---- experiment */
static const struct plan_metric *primary(const struct plan *p)
{
    for (size_t i = 0; i < p->n_metrics; i++)
        if (p->metrics[i].primary) return &p->metrics[i];
    return NULL;
}

static void check_primary(struct check *c, const struct plan_metric *m,
                          const struct doc_node *node)
{
    static const char *const foreign[] = {"abort_over", "floor", "limit",
                                          "share",      "pods",  "direction"};
    if (m->kind != PLAN_RATIO && m->kind != PLAN_LATENCY)
        doc_error_add(c->errors, place(node, "kind"),
                      "%s: an experiment asks about a metric of kind ratio or latency",
                      m->name);
    if (m->kind == PLAN_LATENCY && m->n_protect != 1)
        doc_error_add(c->errors, place(node, "protect"),
                      "protect: an experiment asks about one quantile of a latency; "
                      "write e.g. protect: [p50]");
    if (m->mode != PLAN_GATE)
        doc_error_add(c->errors, doc_get(node, "mode"),
                      "mode: %s decides the experiment, so it is a gate", m->name);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (doc_get(node, foreign[i]) != NULL)
            doc_error_add(
                c->errors, doc_get(node, foreign[i]),
                "%s: %s decides the experiment and never aborts it; guard it by "
                "another metric, which may come from the same stream",
                foreign[i], m->name);
}

static void check_question(struct check *c, const struct doc_node *section)
{
    const struct plan *p = c->p;
    const struct doc_node *at = good(c, section, "metric");
    const struct plan_metric *m = primary(p);
    const char *names[PLAN_MAX_METRICS + 1] = {NULL};
    char hint[KEYS_HINT];
    for (size_t i = 0; i < p->n_metrics; i++) {
        names[i] = p->metrics[i].name;
        if (m != &p->metrics[i]) continue;
        const struct doc_node *node = entry(c, "metrics", i);
        if (node->type == DOC_MAP) check_primary(c, m, node);
    }
    if (m != NULL || p->n_metrics == 0) return;
    if (at != NULL)
        doc_error_add(c->errors, at, "metric: no metric is named \"%.60s\"%s",
                      p->experiment.metric,
                      keys_hint(p->experiment.metric, names, hint));
    else if (doc_get(section, "metric") == NULL)
        doc_error_add(c->errors, section,
                      "experiment: \"metric\" is missing: the name of the metric that "
                      "the question is about, since there are %zu",
                      p->n_metrics);
}

static void check_experiment(struct check *c)
{
    const struct doc_node *section = doc_get(c->root, "experiment");
    const struct doc_node *steps = doc_get(c->root, "steps");
    const struct doc_node *strategy = doc_get(c->root, "strategy");
    bool given = steps != NULL && steps->n != 0 && steps->items[0]->line != 0;
    if (c->p->strategy != PLAN_EXPERIMENT) {
        if (section != NULL &&
            (strategy == NULL || good(c, c->root, "strategy") != NULL))
            doc_error_add(c->errors, section,
                          "experiment: belongs to strategy: experiment; add that, or "
                          "leave it out");
        return;
    }
    if (section == NULL)
        doc_error_add(c->errors, strategy,
                      "strategy: experiment needs the section experiment, e.g. "
                      "experiment: {metric: conversion, better: up}");
    if (given)
        doc_error_add(c->errors, steps,
                      "steps: an experiment has one weight, experiment.weight; leave "
                      "the steps out");
    const struct doc_node *all_of = doc_get(doc_get(c->root, "criteria"), "all_of");
    if (all_of != NULL)
        doc_error_add(c->errors, all_of,
                      "all_of: is about promotion; an experiment ends by its metric");
    if (section == NULL || section->type != DOC_MAP) return;
    if (good(c, section, "gate") != NULL)
        check_gate_name(c, doc_get(section, "gate"), c->p->experiment.gate);
    check_question(c, section);
}

/* ---- metrics */
static void check_hang(struct check *c, const struct plan_metric *m,
                       const struct doc_node *node)
{
    double last = last_tolerance(c);
    if (m->mode != PLAN_GATE || !(m->abort_over >= last)) return;
    const struct doc_node *at = doc_get(node, "abort_over");
    if (at == NULL && doc_get(c->root, "steps") != NULL)
        at = doc_get(entry(c, "steps", plan_steps_last_judged(c->p) - 1), "worse_than");
    if (at == NULL) at = node;
    if (doc_error_at(c->errors, at)) return;
    doc_error_add(
        c->errors, at,
        "abort_over %g of %s must be below %g, the worse_than of the last judged "
        "step; a canary between them could neither abort nor promote",
        m->abort_over, m->name, last);
}

static void check_phi(struct check *c, const struct plan_metric *m,
                      const struct doc_node *node)
{
    if (c->p->calibrate_ms == 0 && good(c, c->root, "calibrate") != NULL &&
        doc_get(node, "phi") == NULL)
        doc_error_add(
            c->errors, node,
            "metric %s needs phi, because calibrate is skip; write e.g. phi: 1.3 "
            "or let it be calibrated",
            m->name);
}

/* Keys that mean nothing for a kind are refused: silence would look like consent. */
static void check_foreign(struct check *c, const struct plan_metric *m,
                          const struct doc_node *node)
{
    enum {
        R = BIT_RATIO,
        L = BIT_LATENCY,
        E = BIT_EVENTS,
        G = BIT_GAUGE,
        S = BIT_SATURATION
    };
    static const struct {
        const char *key;
        unsigned kinds;
    } keys[] = {{"protect", L},
                {"too_good", R | L},
                {"floor", R},
                {"limit", R | L | S},
                {"pods", R},
                {"exposure", E},
                {"batch", G | S},
                {"bound", S},
                {"phi", R | L | E | S},
                {"direction", R | L | E | G}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct doc_node *at = doc_get(node, keys[i].key);
        char list[80] = "";
        if (at == NULL || (keys[i].kinds & 1u << m->kind) != 0) continue;
        words_of(plan_keys_kinds, keys[i].kinds, list);
        doc_error_add(c->errors, at, "%s: belongs to kind %s, not to %s", keys[i].key,
                      list, plan_keys_kinds[m->kind]);
    }
}

static void check_direction(struct check *c, const struct plan_metric *m,
                            const struct doc_node *node)
{
    const struct doc_node *at = good(c, node, "direction");
    const struct doc_node *good_at = doc_get(node, "too_good");
    if (at == NULL || m->direction == PLAN_UP) return;
    if (m->kind == PLAN_LATENCY && good_at != NULL)
        doc_error_add(c->errors, good_at,
                      "too_good: with direction: %s faster is harm already; leave "
                      "too_good out, abort_over is the tolerance",
                      plan_keys_directions[m->direction]);
    if (m->kind != PLAN_LATENCY && m->direction == PLAN_BOTH)
        doc_error_add(c->errors, at,
                      "direction: both is two questions; write two metrics with the "
                      "same `from: {metric: %.60s}`, one up and one down",
                      m->from);
}

static void check_pods(struct check *c, const struct plan_metric *m,
                       const struct doc_node *node)
{
    const struct plan_pods *p = &m->pods;
    const struct doc_node *at = good(c, node, "pods");
    double tau = random_effect_tau(p->spread, (double)p->canary, (double)p->baseline);
    if (at == NULL || p->canary == 0 || p->baseline == 0 || !(p->spread > 0)) return;
    if (tau < RANDOM_EFFECT_TAU_MIN)
        doc_error_add(c->errors, at,
                      "pods: their luck averages out to a spread of %.2g, below %g; "
                      "leave pods out, the dispersion covers it",
                      tau, RANDOM_EFFECT_TAU_MIN);
    if (tau > RANDOM_EFFECT_TAU_MAX)
        doc_error_add(
            c->errors, at,
            "pods: their luck alone is a spread of %.2g, above %g; use more "
            "pods, or leave pods out and raise abort_over to %.2g or more",
            tau, RANDOM_EFFECT_TAU_MAX,
            exp(sqrt(-2 * log(2 * c->p->alpha)) * tau)); /* P(luck) <= alpha */
}

static void check_limit_rate(struct check *c, const struct plan_metric *m,
                             const struct doc_node *limit)
{
    if (limit != NULL && limit->type == DOC_MAP)
        doc_error_add(c->errors, limit,
                      "limit: of %s is one rate such as 1%%, not quantiles",
                      m->kind == PLAN_RATIO ? "a ratio" : "saturation");
}

static void check_ratio(struct check *c, const struct plan_metric *m,
                        const struct doc_node *node)
{
    const struct doc_node *limit = good(c, node, "limit");
    check_limit_rate(c, m, limit);
    if (limit != NULL && limit->type == DOC_SCALAR && good(c, node, "floor") != NULL &&
        m->floor >= m->limit)
        doc_error_add(c->errors, doc_get(node, "floor"),
                      "floor: %g is not below the limit %g; nothing could be judged "
                      "between them",
                      m->floor, m->limit);
    if (m->direction == PLAN_DOWN && good(c, node, "floor") != NULL)
        doc_error_add(c->errors, doc_get(node, "floor"),
                      "floor: has no meaning where fewer is worse; leave it out");
    check_pods(c, m, node);
    check_phi(c, m, node);
    check_hang(c, m, node);
}

static void check_saturation(struct check *c, const struct plan_metric *m,
                             const struct doc_node *node)
{
    if (!m->has_bound)
        doc_error_add(c->errors, node,
                      "metric %s: saturation needs a bound; write e.g. bound: 0.9",
                      m->name);
    check_limit_rate(c, m, good(c, node, "limit"));
    check_phi(c, m, node);
    check_hang(c, m, node);
    int64_t needed_ms = DISPERSION_MIN_WINDOWS * m->batch_ms;
    if (m->phi >= 1 || doc_get(node, "phi") != NULL || c->p->calibrate_ms == 0 ||
        c->p->calibrate_ms >= needed_ms)
        return;
    doc_error_add(
        c->errors, node,
        "metric %s: %d batches of %lld s do not fit into calibrate; write phi: 1 "
        "if a batch is ten times as long as a pod stays saturated, or "
        "calibrate: %lldm",
        m->name, DISPERSION_MIN_WINDOWS, (long long)(m->batch_ms / 1000),
        (long long)((needed_ms + 59999) / 60000));
}

static void check_events(struct check *c, const struct plan_metric *m,
                         const struct doc_node *node)
{
    const struct doc_node *at = good(c, node, "exposure");
    if (at != NULL && at->type == DOC_SCALAR && m->exposure_metric < 0)
        doc_error_add(
            c->errors, at,
            "exposure: \"%.60s\" is no ratio or latency of this plan; name one, "
            "or give fixed pods: {canary: 2, baseline: 20}",
            m->exposure);
    else if (at == NULL && doc_get(node, "exposure") == NULL && m->exposure_metric < 0)
        doc_error_add(c->errors, node,
                      "metric %s: events need an exposure: a ratio or latency of mode "
                      "gate in this plan, or exposure: {canary: 2, baseline: 20} pods",
                      m->name);
    check_phi(c, m, node);
    check_hang(c, m, node);
}

static void check_latency(struct check *c, const struct plan_metric *m,
                          const struct doc_node *node)
{
    const struct doc_node *limit = good(c, node, "limit");
    double scale;
    if (limit != NULL && limit->type != DOC_MAP)
        doc_error_add(c->errors, limit,
                      "limit: of a latency is a map of quantiles, e.g. {p99: 800ms}");
    if (!plan_unit(m->unit, &scale))
        doc_error_add(c->errors, place(doc_get(node, "from"), "unit"),
                      "unit: \"%.16s\" is none of ns, us, ms, s, min, h", m->unit);
    check_phi(c, m, node);
}

static void check_users(struct check *c, const struct plan_metric *m,
                        const struct doc_node *node)
{
    const struct doc_node *key = doc_get(doc_get(node, "from"), "user_key");
    bool users = m->per == PLAN_PER_USER;
    size_t n = 0;
    if (users && m->kind != PLAN_RATIO)
        doc_error_add(c->errors, doc_get(node, "per"),
                      "per: user belongs to kind ratio; leave it out, or write kind: "
                      "ratio");
    const struct doc_node *good_at = doc_get(node, "too_good");
    if (!users && m->kind == PLAN_RATIO && good_at != NULL)
        doc_error_add(c->errors, good_at,
                      "too_good: of a ratio it is about users who come again; add per: "
                      "user, or leave it out");
    if (!users && key != NULL && good(c, node, "per") == doc_get(node, "per"))
        doc_error_add(c->errors, key,
                      "user_key: names users, but requests are counted; add per: user");
    if (users && m->primary)
        doc_error_add(c->errors, doc_get(node, "per"),
                      "per: user cannot be the question of an experiment in this "
                      "version; ask about requests");
    for (const struct plan_metric *k = c->p->metrics; users && k <= m; k++)
        n += k->per == PLAN_PER_USER;
    if (n == PLAN_MAX_PER_USER + 1)
        doc_error_add(
            c->errors, doc_get(node, "per"),
            "per: user of more than %d metrics is too much to remember; count "
            "requests for the others",
            PLAN_MAX_PER_USER);
}

static void check_bad(struct check *c, const struct doc_node *metric)
{
    const struct doc_node *bad = good(c, doc_get(metric, "from"), "bad");
    struct condition read;
    struct fault f = {0};
    if (bad == NULL || bad->type != DOC_SCALAR) return;
    if (condition_parse(strview_of(bad->text), &read, &f) != SERIN_OK)
        doc_error_add(c->errors, bad, "bad: %s", f.text);
}

static void check_metric(struct check *c, size_t i)
{
    const struct plan_metric *m = &c->p->metrics[i];
    const struct doc_node *node = entry(c, "metrics", i);
    if (node->type != DOC_MAP || good(c, node, "name") == NULL) return;
    for (size_t j = 0; j < i; j++)
        if (strcmp(c->p->metrics[j].name, m->name) == 0)
            doc_error_add(c->errors, doc_get(node, "name"),
                          "name: \"%s\" is the name of an earlier metric, too",
                          m->name);
    check_foreign(c, m, node);
    check_direction(c, m, node);
    if (m->kind == PLAN_RATIO) check_ratio(c, m, node);
    if (m->kind == PLAN_LATENCY) check_latency(c, m, node);
    if (m->kind == PLAN_EVENTS) check_events(c, m, node);
    if (m->kind == PLAN_GAUGE) check_hang(c, m, node);
    if (m->kind == PLAN_SATURATION) check_saturation(c, m, node);
    check_bad(c, node);
    check_users(c, m, node);
    const struct doc_node *protect = good(c, node, "protect");
    for (size_t q = 0; protect != NULL && q < m->n_protect; q++) {
        const char *const *known = plan_keys_quantiles;
        while (*known != NULL && strcmp(*known, m->protect[q]) != 0)
            known++;
        if (*known == NULL)
            doc_error_add(c->errors, protect,
                          "protect: \"%s\" is none of p50, p75, p90, p95, p99, p999",
                          m->protect[q]);
    }
}

static void check_gating(struct check *c)
{
    const struct doc_node *list = doc_get(c->root, "metrics");
    for (size_t i = 0; i < c->p->n_metrics; i++)
        if (c->p->metrics[i].mode == PLAN_GATE) return;
    if (list != NULL && c->p->n_metrics > 0)
        doc_error_add(c->errors, list,
                      "no metric has mode: gate, so nothing could promote or abort");
}

/* ---- window */
static void check_window(struct check *c)
{
    const struct doc_node *window = good(c, c->root, "window");
    if (window != NULL && c->p->window_ms % 1000 != 0)
        doc_error_add(c->errors, window,
                      "window: %s is not a whole number of seconds, e.g. 1s, 2s, 10s",
                      window->text);
}

void plan_check(const struct plan *p, const struct doc_node *root,
                struct doc_errors *errors)
{
    struct check c = {p, root, errors};
    if (root->type != DOC_MAP) return;
    check_texts(&c);
    plan_cohorts_check(p, errors);
    check_window(&c);
    for (size_t i = 0; i < p->n_gates; i++)
        check_gate(&c, &p->gates[i], entry(&c, "gates", i));
    check_experiment(&c);
    for (size_t i = 0; i < p->n_steps && p->strategy != PLAN_EXPERIMENT; i++)
        check_step(&c, i);
    if (p->strategy != PLAN_EXPERIMENT) plan_steps_check(p, root, errors);
    for (size_t i = 0; i < p->n_metrics; i++)
        check_metric(&c, i);
    check_gating(&c);
}
