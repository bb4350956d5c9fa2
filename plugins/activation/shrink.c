/* plugins/activation/shrink.c: moves what is far from zero towards it, and the rest onto it.
 *
 * ONNX: Shrink. x + bias below -lambd, x - bias above lambd, else zero. Integers are compared
 * and moved exactly, modulo 2^n, and then truncated.
 *
 * SPDX-License-Identifier: MIT */
#include "activation.h"

/* p: bias, lambd. NaN is neither below nor above: zero, as the standard's formula has it. */
DOUBLES(shrink, x<-p[1] ? x + p[0] : x> p[1] ? x - p[0] : 0.0)
/* Both are float32 values: one correctly rounded sum. */
FLOATS(shrink_floats, x<-(float)p[1] ? x + (float)p[0] : x>(float) p[1] ? x - (float)p[0] : 0.0f)

/* x + by, truncated: from zero on that is x + floor(by). */
static int64_t moved(int64_t x, uint32_t dtype, double by)
{
    const double wide = dtype == TN_UINT64 ? (double)(uint64_t)x : (double)x;
    const double whole = wide + by < 0 ? ceil(by) : floor(by);
    return (int64_t)((uint64_t)x + (uint64_t)truncated(whole));
}

/* An integer is below -lambd when it is below the first integer that is not, and so on. */
static void shrink_ints(int64_t *v, int64_t n, uint32_t dtype, const double *p)
{
    const int64_t low = truncated(ceil(-p[1])), high = truncated(floor(p[1]));
    const int is_wide = dtype == TN_UINT64;
    for (int64_t i = 0; i < n; i++) {
        const int beyond = is_wide && v[i] < 0; /* a uint64 above every int64 */
        if (!beyond && v[i] < low)
            v[i] = moved(v[i], dtype, p[0]);
        else if (beyond ? p[1] < 0x1p63 : v[i] > high)
            v[i] = moved(v[i], dtype, -p[0]);
        else
            v[i] = 0;
    }
}

#define SHRINK_TYPES                                                                               \
    (TN_BIT(TN_FLOAT16) | TN_BIT(TN_FLOAT32) | TN_BIT(TN_FLOAT64) | TN_MASK_INTEGER)
static const tn_param_def input[] = { { "input", "T", SHRINK_TYPES, 0, 0, "Any shape." } };
static const tn_param_def output[] = {
    { "output", "T", SHRINK_TYPES, 0, 0, "The shape of the input." },
};
static const tn_attribute_def attributes[] = {
    { .name = "bias",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 0.0f,
      .doc = "How far the rest moves towards zero." },
    { .name = "lambd",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 0.5f,
      .doc = "What is not farther from zero becomes zero." },
};

/* ---- as other operators --------------------------------------------------------------------- */

/* clang-format off */
static const char shrink_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["input"],
    "outputs": ["output"],
    "attributes": ["bias", "lambd"],
    "constants": {"zero": {"dtype": "float64", "shape": [], "data": 0}},
    "nodes": [
        {"op": "Constant", "inputs": [], "outputs": ["l"], "attributes": {"value_float": {"ref": "lambd"}}},
        {"op": "Constant", "inputs": [], "outputs": ["b"], "attributes": {"value_float": {"ref": "bias"}}},
        {"op": "Cast", "inputs": ["l"], "outputs": ["bound"], "attributes": {"to": 11}},
        {"op": "Neg", "inputs": ["bound"], "outputs": ["minus"]},
        {"op": "Cast", "inputs": ["b"], "outputs": ["by"], "attributes": {"to": 11}},
        {"op": "Cast", "inputs": ["input"], "outputs": ["x"], "attributes": {"to": 11}},
        {"op": "Add", "inputs": ["x", "by"], "outputs": ["up"]},
        {"op": "Sub", "inputs": ["x", "by"], "outputs": ["down"]},
        {"op": "Less", "inputs": ["x", "minus"], "outputs": ["below"]},
        {"op": "Greater", "inputs": ["x", "bound"], "outputs": ["above"]},
        {"op": "Where", "inputs": ["above", "down", "zero"], "outputs": ["near"]},
        {"op": "Where", "inputs": ["below", "up", "near"], "outputs": ["y"]},
        {"op": "CastLike", "inputs": ["y", "input"], "outputs": ["output"]}
    ]
});
/* clang-format on */

static const activation row = {
    .name = "Shrink",
    .since = 9,
    .accepts_from = 9,
    .input = input,
    .output = output,
    .doc = "x + bias below -lambd, x - bias above lambd, else zero.",
    .attributes = attributes,
    .attribute_count = 2,
    .body = shrink_body,
    .doubles = shrink,
    .floats = shrink_floats,
    .ints = shrink_ints,
};

tn_status shrink_register(tn_registrar *registrar)
{
    return activation_add(registrar, &row, 1);
}
