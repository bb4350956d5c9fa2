/* plugins/conv/window.c: reading kernel_shape, strides, dilations, pads, auto_pad and group.
 *
 * In: a node and what is known of its weights. Out: a conv_window, or complaints about the
 * attribute that is wrong.
 *
 * SPDX-License-Identifier: MIT */
#include "conv.h"

#include <inttypes.h>
#include <stdio.h>

/* Larger strides, dilations and pads serve nobody, and below this products of two fit 64 bits. */
#define LARGEST INT64_C(0x7fffffff)

static void complain_list(tn_call *call, const char *name, size_t found, int32_t spatial, int sides)
{
    if (call)
        call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                             "attribute '%s' has %zu entries, but input 'X' has %d spatial %s: "
                             "expected %d",
                             name, found, spatial, spatial == 1 ? "axis" : "axes", sides * spatial);
}

static void complain_range(tn_call *call, const char *name, int64_t found, int64_t lowest)
{
    if (call)
        call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, name,
                             "attribute '%s' holds %" PRId64 ": expected %" PRId64 " to %" PRId64,
                             name, found, lowest, LARGEST);
}

/* One list of `spatial` entries (`sides` times over) not below `lowest`; absent: `fallback`. */
static int read_list(tn_call *call, const tn_node_view *node, const char *name, int32_t spatial,
                     int sides, int64_t lowest, int64_t fallback, int64_t *out)
{
    const int64_t *list;
    const size_t count = tn_attr_ints(node, name, &list), wanted = (size_t)spatial * (size_t)sides;
    if (count && count != wanted) {
        complain_list(call, name, count, spatial, sides);
        return 0;
    }
    for (size_t k = 0; k < wanted; k++) {
        out[k] = count ? list[k] : fallback;
        if (out[k] < lowest || out[k] > LARGEST) {
            complain_range(call, name, out[k], lowest);
            return 0;
        }
    }
    return 1;
}

static int read_auto_pad(tn_call *call, const tn_node_view *node, uint32_t *out)
{
    static const char *const names[] = { "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID" };
    const char *found = tn_attr_string(node, "auto_pad", "NOTSET");
    for (uint32_t k = 0; k < 4; k++) {
        if (!strcmp(found, names[k])) {
            *out = k;
            return 1;
        }
    }
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
        !read_list(call, node, "pads", out->spatial, 2, 0, 0, pads))
        return 0;
    for (int32_t k = 0; k < out->spatial; k++) {
        out->pad_begin[k] = pads[k];
        out->pad_end[k] = pads[out->spatial + k];
        any |= pads[k] || pads[out->spatial + k];
    }
    if (any && out->auto_pad != CONV_NOTSET) {
        if (call)
            call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "pads",
                                 "attribute 'pads' pads although 'auto_pad' is %s: expected one "
                                 "of the two",
                                 tn_attr_string(node, "auto_pad", ""));
        return 0;
    }
    return 1;
}

/* kernel_shape and the weights' spatial extents are the same thing said twice. */
static int read_kernel(tn_call *call, const tn_node_view *node, const tn_type *weights,
                       conv_window *out)
{
    int64_t shape[TN_MAX_RANK];
    const int64_t *list;
    const int given = tn_attr_ints(node, "kernel_shape", &list) > 0;
    if (!read_list(call, node, "kernel_shape", out->spatial, 1, 1, 1, shape))
        return 0;
    for (int32_t k = 0; k < out->spatial; k++) {
        const tn_dim own = conv_dim(weights, k + 2);
        out->kernel[k] = given ? shape[k] : own;
        if (given && tn_dim_known(own) && own != shape[k]) {
            if (call)
                call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "kernel_shape",
                                     "attribute 'kernel_shape' holds %" PRId64 ", but axis %d of "
                                     "input 'W' has extent %" PRId64 ": expected the same",
                                     shape[k], k + 2, own);
            return 0;
        }
        if (tn_dim_known(out->kernel[k]) && (out->kernel[k] < 1 || out->kernel[k] > LARGEST)) {
            if (call)
                call->host->complain(call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                     "input 'W' has extent %" PRId64 " on axis %d: expected 1 to "
                                     "%" PRId64,
                                     out->kernel[k], k + 2, LARGEST);
            return 0;
        }
    }
    return 1;
}

int conv_read_window(tn_call *call, const tn_node_view *node, int32_t spatial,
                     const tn_type *weights, conv_window *out)
{
    out->spatial = spatial;
    out->group = tn_attr_int(node, "group", 1);
    if (out->group < 1) {
        if (call)
            call->host->complain(call, TN_ERR_ATTRIBUTE, TN_WHERE_ATTRIBUTE, 0, "group",
                                 "attribute 'group' is %" PRId64 ": expected 1 or more",
                                 out->group);
        return 0;
    }
    return read_kernel(call, node, weights, out) &
           read_list(call, node, "strides", spatial, 1, 1, 1, out->stride) &
           read_list(call, node, "dilations", spatial, 1, 1, 1, out->dilation) &
           read_pads(call, node, out);
}

void conv_run_window(const tn_node_view *node, const tn_tensor *weights, conv_window *out)
{
    tn_type type = { .size = sizeof type, .rank = weights->rank };
    memcpy(type.dims, weights->dims, (size_t)weights->rank * sizeof *type.dims);
    (void)conv_read_window(NULL, node, weights->rank - 2, &type, out);
}

tn_dim conv_reach(tn_call *call, const conv_window *window, int32_t axis)
{
    const tn_host *host = call->host;
    const tn_dim gaps = host->dim_op(call, TN_DIM_SUB, window->kernel[axis], 1);
    const tn_dim width = host->dim_op(call, TN_DIM_MUL, gaps, window->dilation[axis]);
    return host->dim_op(call, TN_DIM_ADD, width, 1);
}

void conv_split_pads(conv_window *window, int32_t axis, int64_t total, int upper)
{
    const int64_t half = total / 2;
    window->pad_begin[axis] = upper ? half : total - half;
    window->pad_end[axis] = total - window->pad_begin[axis];
}

void conv_same_pads(conv_window *window, const int64_t *extents)
{
    if (window->auto_pad != CONV_SAME_UPPER && window->auto_pad != CONV_SAME_LOWER)
        return;
    for (int32_t k = 0; k < window->spatial; k++) {
        const int64_t stride = window->stride[k];
        int64_t windows, total = 0;
        if (tn_dim_known(extents[k]) && tn_dim_known(window->kernel[k])) {
            windows = extents[k] / stride + (extents[k] % stride != 0);
            total = (windows - 1) * stride + (window->kernel[k] - 1) * window->dilation[k] + 1 -
                    extents[k];
        }
        conv_split_pads(window, k, total > 0 ? total : 0, window->auto_pad == CONV_SAME_UPPER);
    }
}

int32_t conv_spatial(tn_infer *ctx)
{
    const tn_type *x = conv_input(ctx, 0), *w = conv_input(ctx, 1);
    int32_t rank = x ? x->rank : -1;
    if (rank >= 0 && rank < 3) {
        ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 0, NULL,
                                 "input 'X' has rank %d: expected 3 or more (batch, channels, "
                                 "spatial axes)",
                                 rank);
        return -2;
    }
    if (w && w->rank >= 0 && (rank >= 0 ? w->rank != rank : w->rank < 3)) {
        if (rank >= 0)
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                     "input 'W' has rank %d, but input 'X' has rank %d: expected "
                                     "the same",
                                     w->rank, rank);
        else
            ctx->call.host->complain(&ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 1, NULL,
                                     "input 'W' has rank %d: expected 3 or more", w->rank);
        return -2;
    }
    if (rank < 0 && w)
        rank = w->rank;
    return rank < 0 ? -1 : rank - 2;
}

void conv_check_bias(tn_infer *ctx, tn_dim channels)
{
    const tn_type *b = conv_input(ctx, 2);
    char text[32];
    if (!b || b->rank < 0 ||
        (b->rank == 1 && ctx->call.host->dim_equal(&ctx->call, b->dims[0], channels) != TN_NO))
        return;
    ctx->call.host->complain(
        &ctx->call, TN_ERR_SHAPE, TN_WHERE_INPUT, 2, NULL,
        "input 'B' has shape %s: expected [%s], one for each output channel",
        conv_shape_text(b->rank, b->dims, (char[200]){ 0 }, 200),
        tn_dim_known(channels) ? (snprintf(text, sizeof text, "%" PRId64, channels), text) : "?");
}

const char *conv_shape_text(int32_t rank, const tn_dim *dims, char *text, size_t bytes)
{
    size_t at = (size_t)snprintf(text, bytes, "[");
    for (int32_t k = 0; k < rank && at < bytes; k++) {
        const char *comma = k ? "," : "";
        at += tn_dim_known(dims[k])
                  ? (size_t)snprintf(text + at, bytes - at, "%s%" PRId64, comma, dims[k])
                  : (size_t)snprintf(text + at, bytes - at, "%s?", comma);
    }
    if (at < bytes)
        snprintf(text + at, bytes - at, "]");
    return text;
}
