/* norm.c: BatchNormalization (inference), LayerNormalization and LRN (ONNX: the same names).
 *
 * BatchNormalization: y = (x - mean[c]) / sqrt(var[c] + epsilon) * scale[c] + B[c], with an
 * epilogue. LayerNormalization: the same over all axes from `axis` on, with the mean and variance
 * of those; scale and B have just these axes. LRN: y = x / (bias + alpha / size * sum of squares
 * of `size` neighbouring channels) ^ beta; the library's window is symmetric, so size is odd.
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

#include <string.h>

static tn_status measure(tn_measure *ctx, void *state, onednn_build_fn build)
{
    uint32_t layouts[TN_MAX_ALTERNATIVES];
    const uint32_t count = onednn_candidates(ctx, 0, layouts);
    onednn_attempts attempts = { .ctx = ctx, .state = state };
    for (uint32_t k = 0; k < count; k++)
        TN_TRY(onednn_try(&attempts, build, &layouts[k]));
    return onednn_measured(&attempts);
}

static void keep_layout(onednn_builder *b, uint32_t layout)
{
    b->alternative->input_layouts[0] = layout;
    b->alternative->output_layouts[0] = layout;
}

/* Makes the pending primitive a stage from input 0 to output 0. */
static tn_status stage_through(onednn_builder *b)
{
    TN_TRY(onednn_stage_add(b));
    TN_TRY(onednn_bind(b, DNNL_ARG_SRC, ONEDNN_INPUT, 0, 0));
    return onednn_bind(b, DNNL_ARG_DST, ONEDNN_OUTPUT, 0, 0);
}

/* ---- BatchNormalization ----------------------------------------------------------------- */

static tn_status build_batch_norm(onednn_builder *b, const void *form)
{
    static const int32_t arguments[] = { DNNL_ARG_SCALE, DNNL_ARG_SHIFT, DNNL_ARG_MEAN,
                                         DNNL_ARG_VARIANCE };
    const tn_problem *p = b->problem;
    const tn_type *x = p->inputs[0];
    const uint32_t layout = *(const uint32_t *)form;
    onednn_target target = { .layout = layout, .rank = x->rank, .dims = x->dims };
    onednn_pd desc = NULL;
    dnnl_status_t status;
    keep_layout(b, layout);
    b->alternative->output_aliases[0].kind = TN_ALIAS_MAY_REUSE;
    TN_TRY(onednn_describe_layout(b, x, layout, &target.md));
    TN_TRY(onednn_epilogue_begin(b, &target));
    status = onednn_batch_norm(b->engine, b->attr, target.md,
                               tn_attr_float(p->node, "epsilon", 1e-5f), &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(stage_through(b));
    for (uint32_t k = 0; k < 4; k++)
        TN_TRY(onednn_bind(b, arguments[k], ONEDNN_INPUT, 1 + k, 0));
    TN_TRY(onednn_epilogue_end(b, &target));
    onednn_estimate(b, 0, 8.0 * (double)onednn_count(x));
    return TN_OK;
}

static tn_status batch_norm_measure(tn_measure *ctx, void *state)
{
    return measure(ctx, state, build_batch_norm);
}

static tn_status batch_norm_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    if (tn_attr_int(p->node, "training_mode", 0))
        return tn_fail(ctx, TN_DECLINED, "training_mode is 1: inference only");
    if (p->own_count != 5)
        return tn_fail(ctx, TN_DECLINED, "%u inputs: expected 5", p->own_count);
    if (p->inputs[0]->rank == 1 || p->inputs[0]->rank > 5)
        return tn_fail(ctx, TN_DECLINED, "rank is %d: oneDNN normalizes ranks 2 to 5",
                       (int)p->inputs[0]->rank);
    return onednn_offer(ctx, ONEDNN_STEPS | ONEDNN_ONE_OUTPUT);
}

/* ---- LayerNormalization ----------------------------------------------------------------- */

static tn_status build_layer_norm(onednn_builder *b, const void *form)
{
    const tn_problem *p = b->problem;
    const tn_type *x = p->inputs[0];
    const int32_t axis = tn_axis(tn_attr_int(p->node, "axis", -1), x->rank);
    const bool shift = p->own_count > 2 && p->inputs[2];
    int64_t dims[2];
    onednn_md md;
    onednn_pd desc = NULL;
    dnnl_status_t status;
    (void)form;
    if (axis < 0)
        return onednn_refuse(b, "axis is outside rank %d", (int)x->rank);
    dims[0] = tn_extent(x->dims, 0, axis);
    dims[1] = tn_extent(x->dims, axis, x->rank);
    if (onednn_count(p->inputs[1]) != dims[1] || (shift && onednn_count(p->inputs[2]) != dims[1]))
        return onednn_refuse(b, "scale or bias repeats along a normalized axis");
    TN_TRY(onednn_describe(b, 2, dims, NULL, &md));
    status = onednn_layer_norm(b->engine, b->attr, md, tn_attr_float(p->node, "epsilon", 1e-5f),
                               shift, &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(stage_through(b));
    TN_TRY(onednn_bind(b, DNNL_ARG_SCALE, ONEDNN_INPUT, 1, 0));
    if (shift)
        TN_TRY(onednn_bind(b, DNNL_ARG_SHIFT, ONEDNN_INPUT, 2, 0));
    onednn_estimate(b, 0, 12.0 * (double)onednn_count(x));
    return TN_OK;
}

static tn_status layer_norm_measure(tn_measure *ctx, void *state)
{
    onednn_attempts attempts = { .ctx = ctx, .state = state };
    TN_TRY(onednn_try(&attempts, build_layer_norm, NULL));
    return onednn_measured(&attempts);
}

static tn_status layer_norm_offer(tn_offer *ctx)
{
    return onednn_offer(ctx, ONEDNN_ONE_OUTPUT);
}

/* ---- LRN -------------------------------------------------------------------------------- */

static tn_status build_lrn(onednn_builder *b, const void *form)
{
    const tn_problem *p = b->problem;
    const tn_node_view *node = p->node;
    const uint32_t layout = *(const uint32_t *)form;
    onednn_md md;
    onednn_pd desc = NULL;
    dnnl_status_t status;
    keep_layout(b, layout);
    TN_TRY(onednn_describe_layout(b, p->inputs[0], layout, &md));
    status = onednn_lrn(b->engine, b->attr, md, tn_attr_int(node, "size", 1),
                        tn_attr_float(node, "alpha", 1e-4f), tn_attr_float(node, "beta", 0.75f),
                        tn_attr_float(node, "bias", 1.0f), &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(stage_through(b));
    onednn_estimate(b, 0, 24.0 * (double)onednn_count(p->inputs[0]));
    return TN_OK;
}

static tn_status lrn_measure(tn_measure *ctx, void *state)
{
    return measure(ctx, state, build_lrn);
}

static tn_status lrn_offer(tn_offer *ctx)
{
    const int64_t size = tn_attr_int(ctx->problem->node, "size", 1);
    if (ctx->problem->math == TN_MATH_STRICT)
        return tn_fail(ctx, TN_DECLINED, "oneDNN's LRN keeps a running sum: one infinity spreads");
    if (size % 2 == 0)
        return tn_fail(ctx, TN_DECLINED, "size is %lld: oneDNN's window is symmetric, so odd",
                       (long long)size);
    return onednn_offer(ctx, ONEDNN_ONE_OUTPUT);
}

const tn_kernel_def onednn_norm_kernels[] = {
    ONEDNN_KERNEL("BatchNormalization", 9, batch_norm_offer, batch_norm_measure),
    ONEDNN_KERNEL("LayerNormalization", 17, layer_norm_offer, layer_norm_measure),
    ONEDNN_KERNEL("LRN", 1, lrn_offer, lrn_measure),
    { .op = NULL },
};
