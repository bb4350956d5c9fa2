/* isa/vector.h: a register full of floats, by GCC's vector types; its width comes from meson.build.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_NATIVE_VECTOR_H
#define TENON_NATIVE_VECTOR_H

#include "isa.h"

#include <math.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define LANES NATIVE_LANES
typedef float vec __attribute__((vector_size(LANES * 4)));
typedef int32_t ivec __attribute__((vector_size(LANES * 4)));
typedef uint32_t uvec __attribute__((vector_size(LANES * 4))); /* for bits: it may wrap */

#define INLINE static inline __attribute__((always_inline))
#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
#define ISA(name) JOIN(name, JOIN(_, NATIVE_ISA)) /* tile → tile_avx2 */

/* X(n) for each number of rows that a tile of a product may have. */
#if NATIVE_ROWS == 14
#define EACH_NUMBER_OF_ROWS(X)                                                                     \
    X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#elif NATIVE_ROWS == 6
#define EACH_NUMBER_OF_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#elif NATIVE_ROWS == 4
#define EACH_NUMBER_OF_ROWS(X) X(1) X(2) X(3) X(4)
#endif

/* What each file here gives to table.c. */
void ISA(tile)(const native_tile *);
void ISA(apply)(native_function, float, float, const float *, float *, int64_t);
void ISA(apply_rows)(native_function, float, float, float *, int64_t, int64_t, int64_t);
void ISA(combine)(native_function, const float *, const float *, int64_t, float *, int64_t);
void ISA(combine_rows)(native_function, const native_rows *);
void ISA(affine)(const float *, const float *, const float *, float, float *, int64_t);
void ISA(depthwise)(const native_depthwise *);
void ISA(pool_line)(const native_pool_line *);
void ISA(pool)(bool, const float *const *, int64_t, int64_t, float, float *);
float ISA(reduce)(bool, const float *, int64_t);
float ISA(deviation)(const float *, float, int64_t);
void ISA(softmax)(const float *, float *, int64_t);
void ISA(layer_norm)(const float *, const float *, const float *, float, float *, int64_t);
void ISA(rotate)(bool, const float *, const float *, const float *, float *, int64_t);
void ISA(winograd_in)(int32_t, const float *const *, float *, int64_t, int64_t);
void ISA(winograd_out)(int32_t, const native_winograd_out *);
void ISA(winograd_weights)(int32_t, const float *, int64_t, float *, int64_t);

INLINE vec splat(float x)
{
    return x - (vec){ 0 };
}
/* A value in memory on all lanes: one load, where the compiler would load and then shuffle. */
INLINE vec spread(const float *p)
{
#if defined(__AVX512F__)
    return (vec)_mm512_set1_ps(*p);
#elif defined(__AVX2__)
    return (vec)_mm256_broadcast_ss(p);
#else
    return splat(*p);
#endif
}
INLINE vec load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void store(float *p, vec v)
{
    memcpy(p, &v, sizeof v);
}
/* The first n < LANES elements; the others are 0, and not touched in memory. */
#if defined(__AVX512F__)
INLINE vec load_part(const float *p, int64_t n)
{
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1u), p);
}
INLINE void store_part(float *p, vec v, int64_t n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1u), (__m512)v);
}
#elif defined(__AVX2__)
INLINE __m256i mask_of(int64_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE vec load_part(const float *p, int64_t n)
{
    return (vec)_mm256_maskload_ps(p, mask_of(n));
}
INLINE void store_part(float *p, vec v, int64_t n)
{
    /* Not by a mask: AMD's processors before Zen 4 take some forty steps for such a store. */
    __m128 some = _mm256_castps256_ps128((__m256)v);
    if (n & 4) {
        _mm_storeu_ps(p, some);
        some = _mm256_extractf128_ps((__m256)v, 1);
        p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)(void *)p, some);
        some = _mm_movehl_ps(some, some);
        p += 2;
    }
    if (n & 1)
        _mm_store_ss(p, some);
}
#else
INLINE vec load_part(const float *p, int64_t n)
{
    vec v = { 0 };
    for (int64_t k = 0; k < n; k++)
        v[k] = p[k];
    return v;
}
INLINE void store_part(float *p, vec v, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        p[k] = v[k];
}
#endif
#if defined(__AVX2__) && !defined(__AVX512F__)
INLINE vec choose(ivec mask, vec yes, vec no)
{
    return (vec)_mm256_blendv_ps((__m256)no, (__m256)yes, (__m256)mask);
}
#else
INLINE vec choose(ivec mask, vec yes, vec no)
{
    return (vec)(((ivec)yes & mask) | ((ivec)no & ~mask));
}
#endif
/* One instruction each, which GCC does not make of a comparison and a choice. b where one is NaN. */
#if defined(__AVX512F__)
INLINE vec vmax(vec a, vec b)
{
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
}
INLINE vec vmin(vec a, vec b)
{
    return (vec)_mm512_min_ps((__m512)a, (__m512)b);
}
#elif defined(__AVX2__)
INLINE vec vmax(vec a, vec b)
{
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
}
INLINE vec vmin(vec a, vec b)
{
    return (vec)_mm256_min_ps((__m256)a, (__m256)b);
}
#else
INLINE vec vmax(vec a, vec b)
{
    return choose(a > b, a, b);
}
INLINE vec vmin(vec a, vec b)
{
    return choose(a < b, a, b);
}
#endif
/* The larger one, and NaN where one of them is: all bits set are a NaN. */
INLINE vec vmax_nan(vec a, vec b)
{
#if defined(__AVX2__) && !defined(__AVX512F__)
    return (vec)((ivec)vmax(a, b) | (ivec)_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_UNORD_Q));
#else
    return (vec)((ivec)vmax(a, b) | (ivec)(a != a) | (ivec)(b != b));
#endif
}
INLINE vec hard_swish(vec x)
{
    return x * vmin(splat(1.0f), vmax(splat(0.0f), x * splat(1.0f / 6.0f) + splat(0.5f)));
}
INLINE vec ended(const native_end *end, vec x)
{
    switch (end->kind) {
    case NATIVE_END_LOW: return vmax(splat(end->low), x);
    case NATIVE_END_BOUNDS: return vmin(splat(end->high), vmax(splat(end->low), x));
    case NATIVE_END_HARD_SWISH: return hard_swish(x);
    default: return x;
    }
}
INLINE vec vabs(vec x)
{
    return (vec)((ivec)x & 0x7fffffff);
}
INLINE float sum_of(vec v)
{
    float total = 0;
    for (int k = 0; k < LANES; k++)
        total += v[k];
    return total;
}
INLINE float max_of(vec v)
{
    float most = v[0];
    for (int k = 1; k < LANES; k++)
        most = v[k] > most ? v[k] : most;
    return most;
}

/* exp x = 2^n p: x = n ln 2 + r, |r| ≤ ln 2 / 2, p a polynomial of degree 6 in r, by pairs of terms,
 * so that there are fewer steps that wait for each other. x within [-87.3, 89]; NaN stays NaN. */
INLINE vec exp_parts(vec x, ivec *n)
{
    const vec bound = vmin(splat(89.0f), vmax(splat(-87.33654f), x));
    const vec magic = splat(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    const vec shifted = bound * splat(1.44269504f) + magic;
    const vec whole = shifted - magic;
    const vec r = (bound - whole * splat(0.693359375f)) - whole * splat(-2.12194440e-4f);
    const vec rr = r * r;
    const vec high = splat(1.0f / 720.0f) * rr + (splat(1.0f / 120.0f) * r + splat(1.0f / 24.0f));
    const vec low = splat(1.0f / 6.0f) * r + splat(0.5f);
    *n = (ivec)((uvec)shifted - (uvec)magic);
    return ((high * rr + low) * rr + r) + splat(1.0f);
}

/* Within 2 ULP. Below -87.3 it is 0 (no subnormals), above 88.7 infinity; NaN stays NaN. */
INLINE vec vexp(vec x)
{
    ivec n;
    const vec p = exp_parts(x, &n);
    const ivec half = n >> 1; /* n may be 128: two factors */
    const vec y = p * (vec)(((uvec)half + 127u) << 23) * (vec)(((uvec)n - (uvec)half + 127u) << 23);
    return (vec)((ivec)y & ~(ivec)(x < -87.33654f));
}

/* The same where 1.2e-38 may stand for what is less, and infinity for what is above 88.4, in as few
 * products as it takes, because they are what processors with two half-wide multipliers wait for:
 * the exponent's 127 is in the number that rounds, and p is fitted (degree 5, the largest relative
 * error least: 7.5e-8). */
INLINE vec vexp_rough(vec x)
{
    const vec bound = vmin(splat(89.0f), vmax(splat(-87.33654f), x));
    const vec magic = splat(12582912.0f + 127.0f);
    const vec shifted = bound * splat(1.44269504f) + magic;
    const vec whole = shifted - magic;
#if defined(__FMA__)
    const vec r = bound - whole * splat(0.693147182f); /* whole * 1.9e-9 of the rest is left out */
#else
    const vec r = (bound - whole * splat(0.693359375f)) - whole * splat(-2.12194440e-4f);
#endif
    vec p = splat(0.008297648280858994f);
    p = p * r + splat(0.04191543161869049f);
    p = p * r + splat(0.16667574644088745f);
    p = p * r + splat(0.49998894333839417f);
    p = p * r + splat(0.9999997019767761f);
    p = p * r + splat(1.0000001192092896f);
    return p * (vec)((uvec)shifted << 23);
}

/* x / (1 + exp(-a x)); minus_a: -a. */
INLINE vec swish(vec x, vec minus_a)
{
    return x / (splat(1.0f) + vexp_rough(minus_a * x));
}

/* The same for x ≤ 0 or NaN, in fewer steps: 2^n is a number, and a NaN goes through the products.
 * Anything else gives anything. */
INLINE vec vexp_below(vec x)
{
    const vec bound = vmax(splat(-87.33654f), x);
    const vec magic = splat(12582912.0f);
    const vec shifted = bound * splat(1.44269504f) + magic;
    const vec n = shifted - magic;
    const vec r = (bound - n * splat(0.693359375f)) - n * splat(-2.12194440e-4f);
    vec p = splat(1.0f / 720.0f);
    p = p * r + splat(1.0f / 120.0f);
    p = p * r + splat(1.0f / 24.0f);
    p = p * r + splat(1.0f / 6.0f);
    p = p * r + splat(0.5f);
    p = p * r + splat(1.0f);
    p = p * r + splat(1.0f);
    const uvec power = ((uvec)shifted - (uvec)magic + 127u) << 23;
    return choose(x < -87.33654f, splat(0.0f), p * (vec)power);
}

/* (2 atanh s) / s - 2 as a series: s² ≤ 1/9 leaves 1e-9. */
INLINE vec atanh_rest(vec s)
{
    const vec z = s * s;
    vec p = splat(2.0f / 17.0f);
    p = p * z + splat(2.0f / 15.0f);
    p = p * z + splat(2.0f / 13.0f);
    p = p * z + splat(2.0f / 11.0f);
    p = p * z + splat(2.0f / 9.0f);
    p = p * z + splat(2.0f / 7.0f);
    p = p * z + splat(2.0f / 5.0f);
    p = p * z + splat(2.0f / 3.0f);
    return p * z;
}

/* log x: x = 2^n m, sqrt(1/2) ≤ m < sqrt 2, log m = 2 atanh((m - 1) / (m + 1)). */
INLINE vec vlog(vec x)
{
    const ivec tiny = (ivec)(x < 1.17549435e-38f);
    const uvec bits = (uvec)choose(tiny, x * splat(33554432.0f), x); /* 2^25 */
    const ivec n = (ivec)(bits - 0x3f3504f3u) >> 23;
    const vec m = (vec)(bits - ((uvec)n << 23));
    const vec s = (m - splat(1.0f)) / (m + splat(1.0f));
    const vec count = __builtin_convertvector(n - (tiny & 25), vec);
    vec y = s * atanh_rest(s) + count * splat(-2.12194440e-4f);
    y = (y + (s + s)) + count * splat(0.693359375f);
    y = choose(x == INFINITY, x, y);
    y = choose(x == 0.0f, splat(-INFINITY), y);
    return choose((ivec)(x < 0.0f) | (ivec)(x != x), splat(NAN), y);
}

#endif
