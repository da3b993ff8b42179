/* ingest/decode/wire.h -- protobuf's wire format, walked in place with bounds checks */
#ifndef SERIN_INGEST_DECODE_WIRE_H
#define SERIN_INGEST_DECODE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/strview.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "fixed-width fields are read in place");

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* The unread rest of a message; p never passes end. */
struct wire {
    const uint8_t *p, *end;
};

static inline struct wire wire_of(struct strview s)
{
    const uint8_t *p = (const uint8_t *)s.p;
    return (struct wire){p, p + s.n};
}

static inline bool wire_varint_slow(struct wire *w, uint64_t *out)
{
    uint64_t v = 0;
    const uint8_t *p = w->p;
    for (unsigned shift = 0; shift < 70 && p < w->end; shift += 7) {
        uint64_t b = *p++;
        v |= (b & 0x7f) << (shift & 63);
        if (b < 0x80) {
            w->p = p;
            *out = v;
            return true;
        }
    }
    return false;
}

/** One varint; false (and *w unmoved) when it is cut off or longer than ten bytes. */
static inline bool wire_varint(struct wire *w, uint64_t *out)
{
    if (w->p < w->end && *w->p < 0x80) {
        *out = *w->p++;
        return true;
    }
    return wire_varint_slow(w, out);
}

/** A length and that many bytes; false when they reach beyond the message. */
static inline bool wire_bytes(struct wire *w, struct strview *out)
{
    struct wire r = *w;
    uint64_t n;
    if (!wire_varint(&r, &n) || n > (uint64_t)(r.end - r.p)) return false;
    *out = (struct strview){(const char *)r.p, (size_t)n};
    w->p = r.p + n;
    return true;
}

/** Step over the value of an unknown field; false: cut off, or a type protobuf lacks.
 */
static inline bool wire_skip(struct wire *w, unsigned type)
{
    uint64_t v;
    struct strview s;
    size_t fixed = type == WIRE_FIXED64 ? 8 : 4;
    if (type == WIRE_VARINT) return wire_varint(w, &v);
    if (type == WIRE_BYTES) return wire_bytes(w, &s);
    if (type != WIRE_FIXED64 && type != WIRE_FIXED32) return false;
    if ((size_t)(w->end - w->p) < fixed) return false;
    w->p += fixed;
    return true;
}

static inline int64_t wire_zigzag(uint64_t v)
{
    return (int64_t)(v >> 1 ^ (~(v & 1) + 1));
}

/**
 * How many varints a packed field holds; false when the last is cut off or one is
 * longer than ten bytes. After true, exactly *n calls of wire_take stay inside it.
 */
static inline bool wire_packed_count(struct strview s, size_t *n)
{
    const uint8_t *p = (const uint8_t *)s.p;
    size_t i = 0, count = 0, run = 0;
    if (s.n != 0 && p[s.n - 1] >= 0x80) return false;
    for (; i + 8 <= s.n; i += 8) {
        uint64_t word;
        memcpy(&word, p + i, 8);
        uint64_t more = word & UINT64_C(0x8080808080808080);
        if (more == 0) {
            count += 8;
            run = 0;
            continue;
        }
        /* Runs of continuation bytes: one may span two words, never more than ten. */
        uint64_t stop = ~more & UINT64_C(0x8080808080808080);
        if (stop == 0) {
            run += 8;
        } else {
            if (run + (size_t)__builtin_ctzll(stop) / 8 >= 10) return false;
            run = (size_t)__builtin_clzll(stop) / 8;
        }
        if (run >= 10) return false;
        count += (size_t)((stop >> 7) * UINT64_C(0x0101010101010101) >> 56);
    }
    for (; i < s.n; i++) {
        run = p[i] >= 0x80 ? run + 1 : 0;
        if (run >= 10) return false;
        count += p[i] < 0x80;
    }
    *n = count;
    return true;
}

/** Next varint of a field that wire_packed_count has passed. */
static inline uint64_t wire_take(const uint8_t **at)
{
    const uint8_t *p = *at;
    uint64_t v = *p & 0x7f;
    for (unsigned shift = 7; *p++ >= 0x80; shift += 7) {
        v |= (uint64_t)(*p & 0x7f) << (shift & 63);
    }
    *at = p;
    return v;
}

#endif
