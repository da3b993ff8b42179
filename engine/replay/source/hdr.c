/* engine/replay/source/hdr.c */
#include "engine/replay/source/hdr.h"

#include <zlib.h>

#include "engine/base/mem.h"

enum {
    COOKIE = 0x1c849313, /* version 2, and the same once compressed */
    COOKIE_PACKED = 0x1c849314,
    HEAD_PACKED = 8,
    HEAD = 40,
    INDEX_MAX = 1 << 24,
    USUAL = 256 << 10 /* bytes of a histogram, unpacked */
};

static uint64_t big(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static bool room(uint8_t **p, size_t *have, size_t n)
{
    if (*have >= n) return true;
    uint8_t *grown = mem_realloc(*p, n, 1);
    if (grown == NULL) return false;
    *p = grown;
    *have = n;
    return true;
}

void hdr_free(struct hdr *h)
{
    mem_free(h->buckets);
    mem_free(h->packed);
    mem_free(h->plain);
    *h = (struct hdr){0};
}

/* ---------------------------------------------------------------- the envelope */

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Into h->packed; how many bytes, 0: no base64. */
static size_t from_base64(struct hdr *h, struct strview s)
{
    uint32_t bits = 0;
    size_t n = 0;
    while (s.n != 0 && s.p[s.n - 1] == '=')
        s.n--;
    if (!room(&h->packed, &h->packed_room, s.n + 1)) return 0;
    for (size_t i = 0; i < s.n; i++) {
        int v = sextet(s.p[i]);
        if (v < 0) return 0;
        bits = bits << 6 | (uint32_t)v;
        if (i % 4 != 0) h->packed[n++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    return n;
}

/* Into h->plain; how many bytes, 0: refused. */
static size_t inflated(struct hdr *h, size_t packed, struct reject *why)
{
    uLongf n = 0;
    if (packed < HEAD_PACKED || big(h->packed, 4) != COOKIE_PACKED) {
        (void)quarantine_refuse(why, QUARANTINE_LINE,
                                "expected a compressed histogram of version 2, base64 "
                                "that begins with HISTFA; found cookie %08x",
                                packed >= 4 ? (unsigned)big(h->packed, 4) : 0);
        return 0;
    }
    size_t said = big(h->packed + 4, 4);
    if (said > packed - HEAD_PACKED) {
        (void)quarantine_refuse(why, QUARANTINE_TRUNCATED,
                                "a histogram of %zu bytes, %zu of them are there", said,
                                packed - HEAD_PACKED);
        return 0;
    }
    int rc = Z_BUF_ERROR;
    for (size_t most = USUAL; rc == Z_BUF_ERROR && most <= HDR_MAX_BYTES; most *= 32) {
        if (!room(&h->plain, &h->plain_room, most)) return 0;
        n = most;
        rc = uncompress(h->plain, &n, h->packed + HEAD_PACKED, said);
    }
    if (rc == Z_OK && n >= HEAD && big(h->plain, 4) == COOKIE) return n;
    (void)quarantine_refuse(why, QUARANTINE_LINE,
                            rc == Z_BUF_ERROR ? "over 8 MiB once unpacked, or cut short"
                                              : "its zlib stream is damaged, or holds "
                                                "no histogram of version 2");
    return 0;
}

/* ---------------------------------------------------------------- counts */

/* How its whole numbers are laid out in buckets. */
struct layout {
    unsigned unit, half; /* log2 of the lowest value; of half a bucket's parts */
};

static bool layout_of(const uint8_t *head, struct layout *out)
{
    static const unsigned parts[] = {1, 5, 8, 11, 15, 18}; /* ceil(log2(2 * 10^d)) */
    uint64_t offset = big(head + 8, 4), digits = big(head + 12, 4),
             lowest = big(head + 16, 8);
    const uint64_t one = UINT64_C(0x3ff0000000000000); /* 1.0 */
    if (offset != 0 || digits > 5 || big(head + 32, 8) != one || lowest == 0)
        return false;
    out->unit = 63 - (unsigned)__builtin_clzll(lowest);
    out->half = parts[digits] - 1;
    return out->unit + out->half < 62;
}

/* The bucket of an index; false: beyond 63 bits. */
static bool bucket_of(const struct layout *l, uint64_t index, struct hdr_bucket *out)
{
    uint64_t exponent = index >> l->half, part = index & ((UINT64_C(1) << l->half) - 1);
    unsigned shift = l->unit;
    if (exponent > 0) {
        part += UINT64_C(1) << l->half;
        shift += (unsigned)exponent - 1;
    }
    if (exponent > 63 || shift + l->half + 1 > 63) return false;
    out->low = part << shift;
    out->high = out->low + (UINT64_C(1) << shift) - 1;
    return true;
}

/* The next count; at most nine bytes, the ninth is whole. */
static bool take(const uint8_t **at, const uint8_t *end, int64_t *out)
{
    uint64_t v = 0, b = 0x80;
    for (unsigned i = 0; i < 9 && b >= 0x80; i++) {
        if (*at == end) return false;
        b = *(*at)++;
        v |= (i < 8 ? b & 0x7f : b) << 7 * i;
    }
    *out = (int64_t)(v >> 1 ^ (~(v & 1) + 1));
    return true;
}

static bool push(struct hdr *h, const struct hdr_bucket *b)
{
    if (h->n == h->room) {
        size_t more = h->room != 0 ? 2 * h->room : 256;
        struct hdr_bucket *grown = mem_realloc(h->buckets, more, sizeof *grown);
        if (grown == NULL) return false;
        h->buckets = grown;
        h->room = more;
    }
    h->buckets[h->n++] = *b;
    return true;
}

static enum serin_status counts(struct hdr *h, const struct layout *l, size_t n,
                                struct reject *why)
{
    const uint8_t *at = h->plain + HEAD, *end = at + n;
    uint64_t index = 0;
    while (at < end) {
        struct hdr_bucket b;
        int64_t v;
        if (!take(&at, end, &v) || v < -INDEX_MAX)
            return quarantine_refuse(why, QUARANTINE_VARINT, "a count that is cut off");
        if (v < 0) {
            index += (uint64_t)-v;
        } else if (v == 0) {
            index++;
        } else if (index > INDEX_MAX || !bucket_of(l, index++, &b)) {
            return quarantine_refuse(why, QUARANTINE_LINE,
                                     "a count beyond the values that it can hold");
        } else {
            b.count = (uint64_t)v;
            if (!push(h, &b))
                return quarantine_refuse(why, QUARANTINE_LIMIT, "no memory");
        }
    }
    return SERIN_OK;
}

enum serin_status hdr_decode(struct hdr *h, struct strview base64, struct reject *why)
{
    struct layout l;
    h->n = 0;
    (void)quarantine_refuse(why, QUARANTINE_LIMIT, "no memory");
    size_t packed = from_base64(h, base64);
    if (packed == 0)
        return quarantine_refuse(why, QUARANTINE_LINE, "the histogram is no base64");
    size_t n = inflated(h, packed, why);
    if (n == 0) return SERIN_EPARSE;
    size_t payload = big(h->plain + 4, 4);
    if (payload > n - HEAD)
        return quarantine_refuse(why, QUARANTINE_TRUNCATED,
                                 "counts of %zu bytes, %zu of them are there", payload,
                                 n - HEAD);
    if (!layout_of(h->plain, &l))
        return quarantine_refuse(why, QUARANTINE_LINE,
                                 "expected a histogram of whole numbers with 0 to 5 "
                                 "digits that was not shifted");
    enum serin_status rc = counts(h, &l, payload, why);
    if (rc != SERIN_OK) h->n = 0;
    return rc;
}
