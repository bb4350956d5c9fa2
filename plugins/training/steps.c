/* plugins/training/steps.c: the mathematics of Adam, Adagrad and Momentum (ONNX operators of
 * domain ai.onnx.preview.training).
 *
 * With g' = norm_coefficient * X + G:
 *
 *   Momentum  V' = alpha V + (T > 0 ? beta : 1) g'
 *             X' = X - R V', or with Nesterov's: X - R (g' + alpha V')
 *   Adagrad   H' = H + g'^2,  X' = X - R / (1 + T decay_factor) g' / (sqrt(H') + epsilon)
 *   Adam      V' = alpha V + (1 - alpha) g',  H' = beta H + (1 - beta) g'^2
 *             r  = T > 0 ? R sqrt(1 - beta^T) / (1 - alpha^T) : R
 *             X' = (1 - norm_coefficient_post) (X - r V' / (sqrt(H') + epsilon))
 *
 * SPDX-License-Identifier: MIT */
#include "training.h"

static void momentum(const setting *s, int64_t n, double *x, const double *g,
                     double (*memory)[BLOCK])
{
    const double beta = s->count > 0 ? s->beta : 1.0;
    double *v = memory[0];
    for (int64_t k = 0; k < n; k++) {
        const double slope = s->norm * x[k] + g[k];
        v[k] = s->alpha * v[k] + beta * slope;
        x[k] -= s->rate * (s->nesterov ? slope + s->alpha * v[k] : v[k]);
    }
}

static void adagrad(const setting *s, int64_t n, double *x, const double *g,
                    double (*memory)[BLOCK])
{
    const double rate = s->rate / (1.0 + (double)s->count * s->decay);
    double *h = memory[0];
    for (int64_t k = 0; k < n; k++) {
        const double slope = s->norm * x[k] + g[k];
        h[k] += slope * slope;
        x[k] -= rate * slope / (sqrt(h[k]) + s->epsilon);
    }
}

static void adam(const setting *s, int64_t n, double *x, const double *g, double (*memory)[BLOCK])
{
    const double t = (double)s->count;
    const double rate = s->count > 0
                            ? s->rate * sqrt(1.0 - pow(s->beta, t)) / (1.0 - pow(s->alpha, t))
                            : s->rate;
    double *v = memory[0], *h = memory[1];
    for (int64_t k = 0; k < n; k++) {
        const double slope = s->norm * x[k] + g[k];
        v[k] = s->alpha * v[k] + (1.0 - s->alpha) * slope;
        h[k] = s->beta * h[k] + (1.0 - s->beta) * slope * slope;
        x[k] = (1.0 - s->norm_post) * (x[k] - rate * v[k] / (sqrt(h[k]) + s->epsilon));
    }
}

/* ---- tables ----------------------------------------------------------------------------- */

#define NUMBER(key, default_value, text)                                                           \
    {                                                                                              \
        .name = key, .type = TN_ATTR_FLOAT, .flags = TN_ATTR_HAS_DEFAULT, .f = default_value,      \
        .doc = text                                                                                \
    }
#define NEEDED(key, kind, text)                                                                    \
    {                                                                                              \
        .name = key, .type = kind, .flags = TN_ATTR_REQUIRED, .doc = text                          \
    }
#define NORM "Weight of the squared norm of X in what is minimized, halved."
static const tn_attribute_def adam_attributes[] = {
    NUMBER("alpha", 0.9f, "Share of the old mean gradient that is kept."),
    NUMBER("beta", 0.999f, "Share of the old mean squared gradient that is kept."),
    NUMBER("epsilon", 0.0f, "Added to the divisor."),
    NUMBER("norm_coefficient", 0.0f, NORM),
    NUMBER("norm_coefficient_post", 0.0f, "Share of the new X that is taken off."),
};
static const tn_attribute_def adagrad_attributes[] = {
    NUMBER("decay_factor", 0.0f, "How fast the learning rate falls with the count of updates."),
    NUMBER("epsilon", 0.0f, "Added to the divisor."),
    NUMBER("norm_coefficient", 0.0f, NORM),
};
static const tn_attribute_def momentum_attributes[] = {
    NEEDED("alpha", TN_ATTR_FLOAT, "Share of the old momentum that is kept."),
    NEEDED("beta", TN_ATTR_FLOAT, "Share of the gradient in the momentum, but for the first step."),
    NEEDED("mode", TN_ATTR_STRING, "standard or nesterov."),
    NEEDED("norm_coefficient", TN_ATTR_FLOAT, NORM),
};

#define ATTRIBUTES(list) .attributes = list, .attribute_count = sizeof(list) / sizeof *(list)
const optimizer optimizers[] = {
    { .name = "Adam",
      .doc = "A step along the mean gradient, divided by the root of the mean squared gradient.",
      .memories = 2,
      .step = adam,
      ATTRIBUTES(adam_attributes) },
    { .name = "Adagrad",
      .doc = "A step along the gradient, divided by the root of the sum of its squares so far.",
      .memories = 1,
      .step = adagrad,
      ATTRIBUTES(adagrad_attributes) },
    { .name = "Momentum",
      .doc = "A step along a decaying sum of gradients, plain or as Nesterov has it.",
      .memories = 1,
      .step = momentum,
      ATTRIBUTES(momentum_attributes) },
};
const size_t optimizer_count = sizeof optimizers / sizeof *optimizers;
