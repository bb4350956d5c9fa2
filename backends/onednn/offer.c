/* offer.c: what can be said about a problem before the library is asked.
 *
 * Types and extents, epilogues, and the table from ONNX's elementwise operators to the library's
 * functions. Which of those lose a NaN was measured on oneDNN 2.6.3 and 3.2, AVX2 and AVX-512:
 * relu is max(x, 0) and answers 0, clip answers its lower bound, exp answers infinity; gelu of
 * infinity is NaN in 3.2. Log is not in the table: its error is 1.4e-6 near one, where the logarithm itself goes to zero.
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static tn_status no(char *reason, size_t bytes, const char *format, ...) TN_PRINTF(3, 4);
static tn_status no(char *reason, size_t bytes, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(reason, bytes, format, list);
    va_end(list);
    return TN_DECLINED;
}

int64_t onednn_count(const tn_type *type)
{
    return tn_extent(type->dims, 0, type->rank);
}

/* ---- functions of one element ----------------------------------------------------------- */

/* post: as a post-operation. Those of the matrix products are not compiled but plain code, whose
 * logistic answers 0. */
static bool loses_specials(dnnl_alg_kind_t alg, float alpha, bool post)
{
    return (alg == dnnl_eltwise_relu && alpha == 0.0f) || alg == dnnl_eltwise_clip ||
           alg == dnnl_eltwise_exp || alg == dnnl_eltwise_gelu_tanh ||
           alg == dnnl_eltwise_gelu_erf || (post && alg == dnnl_eltwise_logistic);
}

bool onednn_binary_loses_nan(dnnl_alg_kind_t alg)
{
    return alg == dnnl_binary_max || alg == dnnl_binary_min;
}

bool onednn_binary_of(const char *op, dnnl_alg_kind_t *out)
{
    static const struct {
        const char *op;
        dnnl_alg_kind_t alg;
    } table[] = {
        { "Add", dnnl_binary_add }, { "Sub", dnnl_binary_sub }, { "Mul", dnnl_binary_mul },
        { "Div", dnnl_binary_div }, { "Max", dnnl_binary_max }, { "Min", dnnl_binary_min },
    };
    for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
        if (strcmp(table[k].op, op) == 0) {
            *out = table[k].alg;
            return true;
        }
    }
    return false;
}

static void append(onednn_function *f, dnnl_alg_kind_t alg, float alpha, float beta)
{
    f->alg[f->count] = alg;
    f->alpha[f->count] = alpha;
    f->beta[f->count] = beta;
    f->count++;
}

/* Operators whose parameters are attributes. `scale`: another attribute that multiplies. */
typedef struct function_row {
    const char *op;
    dnnl_alg_kind_t alg;
    const char *alpha_name;
    float alpha, beta;
} function_row;

static const function_row functions[] = {
    { "Relu", dnnl_eltwise_relu, NULL, 0.0f, 0.0f },
    { "LeakyRelu", dnnl_eltwise_relu, "alpha", 0.01f, 0.0f },
    { "Elu", dnnl_eltwise_elu, "alpha", 1.0f, 0.0f },
    { "Sigmoid", dnnl_eltwise_logistic, NULL, 0.0f, 0.0f },
    { "Tanh", dnnl_eltwise_tanh, NULL, 0.0f, 0.0f },
    { "HardSwish", dnnl_eltwise_hardswish, NULL, 0.0f, 0.0f },
    { "Mish", dnnl_eltwise_mish, NULL, 0.0f, 0.0f },
    { "Swish", dnnl_eltwise_swish, "alpha", 1.0f, 0.0f },
    { "Abs", dnnl_eltwise_abs, NULL, 0.0f, 0.0f },
    { "Neg", dnnl_eltwise_linear, NULL, -1.0f, 0.0f },
    { "Exp", dnnl_eltwise_exp, NULL, 0.0f, 0.0f },
    { "Sqrt", dnnl_eltwise_sqrt, NULL, 0.0f, 0.0f },
};

static tn_status clip_of(const tn_problem *p, const int32_t *inputs, uint32_t count,
                         onednn_function *out, char *reason, size_t bytes)
{
    float bound[2] = { -INFINITY, INFINITY };
    for (uint32_t k = 1; k < 3 && k < count; k++) {
        const tn_tensor *value;
        if (inputs[k] < 0 || !p->inputs[inputs[k]])
            continue;
        value = p->constants[inputs[k]];
        if (!value || value->dtype != TN_FLOAT32)
            return no(reason, bytes, "Clip's bounds are computed: oneDNN wants numbers");
        bound[k - 1] = *(const float *)value->data;
    }
    if (isnan(bound[0]) || isnan(bound[1]) || bound[0] > bound[1])
        return no(reason, bytes, "Clip's bounds are %g and %g", (double)bound[0], (double)bound[1]);
    append(out, dnnl_eltwise_clip, bound[0], bound[1]);
    return TN_OK;
}

static tn_status composed(const tn_node_view *node, onednn_function *out, char *reason,
                          size_t bytes)
{
    if (strcmp(node->op, "HardSigmoid") == 0) {
        append(out, dnnl_eltwise_linear, tn_attr_float(node, "alpha", 0.2f),
               tn_attr_float(node, "beta", 0.5f));
        append(out, dnnl_eltwise_clip, 0.0f, 1.0f);
    } else if (strcmp(node->op, "Selu") == 0) {
        append(out, dnnl_eltwise_elu, tn_attr_float(node, "alpha", 1.67326319217681884765625f),
               0.0f);
        append(out, dnnl_eltwise_linear, tn_attr_float(node, "gamma", 1.05070102214813232421875f),
               0.0f);
    } else if (strcmp(node->op, "Gelu") == 0) {
        const bool tanh_form = strcmp(tn_attr_string(node, "approximate", "none"), "tanh") == 0;
        append(out, tanh_form ? dnnl_eltwise_gelu_tanh : dnnl_eltwise_gelu_erf, 0.0f, 0.0f);
    } else {
        return no(reason, bytes, "oneDNN has no function for %s", node->op);
    }
    return TN_OK;
}

tn_status onednn_function_of(const tn_problem *p, const tn_node_view *node, const int32_t *inputs,
                             uint32_t input_count, onednn_function *out, char *reason, size_t bytes)
{
    const function_row *row = NULL;
    memset(out, 0, sizeof *out);
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++)
        if (strcmp(functions[k].op, node->op) == 0)
            row = &functions[k];
    if (node->domain[0])
        return no(reason, bytes, "oneDNN has no function for %s::%s", node->domain, node->op);
    if (row) {
        const float alpha = row->alpha_name ? tn_attr_float(node, row->alpha_name, row->alpha)
                                            : row->alpha;
        append(out, row->alg, alpha, row->beta);
    } else if (strcmp(node->op, "Clip") == 0) {
        TN_TRY(clip_of(p, inputs, input_count, out, reason, bytes));
    } else {
        TN_TRY(composed(node, out, reason, bytes));
    }
    for (uint32_t k = 0; p->math == TN_MATH_STRICT && k < out->count; k++)
        if (loses_specials(out->alg[k], out->alpha[k], node != p->node))
            return no(reason, bytes, "oneDNN's %s loses NaN or infinity, which strict math keeps",
                      node->op);
    return TN_OK;
}

/* ---- epilogues -------------------------------------------------------------------------- */

static tn_status step_check(const tn_problem *p, const tn_step *step, char *reason, size_t bytes)
{
    const char *op = step->node->op;
    const bool plain = !step->node->domain[0];
    dnnl_alg_kind_t alg;
    onednn_function function;
    if (!plain || !onednn_binary_of(op, &alg))
        return onednn_function_of(p, step->node, step->inputs, step->input_count, &function, reason,
                                  bytes);
    if (step->input_count != 2 || step->operand < 0)
        return no(reason, bytes, "%s of %u inputs: a step has one operand", op, step->input_count);
    if (p->math == TN_MATH_STRICT && onednn_binary_loses_nan(alg))
        return no(reason, bytes, "oneDNN's %s loses NaN, which strict math keeps", op);
    if (alg == dnnl_binary_div && step->chain_input != 0)
        return no(reason, bytes, "a step divides by its operand, not the other way round");
    if (!p->inputs[step->operand] || p->inputs[step->operand]->dtype != TN_FLOAT32)
        return no(reason, bytes, "operand of %s is not float32", op);
    return TN_OK;
}

/* ---- the offer -------------------------------------------------------------------------- */

static tn_status check_type(tn_offer *ctx, const tn_type *type, const char *what, uint32_t k)
{
    if (type->kind != TN_TENSOR)
        return tn_fail(ctx, TN_DECLINED, "%s %u is no tensor", what, k);
    if (type->dtype != TN_FLOAT32)
        return tn_fail(ctx, TN_DECLINED, "%s %u has type number %u: float32 only", what, k,
                       type->dtype);
    for (int32_t axis = 0; axis < type->rank; axis++)
        if (type->dims[axis] == 0)
            return tn_fail(ctx, TN_DECLINED, "%s %u has an extent of 0", what, k);
    return TN_OK;
}

tn_status onednn_offer(tn_offer *ctx, uint32_t flags)
{
    const tn_problem *p = ctx->problem;
    char reason[192] = "";
    if (p->step_count > (flags & ONEDNN_STEPS ? (uint32_t)ONEDNN_MAX_STEPS : 0))
        return tn_fail(ctx, TN_DECLINED, "an epilogue of %u steps: at most %d here", p->step_count,
                       flags & ONEDNN_STEPS ? ONEDNN_MAX_STEPS : 0);
    for (uint32_t k = 0; k < p->own_count; k++)
        if (p->inputs[k] && !(flags & ONEDNN_BOOL_MASK && k == 3 && p->inputs[k]->dtype == TN_BOOL))
            TN_TRY(check_type(ctx, p->inputs[k], "input", k));
    for (uint32_t k = 0; k < p->output_count; k++) {
        if (k && p->outputs[k] && (flags & ONEDNN_ONE_OUTPUT))
            return tn_fail(ctx, TN_DECLINED, "output %u is wanted: oneDNN computes output 0 only",
                           k);
        if (p->outputs[k])
            TN_TRY(check_type(ctx, p->outputs[k], "output", k));
    }
    for (uint32_t k = 0; k < p->step_count; k++)
        if (step_check(p, &p->steps[k], reason, sizeof reason) != TN_OK)
            return tn_fail(ctx, TN_DECLINED, "%s", reason);
    if (!(p->flags & TN_PROBLEM_SHAPES_KNOWN))
        return tn_fail(ctx, TN_NEEDS_SHAPES, "a oneDNN primitive is made for one shape");
    return TN_OK;
}
