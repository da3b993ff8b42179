/* engine/replay/record/origin.c */
#include "engine/replay/record/origin.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int64_t ns;
} ticks[] = {{"auto", 0}, {"s", 1000000000}, {"ms", 1000000}, {"us", 1000}, {"ns", 1}};
enum { TICKS = sizeof ticks / sizeof *ticks };

/* The file format stores these numbers. */
_Static_assert(FORMAT_AUTO == 0 && FORMAT_SERIN == 1 && FORMAT_JSON == 2 &&
                   FORMAT_INFLUX == 3 && FORMAT_PROMETHEUS == 4 &&
                   FORMAT_OTLP_PROTO == 5 && FORMAT_OTLP_JSON == 6,
               "new formats come at the end: recordings hold their numbers");

/* ---------------------------------------------------------------- read */

static int64_t integer(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static const char *text(struct origin *o, const json_t *from, const char *key)
{
    const char *s = json_string_value(json_object_get(from, key));
    return s != NULL ? arena_copy(&o->arena, s, strlen(s)) : NULL;
}

static enum serin_status wrong(struct fault *f, const char *what, const char *found)
{
    return fault_set(f, SERIN_EPARSE,
                     "the recording's meta: %s%.60s; it was written by a newer serin, "
                     "or by another program",
                     what, found);
}

static enum serin_status no_memory(struct fault *f)
{
    return fault_set(f, SERIN_ENOMEM, "no memory for a recording's meta");
}

static enum serin_status read_defaults(struct origin *o, struct origin_topic *t,
                                       const json_t *from, struct fault *f)
{
    const char *unit = json_string_value(json_object_get(from, "timestamps")), *key;
    const json_t *attributes = json_object_get(from, "attributes"), *value;
    struct series_attribute *all =
        arena_alloc(&o->arena, (json_object_size(attributes) + 1) * sizeof *all);
    if (all == NULL) return no_memory(f);
    size_t n = 0;
    json_object_foreach((json_t *)(uintptr_t)attributes, key, value)
    {
        const char *v = json_string_value(value);
        if (v == NULL) continue;
        all[n++] = (struct series_attribute){
            strview_of(arena_copy(&o->arena, key, strlen(key))),
            strview_of(arena_copy(&o->arena, v, strlen(v)))};
    }
    t->defaults.attributes = all;
    t->defaults.n_attributes = n;
    t->defaults.metric = strview_of(text(o, from, "metric"));
    t->defaults.cumulative = json_is_true(json_object_get(from, "cumulative"));
    for (size_t i = 0; unit != NULL; i++) {
        if (i == TICKS) return wrong(f, "timestamps: ", unit);
        if (strcmp(unit, ticks[i].name) != 0) continue;
        t->defaults.tick_ns = ticks[i].ns;
        break;
    }
    return SERIN_OK;
}

static struct origin_topic *topic_of(struct origin *o, const char *name)
{
    for (size_t i = 0; name != NULL && i < o->n; i++)
        if (strcmp(o->topics[i].name, name) == 0) return &o->topics[i];
    return NULL;
}

static enum serin_status read_input(struct origin *o, const json_t *from,
                                    struct fault *f)
{
    const char *name = json_string_value(json_object_get(from, "topic")),
               *format = json_string_value(json_object_get(from, "format"));
    struct origin_topic *t = topic_of(o, name);
    if (t == NULL)
        return wrong(f, "inputs: not among the topics: ", name != NULL ? name : "");
    t->input = true;
    if (format != NULL && !format_parse(format, &t->format))
        return wrong(f, "inputs: unknown format ", format);
    t->max_message = (size_t)integer(from, "max_message");
    return read_defaults(o, t, json_object_get(from, "defaults"), f);
}

static enum serin_status read_next(struct origin *o, const json_t *next,
                                   struct fault *f)
{
    for (size_t i = 0; i < o->n; i++) {
        const json_t *list = json_array_get(next, i);
        struct origin_topic *t = &o->topics[i];
        size_t n = json_array_size(list);
        if (n > ORIGIN_MAX_PARTITIONS) return wrong(f, "segment: ", "partitions");
        t->next = arena_alloc(&o->arena, (n + 1) * sizeof *t->next);
        if (t->next == NULL) return no_memory(f);
        t->n_next = n;
        for (size_t k = 0; k < n; k++)
            t->next[k] = json_integer_value(json_array_get(list, k));
    }
    return SERIN_OK;
}

static enum serin_status read_all(struct origin *o, const json_t *root, struct fault *f)
{
    const char *schema = json_string_value(json_object_get(root, "schema"));
    const json_t *topics = json_object_get(root, "topics"),
                 *inputs = json_object_get(root, "inputs"),
                 *segment = json_object_get(root, "segment");
    size_t n = json_array_size(topics);
    if (schema == NULL || strcmp(schema, "serin.recording/1") != 0)
        return wrong(f, "schema: expected serin.recording/1, found ",
                     schema != NULL ? schema : "none");
    if (n > ORIGIN_MAX_TOPICS) return wrong(f, "topics: ", "more than 128");
    o->topics = arena_alloc(&o->arena, (n + 1) * sizeof *o->topics);
    if (o->topics == NULL) return no_memory(f);
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(topics, i));
        if (name == NULL) return wrong(f, "topics: ", "no text");
        o->topics[i].name = arena_copy(&o->arena, name, strlen(name));
        o->topics[i].defaults.id = i;
        if (o->topics[i].name == NULL) return no_memory(f);
        o->n++;
    }
    o->serin = text(o, root, "serin");
    o->created_ms = integer(root, "created_ms");
    o->max_lag_ms = integer(root, "max_lag_ms");
    o->lateness_ms = integer(root, "lateness_ms");
    o->partitions = (int32_t)integer(root, "partitions");
    o->segment = (uint64_t)integer(segment, "number");
    for (size_t i = 0; i < json_array_size(inputs); i++) {
        enum serin_status rc = read_input(o, json_array_get(inputs, i), f);
        if (rc != SERIN_OK) return rc;
    }
    return read_next(o, json_object_get(segment, "next"), f);
}

enum serin_status origin_read(struct origin *o, const char *meta, struct fault *f)
{
    json_error_t why;
    json_t *root = json_loads(meta, 0, &why);
    if (root == NULL) return wrong(f, "no JSON object: ", why.text);
    enum serin_status rc = read_all(o, root, f);
    json_decref(root);
    return rc;
}

void origin_free(struct origin *o)
{
    arena_free(&o->arena);
    *o = (struct origin){0};
}

/* ---------------------------------------------------------------- write */

static json_t *view(struct strview s)
{
    return json_stringn(s.p, s.n);
}

static json_t *defaults_json(const struct aggregate_input *d)
{
    json_t *o = json_object(), *attributes = json_object();
    const char *unit = ticks[0].name;
    for (size_t i = 0; i < TICKS; i++)
        if (ticks[i].ns == d->tick_ns) unit = ticks[i].name;
    for (size_t i = 0; i < d->n_attributes; i++) {
        const struct series_attribute *at = &d->attributes[i];
        json_object_setn_new(attributes, at->key.p, at->key.n, view(at->value));
    }
    if (d->metric.n > 0) json_object_set_new(o, "metric", view(d->metric));
    json_object_set_new(o, "attributes", attributes);
    json_object_set_new(o, "cumulative", json_boolean(d->cumulative));
    json_object_set_new(o, "timestamps", json_string(unit));
    return o;
}

static json_t *inputs_json(const struct origin *o)
{
    json_t *list = json_array();
    for (size_t i = 0; i < o->n; i++) {
        const struct origin_topic *t = &o->topics[i];
        if (!t->input) continue;
        json_array_append_new(list, json_pack("{ss ss sI so}", "topic", t->name,
                                              "format", format_name(t->format),
                                              "max_message", (json_int_t)t->max_message,
                                              "defaults", defaults_json(&t->defaults)));
    }
    return list;
}

static json_t *segment_json(const struct origin *o)
{
    json_t *next = json_array();
    for (size_t i = 0; i < o->n; i++) {
        json_t *list = json_array();
        for (size_t k = 0; k < o->topics[i].n_next; k++)
            json_array_append_new(list, json_integer(o->topics[i].next[k]));
        json_array_append_new(next, list);
    }
    return json_pack("{sI so}", "number", (json_int_t)o->segment, "next", next);
}

bool origin_has(const struct origin *o, bool input)
{
    for (size_t i = 0; i < o->n; i++)
        if (o->topics[i].input == input) return true;
    return false;
}

enum serin_status origin_write(const struct origin *o, struct arena *a,
                               const char **out)
{
    bool inbox = origin_has(o, false), inputs = origin_has(o, true);
    json_t *topics = json_array();
    for (size_t i = 0; i < o->n; i++)
        json_array_append_new(topics, json_string(o->topics[i].name));
    json_t *root =
        json_pack("{ss ss ss sI so sI sI}", "schema", "serin.recording/1", "what",
                  !inputs ? "inbox"
                  : inbox ? "both"
                          : "inputs",
                  "serin", o->serin, "created_ms", (json_int_t)o->created_ms, "topics",
                  topics, "max_lag_ms", (json_int_t)o->max_lag_ms, "lateness_ms",
                  (json_int_t)o->lateness_ms);
    if (inbox) json_object_set_new(root, "partitions", json_integer(o->partitions));
    if (inputs) json_object_set_new(root, "inputs", inputs_json(o));
    if (o->segment > 0) json_object_set_new(root, "segment", segment_json(o));
    char *written = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    *out = written != NULL ? arena_copy(a, written, strlen(written)) : NULL;
    free(written);
    return *out != NULL ? SERIN_OK : SERIN_ENOMEM;
}

/* ---------------------------------------------------------------- topics */

bool origin_same_topics(const struct origin *a, const struct origin *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++)
        same = strcmp(a->topics[i].name, b->topics[i].name) == 0 &&
               a->topics[i].input == b->topics[i].input;
    return same;
}

const char *origin_names(const struct origin *o, char *out, size_t room)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < o->n && n < room; i++)
        n += (size_t)snprintf(out + n, room - n, "%s%s", i > 0 ? ", " : "",
                              o->topics[i].name);
    return out;
}
