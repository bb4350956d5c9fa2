/* plugins/activation/activation.h: activation functions of one input as rows of a table.
 *
 * A row is the operator and its arithmetic on a block of doubles, perhaps also on float32 directly
 * (only where each operation is rounded correctly, so that both ways agree) and on integers.
 * unary.c turns rows into an operator and a kernel each.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TENON_PLUGINS_ACTIVATION_H
#define TENON_PLUGINS_ACTIVATION_H

#include "tenon/blocks.h"
#include "tenon/upgrade.h"

typedef struct activation {
    const char *name;
    const char *doc;
    uint16_t since, accepts_from;
    uint16_t attribute_count;
    const tn_param_def *input, *output;
    const tn_attribute_def *attributes; /* floats and strings, at most two */
    /* Set 1's, where nodes are taken from set 6 on: NULL has consumed_inputs alone. */
    const tn_attribute_def *old_attributes;
    uint32_t old_count;
    tn_status (*infer)(tn_infer *ctx); /* NULL: the output's type is the input's */
    const char *body;                  /* NULL: it is made of no others … */
    tn_status (*expand)(tn_rewrite *ctx, tn_node_id node); /* … or by this code */
    /* In place on v[n]. p holds the attributes in order; a string counts 0 when it is the default,
     * else 1. */
    void (*doubles)(double *v, int64_t n, const double *p);
    void (*floats)(const float *x, float *y, int64_t n, const double *p); /* NULL: by doubles */
    /* NULL: no integers; uint64 keeps its bits. */
    void (*ints)(int64_t *v, int64_t n, uint32_t dtype, const double *p);
} activation;

/* The arithmetic of a row, as an expression of x. */
#define DOUBLES(name, expression)                                                                  \
    static void name(double *v, int64_t n, const double *p)                                        \
    {                                                                                              \
        (void)p;                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const double x = v[i];                                                                 \
            v[i] = (expression);                                                                   \
        }                                                                                          \
    }
#define FLOATS(name, expression)                                                                   \
    static void name(const float *from, float *to, int64_t n, const double *p)                     \
    {                                                                                              \
        (void)p;                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                          \
            const float x = from[i];                                                               \
            to[i] = (expression);                                                                  \
        }                                                                                          \
    }

/* 1 / (1 + exp(-x)) without overflow, by whichever exponential is at most 1. */
static inline double logistic(double x)
{
    const double e = exp(-fabs(x));
    return (x < 0 ? e : 1.0) / (1.0 + e);
}

/* Parameters as the standard names them: older operators say X and Y, others input and output. */
extern const tn_param_def activation_x[1], activation_y[1];
extern const tn_param_def activation_input[1], activation_output[1];

/* The batch is axis 0 wherever there is one. */
tn_status activation_samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes);

tn_status activation_add(tn_registrar *registrar, const activation *rows, size_t count);

tn_status piecewise_register(tn_registrar *registrar);   /* Relu, LeakyRelu, … */
tn_status exponential_register(tn_registrar *registrar); /* Elu, Sigmoid, … */
tn_status gelu_register(tn_registrar *registrar);
tn_status clip_register(tn_registrar *registrar);
tn_status prelu_register(tn_registrar *registrar);
tn_status shrink_register(tn_registrar *registrar);

#endif
