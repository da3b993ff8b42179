/* engine/core/plan_steps.c */
#include "engine/core/plan_steps.h"

#include <math.h>
#include <string.h>

#include "engine/core/plan_keys.h"

/* ---- defaults */
enum serin_status plan_steps_default(struct arena *a, struct doc_node *root)
{
    struct doc_errors none = {0};
    struct doc_node *steps, *key = arena_alloc(a, sizeof *key);
    if (root->type != DOC_MAP || doc_get(root, "steps") != NULL) return SERIN_OK;
    const struct doc_node *strategy = doc_get(root, "strategy");
    bool once = strategy != NULL && strategy->type == DOC_SCALAR &&
                strcmp(strategy->text, plan_keys_strategies[PLAN_BLUE_GREEN]) == 0;
    const char *text = once ? plan_keys_switch_steps : plan_keys_default_steps;
    enum serin_status rc = doc_parse(a, text, strlen(text), &steps, &none);
    if (rc != SERIN_OK) return rc;
    struct doc_node **keys = arena_alloc(a, (root->n + 1) * sizeof *keys);
    struct doc_node **items = arena_alloc(a, (root->n + 1) * sizeof *items);
    if (key == NULL || keys == NULL || items == NULL) return SERIN_ENOMEM;
    *key = (struct doc_node){.type = DOC_SCALAR, .text = "steps"};
    if (root->n != 0) {
        memcpy(keys, root->keys, root->n * sizeof *keys);
        memcpy(items, root->items, root->n * sizeof *items);
    }
    keys[root->n] = key;
    items[root->n] = steps;
    for (size_t i = 0; i < steps->n; i++)
        steps->items[i]->line = 0;
    root->keys = keys;
    root->items = items;
    root->n++;
    return SERIN_OK;
}

bool plan_steps_weighs(const struct plan_step *s, const struct doc_node *written)
{
    return s->kind == PLAN_STEP_WEIGHT && doc_get(written, "audience") == NULL;
}

/* Nothing to compare with: no baseline is left, none is of the same segment, or nobody
 * asks. */
static bool compared(const struct plan_step *s)
{
    bool segments_only = s->kind == PLAN_STEP_WEIGHT && s->weight_bp == 0;
    return s->weight_bp < 10000 && s->kind != PLAN_STEP_PAUSE && !segments_only;
}

static void inherit(struct plan_step *s, const struct plan_step *before,
                    const struct doc_node *written)
{
    static const struct plan_step none;
    if (before == NULL) before = &none;
    bool still = s->kind == PLAN_STEP_ANALYSIS || s->kind == PLAN_STEP_PAUSE;
    if (s->kind != PLAN_STEP_WEIGHT || doc_get(written, "weight") == NULL)
        s->weight_bp = before->weight_bp;
    if (s->n_audience == 0) {
        s->audience = before->audience;
        s->n_audience = before->n_audience;
    }
    if (s->kind != PLAN_STEP_MIRROR) s->mirror_bp = 0;
    if (still && doc_get(written, "warmup") == NULL) s->warmup_ms = 0;
}

void plan_steps_fill(struct plan *p, const struct doc_node *root)
{
    const struct doc_node *list = doc_get(root, "steps");
    double before = INFINITY;
    for (size_t i = 0; i < p->n_steps; i++) {
        struct plan_step *s = &p->steps[i];
        const struct doc_node *written = list->items[i];
        s->line = written->line;
        inherit(s, i > 0 ? &p->steps[i - 1] : NULL, written);
        if (s->weight_bp < 10000) s->watch_ms = 0;
        if (!compared(s)) {
            s->worse_than = NAN;
            if (s->weight_bp == 10000 || s->kind == PLAN_STEP_PAUSE)
                s->bake_ms = s->timeout_ms = 0;
            continue;
        }
        /* What comes after a preview is everybody. */
        bool whole = p->strategy == PLAN_BLUE_GREEN;
        if (s->worse_than == 0)
            s->worse_than = plan_keys_tolerance(whole ? 9999 : s->weight_bp);
        if (doc_get(written, "worse_than") == NULL)
            s->worse_than = fmin(s->worse_than, before);
        before = s->worse_than;
    }
}

size_t plan_steps_last_judged(const struct plan *p)
{
    size_t i = p->n_steps;
    while (i > 0 && !(p->steps[i - 1].worse_than > 1))
        i--;
    return i;
}

/* ---- checks */
struct look {
    const struct plan *p;
    const struct plan_step *s;
    size_t i;
    const struct doc_node *node;
    struct doc_errors *errors;
};

/* Keys that mean nothing for a kind are refused: silence would look like consent. */
static void look_keys(const struct look *l)
{
    enum {
        W = 1 << PLAN_STEP_WEIGHT,
        A = 1 << PLAN_STEP_ANALYSIS,
        M = 1 << PLAN_STEP_MIRROR,
        V = 1 << PLAN_STEP_PREVIEW,
        P = 1 << PLAN_STEP_PAUSE
    };
    static const struct {
        const char *key, *belongs;
        unsigned kinds;
    } keys[] = {{"weight", "weight", W},
                {"audience", "weight", W},
                {"share", "mirror", M},
                {"for", "pause", P},
                {"worse_than", "weight, analysis_only, mirror, preview", W | A | M | V},
                {"bake", "weight, analysis_only, mirror, preview", W | A | M | V},
                {"timeout", "weight, analysis_only, mirror, preview", W | A | M | V}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct doc_node *at = doc_get(l->node, keys[i].key);
        if (at == NULL || (keys[i].kinds & 1u << l->s->kind) != 0) continue;
        doc_error_add(l->errors, at, "%s: belongs to a step of kind %s, not to %s",
                      keys[i].key, keys[i].belongs, plan_keys_step_kinds[l->s->kind]);
    }
    if (plan_steps_weighs(l->s, l->node) && doc_get(l->node, "weight") == NULL)
        doc_error_add(l->errors, l->node,
                      "steps: \"weight\" is missing: share of traffic that the canary "
                      "gets in this step, e.g. 5%%");
}

static void look_strategy(const struct look *l)
{
    bool last = l->i + 1 == l->p->n_steps;
    enum plan_strategy strategy = l->p->strategy;
    const struct doc_node *kind = doc_get(l->node, "kind"),
                          *weight = doc_get(l->node, "weight");
    if (strategy == PLAN_BLUE_GREEN && l->s->kind == PLAN_STEP_WEIGHT && !last &&
        weight != NULL)
        doc_error_add(l->errors, weight,
                      "weight: blue_green switches all traffic at once; before the "
                      "last step, 100%%, it takes {kind: preview}, {kind: mirror} and "
                      "{kind: pause}");
    if (strategy != PLAN_BLUE_GREEN && l->s->kind == PLAN_STEP_PREVIEW)
        doc_error_add(l->errors, kind,
                      "kind: preview belongs to strategy: blue_green; its traffic is "
                      "no fair sample to carry on to weights");
    if (strategy == PLAN_FLAG && l->s->kind == PLAN_STEP_MIRROR)
        doc_error_add(
            l->errors, kind,
            "kind: mirror copies requests, which a flag cannot; leave it out");
    if (l->s->kind == PLAN_STEP_ANALYSIS && l->s->weight_bp == 0)
        doc_error_add(
            l->errors, kind,
            "kind: analysis_only judges on at the weight before it, and there "
            "is none; begin with a weight, a mirror or a preview");
}

static bool has(const struct plan_step *s, const char *segment)
{
    for (size_t i = 0; i < s->n_audience; i++)
        if (strcmp(s->audience[i], segment) == 0) return true;
    return false;
}

/* Whoever has the canary keeps it while it grows. */
static void look_audience(const struct look *l)
{
    const struct doc_node *at = doc_get(l->node, "audience");
    if (at == NULL || doc_error_at(l->errors, at) || l->s->kind != PLAN_STEP_WEIGHT)
        return;
    if (l->p->strategy != PLAN_FLAG) {
        doc_error_add(l->errors, at,
                      "audience: belongs to strategy: flag; other strategies cannot "
                      "tell users apart");
        return;
    }
    for (size_t i = 0; l->i > 0 && i < l->p->steps[l->i - 1].n_audience; i++)
        if (!has(l->s, l->p->steps[l->i - 1].audience[i]))
            doc_error_add(l->errors, at,
                          "audience: leaves out \"%.60s\" of an earlier step; segments "
                          "are only added, so that nobody loses the canary",
                          l->p->steps[l->i - 1].audience[i]);
    if (l->p->n_strata == 0)
        doc_error_add(l->errors, at,
                      "audience: its users are no fair sample of all; name the "
                      "attribute that tells segments apart in strata, e.g. strata: "
                      "[user.segment], so that they are compared with nobody else");
}

void plan_steps_check(const struct plan *p, const struct doc_node *root,
                      struct doc_errors *errors)
{
    const struct doc_node *list = doc_get(root, "steps");
    for (size_t i = 0; i < p->n_steps; i++) {
        struct look l = {p, &p->steps[i], i, list->items[i], errors};
        const struct doc_node *kind = doc_get(l.node, "kind");
        if (l.node->type != DOC_MAP || (kind != NULL && doc_error_at(errors, kind)))
            continue;
        look_keys(&l);
        look_strategy(&l);
        look_audience(&l);
    }
    if (p->n_steps >= 2 && plan_steps_last_judged(p) == 0 && errors->total == 0)
        doc_error_add(
            errors, list,
            "steps: none of them compares the canary with the baseline; put "
            "a weight below 100%%, a mirror or a preview before the last one");
    if (p->strategy == PLAN_FLAG && *p->flag == '\0')
        doc_error_add(errors, doc_get(root, "strategy"),
                      "strategy: flag needs the flag's key; write e.g. flag: new-cart");
}
