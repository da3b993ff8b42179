/* engine/core/plan_cohorts.c
 *
 *   canary: "2.4.0"                     the service's version (or the flag's variant)
 *   canary: ["2.4.0", "2.4.1"]          one of them
 *   canary: {ATTRIBUTE: VALUE, …}       every attribute fits; VALUE is a text, a list,
 *                                       {prefix: TEXT} or {regex: PATTERN}
 */
#include "engine/core/plan_cohorts.h"

#include <string.h>

enum { RULES_MAX = 16, TEXT_MAX = 1024 };

#define VALUE "{\"type\":[\"string\",\"number\",\"boolean\"]}"
#define VALUES "{\"type\":\"array\",\"items\":" VALUE ",\"minItems\":1,\"maxItems\":64}"
#define TEXT_OF(name, doc)                                                             \
    "{\"type\":\"object\",\"properties\":{\"" name                                     \
    "\":{\"type\":\"string\",\"minLength\":1,\"description\":\"" doc                   \
    "\"}},\"required\":[\"" name "\"],\"additionalProperties\":false}"
const char plan_cohorts_schema[] =
    "\"anyOf\":[" VALUE "," VALUES
    ",{\"type\":\"object\",\"minProperties\":1,\"maxProperties\":16,"
    "\"additionalProperties\":{\"anyOf\":[" VALUE "," VALUES
    "," TEXT_OF("prefix", "values that begin with this") "," TEXT_OF(
        "regex", "values of which all fits this regular expression") "]}}]";

static const char *const names[2] = {"canary", "baseline"};

struct reader {
    struct arena *a;
    struct plan *p;
    struct doc_errors *errors;
    bool nomem;
};

/* ---- reading */
static bool is_null(const struct doc_node *v)
{
    static const char *const words[] = {"", "~", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (v->type == DOC_SCALAR && strcmp(v->text, words[i]) == 0)
            return !v->quoted || i == 0;
    return false;
}

static bool text_ok(struct reader *r, const char *what, const struct doc_node *v)
{
    if (v->type != DOC_SCALAR)
        doc_error_add(r->errors, v, "%.60s: expected a text here", what);
    else if (is_null(v))
        doc_error_add(r->errors, v, "%.60s: a value is missing", what);
    else if (strlen(v->text) > TEXT_MAX)
        doc_error_add(r->errors, v, "%.60s: over %d bytes", what, TEXT_MAX);
    else
        return true;
    return false;
}

/* The values of a scalar or of a list of scalars; false when something is wrong. */
static bool values_read(struct reader *r, const char *what, const struct doc_node *v,
                        struct plan_rule *out)
{
    size_t n = v->type == DOC_LIST ? v->n : 1;
    if (n == 0 || n > PATTERN_MAX_VALUES) {
        doc_error_add(r->errors, v, "%.60s: %zu values; 1 to %d are taken", what, n,
                      PATTERN_MAX_VALUES);
        return false;
    }
    out->values = arena_alloc(r->a, n * sizeof *out->values);
    if (out->values == NULL) {
        r->nomem = true;
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const struct doc_node *one = v->type == DOC_LIST ? v->items[i] : v;
        if (!text_ok(r, what, one)) return false;
        out->values[out->n++] = one->text;
    }
    return true;
}

static bool regex_ok(struct reader *r, const struct doc_node *at, const char *text)
{
    struct strview value = strview_of(text);
    struct pattern p = {.kind = PATTERN_REGEX, .values = &value, .n = 1};
    struct fault f = {0};
    enum serin_status rc = pattern_open(&p, &f);
    pattern_close(&p);
    if (rc == SERIN_OK) return true;
    if (rc == SERIN_ENOMEM)
        r->nomem = true;
    else
        doc_error_add(r->errors, at, "regex: %s", f.text);
    return false;
}

/* {prefix: TEXT} or {regex: PATTERN} */
static bool pattern_read(struct reader *r, const char *what, const struct doc_node *v,
                         struct plan_rule *out)
{
    const struct doc_node *prefix = doc_get(v, "prefix"), *regex = doc_get(v, "regex");
    if (v->n != 1 || (prefix == NULL && regex == NULL)) {
        doc_error_add(r->errors, v,
                      "%.60s: expected a value, a list of values, {prefix: TEXT} or "
                      "{regex: PATTERN}",
                      what);
        return false;
    }
    out->kind = prefix != NULL ? PATTERN_PREFIX : PATTERN_REGEX;
    return values_read(r, what, v->items[0], out) &&
           (v->items[0]->type == DOC_SCALAR || text_ok(r, what, v->items[0])) &&
           (prefix != NULL || regex_ok(r, regex, regex->text));
}

static void rule_read(struct reader *r, int which, const char *key,
                      const struct doc_node *v)
{
    struct plan_rule rule = {.key = key,
                             .kind = v->type == DOC_LIST ? PATTERN_IN : PATTERN_EQUAL};
    bool ok = v->type == DOC_MAP ? pattern_read(r, key, v, &rule)
                                 : values_read(r, key, v, &rule);
    if (ok) r->p->cohort[which][r->p->n_cohort[which]++] = rule;
}

static void given(struct reader *r, int which, const char *key, const char *text)
{
    struct doc_node node = {.type = DOC_SCALAR, .text = text};
    if (text != NULL && *text != '\0') rule_read(r, which, key, &node);
}

/* A version, or a variant: which service, environment and flag is said elsewhere. */
static void short_read(struct reader *r, int which, const struct doc_node *v)
{
    bool flag = r->p->flag != NULL;
    if (is_null(v)) {
        doc_error_add(r->errors, v, "%s: a value is missing", names[which]);
        return;
    }
    if (r->p->service == NULL && !flag) {
        doc_error_add(r->errors, v,
                      "%s: a version alone could be any service's; add service: NAME "
                      "at the top, or write {service.name: NAME, service.version: …}",
                      names[which]);
        return;
    }
    given(r, which, "service.name", r->p->service);
    given(r, which, "deployment.environment.name", r->p->environment);
    given(r, which, "feature_flag.key", r->p->flag);
    rule_read(r, which, flag ? "feature_flag.result.variant" : "service.version", v);
}

static void cohort_read(struct reader *r, int which, const struct doc_node *v)
{
    size_t room = RULES_MAX;
    r->p->cohort[which] = arena_alloc(r->a, room * sizeof *r->p->cohort[which]);
    if (r->p->cohort[which] == NULL) {
        r->nomem = true;
    } else if (doc_error_at(r->errors, v)) {
        return; /* the document refused it */
    } else if (v->type != DOC_MAP) {
        short_read(r, which, v);
    } else if (v->n == 0 || v->n > RULES_MAX) {
        doc_error_add(r->errors, v, "%s: %zu given; 1 to %d are expected", names[which],
                      v->n, RULES_MAX);
    } else {
        for (size_t i = 0; i < v->n; i++)
            rule_read(r, which, v->keys[i]->text, v->items[i]);
    }
}

enum serin_status plan_cohorts_read(struct arena *a, struct plan *p,
                                    struct doc_errors *errors)
{
    struct reader r = {a, p, errors, false};
    for (int which = 0; which < 2; which++) {
        const struct doc_node *v = p->cohort_node[which];
        if (v != NULL) cohort_read(&r, which, v);
    }
    return r.nomem ? SERIN_ENOMEM : SERIN_OK;
}

/* ---- checking */
static bool accepts(const struct plan_rule *r, const char *value)
{
    struct strview views[PATTERN_MAX_VALUES];
    struct fault unused;
    for (size_t i = 0; i < r->n; i++)
        views[i] = strview_of(r->values[i]);
    struct pattern p = {.kind = r->kind, .values = views, .n = r->n};
    bool yes =
        pattern_open(&p, &unused) == SERIN_OK && pattern_matches(&p, strview_of(value));
    pattern_close(&p);
    return yes;
}

static bool listed(const struct plan_rule *r)
{
    return r->kind == PATTERN_EQUAL || r->kind == PATTERN_IN;
}

/* Surely every value that `narrow` accepts is accepted by `wide`, too. */
static bool implied(const struct plan_rule *narrow, const struct plan_rule *wide)
{
    if (listed(narrow)) {
        for (size_t i = 0; i < narrow->n; i++)
            if (!accepts(wide, narrow->values[i])) return false;
        return true;
    }
    if (narrow->kind == wide->kind && strcmp(narrow->values[0], wide->values[0]) == 0)
        return true;
    return narrow->kind == PATTERN_PREFIX && wide->kind == PATTERN_PREFIX &&
           accepts(wide, narrow->values[0]);
}

/* A value that both accept, when one is known; else NULL. */
static const char *common(const struct plan_rule *a, const struct plan_rule *b)
{
    if (!listed(a) && listed(b)) return common(b, a);
    for (size_t i = 0; i < a->n; i++)
        if ((listed(a) || a->kind == PATTERN_PREFIX) && accepts(b, a->values[i]))
            return a->values[i];
    bool prefixes = a->kind == PATTERN_PREFIX && b->kind == PATTERN_PREFIX;
    if (prefixes && accepts(a, b->values[0])) return b->values[0];
    return implied(a, b) ? a->values[0] : NULL;
}

static const struct plan_rule *rule_of(const struct plan *p, int which, const char *key)
{
    for (size_t i = 0; i < p->n_cohort[which]; i++)
        if (strcmp(p->cohort[which][i].key, key) == 0) return &p->cohort[which][i];
    return NULL;
}

/* Every record that cohort `narrow` matches is matched by cohort `wide` too. */
static bool covers(const struct plan *p, int wide, int narrow)
{
    for (size_t i = 0; i < p->n_cohort[wide]; i++) {
        const struct plan_rule *w = &p->cohort[wide][i];
        const struct plan_rule *n = rule_of(p, narrow, w->key);
        if (n == NULL || !implied(n, w)) return false;
    }
    return true;
}

/* With the same attributes: a record that both match, shown by one attribute in which
 * they differ. */
static bool overlap(const struct plan *p, const char **key, const char **value)
{
    if (p->n_cohort[0] != p->n_cohort[1]) return false;
    for (size_t i = 0; i < p->n_cohort[0]; i++) {
        const struct plan_rule *a = &p->cohort[0][i], *b = rule_of(p, 1, a->key);
        const char *both = b != NULL ? common(a, b) : NULL;
        if (both == NULL) return false;
        if (implied(a, b) && implied(b, a)) continue;
        *key = a->key;
        *value = both;
    }
    return true;
}

void plan_cohorts_check(const struct plan *p, struct doc_errors *errors)
{
    const struct doc_node *const *at = p->cohort_node;
    const char *key = "", *value = "";
    for (int c = 0; c < 2; c++) {
        if (at[c] == NULL || doc_error_at(errors, at[c]) || p->n_cohort[c] == 0) return;
        if (at[c]->type == DOC_MAP && at[c]->n != p->n_cohort[c]) return;
    }
    bool in_canary = covers(p, 0, 1), in_baseline = covers(p, 1, 0);
    if (in_canary && in_baseline)
        doc_error_add(
            errors, at[1],
            "canary and baseline are identical; give them different values of "
            "an attribute, e.g. service.version");
    else if (in_canary || in_baseline)
        doc_error_add(errors, at[in_baseline],
                      "%s matches every record of the %s, too; add an attribute in "
                      "which they differ",
                      names[in_baseline], names[!in_baseline]);
    else if (overlap(p, &key, &value))
        doc_error_add(
            errors, at[1],
            "records with %.60s \"%.60s\" match canary and baseline and would "
            "count for neither; let the patterns exclude each other",
            key, value);
}

/* ---- the route */
static bool equal_add(struct arena *a, pb_match *m, const struct plan_rule *r)
{
    pb_attribute *one = arena_alloc(a, sizeof *one);
    if (one == NULL) return false;
    serin__v1__attribute__init(one);
    one->key = messages_text(r->key);
    one->value = messages_text(r->values[0]);
    m->all[m->n_all++] = one;
    return true;
}

static bool rule_add(struct arena *a, pb_match *m, const struct plan_rule *r)
{
    Serin__V1__Rule *one = arena_alloc(a, sizeof *one);
    char **values = arena_alloc(a, r->n * sizeof *values);
    if (one == NULL || values == NULL) return false;
    serin__v1__rule__init(one);
    one->key = messages_text(r->key);
    for (size_t i = 0; i < r->n; i++)
        values[i] = messages_text(r->values[i]);
    if (r->kind == PATTERN_PREFIX) one->prefix = values[0];
    if (r->kind == PATTERN_REGEX) one->regex = values[0];
    if (r->kind == PATTERN_IN) {
        one->one_of = values;
        one->n_one_of = r->n;
    }
    m->rules[m->n_rules++] = one;
    return true;
}

enum serin_status plan_cohorts_match(struct arena *a, const struct plan *p, int which,
                                     pb_match **out)
{
    size_t n = p->n_cohort[which];
    pb_match *m = arena_alloc(a, sizeof *m);
    if (m == NULL) return SERIN_ENOMEM;
    serin__v1__match__init(m);
    m->cohort = which == 0 ? SERIN__V1__COHORT__COHORT_CANARY
                           : SERIN__V1__COHORT__COHORT_BASELINE;
    m->all = arena_alloc(a, n * sizeof *m->all);
    m->rules = arena_alloc(a, n * sizeof *m->rules);
    if (m->all == NULL || m->rules == NULL) return SERIN_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct plan_rule *r = &p->cohort[which][i];
        if (!(r->kind == PATTERN_EQUAL ? equal_add(a, m, r) : rule_add(a, m, r)))
            return SERIN_ENOMEM;
    }
    *out = m;
    return SERIN_OK;
}
