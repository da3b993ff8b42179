/* ingest/decode/json.c -- JSON records by jansson; the readable way in, not the fast
 * one */
#include <jansson.h>
#include <math.h>

#include "ingest/decode/format.h"

enum { MAX_BUCKETS = 65536 };

/* ---------------------------------------------------------------- checking */

static enum serin_status wrong(struct reject *why, const char *key,
                               const char *expected)
{
    return quarantine_refuse(why, QUARANTINE_TYPE, "\"%s\": expected %s", key,
                             expected);
}

/* 5 and 5.0 are both whole; beyond 2^53 a real is not. */
static bool whole(const json_t *j, int64_t *out)
{
    if (json_is_integer(j)) {
        *out = json_integer_value(j);
        return true;
    }
    double v = json_is_real(j) ? json_real_value(j) : (double)NAN;
    if (!(fabs(v) <= 0x1p53) || v != floor(v)) return false;
    *out = (int64_t)v;
    return true;
}

static enum serin_status whole_field(const json_t *o, const char *key, bool must,
                                     struct reject *why)
{
    int64_t unused;
    const json_t *j = json_object_get(o, key);
    if (j == NULL && must) {
        return quarantine_refuse(why, QUARANTINE_FIELD, "\"%s\": missing", key);
    }
    return j == NULL || whole(j, &unused) ? SERIN_OK
                                          : wrong(why, key, "a whole number");
}

static enum serin_status text_fields(const json_t *o, struct reject *why)
{
    static const char *const keys[] = {"rollout", "cohort", "stratum",
                                       "metric",  "unit",   "user"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *j = json_object_get(o, keys[i]);
        if (j != NULL && !json_is_string(j)) return wrong(why, keys[i], "a string");
    }
    return SERIN_OK;
}

static enum serin_status hist_check(const json_t *h, struct reject *why)
{
    size_t i;
    json_t *c;
    int64_t unused;
    if (!json_is_object(h)) return wrong(why, "hist", "an object");
    enum serin_status s = whole_field(h, "scale", true, why);
    if (s == SERIN_OK) s = whole_field(h, "zero_count", false, why);
    if (s == SERIN_OK) s = whole_field(h, "offset", false, why);
    if (s != SERIN_OK) return s;
    const json_t *counts = json_object_get(h, "counts");
    if (counts != NULL && !json_is_array(counts))
        return wrong(why, "counts", "an array");
    if (json_array_size(counts) > MAX_BUCKETS) {
        return quarantine_refuse(why, QUARANTINE_LIMIT, "\"counts\": over %d buckets",
                                 MAX_BUCKETS);
    }
    json_array_foreach(counts, i, c)
    {
        if (!whole(c, &unused)) return wrong(why, "counts", "whole numbers");
    }
    return SERIN_OK;
}

static enum serin_status values_check(const json_t *o, struct reject *why)
{
    size_t i;
    json_t *v;
    const json_t *values = json_object_get(o, "values");
    const json_t *value = json_object_get(o, "value"),
                 *gauge = json_object_get(o, "gauge");
    if (value != NULL && !json_is_number(value)) return wrong(why, "value", "a number");
    if (gauge != NULL && !json_is_number(gauge)) return wrong(why, "gauge", "a number");
    if (values != NULL && !json_is_array(values))
        return wrong(why, "values", "an array");
    json_array_foreach(values, i, v)
    {
        if (!json_is_number(v)) return wrong(why, "values", "numbers");
    }
    return SERIN_OK;
}

static enum serin_status kinds_check(const json_t *o, struct reject *why)
{
    bool counts = json_object_get(o, "n") != NULL || json_object_get(o, "bad") != NULL;
    int kinds = counts + (json_object_get(o, "value") != NULL) +
                (json_object_get(o, "values") != NULL) +
                (json_object_get(o, "hist") != NULL) +
                (json_object_get(o, "gauge") != NULL);
    if (kinds == 1) return SERIN_OK;
    return quarantine_refuse(
        why, kinds == 0 ? QUARANTINE_FIELD : QUARANTINE_MIXED,
        "%s of \"n\" and \"bad\", \"value\", \"values\", \"hist\", "
        "\"gauge\": expected exactly one",
        kinds == 0 ? "none" : "several");
}

static enum serin_status attributes_check(const json_t *o, struct reject *why)
{
    const json_t *all = json_object_get(o, "attributes");
    const char *key;
    json_t *v;
    if (all != NULL && !json_is_object(all))
        return wrong(why, "attributes", "an object");
    json_object_foreach((json_t *)(uintptr_t)all, key, v)
    {
        if (json_is_object(v) || json_is_array(v)) {
            return wrong(why, "attributes", "text, numbers or booleans");
        }
    }
    return SERIN_OK;
}

static enum serin_status sample_check(const json_t *o, struct reject *why)
{
    if (!json_is_object(o)) {
        return quarantine_refuse(why, QUARANTINE_TYPE, "a sample: expected an object");
    }
    enum serin_status s = text_fields(o, why);
    if (s == SERIN_OK) s = whole_field(o, "t_ms", true, why);
    if (s == SERIN_OK) s = whole_field(o, "n", false, why);
    if (s == SERIN_OK) s = whole_field(o, "bad", false, why);
    if (s == SERIN_OK) s = kinds_check(o, why);
    if (s == SERIN_OK) s = values_check(o, why);
    if (s == SERIN_OK) s = attributes_check(o, why);
    const json_t *h = json_object_get(o, "hist");
    return s == SERIN_OK && h != NULL ? hist_check(h, why) : s;
}

/* ---------------------------------------------------------------- the header */

static struct strview text_of(const json_t *o, const char *key)
{
    const json_t *j = json_object_get(o, key);
    return (struct strview){json_string_value(j), json_string_length(j)};
}

static void attribute_add(struct series_key *k, const char *key, const json_t *v)
{
    char text[32];
    struct strview value = {text, 0};
    if (json_is_string(v)) {
        value = (struct strview){json_string_value(v), json_string_length(v)};
    } else if (json_is_integer(v)) {
        value.n = (size_t)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT,
                                   json_integer_value(v));
    } else if (json_is_real(v)) {
        value.n = (size_t)snprintf(text, sizeof text, "%.17g", json_real_value(v));
    } else if (json_is_boolean(v)) {
        value = strview_of(json_is_true(v) ? "true" : "false");
    } else {
        return; /* null: as if absent */
    }
    series_key_attribute(k, strview_of(key), value);
}

static enum serin_status header(struct aggregate *a, const json_t *o,
                                struct aggregate_series **out, struct reject *why)
{
    struct series_key k;
    const char *key;
    json_t *v;
    series_key_start(&k);
    series_key_text(&k, SERIES_ROLLOUT, text_of(o, "rollout"));
    json_object_foreach(json_object_get(o, "attributes"), key, v)
    {
        attribute_add(&k, key, v);
    }
    series_key_text(&k, SERIES_COHORT, text_of(o, "cohort"));
    series_key_text(&k, SERIES_STRATUM, text_of(o, "stratum"));
    series_key_text(&k, SERIES_METRIC, text_of(o, "metric"));
    if (k.full) {
        return quarantine_refuse(why, QUARANTINE_LIMIT, "header over %d bytes",
                                 SERIES_MAX_KEY);
    }
    return aggregate_series(a, (struct strview){(const char *)k.bytes, k.n}, out, why);
}

/* ---------------------------------------------------------------- adding */

static int64_t whole_of(const json_t *o, const char *key, int64_t absent)
{
    int64_t v = absent;
    const json_t *j = json_object_get(o, key);
    return j != NULL && whole(j, &v) ? v : absent;
}

static void hist_add(struct aggregate_run *r, int64_t t, const json_t *h)
{
    uint64_t numbers[MAX_BUCKETS];
    const json_t *counts = json_object_get(h, "counts");
    int64_t scale = whole_of(h, "scale", 0), offset = whole_of(h, "offset", 0), c;
    struct buckets_view v = {.numbers = numbers, .n = json_array_size(counts)};
    for (size_t i = 0; i < v.n; i++) {
        /* A negative count becomes one over 2^53: the sample is poison, as it should.
         */
        if (whole(json_array_get(counts, i), &c)) numbers[i] = (uint64_t)c;
    }
    v.zero = (uint64_t)whole_of(h, "zero_count", 0);
    v.offset = (int32_t)offset;
    /* So does a number that no scale or offset can be. */
    v.scale =
        scale == (int32_t)scale && offset == v.offset ? (int32_t)scale : INT32_MAX;
    aggregate_run_hist(r, t, &v);
}

static enum aggregate_kind kind_of(const json_t *o)
{
    if (json_object_get(o, "bad") != NULL) return AGGREGATE_COUNTS;
    if (json_object_get(o, "n") != NULL) return AGGREGATE_UNITS_ONLY;
    if (json_object_get(o, "hist") != NULL) return AGGREGATE_HISTS;
    return json_object_get(o, "gauge") != NULL ? AGGREGATE_GAUGES : AGGREGATE_VALUES;
}

static void sample_add(struct aggregate *a, const json_t *o, struct aggregate_series *s)
{
    size_t i;
    json_t *v;
    int64_t t = whole_of(o, "t_ms", -1);
    struct aggregate_run r;
    aggregate_run_begin(&r, a, s, kind_of(o));
    r.unit = text_of(o, "unit");
    struct strview user = text_of(o, "user");
    if (user.n != 0) r.user = users_of_name(user);
    if (r.kind == AGGREGATE_COUNTS || r.kind == AGGREGATE_UNITS_ONLY) {
        /* Negative counts become huge ones, which are poison. */
        aggregate_run_counts(&r, t, (uint64_t)whole_of(o, "n", 1),
                             (uint64_t)whole_of(o, "bad", 0));
    } else if (r.kind == AGGREGATE_HISTS) {
        hist_add(&r, t, json_object_get(o, "hist"));
    } else if (r.kind == AGGREGATE_GAUGES) {
        aggregate_run_value(&r, t, json_number_value(json_object_get(o, "gauge")));
    } else if ((v = json_object_get(o, "value")) != NULL) {
        aggregate_run_value(&r, t, json_number_value(v));
    }
    json_array_foreach(json_object_get(o, "values"), i, v)
    {
        aggregate_run_value(&r, t, json_number_value(v));
    }
    aggregate_run_end(&r);
}

/* ---------------------------------------------------------------- the record */

/* Every sample, checked and with its header found (out == NULL) or added. */
static enum serin_status each(struct aggregate *a, const json_t *values, bool add,
                              struct reject *why)
{
    size_t i, k;
    json_t *value, *o;
    json_array_foreach(values, i, value)
    {
        size_t n = json_is_array(value) ? json_array_size(value) : 1;
        for (k = 0; k < n; k++) {
            struct aggregate_series *s = NULL;
            o = json_is_array(value) ? json_array_get(value, k) : value;
            enum serin_status status = add ? SERIN_OK : sample_check(o, why);
            if (status == SERIN_OK) status = header(a, o, &s, why);
            if (status != SERIN_OK) return status;
            if (add) sample_add(a, o, s);
        }
    }
    return SERIN_OK;
}

/* All values of the record; whitespace of any kind stands between them. */
static enum serin_status parse(const char *p, size_t n, json_t *into,
                               struct reject *why)
{
    size_t at = 0;
    while (true) {
        json_error_t e;
        while (at < n &&
               (p[at] == ' ' || p[at] == '\t' || p[at] == '\r' || p[at] == '\n')) {
            at++;
        }
        if (at == n) return SERIN_OK;
        json_t *v = json_loadb(p + at, n - at, JSON_DISABLE_EOF_CHECK, &e);
        if (v == NULL) {
            return quarantine_refuse(why, QUARANTINE_SYNTAX, "byte %zu: %s",
                                     at + (size_t)e.position, e.text);
        }
        at += (size_t)e.position;
        if (json_array_append_new(into, v) != 0) {
            return quarantine_refuse(why, QUARANTINE_LIMIT, "no memory");
        }
    }
}

enum serin_status json_decode(struct aggregate *a, const void *record, size_t n,
                              struct reject *why)
{
    json_t *values = json_array();
    if (values == NULL) return quarantine_refuse(why, QUARANTINE_LIMIT, "no memory");
    enum serin_status s = parse(record, n, values, why);
    if (s == SERIN_OK && json_array_size(values) == 0) {
        s = quarantine_refuse(why, QUARANTINE_EMPTY, "nothing but blanks");
    }
    if (s == SERIN_OK) s = each(a, values, false, why);
    if (s == SERIN_OK) s = each(a, values, true, why);
    json_decref(values);
    return s;
}
