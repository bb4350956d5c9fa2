/* plugins/pool/window.c: the attributes of MaxPool, AveragePool and LpPool, and how many windows fit.
 *
 *   out = floor((in + pads - reach) / stride) + 1, reach = (kernel - 1) * dilation + 1
 *
 * With ceil_mode the division rounds up, but no window begins beyond the input and its padding in
 * front (ONNX operators: MaxPool). auto_pad SAME_*: ceil(in / stride); VALID rounds down always.
 *
 * SPDX-License-Identifier: MIT */
#include "pool.h"

#include <inttypes.h>

#define LARGEST INT64_C(0x7fffffff) /* products of two such numbers fit 64 bits */

static int read_list(tn_call *call, const tn_node_view *node, const char *name, int32_t spatial,
                     int sides, int64_t lowest, int64_t fallback, int64_t *out)
{
    const int64_t *list;
    const size_t count = tn_attr_ints(node, name, &list), wanted = (size_t)spatial * (size_t)sides;
    if (count && count != wanted) {
        if (call)
            call->host->complain(
                call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                "attribute '%s' has %zu entries, but input 'X' has %d spatial axes: expected %zu",
                name, count, spatial, wanted);
        return 0;
    }
    for (size_t k = 0; k < wanted; k++) {
        out[k] = count ? list[k] : fallback;
        if (out[k] >= lowest && out[k] <= LARGEST)
            continue;
        if (call)
            call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                                 "attribute '%s' holds %" PRId64 ": expected %" PRId64
                                 " to %" PRId64,
                                 name, out[k], lowest, LARGEST);
        return 0;
    }
    return 1;
}

static int read_auto_pad(tn_call *call, const tn_node_view *node, pool_window *out)
{
    static const char *const names[] = { "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID" };
    const char *found = tn_attr_string(node, "auto_pad", "NOTSET");
    for (int k = 0; k < 4; k++)
        if (strcmp(found, names[k]) == 0) {
            out->auto_pad = k;
            return 1;
        }
    if (call)
        call->host->complain(
            call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "auto_pad",
            "attribute 'auto_pad' is '%.40s': expected NOTSET, SAME_UPPER, SAME_LOWER or VALID",
            found);
    return 0;
}

int pool_read(tn_call *call, const tn_node_view *node, int32_t spatial, pool_window *out)
{
    int64_t pads[2 * TN_MAX_RANK];
    out->spatial = spatial;
    out->ceil = tn_attr_int(node, "ceil_mode", 0) != 0;
    if (!read_auto_pad(call, node, out) ||
        !read_list(call, node, "kernel_shape", spatial, 1, 1, 1, out->kernel) ||
        !read_list(call, node, "strides", spatial, 1, 1, 1, out->stride) ||
        !read_list(call, node, "dilations", spatial, 1, 1, 1, out->dilation) ||
        !read_list(call, node, "pads", spatial, 2, 0, 0, pads))
        return 0;
    for (int32_t k = 0; k < spatial; k++) {
        out->pad_begin[k] = out->auto_pad == POOL_EXPLICIT ? pads[k] : 0;
        out->pad_end[k] = out->auto_pad == POOL_EXPLICIT ? pads[spatial + k] : 0;
    }
    return 1;
}

static int64_t reach(const pool_window *w, int32_t k)
{
    return (w->kernel[k] - 1) * w->dilation[k] + 1;
}

void pool_resolve(pool_window *w, const int64_t *extents)
{
    for (int32_t k = 0; k < w->spatial; k++) {
        if (w->auto_pad != POOL_SAME_UPPER && w->auto_pad != POOL_SAME_LOWER)
            continue;
        const int64_t out = (extents[k] + w->stride[k] - 1) / w->stride[k];
        int64_t total = (out - 1) * w->stride[k] + reach(w, k) - extents[k];
        total = total > 0 ? total : 0;
        w->pad_begin[k] = w->auto_pad == POOL_SAME_UPPER ? total / 2 : total - total / 2;
        w->pad_end[k] = total - w->pad_begin[k];
    }
}

static tn_dim output_extent(tn_infer *ctx, const pool_window *w, int32_t k, tn_dim in)
{
    if (w->auto_pad == POOL_SAME_UPPER || w->auto_pad == POOL_SAME_LOWER)
        return tn_dim_ceildiv(ctx, in, w->stride[k]);
    const tn_dim slack = tn_dim_add(ctx, in, w->pad_begin[k] + w->pad_end[k] - reach(w, k));
    if (tn_dim_known(slack) && slack < 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' has extent %" PRId64 " on axis %d, padded by %" PRId64
                                 " and %" PRId64
                                 ": expected at least the reach of the kernel, %" PRId64,
                                 in, k + 2, w->pad_begin[k], w->pad_end[k], reach(w, k));
        return TN_DIM_UNKNOWN;
    }
    const int ceil = w->ceil && w->auto_pad != POOL_VALID;
    const tn_dim whole = tn_dim_add(ctx,
                                    ceil ? tn_dim_ceildiv(ctx, slack, w->stride[k])
                                         : tn_dim_floordiv(ctx, slack, w->stride[k]),
                                    1);
    if (!ceil)
        return whole;
    /* Windows that begin at or before the last input element; the others see padding only. */
    const tn_dim begun = tn_dim_ceildiv(ctx, tn_dim_add(ctx, in, w->pad_begin[k]), w->stride[k]);
    return ctx->call.host->dim_op(&ctx->call, TN_DIM_MIN, whole, begun);
}

tn_status pool_infer(tn_infer *ctx)
{
    const tn_type *x = ctx->inputs[0];
    pool_window w;
    if (!x || x->rank < 0)
        return TN_OK;
    if (x->rank < 3) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' has rank %d: expected [N, C, spatial axes], at least 3",
                                 x->rank);
        return TN_OK;
    }
    if (!pool_read(&ctx->call, ctx->node, x->rank - 2, &w))
        return TN_OK;
    ctx->outputs[0].rank = x->rank;
    memcpy(ctx->outputs[0].dims, x->dims, sizeof x->dims);
    for (int32_t k = 0; k < w.spatial; k++)
        ctx->outputs[0].dims[k + 2] = output_extent(ctx, &w, k, x->dims[k + 2]);
    if (ctx->output_count > 1) {
        ctx->outputs[1].rank = x->rank;
        memcpy(ctx->outputs[1].dims, ctx->outputs[0].dims, sizeof x->dims);
    }
    return TN_OK;
}

int32_t pool_windows(tn_infer *ctx, tn_window *windows)
{
    const tn_type *x = ctx->inputs[0];
    pool_window w;
    if (!x || x->rank < 3 || !pool_read(NULL, ctx->node, x->rank - 2, &w))
        return 0;
    pool_resolve(&w, x->dims + 2);
    for (int32_t k = 0; k < w.spatial; k++)
        windows[k] = (tn_window){ w.kernel[k], w.stride[k], w.dilation[k], w.pad_begin[k],
                                  w.pad_end[k] };
    return w.spatial;
}

/* A comparison or addition for each tap. */
tn_status pool_cost(tn_infer *ctx, tn_cost *out)
{
    const tn_type *y = &ctx->outputs[0];
    pool_window w;
    out->ops = 1;
    if (y->rank < 3 || !pool_read(NULL, ctx->node, y->rank - 2, &w))
        return TN_OK;
    for (int32_t k = 0; k < y->rank; k++)
        out->ops *= (double)y->dims[k] * (k < 2 ? 1.0 : (double)w.kernel[k - 2]);
    return TN_OK;
}

tn_status pool_samplewise(tn_infer *ctx, int32_t *input_axes, int32_t *output_axes)
{
    /* Indices count the elements of the whole batch. */
    if (ctx->output_count > 1 && ctx->node->outputs[1] != TN_NONE)
        return TN_NO_MATCH;
    input_axes[0] = 0;
    for (uint32_t k = 0; k < ctx->output_count; k++)
        output_axes[k] = 0;
    return TN_OK;
}
