/* softmax.c: Softmax and LogSoftmax (ONNX: the same names, from operator set 13 on: one axis).
 *
 * y = exp(x - max) / sum(exp(x - max)) along the axis. The tensor is seen as [outer, axis,
 * inner]; over the channels of a channels-last tensor as [points, channels].
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

#include <string.h>

static tn_status describe_axis(onednn_builder *b, uint32_t layout, int32_t axis, int *out_axis,
                               onednn_md *out)
{
    const tn_type *x = b->problem->inputs[0];
    int64_t dims[3] = { tn_extent(x->dims, 0, axis), x->dims[axis],
                        tn_extent(x->dims, axis + 1, x->rank) };
    *out_axis = 1;
    if (layout == TN_LAYOUT_CHANNELS_LAST && x->rank > 2) {
        if (axis != 1)
            return onednn_refuse(b, "axis is %d: channels-last softmax is over the channels",
                                 (int)axis);
        dims[0] *= dims[2];
        dims[2] = 1;
    } else if (layout > TN_LAYOUT_CHANNELS_LAST) {
        *out_axis = axis;
        return onednn_describe_layout(b, x, layout, out);
    }
    return onednn_describe(b, dims[2] == 1 ? 2 : 3, dims, NULL, out);
}

static tn_status build(onednn_builder *b, const void *form)
{
    const tn_problem *p = b->problem;
    const tn_type *x = p->inputs[0];
    const uint32_t layout = *(const uint32_t *)form;
    const int32_t axis = tn_axis(tn_attr_int(p->node, "axis", -1), x->rank);
    const int logarithm = strcmp(p->node->op, "LogSoftmax") == 0;
    int seen_axis;
    onednn_md md;
    onednn_pd desc = NULL;
    dnnl_status_t status;
    if (axis < 0)
        return onednn_refuse(b, "axis is outside rank %d", (int)x->rank);
    b->alternative->input_layouts[0] = layout;
    b->alternative->output_layouts[0] = layout;
    b->alternative->output_aliases[0].kind = TN_ALIAS_MAY_REUSE;
    TN_TRY(describe_axis(b, layout, axis, &seen_axis, &md));
    status = onednn_softmax(b->engine, b->attr, logarithm, md, seen_axis, &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(onednn_stage_add(b));
    TN_TRY(onednn_bind(b, DNNL_ARG_SRC, ONEDNN_INPUT, 0, 0));
    TN_TRY(onednn_bind(b, DNNL_ARG_DST, ONEDNN_OUTPUT, 0, 0));
    onednn_estimate(b, 0, 24.0 * (double)onednn_count(x));
    return TN_OK;
}

static tn_status softmax_measure(tn_measure *ctx, void *state)
{
    uint32_t layouts[TN_MAX_ALTERNATIVES];
    const uint32_t count = onednn_candidates(ctx, 0, layouts);
    onednn_attempts attempts = { .ctx = ctx, .state = state };
    for (uint32_t k = 0; k < count; k++)
        TN_TRY(onednn_try(&attempts, build, &layouts[k]));
    return onednn_measured(&attempts);
}

static tn_status softmax_offer(tn_offer *ctx)
{
    if (ctx->problem->math == TN_MATH_STRICT)
        return tn_fail(ctx, TN_DECLINED, "oneDNN's softmax loses NaN, which strict math keeps");
    return onednn_offer(ctx, ONEDNN_ONE_OUTPUT);
}

const tn_kernel_def onednn_softmax_kernels[] = {
    ONEDNN_KERNEL("Softmax", 13, softmax_offer, softmax_measure),
    ONEDNN_KERNEL("LogSoftmax", 13, softmax_offer, softmax_measure),
    { .op = NULL },
};
