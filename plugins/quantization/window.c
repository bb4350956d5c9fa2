/* plugins/quantization/window.c: kernel_shape, strides, dilations, pads, auto_pad and group.
 *
 * In: a node and what is known of its weights. Out: a conv_window, or complaints about the
 * attribute that is wrong. ONNX operators: ConvInteger, QLinearConv, as Conv.
 *
 * SPDX-License-Identifier: MIT */
#include "quantization.h"

#include <inttypes.h>

/* Larger strides, dilations and pads serve nobody, and below this products of two fit 64 bits. */
#define LARGEST INT64_C(0x7fffffff)

static int complain(tn_call *call, const char *name, int64_t found, const char *expected)
{
    if (call)
        call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                             "attribute '%s' holds %" PRId64 ": expected %s", name, found,
                             expected);
    return 0;
}

/* A list of `wanted` entries from `lowest` on; absent: `fallback`. */
static int read_list(tn_call *call, const tn_node_view *node, const char *name, size_t wanted,
                     int64_t lowest, int64_t fallback, int64_t *out)
{
    const int64_t *list;
    const size_t count = tn_attr_ints(node, name, &list);
    if (count && count != wanted) {
        if (call)
            call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                                 "attribute '%s' has %zu entries: expected %zu", name, count,
                                 wanted);
        return 0;
    }
    for (size_t k = 0; k < wanted; k++) {
        out[k] = count ? list[k] : fallback;
        if (out[k] < lowest || out[k] > LARGEST)
            return complain(call, name, out[k], lowest ? "1 to 2147483647" : "0 to 2147483647");
    }
    return 1;
}

static int read_auto_pad(tn_call *call, const tn_node_view *node, uint32_t *out)
{
    static const char *const names[] = { "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID" };
    const char *found = tn_attr_string(node, "auto_pad", "NOTSET");
    for (*out = 0; *out < 4; ++*out)
        if (!strcmp(found, names[*out]))
            return 1;
    if (call)
        call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "auto_pad",
                             "attribute 'auto_pad' is '%.40s': expected NOTSET, SAME_UPPER, "
                             "SAME_LOWER or VALID",
                             found);
    return 0;
}

static int read_pads(tn_call *call, const tn_node_view *node, conv_window *out)
{
    int64_t pads[2 * TN_MAX_RANK];
    int any = 0;
    if (!read_auto_pad(call, node, &out->auto_pad) ||
        !read_list(call, node, "pads", 2 * (size_t)out->spatial, 0, 0, pads))
        return 0;
    for (int32_t k = 0; k < out->spatial; k++) {
        out->begin[k] = pads[k];
        out->end[k] = pads[out->spatial + k];
        any |= pads[k] || pads[out->spatial + k];
    }
    if (!any || out->auto_pad == WINDOW_NOTSET)
        return 1;
    if (call)
        call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "pads",
                             "attribute 'pads' pads although 'auto_pad' is %s: expected one of "
                             "the two",
                             tn_attr_string(node, "auto_pad", ""));
    return 0;
}

/* kernel_shape and the weights' spatial extents are the same thing said twice. */
static int read_kernel(tn_call *call, const tn_node_view *node, const tn_type *weights,
                       conv_window *out)
{
    int64_t shape[TN_MAX_RANK];
    const int64_t *list;
    const int given = tn_attr_ints(node, "kernel_shape", &list) > 0;
    if (!read_list(call, node, "kernel_shape", (size_t)out->spatial, 1, 1, shape))
        return 0;
    for (int32_t k = 0; k < out->spatial; k++) {
        const tn_dim own = weights && weights->rank > k + 2 ? weights->dims[k + 2] : TN_DIM_UNKNOWN;
        out->kernel[k] = given ? shape[k] : own;
        if (given && tn_dim_known(own) && own != shape[k])
            return complain(call, "kernel_shape", shape[k], "the extents of input 'w'");
        if (!tn_dim_known(own) || (own >= 1 && own <= LARGEST))
            continue;
        if (call)
            call->host->complain(call, TN_ERR_SHAPE, TN_WHERE_NODE, 0, NULL,
                                 "input 'w' has extent %" PRId64 " on axis %d: expected 1 to "
                                 "%" PRId64,
                                 own, (int)k + 2, LARGEST);
        return 0;
    }
    return 1;
}

int window_read(tn_call *call, const tn_node_view *node, int32_t spatial, const tn_type *weights,
                conv_window *out)
{
    const size_t count = (size_t)spatial;
    out->spatial = spatial;
    out->group = tn_attr_int(node, "group", 1);
    if (out->group < 1)
        return complain(call, "group", out->group, "1 or more");
    return read_kernel(call, node, weights, out) &
           read_list(call, node, "strides", count, 1, 1, out->stride) &
           read_list(call, node, "dilations", count, 1, 1, out->dilation) &
           read_pads(call, node, out);
}

void window_pad(conv_window *window, const int64_t *extents)
{
    const int upper = window->auto_pad == WINDOW_SAME_UPPER;
    if (!upper && window->auto_pad != WINDOW_SAME_LOWER)
        return;
    for (int32_t k = 0; k < window->spatial; k++) {
        const int64_t stride = window->stride[k];
        const int64_t windows = extents[k] / stride + (extents[k] % stride != 0);
        const int64_t reach = (window->kernel[k] - 1) * window->dilation[k] + 1;
        const int64_t missing = (windows - 1) * stride + reach - extents[k];
        const int64_t total = missing > 0 ? missing : 0;
        window->begin[k] = upper ? total / 2 : total - total / 2;
        window->end[k] = total - window->begin[k];
    }
}

tn_dim window_count(tn_infer *ctx, const conv_window *window, int32_t k, tn_dim in)
{
    const tn_dim gaps = tn_dim_mul(ctx, tn_dim_sub(ctx, window->kernel[k], 1), window->dilation[k]);
    const tn_dim reach = tn_dim_add(ctx, gaps, 1);
    if (window->auto_pad == WINDOW_SAME_UPPER || window->auto_pad == WINDOW_SAME_LOWER)
        return tn_dim_ceildiv(ctx, in, window->stride[k]);
    const tn_dim padded = tn_dim_add(ctx, in, window->begin[k] + window->end[k]);
    const tn_dim slack = tn_dim_sub(ctx, padded, reach);
    if (tn_dim_known(slack) && slack < 0) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'x' has extent %" PRId64 " on axis %d, padded to %" PRId64
                                 ": expected at least the reach of the kernel, %" PRId64,
                                 in, (int)k + 2, padded, reach);
        return TN_DIM_UNKNOWN;
    }
    return tn_dim_add(ctx, tn_dim_floordiv(ctx, slack, window->stride[k]), 1);
}
