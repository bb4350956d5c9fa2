/* engine/json/elements.c: elements of tensors as numbers: 64-bit integers and doubles in and out,
 * for all integer and float types of ONNX, packed ones included.
 *
 * The float types differ in four things only: bits of exponent and fraction, the bias, and what
 * the topmost codes mean. One table, one encoder, one decoder; rounding is done on integers, once,
 * so that a number read as double is never rounded twice.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/json/elements.h"

#include "tenon/plugin.h"

/* What the topmost codes are: infinities and NaNs; one NaN at all ones; one NaN at minus zero;
 * neither; no sign, no fraction and no zero at all. */
enum { IEEE, TOP_NAN, ZERO_NAN, NO_SPECIALS, SCALE };

typedef struct float_format {
    uint32_t dtype;
    int kind, exponent, fraction, bias;
    uint64_t largest; /* code of the largest finite magnitude */
    uint64_t nan;     /* code of the NaN that we make */
} float_format;

static const float_format formats[] = {
    { TN_FLOAT64, IEEE, 11, 52, 1023, UINT64_C(0x7fefffffffffffff), UINT64_C(0x7ff8000000000000) },
    { TN_FLOAT32, IEEE, 8, 23, 127, 0x7f7fffff, 0x7fc00000 },
    { TN_FLOAT16, IEEE, 5, 10, 15, 0x7bff, 0x7e00 },
    { TN_BFLOAT16, IEEE, 8, 7, 127, 0x7f7f, 0x7fc0 },
    { TN_FLOAT8E4M3FN, TOP_NAN, 4, 3, 7, 0x7e, 0x7f },
    { TN_FLOAT8E4M3FNUZ, ZERO_NAN, 4, 3, 8, 0x7f, 0x80 },
    { TN_FLOAT8E5M2, IEEE, 5, 2, 15, 0x7b, 0x7e },
    { TN_FLOAT8E5M2FNUZ, ZERO_NAN, 5, 2, 16, 0x7f, 0x80 },
    { TN_FLOAT4E2M1, NO_SPECIALS, 2, 1, 1, 0x7, 0 },
    { TN_FLOAT8E8M0, SCALE, 8, 0, 127, 0xfe, 0xff },
};

static const float_format *format_of(uint32_t dtype)
{
    for (size_t k = 0; k < TN_COUNT(formats); k++)
        if (formats[k].dtype == dtype)
            return &formats[k];
    return NULL;
}

bool tn_dtype_is_float(uint32_t dtype)
{
    return format_of(dtype) != NULL;
}

bool tn_dtype_is_complex(uint32_t dtype)
{
    return dtype == TN_COMPLEX64 || dtype == TN_COMPLEX128;
}

static bool is_signed(uint32_t dtype)
{
    return ((TN_MASK_SIGNED | TN_BIT(TN_INT4) | TN_BIT(TN_INT2)) >> dtype & 1) != 0;
}

bool tn_dtype_is_integer(uint32_t dtype)
{
    const uint64_t packed = TN_BIT(TN_UINT4) | TN_BIT(TN_INT4) | TN_BIT(TN_UINT2) | TN_BIT(TN_INT2);
    return dtype < TN_DTYPE_COUNT && ((TN_MASK_INTEGER | packed) >> dtype & 1) != 0;
}

void tn_integer_bounds(uint32_t dtype, int64_t *low, uint64_t *high)
{
    const uint32_t bits = tn_dtype_bits(dtype);
    *high = UINT64_MAX >> (64 - bits);
    *low = 0;
    if (is_signed(dtype)) {
        *high >>= 1;
        *low = -(int64_t)*high - 1;
    }
}

/* ---- bits --------------------------------------------------------------------------------- */

static uint64_t get_bits(uint32_t bits, const void *data, size_t index)
{
    const unsigned char *bytes = data;
    uint64_t code = 0;
    if (bits >= 8) {
        memcpy(&code, bytes + index * (bits / 8), bits / 8);
        return code;
    }
    const size_t per_byte = 8 / bits;
    return bytes[index / per_byte] >> index % per_byte * bits & ((1u << bits) - 1);
}

static void set_bits(uint32_t bits, void *data, size_t index, uint64_t code)
{
    unsigned char *bytes = data;
    if (bits >= 8) {
        memcpy(bytes + index * (bits / 8), &code, bits / 8);
        return;
    }
    const size_t per_byte = 8 / bits;
    const unsigned shift = (unsigned)(index % per_byte * bits), mask = ((1u << bits) - 1) << shift;
    unsigned char *byte = &bytes[index / per_byte];
    *byte = (unsigned char)((*byte & ~mask) | ((unsigned)code << shift & mask));
}

uint64_t tn_integer_get(uint32_t dtype, const void *data, size_t index)
{
    const uint32_t bits = tn_dtype_bits(dtype);
    const uint64_t code = get_bits(bits, data, index), sign = UINT64_C(1) << (bits - 1);
    return is_signed(dtype) ? (code ^ sign) - sign : code;
}

void tn_integer_set(uint32_t dtype, void *data, size_t index, uint64_t value)
{
    set_bits(tn_dtype_bits(dtype), data, index, value);
}

/* ---- floats ------------------------------------------------------------------------------- */

static double power_of_two(int exponent) /* of a normal double */
{
    const uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* value >> shift, to nearest, ties to even. */
static uint64_t shift_rounded(uint64_t value, int shift)
{
    if (shift <= 0)
        return value << -shift;
    if (shift > 63)
        return 0;
    const uint64_t half = UINT64_C(1) << (shift - 1), rest = value & ((half << 1) - 1);
    const uint64_t whole = value >> shift;
    return whole + (rest > half || (rest == half && (whole & 1)) ? 1 : 0);
}

/* The code of a finite magnitude, rounded; may lie beyond `largest`. */
static uint64_t code_of(const float_format *f, uint64_t bits)
{
    const int raw = (int)(bits >> 52 & 0x7ff);
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    int exponent = raw ? raw - 1023 : -1022;
    if (raw)
        fraction |= UINT64_C(1) << 52;
    /* Numbers below the smallest normal one keep that one's exponent and lose low bits. */
    const int lowest = 1 - f->bias, below = exponent < lowest ? lowest - exponent : 0;
    const uint64_t rounded = shift_rounded(fraction, 52 - f->fraction + below);
    const int field = below ? 0 : exponent + f->bias - 1;
    /* The leading bit of `rounded` adds 1 to the exponent's field, as does a carry. */
    return ((uint64_t)field << f->fraction) + rounded;
}

static const char *set_scale(void *data, size_t index, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    const int exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    if (value != value) {
        set_bits(8, data, index, 0xff);
        return NULL;
    }
    if (bits >> 63 || bits << 12 || exponent < -127 || exponent > 127)
        return "only the powers of two from 2^-127 to 2^127 are float8e8m0";
    set_bits(8, data, index, (uint64_t)(exponent + 127));
    return NULL;
}

const char *tn_float_set(uint32_t dtype, void *data, size_t index, double value)
{
    const float_format *f = format_of(dtype);
    if (f->kind == SCALE)
        return set_scale(data, index, value);
    uint64_t bits, code;
    memcpy(&bits, &value, sizeof bits);
    const uint64_t sign = bits >> 63;
    const uint32_t width = tn_dtype_bits(dtype);
    if (value != value) {
        if (f->kind == NO_SPECIALS)
            return "the type has no NaN";
        set_bits(width, data, index, f->nan);
        return NULL;
    }
    if ((bits << 1) == UINT64_C(0xffe0000000000000)) {
        if (f->kind != IEEE)
            return "the type has no infinity";
        code = f->largest + 1;
    } else {
        code = code_of(f, bits);
        if (code > f->largest)
            return "it is beyond the type's largest number";
    }
    if (sign && !(f->kind == ZERO_NAN && code == 0))
        code |= UINT64_C(1) << (width - 1);
    set_bits(width, data, index, code);
    return NULL;
}

double tn_float_get(uint32_t dtype, const void *data, size_t index)
{
    const float_format *f = format_of(dtype);
    const uint32_t width = tn_dtype_bits(dtype);
    const uint64_t code = get_bits(width, data, index);
    double value;
    if (dtype == TN_FLOAT64) {
        memcpy(&value, &code, sizeof value);
        return value;
    }
    if (f->kind == SCALE)
        return code == f->nan ? (double)__builtin_nan("") : power_of_two((int)code - 127);
    const uint64_t magnitude = code & ((UINT64_C(1) << (width - 1)) - 1);
    const bool negative = code >> (width - 1) != 0;
    if (f->kind == ZERO_NAN && code == f->nan)
        return (double)__builtin_nan("");
    if (magnitude > f->largest) {
        if (f->kind != IEEE || magnitude > f->largest + 1)
            return (double)__builtin_nan("");
        return negative ? -__builtin_inf() : __builtin_inf();
    }
    const int field = (int)(magnitude >> f->fraction);
    const uint64_t fraction = magnitude & ((UINT64_C(1) << f->fraction) - 1);
    const uint64_t whole = field ? fraction | UINT64_C(1) << f->fraction : fraction;
    value = (double)whole * power_of_two((field ? field : 1) - f->bias - f->fraction);
    return negative ? -value : value;
}

bool tn_float_is_plain(uint32_t dtype, const void *data, size_t index)
{
    const double value = tn_float_get(dtype, data, index);
    return value == value || get_bits(tn_dtype_bits(dtype), data, index) == format_of(dtype)->nan;
}

double tn_float_below(uint32_t dtype, double value)
{
    unsigned char element[8];
    const uint32_t width = tn_dtype_bits(dtype);
    const uint64_t sign = UINT64_C(1) << (width - 1);
    tn_float_set(dtype, element, 0, value);
    uint64_t code = get_bits(width, element, 0);
    if ((code & ~sign) == 0)
        code = sign | 1;
    else if (tn_float_get(dtype, element, 0) >= value)
        code += code & sign ? 1 : UINT64_MAX;
    set_bits(width, element, 0, code);
    return tn_float_get(dtype, element, 0);
}
