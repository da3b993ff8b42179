/* ingest/decode/otlp_wire.c */
#include "ingest/decode/otlp_wire.h"

#include <stdio.h>

#define TAG(field, type) ((field) << 3 | (type))

static enum serin_status broken(struct reject *why, const char *what)
{
    return quarantine_refuse(why, QUARANTINE_TRUNCATED, "%s: cut off or broken", what);
}

static enum serin_status wrong_type(struct reject *why, const char *what, uint64_t tag)
{
    return quarantine_refuse(why, QUARANTINE_TYPE, "%s: field %llu of wire type %u",
                             what, (unsigned long long)(tag >> 3), (unsigned)(tag & 7));
}

static bool fixed64(struct wire *w, uint64_t *out)
{
    if (w->end - w->p < 8) return false;
    memcpy(out, w->p, 8);
    w->p += 8;
    return true;
}

bool otlp_wire_next(struct wire *w, uint64_t submessages, unsigned *field,
                    struct strview *out, const char *what, enum serin_status *status,
                    struct reject *why)
{
    while (w->p < w->end) {
        uint64_t tag;
        if (!wire_varint(w, &tag)) {
            *status = broken(why, what);
            return false;
        }
        bool ours = tag >> 3 < 64 && (submessages >> (tag >> 3) & 1) != 0;
        if (tag >> 3 == 0 || (ours && (tag & 7) != WIRE_BYTES)) {
            *status = wrong_type(why, what, tag);
            return false;
        }
        if (!(ours ? wire_bytes(w, out) : wire_skip(w, tag & 7))) {
            *status = broken(why, what);
            return false;
        }
        *field = (unsigned)(tag >> 3);
        if (ours) return true;
    }
    return false;
}

/* ---------------------------------------------------------------- attributes */

static struct strview decimal(int64_t v, char text[OTLP_TEXT])
{
    char *p = text + OTLP_TEXT;
    uint64_t left = v < 0 ? ~(uint64_t)v + 1 : (uint64_t)v;
    do {
        *--p = (char)('0' + left % 10);
        left /= 10;
    } while (left != 0);
    if (v < 0) *--p = '-';
    return (struct strview){p, (size_t)(text + OTLP_TEXT - p)};
}

static bool any_value(struct strview bytes, struct otlp_attribute *out)
{
    struct wire w = wire_of(bytes);
    out->usable = false;
    while (w.p < w.end) {
        uint64_t tag, v;
        double d;
        if (!wire_varint(&w, &tag)) return false;
        out->usable = tag >> 3 <= 4;
        if (tag == TAG(1, WIRE_BYTES)) {
            if (!wire_bytes(&w, &out->value)) return false;
        } else if (tag == TAG(2, WIRE_VARINT)) {
            if (!wire_varint(&w, &v)) return false;
            out->value = strview_of(v != 0 ? "true" : "false");
        } else if (tag == TAG(3, WIRE_VARINT)) {
            if (!wire_varint(&w, &v)) return false;
            out->value = decimal((int64_t)v, out->text);
        } else if (tag == TAG(4, WIRE_FIXED64)) {
            if (!fixed64(&w, &v)) return false;
            memcpy(&d, &v, sizeof d);
            int n = snprintf(out->text, sizeof out->text, "%.17g", d);
            out->value = (struct strview){out->text, (size_t)n};
        } else if (tag >> 3 <= 4 || !wire_skip(&w, tag & 7)) {
            return false;
        }
    }
    return true;
}

static bool key_value(struct strview bytes, struct otlp_attribute *out)
{
    struct wire w = wire_of(bytes);
    struct strview any;
    out->key = out->value = (struct strview){NULL, 0};
    out->usable = false;
    while (w.p < w.end) {
        uint64_t tag;
        if (!wire_varint(&w, &tag)) return false;
        bool ok = tag == TAG(1, WIRE_BYTES) ? wire_bytes(&w, &out->key)
                  : tag == TAG(2, WIRE_BYTES)
                      ? wire_bytes(&w, &any) && any_value(any, out)
                      : tag >> 3 > 2 && wire_skip(&w, tag & 7);
        if (!ok) return false;
    }
    out->usable = out->usable && out->key.n != 0;
    return true;
}

bool otlp_wire_attribute(struct wire *w, unsigned field, struct otlp_attribute *out,
                         enum serin_status *status, struct reject *why)
{
    unsigned found;
    struct strview bytes;
    *status = SERIN_OK;
    if (!otlp_wire_next(w, UINT64_C(1) << field, &found, &bytes, "attributes", status,
                        why))
        return false;
    if (key_value(bytes, out)) return true;
    *status = broken(why, "an attribute");
    return false;
}

/* ---------------------------------------------------------------- fields of points */

enum role {
    R_OTHER,
    R_ATTRIBUTE,
    R_START,
    R_TIME,
    R_FLAGS,
    R_DOUBLE,
    R_INT,
    R_COUNT,
    R_COUNTS,
    R_BOUNDS,
    R_SCALE,
    R_ZERO,
    R_POSITIVE,
    R_NEGATIVE,
    R_NAME,
    R_SPAN_KIND,
    R_STATUS,
    ROLES
};
enum { FIELDS = 16 };

static const uint8_t role_wire[ROLES] = {
    [R_ATTRIBUTE] = WIRE_BYTES, [R_START] = WIRE_FIXED64,  [R_TIME] = WIRE_FIXED64,
    [R_FLAGS] = WIRE_VARINT,    [R_DOUBLE] = WIRE_FIXED64, [R_INT] = WIRE_FIXED64,
    [R_COUNT] = WIRE_FIXED64,   [R_COUNTS] = WIRE_BYTES,   [R_BOUNDS] = WIRE_BYTES,
    [R_SCALE] = WIRE_VARINT,    [R_ZERO] = WIRE_FIXED64,   [R_POSITIVE] = WIRE_BYTES,
    [R_NEGATIVE] = WIRE_BYTES,  [R_NAME] = WIRE_BYTES,     [R_SPAN_KIND] = WIRE_VARINT,
    [R_STATUS] = WIRE_BYTES,
};

#define NUMBER_FIELDS                                                                  \
    {                                                                                  \
        [2] = R_START, [3] = R_TIME, [4] = R_DOUBLE, [6] = R_INT, [7] = R_ATTRIBUTE,   \
        [8] = R_FLAGS                                                                  \
    }
static const uint8_t roles[OTLP_KINDS][FIELDS] = {
    [OTLP_GAUGE] = NUMBER_FIELDS,
    [OTLP_SUM] = NUMBER_FIELDS,
    [OTLP_HISTOGRAM] = {[2] = R_START,
                        [3] = R_TIME,
                        [4] = R_COUNT,
                        [6] = R_COUNTS,
                        [7] = R_BOUNDS,
                        [9] = R_ATTRIBUTE,
                        [10] = R_FLAGS},
    [OTLP_EXPONENTIAL] = {[1] = R_ATTRIBUTE,
                          [2] = R_START,
                          [3] = R_TIME,
                          [4] = R_COUNT,
                          [6] = R_SCALE,
                          [7] = R_ZERO,
                          [8] = R_POSITIVE,
                          [9] = R_NEGATIVE,
                          [10] = R_FLAGS},
    [OTLP_SUMMARY] = {[2] = R_START, [3] = R_TIME, [7] = R_ATTRIBUTE, [8] = R_FLAGS},
    [OTLP_SPAN] = {[5] = R_NAME,
                   [6] = R_SPAN_KIND,
                   [7] = R_START,
                   [8] = R_TIME,
                   [9] = R_ATTRIBUTE,
                   [15] = R_STATUS},
};

unsigned otlp_wire_attributes_of(enum otlp_kind kind)
{
    static const uint8_t of[OTLP_KINDS] = {7, 7, 9, 1, 7, 9};
    return of[kind];
}

static void fixed_field(struct otlp_point *p, enum role role, uint64_t v)
{
    if (role == R_START) p->start_ns = v;
    if (role == R_TIME) p->time_ns = v;
    if (role == R_COUNT) p->count = v;
    if (role == R_ZERO) p->view.zero = v;
    if (role == R_DOUBLE || role == R_INT) {
        p->number = role == R_INT ? OTLP_INT : OTLP_DOUBLE;
        p->bits = v;
    }
}

static void varint_field(struct otlp_point *p, enum role role, uint64_t v)
{
    if (role == R_FLAGS) p->flags = v;
    if (role == R_SPAN_KIND) p->span_kind = v;
    if (role == R_SCALE) p->view.scale = (int32_t)wire_zigzag(v);
}

static bool any_set(struct strview s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != 0) return true;
    return false;
}

/* Buckets{offset = 1, bucket_counts = 2}; the counts packed, and given once. */
static bool buckets_field(struct otlp_point *p, bool positive, struct strview bytes)
{
    struct wire w = wire_of(bytes);
    struct strview counts = {NULL, 0};
    uint64_t offset = 0;
    size_t n = 0;
    while (w.p < w.end) {
        uint64_t tag;
        if (!wire_varint(&w, &tag)) return false;
        bool ok = tag == TAG(1, WIRE_VARINT) ? wire_varint(&w, &offset)
                  : tag == TAG(2, WIRE_BYTES)
                      ? counts.n == 0 && wire_bytes(&w, &counts) &&
                            wire_packed_count(counts, &n)
                      : tag >> 3 > 2 && wire_skip(&w, tag & 7);
        if (!ok) return false;
    }
    if (!positive) {
        p->negative |= any_set(counts);
    } else if (n != 0) {
        p->view.packed = (const uint8_t *)counts.p;
        p->view.offset = (int32_t)wire_zigzag(offset);
        p->view.n = n;
    }
    return true;
}

static bool status_field(struct otlp_point *p, struct strview bytes)
{
    struct wire w = wire_of(bytes);
    while (w.p < w.end) {
        uint64_t tag;
        if (!wire_varint(&w, &tag)) return false;
        if (!(tag == TAG(3, WIRE_VARINT) ? wire_varint(&w, &p->status)
                                         : tag >> 3 != 0 && wire_skip(&w, tag & 7)))
            return false;
    }
    return true;
}

static bool bytes_field(struct otlp_point *p, enum role role, struct strview s,
                        const uint8_t *tag_at)
{
    const char *from = (const char *)tag_at;
    switch ((int)role) {
    case R_ATTRIBUTE:
        if (p->attributes.p == NULL) p->attributes.p = from;
        p->scattered |= from != p->attributes.p + p->attributes.n;
        p->attributes.n = (size_t)(s.p + s.n - p->attributes.p);
        return true;
    case R_COUNTS:
    case R_BOUNDS: {
        struct strview *to = role == R_COUNTS ? &p->counts : &p->bounds;
        bool once = to->n == 0;
        *to = s;
        return once && s.n % 8 == 0;
    }
    case R_POSITIVE:
    case R_NEGATIVE:
        return buckets_field(p, role == R_POSITIVE, s);
    case R_NAME:
        p->name = s;
        return true;
    default:
        return status_field(p, s);
    }
}

/* One by one: cleared as a whole it costs a fifth of the walk. */
static void start(struct otlp_point *p)
{
    static const uint8_t none[1];
    p->attributes = p->bounds = p->counts = p->name = (struct strview){NULL, 0};
    p->scattered = p->negative = false;
    p->start_ns = p->time_ns = p->flags = p->bits = p->count = 0;
    p->span_kind = p->status = 0;
    p->number = OTLP_NONE;
    p->view = (struct buckets_view){.packed = none};
}

enum serin_status otlp_wire_point(enum otlp_kind kind, struct strview bytes,
                                  struct otlp_point *out, struct reject *why)
{
    struct wire w = wire_of(bytes);
    start(out);
    while (w.p < w.end) {
        const uint8_t *at = w.p;
        uint64_t tag, v = 0;
        struct strview s;
        bool ok;
        if (!wire_varint(&w, &tag)) return broken(why, "a point");
        enum role role = tag >> 3 < FIELDS ? roles[kind][tag >> 3] : R_OTHER;
        if (tag >> 3 == 0 || (role != R_OTHER && role_wire[role] != (tag & 7)))
            return wrong_type(why, "a point", tag);
        if (role == R_OTHER) {
            ok = wire_skip(&w, tag & 7);
        } else if ((tag & 7) == WIRE_FIXED64) {
            ok = fixed64(&w, &v);
            fixed_field(out, role, v);
        } else if ((tag & 7) == WIRE_VARINT) {
            ok = wire_varint(&w, &v);
            varint_field(out, role, v);
        } else {
            ok = wire_bytes(&w, &s) && bytes_field(out, role, s, at);
        }
        if (!ok) return broken(why, "a point");
    }
    return SERIN_OK;
}
