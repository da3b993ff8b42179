/* engine/base/keys.c -- walk a map by its table */
#include "engine/base/keys.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/keys_value.h"
#include "engine/base/strview.h"

struct reader {
    struct arena *arena;
    struct doc_errors *errors;
};

static bool is_scalar(const struct keys_key *k)
{
    return k->type <= KEYS_ENUM;
}

static void *field(void *base, size_t offset)
{
    return (char *)base + offset;
}

const char *keys_hint(const char *written, const char *const *words,
                      char out[KEYS_HINT])
{
    const char *near = NULL;
    size_t n = strlen(written);
    unsigned best = n < 4 ? 2 : n < 8 ? 3 : 4; /* exclusive */
    for (; *words != NULL; words++) {
        unsigned d = strview_distance(strview_of(written), strview_of(*words));
        if (d >= best) continue;
        best = d;
        near = *words;
    }
    *out = '\0';
    if (near != NULL) snprintf(out, KEYS_HINT, "; did you mean \"%.64s\"?", near);
    return out;
}

/* `key:` with nothing behind it, or YAML's null. */
static bool is_null(const struct doc_node *v)
{
    return v->type == DOC_SCALAR && !v->quoted &&
           (*v->text == '\0' || strcmp(v->text, "~") == 0 ||
            strcmp(v->text, "null") == 0);
}

/* One message a place: a value that the document refused already (an alias, say) is
 * passed over. */
static void wrong_shape(struct reader *r, const char *name, const struct doc_node *v,
                        const char *expects)
{
    if (doc_error_at(r->errors, v)) return;
    static const char *const found[] = {"a single value", "a list", "a map"};
    doc_error_add(r->errors, v, "%s: found %s where %s is expected", name,
                  is_null(v) ? "nothing" : found[v->type], expects);
}

static bool count_ok(struct reader *r, const struct keys_key *k,
                     const struct doc_node *v)
{
    double n = (double)v->n;
    if (n >= k->min && n <= k->max) return true;
    doc_error_add(r->errors, v, "%s: %zu given; %.0f to %.0f are expected", k->name,
                  v->n, k->min, k->max);
    return false;
}

static enum serin_status read_map(struct reader *r, const struct keys_table *t,
                                  const struct doc_node *map, const char *what,
                                  void *out);

static void read_scalar(struct reader *r, const struct keys_key *k,
                        const struct doc_node *v, void *out)
{
    char why[KEYS_WHY];
    if (v->type != DOC_SCALAR || is_null(v))
        wrong_shape(r, k->name, v, keys_value_expects(k->type));
    else if (!keys_value_read(k, v->text, v->quoted, field(out, k->offset), why))
        doc_error_add(r->errors, v, "%s: %s", k->name, why);
}

static enum serin_status keep(const struct keys_key *k, void *out, void *array,
                              size_t n)
{
    if (array == NULL) return SERIN_ENOMEM;
    memcpy(field(out, k->offset), &array, sizeof array);
    memcpy(field(out, k->count_at), &n, sizeof n);
    return SERIN_OK;
}

static bool text_ok(struct reader *r, const char *name, const struct doc_node *v)
{
    if (v->type != DOC_SCALAR || is_null(v)) {
        wrong_shape(r, name, v, keys_value_expects(KEYS_TEXT));
        return false;
    }
    size_t n = strlen(v->text);
    if (n >= 1 && n <= 1024) return true;
    doc_error_add(r->errors, v, "%s: %zu bytes long; 1 to 1024 are expected", name, n);
    return false;
}

static enum serin_status read_texts(struct reader *r, const struct keys_key *k,
                                    const struct doc_node *v, void *out)
{
    bool one = v->type == DOC_SCALAR;
    if (v->type == DOC_MAP || is_null(v)) {
        wrong_shape(r, k->name, v, keys_value_expects(k->type));
        return SERIN_OK;
    }
    if (!one && !count_ok(r, k, v)) return SERIN_OK;
    size_t n = one ? 1 : v->n, kept = 0;
    const char **texts = arena_alloc(r->arena, (n + 1) * sizeof *texts);
    for (size_t i = 0; i < n && texts != NULL; i++) {
        const struct doc_node *item = one ? v : v->items[i];
        if (text_ok(r, k->name, item)) texts[kept++] = item->text;
    }
    return keep(k, out, texts, kept);
}

static enum serin_status read_pairs(struct reader *r, const struct keys_key *k,
                                    const struct doc_node *v, void *out)
{
    if (v->type != DOC_MAP) {
        wrong_shape(r, k->name, v, keys_value_expects(k->type));
        return SERIN_OK;
    }
    if (!count_ok(r, k, v)) return SERIN_OK;
    size_t kept = 0;
    const char **texts = arena_alloc(r->arena, (2 * v->n + 1) * sizeof *texts);
    for (size_t i = 0; i < v->n && texts != NULL; i++) {
        if (!text_ok(r, v->keys[i]->text, v->items[i])) continue;
        texts[2 * kept] = v->keys[i]->text;
        texts[2 * kept++ + 1] = v->items[i]->text;
    }
    return keep(k, out, texts, kept);
}

/* KEYS_LIST and KEYS_TABLE. An item with errors keeps its place, so that item i of the
 * array is item i of the document. */
static enum serin_status read_items(struct reader *r, const struct keys_key *k,
                                    const struct doc_node *v, void *out)
{
    bool named = k->type == KEYS_TABLE;
    if (v->type != (named ? DOC_MAP : DOC_LIST)) {
        wrong_shape(r, k->name, v, keys_value_expects(k->type));
        return SERIN_OK;
    }
    if (!count_ok(r, k, v)) return SERIN_OK;
    char *items = arena_alloc(r->arena, v->n * k->sub->size);
    enum serin_status rc = keep(k, out, items, v->n);
    for (size_t i = 0; i < v->n && rc == SERIN_OK; i++) {
        void *item = items + i * k->sub->size;
        const char *what = named ? v->keys[i]->text : k->name;
        if (named) {
            const struct keys_key id = {.name = k->name, .type = KEYS_ID};
            const char **name = field(item, k->name_at);
            *name = v->keys[i]->text;
            struct doc_node key = *v->keys[i];
            const char *checked;
            read_scalar(r, &id, &key, &checked);
        }
        rc = read_map(r, k->sub, v->items[i], what, item);
    }
    return rc;
}

static enum serin_status read_value(struct reader *r, const struct keys_key *k,
                                    const struct doc_node *v, void *out)
{
    if (is_scalar(k)) {
        read_scalar(r, k, v, out);
        return SERIN_OK;
    }
    if (k->type == KEYS_TEXTS) return read_texts(r, k, v, out);
    if (k->type == KEYS_PAIRS) return read_pairs(r, k, v, out);
    if (k->type == KEYS_SECTION) return read_map(r, k->sub, v, k->name, out);
    if (k->type == KEYS_LIST || k->type == KEYS_TABLE) return read_items(r, k, v, out);
    memcpy(field(out, k->offset), &v, sizeof v);
    return SERIN_OK;
}

static enum doc_type shape(const struct keys_key *k)
{
    if (is_scalar(k)) return DOC_SCALAR;
    return k->type == KEYS_TEXTS || k->type == KEYS_LIST ? DOC_LIST : DOC_MAP;
}

/* The key of that name; among alternatives the one that fits what is written. */
static const struct keys_key *find(const struct keys_table *t, const char *name,
                                   const struct doc_node *v)
{
    const struct keys_key *found = NULL;
    for (size_t i = 0; i < t->n; i++) {
        if (strcmp(t->keys[i].name, name) != 0) continue;
        if (found == NULL || shape(&t->keys[i]) == v->type) found = &t->keys[i];
    }
    return found;
}

static void unknown(struct reader *r, const struct keys_table *t,
                    const struct doc_node *key)
{
    const char *names[KEYS_MAX + 1];
    char all[160] = "";
    size_t used = 0;
    bool full = false;
    for (size_t i = 0; i < t->n; i++) {
        names[i] = t->keys[i].name;
        if (full || (i > 0 && strcmp(names[i], names[i - 1]) == 0)) continue;
        full = used + strlen(names[i]) + sizeof ", , ..." > sizeof all;
        snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? ", " : "",
                 full ? "..." : names[i]);
        used += strlen(all + used);
    }
    names[t->n] = NULL;
    char hint[KEYS_HINT];
    size_t n = strcspn(key->text, " :=");
    const char *value = key->text + n + strspn(key->text + n, " :=");
    if (*value != '\0' && n < 30)
        doc_error_add(r->errors, key,
                      "unknown key \"%.40s\"; write \"%.*s: %.30s\" with a colon and a "
                      "space",
                      key->text, (int)n, key->text, value);
    else if (*keys_hint(key->text, names, hint) != '\0')
        doc_error_add(r->errors, key, "unknown key \"%s\"%s", key->text, hint);
    else
        doc_error_add(r->errors, key, "unknown key \"%.40s\"; known here: %s",
                      key->text, all);
}

static void set_defaults(const struct keys_table *t, void *out)
{
    char why[KEYS_WHY];
    for (size_t i = 0; i < t->n; i++) {
        const struct keys_key *k = &t->keys[i];
        if (k->type == KEYS_SECTION) set_defaults(k->sub, out);
        /* A default that its own rules refuse leaves the field zeroed; the tables'
         * tests find it. */
        if (k->fallback != NULL && is_scalar(k))
            (void)keys_value_read(k, k->fallback, false, field(out, k->offset), why);
    }
}

static enum serin_status read_map(struct reader *r, const struct keys_table *t,
                                  const struct doc_node *map, const char *what,
                                  void *out)
{
    bool given[KEYS_MAX] = {false};
    set_defaults(t, out);
    if (map->type != DOC_MAP) {
        wrong_shape(r, what != NULL ? what : "the document", map,
                    keys_value_expects(KEYS_SECTION));
        return SERIN_OK;
    }
    for (size_t i = 0; i < map->n; i++) {
        const struct keys_key *k = find(t, map->keys[i]->text, map->items[i]);
        if (k == NULL) {
            unknown(r, t, map->keys[i]);
            continue;
        }
        given[k - t->keys] = true;
        enum serin_status rc = read_value(r, k, map->items[i], out);
        if (rc != SERIN_OK) return rc;
    }
    for (size_t i = 0; i < t->n; i++)
        if (t->keys[i].required && !given[i])
            doc_error_add(r->errors, map, "%s%s\"%s\" is missing: %s",
                          what != NULL ? what : "", what != NULL ? ": " : "",
                          t->keys[i].name, t->keys[i].doc);
    return SERIN_OK;
}

enum serin_status keys_read(struct arena *a, const struct keys_table *t,
                            const struct doc_node *map, void *out,
                            struct doc_errors *errors)
{
    struct reader r = {a, errors};
    return read_map(&r, t, map, NULL, out);
}
