/* concat.c: Concat (ONNX: Concat).
 *
 * In: X0 … along an axis, all in one layout. Out: Y in the same. Plain tensors are seen as
 * [outer, axis, inner], channels-last ones joined by their channels as [points, channels].
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

/* A tensor as the primitive sees it. */
static tn_status describe(onednn_builder *b, const tn_type *type, uint32_t layout, int32_t axis,
                          onednn_md *out)
{
    const int64_t outer = tn_extent(type->dims, 0, axis);
    const int64_t inner = tn_extent(type->dims, axis + 1, type->rank);
    const int64_t plain[3] = { outer, type->dims[axis], inner };
    const int64_t last[2] = { outer * inner, type->dims[axis] };
    if (layout == TN_LAYOUT_PLAIN || type->rank < 3)
        return onednn_describe(b, inner == 1 ? 2 : 3, plain, NULL, out);
    if (layout == TN_LAYOUT_CHANNELS_LAST && axis == 1)
        return onednn_describe(b, 2, last, NULL, out);
    return onednn_describe_layout(b, type, layout, out);
}

/* Each source is copied into its columns of [outer, all that is joined]: for rows of memory that
 * lie side by side the library's own code for this takes six times as long. */
static tn_status build_copies(onednn_builder *b, const void *form)
{
    const tn_problem *p = b->problem;
    const tn_type *y = p->outputs[0];
    const uint32_t layout = *(const uint32_t *)form;
    const int32_t axis = tn_axis(tn_attr_int(p->node, "axis", 1), y->rank);
    const bool last = layout == TN_LAYOUT_CHANNELS_LAST && y->rank > 2;
    const int64_t inner = axis < 0 ? 1 : tn_extent(y->dims, axis + 1, y->rank);
    const int64_t outer = axis < 0 ? 1 : tn_extent(y->dims, 0, axis) * (last ? inner : 1);
    const int64_t width = onednn_count(y) / outer;
    int64_t at = 0;
    if (axis < 0 || layout > TN_LAYOUT_CHANNELS_LAST || (last && axis != 1) ||
        p->own_count > ONEDNN_MAX_STAGES)
        return onednn_refuse(b, "no copies of columns");
    for (uint32_t k = 0; k < p->own_count; k++) {
        const int64_t columns = onednn_count(p->inputs[k]) / outer;
        const int64_t dims[] = { outer, columns }, strides[] = { width, 1 };
        onednn_md from, to;
        onednn_pd desc = NULL;
        dnnl_status_t status;
        b->alternative->input_layouts[k] = layout;
        TN_TRY(onednn_describe(b, 2, dims, NULL, &from));
        TN_TRY(onednn_describe(b, 2, dims, strides, &to));
        status = onednn_reorder(b->engine, b->attr, from, to, &desc);
        TN_TRY(onednn_accept(b, status, desc));
        TN_TRY(onednn_stage_add(b));
        TN_TRY(onednn_bind(b, DNNL_ARG_FROM, ONEDNN_INPUT, k, 0));
        TN_TRY(onednn_bind(b, DNNL_ARG_TO, ONEDNN_OUTPUT, 0, (size_t)at * sizeof(float)));
        at += columns;
    }
    b->alternative->output_layouts[0] = layout;
    onednn_estimate(b, 0, 8.0 * (double)onednn_count(y));
    return TN_OK;
}

static tn_status build(onednn_builder *b, const void *form)
{
    const tn_problem *p = b->problem;
    const tn_type *y = p->outputs[0];
    const uint32_t layout = *(const uint32_t *)form;
    const int32_t axis = tn_axis(tn_attr_int(p->node, "axis", 1), y->rank);
    const bool folded = layout == TN_LAYOUT_PLAIN || y->rank < 3 ||
                        (layout == TN_LAYOUT_CHANNELS_LAST && axis == 1);
    uint32_t of_y, first;
    onednn_md dst, src;
    onednn_pd desc = NULL;
    dnnl_status_t status;
    if (axis < 0)
        return onednn_refuse(b, "axis is outside rank %d", (int)y->rank);
    TN_TRY(onednn_follow_layout(b, layout, p->inputs[0], y, &of_y));
    for (uint32_t k = 0; k < p->own_count; k++)
        TN_TRY(onednn_follow_layout(b, layout, p->inputs[0], p->inputs[k],
                                    &b->alternative->input_layouts[k]));
    TN_TRY(describe(b, y, of_y, axis, &dst));
    first = b->desc_count; /* the sources' descriptors stand in a row from here */
    for (uint32_t k = 0; k < p->own_count; k++)
        TN_TRY(describe(b, p->inputs[k], b->alternative->input_layouts[k], axis, &src));
    b->alternative->output_layouts[0] = of_y;
    status = onednn_concat(b->engine, b->attr, dst, (int)p->own_count, folded ? 1 : (int)axis,
                           &b->descs[first], &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(onednn_stage_add(b));
    for (uint32_t k = 0; k < p->own_count; k++)
        TN_TRY(onednn_bind(b, DNNL_ARG_MULTIPLE_SRC + (int32_t)k, ONEDNN_INPUT, k, 0));
    TN_TRY(onednn_bind(b, DNNL_ARG_DST, ONEDNN_OUTPUT, 0, 0));
    onednn_estimate(b, 0, 8.0 * (double)onednn_count(y));
    return TN_OK;
}

static tn_status concat_measure(tn_measure *ctx, void *state)
{
    uint32_t layouts[TN_MAX_ALTERNATIVES];
    const uint32_t count = onednn_candidates(ctx, 0, layouts);
    onednn_attempts attempts = { .ctx = ctx, .state = state };
    for (uint32_t k = 0; k < count; k++) {
        const uint32_t before = attempts.state->count;
        TN_TRY(onednn_try(&attempts, build_copies, &layouts[k]));
        if (attempts.state->count == before)
            TN_TRY(onednn_try(&attempts, build, &layouts[k]));
    }
    return onednn_measured(&attempts);
}

static tn_status concat_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    if (p->own_count + 2 > ONEDNN_MAX_BINDINGS)
        return tn_fail(ctx, TN_DECLINED, "%u inputs: at most %d here", p->own_count,
                       ONEDNN_MAX_BINDINGS - 2);
    return onednn_offer(ctx, ONEDNN_ONE_OUTPUT);
}

const tn_kernel_def onednn_concat_kernels[] = {
    ONEDNN_KERNEL("Concat", 4, concat_offer, concat_measure),
    { .op = NULL },
};
