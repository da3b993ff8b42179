/* engine/replay/mask/mask_wire.c -- records in protobuf and line protocol
 *
 * A table for each message says what becomes of its fields; numbers always stay, and
 * bytes that no table knows go. */
#include "engine/replay/mask/mask.h"

#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/mem.h"
#include "engine/replay/source/wire_out.h"

enum { DEPTH = 12 };

enum act {
    COPY = 1,
    NAME,
    WORKER, /* as a name, but those of stages, "@stage/1", say nothing */
    STRATUM,
    VERDICT,   /* rollout/number */
    LABEL,     /* {1 key, 2 value} */
    ATTRIBUTE, /* {1 key, 2 {1 text, 2 bool, 3 number, …}} */
    USERS,     /* packed fixed64: of a cell, rising */
    HASHES,    /* packed fixed64: any 64 bits that stand for a user */
    PLAN,
    INTO
};

struct rule {
    unsigned field;
    enum act act;
    const struct rule *into;
};

/* ---------------------------------------------------------------- messages */

static const struct rule
    unit_sum[] = {{1, NAME, NULL}, {0}},
    cell[] = {{2, STRATUM, NULL},  {3, COPY, NULL},   {7, COPY, NULL},
              {8, INTO, unit_sum}, {10, USERS, NULL}, {0}},
    partial[] = {{1, NAME, NULL}, {2, NAME, NULL}, {3, INTO, cell}, {0}},
    source[] = {{1, NAME, NULL}, {0}},
    tick[] = {{1, WORKER, NULL}, {3, INTO, source}, {0}},
    command[] = {{1, NAME, NULL}, {2, NAME, NULL}, {4, NAME, NULL},  {5, NAME, NULL},
                 {7, PLAN, NULL}, {9, COPY, NULL}, {21, NAME, NULL}, {0}},
    ack[] = {{1, NAME, NULL}, {2, VERDICT, NULL}, {3, NAME, NULL},
             {6, NAME, NULL}, {7, NAME, NULL},    {0}},
    check[] = {{1, NAME, NULL}, {2, COPY, NULL}, {5, COPY, NULL},
               {6, NAME, NULL}, {7, NAME, NULL}, {0}},
    signal[] = {{1, NAME, NULL},
                {2, NAME, NULL},
                {3, COPY, NULL},
                {5, NAME, NULL},
                {0}},
    inbox[] = {{2, INTO, partial},
               {3, INTO, command},
               {4, INTO, ack},
               {5, INTO, tick},
               {10, INTO, check},
               {11, INTO, signal},
               {0}};

static const struct rule column[] = {{1, NAME, NULL},    {2, LABEL, NULL},
                                     {3, COPY, NULL},    {4, STRATUM, NULL},
                                     {5, COPY, NULL},    {7, COPY, NULL},
                                     {8, COPY, NULL},    {9, COPY, NULL},
                                     {10, COPY, NULL},   {11, COPY, NULL},
                                     {12, COPY, NULL},   {13, NAME, NULL},
                                     {14, HASHES, NULL}, {0}},
                         batch[] = {{2, INTO, column}, {0}};

static const struct rule series[] = {{1, LABEL, NULL},
                                     {2, COPY, NULL},
                                     {4, COPY, NULL},
                                     {0}},
                         write_request[] = {{1, INTO, series}, {0}};

/* OTLP. A metric and a span both are field 2 of their scope: fields 5, 7, 9, 10 and 11
 * of a metric hold its points; field 9 of a span is an attribute, and 5 its name. */
static const struct rule
    resource[] = {{1, ATTRIBUTE, NULL}, {0}},
    scope[] = {{1, NAME, NULL}, {2, NAME, NULL}, {3, ATTRIBUTE, NULL}, {0}},
    number[] = {{7, ATTRIBUTE, NULL}, {0}},
    histogram[] = {{6, COPY, NULL}, {7, COPY, NULL}, {9, ATTRIBUTE, NULL}, {0}},
    exponential[] = {{1, ATTRIBUTE, NULL}, {8, COPY, NULL}, {9, COPY, NULL}, {0}},
    numbers[] = {{1, INTO, number}, {0}}, histograms[] = {{1, INTO, histogram}, {0}},
    exponentials[] = {{1, INTO, exponential}, {0}},
    metric[] = {{1, COPY, NULL},
                {3, COPY, NULL},
                {5, INTO, numbers},
                {7, INTO, numbers},
                {9, INTO, histograms},
                {10, INTO, exponentials},
                {0}},
    status[] = {{0}},
    span[] = {{5, NAME, NULL}, {9, ATTRIBUTE, NULL}, {15, INTO, status}, {0}},
    metrics[] = {{1, INTO, scope}, {2, INTO, metric}, {0}},
    spans[] = {{1, INTO, scope}, {2, INTO, span}, {0}},
    of_metrics[] = {{1, INTO, resource}, {2, INTO, metrics}, {0}},
    of_spans[] = {{1, INTO, resource}, {2, INTO, spans}, {0}},
    otlp_metrics[] = {{1, INTO, of_metrics}, {0}},
    otlp_spans[] = {{1, INTO, of_spans}, {0}};

/* ---------------------------------------------------------------- writing */

static void put_name(const struct mask *m, struct text *t, unsigned field,
                     struct strview s)
{
    char other[MASK_NAME];
    mask_name(m, s, other);
    wire_out_bytes(t, field, strview_of(other));
}

static void put_text(struct text *t, unsigned field, struct text *from)
{
    wire_out_bytes(t, field, (struct strview){from->p, from->n});
    t->failed |= from->failed;
    text_free(from);
}

/* ---------------------------------------------------------------- fields */

/* The bytes of a field; n == 0: there is none. */
static struct strview field_of(struct strview s, unsigned field)
{
    struct wire w = wire_of(s);
    struct strview bytes;
    uint64_t tag;
    while (w.p < w.end && wire_varint(&w, &tag)) {
        if ((tag & 7) != WIRE_BYTES) {
            if (!wire_skip(&w, tag & 7)) break;
        } else if (!wire_bytes(&w, &bytes)) {
            break;
        } else if (tag >> 3 == field) {
            return bytes;
        }
    }
    return (struct strview){NULL, 0};
}

static bool label(const struct mask *m, struct strview s, struct text *out)
{
    struct strview key = field_of(s, 1), value = field_of(s, 2);
    wire_out_bytes(out, 1, key);
    if (mask_kept(m, key))
        wire_out_bytes(out, 2, value);
    else
        put_name(m, out, 2, value);
    return true;
}

/* Texts and whole numbers become names; true and false say nothing; what has more in it
 * goes. */
static bool attribute(const struct mask *m, struct strview s, struct text *out)
{
    char digits[24];
    struct strview key = field_of(s, 1), value = field_of(s, 2), is = {NULL, 0};
    struct wire w = wire_of(value);
    uint64_t tag = 0, v = 0;
    struct text any = {0};
    if (w.p < w.end) (void)wire_varint(&w, &tag);
    bool whole = tag == (3 << 3 | WIRE_VARINT) && wire_varint(&w, &v);
    if (tag == (1 << 3 | WIRE_BYTES)) (void)wire_bytes(&w, &is);
    if (whole) {
        snprintf(digits, sizeof digits, "%lld", (long long)(int64_t)v);
        is = strview_of(digits);
    }
    wire_out_bytes(out, 1, key);
    if (mask_kept(m, key) || tag == (2 << 3 | WIRE_VARINT)) {
        wire_out_bytes(out, 2, value);
    } else {
        put_name(m, &any, 1, is);
        put_text(out, 2, &any);
    }
    return true;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

static bool others(const struct mask *m, struct strview s, bool sorted,
                   struct text *out)
{
    size_t n = s.n / 8;
    if (s.n % 8 != 0) return false;
    uint64_t *all = mem_calloc(n + 1, sizeof *all);
    if (all == NULL) return false;
    if (s.n != 0) memcpy(all, s.p, s.n);
    for (size_t i = 0; i < n; i++)
        all[i] = mask_user(m, all[i]);
    if (sorted) qsort(all, n, sizeof *all, by_number);
    text_bytes(out, (const char *)all, s.n);
    mem_free(all);
    return true;
}

static bool users(const struct mask *m, struct strview s, struct text *out)
{
    return others(m, s, true, out);
}

static bool hashes(const struct mask *m, struct strview s, struct text *out)
{
    return others(m, s, false, out);
}

static bool copy(const struct mask *m, struct strview s, struct text *out)
{
    (void)m;
    text_bytes(out, s.p, s.n);
    return true;
}

static bool name(const struct mask *m, struct strview s, struct text *out)
{
    char other[MASK_NAME];
    mask_name(m, s, other);
    text_add(out, "%s", other);
    return true;
}

static bool worker(const struct mask *m, struct strview s, struct text *out)
{
    bool stage = s.n > 7 && memcmp(s.p, "@stage/", 7) == 0;
    return stage ? copy(m, s, out) : name(m, s, out);
}

static bool stratum(const struct mask *m, struct strview s, struct text *out)
{
    mask_stratum(m, s, out);
    return true;
}

/* "rollout/12" */
static bool verdict(const struct mask *m, struct strview s, struct text *out)
{
    const char *slash = s.n != 0 ? memchr(s.p, '/', s.n) : NULL;
    size_t n = slash != NULL ? (size_t)(slash - s.p) : s.n;
    (void)name(m, (struct strview){s.p, n}, out);
    return copy(m, (struct strview){s.p + n, s.n - n}, out);
}

/* ---------------------------------------------------------------- the walk */

static enum serin_status message(const struct mask *m, const struct rule *rules,
                                 struct strview s, unsigned depth, struct text *out);

/* False: not such bytes. */
typedef bool (*act_fn)(const struct mask *m, struct strview s, struct text *out);

static const act_fn acts[] = {
    [COPY] = copy,           [NAME] = name,       [WORKER] = worker,
    [STRATUM] = stratum,     [VERDICT] = verdict, [LABEL] = label,
    [ATTRIBUTE] = attribute, [USERS] = users,     [HASHES] = hashes};

static enum serin_status one(const struct mask *m, const struct rule *r,
                             struct strview s, unsigned depth, struct text *out)
{
    struct text in = {0};
    enum serin_status rc = SERIN_OK;
    if (r->act == INTO)
        rc = message(m, r->into, s, depth + 1, &in);
    else if (r->act == PLAN)
        rc = s.n != 0 ? mask_plan(m, s, &in) : SERIN_OK;
    else if (!acts[r->act](m, s, &in))
        rc = SERIN_EPARSE;
    put_text(out, r->field, &in);
    return rc;
}

static const struct rule *rule_of(const struct rule *rules, uint64_t field)
{
    for (; rules->field != 0; rules++)
        if (rules->field == field) return rules;
    return NULL;
}

static enum serin_status message(const struct mask *m, const struct rule *rules,
                                 struct strview s, unsigned depth, struct text *out)
{
    struct wire w = wire_of(s);
    enum serin_status rc = SERIN_OK;
    if (depth > DEPTH) return SERIN_EPARSE;
    while (rc == SERIN_OK && w.p < w.end) {
        const uint8_t *from = w.p;
        struct strview bytes;
        uint64_t tag;
        if (!wire_varint(&w, &tag)) return SERIN_EPARSE;
        const struct rule *r = rule_of(rules, tag >> 3);
        if ((tag & 7) != WIRE_BYTES) {
            if (!wire_skip(&w, tag & 7)) return SERIN_EPARSE;
            text_bytes(out, (const char *)from, (size_t)(w.p - from));
        } else if (!wire_bytes(&w, &bytes)) {
            return SERIN_EPARSE;
        } else if (r != NULL) {
            rc = one(m, r, bytes, depth, out);
        }
    }
    if (rc == SERIN_OK && out->failed) return SERIN_ENOMEM;
    return rc;
}

enum serin_status mask_inbox(const struct mask *m, struct strview record,
                             struct text *out)
{
    return message(m, inbox, record, 0, out);
}

/* ---------------------------------------------------------------- formats */

/* A span has a kind (6) and times (7, 8) of its own, as the decoder knows it. */
static bool has_spans(struct strview request)
{
    struct strview item = field_of(field_of(field_of(request, 1), 2), 2);
    struct wire w = wire_of(item);
    uint64_t tag;
    while (w.p < w.end && wire_varint(&w, &tag)) {
        if (tag == (6 << 3 | WIRE_VARINT) || tag == (7 << 3 | WIRE_FIXED64))
            return true;
        if (!wire_skip(&w, tag & 7)) break;
    }
    return false;
}

/* Up to the first of these characters that no backslash stands before. */
static size_t upto(struct strview s, const char *ends)
{
    size_t i = 0;
    for (; i < s.n && strchr(ends, s.p[i]) == NULL; i++)
        if (s.p[i] == '\\' && i + 1 < s.n) i++;
    return i < s.n ? i : s.n;
}

/* measurement,tag=value,… fields time: the tags' values, and texts among the fields. */
static void influx_line(const struct mask *m, struct strview s, struct text *out)
{
    size_t n = upto(s, ", ");
    text_bytes(out, s.p, n);
    while (n < s.n && s.p[n] == ',') {
        s = (struct strview){s.p + n, s.n - n};
        size_t eq = upto(s, "= ");
        struct strview key = {s.p + 1, eq > 0 ? eq - 1 : 0};
        text_bytes(out, s.p, eq < s.n ? eq + 1 : eq);
        s = (struct strview){s.p + (eq < s.n ? eq + 1 : eq),
                             s.n - (eq < s.n ? eq + 1 : eq)};
        n = upto(s, ", ");
        struct strview value = {s.p, n};
        (void)(mask_kept(m, key) ? copy(m, value, out) : name(m, value, out));
    }
    bool inside = false;
    for (; n < s.n; n++) {
        bool escaped = inside && s.p[n] == '\\' && n + 1 < s.n;
        if (s.p[n] == '"') inside = !inside;
        if (!inside || s.p[n] == '"') text_bytes(out, s.p + n, 1);
        n += escaped;
    }
}

static enum serin_status influx(const struct mask *m, struct strview s,
                                struct text *out)
{
    while (s.n != 0) {
        const char *end = memchr(s.p, '\n', s.n);
        size_t n = end != NULL ? (size_t)(end - s.p) : s.n;
        if (n != 0 && s.p[0] != '#') influx_line(m, (struct strview){s.p, n}, out);
        if (end != NULL) text_bytes(out, "\n", 1);
        s.p += n + (end != NULL);
        s.n -= n + (end != NULL);
    }
    return out->failed ? SERIN_ENOMEM : SERIN_OK;
}

/* Remote write: snappy around it. */
static enum serin_status prometheus(const struct mask *m, struct strview s,
                                    struct text *out)
{
    size_t n = 0;
    struct text plain = {.max = (size_t)64 << 20};
    if (snappy_uncompressed_length(s.p, s.n, &n) != SNAPPY_OK || n > 64 * (s.n + 1))
        return SERIN_EPARSE;
    char *bytes = mem_calloc(n + 1, 1), *packed = NULL;
    if (bytes == NULL) return SERIN_ENOMEM;
    enum serin_status rc =
        snappy_uncompress(s.p, s.n, bytes, &n) == SNAPPY_OK ? SERIN_OK : SERIN_EPARSE;
    if (rc == SERIN_OK)
        rc = message(m, write_request, (struct strview){bytes, n}, 0, &plain);
    size_t room = snappy_max_compressed_length(plain.n);
    if (rc == SERIN_OK && (packed = mem_calloc(room + 1, 1)) == NULL) rc = SERIN_ENOMEM;
    if (rc == SERIN_OK && snappy_compress(plain.p, plain.n, packed, &room) != SNAPPY_OK)
        rc = SERIN_ENOMEM;
    if (rc == SERIN_OK) text_bytes(out, packed, room);
    if (rc == SERIN_OK && out->failed) rc = SERIN_ENOMEM;
    mem_free(bytes);
    mem_free(packed);
    text_free(&plain);
    return rc;
}

enum serin_status mask_record(const struct mask *m, enum format f,
                              struct strview record, struct text *out)
{
    if (f == FORMAT_AUTO) f = format_guess(record.p, record.n);
    if (f == FORMAT_OTLP_PROTO && record.n != 0 && *record.p == '{')
        f = FORMAT_OTLP_JSON;
    if (f == FORMAT_JSON || f == FORMAT_OTLP_JSON) return mask_json(m, f, record, out);
    if (f == FORMAT_SERIN) return message(m, batch, record, 0, out);
    if (f == FORMAT_INFLUX) return influx(m, record, out);
    if (f == FORMAT_OTLP_PROTO)
        return message(m, has_spans(record) ? otlp_spans : otlp_metrics, record, 0,
                       out);
    return prometheus(m, record, out);
}
