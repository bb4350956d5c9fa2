/* pool.c: MaxPool, AveragePool, GlobalMaxPool, GlobalAveragePool (ONNX: the same names).
 *
 * In: X [N, C, s…]. Out: Y [N, C, s'…]; no indices. Follows the layout of its input.
 * The library's maximum starts from the lowest finite float and drops NaN, so strict math gets no
 * maximum from here. A window that lies in padding altogether has no answer in the library.
 *
 * SPDX-License-Identifier: MIT */
#include "onednn.h"

#include <string.h>

static bool is_global(const tn_node_view *node)
{
    return strncmp(node->op, "Global", 6) == 0;
}

static bool is_max(const tn_node_view *node)
{
    return strstr(node->op, "MaxPool") != NULL;
}

/* One window over everything. */
static void global_window(const tn_type *x, onednn_window *w)
{
    memset(w, 0, sizeof *w);
    w->rank = x->rank - 2;
    for (int32_t k = 0; k < w->rank; k++) {
        w->kernel[k] = x->dims[2 + k];
        w->strides[k] = 1;
    }
}

/* Padding that counts as elements ends where pads say; ceil_mode may reach beyond. */
static tn_status check_padding(onednn_builder *b, const onednn_window *w)
{
    const tn_problem *p = b->problem;
    const bool counted = tn_attr_int(p->node, "count_include_pad", 0) != 0;
    const int64_t *pads;
    const size_t count = tn_attr_ints(p->node, "pads", &pads);
    if (!onednn_window_covers(w, p->inputs[0], p->outputs[0]))
        return onednn_refuse(b, "some windows lie in padding altogether");
    for (int32_t k = 0; k < w->rank; k++) {
        const int64_t stated = (size_t)(k + w->rank) < count ? pads[k + w->rank] : 0;
        if (counted && tn_attr_int(p->node, "ceil_mode", 0) && w->after[k] > stated)
            return onednn_refuse(b, "ceil_mode with count_include_pad: oneDNN would count "
                                    "elements beyond the padding");
    }
    return TN_OK;
}

static tn_status read_window(onednn_builder *b, onednn_window *w)
{
    const tn_problem *p = b->problem;
    if (is_global(p->node)) {
        global_window(p->inputs[0], w);
        return TN_OK;
    }
    TN_TRY(onednn_window_read(p->node, NULL, p->inputs[0], p->outputs[0], false, w, b->reason,
                              sizeof b->reason));
    return check_padding(b, w);
}

static dnnl_alg_kind_t algorithm(const tn_node_view *node)
{
    if (is_max(node))
        return dnnl_pooling_max;
    return tn_attr_int(node, "count_include_pad", 0) ? dnnl_pooling_avg_include_padding
                                                     : dnnl_pooling_avg_exclude_padding;
}

static tn_status build(onednn_builder *b, const void *form)
{
    const tn_problem *p = b->problem;
    const tn_type *x = p->inputs[0], *y = p->outputs[0];
    const uint32_t layout = *(const uint32_t *)form;
    onednn_target target = { .rank = y->rank, .dims = y->dims };
    onednn_window window;
    onednn_md src;
    onednn_pd desc = NULL;
    dnnl_status_t status;
    TN_TRY(read_window(b, &window));
    TN_TRY(onednn_follow_layout(b, layout, x, y, &target.layout));
    TN_TRY(onednn_describe_layout(b, x, layout, &src));
    TN_TRY(onednn_describe_layout(b, y, target.layout, &target.md));
    target.layout = onednn_simplest(b->ctx, target.layout, y);
    b->alternative->input_layouts[0] = layout;
    b->alternative->output_layouts[0] = target.layout;
    TN_TRY(onednn_epilogue_begin(b, &target));
    status = onednn_pooling(b->engine, b->attr, algorithm(p->node), src, target.md, &window, &desc);
    TN_TRY(onednn_accept(b, status, desc));
    TN_TRY(onednn_stage_add(b));
    TN_TRY(onednn_bind(b, DNNL_ARG_SRC, ONEDNN_INPUT, 0, 0));
    TN_TRY(onednn_bind(b, DNNL_ARG_DST, ONEDNN_OUTPUT, 0, 0));
    TN_TRY(onednn_epilogue_end(b, &target));
    onednn_estimate(b, 0, 4.0 * (double)(onednn_count(x) + onednn_count(y)));
    return TN_OK;
}

static tn_status pool_measure(tn_measure *ctx, void *state)
{
    uint32_t layouts[TN_MAX_ALTERNATIVES];
    const uint32_t count = onednn_candidates(ctx, 0, layouts);
    onednn_attempts attempts = { .ctx = ctx, .state = state };
    for (uint32_t k = 0; k < count; k++)
        TN_TRY(onednn_try(&attempts, build, &layouts[k]));
    return onednn_measured(&attempts);
}

static tn_status pool_offer(tn_offer *ctx)
{
    const tn_problem *p = ctx->problem;
    const tn_type *x = p->inputs[0];
    if (is_max(p->node) && p->math == TN_MATH_STRICT)
        return tn_fail(ctx, TN_DECLINED, "oneDNN's maximum loses NaN, which strict math keeps");
    if (x->rank >= 0 && (x->rank < 3 || x->rank > 5))
        return tn_fail(ctx, TN_DECLINED, "rank is %d: oneDNN has one to three spatial axes",
                       (int)x->rank);
    return onednn_offer(ctx, ONEDNN_STEPS | ONEDNN_ONE_OUTPUT);
}

const tn_kernel_def onednn_pool_kernels[] = {
    ONEDNN_KERNEL("MaxPool", 1, pool_offer, pool_measure),
    ONEDNN_KERNEL("AveragePool", 1, pool_offer, pool_measure),
    ONEDNN_KERNEL("GlobalMaxPool", 1, pool_offer, pool_measure),
    ONEDNN_KERNEL("GlobalAveragePool", 1, pool_offer, pool_measure),
    { .op = NULL },
};
