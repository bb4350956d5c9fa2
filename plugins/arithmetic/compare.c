/* plugins/arithmetic/compare.c: comparisons and logic.
 *
 * ONNX: Equal, Greater, GreaterOrEqual, Less, LessOrEqual, And, Or, Xor. Comparisons with NaN are
 * false; strings are equal when their bytes are.
 *
 * SPDX-License-Identifier: MIT */
#include "arithmetic.h"

/* ---- loops ------------------------------------------------------------------------------ */

#define COMPARISON(name, op)                                                                       \
    BINARY_LOOP(name##_float32, float, uint8_t, x op y)                                            \
    BINARY_LOOP(name##_float64, double, uint8_t, x op y)                                           \
    BINARY_LOOP(name##_int8, int8_t, uint8_t, x op y)                                              \
    BINARY_LOOP(name##_int16, int16_t, uint8_t, x op y)                                            \
    BINARY_LOOP(name##_int32, int32_t, uint8_t, x op y)                                            \
    BINARY_LOOP(name##_int64, int64_t, uint8_t, x op y)                                            \
    BINARY_LOOP(name##_uint8, uint8_t, uint8_t, x op y)                                            \
    BINARY_LOOP(name##_uint16, uint16_t, uint8_t, x op y)                                          \
    BINARY_LOOP(name##_uint32, uint32_t, uint8_t, x op y)                                          \
    BINARY_LOOP(name##_uint64, uint64_t, uint8_t, x op y)
COMPARISON(equal, ==)
COMPARISON(greater, >)
COMPARISON(greater_equal, >=)
COMPARISON(less, <)
COMPARISON(less_equal, <=)

#define COMPARISON_LOOPS(name)                                                                     \
    [TN_FLOAT32] = name##_float32, [TN_FLOAT64] = name##_float64, [TN_INT8] = name##_int8,         \
    [TN_INT16] = name##_int16, [TN_INT32] = name##_int32, [TN_INT64] = name##_int64,               \
    [TN_UINT8] = name##_uint8, [TN_UINT16] = name##_uint16, [TN_UINT32] = name##_uint32,           \
    [TN_UINT64] = name##_uint64

static inline int same_text(tn_text x, tn_text y)
{
    return x.count == y.count && (x.count == 0 || memcmp(x.bytes, y.bytes, x.count) == 0);
}
BINARY_LOOP(equal_text, tn_text, uint8_t, same_text(x, y))
BINARY_LOOP(logical_and, uint8_t, uint8_t, (x != 0) & (y != 0))
BINARY_LOOP(logical_or, uint8_t, uint8_t, (x != 0) | (y != 0))
BINARY_LOOP(logical_xor, uint8_t, uint8_t, (x != 0) ^ (y != 0))

/* ---- tables ----------------------------------------------------------------------------- */

#define EQUAL_TYPES (TN_MASK_NUMERIC | TN_BIT(TN_BOOL) | TN_BIT(TN_STRING))
#define OPERANDS(types)                                                                            \
    {                                                                                              \
        { "A", "T", types, 0, 0, "First operand." },                                               \
            { "B", "T", types, 0, 0, "Second operand; the two broadcast." },                       \
    }
static const tn_param_def equal_ab[] = OPERANDS(EQUAL_TYPES);
static const tn_param_def numeric_ab[] = OPERANDS(TN_MASK_NUMERIC);
static const tn_param_def bool_ab[] = OPERANDS(TN_BIT(TN_BOOL));
static const tn_param_def truth[] = {
    { "C", "T1", TN_BIT(TN_BOOL), 0, 0, "Whether it holds, for each element." },
};

/* ---- as other operators --------------------------------------------------------------------- */

/* clang-format off */
static const char greater_equal_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["A", "B"],
    "outputs": ["C"],
    "nodes": [
        {"op": "Greater", "inputs": ["A", "B"], "outputs": ["more"]},
        {"op": "Equal", "inputs": ["A", "B"], "outputs": ["same"]},
        {"op": "Or", "inputs": ["more", "same"], "outputs": ["C"]}
    ]
});

static const char less_equal_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["A", "B"],
    "outputs": ["C"],
    "nodes": [
        {"op": "Less", "inputs": ["A", "B"], "outputs": ["less"]},
        {"op": "Equal", "inputs": ["A", "B"], "outputs": ["same"]},
        {"op": "Or", "inputs": ["less", "same"], "outputs": ["C"]}
    ]
});
/* clang-format on */

#define NUMERIC .inputs = numeric_ab, .output = truth
#define LOGIC                                                                                      \
    .since = 7, .accepts_from = 7, .inputs = bool_ab, .output = truth,                             \
    .flags = BINARY_COMMUTES | BINARY_IN_PLACE
static const binary rows[] = {
    { .name = "Equal",
      .since = 19,
      .accepts_from = 7,
      .inputs = equal_ab,
      .output = truth,
      .doc = "A == B.",
      .flags = BINARY_COMMUTES,
      .loops = { COMPARISON_LOOPS(equal), [TN_BOOL] = equal_uint8, [TN_STRING] = equal_text } },
    { .name = "Greater",
      .since = 13,
      .accepts_from = 7,
      NUMERIC,
      .doc = "A > B.",
      .loops = { COMPARISON_LOOPS(greater) } },
    { .name = "GreaterOrEqual",
      .since = 16,
      .accepts_from = 12,
      NUMERIC,
      .doc = "A >= B.",
      .body = greater_equal_body,
      .loops = { COMPARISON_LOOPS(greater_equal) } },
    { .name = "Less",
      .since = 13,
      .accepts_from = 7,
      NUMERIC,
      .doc = "A < B.",
      .loops = { COMPARISON_LOOPS(less) } },
    { .name = "LessOrEqual",
      .since = 16,
      .accepts_from = 12,
      NUMERIC,
      .doc = "A <= B.",
      .body = less_equal_body,
      .loops = { COMPARISON_LOOPS(less_equal) } },
    { .name = "And", LOGIC, .doc = "Both hold.", .loops = { [TN_BOOL] = logical_and } },
    { .name = "Or", LOGIC, .doc = "One of them holds.", .loops = { [TN_BOOL] = logical_or } },
    { .name = "Xor", LOGIC, .doc = "Exactly one holds.", .loops = { [TN_BOOL] = logical_xor } },
};

tn_status compare_register(tn_registrar *registrar)
{
    return binary_add(registrar, rows, sizeof rows / sizeof *rows);
}
