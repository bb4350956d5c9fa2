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
      .doubles = selu },
    { .name = "Celu",
      .since = 12,
      .accepts_from = 12,
      .input = celu_x,
      .output = celu_y,
      .doc = "max(0, x) + min(0, alpha * (exp(x / alpha) - 1)).",
      .attributes = celu_attributes,
      .attribute_count = 1,
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
      .doubles = softplus },
    { .name = "Mish",
      .since = 22,
      .accepts_from = 18,
      .input = activation_x,
      .output = activation_y,
      .doc = "x * tanh(Softplus(x)).",
      .doubles = mish },
};

tn_status exponential_register(tn_registrar *registrar)
{
    return activation_add(registrar, rows, sizeof rows / sizeof *rows);
}
