/* eltwise.c: functions of one element (ONNX: Relu, LeakyRelu, Elu, Selu, Sigmoid, HardSigmoid,
 * Tanh, HardSwish, Gelu, Mish, Swish, Clip, Abs, Neg, Exp, Sqrt) and PRelu.
 *
 * In: X, of any shape, in any layout of its maker. Out: Y in the same layout, perhaps in X's
 * memory. offer.c holds the table from operators to the library's functions. An operator that is
 * two functions in a row runs as two stages. Softplus is not here: the library rounds 1 + exp(x)
 * first, which is 1 % off at -10.
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

#include <string.h>

static const int32_t own_inputs[] = { 0, 1, 2 };

static tn_status begin(onednn_builder *b, uint32_t layout, onednn_md *md)
{
    b->alternative->input_layouts[0] = layout;
    b->alternative->output_layouts[0] = layout;
    b->alternative->output_aliases[0].kind = TN_ALIAS_MAY_REUSE;
    b->alternative->output_aliases[0].input = 0;
    return onednn_describe_flat(b, b->problem->inputs[0], layout, md);
}

static tn_status build(onednn_builder *b, const void *form)
{
    const tn_problem *p = b->problem;
    onednn_function f;
    onednn_md md;
    TN_TRY(begin(b, *(const uint32_t *)form, &md));
    TN_TRY(onednn_function_of(p, p->node, own_inputs, p->own_count < 3 ? p->own_count : 3, &f,
                              b->reason, sizeof b->reason));
    for (uint32_t k = 0; k < f.count; k++) {
        onednn_pd desc = NULL;
        const dnnl_status_t status = onednn_eltwise(b->engine, b->attr, f.alg[k], f.alpha[k],
                                                    f.beta[k], md, &desc);
        TN_TRY(onednn_accept(b, status, desc));
        TN_TRY(onednn_stage_add(b));
        TN_TRY(onednn_bind(b, DNNL_ARG_SRC, k ? ONEDNN_OUTPUT : ONEDNN_INPUT, 0, 0));
        TN_TRY(onednn_bind(b, DNNL_ARG_DST, ONEDNN_OUTPUT, 0, 0));
    }
    onednn_estimate(b, 0, 8.0 * (double)onednn_count(p->inputs[0]));
    return TN_OK;
}

static tn_status measure(tn_measure *ctx, void *state, onednn_build_fn function)
{
    uint32_t layouts[TN_MAX_ALTERNATIVES];
    const uint32_t count = onednn_candidates(ctx, 0, layouts);
    onednn_attempts attempts = { .ctx = ctx, .state = state };
    for (uint32_t k = 0; k < count; k++)
        TN_TRY(onednn_try(&attempts, function, &layouts[k]));
    return onednn_measured(&attempts);
}

static tn_status eltwise_measure(tn_measure *ctx, void *state)
{
    return measure(ctx, state, build);
}

static tn_status eltwise_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    onednn_function f;
    char reason[192] = "";
    if (onednn_function_of(p, p->node, own_inputs, p->own_count < 3 ? p->own_count : 3, &f, reason,
                           sizeof reason) != TN_OK)
        return tn_fail(ctx, TN_DECLINED, "%s", reason);
    return onednn_offer(ctx, ONEDNN_ONE_OUTPUT);
}

/* ---- PRelu: y = x < 0 ? slope x : x, slope broadcast to X ------------------------------- */

static tn_status build_prelu(onednn_builder *b, const void *form)
{
    const tn_problem *p = b->problem;
    const tn_type *x = p->inputs[0], *slope = p->inputs[1];
    const uint32_t layout = *(const uint32_t *)form;
    int64_t dims[DNNL_MAX_NDIMS];
    onednn_md md, weights;
    onednn_pd desc = NULL;
    dnnl_status_t status;
    if (x->rank < 1 || x->rank > 5 || slope->rank > x->rank)
        return onednn_refuse(b, "rank is %d: oneDNN's prelu has at most 5 axes", (int)x->rank);
    TN_TRY(begin(b, layout, &md));
    /* The library's code computes some elements twice: never in place. */
    b->alternative->output_aliases[0].kind = TN_ALIAS_NONE;
    TN_TRY(onednn_describe_layout(b, x, layout, &md));
    for (int32_t axis = 0; axis < x->rank; axis++) {
        const int32_t own = axis - (x->rank - slope->rank);
        dims[axis] = own < 0 ? 1 : slope->dims[own];
    }
    TN_TRY(onednn_describe(b, x->rank, dims, NULL, &weights));
    status = onednn_prelu(b->engine, b->attr, md, weights, &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(onednn_stage_add(b));
    TN_TRY(onednn_bind(b, DNNL_ARG_SRC, ONEDNN_INPUT, 0, 0));
    TN_TRY(onednn_bind(b, DNNL_ARG_WEIGHTS, ONEDNN_INPUT, 1, 0));
    TN_TRY(onednn_bind(b, DNNL_ARG_DST, ONEDNN_OUTPUT, 0, 0));
    onednn_estimate(b, 0, 8.0 * (double)onednn_count(x));
    return TN_OK;
}

static tn_status prelu_measure(tn_measure *ctx, void *state)
{
    return measure(ctx, state, build_prelu);
}

static tn_status prelu_offer(tn_offer *ctx)
{
    return onednn_offer(ctx, ONEDNN_ONE_OUTPUT);
}

#define ELTWISE(name, first) ONEDNN_KERNEL(name, first, eltwise_offer, eltwise_measure)

const tn_kernel_def onednn_eltwise_kernels[] = {
    ELTWISE("Relu", 1),
    ELTWISE("LeakyRelu", 1),
    ELTWISE("Elu", 1),
    ELTWISE("Selu", 1),
    ELTWISE("Sigmoid", 1),
    ELTWISE("HardSigmoid", 1),
    ELTWISE("Tanh", 1),
    ELTWISE("HardSwish", 1),
    ELTWISE("Gelu", 1),
    ELTWISE("Mish", 1),
    ELTWISE("Swish", 1),
    ELTWISE("Clip", 11),
    ELTWISE("Abs", 1),
    ELTWISE("Neg", 1),
    ELTWISE("Exp", 1),
    ELTWISE("Sqrt", 1),
    ONEDNN_KERNEL("PRelu", 7, prelu_offer, prelu_measure),
    { .op = NULL },
};
