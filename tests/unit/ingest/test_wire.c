/* tests/unit/ingest/test_wire.c -- varints and text, against the plainest reading */
#include "ingest/decode/wire.h"
#include "ingest/series.h"
#include "tests/support/check.h"

/* One varint after the other with wire_varint. */
static bool plain_count(struct strview s, size_t *n)
{
    struct wire w = wire_of(s);
    uint64_t v;
    for (*n = 0; w.p < w.end; ++*n)
        if (!wire_varint(&w, &v)) return false;
    return true;
}

Test(wire, packed_count_agrees_with_reading_one_by_one)
{
    gsl_rng *g = check_rng(31);
    char bytes[64];
    size_t accepted = 0;
    for (int i = 0; i < 300000; i++) {
        struct strview s = {bytes, gsl_rng_uniform_int(g, sizeof bytes)};
        double more = gsl_rng_uniform(g); /* how often a byte says "goes on" */
        for (size_t k = 0; k < s.n; k++)
            bytes[k] = (char)(gsl_rng_uniform_int(g, 128) |
                              (gsl_rng_uniform(g) < more ? 128 : 0));
        size_t want = 0, got = 0;
        bool ok = plain_count(s, &want);
        cr_assert(wire_packed_count(s, &got) == ok, "case %d", i);
        if (!ok) continue;
        cr_assert(eq(sz, got, want), "case %d", i);
        accepted++;
        const uint8_t *at = (const uint8_t *)bytes;
        struct wire w = wire_of(s);
        for (uint64_t v; wire_varint(&w, &v);)
            cr_assert(eq(u64, wire_take(&at), v));
    }
    cr_assert(gt(sz, accepted, 30000));
    gsl_rng_free(g);
}

Test(wire, ten_bytes_are_the_longest_at_any_place)
{
    for (size_t lead = 0; lead < 20; lead++) {
        char bytes[40];
        size_t n;
        memset(bytes, 1, sizeof bytes);
        memset(bytes + lead, 0x81, 9);
        cr_assert(wire_packed_count((struct strview){bytes, 40}, &n));
        cr_assert(eq(sz, n, 31));
        memset(bytes + lead, 0x81, 10);
        cr_assert(not(wire_packed_count((struct strview){bytes, 40}, &n)), "at %zu",
                  lead);
    }
}

Test(wire, zigzag_has_both_signs)
{
    cr_assert(eq(i64, wire_zigzag(0), 0));
    cr_assert(eq(i64, wire_zigzag(1), -1));
    cr_assert(eq(i64, wire_zigzag(2), 1));
    cr_assert(eq(i64, wire_zigzag(UINT64_MAX), INT64_MIN));
    cr_assert(eq(i64, wire_zigzag(UINT64_MAX - 1), INT64_MAX));
}

Test(wire, text_is_utf8_without_nul)
{
    static const struct {
        const char *s;
        size_t n;
        bool ok;
    } cases[] = {{"", 0, true},
                 {"plain", 5, true},
                 {"a\0b", 3, false},
                 {"\xc3\xa9", 2, true},
                 {"\xc3", 1, false},
                 {"\xa9", 1, false},
                 {"\xc0\xaf", 2, false},     /* overlong */
                 {"\xe0\x80\xaf", 3, false}, /* overlong */
                 {"\xed\x9f\xbf", 3, true},  /* last before the surrogates */
                 {"\xed\xa0\x80", 3, false}, /* a surrogate */
                 {"\xee\x80\x80", 3, true},  /* first behind them */
                 {"\xf0\x9f\x98\x80", 4, true},
                 {"\xf0\x8f\xbf\xbf", 4, false}, /* overlong */
                 {"\xf4\x8f\xbf\xbf", 4, true},
                 {"\xf4\x90\x80\x80", 4, false}, /* past U+10FFFF */
                 {"\xe2\x82", 2, false},
                 {"\xe2\x28\xa1", 3, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strview s = {cases[i].s, cases[i].n};
        cr_assert(series_text_ok(s) == cases[i].ok, "case %zu", i);
    }
}

Test(wire, keys_read_back_as_they_were_built)
{
    static struct series_key k;
    static struct series_name s;
    struct reject why;
    char longest[SERIES_MAX_KEY];
    memset(longest, 'x', sizeof longest);
    series_key_start(&k);
    series_key_text(&k, SERIES_ROLLOUT, strview_of("r1"));
    series_key_attribute(&k, strview_of("a"), (struct strview){longest, 300});
    series_key_attribute(&k, strview_of("b"), strview_of(""));
    series_key_text(&k, SERIES_COHORT, strview_of(""));
    series_key_text(&k, SERIES_METRIC, strview_of("m"));
    cr_assert(not(k.full));
    struct strview key = {(const char *)k.bytes, k.n}, v;
    cr_assert(eq(int, series_parse(key, &s, &why), SERIN_OK));
    cr_assert(eq(sz, s.n_attributes, 2));
    cr_assert(series_attribute_get(&s, strview_of("a"), &v) && v.n == 300);
    cr_assert(series_attribute_get(&s, strview_of("b"), &v) && v.n == 0);
    cr_assert(not(series_attribute_get(&s, strview_of("c"), &v)));
    cr_assert(s.cohort.n == 0 && s.metric.n == 1);
    series_key_text(&k, SERIES_STRATUM,
                    (struct strview){longest, SERIES_MAX_KEY - 100});
    cr_assert(k.full, "past the maximum it says so");
    for (int i = 0; i < 130; i++) {
        if (i == 0) series_key_start(&k);
        series_key_attribute(&k, strview_of("k"), strview_of("v"));
    }
    key = (struct strview){(const char *)k.bytes, k.n};
    cr_assert(eq(int, series_parse(key, &s, &why), SERIN_EPARSE));
    cr_assert(eq(int, why.reason, QUARANTINE_LIMIT));
}
