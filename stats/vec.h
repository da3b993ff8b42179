/* stats/vec.h -- exp and log, four at a time, with the same bits on every machine
 *
 * Internal to stats/. The C library picks another exp on processors with fused
 * multiply-add, and its last bit may differ; verdicts must not. Plain IEEE operations
 * in a fixed order do not depend on the vector width either, so VEC_CLONES may compile
 * a kernel twice (it never enables fused multiply-add). */
#ifndef SERIN_STATS_VEC_H
#define SERIN_STATS_VEC_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { VEC = 4 };
typedef double vec __attribute__((vector_size(VEC * sizeof(double))));
typedef uint64_t vec_bits __attribute__((vector_size(VEC * sizeof(double))));

#define VEC_INLINE static inline __attribute__((always_inline))
/* Sanitizers run before the resolvers that clones need, and crash in them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
#define VEC_CLONES
#else
#define VEC_CLONES __attribute__((target_clones("avx2", "default")))
#endif

VEC_INLINE vec vec_of(double x)
{
    return (vec){x, x, x, x};
}

VEC_INLINE vec vec_load(const double *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

VEC_INLINE void vec_store(double *p, vec v)
{
    memcpy(p, &v, sizeof v);
}

/* mask lanes are all ones or all zeros, as comparisons give them */
VEC_INLINE vec vec_pick(vec_bits mask, vec yes, vec no)
{
    return (vec)((mask & (vec_bits)yes) | (~mask & (vec_bits)no));
}

VEC_INLINE vec vec_max(vec a, vec b)
{
    return vec_pick((vec_bits)(a > b), a, b);
}

VEC_INLINE vec vec_min(vec a, vec b)
{
    return vec_pick((vec_bits)(a < b), a, b);
}

VEC_INLINE double vec_sum(vec v)
{
    return (v[0] + v[1]) + (v[2] + v[3]);
}

VEC_INLINE double vec_top(vec v)
{
    return fmax(fmax(v[0], v[1]), fmax(v[2], v[3]));
}

/* Adding it leaves the nearest whole number in the low bits; |x| < 2^51. */
#define VEC_ROUND 0x1.8p52

VEC_INLINE vec vec_sqrt(vec v)
{
    return (vec){sqrt(v[0]), sqrt(v[1]), sqrt(v[2]), sqrt(v[3])};
}

/* x in [-700, 700]; below gives 0. Error < 1 ulp. */
VEC_INLINE vec vec_exp(vec x)
{
    vec_bits none = (vec_bits)(x < -700.0);
    vec y = vec_pick(none, vec_of(0), x);
    vec shifted = y * 0x1.71547652b82fep0 + VEC_ROUND, n = shifted - VEC_ROUND;
    vec r = (y - n * 0x1.62e42feep-1) - n * 0x1.a39ef35793c76p-33;
    vec q = vec_of(1.0 / 6227020800);
    q = q * r + 1.0 / 479001600;
    q = q * r + 1.0 / 39916800;
    q = q * r + 1.0 / 3628800;
    q = q * r + 1.0 / 362880;
    q = q * r + 1.0 / 40320;
    q = q * r + 1.0 / 5040;
    q = q * r + 1.0 / 720;
    q = q * r + 1.0 / 120;
    q = q * r + 1.0 / 24;
    q = q * r + 1.0 / 6;
    q = q * r + 0.5;
    vec e = 1 + (r + r * r * q);
    return (vec)(~none & ((vec_bits)e + ((vec_bits)shifted << 52)));
}

/* x positive and normal. Error < 1 ulp (the reduction and series of fdlibm's log). */
VEC_INLINE vec vec_log(vec x)
{
    const uint64_t root_half = 0x3fe6a09e667f3bcd, one = 0x3ff0000000000000;
    vec_bits bits = (vec_bits)x + (one - root_half);
    vec_bits magic = (vec_bits)vec_of(VEC_ROUND);
    vec k = (vec)((bits >> 52) - 1023 + magic) - VEC_ROUND;
    vec f = (vec)((bits & 0x000fffffffffffff) + root_half) - 1;
    vec s = f / (2 + f), z = s * s, w = z * z, half = 0.5 * f * f;
    vec even = w * (0x1.999999997fa04p-2 +
                    w * (0x1.c71c51d8e78afp-3 + w * 0x1.39a09d078c69fp-3));
    vec odd = z * (0x1.5555555555593p-1 +
                   w * (0x1.2492494229359p-2 +
                        w * (0x1.7466496cb03dep-3 + w * 0x1.2f112df3e5244p-3)));
    vec rest = s * (half + (even + odd)) + k * 0x1.a39ef35793c76p-33;
    return k * 0x1.62e42feep-1 - ((half - rest) - f);
}

/* log(1 + y), y > -1 */
VEC_INLINE vec vec_log1p(vec y)
{
    vec u = 1 + y;
    return vec_log(u) + (y - (u - 1)) / u;
}

/* log(e^a + e^b); either or both may be -inf */
VEC_INLINE vec vec_logadd(vec a, vec b)
{
    vec hi = vec_max(a, b), lo = vec_min(a, b);
    vec gap = vec_pick((vec_bits)(lo == hi), vec_of(0), lo - hi);
    return hi + vec_log1p(vec_exp(gap));
}

#endif
