/* ingest/decode/serin.c -- serin.v1.Batch, walked where it lies
 *
 * First pass: every tag, length and varint is checked, headers become series, packed
 * fields become (place, count). Second pass: the samples, which can no longer fail. No
 * memory is allocated but for headers not seen before. */
#include "ingest/decode/format.h"
#include "ingest/decode/wire.h"

enum {
    KEPT = 16 /* columns remembered from the first pass; the rest is scanned again */
};

/* Fields of a column behind its header, by their numbers in serin.v1.Column. */
enum {
    F_BASE = 6,
    F_DT = 7,
    F_N = 8,
    F_BAD = 9,
    F_VALUES = 10,
    F_HISTS = 11,
    F_GAUGES = 12,
    F_UNIT = 13,
    F_USERS = 14,
    FIELDS
};

struct column {
    struct aggregate_series *series;
    struct strview bytes;         /* all of it, to find the histograms again */
    struct strview field[FIELDS]; /* packed fields and the unit */
    size_t count[FIELDS];         /* samples in them */
    int64_t base_ms;
    size_t samples;
    enum aggregate_kind kind;
};

/* ---------------------------------------------------------------- histograms */

struct hist_scan {
    struct buckets_view view;
    struct strview counts;
};

static enum serin_status hist_field(struct wire *w, uint64_t tag, struct hist_scan *h,
                                    struct reject *why)
{
    uint64_t v = 0;
    bool ok = true;
    switch (tag) {
    case 1 << 3 | WIRE_VARINT:
        ok = wire_varint(w, &v);
        h->view.scale = (int32_t)wire_zigzag(v);
        break;
    case 2 << 3 | WIRE_VARINT:
        ok = wire_varint(w, &h->view.zero);
        break;
    case 3 << 3 | WIRE_VARINT:
        ok = wire_varint(w, &v);
        h->view.offset = (int32_t)wire_zigzag(v);
        break;
    case 4 << 3 | WIRE_BYTES:
        ok = h->counts.n == 0 && wire_bytes(w, &h->counts) &&
             wire_packed_count(h->counts, &h->view.n);
        break;
    default:
        if (tag >> 3 > 4 && wire_skip(w, tag & 7)) break;
        return quarantine_refuse(why, QUARANTINE_TYPE,
                                 "histogram: field %llu of wire type %u",
                                 (unsigned long long)(tag >> 3), (unsigned)(tag & 7));
    }
    if (ok) return SERIN_OK;
    return quarantine_refuse(why, QUARANTINE_TRUNCATED,
                             "histogram: field %u is cut off", (unsigned)(tag >> 3));
}

static enum serin_status hist_scan(struct strview bytes, struct hist_scan *h,
                                   struct reject *why)
{
    static const uint8_t none[1];
    struct wire w = wire_of(bytes);
    *h = (struct hist_scan){.counts = {NULL, 0}};
    while (w.p < w.end) {
        uint64_t tag;
        if (!wire_varint(&w, &tag)) {
            return quarantine_refuse(why, QUARANTINE_VARINT, "histogram: broken tag");
        }
        enum serin_status s = hist_field(&w, tag, h, why);
        if (s != SERIN_OK) return s;
    }
    h->view.packed = h->counts.n != 0 ? (const uint8_t *)h->counts.p : none;
    return SERIN_OK;
}

/* ---------------------------------------------------------------- scanning a column */

/* The wire type each field must have, and the size of its elements (0: varints). */
static const struct {
    uint8_t wire, element;
    const char *name;
} fields[FIELDS] = {
    [SERIES_ROLLOUT] = {WIRE_BYTES, 1, "rollout"},
    [SERIES_ATTRIBUTE] = {WIRE_BYTES, 1, "attributes"},
    [SERIES_COHORT] = {WIRE_BYTES, 1, "cohort"},
    [SERIES_STRATUM] = {WIRE_BYTES, 1, "stratum"},
    [SERIES_METRIC] = {WIRE_BYTES, 1, "metric"},
    [F_BASE] = {WIRE_VARINT, 0, "base_ms"},
    [F_DT] = {WIRE_BYTES, 0, "dt_ms"},
    [F_N] = {WIRE_BYTES, 0, "n"},
    [F_BAD] = {WIRE_BYTES, 0, "bad"},
    [F_VALUES] = {WIRE_BYTES, 8, "values"},
    [F_HISTS] = {WIRE_BYTES, 1, "hists"},
    [F_GAUGES] = {WIRE_BYTES, 8, "gauges"},
    [F_UNIT] = {WIRE_BYTES, 1, "unit"},
    [F_USERS] = {WIRE_BYTES, 8, "users"},
};

static enum serin_status cut_off(struct reject *why, const struct wire *w,
                                 const char *what)
{
    if (w->end - w->p >= 10) {
        return quarantine_refuse(
            why, QUARANTINE_VARINT,
            "%s: number over ten bytes, or length beyond the message", what);
    }
    return quarantine_refuse(why, QUARANTINE_TRUNCATED, "%s: cut off", what);
}

static enum serin_status packed_field(struct column *c, unsigned f,
                                      struct strview bytes, struct reject *why)
{
    const char *name = fields[f].name;
    if (c->count[f] != 0) {
        return quarantine_refuse(why, QUARANTINE_COLUMN, "%s: given twice in a column",
                                 name);
    }
    c->field[f] = bytes;
    if (fields[f].element == 8) {
        c->count[f] = bytes.n / 8;
        if (bytes.n % 8 == 0) return SERIN_OK;
        return quarantine_refuse(why, QUARANTINE_TRUNCATED,
                                 "%s: no whole number of 8 bytes each", name);
    }
    if (wire_packed_count(bytes, &c->count[f])) return SERIN_OK;
    return quarantine_refuse(why, QUARANTINE_VARINT,
                             "%s: a number is cut off or over ten bytes", name);
}

static enum serin_status column_field(struct column *c, struct wire *w, uint64_t tag,
                                      struct reject *why)
{
    unsigned f = tag >> 3 < FIELDS ? (unsigned)(tag >> 3) : 0, type = tag & 7;
    struct strview bytes;
    struct hist_scan h;
    uint64_t v;
    if (tag >> 3 >= FIELDS) {
        if (wire_skip(w, type)) return SERIN_OK;
        return quarantine_refuse(why, QUARANTINE_TYPE,
                                 "column: field %llu of wire type %u",
                                 (unsigned long long)(tag >> 3), type);
    }
    if (f == 0 || fields[f].wire != type) {
        return quarantine_refuse(
            why, QUARANTINE_TYPE, "column: field %u (%s) of wire type %u, expected %u",
            f, f != 0 ? fields[f].name : "none", type, fields[f].wire);
    }
    if (f == F_BASE) {
        if (!wire_varint(w, &v)) return cut_off(why, w, "base_ms");
        c->base_ms = (int64_t)v;
        return SERIN_OK;
    }
    if (!wire_bytes(w, &bytes)) return cut_off(why, w, fields[f].name);
    if (f == F_HISTS) {
        c->count[f]++;
        return hist_scan(bytes, &h, why);
    }
    if (f != F_UNIT) return packed_field(c, f, bytes, why);
    c->field[f] = bytes;
    if (series_text_ok(bytes)) return SERIN_OK;
    return quarantine_refuse(why, QUARANTINE_TEXT, "unit: not UTF-8 text");
}

/* Exactly one kind of value, and lengths that agree. */
static enum serin_status column_check(struct column *c, struct reject *why)
{
    size_t n = c->count[F_N], bad = c->count[F_BAD], counts = n > bad ? n : bad;
    size_t of[] = {counts, c->count[F_VALUES], c->count[F_HISTS], c->count[F_GAUGES]};
    static const enum aggregate_kind kinds[] = {AGGREGATE_COUNTS, AGGREGATE_VALUES,
                                                AGGREGATE_HISTS, AGGREGATE_GAUGES};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        if (of[i] == 0) continue;
        if (c->samples != 0) {
            return quarantine_refuse(why, QUARANTINE_MIXED,
                                     "column: more than one of counts, values, hists, "
                                     "gauges");
        }
        c->samples = of[i];
        c->kind = kinds[i];
    }
    if (c->kind == AGGREGATE_COUNTS && bad == 0) c->kind = AGGREGATE_UNITS_ONLY;
    size_t users = c->count[F_USERS];
    if (users != 0 && (users != counts || c->samples != counts)) {
        return quarantine_refuse(why, QUARANTINE_COLUMN,
                                 "column: %zu users for %zu counts", users, counts);
    }
    if ((n != 0 && bad != 0 && n != bad) || c->count[F_DT] > c->samples) {
        return quarantine_refuse(why, QUARANTINE_COLUMN,
                                 "column: %zu n, %zu bad, %zu dt_ms for %zu samples", n,
                                 bad, c->count[F_DT], c->samples);
    }
    return SERIN_OK;
}

/* Header fields out of order, or behind the samples: put the key together. */
static enum serin_status scattered_key(struct aggregate *a, struct column *c,
                                       struct reject *why)
{
    struct series_key k;
    series_key_start(&k);
    for (unsigned f = SERIES_ROLLOUT; f <= SERIES_METRIC; f++) {
        struct wire w = wire_of(c->bytes);
        uint64_t tag = 0;
        while (w.p < w.end && wire_varint(&w, &tag)) {
            struct strview bytes = {NULL, 0};
            bool mine = tag == (f << 3 | WIRE_BYTES);
            if (!(mine ? wire_bytes(&w, &bytes) : wire_skip(&w, tag & 7))) break;
            if (mine) series_key_raw(&k, f, bytes);
        }
    }
    if (k.full) {
        return quarantine_refuse(why, QUARANTINE_LIMIT, "header over %d bytes",
                                 SERIES_MAX_KEY);
    }
    return aggregate_series(a, (struct strview){(const char *)k.bytes, k.n}, &c->series,
                            why);
}

/* Step over header fields; their texts are checked when the key is new. */
static bool header_skip(struct wire *w)
{
    struct strview s;
    while (w->p < w->end && *w->p >= (SERIES_ROLLOUT << 3 | WIRE_BYTES) &&
           *w->p <= (SERIES_METRIC << 3 | WIRE_BYTES) && (*w->p & 7) == WIRE_BYTES) {
        w->p++;
        if (!wire_bytes(w, &s)) return false;
    }
    return true;
}

static enum serin_status column_scan(struct aggregate *a, struct strview bytes,
                                     struct column *c, struct reject *why)
{
    struct wire w = wire_of(bytes);
    struct strview key = {bytes.p, 0}, s;
    bool scattered = false;
    *c = (struct column){.bytes = bytes};
    if (!header_skip(&w)) return cut_off(why, &w, "column header");
    key.n = (size_t)((const char *)w.p - bytes.p);
    while (w.p < w.end) {
        uint64_t tag;
        enum serin_status status = SERIN_OK;
        if (!wire_varint(&w, &tag)) return cut_off(why, &w, "column tag");
        if (tag >> 3 <= SERIES_METRIC && tag >> 3 != 0 && (tag & 7) == WIRE_BYTES) {
            scattered = true;
            if (!wire_bytes(&w, &s)) return cut_off(why, &w, "column header");
        } else {
            status = column_field(c, &w, tag, why);
        }
        if (status != SERIN_OK) return status;
    }
    enum serin_status status = column_check(c, why);
    if (status != SERIN_OK) return status;
    return scattered ? scattered_key(a, c, why)
                     : aggregate_series(a, key, &c->series, why);
}

/* ---------------------------------------------------------------- applying a column */

struct clock_of { /* the times of a column's samples, one after the other */
    const uint8_t *dt;
    size_t left;
    uint64_t t; /* wraps in a hostile column: the sample is judged by what comes out */
};

static inline int64_t next_time(struct clock_of *k)
{
    if (k->left != 0) {
        k->left--;
        k->t += (uint64_t)wire_zigzag(wire_take(&k->dt));
    }
    return (int64_t)k->t;
}

static void apply_counts(struct aggregate_run *r, const struct column *c,
                         struct clock_of *k)
{
    const uint8_t *n = (const uint8_t *)c->field[F_N].p;
    const uint8_t *bad = (const uint8_t *)c->field[F_BAD].p;
    bool has_n = c->count[F_N] != 0, has_bad = c->count[F_BAD] != 0,
         has_users = c->count[F_USERS] != 0;
    for (size_t i = 0; i < c->samples; i++) {
        int64_t t = next_time(k);
        uint64_t units = has_n ? wire_take(&n) : 1, user;
        if (has_users) {
            memcpy(&user, c->field[F_USERS].p + 8 * i, sizeof user);
            r->user = users_of_hash(user);
        }
        aggregate_run_counts(r, t, units, has_bad ? wire_take(&bad) : 0);
    }
}

static void apply_values(struct aggregate_run *r, struct strview field, size_t n,
                         struct clock_of *k)
{
    for (size_t i = 0; i < n; i++) {
        double v;
        memcpy(&v, field.p + 8 * i, sizeof v);
        aggregate_run_value(r, next_time(k), v);
    }
}

static void apply_hists(struct aggregate_run *r, const struct column *c,
                        struct clock_of *k)
{
    struct wire w = wire_of(c->bytes);
    struct reject unused;
    uint64_t tag;
    while (w.p < w.end && wire_varint(&w, &tag)) {
        struct strview bytes;
        struct hist_scan h;
        if (tag != (F_HISTS << 3 | WIRE_BYTES)) {
            if (!wire_skip(&w, tag & 7)) return;
        } else if (wire_bytes(&w, &bytes) &&
                   hist_scan(bytes, &h, &unused) == SERIN_OK) {
            aggregate_run_hist(r, next_time(k), &h.view);
        }
    }
}

static void column_apply(struct aggregate *a, const struct column *c)
{
    struct aggregate_run r;
    struct clock_of k = {(const uint8_t *)c->field[F_DT].p, c->count[F_DT],
                         (uint64_t)c->base_ms};
    aggregate_run_begin(&r, a, c->series, c->kind);
    r.unit = c->field[F_UNIT];
    switch (c->kind) {
    case AGGREGATE_COUNTS:
    case AGGREGATE_UNITS_ONLY:
        apply_counts(&r, c, &k);
        break;
    case AGGREGATE_VALUES:
        apply_values(&r, c->field[F_VALUES], c->samples, &k);
        break;
    case AGGREGATE_GAUGES:
        apply_values(&r, c->field[F_GAUGES], c->samples, &k);
        break;
    case AGGREGATE_HISTS:
        apply_hists(&r, c, &k);
        break;
    }
    aggregate_run_end(&r);
}

/* ---------------------------------------------------------------- the message */

/* Next column of the batch; false at the end or with *status. */
static bool next_column(struct wire *w, struct strview *out, uint64_t *schema,
                        enum serin_status *status, struct reject *why)
{
    while (w->p < w->end) {
        uint64_t tag;
        bool ok = wire_varint(w, &tag);
        if (ok && tag == (2 << 3 | WIRE_BYTES)) {
            if (wire_bytes(w, out)) return true;
            *status = quarantine_refuse(why, QUARANTINE_TRUNCATED,
                                        "columns: length beyond the message");
            return false;
        }
        if (ok && tag == (1 << 3 | WIRE_VARINT))
            ok = wire_varint(w, schema);
        else if (ok && tag >> 3 > 2)
            ok = wire_skip(w, tag & 7);
        else if (ok) {
            *status = quarantine_refuse(
                why, QUARANTINE_TYPE, "batch: field %llu of wire type %u",
                (unsigned long long)(tag >> 3), (unsigned)(tag & 7));
            return false;
        }
        if (!ok) {
            *status = cut_off(why, w, "batch");
            return false;
        }
    }
    return false;
}

static enum serin_status batch_scan(struct aggregate *a, struct wire w,
                                    struct column kept[KEPT], size_t *n,
                                    struct reject *why)
{
    struct column spare;
    struct strview bytes;
    uint64_t schema = 0;
    enum serin_status status = SERIN_OK;
    *n = 0;
    while (next_column(&w, &bytes, &schema, &status, why)) {
        struct column *c = *n < KEPT ? &kept[*n] : &spare;
        status = column_scan(a, bytes, c, why);
        if (status != SERIN_OK) return status;
        ++*n;
    }
    if (status == SERIN_OK && (schema == 0 || schema > SERIN_SCHEMA)) {
        return quarantine_refuse(why, QUARANTINE_SCHEMA,
                                 "schema %llu: expected 1 to %u (Batch.schema)",
                                 (unsigned long long)schema, SERIN_SCHEMA);
    }
    return status;
}

enum serin_status serin_decode(struct aggregate *a, const void *record, size_t n,
                               struct reject *why)
{
    struct column kept[KEPT], spare;
    struct wire w = {record, (const uint8_t *)record + n};
    struct strview bytes;
    uint64_t schema;
    size_t columns;
    enum serin_status status = batch_scan(a, w, kept, &columns, why);
    if (status != SERIN_OK) return status;
    for (size_t i = 0; i < columns && i < KEPT; i++)
        column_apply(a, &kept[i]);
    for (size_t i = 0; columns > KEPT && i < columns; i++) {
        if (!next_column(&w, &bytes, &schema, &status, why)) break;
        if (i < KEPT) continue;
        if (column_scan(a, bytes, &spare, why) == SERIN_OK) column_apply(a, &spare);
    }
    return SERIN_OK;
}
