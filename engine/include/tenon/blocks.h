/* tenon/blocks.h: elements of any type, a block at a time, as double or int64_t and back.
 *
 * In: a range of elements of a plain tensor. Out: the same values in a small array on the stack,
 * where one loop serves every type. The types that matter have loops a compiler vectorises; the
 * rest goes through tenon/kernel.h.
 *
 * For kernels that treat elements one by one; tenon/kernel.h has what it stands on.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_BLOCKS_H
#define TENON_PLUGINS_BLOCKS_H

#include "tenon/kernel.h"

enum { BLOCK = 256 }; /* 2 kB of doubles: a few of them stay in the first cache */

/* Elements of [first, first + n) as doubles; n is at most BLOCK, as everywhere here. */
static inline void load_doubles(uint32_t dtype, const void *data, int64_t first, int64_t n,
                                double *out)
{
    if (dtype == TN_FLOAT32) {
        const float *from = (const float *)data + first;
        for (int64_t i = 0; i < n; i++)
            out[i] = from[i];
    } else if (dtype == TN_FLOAT64) {
        memcpy(out, (const double *)data + first, (size_t)n * sizeof(double));
    } else if (dtype == TN_INT32) {
        const int32_t *from = (const int32_t *)data + first;
        for (int64_t i = 0; i < n; i++)
            out[i] = from[i];
    } else if (dtype == TN_UINT8 || dtype == TN_BOOL) {
        const uint8_t *from = (const uint8_t *)data + first;
        for (int64_t i = 0; i < n; i++)
            out[i] = from[i];
    } else {
        for (int64_t i = 0; i < n; i++)
            out[i] = tn_get_double(dtype, data, first + i);
    }
}

/* Rounds doubles, once, into a floating-point tensor. */
static inline void store_doubles(uint32_t dtype, void *data, int64_t first, int64_t n,
                                 const double *from)
{
    if (dtype == TN_FLOAT32) {
        float *to = (float *)data + first;
        for (int64_t i = 0; i < n; i++)
            to[i] = (float)from[i];
    } else if (dtype == TN_FLOAT64) {
        memcpy((double *)data + first, from, (size_t)n * sizeof(double));
    } else {
        for (int64_t i = 0; i < n; i++)
            tn_set_float(dtype, data, first + i, from[i]);
    }
}

#define BLOCK_COPY(type)                                                                           \
    do {                                                                                           \
        const type *from = (const type *)data + first;                                             \
        for (int64_t i = 0; i < n; i++)                                                            \
            out[i] = (int64_t)from[i];                                                             \
    } while (0)

/* Elements of an integer or bool tensor, exactly; uint64 keeps its bits. */
static inline void load_ints(uint32_t dtype, const void *data, int64_t first, int64_t n,
                             int64_t *out)
{
    switch (dtype) {
    case TN_BOOL:
    case TN_UINT8: BLOCK_COPY(uint8_t); break;
    case TN_INT8: BLOCK_COPY(int8_t); break;
    case TN_UINT16: BLOCK_COPY(uint16_t); break;
    case TN_INT16: BLOCK_COPY(int16_t); break;
    case TN_UINT32: BLOCK_COPY(uint32_t); break;
    case TN_INT32: BLOCK_COPY(int32_t); break;
    case TN_UINT64: BLOCK_COPY(uint64_t); break;
    case TN_INT64: BLOCK_COPY(int64_t); break;
    default:
        for (int64_t i = 0; i < n; i++)
            out[i] = tn_get_int(dtype, data, first + i);
    }
}
#undef BLOCK_COPY

#define BLOCK_COPY(type)                                                                           \
    do {                                                                                           \
        type *to = (type *)data + first;                                                           \
        for (int64_t i = 0; i < n; i++)                                                            \
            to[i] = (type)from[i];                                                                 \
    } while (0)

/* Stores integers modulo the range of an integer type; bool is 0 or 1. */
static inline void store_ints(uint32_t dtype, void *data, int64_t first, int64_t n,
                              const int64_t *from)
{
    switch (dtype) {
    case TN_UINT8:
    case TN_INT8: BLOCK_COPY(uint8_t); break;
    case TN_UINT16:
    case TN_INT16: BLOCK_COPY(uint16_t); break;
    case TN_UINT32:
    case TN_INT32: BLOCK_COPY(uint32_t); break;
    case TN_UINT64:
    case TN_INT64: BLOCK_COPY(uint64_t); break;
    default:
        for (int64_t i = 0; i < n; i++)
            tn_set_int(dtype, data, first + i, from[i]);
    }
}
#undef BLOCK_COPY

/* A double as an integer: truncated; what is outside int64 becomes its nearest end, NaN 0. */
static inline int64_t truncated(double value)
{
    if (isnan(value))
        return 0;
    if (value >= 0x1p63)
        return INT64_MAX;
    return value < -0x1p63 ? INT64_MIN : (int64_t)value;
}

#endif
