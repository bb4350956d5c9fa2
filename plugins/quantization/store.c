/* plugins/quantization/store.c: see quantization.h.
 *
 * ONNX: QuantizeLinear, saturation and rounding (to nearest, ties to even).
 *
 * SPDX-License-Identifier: MIT */
#include "quantization.h"

static void store_integers(uint32_t dtype, void *data, int64_t first, int64_t n, double *v,
                           const double *zero)
{
    const int bits = (int)tn_dtype_bits(dtype), is_signed = tn_dtype_is_signed(dtype);
    const double low = is_signed ? -ldexp(1.0, bits - 1) : 0.0, high = low + ldexp(1.0, bits) - 1.0;
    const double even = 0x1.8p52; /* what is added to it is rounded to an integer */
    int64_t whole[BLOCK];
    /* The bounds are integers, so it is the same to cut before and after rounding. */
    for (int64_t k = 0; k < n; k++) {
        const double least = low - zero[k], most = high - zero[k];
        double x = v[k] > least ? v[k] : least;
        x = x < most ? x : most;
        v[k] = (x + even) - even + zero[k];
    }
    for (int64_t k = 0; k < n; k++)
        whole[k] = (int64_t)v[k];
    store_ints(dtype, data, first, n, whole);
}

void quant_store(uint32_t dtype, void *data, int64_t first, int64_t n, double *v,
                 const double *zero, int saturate)
{
    const tn_minifloat small = tn_minifloat_of(dtype);
    if (!tn_dtype_is_float(dtype)) {
        store_integers(dtype, data, first, n, v, zero);
        return;
    }
    for (int64_t k = 0; k < n; k++) {
        const double x = zero[k] == 0.0 ? v[k] : v[k] + zero[k]; /* -0 stays what it is */
        const uint32_t code = tn_minifloat_encode(small, x, saturate);
        if (dtype == TN_FLOAT4E2M1)
            tn_packed_set(data, 4, first + k, code);
        else
            ((uint8_t *)data)[first + k] = (uint8_t)code;
    }
}

double quant_round(uint32_t dtype, double value)
{
    switch (dtype) {
    case TN_FLOAT32: return (double)(float)value;
    case TN_FLOAT16: return (double)tn_half_to_float(tn_half_from_double(value));
    case TN_BFLOAT16: return (double)tn_bf16_to_float(tn_bf16_from_double(value));
    default: return value;
    }
}
