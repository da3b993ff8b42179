/* engine/replay/source/matrix.c */
#include "engine/replay/source/matrix.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <snappy-c.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/base/text.h"
#include "engine/replay/source/wire_out.h"
#include "ingest/decode/number.h"

enum { ANSWERS = 64 };

struct series {
    const json_t *labels, *values;
    size_t at;       /* the next of its values */
    int64_t next_ms; /* its time; INT64_MAX: there is none */
};

struct matrix {
    const struct columns *map;
    json_t *answers;
    struct series *series;
    size_t n, room;
    int64_t now_ms;
    uint64_t given, size;
    struct text label, one, request;
    char *packed;
    size_t packed_room;
};

/* ---------------------------------------------------------------- the answers */

static const char *text_of(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s != NULL ? s : "";
}

static enum serin_status wrong(struct fault *f, size_t answer, const char *what)
{
    return fault_set(f, SERIN_EPARSE,
                     "answer %zu: %s; expected one of Prometheus' /api/v1/query_range: "
                     "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\","
                     "\"result\":[…]}}",
                     answer, what);
}

/* Seconds to ms; INT64_MAX: no time. */
static int64_t time_of(const json_t *value)
{
    double s = json_number_value(json_array_get(value, 0));
    bool good = json_is_number(json_array_get(value, 0)) && s >= 0 && s < 1e11;
    return good ? llround(s * 1000) : INT64_MAX;
}

static bool number_of(const json_t *value, double *out)
{
    const char *s = json_string_value(json_array_get(value, 1));
    if (s == NULL) return false;
    if (number_parse(strview_of(s), out)) return true;
    *out = strcmp(s, "NaN") == 0    ? (double)NAN
           : strcmp(s, "+Inf") == 0 ? (double)INFINITY
                                    : (double)-INFINITY;
    return !isinf(*out) || strcmp(s, "+Inf") == 0 || strcmp(s, "-Inf") == 0;
}

static enum serin_status values_check(const json_t *values, size_t answer,
                                      struct fault *f)
{
    int64_t before = -1;
    double v;
    char what[160];
    for (size_t i = 0; i < json_array_size(values); i++) {
        const json_t *one = json_array_get(values, i);
        int64_t t = time_of(one);
        if (json_array_size(one) == 2 && t != INT64_MAX && t > before &&
            number_of(one, &v)) {
            before = t;
            continue;
        }
        snprintf(what, sizeof what,
                 "value %zu of a series is no [time, \"number\"] after the one before",
                 i + 1);
        return wrong(f, answer, what);
    }
    return SERIN_OK;
}

static enum serin_status series_add(struct matrix *m, const json_t *one, size_t answer,
                                    struct fault *f)
{
    const char *key;
    json_t *v;
    struct series s = {json_object_get(one, "metric"), json_object_get(one, "values"),
                       0, 0};
    if (json_object_get(one, "histograms") != NULL)
        return wrong(f, answer,
                     "a native histogram, which this form gives without its schema: "
                     "query its _bucket series, or send it by remote write");
    if (!json_is_object(s.labels) || !json_is_array(s.values))
        return wrong(f, answer, "a series without \"metric\" or \"values\"");
    json_object_foreach((json_t *)(uintptr_t)s.labels, key, v)
    {
        if (!json_is_string(v)) return wrong(f, answer, "a label that is no text");
    }
    enum serin_status rc = values_check(s.values, answer, f);
    if (rc != SERIN_OK) return rc;
    if (m->n == m->room) {
        size_t more = m->room != 0 ? 2 * m->room : 64;
        struct series *grown = mem_realloc(m->series, more, sizeof *grown);
        if (grown == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
        m->series = grown;
        m->room = more;
    }
    s.next_ms = time_of(json_array_get(s.values, 0));
    m->size += json_array_size(s.values);
    m->series[m->n++] = s;
    return SERIN_OK;
}

static enum serin_status answer_add(struct matrix *m, const json_t *j, size_t answer,
                                    struct fault *f)
{
    char what[200];
    const json_t *data = json_object_get(j, "data"),
                 *result = json_object_get(data, "result");
    const char *type = text_of(data, "resultType");
    if (strcmp(text_of(j, "status"), "error") == 0) {
        snprintf(what, sizeof what, "an error of Prometheus: %.140s",
                 text_of(j, "error"));
        return wrong(f, answer, what);
    }
    if (*type != '\0' && strcmp(type, "matrix") != 0) {
        snprintf(what, sizeof what,
                 "a \"%.40s\", as /api/v1/query gives: one moment, not a range", type);
        return wrong(f, answer, what);
    }
    if (!json_is_array(result))
        return wrong(f, answer, "no \"data\" with a \"result\"");
    enum serin_status rc = SERIN_OK;
    for (size_t i = 0; rc == SERIN_OK && i < json_array_size(result); i++)
        rc = series_add(m, json_array_get(result, i), answer, f);
    return rc;
}

static enum serin_status parse(struct matrix *m, struct strview s, struct fault *f)
{
    enum serin_status rc = SERIN_OK;
    m->answers = json_array();
    for (size_t at = 0, k = 1; rc == SERIN_OK; k++) {
        json_error_t e;
        char what[200];
        while (at < s.n && strchr(" \t\r\n", s.p[at]) != NULL && s.p[at] != '\0')
            at++;
        if (at == s.n) break;
        if (k > ANSWERS) return wrong(f, k, "over 64 answers");
        json_t *j = json_loadb(s.p + at, s.n - at, JSON_DISABLE_EOF_CHECK, &e);
        if (j == NULL) {
            snprintf(what, sizeof what, "no JSON at byte %zu: %.120s",
                     at + (size_t)e.position, e.text);
            return wrong(f, k, what);
        }
        at += (size_t)e.position;
        if (json_array_append_new(m->answers, j) != 0)
            return fault_set(f, SERIN_ENOMEM, "out of memory");
        rc = answer_add(m, j, k, f);
    }
    return rc;
}

/* ---------------------------------------------------------------- remote write */

static void label(struct matrix *m, struct strview key, struct strview value)
{
    m->label.n = 0;
    wire_out_bytes(&m->label, 1, key);
    wire_out_bytes(&m->label, 2, value);
    wire_out_bytes(&m->one, 1, (struct strview){m->label.p, m->label.n});
}

static void labels(struct matrix *m, const json_t *j)
{
    static const char name[] = "__name__";
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)j, key, v)
    {
        label(m, strview_of(key),
              (struct strview){json_string_value(v), json_string_length(v)});
    }
    for (size_t i = 0; m->map != NULL && i < m->map->n; i++) {
        const struct columns_item *it = &m->map->items[i];
        if (it->field == COLUMNS_ATTRIBUTE) label(m, it->key, it->from);
        if (it->field == COLUMNS_METRIC && json_object_get(j, name) == NULL)
            label(m, strview_of(name), it->from);
    }
}

/* The series with the sample that is next. */
static void put(struct matrix *m, struct series *s)
{
    const json_t *one = json_array_get(s->values, s->at);
    double v;
    char bits[8];
    m->one.n = 0;
    labels(m, s->labels);
    struct text *t = &m->label;
    t->n = 0;
    (void)number_of(one, &v);
    memcpy(bits, &v, sizeof bits);
    wire_out_varint(t, 1 << 3 | WIRE_FIXED64);
    text_bytes(t, bits, sizeof bits);
    wire_out_varint(t, 2 << 3 | WIRE_VARINT);
    wire_out_varint(t, (uint64_t)s->next_ms);
    wire_out_bytes(&m->one, 2, (struct strview){t->p, t->n});
    wire_out_bytes(&m->request, 1, (struct strview){m->one.p, m->one.n});
    s->at++;
    s->next_ms = time_of(json_array_get(s->values, s->at));
    m->given++;
}

static enum serin_status pack(struct matrix *m, struct strview *out, struct fault *f)
{
    size_t n = snappy_max_compressed_length(m->request.n);
    if (m->request.failed || m->one.failed || m->label.failed)
        return fault_set(f, SERIN_ENOMEM, "the samples of one moment are over 16 MiB");
    if (n > m->packed_room) {
        char *grown = mem_realloc(m->packed, n, 1);
        if (grown == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
        m->packed = grown;
        m->packed_room = n;
    }
    if (snappy_compress(m->request.p, m->request.n, m->packed, &n) != SNAPPY_OK)
        return fault_set(f, SERIN_ENOMEM, "out of memory");
    *out = (struct strview){m->packed, n};
    return SERIN_OK;
}

enum serin_status matrix_next(struct matrix *m, struct strview *request,
                              struct fault *f)
{
    int64_t t = INT64_MAX;
    for (size_t i = 0; i < m->n; i++)
        if (m->series[i].next_ms < t) t = m->series[i].next_ms;
    if (t == INT64_MAX) return SERIN_AGAIN;
    m->now_ms = t;
    m->request.n = 0;
    for (size_t i = 0; i < m->n; i++)
        if (m->series[i].next_ms == t) put(m, &m->series[i]);
    return pack(m, request, f);
}

/* ---------------------------------------------------------------- life */

enum serin_status matrix_open(struct matrix **out, struct strview text,
                              const struct columns *map, struct fault *f)
{
    for (size_t i = 0; map != NULL && i < map->n; i++)
        if (!map->items[i].constant || (map->items[i].field != COLUMNS_METRIC &&
                                        map->items[i].field != COLUMNS_ATTRIBUTE))
            return fault_set(
                f, SERIN_EPARSE,
                "--columns: series have no columns but labels, which are "
                "attributes; expected metric=:NAME or attributes.KEY=:TEXT");
    struct matrix *m = mem_calloc(1, sizeof *m);
    if (m == NULL) return fault_set(f, SERIN_ENOMEM, "out of memory");
    m->map = map;
    enum serin_status rc = parse(m, text, f);
    if (rc != SERIN_OK) {
        matrix_close(m);
        return rc;
    }
    *out = m;
    return SERIN_OK;
}

void matrix_close(struct matrix *m)
{
    if (m == NULL) return;
    json_decref(m->answers);
    mem_free(m->series);
    text_free(&m->label);
    text_free(&m->one);
    text_free(&m->request);
    mem_free(m->packed);
    mem_free(m);
}

int64_t matrix_time(const struct matrix *m)
{
    return m->now_ms;
}

uint64_t matrix_given(const struct matrix *m)
{
    return m->given;
}

uint64_t matrix_size(const struct matrix *m)
{
    return m->size;
}
