/* ingest/series.h -- what identifies a series in the input: its header
 *
 * Every format names a series by the same bytes: fields 1 to 5 of serin.v1.Column, in
 * this order. They are the key of the series cache, so a header seen before costs one
 * hash and one comparison, whatever it says. */
#ifndef SERIN_INGEST_SERIES_H
#define SERIN_INGEST_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/status.h"
#include "engine/base/strview.h"
#include "ingest/quarantine.h"

enum {
    SERIES_MAX_ATTRIBUTES = 128,
    SERIES_MAX_KEY = 16384,
    SERIES_ROLLOUT = 1, /* the fields' numbers in serin.v1.Column */
    SERIES_ATTRIBUTE = 2,
    SERIES_COHORT = 3,
    SERIES_STRATUM = 4,
    SERIES_METRIC = 5
};

struct series_attribute {
    struct strview key, value;
};

/* A header taken apart; everything points into the key. */
struct series_name {
    struct strview rollout, cohort, stratum, metric;
    struct series_attribute attributes[SERIES_MAX_ATTRIBUTES];
    size_t n_attributes;
};

/**
 * Take a key apart and check it: text is UTF-8 without NUL, at most
 * SERIES_MAX_ATTRIBUTES attributes. Errors: SERIN_EPARSE with *why.
 */
SERIN_MUST_USE
enum serin_status series_parse(struct strview key, struct series_name *out,
                               struct reject *why);
/**
 * The present name of an attribute that the semantic conventions used to call
 * otherwise: http.status_code is http.response.status_code, and so on; else the key.
 * series_parse has renamed all keys, series_attribute_get takes either.
 */
struct strview series_canonical(struct strview key);
/** Value of an attribute; false when the header has none of that name. */
bool series_attribute_get(const struct series_name *s, struct strview key,
                          struct strview *value);
/** UTF-8 without NUL, surrogates or overlong forms. */
bool series_text_ok(struct strview s);

/* Builds a key; past SERIES_MAX_KEY it stays at `full` and is refused later. */
struct series_key {
    size_t n;
    bool full;
    uint8_t bytes[SERIES_MAX_KEY];
};

void series_key_start(struct series_key *k);
/** Empty text adds nothing. field: SERIES_ROLLOUT, COHORT, STRATUM or METRIC. */
void series_key_text(struct series_key *k, unsigned field, struct strview text);
void series_key_attribute(struct series_key *k, struct strview key,
                          struct strview value);
/** Append an attribute that is encoded already. */
void series_key_raw(struct series_key *k, unsigned field, struct strview bytes);

/** Hash for the tables of this folder, eight bytes at a time. */
static inline uint64_t series_hash(const void *p, size_t n, uint64_t seed)
{
    const unsigned char *b = p;
    uint64_t h = seed ^ n * UINT64_C(0x9e3779b97f4a7c15), w = 0;
    for (; n >= 8; b += 8, n -= 8) {
        memcpy(&w, b, 8);
        __uint128_t m = (__uint128_t)(h ^ w) * UINT64_C(0xa0761d6478bd642f);
        h = (uint64_t)m ^ (uint64_t)(m >> 64);
    }
    w = 0;
    for (size_t i = 0; i < n; i++)
        w |= (uint64_t)b[i] << 8 * i;
    __uint128_t m = (__uint128_t)(h ^ w) * UINT64_C(0xe7037ed1a0b428db);
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

#endif
