/* engine/base/hash.h -- hashes: one for tables, one that nobody can forge */
#ifndef SERIN_ENGINE_BASE_HASH_H
#define SERIN_ENGINE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { HASH_DIGEST = 32 };

/** FNV-1a with a final mix, for tables; not for untrusted keys that must not collide.
 */
uint64_t hash_bytes(const void *p, size_t n, uint64_t seed);
/** BLAKE2b-256 of n bytes (libsodium's generichash; RFC 7693). */
void hash_digest(const void *p, size_t n, uint8_t out[HASH_DIGEST]);
/** HMAC-SHA-256 under a key of any length (RFC 2104). */
void hash_hmac(const void *key, size_t n_key, const void *p, size_t n,
               uint8_t out[HASH_DIGEST]);
/** Lower-case hex of n bytes; out has room for 2n + 1. */
void hash_hex(const uint8_t *p, size_t n, char *out);
/**
 * Kafka's murmur2 (seed 0x9747b28c), as Java's default partitioner takes it: the
 * partition of a key is (murmur2 & 0x7fffffff) % partitions.
 */
uint32_t hash_murmur2(const void *p, size_t n);
/** Partition of a key under that rule; partitions > 0. */
int32_t hash_partition(const void *p, size_t n, int32_t partitions);

#endif
