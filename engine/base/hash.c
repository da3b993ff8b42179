/* engine/base/hash.c */
#include "engine/base/hash.h"

#include <sodium.h>

uint64_t hash_bytes(const void *p, size_t n, uint64_t seed)
{
    const unsigned char *b = p;
    uint64_t h = UINT64_C(14695981039346656037) ^ seed;
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * UINT64_C(1099511628211);
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

void hash_digest(const void *p, size_t n, uint8_t out[HASH_DIGEST])
{
    crypto_generichash(out, HASH_DIGEST, p, n, NULL, 0);
}

void hash_hmac(const void *key, size_t n_key, const void *p, size_t n,
               uint8_t out[HASH_DIGEST])
{
    crypto_auth_hmacsha256_state s;
    crypto_auth_hmacsha256_init(&s, key, n_key);
    crypto_auth_hmacsha256_update(&s, p, n);
    crypto_auth_hmacsha256_final(&s, out);
}

void hash_hex(const uint8_t *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * n] = '\0';
}

uint32_t hash_murmur2(const void *p, size_t n)
{
    const unsigned char *b = p;
    const uint32_t m = 0x5bd1e995;
    uint32_t h = 0x9747b28cU ^ (uint32_t)n;
    for (; n >= 4; b += 4, n -= 4) {
        uint32_t k =
            b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        k *= m;
        k ^= k >> 24;
        h = h * m ^ k * m;
    }
    uint32_t tail = 0;
    for (size_t i = 0; i < n; i++)
        tail |= (uint32_t)b[i] << 8 * i;
    if (n != 0) h = (h ^ tail) * m;
    h ^= h >> 13;
    h *= m;
    return h ^ h >> 15;
}

int32_t hash_partition(const void *p, size_t n, int32_t partitions)
{
    return (int32_t)(hash_murmur2(p, n) & 0x7fffffff) % partitions;
}
