/* ingest/survey.c */
#include "ingest/survey.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/keys.h"
#include "engine/base/mem.h"

enum { EXAMPLES = 5, VALUES_COUNTED = 1000, NAMES_SHOWN = 12 };

struct survey {
    const struct aggregate_input *input;
    struct route_table *routes;
    struct aggregate *aggregate;
    const pb_rollout **rows;
    size_t n_rows, room;
    uint64_t records, samples, formats[FORMAT_COUNT], refused[QUARANTINE_REASONS];
    struct reject first[QUARANTINE_REASONS];
};

enum serin_status survey_open(struct survey **out, const struct aggregate_input *in)
{
    struct survey *s = mem_calloc(1, sizeof *s);
    if (s == NULL) return SERIN_ENOMEM;
    s->input = in;
    enum serin_status status = route_table_open(&s->routes);
    if (status == SERIN_OK)
        status =
            aggregate_open(&s->aggregate, s->routes, &(struct aggregate_options){0});
    if (status != SERIN_OK) {
        survey_close(s);
        return status;
    }
    aggregate_input(s->aggregate, in);
    *out = s;
    return SERIN_OK;
}

void survey_close(struct survey *s)
{
    if (s == NULL) return;
    aggregate_close(s->aggregate);
    route_table_close(s->routes);
    mem_free(s->rows);
    mem_free(s);
}

/* A topic that is not compacted yet has many rows of a rollout: the latest counts. */
void survey_forget(struct survey *s, struct strview rollout)
{
    for (size_t i = 0; i < s->n_rows; i++) {
        if (!strview_eq(strview_of(s->rows[i]->rollout), rollout)) continue;
        s->n_rows--;
        memmove(&s->rows[i], &s->rows[i + 1], (s->n_rows - i) * sizeof *s->rows);
        break;
    }
    (void)route_table_remove(s->routes, rollout);
    aggregate_routes_changed(s->aggregate);
}

enum serin_status survey_rollout(struct survey *s, const pb_rollout *row,
                                 struct fault *f)
{
    bool changed;
    survey_forget(s, strview_of(row->rollout));
    if (row->route == NULL || !row->route->live) return SERIN_OK;
    if (s->n_rows == s->room) {
        size_t room = s->room != 0 ? 2 * s->room : 16;
        const pb_rollout **more = mem_realloc(s->rows, room, sizeof *more);
        if (more == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
        s->rows = more;
        s->room = room;
    }
    s->rows[s->n_rows++] = row;
    enum serin_status status = route_table_put(s->routes, row, &changed, f);
    aggregate_routes_changed(s->aggregate);
    return status;
}

void survey_record(struct survey *s, enum format f, const void *record, size_t n,
                   size_t max, int64_t now_ms)
{
    struct reject why;
    if (f == FORMAT_AUTO && n != 0) f = format_guess(record, n);
    s->records++;
    s->formats[f]++;
    aggregate_message(s->aggregate, now_ms);
    enum serin_status status = n > max
                                   ? quarantine_refuse(&why, QUARANTINE_OVERSIZE,
                                                       "%zu bytes; limit %zu", n, max)
                                   : format_decode(f, s->aggregate, record, n, &why);
    if (status != SERIN_OK && s->refused[why.reason]++ == 0) s->first[why.reason] = why;
    s->samples += aggregate_counts(s->aggregate).samples;
    aggregate_clear(s->aggregate);
}

/* ---------------------------------------------------------------- the report */

static void count_up(json_t *o, const char *key, uint64_t by)
{
    json_int_t n = json_integer_value(json_object_get(o, key));
    json_object_set_new(o, key, json_integer(n + (json_int_t)by));
}

static json_t *member(json_t *o, const char *key, json_t *(*make)(void))
{
    json_t *v = json_object_get(o, key);
    if (v == NULL && json_object_set_new(o, key, make()) == 0)
        v = json_object_get(o, key);
    return v;
}

static void text_of(struct strview s, char *out, size_t room)
{
    size_t n = s.n < room - 1 ? s.n : room - 1;
    while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--; /* not in the middle of a character */
    if (n > 0) memcpy(out, s.p, n);
    out[n] = '\0';
}

/* The maps that the walk over the series fills. */
struct walk {
    const struct survey *s;
    json_t *metrics, *attributes, *rollouts; /* by name */
};

static void add_metric(json_t *metrics, const struct series_name *name,
                       const struct aggregate_series *s)
{
    static const char *const kinds[] = {"counts", "units", "values", "histograms",
                                        "gauges"};
    char text[256];
    text_of(name->metric, text, sizeof text);
    json_t *m = member(metrics, text, json_object);
    count_up(m, "series", 1);
    count_up(m, "samples", s->samples);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if ((s->kinds & 1U << k) != 0)
            json_object_set_new(member(m, "kinds", json_object), kinds[k], json_true());
}

static void add_attributes(json_t *attributes, const struct series_name *name)
{
    char key[256], value[256];
    for (size_t i = 0; i < name->n_attributes; i++) {
        text_of(name->attributes[i].key, key, sizeof key);
        text_of(name->attributes[i].value, value, sizeof value);
        json_t *values = member(attributes, key, json_object);
        if (json_object_size(values) < VALUES_COUNTED)
            json_object_set_new(values, value, json_true());
    }
}

static void add_series(void *ctx, const struct aggregate_series *s)
{
    static const char *const cohorts[] = {"canary", "baseline"};
    struct walk *w = ctx;
    struct series_name name;
    struct reject unused;
    struct route_match match[ROUTE_MAX_MATCHES];
    size_t n = 0;
    struct strview key = {(const char *)s->key, s->key_len};
    if (s->samples == 0) return; /* of a record that was refused */
    if (aggregate_name(w->s->input, key, &name, &unused) != SERIN_OK) return;
    add_metric(w->metrics, &name, s);
    add_attributes(w->attributes, &name);
    if (route_table_find(w->s->routes, &name, match, &n) != SERIN_OK) return;
    for (size_t i = 0; i < n; i++)
        count_up(member(w->rollouts, match[i].route->id, json_object),
                 cohorts[match[i].cohort], 1);
    for (size_t i = 0; i < s->n; i++) {
        const struct aggregate_target *t = &s->targets[i];
        json_t *r = member(w->rollouts, t->route->id, json_object);
        json_t *m =
            member(member(r, "metrics", json_object), t->metric->name, json_object);
        count_up(m, cohorts[t->series & 1], s->samples);
    }
}

/* "a, b, c and 4 more" */
static void list_names(json_t *names, char *out, size_t room)
{
    const char *key;
    json_t *v;
    size_t n = 0, k = 0;
    out[0] = '\0';
    json_object_foreach(names, key, v)
    {
        if (k++ == NAMES_SHOWN || n >= room) break;
        n += (size_t)snprintf(out + n, room - n, "%s%s", n > 0 ? ", " : "", key);
    }
    if (json_object_size(names) > NAMES_SHOWN && n < room)
        snprintf(out + n, room - n, " and %zu more",
                 json_object_size(names) - NAMES_SHOWN);
}

static void near_name(json_t *names, const char *wanted, char hint[KEYS_HINT])
{
    const char *key, **words = mem_calloc(json_object_size(names) + 1, sizeof *words);
    json_t *v;
    size_t n = 0;
    hint[0] = '\0';
    if (words == NULL) return;
    json_object_foreach(names, key, v) words[n++] = key;
    keys_hint(wanted, words, hint);
    mem_free(words);
}

static void say(json_t *missing, const char *fmt, ...) SERIN_PRINTF(2, 3);
static void say(json_t *missing, const char *fmt, ...)
{
    char text[1200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    json_array_append_new(missing, json_string(text));
}

/* Why a cohort has no series: each attribute it asks for that is not there like this.
 */
static void missing_cohort(const struct walk *w, const pb_match *m, json_t *missing)
{
    static const char *const names[] = {"?", "canary", "baseline"};
    const char *cohort = names[m->cohort <= 2 ? m->cohort : 0];
    char seen[600], hint[KEYS_HINT];
    bool said = false;
    for (size_t i = 0; i < m->n_all + m->n_rules; i++) {
        const char *key = i < m->n_all ? m->all[i]->key : m->rules[i - m->n_all]->key;
        const char *value = i < m->n_all ? m->all[i]->value : NULL;
        json_t *values = json_object_get(w->attributes, key);
        if (values == NULL) {
            near_name(w->attributes, key, hint);
            list_names(w->attributes, seen, sizeof seen);
            say(missing,
                "%s asks for the attribute %s, which no series has; seen: %s%s", cohort,
                key, seen[0] != '\0' ? seen : "none", hint);
            said = true;
        } else if (value != NULL && json_object_get(values, value) == NULL) {
            near_name(values, value, hint);
            list_names(values, seen, sizeof seen);
            say(missing, "%s asks for %s=%s; seen: %s%s", cohort, key, value, seen,
                hint);
            said = true;
        }
    }
    if (!said)
        say(missing,
            "%s: no series has all of its attributes at once, or it has those of "
            "the other cohort, too",
            cohort);
}

static void missing_metric(const struct walk *w, const pb_route_metric *m,
                           json_t *found, json_t *missing)
{
    const char *from = m->from != NULL && m->from[0] != '\0' ? m->from : m->name;
    char seen[600], hint[KEYS_HINT];
    if (json_object_get(w->metrics, from) == NULL) {
        near_name(w->metrics, from, hint);
        list_names(w->metrics, seen, sizeof seen);
        say(missing, "metric %s asks for %s; seen: %s%s", m->name, from,
            seen[0] != '\0' ? seen : "none", hint);
        return;
    }
    json_t *of = json_object_get(found, m->name);
    if (json_object_get(of, "canary") == NULL ||
        json_object_get(of, "baseline") == NULL)
        say(missing, "metric %s: %s is there, but not for the %s", m->name, from,
            json_object_get(of, "canary") != NULL     ? "baseline"
            : json_object_get(of, "baseline") != NULL ? "canary"
                                                      : "cohorts");
}

static json_t *report_rollout(const struct walk *w, const pb_rollout *row)
{
    json_t *r = json_object_get(w->rollouts, row->rollout), *list = json_array();
    json_t *missing = json_array(), *found = json_object_get(r, "metrics");
    bool cohorts = true;
    json_int_t canary = json_integer_value(json_object_get(r, "canary"));
    json_int_t baseline = json_integer_value(json_object_get(r, "baseline"));
    for (size_t i = 0; i < row->route->n_cohorts; i++) {
        const pb_match *m = row->route->cohorts[i];
        bool there = m->cohort == SERIN__V1__COHORT__COHORT_CANARY ? canary : baseline;
        if (!there) missing_cohort(w, m, missing);
        cohorts &= there;
    }
    for (size_t i = 0; i < row->route->n_metrics; i++) {
        const pb_route_metric *m = row->route->metrics[i];
        const char *from = m->from != NULL && m->from[0] != '\0' ? m->from : m->name;
        const json_t *of = json_object_get(found, m->name);
        if (cohorts || json_object_get(w->metrics, from) == NULL)
            missing_metric(w, m, found, missing);
        json_array_append_new(
            list,
            json_pack("{ss ss sI sI}", "name", m->name, "from", from, "canary",
                      json_integer_value(json_object_get(of, "canary")), "baseline",
                      json_integer_value(json_object_get(of, "baseline"))));
    }
    return json_pack("{ss sI sI so so}", "rollout", row->rollout, "canary", canary,
                     "baseline", baseline, "metrics", list, "missing", missing);
}

static json_t *list_metrics(json_t *metrics)
{
    const char *name, *kind;
    json_t *m, *v, *out = json_array();
    json_object_foreach(metrics, name, m)
    {
        json_t *kinds = json_array();
        json_object_foreach(json_object_get(m, "kinds"), kind, v)
            json_array_append_new(kinds, json_string(kind));
        json_array_append_new(out,
                              json_pack("{ss sO sO so}", "name", name, "series",
                                        json_object_get(m, "series"), "samples",
                                        json_object_get(m, "samples"), "kinds", kinds));
    }
    return out;
}

static json_t *list_attributes(json_t *attributes)
{
    const char *key, *value;
    json_t *values, *v, *out = json_array();
    json_object_foreach(attributes, key, values)
    {
        json_t *examples = json_array();
        json_object_foreach(values, value, v)
        {
            if (json_array_size(examples) == EXAMPLES) break;
            json_array_append_new(examples, json_string(value));
        }
        json_array_append_new(out, json_pack("{ss sI so}", "key", key, "values",
                                             (json_int_t)json_object_size(values),
                                             "examples", examples));
    }
    return out;
}

json_t *survey_report(struct survey *s)
{
    struct walk w = {s, json_object(), json_object(), json_object()};
    json_t *formats = json_object(), *refused = json_array(), *rollouts = json_array();
    aggregate_series_each(s->aggregate, add_series, &w);
    for (int f = 0; f < FORMAT_COUNT; f++)
        if (s->formats[f] != 0)
            json_object_set_new(formats, format_name((enum format)f),
                                json_integer((json_int_t)s->formats[f]));
    for (int r = 0; r < QUARANTINE_REASONS; r++)
        if (s->refused[r] != 0)
            json_array_append_new(refused,
                                  json_pack("{ss sI ss}", "reason",
                                            quarantine_text((enum quarantine_reason)r),
                                            "records", (json_int_t)s->refused[r],
                                            "detail", s->first[r].detail));
    for (size_t i = 0; i < s->n_rows; i++)
        json_array_append_new(rollouts, report_rollout(&w, s->rows[i]));
    json_t *out =
        json_pack("{sI sI so so so so so}", "records", (json_int_t)s->records,
                  "samples", (json_int_t)s->samples, "formats", formats, "refused",
                  refused, "metrics", list_metrics(w.metrics), "attributes",
                  list_attributes(w.attributes), "rollouts", rollouts);
    json_decref(w.metrics);
    json_decref(w.attributes);
    json_decref(w.rollouts);
    return out;
}
