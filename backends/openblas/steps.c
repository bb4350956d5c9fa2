/* backends/openblas/steps.c: the epilogues that are applied while a part of the output is still in
 * the cache.
 *
 * SPDX-License-Identifier: MIT */
#include "openblas.h"

/* A scalar constant among the problem's inputs; absent ones are `otherwise`. */
static int read_scalar(const tn_problem *p, int32_t input, double otherwise, double *out)
{
    *out = otherwise;
    if (input < 0)
        return 1;
    if (!p->constants[input])
        return 0;
    *out = tn_get_double(p->constants[input]->dtype, p->constants[input]->data, 0);
    return 1;
}

static int read_step(const tn_problem *p, const tn_step *step, openblas_step *out)
{
    const char *op = step->node->op;
    if (*step->node->domain)
        return 0;
    if (strcmp(op, "Relu") == 0)
        *out = (openblas_step){ .function = STEP_RELU };
    else if (strcmp(op, "LeakyRelu") == 0)
        *out = (openblas_step){ .function = STEP_LEAKY_RELU, .a = (double)tn_attr_float(step->node, "alpha", 0.01f) };
    else if (strcmp(op, "Sigmoid") == 0)
        *out = (openblas_step){ .function = STEP_SIGMOID };
    else if (strcmp(op, "HardSwish") == 0)
        *out = (openblas_step){ .function = STEP_HARD_SWISH };
    else if (strcmp(op, "Clip") == 0 && step->chain_input == 0) {
        *out = (openblas_step){ .function = STEP_CLIP };
        return read_scalar(p, step->input_count > 1 ? step->inputs[1] : -1, -INFINITY, &out->a) &&
               read_scalar(p, step->input_count > 2 ? step->inputs[2] : -1, INFINITY, &out->b);
    } else if (strcmp(op, "Add") == 0 && step->operand >= 0 && step->spread != TN_SPREAD_OTHER)
        *out = (openblas_step){ .function = STEP_ADD, .operand = (uint32_t)step->operand, .spread = step->spread };
    else
        return 0;
    return 1;
}

tn_status openblas_read_steps(tn_offer *ctx, openblas_steps *out)
{
    const tn_problem *p = ctx->problem;
    out->count = 0;
    if (p->step_count > OPENBLAS_MAX_STEPS)
        return tn_fail(ctx, TN_DECLINED, "%u steps in the epilogue; it takes %d", p->step_count, OPENBLAS_MAX_STEPS);
    for (uint32_t k = 0; k < p->step_count; k++)
        if (!read_step(p, &p->steps[k], &out->items[out->count++]))
            return tn_fail(ctx, TN_DECLINED, "%s is none of its epilogues", p->steps[k].node->op);
    return TN_OK;
}

void openblas_copy_steps(const tn_problem *problem, openblas_steps *out)
{
    out->count = problem->step_count;
    for (uint32_t k = 0; k < problem->step_count; k++)
        (void)read_step(problem, &problem->steps[k], &out->items[k]);
}

/* Every comparison is written so that a NaN stays one. */
#define APPLY(type, expression)                                                                    \
    do {                                                                                           \
        type *y = (type *)ctx->outputs[0]->data + first;                                           \
        for (int64_t i = 0; i < count; i++) {                                                      \
            const type x = y[i];                                                                   \
            y[i] = (type)(expression);                                                             \
        }                                                                                          \
    } while (0)

#define STEPS_OF(type)                                                                             \
    static void apply_##type(const openblas_step *s, const tn_run *ctx, int64_t first, int64_t count, int64_t channel) \
    {                                                                                              \
        const type a = (type)s->a, b = (type)s->b;                                                 \
        const type *operand = s->function == STEP_ADD ? (const type *)ctx->inputs[s->operand]->data : NULL; \
        switch (s->function) {                                                                     \
        case STEP_RELU: APPLY(type, x < 0 ? 0 : x); break;                                         \
        case STEP_LEAKY_RELU: APPLY(type, x < 0 ? a * x : x); break;                               \
        case STEP_CLIP: APPLY(type, x < a ? a : x > b ? b : x); break;                             \
        case STEP_SIGMOID: APPLY(type, 1.0 / (1.0 + exp(-(double)x))); break;                      \
        case STEP_HARD_SWISH: {                                                                    \
            const double low = 0, high = 1;                                                        \
            APPLY(type, (double)x * fmin(fmax((double)x / 6.0 + 0.5, low), high) + (isnan((double)x) ? (double)x : 0)); \
            break;                                                                                 \
        }                                                                                          \
        default:                                                                                   \
            if (s->spread == TN_SPREAD_FULL)                                                       \
                APPLY(type, x + operand[first + i]);                                               \
            else                                                                                   \
                APPLY(type, x + operand[s->spread == TN_SPREAD_CHANNEL ? channel : 0]);            \
        }                                                                                          \
    }
STEPS_OF(float)
STEPS_OF(double)

void openblas_apply(const openblas_steps *steps, const tn_run *ctx, int64_t first, int64_t count, int64_t channel)
{
    for (uint32_t k = 0; k < steps->count; k++) {
        if (ctx->outputs[0]->dtype == TN_FLOAT64)
            apply_double(&steps->items[k], ctx, first, count, channel);
        else
            apply_float(&steps->items[k], ctx, first, count, channel);
    }
}
