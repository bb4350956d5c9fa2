/* isa/integer.c: see integer.h.
 *
 * SPDX-License-Identifier: MIT */
#include "integer.h"
#include "vector.h"

#if defined(__SSE2__) && !defined(__AVX2__)
#include <emmintrin.h>
#endif

/* ---- products ---------------------------------------------------------------------------- */

INLINE ivec spread_step(const char *p)
{
    int32_t step;
    memcpy(&step, p, sizeof step);
    return step - (ivec){ 0 };
}
INLINE ivec load_ints(const int32_t *p)
{
    ivec v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void store_ints(int32_t *p, ivec v)
{
    memcpy(p, &v, sizeof v);
}

/* sum + x[0] w[0] + x[1] w[1], numbers of 16 bits. */
INLINE ivec add_pairs(ivec sum, ivec x, ivec w)
{
#if defined(__AVX512BW__)
    const ivec product = (ivec)_mm512_madd_epi16((__m512i)x, (__m512i)w);
#elif defined(__AVX2__)
    const ivec product = (ivec)_mm256_madd_epi16((__m256i)x, (__m256i)w);
#elif defined(__SSE2__) && LANES == 4
    const ivec product = (ivec)_mm_madd_epi16((__m128i)x, (__m128i)w);
#else
    const ivec low = ((ivec)((uvec)x << 16) >> 16) * ((ivec)((uvec)w << 16) >> 16);
    const ivec product = (ivec)((uvec)low + (uvec)((x >> 16) * (w >> 16)));
#endif
    return (ivec)((uvec)sum + (uvec)product);
}

/* sum + four products of an unsigned and a signed byte. */
#if defined(__AVX512VNNI__)
#define QUADS 1
INLINE ivec add_quads(ivec sum, ivec x, ivec w)
{
    return (ivec)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x, (__m512i)w);
}
#elif !defined(__AVX2__)
#define QUADS 1
INLINE ivec add_quads(ivec sum, ivec x, ivec w)
{
    uvec total = (uvec)sum;
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        const ivec left = (ivec)(((uvec)x >> (8 * k)) & 255u);
        const ivec right = (ivec)((uvec)w << (24 - 8 * k)) >> 24;
        total += (uvec)(left * right);
    }
    return (ivec)total;
}
#else
#define QUADS 0
INLINE ivec add_quads(ivec sum, ivec x, ivec w)
{
    (void)x, (void)w;
    return sum;
}
#endif

INLINE void rows_of(const native_integer_tile *t, const int rows, const bool narrow,
                    const bool quads)
{
    ivec a[NATIVE_ROWS], b[NATIVE_ROWS];
    const char *panel = t->panel;
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
        a[r] = load_ints(t->start), b[r] = narrow ? a[r] : load_ints(t->start + LANES);
    for (int64_t tap = 0; tap < t->tap_count; tap++) {
        const char *x[NATIVE_ROWS];
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++)
            x[r] = t->rows[r] + t->taps[tap];
        for (int64_t at = 0; at < 4 * t->steps; at += 4) {
            const ivec left = *(const ivec *)(const void *)panel;
            const ivec right = narrow ? left : *(const ivec *)(const void *)(panel + LANES * 4);
            panel += 2 * LANES * 4;
#pragma GCC unroll 16
            for (int r = 0; r < rows; r++) {
                const ivec value = spread_step(x[r] + at);
                a[r] = quads ? add_quads(a[r], value, left) : add_pairs(a[r], value, left);
                if (!narrow)
                    b[r] = quads ? add_quads(b[r], value, right) : add_pairs(b[r], value, right);
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
        store_ints(t->out + r * t->ld, a[r]);
        if (!narrow)
            store_ints(t->out + r * t->ld + LANES, b[r]);
    }
}

#define TILE(n)                                                                                    \
    case n: rows_of(t, n, narrow, quads); break;

INLINE void tile_of(const native_integer_tile *t, const bool narrow, const bool quads)
{
    switch (t->row_count) {
        EACH_NUMBER_OF_ROWS(TILE)
    default: __builtin_unreachable();
    }
}

static void pairs(const native_integer_tile *t)
{
    if (t->narrow)
        tile_of(t, true, false);
    else
        tile_of(t, false, false);
}

#if QUADS
static void quads(const native_integer_tile *t)
{
    if (t->narrow)
        tile_of(t, true, true);
    else
        tile_of(t, false, true);
}
#endif

/* ---- what products read ------------------------------------------------------------------- */

static void widen(const uint8_t *x, bool is_signed, int32_t zero, int16_t *y, int64_t count)
{
    const int16_t less = (int16_t)zero;
    if (is_signed)
        for (int64_t k = 0; k < count; k++)
            y[k] = (int16_t)((int8_t)x[k] - less);
    else
        for (int64_t k = 0; k < count; k++)
            y[k] = (int16_t)(x[k] - less);
}

#define INTERLEAVE(type, above, below)                                                             \
    for (int64_t k = 0; k < count; k++) {                                                          \
        y[2 * k] = above ? (int16_t)((type)above[k] - less) : 0;                                   \
        y[2 * k + 1] = below ? (int16_t)((type)below[k] - less) : 0;                               \
    }

static void interleave(const uint8_t *upper, const uint8_t *lower, bool is_signed, int32_t zero,
                       int16_t *y, int64_t count)
{
    static const uint8_t *const none = NULL;
    const int16_t less = (int16_t)zero;
    if (!upper && !lower)
        memset(y, 0, (size_t)count * 2 * sizeof *y);
    else if (!upper && is_signed)
        INTERLEAVE(int8_t, none, lower)
    else if (!upper)
        INTERLEAVE(uint8_t, none, lower)
    else if (!lower && is_signed)
        INTERLEAVE(int8_t, upper, none)
    else if (!lower)
        INTERLEAVE(uint8_t, upper, none)
    else if (is_signed)
        INTERLEAVE(int8_t, upper, lower)
    else
        INTERLEAVE(uint8_t, upper, lower)
}

/* ---- depthwise ---------------------------------------------------------------------------- */

INLINE void points_of(const native_integer_depthwise *d, const int points, int64_t first)
{
    const int64_t step = 2 * d->channels;
    for (int64_t c = 0; c < d->channels; c += LANES) {
        const int16_t *weights = d->weights + 2 * c;
        ivec sum[4];
#pragma GCC unroll 4
        for (int p = 0; p < points; p++)
            sum[p] = load_ints(d->start + c);
        for (int64_t i = 0; i < d->line_count; i++) {
            const int16_t *x = d->lines[i] + first * d->stride * step + 2 * c;
            for (int64_t j = 0; j < d->kernel_w; j++, weights += step, x += d->dilation * step) {
                const ivec w = load_ints((const int32_t *)(const void *)weights);
#pragma GCC unroll 4
                for (int p = 0; p < points; p++)
                    sum[p] = add_pairs(
                        sum[p],
                        load_ints((const int32_t *)(const void *)(x + p * d->stride * step)), w);
            }
        }
#pragma GCC unroll 4
        for (int p = 0; p < points; p++)
            store_ints(d->out + (first + p) * d->channels + c, sum[p]);
    }
}

static void depthwise(const native_integer_depthwise *d)
{
    int64_t p = 0;
    for (; p + 4 <= d->points; p += 4)
        points_of(d, 4, p);
    for (; p < d->points; p++)
        points_of(d, 1, p);
}

/* ---- between numbers and bytes --------------------------------------------------------------- */

/* The low byte of each lane. */
INLINE void store_bytes(uint8_t *p, ivec v)
{
#if defined(__AVX512F__)
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8((__m512i)v));
#elif defined(__AVX2__)
    const __m256i low = _mm256_and_si256((__m256i)v, _mm256_set1_epi32(255));
    const __m128i half = _mm_packs_epi32(_mm256_castsi256_si128(low),
                                         _mm256_extracti128_si256(low, 1));
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packus_epi16(half, half));
#else
    for (int k = 0; k < LANES; k++)
        p[k] = (uint8_t)v[k];
#endif
}

/* |x| below 2^22, to an integer, ties to even: whole and as bits. */
INLINE vec rounded(vec x, ivec *bits)
{
    const vec magic = splat(12582912.0f); /* 1.5 * 2^23 */
    const vec shifted = x + magic;
    *bits = (ivec)((uvec)shifted - (uvec)magic);
    return shifted - magic;
}

INLINE bool any_of(ivec mask)
{
#if defined(__AVX512F__)
    return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined(__AVX2__)
    return _mm256_movemask_ps((__m256)mask) != 0;
#else
    int32_t any = 0;
    for (int k = 0; k < LANES; k++)
        any |= mask[k];
    return any != 0;
#endif
}

/* As the reference does it (plugins/quantization: store.c). */
static uint8_t requantized(const native_requantize *how, double sum, float w_scale)
{
    const double even = 0x1.8p52, least = (double)how->least, most = (double)how->most;
    const double v = sum * (how->x_scale * (double)w_scale) / how->y_scale;
    double x = v > least ? v : least;
    x = x < most ? x : most;
    return (uint8_t)(int32_t)((x + even) - even + (double)how->zero);
}

static __attribute__((noinline, cold)) void exact(const native_requantize *how, const int32_t *sums,
                                                  int64_t column, int64_t columns, uint8_t *out)
{
    for (int64_t k = 0; k < columns; k++)
        out[k] = requantized(how, (double)sums[k], how->w_scale[column + k]);
}

/* The products are within 3 * 2^-24 of themselves, and at most 255 when they are cut: 4.6e-5. */
static void requantize(const native_requantize *how, const int32_t *sums, int64_t ld, int64_t rows,
                       int64_t columns, uint8_t *out, int64_t out_ld)
{
    const vec least = splat(how->least), most = splat(how->most);
    const ivec zero = how->zero - (ivec){ 0 };
    for (int64_t r = 0; r < rows; r++, sums += ld, out += out_ld)
        for (int64_t c = 0; c < columns; c += LANES) {
            const int64_t some = columns - c < LANES ? columns - c : LANES;
            uint8_t last[LANES], *to = some < LANES ? last : out + c;
            ivec bits;
            vec x = __builtin_convertvector(load_ints(sums + c), vec) * load(how->factor + c);
            x = vmin(vmax(x, least), most);
            const vec away = vabs(x - rounded(x, &bits));
            if (how->exact || any_of((ivec)(away > 0.49995f)))
                exact(how, sums + c, c, some, to);
            else
                store_bytes(to, bits + zero);
            if (some < LANES)
                memcpy(out + c, last, (size_t)some);
        }
}

static void scale(const int32_t *sums, const float *factor, const float *bias, float *y,
                  int64_t count)
{
    for (int64_t k = 0; k < count; k++)
        y[k] = (float)sums[k] * factor[k] + bias[k];
}

INLINE void quantize_lanes(vec x, vec scale, ivec zero, float low, uint8_t *out)
{
    const vec shift = __builtin_convertvector(zero, vec);
    ivec bits;
    x = vmax(x / scale, splat(low) - shift); /* NaN: the second */
    x = vmin(x, splat(low + 255.0f) - shift);
    (void)rounded(x, &bits);
    store_bytes(out, bits + zero);
}

static void quantize(const native_quantize *how, const float *x, uint8_t *y, int64_t count)
{
    const float low = how->is_signed ? -128.0f : 0.0f;
    const vec one_scale = splat(*how->scale);
    const ivec one_zero = *how->zero - (ivec){ 0 };
    for (int64_t k = 0; k < count; k += LANES) {
        if (k + LANES <= count) {
            quantize_lanes(load(x + k), how->step ? load(how->scale + k) : one_scale,
                           how->step ? load_ints(how->zero + k) : one_zero, low, y + k);
            continue;
        }
        uint8_t last[LANES];
        float from[LANES] = { 0 }, scales[LANES] = { 0 };
        int32_t zeros[LANES] = { 0 };
        for (int64_t i = 0; i < count - k; i++) {
            from[i] = x[k + i];
            scales[i] = how->scale[how->step * (k + i)];
            zeros[i] = how->zero[how->step * (k + i)];
        }
        quantize_lanes(load(from), load(scales), load_ints(zeros), low, last);
        memcpy(y + k, last, (size_t)(count - k));
    }
}

#define DEQUANTIZE(type, k_scale, k_zero)                                                          \
    for (int64_t k = 0; k < count; k++)                                                            \
        y[k] = (float)((type)x[k] - k_zero) * k_scale;

static void dequantize(const native_quantize *how, const uint8_t *x, float *y, int64_t count)
{
    const float *s = how->scale, one = *how->scale;
    const int32_t *z = how->zero, less = *how->zero;
    if (how->step && how->is_signed)
        DEQUANTIZE(int8_t, s[k], z[k])
    else if (how->step)
        DEQUANTIZE(uint8_t, s[k], z[k])
    else if (how->is_signed)
        DEQUANTIZE(int8_t, one, less)
    else
        DEQUANTIZE(uint8_t, one, less)
}

static void range(const float *x, int64_t count, float *low, float *high)
{
    vec least = splat(*low), most = splat(*high);
    ivec odd = { 0 };
    int64_t k = 0;
    for (; k + LANES <= count; k += LANES) {
        const vec v = load(x + k);
        least = vmin(v, least); /* NaN: the second */
        most = vmax(v, most);
        odd |= (ivec)(v != v);
    }
    bool nan = *low != *low;
    for (int i = 0; i < LANES; i++) {
        *low = least[i] < *low ? least[i] : *low;
        *high = most[i] > *high ? most[i] : *high;
        nan |= odd[i] != 0;
    }
    for (; k < count; k++) {
        *low = x[k] < *low ? x[k] : *low;
        *high = x[k] > *high ? x[k] : *high;
        nan |= x[k] != x[k];
    }
    if (nan)
        *low = *high = NAN;
}

#define LARGER(type)                                                                               \
    for (int64_t k = 0; k < count; k++)                                                            \
        y[k] = (type)x[k] > (type)y[k] ? x[k] : y[k];

static void larger(const uint8_t *x, bool is_signed, uint8_t *y, int64_t count)
{
    if (is_signed)
        LARGER(int8_t)
    else
        LARGER(uint8_t)
}

const native_integer_isa JOIN(native_integer_, NATIVE_TABLE) = {
    .pairs = pairs,
#if QUADS
    .quads = quads,
#endif
    .widen = widen,
    .interleave = interleave,
    .depthwise = depthwise,
    .requantize = requantize,
    .scale = scale,
    .quantize = quantize,
    .dequantize = dequantize,
    .range = range,
    .larger = larger,
};
