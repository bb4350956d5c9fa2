/* plugins/cast/number.c: numbers of one type as numbers of another.
 *
 * ONNX: Cast. Floating point to floating point is rounded once, to nearest even. Floating point
 * to integers is truncated, and what the standard leaves open is kept modulo 2^n, as its tests of
 * 2- and 4-bit types have it; beyond int64 the nearest end is taken first, and 0 for NaN. Integers
 * to integers keep their low bits. Anything but zero is true. The float8 types obey `saturate`,
 * and float8e8m0, a power of two, `round_mode` too.
 *
 * SPDX-License-Identifier: MIT */
#include "cast.h"

/* ---- floating point --------------------------------------------------------------------- */

/* 2^k as the byte k + 127; the sign is dropped. Table "FLOAT8E8M0" of the standard. */
static uint8_t power_of_two(double value, const cast_rules *rules)
{
    int exponent;
    if (isnan(value))
        return 255;
    if (value == 0)
        return rules->saturate ? 0 : 255;
    if (isinf(value))
        return rules->saturate ? 254 : 255;
    const double fraction = frexp(fabs(value), &exponent); /* in [0.5, 1) */
    exponent--;
    if (rules->round == ROUND_UP)
        exponent += fraction > 0.5;
    else if (rules->round == ROUND_NEAREST)
        exponent += fraction >= 0.75;
    if (exponent > 127)
        return rules->saturate ? 254 : 255;
    if (exponent < -127)
        return rules->saturate ? 0 : 255;
    return (uint8_t)(exponent + 127);
}

void cast_store(uint32_t dtype, void *data, int64_t i, double value, const cast_rules *rules)
{
    if (dtype == TN_FLOAT8E8M0)
        ((uint8_t *)data)[i] = power_of_two(value, rules);
    else if (dtype == TN_FLOAT4E2M1 && isnan(value))
        tn_packed_set(data, 4, i, 8); /* there is no NaN: minus zero, as the standard's tests say */
    else if (TN_BIT(dtype) & TN_MASK_FLOAT8)
        ((uint8_t *)data)[i] = (uint8_t)tn_minifloat_encode(tn_minifloat_of(dtype), value,
                                                            rules->saturate);
    else
        tn_set_float(dtype, data, i, value);
}

static void store_floats(tn_tensor *out, int64_t first, int64_t n, const double *v,
                         const cast_rules *rules)
{
    if (TN_BIT(out->dtype) & TN_MASK_FLOAT) {
        store_doubles(out->dtype, out->data, first, n, v);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        cast_store(out->dtype, out->data, first + i, v[i], rules);
}

/* An integer as a double that rounds to every smaller type as the integer itself would: where bits
 * are lost the last one is set (round to odd). To double itself it is C's own conversion. */
static double odd_double(uint64_t magnitude)
{
    const uint64_t low = magnitude & 0x7ff;
    if (magnitude >> 53 == 0)
        return (double)magnitude;
    return (double)((magnitude & ~UINT64_C(0x7ff)) | (low ? 0x800 : 0));
}

static double int_as_double(int64_t v, uint32_t from, uint32_t to)
{
    const int negative = v < 0 && from != TN_UINT64;
    const uint64_t magnitude = negative ? 0 - (uint64_t)v : (uint64_t)v;
    const double d = to == TN_FLOAT64 ? (double)magnitude : odd_double(magnitude);
    return negative ? -d : d;
}

/* ---- blocks ----------------------------------------------------------------------------- */

static void from_doubles(tn_tensor *out, int64_t first, int64_t n, const double *v,
                         const cast_rules *rules)
{
    int64_t whole[BLOCK];
    if (tn_dtype_is_float(out->dtype)) {
        store_floats(out, first, n, v, rules);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        whole[i] = out->dtype == TN_BOOL ? v[i] != 0 : truncated(v[i]);
    store_ints(out->dtype, out->data, first, n, whole);
}

static void from_ints(const tn_tensor *in, tn_tensor *out, int64_t first, int64_t n,
                      const int64_t *v, const cast_rules *rules)
{
    double d[BLOCK];
    if (!tn_dtype_is_float(out->dtype)) {
        store_ints(out->dtype, out->data, first, n, v);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        d[i] = int_as_double(v[i], in->dtype, out->dtype);
    store_floats(out, first, n, d, rules);
}

void cast_block(const tn_tensor *in, tn_tensor *out, const cast_rules *rules, int64_t first,
                int64_t n)
{
    double d[BLOCK];
    int64_t v[BLOCK];
    const uint32_t bits = tn_dtype_bits(out->dtype);
    if (bits < 8) /* bits behind the last element are zero */
        memset((char *)out->data + first * bits / 8, 0, tn_dtype_bytes(out->dtype, n));
    if (tn_dtype_is_float(in->dtype)) {
        load_doubles(in->dtype, in->data, first, n, d);
        from_doubles(out, first, n, d, rules);
    } else {
        load_ints(in->dtype, in->data, first, n, v);
        from_ints(in, out, first, n, v, rules);
    }
}
