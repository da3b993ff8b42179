/* engine/base/keys_schema.c -- the table as a JSON Schema, for editors and CI */
#include <string.h>

#include "engine/base/keys.h"
#include "engine/base/keys_value.h"
#include "engine/base/text.h"

#define NUMBER_RE "[0-9]+(\\\\.[0-9]+)?"
#define PERCENT "{\"type\":\"string\",\"pattern\":\"^" NUMBER_RE "%%$\"}"

static void table(struct text *t, const struct keys_table *k);

static void strings(struct text *t, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        text_add(t, i > 0 ? "," : "");
        text_json(t, words[i]);
    }
}

static void number(struct text *t, const struct keys_key *k)
{
    text_add(t, "\"type\":\"%s\",\"minimum\":%.15g,\"maximum\":%.15g",
             k->type == KEYS_COUNT ? "integer" : "number", k->min, k->max);
}

static void scalar(struct text *t, const struct keys_key *k)
{
    if (k->type == KEYS_TEXT) {
        text_add(t, "\"type\":\"string\",\"minLength\":%.0f,\"maxLength\":%.0f", k->min,
                 k->max);
    } else if (k->type == KEYS_ID) {
        text_add(t, "\"type\":\"string\",\"pattern\":\"^[a-z0-9][a-z0-9._-]{0,127}$\"");
    } else if (k->type == KEYS_COUNT || k->type == KEYS_NUMBER) {
        number(t, k);
    } else if (k->type == KEYS_SHARE || k->type == KEYS_ODDS) {
        text_add(t, "\"anyOf\":[{");
        number(t, k);
        text_add(t, "}," PERCENT "]");
    } else if (k->type == KEYS_WEIGHT) {
        text_add(t, "\"type\":\"string\",\"pattern\":\"^" NUMBER_RE "%%$\"");
    } else if (k->type == KEYS_DURATION) {
        text_add(
            t, "\"type\":\"string\",\"pattern\":\"^(" NUMBER_RE "(ms|s|m|h|d)%s%s)$\"",
            k->word != NULL ? "|" : "", k->word != NULL ? k->word : "");
    } else if (k->type == KEYS_BYTES) {
        text_add(
            t,
            "\"anyOf\":[{\"type\":\"integer\",\"minimum\":%.15g,\"maximum\":%.15g},"
            "{\"type\":\"string\",\"pattern\":\"^[0-9]+[KMG]iB$\"}]",
            k->min, k->max);
    } else if (k->type == KEYS_TIME) {
        text_add(t, "\"type\":\"string\",\"pattern\":\"^[0-9]{4}-[0-9]{2}-[0-9]{2}\"");
    } else if (k->type == KEYS_BOOL) {
        text_add(t, "\"type\":\"boolean\"");
    } else {
        text_add(t, "\"enum\":[");
        strings(t, k->choices);
        text_add(t, "]");
    }
}

static void collection(struct text *t, const struct keys_key *k)
{
    static const char text_type[] = "{\"type\":\"string\",\"minLength\":1}";
    const char *of =
        k->type == KEYS_LIST || k->type == KEYS_TEXTS ? "Items" : "Properties";
    if (k->type == KEYS_TEXTS)
        text_add(t, "\"anyOf\":[%s,{\"type\":\"array\",\"items\":%s,", text_type,
                 text_type);
    else if (k->type == KEYS_LIST)
        text_add(t, "\"type\":\"array\",");
    else
        text_add(t, "\"type\":\"object\",");
    if (k->type == KEYS_PAIRS)
        text_add(t, "\"additionalProperties\":{\"type\":[\"string\",\"number\","
                    "\"boolean\"]},");
    text_add(t, "\"min%s\":%.0f,\"max%s\":%.0f", of, k->min, of, k->max);
    if (k->type == KEYS_TEXTS) text_add(t, "}]");
    if (k->type == KEYS_TABLE) text_add(t, ",\"additionalProperties\":{");
    if (k->type == KEYS_LIST) text_add(t, ",\"items\":{");
    if (k->sub != NULL) {
        table(t, k->sub);
        text_add(t, "}");
    }
}

static void describe(struct text *t, const struct keys_key *k)
{
    struct text doc = {0};
    text_add(&doc, "%s%s%s", k->doc, k->unit != NULL ? "; unit: " : "",
             k->unit != NULL ? k->unit : "");
    if (k->type == KEYS_DURATION || k->type == KEYS_WEIGHT) {
        char lo[32], hi[32];
        keys_value_bound(k, k->min, lo);
        keys_value_bound(k, k->max, hi);
        text_add(&doc, "; from %s to %s", lo, hi);
    }
    if (k->fallback != NULL) text_add(&doc, "; default: %s", k->fallback);
    text_add(t, "\"description\":");
    text_json(t, doc.p);
    t->failed |= doc.failed;
    text_free(&doc);
}

static void value(struct text *t, const struct keys_key *k)
{
    text_add(t, "{");
    describe(t, k);
    if (k->type == KEYS_SECTION) {
        text_add(t, ",");
        table(t, k->sub);
    } else if (k->schema != NULL) {
        text_add(t, ",%s", k->schema);
    } else if (k->type != KEYS_ANY) {
        text_add(t, ",");
        if (k->type <= KEYS_ENUM)
            scalar(t, k);
        else
            collection(t, k);
    }
    text_add(t, "}");
}

static bool same_name(const struct keys_table *k, size_t i, size_t j)
{
    return j < k->n && strcmp(k->keys[i].name, k->keys[j].name) == 0;
}

/* The members of an object schema, without its braces. */
static void table(struct text *t, const struct keys_table *k)
{
    text_add(t, "\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
    for (size_t i = 0; i < k->n; i++) {
        text_add(t, i > 0 ? "," : "");
        text_json(t, k->keys[i].name);
        text_add(t, ":");
        bool several = same_name(k, i, i + 1);
        const char *doc = k->keys[i].doc;
        if (several) text_add(t, "{\"anyOf\":[");
        value(t, &k->keys[i]);
        for (; same_name(k, i, i + 1); i++) {
            text_add(t, ",");
            value(t, &k->keys[i + 1]);
        }
        if (!several) continue;
        text_add(t, "],\"description\":");
        text_json(t, doc);
        text_add(t, "}");
    }
    text_add(t, "},\"required\":[");
    bool first = true;
    for (size_t i = 0; i < k->n; i++) {
        if (!k->keys[i].required) continue;
        text_add(t, first ? "" : ",");
        text_json(t, k->keys[i].name);
        first = false;
    }
    text_add(t, "]");
}

enum serin_status keys_schema(struct arena *a, const struct keys_table *t,
                              const char *title, const char *doc, const char **out)
{
    struct text s = {0};
    text_add(
        &s, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":");
    text_json(&s, title);
    text_add(&s, ",\"description\":");
    text_json(&s, doc);
    text_add(&s, ",");
    table(&s, t);
    text_add(&s, "}\n");
    const char *kept = text_keep(&s, a);
    text_free(&s);
    if (kept == NULL) return SERIN_ENOMEM;
    *out = kept;
    return SERIN_OK;
}
