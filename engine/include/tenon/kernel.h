/* tenon/kernel.h: help for writing kernels, for whoever wants it.
 *
 * Everything here is static inline and needs nothing but tenon/plugin.h: conversion of the small
 * floating-point types, packed elements, walking over broadcast shapes. A plugin can do without.
 *
 * Formats: float16 IEEE 754-2008 binary16; bfloat16; float8 of the OCP specification (E4M3FN,
 * E5M2) and of arXiv:2206.02915 (the FNUZ variants); float4 E2M1 and scale E8M0 of the OCP
 * Microscaling specification 1.0. Rounding is to nearest, ties to even.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_KERNEL_H
#define TENON_KERNEL_H

#include "tenon/plugin.h"

#include <math.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- small floating-point types --------------------------------------------------------- */

/* How a small float is built. `inf`: has infinities (IEEE); `fnuz`: its only NaN is minus zero. */
typedef struct tn_minifloat {
    uint8_t exponent_bits, mantissa_bits, bias, inf, fnuz, nan;
} tn_minifloat;

static inline tn_minifloat tn_minifloat_of(uint32_t dtype)
{
    switch (dtype) {
    case TN_FLOAT16: {
        tn_minifloat m = { 5, 10, 15, 1, 0, 1 };
        return m;
    }
    case TN_FLOAT8E4M3FN: {
        tn_minifloat m = { 4, 3, 7, 0, 0, 1 };
        return m;
    }
    case TN_FLOAT8E4M3FNUZ: {
        tn_minifloat m = { 4, 3, 8, 0, 1, 1 };
        return m;
    }
    case TN_FLOAT8E5M2: {
        tn_minifloat m = { 5, 2, 15, 1, 0, 1 };
        return m;
    }
    case TN_FLOAT8E5M2FNUZ: {
        tn_minifloat m = { 5, 2, 16, 0, 1, 1 };
        return m;
    }
    default: {
        tn_minifloat m = { 2, 1, 1, 0, 0, 0 };
        return m;
    } /* float4e2m1 */
    }
}

/* The value of the bits of a small float. */
static inline float tn_minifloat_decode(tn_minifloat m, uint32_t bits)
{
    const uint32_t sign = bits >> (m.exponent_bits + m.mantissa_bits) & 1;
    const uint32_t exponent = bits >> m.mantissa_bits & ((1u << m.exponent_bits) - 1);
    const uint32_t mantissa = bits & ((1u << m.mantissa_bits) - 1);
    const uint32_t top = (1u << m.exponent_bits) - 1, full = (1u << m.mantissa_bits) - 1;
    float value;
    if (m.fnuz && sign && !exponent && !mantissa)
        return NAN;
    if (m.inf && exponent == top)
        value = mantissa ? NAN : INFINITY;
    else if (!m.inf && !m.fnuz && m.nan && exponent == top && mantissa == full)
        value = NAN;
    else if (exponent)
        value = ldexpf((float)(mantissa | 1u << m.mantissa_bits),
                       (int)exponent - m.bias - m.mantissa_bits);
    else
        value = ldexpf((float)mantissa, 1 - m.bias - m.mantissa_bits);
    return sign ? -value : value;
}

/* The bits of the nearest small float. What is too large becomes the largest number when
 * `saturate`, else infinity where the type has one, else NaN (ONNX: Cast, attribute saturate).
 * float4 always saturates and has no NaN: NaN becomes its largest number. */
static inline uint32_t tn_minifloat_encode(tn_minifloat m, double value, int saturate)
{
    const uint32_t sign_bit = 1u << (m.exponent_bits + m.mantissa_bits);
    const uint32_t sign = signbit(value) ? sign_bit : 0;
    const uint32_t top = (1u << m.exponent_bits) - 1, full = (1u << m.mantissa_bits) - 1;
    const uint32_t nan = m.fnuz  ? sign_bit
                         : m.inf ? sign | top << m.mantissa_bits | 1u << (m.mantissa_bits - 1)
                         : m.nan ? sign | top << m.mantissa_bits | full
                                 : top << m.mantissa_bits | full;
    const uint32_t infinity = m.inf ? sign | top << m.mantissa_bits : nan;
    const uint32_t largest = m.inf              ? (top - 1) << m.mantissa_bits | full
                             : m.fnuz || !m.nan ? top << m.mantissa_bits | full
                                                : top << m.mantissa_bits | (full - 1);
    int exponent;
    double magnitude;
    uint32_t bits;
    if (isnan(value))
        return nan;
    if (!m.nan)
        saturate = 1;
    magnitude = fabs(value);
    if (isinf(value))
        return saturate && !(m.inf && m.mantissa_bits == 10) ? sign | largest : infinity;
    if (magnitude == 0.0)
        return m.fnuz ? 0 : sign;
    (void)frexp(magnitude, &exponent);
    exponent -= 1;
    if (exponent < 1 - m.bias)
        exponent = 1 - m.bias; /* subnormal */
    /* In units of the last place, rounded to even by the addition of the exponent field: a carry
     * out of the mantissa raises the exponent by itself. */
    bits = (uint32_t)nearbyint(
        ldexp(magnitude, m.mantissa_bits - exponent > 1000 ? 1000 : m.mantissa_bits - exponent));
    bits += (uint32_t)(exponent + m.bias - 1) << m.mantissa_bits;
    if (bits > largest)
        return saturate && m.mantissa_bits != 10 ? sign | largest : infinity;
    return m.fnuz && !bits ? 0 : sign | bits;
}

static inline float tn_half_to_float(uint16_t half)
{
    /* Shift exponent and mantissa into place, rescale; specials by their exponent. */
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t bits = (uint32_t)(half & 0x7fffu) << 13;
    float value;
    if ((half & 0x7c00u) == 0x7c00u) {
        bits |= 0x7f800000u;
        memcpy(&value, &bits, 4);
    } else {
        memcpy(&value, &bits, 4);
        value *= 0x1p112f;
        memcpy(&bits, &value, 4);
    }
    bits |= sign;
    memcpy(&value, &bits, 4);
    return value;
}
static inline uint16_t tn_half_from_double(double value)
{
    return (uint16_t)tn_minifloat_encode(tn_minifloat_of(TN_FLOAT16), value, 0);
}
static inline float tn_bf16_to_float(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}
static inline uint16_t tn_bf16_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if (isnan(value))
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
/* From double without rounding twice: a float that was inexact is made odd first. */
static inline uint16_t tn_bf16_from_double(double value)
{
    float narrow = (float)value;
    if (isfinite(narrow) && (double)narrow != value && !isnan(value)) {
        uint32_t bits;
        if (fabs((double)narrow) > fabs(value))
            narrow = nextafterf(narrow, 0.0f);
        memcpy(&bits, &narrow, 4);
        bits |= 1u;
        memcpy(&narrow, &bits, 4);
    }
    return tn_bf16_from_float(narrow);
}

/* ---- elements --------------------------------------------------------------------------- */

/* Bytes of `count` elements; packed types are rounded up to whole bytes. */
static inline size_t tn_dtype_bytes(uint32_t dtype, int64_t count)
{
    return ((size_t)count * tn_dtype_bits(dtype) + 7) / 8;
}

/* Bits of packed element i (2 or 4 bits each, the first in the low bits). */
static inline uint32_t tn_packed_get(const void *data, uint32_t width, int64_t i)
{
    const int64_t bit = i * width;
    return (uint32_t)((const uint8_t *)data)[bit / 8] >> (bit % 8) & ((1u << width) - 1);
}
static inline void tn_packed_set(void *data, uint32_t width, int64_t i, uint32_t bits)
{
    const int64_t bit = i * width;
    uint8_t *byte = (uint8_t *)data + bit / 8;
    const uint32_t mask = ((1u << width) - 1) << (bit % 8);
    *byte = (uint8_t)((*byte & ~mask) | (bits << (bit % 8) & mask));
}

/* Element i of real or integer type as a double. Not for strings; the real part of complex. */
static inline double tn_get_double(uint32_t dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case TN_FLOAT32: return ((const float *)data)[i];
    case TN_FLOAT64: return ((const double *)data)[i];
    case TN_FLOAT16: return tn_half_to_float(((const uint16_t *)data)[i]);
    case TN_BFLOAT16: return tn_bf16_to_float(((const uint16_t *)data)[i]);
    case TN_UINT8:
    case TN_BOOL: return ((const uint8_t *)data)[i];
    case TN_INT8: return ((const int8_t *)data)[i];
    case TN_UINT16: return ((const uint16_t *)data)[i];
    case TN_INT16: return ((const int16_t *)data)[i];
    case TN_UINT32: return ((const uint32_t *)data)[i];
    case TN_INT32: return ((const int32_t *)data)[i];
    case TN_UINT64: return (double)((const uint64_t *)data)[i];
    case TN_INT64: return (double)((const int64_t *)data)[i];
    case TN_COMPLEX64: return ((const float *)data)[2 * i];
    case TN_COMPLEX128: return ((const double *)data)[2 * i];
    case TN_UINT4: return tn_packed_get(data, 4, i);
    case TN_INT4: return (double)((int)(tn_packed_get(data, 4, i) ^ 8u) - 8);
    case TN_UINT2: return tn_packed_get(data, 2, i);
    case TN_INT2: return (double)((int)(tn_packed_get(data, 2, i) ^ 2u) - 2);
    case TN_FLOAT4E2M1:
        return tn_minifloat_decode(tn_minifloat_of(dtype), tn_packed_get(data, 4, i));
    case TN_FLOAT8E8M0: {
        const uint8_t e = ((const uint8_t *)data)[i];
        return e == 255 ? (double)NAN : ldexp(1.0, (int)e - 127);
    }
    default: return tn_minifloat_decode(tn_minifloat_of(dtype), ((const uint8_t *)data)[i]);
    }
}

/* Element i of an integer or bool type, exactly; uint64 keeps its bits. */
static inline int64_t tn_get_int(uint32_t dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case TN_UINT8:
    case TN_BOOL: return ((const uint8_t *)data)[i];
    case TN_INT8: return ((const int8_t *)data)[i];
    case TN_UINT16: return ((const uint16_t *)data)[i];
    case TN_INT16: return ((const int16_t *)data)[i];
    case TN_UINT32: return ((const uint32_t *)data)[i];
    case TN_INT32: return ((const int32_t *)data)[i];
    case TN_UINT64: return (int64_t)((const uint64_t *)data)[i];
    case TN_INT64: return ((const int64_t *)data)[i];
    case TN_UINT4: return tn_packed_get(data, 4, i);
    case TN_INT4: return (int64_t)(tn_packed_get(data, 4, i) ^ 8u) - 8;
    case TN_UINT2: return tn_packed_get(data, 2, i);
    case TN_INT2: return (int64_t)(tn_packed_get(data, 2, i) ^ 2u) - 2;
    default: return (int64_t)tn_get_double(dtype, data, i);
    }
}

/* Stores an integer into an integer or bool type: modulo its range, as C's conversion to an
 * unsigned type does; bool is 0 or 1. */
static inline void tn_set_int(uint32_t dtype, void *data, int64_t i, int64_t value)
{
    switch (dtype) {
    case TN_BOOL: ((uint8_t *)data)[i] = value != 0; break;
    case TN_UINT8:
    case TN_INT8: ((uint8_t *)data)[i] = (uint8_t)value; break;
    case TN_UINT16:
    case TN_INT16: ((uint16_t *)data)[i] = (uint16_t)value; break;
    case TN_UINT32:
    case TN_INT32: ((uint32_t *)data)[i] = (uint32_t)value; break;
    case TN_UINT64:
    case TN_INT64: ((uint64_t *)data)[i] = (uint64_t)value; break;
    case TN_UINT4:
    case TN_INT4: tn_packed_set(data, 4, i, (uint32_t)value); break;
    case TN_UINT2:
    case TN_INT2: tn_packed_set(data, 2, i, (uint32_t)value); break;
    default: break;
    }
}

/* Stores a double into a floating-point type, rounded to nearest even, once. */
static inline void tn_set_float(uint32_t dtype, void *data, int64_t i, double value)
{
    switch (dtype) {
    case TN_FLOAT32: ((float *)data)[i] = (float)value; break;
    case TN_FLOAT64: ((double *)data)[i] = value; break;
    case TN_FLOAT16: ((uint16_t *)data)[i] = tn_half_from_double(value); break;
    case TN_BFLOAT16: ((uint16_t *)data)[i] = tn_bf16_from_double(value); break;
    case TN_FLOAT4E2M1:
        tn_packed_set(data, 4, i, tn_minifloat_encode(tn_minifloat_of(dtype), value, 1));
        break;
    case TN_FLOAT8E4M3FN:
    case TN_FLOAT8E4M3FNUZ:
    case TN_FLOAT8E5M2:
    case TN_FLOAT8E5M2FNUZ:
        ((uint8_t *)data)[i] = (uint8_t)tn_minifloat_encode(tn_minifloat_of(dtype), value, 1);
        break;
    default: break;
    }
}

static inline int tn_dtype_is_float(uint32_t dtype)
{
    return (TN_BIT(dtype) &
            (TN_MASK_FLOAT | TN_MASK_FLOAT8 | TN_BIT(TN_FLOAT4E2M1) | TN_BIT(TN_FLOAT8E8M0))) != 0;
}
static inline int tn_dtype_is_signed(uint32_t dtype)
{
    return (TN_BIT(dtype) & (TN_MASK_SIGNED | TN_BIT(TN_INT4) | TN_BIT(TN_INT2))) != 0;
}

/* ---- shapes ----------------------------------------------------------------------------- */

/* Product of extents [from, to). The host has checked that a tensor's product does not overflow. */
static inline int64_t tn_extent(const int64_t *dims, int32_t from, int32_t to)
{
    int64_t product = 1;
    for (int32_t axis = from; axis < to; axis++)
        product *= dims[axis];
    return product;
}
static inline int64_t tn_count(const tn_tensor *tensor)
{
    return tn_extent(tensor->dims, 0, tensor->rank);
}

/* A negative axis counts from the end; answers -1 for what is outside [-rank, rank). */
static inline int32_t tn_axis(int64_t axis, int32_t rank)
{
    if (axis < -(int64_t)rank || axis >= rank)
        return -1;
    return (int32_t)(axis < 0 ? axis + rank : axis);
}

/* Row-major strides, in elements. */
static inline void tn_row_major(int32_t rank, const int64_t *dims, int64_t *strides)
{
    int64_t step = 1;
    for (int32_t axis = rank - 1; axis >= 0; axis--) {
        strides[axis] = step;
        step *= dims[axis];
    }
}

/* Elements of a row: of the innermost axis of a plain or channels-last tensor … */
static inline int64_t tn_row_length(const tn_tensor *tensor)
{
    if (tensor->rank == 0)
        return 1;
    return tensor->layout == TN_LAYOUT_CHANNELS_LAST && tensor->rank > 2
               ? tensor->dims[1]
               : tensor->dims[tensor->rank - 1];
}
/* … and from one row to the next: more than that in a strided view (TN_LAYOUT_STRIDED). */
static inline int64_t tn_row_step(const tn_tensor *tensor)
{
    if (!tensor->strides || tensor->rank < 2)
        return tn_row_length(tensor);
    return tensor
        ->strides[tensor->layout == TN_LAYOUT_CHANNELS_LAST && tensor->rank > 2 ? tensor->rank - 1
                                                                                : tensor->rank - 2];
}

/* Strides with which a plain tensor is read when broadcast to `rank` (numpy's rules): 0 on axes
 * that repeat. */
static inline void tn_broadcast_strides(const tn_tensor *tensor, int32_t rank, int64_t *strides)
{
    int64_t step = 1;
    for (int32_t axis = rank - 1; axis >= 0; axis--) {
        const int32_t own = axis - (rank - tensor->rank);
        strides[axis] = own < 0 || tensor->dims[own] == 1 ? 0 : step;
        if (own >= 0)
            step *= tensor->dims[own];
    }
}

/* Steps a multi-index in row-major order and keeps `count` offsets with it; answers 0 after the
 * last. Start with index and offsets zeroed. */
static inline int tn_next(int32_t rank, const int64_t *dims, int64_t *index, int32_t count,
                          const int64_t (*strides)[TN_MAX_RANK], int64_t *offsets)
{
    for (int32_t axis = rank - 1; axis >= 0; axis--) {
        if (++index[axis] < dims[axis]) {
            for (int32_t k = 0; k < count; k++)
                offsets[k] += strides[k][axis];
            return 1;
        }
        for (int32_t k = 0; k < count; k++)
            offsets[k] -= strides[k][axis] * (dims[axis] - 1);
        index[axis] = 0;
    }
    return 0;
}

#ifdef __cplusplus
}
#endif
#endif
