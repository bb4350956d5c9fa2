/* binary.c: Add, Sub, Mul, Div, Max, Min of two tensors (ONNX: the same names) with numpy's
 * broadcasting, and an epilogue.
 *
 * In: A, B in a layout of A's or B's maker. Out: C in the same. The library repeats its second
 * operand only: where A is the smaller one, the two change places if the operator allows.
 * Max and Min of other than two inputs are left to others.
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

#include <string.h>

static bool same_shape(const tn_type *a, const tn_type *b)
{
    return a->rank == b->rank &&
           (a->rank == 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0);
}

/* The smaller operand, with ones where it repeats. It is plain; in a channels-last or blocked
 * output a plain vector of channels or a scalar fits as it is. */
static tn_status describe_small(onednn_builder *b, const tn_type *small, const tn_type *y,
                                onednn_md *out)
{
    int64_t dims[DNNL_MAX_NDIMS];
    const int32_t lead = y->rank - small->rank;
    if (y->rank > DNNL_MAX_NDIMS)
        return onednn_refuse(b, "rank is %d: oneDNN takes at most %d", (int)y->rank,
                             DNNL_MAX_NDIMS);
    for (int32_t axis = 0; axis < y->rank; axis++)
        dims[axis] = axis < lead ? 1 : small->dims[axis - lead];
    return onednn_describe(b, y->rank, dims, NULL, out);
}

static tn_status describe_pair(onednn_builder *b, uint32_t layout, uint32_t large,
                               const onednn_target *target, onednn_md *small_md)
{
    const tn_problem *p = b->problem;
    const tn_type *small = p->inputs[1 - large];
    b->alternative->input_layouts[large] = layout;
    b->alternative->output_layouts[0] = layout;
    /* In place, oneDNN 2.6.3 leaves a last block of channels that is not full as it was. */
    if (layout <= TN_LAYOUT_CHANNELS_LAST) {
        b->alternative->output_aliases[0].kind = TN_ALIAS_MAY_REUSE;
        b->alternative->output_aliases[0].input = large;
    }
    if (same_shape(small, p->outputs[0])) {
        b->alternative->input_layouts[1 - large] = layout;
        *small_md = target->md;
        return TN_OK;
    }
    return describe_small(b, small, p->outputs[0], small_md);
}

static tn_status build(onednn_builder *b, const void *form)
{
    const tn_problem *p = b->problem;
    const tn_type *y = p->outputs[0];
    const uint32_t layout = *(const uint32_t *)form;
    const uint32_t large = same_shape(p->inputs[0], y) ? 0 : 1;
    const bool flat = same_shape(p->inputs[1 - large], y) && !p->step_count;
    onednn_target target = { .layout = layout, .rank = y->rank, .dims = y->dims };
    onednn_md small;
    onednn_pd desc = NULL;
    dnnl_alg_kind_t alg = dnnl_binary_add;
    dnnl_status_t status;
    (void)onednn_binary_of(p->node->op, &alg);
    if (!same_shape(p->inputs[large], y))
        return onednn_refuse(b, "both inputs repeat: oneDNN repeats only one");
    if (large == 1 && (alg == dnnl_binary_sub || alg == dnnl_binary_div))
        return onednn_refuse(b, "the first input repeats: oneDNN repeats only the second");
    TN_TRY(flat ? onednn_describe_flat(b, y, layout, &target.md)
                : onednn_describe_layout(b, y, layout, &target.md));
    TN_TRY(describe_pair(b, layout, large, &target, &small));
    TN_TRY(onednn_epilogue_begin(b, &target));
    status = onednn_binary(b->engine, b->attr, alg, target.md, small, target.md, &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(onednn_stage_add(b));
    TN_TRY(onednn_bind(b, DNNL_ARG_SRC_0, ONEDNN_INPUT, large, 0));
    TN_TRY(onednn_bind(b, DNNL_ARG_SRC_1, ONEDNN_INPUT, 1 - large, 0));
    TN_TRY(onednn_bind(b, DNNL_ARG_DST, ONEDNN_OUTPUT, 0, 0));
    TN_TRY(onednn_epilogue_end(b, &target));
    onednn_estimate(
        b, 0, 8.0 * (double)onednn_count(y) + 4.0 * (double)onednn_count(p->inputs[1 - large]));
    return TN_OK;
}

static tn_status binary_measure(tn_measure *ctx, void *state)
{
    const tn_problem *p = ctx->problem;
    uint32_t layouts[TN_MAX_ALTERNATIVES];
    const uint32_t lead = same_shape(p->inputs[0], p->outputs[0]) ? 0 : 1;
    const uint32_t count = onednn_candidates(ctx, lead, layouts);
    onednn_attempts attempts = { .ctx = ctx, .state = state };
    for (uint32_t k = 0; k < count; k++)
        TN_TRY(onednn_try(&attempts, build, &layouts[k]));
    return onednn_measured(&attempts);
}

static tn_status binary_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    dnnl_alg_kind_t alg;
    if (p->own_count != 2 || !onednn_binary_of(p->node->op, &alg))
        return tn_fail(ctx, TN_DECLINED, "%s of %u inputs: oneDNN takes two", p->node->op,
                       p->own_count);
    if (p->math == TN_MATH_STRICT && onednn_binary_loses_nan(alg))
        return tn_fail(ctx, TN_DECLINED, "oneDNN's %s loses NaN, which strict math keeps",
                       p->node->op);
    return onednn_offer(ctx, ONEDNN_STEPS | ONEDNN_ONE_OUTPUT);
}

#define BINARY(name, first) ONEDNN_KERNEL(name, first, binary_offer, binary_measure)

const tn_kernel_def onednn_binary_kernels[] = {
    BINARY("Add", 7), BINARY("Sub", 7), BINARY("Mul", 7), BINARY("Div", 7),
    BINARY("Max", 8), BINARY("Min", 8), { .op = NULL },
};
