/* isa/integer.h: functions for 8-bit integers, compiled once for each kind of processor like the rest
 * of this folder.
 *
 * Products of 8-bit integers go by steps of four bytes: a step is two numbers of 16 bits ("pairs",
 * any processor multiplies and adds them exactly, and zero points are subtracted before), or four of
 * 8 ("quads", for processors with an instruction that sums four products into 32 bits without
 * saturating on the way). Sums are modulo 2^32.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_NATIVE_INTEGER_ISA_H
#define TENON_NATIVE_INTEGER_ISA_H

#include <stdbool.h>
#include <stdint.h>

/* One tile of a product: out[r][c] = start[c] + sum over taps and steps of what row r has there
 * times what column c has. */
typedef struct native_integer_tile {
    const char *const *rows; /* [row_count] */
    const int64_t *taps;     /* [tap_count] bytes from a row's begin to the steps of each tap */
    const char *panel;       /* [tap_count * steps][columns of the tile][4 bytes], aligned to 64 */
    const int32_t *start;    /* [columns of the tile] */
    int32_t *out;            /* [row_count][columns of the tile], rows `ld` apart */
    int64_t ld;
    int64_t tap_count, steps;
    int32_t row_count;
    bool narrow; /* only the first half of the columns is computed, and stored */
} native_integer_tile;

/* One row of output points of a depthwise convolution. Lines are pairs: [x][channels][2], the second
 * number from the line below; the window's last line has nothing below. */
typedef struct native_integer_depthwise {
    const int16_t *const *lines; /* [line_count], from the first point's first column on */
    const int16_t *weights;      /* [line_count][kernel_w][channels][2] */
    const int32_t *start;        /* [channels] */
    int32_t *out;                /* [points][channels] */
    int64_t channels;            /* a multiple of the lanes */
    int64_t points, line_count, kernel_w, stride, dilation;
} native_integer_depthwise;

/* Sums to bytes: round(sum * (x_scale * w_scale[c]) / y_scale), cut to [least, most], then + zero:
 * what double makes of it, step by step. factor is the three scales in one: float32 decides wherever
 * a product does not lie too near to the middle between two integers. */
typedef struct native_requantize {
    const float *factor, *w_scale; /* readable to the next multiple of the lanes */
    double x_scale, y_scale;
    float least, most; /* integers: what the type holds, less the zero point */
    int32_t zero;
    bool exact; /* factor is of no use */
} native_requantize;

/* Numbers to bytes: round(x / scale), cut to what the type holds less the zero point, then + zero;
 * NaN as the least. step: 0 or 1, along scale and zero. */
typedef struct native_quantize {
    const float *scale;
    const int32_t *zero;
    int64_t step;
    bool is_signed;
} native_quantize;

typedef struct native_integer_isa {
    void (*pairs)(const native_integer_tile *tile);
    void (*quads)(const native_integer_tile *tile); /* NULL: pairs only */
    /* y[i] = x[i] - zero. */
    void (*widen)(const uint8_t *x, bool is_signed, int32_t zero, int16_t *y, int64_t count);
    /* y[2 i] = upper[i] - zero, y[2 i + 1] = lower[i] - zero; NULL: 0. */
    void (*interleave)(const uint8_t *upper, const uint8_t *lower, bool is_signed, int32_t zero,
                       int16_t *y, int64_t count);
    void (*depthwise)(const native_integer_depthwise *job);
    /* Rows of sums, `ld` apart, readable to the next multiple of the lanes. */
    void (*requantize)(const native_requantize *how, const int32_t *sums, int64_t ld, int64_t rows,
                       int64_t columns, uint8_t *out, int64_t out_ld);
    /* y[i] = sums[i] * factor[i] + bias[i]. */
    void (*scale)(const int32_t *sums, const float *factor, const float *bias, float *y,
                  int64_t count);
    void (*quantize)(const native_quantize *how, const float *x, uint8_t *y, int64_t count);
    /* y[i] = (x[i] - zero) * scale. */
    void (*dequantize)(const native_quantize *how, const uint8_t *x, float *y, int64_t count);
    /* Widens [low, high] to what it finds; NaN stays in both where there is one. */
    void (*range)(const float *x, int64_t count, float *low, float *high);
    /* y[c] = the larger of y[c] and x[c]. */
    void (*larger)(const uint8_t *x, bool is_signed, uint8_t *y, int64_t count);
} native_integer_isa;

extern const native_integer_isa native_integer_plain;
extern const native_integer_isa native_integer_wide;
extern const native_integer_isa native_integer_avx2;
extern const native_integer_isa native_integer_avx512;
extern const native_integer_isa native_integer_avx512vnni;

#endif
