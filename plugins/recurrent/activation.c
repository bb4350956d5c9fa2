/* plugins/recurrent/activation.c: the activation functions that LSTM, GRU and RNN may name, with
 * the defaults of their parameters (ONNX: RNN, attribute activations).
 *
 * SPDX-License-Identifier: MIT */
#include "recurrent.h"

static double relu(double x, double a, double b)
{
    (void)a;
    (void)b;
    return x < 0 ? 0 : x;
}
static double leaky_relu(double x, double a, double b)
{
    (void)b;
    return x < 0 ? a * x : x;
}
static double thresholded_relu(double x, double a, double b)
{
    (void)b;
    return x >= a || isnan(x) ? x : 0;
}
static double hyperbolic(double x, double a, double b)
{
    (void)a;
    (void)b;
    return tanh(x);
}
static double scaled_tanh(double x, double a, double b)
{
    return a * tanh(b * x);
}
static double affine(double x, double a, double b)
{
    return a * x + b;
}
static double elu(double x, double a, double b)
{
    (void)b;
    return x < 0 ? a * expm1(x) : x;
}
static double softsign(double x, double a, double b)
{
    (void)a;
    (void)b;
    return x / (1 + fabs(x));
}

static double sigmoid(double x, double a, double b)
{
    const double e = exp(-fabs(x)); /* at most 1: no overflow */
    (void)a;
    (void)b;
    return (x < 0 ? e : 1) / (1 + e);
}

static double hard_sigmoid(double x, double a, double b)
{
    const double y = a * x + b;
    return y < 0 ? 0 : y > 1 ? 1 : y;
}

static double softplus(double x, double a, double b)
{
    (void)a;
    (void)b;
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x))) + (isnan(x) ? x : 0);
}

static const struct {
    const char *name;
    double (*function)(double, double, double);
    int32_t uses;
    double alpha, beta;
} table[] = {
    { "relu", relu, 0, 0, 0 },
    { "tanh", hyperbolic, 0, 0, 0 },
    { "sigmoid", sigmoid, 0, 0, 0 },
    { "softsign", softsign, 0, 0, 0 },
    { "softplus", softplus, 0, 0, 0 },
    { "leakyrelu", leaky_relu, 1, 0.01, 0 },
    { "thresholdedrelu", thresholded_relu, 1, 1, 0 },
    { "elu", elu, 1, 1, 0 },
    { "scaledtanh", scaled_tanh, 2, 1, 1 },
    { "hardsigmoid", hard_sigmoid, 2, 0.2, 0.5 },
    { "affine", affine, 2, 1, 0 },
};

/* The standard's names are matched without regard to case. */
static int same_name(tn_text name, const char *lower)
{
    size_t k = 0;
    for (; k < name.count && lower[k]; k++) {
        const char c = name.bytes[k] >= 'A' && name.bytes[k] <= 'Z'
                           ? (char)(name.bytes[k] - 'A' + 'a')
                           : name.bytes[k];
        if (c != lower[k])
            return 0;
    }
    return k == name.count && !lower[k];
}

double (*rnn_find_activation(tn_text name, double *alpha, double *beta,
                             int32_t *uses))(double, double, double)
{
    for (size_t k = 0; k < sizeof table / sizeof *table; k++)
        if (same_name(name, table[k].name)) {
            *alpha = table[k].alpha;
            *beta = table[k].beta;
            *uses = table[k].uses;
            return table[k].function;
        }
    return NULL;
}

double rnn_activate(const rnn_job *job, int32_t direction, int32_t which, double x)
{
    const rnn_activation *a = &job->activations[direction * job->kind->activations + which];
    if (job->clip > 0)
        x = x > job->clip ? job->clip : x < -job->clip ? -job->clip : x;
    return a->function(x, a->alpha, a->beta);
}
