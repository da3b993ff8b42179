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
    if (n->type == DOC_SCALAR && plain(n)) {
        text_add(t, "%s", n->text);
    } else if (n->type == DOC_SCALAR) {
        text_json(t, n->text);
    } else {
        text_add(t, n->type == DOC_MAP ? "{" : "[");
        put_members(t, n, NULL);
        text_add(t, n->type == DOC_MAP ? "}" : "]");
    }
}

static void put_metrics(struct text *t, const struct doc_node *list, const double *phi)
{
    static const char *const no[] = {"phi", NULL};
    for (size_t i = 0; i < list->n; i++) {
        text_add(t, i > 0 ? ", {" : "{");
        put_members(t, list->items[i], phi[i] > 0 ? no : NULL);
        if (phi[i] > 0) text_add(t, ", \"phi\": %.6g", phi[i]);
        text_add(t, "}");
    }
}

enum serin_status replan(struct arena *a, const char *text, size_t n,
                         const struct replan *change, const char **out)
{
    struct text t = {0};
    struct doc_node *root = NULL;
    struct doc_errors errors = {.arena = a};
    const char *no[8] = {NULL};
    size_t k = 0;
    enum serin_status rc = doc_parse(a, text, n, &root, &errors);
    if (rc != SERIN_OK) return rc;
    const struct doc_node *metrics = doc_get(root, "metrics");
    if (change->id != NULL) no[k++] = "id";
    if (change->unchecked) no[k++] = "sample_ratio";
    if (change->calibrate != NULL) no[k++] = "calibrate";
    if (change->window != NULL) no[k++] = "window";
    if (change->phi != NULL && metrics != NULL) no[k++] = "metrics";
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
    if (change->phi != NULL && metrics != NULL) {
        text_add(&t, ", \"metrics\": [");
        put_metrics(&t, metrics, change->phi);
        text_add(&t, "]");
    }
    text_add(&t, "}\n");
    *out = text_keep(&t, a);
    text_free(&t);
    return *out != NULL ? SERIN_OK : SERIN_ENOMEM;
}
