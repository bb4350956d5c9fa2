/* plugins/activation/exponential.c: activations made of exponentials.
 *
 * ONNX: Elu, Selu, Celu, Sigmoid, Swish, Tanh, Softplus, Mish. Each is written with exponentials
 * of what is at most zero, or expm1 and log1p, so that neither large arguments overflow nor small
 * ones lose their digits.
 *
 * SPDX-License-Identifier: MIT */
#include "activation.h"

/* fmin would lose NaN. */
static inline double not_above_zero(double x)
{
    return x > 0 ? 0.0 : x;
}

DOUBLES(elu, x < 0 ? p[0] * expm1(x) : x)
DOUBLES(selu, p[1] * (x > 0 ? x : p[0] * expm1(x)))
DOUBLES(celu, (x < 0 ? 0.0 : x) + not_above_zero(p[0] * expm1(x / p[0])))
DOUBLES(sigmoid, logistic(x))
DOUBLES(swish, x *logistic(p[0] * x))
DOUBLES(hyperbolic_tangent, tanh(x))
DOUBLES(softplus, (x < 0 ? 0.0 : x) + log1p(exp(-fabs(x))))

/* x tanh(log(1 + e^x)): with e = e^x the tangent is (e² + 2e) / (e² + 2e + 2), and with f = e^-x
 * it is (1 + 2f) / (1 + 2f + 2f²). */
static inline double mish_of(double x)
{
    const double e = exp(-fabs(x));
    if (x > 0)
        return x * ((1.0 + 2.0 * e) / (1.0 + 2.0 * e + 2.0 * e * e));
    return x * (e * (e + 2.0) / (e * (e + 2.0) + 2.0));
}
DOUBLES(mish, mish_of(x))

#define ALPHA(value, text)                                                                         \
    {                                                                                              \
        .name = "alpha", .type = TN_ATTR_FLOAT, .flags = TN_ATTR_HAS_DEFAULT, .f = value,          \
        .doc = text                                                                                \
    }
static const tn_attribute_def elu_attributes[] = { ALPHA(1.0f, "Factor below zero.") };
static const tn_attribute_def celu_attributes[] = { ALPHA(1.0f, "Factor and scale below zero.") };
static const tn_attribute_def swish_attributes[] = { ALPHA(1.0f, "Factor inside the sigmoid.") };
static const tn_attribute_def selu_attributes[] = {
    ALPHA(1.67326319217681884765625f, "Factor below zero."),
    { .name = "gamma",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 1.05070102214813232421875f,
      .doc = "Factor of everything." },
};

/* Set 1 wrote Selu's numbers with fewer digits. */
static const tn_attribute_def old_elu_attributes[] = { ALPHA(1.0f, "Factor below zero."),
                                                       TN_CONSUMED_INPUTS };
static const tn_attribute_def old_selu_attributes[] = {
    ALPHA(1.6732f, "Factor below zero."),
    { .name = "gamma",
      .type = TN_ATTR_FLOAT,
      .flags = TN_ATTR_HAS_DEFAULT,
      .f = 1.0507f,
      .doc = "Factor of everything." },
    TN_CONSUMED_INPUTS,
};

static const tn_param_def celu_x[] = { { "X", "T", TN_BIT(TN_FLOAT32), 0, 0, "Any shape." } };
static const tn_param_def celu_y[] = { { "Y", "T", TN_BIT(TN_FLOAT32), 0, 0, "The shape of X." } };

/* ---- as other operators --------------------------------------------------------------------- */

/* clang-format off */
static const char elu_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["X"],
    "outputs": ["Y"],
    "attributes": ["alpha"],
    "constants": {"zero": {"dtype": "float32", "shape": [], "data": 0},
                  "one": {"dtype": "float32", "shape": [], "data": 1}},
    "nodes": [
        {"op": "CastLike", "inputs": ["zero", "X"], "outputs": ["z"]},
        {"op": "CastLike", "inputs": ["one", "X"], "outputs": ["o"]},
        {"op": "Constant", "inputs": [], "outputs": ["a"], "attributes": {"value_float": {"ref": "alpha"}}},
        {"op": "CastLike", "inputs": ["a", "X"], "outputs": ["factor"]},
        {"op": "Min", "inputs": ["X", "z"], "outputs": ["low"]},
        {"op": "Exp", "inputs": ["low"], "outputs": ["e"]},
        {"op": "Sub", "inputs": ["e", "o"], "outputs": ["less"]},
        {"op": "Mul", "inputs": ["factor", "less"], "outputs": ["curve"]},
        {"op": "Less", "inputs": ["X", "z"], "outputs": ["below"]},
        {"op": "Where", "inputs": ["below", "curve", "X"], "outputs": ["Y"]}
    ]
});

static const char selu_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["X"],
    "outputs": ["Y"],
    "attributes": ["alpha", "gamma"],
    "nodes": [
        {"op": "Elu", "inputs": ["X"], "outputs": ["unit"], "attributes": {"alpha": {"ref": "alpha"}}},
        {"op": "Constant", "inputs": [], "outputs": ["g"], "attributes": {"value_float": {"ref": "gamma"}}},
        {"op": "CastLike", "inputs": ["g", "X"], "outputs": ["factor"]},
        {"op": "Mul", "inputs": ["factor", "unit"], "outputs": ["Y"]}
    ]
});

static const char celu_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["X"],
    "outputs": ["Y"],
    "attributes": ["alpha"],
    "constants": {"zero": {"dtype": "float32", "shape": [], "data": 0},
                  "one": {"dtype": "float32", "shape": [], "data": 1}},
    "nodes": [
        {"op": "Constant", "inputs": [], "outputs": ["a"], "attributes": {"value_float": {"ref": "alpha"}}},
        {"op": "Div", "inputs": ["X", "a"], "outputs": ["scaled"]},
        {"op": "Exp", "inputs": ["scaled"], "outputs": ["e"]},
        {"op": "Sub", "inputs": ["e", "one"], "outputs": ["less"]},
        {"op": "Mul", "inputs": ["a", "less"], "outputs": ["curve"]},
        {"op": "Min", "inputs": ["curve", "zero"], "outputs": ["low"]},
        {"op": "Max", "inputs": ["X", "zero"], "outputs": ["high"]},
        {"op": "Add", "inputs": ["high", "low"], "outputs": ["Y"]}
    ]
});

static const char swish_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["X"],
    "outputs": ["Y"],
    "attributes": ["alpha"],
    "nodes": [
        {"op": "Constant", "inputs": [], "outputs": ["a"], "attributes": {"value_float": {"ref": "alpha"}}},
        {"op": "CastLike", "inputs": ["a", "X"], "outputs": ["factor"]},
        {"op": "Mul", "inputs": ["factor", "X"], "outputs": ["scaled"]},
        {"op": "Sigmoid", "inputs": ["scaled"], "outputs": ["gate"]},
        {"op": "Mul", "inputs": ["X", "gate"], "outputs": ["Y"]}
    ]
});

static const char softplus_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["X"],
    "outputs": ["Y"],
    "constants": {"zero": {"dtype": "float32", "shape": [], "data": 0},
                  "one": {"dtype": "float32", "shape": [], "data": 1}},
    "nodes": [
        {"op": "CastLike", "inputs": ["zero", "X"], "outputs": ["z"]},
        {"op": "CastLike", "inputs": ["one", "X"], "outputs": ["o"]},
        {"op": "Abs", "inputs": ["X"], "outputs": ["size"]},
        {"op": "Neg", "inputs": ["size"], "outputs": ["minus"]},
        {"op": "Exp", "inputs": ["minus"], "outputs": ["e"]},
        {"op": "Add", "inputs": ["o", "e"], "outputs": ["sum"]},
        {"op": "Log", "inputs": ["sum"], "outputs": ["tail"]},
        {"op": "Max", "inputs": ["X", "z"], "outputs": ["line"]},
        {"op": "Add", "inputs": ["line", "tail"], "outputs": ["Y"]}
    ]
});

static const char mish_body[] = TN_BODY({
    "opset": 24,
    "inputs": ["X"],
    "outputs": ["Y"],
    "nodes": [
        {"op": "Softplus", "inputs": ["X"], "outputs": ["plus"]},
        {"op": "Tanh", "inputs": ["plus"], "outputs": ["gate"]},
        {"op": "Mul", "inputs": ["X", "gate"], "outputs": ["Y"]}
    ]
});
/* clang-format on */

static const activation rows[] = {
    { .name = "Elu",
      .since = 22,
      .accepts_from = 6,
      .input = activation_x,
      .output = activation_y,
      .doc = "x from zero on, alpha * (exp(x) - 1) below.",
      .attributes = elu_attributes,
      .old_attributes = old_elu_attributes,
      .old_count = 2,
      .attribute_count = 1,
      .body = elu_body,
      .doubles = elu },
    { .name = "Selu",
      .since = 22,
      .accepts_from = 6,
      .input = activation_x,
      .output = activation_y,
      .doc = "gamma times Elu with this alpha.",
      .attributes = selu_attributes,
      .old_attributes = old_selu_attributes,
      .old_count = 3,
      .attribute_count = 2,
      .body = selu_body,
      .doubles = selu },
    { .name = "Celu",
      .since = 12,
      .accepts_from = 12,
      .input = celu_x,
      .output = celu_y,
      .doc = "max(0, x) + min(0, alpha * (exp(x / alpha) - 1)).",
      .attributes = celu_attributes,
      .attribute_count = 1,
      .body = celu_body,
      .doubles = celu },
    { .name = "Sigmoid",
      .since = 13,
      .accepts_from = 6,
      .input = activation_x,
      .output = activation_y,
      .doc = "1 / (1 + exp(-x)).",
      .doubles = sigmoid },
    { .name = "Swish",
      .since = 24,
      .accepts_from = 24,
      .input = activation_x,
      .output = activation_y,
      .doc = "x * Sigmoid(alpha * x).",
      .attributes = swish_attributes,
      .attribute_count = 1,
      .body = swish_body,
      .doubles = swish },
    { .name = "Tanh",
      .since = 13,
      .accepts_from = 6,
      .input = activation_input,
      .output = activation_output,
      .doc = "The hyperbolic tangent.",
      .doubles = hyperbolic_tangent },
    { .name = "Softplus",
      .since = 22,
      .accepts_from = 1,
      .input = activation_x,
      .output = activation_y,
      .doc = "log(1 + exp(x)).",
      .body = softplus_body,
      .doubles = softplus },
    { .name = "Mish",
      .since = 22,
      .accepts_from = 18,
      .input = activation_x,
      .output = activation_y,
      .doc = "x * tanh(Softplus(x)).",
      .body = mish_body,
      .doubles = mish },
};

tn_status exponential_register(tn_registrar *registrar)
{
    return activation_add(registrar, rows, sizeof rows / sizeof *rows);
}
