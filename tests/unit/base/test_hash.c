#include "engine/base/hash.h"
#include "tests/support/check.h"

/* Values of Kafka's own test of its default partitioner's hash. */
Test(hash, murmur2_is_javas)
{
    const struct {
        const char *key;
        int32_t hash;
    } c[] = {{"21", -973932308},
             {"foobar", -790332482},
             {"a-little-bit-long-string", -985981536},
             {"a-little-bit-longer-string", -1486304829},
             {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
             {"abc", 479470107}};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++)
        cr_assert(eq(i32, (int32_t)hash_murmur2(c[i].key, strlen(c[i].key)), c[i].hash),
                  "%s", c[i].key);
    cr_assert(eq(i32, hash_partition("foobar", 6, 16), (-790332482 & 0x7fffffff) % 16));
}

/* BLAKE2b-256 of "abc", as python3's hashlib.blake2b(b"abc", digest_size=32) gives it.
 */
Test(hash, digest_is_blake2b)
{
    uint8_t d[HASH_DIGEST];
    char hex[2 * HASH_DIGEST + 1];
    hash_digest("abc", 3, d);
    hash_hex(d, sizeof d, hex);
    cr_assert(
        eq(str, hex,
           (char *)"bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"));
}

/* RFC 4231, test case 2. */
Test(hash, hmac_is_that_of_the_rfc)
{
    uint8_t d[HASH_DIGEST];
    char hex[2 * HASH_DIGEST + 1];
    hash_hmac("Jefe", 4, "what do ya want for nothing?", 28, d);
    hash_hex(d, sizeof d, hex);
    cr_assert(
        eq(str, hex,
           (char *)"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
}

Test(hash, seeds_and_lengths_matter)
{
    cr_assert(ne(u64, hash_bytes("a", 1, 0), hash_bytes("a", 1, 1)));
    cr_assert(ne(u64, hash_bytes("a", 1, 0), hash_bytes("a\0", 2, 0)));
    cr_assert(eq(u64, hash_bytes(NULL, 0, 7), hash_bytes("", 0, 7)));
}
