/* engine/replay/mask/mask_plan.c -- a plan whose names are replaced */
#include "engine/base/condition.h"
#include "engine/base/doc.h"
#include "engine/replay/mask/mask.h"
#include "engine/replay/replan.h"

static const char removed[] = "https://removed.invalid/";

enum serin_status mask_fit(struct mask *m, const struct plan *p, struct fault *f)
{
    bool room = true;
    for (size_t i = 0; i < p->n_metrics; i++) {
        struct condition c;
        struct fault unused;
        struct strview text = strview_of(p->metrics[i].bad);
        if (text.n == 0 || condition_parse(text, &c, &unused) != SERIN_OK) continue;
        for (size_t k = 0; k < c.n_terms; k++)
            room &= mask_keep(m, c.terms[k].key);
    }
    size_t canary = p->n_cohort[0];
    for (size_t i = 0; i < canary + p->n_cohort[1]; i++) {
        const struct plan_rule *r =
            i < canary ? &p->cohort[0][i] : &p->cohort[1][i - canary];
        if ((r->kind == PATTERN_PREFIX || r->kind == PATTERN_REGEX) &&
            !mask_kept(m, strview_of(r->key)))
            return fault_set(f, SERIN_EDOM,
                             "the plan's cohorts match %s by a pattern, which another "
                             "name would not: let its values stay, --keep %s",
                             r->key, r->key);
    }
    if (!room) return fault_set(f, SERIN_EDOM, "over %d attributes to keep", MASK_KEPT);
    return SERIN_OK;
}

static bool among(const char *const *list, const char *s)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, s) == 0) return true;
    return false;
}

/* What becomes of the texts below a key. */
enum fate { STAYS, NAMED, REMOVED, COHORTS, RULES };

static enum fate fate_of(const struct mask *m, enum fate above, const char *key)
{
    static const char *const names[] = {
        "id",        "service",  "environment", "flag",   "owner",
        "approvers", "reason",   "secret_file", "target", "targets",
        "after",     "audience", NULL};
    static const char *const addresses[] = {"url", "release_notes", "rollback_plan",
                                            NULL};
    if (above == COHORTS) return RULES; /* canary, baseline */
    if (above == RULES) return mask_kept(m, strview_of(key)) ? STAYS : NAMED;
    if (above == NAMED || above == REMOVED) return above;
    if (strcmp(key, "cohorts") == 0) return COHORTS;
    if (among(names, key)) return NAMED;
    return among(addresses, key) ? REMOVED : STAYS;
}

static void put(const struct mask *m, const struct doc_node *n, enum fate fate,
                struct text *out);

static void put_scalar(const struct mask *m, const struct doc_node *n, enum fate fate,
                       struct text *out)
{
    char name[MASK_NAME];
    if (fate == STAYS || n->text[0] == '\0') {
        replan_scalar(out, n);
    } else if (fate == REMOVED) {
        text_json(out, removed);
    } else {
        mask_name(m, strview_of(n->text), name);
        text_json(out, name);
    }
}

static void put(const struct mask *m, const struct doc_node *n, enum fate fate,
                struct text *out)
{
    bool map = n->type == DOC_MAP;
    if (n->type == DOC_SCALAR) {
        put_scalar(m, n, fate, out);
        return;
    }
    text_add(out, map ? "{" : "[");
    for (size_t i = 0; i < n->n; i++) {
        text_add(out, i > 0 ? ", " : "");
        if (map) text_json(out, n->keys[i]->text);
        if (map) text_add(out, ": ");
        put(m, n->items[i], map ? fate_of(m, fate, n->keys[i]->text) : fate, out);
    }
    text_add(out, map ? "}" : "]");
}

enum serin_status mask_plan(const struct mask *m, struct strview plan, struct text *out)
{
    struct arena a = {0};
    struct doc_node *root = NULL;
    struct doc_errors errors = {.arena = &a};
    enum serin_status rc = doc_parse(&a, plan.p, plan.n, &root, &errors);
    if (rc == SERIN_OK) {
        put(m, root, STAYS, out);
        text_add(out, "\n");
        if (out->failed) rc = SERIN_ENOMEM;
    }
    arena_free(&a);
    return rc;
}
