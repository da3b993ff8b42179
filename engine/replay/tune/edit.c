/* engine/replay/tune/edit.c -- the tree of the document says where a value begins;
 * where it ends is found in the text */
#include "engine/replay/tune/edit.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/doc.h"
#include "engine/base/strview.h"
#include "engine/base/text.h"

struct edit {
    const char *text, *path;
    struct fault *f;
};

static const char *place(const struct edit *e, const struct doc_node *n)
{
    const char *p = e->text;
    for (unsigned line = 1; line < n->line && *p != '\0'; p++)
        line += *p == '\n';
    for (unsigned column = 1; column < n->column && *p != '\0'; column++)
        do
            p++;
        while ((*p & 0xc0) == 0x80);
    return p;
}

/* Behind the quoted text that begins at p; NULL: it does not end. */
static const char *past_quotes(const char *p)
{
    char quote = *p++;
    for (; *p != '\0'; p++) {
        if (quote == '"' && *p == '\\' && p[1] != '\0')
            p++;
        else if (*p == quote && quote == '\'' && p[1] == quote)
            p++;
        else if (*p == quote)
            return p + 1;
    }
    return NULL;
}

static bool begins_word(const char *from, const char *p)
{
    return p == from || strchr(" \t\n,[{:", p[-1]) != NULL;
}

/* Behind the brackets that begin at p. */
static const char *past_brackets(const char *p)
{
    const char *from = p;
    int depth = 0;
    while (p != NULL && *p != '\0') {
        if ((*p == '"' || *p == '\'') && begins_word(from, p)) {
            p = past_quotes(p);
            continue;
        }
        if (*p == '#' && begins_word(from, p)) p += strcspn(p, "\n");
        if (*p == '{' || *p == '[') depth++;
        if ((*p == '}' || *p == ']') && --depth == 0) return p + 1;
        if (*p != '\0') p++;
    }
    return NULL;
}

/* Behind a value; NULL where only a parser could tell. */
static const char *end_of(const struct edit *e, const struct doc_node *n)
{
    const char *p = place(e, n);
    if (*p == '{' || *p == '[') return past_brackets(p);
    if (n->type != DOC_SCALAR) return NULL;
    if (*p == '"' || *p == '\'') return past_quotes(p);
    size_t len = strlen(n->text);
    return strncmp(p, n->text, len) == 0 ? p + len : NULL;
}

/* ---------------------------------------------------------------- the path */

/* The next part of a path: a key, or what is in brackets. */
static struct strview next_part(const char **path, bool *item)
{
    const char *p = *path;
    *item = *p == '[';
    if (*p == '[' || *p == '.') p++;
    size_t n = strcspn(p, *item ? "]" : ".[");
    *path = p + n + (*item && p[n] == ']');
    return (struct strview){p, n};
}

static bool named(const struct doc_node *n, struct strview name)
{
    const struct doc_node *own = doc_get(n, "name");
    return own != NULL && own->type == DOC_SCALAR &&
           strview_eq(strview_of(own->text), name);
}

static struct doc_node *item_of(const struct doc_node *list, struct strview which)
{
    char *end;
    if (list->type != DOC_LIST) return NULL;
    for (size_t i = 0; i < list->n; i++)
        if (named(list->items[i], which)) return list->items[i];
    unsigned long k = strtoul(which.p, &end, 10);
    bool number = end == which.p + which.n && which.n > 0;
    return number && k >= 1 && k <= list->n ? list->items[k - 1] : NULL;
}

static struct doc_node *member_of(const struct doc_node *map, struct strview key)
{
    for (size_t i = 0; map->type == DOC_MAP && i < map->n; i++)
        if (strview_eq(strview_of(map->keys[i]->text), key)) return map->items[i];
    return NULL;
}

/* ---------------------------------------------------------------- what is written */

static enum serin_status refuse(const struct edit *e)
{
    return fault_set(e->f, SERIN_EDOM,
                     "%s cannot be changed where it stands: write that value, or the "
                     "map that it belongs to, on one line",
                     e->path);
}

static enum serin_status splice(const struct edit *e, struct text *t, const char *from,
                                const char *to)
{
    struct text whole = {0};
    text_bytes(&whole, e->text, (size_t)(from - e->text));
    text_bytes(&whole, t->p, t->n);
    text_add(&whole, "%s", to);
    bool failed = t->failed || whole.failed;
    text_free(t);
    *t = whole;
    return failed ? SERIN_ENOMEM : SERIN_OK;
}

/* "key: value" with the rest of the path as maps around the value. */
static enum serin_status put_member(struct edit *e, struct text *t, struct strview key,
                                    const char *rest, const char *value)
{
    size_t open = 0;
    text_add(t, "%.*s: ", (int)key.n, key.p);
    while (*rest != '\0') {
        bool item;
        struct strview k = next_part(&rest, &item);
        if (item)
            return fault_set(e->f, SERIN_ENOENT, "%s: the plan writes no such list",
                             e->path);
        text_add(t, "{%.*s: ", (int)k.n, k.p);
        open++;
    }
    text_add(t, "%s", value);
    while (open-- > 0)
        text_add(t, "}");
    return SERIN_OK;
}

/* Into a map in braces: before the closing one. */
static enum serin_status add_inside(struct edit *e, const struct doc_node *map,
                                    struct text *t)
{
    struct text whole = {0};
    const char *end = past_brackets(place(e, map));
    if (end == NULL) return refuse(e);
    for (end--; end > e->text && isspace((unsigned char)end[-1]);)
        end--;
    text_add(&whole, "%s%s", map->n > 0 ? ", " : "", t->p != NULL ? t->p : "");
    text_free(t);
    *t = whole;
    return splice(e, t, end, end);
}

/* Into a map by lines: below the first member that ends on its line. */
static enum serin_status add_below(struct edit *e, const struct doc_node *map,
                                   struct text *t)
{
    struct text whole = {0};
    const char *at = NULL;
    for (size_t i = 0; i < map->n && at == NULL; i++) {
        at = end_of(e, map->items[i]);
        if (at == NULL) continue;
        at += strcspn(at, "\n");
    }
    if (at == NULL) return refuse(e);
    text_add(&whole, "\n%*s%s", (int)map->keys[0]->column - 1, "",
             t->p != NULL ? t->p : "");
    text_free(t);
    *t = whole;
    return splice(e, t, at, at);
}

static enum serin_status add(struct edit *e, const struct doc_node *map,
                             struct strview key, const char *rest, const char *value,
                             struct text *t)
{
    if (map->type != DOC_MAP) return refuse(e);
    enum serin_status rc = put_member(e, t, key, rest, value);
    if (rc != SERIN_OK) return rc;
    if (*place(e, map) == '{') return add_inside(e, map, t);
    return map->n > 0 ? add_below(e, map, t) : refuse(e);
}

static enum serin_status replace(struct edit *e, const struct doc_node *n,
                                 const char *value, struct text *t)
{
    const char *from = place(e, n), *to = end_of(e, n);
    if (to == NULL) return refuse(e);
    text_add(t, "%s", value);
    return splice(e, t, from, to);
}

static enum serin_status set(struct edit *e, const struct doc_node *root,
                             const char *value, struct text *t)
{
    const struct doc_node *at = root;
    const char *rest = e->path;
    while (*rest != '\0') {
        bool item;
        struct strview part = next_part(&rest, &item);
        const struct doc_node *next = item ? item_of(at, part) : member_of(at, part);
        if (next == NULL && item)
            return fault_set(e->f, SERIN_ENOENT, "%s: there is no item \"%.*s\"",
                             e->path, (int)part.n, part.p);
        if (next == NULL) return add(e, at, part, rest, value, t);
        at = next;
    }
    return replace(e, at, value, t);
}

enum serin_status edit_set(struct arena *a, const char *text, const char *path,
                           const char *value, const char **out, struct fault *f)
{
    struct doc_node *root = NULL;
    struct doc_errors errors = {.arena = a};
    struct edit e = {.text = text, .path = path, .f = f};
    struct text t = {0};
    enum serin_status rc = doc_parse(a, text, strlen(text), &root, &errors);
    if (rc != SERIN_OK)
        return fault_set(f, rc, "%s",
                         errors.n > 0 ? errors.items[0].text : status_text(rc));
    rc = set(&e, root, value, &t);
    if (rc == SERIN_OK) {
        *out = text_keep(&t, a);
        if (*out == NULL) rc = SERIN_ENOMEM;
    }
    text_free(&t);
    if (rc == SERIN_ENOMEM) fault_set(f, rc, "%s", status_text(rc));
    return rc;
}

size_t edit_items(struct arena *a, const char *text, const char *path, size_t n_path)
{
    struct doc_node *root = NULL;
    struct doc_errors errors = {.arena = a};
    const char *rest = arena_copy(a, path, n_path);
    if (rest == NULL || doc_parse(a, text, strlen(text), &root, &errors) != SERIN_OK)
        return 0;
    const struct doc_node *at = root;
    while (at != NULL && *rest != '\0') {
        bool item;
        struct strview part = next_part(&rest, &item);
        at = item ? item_of(at, part) : member_of(at, part);
    }
    return at != NULL && at->type == DOC_LIST ? at->n : 0;
}
