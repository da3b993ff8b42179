/* ingest/series.c */
#include "ingest/series.h"

#include "ingest/decode/wire.h"

/* One multi-byte character at s.p[i]; its length, or 0 when it is none. */
static size_t char_length(struct strview s, size_t i)
{
    const unsigned char *p = (const unsigned char *)s.p + i;
    size_t left = s.n - i, n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < n) return 0;
    uint32_t c = p[0] & (0xffU >> (n + 1));
    for (size_t k = 1; k < n; k++) {
        if ((p[k] & 0xc0) != 0x80) return 0;
        c = c << 6 | (p[k] & 0x3f);
    }
    bool surrogate = c >= 0xd800 && c < 0xe000;
    return c >= least[n] && c <= 0x10ffff && !surrogate ? n : 0;
}

bool series_text_ok(struct strview s)
{
    for (size_t i = 0; i < s.n;) {
        unsigned char b = (unsigned char)s.p[i];
        size_t n = b < 0x80 ? b != 0 : char_length(s, i);
        if (n == 0) return false;
        i += n;
    }
    return true;
}

static enum serin_status text_field(struct wire *w, struct strview *out,
                                    const char *what, struct reject *why)
{
    if (!wire_bytes(w, out)) {
        return quarantine_refuse(why, QUARANTINE_TRUNCATED,
                                 "%s: length beyond the message", what);
    }
    if (!series_text_ok(*out)) {
        return quarantine_refuse(why, QUARANTINE_TEXT, "%s: not UTF-8 text", what);
    }
    return SERIN_OK;
}

static enum serin_status
attribute_parse(struct strview bytes, struct series_attribute *out, struct reject *why)
{
    struct wire w = wire_of(bytes);
    *out = (struct series_attribute){{NULL, 0}, {NULL, 0}};
    while (w.p < w.end) {
        uint64_t tag;
        enum serin_status s = SERIN_OK;
        if (!wire_varint(&w, &tag)) {
            return quarantine_refuse(why, QUARANTINE_VARINT, "attribute: broken tag");
        }
        if (tag == (1 << 3 | WIRE_BYTES)) {
            s = text_field(&w, &out->key, "attribute key", why);
        } else if (tag == (2 << 3 | WIRE_BYTES)) {
            s = text_field(&w, &out->value, "attribute value", why);
        } else if (tag >> 3 <= 2 || !wire_skip(&w, tag & 7)) {
            return quarantine_refuse(
                why, QUARANTINE_TYPE, "attribute: field %llu of wire type %u",
                (unsigned long long)(tag >> 3), (unsigned)(tag & 7));
        }
        if (s != SERIN_OK) return s;
    }
    return SERIN_OK;
}

struct strview series_canonical(struct strview key)
{
    static const char *const names[][2] = {
        {"deployment.environment", "deployment.environment.name"},
        {"http.status_code", "http.response.status_code"},
        {"http.method", "http.request.method"},
        {"feature_flag.variant", "feature_flag.result.variant"},
        {"enduser.id", "user.id"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strview_eq(key, strview_of(names[i][0]))) return strview_of(names[i][1]);
    return key;
}

static enum serin_status attribute_field(struct wire *w, struct series_name *out,
                                         struct reject *why)
{
    struct strview bytes;
    if (!wire_bytes(w, &bytes)) {
        return quarantine_refuse(why, QUARANTINE_TRUNCATED,
                                 "attributes: length beyond the message");
    }
    if (out->n_attributes == SERIES_MAX_ATTRIBUTES) {
        return quarantine_refuse(why, QUARANTINE_LIMIT, "more than %d attributes",
                                 SERIES_MAX_ATTRIBUTES);
    }
    struct series_attribute *a = &out->attributes[out->n_attributes++];
    enum serin_status s = attribute_parse(bytes, a, why);
    a->key = series_canonical(a->key);
    return s;
}

enum serin_status series_parse(struct strview key, struct series_name *out,
                               struct reject *why)
{
    struct wire w = wire_of(key);
    out->rollout = out->cohort = out->stratum = out->metric = (struct strview){NULL, 0};
    out->n_attributes = 0;
    while (w.p < w.end) {
        unsigned tag = *w.p++;
        enum serin_status s;
        switch (tag) {
        case SERIES_ROLLOUT << 3 | WIRE_BYTES:
            s = text_field(&w, &out->rollout, "rollout", why);
            break;
        case SERIES_ATTRIBUTE << 3 | WIRE_BYTES:
            s = attribute_field(&w, out, why);
            break;
        case SERIES_COHORT << 3 | WIRE_BYTES:
            s = text_field(&w, &out->cohort, "cohort", why);
            break;
        case SERIES_STRATUM << 3 | WIRE_BYTES:
            s = text_field(&w, &out->stratum, "stratum", why);
            break;
        case SERIES_METRIC << 3 | WIRE_BYTES:
            s = text_field(&w, &out->metric, "metric", why);
            break;
        default:
            return quarantine_refuse(why, QUARANTINE_TYPE,
                                     "column: field %u of type %u", tag >> 3, tag & 7);
        }
        if (s != SERIN_OK) return s;
    }
    return SERIN_OK;
}

bool series_attribute_get(const struct series_name *s, struct strview key,
                          struct strview *value)
{
    key = series_canonical(key);
    for (size_t i = 0; i < s->n_attributes; i++) {
        if (!strview_eq(s->attributes[i].key, key)) continue;
        *value = s->attributes[i].value;
        return true;
    }
    return false;
}

void series_key_start(struct series_key *k)
{
    k->n = 0;
    k->full = false;
}

static size_t varint_size(size_t v)
{
    size_t n = 1;
    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

static void put_varint(struct series_key *k, size_t v)
{
    for (; v >= 0x80; v >>= 7)
        k->bytes[k->n++] = (uint8_t)(v | 0x80);
    k->bytes[k->n++] = (uint8_t)v;
}

static void put_text(struct series_key *k, unsigned field, struct strview s)
{
    k->bytes[k->n++] = (uint8_t)(field << 3 | WIRE_BYTES);
    put_varint(k, s.n);
    if (s.n != 0) memcpy(k->bytes + k->n, s.p, s.n);
    k->n += s.n;
}

static bool fits(struct series_key *k, size_t n)
{
    if (k->full || n > SERIES_MAX_KEY || k->n > SERIES_MAX_KEY - n) k->full = true;
    return !k->full;
}

void series_key_raw(struct series_key *k, unsigned field, struct strview bytes)
{
    if (bytes.n < SERIES_MAX_KEY && fits(k, 1 + varint_size(bytes.n) + bytes.n)) {
        put_text(k, field, bytes);
    } else {
        k->full = true;
    }
}

void series_key_text(struct series_key *k, unsigned field, struct strview text)
{
    if (text.n != 0) series_key_raw(k, field, text);
}

void series_key_attribute(struct series_key *k, struct strview key,
                          struct strview value)
{
    if (key.n >= SERIES_MAX_KEY || value.n >= SERIES_MAX_KEY) {
        k->full = true;
        return;
    }
    size_t n = 2 + varint_size(key.n) + key.n + varint_size(value.n) + value.n;
    if (!fits(k, 1 + varint_size(n) + n)) return;
    k->bytes[k->n++] = SERIES_ATTRIBUTE << 3 | WIRE_BYTES;
    put_varint(k, n);
    put_text(k, 1, key);
    put_text(k, 2, value);
}
