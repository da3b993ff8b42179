/* engine/replay/tune/sweep.c -- the plan's own parser says which keys and values there
 * are
 */
#include "engine/replay/tune/sweep.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/replay/tune/edit.h"

struct reading {
    struct arena *a;
    const char *text, *spec;
    struct sweep *out;
    struct fault *f;
};

/* ---------------------------------------------------------------- words */

/* Up to the stop character that is outside of brackets and quotes, or the end. */
static size_t until(const char *p, char stop)
{
    size_t n = 0;
    int depth = 0;
    char quote = '\0';
    for (; p[n] != '\0'; n++) {
        char c = p[n];
        if (quote != '\0') {
            if (c == quote) quote = '\0';
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (depth <= 0 && (c == stop || c == ';')) {
            break;
        }
    }
    return n;
}

/* Without the spaces around it. */
static struct strview trimmed(const char *p, size_t n)
{
    while (n > 0 && *p == ' ')
        p++, n--;
    while (n > 0 && p[n - 1] == ' ')
        n--;
    return (struct strview){p, n};
}

static size_t column_of(const struct reading *r, const char *p)
{
    return (size_t)(p - r->spec) + 1;
}

/* ---------------------------------------------------------------- the plan's word */

/* Does the plan allow this? *f says why not. */
static enum serin_status allowed(const char *text, struct fault *f)
{
    struct arena a = {0};
    struct plan *plan;
    struct doc_errors errors = {.arena = &a};
    enum serin_status rc = plan_parse(&a, text, strlen(text), &plan, &errors);
    if (rc != SERIN_OK)
        fault_set(f, rc, "%s", errors.n > 0 ? errors.items[0].text : status_text(rc));
    arena_free(&a);
    return rc;
}

/* One value at all its places, and nothing else changed. */
static enum serin_status try_value(const struct reading *r, const struct sweep_key *k,
                                   size_t i, struct fault *f)
{
    struct arena a = {0};
    const char *text = r->text;
    enum serin_status rc = SERIN_OK;
    for (size_t t = 0; rc == SERIN_OK && t < k->n_targets; t++)
        rc = edit_set(&a, text, k->targets[t], k->values[i], &text, f);
    if (rc == SERIN_OK) rc = allowed(text, f);
    arena_free(&a);
    return rc;
}

static bool any_fits(const struct reading *r, const struct sweep_key *k)
{
    struct fault f;
    for (size_t i = 0; i < k->n; i++)
        if (try_value(r, k, i, &f) == SERIN_OK) return true;
    return false;
}

/* Items 1 to n; of every item the key behind the star. */
static enum serin_status put_targets(const struct reading *r, struct sweep_key *k,
                                     const char *star, size_t n)
{
    k->n_targets = 0;
    for (size_t i = 1; i <= n; i++) {
        char one[256];
        snprintf(one, sizeof one, "%.*s[%zu]%s", (int)(star - k->path), k->path, i,
                 star + 3);
        k->targets[k->n_targets] = arena_copy(r->a, one, strlen(one));
        if (k->targets[k->n_targets++] == NULL) return SERIN_ENOMEM;
    }
    return SERIN_OK;
}

/* [*] is every item, or every one but the last: the step at 100 % takes less. */
static enum serin_status expand(const struct reading *r, struct sweep_key *k)
{
    const char *star = strstr(k->path, "[*]");
    if (star == NULL) {
        k->targets[k->n_targets++] = k->path;
        return SERIN_OK;
    }
    size_t n = edit_items(r->a, r->text, k->path, (size_t)(star - k->path));
    if (n == 0 || n > PLAN_MAX_METRICS || strstr(star + 3, "[*]") != NULL)
        return fault_set(r->f, SERIN_EDOM,
                         "--sweep, column %zu: %s: the plan writes no list %.*s, or "
                         "there is a second [*]: write it out",
                         k->columns[0], k->path, (int)(star - k->path), k->path);
    enum serin_status rc = put_targets(r, k, star, n);
    if (rc == SERIN_OK && n > 1 && !any_fits(r, k)) {
        rc = put_targets(r, k, star, n - 1);
        if (rc == SERIN_OK && !any_fits(r, k)) rc = put_targets(r, k, star, n);
    }
    return rc;
}

/* ---------------------------------------------------------------- reading */

static enum serin_status put_value(const struct reading *r, struct sweep_key *k,
                                   const char *p, size_t n)
{
    struct strview v = trimmed(p, n);
    if (v.n == 0)
        return fault_set(r->f, SERIN_EPARSE,
                         "--sweep, column %zu: a value is missing behind %s=; expected "
                         "values with commas between them",
                         column_of(r, p), k->path);
    if (k->n == SWEEP_VALUES)
        return fault_set(r->f, SERIN_ELIMIT,
                         "--sweep, column %zu: more than %d values of %s",
                         column_of(r, p), SWEEP_VALUES, k->path);
    k->columns[k->n] = column_of(r, v.p);
    k->values[k->n] = arena_copy(r->a, v.p, v.n);
    return k->values[k->n++] != NULL ? SERIN_OK : SERIN_ENOMEM;
}

static enum serin_status put_key(const struct reading *r, const char *p, size_t n)
{
    struct sweep *s = r->out;
    const char *equals = memchr(p, '=', n), *end = p + n;
    struct strview path = trimmed(p, equals != NULL ? (size_t)(equals - p) : 0);
    if (equals == NULL || path.n == 0)
        return fault_set(
            r->f, SERIN_EPARSE,
            "--sweep, column %zu: \"%.*s\": expected PATH=VALUE,VALUE… such "
            "as risk.false_abort=0.001,0.01",
            column_of(r, p), (int)(n < 40 ? n : 40), p);
    if (s->n == SWEEP_KEYS)
        return fault_set(r->f, SERIN_ELIMIT,
                         "--sweep, column %zu: more than %d keys at once",
                         column_of(r, p), SWEEP_KEYS);
    struct sweep_key *k = &s->keys[s->n];
    k->path = arena_copy(r->a, path.p, path.n);
    if (k->path == NULL) return SERIN_ENOMEM;
    for (const char *v = equals + 1; v <= end; v++) {
        size_t len = until(v, ',');
        if (len > (size_t)(end - v)) len = (size_t)(end - v);
        enum serin_status rc = put_value(r, k, v, len);
        if (rc != SERIN_OK) return rc;
        v += len;
    }
    s->n++;
    return expand(r, k);
}

/* One key must not be swept twice, under whatever name. */
static enum serin_status check_twice(const struct reading *r)
{
    const struct sweep *s = r->out;
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = i + 1; k < s->n; k++)
            for (size_t t = 0; t < s->keys[i].n_targets; t++)
                for (size_t u = 0; u < s->keys[k].n_targets; u++)
                    if (strcmp(s->keys[i].targets[t], s->keys[k].targets[u]) == 0)
                        return fault_set(r->f, SERIN_EDOM,
                                         "--sweep, column %zu: %s is swept already",
                                         s->keys[k].columns[0], s->keys[k].path);
    return SERIN_OK;
}

/* A combination is refused: by one value alone, if there is one. */
static enum serin_status blame(const struct reading *r, size_t i, size_t n,
                               const struct fault *together)
{
    struct fault why = {0};
    for (size_t k = 0; k < r->out->n; k++)
        for (size_t v = 0; v < r->out->keys[k].n; v++) {
            const struct sweep_key *key = &r->out->keys[k];
            enum serin_status rc = try_value(r, key, v, &why);
            if (rc == SERIN_OK) continue;
            return fault_set(r->f, rc == SERIN_ENOMEM ? rc : SERIN_EDOM,
                             "--sweep, column %zu: %s=%s: %s", key->columns[v],
                             key->path, key->values[v], why.text);
        }
    return fault_set(r->f, SERIN_EDOM, "--sweep: combination %zu of %zu: %s", i + 1, n,
                     together->text);
}

static enum serin_status check_together(const struct reading *r)
{
    size_t n = sweep_combinations(r->out);
    if (n > SWEEP_COMBINATIONS)
        return fault_set(
            r->f, SERIN_ELIMIT,
            "--sweep: %zu combinations, at most %d are tried: leave values "
            "out",
            n, SWEEP_COMBINATIONS);
    for (size_t i = 0; i < n; i++) {
        struct arena a = {0};
        struct fault why = {0};
        const char *text;
        enum serin_status rc = sweep_apply(&a, r->out, r->text, i, &text, &why);
        if (rc == SERIN_OK) rc = allowed(text, &why);
        arena_free(&a);
        if (rc == SERIN_ENOMEM) return rc;
        if (rc != SERIN_OK) return blame(r, i, n, &why);
    }
    return SERIN_OK;
}

enum serin_status sweep_parse(struct arena *a, const char *text, const char *spec,
                              struct sweep *out, struct fault *f)
{
    const struct reading r = {a, text, spec, out, f};
    enum serin_status rc = SERIN_OK;
    *out = (struct sweep){0};
    for (const char *p = spec; rc == SERIN_OK && *p != '\0';) {
        size_t n = until(p, ';');
        if (trimmed(p, n).n > 0) rc = put_key(&r, p, n);
        p += n + (p[n] == ';');
    }
    if (rc == SERIN_OK && out->n == 0)
        rc = fault_set(
            f, SERIN_EPARSE,
            "--sweep: empty; expected PATH=VALUE,VALUE… with ';' between keys");
    if (rc == SERIN_OK) rc = check_twice(&r);
    return rc == SERIN_OK ? check_together(&r) : rc;
}

/* ---------------------------------------------------------------- combinations */

size_t sweep_combinations(const struct sweep *s)
{
    size_t n = 1;
    for (size_t k = 0; k < s->n; k++)
        n *= s->keys[k].n;
    return n;
}

const char *sweep_value(const struct sweep *s, size_t i, size_t k)
{
    for (size_t later = s->n - 1; later > k; later--)
        i /= s->keys[later].n;
    return s->keys[k].values[i % s->keys[k].n];
}

enum serin_status sweep_apply(struct arena *a, const struct sweep *s, const char *text,
                              size_t i, const char **out, struct fault *f)
{
    enum serin_status rc = SERIN_OK;
    *out = text;
    for (size_t k = 0; rc == SERIN_OK && k < s->n; k++)
        for (size_t t = 0; rc == SERIN_OK && t < s->keys[k].n_targets; t++)
            rc = edit_set(a, *out, s->keys[k].targets[t], sweep_value(s, i, k), out, f);
    return rc;
}

bool sweep_has(const struct sweep *s, const char *path)
{
    for (size_t k = 0; k < s->n; k++)
        for (size_t t = 0; t < s->keys[k].n_targets; t++)
            if (strcmp(s->keys[k].targets[t], path) == 0) return true;
    return false;
}
