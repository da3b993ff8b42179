/* engine/replay/mask/mask_json.c -- records in JSON, ours and OpenTelemetry's */
#include <jansson.h>
#include <stdlib.h>

#include "engine/replay/mask/mask.h"

enum { DEPTH = 64 };

static json_t *named(const struct mask *m, struct strview s)
{
    char name[MASK_NAME];
    mask_name(m, s, name);
    return json_string(name);
}

/* A text, or a number as ingest writes it; NULL: neither. */
static json_t *value_named(const struct mask *m, const json_t *v)
{
    char number[32];
    if (json_is_string(v))
        return named(m, (struct strview){json_string_value(v), json_string_length(v)});
    if (json_is_integer(v))
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    else if (json_is_real(v))
        snprintf(number, sizeof number, "%.17g", json_real_value(v));
    else
        return NULL;
    return named(m, strview_of(number));
}

static void replace(const struct mask *m, json_t *o, const char *key)
{
    json_t *name = value_named(m, json_object_get(o, key));
    if (name != NULL) json_object_set_new(o, key, name);
}

/* A number, also one that is written as a text. */
static bool numeric(const json_t *v)
{
    const char *s = json_string_value(v);
    return s == NULL || s[strspn(s, "0123456789+-.eE")] == '\0' ||
           strcmp(s, "NaN") == 0 || strcmp(s, "Infinity") == 0 ||
           strcmp(s, "-Infinity") == 0;
}

/* ---------------------------------------------------------------- json */

enum kind { GONE, TEXT, NUMBER, NUMBERS, HIST, ATTRIBUTES };

static const struct member {
    const char *key;
    enum kind kind;
    bool name; /* of a text */
} members[] = {{"rollout", TEXT, true},  {"unit", TEXT, true},
               {"user", TEXT, true},     {"stratum", TEXT, false},
               {"cohort", TEXT, false},  {"metric", TEXT, false},
               {"t_ms", NUMBER, false},  {"n", NUMBER, false},
               {"bad", NUMBER, false},   {"value", NUMBER, false},
               {"gauge", NUMBER, false}, {"values", NUMBERS, false},
               {"hist", HIST, false},    {"attributes", ATTRIBUTES, false}},
  parts[] = {{"scale", NUMBER, false},
             {"zero_count", NUMBER, false},
             {"offset", NUMBER, false},
             {"counts", NUMBERS, false}};
enum {
    MEMBERS = sizeof members / sizeof *members,
    PARTS = sizeof parts / sizeof *parts
};

static enum kind kind_of(const struct member *list, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].key, key) == 0) return list[i].kind;
    return GONE;
}

static bool numbers(const json_t *v)
{
    bool all = json_is_array(v);
    for (size_t i = 0; all && i < json_array_size(v); i++)
        all = json_is_number(json_array_get(v, i));
    return all;
}

static bool fits(const json_t *v, enum kind kind)
{
    if (kind == TEXT) return json_is_string(v);
    if (kind == NUMBER) return json_is_number(v);
    return kind == NUMBERS ? numbers(v) : json_is_object(v);
}

/* Members that ingest does not read go; one of another type than it reads becomes
 * `true`, which it refuses as well. */
static void clean(json_t *o, const struct member *list, size_t n)
{
    const char *key;
    json_t *v;
    void *next;
    json_object_foreach_safe(o, next, key, v)
    {
        enum kind kind = kind_of(list, n, key);
        if (kind == GONE)
            json_object_del(o, key);
        else if (!fits(v, kind))
            json_object_set_new(o, key, json_true());
    }
}

static void sample(const struct mask *m, json_t *o)
{
    clean(o, members, MEMBERS);
    clean(json_object_get(o, "hist"), parts, PARTS);
    const char *key, *stratum = json_string_value(json_object_get(o, "stratum"));
    json_t *v, *attributes = json_object_get(o, "attributes");
    void *next;
    struct text t = {0};
    for (size_t i = 0; i < MEMBERS; i++)
        if (members[i].name) replace(m, o, members[i].key);
    if (stratum != NULL && *stratum != '\0') {
        mask_stratum(m, strview_of(stratum), &t);
        if (!t.failed) json_object_set_new(o, "stratum", json_string(t.p));
        text_free(&t);
    }
    json_object_foreach_safe(attributes, next, key, v)
    {
        if (json_is_object(v) || json_is_array(v))
            json_object_set_new(attributes, key, json_array()); /* refused as well */
        else if (!mask_kept(m, strview_of(key)))
            replace(m, attributes, key);
    }
}

/* ---------------------------------------------------------------- otlp */

/* Text, or a whole number, which JSON may write as a text, too. */
static void any_value(const struct mask *m, json_t *o)
{
    static const char *const keys[] = {"stringValue", "string_value", "intValue",
                                       "int_value"};
    json_t *name = NULL;
    for (size_t i = 0; name == NULL && i < sizeof keys / sizeof *keys; i++)
        name = value_named(m, json_object_get(o, keys[i]));
    const json_t *truth = json_object_get(o, "boolValue");
    if (truth == NULL) truth = json_object_get(o, "bool_value");
    bool known = name == NULL && json_is_boolean(truth), is = json_is_true(truth);
    json_object_clear(o);
    if (name != NULL) json_object_set_new(o, "stringValue", name);
    if (known) json_object_set_new(o, "boolValue", json_boolean(is));
}

/* Texts that stay, or were replaced before: the rest could be anything. */
static bool said(const char *key, const json_t *v)
{
    static const char *const keys[] = {"name",
                                       "version",
                                       "unit",
                                       "kind",
                                       "code",
                                       "aggregationTemporality",
                                       "aggregation_temporality"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0) return true;
    return numeric(v);
}

static void otlp(const struct mask *m, json_t *j, unsigned depth);

static void otlp_object(const struct mask *m, json_t *o, unsigned depth)
{
    static const char *const gone[] = {
        "description", "exemplars", "events",      "links",        "traceId",
        "trace_id",    "spanId",    "span_id",     "parentSpanId", "parent_span_id",
        "traceState",  "message",   "trace_state", "schemaUrl",    "schema_url",
        "entityRefs",  "metadata",  "entity_refs"};
    const char *key = json_string_value(json_object_get(o, "key"));
    json_t *value = json_object_get(o, "value"), *v,
           *scope = json_object_get(o, "scope");
    void *next;
    size_t i;
    if (key != NULL && json_is_object(value)) {
        if (!mask_kept(m, strview_of(key))) any_value(m, value);
        json_object_foreach_safe(o, next, key, v)
        {
            bool known = strcmp(key, "key") == 0 || strcmp(key, "value") == 0;
            if (!known) json_object_del(o, key);
        }
        return;
    }
    for (i = 0; i < sizeof gone / sizeof *gone; i++)
        json_object_del(o, gone[i]);
    if (json_is_object(scope)) {
        replace(m, scope, "name");
        replace(m, scope, "version");
    }
    json_array_foreach(json_object_get(o, "spans"), i, v)
    {
        replace(m, v, "name");
    }
    json_object_foreach_safe(o, next, key, v)
    {
        if (!said(key, v))
            json_object_del(o, key);
        else
            otlp(m, v, depth + 1);
    }
}

static void otlp(const struct mask *m, json_t *j, unsigned depth)
{
    size_t i;
    json_t *v;
    if (depth > DEPTH) {
        json_object_clear(j);
        json_array_clear(j);
    }
    if (json_is_object(j)) otlp_object(m, j, depth);
    json_array_foreach(j, i, v)
    {
        if (!numeric(v))
            json_array_set_new(j, i, json_null());
        else
            otlp(m, v, depth + 1);
    }
}

/* ---------------------------------------------------------------- the record */

static enum serin_status mask_value(const struct mask *m, enum format f, json_t *j,
                                    struct text *out)
{
    size_t i;
    json_t *v;
    if (f == FORMAT_OTLP_JSON) otlp(m, j, 0);
    if (f == FORMAT_JSON && json_is_object(j)) sample(m, j);
    if (f == FORMAT_JSON) json_array_foreach(j, i, v)
        {
            if (!json_is_object(v)) return SERIN_EPARSE;
            sample(m, v);
        }
    char *text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text == NULL) return SERIN_ENOMEM;
    text_add(out, "%s%s", out->n != 0 ? "\n" : "", text);
    free(text);
    return SERIN_OK;
}

enum serin_status mask_json(const struct mask *m, enum format f, struct strview s,
                            struct text *out)
{
    enum serin_status rc = SERIN_OK;
    size_t at = 0;
    while (rc == SERIN_OK) {
        json_error_t e;
        while (at < s.n && strchr(" \t\r\n", s.p[at]) != NULL && s.p[at] != '\0')
            at++;
        if (at == s.n) break;
        json_t *j = json_loadb(s.p + at, s.n - at, JSON_DISABLE_EOF_CHECK, &e);
        if (j == NULL) return SERIN_EPARSE;
        at += (size_t)e.position;
        rc = mask_value(m, f, j, out);
        json_decref(j);
    }
    return rc == SERIN_OK && out->failed ? SERIN_ENOMEM : rc;
}
