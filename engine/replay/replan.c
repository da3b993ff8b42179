/* engine/replay/replan.c */
#include "engine/replay/replan.h"

#include <string.h>

#include "engine/base/doc.h"
#include "engine/base/text.h"

/* Plain words and numbers stay plain, everything else becomes a string. */
static bool plain(const struct doc_node *n)
{
    static const char *const words[] = {"true", "false", "null", "~"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(n->text, words[i]) == 0) return !n->quoted;
    return !n->quoted && n->text[0] != '\0' &&
           n->text[strspn(n->text, "0123456789+-.eE_")] == '\0';
}

void replan_scalar(struct text *t, const struct doc_node *n)
{
    if (plain(n))
        text_add(t, "%s", n->text);
    else
        text_json(t, n->text);
}

static void put(struct text *t, const struct doc_node *n);

static void put_members(struct text *t, const struct doc_node *n, const char *const *no)
{
    const char *comma = "";
    for (size_t i = 0; i < n->n; i++) {
        bool left_out = false;
        for (size_t k = 0; no != NULL && no[k] != NULL; k++)
            left_out |= n->type == DOC_MAP && strcmp(n->keys[i]->text, no[k]) == 0;
        if (left_out) continue;
        text_add(t, "%s", comma);
        comma = ", ";
        if (n->type == DOC_MAP) {
            text_json(t, n->keys[i]->text);
            text_add(t, ": ");
        }
        put(t, n->items[i]);
    }
}

static void put(struct text *t, const struct doc_node *n)
{
    if (n->type == DOC_SCALAR) {
        replan_scalar(t, n);
    } else {
        text_add(t, n->type == DOC_MAP ? "{" : "[");
        put_members(t, n, NULL);
        text_add(t, n->type == DOC_MAP ? "}" : "]");
    }
}

/* A list of maps without some of their members. */
static void put_list(struct text *t, const struct doc_node *list, const char *const *no)
{
    text_add(t, "[");
    for (size_t i = 0; i < list->n; i++) {
        text_add(t, i > 0 ? ", {" : "{");
        put_members(t, list->items[i], no);
        text_add(t, "}");
    }
    text_add(t, "]");
}

static void put_metrics(struct text *t, const struct doc_node *list,
                        const struct replan *change)
{
    static const char *const no[] = {"phi", NULL};
    for (size_t i = 0; i < list->n; i++) {
        double phi = change->phi != NULL ? change->phi[i] : 0;
        text_add(t, i > 0 ? ", {" : "{");
        put_members(t, list->items[i], phi > 0 || change->fresh ? no : NULL);
        if (phi > 0) text_add(t, ", \"phi\": %.6g", phi);
        text_add(t, "}");
    }
}

/* The criteria without the names of checks. */
static void put_criteria(struct text *t, const struct doc_node *n,
                         const struct doc_node *checks)
{
    const char *comma = "";
    text_add(t, "{");
    for (size_t i = 0; i < n->n; i++) {
        const struct doc_node *names = n->items[i];
        size_t left = 0;
        for (size_t k = 0; k < names->n; k++)
            left += doc_get(checks, names->items[k]->text) == NULL;
        if (names->type == DOC_LIST && left == 0) continue;
        text_add(t, "%s", comma);
        text_json(t, n->keys[i]->text);
        text_add(t, ": ");
        comma = ", ";
        if (names->type != DOC_LIST) {
            put(t, names);
            continue;
        }
        text_add(t, "[");
        for (size_t k = 0, said = 0; k < names->n; k++) {
            if (doc_get(checks, names->items[k]->text) != NULL) continue;
            text_add(t, "%s", said++ > 0 ? ", " : "");
            put(t, names->items[k]);
        }
        text_add(t, "]");
    }
    text_add(t, "}");
}

/* What stands alone: nobody is asked, nothing is waited for. */
static void put_alone(struct text *t, const struct doc_node *root)
{
    static const char *const no[] = {"gate", NULL};
    const struct doc_node *steps = doc_get(root, "steps");
    const struct doc_node *criteria = doc_get(root, "criteria");
    const struct doc_node *experiment = doc_get(root, "experiment");
    if (steps != NULL && steps->type == DOC_LIST) {
        text_add(t, ", \"steps\": ");
        put_list(t, steps, no);
    }
    if (experiment != NULL && experiment->type == DOC_MAP) {
        text_add(t, ", \"experiment\": {");
        put_members(t, experiment, no);
        text_add(t, "}");
    }
    if (criteria != NULL && criteria->type == DOC_MAP) {
        text_add(t, ", \"criteria\": ");
        put_criteria(t, criteria, doc_get(root, "checks"));
    }
}

/* Keys of the plan that the change writes anew, or leaves out. */
static void replaced(const struct replan *change, bool metrics, const char **no)
{
    static const char *const waits[] = {"schedule", "after",    "gates",     "checks",
                                        "steps",    "criteria", "experiment"};
    size_t k = 0;
    if (change->id != NULL) no[k++] = "id";
    if (change->unchecked) no[k++] = "sample_ratio";
    if (change->calibrate != NULL) no[k++] = "calibrate";
    if (change->window != NULL) no[k++] = "window";
    if (metrics) no[k++] = "metrics";
    for (size_t i = 0; change->alone && i < sizeof waits / sizeof *waits; i++)
        no[k++] = waits[i];
}

enum serin_status replan(struct arena *a, const char *text, size_t n,
                         const struct replan *change, const char **out)
{
    struct text t = {0};
    struct doc_node *root = NULL;
    struct doc_errors errors = {.arena = a};
    const char *no[16] = {NULL};
    enum serin_status rc = doc_parse(a, text, n, &root, &errors);
    if (rc != SERIN_OK) return rc;
    const struct doc_node *metrics = doc_get(root, "metrics");
    bool anew = (change->phi != NULL || change->fresh) && metrics != NULL;
    replaced(change, anew, no);
    text_add(&t, "{");
    put_members(&t, root, no);
    if (change->id != NULL) {
        text_add(&t, ", \"id\": ");
        text_json(&t, change->id);
    }
    if (change->unchecked) text_add(&t, ", \"sample_ratio\": {\"check\": false}");
    if (change->calibrate != NULL)
        text_add(&t, ", \"calibrate\": \"%s\"", change->calibrate);
    if (change->window != NULL) text_add(&t, ", \"window\": \"%s\"", change->window);
    if (change->alone) put_alone(&t, root);
    if (anew) {
        text_add(&t, ", \"metrics\": [");
        put_metrics(&t, metrics, change);
        text_add(&t, "]");
    }
    text_add(&t, "}\n");
    *out = text_keep(&t, a);
    text_free(&t);
    return *out != NULL ? SERIN_OK : SERIN_ENOMEM;
}
