/* plugins/activation/piecewise.c: activations made of straight lines (and Softsign).
 *
 * ONNX: Relu, LeakyRelu, ThresholdedRelu, HardSigmoid, HardSwish, Softsign. Comparisons are
 * written so that NaN takes the branch that returns it.
 *
 * SPDX-License-Identifier: MIT */
#include "activation.h"

#define RELU_TYPES (TN_MASK_FLOAT | TN_MASK_SIGNED)

DOUBLES(relu, x < 0 ? 0.0 : x)
FLOATS(relu_floats, x < 0 ? 0.0f : x)
DOUBLES(leaky_relu, x < 0 ? p[0] * x : x)
/* p[0] is a float32 value: one correctly rounded product. */
FLOATS(leaky_relu_floats, x < 0 ? (float)p[0] * x : x)
DOUBLES(thresholded_relu, x <= p[0] ? 0.0 : x)
FLOATS(thresholded_relu_floats, x <= (float)p[0] ? 0.0f : x)
DOUBLES(softsign, x / (1.0 + fabs(x)))

static inline double unit(double x)
{
    return x < 0 ? 0.0 : x > 1 ? 1.0 : x;
}
DOUBLES(hard_sigmoid, unit(p[0] * x + p[1]))
DOUBLES(hard_swish, x *unit(x / 6.0 + 0.5))

static void relu_ints(int64_t *v, int64_t n, uint32_t dtype, const double *p)
{
    (void)dtype, (void)p;
    for (int64_t i = 0; i < n; i++)
        v[i] = v[i] < 0 ? 0 : v[i];
}

static const tn_param_def relu_x[] = { { "X", "T", RELU_TYPES, 0, 0, "Any shape." } };
static const tn_param_def relu_y[] = { { "Y", "T", RELU_TYPES, 0, 0, "The shape of X." } };
#define LEAKY_ATTRIBUTES                                                                           \
    {                                                                                              \
        .name = "alpha", .type = TN_ATTR_FLOAT, .flags = TN_ATTR_HAS_DEFAULT, .f = 0.01f,          \
        .doc = "Slope below zero."                                                                 \
    }
static const tn_attribute_def leaky_attributes[] = { LEAKY_ATTRIBUTES };
static const tn_attribute_def old_leaky_attributes[] = { LEAKY_ATTRIBUTES, TN_CONSUMED_INPUTS };
static const tn_attribute_def threshold_attributes[] = {
    { .name = "alpha",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 1.0f,
      .doc = "What is not above it becomes zero." },
};
#define HARD_SIGMOID_ATTRIBUTES                                                                    \
    { .name = "alpha",                                                                             \
      .type = TN_ATTR_FLOAT,                                                                       \
      .flags = TN_ATTR_HAS_DEFAULT,                                                                \
      .f = 0.2f,                                                                                   \
      .doc = "Slope of the line." },                                                               \
    {                                                                                              \
        .name = "beta", .type = TN_ATTR_FLOAT, .flags = TN_ATTR_HAS_DEFAULT, .f = 0.5f,            \
        .doc = "Its value at zero."                                                                \
    }
static const tn_attribute_def hard_sigmoid_attributes[] = { HARD_SIGMOID_ATTRIBUTES };
static const tn_attribute_def old_hard_sigmoid_attributes[] = { HARD_SIGMOID_ATTRIBUTES,
                                                                TN_CONSUMED_INPUTS };

/* ---- as other operators --------------------------------------------------------------------- */

/* clang-format off */
static const char relu_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["X"],
    "outputs": ["Y"],
    "constants": {"zero": {"dtype": "float32", "shape": [], "data": 0}},
    "nodes": [
        {"op": "CastLike", "inputs": ["zero", "X"], "outputs": ["z"]},
        {"op": "Max", "inputs": ["X", "z"], "outputs": ["Y"]}
    ]
});

static const char leaky_relu_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["X"],
    "outputs": ["Y"],
    "attributes": ["alpha"],
    "constants": {"zero": {"dtype": "float32", "shape": [], "data": 0}},
    "nodes": [
        {"op": "CastLike", "inputs": ["zero", "X"], "outputs": ["z"]},
        {"op": "Constant", "inputs": [], "outputs": ["a"], "attributes": {"value_float": {"ref": "alpha"}}},
        {"op": "CastLike", "inputs": ["a", "X"], "outputs": ["slope"]},
        {"op": "Mul", "inputs": ["slope", "X"], "outputs": ["line"]},
        {"op": "Less", "inputs": ["X", "z"], "outputs": ["below"]},
        {"op": "Where", "inputs": ["below", "line", "X"], "outputs": ["Y"]}
    ]
});

static const char thresholded_relu_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["X"],
    "outputs": ["Y"],
    "attributes": ["alpha"],
    "constants": {"zero": {"dtype": "float32", "shape": [], "data": 0}},
    "nodes": [
        {"op": "CastLike", "inputs": ["zero", "X"], "outputs": ["z"]},
        {"op": "Constant", "inputs": [], "outputs": ["a"], "attributes": {"value_float": {"ref": "alpha"}}},
        {"op": "CastLike", "inputs": ["a", "X"], "outputs": ["bound"]},
        {"op": "LessOrEqual", "inputs": ["X", "bound"], "outputs": ["below"]},
        {"op": "Where", "inputs": ["below", "z", "X"], "outputs": ["Y"]}
    ]
});

static const char hard_sigmoid_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["X"],
    "outputs": ["Y"],
    "attributes": ["alpha", "beta"],
    "constants": {"zero": {"dtype": "float32", "shape": [], "data": 0},
                  "one": {"dtype": "float32", "shape": [], "data": 1}},
    "nodes": [
        {"op": "Constant", "inputs": [], "outputs": ["a"], "attributes": {"value_float": {"ref": "alpha"}}},
        {"op": "CastLike", "inputs": ["a", "X"], "outputs": ["slope"]},
        {"op": "Constant", "inputs": [], "outputs": ["b"], "attributes": {"value_float": {"ref": "beta"}}},
        {"op": "CastLike", "inputs": ["b", "X"], "outputs": ["start"]},
        {"op": "CastLike", "inputs": ["zero", "X"], "outputs": ["low"]},
        {"op": "CastLike", "inputs": ["one", "X"], "outputs": ["high"]},
        {"op": "Mul", "inputs": ["X", "slope"], "outputs": ["product"]},
        {"op": "Add", "inputs": ["product", "start"], "outputs": ["line"]},
        {"op": "Min", "inputs": ["line", "high"], "outputs": ["kept"]},
        {"op": "Max", "inputs": ["kept", "low"], "outputs": ["Y"]}
    ]
});

static const char hard_swish_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["X"],
    "outputs": ["Y"],
    "nodes": [
        {"op": "HardSigmoid", "inputs": ["X"], "outputs": ["gate"], "attributes": {"alpha": 0.16666667163372, "beta": 0.5}},
        {"op": "Mul", "inputs": ["X", "gate"], "outputs": ["Y"]}
    ]
});

static const char softsign_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["input"],
    "outputs": ["output"],
    "constants": {"one": {"dtype": "float32", "shape": [], "data": 1}},
    "nodes": [
        {"op": "CastLike", "inputs": ["one", "input"], "outputs": ["o"]},
        {"op": "Abs", "inputs": ["input"], "outputs": ["size"]},
        {"op": "Add", "inputs": ["size", "o"], "outputs": ["sum"]},
        {"op": "Div", "inputs": ["input", "sum"], "outputs": ["output"]}
    ]
});
/* clang-format on */

static const activation rows[] = {
    { .name = "Relu",
      .since = 14,
      .accepts_from = 6,
      .input = relu_x,
      .output = relu_y,
      .doc = "max(0, x). NaN stays NaN.",
      .body = relu_body,
      .doubles = relu,
      .floats = relu_floats,
      .ints = relu_ints },
    { .name = "LeakyRelu",
      .since = 16,
      .accepts_from = 6,
      .input = activation_x,
      .output = activation_y,
      .doc = "x from zero on, alpha * x below.",
      .attributes = leaky_attributes,
      .old_attributes = old_leaky_attributes,
      .old_count = 2,
      .attribute_count = 1,
      .body = leaky_relu_body,
      .doubles = leaky_relu,
      .floats = leaky_relu_floats },
    { .name = "ThresholdedRelu",
      .since = 22,
      .accepts_from = 10,
      .input = activation_x,
      .output = activation_y,
      .doc = "x where x > alpha, zero elsewhere.",
      .attributes = threshold_attributes,
      .attribute_count = 1,
      .body = thresholded_relu_body,
      .doubles = thresholded_relu,
      .floats = thresholded_relu_floats },
    { .name = "HardSigmoid",
      .since = 22,
      .accepts_from = 6,
      .input = activation_x,
      .output = activation_y,
      .doc = "alpha * x + beta, kept within [0, 1].",
      .attributes = hard_sigmoid_attributes,
      .old_attributes = old_hard_sigmoid_attributes,
      .old_count = 3,
      .attribute_count = 2,
      .body = hard_sigmoid_body,
      .doubles = hard_sigmoid },
    { .name = "HardSwish",
      .since = 22,
      .accepts_from = 14,
      .input = activation_x,
      .output = activation_y,
      .doc = "x times HardSigmoid of x with alpha 1/6 and beta 1/2.",
      .body = hard_swish_body,
      .doubles = hard_swish },
    { .name = "Softsign",
      .since = 22,
      .accepts_from = 1,
      .input = activation_input,
      .output = activation_output,
      .doc = "x / (1 + |x|).",
      .body = softsign_body,
      .doubles = softsign },
};

tn_status piecewise_register(tn_registrar *registrar)
{
    return activation_add(registrar, rows, sizeof rows / sizeof *rows);
}
