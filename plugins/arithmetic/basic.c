/* plugins/arithmetic/basic.c: Add, Sub, Mul, Div and Mod.
 *
 * ONNX: Add, Sub, Mul, Div, Mod. Floating-point results are rounded once. Integers wrap around;
 * Div truncates towards zero; a division by zero gives 0 and the lowest integer by -1 gives itself,
 * as numpy has it, so that no element stops a run.
 *
 * SPDX-License-Identifier: MIT */
#include "arithmetic.h"

/* ---- loops ------------------------------------------------------------------------------ */

/* Arithmetic modulo 2^n does not see a sign: one loop serves int8 and uint8, and so on. `wide` is
 * an unsigned type that C does not promote to int. */
#define WRAPPING(name, op)                                                                         \
    BINARY_LOOP(name##_float32, float, float, x op y)                                              \
    BINARY_LOOP(name##_float64, double, double, x op y)                                            \
    BINARY_LOOP(name##_8, uint8_t, uint8_t, (uint32_t)x op(uint32_t) y)                            \
    BINARY_LOOP(name##_16, uint16_t, uint16_t, (uint32_t)x op(uint32_t) y)                         \
    BINARY_LOOP(name##_32, uint32_t, uint32_t, x op y)                                             \
    BINARY_LOOP(name##_64, uint64_t, uint64_t, x op y)
WRAPPING(add, +)
WRAPPING(sub, -)
WRAPPING(mul, *)

#define WRAPPING_LOOPS(name)                                                                       \
    {                                                                                              \
        [TN_FLOAT32] = name##_float32, [TN_FLOAT64] = name##_float64, [TN_INT8] = name##_8,        \
        [TN_UINT8] = name##_8, [TN_INT16] = name##_16, [TN_UINT16] = name##_16,                    \
        [TN_INT32] = name##_32, [TN_UINT32] = name##_32, [TN_INT64] = name##_64,                   \
        [TN_UINT64] = name##_64                                                                    \
    }

static inline int64_t divide(int64_t x, int64_t y)
{
    if (y == 0)
        return 0;
    return y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
}

/* Python's %: the sign of the divisor. */
static inline int64_t floor_mod(int64_t x, int64_t y)
{
    if (y == 0 || y == -1)
        return 0;
    const int64_t rest = x % y;
    return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

/* C's %: the sign of the dividend. */
static inline int64_t trunc_mod(int64_t x, int64_t y)
{
    return y == 0 || y == -1 ? 0 : x % y;
}

#define SIGNED(name, function)                                                                     \
    BINARY_LOOP(name##_int8, int8_t, int8_t, function(x, y))                                       \
    BINARY_LOOP(name##_int16, int16_t, int16_t, function(x, y))                                    \
    BINARY_LOOP(name##_int32, int32_t, int32_t, function(x, y))                                    \
    BINARY_LOOP(name##_int64, int64_t, int64_t, function(x, y))
#define UNSIGNED(name, op)                                                                         \
    BINARY_LOOP(name##_uint8, uint8_t, uint8_t, y ? x op y : 0)                                    \
    BINARY_LOOP(name##_uint16, uint16_t, uint16_t, y ? x op y : 0)                                 \
    BINARY_LOOP(name##_uint32, uint32_t, uint32_t, y ? x op y : 0)                                 \
    BINARY_LOOP(name##_uint64, uint64_t, uint64_t, y ? x op y : 0)

BINARY_LOOP(div_float32, float, float, x / y)
BINARY_LOOP(div_float64, double, double, x / y)
SIGNED(div, divide)
UNSIGNED(div, /)
BINARY_LOOP(mod_float64, double, double, fmod(x, y))
BINARY_LOOP(mod_float32, float, float, fmod((double)x, (double)y)) /* exact: nothing to round */
SIGNED(mod, floor_mod)
SIGNED(rem, trunc_mod)
UNSIGNED(mod, %)

#define INTEGER_LOOPS(name, unsigned_name)                                                         \
    [TN_INT8] = name##_int8, [TN_INT16] = name##_int16, [TN_INT32] = name##_int32,                 \
    [TN_INT64] = name##_int64, [TN_UINT8] = unsigned_name##_uint8,                                 \
    [TN_UINT16] = unsigned_name##_uint16, [TN_UINT32] = unsigned_name##_uint32,                    \
    [TN_UINT64] = unsigned_name##_uint64

/* ---- identity --------------------------------------------------------------------------- */

static int is_negative_zero(uint32_t dtype, const void *data, int64_t i)
{
    const double value = tn_get_double(dtype, data, i);
    return value == 0 && (signbit(value) || !tn_dtype_is_float(dtype));
}

static int is_positive_zero(uint32_t dtype, const void *data, int64_t i)
{
    const double value = tn_get_double(dtype, data, i);
    return value == 0 && !signbit(value);
}

/* x + -0 is x; x + 0 would make 0 of -0. */
static int32_t add_identity(const tn_identity *query)
{
    if (constant_leaves(query, 1, 0, is_negative_zero))
        return 0;
    return constant_leaves(query, 0, 1, is_negative_zero) ? 1 : -1;
}

static int32_t sub_identity(const tn_identity *query)
{
    return constant_leaves(query, 1, 0, is_positive_zero) ? 0 : -1;
}

static int32_t mul_identity(const tn_identity *query)
{
    if (constant_leaves(query, 1, 0, element_is_one))
        return 0;
    return constant_leaves(query, 0, 1, element_is_one) ? 1 : -1;
}

static int32_t div_identity(const tn_identity *query)
{
    return constant_leaves(query, 1, 0, element_is_one) ? 0 : -1;
}

/* ---- Mod -------------------------------------------------------------------------------- */

static tn_status mod_infer(tn_infer *ctx)
{
    const int64_t fmod_set = tn_attr_int(ctx->node, "fmod", 0);
    const tn_type *a = ctx->inputs[0];
    if (fmod_set != 0 && fmod_set != 1)
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "fmod",
                                 "fmod is %lld: expected 0 or 1", (long long)fmod_set);
    if (fmod_set == 0 && a && tn_dtype_is_float(a->dtype))
        ctx->call.host->complain(&ctx->call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "fmod",
                                 "fmod is 0, but input 'A' is floating-point: expected 1");
    return binary_infer(ctx);
}

static const tn_attribute_def mod_attributes[] = {
    { .name = "fmod",
      .type = TN_ATTR_INT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .i = 0,
      .doc = "0: the result has the divisor's sign; 1: the dividend's, as C's fmod." },
};
static const binary fmod_row = {
    .name = "Mod",
    .loops = { [TN_FLOAT32] = mod_float32, [TN_FLOAT64] = mod_float64, INTEGER_LOOPS(rem, mod) },
};

/* ---- tables ----------------------------------------------------------------------------- */

static const tn_param_def ab[] = {
    { "A", "T", TN_MASK_NUMERIC, 0, 0, "First operand." },
    { "B", "T", TN_MASK_NUMERIC, 0, 0, "Second operand; the two broadcast." },
};
static const tn_param_def c[] = { { "C", "T", TN_MASK_NUMERIC, 0, 0, "The result." } };

#define BASIC .inputs = ab, .output = c
static const binary rows[] = {
    { .name = "Add",
      .since = 14,
      .accepts_from = 7,
      BASIC,
      .doc = "A + B.",
      .flags = BINARY_COMMUTES | BINARY_IN_PLACE,
      .identity = add_identity,
      .loops = WRAPPING_LOOPS(add) },
    { .name = "Sub",
      .since = 14,
      .accepts_from = 7,
      BASIC,
      .doc = "A - B.",
      .flags = BINARY_IN_PLACE,
      .identity = sub_identity,
      .loops = WRAPPING_LOOPS(sub) },
    { .name = "Mul",
      .since = 14,
      .accepts_from = 7,
      BASIC,
      .doc = "A * B.",
      .flags = BINARY_COMMUTES | BINARY_IN_PLACE,
      .identity = mul_identity,
      .loops = WRAPPING_LOOPS(mul) },
    { .name = "Div",
      .since = 14,
      .accepts_from = 7,
      BASIC,
      .doc = "A / B; integers are truncated towards zero, and 0 where B is 0.",
      .flags = BINARY_IN_PLACE,
      .identity = div_identity,
      .loops = { [TN_FLOAT32] = div_float32,
                 [TN_FLOAT64] = div_float64,
                 INTEGER_LOOPS(div, div) } },
    { .name = "Mod",
      .since = 13,
      .accepts_from = 10,
      BASIC,
      .doc = "The rest of A / B, with the sign that fmod says; integers give 0 where B is 0.",
      .flags = BINARY_IN_PLACE,
      .attributes = mod_attributes,
      .attribute_count = 1,
      .infer = mod_infer,
      .other = &fmod_row,
      .loops = { INTEGER_LOOPS(mod, mod) } },
};

tn_status basic_register(tn_registrar *registrar)
{
    return binary_add(registrar, rows, sizeof rows / sizeof *rows);
}
