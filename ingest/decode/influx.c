/* ingest/decode/influx.c -- line protocol, as Telegraf's Kafka output writes it
 *
 * A field is a sample of the metric measurement_field, with the line's tags as
 * attributes; influx_metric has the exceptions. Numbers do not say what they are, so
 * the plans do: a latency or a gauge takes a reading, everything else counts units. */
#include <math.h>

#include "ingest/decode/classic.h"
#include "ingest/decode/format.h"
#include "ingest/decode/influx_line.h"
#include "ingest/decode/number.h"
#include "ingest/decode/wanted.h"

enum { MAX_NAME = 1024 };

struct lines { /* one line and where its samples go */
    struct influx_line line;
    struct aggregate_series *series[INFLUX_MAX_FIELDS]; /* NULL: no sample of its own */
    bool histogram;      /* the whole line is one, at series[0] */
    bool buckets;        /* each field is a bucket, of a histogram of its own */
    double le;           /* up to here */
    size_t n_at, bad_at; /* fields "n" and "bad"; SIZE_MAX: none */
    struct series_key key;
};

/* ---------------------------------------------------------------- names */

static bool is(struct strview s, const char *text)
{
    return strview_eq(s, strview_of(text));
}

/* What Telegraf's own Prometheus output would call it: measurement_field; only the
 * measurement when the field is named after its kind; only the field when Telegraf read
 * it from Prometheus. 0: too long. */
static size_t metric_name(const struct influx_line *l, struct strview field,
                          char out[MAX_NAME])
{
    struct strview m = l->measurement;
    if (is(field, "value") || is(field, "counter") || is(field, "gauge")) field.n = 0;
    if (field.n != 0 && is(m, "prometheus")) m.n = 0;
    size_t between = m.n != 0 && field.n != 0;
    if (m.n >= MAX_NAME || field.n >= MAX_NAME - m.n - between) return 0;
    if (m.n != 0) memcpy(out, m.p, m.n);
    if (between) out[m.n] = '_';
    if (field.n != 0) memcpy(out + m.n + between, field.p, field.n);
    return m.n + between + field.n;
}

static enum serin_status find(struct aggregate *a, struct lines *x, size_t tags,
                              struct strview metric, size_t i, struct reject *why)
{
    struct series_key *k = &x->key;
    k->n = tags;
    series_key_text(k, SERIES_METRIC, metric);
    if (k->full || metric.n == 0)
        return quarantine_refuse(why, QUARANTINE_LIMIT,
                                 "a line's tags and metric are over %d bytes",
                                 SERIES_MAX_KEY);
    return aggregate_series(a, (struct strview){(const char *)k->bytes, k->n},
                            &x->series[i], why);
}

/* ---------------------------------------------------------------- one line */

/* Telegraf's other form of a Prometheus histogram (metric_version = 2): a line a
 * bucket, its bound the tag "le", its name that of the field. */
static bool is_bucket_line(const struct influx_line *l, double *le)
{
    struct strview histogram;
    size_t at = 0;
    while (at < l->n_tags && !is(l->tags[at].key, "le"))
        at++;
    if (at == l->n_tags || !classic_bound(l->tags[at].value, le)) return false;
    for (size_t i = 0; i < l->n_fields; i++)
        if (l->fields[i].type == INFLUX_TEXT ||
            !classic_name(l->fields[i].name, &histogram))
            return false;
    return true;
}

/* Fields that belong together: n and bad; the bounds of a histogram. */
static void look(struct lines *x)
{
    x->n_at = x->bad_at = SIZE_MAX;
    x->histogram = false;
    x->buckets = is_bucket_line(&x->line, &x->le);
    for (size_t i = 0; i < x->line.n_fields; i++) {
        const struct influx_field *f = &x->line.fields[i];
        x->series[i] = NULL;
        if (f->type == INFLUX_TEXT) continue;
        if (is(f->name, "n")) x->n_at = i;
        if (is(f->name, "bad")) x->bad_at = i;
        x->histogram |= is(f->name, "+Inf");
    }
}

/* The series of every sample; nothing is added. */
static enum serin_status line_find(struct aggregate *a, struct lines *x,
                                   struct reject *why)
{
    const struct influx_line *l = &x->line;
    enum serin_status s = SERIN_OK;
    char name[MAX_NAME];
    look(x);
    series_key_start(&x->key);
    for (size_t i = 0; i < l->n_tags; i++)
        if (!x->buckets || !is(l->tags[i].key, "le"))
            series_key_attribute(&x->key, l->tags[i].key, l->tags[i].value);
    size_t tags = x->key.n, one = x->n_at != SIZE_MAX ? x->n_at : x->bad_at;
    if (x->histogram) return find(a, x, tags, l->measurement, 0, why);
    for (size_t i = 0; s == SERIN_OK && i < l->n_fields; i++) {
        struct strview metric = {name, 0};
        if (l->fields[i].type == INFLUX_TEXT) continue;
        if (i == one)
            metric = l->measurement;
        else if (i == x->n_at || i == x->bad_at)
            continue;
        else
            metric.n = metric_name(l, l->fields[i].name, name);
        if (x->buckets) (void)classic_name(metric, &metric);
        s = find(a, x, tags, metric, i, why);
    }
    if (s == SERIN_OK && !l->timed)
        s = quarantine_refuse(why, QUARANTINE_FIELD,
                              "a line without a time; let the sender write one");
    return s;
}

/* The unit is the input's; else the one that makes it a date between 1973 and 5138. */
static int64_t time_ms(const struct aggregate *a, int64_t t)
{
    int64_t tick_ns = aggregate_input_now(a)->tick_ns;
    if (t < 0) return -1;
    if (tick_ns == 0) {
        tick_ns = t >= INT64_C(100000000000000000) ? 1
                  : t >= INT64_C(100000000000000)  ? 1000
                  : t >= INT64_C(100000000000)     ? 1000000
                                                   : 1000000000;
    }
    if (tick_ns < 1000000) return t / (1000000 / tick_ns);
    int64_t ms = tick_ns / 1000000;
    return t > INT64_MAX / ms ? INT64_MAX : t * ms;
}

/* Where the input's counts are cumulative: what they rose by, in place. False: nothing
 * to add, a repeat or a beginning. Poison stays as it is, and is not remembered. */
static bool rise(struct aggregate_run *r, int64_t t, const uint64_t *names,
                 uint64_t *counts, size_t n)
{
    uint64_t values[INFLUX_MAX_FIELDS];
    if (!aggregate_input_now(r->a)->cumulative || r->s->n == 0) return true;
    if (t < 0 || t > r->horizon_ms) return true;
    for (size_t i = 0; i < n; i++) {
        values[i] = counts[i];
        if (counts[i] > AGGREGATE_MAX_COUNT) return true;
    }
    const struct strview header = {(const char *)r->s->key, r->s->key_len};
    enum cumulative_result s = cumulative_buckets(
        aggregate_cumulative(r->a), cumulative_key_of(header, 3), cumulative_ns(t),
        CUMULATIVE_NO_START, names, values, n, counts);
    if (s == CUMULATIVE_FULL) counts[0] = UINT64_MAX; /* shown, not silently lost */
    if (s == CUMULATIVE_REPEAT) aggregate_duplicate(r->a, 1);
    if (s == CUMULATIVE_FIRST) aggregate_begun(r->a);
    return s == CUMULATIVE_RISE || s == CUMULATIVE_FULL;
}

/* n and bad, or the one number of a field that counts. */
static void add_counts(struct aggregate_run *r, const struct lines *x, size_t i,
                       int64_t t)
{
    static const uint64_t names[] = {1, 2};
    const struct influx_field *f = x->line.fields;
    bool pair = i == x->n_at || i == x->bad_at;
    uint64_t v[2] = {number_units(f[i].value), 0};
    if (pair && x->bad_at != SIZE_MAX) v[1] = number_units(f[x->bad_at].value);
    if (pair) v[0] = x->n_at != SIZE_MAX ? number_units(f[x->n_at].value) : 1;
    if (rise(r, t, names, v, 2)) aggregate_run_counts(r, t, v[0], v[1]);
}

static enum aggregate_kind kind_of(const struct lines *x, size_t i)
{
    if (x->buckets) return AGGREGATE_HISTS;
    if (x->bad_at != SIZE_MAX && (i == x->n_at || i == x->bad_at))
        return AGGREGATE_COUNTS;
    if (i == x->n_at) return AGGREGATE_UNITS_ONLY;
    if (wanted_as(x->series[i], ROUTE_LATENCY)) return AGGREGATE_VALUES;
    if (wanted_as(x->series[i], ROUTE_GAUGE)) return AGGREGATE_GAUGES;
    return AGGREGATE_UNITS_ONLY;
}

/* ---------------------------------------------------------------- histograms */

struct bound {
    double le, count;
};

/* Telegraf's form of a Prometheus histogram: fields named by their upper bounds, each
 * counting all that is at most that. In the order of the bounds; how many. */
static size_t bounds_of(const struct influx_line *l, struct bound out[])
{
    size_t n = 0;
    for (size_t i = 0; i < l->n_fields; i++) {
        struct bound b = {0, l->fields[i].value};
        size_t k = n;
        if (l->fields[i].type == INFLUX_TEXT ||
            !classic_bound(l->fields[i].name, &b.le))
            continue;
        for (; k > 0 && out[k - 1].le > b.le; k--)
            out[k] = out[k - 1];
        out[k] = b;
        n++;
    }
    return n;
}

static void add_histogram(struct aggregate_run *r, const struct influx_line *l,
                          int64_t t)
{
    struct bound b[INFLUX_MAX_FIELDS];
    double le[INFLUX_MAX_FIELDS];
    uint64_t counts[INFLUX_MAX_FIELDS], names[INFLUX_MAX_FIELDS], before = 0;
    size_t n = bounds_of(l, b);
    for (size_t i = 0; i < n; i++) {
        uint64_t upto = number_units(b[i].count);
        le[i] = b[i].le;
        counts[i] = upto >= before ? upto - before : UINT64_MAX; /* poison */
        before = upto;
        memcpy(&names[i], &le[i], sizeof names[i]);
    }
    if (!rise(r, t, names, counts, n)) return;
    const struct buckets_bounds v = {.bounds = le, .counts = counts, .n = n - 1};
    aggregate_run_bounds(r, t, &v);
}

/* ---------------------------------------------------------------- the record */

static void line_add(struct aggregate *a, const struct lines *x)
{
    const struct influx_line *l = &x->line;
    int64_t t = time_ms(a, l->time);
    struct aggregate_run r;
    if (x->histogram) {
        aggregate_run_begin(&r, a, x->series[0], AGGREGATE_HISTS);
        add_histogram(&r, l, t);
        aggregate_run_end(&r);
        return;
    }
    for (size_t i = 0; i < l->n_fields; i++) {
        double v = l->fields[i].value;
        if (x->series[i] == NULL) continue;
        aggregate_run_begin(&r, a, x->series[i], kind_of(x, i));
        if (x->series[i]->n == 0) /* nobody asks: unrouted, whatever it is */
            aggregate_run_counts(&r, t, 0, 0);
        else if (x->buckets)
            classic_add(a, &r, t, x->le, v);
        else if (r.kind == AGGREGATE_UNITS_ONLY || r.kind == AGGREGATE_COUNTS)
            add_counts(&r, x, i, t);
        else
            aggregate_run_value(&r, t, v);
        aggregate_run_end(&r);
    }
}

enum serin_status influx_decode(struct aggregate *a, const void *record, size_t n,
                                struct reject *why)
{
    struct lines x;
    struct influx_text t = {record, (const char *)record + n, 0}, again = t;
    enum serin_status s;
    size_t found = 0;
    for (; influx_line_next(&t, &x.line, &s, why); found++) {
        s = line_find(a, &x, why);
        if (s != SERIN_OK) return s;
    }
    if (s != SERIN_OK) return s;
    if (found == 0)
        return quarantine_refuse(why, QUARANTINE_EMPTY, "nothing but blanks");
    if (found == 1) { /* Telegraf's usual message: it is all there */
        line_add(a, &x);
        return SERIN_OK;
    }
    while (influx_line_next(&again, &x.line, &s, why) &&
           line_find(a, &x, why) == SERIN_OK)
        line_add(a, &x);
    return SERIN_OK;
}
